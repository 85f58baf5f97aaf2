//! A shipped [`Scheduler`] with threads of its checker, and runnables that follow scripts: what the models of the whole scheduler are written in.
//!
//! A script is a list of steps. A job does one after the other, in as many turns as it yields; outsiders are threads that are none of the scheduler's.
//! When all jobs are through, the scheduler is stopped. Then, and in each turn, is asserted:
//!
//! * never are more threads at work than there are seats;
//! * a job is run as often as it was enqueued, and never by two threads at a time;
//! * what was awaited had been told before its waiter went on;
//! * no token is left (`is_quiet`), all threads have been joined, and nobody keeps the scheduler alive.
//!
//! Whoever is left asleep is the checker's to find: it calls that a deadlock.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

#[cfg(libprocess_loom)]
use loom::sync::Condvar;
#[cfg(libprocess_shuttle)]
use shuttle::sync::Condvar;

use super::counters::COUNT;
use super::{Configuration, Header, Runnable, Scheduler, Worker};
use crate::facade::atomic::AtomicBool;
use crate::facade::{Mutex, lock, now, thread};
use crate::future::blocking::{Awaited, Blocking as _, Refused, Registered};

/// What a job does, by the number of the job or event that it concerns.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(libprocess_loom, allow(dead_code, reason = "loom's scripts are small"))]
pub(super) enum Step {
    /// Enqueues another job, which was not enqueued before.
    Run(usize),
    /// Ends the turn, and goes behind what waits.
    Yield,
    /// Ends the turn, and goes to whoever comes first.
    Stray,
    /// Brings an event about.
    Tell(usize),
    /// Blocks until an event has come about.
    Await(usize),
    /// Blocks until an event has come about or a second is over.
    AwaitForAWhile(usize),
    /// Waits for an event without telling anybody, as a long handler does.
    SitThrough(usize),
    /// As `SitThrough`, in `block_in_place`.
    InPlace(usize),
    /// As `Await`, in `block_in_place`.
    AwaitInPlace(usize),
    /// Uses the wakers again that `Tell` has used.
    Echo,
}

/// What an outsider does.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(libprocess_loom, allow(dead_code, reason = "loom's scripts are small"))]
pub(super) enum Outside {
    Post(usize),
    Tell(usize),
    Echo,
    /// Asks whether all is quiet. While there are jobs that nobody has to post or tell any more, it must not be.
    NeverQuiet,
}

/// What is run.
pub(super) struct Script {
    pub(super) workers: usize,
    pub(super) max_blocked_threads: usize,
    pub(super) jobs: &'static [&'static [Step]],
    /// The first of them is the thread that starts and stops the scheduler.
    pub(super) outsiders: &'static [&'static [Outside]],
    /// How many events there are.
    pub(super) events: usize,
}

#[repr(C)]
struct Job {
    // First, so that a pointer to the job is one to its header.
    header: Header,
    world: *const World,
    steps: &'static [Step],
    /// The step that comes next. This count and the two below are no part of the model.
    at: AtomicUsize,
    enqueued: AtomicUsize,
    run: AtomicUsize,
    running: AtomicBool,
}

#[derive(Default)]
struct Event {
    told: bool,
    wakers: Vec<Waker>,
}

struct World {
    scheduler: Arc<Scheduler>,
    seats: usize,
    /// How many threads run a job and do not sleep in it. No part of the model.
    at_work: AtomicUsize,
    jobs: Vec<Job>,
    events: Vec<(Mutex<Event>, Condvar)>,
    used: Mutex<Vec<Waker>>,
    through: (Mutex<usize>, Condvar),
}

// SAFETY: `world` of a job points to the world that the job is in, which is only read; the rest is `Sync`.
unsafe impl Sync for Job {}
// SAFETY: as above.
unsafe impl Send for Job {}

/// Of an event nobody in particular is the owner.
struct Nobody;

impl Awaited for Nobody {
    fn owner(&self) -> u64 {
        0
    }
}

impl Script {
    /// Runs it once. Returns the sums of the threads' counters.
    pub(super) fn play(&self) -> [u64; COUNT] {
        let scheduler = Arc::new(Scheduler::new(Configuration {
            busy_poll: std::time::Duration::ZERO,
            name: "model".into(),
            workers: self.workers,
            semaphore_slots: self.workers,
            max_blocked_threads: self.max_blocked_threads,
            cores: Vec::new(),
        }));
        let world = World::new(self, Arc::clone(&scheduler));
        scheduler.start(Arc::new(|_| ())).expect("threads");
        let mut outsiders = self.outsiders.iter();
        let own = outsiders.next().copied().unwrap_or_default();
        let others: Vec<_> = outsiders
            .map(|steps| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.outside(steps))
            })
            .collect();
        world.outside(own);
        world.wait_until_through();
        assert!(scheduler.is_quiet(), "a token is left");
        scheduler.stop();
        for other in others {
            assert!(other.join().is_ok());
        }
        world.assert_exact();
        drop(world);
        assert_eq!(scheduler.thread_count(), 0, "a thread is left");
        assert_eq!(
            Arc::strong_count(&scheduler),
            1,
            "somebody keeps the scheduler"
        );
        scheduler.counters()
    }
}

impl World {
    fn new(script: &Script, scheduler: Arc<Scheduler>) -> Arc<Self> {
        Arc::new_cyclic(|world| Self {
            scheduler,
            seats: script.workers,
            at_work: AtomicUsize::new(0),
            jobs: script
                .jobs
                .iter()
                .map(|steps| Job {
                    header: Header::new(run),
                    world: world.as_ptr(),
                    steps,
                    at: AtomicUsize::new(0),
                    enqueued: AtomicUsize::new(0),
                    run: AtomicUsize::new(0),
                    running: AtomicBool::new(false),
                })
                .collect(),
            events: (0..script.events)
                .map(|_| (Mutex::new(Event::default()), Condvar::new()))
                .collect(),
            used: Mutex::new(Vec::new()),
            through: (Mutex::new(0), Condvar::new()),
        })
    }

    /// A token of a job. The caller has the right to make one.
    fn token(&self, job: usize) -> Runnable {
        let job = &self.jobs[job];
        job.enqueued.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the world outlives the scheduler's threads; of a job there is one token at a time, by its script.
        unsafe { Runnable::new(NonNull::from(job).cast()) }
    }

    fn outside(&self, steps: &[Outside]) {
        for step in steps {
            match *step {
                Outside::Post(job) => {
                    let token = self.token(job);
                    // SAFETY: the scheduler is kept alive by the world.
                    unsafe {
                        Scheduler::enqueue_from_outside(Arc::as_ptr(&self.scheduler), token);
                    }
                }
                Outside::Tell(event) => self.tell(event),
                Outside::Echo => self.echo(),
                Outside::NeverQuiet => assert!(!self.scheduler.is_quiet(), "quiet with a token"),
            }
        }
    }

    fn tell(&self, event: usize) {
        let (event, changed) = &self.events[event];
        let wakers = {
            let mut event = lock(event);
            event.told = true;
            changed.notify_all();
            std::mem::take(&mut event.wakers)
        };
        for waker in &wakers {
            waker.wake_by_ref();
        }
        lock(&self.used).extend(wakers);
    }

    fn echo(&self) {
        let used = std::mem::take(&mut *lock(&self.used));
        for waker in used {
            waker.wake();
        }
    }

    fn is_told(&self, event: usize) -> bool {
        lock(&self.events[event].0).told
    }

    /// Sleeps as a worker until the event, or, with a deadline, once. False: refused.
    fn sleep(&self, worker: &Worker, event: usize, for_a_while: bool) -> bool {
        while !self.is_told(event) {
            let deadline = for_a_while.then(|| now() + Duration::from_secs(1));
            let mut register = |waker: &Waker| {
                let mut event = lock(&self.events[event].0);
                if event.told {
                    return Registered::Done;
                }
                event.wakers.push(waker.clone());
                Registered::Waiting
            };
            match worker.sleep(&mut register, deadline, &Nobody) {
                Ok(()) if for_a_while => return true,
                Ok(()) => {}
                Err(Refused::TooManyBlocked) => return false,
                Err(Refused::WaitCycle(_)) => unreachable!("nobody owns an event"),
            }
        }
        true
    }

    fn begin_work(&self) {
        let others = self.at_work.fetch_add(1, Ordering::Relaxed);
        assert!(
            others < self.seats,
            "more threads are at work than there are seats"
        );
    }

    fn end_work(&self) {
        self.at_work.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls what gives the seat away and comes back with one.
    fn without_seat<R>(&self, f: impl FnOnce() -> R) -> R {
        self.end_work();
        let result = f();
        self.begin_work();
        result
    }

    fn sit_through(&self, event: usize) {
        let (event, changed) = &self.events[event];
        let mut event = lock(event);
        while !event.told {
            event = changed
                .wait(event)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn job_is_through(&self) {
        let (through, changed) = &self.through;
        *lock(through) += 1;
        changed.notify_all();
    }

    fn wait_until_through(&self) {
        let (through, changed) = &self.through;
        let mut through = lock(through);
        while *through < self.jobs.len() {
            through = changed
                .wait(through)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn assert_exact(&self) {
        for (index, job) in self.jobs.iter().enumerate() {
            assert_eq!(
                job.run.load(Ordering::Relaxed),
                job.enqueued.load(Ordering::Relaxed),
                "job {index} was not run as often as it was enqueued"
            );
        }
        assert_eq!(*lock(&self.through.0), self.jobs.len());
    }
}

impl Job {
    fn enter(&self, world: &World) {
        world.begin_work();
        let running = self
            .running
            .swap(true, crate::facade::atomic::Ordering::AcqRel);
        assert!(!running, "a job runs in two threads at a time");
        self.run.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self, world: &World) {
        world.end_work();
        self.running
            .store(false, crate::facade::atomic::Ordering::Release);
    }

    /// One turn. True: the job is through.
    fn turn(&self, world: &World, worker: &Worker) -> bool {
        while let Some(step) = self.steps.get(self.at.load(Ordering::Relaxed)) {
            let mut go_on = true;
            match *step {
                Step::Run(job) => worker.enqueue_new(world.token(job)),
                Step::Yield => go_on = false,
                Step::Stray => {
                    self.at.fetch_add(1, Ordering::Relaxed);
                    self.give_way(world, worker, true);
                    return false;
                }
                Step::Tell(event) => world.tell(event),
                Step::Await(event) => {
                    if !world.without_seat(|| world.sleep(worker, event, false)) {
                        // Refused: the same again in a later turn, which comes at once if others are slow.
                        thread::yield_now();
                        self.give_way(world, worker, false);
                        return false;
                    }
                    assert!(world.is_told(event));
                }
                Step::AwaitForAWhile(event) => {
                    let _slept = world.without_seat(|| world.sleep(worker, event, true));
                }
                Step::SitThrough(event) => world.sit_through(event),
                Step::InPlace(event) => {
                    world.without_seat(|| worker.block_in_place(|| world.sit_through(event)));
                }
                Step::AwaitInPlace(event) => {
                    let sleep = || world.sleep(worker, event, false);
                    let slept = world.without_seat(|| worker.block_in_place(sleep));
                    assert!(slept, "refused though the seat is gone already");
                }
                Step::Echo => world.echo(),
            }
            self.at.fetch_add(1, Ordering::Relaxed);
            if !go_on {
                self.give_way(world, worker, false);
                return false;
            }
        }
        true
    }

    fn give_way(&self, world: &World, worker: &Worker, stray: bool) {
        self.leave(world);
        self.enqueued.fetch_add(1, Ordering::Relaxed);
        // SAFETY: this job's token is the one that is being run, and from here on this one.
        let token = unsafe { Runnable::new(NonNull::from(self).cast()) };
        worker.enqueue_yielded(token, stray);
    }
}

/// # Safety
///
/// As `Run`: the header is a job's, whose world is alive.
unsafe fn run(header: NonNull<Header>, worker: &Worker) {
    // SAFETY: by the contract.
    let job: &Job = unsafe { header.cast().as_ref() };
    // SAFETY: the thread that plays the script holds the world until the scheduler has stopped.
    let world = unsafe { &*job.world };
    job.enter(world);
    if job.turn(world, worker) {
        job.leave(world);
        worker.counters().give_up_token();
        world.job_is_through();
    }
}
