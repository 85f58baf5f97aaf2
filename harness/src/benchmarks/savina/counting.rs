//! One that counts what another one sends.

use std::time::Instant;

use libprocess::{Context, MessageEvent, Pid, Process, dispatch};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// A producer sends all its messages from one handler, with nothing that holds it back, and then asks what was counted. On one worker the
/// mailbox so grows to all of them: their memory is part of the figure.
pub(crate) struct Counting;

impl Benchmark for Counting {
    fn name(&self) -> &'static str {
        "Counting"
    }

    fn summary(&self) -> &'static str {
        "Savina's: a process that sends messages to another one, which counts them, and then asks it for the count; a repeat is a message."
    }

    fn unit(&self) -> &'static str {
        "messages/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(1_000_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let mut trial = Trial::begin(setting);
        let counter = runtime.spawn_owned(Counter { counted: 0 });
        let producer = runtime.spawn_owned(Producer {
            counter: counter.pid(),
        });

        let started = Instant::now();
        let asked = runtime.dispatch_with(producer.pid(), move |producer, cx| {
            for _ in 0..repeat {
                cx.send(producer.counter, "increment", "");
            }
            dispatch(producer.counter, Counter::retrieve, ())
        });
        let counted = trial.wait(asked, |counts| counts.messages)?;
        let seconds = started.elapsed().as_secs_f64();

        trial.equal("messages counted when it was asked", counted, repeat);
        drop((producer, counter));
        let expected = Counts {
            messages: repeat,
            dispatches: 2,
            ..Counts::lives(2)
        };
        let verified = format!("{} counted", count(repeat, "message"));
        trial.finish(expected, Sample::rate(repeat, seconds, verified))
    }
}

struct Producer {
    counter: Pid<Counter>,
}

impl Process for Producer {}

struct Counter {
    counted: u64,
}

impl Counter {
    fn retrieve(&mut self) -> u64 {
        self.counted
    }
}

impl Process for Counter {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        self.counted += u64::from(event.name == "increment");
    }
}
