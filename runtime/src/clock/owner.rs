//! Whose time it is: which process this thread runs, as a number.
//!
//! The clock knows no processes, but a paused one keeps a time for each. The floor above numbers them, and says here which one is running.

use std::cell::Cell;

thread_local! {
    static OWNER: Cell<u64> = const { Cell::new(0) };
    static ENDING: Cell<u64> = const { Cell::new(0) };
    static CLOCK: Cell<*const ()> = const { Cell::new(std::ptr::null()) };
}

/// The process whose handler this thread is in; zero for none.
#[inline]
pub(crate) fn current_owner() -> u64 {
    OWNER.get()
}

/// Sets which process runs, and gives the one before.
#[inline]
pub(crate) fn set_current_owner(owner: u64) -> u64 {
    OWNER.replace(owner)
}

/// The process that this thread is ending; zero for none.
pub(crate) fn ending_owner() -> u64 {
    ENDING.get()
}

/// The process that this thread runs, or else is ending; zero for none.
pub(crate) fn current_or_ending_owner() -> u64 {
    match current_owner() {
        0 => ending_owner(),
        running => running,
    }
}

/// Sets which process this thread is ending.
pub(crate) fn set_ending_owner(owner: u64) {
    ENDING.set(owner);
}

/// Says whose clock the processes of this thread have: an address, only compared.
pub(super) fn set_current_clock(clock: *const ()) {
    CLOCK.set(clock);
}

pub(super) fn is_current_clock(clock: *const ()) -> bool {
    CLOCK.get() == clock
}
