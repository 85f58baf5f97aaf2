//! What events carry from their senders: the time of the sending process, while a clock is paused, and the time of the machine, while
//! somebody measures how long events wait.
//!
//! A sender does not know the runtime of its receiver before it has the receiver's token. So it looks at one word for all runtimes of this OS process, which
//! says whether any of them wants something: one relaxed load of a line that nobody writes, and one branch that is predicted.
//!
//! | bits | what |
//! |---|---|
//! | 0..32 | paused clocks |
//! | 32..64 | runtimes that measure |

use std::sync::atomic::{AtomicU64, Ordering};

/// On a line of its own, as it is read for every event.
#[repr(align(128))]
struct Word(AtomicU64);

static CARRIED: Word = Word(AtomicU64::new(0));

const PAUSED: u64 = 1;
const MEASURED: u64 = 1 << 32;

/// Whether events carry anything.
#[inline(always)]
pub(crate) fn anything_is_carried() -> bool {
    // Relaxed: who pauses, or begins to measure, and then sends sees what he did himself; who is told of it by another thread is synchronized with it by that.
    CARRIED.0.load(Ordering::Relaxed) != 0
}

/// Whether any clock is paused, so that events carry the time of their process.
#[inline]
pub(crate) fn any_paused() -> bool {
    // Relaxed: as above.
    CARRIED.0.load(Ordering::Relaxed) & (MEASURED - 1) != 0
}

/// Whether any runtime measures, so that events carry when they were sent.
pub(crate) fn any_measured() -> bool {
    // Relaxed: as above.
    CARRIED.0.load(Ordering::Relaxed) >= MEASURED
}

/// One paused clock more, or fewer.
pub(super) fn count_paused(paused: bool) {
    count(PAUSED, paused);
}

/// One runtime more that measures, or one fewer.
pub(crate) fn count_measured(measured: bool) {
    count(MEASURED, measured);
}

fn count(one: u64, more: bool) {
    // Relaxed: as above.
    if more {
        CARRIED.0.fetch_add(one, Ordering::Relaxed);
    } else {
        CARRIED.0.fetch_sub(one, Ordering::Relaxed);
    }
}
