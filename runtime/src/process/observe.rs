//! Calling handlers, and what is done beside it where somebody wants to know.

use super::event::{Event, EventBox, SentAt};
use super::manager::ProcessManager;
use super::optional::OptionalWork;
use super::slot::Slot;
use super::telemetry::{NameRef, Observation, observe};
use super::{Context, Process, filter, statistics};

/// Has a process serve an event.
///
/// # Safety
///
/// If the event is a dispatch, it is one to a `P`.
#[inline(always)]
pub(super) unsafe fn serve<P: Process>(event: EventBox, process: &mut P, cx: &mut Context<P>) {
    #[cfg(feature = "tracing-spans")]
    // SAFETY: by the contract.
    let _span = super::spans::enter(cx.raw_pid(), &|| unsafe { NameRef::of(&event, process) });
    // SAFETY: by the contract.
    process.serve(unsafe { Event::from_box(event) }, cx);
}

/// As `serve`, with what is to be done beside it: the filters are asked, it is counted, timed, and noted.
///
/// # Safety
///
/// As `serve`; and the caller holds the token of the slot, which is the process's.
#[cold]
#[inline(never)]
pub(super) unsafe fn serve_with_optional_work<P: Process>(
    slot: &Slot,
    manager: &ProcessManager,
    event: EventBox,
    process: &mut P,
    cx: &mut Context<P>,
) {
    let pid = cx.raw_pid();
    // What it says of its way is asked before a filter may keep it.
    let (sent_at, is_counted) = (event.sent_at(), event.is_counted());
    let work = manager.optional_work().bits();
    let event = if work & OptionalWork::FILTERS == 0 {
        Some(event)
    } else {
        filter::look(manager, pid, event)
    };
    let Some(event) = event else {
        return;
    };
    let counter = statistics::FIRST_EVENT + event.kind() as usize;
    cx.worker().counters().add(counter, 1);
    let _observation = is_observed(work).then(|| {
        // Once for each batch, with its first event, which was not there to be counted.
        // SAFETY: by the contract.
        let depth = || (!is_counted).then(|| 1 + unsafe { slot.count_batch(pid.generation()) });
        observe(
            manager,
            cx.worker(),
            pid,
            // SAFETY: by the contract.
            unsafe { NameRef::of(&event, process) },
            sent_at,
            &depth,
        )
    });
    // SAFETY: by the contract.
    unsafe { serve(event, process, cx) };
}

/// Whether it is looked at what handlers do.
fn is_observed(work: u32) -> bool {
    work & (OptionalWork::TELEMETRY | OptionalWork::WATCH) != 0
}

/// Calls `initialize`.
#[cold]
#[inline(never)]
pub(super) fn initialize<P: Process>(
    manager: &ProcessManager,
    process: &mut P,
    cx: &mut Context<P>,
) {
    let _observation = observe_call(manager, NameRef::Initialize, cx);
    #[cfg(feature = "tracing-spans")]
    let _span = super::spans::enter(cx.raw_pid(), &|| NameRef::Initialize);
    process.initialize(cx);
}

/// Calls `finalize`.
pub(super) fn finalize<P: Process>(manager: &ProcessManager, process: &mut P, cx: &mut Context<P>) {
    let _observation = observe_call(manager, NameRef::Finalize, cx);
    #[cfg(feature = "tracing-spans")]
    let _span = super::spans::enter(cx.raw_pid(), &|| NameRef::Finalize);
    process.finalize(cx);
}

/// Of what is no event, and did not wait.
fn observe_call<P: Process>(
    manager: &ProcessManager,
    name: NameRef<'_>,
    cx: &Context<P>,
) -> Option<Observation> {
    is_observed(manager.optional_work().bits()).then(|| {
        let pid = cx.raw_pid();
        observe(manager, cx.worker(), pid, name, SentAt::UNTOLD, &|| None)
    })
}
