//! Models of how workers fall asleep and are woken, explored by loom: `scripts/loom`.
//!
//! They run the shipped word, run queue and semaphores; only the injector is the one behind a mutex, as loom does not know
//! crossbeam's. A wake-up that is lost leaves everybody asleep, which loom reports as a deadlock. Each model has twins with a weakening
//! planted in the shipped code.

mod hand_over;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use libprocess_queues::run::WorkStealingRunQueue;
use libprocess_semaphore::{
    FutexParker, KernelSemaphore, LifoFixedSizeSemaphore, Parker as _, Semaphore,
};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::counters::Counters;
use super::idle::Idle;
use super::io::SeatIo;
use super::runnables::{Runnables, Taken};
use crate::facade::with_weakening;

/// Every schedule with so many preemptions, and those with more that `LIBPROCESS_LOOM_MORE_PREEMPTIONS` asks for.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let more = std::env::var("LIBPROCESS_LOOM_MORE_PREEMPTIONS").unwrap_or_default();
    let preemptions = preemptions + more.parse().unwrap_or(0);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn must_fail(weakening: &'static str, reason: &str, preemptions: usize, model: fn()) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        with_weakening(weakening, || explore(preemptions, model));
    }));
    let panic = outcome.expect_err("the model did not notice the weakening");
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or_default();
    assert!(
        message.contains(reason),
        "the model failed for another reason: {message}"
    );
}

struct World<S> {
    runnables: Runnables<usize, WorkStealingRunQueue<usize>, S>,
    /// How many items were run, and who waits for that.
    run: Mutex<usize>,
    more: Condvar,
}

impl<S: Semaphore> World<S> {
    fn new() -> Arc<Self> {
        Self::of(2)
    }

    fn of(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            runnables: Runnables::new(
                workers,
                S::with_capacity(workers),
                std::time::Duration::ZERO,
            ),
            run: Mutex::new(0),
            more: Condvar::new(),
        })
    }

    /// A worker that runs what it gets until it is decommissioned.
    fn work(self: Arc<Self>, index: usize, all: usize) {
        self.work_over(&Arc::new(FutexParker::new()), index, all);
    }

    fn work_over(&self, io: &impl SeatIo, index: usize, all: usize) {
        let mut local = self.runnables.local(index);
        let counters = Counters::default();
        loop {
            match self.runnables.take(&mut local, io, &counters) {
                Taken::Item(_) => self.ran(all),
                Taken::Io => {}
                Taken::Decommissioned => return,
            }
        }
    }

    fn ran(&self, all: usize) {
        let mut run = self.run.lock().unwrap();
        *run += 1;
        assert!(*run <= all, "an item was run twice");
        self.more.notify_all();
        if *run == all {
            drop(run);
            self.runnables.decommission();
        }
    }

    fn wait_until(&self, count: usize) {
        let mut run = self.run.lock().unwrap();
        while *run < count {
            run = self.more.wait(run).unwrap();
        }
    }
}

/// Two workers on their way to sleep, and a foreign thread that puts something in.
fn an_outsider_is_heard<S: Semaphore>() {
    let world = World::<S>::new();
    let workers = [0, 1].map(|index| {
        let world = Arc::clone(&world);
        thread::spawn(move || world.work(index, 1))
    });
    let _woke = world.runnables.put(7);
    for worker in workers {
        worker.join().unwrap();
    }
}

/// A driver that all workers share, where nothing ever happens.
struct Quiet(Arc<FutexParker>);

impl SeatIo for Quiet {
    type Parker = FutexParker;

    fn parker(&self) -> &Arc<FutexParker> {
        &self.0
    }

    fn is_active(&self) -> bool {
        true
    }
}

/// Two workers on their way to sleep, one in the driver and one in the kernel's semaphore, and a foreign thread that puts something in.
fn an_outsider_is_heard_by_the_holder() {
    let world = World::<KernelSemaphore>::new();
    let driver = Arc::new(FutexParker::new());
    let workers = [0, 1].map(|index| {
        let (world, io) = (Arc::clone(&world), Quiet(Arc::clone(&driver)));
        thread::spawn(move || world.work_over(&io, index, 1))
    });
    let _woke = world.runnables.put(7);
    for worker in workers {
        worker.join().unwrap();
    }
}

/// The only worker is woken in the driver by I/O, while a foreign thread puts something in: the signal may find nobody who holds the driver.
fn a_signal_finds_a_holder_that_leaves_for_io() {
    let world = World::<KernelSemaphore>::of(1);
    let driver = Arc::new(FutexParker::new());
    let worker = thread::spawn({
        let (world, io) = (Arc::clone(&world), Quiet(Arc::clone(&driver)));
        move || world.work_over(&io, 0, 2)
    });
    driver.unpark();
    let _woke = world.runnables.put(7);
    world.wait_until(1);
    let _woke = world.runnables.put(8);
    worker.join().unwrap();
}

#[test]
fn a_signal_is_not_left_where_nobody_waits() {
    explore(3, a_signal_finds_a_holder_that_leaves_for_io);
}

#[test]
fn weakened_a_signal_is_left_in_the_semaphore() {
    must_fail(
        "holder-takes-kept",
        "deadlock",
        3,
        a_signal_finds_a_holder_that_leaves_for_io,
    );
}

#[test]
fn weakened_a_holder_does_not_look_again() {
    must_fail(
        "holder-looks-again",
        "deadlock",
        3,
        a_signal_finds_a_holder_that_leaves_for_io,
    );
}

#[test]
fn a_holder_of_the_driver_is_woken() {
    explore(2, an_outsider_is_heard_by_the_holder);
}

#[test]
fn weakened_a_holder_is_not_unparked() {
    must_fail(
        "holder-unparked",
        "deadlock",
        2,
        an_outsider_is_heard_by_the_holder,
    );
}

/// A worker puts something where others find it, and then sits in its handler until somebody else has run it; the other is on its way to sleep.
fn a_busy_worker_is_helped<S: Semaphore>() {
    let world = World::<S>::new();
    let helper = thread::spawn({
        let world = Arc::clone(&world);
        move || world.work(1, 2)
    });
    {
        let mut local = world.runnables.local(0);
        let (parker, counters) = (Arc::new(FutexParker::new()), Counters::default());
        world
            .runnables
            .put_local(&mut local, 1, &counters, || {}, || false);
        world
            .runnables
            .put_local(&mut local, 2, &counters, || {}, || false);
        // The handler: it wants the one that was displaced.
        world.wait_until(1);
        while let Taken::Item(_) = world.runnables.take(&mut local, &parker, &counters) {
            world.ran(2);
        }
    }
    helper.join().unwrap();
}

/// One worker, which falls asleep while a foreign thread puts something in.
fn the_only_worker_is_woken<S: Semaphore>() {
    let world = Arc::new(World {
        runnables: Runnables::<usize, WorkStealingRunQueue<usize>, S>::new(
            1,
            S::with_capacity(1),
            std::time::Duration::ZERO,
        ),
        run: Mutex::new(0),
        more: Condvar::new(),
    });
    let worker = thread::spawn({
        let world = Arc::clone(&world);
        move || world.work(0, 2)
    });
    let _woke = world.runnables.put(1);
    let _woke = world.runnables.put(2);
    worker.join().unwrap();
}

/// All sleep, one of them watching.
fn all_asleep_and_watched(workers: usize) -> Arc<Idle> {
    let idle = Arc::new(Idle::new(workers));
    // The last one awake keeps something, and so calls for a watcher: a sleeper, which finds nothing and sleeps again, watching.
    for _ in 1..workers {
        idle.fall_asleep(false);
    }
    assert!(idle.kept(|| false), "the first to keep something calls");
    idle.fall_asleep(true);
    assert!(idle.take_watch(), "who was called watches");
    idle.fall_asleep(false);
    idle
}

/// A worker wakes and keeps something, while the watcher does this, which tells whether somebody will watch: somebody does, or is called.
fn what_is_kept_is_watched_beside(idle: &Arc<Idle>, watcher: fn(&Idle) -> bool) {
    let watcher = thread::spawn({
        let idle = Arc::clone(idle);
        move || watcher(&idle)
    });
    idle.wake_self();
    let called = idle.kept(|| false);
    let watched = watcher.join().unwrap();
    assert!(called || watched, "nobody watches what is kept");
}

/// The watcher finds all others asleep, and goes.
fn what_is_kept_is_watched() {
    what_is_kept_is_watched_beside(&all_asleep_and_watched(2), |idle| {
        if idle.all_asleep() {
            idle.leave_watch();
            return !idle.all_asleep() && idle.take_watch();
        }
        true
    });
}

/// The watcher is woken, and finds itself alone.
fn what_is_kept_beside_a_woken_watcher_is_watched() {
    let idle = all_asleep_and_watched(3);
    assert!(idle.claim_sleeper(), "all sleep");
    what_is_kept_is_watched_beside(&idle, |idle| {
        idle.pass_watch_if_needed(false);
        idle.woken();
        assert!(idle.end_search(), "nobody else searches");
        idle.is_called()
    });
}

mod models {
    use super::*;

    #[test]
    fn a_woken_watcher_leaves_nothing_unwatched() {
        explore(3, what_is_kept_beside_a_woken_watcher_is_watched);
    }

    #[test]
    fn weakened_a_woken_watcher_does_not_look_again() {
        must_fail(
            "alone-looks-again",
            "nobody watches",
            3,
            what_is_kept_beside_a_woken_watcher_is_watched,
        );
    }

    #[test]
    fn an_outsider_is_heard_with_the_kernel_semaphore() {
        explore(3, an_outsider_is_heard::<KernelSemaphore>);
    }

    #[test]
    fn an_outsider_is_heard_with_the_last_in_first_out_semaphore() {
        explore(3, an_outsider_is_heard::<LifoFixedSizeSemaphore>);
    }

    #[test]
    fn a_busy_worker_is_helped_by_one_that_falls_asleep() {
        explore(3, a_busy_worker_is_helped::<KernelSemaphore>);
    }

    #[test]
    fn the_only_worker_is_woken_by_each() {
        explore(3, the_only_worker_is_woken::<KernelSemaphore>);
    }

    #[test]
    fn what_is_kept_is_watched_or_called_for() {
        explore(4, what_is_kept_is_watched);
    }

    #[test]
    fn without_a_second_look_an_outsider_is_not_heard() {
        must_fail(
            "sleep-looks-again",
            "deadlock",
            3,
            an_outsider_is_heard::<KernelSemaphore>,
        );
    }

    #[test]
    fn without_a_signal_an_outsider_is_not_heard() {
        must_fail(
            "put-wakes",
            "deadlock",
            3,
            an_outsider_is_heard::<LifoFixedSizeSemaphore>,
        );
    }

    #[test]
    fn without_the_fence_of_who_puts_a_wake_up_is_lost() {
        must_fail(
            "idle-put",
            "deadlock",
            3,
            a_busy_worker_is_helped::<KernelSemaphore>,
        );
    }

    #[test]
    fn without_the_fence_of_who_sleeps_a_wake_up_is_lost() {
        must_fail(
            "idle-sleep",
            "deadlock",
            3,
            a_busy_worker_is_helped::<KernelSemaphore>,
        );
    }

    #[test]
    fn without_the_fence_of_who_wakes_what_is_kept_is_not_watched() {
        must_fail("idle-woken", "nobody watches", 4, what_is_kept_is_watched);
    }
}
