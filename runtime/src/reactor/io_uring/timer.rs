//! How a sleep has an end where a call that waits takes no time-out (before 5.11).
//!
//! An `IORING_OP_TIMEOUT` goes out with the call. It is one for a single completion: it ends at its time, or with the first completion after it, whichever is first. So what ends a sleep
//! mostly ends its timer, too, and nothing is left to cancel.
//!
//! Mostly: a call may be interrupted by a signal, and what was submitted with the timer may have been done before it. Then the timer is still there at the next sleep:
//!
//! * Where it ends no later than that one shall, it will do: at worst the sleep ends early, and there is another.
//! * Where it ends later, it is removed, and a new one is submitted. Otherwise signals would leave one timer after the other.
//!
//! A timer may also end late, in a sleep that has none of its own: its completion is told from that of a newer one by its number, and ends that sleep for nothing.

use std::time::Instant;

use io_uring::types::Timespec;
use io_uring::{opcode, squeue};

use super::NOBODY;

/// The number of the first timer; operations stay below.
const FIRST: u64 = 1 << 63;

pub(super) struct Timer {
    /// What the kernel reads when it takes the timer, and not after that. In one place for as long as there is the ring, so also where the kernel takes it later.
    time: Box<Timespec>,
    /// Of the newest.
    number: u64,
    /// When the newest ends, if it has not.
    ends: Option<Instant>,
}

impl Timer {
    /// As many submissions as `set` makes at most.
    pub(super) const MOST: usize = 2;

    pub(super) fn new() -> Self {
        Self {
            time: Box::new(Timespec::new()),
            number: FIRST,
            ends: None,
        }
    }

    /// Whether that is the number of a timer.
    pub(super) fn is_one(number: u64) -> bool {
        number >= FIRST
    }

    /// What is to be submitted, so that a sleep from now on ends by then. What it points to lives as long as this.
    pub(super) fn set(
        &mut self,
        deadline: Instant,
        now: Instant,
    ) -> [Option<squeue::Entry>; Self::MOST] {
        let before = self.ends.filter(|&ends| ends > deadline);
        let remove = before.map(|_| {
            let remove = opcode::TimeoutRemove::new(self.number).build();
            remove.user_data(NOBODY)
        });
        let is_new = self.ends.is_none() || before.is_some();
        if is_new {
            self.number += 1;
            self.ends = Some(deadline);
        }
        let ends = self.ends.unwrap_or(deadline);
        // Also of one that was set before: the kernel may have had no time for it yet.
        *self.time = Timespec::from(ends.saturating_duration_since(now));
        let set = is_new.then(|| {
            let set = opcode::Timeout::new(&raw const *self.time).count(1).build();
            set.user_data(self.number)
        });
        [remove, set]
    }

    /// One has ended: by its time, by a completion, or as it was removed.
    pub(super) fn ended(&mut self, number: u64) {
        if number == self.number {
            self.ends = None;
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn there_is_one_at_a_time() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let submissions =
            |entries: [Option<squeue::Entry>; 2]| entries.each_ref().map(Option::is_some);
        let mut timer = Timer::new();
        assert_eq!(submissions(timer.set(at(5), now)), [false, true]);
        let first = timer.number;
        assert!(Timer::is_one(first));
        // It ends early enough.
        assert_eq!(submissions(timer.set(at(6), now)), [false, false]);
        assert_eq!(submissions(timer.set(at(5), now)), [false, false]);
        // It does not.
        assert_eq!(submissions(timer.set(at(4), now)), [true, true]);
        assert_ne!(timer.number, first);
        // The end of the removed one is not that of the other.
        timer.ended(first);
        assert_eq!(submissions(timer.set(at(4), now)), [false, false]);
        timer.ended(timer.number);
        assert_eq!(submissions(timer.set(at(4), now)), [false, true]);
    }

    #[test]
    fn one_that_the_kernel_takes_late_has_the_time_that_is_left() {
        let now = Instant::now();
        // They cannot be compared otherwise.
        let text = |timer: &Timer| format!("{:?}", timer.time);
        let mut timer = Timer::new();
        let deadline = now + Duration::from_secs(5);
        let _first = timer.set(deadline, now);
        let _again = timer.set(deadline, now + Duration::from_secs(4));
        assert_eq!(text(&timer), format!("{:?}", Timespec::new().sec(1)));
        let _late = timer.set(deadline, now + Duration::from_secs(9));
        assert_eq!(text(&timer), format!("{:?}", Timespec::new()));
    }
}
