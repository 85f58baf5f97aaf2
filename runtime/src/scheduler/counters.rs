//! Counts that one thread keeps and others may read.

use crate::facade::Statistic;
use crate::facade::atomic::Ordering;

/// How many counters a thread has. The floors above name theirs from [`FIRST_FREE`] on.
pub(crate) const COUNT: usize = 32;
/// Times a worker took a runnable and ran it.
pub(crate) const RESUMES: usize = 0;
/// Times a handler blocked and another thread took over.
pub(crate) const BLOCKED: usize = 1;
/// Tokens that this thread made or won.
pub(crate) const WON: usize = 2;
/// Tokens that this thread gave up: what they ran rests, has ended, or sleeps.
pub(crate) const GIVEN_UP: usize = 3;
/// Times a worker went to sleep.
pub(crate) const PARKS: usize = 4;
/// Times a worker found work that was not its own.
pub(crate) const STEALS: usize = 5;
/// Times a worker woke another one.
pub(crate) const WAKE_UPS: usize = 6;
/// Times a worker stood aside, to see whether the others do more without it.
pub(crate) const STOOD_ASIDE: usize = 7;
/// Times a thread that had blocked went on, with a seat. As many as `BLOCKED`, unless it is blocked.
pub(crate) const SEATED_AGAIN: usize = 8;
/// The first counter that the floors above may name. The first [`WORK`] of those count what is done in turns.
pub(crate) const FIRST_FREE: usize = 9;
/// How many counters tell of work.
pub(crate) const WORK: usize = 5;

/// One thread's counters, on cache lines of their own. Only their thread writes them, so adding is a load and a
/// store, not a read-modify-write; anyone reads.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(crate) struct Counters([Statistic; COUNT]);

impl Counters {
    /// Adds to a counter. Only the thread that the counters belong to may call this.
    #[inline]
    pub(crate) fn add(&self, counter: usize, count: u64) {
        let value = &self.0[counter];
        // Relaxed: a statistic; nothing is published with it.
        value.store(
            value.load(Ordering::Relaxed).wrapping_add(count),
            Ordering::Relaxed,
        );
    }

    /// Counts a token that was given up. As `add`, and whoever reads it has behind him what this thread did with the token.
    #[inline]
    pub(crate) fn give_up_token(&self) {
        let value = &self.0[GIVEN_UP];
        // Release: pairs with the Acquire in `read_one`. The tokens that were won while this one was held are counted before.
        value.store(
            value.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Release,
        );
    }

    /// A counter, for who needs no other value with it.
    pub(crate) fn get(&self, counter: usize) -> u64 {
        // Relaxed: as in `add`.
        self.0[counter].load(Ordering::Relaxed)
    }

    pub(super) fn read_one(&self, counter: usize) -> u64 {
        // Acquire: pairs with the Release in `give_up_token`.
        self.0[counter].load(Ordering::Acquire)
    }

    /// What was done in turns, in the units of the floors above.
    pub(super) fn work_done(&self) -> u64 {
        self.0[FIRST_FREE..FIRST_FREE + WORK]
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }

    pub(crate) fn read(&self) -> [u64; COUNT] {
        std::array::from_fn(|counter| self.0[counter].load(Ordering::Relaxed))
    }
}
