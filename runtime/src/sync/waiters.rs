//! Who waits: first come, first served, and each may leave at any time.
//!
//! An object keeps its waiters in its state, under its lock. A waiter is a promise (and what the object needs to know of it) under a *ticket*, a number
//! that only ever grows. Whoever takes the promise out, under the lock, is the one who completes it: the object, when it is the waiter's
//! turn, or the waiter's own cancellation. So each promise is completed once, and a cancellation that comes too late finds nothing.
//!
//! Weighed against a list that leaves out the discarded when it gets to them, as libprocess's: there, a lock that is held for long
//! keeps every waiter that ever gave up.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::future::{Future, Promise};

/// Tickets are in order of arrival, so the map is a queue from which any entry leaves in O(log n).
pub(super) struct Waiters<W> {
    waiting: BTreeMap<u64, W>,
    /// Never wraps: at one ticket a nanosecond it lasts for centuries.
    next_ticket: u64,
}

impl<W> Waiters<W> {
    pub(super) const fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    /// A ticket behind all others.
    pub(super) fn ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }

    /// Lets `waiter` wait under a ticket that was just given.
    pub(super) fn insert(&mut self, ticket: u64, waiter: W) {
        let before = self.waiting.insert(ticket, waiter);
        debug_assert!(before.is_none(), "a ticket is used once");
    }

    /// Lets somebody wait: gives him a future, keeps its promise as `waiter` wraps it, and has `cancel` called with the ticket if he gives up.
    ///
    /// For callers that hold the object's lock: nobody has the future yet, so no foreign code runs here, and `cancel` not before it is returned.
    pub(super) fn enter<T>(
        &mut self,
        waiter: impl FnOnce(Promise<T>) -> W,
        cancel: impl FnOnce(u64) + Send + 'static,
    ) -> Future<T> {
        let (promise, future) = Promise::pair();
        let ticket = self.ticket();
        future.on_cancelled(move || cancel(ticket));
        self.insert(ticket, waiter(promise));
        future
    }

    pub(super) fn front(&self) -> Option<&W> {
        self.waiting.first_key_value().map(|(_, waiter)| waiter)
    }

    pub(super) fn pop_front(&mut self) -> Option<W> {
        self.pop_front_with_ticket().map(|(_, waiter)| waiter)
    }

    pub(super) fn pop_front_with_ticket(&mut self) -> Option<(u64, W)> {
        self.waiting.pop_first()
    }

    pub(super) fn remove(&mut self, ticket: u64) -> Option<W> {
        self.waiting.remove(&ticket)
    }

    /// All of them, in order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = W> + use<W> {
        std::mem::take(&mut self.waiting).into_values()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// A cancellation that does not keep the object alive: the object has the promise, which has the cancellation.
pub(super) fn weakly<S: Send + Sync + 'static>(
    shared: &Arc<S>,
    cancel: fn(&Arc<S>, u64),
) -> impl FnOnce(u64) + Send + 'static {
    let weak = Arc::downgrade(shared);
    move |ticket| {
        if let Some(shared) = weak.upgrade() {
            cancel(&shared, ticket);
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn they_leave_in_order_or_at_any_time() {
        let mut waiters = Waiters::new();
        for name in ["a", "b", "c", "d"] {
            let ticket = waiters.ticket();
            waiters.insert(ticket, name);
        }
        assert_eq!(waiters.remove(1), Some("b"));
        assert_eq!(waiters.remove(1), None, "once");
        assert_eq!(waiters.front(), Some(&"a"));
        assert_eq!(waiters.pop_front_with_ticket(), Some((0, "a")));
        assert_eq!(
            waiters.remove(0),
            None,
            "whoever comes too late finds nothing"
        );
        assert_eq!(waiters.len(), 2);
        assert!(waiters.take_all().eq(["c", "d"]));
        assert!(waiters.is_empty());
        assert_eq!(waiters.ticket(), 4, "no ticket is given twice");
    }
}
