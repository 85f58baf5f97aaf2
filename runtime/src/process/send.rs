//! Delivering an event to a process.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;

use super::arena::arena;
use super::dead_letters::{DeadLetterReason, bury, refuse};
use super::event::{EventBox, Message, MessageEvent, SentAt};
use super::manager::ProcessManager;
use super::room::RawPermit;
use super::slot::{Delivery, Slot};
use super::transport::Transport;
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
            // What its turn needs first: who is woken by I/O, one of a thousand, is in no cache.
            slot.fetch_for_turn();
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
    match to.local_pid() {
        Some(pid) => deliver(pid.0, MessageEvent::allocate(name, from, body)),
        None => {
            let (name, body) = (name.into(), body.into());
            send_elsewhere(&to.to_upid(), Message { name, from, body }.into())
        }
    };
}

/// Sends a message to a text address: of the current runtime, or of another. False if it is a dead letter.
#[cold]
#[inline(never)]
pub(super) fn send_elsewhere(to: &Upid, event: MessageEvent) -> bool {
    if let Some(pid) = to.as_local() {
        return deliver(pid, event.into_box());
    }
    super::current::with_runtime(|manager| match manager {
        Some(manager) => send_by(manager, to, event, false),
        None => false,
    })
}

/// As `send_elsewhere`, as that runtime sees the address. `has_room`: room among what it sends elsewhere was reserved.
pub(crate) fn send_by(
    manager: &ProcessManager,
    to: &Upid,
    event: MessageEvent,
    has_room: bool,
) -> bool {
    let (message, reason) = match elsewhere_of(manager, to) {
        Some((transport, to)) => {
            match transport.send(manager, to, event.into_message(), has_room) {
                Ok(()) => return true,
                Err(refused) => refused,
            }
        }
        None => match resolve_in(manager, to) {
            Some(pid) => return deliver(pid, event.into_box()),
            None => (event.into_message(), DeadLetterReason::Nobody),
        },
    };
    let event = MessageEvent::from(message).into_box();
    manager.dead_letters().record(to.clone(), &event, reason);
    false
}

fn elsewhere_of<'a>(
    manager: &'a ProcessManager,
    to: &'a Upid,
) -> Option<(&'a dyn Transport, (&'a str, SocketAddr))> {
    match to.route() {
        Route::Addressed { id, address } if !manager.is_at(address) => {
            Some((manager.transport()?, (id, address)))
        }
        _ => None,
    }
}

/// Who is at an address of another runtime, as that runtime sees it, or else the current one.
pub(super) fn elsewhere<R>(
    by: Option<&ProcessManager>,
    to: &Upid,
    f: impl FnOnce(&ProcessManager, &dyn Transport, (&str, SocketAddr)) -> R,
) -> Option<R> {
    let f = |manager: &ProcessManager| {
        let (transport, to) = elsewhere_of(manager, to)?;
        Some(f(manager, transport, to))
    };
    match by {
        Some(manager) => f(manager),
        None => super::current::with_runtime(|manager| f(manager?)),
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
