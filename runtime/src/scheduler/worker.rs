//! A worker: what one thread of the scheduler knows about itself.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use libprocess_semaphore::{FutexParker, Parked, Parker as _};

use super::aside::{Aside, Pace, Stander};
use super::counters::Counters;
use super::runnables::{Others, Taken};
use super::waiter::SeatWaiter;
use super::waits;
use super::{Runnable, Scheduler, Seat};
use crate::facade::{contained, thread_constant, weakened};
use crate::future::TooManyBlocked;
use crate::future::blocking::{Awaited, Blocking, Refused, Registered};

thread_constant!(static CURRENT: Cell<*const Worker> = Cell::new(std::ptr::null()));

/// One thread's side of the scheduler. Lives on that thread's stack; never leaves it.
pub(crate) struct Worker {
    scheduler: Arc<Scheduler>,
    /// The seat this thread occupies; `None` once it gave it to a thread that was blocked.
    seat: UnsafeCell<Option<Seat>>,
    waiter: Arc<SeatWaiter>,
    parker: Arc<FutexParker>,
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    io: super::io::WorkerIo,
    counters: Arc<Counters>,
    pace: Pace,
    others: RefCell<Others>,
    /// Whether what runs has made more runnable than there is room for.
    crowded: Cell<bool>,
    /// While it fires timers, which is in no turn: how often it was asked whether it takes what it keeps next.
    kept_between_turns: Cell<Option<u32>>,
}

/// Why `work` returned.
pub(super) enum Stopped {
    /// The seat went to a thread that was blocked and goes on now.
    SeatLost,
    /// The scheduler is shutting down.
    Decommissioned,
}

impl Worker {
    pub(super) fn new(scheduler: Arc<Scheduler>, counters: Arc<Counters>) -> Self {
        Self {
            waiter: SeatWaiter::new(Arc::clone(&scheduler)),
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            io: super::io::WorkerIo::new(Arc::clone(&scheduler.configuration.ports)),
            scheduler,
            seat: UnsafeCell::new(None),
            parker: Arc::new(FutexParker::new()),
            counters,
            pace: Pace::new(),
            others: RefCell::default(),
            crowded: Cell::new(false),
            kept_between_turns: Cell::new(None),
        }
    }

    /// A process has its turn.
    #[inline]
    pub(crate) fn begin_turn(&self) {
        self.crowded.set(false);
    }

    /// Whether what has its turn has made more runnable than this worker has room for. Then it should let that go first: until the end of its turn, and after
    /// each turn, it would be further ahead of it, and all that it makes would wait in memory.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.get()
    }

    /// Makes this worker the thread's current one for as long as `f` runs.
    pub(super) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.with(|current| current.set(std::ptr::null()));
            }
        }
        CURRENT.with(|current| current.set(self));
        let _leave = Leave;
        let _blocking = crate::future::blocking::install(self);
        f()
    }

    /// Calls `f` with the thread's worker, if this is a worker's thread.
    #[inline]
    pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
        let current = CURRENT.with(Cell::get);
        // SAFETY: `enter` keeps the pointer in the thread-local only while the worker is borrowed
        // further down on this thread's stack, so it is valid throughout this call.
        f(unsafe { current.as_ref() })
    }

    /// Tells the workers of this OS process apart; zero in a thread that is none.
    #[inline]
    pub(crate) fn address() -> usize {
        CURRENT.with(Cell::get).addr()
    }

    /// Whether this is one of that scheduler's workers.
    #[inline]
    pub(crate) fn is_of(&self, scheduler: *const Scheduler) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.scheduler), scheduler)
    }

    /// What runs now was last fed by the worker with this address (`address`), which may be none.
    #[inline]
    pub(crate) fn fed_by(&self, address: usize) {
        self.pace.fed(address != std::ptr::from_ref(self).addr());
    }

    #[inline]
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// For who looks at them from another thread.
    pub(crate) fn shared_counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(super) fn take_seat(&self, seat: Seat) {
        // SAFETY: the cell is touched by this thread alone, and no reference into it is alive:
        // those made in `enqueue` and `work` end before anything else can run.
        unsafe { *self.seat.get() = Some(seat) };
    }

    pub(super) fn give_up_seat(&self) -> Option<Seat> {
        // SAFETY: as in `take_seat`.
        unsafe { (*self.seat.get()).take() }
    }

    pub(super) fn waiter(&self) -> &Arc<SeatWaiter> {
        &self.waiter
    }

    /// Enqueues a token that this thread made or won, and counts it.
    #[inline]
    pub(crate) fn enqueue_new(&self, runnable: Runnable) {
        self.counters.add(super::counters::WON, 1);
        self.enqueue(runnable);
    }

    /// Enqueues a token that this thread has.
    #[inline]
    fn enqueue(&self, runnable: Runnable) {
        // SAFETY: as in `take_seat`: the run queue does not call back.
        match unsafe { (*self.seat.get()).as_mut() } {
            Some(seat) => {
                self.scheduler.runnables.put_local(
                    seat.local(),
                    runnable,
                    &self.counters,
                    || self.is_now_crowded(),
                    || self.is_next(),
                );
            }
            // Between giving the seat away and coming back from the run, or in `block_in_place`.
            None => self.scheduler.enqueue(runnable),
        }
    }

    #[cold]
    #[inline(never)]
    fn is_now_crowded(&self) {
        self.crowded.set(true);
    }

    /// The first of what is kept between two turns is taken at once.
    #[cold]
    #[inline(never)]
    fn is_next(&self) -> bool {
        let Some(kept) = self.kept_between_turns.get() else {
            return false;
        };
        self.kept_between_turns.set(Some(kept + 1));
        kept == 0
    }

    /// Something else comes before what is kept, and may be long.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    fn take_no_more_next(&self) {
        if self.kept_between_turns.take().is_some_and(|kept| kept > 0) {
            self.scheduler.runnables.call_for_kept(&self.counters);
        }
    }

    /// Enqueues the token of what has just run, and shall run again after the others had a turn. `stray`: another worker feeds it, or it has crowded this one.
    ///
    /// A stray goes to whoever comes first. Where it meets those that feed it, it stays: two busy processes that exchange events
    /// cost several times as much on two workers as on one.
    #[inline]
    pub(crate) fn enqueue_yielded(&self, runnable: Runnable, stray: bool) {
        self.pace.was_long();
        // SAFETY: as in `enqueue`.
        match unsafe { (*self.seat.get()).as_mut() } {
            Some(_) if stray => self.scheduler.runnables.put_stray(runnable, &self.counters),
            Some(seat) => {
                self.scheduler
                    .runnables
                    .put_yielded(seat.local(), runnable, &self.counters);
            }
            None => self.scheduler.enqueue(runnable),
        }
    }

    /// Runs what becomes runnable until the seat is lost or the scheduler shuts down.
    pub(super) fn work(&self) -> Stopped {
        loop {
            // With a seat only: without one this thread is a spare already, and must hear when it is given one.
            if self.has_seat() && self.pace.turn() {
                self.pace.look(self);
            }
            self.look_at_io_in_turn();
            // SAFETY: as in `take_seat`: neither the run queue nor the semaphore nor the port calls back.
            let Some(seat) = (unsafe { (*self.seat.get()).as_mut() }) else {
                return Stopped::SeatLost;
            };
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            let io = &self.io.of_seat(seat.index);
            #[cfg(any(libprocess_loom, libprocess_shuttle))]
            let io = &self.parker;
            let taken = self
                .scheduler
                .runnables
                .take(seat.local(), io, &self.counters);
            let runnable = match taken {
                Taken::Item(runnable) => runnable,
                Taken::Io => {
                    self.look_at_io(false);
                    continue;
                }
                Taken::Decommissioned => return Stopped::Decommissioned,
            };
            self.counters.add(super::counters::RESUMES, 1);
            // Whoever runs catches what foreign code panics with. A panic that comes through is a defect of
            // ours; the seat must outlive it.
            if contained(|| runnable.run(self)).is_err() {
                tracing::error!("a worker caught a panic of the runtime itself: this is a defect");
            }
        }
    }
}

#[cfg(any(libprocess_loom, libprocess_shuttle))]
impl Worker {
    fn look_at_io_in_turn(&self) {}

    fn look_at_io(&self, _thorough: bool) {}

    fn tend_io(&self) {}

    fn leave_io(&self) {}
}

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
impl Worker {
    #[inline]
    fn look_at_io_in_turn(&self) {
        if self.io.is_due() {
            self.look_at_io(true);
        }
    }

    /// Collects what the kernel has done, and delivers it, and fires the timers that are due. It may run anything, so no part of the seat is borrowed.
    fn look_at_io(&self, thorough: bool) {
        // SAFETY: as in `take_seat`: the port does not call back.
        if let Some(seat) = unsafe { (*self.seat.get()).as_ref() } {
            let room = self.scheduler.runnables.room(&seat.local);
            self.io.look(seat.index, room, thorough);
            let has_timers = self.io.has_timers(seat.index, thorough);
            self.deliver_io();
            if has_timers {
                // In turn there may be something else before what is kept.
                self.kept_between_turns.set((!thorough).then_some(0));
                self.between_turns(|| self.io.fire_timers(|| self.take_no_more_next()));
                self.kept_between_turns.set(None);
            }
        }
    }

    /// Looks after the I/O of those who do not.
    fn tend_io(&self) {
        if let Some(seat) = self.seat_index() {
            self.io.tend(seat);
            self.deliver_io();
        }
    }

    fn leave_io(&self) {
        if let Some(seat) = self.seat_index() {
            self.io.leave(seat);
        }
    }

    fn deliver_io(&self) {
        if self.io.has_completions() {
            self.between_turns(|| self.io.deliver());
        }
    }

    /// Until `f` is done it is not quiet.
    fn between_turns(&self, f: impl FnOnce()) {
        self.counters.add(super::counters::WON, 1);
        f();
        self.counters.give_up_token();
    }
}

impl Worker {
    /// Calls `f`, which may block, while another thread has the seat. If there is none that could take it, this one keeps it.
    pub(crate) fn block_in_place<R>(&self, f: impl FnOnce() -> R) -> R {
        if self.hand_seat_over().is_err() {
            tracing::warn!("a blocking closure holds its worker: {TooManyBlocked}");
            return f();
        }
        let result = contained(f);
        // A blocking call inside of `f` may have brought a seat that nobody was there to take.
        if !self.has_seat() {
            self.waiter.set_blocked();
            self.wait_for_seat(|waker| waker.wake_by_ref(), None);
        }
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// The number of the seat that this thread has.
    pub(crate) fn seat_index(&self) -> Option<usize> {
        // SAFETY: as in `take_seat`.
        unsafe { (*self.seat.get()).as_ref() }.map(|seat| seat.index)
    }

    fn has_seat(&self) -> bool {
        // SAFETY: as in `take_seat`.
        unsafe { (*self.seat.get()).is_some() }
    }

    /// Gives the seat to another thread, if there is one.
    fn hand_seat_over(&self) -> Result<(), TooManyBlocked> {
        self.leave_io();
        let Some(seat) = self.give_up_seat() else {
            // In `block_in_place`: another thread has it.
            return Ok(());
        };
        if let Err((seat, error)) = Scheduler::hand_over(&self.scheduler, seat) {
            self.take_seat(seat);
            // With the seat in its place: a log's subscriber is foreign code.
            if let Some(error) = error {
                tracing::warn!(%error, "no thread could be started to stand in for a blocked worker");
            }
            return Err(TooManyBlocked);
        }
        self.counters.add(super::counters::BLOCKED, 1);
        Ok(())
    }

    /// Sleeps until the waker that `register` is given has been used, or the deadline is past, and there is a seat.
    fn wait_for_seat(&self, register: impl FnOnce(&Waker), deadline: Option<Instant>) {
        register(&self.waiter.waker());
        // The token of what runs in this thread: a waker has made, or will make, another. Not before there is a waker: until then this thread is at work.
        self.counters.give_up_token();
        let seat = self.waiter.wait_until_resumed(deadline);
        self.scheduler.unblocked();
        self.scheduler.pin(&seat);
        self.take_seat(seat);
        self.counters.add(super::counters::SEATED_AGAIN, 1);
    }
}

impl Stander for Worker {
    fn aside(&self) -> &Aside {
        &self.scheduler.aside
    }

    fn now(&self) -> Instant {
        crate::facade::now()
    }

    fn done(&self) -> u64 {
        self.counters.work_done()
    }

    fn done_by_all(&self) -> u64 {
        self.scheduler.work_done()
    }

    fn give_away(&self) {
        self.counters.add(super::counters::STOOD_ASIDE, 1);
        // SAFETY: as in `take_seat`: the run queue does not call back.
        if let Some(seat) = unsafe { (*self.seat.get()).as_mut() } {
            self.scheduler.runnables.share(seat.local(), &self.counters);
        }
    }

    fn sleep_until(&self, deadline: Instant) {
        // Nobody wakes it: this is not the semaphore. If somebody did, it would look too early.
        while self.parker.park(Some(deadline)) != Parked::Deadline {}
    }

    fn look_after_others(&self) {
        self.tend_io();
        // SAFETY: as in `take_seat`: the run queue does not call back.
        if let Some(seat) = unsafe { (*self.seat.get()).as_mut() } {
            let others = &mut self.others.borrow_mut();
            self.scheduler.runnables.look_after(
                others,
                (seat.index, &mut seat.local),
                &self.counters,
            );
        }
    }
}

impl Blocking for Worker {
    fn sleep(
        &self,
        register: &mut dyn FnMut(&Waker) -> Registered,
        deadline: Option<Instant>,
        awaited: &dyn Awaited,
    ) -> Result<(), Refused> {
        // Until this returns.
        let _entered = match deadline {
            None => waits::enter(awaited).map_err(Refused::WaitCycle)?,
            // It will go on by itself.
            Some(_) => None,
        };
        let in_place = !self.has_seat();
        if weakened("blocked-after-seat") {
            self.waiter.set_blocked();
        }
        self.hand_seat_over().map_err(|_| Refused::TooManyBlocked)?;
        // After the seat is gone, so that a late waker of an earlier wait cannot bring a second one;
        // before anybody has this wait's waker, so that its wake-up is not lost.
        if !weakened("blocked-before-waker") && !weakened("blocked-after-seat") {
            self.waiter.set_blocked();
        }
        let register = |waker: &Waker| {
            if register(waker) == Registered::Done {
                waker.wake_by_ref();
            }
            if weakened("blocked-before-waker") {
                self.waiter.set_blocked();
            }
        };
        self.wait_for_seat(register, deadline);
        if in_place {
            // The closure goes on without one. If nobody can take it, `block_in_place` finds it here.
            let _kept_if_refused = self.hand_seat_over();
        }
        Ok(())
    }
}
