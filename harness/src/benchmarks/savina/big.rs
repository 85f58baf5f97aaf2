//! Many that talk to many.

use std::sync::Arc;
use std::time::Instant;

use libprocess::sync::CountDownLatch;
use libprocess::{Context, MessageEvent, Pid, Process};

use super::random::Random;
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory, join_all};

/// Each process sends a ping to another one at random, and when that answers, to the next. So nobody has a mailbox of its own to push into, and at most
/// as many messages are under way as there are processes.
pub(crate) struct Big;

impl Benchmark for Big {
    fn name(&self) -> &'static str {
        "Big"
    }

    fn summary(&self) -> &'static str {
        "Savina's: processes that each send a ping to a random other one and wait for its pong; a repeat is a ping of each."
    }

    fn unit(&self) -> &'static str {
        "pings/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(20_000).actors(120, 2)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(2);
        let mut trial = Trial::begin(setting);
        let done = CountDownLatch::new(in_memory(actors));
        let talkers: Vec<_> = (0..actors)
            .map(|index| {
                runtime.spawn_owned(Talker {
                    all: Arc::new([]),
                    index: in_memory(index),
                    random: Random::new(index),
                    left: repeat,
                    pings: 0,
                    pongs: 0,
                    done: done.clone(),
                })
            })
            .collect();
        let all: Arc<[Pid<Talker>]> = talkers.iter().map(|talker| talker.pid()).collect();
        for pid in all.iter() {
            let all = Arc::clone(&all);
            runtime.dispatch(*pid, Talker::meet, (all,)).get()?;
        }

        let started = Instant::now();
        for pid in all.iter() {
            runtime.post(pid, "start", "");
        }
        trial.wait(done.triggered(), |counts| counts.messages / (2 * actors))?;
        let seconds = started.elapsed().as_secs_f64();

        let mut pings = 0;
        for (index, talker) in join_all(talkers)?.iter().enumerate() {
            let what = format_args!("pongs for process {index}");
            trial.equal(what, talker.pongs, repeat);
            pings += talker.pings;
        }
        let total = actors * repeat;
        trial.equal("pings answered", pings, total);
        let expected = Counts {
            messages: actors + 2 * total,
            dispatches: actors,
            ..Counts::lives(actors)
        };
        let verified = format!(
            "{} for each of {}",
            count(repeat, "pong"),
            count(actors, "actor")
        );
        let sample =
            Sample::rate(total, seconds, verified).also("messages/s", 2.0 * total as f64 / seconds);
        trial.finish(expected, sample)
    }
}

struct Talker {
    all: Arc<[Pid<Talker>]>,
    index: usize,
    random: Random,
    left: u64,
    pings: u64,
    pongs: u64,
    done: CountDownLatch,
}

impl Talker {
    fn meet(&mut self, all: Arc<[Pid<Self>]>) {
        self.all = all;
    }

    fn ping(&mut self, cx: &mut Context<Self>) {
        self.left -= 1;
        // Any but this one.
        let other = self.random.below(self.all.len() - 1);
        let other = other + usize::from(other >= self.index);
        cx.send(self.all[other], "ping", "");
    }
}

impl Process for Talker {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        if event.name == "ping" {
            self.pings += 1;
            cx.send(&event.from, "pong", "");
            return;
        }
        self.pongs += u64::from(event.name == "pong");
        if self.left > 0 {
            self.ping(cx);
        } else {
            self.done.decrement();
        }
    }
}
