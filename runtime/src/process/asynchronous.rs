//! Work that is no process: closures that may block, and Rust's `async` blocks.
//!
//! An `async` block is run by a process of its own, so that it has all that processes have: it is scheduled fairly with them,
//! ends with the runtime, a panic in it ends it alone, and `settle` knows whether it is runnable. A waker is the process's pid: the first wake
//! of a rest sends an event, further ones send none, so the mailbox holds at most one (see [`wake_word`](super::wake_word)).

use std::any::Any;
use std::future::Future as StdFuture;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, RawWaker, RawWakerVTable, Waker};

use super::arena::arena;
use super::event::dispatch::{Polled, of_poll};
use super::manager::ProcessManager;
use super::resume::{guarded, guarded_apart};
use super::spawn::spawn_or_nobody;
use super::{Context, Process, RawPid, Upid, current, exits, send};
use crate::clock;
use crate::future::{Future, Outcome, Promise};
use crate::scheduler::pool::{Job, Refused};

struct AsyncTask<F: StdFuture> {
    /// In place, not in a box of its own: a process stays where it is from its first turn on, until it is dropped there, and nobody but this module knows its type.
    future: Option<F>,
    /// Until its end, if somebody was given the future.
    promise: Option<Promise<F::Output>>,
    location: &'static Location<'static>,
}

/// What a waker of an `async` block does. Its data is the pid, so there is nothing to count or to free.
struct WakerTable<F>(PhantomData<F>);

impl<F> WakerTable<F>
where
    F: StdFuture + Send + 'static,
    F::Output: Send + 'static,
{
    const TABLE: &'static RawWakerVTable =
        &RawWakerVTable::new(Self::clone, Self::wake, Self::wake, |_| {});

    fn waker(pid: RawPid) -> Waker {
        let data = std::ptr::without_provenance(pid.to_address());
        // SAFETY: the functions may be called in any thread, at any time and so often as one likes: they take the data for the pid that it is, and
        // a pid is good for ever.
        unsafe { Waker::new(data, Self::TABLE) }
    }

    unsafe fn clone(data: *const ()) -> RawWaker {
        RawWaker::new(data, Self::TABLE)
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
            send::deliver(pid, of_poll::<AsyncTask<F>>());
        }
    }
}

impl<F> Process for AsyncTask<F>
where
    F: StdFuture + Send + 'static,
    F::Output: Send + 'static,
{
    fn prefix() -> &'static str {
        "async"
    }

    fn initialize(&mut self, cx: &mut Context<Self>) {
        self.poll(cx);
    }
}

impl<F> Polled for AsyncTask<F>
where
    F: StdFuture + Send + 'static,
    F::Output: Send + 'static,
{
    fn location(&self) -> &'static Location<'static> {
        self.location
    }

    fn poll(&mut self, cx: &mut Context<Self>) {
        let Some(future) = &mut self.future else {
            return;
        };
        // SAFETY: see the field; it is never moved out of it, and dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        let (pid, wakes) = (cx.raw_pid(), cx.slot().wakes());
        let waker = WakerTable::<F>::waker(pid);
        let mut context = std::task::Context::from_waker(&waker);
        let polled = wakes.poll(pid.generation(), || {
            catch_unwind(AssertUnwindSafe(|| future.poll(&mut context)))
        });
        match polled {
            Ok(Poll::Pending) => {
                // Who wakes himself wants others to go first.
                if wakes.is_woken(pid.generation()) {
                    cx.yield_behind_this();
                }
            }
            Ok(Poll::Ready(output)) => {
                wakes.end(pid.generation());
                // What it captured is gone before anybody learns of its end.
                self.future = None;
                if let Some(promise) = self.promise.take() {
                    // The callbacks are not the task's.
                    guarded("a callback of an async task's future", || {
                        promise.settle(Outcome::Ready(output));
                    });
                }
                cx.terminate();
            }
            Err(payload) => {
                wakes.end(pid.generation());
                self.fail(payload)
            }
        }
    }
}

impl<F: StdFuture> AsyncTask<F> {
    /// The block panicked: its future fails, and the process ends as any that panics.
    fn fail(&mut self, payload: Box<dyn Any + Send>) -> ! {
        let message = super::resume::panic_message(payload);
        guarded_apart("the drop of an async block that panicked", &mut || {
            self.future = None
        });
        if let Some(promise) = self.promise.take() {
            let text = format!("the async block panicked: {message}");
            let mut failing = Some((promise, text.into()));
            guarded_apart("a callback of an async block's future", &mut || {
                if let Some((promise, text)) = failing.take() {
                    promise.settle_apart(Outcome::Failed(text));
                }
            });
        }
        std::panic::resume_unwind(Box::new(message.to_string()))
    }
}

impl<F: StdFuture> Drop for AsyncTask<F> {
    fn drop(&mut self) {
        // Before the promise, so that who learns that the task was cancelled finds what it held released.
        self.future = None;
        if let Some(promise) = self.promise.take()
            && promise.has_discard()
        {
            promise.discard();
        }
    }
}

/// A larger block is boxed: on its way to its place it would be copied several times, on the stack of whoever spawns it.
const IN_PLACE: usize = 2048;

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
    if size_of::<F>() > IN_PLACE {
        spawn_in_place(manager, Box::pin(future), promise, location)
    } else {
        spawn_in_place(manager, future, promise, location)
    }
}

fn spawn_in_place<F>(
    manager: &ProcessManager,
    future: F,
    promise: Option<Promise<F::Output>>,
    location: &'static Location<'static>,
) -> Task
where
    F: StdFuture + Send + 'static,
    F::Output: Send + 'static,
{
    let task = AsyncTask {
        future: Some(future),
        promise,
        location,
    };
    Task(spawn_or_nobody(manager, task, None).raw())
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
