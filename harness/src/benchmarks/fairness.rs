//! Whether a process that always has something to do lets others have their turn.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use libprocess::sync::CountDownLatch;
use libprocess::{Context, MessageEvent, Process, Promise, delay};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::latency;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory, join_all, share};

/// When the timers of a round fire.
const TIMER: Duration = Duration::from_millis(1);

/// One process sends itself messages without end. Beside it, in rounds, each of many others is dispatched to, and again by a timer; a round begins when
/// all of the one before were served.
///
/// The latencies are from the dispatch to the handler, those of the timers from when they were due. A dispatch waits for the rest of its round too: the others
/// are many on purpose, as the turn of the busy process comes again between them. How many events that may take is `--events-per-resume`.
pub(crate) struct Fairness;

impl Benchmark for Fairness {
    fn name(&self) -> &'static str {
        "Fairness"
    }

    fn summary(&self) -> &'static str {
        "How long dispatches and timers to many processes wait to be served beside one that sends itself messages without end; a repeat is a \
         dispatch and a timer of one of them."
    }

    fn unit(&self) -> &'static str {
        "repeats/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(100_000).actors(1_000, 1).workers(1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(1);
        let mut trial = Trial::begin(setting);
        let busy = runtime.spawn_owned(Busy {
            turns: 0,
            stopped: None,
        });
        let others: Vec<_> = (0..actors)
            .map(|_| runtime.spawn_owned(Other::default()))
            .collect();
        runtime.post(busy.pid(), "again", "");

        let started = Instant::now();
        let mut done = 0;
        while done < repeat {
            let round = actors.min(repeat - done);
            let served = CountDownLatch::new(in_memory(2 * round));
            for other in others.iter().take(in_memory(round)) {
                let arguments = (Instant::now(), served.clone());
                runtime
                    .dispatch(other.pid(), Other::dispatched, arguments)
                    .detach();
                let arguments = (Instant::now() + TIMER, served.clone());
                delay(TIMER, other.pid(), Other::timed, arguments);
            }
            trial.wait(served.triggered(), |_| done)?;
            done += round;
        }
        let seconds = started.elapsed().as_secs_f64();

        let stopped = Promise::new();
        let has_stopped = stopped.future();
        runtime
            .dispatch(busy.pid(), Busy::stop, (stopped,))
            .detach();
        let turns = has_stopped.get()?;
        drop(busy);
        let (mut dispatches, mut timers) = (latency::histogram(), latency::histogram());
        for (index, other) in (0..).zip(join_all(others)?) {
            let expected = share(repeat, actors, index);
            let what = format_args!("dispatches to process {index}");
            trial.equal(what, other.dispatches.len() as u64, expected);
            let what = format_args!("timers of process {index}");
            trial.equal(what, other.timers.len() as u64, expected);
            record(&mut dispatches, &other.dispatches);
            record(&mut timers, &other.timers);
        }
        let expected = Counts {
            messages: turns,
            dispatches: 2 * repeat + 1,
            ..Counts::lives(actors + 1)
        };
        let verified = format!(
            "{} and as many dispatches served beside a process that never waits",
            count(repeat, "timer")
        );
        let sample = Sample::rate(repeat, seconds, verified)
            .also("events/s of the busy process", turns as f64 / seconds)
            .also(
                "ns late, p50 of timers",
                timers.value_at_quantile(0.5) as f64,
            )
            .also(
                "ns late, p99 of timers",
                timers.value_at_quantile(0.99) as f64,
            )
            .also("ns late, max of timers", timers.max() as f64)
            .latencies(dispatches);
        trial.finish(expected, sample)
    }
}

fn record(histogram: &mut Histogram<u64>, times: &[Duration]) {
    for time in times {
        histogram.saturating_record(latency::nanoseconds(*time));
    }
}

struct Busy {
    turns: u64,
    stopped: Option<Promise<u64>>,
}

impl Busy {
    fn stop(&mut self, stopped: Promise<u64>) {
        self.stopped = Some(stopped);
    }
}

impl Process for Busy {
    fn consume_message(&mut self, _event: MessageEvent, cx: &mut Context<Self>) {
        self.turns += 1;
        match self.stopped.take() {
            // Nothing is pending from here on.
            Some(stopped) => {
                stopped.set(self.turns);
            }
            None => cx.send(cx.pid(), "again", ""),
        }
    }
}

/// Keeps its times apart until the end: to share a histogram would be to wait for each other.
#[derive(Default)]
struct Other {
    dispatches: Vec<Duration>,
    timers: Vec<Duration>,
}

impl Process for Other {}

impl Other {
    fn dispatched(&mut self, at: Instant, served: CountDownLatch) {
        self.dispatches.push(at.elapsed());
        served.decrement();
    }

    fn timed(&mut self, due: Instant, served: CountDownLatch) {
        self.timers.push(due.elapsed());
        served.decrement();
    }
}
