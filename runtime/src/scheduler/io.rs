//! How a worker's sleep and its I/O meet: what the scheduler asks of the place that a worker sleeps in.

use std::sync::Arc;

use libprocess_semaphore::{FutexParker, Parker};

/// Where a worker sleeps, and what else ends its sleep.
pub(crate) trait SeatIo {
    type Parker: Parker + 'static;

    fn parker(&self) -> &Arc<Self::Parker>;

    /// Whether there is I/O at all.
    fn is_active(&self) -> bool {
        false
    }

    /// Whether any worker has ever had I/O: then somebody has to watch over it, as its worker may sit in a long handler.
    fn is_any_active(&self) -> bool {
        self.is_active()
    }

    /// Whether there is something to deliver, as far as memory tells.
    fn is_ready(&self) -> bool {
        false
    }

    /// Asks the kernel whether there is something, without sleeping. True: there is something to deliver.
    fn ask(&self) -> bool {
        false
    }

    /// Whether it was a signal that ended the worker's last sleep, not I/O or a timer.
    fn was_signalled(&self) -> bool {
        true
    }

    fn note_signalled(&self, _signalled: bool) {}

    /// Looks after the I/O of workers that have not looked themselves since the last time. True: there is something to deliver.
    fn tend(&self) -> bool {
        false
    }
}

/// Without I/O.
impl SeatIo for Arc<FutexParker> {
    type Parker = FutexParker;

    fn parker(&self) -> &Arc<FutexParker> {
        self
    }
}

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) use over_ports::WorkerIo;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod over_ports {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::sync::Arc;

    use super::super::pool::contained;
    use super::super::{Scheduler, Semaphore};
    use super::SeatIo;
    use crate::facade::atomic::Ordering;
    use crate::reactor::{
        BATCH, Behind, Completed, Completion, Operation, OperationId, Port, Ports, SocketId,
    };

    /// One worker's side of the ports.
    pub(in crate::scheduler) struct WorkerIo {
        ports: Arc<Ports>,
        /// Turns until the worker looks at its port.
        left: Cell<u32>,
        /// What ended its last sleep.
        signalled: Cell<bool>,
        /// What it saw of the others' ports.
        seen: RefCell<Vec<u32>>,
        /// To be delivered.
        completions: RefCell<VecDeque<Completion>>,
    }

    /// A worker at work looks at its port once in so many turns: a look is a lock that nobody else wants, and two loads; submitting is a call of the kernel.
    const TURNS: u32 = 32;

    /// So many completions are collected even where the queue is full: I/O does not wait until others have nothing to do.
    const LEAST: usize = 8;

    /// So many completions before it is delivered, what one touches is fetched ahead.
    const AHEAD: usize = 4;
    /// The same of its handler, which tells what that is.
    const HANDLER_AHEAD: usize = 8;

    impl WorkerIo {
        pub(in crate::scheduler) fn new(ports: Arc<Ports>) -> Self {
            Self {
                ports,
                left: Cell::new(TURNS),
                signalled: Cell::new(true),
                seen: RefCell::default(),
                completions: RefCell::default(),
            }
        }

        /// Whether the worker shall look at its port before the next turn.
        #[inline]
        pub(in crate::scheduler) fn is_due(&self) -> bool {
            let left = self.left.get() - 1;
            self.left.set(if left == 0 { TURNS } else { left });
            left == 0
        }

        /// Collects what the seat's port has, before it is too long ago or, if not `thorough`, as there is nothing else to do. `room`: how many processes more the
        /// worker's queue can have.
        pub(in crate::scheduler) fn look(&self, seat: usize, room: usize, thorough: bool) {
            let port = self.ports.of_seat(seat);
            if port.is_active() {
                // Half of it: what runs puts something in, too.
                let most = (room / 2).clamp(LEAST, BATCH);
                port.own_turn(thorough, most, &mut self.completions.borrow_mut());
            }
        }

        /// Delivers what was collected, one after the other: each may run anything, and may block, and then the rest must not wait for that.
        pub(in crate::scheduler) fn deliver(&self) {
            let first = self.completions.borrow();
            for completion in first.iter().take(HANDLER_AHEAD) {
                completion.fetch_handler();
            }
            for completion in first.iter().take(AHEAD) {
                completion.fetch_ahead();
            }
            drop(first);
            while let Some(completion) = self.next() {
                contained("a callback of what I/O has completed", || {
                    completion.deliver()
                });
            }
        }

        /// See [`Ports::has_timers`].
        #[inline]
        pub(in crate::scheduler) fn has_timers(&self, seat: usize, in_turn: bool) -> bool {
            self.ports.has_timers(seat, in_turn)
        }

        /// Fires the timers that are due.
        pub(in crate::scheduler) fn fire_timers(&self, before_next: impl Fn()) {
            self.ports.fire_timers(before_next);
        }

        fn next(&self) -> Option<Completion> {
            let mut completions = self.completions.borrow_mut();
            if let Some(completion) = completions.get(HANDLER_AHEAD) {
                completion.fetch_handler();
            }
            if let Some(completion) = completions.get(AHEAD) {
                completion.fetch_ahead();
            }
            completions.pop_front()
        }

        /// The worker is about to give this seat away, and leaves what it has not delivered to whoever has it next.
        pub(in crate::scheduler) fn leave(&self, seat: usize) {
            let mut completions = self.completions.borrow_mut();
            self.ports.of_seat(seat).put_back(&mut completions);
        }

        pub(in crate::scheduler) fn has_completions(&self) -> bool {
            !self.completions.borrow().is_empty()
        }

        pub(in crate::scheduler) fn tend(&self, seat: usize) {
            let mut completions = self.completions.borrow_mut();
            self.ports
                .tend(seat, &mut self.seen.borrow_mut(), &mut completions);
        }
    }

    /// A worker with this seat.
    pub(in crate::scheduler) struct OfSeat<'a>(
        pub(in crate::scheduler) &'a WorkerIo,
        pub(in crate::scheduler) usize,
    );

    impl WorkerIo {
        pub(in crate::scheduler) fn of_seat(&self, seat: usize) -> OfSeat<'_> {
            OfSeat(self, seat)
        }
    }

    impl SeatIo for OfSeat<'_> {
        type Parker = Port;

        fn parker(&self) -> &Arc<Port> {
            self.0.ports.of_seat(self.1)
        }

        fn is_active(&self) -> bool {
            self.parker().is_active()
        }

        fn is_any_active(&self) -> bool {
            self.0.ports.is_any_active()
        }

        fn is_ready(&self) -> bool {
            self.parker().is_ready()
        }

        fn ask(&self) -> bool {
            let mut completions = self.0.completions.borrow_mut();
            self.parker().own_turn(true, BATCH, &mut completions);
            !completions.is_empty()
        }

        fn was_signalled(&self) -> bool {
            self.0.signalled.get()
        }

        fn note_signalled(&self, signalled: bool) {
            self.0.signalled.set(signalled);
        }

        fn tend(&self) -> bool {
            self.0.tend(self.1);
            self.0.has_completions()
        }
    }

    impl Scheduler {
        pub(crate) fn ports(&self) -> &Arc<Ports> {
            &self.configuration.ports
        }

        /// The seat in whose port the caller begins operations: the calling worker's, or any if the caller is none.
        pub(crate) fn seat_for_io(&self) -> usize {
            self.own_seat().unwrap_or_else(|| {
                // Relaxed: only to spread them.
                self.next_port.fetch_add(1, Ordering::Relaxed) as usize % self.workers()
            })
        }

        /// Where the operation is done at once, gives what became of it, and the handler is not told.
        pub(crate) fn begin_io(&self, seat: usize, operation: Operation) -> Option<Completed> {
            let own = self.own_seat() == Some(seat);
            let is_first = !self.ports().of_seat(seat).is_active();
            let completed = self.ports().begin(seat, own, operation);
            self.runnables.wake_for_io();
            // From here on the worker calls for a watcher itself, whenever it goes to work.
            if is_first && self.runnables.call_for_first_io() {
                // Relaxed: a number for people.
                self.woken_from_outside.fetch_add(1, Ordering::Relaxed);
            }
            completed
        }

        /// The seat whose driver sends at once what has this behind it, if there is one: the calling worker's. With a `seat`, only that one.
        pub(crate) fn sends_now(&self, seat: Option<usize>, behind: Behind) -> Option<usize> {
            let own = self.own_seat()?;
            let sends = self.ports().kind()?.sends_now(behind);
            (sends && seat.is_none_or(|seat| seat == own)).then_some(own)
        }

        pub(crate) fn cancel_io(&self, seat: usize, socket: SocketId, id: OperationId) {
            let own = self.own_seat() == Some(seat);
            self.ports().cancel(seat, own, socket, id);
            self.runnables.wake_for_io();
        }

        /// How many drivers a scheduler has: one for each worker, or one for all where sleepers cannot sleep in theirs.
        pub(crate) fn drivers(workers: usize) -> usize {
            if Self::sleeps_in_ports() { workers } else { 1 }
        }

        /// Whether all workers sleep in ports.
        pub(crate) fn sleeps_in_ports() -> bool {
            <Semaphore as libprocess_semaphore::Semaphore>::SLEEPS_IN_PARKER
        }
    }
}
