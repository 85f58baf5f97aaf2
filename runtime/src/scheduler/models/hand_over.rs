//! A worker that blocks gives its seat and its queue away, and gets a seat back: the whole shipped scheduler under loom.
//!
//! Threads, seats, stand-ins, the token of the blocked thread and the end of it all are the shipped ones. A deadline comes at once under loom, so a spare
//! ends as soon as it has looked, unless somebody has taken it off the list: that race is in each of these models.

use super::super::model_script::{Outside, Script, Step};
use super::{explore, must_fail};
use Outside::{Echo, Post, Tell};
use Step::{Await, AwaitForAWhile, Run};

/// What the worker waits for is in its own queue: whoever has the seat has to run it.
static FOR_ITS_QUEUE: Script = Script {
    workers: 1,
    max_blocked_threads: 2,
    jobs: &[&[Run(1), Await(0)], &[Step::Tell(0)]],
    outsiders: &[&[Post(0)]],
    events: 1,
};

/// An outsider's waker fires while the worker is about to block, and once more when it may be through.
static FOR_AN_OUTSIDER: Script = Script {
    workers: 1,
    max_blocked_threads: 2,
    jobs: &[&[Run(1), Await(0)], &[]],
    outsiders: &[&[Post(0), Tell(0), Echo]],
    events: 1,
};

/// The waker of the first wait fires again during the second.
static TWICE: Script = Script {
    workers: 1,
    max_blocked_threads: 2,
    jobs: &[&[Await(0), Await(1)]],
    outsiders: &[&[Post(0), Tell(0), Echo, Tell(1)]],
    events: 2,
};

/// The deadline is past while the waker fires, and what is enqueued before and behind the wait is run.
static FOR_A_WHILE: Script = Script {
    workers: 1,
    max_blocked_threads: 2,
    jobs: &[&[Run(1), AwaitForAWhile(0), Await(0)], &[]],
    outsiders: &[&[Post(0), Tell(0)]],
    events: 1,
};

/// Two seats: while one worker hands its queue over, the other steals from it.
static WITH_A_THIEF: Script = Script {
    workers: 2,
    max_blocked_threads: 1,
    jobs: &[&[Run(1), Run(2), Await(0)], &[], &[Step::Tell(0)]],
    outsiders: &[&[Post(0)]],
    events: 1,
};

#[test]
fn a_stand_in_runs_what_the_worker_waits_for() {
    explore(3, || {
        FOR_ITS_QUEUE.play();
    });
}

#[test]
fn an_outsider_wakes_a_blocked_worker() {
    explore(3, || {
        FOR_AN_OUTSIDER.play();
    });
}

#[test]
fn a_late_waker_wakes_for_nothing() {
    explore(3, || {
        TWICE.play();
    });
}

#[test]
fn a_deadline_and_a_waker_make_one_token() {
    explore(3, || {
        FOR_A_WHILE.play();
    });
}

#[test]
fn a_queue_is_handed_over_under_a_thief() {
    explore(1, || {
        WITH_A_THIEF.play();
    });
}

#[test]
fn weakened_each_waker_makes_a_token() {
    must_fail("resume-once", "a token is left", 3, || {
        TWICE.play();
    });
}

#[test]
fn weakened_a_waker_is_out_before_the_thread_counts_as_blocked() {
    must_fail("blocked-before-waker", "deadlock", 3, || {
        FOR_AN_OUTSIDER.play();
    });
}

#[test]
fn weakened_a_spare_ends_that_is_about_to_get_a_seat() {
    must_fail("spare-waits-for-seat", "ends with a seat", 3, || {
        TWICE.play();
    });
}

#[test]
fn weakened_a_token_is_put_in_and_nobody_woken() {
    must_fail("put-wakes", "deadlock", 3, || {
        FOR_AN_OUTSIDER.play();
    });
}
