//! Work that is no process: closures that may block, and Rust's `async` blocks.
//!
//! An `async` block is run by a process of its own, so that it has all that processes have: it is scheduled fairly with them,
//! ends with the runtime, a panic in it ends it alone, and `settle` knows whether it is runnable. A waker is the process's pid: the first wake
//! of a rest sends an event, further ones send none, so the mailbox holds at most one (see [`wake_word`](super::wake_word)).
//!
//! All blocks are run by processes of one type, [`AsyncTask`], which knows its block by four functions. So what serves a process is compiled
//! once for all blocks of a program, and for each no more than these. The block lies behind its process's cell, in one allocation ([`TaskCell`]).

use std::alloc::Layout;
use std::any::Any;
use std::future::Future as StdFuture;
use std::mem::MaybeUninit;
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
    location: &'static Location<'static>,
}

// SAFETY: the block, which this owns, is `Send`.
unsafe impl Send for AsyncTask {}

/// What a process has to know of its block. Dropping one drops the future before its promise, so that who learns that the task was cancelled finds what it
/// held released.
trait Block: Send {
    /// Polls the future. It is dropped when it is ready, so that what it captured is gone before anybody learns of its end.
    fn poll(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<()>;

    /// Completes the promise with what the future gave.
    fn settle(self: Pin<&mut Self>);

    /// Drops the future, which panicked, and has the promise fail with this.
    fn fail(self: Pin<&mut Self>, text: Arc<str>);

    /// Of the allocation that this and its process's cell are in.
    fn layout(&self) -> Layout;
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

impl Housing<AsyncTask> for BeforeItsBlock {
    fn layout(process: &AsyncTask) -> Layout {
        process.block().layout()
    }
}

struct BlockOf<F: StdFuture> {
    state: State<F>,
    /// Until its end, if somebody was given the future.
    promise: Option<Promise<F::Output>>,
}

enum State<F: StdFuture> {
    /// Never moved: pinned.
    Running(F),
    Ready(F::Output),
    Over,
}

impl<F: StdFuture> BlockOf<F> {
    /// Neither the output nor the promise is pinned, nor is the state as a whole: what is in it is dropped in its place.
    fn parts(self: Pin<&mut Self>) -> (&mut State<F>, &mut Option<Promise<F::Output>>) {
        // SAFETY: callers move nothing out of a `Running`.
        let this = unsafe { self.get_unchecked_mut() };
        (&mut this.state, &mut this.promise)
    }
}

impl<F> Block for BlockOf<F>
where
    F: StdFuture + Send,
    F::Output: Send + 'static,
{
    fn poll(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<()> {
        let (state, _) = self.parts();
        let State::Running(future) = state else {
            // Its process ends, and goes on no more.
            return Poll::Pending;
        };
        // SAFETY: it is never moved, and dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        future
            .poll(context)
            .map(|output| *state = State::Ready(output))
    }

    fn settle(self: Pin<&mut Self>) {
        let (state, promise) = self.parts();
        let State::Ready(_) = state else {
            return;
        };
        if let State::Ready(output) = std::mem::replace(state, State::Over) {
            complete(promise.take(), Outcome::Ready(output));
        }
    }

    fn fail(self: Pin<&mut Self>, text: Arc<str>) {
        let (state, promise) = self.parts();
        guarded_apart("the drop of an async block that panicked", &mut || {
            *state = State::Over;
        });
        complete(promise.take(), Outcome::Failed(text));
    }

    fn layout(&self) -> Layout {
        Layout::new::<TaskCell<F>>()
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
        // In its place.
        self.state = State::Over;
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
        let polled = wakes.poll(pid.generation(), || {
            catch_unwind(AssertUnwindSafe(|| self.block_mut().poll(&mut context)))
        });
        match polled {
            Ok(Poll::Pending) => {
                // Who wakes himself wants others to go first.
                if wakes.is_woken(pid.generation()) {
                    cx.yield_behind_this();
                }
            }
            Ok(Poll::Ready(())) => {
                wakes.end(pid.generation());
                self.block_mut().settle();
                cx.terminate();
            }
            Err(payload) => {
                wakes.end(pid.generation());
                self.fail(payload)
            }
        }
    }
}

impl AsyncTask {
    fn block(&self) -> &dyn Block {
        // SAFETY: ours, and only borrowed through this.
        unsafe { self.block.as_ref() }
    }

    fn block_mut(&mut self) -> Pin<&mut dyn Block> {
        // SAFETY: as in `block`; it stays where it is until it is dropped.
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
    // Each part is written to its place: an `async` block may be large, and is on the stack once as it is.
    // SAFETY: just allocated, with room for the whole; all fields are written. The pointer to the block has the whole's provenance.
    let cell = unsafe {
        let block = &raw mut (*whole).block;
        block.write(BlockOf {
            state: State::Running(future),
            promise,
        });
        let task = AsyncTask {
            block: NonNull::new_unchecked(block),
            location,
        };
        (&raw mut (*whole).cell).write(Cell {
            process: task,
            extra: Extra::new(None),
        });
        NonNull::new_unchecked(whole).cast::<Cell<AsyncTask>>()
    };
    // SAFETY: the cell of a whole, allocated as `BeforeItsBlock` says.
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
