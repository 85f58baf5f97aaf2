//! The type itself: what its users call. The protocol is described one module up.

use super::slot::Slot;
use super::state::{Announcement, AtomicState, Keeping, Taking};
use super::waiters::{Waiter, Waiters};
use super::waiting::Waiting;
use crate::parker::{self, Parked, Parker};
use crate::semaphore::{Semaphore, TooManyWaiters, Wakeup};
use crate::sync::{Mutex, MutexGuard, lock, now, processor};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Keeps what different threads write on different cache lines: 64 bytes on the machines this runs
/// on.
#[repr(align(64))]
struct CacheLine<T>(T);

/// Wakes the newest waiter first; each waiter has a slot, and there is a fixed number of them.
///
/// The thread that waited last has the warmest stack and caches, and the others sleep on
/// undisturbed. ([`signal_elsewhere`](Semaphore::signal_elsewhere) passes over those of the newest
/// eight that fell asleep where the caller runs.) Each waiter sleeps in a [`Parker`] of its own, so a signal wakes exactly the thread
/// it is meant for. Before that it looks at its slot for about a microsecond, which saves both
/// sides a system call when the next signal is near.
///
/// With nobody waiting, `signal` and `wait` are one compare-and-swap. Otherwise each takes a short
/// mutex, and `signal` makes a system call if the thread it wakes really sleeps. Nothing is
/// allocated after construction, apart from the [`FutexParker`](crate::FutexParker) of each thread
/// that calls [`wait`](Semaphore::wait).
///
/// # Panics
///
/// [`signal`](Semaphore::signal) panics when 2³² − 1 signals are kept.
///
/// # Examples
///
/// ```
/// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore, Wakeup};
///
/// let semaphore = LifoFixedSizeSemaphore::with_capacity(2);
/// std::thread::scope(|scope| {
///     let waiter = scope.spawn(|| semaphore.wait());
///     semaphore.signal();
///     assert_eq!(waiter.join().unwrap(), Ok(Wakeup::Signalled));
/// });
/// ```
pub struct LifoFixedSizeSemaphore {
    state: CacheLine<AtomicState>,
    waiters: CacheLine<Mutex<Waiters>>,
    /// Each on a line of its own: its waiter spins on it.
    slots: Box<[CacheLine<Slot>]>,
    /// How many times a waiter looks at its slot before it parks.
    spin: u32,
}

impl LifoFixedSizeSemaphore {
    /// How many threads may wait at one time, if nothing else is asked for.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(libprocess_semaphore::LifoFixedSizeSemaphore::DEFAULT_CAPACITY, 128);
    /// ```
    pub const DEFAULT_CAPACITY: usize = 128;

    /// The largest capacity that can be asked for; it takes 7 MB.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(libprocess_semaphore::LifoFixedSizeSemaphore::MAXIMUM_CAPACITY, 65_536);
    /// ```
    pub const MAXIMUM_CAPACITY: usize = 1 << 16;

    /// How many times a waiter looks at its slot before it parks, where there is more than one
    /// core.
    ///
    /// 50 `pause` instructions take 0.2 to 2.3 µs on the x86 processors of the last ten years (10
    /// to 140 cycles each): less than a sleep and a wake-up cost.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(libprocess_semaphore::LifoFixedSizeSemaphore::DEFAULT_SPIN, 50);
    /// ```
    pub const DEFAULT_SPIN: u32 = 50;

    /// The longest spin that can be asked for: a fraction of a millisecond.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(libprocess_semaphore::LifoFixedSizeSemaphore::MAXIMUM_SPIN, 10_000);
    /// ```
    pub const MAXIMUM_SPIN: u32 = 10_000;

    /// Makes a semaphore with [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) slots and no signals
    /// kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore};
    ///
    /// assert_eq!(LifoFixedSizeSemaphore::new().capacity(), Some(128));
    /// ```
    pub fn new() -> Self {
        LifoFixedSizeSemaphore::with_capacity(LifoFixedSizeSemaphore::DEFAULT_CAPACITY)
    }

    /// Sets how many times a waiter looks at its slot before it parks; zero parks at once.
    ///
    /// The default is [`DEFAULT_SPIN`](Self::DEFAULT_SPIN), or zero where only one core is
    /// available: there the signaller cannot run while the waiter spins.
    ///
    /// # Panics
    ///
    /// If `limit` is above [`MAXIMUM_SPIN`](Self::MAXIMUM_SPIN).
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore, Wakeup};
    ///
    /// let semaphore = LifoFixedSizeSemaphore::new().with_spin(0);
    /// semaphore.signal();
    /// assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
    /// ```
    pub fn with_spin(mut self, limit: u32) -> Self {
        assert!(
            limit <= LifoFixedSizeSemaphore::MAXIMUM_SPIN,
            "LifoFixedSizeSemaphore: a spin of {limit} is too long; at most {} may be asked for",
            LifoFixedSizeSemaphore::MAXIMUM_SPIN
        );
        self.spin = limit;
        self
    }

    /// How many threads wait just now, that is, have neither been picked nor left.
    ///
    /// Takes the mutex. What it says may be outdated when it returns; a thread that is counted is
    /// sure to be found by the next signal, which tests and statistics rely on.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore};
    ///
    /// let semaphore = LifoFixedSizeSemaphore::new();
    /// assert_eq!(semaphore.waiters(), 0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| semaphore.wait());
    ///     while semaphore.waiters() < 1 {
    ///         std::thread::yield_now();
    ///     }
    ///     semaphore.signal();
    ///     assert_eq!(semaphore.waiters(), 0);
    /// });
    /// ```
    pub fn waiters(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn state(&self) -> &AtomicState {
        &self.state.0
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Waiters> {
        lock(&self.waiters.0)
    }

    pub(super) fn slot(&self, index: u32) -> &Slot {
        &self.slots[index as usize].0
    }

    #[inline(never)]
    fn wait_in_line<P: Parker + 'static>(
        &self,
        parker: &Arc<P>,
        deadline: Option<Instant>,
    ) -> Result<Wakeup, TooManyWaiters> {
        if deadline.is_some_and(|deadline| deadline <= now()) {
            return Ok(Wakeup::Deadline);
        }
        let turn = match self.join_line(parker)? {
            Joining::Joined(turn) => turn,
            Joining::NoNeed(wakeup) => return Ok(wakeup),
        };
        let spin = if parker.expects_unpark() {
            self.spin
        } else {
            0
        };
        if let Some(wakeup) = turn.outcome_within(spin) {
            return Ok(wakeup);
        }
        loop {
            let reason = match parker.park(deadline) {
                Parked::Woken => match turn.outcome() {
                    Some(wakeup) => return Ok(wakeup),
                    None => continue,
                },
                Parked::Deadline => Wakeup::Deadline,
                Parked::Interrupted => Wakeup::Interrupted,
            };
            return Ok(turn.leave().unwrap_or(reason));
        }
    }

    fn join_line<P: Parker + 'static>(
        &self,
        parker: &Arc<P>,
    ) -> Result<Joining<'_>, TooManyWaiters> {
        // Cloned before the lock, so that no drop of it can run under the lock either.
        let parker: Arc<dyn Parker> = Arc::clone(parker) as _;
        let here = processor();
        let mut waiters = self.lock();
        match self.state().announce(&mut waiters) {
            Announcement::Made => {}
            Announcement::SignalTaken => return Ok(Joining::NoNeed(Wakeup::Signalled)),
            Announcement::Decommissioned => return Ok(Joining::NoNeed(Wakeup::Decommissioned)),
        }
        match waiters.push_newest(parker, here) {
            Ok((index, turn)) => {
                self.slot(index).begin(turn);
                Ok(Joining::Joined(Waiting::new(self, index, turn)))
            }
            Err(refused) => {
                drop(waiters);
                drop(refused);
                Err(TooManyWaiters {
                    capacity: self.slots.len(),
                })
            }
        }
    }

    #[inline(never)]
    fn signal_one(&self, pick: impl FnOnce(&mut Waiters) -> Option<Waiter>) {
        let mut waiters = self.lock();
        let Some(Waiter {
            index,
            turn,
            parker,
        }) = pick(&mut waiters)
        else {
            // The waiters that were seen have been picked or have left, and none can come as long
            // as the lock is held.
            match self.state().keep() {
                Keeping::Kept | Keeping::Decommissioned => return,
                Keeping::HasWaiters => unreachable!("an empty list whose WAITERS is set"),
            }
        };
        self.slot(index).end(turn, Wakeup::Signalled);
        self.state().retire(&mut waiters);
        drop(waiters);
        parker.unpark();
    }

    /// Sends one waiter home; `false` if there was none.
    fn dismiss_newest(&self) -> bool {
        let mut waiters = self.lock();
        let Some(Waiter {
            index,
            turn,
            parker,
        }) = waiters.pop_newest()
        else {
            return false;
        };
        self.slot(index).end(turn, Wakeup::Decommissioned);
        self.state().retire(&mut waiters);
        drop(waiters);
        parker.unpark();
        true
    }
}

/// What came of the attempt to wait in line.
#[must_use]
enum Joining<'a> {
    Joined(Waiting<'a>),
    NoNeed(Wakeup),
}

impl Semaphore for LifoFixedSizeSemaphore {
    const NAME: &'static str = "last-in-first-out-fixed-size";
    const SLEEPS_IN_PARKER: bool = true;

    fn with_capacity(capacity: usize) -> Self {
        assert!(
            (1..=LifoFixedSizeSemaphore::MAXIMUM_CAPACITY).contains(&capacity),
            "LifoFixedSizeSemaphore: a capacity of {capacity} is out of range; \
             it must be at least 1 and at most {}",
            LifoFixedSizeSemaphore::MAXIMUM_CAPACITY
        );
        LifoFixedSizeSemaphore {
            state: CacheLine(AtomicState::new()),
            waiters: CacheLine(Mutex::new(Waiters::with_capacity(capacity))),
            slots: (0..capacity).map(|_| CacheLine(Slot::new())).collect(),
            spin: default_spin(),
        }
    }

    fn wait(&self) -> Result<Wakeup, TooManyWaiters> {
        match self.state().take() {
            Taking::Taken => Ok(Wakeup::Signalled),
            Taking::Decommissioned => Ok(Wakeup::Decommissioned),
            Taking::NoneKept => self.wait_in_line(&parker::current(), None),
        }
    }

    fn wait_with<P: Parker + 'static>(
        &self,
        parker: &Arc<P>,
        deadline: Option<Instant>,
    ) -> Result<Wakeup, TooManyWaiters> {
        match self.state().take() {
            Taking::Taken => Ok(Wakeup::Signalled),
            Taking::Decommissioned => Ok(Wakeup::Decommissioned),
            Taking::NoneKept => self.wait_in_line(parker, deadline),
        }
    }

    fn signal(&self) {
        match self.state().keep() {
            Keeping::Kept | Keeping::Decommissioned => {}
            Keeping::HasWaiters => self.signal_one(Waiters::pop_newest),
        }
    }

    fn signal_elsewhere(&self) {
        match self.state().keep() {
            Keeping::Kept | Keeping::Decommissioned => {}
            Keeping::HasWaiters => {
                let here = processor();
                self.signal_one(|waiters| waiters.pop_elsewhere(here));
            }
        }
    }

    fn decommission(&self) {
        self.state().decommission(&mut self.lock());
        // One at a time, as each is unparked without the lock; and without a buffer to allocate.
        while self.dismiss_newest() {}
    }

    fn is_decommissioned(&self) -> bool {
        self.state().is_decommissioned()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.slots.len())
    }
}

/// Asked once: to count the cores takes microseconds, as the limits of the control group are read
/// from files.
fn default_spin() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static SPIN: AtomicU32 = AtomicU32::new(UNKNOWN);
    const UNKNOWN: u32 = u32::MAX;
    // Relaxed: a number that does not change; two threads that ask at a time get the same.
    match SPIN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let spin = match std::thread::available_parallelism() {
                Ok(cores) if cores.get() > 1 => LifoFixedSizeSemaphore::DEFAULT_SPIN,
                _ => 0,
            };
            SPIN.store(spin, Ordering::Relaxed);
            spin
        }
        known => known,
    }
}

impl Default for LifoFixedSizeSemaphore {
    fn default() -> Self {
        LifoFixedSizeSemaphore::new()
    }
}

impl fmt::Debug for LifoFixedSizeSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifoFixedSizeSemaphore")
            .field("state", self.state())
            .field("capacity", &self.slots.len())
            .field("spin", &self.spin)
            .finish()
    }
}
