//! Running a process: what a worker does with its token.

use std::alloc::Layout;
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use super::event::{EventBox, EventKind, HttpEvent, MessageEvent, TerminateEvent};
use super::handlers::Handlers;
use super::manager::ProcessManager;
use super::slot::{Next, Slot};
use super::{Context, Process, Upid, current, dead_letters, end, observe, room, send, statistics};
use crate::process::handle::Owner;
use crate::scheduler::{Header, Worker};

/// A process and what the runtime keeps with it. Belongs to the token holder.
#[repr(C)]
pub(super) struct Cell<P: 'static> {
    pub(super) process: P,
    pub(super) extra: Extra<P>,
}

/// What the runtime keeps with a process.
#[repr(C)]
pub(super) struct Extra<P: 'static> {
    // First, beside the process: it is looked at in each turn.
    pub(super) initialized: bool,
    /// Whether a route wants requests as they come.
    pub(super) has_streamed: bool,
    pub(super) handlers: Handlers<P, MessageEvent>,
    pub(super) routes: Handlers<P, HttpEvent>,
    /// Whom it linked: to be told when this one ends, that it need not be told any more.
    #[allow(
        clippy::box_collection,
        reason = "one word in the many processes that have none"
    )]
    pub(super) links: Option<Box<BTreeSet<super::RawPid>>>,
    /// At which addresses elsewhere it has linked to a process.
    #[allow(clippy::box_collection, reason = "as above")]
    pub(super) remote_links: Option<Box<BTreeSet<std::net::SocketAddr>>>,
    /// Who gets the value in the end.
    pub(super) owner: Option<Arc<Owner<P>>>,
}

impl<P: Process> Extra<P> {
    pub(super) const fn new(owner: Option<Arc<Owner<P>>>) -> Self {
        Self {
            initialized: false,
            has_streamed: false,
            handlers: Handlers::new(),
            routes: Handlers::new(),
            links: None,
            remote_links: None,
            owner,
        }
    }
}

/// What the cells of a type of process lie in: an allocation that begins with them.
///
/// # Safety
///
/// The layout is the one with which the global allocator was asked. Of what lies behind the cell everything is gone when the process was dropped. A process
/// that is not alone in its allocation has no owner, to whom it would be moved before that is freed.
pub(super) unsafe trait Housing<P> {
    /// How it was allocated. The process is there still.
    fn layout(process: &P) -> Layout;
}

/// The cell alone.
pub(super) struct Alone;

// SAFETY: a `Box` of a cell asks so, and nothing lies behind it.
unsafe impl<P: 'static> Housing<P> for Alone {
    fn layout(_process: &P) -> Layout {
        Layout::new::<Cell<P>>()
    }
}

/// Why the event loop was left.
enum Outcome {
    /// Nothing is pending; the token is gone.
    Rested,
    /// The budget is used up, or the worker is crowded; there may be more.
    Yielded,
    /// The process ends.
    Terminated,
}

/// What the header of a slot says that nobody moved into.
pub(super) unsafe fn never(_header: NonNull<Header>, _worker: &Worker) {
    unreachable!("a slot was scheduled that nobody moved into");
}

/// Serves the events of a process until it rests, yields or ends.
///
/// # Safety
///
/// The header is that of a slot of the static arena whose tenant is a `P` in a cell that is housed so, and the caller holds its token.
pub(super) unsafe fn resume<P: Process, H: Housing<P>>(header: NonNull<Header>, worker: &Worker) {
    // SAFETY: by the contract; slots are never moved or freed.
    let slot: &'static Slot = unsafe { header.cast::<Slot>().as_ref() };
    let pid = slot.pid();
    // SAFETY: the token is ours, and the tenant is a `P`, so this is its cell and we alone use it.
    let (cell, manager) = unsafe { (slot.cell().cast::<Cell<P>>(), &*slot.manager()) };
    // SAFETY: as above; the context's part of the cell and the process are different fields.
    let mut cx = unsafe { Context::new(slot, pid, worker, &raw mut (*cell).extra) };
    worker.fed_by(slot.fed_by());
    current::set_running(Some(pid));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: as above.
        unsafe { serve_events::<P>(slot, cell, &mut cx, worker, manager) }
    }));
    current::set_running(None);
    match outcome {
        Ok(Outcome::Rested) => worker.counters().give_up_token(),
        // Who crowded its worker goes behind what overflowed. SAFETY: the token is still ours, and passed on.
        Ok(Outcome::Yielded) => worker.enqueue_yielded(
            unsafe { slot.runnable() },
            worker.is_crowded() || slot.is_fed_from_elsewhere(Worker::address()),
        ),
        // SAFETY: the token is still ours, and used up.
        Ok(Outcome::Terminated) => unsafe {
            end::end::<P, H>(slot, cell, &mut cx, worker, None);
            worker.counters().give_up_token();
        },
        Err(payload) => {
            let message = panic_message(payload);
            // SAFETY: as above.
            unsafe { end::end::<P, H>(slot, cell, &mut cx, worker, Some(message)) }
            worker.counters().give_up_token();
        }
    }
}

/// # Safety
///
/// The caller holds the token of the slot, and the cell is its tenant's.
#[inline]
unsafe fn serve_events<P: Process>(
    slot: &'static Slot,
    cell: *mut Cell<P>,
    cx: &mut Context<P>,
    worker: &Worker,
    manager: &ProcessManager,
) -> Outcome {
    worker.begin_turn();
    // SAFETY: by the contract; the reference ends before the handler may use the context's part.
    let process = unsafe { &mut (*cell).process };
    // SAFETY: as above.
    if !std::mem::replace(unsafe { &mut (*cell).extra.initialized }, true) {
        observe::initialize(manager, process, cx);
        if cx.yields() {
            return Outcome::Yielded;
        }
    }
    cx.budget = manager.event_budget();
    let generation = cx.raw_pid().generation();
    let counters = worker.counters();
    loop {
        // SAFETY: by the contract; after `Rested` nothing is touched.
        let event = match unsafe { slot.next(generation) } {
            Next::Event(event) => event,
            Next::Paid(event) => {
                room::give_back(slot, cx.raw_pid());
                event
            }
            Next::Stale(event) => {
                bury_unserved(slot, event);
                continue;
            }
            Next::Terminate => {
                serve_terminate(slot, generation, manager, process, cx);
                return Outcome::Terminated;
            }
            Next::Rested => return Outcome::Rested,
        };
        let kind = event.kind();
        if kind == EventKind::Exited {
            cx.forget_link(&event);
        }
        if manager.optional_work().any() {
            // SAFETY: the event was sent to this pid, whose type is `P`; so a dispatch is to a `P`. By the contract.
            unsafe { observe::serve_with_optional_work(slot, manager, event, process, cx) };
        } else {
            counters.add(statistics::FIRST_EVENT + kind as usize, 1);
            // SAFETY: as above.
            unsafe { observe::serve(event, process, cx) };
        }
        if kind == EventKind::Terminate {
            return Outcome::Terminated;
        }
        cx.budget -= 1;
        if cx.budget == 0 || worker.is_crowded() {
            return Outcome::Yielded;
        }
    }
}

/// `terminate` was called: serves its event ahead of all others.
#[cold]
fn serve_terminate<P: Process>(
    slot: &'static Slot,
    generation: u32,
    manager: &ProcessManager,
    process: &mut P,
    cx: &mut Context<P>,
) {
    // SAFETY: called by `serve_events`, which holds the token.
    let event = unsafe { slot.take_terminate(generation) };
    // Others send the event first, and mark then: without one the process ends itself.
    let event = event.unwrap_or_else(|| {
        let from = Upid::local(cx.raw_pid());
        TerminateEvent { from }.allocate()
    });
    // SAFETY: as above, and no dispatch. A filter never takes it.
    unsafe { observe::serve_with_optional_work(slot, manager, event, process, cx) };
}

/// An event that nobody serves: of an earlier tenant, pushed by a sender that stalled, or pending at the end. A dead letter of whom it was for. Its drop may run callbacks of an abandoned future.
#[cold]
pub(super) fn bury_unserved(slot: &'static Slot, event: EventBox) {
    let pid = super::RawPid::new(slot.index(), event.generation());
    // Its drop may run callbacks, which are no affair of the process that is running.
    guarded("the drop of a dead letter", || {
        dead_letters::bury(pid, event)
    });
}

/// Runs foreign code whose panic must not stop what we are in the middle of.
pub(crate) fn guarded(what: &str, f: impl FnOnce()) -> Option<Arc<str>> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(()) => None,
        Err(payload) => Some(report_panic(what, payload)),
    }
}

/// As `guarded`, for what is rare: a program has it once.
#[cold]
#[inline(never)]
pub(crate) fn guarded_apart(what: &str, f: &mut dyn FnMut()) -> Option<Arc<str>> {
    guarded(what, f)
}

// Apart from `guarded`, which each program has hundreds of: a line for the log is some hundred instructions.
#[cold]
#[inline(never)]
fn report_panic(what: &str, payload: Box<dyn Any + Send>) -> Arc<str> {
    let message = panic_message(payload);
    tracing::error!(%message, "panic in {what}");
    message
}

/// The text of a panic. The payload is dropped with care: its drop is foreign code too.
pub(super) fn panic_message(payload: Box<dyn Any + Send>) -> Arc<str> {
    let message = match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => Arc::from(*text),
        (None, Some(text)) => Arc::from(text.as_str()),
        (None, None) => Arc::from("(a panic without a message)"),
    };
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Dropping this one might panic in its turn: leaking it ends the regress.
        std::mem::forget(second);
    }
    message
}

/// Hands a first or next token to the scheduler.
pub(super) fn start(slot: &'static Slot) {
    Worker::with_current(|worker| send::schedule(slot, worker));
}
