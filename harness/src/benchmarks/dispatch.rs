//! What a dispatch costs whoever waits for it.

use std::time::Instant;

use libprocess::Process;

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::benchmarks::throughput::ThroughputPerformance;
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::grouped;
use crate::latency;
use crate::parameters::{Defaults, Parameters};
use crate::trial::Trial;

/// After how many dispatches the progress is told.
const TELL_EVERY: u64 = 1 << 10;

/// The latency of `dispatch` and `get` from a thread that is no worker, one at a time.
///
/// Nothing else goes on. The thread looks on for a while before it sleeps, and so does a worker, so where there is a core for each of them this is the
/// price of cache lines that go from core to core and back. If one of them loses its core, both may sleep for a few dispatches: then it is the price
/// of waking a worker, and of being woken by it, on a virtual machine a hundred times as much. So look at the context switches and
/// the spread before believing that a change of the library made the difference.
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
        Defaults::new(20_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let mut latencies = latency::histogram();
        let mut trial = Trial::begin(setting);
        let counter = runtime.spawn_owned(Counter { calls: 0 });

        let started = Instant::now();
        for expected in 1..=repeat {
            let dispatched = Instant::now();
            let calls = runtime.dispatch(counter.pid(), Counter::call, ()).get()?;
            latencies.saturating_record(latency::nanoseconds(dispatched.elapsed()));
            trial.equal(
                format_args!("calls at dispatch {expected}"),
                calls,
                expected,
            );
            if expected % TELL_EVERY == 0 {
                setting.progress.advance(expected);
            }
        }
        let seconds = started.elapsed().as_secs_f64();

        counter.terminate_after_pending();
        trial.equal("calls", counter.join()?.calls, repeat);
        trial.equal("latencies", latencies.len(), repeat);
        let expected = Counts {
            dispatches: repeat,
            ..Counts::lives(1)
        };
        let verified = format!(
            "{} dispatches served in order, no dead letter",
            grouped(repeat)
        );
        let sample = Sample::rate(repeat, seconds, verified).latencies(latencies);
        trial.finish(expected, sample)
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
        Defaults::new(5_000_000).window(1_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let repeat = setting.parameters.repeat;
        let window = window(setting.parameters);
        let message_parameters = Parameters {
            pairs: Some(1),
            window: Some(window),
            ..setting.parameters.clone()
        };
        let messages = ThroughputPerformance.run(&Setting {
            parameters: &message_parameters,
            ..*setting
        })?;
        let message_seconds = messages.seconds / (2.0 * repeat as f64);

        let sample = dispatch_and_await(setting)?;
        let each = sample.seconds / repeat as f64;
        Ok(sample
            .also("messages/s", 1.0 / message_seconds)
            .also("messages/dispatch", each / message_seconds))
    }
}

fn window(parameters: &Parameters) -> u64 {
    parameters.window.unwrap_or(1).min(parameters.repeat)
}

/// [`DispatchAwait`] without the messages before it.
pub(crate) fn dispatch_and_await(setting: &Setting<'_>) -> Result<Sample, Failure> {
    let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
    let window = window(setting.parameters);
    let mut trial = Trial::begin(setting);
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
    let in_order = trial.wait(awaited.flatten(), |counts| counts.dispatches.min(repeat))?;
    let seconds = started.elapsed().as_secs_f64();

    counter.terminate_after_pending();
    trial.equal("results in order", in_order, repeat);
    trial.equal("calls", counter.join()?.calls, repeat);
    // The block's process ends by itself.
    trial.wait_for_ends(2);
    trial.equal("dead letters", trial.counts().dead_letters, 0);
    let verified = format!(
        "{} dispatches awaited in order, no dead letter",
        grouped(repeat)
    );
    Ok(trial.finish_uncounted(Sample::rate(repeat, seconds, verified))?)
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
