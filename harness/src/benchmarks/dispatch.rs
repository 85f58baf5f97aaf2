//! What a dispatch costs whoever waits for it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use libprocess::Process;

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::{Checks, Counts};
use crate::failure::Failure;
use crate::format::grouped;
use crate::parameters::Defaults;

/// Latencies are kept to three digits, up to a minute: a longer one counts as that.
const LONGEST: Duration = Duration::from_secs(60);

/// After how many dispatches the progress is told.
const TELL_EVERY: u64 = 1 << 10;

/// The latency of `dispatch` and `get` from a thread that is no worker, one at a time.
///
/// Nothing else goes on, so nearly every dispatch finds the workers asleep: this is the price of waking a worker, and of
/// being woken by it. Most of it is the kernel's. Where it puts the worker on the core of this thread, a dispatch is two changes of
/// thread; where it wakes another core each time, that is slower, on a virtual machine twenty times. It may stay with either for a
/// whole run, so look at the context switches and the spread before believing that a change of the library made the difference.
pub(crate) struct DispatchGet;

impl Benchmark for DispatchGet {
    fn name(&self) -> &'static str {
        "Dispatch.Get"
    }

    fn summary(&self) -> &'static str {
        "The latency of dispatching to a process and getting the result, from a thread that is no \
         worker, one dispatch at a time."
    }

    fn unit(&self) -> &'static str {
        "dispatches/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            repeat: 20_000,
            pairs: false,
            window: None,
        }
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let Setting {
            runtime,
            parameters,
            progress,
        } = setting;
        let repeat = parameters.repeat;
        let mut checks = Checks::new();
        let mut latencies = histogram();
        let before = Counts::of(runtime);
        let counter = runtime.spawn_owned(Counter { calls: 0 });

        let started = Instant::now();
        for expected in 1..=repeat {
            let dispatched = Instant::now();
            let calls = runtime.dispatch(counter.pid(), Counter::call, ()).get()?;
            latencies.saturating_record(nanoseconds(dispatched.elapsed()));
            checks.equal(
                format_args!("calls at dispatch {expected}"),
                calls,
                expected,
            );
            if expected % TELL_EVERY == 0 {
                progress.advance(expected);
            }
        }
        let seconds = started.elapsed().as_secs_f64();

        counter.terminate_after_pending();
        checks.equal("calls", counter.join()?.calls, repeat);
        checks.equal("latencies", latencies.len(), repeat);
        let expected = Counts {
            dispatches: repeat,
            terminate: 1,
            spawned: 1,
            ended: 1,
            ..Counts::default()
        };
        Counts::of(runtime)
            .since(before)
            .check(expected, &mut checks);
        checks.finish()?;
        Ok(Sample {
            value: repeat as f64 / seconds,
            seconds,
            compat: None,
            also: Vec::new(),
            latencies: Some(latencies),
            verified: format!(
                "{} dispatches served in order, no dead letter",
                grouped(repeat)
            ),
        })
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, nanoseconds(LONGEST), 3).expect("the bounds are in order")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

struct Counter {
    calls: u64,
}

impl Process for Counter {}

impl Counter {
    fn call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }
}
