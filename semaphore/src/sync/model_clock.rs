//! The clock of a model, in which time passes only where a sleep is over.
//!
//! | checker | a sleep with a deadline that is not woken |
//! |---|---|
//! | loom | ends at once, by its deadline: one of the things that can really happen, and the only one that adds states, as a sleep that is woken before its deadline is the sleep without one |
//! | shuttle | ends by its deadline after as many turns of other threads as chance wants, eight on average; it may also be woken before |
//!
//! Where a deadline ends a sleep, the clock is put forward to it, so that whoever looks at the clock agrees. It is never put back, not even between two
//! runs of a model: everybody takes his deadlines from [`now`], and only differences matter.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

// All threads of a model run on one thread of the system. No part of the model: to look at it is no step that others could interleave with.
std::thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// What time it is in the model.
pub fn now() -> Instant {
    beginning() + PASSED.get()
}

/// Whether the deadline of a sleep has come; if not, others have had a turn.
pub(super) fn runs_out(deadline: Instant) -> bool {
    if now() < deadline && !is_time() {
        return false;
    }
    PASSED.set(PASSED.get().max(deadline - beginning()));
    true
}

#[cfg(libprocess_loom)]
fn is_time() -> bool {
    true
}

#[cfg(libprocess_shuttle)]
fn is_time() -> bool {
    use shuttle::rand::Rng as _;
    if shuttle::rand::thread_rng().gen_ratio(1, 8) {
        return true;
    }
    shuttle::thread::yield_now();
    false
}
