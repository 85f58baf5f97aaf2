//! Optional work: what most runtimes do not do for an event that they serve, behind one word.

use std::sync::atomic::{AtomicU32, Ordering};

/// What is to be done for each event that is served, beside serving it.
///
/// | bit | what |
/// |---|---|
/// | 0 | [`FILTERS`](Self::FILTERS): a test looks at it first |
/// | 1 | [`TELEMETRY`](Self::TELEMETRY): it is counted and timed |
/// | 2 | [`WATCH`](Self::WATCH): it is noted what runs, for who reports handlers that do not return |
///
/// On a line of its own, which nobody writes while events are served.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct OptionalWork(AtomicU32);

impl OptionalWork {
    pub(super) const FILTERS: u32 = 1 << 0;
    pub(super) const TELEMETRY: u32 = 1 << 1;
    pub(super) const WATCH: u32 = 1 << 2;

    /// Whether there is any.
    #[inline(always)]
    pub(super) fn any(&self) -> bool {
        self.bits() != 0
    }

    /// All of it.
    #[inline(always)]
    pub(super) fn bits(&self) -> u32 {
        // Relaxed: whoever asks for some and then sends is before the event by the mailbox.
        self.0.load(Ordering::Relaxed)
    }

    /// Begins with some of it, or ends it.
    pub(super) fn set(&self, work: u32, wanted: bool) {
        // Relaxed: as in `bits`.
        if wanted {
            self.0.fetch_or(work, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!work, Ordering::Relaxed);
        }
    }
}
