//! The word that says whose a slot is, and whether he has room: a generation, and the credits of its mailbox.
//!
//! # The problem
//!
//! A mailbox may have a *capacity*: so many events may wait in it, and what comes beyond is refused. A count beside the queue does that (see
//! `libprocess_queues::event::Bounded`), if each sender takes a credit before it pushes. Here the queue changes its owner: a sender may look up the slot,
//! stall, and go on when another tenant has moved in, bounded or not. It must then neither take a credit of his (who would give it back?), nor give him one
//! (he would hold one event more than he said), nor touch a count that was freed. And most tenants have no bound, and should not pay for those that do.
//!
//! # The word
//!
//! So the credits are in the same word as the generation, and that word is in the slot, which is never freed.
//!
//! | bits | what |
//! |---|---|
//! | 0..32 | generation of the tenant, or of the next one; 0: the slot is retired |
//! | 32..64 | credits: 0: there is no bound; 1: none is available, and somebody waits for one; else those that are available, plus 2 |
//!
//! A sender has to compare the generation in any case. Without a bound the word is the generation, extended by zeros: one comparison of the whole word says both, and is the
//! same instructions as before there were bounds. Whatever else the word says is settled in a cold path. An event's mark is beside its generation in the same way.
//!
//! # Where a credit is
//!
//! A tenancy starts with as many credits as its capacity. At every moment each of them is
//!
//! 1. available: in the word;
//! 2. with a sender, between taking it and its push, or in a [`Permit`](super::Permit);
//! 3. with an event that waits, which is marked as *paid*.
//!
//! 1 → 2 is [`take`](Tenancy::take), a compare-and-swap of the whole word, so it fails if the generation is another. 2 → 3 is the push. 3 → 1 is
//! [`put`](Tenancy::put), when the token holder takes the event out to serve it, or a filter or a dead letter gets it; 2 → 1, when a permit is dropped
//! unused. Both compare the generation too. So the events of place 3 are never more than the capacity. An event that is being served does not wait any more: its
//! handler may send to its own process, also where the capacity is 1.
//!
//! *A tenancy's credits end with it.* When its mailbox is closed nothing can be pushed for it any more, so what is in places 2 and 3 need not come back:
//! the word's next value is made for the next generation and counts from that one's capacity. A credit that stalls in place 2 belongs to a generation
//! that is past; so does the paid event that a stalled sender pushes into the next tenant's mailbox, for which nothing is given back.
//!
//! # Waiting for room
//!
//! Who finds no credit may wait. Waiters stand in a queue among the slot's ties, under their lock, and the word says `WAITING` exactly while
//! that queue is not empty (seen under the lock). Only who has the lock changes the word to or from `WAITING`. Then
//!
//! * whoever takes finds no credit, so nobody overtakes those who wait;
//! * whoever has a credit to give back leaves the word alone, locks, and hands the credit to the waiter who came first: it is never available in between.
//!
//! # What can go wrong
//!
//! * *A lost wake-up.* A waiter finds no credit, one is given back, and then the waiter lies down. But lying down is a compare-and-swap from "none"
//!   to `WAITING`: it fails, and the waiter takes that credit.
//! * *A waiter gives up.* He leaves the queue under the lock, the last one resets the word. If his credit was on its way he has it, and dropping it hands it on.
//! * *The process ends.* The ties are taken out when the generation changes, under the same lock: who waited is abandoned, and who comes
//!   later finds another generation.
//! * *A sender is refused though its process has ended.* Between the closing of the mailbox and the change of the generation the word still says "full".
//!   So a refused sender looks at the mailbox, and learns the reason that lasts.
//!
//! Weighed against a boxed count that the word or the ties point to: a stalled sender might follow the pointer when the box is freed, so boxes would have to be kept
//! for ever, or counted by each send. And against credits for the slot, not the tenancy, moved and never reset, as in the queues' crate: there a queue keeps its
//! capacity for life, and who stalls gives back in the end; here the next tenant may have another capacity, and a permit that is never dropped would make it smaller for ever.

use crate::facade::atomic::{AtomicU64, Ordering};
use crate::facade::weakened;

/// The largest capacity.
pub(crate) const LARGEST: u32 = u32::MAX - AVAILABLE;

/// The high half without a bound. Zero: see the module.
const UNBOUNDED: u32 = 0;
/// The high half while somebody waits for a credit, which says that none is available.
const WAITING: u32 = 1;
/// The high half is this and the credits that are available.
const AVAILABLE: u32 = 2;

/// What the high half says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Credits {
    Unbounded,
    Waiting,
    Available(u32),
}

/// The word as a value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Snapshot(u64);

impl Snapshot {
    #[inline(always)]
    const fn new(generation: u32, credits: Credits) -> Self {
        let high = match credits {
            Credits::Unbounded => UNBOUNDED,
            Credits::Waiting => WAITING,
            Credits::Available(credits) => AVAILABLE + credits,
        };
        Self(((high as u64) << 32) | generation as u64)
    }

    #[inline(always)]
    const fn generation(self) -> u32 {
        self.0 as u32
    }

    const fn credits(self) -> Credits {
        match (self.0 >> 32) as u32 {
            UNBOUNDED => Credits::Unbounded,
            WAITING => Credits::Waiting,
            credits => Credits::Available(credits - AVAILABLE),
        }
    }

    const fn with_credits(self, credits: Credits) -> Self {
        Self::new(self.generation(), credits)
    }
}

/// What a sender finds that asks for a credit.
#[must_use = "a credit that was taken is to be pushed with an event, or put back"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// It has one.
    Taken,
    /// None is needed.
    Unbounded,
    /// There is none.
    Full,
    /// The generation is past.
    Ended,
}

/// What became of a credit that was given back.
#[must_use = "somebody may wait for it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is available; or it ended with its tenancy.
    Done,
    /// It is still with the caller, as somebody waits: hand it over, under the lock.
    Waiting,
}

pub(super) struct Tenancy(AtomicU64);

impl Tenancy {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(Snapshot::new(1, Credits::Unbounded).0))
    }

    #[inline(always)]
    fn load(&self) -> Snapshot {
        // Relaxed: a shortcut for senders, which are caught by the event's generation or by the exchange; others hold the token or the lock.
        Snapshot(self.0.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(super) fn generation(&self) -> u32 {
        self.load().generation()
    }

    /// Whether this generation is the tenant's and has no bound.
    #[inline(always)]
    pub(super) fn is_unbounded(&self, generation: u32) -> bool {
        self.load() == Snapshot::new(generation, Credits::Unbounded)
    }

    // ---- under the lock ----

    /// The claimer says how many events may wait.
    pub(super) fn begin(&self, capacity: Option<u32>) {
        let credits = match capacity {
            None => Credits::Unbounded,
            Some(capacity) => Credits::Available(capacity.min(LARGEST)),
        };
        let word = self.load().with_credits(credits);
        // Relaxed: nobody has a pid of this generation; who gets one has this behind him. Exchanges for another generation fail before and after.
        self.0.store(word.0, Ordering::Relaxed);
    }

    /// The tenancy is over, and its credits with it. The next has this generation.
    pub(super) fn end(&self, next: u32) {
        let next = Snapshot::new(next, Credits::Unbounded);
        if self.load().credits() == Credits::Unbounded {
            // Relaxed: written by one thread, under the lock; the others' reads are shortcuts or under the lock.
            self.0.store(next.0, Ordering::Relaxed);
        } else {
            // Relaxed: as above. A swap, as senders exchange the word: it comes behind all that they do to this generation, in this thread's eyes too.
            self.0.swap(next.0, Ordering::Relaxed);
        }
    }

    /// Takes a credit, or says that somebody waits (`Full`).
    pub(super) fn take_or_wait(&self, generation: u32) -> Take {
        loop {
            match self.take(generation) {
                Take::Full => {}
                other => return other,
            }
            let word = Snapshot::new(generation, Credits::Available(0));
            let waiting = word.with_credits(Credits::Waiting);
            if weakened("wait-in-two-steps") {
                self.0.store(waiting.0, Ordering::Relaxed);
                return Take::Full;
            }
            // Relaxed: what it says is looked at under the lock.
            match self
                .0
                .compare_exchange(word.0, waiting.0, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Take::Full,
                Err(now) if now == waiting.0 => return Take::Full,
                // A credit has come meanwhile.
                Err(_) => {}
            }
        }
    }

    /// The last who waited has gone, with a credit or without.
    pub(super) fn nobody_waits(&self, generation: u32) {
        debug_assert!(
            self.load() == Snapshot::new(generation, Credits::Waiting),
            "nobody else changes the word while somebody waits"
        );
        // Relaxed: as above.
        self.0.store(
            Snapshot::new(generation, Credits::Available(0)).0,
            Ordering::Relaxed,
        );
    }

    // ---- anyone ----

    /// From available to a sender.
    pub(super) fn take(&self, generation: u32) -> Take {
        let mut word = self.load();
        loop {
            if word.generation() != generation && !weakened("credit-tenancy") {
                return Take::Ended;
            }
            let credits = match word.credits() {
                Credits::Unbounded => return Take::Unbounded,
                Credits::Waiting | Credits::Available(0) => return Take::Full,
                Credits::Available(credits) => credits,
            };
            // Acquire: pairs with the Release in `put`: what was done with the last event that had this credit is done. Relaxed on failure: as `load`.
            match self.0.compare_exchange_weak(
                word.0,
                word.with_credits(Credits::Available(credits - 1)).0,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Take::Taken,
                Err(now) => word = Snapshot(now),
            }
        }
    }

    /// Gives a credit of this generation back.
    pub(super) fn put(&self, generation: u32) -> Put {
        let mut word = self.load();
        loop {
            if word.generation() != generation && !weakened("credit-return-tenancy") {
                return Put::Done;
            }
            let credits = match word.credits() {
                Credits::Waiting => return Put::Waiting,
                // Only a planted weakening comes here.
                Credits::Unbounded => return Put::Done,
                Credits::Available(credits) => credits,
            };
            assert!(credits < LARGEST, "more credits than there can be");
            // Release: pairs with the Acquire in `take`. Relaxed on failure: as `load`.
            match self.0.compare_exchange_weak(
                word.0,
                word.with_credits(Credits::Available(credits + 1)).0,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Put::Done,
                Err(now) => word = Snapshot(now),
            }
        }
    }

    /// How many credits are available, for tests; none if somebody waits, or none is needed.
    #[cfg(all(test, not(libprocess_shuttle)))]
    pub(super) fn available(&self) -> Option<u32> {
        match self.load().credits() {
            Credits::Available(credits) => Some(credits),
            Credits::Unbounded | Credits::Waiting => None,
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "generation {}, {:?}", self.generation(), self.credits())
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_two_halves() {
        for generation in [0, 1, u32::MAX] {
            for credits in [
                Credits::Unbounded,
                Credits::Waiting,
                Credits::Available(0),
                Credits::Available(LARGEST),
            ] {
                let word = Snapshot::new(generation, credits);
                assert_eq!(
                    (word.generation(), word.credits()),
                    (generation, credits),
                    "{word:?}"
                );
            }
        }
    }

    #[test]
    fn credits_are_of_one_generation() {
        let tenancy = Tenancy::new();
        tenancy.begin(Some(1));
        assert_eq!(tenancy.take(2), Take::Ended);
        assert_eq!(tenancy.take(1), Take::Taken);
        assert_eq!(tenancy.take(1), Take::Full);
        tenancy.end(2);
        tenancy.begin(Some(2));
        assert_eq!(tenancy.put(1), Put::Done);
        assert_eq!(tenancy.available(), Some(2), "a credit of another tenancy");
        tenancy.end(3);
        assert_eq!(tenancy.take(3), Take::Unbounded);
    }

    #[test]
    fn who_waits_is_not_overtaken() {
        let tenancy = Tenancy::new();
        tenancy.begin(Some(1));
        assert_eq!(tenancy.take_or_wait(1), Take::Taken);
        assert_eq!(tenancy.take_or_wait(1), Take::Full);
        assert_eq!(tenancy.take_or_wait(1), Take::Full);
        assert_eq!(tenancy.put(1), Put::Waiting);
        assert_eq!(tenancy.take(1), Take::Full);
        tenancy.nobody_waits(1);
        assert_eq!(tenancy.put(1), Put::Done);
        assert_eq!(tenancy.take(1), Take::Taken);
    }
}
