//! The word that a waiter looks at while it waits: whose turn it is, and how the turn ended.
//!
//! A slot is written only under the list's mutex. The thread whose turn it is reads it without.

use crate::semaphore::Wakeup;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::weakened;
use std::fmt;

/// One wait of one thread in a slot, and how far it is.
///
/// | bits | name | meaning |
/// |---|---|---|
/// | 0–1 | `PHASE` | `LEFT`, `WAITING`, `SIGNALLED` or `DECOMMISSIONED` |
/// | 2–63 | `TICKET` | the number of the turn, which no other turn in this semaphore has |
///
/// At a billion turns a second the tickets last for 146 years.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Turn {
    const PHASE: u64 = 0b11;
    const TICKET: u64 = !Turn::PHASE;
    const TICKET_SHIFT: u32 = Turn::PHASE.count_ones();

    /// Nobody waits here: not yet, or the last one left by itself.
    const LEFT: u64 = 0;
    const WAITING: u64 = 1;
    const SIGNALLED: u64 = 2;
    const DECOMMISSIONED: u64 = 3;

    /// The turn with this ticket, at its beginning.
    pub(super) fn waiting(ticket: u64) -> Turn {
        debug_assert!(
            ticket <= Turn::TICKET >> Turn::TICKET_SHIFT,
            "out of tickets"
        );
        Turn(ticket << Turn::TICKET_SHIFT | Turn::WAITING)
    }

    fn phase(self) -> u64 {
        self.0 & Turn::PHASE
    }

    fn ticket(self) -> u64 {
        (self.0 & Turn::TICKET) >> Turn::TICKET_SHIFT
    }

    fn with_phase(self, phase: u64) -> Turn {
        debug_assert!(phase & Turn::TICKET == 0);
        Turn(self.0 & Turn::TICKET | phase)
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase() {
            Turn::LEFT => "left",
            Turn::WAITING => "waiting",
            Turn::SIGNALLED => "signalled",
            _ => "decommissioned",
        };
        f.debug_struct("Turn")
            .field("ticket", &self.ticket())
            .field("phase", &phase)
            .finish()
    }
}

pub(super) struct Slot(AtomicU64);

impl Slot {
    pub(super) fn new() -> Self {
        Slot(AtomicU64::new(Turn::waiting(0).with_phase(Turn::LEFT).0))
    }

    /// Begins a turn, under the mutex, in a slot that was free.
    pub(super) fn begin(&self, turn: Turn) {
        debug_assert_eq!(turn.phase(), Turn::WAITING);
        // Release: pairs with the Acquire in `outcome` of the tenant before, which learns from
        // this that it was signalled, and must see what its signaller wrote. That signaller
        // freed the slot under the mutex, so this thread has seen it.
        self.0.store(turn.0, Release);
    }

    /// Ends the turn that waits here, under the mutex, for somebody else.
    pub(super) fn end(&self, turn: Turn, wakeup: Wakeup) {
        let phase = match wakeup {
            Wakeup::Signalled => Turn::SIGNALLED,
            Wakeup::Decommissioned => Turn::DECOMMISSIONED,
            Wakeup::Deadline | Wakeup::Interrupted => unreachable!("only the waiter itself leaves"),
        };
        let order = if weakened("end-release") {
            Relaxed
        } else {
            Release
        };
        // Release: pairs with the Acquire in `outcome`.
        self.0.store(turn.with_phase(phase).0, order);
    }

    /// Ends the turn of the calling thread, under the mutex.
    pub(super) fn leave(&self, turn: Turn) {
        // Relaxed: nobody but the thread itself looks at its turn, and it will not look again.
        self.0.store(turn.with_phase(Turn::LEFT).0, Relaxed);
    }

    /// How `turn` ended, or `None` if it goes on.
    pub(super) fn outcome(&self, turn: Turn) -> Option<Wakeup> {
        // Acquire: pairs with the Release in `end`, or in `begin` of the next tenant.
        let now = Turn(self.0.load(Acquire));
        if now.ticket() != turn.ticket() && !weakened("outcome-compares-tickets") {
            // The slot has a new tenant, so the turn was ended by a signaller: there are no new
            // tenants after a decommissioning, and a thread that left does not ask.
            return Some(Wakeup::Signalled);
        }
        match now.phase() {
            Turn::WAITING => None,
            Turn::SIGNALLED => Some(Wakeup::Signalled),
            Turn::DECOMMISSIONED => Some(Wakeup::Decommissioned),
            _ => unreachable!("a thread that left still looks at its turn: {now:?}"),
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn masks_are_disjoint_and_cover_the_word() {
        assert_eq!(Turn::PHASE & Turn::TICKET, 0);
        assert_eq!(Turn::PHASE | Turn::TICKET, u64::MAX);
        for phase in [
            Turn::LEFT,
            Turn::WAITING,
            Turn::SIGNALLED,
            Turn::DECOMMISSIONED,
        ] {
            assert_eq!(phase & !Turn::PHASE, 0);
        }
    }

    #[test]
    fn packs_and_unpacks() {
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..10_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let ticket = random >> Turn::TICKET_SHIFT;
            for phase in [
                Turn::LEFT,
                Turn::WAITING,
                Turn::SIGNALLED,
                Turn::DECOMMISSIONED,
            ] {
                let turn = Turn::waiting(ticket).with_phase(phase);
                assert_eq!((turn.ticket(), turn.phase()), (ticket, phase), "{turn:?}");
            }
        }
    }

    #[test]
    fn debug_unpacks() {
        assert_eq!(
            format!("{:?}", Turn::waiting(7)),
            r#"Turn { ticket: 7, phase: "waiting" }"#
        );
    }

    #[test]
    fn a_turn_ends_as_it_was_ended() {
        let slot = Slot::new();
        let turn = Turn::waiting(1);
        slot.begin(turn);
        assert_eq!(slot.outcome(turn), None);
        slot.end(turn, Wakeup::Decommissioned);
        assert_eq!(slot.outcome(turn), Some(Wakeup::Decommissioned));
    }

    #[test]
    fn a_new_tenant_tells_the_old_one_that_it_was_signalled() {
        let slot = Slot::new();
        let (first, second) = (Turn::waiting(1), Turn::waiting(2));
        slot.begin(first);
        slot.end(first, Wakeup::Signalled);
        slot.begin(second);
        assert_eq!(slot.outcome(first), Some(Wakeup::Signalled));
        assert_eq!(slot.outcome(second), None);
        slot.leave(second);
        assert_eq!(slot.outcome(first), Some(Wakeup::Signalled));
    }
}
