use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::hand_over::complete;
use super::waiters::{Waiters, weakly};
use crate::facade::lock_std;
use crate::future::{Error, Future, Promise};

/// Something that happens once, and that any number may wait for.
///
/// Cheap to clone: a clone is a handle to the same latch. If the last handle is dropped before the latch was triggered, the futures are
/// abandoned.
///
/// # Cost
///
/// To wait is some allocations and O(log waiters), and to give up frees them at once. When it is triggered, [`triggered`](Self::triggered) is one
/// allocation.
///
/// ```
/// use libprocess::sync::Latch;
///
/// let latch = Latch::new();
/// let triggered = latch.triggered();
/// assert!(triggered.is_pending());
/// assert!(latch.trigger());
/// assert!(!latch.trigger(), "only the first does");
/// assert_eq!(triggered.get(), Ok(()));
/// ```
#[derive(Clone, Default)]
pub struct Latch {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: std::sync::Mutex<State>,
}

struct State {
    triggered: bool,
    /// None once it is triggered.
    waiters: Waiters<Promise<()>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            triggered: false,
            waiters: Waiters::new(),
        }
    }
}

impl Latch {
    /// A latch that was not triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Triggers it, and completes the futures of all who wait, in the order in which they came. True for the first caller only.
    ///
    /// # Panics
    ///
    /// If a callback of such a future does, when all have run.
    pub fn trigger(&self) -> bool {
        let mut state = lock_std(&self.shared.state);
        if std::mem::replace(&mut state.triggered, true) {
            return false;
        }
        let waiters = state.waiters.take_all();
        drop(state);
        let completions = waiters.map(|promise| {
            move || {
                promise.set(());
            }
        });
        complete(&self.shared, completions).resume();
        true
    }

    /// Whether it was triggered.
    ///
    /// ```
    /// let latch = libprocess::sync::Latch::new();
    /// assert!(!latch.is_triggered());
    /// latch.trigger();
    /// assert!(latch.is_triggered());
    /// ```
    pub fn is_triggered(&self) -> bool {
        lock_std(&self.shared.state).triggered
    }

    /// A future that is ready when it is triggered: a new one for each caller, so that discarding it concerns nobody else.
    pub fn triggered(&self) -> Future<()> {
        let mut state = lock_std(&self.shared.state);
        if !state.triggered {
            let cancel = weakly(&self.shared, Shared::give_up);
            return state.waiters.enter(|promise| promise, cancel);
        }
        drop(state);
        Future::done()
    }

    /// Blocks until it is triggered, for at most `timeout` if one is given, by the machine's clock. As [`Future::wait`], which tells what becomes of a worker that blocks.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](Error::TimedOut) and [`TooManyBlocked`](Error::TooManyBlocked).
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::{FutureError, sync::Latch};
    ///
    /// let latch = Latch::new();
    /// assert_eq!(latch.wait(Some(Duration::ZERO)), Err(FutureError::TimedOut));
    /// let other = latch.clone();
    /// let thread = std::thread::spawn(move || other.trigger());
    /// assert_eq!(latch.wait(None), Ok(()));
    /// # thread.join().unwrap();
    /// ```
    pub fn wait(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.triggered().wait(timeout)
    }
}

impl Shared {
    fn give_up(self: &Arc<Self>, ticket: u64) {
        let waiter = lock_std(&self.state).waiters.remove(ticket);
        if let Some(promise) = waiter {
            promise.discard();
        }
    }
}

impl fmt::Debug for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock_std(&self.shared.state);
        f.debug_struct("Latch")
            .field("triggered", &state.triggered)
            .field("waiting", &state.waiters.len())
            .finish()
    }
}
