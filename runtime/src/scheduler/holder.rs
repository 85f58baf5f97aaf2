//! Who holds the driver, where sleepers cannot: a semaphore of the kernel's cannot sleep in a ring.
//!
//! One of the workers that have nothing to do sleeps in the driver, and the others in the semaphore. A signal goes to the holder if there is one, else to the semaphore.
//!
//! | `state` | meaning | left by |
//! |---|---|---|
//! | `FREE` | nobody holds it | a worker that is about to sleep: `HELD` |
//! | `HELD` | a worker sleeps in the driver | itself: `FREE`; a signal: `SIGNALLED`, and unparks it |
//! | `SIGNALLED` | it was given a signal, which it has not seen | itself: `FREE` |
//! | `CLOSED` | the semaphore is decommissioned: all sleep there, and are told | – |
//!
//! A signal is a compare-and-swap from `HELD`, and so is leaving without one: either the holder sees the signal, or the signaller goes to the semaphore.
//!
//! *A signal that nobody comes for.* Who leaves the driver for I/O comes back to the driver, not to the semaphore, and it may be the only worker. So who begins to hold asks the
//! semaphore once for a signal, and who gave one to the semaphore looks whether somebody holds by now, and has that one ask again. With a fence between the two steps of either side,
//! one of them sees the other.

use std::sync::Arc;

use libprocess_semaphore::Parker;

use crate::facade::atomic::{AtomicU8, Ordering, fence};
use crate::facade::{Mutex, lock, weakened};

const FREE: u8 = 0;
const HELD: u8 = 1;
const SIGNALLED: u8 = 2;
const CLOSED: u8 = 3;

pub(super) struct Holder {
    state: AtomicU8,
    /// Of the last one that held it.
    parker: Mutex<Option<Arc<dyn Parker>>>,
}

/// The right to sleep in the driver.
#[must_use]
pub(super) struct Held<'a>(&'a Holder);

impl Holder {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU8::new(FREE),
            parker: Mutex::new(None),
        }
    }

    pub(super) fn hold(&self, parker: &Arc<impl Parker + 'static>) -> Option<Held<'_>> {
        // Relaxed: a guess.
        if self.state.load(Ordering::Relaxed) != FREE {
            return None;
        }
        let mut known = lock(&self.parker);
        // Relaxed: what a signal publishes is acquired in `let_go`; the parker is under its lock.
        self.state
            .compare_exchange(FREE, HELD, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        *known = Some(Arc::clone(parker) as Arc<dyn Parker>);
        // SeqCst: a store before it and a load behind it, of two words, stay in order; pairs with the one in `look_again`.
        fence(Ordering::SeqCst);
        Some(Held(self))
    }

    /// Whether a worker sleeps in the driver, or is about to, and so is woken by what is asked of the driver.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) fn is_held(&self) -> bool {
        // Relaxed: who asks the driver has taken the lock of its inbox before, and the holder takes it after.
        self.state.load(Ordering::Relaxed) == HELD
    }

    /// Gives a signal to the holder. False: there is none.
    pub(super) fn signal(&self) -> bool {
        // Release: pairs with the Acquire in `let_go`: the signaller's work is seen by the holder.
        let signalled =
            self.state
                .compare_exchange(HELD, SIGNALLED, Ordering::Release, Ordering::Relaxed);
        if signalled.is_ok() && !weakened("holder-unparked") {
            self.unpark();
        }
        signalled.is_ok()
    }

    /// A signal was given to the semaphore: whoever holds by now asks it again.
    pub(super) fn look_again(&self) {
        // SeqCst: as in `hold`.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        if self.state.load(Ordering::Relaxed) == HELD && !weakened("holder-looks-again") {
            self.unpark();
        }
    }

    fn unpark(&self) {
        let parker = lock(&self.parker).clone();
        if let Some(parker) = parker {
            parker.unpark();
        }
    }

    /// Nobody holds it from here on.
    pub(super) fn close(&self) {
        // Release: as in `signal`.
        if self.state.swap(CLOSED, Ordering::Release) != FREE {
            self.unpark();
        }
    }
}

impl Held<'_> {
    /// True: there was a signal.
    pub(super) fn let_go(&self) -> bool {
        // Acquire: pairs with the Release in `signal`.
        let left = self
            .0
            .state
            .compare_exchange(HELD, FREE, Ordering::Acquire, Ordering::Acquire);
        match left {
            Ok(_) => false,
            Err(SIGNALLED) => {
                // Acquire: nothing else leaves `SIGNALLED` but closing, which stays.
                let _closed = self.0.state.compare_exchange(
                    SIGNALLED,
                    FREE,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                );
                true
            }
            // Closed: the wait in the semaphore tells.
            Err(_) => true,
        }
    }
}
