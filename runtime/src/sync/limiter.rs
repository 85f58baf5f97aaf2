//! `RateLimiter`: permits, evenly spaced in time.
//!
//! # States
//!
//! | state | what is known | `acquire` |
//! |---|---|---|
//! | free | nobody waits, the next permit is due | is ready; the next permit is due an interval later |
//! | spacing | nobody waits, the next permit is not due | waits, and starts a timer |
//! | waiting | somebody waits, a timer is pending until the next permit is due | waits |
//!
//! The timer gives one permit, to the waiter who came first, and is started again if others wait. When the last waiter gives up it is cancelled. There is no timer
//! when nobody waits, so an idle limiter costs nothing.
//!
//! # What can go wrong
//!
//! * *A timer fires that was cancelled too late.* Each timer has a number, and one that is not the expected one does nothing.
//! * *The clock is called under our lock.* It is not: what timer to start is decided under the lock, and it is started afterwards. If meanwhile it became
//!   superfluous, whoever started it finds that out, and cancels it.
//! * *A timer is late.* The next permit is due an interval after this one was given, not after it was due, or there would be a burst. But while time
//!   stands still, that is paused and advanced by hand, what a timer does happens at its deadline: ten intervals at once are ten permits.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::hand_over::complete;
use super::waiters::{Waiters, weakly};
use crate::clock::{Clock, Time, Timer};
use crate::facade::lock_std;
use crate::future::{Future, Promise};

/// Gives so many permits in so much time, evenly spaced: one each `per / permits`, and no bursts.
///
/// First come, first served. Permits are not saved up: after a long rest the first is given at once, the second an interval later. Whoever waits when the
/// clock's runtime ends has no permit, and goes on waiting.
///
/// Cheap to clone: a clone is a handle to the same limiter. When the last handle is dropped, the futures of all who wait are discarded.
///
/// # Cost
///
/// `acquire` is one allocation; if it has to wait some more, O(log waiters), and a timer for the first who waits.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use libprocess::{Runtime, sync::RateLimiter};
///
/// let runtime = Runtime::builder().workers(1).build()?;
/// let clock = runtime.clock();
/// clock.pause();
/// let two = NonZeroU32::new(2).unwrap();
/// let limiter = RateLimiter::with_clock(clock.clone(), two, Duration::from_secs(1));
/// let (first, second) = (limiter.acquire(), limiter.acquire());
/// assert!(first.is_ready() && second.is_pending());
/// clock.advance(Duration::from_millis(500));
/// clock.settle()?;
/// assert!(second.is_ready());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RateLimiter {
    handle: Arc<Handle>,
}

/// What all handles share: when it is dropped, nobody can acquire.
struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    interval: Duration,
    state: std::sync::Mutex<State>,
}

struct State {
    /// When the next permit is due.
    due: Time,
    waiters: Waiters<Promise<()>>,
    /// Expected while somebody waits, and only then.
    expected: Option<Expected>,
    timers_started: u64,
}

struct Expected {
    number: u64,
    /// None until whoever starts it has come back with it.
    timer: Option<Timer>,
}

/// A timer to be started, without the lock.
struct ToStart {
    number: u64,
    due: Time,
}

impl RateLimiter {
    /// A limiter of `permits` in the time `per`, by the clock of the current runtime.
    ///
    /// # Panics
    ///
    /// If `per` is zero.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    /// use libprocess::sync::RateLimiter;
    ///
    /// let limiter = RateLimiter::new(NonZeroU32::MIN, Duration::from_millis(1));
    /// for _ in 0..3 {
    ///     limiter.acquire().get()?;
    /// }
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn new(permits: NonZeroU32, per: Duration) -> Self {
        Self::with_clock(crate::clock(), permits, per)
    }

    /// As [`new`](Self::new), by that clock.
    ///
    /// # Panics
    ///
    /// If `per` is zero.
    pub fn with_clock(clock: Clock, permits: NonZeroU32, per: Duration) -> Self {
        assert!(!per.is_zero(), "permits in no time would not be limited");
        // Up to the next nanosecond: rather a little less than was asked for, never more.
        let interval_ns = per.as_nanos().div_ceil(permits.get().into());
        let interval = u64::try_from(interval_ns).map_or(Duration::MAX, Duration::from_nanos);
        let state = State {
            due: Time::MIN,
            waiters: Waiters::new(),
            expected: None,
            timers_started: 0,
        };
        Self {
            handle: Arc::new(Handle {
                shared: Arc::new(Shared {
                    clock,
                    interval,
                    state: std::sync::Mutex::new(state),
                }),
            }),
        }
    }

    /// A future of a permit: ready at once if one is free, else when it is the caller's turn.
    ///
    /// Discarding or dropping it gives the place up; no permit is used then. If it was ready, the permit is used.
    pub fn acquire(&self) -> Future<()> {
        let shared = &self.handle.shared;
        let now = shared.clock.now();
        let mut state = lock_std(&shared.state);
        if state.waiters.is_empty() && state.due <= now {
            state.due = now + shared.interval;
            drop(state);
            return Future::done();
        }
        let cancel = weakly(shared, Shared::give_up);
        let future = state.waiters.enter(|promise| promise, cancel);
        let to_start = state.expect_timer();
        drop(state);
        shared.start(to_start);
        future
    }

    /// The time between two permits.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use std::time::Duration;
    /// use libprocess::sync::RateLimiter;
    ///
    /// let limiter = RateLimiter::new(NonZeroU32::new(4).unwrap(), Duration::from_secs(1));
    /// assert_eq!(limiter.interval(), Duration::from_millis(250));
    /// ```
    pub fn interval(&self) -> Duration {
        self.handle.shared.interval
    }
}

impl State {
    /// Expects a timer, unless one is expected, or nobody waits.
    #[must_use]
    fn expect_timer(&mut self) -> Option<ToStart> {
        if self.expected.is_some() || self.waiters.is_empty() {
            return None;
        }
        self.timers_started += 1;
        let number = self.timers_started;
        self.expected = Some(Expected {
            number,
            timer: None,
        });
        Some(ToStart {
            number,
            due: self.due,
        })
    }

    /// Expects none any more. What is given is to be cancelled without the lock.
    #[must_use]
    fn expect_none(&mut self) -> Option<Timer> {
        self.expected.take().and_then(|expected| expected.timer)
    }
}

impl Shared {
    fn start(self: &Arc<Self>, to_start: Option<ToStart>) {
        let Some(ToStart { number, due }) = to_start else {
            return;
        };
        let weak = Arc::downgrade(self);
        // By our own reading of the time: a process may be behind the others while the clock is paused, and its deadline is counted from there.
        let timer = self.clock.timer(due - self.clock.now(), move || {
            if let Some(shared) = weak.upgrade() {
                shared.fired(number, due);
            }
        });
        let mut state = lock_std(&self.state);
        match &mut state.expected {
            Some(expected) if expected.number == number => expected.timer = Some(timer),
            // It has fired, or is not needed any more.
            _ => {
                drop(state);
                timer.cancel();
            }
        }
    }

    fn fired(self: &Arc<Self>, number: u64, due: Time) {
        // See the module: late on a running clock, on time on a paused one.
        let now = if self.clock.is_paused() {
            due
        } else {
            self.clock.now()
        };
        let mut state = lock_std(&self.state);
        match &state.expected {
            Some(expected) if expected.number == number => {}
            _ => return,
        }
        // The one that has fired.
        let timer = state.expect_none();
        let waiter = state.waiters.pop_front();
        debug_assert!(waiter.is_some(), "a timer is expected while somebody waits");
        state.due = now + self.interval;
        let to_start = state.expect_timer();
        drop(state);
        drop(timer);
        self.start(to_start);
        let completions = waiter.map(|promise| {
            move || {
                promise.set(());
            }
        });
        // It goes on in the clock, which logs it.
        complete(self, completions).resume();
    }

    fn give_up(self: &Arc<Self>, ticket: u64) {
        let mut state = lock_std(&self.state);
        let waiter = state.waiters.remove(ticket);
        let timer = if state.waiters.is_empty() {
            state.expect_none()
        } else {
            None
        };
        drop(state);
        if let Some(timer) = timer {
            timer.cancel();
        }
        if let Some(promise) = waiter {
            promise.discard();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = lock_std(&self.shared.state);
        let waiters = state.waiters.take_all();
        let timer = state.expect_none();
        drop(state);
        if let Some(timer) = timer {
            timer.cancel();
        }
        let completions = waiters.map(|promise| {
            move || {
                promise.discard();
            }
        });
        complete(&self.shared, completions).log();
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock_std(&self.handle.shared.state);
        f.debug_struct("RateLimiter")
            .field("interval", &self.handle.shared.interval)
            .field("waiting", &state.waiters.len())
            .finish_non_exhaustive()
    }
}
