//! The clock of a runtime: time, timers, and how a test holds them.
//!
//! # What it is
//!
//! Each runtime has a [`Clock`]; nothing is global. It tells the time, and calls closures when a time has come. A test may *pause* it: from then on time
//! stands still, until somebody *advances* it, and `settle` waits until all that follows from that has happened.
//!
//! # Who fires timers
//!
//! A worker that sleeps, or that is between two processes' turns; and one thread for each clock, started with the first timer, where no worker can (see `keeper.rs`).
//! Whoever it is calls what is due in order of deadline, then of creation. So an idle runtime wakes one thread for a timer, and timers are on time
//! also while all workers sit in long handlers. What a timer calls is to be short: it is usually a dispatch. Whoever starts a timer wakes another
//! only if the timer is earlier than what that one sleeps for; most timers are timeouts of the same length, and never are.
//!
//! # Time under a paused clock
//!
//! As in libprocess, every process has a time of its own then, so that what happens before is never later: an event moves its receiver to the
//! sender's time, a timer moves the process that started it to the timer's deadline, a process begins with its creator's time. `advance` moves the clock, not the
//! processes: they learn of it by events. The process floor calls [`Clock::order`](crate::Clock::order) for each event while any clock is paused, which one relaxed load
//! tells it.
//!
//! After `resume` time is the machine's plus all that it was ever advanced: it never goes back.
//!
//! # What can go wrong
//!
//! * *A wake-up of the thread, or of the worker that keeps the time, is lost.* What it sleeps for is written under the lock under which timers are inserted, before it sleeps; an unpark
//!   before the park makes the park return at once.
//! * *A timer fires and is cancelled at a time.* Whoever takes it out of the wheel, under the lock, decides.
//! * *A timer's closure panics.* It is caught and logged; the clock goes on.
//! * *`settle` sees the instant between a timer's being due and its process's being runnable.* See [`settle`](Clock::settle).

mod after;
mod carried;
mod keeper;
mod owner;
mod settle;
mod thread;
mod time;
mod wheel;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime};

use libprocess_semaphore::{FutexParker, Parker as _};

use crate::facade::lock_std;
use crate::future::{Future, Promise};

pub(crate) use carried::{any_measured, any_paused, anything_is_carried, count_measured};
pub(crate) use keeper::Workers;
use keeper::{COVER, Keeper};
pub(crate) use owner::{
    current_or_ending_owner, current_owner, ending_owner, set_current_owner, set_ending_owner,
};
pub(crate) use settle::Activity;
pub use settle::SettleError;
pub use time::{ParseTimeError, Time, Timeout};
use wheel::{Key, Wheel};

/// The clock of a runtime: a handle, cheap to clone.
///
/// Running, it tells the time of the machine as it was when the runtime started, plus what has passed since by the machine's monotonic clock: it
/// never goes back, whatever is done to the machine's date.
///
/// ```
/// use std::time::Duration;
/// use libprocess::Runtime;
///
/// let runtime = Runtime::builder().workers(1).build()?;
/// let clock = runtime.clock();
/// clock.pause();
/// let before = clock.now();
/// let day = Duration::from_secs(86_400);
/// let slept = clock.sleep(day);
/// clock.advance(day);
/// clock.settle()?;
/// assert!(slept.is_ready());
/// assert_eq!(clock.now(), before + day);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

struct Shared {
    started: (Instant, Time),
    /// The time at zero of the kernel's coarse clock, in ticks.
    rough_base: u64,
    name: String,
    /// What is under the lock says whether the clock is paused; this is for those who only want to know the time.
    paused: AtomicBool,
    /// By how many nanoseconds time was advanced beyond the machine's. Written under the lock.
    advanced_ns: AtomicU64,
    state: Mutex<State>,
    /// No timer is due before, in ticks, for those who only want to know whether to look. Written under the lock. The greatest: there is none, or time stands still.
    earliest: AtomicU64,
    parker: FutexParker,
    activity: OnceLock<Weak<dyn Activity>>,
    on_thread_start: OnceLock<Box<dyn Fn() + Send + Sync>>,
    workers: OnceLock<(Weak<dyn Workers>, bool)>,
}

struct State {
    wheel: Wheel<Pending>,
    paused: Option<Paused>,
    thread: thread::State,
    /// Nothing fires any more: timers are dropped.
    closed: bool,
    /// What the thread sleeps for, in ticks: a timer that is due before must wake it. Zero while it is awake.
    sleeps_until: u64,
    /// The worker that sleeps, and wakes for timers.
    keeper: Option<Keeper>,
    /// A worker fires what is due.
    served: bool,
    /// How many timers have fired, or begun to.
    fired: u64,
}

/// A timer that has not fired.
struct Pending {
    /// The process that started it, as an owner; zero for none.
    creator: u64,
    action: Box<dyn FnOnce() + Send>,
}

/// When a timer is due.
enum When {
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    At(Time),
    After(Duration),
}

struct Paused {
    /// When it was paused: the time of processes that were told of none.
    initial: Time,
    current: Time,
    /// The time of processes, by owner.
    owners: HashMap<u64, Time>,
}

impl Paused {
    fn now_of(&self, owner: u64) -> Time {
        match owner {
            0 => self.current,
            owner => self.owners.get(&owner).copied().unwrap_or(self.initial),
        }
    }

    /// Moves a process's time forward, or (`force`) to any time.
    fn update(&mut self, owner: u64, time: Time, force: bool) {
        if owner != 0 && (force || self.now_of(owner) < time) {
            self.owners.insert(owner, time);
        }
    }
}

/// Times as the wheel counts them: nanoseconds since the earliest `Time`.
fn ticks(time: Time) -> u64 {
    time.as_nanos().cast_unsigned() ^ (1 << 63)
}

fn from_ticks(ticks: u64) -> Time {
    Time::from_nanos((ticks ^ (1 << 63)).cast_signed())
}

/// A closure that will be called, unless it is cancelled. Dropping this does not cancel it.
///
/// ```
/// use std::time::Duration;
/// use libprocess::clock;
///
/// let timer = clock().timer(Duration::from_secs(3_600), || unreachable!());
/// assert!(timer.cancel());
/// assert!(!timer.cancel());
/// ```
#[derive(Clone)]
pub struct Timer {
    key: Key,
    timeout: Timeout,
    creator: u64,
    clock: Clock,
}

impl Timer {
    /// When it is due.
    pub fn timeout(&self) -> Timeout {
        self.timeout
    }

    /// The process that started it, as an owner.
    pub(crate) fn creator_owner(&self) -> u64 {
        self.creator
    }

    /// Frees the closure unless it was called, or is being called. True if it was freed unused. O(1).
    pub fn cancel(&self) -> bool {
        self.clock.cancel(self)
    }
}

/// By identity.
impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && Arc::ptr_eq(&self.clock.shared, &other.clock.shared)
    }
}

impl Eq for Timer {}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Clock {
    /// A clock whose thread will have this name.
    pub(crate) fn new(name: String) -> Self {
        let now = Time::from(SystemTime::now());
        let (started, rough) = keeper::both_clocks();
        Self {
            shared: Arc::new(Shared {
                started: (started, now),
                rough_base: ticks(now).wrapping_sub(rough),
                name,
                paused: AtomicBool::new(false),
                advanced_ns: AtomicU64::new(0),
                state: Mutex::new(State {
                    wheel: Wheel::new(ticks(now)),
                    paused: None,
                    thread: thread::State::NotStarted,
                    closed: false,
                    sleeps_until: 0,
                    keeper: None,
                    served: false,
                    fired: 0,
                }),
                earliest: AtomicU64::new(u64::MAX),
                parker: FutexParker::new(),
                activity: OnceLock::new(),
                on_thread_start: OnceLock::new(),
                workers: OnceLock::new(),
            }),
        }
    }

    /// A clock for timers that nobody waits for: it is stopped, and drops them.
    pub(crate) fn of_nobody() -> Self {
        let clock = Self::new(String::new());
        clock.stop();
        clock
    }

    /// What the clock asks, and what its thread calls when it starts. Set once, before the first timer.
    pub(crate) fn connect(
        &self,
        activity: Weak<dyn Activity>,
        on_thread_start: Box<dyn Fn() + Send + Sync>,
    ) {
        let first = self.shared.activity.set(activity).is_ok()
            && self.shared.on_thread_start.set(on_thread_start).is_ok();
        debug_assert!(first, "a clock has one runtime");
    }

    /// The process that runs in this thread, if it is one of this clock's runtime.
    fn own_process(&self) -> u64 {
        if owner::is_current_clock(self.address()) {
            current_owner()
        } else {
            0
        }
    }

    fn address(&self) -> *const () {
        Arc::as_ptr(&self.shared).cast()
    }

    /// Makes this the clock of the thread, which is one of its runtime's.
    pub(crate) fn make_current(&self) {
        owner::set_current_clock(self.address());
    }

    /// Whether a process lives, as far as can be known.
    fn is_alive(&self, owner: u64) -> bool {
        owner != 0
            && self
                .shared
                .activity
                .get()
                .and_then(Weak::upgrade)
                .is_some_and(|activity| activity.is_alive(owner))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Foreign code never runs under this lock.
        lock_std(&self.shared.state)
    }

    /// The time: in a process whose clock is paused, that process's own.
    ///
    /// Some tens of nanoseconds; while paused, a lock.
    pub fn now(&self) -> Time {
        self.now_of_owner(self.own_process())
    }

    pub(crate) fn now_of_owner(&self, owner: u64) -> Time {
        // Relaxed: decided under the lock if it says paused; who paused it himself, or was told, sees it.
        if self.shared.paused.load(Ordering::Relaxed) {
            return self.now_under_lock(&self.state(), owner);
        }
        self.running_time()
    }

    fn running_time(&self) -> Time {
        let (instant, time) = self.shared.started;
        time + instant.elapsed() + self.advanced()
    }

    fn advanced(&self) -> Duration {
        // Relaxed: changed by `resume`, with which who relies on it is synchronized.
        Duration::from_nanos(self.shared.advanced_ns.load(Ordering::Relaxed))
    }

    fn now_under_lock(&self, state: &State, owner: u64) -> Time {
        match &state.paused {
            Some(paused) => paused.now_of(owner),
            None => self.running_time(),
        }
    }

    /// Whether the clock is paused.
    pub fn is_paused(&self) -> bool {
        self.state().paused.is_some()
    }

    /// Calls `f` when `duration` has passed: not before. It runs in a worker that has nothing to do or is between two processes, or on the clock's own thread: in no process.
    ///
    /// `f` should be short, and must not block: other timers may wait for it. In a process, [`delay`](crate::delay) is what is wanted: it
    /// dispatches. After the runtime's end `f` is dropped unused.
    ///
    /// Cost: one allocation for the closure, if it captures anything, and O(1). A million pending timers take 50 to 100 MB.
    pub fn timer(&self, duration: Duration, f: impl FnOnce() + Send + 'static) -> Timer {
        self.insert(When::After(duration), Box::new(f)).0
    }

    /// As [`timer`](Self::timer), at a time. `None`: nothing fires any more.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(crate) fn timer_at(
        &self,
        deadline: Time,
        f: impl FnOnce() + Send + 'static,
    ) -> Option<Timer> {
        let (timer, stopped) = self.insert(When::At(deadline), Box::new(f));
        (!stopped).then_some(timer)
    }

    /// A new timer, and whether it was dropped at once, as nothing fires any more.
    fn insert(&self, when: When, action: Box<dyn FnOnce() + Send>) -> (Timer, bool) {
        let creator = self.own_process();
        let mut state = self.state();
        let deadline = match when {
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            When::At(deadline) => deadline,
            When::After(duration) => self.now_under_lock(&state, creator) + duration,
        };
        let due = ticks(deadline);
        let key = state.wheel.insert(due, Pending { creator, action });
        // Relaxed: written under the lock. Whoever wakes for the earliest looks for the next one.
        let is_earlier = due < self.shared.earliest.load(Ordering::Relaxed);
        let late = if is_earlier {
            self.note_earlier(&mut state, creator, due)
        } else {
            None
        };
        let stopped = self.ensure_thread(&mut state);
        let unused = stopped.then(|| state.wheel.cancel(key));
        drop(state);
        // Outside of the lock: the closure's drop is foreign code.
        drop(unused);
        if let Some(late) = late {
            self.wake_earlier(&late);
        }
        let timer = Timer {
            key,
            timeout: Timeout::at(deadline),
            creator,
            clock: self.clone(),
        };
        (timer, stopped)
    }

    /// See [`Timer::cancel`].
    pub fn cancel(&self, timer: &Timer) -> bool {
        if !Arc::ptr_eq(&self.shared, &timer.clock.shared) {
            return timer.cancel();
        }
        let cancelled = self.state().wheel.cancel(timer.key);
        // The closure is dropped here, outside of the lock.
        cancelled.is_some()
    }

    /// A future that is ready when `duration` has passed. Discarding it, or dropping it, cancels its timer; a future that
    /// [`then`](Future::then) made of it only does so when it is discarded.
    ///
    /// Its callbacks run where timers do, and must not block, as with [`timer`](Self::timer).
    pub fn sleep(&self, duration: Duration) -> Future<()> {
        let promise = Arc::new(Promise::new());
        let future = promise.future();
        let to_discard = Arc::downgrade(&promise);
        let timer = self.timer(duration, move || {
            promise.set(());
        });
        future.on_cancelled(move || {
            // Kept while the timer's closure is dropped: that must not be what drops the promise.
            let promise = to_discard.upgrade();
            if timer.cancel()
                && let Some(promise) = promise
            {
                promise.discard();
            }
        });
        future
    }

    /// The deadline that is `duration` from now.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::clock;
    ///
    /// let timeout = clock().timeout(Duration::from_secs(60));
    /// assert!(!timeout.expired(clock().now()));
    /// ```
    pub fn timeout(&self, duration: Duration) -> Timeout {
        Timeout::at(self.now() + duration)
    }

    /// Stops time, until [`resume`](Self::resume). Does nothing if it is paused.
    pub fn pause(&self) {
        let mut state = self.state();
        if state.paused.is_some() {
            return;
        }
        let now = self.now_under_lock(&state, 0);
        state.paused = Some(Paused {
            initial: now,
            current: now,
            owners: HashMap::new(),
        });
        self.shared.paused.store(true, Ordering::Relaxed);
        carried::count_paused(true);
        state.keeper = None;
        self.note_earliest(&state);
        drop(state);
        // What it sleeps for is no time of the machine any more.
        self.shared.parker.unpark();
    }

    /// Lets time go on: it jumps forward by what passed on the machine while it stood still, and what it was advanced stays. Does nothing if it is not paused.
    pub fn resume(&self) {
        let mut state = self.state();
        let Some(paused) = state.paused.take() else {
            return;
        };
        let advanced = paused.current - paused.initial;
        let advanced_ns = u64::try_from(advanced.as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: both are read together only where the order does not matter, or under the lock.
        self.shared
            .advanced_ns
            .fetch_add(advanced_ns, Ordering::Relaxed);
        self.shared.paused.store(false, Ordering::Relaxed);
        carried::count_paused(false);
        self.note_earliest(&state);
        drop(state);
        self.shared.parker.unpark();
    }

    /// Moves a paused clock forward. Timers that become due fire, on the clock's own thread: [`settle`](Self::settle) waits for them. Does
    /// nothing if the clock is not paused.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        let Some(paused) = &mut state.paused else {
            return;
        };
        paused.current += duration;
        drop(state);
        self.shared.parker.unpark();
    }

    /// Moves a paused clock forward to `time`, if that is later. Does nothing if the clock is not paused.
    pub fn update(&self, time: Time) {
        let mut state = self.state();
        if let Some(paused) = &mut state.paused
            && paused.current < time
        {
            paused.current = time;
            drop(state);
            self.shared.parker.unpark();
        }
    }

    pub(crate) fn advance_owner(&self, owner: u64, duration: Duration) {
        if let Some(paused) = &mut self.state().paused {
            let time = paused.now_of(owner) + duration;
            paused.update(owner, time, true);
        }
    }

    pub(crate) fn update_owner(&self, owner: u64, time: Time, force: bool) {
        if let Some(paused) = &mut self.state().paused {
            paused.update(owner, time, force);
        }
    }

    /// What `from` did is before what `to` does now.
    pub(crate) fn order_owners(&self, from: u64, to: u64) {
        if let Some(paused) = &mut self.state().paused {
            let time = paused.now_of(from);
            paused.update(to, time, false);
        }
    }

    /// A process has ended: its time is not needed any more.
    pub(crate) fn forget_owner(&self, owner: u64) {
        if let Some(paused) = &mut self.state().paused {
            paused.owners.remove(&owner);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if *self.paused.get_mut() {
            carried::count_paused(false);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("now", &self.now())
            .field("paused", &self.is_paused())
            .field("timers", &self.state().wheel.len())
            .finish_non_exhaustive()
    }
}
