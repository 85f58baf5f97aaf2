//! Work that is no process: closures that may block, and Rust's `async` blocks.
//!
//! An `async` block is run by a process of its own, so that it has all that processes have: it is scheduled fairly with them,
//! ends with the runtime, a panic in it ends it alone, and `settle` knows whether it is runnable. A waker is the process's pid: the first wake
//! of a rest sends an event, further ones send none, so the mailbox holds at most one (see [`wake_word`](super::wake_word)).
//!
//! All blocks are run by processes of one type, [`AsyncTask`], which knows its block by a table of functions. So what serves a process is compiled
//! once for all blocks of a program, and for each block little more than these. The block lies behind its process's cell, in one allocation ([`TaskCell`]).

use std::alloc::Layout;
use std::any::Any;
use std::future::Future as StdFuture;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Poll, RawWaker, RawWakerVTable, Waker};

use super::arena::arena;
use super::event::dispatch::{Polled, of_poll};
use super::manager::ProcessManager;
use super::resume::{Cell, Extra, Housing, guarded, guarded_apart};
use super::spawn::{admit_unnamed, move_in};
use super::{Context, Process, RawPid, Upid, current, exits, send};
use crate::clock;
use crate::future::{Future, Outcome, Promise};
use crate::scheduler::pool::{Job, Refused};

/// The process that runs a block.
struct AsyncTask {
    /// Ours: it stays where it is, behind the cell that this is in, until it is dropped with this.
    block: NonNull<dyn Block>,
    /// Of the allocation. Kept here, as a block that is to be dropped may not be looked at as a whole: it may have lent parts of itself to itself.
    layout: &'static Layout,
    location: &'static Location<'static>,
}

// SAFETY: it owns its block, and a `Block` is `Send`.
unsafe impl Send for AsyncTask {}

/// What a process has to know of its block.
///
/// Dropping one drops the future before the promise, so that who learns that the task was cancelled finds what it held released.
trait Block: Send {
    /// Polls the future. When it is ready, `over` is called, and it is dropped, so that it wakes nobody any more, and what it captured is gone before
    /// anybody learns of its end.
    fn poll(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        over: &dyn Fn(),
    ) -> Poll<()>;

    /// Completes the promise with what the future gave. Apart from `poll`, as callbacks that run now are not the block's.
    fn settle(self: Pin<&mut Self>);

    /// Has the promise fail, as the future or its drop panicked.
    fn fail(self: Pin<&mut Self>, text: Arc<str>);
}

/// A block behind the cell of its process.
#[repr(C)]
struct TaskCell<F: StdFuture> {
    // First, so that a pointer to the cell is one to the whole.
    cell: Cell<AsyncTask>,
    block: BlockOf<F>,
}

/// Marks a cell as one of a `TaskCell`.
struct BeforeItsBlock;

// SAFETY: the layout is that of the whole; an `AsyncTask` drops its block when it is dropped, and none has an owner.
unsafe impl Housing<AsyncTask> for BeforeItsBlock {
    fn layout(process: &AsyncTask) -> Layout {
        *process.layout
    }
}

struct BlockOf<F: StdFuture> {
    stage: Stage,
    body: Body<F>,
    /// Until its end, if somebody was given the future.
    promise: Option<Promise<F::Output>>,
}

/// What is in the body.
#[derive(PartialEq)]
enum Stage {
    Running,
    Ready,
    Over,
}

/// Not an `enum`, which cannot be filled or emptied without making a whole of it on the stack, where a large block may have no room. (A large output passes over
/// it, as its `poll` returns it.)
union Body<F: StdFuture> {
    /// Pinned.
    future: ManuallyDrop<F>,
    output: ManuallyDrop<F::Output>,
}

impl<F: StdFuture> BlockOf<F> {
    /// Drops what is in the body. If that panics, nothing is in it.
    fn clear(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            // SAFETY: as the stage said; in its place.
            Stage::Running => unsafe { ManuallyDrop::drop(&mut self.body.future) },
            // SAFETY: as the stage said.
            Stage::Ready => unsafe { ManuallyDrop::drop(&mut self.body.output) },
            Stage::Over => {}
        }
    }
}

impl<F> Block for BlockOf<F>
where
    F: StdFuture + Send,
    F::Output: Send + 'static,
{
    fn poll(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        over: &dyn Fn(),
    ) -> Poll<()> {
        // SAFETY: the future is never moved, and dropped in its place.
        let this = unsafe { self.get_unchecked_mut() };
        if this.stage != Stage::Running {
            // Not reached: its process ends, which goes ahead of a poll that waits.
            return Poll::Pending;
        }
        // SAFETY: it is there, and stays where it is until it is dropped there.
        let future = unsafe { Pin::new_unchecked(&mut *this.body.future) };
        let Poll::Ready(output) = future.poll(context) else {
            return Poll::Pending;
        };
        over();
        this.clear();
        this.body.output = ManuallyDrop::new(output);
        this.stage = Stage::Ready;
        Poll::Ready(())
    }

    fn settle(self: Pin<&mut Self>) {
        // SAFETY: only an output and the promise are moved out of it, which are not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        if this.stage == Stage::Ready {
            this.stage = Stage::Over;
            // SAFETY: as the stage said, once.
            let output = unsafe { ManuallyDrop::take(&mut this.body.output) };
            complete(this.promise.take(), Outcome::Ready(output));
        }
    }

    fn fail(self: Pin<&mut Self>, text: Arc<str>) {
        // SAFETY: the future is never moved, and dropped in its place.
        let this = unsafe { self.get_unchecked_mut() };
        guarded_apart("the drop of an async block that panicked", &mut || {
            this.clear();
        });
        complete(this.promise.take(), Outcome::Failed(text));
    }
}

/// Completes a block's promise. Once for each type of output.
fn complete<T: Send + 'static>(promise: Option<Promise<T>>, outcome: Outcome<T>) {
    if let Some(promise) = promise {
        // The callbacks are not the task's.
        guarded("a callback of an async block's future", || {
            promise.settle(outcome);
        });
    }
}

impl<F: StdFuture> Drop for BlockOf<F> {
    fn drop(&mut self) {
        // Whatever that does, who asked to discard it is told that it is.
        guarded_apart("the drop of an async block", &mut || self.clear());
        if let Some(promise) = self.promise.take()
            && promise.has_discard()
        {
            promise.discard();
        }
    }
}

/// What a waker of an `async` block does. Its data is the pid, so there is nothing to count or to free.
static WAKER: RawWakerVTable = RawWakerVTable::new(clone_waker, wake, wake, |_| {});

fn waker(pid: RawPid) -> Waker {
    let data = std::ptr::without_provenance(pid.to_address());
    // SAFETY: the functions may be called in any thread, at any time and so often as one likes: they take the data for the pid that it is, and
    // a pid is good for ever.
    unsafe { Waker::new(data, &WAKER) }
}

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    RawWaker::new(data, &WAKER)
}

unsafe fn wake(data: *const ()) {
    let Some(pid) = RawPid::from_address(data.addr()) else {
        return;
    };
    if clock::any_paused() {
        // Also if it sends nothing: the poll is behind what whoever wakes has done.
        send::carry(pid);
    }
    if arena().slot(pid).wakes().wake(pid.generation()) {
        send::deliver(pid, of_poll::<AsyncTask>());
    }
}

impl Process for AsyncTask {
    fn prefix() -> &'static str {
        "async"
    }

    fn initialize(&mut self, cx: &mut Context<Self>) {
        self.poll(cx);
    }
}

impl Polled for AsyncTask {
    fn location(&self) -> &'static Location<'static> {
        self.location
    }

    fn poll(&mut self, cx: &mut Context<Self>) {
        let (pid, wakes) = (cx.raw_pid(), cx.slot().wakes());
        let waker = waker(pid);
        let mut context = std::task::Context::from_waker(&waker);
        let over = || wakes.end(pid.generation());
        let polled = wakes.poll(pid.generation(), || {
            catch_unwind(AssertUnwindSafe(|| {
                self.block_mut().poll(&mut context, &over)
            }))
        });
        match polled {
            Ok(Poll::Pending) => {
                // Who wakes himself wants others to go first.
                if wakes.is_woken(pid.generation()) {
                    cx.yield_behind_this();
                }
            }
            Ok(Poll::Ready(())) => {
                self.block_mut().settle();
                cx.terminate();
            }
            Err(payload) => {
                over();
                self.fail(payload)
            }
        }
    }
}

impl AsyncTask {
    fn block_mut(&mut self) -> Pin<&mut dyn Block> {
        // SAFETY: ours, and only borrowed through this; it stays where it is until it is dropped.
        unsafe { Pin::new_unchecked(self.block.as_mut()) }
    }

    /// The block panicked: its future fails, and the process ends as any that panics.
    #[cold]
    fn fail(&mut self, payload: Box<dyn Any + Send>) -> ! {
        let message = super::resume::panic_message(payload);
        let text = format!("the async block panicked: {message}");
        self.block_mut().fail(text.into());
        std::panic::resume_unwind(Box::new(message.to_string()))
    }
}

impl Drop for AsyncTask {
    fn drop(&mut self) {
        // SAFETY: ours, and dropped only here. Its memory is the cell's, which is freed after this.
        unsafe { self.block.drop_in_place() };
    }
}

/// Runs an `async` block as a process, and gives a future of its output.
pub(crate) fn spawn_async<F>(
    manager: &ProcessManager,
    future: F,
    location: &'static Location<'static>,
) -> Future<F::Output>
where
    F: StdFuture + Send + 'static,
    F::Output: Send + 'static,
{
    let (promise, result) = Promise::pair();
    let task = spawn_task(manager, future, Some(promise), location);
    result.on_cancelled(move || task.cancel());
    result
}

/// As `spawn_async`, where nobody waits for the end: nothing is made to wait with.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) fn spawn_unwatched<F>(
    manager: &ProcessManager,
    future: F,
    location: &'static Location<'static>,
) -> Task
where
    F: StdFuture<Output = ()> + Send + 'static,
{
    spawn_task(manager, future, None, location)
}

fn spawn_task<F>(
    manager: &ProcessManager,
    future: F,
    promise: Option<Promise<F::Output>>,
    location: &'static Location<'static>,
) -> Task
where
    F: StdFuture + Send + 'static,
    F::Output: Send + 'static,
{
    let Some(admitted) = admit_unnamed(manager) else {
        // What it captured is gone before anybody learns of its end.
        drop(future);
        drop(promise);
        return Task(RawPid::NOBODY);
    };
    let whole: NonNull<MaybeUninit<TaskCell<F>>> = NonNull::from(Box::leak(Box::new_uninit()));
    let whole = whole.cast::<TaskCell<F>>().as_ptr();
    // The future, which may be large, is written to its place from where this function was given it: it is not made part of anything on the stack.
    // SAFETY: just allocated, with room for the whole; all fields are written. The pointer to the block has the whole's provenance.
    let cell = unsafe {
        let block = &raw mut (*whole).block;
        (&raw mut (*block).stage).write(Stage::Running);
        (&raw mut (*block).promise).write(promise);
        (&raw mut (*block).body).cast::<F>().write(future);
        let task = AsyncTask {
            block: NonNull::new_unchecked(block),
            layout: const { &Layout::new::<TaskCell<F>>() },
            location,
        };
        (&raw mut (*whole).cell).write(Cell {
            process: task,
            extra: Extra::new(None),
        });
        NonNull::new_unchecked(whole).cast::<Cell<AsyncTask>>()
    };
    // SAFETY: the cell of a whole, allocated as `BeforeItsBlock` says, and without an owner.
    Task(unsafe { move_in::<AsyncTask, BeforeItsBlock>(manager, admitted, cell, None) })
}

/// An `async` block that runs, or has ended. It goes on when this is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task(RawPid);

impl Task {
    /// Ends it before its next turn.
    pub(crate) fn cancel(self) {
        exits::terminate(&Upid::local(self.0), true, Upid::nobody());
    }
}

/// Runs a closure on a thread that may block, and gives a future of its result.
pub(crate) fn async_<T, F>(manager: &ProcessManager, f: F) -> Future<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (promise, future) = Promise::pair();
    let work = Work::begin(manager);
    let job = Box::new(move || {
        // Dropped last: the callbacks of the future are part of the work.
        let _work = work;
        if promise.has_discard() {
            drop(f);
            promise.discard();
            return;
        }
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => {
                guarded("a callback of an async closure's future", || {
                    promise.settle(Outcome::Ready(value));
                });
            }
            Err(payload) => {
                let text = reported(payload);
                guarded("a callback of an async closure's future", || {
                    promise.settle(Outcome::Failed(text));
                });
            }
        }
    });
    run_on_pool(manager, job);
    future
}

/// What the future says of a panic that is also in the log.
#[cold]
fn reported(payload: Box<dyn Any + Send>) -> Arc<str> {
    let message = super::resume::panic_message(payload);
    tracing::error!(%message, "panic in an async closure");
    format!("the closure panicked: {message}").into()
}

fn run_on_pool(manager: &ProcessManager, job: Job) {
    let address = ManagerAddress(manager);
    let refused = manager.pool().run(job, move || address.make_current());
    match refused {
        Ok(()) => {}
        // The future is abandoned.
        Err(Refused::Stopped(job)) => drop(job),
        Err(Refused::NoThread(job, error)) => {
            tracing::error!(%error, "no thread could be started for an async closure");
            drop(job);
        }
    }
}

/// Keeps the runtime from being quiet.
struct Work(Arc<crate::scheduler::Scheduler>);

impl Work {
    fn begin(manager: &ProcessManager) -> Self {
        manager.scheduler().work_begun();
        Self(Arc::clone(manager.scheduler()))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.work_ended();
    }
}

struct ManagerAddress(*const ProcessManager);

// SAFETY: the runtime joins the threads of its pool before its manager is freed.
unsafe impl Send for ManagerAddress {}

impl ManagerAddress {
    fn make_current(self) {
        current::set_current_manager(self.0);
    }
}
