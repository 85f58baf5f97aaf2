//! The role of a thread that waits in line: it may look at its turn, or leave.
//!
//! A value of this type exists from the moment the thread has joined the list to the moment its
//! turn is over. Both ways to end a turn consume or follow it, so no thread can forget that it is
//! on the list: dropped in the middle, when a parker panics, it leaves the list, too.

use super::semaphore::LifoFixedSizeSemaphore;
use super::slot::Turn;
use super::waiters::Waiter;
use crate::semaphore::{Semaphore, Wakeup};
use crate::sync::{spin_until, usable_in_drop, weakened};
use std::cell::Cell;

pub(super) struct Waiting<'a> {
    semaphore: &'a LifoFixedSizeSemaphore,
    index: u32,
    turn: Turn,
    /// Whether the end of the turn was seen: then somebody else took the thread off the list.
    over: Cell<bool>,
}

impl<'a> Waiting<'a> {
    /// The calling thread is on the list, in slot `index`, and `turn` has begun.
    pub(super) fn new(semaphore: &'a LifoFixedSizeSemaphore, index: u32, turn: Turn) -> Self {
        Waiting {
            semaphore,
            index,
            turn,
            over: Cell::new(false),
        }
    }

    /// How the turn ended, or `None` if it goes on.
    pub(super) fn outcome(&self) -> Option<Wakeup> {
        let outcome = self.semaphore.slot(self.index).outcome(self.turn);
        if outcome.is_some() {
            self.over.set(true);
        }
        outcome
    }

    /// As [`outcome`](Self::outcome), but looks up to `spin` times more while the turn goes on.
    pub(super) fn outcome_within(&self, spin: u32) -> Option<Wakeup> {
        let mut outcome = None;
        spin_until(spin, || {
            outcome = self.outcome();
            outcome.is_some()
        });
        outcome
    }

    /// Leaves the list. If a signaller or a decommissioning was first, says which.
    pub(super) fn leave(&self) -> Option<Wakeup> {
        let mut waiters = self.semaphore.lock();
        let outcome = self.outcome();
        if outcome.is_some() {
            return if weakened("leave-looks") {
                None
            } else {
                outcome
            };
        }
        let Waiter { parker, .. } = waiters.remove(self.index);
        self.semaphore.slot(self.index).leave(self.turn);
        self.semaphore.state().retire(&mut waiters);
        self.over.set(true);
        drop(waiters);
        // After the lock is free: it may be the last one, and what its drop does is not ours.
        drop(parker);
        None
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.over.get() || !usable_in_drop() {
            return;
        }
        // The parker panicked. A signal that was given to this thread would be lost with it.
        if let Some(Wakeup::Signalled) = self.leave() {
            self.semaphore.signal();
        }
    }
}
