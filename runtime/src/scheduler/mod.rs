//! Workers, their seats, and the threads that stand in for blocked ones.
//!
//! The scheduler runs [`Runnable`]s and knows nothing of processes.
//!
//! # Seats
//!
//! A *seat* is what exists once per configured worker. A thread with a seat waits in the semaphore, takes
//! runnables and runs them. When a handler blocks, its thread gives the seat to a *spare* thread, or to a new one, before it
//! sleeps; woken, it gets a seat through the run queue (see [`waiter`]). A spare that nobody needs for a second ends.
//!
//! A seat is always with exactly one thread, so never more threads run processes or wait in the semaphore than there are seats,
//! and the semaphore's slots never run out. What can go wrong:
//!
//! * *Nobody takes the seat.* A spare is taken off the list under the lock that it must take to give up waiting, so it either
//!   finds its seat or was never given one. If no spare is there and no thread can be started, the seat goes back to the thread, which then
//!   must not block (`TooManyBlocked`).
//! * *A wake-up is lost between two threads of a seat.* The semaphore's count belongs to the scheduler, not to the seat: a signal that nobody
//!   has used yet wakes whoever waits next.
//! * *Shutdown while a thread is blocked.* Shutdown first waits until every process has ended, so no thread is in a handler.

mod aside;
pub(crate) mod counters;
mod holder;
mod idle;
mod io;
#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod looking_on;
mod lull;
#[cfg(all(test, any(libprocess_loom, libprocess_shuttle)))]
mod model_script;
#[cfg(all(test, libprocess_loom))]
mod models;
pub(crate) mod pool;
mod runnable;
mod runnables;
#[cfg(all(test, libprocess_shuttle))]
mod schedules;
mod waiter;
mod waits;
mod watch;
mod worker;

use std::sync::Arc;

use libprocess_semaphore::Semaphore as _;

pub(crate) use runnable::{Header, Run, Runnable};
pub(crate) use worker::Worker;

use crate::facade::atomic::{AtomicU64, Ordering};
use crate::facade::thread::{self, JoinHandle};
use crate::facade::{Mutex, MutexGuard, is_finished, lock, weakened};
use counters::Counters;
use runnables::Runnables;
use waiter::SeatWaiter;
use worker::Stopped;

#[cfg(feature = "work-stealing-run-queue")]
pub(crate) type RunQueue = libprocess_queues::run::WorkStealingRunQueue<Runnable>;
#[cfg(all(
    feature = "lock-free-run-queue",
    not(feature = "work-stealing-run-queue")
))]
pub(crate) type RunQueue = libprocess_queues::run::LockFreeRunQueue<Runnable>;
#[cfg(not(any(feature = "lock-free-run-queue", feature = "work-stealing-run-queue")))]
pub(crate) type RunQueue = libprocess_queues::run::LockingRunQueue<Runnable>;

#[cfg(feature = "last-in-first-out-fixed-size-semaphore")]
pub(crate) type Semaphore = libprocess_semaphore::LifoFixedSizeSemaphore;
#[cfg(not(feature = "last-in-first-out-fixed-size-semaphore"))]
pub(crate) type Semaphore = libprocess_semaphore::KernelSemaphore;

type LocalRunQueue = <RunQueue as libprocess_queues::run::RunQueue<Runnable>>::Local;

/// What exists once per worker.
pub(crate) struct Seat {
    index: usize,
    local: LocalRunQueue,
}

impl Seat {
    fn local(&mut self) -> &mut LocalRunQueue {
        &mut self.local
    }
}

/// What a scheduler is made of.
pub(crate) struct Configuration {
    pub(crate) name: String,
    pub(crate) workers: usize,
    pub(crate) semaphore_slots: usize,
    pub(crate) max_blocked_threads: usize,
    /// How long a worker with nothing to do asks for I/O before it sleeps.
    pub(crate) busy_poll: std::time::Duration,
    /// The cores that seats are pinned to, in turn; empty: none.
    pub(crate) cores: Vec<core_affinity::CoreId>,
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(crate) ports: Arc<crate::reactor::Ports>,
}

pub(crate) struct Scheduler {
    runnables: Runnables<Runnable, RunQueue, Semaphore>,
    aside: aside::Aside,
    /// Tokens that were won outside of the scheduler's threads, each by a *visitor*: a thread between its enqueue and the end of its signal.
    visits_begun: AtomicU64,
    /// Visitors that have left.
    visits_ended: AtomicU64,
    /// Tokens that were given up outside of the scheduler's threads.
    given_up_outside: AtomicU64,
    /// Workers that others than its threads have woken, and those for the first I/O of a port. Not the facade's: a number for people is no part of a model.
    woken_from_outside: std::sync::atomic::AtomicU64,
    /// Where the next operation of a thread that is no worker goes.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    next_port: AtomicU64,
    configuration: Configuration,
    threads: Mutex<Threads>,
}

/// Runs on a thread before it works; given the number of the seat that it starts with.
type OnStart = dyn Fn(usize) + Send + Sync;

/// What is needed only when a thread starts, blocks or ends.
struct Threads {
    /// Threads alive, the ones about to start included.
    alive: usize,
    /// Threads that gave their seat away because a handler blocked, and have none yet.
    blocked: usize,
    spares: Vec<Arc<SeatWaiter>>,
    counters: Vec<Arc<Counters>>,
    /// The sums of the threads that ended.
    ended: [u64; counters::COUNT],
    handles: Vec<JoinHandle<()>>,
    started: usize,
    stopping: bool,
    /// Runs on each thread before it works.
    on_start: Option<Arc<OnStart>>,
}

impl Scheduler {
    pub(crate) fn new(configuration: Configuration) -> Self {
        Self {
            runnables: Runnables::new(
                configuration.workers,
                Semaphore::with_capacity(configuration.semaphore_slots),
                configuration.busy_poll,
            ),
            aside: aside::Aside::new(configuration.workers),
            visits_begun: AtomicU64::new(0),
            visits_ended: AtomicU64::new(0),
            given_up_outside: AtomicU64::new(0),
            woken_from_outside: std::sync::atomic::AtomicU64::new(0),
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            next_port: AtomicU64::new(0),
            configuration,
            threads: Mutex::new(Threads {
                alive: 0,
                blocked: 0,
                spares: Vec::new(),
                counters: Vec::new(),
                ended: [0; counters::COUNT],
                handles: Vec::new(),
                started: 0,
                stopping: false,
                on_start: None,
            }),
        }
    }

    pub(crate) fn workers(&self) -> usize {
        self.configuration.workers
    }

    /// Starts a thread for each seat. `on_start` runs on every thread, now and later, before it works, with the number of its seat.
    ///
    /// # Errors
    ///
    /// The operating system refused a thread; those that were started are stopped again.
    pub(crate) fn start(self: &Arc<Self>, on_start: Arc<OnStart>) -> std::io::Result<()> {
        self.threads().on_start = Some(on_start);
        for index in 0..self.configuration.workers {
            let seat = Seat {
                index,
                local: self.runnables.local(index),
            };
            // Not in the condition: the lock would be held while `stop` takes it.
            let started = self.start_thread(&mut self.threads(), seat);
            if let Err((_, error)) = started {
                self.stop();
                return Err(error);
            }
        }
        Ok(())
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        // Foreign code never runs under this lock, so a poisoned one is still consistent.
        lock(&self.threads)
    }

    fn start_thread(
        self: &Arc<Self>,
        threads: &mut Threads,
        seat: Seat,
    ) -> Result<(), (Option<Seat>, std::io::Error)> {
        let scheduler = Arc::clone(self);
        let thread_name = format!("{}-{}", self.configuration.name, threads.started);
        let counters = Arc::new(Counters::default());
        let on_start = threads.on_start.clone();
        // The seat travels through a cell, so that it is not lost with the closure if the
        // operating system refuses the thread.
        let seat = Arc::new(Mutex::new(Some(seat)));
        let given = Arc::clone(&seat);
        let of_thread = Arc::clone(&counters);
        let spawned = thread::Builder::new().name(thread_name).spawn(move || {
            if let Some(seat) = lock(&given).take() {
                scheduler.pin(&seat);
                if let Some(on_start) = on_start {
                    on_start(seat.index);
                }
                scheduler.run_thread(of_thread, seat);
            }
        });
        match spawned {
            Ok(handle) => {
                threads.handles.push(handle);
                threads.counters.push(counters);
                threads.alive += 1;
                threads.started += 1;
                Ok(())
            }
            Err(error) => {
                let seat = lock(&seat).take();
                Err((seat, error))
            }
        }
    }

    fn run_thread(self: &Arc<Self>, counters: Arc<Counters>, seat: Seat) {
        let worker = Worker::new(Arc::clone(self), Arc::clone(&counters));
        worker.enter(|| {
            let mut seat = seat;
            loop {
                worker.take_seat(seat);
                let next = match worker.work() {
                    Stopped::SeatLost => worker.waiter().wait_as_spare(),
                    Stopped::Decommissioned => None,
                };
                let Some(next) = next else { break };
                self.pin(&next);
                seat = next;
            }
        });
        let mut threads = self.threads();
        // A spare may not have come to the seat that it was given before the scheduler stops: then there is nothing to do there.
        debug_assert!(
            threads.stopping || worker.waiter().take().is_none(),
            "a thread ends with a seat that it was given"
        );
        threads.alive -= 1;
        threads
            .counters
            .retain(|known| !Arc::ptr_eq(known, &counters));
        for (sum, count) in threads.ended.iter_mut().zip(counters.read()) {
            *sum += count;
        }
    }

    fn pin(&self, seat: &Seat) {
        let cores = &self.configuration.cores;
        if !cores.is_empty() {
            core_affinity::set_for_current(cores[seat.index % cores.len()]);
        }
    }

    /// Gives the seat of a thread that blocks to a spare, or to a new thread. Gives it back if there can be none, with
    /// the operating system's reason, if it was that. To be undone by `unblocked`.
    fn hand_over(self: &Arc<Self>, seat: Seat) -> Result<(), (Seat, Option<std::io::Error>)> {
        let mut threads = self.threads();
        if threads.blocked >= self.configuration.max_blocked_threads {
            return Err((seat, None));
        }
        if let Some(spare) = threads.spares.pop() {
            threads.blocked += 1;
            drop(threads);
            spare.give(seat);
            return Ok(());
        }
        let (ended, running) = threads.handles.drain(..).partition(is_finished);
        threads.handles = running;
        let started = self.start_thread(&mut threads, seat);
        if started.is_ok() {
            threads.blocked += 1;
        }
        drop(threads);
        let ended: Vec<JoinHandle<()>> = ended;
        // Not under the lock: a thread's last destructors may be foreign code.
        ended.into_iter().for_each(join);
        match started {
            Ok(()) => Ok(()),
            Err((Some(seat), error)) => Err((seat, Some(error))),
            // The closure of a thread that was refused never ran, so the seat is still in its cell.
            Err((None, _)) => unreachable!("a thread that did not start took a seat"),
        }
    }

    /// A thread that was blocked has a seat again.
    fn unblocked(&self) {
        self.threads().blocked -= 1;
    }

    /// Enqueues from a thread that keeps the scheduler alive.
    fn enqueue(&self, runnable: Runnable) {
        if self.runnables.put(runnable) {
            // Relaxed: a number for people.
            self.woken_from_outside.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Enqueues from a thread that is none of this scheduler's.
    ///
    /// # Safety
    ///
    /// `this` is valid when called, because `runnable` keeps the runtime from ending until it was run. It need not be valid when this returns.
    pub(crate) unsafe fn enqueue_from_outside(this: *const Self, runnable: Runnable) {
        // SAFETY: valid while `runnable` is not enqueued (contract); from then on the visit keeps
        // shutdown waiting until the last line, after which nothing is touched.
        unsafe {
            (*this).begin_visit();
            (*this).enqueue(runnable);
            // Release: pairs with the Acquire in `stop`: the signal happens before the scheduler is freed.
            (*this).visits_ended.fetch_add(1, Ordering::Release);
        }
    }

    /// Counts a token that was won outside of the scheduler's threads.
    fn begin_visit(&self) {
        // Relaxed: ordered before the end of the runnable's process by the run queue, and that end
        // is what shutdown acquires before it reads the count.
        self.visits_begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts work that is no runnable of this scheduler, but keeps the runtime from being quiet, until `work_ended`.
    pub(crate) fn work_begun(&self) {
        self.begin_visit();
        // Release: as in `enqueue_from_outside`.
        self.visits_ended.fetch_add(1, Ordering::Release);
    }

    /// See `work_begun`.
    pub(crate) fn work_ended(&self) {
        // Release: pairs with the Acquire in `is_quiet`, as in `Counters::give_up_token`.
        self.given_up_outside.fetch_add(1, Ordering::Release);
    }

    /// Whether there was an instant during this call at which there was no token: nothing ran and nothing was runnable.
    ///
    /// Both counts only grow, and no token is given up before it was won. So if all that were given up when the first look began are as many
    /// as all that were won when the second one ended, there was none in between.
    pub(crate) fn is_quiet(&self) -> bool {
        if weakened("quiet-won-last") {
            return self.won() == self.given_up();
        }
        self.given_up() == self.won()
    }

    fn given_up(&self) -> u64 {
        // Acquire: as in `Counters::read_one`.
        self.given_up_outside.load(Ordering::Acquire) + self.sum(counters::GIVEN_UP)
    }

    fn won(&self) -> u64 {
        // Acquire: as in `Counters::read_one`.
        self.visits_begun.load(Ordering::Acquire) + self.sum(counters::WON)
    }

    fn sum(&self, counter: usize) -> u64 {
        let threads = self.threads();
        let of_threads = threads
            .counters
            .iter()
            .map(|counters| counters.read_one(counter));
        threads.ended[counter] + of_threads.sum::<u64>()
    }

    /// What all workers have done in turns, in the units of the floors above.
    fn work_done(&self) -> u64 {
        let threads = self.threads();
        let ended = &threads.ended[counters::FIRST_FREE..counters::FIRST_FREE + counters::WORK];
        let of_threads = threads.counters.iter().map(|counters| counters.work_done());
        ended.iter().sum::<u64>() + of_threads.sum::<u64>()
    }

    /// The sums over all threads, those that ended included.
    pub(crate) fn counters(&self) -> [u64; counters::COUNT] {
        let threads = self.threads();
        let mut sums = threads.ended;
        for counters in &threads.counters {
            for (sum, count) in sums.iter_mut().zip(counters.read()) {
                *sum += count;
            }
        }
        // Relaxed: as where it is counted.
        sums[counters::WAKE_UPS] += self.woken_from_outside.load(Ordering::Relaxed);
        sums
    }

    /// The seat of this scheduler that the calling thread has, if it has one.
    #[inline]
    pub(crate) fn own_seat(&self) -> Option<usize> {
        Worker::with_current(|worker| {
            worker
                .filter(|worker| worker.is_of(self))
                .and_then(Worker::seat_index)
        })
    }

    /// Threads alive: seated, blocked and spare.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads().alive
    }

    /// Ends the threads and joins them. Nothing may be runnable any more, and no handler running.
    ///
    /// Must not be called on one of the scheduler's own threads.
    pub(crate) fn stop(&self) {
        // Acquire: pairs with the Release in `enqueue_from_outside`. The ends first: no visit begins any more.
        while self.visits_ended.load(Ordering::Acquire) != self.visits_begun.load(Ordering::Relaxed)
        {
            // A visitor is a few instructions from its end; if it was preempted there, it needs the core.
            thread::yield_now();
        }
        self.runnables.decommission();
        let mut threads = self.threads();
        threads.stopping = true;
        let handles = std::mem::take(&mut threads.handles);
        let spares = std::mem::take(&mut threads.spares);
        // It holds on to the runtime that owns this scheduler.
        threads.on_start = None;
        drop(threads);
        for spare in spares {
            spare.dismiss();
        }
        handles.into_iter().for_each(join);
        #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
        self.configuration.ports.end();
    }
}

fn join(handle: JoinHandle<()>) {
    if handle.join().is_err() {
        // Handlers' panics are caught where they are run: this is a defect of ours, or of an `on_start`.
        tracing::error!("a worker thread panicked");
    }
}
