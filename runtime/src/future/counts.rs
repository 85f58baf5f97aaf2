//! Who holds a core: one word with two counts.
//!
//! | bits | what |
//! |---|---|
//! | 0..30 | handles: `Future`s, which may read the value |
//! | 30 | the promise has not given its future away yet |
//! | 31 | callbacks for a discard request wait: the last handle cleans up |
//! | 32..63 | references: every handle, the promise, weak futures, and links of a chain, which keep the memory |
//! | 63 | it is there for ever, and nothing is counted: a static |
//!
//! The value may be moved out by a handle that is the only one. Only a handle or an upgrade of a weak future makes
//! another, so it agrees with upgrades by one compare-and-swap of the handles from one to zero, and with nobody if its
//! reference is the only one too.

use crate::facade::atomic::{AtomicU64, Ordering};
use crate::facade::weakened;

const HANDLE: u64 = 1;
const REFERENCE: u64 = 1 << 32;
const NOT_GIVEN: u64 = 1 << 30;
const CLEAN_UP: u64 = 1 << 31;
const FOR_EVER: u64 = 1 << 63;
/// Both counts stay below this, or the OS process aborts: only `mem::forget` in a loop gets here, as with `Arc`.
const LIMIT: u32 = 1 << 29;

fn handles(counts: u64) -> u32 {
    (counts & (NOT_GIVEN - 1)) as u32
}

fn references(counts: u64) -> u32 {
    (counts >> 32) as u32
}

fn check(counts: u64) {
    if handles(counts) > LIMIT || references(counts) > LIMIT {
        std::process::abort();
    }
}

pub(super) struct Counts(AtomicU64);

/// What a handle must do to move the value.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Claim {
    /// Nobody else holds anything: it may move, and counts stay as they are.
    Alone,
    /// It may move, and is no handle any more, only a reference.
    Claimed,
    /// There are other handles.
    Shared,
}

impl Counts {
    /// Without a handle, the first is still to be given.
    #[inline(always)]
    pub(super) fn new(handles: u32, references: u32) -> Self {
        let given = if handles == 0 { NOT_GIVEN } else { 0 };
        Self(AtomicU64::new(
            u64::from(handles) * HANDLE + u64::from(references) * REFERENCE + given,
        ))
    }

    /// Of a static: there are always several handles, and nobody writes here.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) const fn for_ever() -> Self {
        Self(AtomicU64::new(FOR_EVER + 2 * HANDLE + 2 * REFERENCE))
    }

    /// Relaxed: the bit never changes.
    #[inline]
    fn is_for_ever(&self) -> bool {
        self.0.load(Ordering::Relaxed) & FOR_EVER != 0
    }

    /// As `new`, and the last handle cleans up.
    pub(super) fn cleaned_up(handles: u32, references: u32) -> Self {
        Self(AtomicU64::new(
            u64::from(handles) * HANDLE + u64::from(references) * REFERENCE + CLEAN_UP,
        ))
    }

    /// The first handle, unless it was given before.
    #[must_use]
    pub(super) fn give_handle(&self) -> bool {
        // Relaxed: the promise that gives it holds the core already.
        let mut counts = self.0.load(Ordering::Relaxed);
        while counts & NOT_GIVEN != 0 {
            let given = counts - NOT_GIVEN + HANDLE + REFERENCE;
            // Relaxed: as above.
            match self
                .0
                .compare_exchange_weak(counts, given, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(other) => counts = other,
            }
        }
        false
    }

    /// A further handle, made by one.
    pub(super) fn add_handle(&self) {
        if self.is_for_ever() {
            return;
        }
        // Relaxed: whoever adds holds the core already.
        check(self.0.fetch_add(HANDLE + REFERENCE, Ordering::Relaxed));
    }

    pub(super) fn add_reference(&self) {
        if self.is_for_ever() {
            return;
        }
        // Relaxed: as in `add_handle`.
        check(self.0.fetch_add(REFERENCE, Ordering::Relaxed));
    }

    /// A handle, if there is one still.
    pub(super) fn try_add_handle(&self) -> bool {
        let mut counts = self.0.load(Ordering::Relaxed);
        if counts & FOR_EVER != 0 {
            return true;
        }
        while handles(counts) > 0 {
            check(counts);
            // Acquire: pairs with the Release of whoever gave up a handle, and made the count what it is. Relaxed on failure: tried again.
            match self.0.compare_exchange_weak(
                counts,
                counts + HANDLE + REFERENCE,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(other) => counts = other,
            }
        }
        false
    }

    /// Whether the first handle was given, and every handle is gone.
    pub(super) fn is_unwatched(&self) -> bool {
        // Relaxed: nothing is done with what the handles did.
        let counts = self.0.load(Ordering::Relaxed);
        handles(counts) == 0 && counts & NOT_GIVEN == 0
    }

    /// Has the last handle clean up. False if it is gone already.
    #[must_use]
    pub(super) fn have_cleaned_up(&self) -> bool {
        // AcqRel: pairs with the same in `drop_handle`. Whichever is second sees the other, and what is to be cleaned up.
        let counts = self.0.fetch_or(CLEAN_UP, Ordering::AcqRel);
        handles(counts) > 0 || counts & NOT_GIVEN != 0
    }

    /// Whether the caller's handle is all that holds the core: then nothing can change that but the caller.
    pub(super) fn is_alone(&self) -> bool {
        // Acquire: pairs with the Releases below: what others did with the core is behind us.
        self.0.load(Ordering::Acquire) & !CLEAN_UP == HANDLE + REFERENCE
    }

    /// Whether the caller's reference is all that holds the core, and no handle is to be given any more: then nothing can change that.
    #[inline]
    pub(super) fn is_forgotten(&self) -> bool {
        let ordering = if weakened("forgotten") {
            Ordering::Relaxed
        } else {
            // Pairs with the Releases of those who went: what they left in the word is seen.
            Ordering::Acquire
        };
        self.0.load(ordering) & !CLEAN_UP == REFERENCE
    }

    /// Claims the value for the caller's handle, if that is the only one.
    pub(super) fn claim(&self) -> Claim {
        let ordering = if weakened("claim") {
            Ordering::Relaxed
        } else {
            // Pairs with the Release in `drop_handle`: the other handles' reads of the value happen before the move.
            Ordering::Acquire
        };
        let mut counts = self.0.load(ordering);
        loop {
            if handles(counts) > 1 {
                return Claim::Shared;
            }
            if references(counts) == 1 {
                return Claim::Alone;
            }
            if weakened("claim-at-once") {
                self.0.fetch_sub(HANDLE, Ordering::Acquire);
                return Claim::Claimed;
            }
            // Acquire, and on failure: as above.
            match self
                .0
                .compare_exchange_weak(counts, counts - HANDLE, Ordering::Acquire, ordering)
            {
                Ok(_) => return Claim::Claimed,
                Err(other) => counts = other,
            }
        }
    }

    /// Gives up a handle but not its reference. If it was the last: whether it must clean up.
    #[must_use]
    pub(super) fn drop_handle(&self) -> Option<bool> {
        if self.is_for_ever() {
            return None;
        }
        // AcqRel: pairs with itself, with `claim` and with `have_cleaned_up`: the last to go has the others' reads of the value behind it.
        let counts = self.0.fetch_sub(HANDLE, Ordering::AcqRel);
        (handles(counts) == 1).then_some(counts & CLEAN_UP != 0)
    }

    /// Gives up a handle and its reference, if it is the last and need not clean up. Says whether the core is to be freed.
    #[must_use]
    pub(super) fn try_drop_last(&self) -> Option<bool> {
        let counts = self.0.load(Ordering::Relaxed);
        // There are two, where nothing is counted.
        if handles(counts) != 1 || counts & CLEAN_UP != 0 {
            return None;
        }
        if weakened("last-at-once") {
            let counts = self.0.fetch_sub(HANDLE + REFERENCE, Ordering::Release);
            return Some(self.was_last(counts));
        }
        // An exchange, as somebody may want it to clean up meanwhile. Release: as in `drop_reference`. Relaxed on failure: nothing was done.
        self.0
            .compare_exchange(
                counts,
                counts - HANDLE - REFERENCE,
                Ordering::Release,
                Ordering::Relaxed,
            )
            .ok()
            .map(|counts| self.was_last(counts))
    }

    /// Gives up a reference. True if the core is to be freed.
    #[must_use]
    pub(super) fn drop_reference(&self) -> bool {
        let ordering = if weakened("free") {
            Ordering::Relaxed
        } else {
            // Acquire: as in `was_last`.
            Ordering::Acquire
        };
        let counts = self.0.load(ordering);
        // Who has the only one needs no atomic step to give it up: only a holder makes another one.
        if references(counts) == 1 {
            return true;
        }
        if counts & FOR_EVER != 0 {
            return false;
        }
        // Release: pairs with the Acquire in `was_last`: what this holder did happens before the core is freed.
        self.was_last(self.0.fetch_sub(REFERENCE, Ordering::Release))
    }

    /// Whether the reference that was given up was the last.
    fn was_last(&self, counts: u64) -> bool {
        if references(counts) != 1 {
            return false;
        }
        if !weakened("free") {
            // Acquire: pairs with the Release of all other holders, whose steps make one release sequence. A load and not a fence,
            // as ThreadSanitizer does not know fences.
            self.0.load(Ordering::Acquire);
        }
        true
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_counts_do_not_run_into_each_other() {
        let counts = Counts::new(1, 1);
        assert!(counts.is_alone());
        assert_eq!(counts.claim(), Claim::Alone);
        counts.add_reference();
        counts.add_handle();
        assert_eq!(
            (counts.claim(), counts.try_drop_last()),
            (Claim::Shared, None)
        );
        assert_eq!(counts.drop_handle(), None);
        assert!(!counts.drop_reference());
        assert_eq!(counts.claim(), Claim::Claimed);
        assert!(!counts.try_add_handle(), "nothing is left to upgrade to");
        assert!(!counts.drop_reference());
        assert!(counts.drop_reference());
    }

    #[test]
    fn the_first_handle_is_given_once_and_the_last_cleans_up() {
        let counts = Counts::new(0, 1);
        assert!(!counts.is_unwatched() && counts.give_handle() && !counts.give_handle());
        assert_eq!(counts.try_drop_last(), Some(false));
        assert!(counts.is_unwatched() && !counts.have_cleaned_up());

        let counts = Counts::new(0, 1);
        assert!(counts.have_cleaned_up() && counts.give_handle() && counts.have_cleaned_up());
        assert_eq!(counts.try_drop_last(), None);
        assert!(!counts.drop_reference() && counts.is_alone());
        assert_eq!(counts.drop_handle(), Some(true));
        assert!(counts.is_unwatched() && counts.drop_reference());
    }

    #[test]
    fn of_a_static_nothing_is_counted() {
        static COUNTS: Counts = Counts::for_ever();
        let before = COUNTS.0.load(Ordering::Relaxed);
        COUNTS.add_handle();
        COUNTS.add_reference();
        assert!(COUNTS.try_add_handle());
        for _ in 0..5 {
            assert_eq!((COUNTS.drop_handle(), COUNTS.try_drop_last()), (None, None));
            assert!(!COUNTS.drop_reference() && !COUNTS.is_alone() && !COUNTS.is_forgotten());
            assert_eq!(COUNTS.claim(), Claim::Shared);
        }
        assert_eq!(COUNTS.0.load(Ordering::Relaxed), before);
    }
}
