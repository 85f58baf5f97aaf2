//! Work that is handed out to processes.

use std::hint::black_box;
use std::time::Instant;

use libprocess::{Context, MessageEvent, Process};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// After how many messages the progress is told.
const TELL_EVERY: u64 = 1 << 8;

/// A thread that is no worker sends to each of some processes in turn, again and again, with nothing that holds it back.
pub(crate) struct ForkJoinThroughput;

impl Benchmark for ForkJoinThroughput {
    fn name(&self) -> &'static str {
        "ForkJoinThroughput"
    }

    fn summary(&self) -> &'static str {
        "Savina's: messages from a thread to each of some processes in turn, each of which is a little work; a repeat is a message to each."
    }

    fn unit(&self) -> &'static str {
        "messages/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(10_000).actors(60, 1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(1);
        let mut trial = Trial::begin(setting);
        let workers: Vec<_> = (0..actors)
            .map(|_| {
                runtime.spawn_owned(Worker {
                    worked: 0,
                    until: repeat,
                })
            })
            .collect();

        let started = Instant::now();
        for done in 0..repeat {
            for worker in &workers {
                runtime.post(worker.pid(), "work", "");
            }
            if done % TELL_EVERY == 0 {
                setting.progress.advance(done);
            }
        }
        // Each ends itself behind its last message.
        let mut worked = Vec::new();
        for worker in workers {
            worked.push(worker.join()?.worked);
        }
        let seconds = started.elapsed().as_secs_f64();

        for (index, worked) in worked.into_iter().enumerate() {
            trial.equal(format_args!("messages of process {index}"), worked, repeat);
        }
        let expected = Counts {
            messages: actors * repeat,
            ..Counts::lives(actors)
        };
        let verified = format!(
            "{} for each of {}",
            count(repeat, "message"),
            count(actors, "actor")
        );
        trial.finish(expected, Sample::rate(actors * repeat, seconds, verified))
    }
}

/// A thread that is no worker spawns processes and sends one message to each, which is all that they live for.
pub(crate) struct ForkJoinCreation;

impl Benchmark for ForkJoinCreation {
    fn name(&self) -> &'static str {
        "ForkJoinCreation"
    }

    fn summary(&self) -> &'static str {
        "Savina's: processes that are spawned by a thread, do a little work for a message, and end; a repeat is a process."
    }

    fn unit(&self) -> &'static str {
        "processes/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(40_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let mut trial = Trial::begin(setting);
        let mut handles = Vec::new();

        let started = Instant::now();
        for done in 0..repeat {
            let worker = runtime.spawn_owned(Worker {
                worked: 0,
                until: 1,
            });
            runtime.post(worker.pid(), "work", "");
            handles.push(worker);
            if done % TELL_EVERY == 0 {
                setting.progress.advance(done);
            }
        }
        let mut worked = 0;
        for worker in handles {
            worked += worker.join()?.worked;
        }
        let seconds = started.elapsed().as_secs_f64();

        trial.equal("processes that worked", worked, repeat);
        let expected = Counts {
            messages: repeat,
            ..Counts::lives(repeat)
        };
        let verified = format!("{}, each with its message", count(repeat, "spawn"));
        trial.finish(expected, Sample::rate(repeat, seconds, verified))
    }
}

struct Worker {
    worked: u64,
    until: u64,
}

impl Process for Worker {
    fn consume_message(&mut self, _event: MessageEvent, cx: &mut Context<Self>) {
        // The work that Savina gives its actors.
        let sine = black_box(37.2_f64).sin();
        black_box(sine * sine);
        self.worked += 1;
        if self.worked == self.until {
            cx.terminate();
        }
    }
}
