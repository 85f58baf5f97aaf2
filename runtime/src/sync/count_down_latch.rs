use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Latch;
use crate::future::Future;

/// A [`Latch`] that is triggered by the last of a number of decrements.
///
/// Cheap to clone: a clone is a handle to the same latch. If the last handle is dropped before, the futures are abandoned.
///
/// ```
/// use libprocess::sync::CountDownLatch;
///
/// let latch = CountDownLatch::new(2);
/// let triggered = latch.triggered();
/// assert!(!latch.decrement());
/// assert!(triggered.is_pending());
/// assert!(latch.decrement());
/// assert!(triggered.is_ready());
/// ```
#[derive(Clone, Debug)]
pub struct CountDownLatch {
    remaining: Arc<AtomicUsize>,
    latch: Latch,
}

impl CountDownLatch {
    /// A latch that is triggered by the `count`th decrement; if that is none, from the start. (In libprocess never: there, nobody may wait for nothing.)
    ///
    /// ```
    /// assert!(libprocess::sync::CountDownLatch::new(0).triggered().is_ready());
    /// ```
    pub fn new(count: usize) -> Self {
        let latch = Latch::new();
        if count == 0 {
            latch.trigger();
        }
        Self {
            remaining: Arc::new(AtomicUsize::new(count)),
            latch,
        }
    }

    /// Counts down by one; at zero does nothing. True for the call that triggers it. One atomic step but for that.
    ///
    /// # Panics
    ///
    /// If it triggers, and a callback of a future that waits panics, when all have run.
    pub fn decrement(&self) -> bool {
        // AcqRel: the Release of each decrement pairs with the Acquire of the last one, so that what was done before any of them is seen by
        // whoever waited. Relaxed on failure, and for a look at first: nothing is done then.
        let before =
            self.remaining
                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |remaining| {
                    remaining.checked_sub(1)
                });
        before == Ok(1) && self.latch.trigger()
    }

    /// How many decrements are left: a hint, as others may decrement meanwhile.
    ///
    /// ```
    /// let latch = libprocess::sync::CountDownLatch::new(2);
    /// latch.decrement();
    /// assert_eq!(latch.remaining(), 1);
    /// ```
    pub fn remaining(&self) -> usize {
        self.remaining.load(Ordering::Relaxed)
    }

    /// A future that is ready when it is triggered: a new one for each caller, so that discarding it concerns nobody else.
    pub fn triggered(&self) -> Future<()> {
        self.latch.triggered()
    }
}
