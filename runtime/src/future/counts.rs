//! Who holds a core: one word with two counts.
//!
//! | bits | what |
//! |---|---|
//! | 0..32 | handles: `Future`s, which may read the value |
//! | 32..64 | references: every handle, the promise, weak futures, and links of a chain, which keep the memory |
//!
//! The value may be moved out by a handle that is the only one. Only a handle or an upgrade of a weak future makes
//! another, so it agrees with upgrades by one compare-and-swap of the handles from one to zero, and with nobody if its
//! reference is the only one too.

use crate::facade::atomic::{AtomicU64, Ordering, fence};
use crate::facade::weakened;

const HANDLE: u64 = 1;
const REFERENCE: u64 = 1 << 32;
/// Both counts stay below this, or the OS process aborts: only `mem::forget` in a loop gets here, as with `Arc`.
const LIMIT: u32 = 1 << 30;

fn handles(counts: u64) -> u32 {
    (counts & (REFERENCE - 1)) as u32
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
    pub(super) fn new(handles: u32, references: u32) -> Self {
        Self(AtomicU64::new(
            u64::from(handles) * HANDLE + u64::from(references) * REFERENCE,
        ))
    }

    /// A further handle, made by one, or by the promise before it gave its first away.
    pub(super) fn add_handle(&self) {
        // Relaxed: whoever adds holds the core already.
        check(self.0.fetch_add(HANDLE + REFERENCE, Ordering::Relaxed));
    }

    pub(super) fn add_reference(&self) {
        // Relaxed: as in `add_handle`.
        check(self.0.fetch_add(REFERENCE, Ordering::Relaxed));
    }

    /// A handle, if there is one still.
    pub(super) fn try_add_handle(&self) -> bool {
        let mut counts = self.0.load(Ordering::Relaxed);
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

    /// How many handles there are: exact for the only handle as long as there is no weak future, else a hint.
    pub(super) fn handles(&self) -> u32 {
        handles(self.0.load(Ordering::Relaxed))
    }

    /// Whether the caller's handle is all that holds the core: then nothing can change that but the caller.
    pub(super) fn is_alone(&self) -> bool {
        // Acquire: pairs with the Releases below: what others did with the core is behind us.
        self.0.load(Ordering::Acquire) == HANDLE + REFERENCE
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

    /// Gives up a handle but not its reference. True if it was the last.
    #[must_use]
    pub(super) fn drop_handle(&self) -> bool {
        // AcqRel: pairs with itself and with `claim`: the last to go has the others' reads of the value behind it.
        handles(self.0.fetch_sub(HANDLE, Ordering::AcqRel)) == 1
    }

    /// Gives up a reference, and a handle with it. True if the core is to be freed.
    #[must_use]
    pub(super) fn drop_handle_and_reference(&self) -> bool {
        self.subtract(HANDLE + REFERENCE)
    }

    /// Gives up a reference. True if the core is to be freed.
    #[must_use]
    pub(super) fn drop_reference(&self) -> bool {
        self.subtract(REFERENCE)
    }

    fn subtract(&self, counts: u64) -> bool {
        // Release: pairs with the fence below: what this holder did happens before the core is freed.
        if references(self.0.fetch_sub(counts, Ordering::Release)) != 1 {
            return false;
        }
        if !weakened("free") {
            // Acquire: pairs with the Release above, of all other holders.
            fence(Ordering::Acquire);
        }
        true
    }
}

#[cfg(all(test, not(libprocess_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_counts_do_not_run_into_each_other() {
        let counts = Counts::new(1, 1);
        assert!(counts.is_alone());
        assert_eq!(counts.claim(), Claim::Alone);
        counts.add_reference();
        counts.add_handle();
        assert_eq!((counts.handles(), counts.claim()), (2, Claim::Shared));
        assert!(!counts.drop_handle_and_reference());
        assert_eq!(counts.claim(), Claim::Claimed);
        assert!(!counts.try_add_handle(), "nothing is left to upgrade to");
        assert!(!counts.drop_reference());
        assert!(counts.drop_reference());
    }
}
