//! Workers that keep the time: the one sleep of a worker is for timers, too.
//!
//! # Who fires, when
//!
//! | | who fires what is due |
//! |---|---|
//! | a worker sleeps | the first that fell asleep with a timer due within `NEAR` *keeps the time*: its sleep ends with the earliest, and it fires what is due before it takes work |
//! | all sleep, and none was due soon when they fell asleep | the clock's thread |
//! | all are at work | the first that looks at its I/O, once in some turns; or the clock's thread |
//! | all sit in long handlers | the clock's thread |
//! | time stands still | the clock's thread, when it is advanced |
//!
//! So a timer that is due in an idle runtime wakes one thread, that which goes on with what it began, and not the clock's thread for that to wake a worker.
//!
//! # The thread
//!
//! A keeper may be woken for work and be at it for long. To tell the clock's thread each time would cost two wake-ups for each message to an idle runtime. So the thread
//! sleeps until [`COVER`] behind the earliest deadline while somebody keeps the time, and is told only if it sleeps for longer than that when the keeper leaves.
//! A timer whose keeper went into a long handler is late by that much, once: where nobody keeps the time the thread is exact.
//! For the same reason who starts a timer in a handler wakes the thread only if it sleeps for longer: the handler's worker will look at its timers soon.
//!
//! # What can go wrong
//!
//! * *An earlier timer is started while one keeps the time.* Its end is known under the lock, and who starts the timer interrupts that sleep. An interruption before the
//!   sleep keeps it from beginning.
//! * *The earliest is not what it was.* Who starts a timer looks only whether it is before the `earliest`, which a cancelled timer leaves too low. So whoever settles until when
//!   it sleeps, or leaves a sleep, writes that anew: somebody wakes at the `earliest`, or [`COVER`] behind it, and looks for the next.
//! * *Two fire at a time, and out of order.* While a worker fires, the others leave it to that one, the thread for [`COVER_OF_SERVED`]: what a timer calls might block, and then all
//!   others are late by up to that, and the order of those behind it is not certain. While the thread fires no worker begins to, or keeps the time: the thread looks again before it sleeps.
//!   If time is stopped while a worker fires, the thread waits for it.
//! * *The runtime ends while a worker fires.* `stop` waits for that: what was fired may need the other workers to come to its end.
//! * *Nobody fires.* The thread never sleeps for longer than [`COVER`] behind the earliest deadline, but while one keeps the time, who tells it when leaving.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use libprocess_semaphore::Parker as _;

use super::{Clock, State};

/// The kernel's coarse clock, without a look at any hardware.
pub(super) fn rough_nanoseconds() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // By the C library, which finds what the kernel maps for it also where there is none, as under valgrind.
    // SAFETY: it is there to be written. It cannot fail: the clock has been there since Linux 2.6.32.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    // It counts from the machine's start: it is never negative, and does not overflow for centuries.
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The same moment by the exact clock and by the coarse one.
pub(super) fn both_clocks() -> (Instant, u64) {
    let read = || (Instant::now(), rough_nanoseconds());
    let mut both = read();
    // The thread may have had to wait in between. If it has to each time, workers keep the time for less than they could.
    for _ in 0..10 {
        if both.0.elapsed() < Duration::from_millis(1) {
            break;
        }
        both = read();
    }
    both
}

/// How late the clock's thread is where a worker should have fired.
pub(super) const COVER: u64 = 2_000_000;

/// The same where a worker fires, and has not done with it: longer than the machine keeps a thread from running. What it fires may block, against the rule.
pub(super) const COVER_OF_SERVED: u64 = 50_000_000;

/// A worker that sleeps, and wakes for timers.
pub(super) struct Keeper {
    /// Whose sleep it is.
    seat: usize,
    /// Until when it sleeps, in ticks.
    until: u64,
}

impl Keeper {
    /// Whether it must be woken for this timer; if so, its seat. Once for each earlier one.
    pub(super) fn is_late_for(&mut self, due: u64) -> Option<usize> {
        let late = due < self.until;
        self.until = self.until.min(due);
        late.then_some(self.seat)
    }
}

/// Those who sleep for timers, too.
pub(crate) trait Workers: Send + Sync {
    /// Ends the sleep of the worker with this seat, or its next one, as if there were something to do.
    fn interrupt(&self, seat: usize);
}

/// Who sleeps for longer than until a new timer.
pub(super) enum Late {
    Thread,
    /// The worker with this seat.
    Keeper(usize),
}

impl Clock {
    /// To be called when timers have gone, or time goes on or stops.
    pub(super) fn note_earliest(&self, state: &State) {
        let next = state
            .wheel
            .next_deadline()
            .filter(|_| state.paused.is_none());
        // Relaxed: see `earliest`.
        self.shared
            .earliest
            .store(next.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    #[cold]
    pub(super) fn wake_earlier(&self, late: &Late) {
        match *late {
            Late::Thread => self.shared.parker.unpark(),
            Late::Keeper(seat) => {
                let workers = self.shared.workers.get();
                if let Some(workers) = workers.and_then(|(workers, _)| workers.upgrade()) {
                    workers.interrupt(seat);
                }
            }
        }
    }

    /// There is a timer, in the wheel, that is due before all others, or time stands still. Gives who must be woken for it.
    #[cold]
    pub(super) fn note_earlier(&self, state: &mut State, creator: u64, due: u64) -> Option<Late> {
        if state.paused.is_none() {
            // Relaxed: see `earliest`.
            self.shared.earliest.store(due, Ordering::Relaxed);
        }
        if let Some(keeper) = &mut state.keeper {
            return keeper.is_late_for(due).map(Late::Keeper);
        }
        let late = due < state.sleeps_until && !self.is_seen_soon(state, creator, due);
        late.then_some(Late::Thread)
    }

    /// Whether the thread may leave a new timer to the worker that serves the process which started it, and comes to its timers soon.
    fn is_seen_soon(&self, state: &State, creator: u64, due: u64) -> bool {
        let all_keep = || matches!(self.shared.workers.get(), Some((_, true)));
        let is_covered = due.saturating_add(COVER) >= state.sleeps_until;
        is_covered && creator != 0 && state.paused.is_none() && all_keep()
    }
}

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod over_ports {
    use std::sync::atomic::Ordering;
    use std::sync::{MutexGuard, Weak};
    use std::time::Instant;

    use libprocess_semaphore::Parker as _;

    use super::super::thread::{self, contained};
    use super::super::{Clock, State, from_ticks, ticks};
    use super::{Keeper, Workers, rough_nanoseconds};

    /// What a worker keeps the time for. For later ones it would, at each sleep, have to learn how long that is, and to register: a tenth of a microsecond for nothing,
    /// as it hardly ever sleeps for so long where there is much to do; and where there is not, it does not matter who wakes first.
    const NEAR: u64 = if cfg!(test) {
        // The tests' timers are not to come while they look.
        u64::MAX
    } else {
        100_000_000
    };

    /// By how much the kernel's coarse clock may be off: it moves with the timer interrupt, at 100 Hz or more.
    const ROUGHLY: u64 = 10_000_000;

    impl Clock {
        /// Who sleeps for timers, too; `all`: not only some of those that sleep. To be called once, before the first timer.
        pub(crate) fn set_workers(&self, workers: Weak<dyn Workers>, all: bool) {
            let first = self.shared.workers.set((workers, all)).is_ok();
            debug_assert!(first, "a clock has one runtime");
        }

        /// The worker of this seat is about to sleep: until when at most. From here to [`leave`](Self::leave) it keeps the time. `None`: it need not.
        pub(crate) fn keep(&self, seat: usize) -> Option<Instant> {
            if !self.has_near(NEAR) {
                return None;
            }
            let mut state = self.state();
            if state.keeper.is_some() || !state.may_be_served() {
                return None;
            }
            // What was the earliest may have been cancelled.
            self.note_earliest(&state);
            let until = state.wheel.next_deadline()?;
            let (instant, time) = self.shared.started;
            let left = from_ticks(until) - (time + self.advanced());
            let instant = instant.checked_add(left)?;
            state.keeper = Some(Keeper { seat, until });
            Some(instant)
        }

        /// The worker that has kept the time does not sleep any more.
        pub(crate) fn leave(&self, seat: usize) {
            let mut state = self.state();
            // A pause relieves it, and then another may have come.
            if state
                .keeper
                .as_ref()
                .is_some_and(|keeper| keeper.seat == seat)
            {
                state.keeper = None;
                self.let_go(state);
            }
        }

        /// A worker wakes for the next timer no more: if the thread sleeps for longer, or has waited for that worker as the clock is paused, it is told.
        fn let_go(&self, state: MutexGuard<'_, State>) {
            self.note_earliest(&state);
            let late = state.is_thread_late() || state.paused.is_some();
            drop(state);
            if late {
                self.shared.parker.unpark();
            }
        }

        /// Whether something may be due. It reads the time, if there are timers at all.
        #[inline]
        pub(crate) fn has_due(&self) -> bool {
            // Relaxed: who misses a timer here finds it at the next look.
            let earliest = || self.shared.earliest.load(Ordering::Relaxed);
            self.has_near(ROUGHLY) && ticks(self.running_time()) >= earliest()
        }

        /// Whether the earliest is due within about `near`. A few nanoseconds.
        #[inline]
        pub(super) fn has_near(&self, near: u64) -> bool {
            // Relaxed: who starts an earlier timer behind this look tells the thread.
            let earliest = self.shared.earliest.load(Ordering::Relaxed);
            earliest < u64::MAX && earliest.saturating_sub(self.rough_ticks()) <= near
        }

        /// The time, but for [`ROUGHLY`].
        fn rough_ticks(&self) -> u64 {
            let began = self.shared.rough_base.wrapping_add(
                // Relaxed: as in `advanced`.
                self.shared.advanced_ns.load(Ordering::Relaxed),
            );
            began.wrapping_add(rough_nanoseconds())
        }

        /// Fires, in a worker between two processes' turns, what is due: at most so many. `before_next` is called before each but the first.
        pub(crate) fn fire_due(&self, most: usize, before_next: impl Fn()) {
            let mut state = self.state();
            if !state.may_be_served() {
                return;
            }
            state.served = true;
            let now = ticks(self.running_time());
            for number in 0..most {
                // What was fired may have paused the clock, or taken so long that the thread came.
                if state.paused.is_some() || state.sleeps_until == 0 {
                    break;
                }
                let Some((_, pending)) = state.wheel.pop_due(now) else {
                    break;
                };
                state.fired += 1;
                drop(state);
                if number > 0 {
                    before_next();
                }
                contained(pending.action);
                state = self.state();
            }
            state.served = false;
            self.let_go(state);
        }
    }

    impl State {
        /// Whether workers may fire now.
        fn may_be_served(&self) -> bool {
            let thread_sleeps =
                matches!(self.thread, thread::State::Running(_)) && self.sleeps_until > 0;
            thread_sleeps && !self.served && self.paused.is_none()
        }

        /// Whether the thread sleeps for too long, for a timer that nobody else wakes for.
        fn is_thread_late(&self) -> bool {
            self.wheel
                .next_deadline()
                .is_some_and(|deadline| deadline.saturating_add(super::COVER) < self.sleeps_until)
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::sync::{Arc, Mutex, Weak};
    use std::time::{Duration, Instant};

    use super::super::{Clock, Workers};
    use crate::facade::lock_std;

    const HOUR: Duration = Duration::from_secs(3_600);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Notes who was interrupted.
    #[derive(Default)]
    struct Interrupted(Mutex<Vec<usize>>);

    impl Workers for Interrupted {
        fn interrupt(&self, seat: usize) {
            lock_std(&self.0).push(seat);
        }
    }

    impl Interrupted {
        fn take(&self) -> Vec<usize> {
            std::mem::take(&mut lock_std(&self.0))
        }
    }

    struct World {
        clock: Clock,
        workers: Arc<Interrupted>,
    }

    impl World {
        /// With a timer in an hour, for which the clock's thread sleeps.
        fn new() -> Self {
            let clock = Clock::new("keeper-test".to_owned());
            let workers = Arc::new(Interrupted::default());
            let weak = Arc::downgrade(&workers);
            clock.set_workers(weak as Weak<dyn Workers>, true);
            let _pending = clock.timer(HOUR, || {});
            let world = Self { clock, workers };
            world.wait_until_thread_sleeps();
            world
        }

        fn wait_until_thread_sleeps(&self) {
            while !self.clock.is_calm().0 {
                std::thread::yield_now();
            }
        }

        /// For how long the keeper sleeps.
        #[track_caller]
        fn keep(&self, seat: usize) -> Duration {
            let until = self.clock.keep(seat).expect("it keeps the time");
            until.saturating_duration_since(Instant::now())
        }

        /// The keeper's sleep ends then, about.
        #[track_caller]
        fn assert_keeps(&self, seat: usize, expected: Duration) {
            let left = self.keep(seat);
            assert!(left <= expected && left + MINUTE > expected, "{left:?}");
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            self.clock.stop();
        }
    }

    #[test]
    fn one_worker_keeps_the_time_and_is_woken_for_what_is_due_earlier() {
        let world = World::new();
        world.assert_keeps(3, HOUR);
        assert!(world.clock.keep(4).is_none(), "one is enough");

        let _later = world.clock.timer(2 * HOUR, || {});
        assert_eq!(world.workers.take(), [0; 0]);
        let _earlier = world.clock.timer(HOUR / 2, || {});
        assert_eq!(world.workers.take(), [3]);
        let _between = world.clock.timer(3 * HOUR / 4, || {});
        assert_eq!(world.workers.take(), [0; 0], "it was woken for less");

        // A timer that is cancelled hides none that is started behind it.
        let cancelled = world.clock.timer(MINUTE, || {});
        assert_eq!(world.workers.take(), [3]);
        world.clock.leave(3);
        assert!(cancelled.cancel());
        let left = world.keep(3);
        // Where both were in one slot of the wheel, at some times of the day, the slot's earliest is still that of the cancelled one.
        let stale = left <= MINUTE;
        assert!(stale || (left <= HOUR / 2 && left + MINUTE > HOUR / 2));
        let _before = world.clock.timer(HOUR / 3, || {});
        let woken = if stale { vec![] } else { vec![3] };
        assert_eq!(world.workers.take(), woken);

        world.clock.leave(4);
        assert!(
            world.clock.keep(4).is_none(),
            "another one cannot relieve it"
        );
        world.clock.leave(3);
        world.assert_keeps(4, if stale { MINUTE } else { HOUR / 3 });
    }

    #[test]
    fn what_is_due_much_later_is_not_near() {
        let world = World::new();
        let minute = MINUTE.as_nanos() as u64;
        assert!(!world.clock.has_near(minute));
        assert!(world.clock.has_near(61 * minute));
        assert!(!world.clock.has_due());
        let _timer = world.clock.timer(MINUTE / 2, || {});
        assert!(world.clock.has_near(minute));
        assert!(!world.clock.has_due());
        world.clock.pause();
        assert!(!world.clock.has_near(u64::MAX), "nothing comes by itself");
        world.clock.advance(MINUTE);
        world.clock.settle().expect("it is paused");
        world.clock.resume();
        assert!(!world.clock.has_near(57 * minute));
        assert!(world.clock.has_near(60 * minute));
    }

    #[test]
    fn a_worker_fires_in_order_and_no_more_than_it_shall() {
        let world = World::new();
        let fired = Arc::new(Mutex::new(Vec::new()));
        // As if a keeper were about to fire them, so that the thread leaves them to it.
        world.assert_keeps(0, HOUR);
        for number in 0..3 {
            let fired = Arc::clone(&fired);
            let here = std::thread::current().id();
            let note = move || {
                // The thread comes for them, too, if this test sleeps for long.
                let by_thread = std::thread::current().id() != here;
                lock_std(&fired).push((number, by_thread));
            };
            let _timer = world.clock.timer(Duration::ZERO, note);
        }
        world.clock.fire_due(2, || {});
        // At one moment: which, and whether the thread fired any of them.
        let look = || -> (Vec<_>, bool) {
            let fired = lock_std(&fired);
            let numbers = fired.iter().map(|(number, _)| *number).collect();
            (numbers, fired.iter().any(|(_, by_thread)| *by_thread))
        };
        let (numbers, by_thread) = look();
        assert!(by_thread || numbers == [0, 1]);
        while look().0.len() < 3 {
            world.clock.fire_due(2, || {});
        }
        let (mut numbers, by_thread) = look();
        if by_thread {
            // Where a closure takes long the thread does not wait for it.
            numbers.sort_unstable();
        }
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn a_pause_relieves_the_keeper() {
        let world = World::new();
        world.assert_keeps(0, HOUR);
        world.clock.pause();
        assert!(world.clock.keep(1).is_none(), "time stands still");
        let fired = Arc::new(Mutex::new(None));
        let by = Arc::clone(&fired);
        let _timer = world.clock.timer(MINUTE, move || {
            *lock_std(&by) = std::thread::current().name().map(str::to_owned);
        });
        assert_eq!(world.workers.take(), [0; 0]);
        world.clock.advance(MINUTE);
        world.clock.fire_due(1, || {});
        world.clock.settle().expect("it is paused");
        assert_eq!(lock_std(&fired).as_deref(), Some("keeper-test"));

        world.clock.resume();
        world.wait_until_thread_sleeps();
        world.assert_keeps(1, HOUR - MINUTE);
        // The one that was relieved leaves its sleep only now.
        world.clock.leave(0);
        assert!(world.clock.keep(0).is_none());
    }

    #[test]
    fn the_thread_fires_what_its_keeper_does_not() {
        let world = World::new();
        // It never comes back from its sleep, and is never woken.
        world.assert_keeps(0, HOUR);
        let slept = world.clock.sleep(Duration::from_millis(1));
        assert_eq!(world.workers.take(), [0]);
        // The thread sleeps for an hour, until the keeper leaves.
        world.clock.leave(0);
        slept.get().expect("the thread fired it");
    }
}
