//! The whole scheduler in random schedules, by shuttle: `scripts/shuttle`.
//!
//! The shipped scheduler is started with two or three workers, and runs the scripts below (`model_script` tells what is asserted). Each test tries as many
//! schedules as `LIBPROCESS_SHUTTLE_ITERATIONS` says (1,000), half of them chosen step by step, half by random priorities with few changes ("A Randomized
//! Scheduler with Probabilistic Guarantees of Finding Bugs", Burckhardt and others, 2010), which is better at what takes one thread to stall for long.
//!
//! Shuttle knows sequential consistency only, so fences and orderings are loom's affair (`models`); what it adds is size: all parts at a time.
//! A deadline may come at any moment (`semaphore/src/sync/model_clock.rs`), so watchers look and spares end in the middle of everything.
//!
//! A test that fails prints its schedule, and a seed if it was chosen step by step; `scripts/shuttle --help` tells how to see it again from either.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Scheduler,
    UncontrolledNondeterminismCheckScheduler,
};
use shuttle::sync::Condvar;
use shuttle::{Config, MaxSteps, Runner};

use super::counters::{self, COUNT, PARKS, STEALS, WAKE_UPS};
use super::model_script::{Outside, Script, Step};
use super::pool::Pool;
use crate::facade::{Mutex, lock, thread, with_weakening};
use Outside::{NeverQuiet, Post};
use Step::{
    Await, AwaitForAWhile, AwaitInPlace, Echo, InPlace, Run, SitThrough, Stray, Tell, Yield,
};

/// Far more than a script takes; whoever takes more spins.
const MAX_STEPS: usize = 50_000;
/// How many changes of priority a schedule has.
const DEPTH: usize = 3;

fn iterations() -> usize {
    match std::env::var("LIBPROCESS_SHUTTLE_ITERATIONS") {
        Ok(text) => text
            .parse()
            .expect("LIBPROCESS_SHUTTLE_ITERATIONS is a number"),
        Err(_) => 1_000,
    }
}

fn try_with(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 17;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model);
}

fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    if let Some(file) = std::env::var_os("LIBPROCESS_SHUTTLE_SCHEDULE") {
        let schedule = ReplayScheduler::new_from_file(file).expect("a file with a schedule");
        return try_with(schedule, model);
    }
    let half = iterations().div_ceil(2);
    try_with(RandomScheduler::new(half), model.clone());
    try_with(PctScheduler::new(DEPTH, half), model);
}

/// Explores a script, and demands that what it is about has come up: that these counters were moved in some schedule.
fn explore_script(script: &'static Script, seen: &[usize]) {
    let sums: Arc<[AtomicU64; COUNT]> = Arc::default();
    explore({
        let sums = Arc::clone(&sums);
        move || {
            for (sum, count) in sums.iter().zip(script.play()) {
                sum.fetch_add(count, Ordering::Relaxed);
            }
        }
    });
    for &counter in seen {
        let sum = sums[counter].load(Ordering::Relaxed);
        assert!(sum > 0, "no schedule has moved counter {counter}");
    }
}

/// Plants a weakening, and demands that it is found, for one of these reasons. The seed is always the same: so is the schedule that finds it.
fn must_fail(
    weakening: &'static str,
    reasons: &[&str],
    model: impl Fn() + Send + Sync + Clone + 'static,
) {
    const SEED: u64 = 1;
    const ITERATIONS: usize = 5_000;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        with_weakening(weakening, || {
            try_with(
                RandomScheduler::new_from_seed(SEED, ITERATIONS),
                model.clone(),
            );
            try_with(PctScheduler::new_from_seed(SEED, DEPTH, ITERATIONS), model);
        });
    }));
    let panic = outcome.expect_err("no schedule noticed the weakening");
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or_default();
    assert!(
        reasons.iter().any(|reason| message.contains(reason)),
        "it failed for another reason: {message}"
    );
}

/// Nobody goes on: all sleep, or all but a watcher or a spare, which are woken by their deadlines alone.
const ASLEEP: &[&str] = &["deadlock", "exceeded max_steps"];

/// Jobs that enqueue each other, yield and go astray, more of them than a ring holds; and a job from outside.
static A_CROWD: Script = Script {
    workers: 3,
    max_blocked_threads: 4,
    jobs: &[
        &[
            Run(1),
            Run(2),
            Run(3),
            Yield,
            Run(4),
            Run(5),
            Run(6),
            Run(7),
            Stray,
        ],
        &[Yield, Yield],
        &[Stray],
        &[Yield],
        &[],
        &[],
        &[Stray, Yield],
        &[],
        &[Run(9), Yield],
        &[],
    ],
    outsiders: &[&[Post(0)], &[Post(8)]],
    events: 0,
};

/// Two workers on their way to sleep, time and again, and an outsider who posts.
static OUTSIDERS: Script = Script {
    workers: 2,
    max_blocked_threads: 4,
    jobs: &[&[], &[Run(2)], &[], &[Yield]],
    outsiders: &[&[Post(0), Post(1)], &[Post(3)]],
    events: 0,
};

/// Two jobs come from outside at a time, and the first one that is taken sits until the other one has run: whoever took it has to see to that.
static PASSED_ON: Script = Script {
    workers: 2,
    max_blocked_threads: 4,
    jobs: &[&[SitThrough(1), Tell(0)], &[Tell(1), SitThrough(0)]],
    outsiders: &[&[Post(0), Post(1)]],
    events: 2,
};

/// A worker keeps a job to itself and sits through a long handler, which ends when that job has run: somebody has to watch.
static KEPT: Script = Script {
    workers: 2,
    max_blocked_threads: 4,
    jobs: &[
        &[Run(1), SitThrough(0)],
        &[Tell(0), Run(2)],
        &[Run(3), SitThrough(1)],
        &[Tell(1)],
    ],
    outsiders: &[&[Post(0)]],
    events: 2,
};

/// More jobs block at a time than there are seats. They are woken by jobs, by outsiders, and by wakers of earlier waits.
static BLOCKED: Script = Script {
    workers: 2,
    max_blocked_threads: 8,
    jobs: &[
        &[Run(3), Run(4), Await(0), Echo, Await(1), Yield],
        &[Await(1), Await(2), Tell(0)],
        &[Yield, Await(2), Tell(1), Echo],
        &[Yield, Await(0)],
        &[Stray, Echo],
    ],
    outsiders: &[
        &[Post(0), Post(1)],
        &[Post(2), Outside::Tell(2), Outside::Echo],
        &[Outside::Echo, Outside::Echo],
    ],
    events: 3,
};

/// The only worker blocks, and what it waits for is in its own queue: whoever has the seat has to run it.
static ONE_SEAT: Script = Script {
    workers: 1,
    max_blocked_threads: 4,
    jobs: &[
        &[Run(1), Run(2), Await(0), Echo, Await(1)],
        &[Tell(0), Yield, Tell(1)],
        &[Await(1), Echo],
    ],
    outsiders: &[&[Post(0)], &[Outside::Echo]],
    events: 2,
};

/// All at a time, on three seats.
static EVERYTHING: Script = Script {
    workers: 3,
    max_blocked_threads: 8,
    jobs: &[
        &[Run(1), Run(2), Await(0), Stray, InPlace(1), Echo],
        &[Run(3), Yield, Tell(0), AwaitForAWhile(1)],
        &[Await(0), Run(4), Tell(1), Echo],
        &[SitThrough(0), Yield, AwaitInPlace(1)],
        &[Stray, Await(2)],
        &[Run(6), Await(2), Yield, Echo],
        &[Yield, AwaitForAWhile(2)],
    ],
    outsiders: &[
        &[Post(0), Post(5)],
        &[Outside::Tell(2), Outside::Echo],
        &[Outside::Echo],
    ],
    events: 3,
};

/// Waits with a deadline, which race with their wakers.
static DEADLINES: Script = Script {
    workers: 2,
    max_blocked_threads: 4,
    jobs: &[
        &[AwaitForAWhile(0), Run(2), AwaitForAWhile(1), Await(1)],
        &[AwaitForAWhile(1), Tell(0), AwaitForAWhile(2)],
        &[Echo, Tell(1)],
    ],
    outsiders: &[&[Post(0), Post(1)], &[Outside::Tell(2), Outside::Echo]],
    events: 3,
};

/// Closures that block, in place, and wait in there.
static IN_PLACE: Script = Script {
    workers: 2,
    max_blocked_threads: 4,
    jobs: &[
        &[Run(1), InPlace(0), Run(2), AwaitInPlace(1), Yield],
        &[Tell(0), AwaitInPlace(1), Await(2)],
        &[Tell(1), Yield, Tell(2)],
    ],
    outsiders: &[&[Post(0)], &[Outside::Echo]],
    events: 3,
};

/// One thread at most may block, and two want to: the other one has to go on, with its seat and no other.
static THE_CAP: Script = Script {
    workers: 2,
    max_blocked_threads: 1,
    jobs: &[
        &[Run(2), Await(0), Run(3), Await(1)],
        &[Await(0), Echo, Await(1), Yield],
        &[Yield, Tell(0)],
        &[Echo, Tell(1)],
    ],
    outsiders: &[&[Post(0), Post(1)], &[Outside::Echo, Outside::Echo]],
    events: 2,
};

/// Somebody asks whether all is quiet, while a job is always at hand: one that runs, is queued, or is told a moment ago.
static NOT_QUIET: Script = Script {
    workers: 2,
    max_blocked_threads: 4,
    jobs: &[&[Run(1), Yield, SitThrough(0)], &[Stray, Run(2)], &[Yield]],
    outsiders: &[&[Post(0), NeverQuiet, NeverQuiet, Outside::Tell(0)]],
    events: 1,
};

/// Two threads give closures to a pool of two, whose threads have little patience. Each is run once, and nobody has to come by for that.
fn closures_for_a_pool() {
    const EACH: usize = 2;
    let pool = Pool::new("model".into(), 2);
    let run = Arc::new((Mutex::new(0), Condvar::new()));
    let give = {
        let (pool, run) = (Arc::clone(&pool), Arc::clone(&run));
        move || {
            for _ in 0..EACH {
                let run = Arc::clone(&run);
                let job = Box::new(move || {
                    *lock(&run.0) += 1;
                    run.1.notify_all();
                });
                assert!(pool.run(job, || ()).is_ok(), "refused");
            }
        }
    };
    let other = thread::spawn(give.clone());
    give();
    assert!(other.join().is_ok());
    let mut count = lock(&run.0);
    while *count < 2 * EACH {
        count = run.1.wait(count).unwrap();
    }
    drop(count);
    pool.stop();
    assert_eq!(*lock(&run.0), 2 * EACH, "a closure was run twice");
    drop(give);
    assert_eq!(Arc::strong_count(&pool), 1, "a thread is left");
}

#[test]
fn closures_are_run_once_by_a_pool() {
    explore(closures_for_a_pool);
}

#[test]
fn a_crowd_is_run_to_the_last() {
    explore_script(&A_CROWD, &[counters::STOOD_ASIDE, STEALS, PARKS, WAKE_UPS]);
}

#[test]
fn outsiders_are_heard() {
    explore_script(&OUTSIDERS, &[STEALS, PARKS]);
}

#[test]
fn work_is_passed_on() {
    explore_script(&PASSED_ON, &[STEALS, WAKE_UPS]);
}

#[test]
fn what_is_kept_is_taken_by_the_watcher() {
    explore_script(&KEPT, &[STEALS]);
}

#[test]
fn blocked_jobs_are_resumed() {
    explore_script(&BLOCKED, &[counters::BLOCKED, STEALS]);
}

#[test]
fn a_seat_goes_on_with_its_queue() {
    explore_script(&ONE_SEAT, &[counters::BLOCKED]);
}

#[test]
fn everything_at_a_time() {
    explore_script(
        &EVERYTHING,
        &[
            counters::BLOCKED,
            counters::STOOD_ASIDE,
            STEALS,
            PARKS,
            WAKE_UPS,
        ],
    );
}

#[test]
fn deadlines_race_with_wakers() {
    explore_script(&DEADLINES, &[counters::BLOCKED]);
}

#[test]
fn closures_block_in_place() {
    explore_script(&IN_PLACE, &[counters::BLOCKED]);
}

#[test]
fn at_the_cap_a_wait_is_refused_and_nothing_is_lost() {
    explore_script(&THE_CAP, &[counters::BLOCKED]);
}

#[test]
fn with_a_token_it_is_not_quiet() {
    explore_script(&NOT_QUIET, &[PARKS]);
}

/// Nothing that a test does depends on anything but its schedule: so each can be seen again.
#[test]
fn a_schedule_can_be_repeated() {
    let chosen = RandomScheduler::new(iterations().div_ceil(10));
    try_with(
        UncontrolledNondeterminismCheckScheduler::new(chosen),
        || {
            BLOCKED.play();
            KEPT.play();
        },
    );
}

#[test]
fn weakened_who_puts_something_in_wakes_nobody() {
    must_fail("put-wakes", ASLEEP, || {
        OUTSIDERS.play();
    });
}

#[test]
fn weakened_who_falls_asleep_does_not_look_again() {
    must_fail("sleep-looks-again", ASLEEP, || {
        OUTSIDERS.play();
    });
}

#[test]
fn weakened_the_last_searcher_wakes_nobody() {
    must_fail("last-searcher-wakes", ASLEEP, || {
        PASSED_ON.play();
    });
}

// Where no worker keeps anything to itself, nobody watches.
#[cfg(feature = "work-stealing-run-queue")]
#[test]
fn weakened_a_watcher_that_is_woken_does_not_pass_the_watch_on() {
    must_fail("watch-passed-on", ASLEEP, || {
        KEPT.play();
    });
}

#[cfg(feature = "work-stealing-run-queue")]
#[test]
fn weakened_a_watcher_that_leaves_does_not_look_a_last_time() {
    must_fail("left-watch-looks-again", ASLEEP, || {
        KEPT.play();
    });
}

#[cfg(feature = "work-stealing-run-queue")]
#[test]
fn weakened_a_watcher_leaves_what_came_from_outside() {
    must_fail("watcher-takes-injected", ASLEEP, || {
        PASSED_ON.play();
    });
}

#[test]
fn weakened_each_waker_makes_a_token() {
    must_fail("resume-once", &["two seats", "a token is left"], || {
        ONE_SEAT.play();
    });
}

#[test]
fn weakened_a_waker_is_out_before_the_thread_counts_as_blocked() {
    must_fail("blocked-before-waker", ASLEEP, || {
        ONE_SEAT.play();
    });
}

#[test]
fn weakened_a_thread_counts_as_blocked_before_its_seat_is_gone() {
    must_fail("blocked-after-seat", &["a seat", "a token is left"], || {
        THE_CAP.play();
    });
}

#[test]
fn weakened_a_spare_ends_that_is_about_to_get_a_seat() {
    must_fail("spare-waits-for-seat", &["a seat"], || {
        ONE_SEAT.play();
    });
}

#[test]
fn weakened_tokens_are_counted_in_the_wrong_order() {
    must_fail("quiet-won-last", &["quiet with a token"], || {
        NOT_QUIET.play();
    });
}

#[test]
fn weakened_a_thread_of_the_pool_does_not_look_at_last() {
    must_fail("pool-looks-at-last", ASLEEP, closures_for_a_pool);
}
