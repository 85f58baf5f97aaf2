//! A worker that blocks, and gives its seat and its queue away: the whole shipped scheduler under loom, with one seat.

use super::super::model_script::{Outside, Script, Step};
use super::explore;
use Outside::{Echo, Post, Tell};
use Step::{Await, Run};

/// The event is told by what the blocked worker had in its queue.
static BY_ITS_QUEUE: Script = Script {
    workers: 1,
    max_blocked_threads: 2,
    jobs: &[&[Run(1), Await(0)], &[Step::Tell(0)]],
    outsiders: &[&[Post(0)]],
    events: 1,
};

/// The event is told by an outsider.
static BY_AN_OUTSIDER: Script = Script {
    workers: 1,
    max_blocked_threads: 2,
    jobs: &[&[Run(1), Await(0)], &[]],
    outsiders: &[&[Post(0), Tell(0), Echo]],
    events: 1,
};

#[test]
fn its_queue() {
    explore(std::env::var("P").unwrap().parse().unwrap(), || BY_ITS_QUEUE.play());
}

#[test]
fn an_outsider() {
    explore(std::env::var("P").unwrap().parse().unwrap(), || BY_AN_OUTSIDER.play());
}
