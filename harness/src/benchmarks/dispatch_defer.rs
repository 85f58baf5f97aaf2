//! libprocess's benchmark of `dispatch` and `defer`.
//!
//! A process dispatches to itself, and defers itself with a large argument until that is done; so each repeat is two dispatches, a `then`
//! and the hand-over of 10,240 integers. The original does it with an argument that moves and with one that its move copies. In Rust a move never copies, so
//! here the second one is cloned at each hand-over, as a handler does that keeps its argument.

use std::time::Instant;

use libprocess::{Context, Pid, Process, Promise, defer_with, dispatch, dispatch_with};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// How many integers the argument has.
const LENGTH: usize = 10_240;

/// How the argument is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DispatchDefer {
    /// Moved.
    Movable,
    /// Cloned.
    Copyable,
}

impl Benchmark for DispatchDefer {
    fn name(&self) -> &'static str {
        match self {
            Self::Movable => "ProcessTest.Process_BENCHMARK_DispatchDefer.Movable",
            Self::Copyable => "ProcessTest.Process_BENCHMARK_DispatchDefer.Copyable",
        }
    }

    fn summary(&self) -> &'static str {
        match self {
            Self::Movable => {
                "A process that dispatches to itself and defers itself until that is done, with an \
                 argument of 10,240 integers that is moved; a repeat is two dispatches and a `then`."
            }
            Self::Copyable => {
                "As DispatchDefer.Movable, with an argument that is cloned for each repeat."
            }
        }
    }

    fn unit(&self) -> &'static str {
        "repeats/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(100_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let repeat = setting.parameters.repeat;
        let mut trial = Trial::begin(setting);
        let done = Promise::new();
        let all = done.future();
        let process = setting.runtime.spawn_owned(DispatchProcess {
            clone: *self == Self::Copyable,
            left: repeat,
            handled: 0,
            done: Some(done),
        });
        let pid = process.pid();

        let started = Instant::now();
        dispatch_with(pid, |process, cx| process.handle(cx, vec![42; LENGTH])).detach();
        let sum = trial.wait(all, |counts| counts.dispatches / 2)?;
        let seconds = started.elapsed().as_secs_f64();

        process.terminate_after_pending();
        trial.equal("repeats", process.join()?.handled, repeat);
        trial.equal("the sum of the argument", sum, 42 * LENGTH as u64);
        let expected = Counts {
            dispatches: 2 * repeat + 1,
            ..Counts::lives(1)
        };
        let verified = format!(
            "{}, the argument whole, no dead letter",
            count(repeat, "repeat")
        );
        trial.finish(expected, Sample::rate(repeat, seconds, verified))
    }
}

struct DispatchProcess {
    clone: bool,
    left: u64,
    handled: u64,
    done: Option<Promise<u64>>,
}

impl Process for DispatchProcess {}

impl DispatchProcess {
    fn nothing(&mut self) {}

    fn handle(&mut self, cx: &mut Context<Self>, data: Vec<u32>) {
        if self.left == 0 {
            if let Some(done) = self.done.take() {
                done.set(data.iter().copied().map(u64::from).sum());
            }
            return;
        }
        self.left -= 1;
        self.handled += 1;
        let pid: Pid<Self> = cx.pid();
        let data = if self.clone { data.clone() } else { data };
        dispatch(pid, Self::nothing, ())
            .then(defer_with(pid, |process: &mut Self, cx, ()| {
                process.handle(cx, data)
            }))
            .detach();
    }
}
