//! Who waits for room in a full mailbox: first come, first served. `tenancy` has the protocol.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

use super::arena::arena;
use super::resume::guarded;
use super::slot::Slot;
use super::tenancy::Take;
use super::{RawPid, Upid};
use crate::future::{Future, MailboxFull, Promise};

/// What a waiter is told, once; dropped, the process has ended.
pub(crate) enum Told {
    /// A credit is his.
    Granted,
    /// He asked not to wait any longer.
    GivenUp,
}

pub(crate) type Waiter = Box<dyn FnOnce(Told) + Send>;

/// Waiters under tickets that only ever grow, so that the map is a queue from which any entry leaves in O(log n). Belongs to the ties, under their lock.
#[derive(Default)]
pub(crate) struct Room {
    waiting: BTreeMap<u64, Waiter>,
    next_ticket: u64,
}

impl Room {
    pub(super) fn enter(&mut self, waiter: impl FnOnce(u64) -> Waiter) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, waiter(ticket));
    }

    pub(super) fn first(&mut self) -> Option<Waiter> {
        self.waiting.pop_first().map(|(_, waiter)| waiter)
    }

    pub(super) fn remove(&mut self, ticket: u64) -> Option<Waiter> {
        self.waiting.remove(&ticket)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Room for one event in a mailbox, that nobody else can take.
pub(super) struct RawPermit {
    pid: RawPid,
    /// Whether there is a credit to give back: not where the mailbox has no bound.
    paid: bool,
}

impl RawPermit {
    /// Room for an event, if there is some now.
    pub(super) fn take(pid: RawPid) -> Result<Self, Take> {
        let slot = arena().find(pid).ok_or(Take::Ended)?;
        match slot.take_credit(pid) {
            Take::Taken => Ok(Self { pid, paid: true }),
            Take::Unbounded => Ok(Self { pid, paid: false }),
            refused => Err(refused),
        }
    }

    /// Gives up the permit, for an event that is pushed with its credit: true if it has one.
    pub(super) fn spend(self) -> bool {
        std::mem::ManuallyDrop::new(self).paid
    }
}

impl Drop for RawPermit {
    fn drop(&mut self) {
        if !self.paid {
            return;
        }
        // Thousands may wait whose callbacks do nothing with their permits: the stack is not for that.
        let is_deep = GRANTING.get() >= DEPTH;
        if is_deep
            && LEFT
                .try_with(|left| left.borrow_mut().push(self.pid))
                .is_ok()
        {
            return;
        }
        give_back(arena().slot(self.pid), self.pid);
    }
}

/// How deep grants nest, of which each runs a callback that drops its permit. Not 0: a callback may block until the next has room, if it
/// is less deep than this.
const DEPTH: u32 = 16;

thread_local! {
    static GRANTING: Cell<u32> = const { Cell::new(0) };
    /// Credits that the outermost grant of this thread is to give back.
    static LEFT: RefCell<Vec<RawPid>> = const { RefCell::new(Vec::new()) };
}

/// Gives a credit back, and tells whoever waited for it.
pub(super) fn give_back(slot: &Slot, pid: RawPid) {
    if let Some(waiter) = slot.give_back(pid) {
        grant(waiter);
    }
}

#[cold]
fn grant(waiter: Waiter) {
    let depth = GRANTING.replace(GRANTING.get() + 1);
    // Its callbacks are not those of whoever has made room.
    let tell = |waiter: Waiter| {
        let _reported = guarded("a callback of a reservation", || waiter(Told::Granted));
    };
    tell(waiter);
    // A thread that ends may have none left.
    while depth == 0
        && let Ok(Some(pid)) = LEFT.try_with(|left| left.borrow_mut().pop())
    {
        if let Some(waiter) = arena().slot(pid).give_back(pid) {
            tell(waiter);
        }
    }
    GRANTING.set(depth);
}

/// A future of room for one event, made a value by `permit`. Abandoned if the process has ended, or ends first.
pub(super) fn reserve<T: Send + 'static>(
    pid: RawPid,
    permit: impl FnOnce(RawPermit) -> T + Send + 'static,
) -> Future<T> {
    match RawPermit::take(pid) {
        Ok(raw) => return Future::ready(permit(raw)),
        Err(Take::Full) => {}
        Err(_) => return abandoned(),
    }
    let (promise, future) = Promise::pair();
    let mut parts = Some((promise, permit));
    let take = arena().slot(pid).take_or_wait(pid, |ticket| {
        // Nobody has the future yet, so no foreign code runs here, under the lock.
        future.on_cancelled(move || stop_waiting(pid, ticket));
        let parts = parts.take();
        Box::new(move |told| {
            let Some((promise, permit)) = parts else {
                return;
            };
            match told {
                Told::Granted => promise.set(permit(RawPermit { pid, paid: true })),
                Told::GivenUp => promise.discard(),
            };
        })
    });
    if let (Take::Taken, Some((promise, permit))) = (take, parts) {
        promise.set(permit(RawPermit { pid, paid: true }));
    }
    future
}

/// What nobody will ever complete.
pub(super) fn abandoned<T>() -> Future<T> {
    let (_abandoned, future) = Promise::pair();
    future
}

fn stop_waiting(pid: RawPid, ticket: u64) {
    if let Some(waiter) = arena().slot(pid).stop_waiting(pid, ticket) {
        waiter(Told::GivenUp);
    }
}

impl MailboxFull {
    pub(super) fn of(pid: RawPid) -> Self {
        Self {
            process: RawPid::to_bits(Some(pid)),
        }
    }

    /// The process.
    pub fn process(self) -> Upid {
        RawPid::from_bits(self.process).map_or_else(Upid::nobody, Upid::local)
    }
}

impl fmt::Display for MailboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the mailbox of {} is full", self.process().known())
    }
}

impl fmt::Debug for MailboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxFull({})", self.process().known())
    }
}

impl std::error::Error for MailboxFull {}
