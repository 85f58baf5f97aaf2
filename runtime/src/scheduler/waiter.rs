//! A thread without a seat: blocked in a handler, or spare.
//!
//! # States
//!
//! ```text
//!           give up the seat          woken, or deadline              a worker runs the token
//!  SEATED ───────────────────► BLOCKED ─────────────────► RESUMING ──────────────────────────► SEATED
//!     ▲                                                                                          │
//!     └──────────── given the seat of a thread that blocks ─────── SPARE ◄── lost its seat ◄─────┘
//! ```
//!
//! A blocked thread does not go on by itself when it is woken: its *token* goes into the run queue, and the worker that takes
//! it gives the thread its own seat and becomes a spare. So there are never more threads at work than seats, a
//! woken thread waits its turn like any process, and whoever asks "is anything runnable" need look at the run queue only.
//!
//! `BLOCKED → RESUMING` is one compare-and-swap, so that one token is made however many wakers fire. A waker that fires late finds
//! `SEATED` or `SPARE` and does nothing, or finds the thread blocked for another reason: that one wakes early and looks again.
//!
//! The models of all this run the whole scheduler: `models/hand_over.rs` (loom) and `schedules.rs` (shuttle).

use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use libprocess_semaphore::{FutexParker, Parker as _};

use super::{Header, Runnable, Scheduler, Seat, Worker};
use crate::facade::atomic::{AtomicU8, Ordering};
use crate::facade::{Mutex, lock, now, weakened};

/// How long a spare waits before it ends. Long enough that a process which blocks every few
/// milliseconds does not start a thread each time.
const PATIENCE: Duration = Duration::from_secs(1);

const UNBLOCKED: u8 = 0;
const BLOCKED: u8 = 1;
const RESUMING: u8 = 2;

#[repr(C)]
pub(super) struct SeatWaiter {
    // First, so that a pointer to the waiter is one to its header.
    header: Header,
    scheduler: Arc<Scheduler>,
    state: AtomicU8,
    parker: FutexParker,
    given: Mutex<Option<Seat>>,
}

impl SeatWaiter {
    pub(super) fn new(scheduler: Arc<Scheduler>) -> Arc<Self> {
        Arc::new(Self {
            header: Header::new(run_resumed),
            scheduler,
            state: AtomicU8::new(UNBLOCKED),
            parker: FutexParker::new(),
            given: Mutex::new(None),
        })
    }

    /// Marks the thread as blocked, after its seat was given away.
    pub(super) fn set_blocked(&self) {
        // Release: pairs with the Acquire in `resume`: nothing of an earlier wait is seen after it.
        self.state.store(BLOCKED, Ordering::Release);
    }

    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Sleeps until the thread has a seat again; from the deadline on it asks for one itself.
    pub(super) fn wait_until_resumed(self: &Arc<Self>, mut deadline: Option<Instant>) -> Seat {
        loop {
            if let Some(seat) = self.take() {
                // Relaxed: a late waker finds either state harmless.
                self.state.store(UNBLOCKED, Ordering::Relaxed);
                return seat;
            }
            if deadline.is_some_and(|deadline| now() >= deadline) {
                self.resume();
                deadline = None;
            }
            let _looked_at_again = self.parker.park(deadline);
        }
    }

    /// Makes the thread's token, unless somebody has.
    fn resume(self: &Arc<Self>) {
        // Acquire: pairs with the Release in `set_blocked`. Relaxed on failure: then nothing is done.
        let exchanged =
            self.state
                .compare_exchange(BLOCKED, RESUMING, Ordering::Acquire, Ordering::Relaxed);
        if exchanged.is_err() && !weakened("resume-once") {
            return;
        }
        // SAFETY: the waiter outlives the token, because its thread waits for it; the exchange
        // makes one token.
        let token = unsafe {
            // Of the `Arc` itself, not of a reference: `run_resumed` makes an `Arc` of it.
            Runnable::new(NonNull::new_unchecked(Arc::as_ptr(self).cast_mut()).cast())
        };
        Worker::with_current(|worker| match worker {
            Some(worker) if worker.is_of(Arc::as_ptr(&self.scheduler)) => worker.enqueue_new(token),
            // SAFETY: the scheduler is kept alive by this waiter.
            _ => unsafe { Scheduler::enqueue_from_outside(Arc::as_ptr(&self.scheduler), token) },
        });
    }

    /// Puts the thread on the list of spares. It may be given a seat from here on.
    fn enlist(self: &Arc<Self>) {
        self.scheduler.threads().spares.push(Arc::clone(self));
    }

    /// Waits, enlisted, for a seat. `None`: nobody needed this thread, or the scheduler stops.
    pub(super) fn wait_as_spare(self: &Arc<Self>) -> Option<Seat> {
        if let Some(seat) = self.take() {
            return Some(seat);
        }
        let patience = now() + PATIENCE;
        let mut deadline = Some(patience);
        loop {
            let mut threads = self.scheduler.threads();
            if threads.stopping {
                return None;
            }
            if now() >= patience {
                let before = threads.spares.len();
                threads.spares.retain(|spare| !Arc::ptr_eq(spare, self));
                if threads.spares.len() < before || weakened("spare-waits-for-seat") {
                    return None;
                }
                // Somebody took this spare off the list, and is about to give it a seat.
                deadline = None;
            }
            drop(threads);
            let _looked_at_again = self.parker.park(deadline);
            if let Some(seat) = self.take() {
                return Some(seat);
            }
        }
    }

    pub(super) fn take(&self) -> Option<Seat> {
        lock(&self.given).take()
    }

    pub(super) fn give(&self, seat: Seat) {
        let had = lock(&self.given).replace(seat);
        debug_assert!(had.is_none(), "a thread was given two seats");
        self.parker.unpark();
    }

    /// Makes a spare look whether the scheduler stops.
    pub(super) fn dismiss(&self) {
        self.parker.unpark();
    }
}

impl Wake for SeatWaiter {
    fn wake(self: Arc<Self>) {
        self.resume();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.resume();
    }
}

/// Runs a blocked thread's token: gives it the seat of the worker that took the token.
///
/// # Safety
///
/// As `Run`: the header is a waiter's, in an `Arc` that its blocked thread holds.
unsafe fn run_resumed(header: NonNull<Header>, worker: &Worker) {
    let pointer: *const SeatWaiter = header.cast().as_ptr();
    // SAFETY: the thread holds a reference until it has its seat, so the count is not zero; this
    // one keeps the waiter alive through `unpark`, while the thread may already be ending.
    let waiter = unsafe {
        Arc::increment_strong_count(pointer);
        Arc::from_raw(pointer)
    };
    let seat = worker
        .give_up_seat()
        .expect("only a worker with a seat takes from the run queue");
    // A spare before the other thread goes on, so that it finds this one if it blocks again at once.
    worker.waiter().enlist();
    waiter.give(seat);
}
