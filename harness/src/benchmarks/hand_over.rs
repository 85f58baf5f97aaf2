//! How long a blocked handler keeps the rest of its worker waiting.

use std::time::{Duration, Instant};

use libprocess::{Context, Future, Pid, Process, dispatch_with};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::latency;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// After how many of them the progress is told.
const TELL_EVERY: u64 = 1 << 8;

/// From the call of `get` in a handler until what it waits for begins to run, which needs the worker that the handler holds.
///
/// So it is the time of a seat's way to another thread: to wake one that stands by. The rate counts the way back too.
pub(crate) struct HandOver;

impl Benchmark for HandOver {
    fn name(&self) -> &'static str {
        "Latency.HandOver"
    }

    fn summary(&self) -> &'static str {
        "The time from a handler's `get` of what another process has still to do until that process runs, on one worker, which goes to another thread \
         for it; a repeat is one such `get`."
    }

    fn unit(&self) -> &'static str {
        "gets/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(10_000).workers(1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let mut trial = Trial::begin(setting);
        let blocked = runtime.stats().blocked;
        let other = runtime.spawn_owned(Other);
        let blocking = runtime.spawn_owned(Blocking { other: other.pid() });
        let mut latencies = latency::histogram();

        let started = Instant::now();
        for n in 0..repeat {
            let time = runtime
                .dispatch(blocking.pid(), Blocking::block, ())
                .get()?;
            latencies.saturating_record(latency::nanoseconds(time));
            if n % TELL_EVERY == 0 {
                setting.progress.advance(n);
            }
        }
        let seconds = started.elapsed().as_secs_f64();

        blocking.terminate_after_pending();
        blocking.join()?;
        other.terminate_after_pending();
        other.join()?;
        // Where there are several, another worker may do what is awaited before anybody sleeps.
        let all = setting.parameters.workers == 1;
        if all {
            trial.equal(
                "handlers that blocked",
                runtime.stats().blocked - blocked,
                repeat,
            );
        }
        let expected = Counts {
            dispatches: 2 * repeat,
            ..Counts::lives(2)
        };
        let which = if all {
            "each of which blocked"
        } else {
            "some of which blocked"
        };
        let verified = format!("{}, {which}", count(repeat, "get"));
        let sample = Sample::rate(repeat, seconds, verified).latencies(latencies);
        trial.finish(expected, sample)
    }
}

struct Other;

impl Process for Other {}

struct Blocking {
    other: Pid<Other>,
}

impl Process for Blocking {}

impl Blocking {
    fn block(&mut self, _cx: &mut Context<Self>) -> Future<Duration> {
        let begun = Instant::now();
        let ran: Future<Duration> = dispatch_with(self.other, move |_, _| begun.elapsed());
        // What it gives is the answer, too; an error goes on as the future's own.
        let _time = ran.clone().get();
        ran
    }
}
