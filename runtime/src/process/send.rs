//! Delivering an event to a process.

use super::arena::arena;
use super::dead_letters::bury;
use super::event::{EventBox, Message, MessageEvent};
use super::slot::{Delivery, Slot};
use super::upid::Route;
use super::{RawPid, Recipient, current_manager, directory};
use crate::scheduler::{Scheduler, Worker};

/// Delivers an event, in a worker's thread or any other. False if it became a dead letter.
#[inline]
pub(crate) fn deliver(pid: RawPid, event: EventBox) -> bool {
    settle(pid, arena().slot(pid).push(pid, event))
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
    }
}

/// As `deliver`, knowing the worker.
#[inline]
pub(super) fn deliver_from(worker: &Worker, pid: RawPid, event: EventBox) -> bool {
    match arena().slot(pid).push(pid, event) {
        Delivery::Queued => true,
        Delivery::Schedule(slot) => {
            schedule(slot, Some(worker));
            true
        }
        Delivery::Dead(event) => {
            bury(pid, event);
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
    let (runnable, scheduler) =
        unsafe { (slot.runnable(), std::ptr::from_ref::<Scheduler>((*slot.manager()).scheduler())) };
    match worker {
        Some(worker) if std::ptr::eq(&raw const **worker.scheduler(), scheduler) => {
            worker.enqueue(runnable);
        }
        // SAFETY: as above.
        _ => unsafe { Scheduler::enqueue_from_outside(scheduler, runnable) },
    }
}

/// Sends a message to whoever `to` names. False if it became a dead letter.
#[inline]
pub(crate) fn send(to: impl Recipient, message: Message, worker: Option<&Worker>) -> bool {
    to.with_route(|route| match route.0 {
        Route::Local(pid) => {
            let event = MessageEvent::allocate(message);
            match worker {
                Some(worker) => deliver_from(worker, pid, event),
                None => deliver(pid, event),
            }
        }
        Route::Nobody => send_to_nobody(&to.to_upid(), message),
        Route::Addressed { .. } => match resolve(&to.to_upid()) {
            Some(pid) => deliver(pid, MessageEvent::allocate(message)),
            None => send_to_nobody(&to.to_upid(), message),
        },
    })
}

/// The local process that an address names, if the address is the current runtime's.
pub(crate) fn resolve(upid: &super::Upid) -> Option<RawPid> {
    match upid.route() {
        Route::Local(pid) => Some(pid),
        Route::Nobody => None,
        Route::Addressed { id, address } => current_manager(|manager| {
            let find = |manager: &super::manager::ProcessManager| {
                (manager.address() == address).then(|| directory::find(manager, id)).flatten()
            };
            match manager {
                Some(manager) => find(manager),
                None => find(crate::runtime::Runtime::default_runtime().manager()),
            }
        }),
    }
}

/// A message to nobody, or to an address that this runtime cannot reach: a dead letter.
#[cold]
fn send_to_nobody(to: &super::Upid, message: Message) -> bool {
    let event = MessageEvent::allocate(message);
    current_manager(|manager| match manager {
        Some(manager) => manager.dead_letters().record(to.clone(), &event),
        None => crate::runtime::Runtime::default_runtime()
            .manager()
            .dead_letters()
            .record(to.clone(), &event),
    });
    false
}
