//! How long a worker looks on before it sleeps, where there is nothing to do.
//!
//! A *lull* begins when the last one at work finds nothing, and ends when somebody puts something in. If it ends while the worker looks on, nobody sleeps or
//! is woken. If not, the worker slept, and whoever ends it has to wake one: on a real machine that costs some microseconds, on a virtual one, whose core went
//! idle, some tens of them. So how long to look on depends on the machine, and on who puts in: a thread that was woken itself by the last answer needs as long as
//! that takes to come back.
//!
//! Who ends a lull by waking somebody knows how long it was. If the [`LONGEST`] look would have seen its end, the next looks are that long; if not, they are
//! [`SHORT`] again. A long look that was in vain was so because the lull was longer than it, and is the last one for now.
//!
//! All words here are guesses, by which nobody loses more than a moment, so all are relaxed.

use std::time::{Duration, Instant};

use crate::facade::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::facade::now;
use crate::look_on::{self, look_on};

/// About what a sleep and the call that ends it cost.
const SHORT: Duration = Duration::from_micros(10);
/// About what they cost on a virtual machine, for both that sleep.
const LONGEST: Duration = Duration::from_micros(50);

pub(super) struct Lull {
    /// Somebody looks on now.
    is_looked_at: AtomicBool,
    /// The last one that had been looked at in vain was shorter than the longest look.
    was_short: AtomicBool,
    /// When the last look began, in nanoseconds from `origin`, if it was in vain and the lull goes on; else zero.
    in_vain_from: AtomicU64,
    origin: Instant,
}

impl Lull {
    pub(super) fn new() -> Self {
        Self {
            is_looked_at: AtomicBool::new(false),
            was_short: AtomicBool::new(false),
            in_vain_from: AtomicU64::new(0),
            origin: now(),
        }
    }

    /// Looks on, unless somebody does. True once `is_over`.
    pub(super) fn look_on(
        &self,
        is_over: impl Fn() -> bool,
        gives_up: impl Fn(Duration) -> bool,
    ) -> bool {
        if self.is_looked_at.load(Ordering::Relaxed) {
            return false;
        }
        self.is_looked_at.store(true, Ordering::Relaxed);
        let began = now();
        let is_over = look_on(began, self.look(), is_over, gives_up);
        let in_vain_from = if is_over { 0 } else { self.time_of(began) };
        self.in_vain_from.store(in_vain_from, Ordering::Relaxed);
        self.is_looked_at.store(false, Ordering::Relaxed);
        is_over
    }

    /// How long one looks on.
    fn look(&self) -> Duration {
        if self.was_short.load(Ordering::Relaxed) {
            LONGEST
        } else {
            SHORT
        }
    }

    /// Somebody put something in, found all asleep, and wakes one.
    pub(super) fn end(&self) {
        if look_on::is_of_use() {
            self.end_at(now());
        }
    }

    fn end_at(&self, at: Instant) {
        let began = self.in_vain_from.load(Ordering::Relaxed);
        if began > 0 {
            let lasted = Duration::from_nanos(self.time_of(at).saturating_sub(began));
            self.was_short.store(lasted < LONGEST, Ordering::Relaxed);
            self.in_vain_from.store(0, Ordering::Relaxed);
        }
    }

    /// It was I/O that ended it: that tells nothing of those who put in.
    pub(super) fn end_by_io(&self) {
        if look_on::is_of_use() {
            self.in_vain_from.store(0, Ordering::Relaxed);
        }
    }

    fn time_of(&self, at: Instant) -> u64 {
        // Enough for five hundred years; and never zero.
        at.saturating_duration_since(self.origin).as_nanos() as u64 + 1
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    /// A look in vain, which began so long before the lull's end.
    fn ended_after(lull: &Lull, lasted: Duration) {
        let is_over = lull.look_on(|| false, |_| true);
        assert!(!is_over);
        let began = Duration::from_nanos(lull.in_vain_from.load(Ordering::Relaxed));
        lull.end_at(lull.origin + began + lasted);
        // Who puts something in behind that ends no lull that anybody looked at.
        lull.end_at(lull.origin + began + 2 * LONGEST);
        lull.end_at(lull.origin + began);
    }

    #[test]
    fn one_looks_on_for_longer_where_that_would_have_been_enough() {
        let lull = Lull::new();
        assert_eq!(lull.look(), SHORT);
        ended_after(&lull, LONGEST / 2);
        assert_eq!(lull.look(), LONGEST, "it would have seen the end");
        assert!(lull.look_on(|| true, |_| false));
        assert_eq!(lull.look(), LONGEST, "as that one saw its end");
        ended_after(&lull, 2 * LONGEST);
        assert_eq!(lull.look(), SHORT, "it would not have");
    }

    #[test]
    fn one_looks_on_at_a_time() {
        let lull = Lull::new();
        let other = std::cell::Cell::new(None);
        let is_over = lull.look_on(
            || {
                other.set(Some(lull.look_on(|| true, |_| false)));
                true
            },
            |_| false,
        );
        assert!(is_over);
        assert_eq!(other.get(), Some(false));
    }

    #[test]
    fn it_is_given_up_when_somebody_says_so() {
        let lull = Lull::new();
        assert!(!lull.look_on(|| false, |_| true));
        assert!(lull.look_on(|| true, |_| true), "the next one may");
    }
}
