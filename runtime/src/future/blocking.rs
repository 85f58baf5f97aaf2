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

/// How a thread sleeps until a waker is used.
pub(crate) trait Blocking {
    /// Calls `register` with a waker; unless it says that there is nothing to wait for, sleeps until the waker is used or the deadline
    /// is past. May return early.
    fn sleep(
        &self,
        register: &mut dyn FnMut(&Waker) -> Registered,
        deadline: Option<Instant>,
    ) -> Result<(), TooManyBlocked>;
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

thread_local! {
    static BLOCKING: Cell<Option<*const dyn Blocking>> = const { Cell::new(None) };
}

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
) -> Result<(), TooManyBlocked> {
    match BLOCKING.with(Cell::get) {
        // SAFETY: the pointer is in the thread-local only while `Installed` borrows the value
        // (see `install`), and that guard lives further down on this thread's stack.
        Some(pointer) => unsafe { &*pointer }.sleep(register, deadline),
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

/// A thread that is nobody's worker.
struct Sleeper(FutexParker);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
