//! The whole life of a process, in a worker.

use std::time::Instant;

use libprocess::{
    Context, Future, MessageEvent, Process, Promise, dispatch, spawn, terminate_with,
};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::grouped;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// A process that spawns others, sends each a message, and ends it behind that.
pub(crate) struct SpawnLife;

impl Benchmark for SpawnLife {
    fn name(&self) -> &'static str {
        "Spawn.Life"
    }

    fn summary(&self) -> &'static str {
        "A process that spawns others, sends each its first message, and terminates it behind that, by default 64 in a row; a repeat is one \
         such life."
    }

    fn unit(&self) -> &'static str {
        "lives/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(2_000_000).window(64)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let row = setting.parameters.window.unwrap_or(1);
        let mut trial = Trial::begin(setting);
        let parent = runtime.spawn_owned(Parent {
            left: repeat,
            row,
            rows: 0,
            done: None,
        });

        let started = Instant::now();
        let all = runtime.dispatch(parent.pid(), Parent::begin, ());
        trial.wait(all, |counts| counts.messages)?;
        trial.wait_for_ends(repeat);
        let seconds = started.elapsed().as_secs_f64();

        parent.terminate_after_pending();
        let rows = parent.join()?.rows;
        trial.equal("rows", rows, repeat.div_ceil(row));
        let expected = Counts {
            messages: repeat,
            dispatches: rows,
            ..Counts::lives(repeat + 1)
        };
        let verified = format!("{} lives, each with its message", grouped(repeat));
        let sample =
            Sample::rate(repeat, seconds, verified).also("ns/life", seconds * 1e9 / repeat as f64);
        trial.finish(expected, sample)
    }
}

struct Parent {
    left: u64,
    row: u64,
    rows: u64,
    done: Option<Promise<()>>,
}

impl Process for Parent {}

impl Parent {
    fn begin(&mut self, cx: &mut Context<Self>) -> Future<()> {
        let (done, all) = Promise::pair();
        self.done = Some(done);
        self.go_on(cx);
        all
    }

    fn go_on(&mut self, cx: &mut Context<Self>) {
        self.rows += 1;
        for _ in 0..self.row.min(self.left) {
            let child = spawn(Child);
            cx.send(child, "first", "");
            // Behind the message.
            terminate_with(child, false);
        }
        self.left -= self.row.min(self.left);
        if self.left > 0 {
            dispatch(cx.pid(), Self::go_on, ()).detach();
        } else if let Some(done) = self.done.take() {
            done.set(());
        }
    }
}

struct Child;

impl Process for Child {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        drop(event);
    }
}
