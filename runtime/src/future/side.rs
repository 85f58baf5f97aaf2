//! What waits in a core beside its callbacks: wakers, and callbacks for a discard request.
//!
//! These are taken out again (a waiter gives up, a request is made before the outcome), which a lock-free list does not
//! allow, so they stand in a small table under a mutex that is never held while foreign code runs. Who never waits and
//! never looks at discards never locks it: a bit of the core's word says whether anything is there.
//!
//! The protocol, the same for both: *enter, then set the bit, then look at the word once more*. Whoever ends the wait (the completer, the
//! discarder) changes the word first and looks at the table afterwards, if the bit was set. So either it finds the entry, or
//! whoever entered it sees the changed word, and takes the entry out himself.

use std::task::Waker;

/// Runs when a discard is requested.
pub(super) struct DiscardCallback {
    pub(super) callback: Box<dyn FnOnce() + Send>,
    /// Whether it also runs when the last future is dropped.
    pub(super) when_unwatched: bool,
}

#[derive(Default)]
pub(super) struct Side {
    /// The first waiter stands here: most futures have one at most.
    first: Option<(u32, Waker)>,
    more: Option<Box<More>>,
    last_ticket: u32,
}

#[derive(Default)]
struct More {
    wakers: Vec<(u32, Waker)>,
    discards: Vec<DiscardCallback>,
}

impl Side {
    /// Keeps a waker under a ticket, never zero. `previous` is a ticket that the caller may still have: its waker is replaced, and given back
    /// with the new one if they wake the same, to be dropped outside of the lock.
    pub(super) fn keep(&mut self, previous: u32, waker: Waker) -> (u32, Option<Waker>) {
        if previous != 0
            && let Some(known) = self.waker_of(previous)
        {
            return (previous, Some(std::mem::replace(known, waker)));
        }
        self.last_ticket = self.last_ticket.checked_add(1).unwrap_or(1);
        let ticket = self.last_ticket;
        if self.first.is_none() {
            self.first = Some((ticket, waker));
        } else {
            self.more
                .get_or_insert_default()
                .wakers
                .push((ticket, waker));
        }
        (ticket, None)
    }

    fn waker_of(&mut self, ticket: u32) -> Option<&mut Waker> {
        if let Some((known, waker)) = &mut self.first
            && *known == ticket
        {
            return Some(waker);
        }
        let wakers = &mut self.more.as_mut()?.wakers;
        let found = wakers.iter_mut().find(|(known, _)| *known == ticket);
        found.map(|(_, waker)| waker)
    }

    /// Takes a waker out.
    pub(super) fn forget(&mut self, ticket: u32) -> Option<Waker> {
        if self
            .first
            .as_ref()
            .is_some_and(|(known, _)| *known == ticket)
        {
            return self.first.take().map(|(_, waker)| waker);
        }
        let wakers = &mut self.more.as_mut()?.wakers;
        let index = wakers.iter().position(|(known, _)| *known == ticket)?;
        Some(wakers.swap_remove(index).1)
    }

    pub(super) fn on_discard(&mut self, callback: DiscardCallback) {
        self.more.get_or_insert_default().discards.push(callback);
    }

    /// Takes the callbacks for a discard request, in the order in which they came.
    pub(super) fn take_discards(&mut self) -> Vec<DiscardCallback> {
        self.more
            .as_mut()
            .map(|more| std::mem::take(&mut more.discards))
            .unwrap_or_default()
    }

    pub(super) fn take_all(&mut self) -> Self {
        Self {
            last_ticket: self.last_ticket,
            ..std::mem::replace(
                self,
                Self {
                    last_ticket: self.last_ticket,
                    ..Self::default()
                },
            )
        }
    }

    /// The wakers, in no order.
    pub(super) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        let more = self.more.map(|more| more.wakers).unwrap_or_default();
        self.first.into_iter().chain(more).map(|(_, waker)| waker)
    }
}
