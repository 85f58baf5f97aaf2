//! The end of a process. `docs/architecture.md` §9 gives the order and its reasons.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::arena::arena;
use super::event::{ExitReason, ExitedEvent};
use super::handlers::Handlers;
use super::manager::ProcessManager;
use super::resume::{Cell, Housing, bury_unserved, guarded, guarded_apart};
use super::slot::{Farewell, Slot};
use super::{Context, Process, RawPid, Upid, current, directory, observe, send, statistics};
use crate::scheduler::Worker;

/// Ends the tenant of a slot. With a message it has panicked, and is not finalized.
///
/// # Safety
///
/// The caller holds the token of the slot and gives it up; the cell is its tenant's, and housed so.
#[cold]
pub(super) unsafe fn end<P: Process, H: Housing<P>>(
    slot: &'static Slot,
    cell: *mut Cell<P>,
    cx: &mut Context<P>,
    worker: &Worker,
    mut panicked: Option<Arc<str>>,
) {
    let pid = slot.pid();
    // SAFETY: the token is ours; the manager stays until this process is counted out.
    let manager = unsafe { &*slot.manager() };
    // Whoever waits for this process from here on, in this thread, would wait for himself.
    current::set_ending(Some(pid));

    if panicked.is_none() {
        current::set_running(Some(pid));
        panicked = guarded("finalize", || {
            // SAFETY: the token is ours.
            observe::finalize(manager, unsafe { &mut (*cell).process }, cx);
        });
        current::set_running(None);
    }

    // SAFETY: the token is ours.
    unsafe { bury_pending(slot) };

    // SAFETY: the mailbox is closed, so there is no other token, and the cell is ours. Its two parts are taken out or dropped once each, before it is freed.
    let (extra, layout) = unsafe {
        (
            (&raw const (*cell).extra).read(),
            H::layout(&(*cell).process),
        )
    };
    let owner = extra.owner;
    match &owner {
        Some(owner) if panicked.is_none() => {
            // SAFETY: as above.
            let process = unsafe { (&raw const (*cell).process).read() };
            owner.put(Ok(process));
        }
        _ => {
            if std::mem::needs_drop::<P>() {
                // Where it is, as it may be large.
                let _reported = guarded("the drop of a process", || {
                    // SAFETY: as above.
                    unsafe { std::ptr::drop_in_place(&raw mut (*cell).process) }
                });
            }
            if let (Some(owner), Some(message)) = (&owner, &panicked) {
                owner.put(Err(Arc::clone(message)));
            }
        }
    }
    // SAFETY: allocated so, by the contract; nothing is left in it.
    unsafe { std::alloc::dealloc(cell.cast(), layout) };
    // Most have nothing of these. If the handle is gone, the first is the drop of the process.
    if owner.is_some() {
        drop_apart("the drop of a process", owner);
    }
    drop_handlers("the drop of a message handler", extra.handlers);
    drop_handlers("the drop of a route's handler", extra.routes);
    let left = Left {
        links: extra.links,
        remote_links: extra.remote_links,
        panicked,
        unnamed: directory::unnamed::<P>,
    };
    // SAFETY: as above: we closed the mailbox, with the token. The worker is this thread's.
    unsafe { leave(slot, pid, manager, worker, left) };
}

fn drop_handlers<P: Process, E: 'static>(what: &str, handlers: Handlers<P, E>) {
    if handlers.has_own() {
        drop_apart(what, handlers);
    }
}

/// Drops what runs foreign code as it goes.
#[cold]
fn drop_apart<T>(what: &str, value: T) {
    let mut value = Some(value);
    let _reported = guarded_apart(what, &mut || value = None);
}

/// Buries what waits in the mailbox, which takes nothing any more.
///
/// # Safety
///
/// The caller holds the token of the slot.
unsafe fn bury_pending(slot: &'static Slot) {
    // SAFETY: by the contract.
    let mut pending = unsafe { slot.close() };
    while let Some(event) = pending.pop_front() {
        bury_unserved(slot, event);
    }
}

/// What is left of a process whose cell is gone.
struct Left {
    #[allow(clippy::box_collection, reason = "as the cell has it")]
    links: Option<Box<BTreeSet<RawPid>>>,
    #[allow(clippy::box_collection, reason = "as the cell has it")]
    remote_links: Option<Box<BTreeSet<SocketAddr>>>,
    panicked: Option<Arc<str>>,
    /// What it is called, if it has no name.
    unnamed: fn(RawPid) -> String,
}

/// Unties an ended process from others, vacates its slot, and tells who wants to know. What needs no type of process, so that a program has it once.
///
/// # Safety
///
/// The caller held the token of the slot when it closed the mailbox, and gives the slot up; the worker is this thread's, and of the process's runtime.
unsafe fn leave(
    slot: &'static Slot,
    pid: RawPid,
    manager: &ProcessManager,
    worker: &Worker,
    left: Left,
) {
    for linkee in left.links.iter().flat_map(|links| links.iter()) {
        if let Some(mut ties) = arena().slot(*linkee).lock_ties(*linkee) {
            ties.unlink(pid);
        }
    }

    for address in left.remote_links.iter().flat_map(|links| links.iter()) {
        if let Some(transport) = manager.transport() {
            transport.unlink(manager, pid, *address);
        }
    }

    let reason = match left.panicked {
        Some(message) => ExitReason::Panicked(message),
        None => ExitReason::Terminated,
    };
    let counters = worker.counters();
    counters.add(statistics::ENDED, 1);
    if reason != ExitReason::Terminated {
        counters.add(statistics::PANICKED, 1);
    }
    let (mut nameless, mut is_last) = (false, false);
    let mut id: Option<Arc<str>> = None;
    let ties = loop {
        // Before the pid names nobody, so that who finds it so, or wakes from a wait, sees the process counted out. The
        // runtime joins this thread before it is freed, and before it gives its slots to others.
        let mut count_out = || is_last = manager.population().count_out();
        let own = (manager.free_slots(), worker.seat_index());
        // SAFETY: by the contract; we leave with the first success.
        match unsafe { arena().vacate(own, slot, nameless, &mut count_out) } {
            Ok(ties) => break ties,
            Err(Farewell { name, linkers }) => {
                nameless = true;
                if let Some(name) = name {
                    manager.free_name(&name);
                    id = Some(name);
                }
                // Those of the next round have linked while these were told.
                for linker in linkers {
                    let id = id.get_or_insert_with(|| (left.unnamed)(pid).into());
                    let (pid, id, reason) = (Upid::local(pid), Arc::clone(id), reason.clone());
                    send::deliver(linker, ExitedEvent { pid, id, reason }.allocate());
                }
            }
        }
    };
    if is_last {
        manager.population().tell_empty();
    }
    if crate::clock::any_paused() {
        super::times::end(manager, pid);
    }
    let (waiters, room) = ties.map_or_else(Default::default, |ties| (ties.waiters, ties.room));
    current::set_ending(None);
    // Who waits for room in the mailbox is abandoned.
    drop(room);
    for waiter in waiters {
        waiter.set(reason.clone());
    }
}
