//! What a dispatch costs whoever waits for it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use libprocess::Process;

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::benchmarks::throughput::ThroughputPerformance;
use crate::checks::{Checks, Counts};
use crate::failure::Failure;
use crate::format::grouped;
use crate::parameters::{Defaults, Parameters};

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

/// What a dispatch costs that is awaited, compared with a message: an `async` block on the runtime dispatches a window to a process and
/// awaits the results in their order, again and again. Before that, in the same run, one pair does the same number of repeats of
/// [`ThroughputPerformance`] with the same window.
pub(crate) struct DispatchAwait;

impl Benchmark for DispatchAwait {
    fn name(&self) -> &'static str {
        "Dispatch.Await"
    }

    fn summary(&self) -> &'static str {
        "Dispatches from an async block that awaits each result, by default 1,000 under way at a time; beside it what one costs in messages \
         of the same run."
    }

    fn unit(&self) -> &'static str {
        "dispatches/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            repeat: 5_000_000,
            pairs: false,
            window: Some(1_000),
        }
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let Setting {
            runtime,
            parameters,
            progress,
        } = setting;
        let repeat = parameters.repeat;
        let window = parameters.window.unwrap_or(1).min(repeat);
        let message_parameters = Parameters {
            pairs: Some(1),
            window: Some(window),
            ..(*parameters).clone()
        };
        let messages = ThroughputPerformance.run(&Setting {
            runtime,
            parameters: &message_parameters,
            progress,
        })?;
        let message_seconds = messages.seconds / (2.0 * repeat as f64);

        let before = Counts::of(runtime);
        let counter = runtime.spawn_owned(Counter { calls: 0 });
        let pid = counter.pid();
        let started = Instant::now();
        let awaited = runtime.spawn_async(async move {
            let mut in_order = 0;
            let mut results = Vec::new();
            let mut left = repeat;
            while left > 0 {
                let round = window.min(left);
                results.extend((0..round).map(|_| libprocess::dispatch(pid, Counter::call, ())));
                for result in results.drain(..) {
                    in_order += u64::from(result.await? == repeat - left + 1);
                    left -= 1;
                }
            }
            Ok::<u64, libprocess::FutureError>(in_order)
        });
        let in_order = progress.wait(awaited.flatten(), || {
            Counts::of(runtime).since(before).dispatches.min(repeat)
        })?;
        let seconds = started.elapsed().as_secs_f64();

        counter.terminate_after_pending();
        let mut checks = Checks::new();
        checks.equal("results in order", in_order, repeat);

        checks.equal("calls", counter.join()?.calls, repeat);
        // The block's process ends by itself, and must not be counted in what is run next.
        while Counts::of(runtime).since(before).ended < 2 {
            std::thread::yield_now();
        }
        checks.equal(
            "dead letters",
            Counts::of(runtime).since(before).dead_letters,
            0,
        );
        checks.finish()?;
        let each = seconds / repeat as f64;
        Ok(Sample {
            value: repeat as f64 / seconds,
            seconds,
            compat: None,
            also: vec![
                ("messages/s".to_owned(), 1.0 / message_seconds),
                ("messages/dispatch".to_owned(), each / message_seconds),
            ],
            latencies: None,
            verified: format!(
                "{} dispatches awaited in order, no dead letter",
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
