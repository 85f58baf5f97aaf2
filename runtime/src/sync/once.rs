//! `Once`: something that is to be done once, by whoever comes first.
//!
//! # States
//!
//! ```text
//!              once: a turn
//! UNTOUCHED ─────────────────► TAKEN ───────────────► DONE
//!     ▲                       │     ▲      done
//!     └───────────────────────┘     │
//!      given up, nobody waits       └── given up: the turn of the next who waits
//! ```
//!
//! The [`OnceTurn`] is the obligation. There is one at any time, and only while the state is `TAKEN`. It ends in one of two ways: by `done`, which tells all who
//! wait, or by its drop, also in a panic, which passes it on. So whoever waits gets an answer unless a turn is leaked. In libprocess those who wait
//! are stuck when the first gives up.

use std::fmt;
use std::sync::Arc;

use super::hand_over::complete;
use super::waiters::{Waiters, weakly};
use crate::facade::lock_std;
use crate::future::{Future, IsFuture, Promise, Returned, ValueOrFuture};

/// Something to be done once: the first who asks does it, the others wait until it is done.
///
/// Cheap to clone: a clone is a handle to the same one. For a value that is computed without waiting for futures, std's `OnceLock` is the thing.
///
/// # Cost
///
/// One allocation to ask, some more and O(log waiters) to wait.
///
/// ```
/// use libprocess::sync::Once;
///
/// let once = Once::new();
/// let turn = once.once().get()?.expect("the first");
/// let other = once.once();
/// assert!(other.is_pending());
/// // … do it …
/// turn.done();
/// assert!(other.get()?.is_none(), "it is done");
/// # Ok::<(), libprocess::FutureError>(())
/// ```
#[derive(Clone, Default)]
pub struct Once {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: std::sync::Mutex<State>,
}

struct State {
    phase: Phase,
    /// None unless it is `Taken`.
    waiters: Waiters<Promise<Option<OnceTurn>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Untouched,
    Taken,
    Done,
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: Phase::Untouched,
            waiters: Waiters::new(),
        }
    }
}

/// The obligation to do what a [`Once`] is about. Dropped before it is [`done`](Self::done), it goes to the next who waits.
///
/// ```
/// use libprocess::sync::Once;
///
/// let once = Once::new();
/// let turn = once.once().get()?;
/// let other = once.once();
/// drop(turn); // it did not work out
/// assert!(other.get()?.is_some(), "now it is the other's turn");
/// # Ok::<(), libprocess::FutureError>(())
/// ```
#[must_use = "do what is to be done, then call `done`; dropped, the turn goes to somebody else"]
pub struct OnceTurn {
    /// There until it is done.
    shared: Option<Arc<Shared>>,
}

impl Once {
    /// One that is not done.
    pub fn new() -> Self {
        Self::default()
    }

    /// A future of the caller's turn, if he is the first: then he must do it. Else of `None`, when it is done.
    ///
    /// If whoever has the turn gives it up, it goes to the one who has waited longest. Discarding or dropping the future gives the place, or the turn, up.
    pub fn once(&self) -> Future<Option<OnceTurn>> {
        let mut state = lock_std(&self.shared.state);
        let turn = match state.phase {
            Phase::Untouched => {
                state.phase = Phase::Taken;
                Some(self.shared.turn())
            }
            Phase::Taken => {
                let cancel = weakly(&self.shared, Shared::give_up);
                return state.waiters.enter(|promise| promise, cancel);
            }
            Phase::Done => None,
        };
        drop(state);
        Future::ready(turn)
    }

    /// Calls `f`, if nobody has before, or those who did have failed; gives a future that is ready when it was done, by whomever. `f` may return `()` or a
    /// future of it: if that is not ready in the end, or `f` panics, the next who waits has his `f` called.
    ///
    /// `f` runs in this thread, or in the one that gives it the turn. A discard request is passed on to the future that `f` returned, if it was
    /// called; else it gives the place up.
    ///
    /// ```
    /// use libprocess::{Future, sync::Once};
    ///
    /// let once = Once::new();
    /// assert!(once.call_once(|| Future::failed("no connection")).is_failed());
    /// assert!(once.call_once(|| println!("connected")).is_ready());
    /// assert!(once.call_once(|| println!("never printed")).is_ready());
    /// ```
    pub fn call_once<F, R, K>(&self, f: F) -> Future<()>
    where
        F: FnOnce() -> R + Send + 'static,
        R: ValueOrFuture<(), K> + 'static,
        K: 'static,
    {
        self.once().then::<(), _, _, IsFuture>(move |turn| {
            let Some(turn) = turn else {
                return Future::done();
            };
            match f().into_returned() {
                Returned::Value(()) => {
                    turn.done();
                    Future::done()
                }
                Returned::Future(future) => future.then(move |()| turn.done()),
            }
        })
    }

    /// Whether it is done.
    ///
    /// ```
    /// let once = libprocess::sync::Once::new();
    /// assert!(!once.is_done());
    /// assert!(once.call_once(|| ()).is_ready());
    /// assert!(once.is_done());
    /// ```
    pub fn is_done(&self) -> bool {
        lock_std(&self.shared.state).phase == Phase::Done
    }
}

impl Shared {
    fn turn(self: &Arc<Self>) -> OnceTurn {
        OnceTurn {
            shared: Some(Arc::clone(self)),
        }
    }

    fn give_up(self: &Arc<Self>, ticket: u64) {
        let waiter = lock_std(&self.state).waiters.remove(ticket);
        if let Some(promise) = waiter {
            promise.discard();
        }
    }
}

impl OnceTurn {
    /// Says that it is done: completes the futures of all who wait, in the order in which they came.
    ///
    /// # Panics
    ///
    /// If a callback of such a future does, when all have run.
    pub fn done(mut self) {
        let Some(shared) = self.shared.take() else {
            unreachable!("a turn is taken apart here and in its drop only");
        };
        let mut state = lock_std(&shared.state);
        debug_assert_eq!(state.phase, Phase::Taken, "there is a turn");
        state.phase = Phase::Done;
        let waiters = state.waiters.take_all();
        drop(state);
        let completions = waiters.map(|promise| {
            move || {
                promise.set(None);
            }
        });
        complete(&shared, completions).resume();
    }
}

impl Drop for OnceTurn {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        let mut state = lock_std(&shared.state);
        debug_assert_eq!(state.phase, Phase::Taken, "there is a turn");
        let Some(promise) = state.waiters.pop_front() else {
            state.phase = Phase::Untouched;
            return;
        };
        drop(state);
        let turn = shared.turn();
        let completion = move || {
            promise.set(Some(turn));
        };
        complete(&shared, [completion]).log();
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock_std(&self.shared.state);
        f.debug_struct("Once")
            .field("phase", &state.phase)
            .field("waiting", &state.waiters.len())
            .finish()
    }
}

impl fmt::Debug for OnceTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceTurn")
    }
}
