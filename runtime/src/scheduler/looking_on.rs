//! Who looks on before a sleep where there is I/O: a worker whose last sleep a signal ended, not one that I/O or a timer woke.

use std::cell::Cell;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use libprocess_queues::run::WorkStealingRunQueue;
use libprocess_semaphore::{LifoFixedSizeSemaphore, Parked, Parker, Semaphore as _};

use super::counters::Counters;
use super::io::SeatIo;
use super::runnables::{Runnables, Taken};

type Shipped = Runnables<u32, WorkStealingRunQueue<u32>, LifoFixedSizeSemaphore>;

/// What ends a sleep.
#[derive(Clone, Copy)]
enum End {
    Signal,
    Io,
}

/// A place to sleep in that comes to its end at once, as it is told.
struct Bed {
    runnables: Weak<Shipped>,
    end: Mutex<End>,
}

impl Parker for Bed {
    fn park(&self, _deadline: Option<Instant>) -> Parked {
        match *self.end.lock().unwrap() {
            End::Signal => {
                // Whoever puts something in while the worker sleeps signals it.
                assert!(self.runnables.upgrade().unwrap().put(7));
                Parked::Woken
            }
            End::Io => Parked::Interrupted,
        }
    }

    fn unpark(&self) {}
}

/// A seat with I/O that counts how often the kernel is asked for some outside of a sleep.
struct Seat {
    bed: Arc<Bed>,
    signalled: Cell<bool>,
    asked: Cell<u32>,
}

impl SeatIo for Seat {
    type Parker = Bed;

    fn parker(&self) -> &Arc<Bed> {
        &self.bed
    }

    fn is_active(&self) -> bool {
        true
    }

    fn ask(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        false
    }

    fn was_signalled(&self) -> bool {
        self.signalled.get()
    }

    fn note_signalled(&self, signalled: bool) {
        self.signalled.set(signalled);
    }
}

#[test]
fn a_worker_with_io_looks_on_if_a_signal_ended_its_last_sleep() {
    if !crate::look_on::is_of_use() {
        // Nobody could put anything in meanwhile, so nobody looks on.
        return;
    }
    let runnables = Arc::new(Shipped::new(
        1,
        LifoFixedSizeSemaphore::with_capacity(1),
        Duration::ZERO,
    ));
    let seat = Seat {
        bed: Arc::new(Bed {
            runnables: Arc::downgrade(&runnables),
            end: Mutex::new(End::Signal),
        }),
        signalled: Cell::new(false),
        asked: Cell::new(0),
    };
    let mut local = runnables.local(0);
    let counters = Counters::default();
    let mut sleep = |end: End| {
        *seat.bed.end.lock().unwrap() = end;
        let asked = seat.asked.get();
        let taken = runnables.take(&mut local, &seat, &counters);
        (taken, seat.asked.get() - asked)
    };

    let first = sleep(End::Signal);
    assert!(
        matches!(first, (Taken::Item(7), 0)),
        "nothing had ended a sleep"
    );
    let behind_signal = sleep(End::Io);
    assert!(
        matches!(behind_signal, (Taken::Io, 1)),
        "what was to be submitted goes to the kernel, once, and then the worker looks on"
    );
    let behind_io = sleep(End::Signal);
    assert!(
        matches!(behind_io, (Taken::Item(7), 0)),
        "who is woken by I/O sleeps until the next"
    );
}
