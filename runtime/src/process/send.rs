//! Delivering an event to a process.

use std::borrow::Cow;

use bytes::Bytes;

use super::arena::arena;
use super::dead_letters::{DeadLetterReason, bury, refuse};
use super::event::{EventBox, MessageEvent, SentAt};
use super::manager::ProcessManager;
use super::room::RawPermit;
use super::slot::{Delivery, Slot};
use super::upid::Route;
use super::{RawPid, Recipient, Upid, directory};
use crate::clock;
use crate::scheduler::{Scheduler, Worker};

/// Delivers an event, in a worker's thread or any other. False if it became a dead letter.
#[inline]
pub(crate) fn deliver(pid: RawPid, event: EventBox) -> bool {
    if clock::anything_is_carried() {
        return deliver_carrying(pid, event);
    }
    let slot = arena().slot(pid);
    // Two ways, so that what an unbounded mailbox cannot answer is not asked of it.
    if slot.is_unbounded(pid) {
        settle(pid, slot.push_unbounded(pid, event))
    } else {
        deliver_bounded(slot, pid, event)
    }
}

/// As `deliver`, where the process has a bound, or has ended.
#[cold]
#[inline(never)]
fn deliver_bounded(slot: &Slot, pid: RawPid, event: EventBox) -> bool {
    settle(pid, slot.push_bounded(pid, event, SentAt::UNTOLD))
}

/// As `deliver`, while events carry something.
#[cold]
#[inline(never)]
fn deliver_carrying(pid: RawPid, event: EventBox) -> bool {
    let sent_at = carry(pid);
    settle(pid, arena().slot(pid).push(pid, event, sent_at))
}

/// An event is about to be sent: gives its receiver what it carries beside itself, and says what it is to carry.
#[inline]
pub(super) fn carry(pid: RawPid) -> SentAt {
    if clock::anything_is_carried() {
        carry_something(pid)
    } else {
        SentAt::UNTOLD
    }
}

#[cold]
#[inline(never)]
fn carry_something(pid: RawPid) -> SentAt {
    if clock::any_paused() {
        super::times::carry(pid);
    }
    if clock::any_measured() {
        SentAt::now()
    } else {
        SentAt::UNTOLD
    }
}

/// As `deliver`, also into a full mailbox: for what a process is owed, such as what it asked to be called with later.
#[inline]
pub(crate) fn deliver_owed(pid: RawPid, mut event: EventBox) -> bool {
    event.exempt();
    deliver(pid, event)
}

/// As `deliver`, with room that was reserved.
pub(super) fn deliver_reserved(permit: RawPermit, pid: RawPid, event: EventBox) -> bool {
    if !permit.spend() {
        return deliver(pid, event);
    }
    let sent_at = carry(pid);
    settle(pid, arena().slot(pid).push_paid(pid, event, sent_at))
}

/// Does what a push asks for. False if the event became a dead letter.
#[inline]
pub(super) fn settle(pid: RawPid, delivery: Delivery<'_>) -> bool {
    match delivery {
        Delivery::Queued => true,
        Delivery::Schedule(slot) => {
            Worker::with_current(|worker| schedule(slot, worker));
            true
        }
        Delivery::Dead(event) => {
            bury(pid, event);
            false
        }
        Delivery::Full(event) => {
            refuse(pid, event);
            false
        }
    }
}

/// Passes the token of a slot, which the caller holds, to the tenant's runtime.
#[inline]
pub(super) fn schedule(slot: &Slot, worker: Option<&Worker>) {
    // SAFETY: every slot that is scheduled is the static arena's, so it lives for ever; the caller holds the token.
    let slot: &'static Slot = unsafe { &*std::ptr::from_ref(slot) };
    // SAFETY: the caller holds the token; until it is enqueued the tenant cannot end, so its runtime is there.
    let (runnable, scheduler) = unsafe {
        (
            slot.runnable(),
            std::ptr::from_ref::<Scheduler>((*slot.manager()).scheduler()),
        )
    };
    match worker {
        Some(worker) if worker.is_of(scheduler) => worker.enqueue_new(runnable),
        // SAFETY: as above.
        _ => unsafe { Scheduler::enqueue_from_outside(scheduler, runnable) },
    }
}

/// Sends a message to whoever `to` names.
#[inline(always)]
pub(crate) fn send(
    to: impl Recipient,
    name: impl Into<Cow<'static, str>>,
    from: Upid,
    body: impl Into<Bytes>,
) {
    let event = MessageEvent::allocate(name, from, body);
    match to.local_pid() {
        Some(pid) => deliver(pid.0, event),
        None => send_elsewhere(&to.to_upid(), event),
    };
}

/// Sends a message to a text address: of this runtime, or one that cannot be reached, which makes it a dead letter.
#[cold]
#[inline(never)]
pub(super) fn send_elsewhere(to: &Upid, event: EventBox) -> bool {
    match resolve(to) {
        Some(pid) => deliver(pid, event),
        None => {
            super::current::with_runtime(|manager| {
                if let Some(manager) = manager {
                    manager
                        .dead_letters()
                        .record(to.clone(), &event, DeadLetterReason::Nobody);
                }
            });
            false
        }
    }
}

/// The local process that an address names, if the address is the current runtime's.
pub(crate) fn resolve(upid: &Upid) -> Option<RawPid> {
    match upid.as_local() {
        Some(pid) => Some(pid),
        None => super::current::with_runtime(|manager| resolve_in(manager?, upid)),
    }
}

/// The local process that an address names, if the address is that runtime's.
pub(crate) fn resolve_in(manager: &ProcessManager, upid: &Upid) -> Option<RawPid> {
    match upid.route() {
        Route::Local(pid) => Some(pid),
        Route::Addressed { id, address } if manager.is_at(address) => directory::find(manager, id),
        Route::Nobody | Route::Addressed { .. } => None,
    }
}
