//! Who waits for something that comes, and the operation that brings it: readers and a receive, or acceptors and an accept.

use std::sync::Arc;
use std::task::Waker;

use super::queue::Queue;
use super::socket::{Begun, Home};
use crate::future::{Cancel, Future, Outcome, Promise, cancellable};
use crate::process::guarded;

/// Completes a promise, in whatever thread has found out. A panic in a callback is its own: what is to be done behind it, for this socket and others, is done.
pub(super) fn settle<T>(promise: Promise<T>, outcome: Outcome<T>) {
    let _reported = guarded("a callback of a socket's future", || {
        promise.settle(outcome)
    });
}

/// Promises in the order in which they were asked for, each of which may be taken out by its number.
pub(super) struct Waiting<T> {
    promises: Queue<(u64, Promise<T>)>,
    next: u64,
    /// Somebody waits without a promise, and is to be woken: the poller.
    is_watched: bool,
    poller: Option<Waker>,
    supply: Supply,
}

/// The operation that brings what is waited for.
#[derive(Clone, Copy)]
enum Supply {
    /// None is under way.
    No,
    /// One is, or is about to be.
    UnderWay(Begun),
    /// None shall be begun for a while.
    Resting,
    /// Nobody waits any more: none is begun again.
    Closed,
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Self {
        Self {
            promises: Queue::new(),
            next: 0,
            is_watched: false,
            poller: None,
            supply: Supply::No,
        }
    }

    /// A future of what comes next for which nobody waits yet. Who gives it up asks this one to cancel.
    pub(super) fn wait<C: Cancel<T>>(&mut self, of: &Arc<C>) -> Future<T> {
        let (promise, future) = cancellable(of, self.next);
        self.push(promise);
        future
    }

    pub(super) fn push(&mut self, promise: Promise<T>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.promises.push((number, promise));
        number
    }

    /// Who polls waits from here on.
    pub(super) fn watch(&mut self, waker: &Waker) {
        let kept = &mut self.poller;
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
        self.is_watched = true;
    }

    /// Who polls, if he waits and something has come for him: then he waits no more.
    pub(super) fn poller_to_wake(&mut self, has_something: bool) -> Option<Waker> {
        if has_something && std::mem::take(&mut self.is_watched) {
            self.poller.clone()
        } else {
            None
        }
    }

    /// To be dropped once the lock is let go.
    pub(super) fn take_poller(&mut self) -> Option<Waker> {
        self.poller.take()
    }

    pub(super) fn pop(&mut self) -> Option<Promise<T>> {
        self.promises.pop().map(|(_, promise)| promise)
    }

    pub(super) fn take(&mut self, number: u64) -> Option<Promise<T>> {
        let taken = self.promises.take_by_key(number, |&(number, _)| number);
        taken.map(|(_, promise)| promise)
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Promise<T>> + use<T> {
        self.promises.take_all().map(|(_, promise)| promise)
    }

    /// Where the caller shall begin the operation, once it has let go of the lock: if somebody waits and none is under way.
    pub(super) fn next_place(&mut self, home: &Home) -> Option<Begun> {
        if self.promises.is_empty() && !self.is_watched || !matches!(self.supply, Supply::No) {
            return None;
        }
        let place = home.place();
        self.supply = Supply::UnderWay(place);
        Some(place)
    }

    /// There was a completion. Gives the operation if it goes on.
    pub(super) fn completed(&mut self, more: bool) -> Option<Begun> {
        let Supply::UnderWay(begun) = self.supply else {
            return None;
        };
        if !more {
            self.supply = Supply::No;
        }
        more.then_some(begun)
    }

    pub(super) fn rest(&mut self) {
        if matches!(self.supply, Supply::No) {
            self.supply = Supply::Resting;
        }
    }

    pub(super) fn end_rest(&mut self) {
        if matches!(self.supply, Supply::Resting) {
            self.supply = Supply::No;
        }
    }

    /// For good. Gives the operation that is to be cancelled.
    pub(super) fn close(&mut self) -> Option<Begun> {
        match std::mem::replace(&mut self.supply, Supply::Closed) {
            Supply::UnderWay(begun) => Some(begun),
            Supply::No | Supply::Resting | Supply::Closed => None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.supply, Supply::Closed)
    }
}
