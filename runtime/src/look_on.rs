//! Looking on for a moment before a sleep: to spin, then to park.
//!
//! # What it is for
//!
//! A sleep and the call that ends it cost microseconds, on a virtual machine whose core goes idle some tens of them. What is awaited often comes
//! sooner. Who looks on for about as long as a sleep costs never pays more than twice what knowing the future would
//! ("Competitive Randomized Algorithms for Nonuniform Problems", Karlin and others, 1990).
//!
//! # Two that wait for each other
//!
//! A thread that dispatches and waits for the answer, and the worker that waits for the next dispatch, take turns. If each looks on for
//! less than the other needs to wake, both sleep each time, and go on doing so: who is woken finds the other asleep. So the thread looks on for as
//! long as a worker needs to wake *and* to answer: then neither sleeps any more. (How long the worker does is told in `scheduler/lull.rs`: it is what helps a thread
//! that parks itself.)
//!
//! # What can go wrong
//!
//! * *What is awaited takes long.* A thread that looked on in vain, several times one after the other, does so less and less often ([`Luck`]):
//!   it loses a microsecond and a half for each sleep in the end.
//! * *There is one core*, on which nobody could bring anything meanwhile; or it is a model, in which no time passes. Then a look is one look, and a sleep has
//!   none before it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::facade::now;

/// How long a thread that is no worker looks on before it sleeps.
const THREAD: Duration = Duration::from_micros(50);
/// After that many looks in vain a thread sleeps as often without one, before the next.
const MOST_SKIPPED: u32 = 32;
/// The clock is read once in so many looks.
const LOOKS_A_GLANCE: u32 = 8;

/// Whether somebody can bring what is awaited while a thread looks on.
pub(crate) fn is_of_use() -> bool {
    const UNKNOWN: u8 = 0;
    const ONE: u8 = 1;
    const SEVERAL: u8 = 2;
    static CORES: AtomicU8 = AtomicU8::new(UNKNOWN);
    if cfg!(any(libprocess_loom, libprocess_shuttle)) {
        return false;
    }
    // Relaxed: several that come first find the same.
    let mut cores = CORES.load(Ordering::Relaxed);
    if cores == UNKNOWN {
        let several = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        cores = if several { SEVERAL } else { ONE };
        CORES.store(cores, Ordering::Relaxed);
    }
    cores == SEVERAL
}

/// Looks for `limit`, or until `gives_up`, which is asked now and then, with the time since it began. True once `is_there`.
#[inline]
pub(crate) fn look_on(
    began: Instant,
    limit: Duration,
    is_there: impl Fn() -> bool,
    gives_up: impl Fn(Duration) -> bool,
) -> bool {
    if !is_of_use() {
        return is_there();
    }
    loop {
        for _ in 0..LOOKS_A_GLANCE {
            if is_there() {
                return true;
            }
            std::hint::spin_loop();
        }
        let elapsed = now().saturating_duration_since(began);
        if elapsed >= limit || gives_up(elapsed) {
            return false;
        }
    }
}

/// Whether looking on has been of use to a thread lately.
pub(crate) struct Luck {
    /// Looks in vain, one after the other.
    in_vain: Cell<u32>,
    /// Sleeps without a look since the last one.
    skipped: Cell<u32>,
}

impl Luck {
    pub(crate) const fn new() -> Self {
        Self {
            in_vain: Cell::new(0),
            skipped: Cell::new(0),
        }
    }

    /// To be called before a sleep until the deadline. True if what the thread would sleep for is there.
    pub(crate) fn look_on(&self, deadline: Option<Instant>, is_there: impl Fn() -> bool) -> bool {
        if !is_of_use() {
            return false;
        }
        if self.skipped.get() < self.in_vain.get() {
            self.skipped.set(self.skipped.get() + 1);
            return false;
        }
        self.skipped.set(0);
        let began = now();
        let limit = deadline.map_or(THREAD, |deadline| {
            deadline.saturating_duration_since(began).min(THREAD)
        });
        let found = look_on(began, limit, is_there, |_| false);
        let in_vain = if found { 0 } else { self.in_vain.get() + 1 };
        self.in_vain.set(in_vain.min(MOST_SKIPPED));
        found
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    /// How many of so many sleeps had a look before them.
    fn looks(luck: &Luck, sleeps: u32) -> u32 {
        let looked = Cell::new(0);
        for _ in 0..sleeps {
            let first = Cell::new(true);
            let _found = luck.look_on(None, || {
                looked.set(looked.get() + u32::from(first.replace(false)));
                false
            });
        }
        looked.get()
    }

    #[test]
    fn a_thread_without_luck_looks_on_less_and_less_often() {
        if !is_of_use() {
            return;
        }
        let luck = Luck::new();
        assert_eq!(looks(&luck, 1), 1);
        assert_eq!(looks(&luck, 2), 1, "one is left out behind one in vain");
        assert_eq!(looks(&luck, 3), 1, "two behind two");
        let at_first = looks(&luck, 10_000);
        let in_the_end = looks(&luck, 33 * 100);
        assert!(at_first < 10_000 / 33 + 50, "{at_first} of 10,000");
        assert_eq!(in_the_end, 100, "one in 33");
    }

    #[test]
    fn luck_comes_back_with_what_is_found() {
        if !is_of_use() {
            return;
        }
        let luck = Luck::new();
        let _looked = looks(&luck, 1_000);
        let sleeps = (0..=MOST_SKIPPED).take_while(|_| !luck.look_on(None, || true));
        assert!(
            sleeps.count() <= MOST_SKIPPED as usize,
            "one of 33 has a look"
        );
        for _ in 0..10 {
            assert!(
                luck.look_on(None, || true),
                "behind what was found each has one"
            );
        }
    }
}
