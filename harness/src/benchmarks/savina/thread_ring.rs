//! A token that goes round.

use std::time::Instant;

use libprocess::{Pid, Process, Promise, dispatch};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory, join_all, share};

/// One token in a ring of processes: one event is pending at a time, and each is for another process. So this is what it costs to
/// make a process runnable and to take it.
pub(crate) struct ThreadRing;

impl Benchmark for ThreadRing {
    fn name(&self) -> &'static str {
        "ThreadRing"
    }

    fn summary(&self) -> &'static str {
        "Savina's: a token that is dispatched round a ring of processes; a repeat is a hop."
    }

    fn unit(&self) -> &'static str {
        "hops/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(100_000).actors(100, 1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, hops) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(1);
        let mut trial = Trial::begin(setting);
        let done = Promise::new();
        let all = done.future();
        // The last one first, as each is told of the next; where the token ends is known beforehand.
        let mut done = Some(done);
        let mut next = None;
        let mut ring = Vec::with_capacity(in_memory(actors));
        for index in (0..actors).rev() {
            let done = if index == hops % actors {
                done.take()
            } else {
                None
            };
            let node = runtime.spawn_owned(Node {
                next,
                received: 0,
                done,
            });
            next = Some(node.pid());
            ring.push(node);
        }
        ring.reverse();
        let (first, last) = (ring[0].pid(), ring[ring.len() - 1].pid());
        runtime.dispatch(last, Node::close, (first,)).get()?;

        let started = Instant::now();
        runtime.dispatch(first, Node::token, (hops,)).detach();
        trial.wait(all, |counts| counts.dispatches)?;
        let seconds = started.elapsed().as_secs_f64();

        for (index, node) in (0..).zip(join_all(ring)?) {
            let what = format_args!("tokens received by process {index}");
            trial.equal(what, node.received, share(hops + 1, actors, index));
        }
        let expected = Counts {
            // The one that closes the ring, and the one that starts the token.
            dispatches: hops + 2,
            ..Counts::lives(actors)
        };
        let verified = format!("{}, and where each went", count(hops, "hop"));
        trial.finish(expected, Sample::rate(hops, seconds, verified))
    }
}

struct Node {
    next: Option<Pid<Node>>,
    received: u64,
    done: Option<Promise<()>>,
}

impl Process for Node {}

impl Node {
    fn close(&mut self, next: Pid<Node>) {
        self.next = Some(next);
    }

    fn token(&mut self, hops_left: u64) {
        self.received += 1;
        if let Some(left) = hops_left.checked_sub(1) {
            if let Some(next) = self.next {
                dispatch(next, Self::token, (left,)).detach();
            }
        } else if let Some(done) = self.done.take() {
            done.set(());
        }
    }
}
