//! libprocess's throughput benchmark.
//!
//! Pairs of processes send each other messages by name. A client that is told to `run` sends a window of `ping`s to its
//! destination, which answers each with a `pong`; for each `pong` the client sends another `ping` until it has sent its share. The figure
//! is how many of these repeats, of two messages each, are done per second.
//!
//! # The clock
//!
//! It starts before the first client is told to run. In C++ libprocess it stops at a latch that waits for *one client fewer than there
//! are*: one client may still be in the middle of its work, whose repeats count as done; with a single client the latch never opens.
//! Here it stops when the last client is done. What the original would have shown is kept beside it as `compat`.
//!
//! As in the original, the clock is read by the thread that waits: its being woken is part of the time.

mod latch;
mod pair;
mod tally;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, join_all};
use latch::Latch;
use pair::{Client, Destination};
use tally::Tally;
use work::Work;

/// As googletest knows it from libprocess.
pub(crate) const NAME: &str = "ProcessTest.Process_BENCHMARK_ThroughputPerformance";

/// See the module.
pub(crate) struct ThroughputPerformance;

impl Benchmark for ThroughputPerformance {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "Messages by name between pairs of a client and a destination, a window of them under way at a \
         time; a repeat is a ping and its pong."
    }

    fn unit(&self) -> &'static str {
        "repeats/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(30_000 * 500).pairs().window(1_000)
    }

    fn has_compat(&self) -> bool {
        true
    }

    fn headline(&self, sample: &Sample) -> Option<String> {
        // To the letter as the original, for what reads its output.
        Some(format!("Estimated Total: {:.6}", sample.value))
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let Setting {
            runtime,
            parameters,
            ..
        } = setting;
        let work = Work::new(
            parameters.repeat,
            parameters.pairs.unwrap_or(1),
            parameters.window.unwrap_or(1),
        );

        let trial = Trial::begin(setting);
        let repeats_done = |counts: Counts| counts.messages / 2;
        let (latch, opens) = Latch::new(work.clients);
        let mut destinations = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..work.clients {
            let destination = runtime.spawn_owned(Destination::default());
            let client = Client::new(destination.pid().upid(), work, Arc::clone(&latch));
            clients.push(runtime.spawn_owned(client));
            destinations.push(destination);
        }

        let started = Instant::now();
        for client in &clients {
            runtime.post(client.pid(), "run", "");
        }
        let until_all_but_one = match opens.all_but_one {
            Some(future) => {
                trial.wait(future, repeats_done)?;
                Some(started.elapsed())
            }
            None => None,
        };
        trial.wait(opens.all, repeats_done)?;
        let elapsed = started.elapsed();

        let clients = join_all(clients)?;
        let destinations = join_all(destinations)?;
        let tally = Tally::of(&clients, &destinations, trial.counts());
        tally.check(work)?;
        // The tally has compared the counters too.
        Ok(trial.finish_uncounted(sample(work, &tally, elapsed, until_all_but_one))?)
    }
}

fn sample(
    work: Work,
    tally: &Tally,
    elapsed: Duration,
    until_all_but_one: Option<Duration>,
) -> Sample {
    let total = work.total() as f64;
    let seconds = elapsed.as_secs_f64();
    let verified = format!(
        "{} for each client, {} in all, no dead letter",
        count(work.repeats, "pong"),
        count(tally.counts.messages, "message"),
    );
    Sample {
        compat: until_all_but_one.map(|time| total / time.as_secs_f64()),
        ..Sample::rate(work.total(), seconds, verified).also("messages/s", 2.0 * total / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_counts_work_that_is_not_done() {
        let work = Work::new(1_000, 2, 100);
        let (all, all_but_one) = (Duration::from_secs(2), Duration::from_secs(1));
        let sample = sample(work, &Tally::good(work), all, Some(all_but_one));
        assert_eq!((sample.value, sample.compat), (500.0, Some(1_000.0)));
        let headline = ThroughputPerformance.headline(&sample).unwrap();
        assert_eq!(headline, "Estimated Total: 500.000000");
    }
}
