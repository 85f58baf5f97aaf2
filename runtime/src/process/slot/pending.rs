//! What the token holder does with what is pending, beside serving it in turn.

use libprocess_queues::event::{Batch, EventQueue};

use super::Slot;
use crate::process::event::{EventBox, EventKind};

impl Slot {
    /// How many of the events that were taken out of the mailbox wait for this generation: all are marked as counted, so that who takes one
    /// out knows whether it was among them. O(as many).
    ///
    /// # Safety
    ///
    /// The caller holds the token.
    pub(crate) unsafe fn count_batch(&self, generation: u32) -> usize {
        // SAFETY: by the contract; the borrow ends with the call.
        self.token.side.with(|side| unsafe {
            (*side)
                .batch
                .iter()
                .filter(|header| header.count(generation))
                .count()
        })
    }

    /// Takes the first Terminate event of this generation out of what is pending.
    ///
    /// # Safety
    ///
    /// The caller holds the token.
    pub(crate) unsafe fn take_terminate(&self, generation: u32) -> Option<EventBox> {
        let mut pending = self.pending();
        let mut kept = Batch::new();
        let mut found = None;
        while let Some(event) = pending.pop_front() {
            if found.is_none()
                && event.kind() == EventKind::Terminate
                && event.generation() == generation
            {
                found = Some(event);
            } else {
                kept.push_back(event);
            }
        }
        // SAFETY: by the contract; `pending` left an empty batch there.
        self.token
            .side
            .with_mut(|side| unsafe { (*side).batch = kept });
        found
    }

    /// How many events of a kind are pending for this generation. O(pending).
    ///
    /// # Safety
    ///
    /// The caller holds the token.
    pub(crate) unsafe fn count_pending(&self, generation: u32, kind: EventKind) -> usize {
        let pending = self.pending();
        let count = pending
            .iter()
            .filter(|header| header.kind_for() == (kind, generation))
            .count();
        // SAFETY: by the contract; `pending` left an empty batch there.
        self.token
            .side
            .with_mut(|side| unsafe { (*side).batch = pending });
        count
    }

    /// All that is pending, oldest first, leaving nothing.
    pub(super) fn pending(&self) -> Batch<EventBox> {
        // SAFETY: called by token holders only; the borrow ends with the call.
        let mut pending = self
            .token
            .side
            .with_mut(|side| unsafe { std::mem::take(&mut (*side).batch) });
        pending.append(self.mailbox.take());
        pending
    }
}
