//! What a thread does when it blocks.
//!
//! A future knows no scheduler, but a worker that blocks in `get` must be replaced, or a runtime
//! with one worker would deadlock on the first `get` inside a handler. So this floor owns the
//! question ("how does this thread sleep, and who takes over?") and the scheduler above answers it, by
//! installing a [`Blocking`] on its threads. Other threads sleep on a futex.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use libprocess_semaphore::{FutexParker, Parker};

use crate::facade::{thread_constant, thread_local};
use crate::look_on::Luck;

/// How a thread sleeps until a waker is used.
pub(crate) trait Blocking {
    /// Calls `register` with a waker; unless it says that there is nothing to wait for, sleeps until the waker is used or the deadline
    /// is past. May return early.
    ///
    /// Without a deadline the sleep is refused if what is awaited can never come: if its owner waits, over others, for this thread's.
    fn sleep(
        &self,
        register: &mut dyn FnMut(&Waker) -> Registered,
        deadline: Option<Instant>,
        awaited: &dyn Awaited,
    ) -> Result<(), Refused>;
}

/// What a thread sleeps for.
pub(crate) trait Awaited {
    /// Who alone can bring it about, and only by going on with what he does now or later: a process, as the number that the clock knows it
    /// by. Zero: nobody in particular, or it is there already.
    fn owner(&self) -> u64;
}

/// Why a thread may not sleep.
#[derive(Debug)]
pub(crate) enum Refused {
    TooManyBlocked,
    WaitCycle(WaitCycle),
}

impl From<Refused> for super::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooManyBlocked => TooManyBlocked.into(),
            Refused::WaitCycle(cycle) => cycle.into(),
        }
    }
}

/// What `register` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The waker will be used.
    Waiting,
    /// What was waited for is there.
    Done,
}

/// A blocking call was refused, because too many of the runtime's threads are blocked already.
///
/// Raise [`max_blocked_threads`](crate::RuntimeBuilder::max_blocked_threads), or wait without
/// blocking: with `then`, or by linking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many threads of this runtime are blocked in `wait` or `get` already: raise \
     `max_blocked_threads`, or use `then` or `link` instead of blocking"
)]
pub struct TooManyBlocked;

/// A blocking call was refused, because it would never have returned: processes would wait for each other in a circle.
///
/// Each of them is in a handler that is blocked in a `wait` or a `get` without a time-out. Only the one that would close the circle is
/// told; that its handler goes on is what frees the others.
///
/// What counts is a [`wait`](crate::wait) for a process, and a [`get`](crate::Future::get) of the future of a dispatch that the process has not answered. A
/// dispatch that was answered with another future, that a process has put aside, or that a filter holds does not, nor does a chain: such a circle goes unnoticed, but
/// what is reported is always one.
///
/// ```
/// use libprocess::{FutureError, Process, dispatch_with, spawn_owned};
///
/// struct Lonely;
/// impl Process for Lonely {}
///
/// let lonely = spawn_owned(Lonely);
/// // It cannot serve the inner dispatch before the outer one has returned.
/// let result = dispatch_with(lonely.pid(), |_, cx| dispatch_with(cx.pid(), |_, _| 1).get());
/// let Ok(Err(FutureError::WaitCycle(cycle))) = result.get() else { panic!() };
/// assert_eq!(cycle.processes(), [lonely.pid().upid()]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct WaitCycle(Arc<[u64]>);

impl WaitCycle {
    pub(crate) fn new(owners: &[u64]) -> Self {
        Self(owners.into())
    }

    /// Who waits for whom: the one that was refused first, and at the end the one that waits for him.
    pub(crate) fn owners(&self) -> &[u64] {
        &self.0
    }
}

thread_constant!(static BLOCKING: Cell<Option<*const dyn Blocking>> = Cell::new(None));

/// Installs `blocking` on this thread until the guard is dropped.
pub(crate) fn install(blocking: &dyn Blocking) -> Installed<'_> {
    let pointer: *const (dyn Blocking + '_) = blocking;
    // SAFETY: only the lifetime is erased; `Installed` borrows `blocking` for as long as the
    // pointer can be found in the thread-local, and neither leaves this thread.
    let pointer: *const (dyn Blocking + 'static) = unsafe { std::mem::transmute(pointer) };
    BLOCKING.with(|cell| cell.set(Some(pointer)));
    Installed {
        _blocking: PhantomData,
    }
}

/// Uninstalls on drop. Not `Send`: it concerns the thread that made it.
pub(crate) struct Installed<'a> {
    _blocking: PhantomData<(&'a dyn Blocking, *const ())>,
}

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        BLOCKING.with(|cell| cell.set(None));
    }
}

/// Sleeps as this thread's owner wants it.
pub(crate) fn sleep(
    register: &mut dyn FnMut(&Waker) -> Registered,
    deadline: Option<Instant>,
    awaited: &dyn Awaited,
) -> Result<(), Refused> {
    match BLOCKING.with(Cell::get) {
        // SAFETY: the pointer is in the thread-local only while `Installed` borrows the value
        // (see `install`), and that guard lives further down on this thread's stack.
        Some(pointer) => unsafe { &*pointer }.sleep(register, deadline, awaited),
        None => {
            // One per thread, so that a future that is asked again and again keeps one waker of it.
            thread_local! {
                static SLEEPER: Arc<Sleeper> = Arc::new(Sleeper(FutexParker::new()));
            }
            let sleeper = SLEEPER
                .try_with(Arc::clone)
                // In a destructor of this thread, after that of the sleeper.
                .unwrap_or_else(|_| Arc::new(Sleeper(FutexParker::new())));
            if register(&Waker::from(Arc::clone(&sleeper))) == Registered::Waiting {
                let _looked_at_again = sleeper.0.park(deadline);
            }
            Ok(())
        }
    }
}

/// Before a sleep: true if what it would be for has come while this thread looked on. A worker does not: the one that it waits for may wait in its own
/// queue.
pub(crate) fn look_on(deadline: Option<Instant>, is_there: impl Fn() -> bool) -> bool {
    thread_constant!(static LUCK: Luck = Luck::new());
    BLOCKING.with(Cell::get).is_none() && LUCK.with(|luck| luck.look_on(deadline, is_there))
}

/// A thread that is nobody's worker.
struct Sleeper(FutexParker);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
