//! What this thread is doing: which process it runs, which one it is ending, and whose worker it is.

use std::cell::Cell;
use std::sync::OnceLock;

use super::RawPid;
use super::manager::ProcessManager;
use crate::clock;

thread_local! {
    static MANAGER: Cell<*const ProcessManager> = const { Cell::new(std::ptr::null()) };
}

/// The process whose handler this thread is in.
pub(crate) fn running() -> Option<RawPid> {
    RawPid::from_bits(clock::current_owner())
}

/// Whether waiting for this process in this thread would be waiting for oneself: its handler, or its end, is further down on the stack.
pub(crate) fn is_mine(pid: RawPid) -> bool {
    running() == Some(pid) || clock::ending_owner() == RawPid::to_bits(Some(pid))
}

/// Sets which process runs, and gives the one before. Its token is the caller's until it says that none runs, but for one that has just come to rest, behind which nothing is called.
#[inline]
pub(super) fn set_running(pid: Option<RawPid>) -> Option<RawPid> {
    RawPid::from_bits(clock::set_current_owner(RawPid::to_bits(pid)))
}

pub(super) fn set_ending(pid: Option<RawPid>) {
    clock::set_ending_owner(RawPid::to_bits(pid));
}

/// The process that this thread runs, or is ending.
pub(super) fn running_or_ending() -> Option<RawPid> {
    RawPid::from_bits(clock::current_or_ending_owner())
}

/// Whether this thread is one of that runtime's.
pub(super) fn is_current(manager: &ProcessManager) -> bool {
    std::ptr::eq(MANAGER.get(), manager)
}

/// Makes this thread a worker of that runtime. The runtime outlives its workers' threads.
pub(crate) fn set_current_manager(manager: *const ProcessManager) {
    MANAGER.set(manager);
    // SAFETY: as in `current_manager`: the runtime is there while its threads run.
    unsafe { &*manager }.clock().make_current();
}

/// The runtime whose worker this thread is.
pub(crate) fn current_manager<R>(f: impl FnOnce(Option<&ProcessManager>) -> R) -> R {
    // SAFETY: set at the start of a worker's thread by the runtime, which joins its threads before it is freed.
    f(unsafe { MANAGER.get().as_ref() })
}

/// The process-wide default runtime, once it was started.
static DEFAULT: OnceLock<&'static ProcessManager> = OnceLock::new();

/// Makes a runtime the one that threads act on which are no runtime's.
pub(crate) fn set_default_manager(manager: &'static ProcessManager) {
    let _first_stays = DEFAULT.set(manager);
}

/// Calls `f` with the current runtime: the worker's own, else the default one, if it was started.
pub(crate) fn with_runtime<R>(f: impl FnOnce(Option<&ProcessManager>) -> R) -> R {
    current_manager(|manager| f(manager.or_else(|| DEFAULT.get().copied())))
}
