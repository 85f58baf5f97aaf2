//! The word that decides: phase, discard request, and the callbacks that wait.
//!
//! | bits | what |
//! |---|---|
//! | 0, 1 | phase |
//! | 2 | a discard was requested |
//! | 3 | the side table may hold something: look there |
//! | 4.. | the newest node of the list of callbacks |
//!
//! Nodes are aligned to 16 bytes, so the low four bits of a pointer to one are free. Every change is one
//! compare-and-swap in [`Word::update`]: whoever changes the word knows exactly what it was.

use std::fmt;

use super::core::Header;
use super::node::Node;
use crate::facade::atomic::{AtomicPtr, Ordering};
use crate::facade::weakened;

const PHASE: usize = 0b11;
const PENDING: usize = 0;
const RUNNING: usize = 1;
const SETTLED: usize = 2;
const REQUESTED: usize = 0b100;
const SIDE: usize = 0b1000;
const TAGS: usize = PHASE | REQUESTED | SIDE;
const _: () = assert!(PHASE & REQUESTED == 0 && (PHASE | REQUESTED) & SIDE == 0);
const _: () = assert!(align_of::<Node>() > TAGS);

/// How far a core has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No outcome. Callbacks wait.
    Pending,
    /// The outcome is a value, and the completer shows it to observers. New callbacks are left to it.
    Running,
    /// The outcome is there; callbacks run at once.
    Settled,
}

/// What the word was at one time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot(*mut Node);

impl Snapshot {
    fn tagged(self, tags: usize) -> bool {
        self.0.addr() & tags == tags
    }

    pub(super) fn phase(self) -> Phase {
        match self.0.addr() & PHASE {
            PENDING => Phase::Pending,
            RUNNING => Phase::Running,
            SETTLED => Phase::Settled,
            _ => unreachable!("no phase has this number"),
        }
    }

    pub(super) fn is_pending(self) -> bool {
        self.phase() == Phase::Pending
    }

    /// Whether there is no outcome, and nothing waits for one.
    pub(super) fn is_pending_for_nobody(self) -> bool {
        self.0.addr() & !REQUESTED == 0
    }

    pub(super) fn is_settled(self) -> bool {
        self.phase() == Phase::Settled
    }

    pub(super) fn is_requested(self) -> bool {
        self.tagged(REQUESTED)
    }

    pub(super) fn has_side(self) -> bool {
        self.tagged(SIDE)
    }

    pub(super) fn list(self) -> *mut Node {
        self.0.map_addr(|address| address & !TAGS)
    }

    #[must_use]
    pub(super) fn with_list(self, list: *mut Node) -> Self {
        debug_assert_eq!(list.addr() & TAGS, 0);
        Self(list.map_addr(|address| address | (self.0.addr() & TAGS)))
    }

    #[must_use]
    pub(super) fn with_phase(self, phase: Phase) -> Self {
        let bits = match phase {
            Phase::Pending => PENDING,
            Phase::Running => RUNNING,
            Phase::Settled => SETTLED,
        };
        Self(self.0.map_addr(|address| address & !PHASE | bits))
    }

    #[must_use]
    pub(super) fn with_request(self, requested: bool) -> Self {
        Self(self.0.map_addr(|address| {
            if requested {
                address | REQUESTED
            } else {
                address & !REQUESTED
            }
        }))
    }

    #[must_use]
    pub(super) fn with_side(self) -> Self {
        Self(self.0.map_addr(|address| address | SIDE))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("phase", &self.phase())
            .field("requested", &self.is_requested())
            .field("side", &self.has_side())
            .field("list", &self.list())
            .finish()
    }
}

pub(super) struct Word(AtomicPtr<Node>);

impl Word {
    /// Of a core that is settled from the beginning.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) const fn settled() -> Self {
        Self(AtomicPtr::new(std::ptr::without_provenance_mut(SETTLED)))
    }

    #[inline(always)]
    pub(super) fn new(phase: Phase) -> Self {
        Self(AtomicPtr::new(
            Snapshot(std::ptr::null_mut()).with_phase(phase).0,
        ))
    }

    /// The word now. What was written before it became so is visible.
    #[inline]
    pub(super) fn load(&self) -> Snapshot {
        let ordering = if weakened("word-load") {
            Ordering::Relaxed
        } else {
            // Pairs with the Release in `update`: who sees SETTLED reads the outcome.
            Ordering::Acquire
        };
        Snapshot(self.0.load(ordering))
    }

    /// Puts a core's word, which nobody needs any more, to another use: a link in the list of cores that are freed.
    pub(super) fn bury(&self, next: *mut Header) {
        // Relaxed: the core is the caller's alone, here and in `buried`.
        self.0.store(next.cast(), Ordering::Relaxed);
    }

    pub(super) fn buried(&self) -> *mut Header {
        self.0.load(Ordering::Relaxed).cast()
    }

    /// Changes the word to what `change` makes of it, and gives what it was; or gives what it is, if `change` declines.
    #[inline]
    pub(super) fn update(
        &self,
        mut change: impl FnMut(Snapshot) -> Option<Snapshot>,
    ) -> Result<Snapshot, Snapshot> {
        let mut current = self.load();
        loop {
            let Some(next) = change(current) else {
                return Err(current);
            };
            let success = if weakened("word-update") {
                Ordering::Relaxed
            } else {
                // Release: pairs with the Acquire here and in `load`: the outcome, or a pushed node, is published.
                // Acquire: whoever takes the list reads its nodes.
                Ordering::AcqRel
            };
            // Acquire on failure: as in `load`.
            match self
                .0
                .compare_exchange_weak(current.0, next.0, success, Ordering::Acquire)
            {
                Ok(_) => return Ok(current),
                Err(other) => current = Snapshot(other),
            }
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn tags_do_not_disturb_each_other_nor_the_list() {
        let node: *mut Node = std::ptr::without_provenance_mut(0x1230);
        for phase in [Phase::Pending, Phase::Running, Phase::Settled] {
            let word = Snapshot(std::ptr::null_mut())
                .with_list(node)
                .with_phase(phase);
            assert_eq!((word.phase(), word.list()), (phase, node));
            assert!(!word.is_requested() && !word.has_side());
            let word = word.with_request(true).with_side();
            assert!(word.is_requested() && word.has_side());
            assert_eq!((word.phase(), word.list()), (phase, node));
            let word = word.with_request(false).with_list(std::ptr::null_mut());
            assert!(!word.is_requested() && word.has_side() && word.list().is_null());
            assert_eq!(word.phase(), phase);
        }
    }
}
