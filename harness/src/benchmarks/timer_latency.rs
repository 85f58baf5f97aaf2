//! How late a timer's handler is.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use libprocess::{Context, Process, Promise, delay};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::latency;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// How long a delay is: long enough for all threads to sleep meanwhile.
const DELAY: Duration = Duration::from_micros(250);

/// From the moment at which a delayed dispatch was due until its handler runs, in a runtime in which nothing else happens. Linux lets a thread
/// sleep for 50 microseconds longer than it asked, to wake several with one interrupt; that counts, and so does a core's way out of idleness.
pub(crate) struct TimerLatency;

impl Benchmark for TimerLatency {
    fn name(&self) -> &'static str {
        "Latency.Timer"
    }

    fn summary(&self) -> &'static str {
        "How late the handler of a dispatch is that was delayed by 250 microseconds, in a runtime with nothing else to do; a repeat is one delay."
    }

    fn unit(&self) -> &'static str {
        "timers/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(1_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let mut trial = Trial::begin(setting);
        let done = Promise::new();
        let all = done.future();
        let sleeper = runtime.spawn_owned(Sleeper {
            due: Instant::now(),
            latencies: latency::histogram(),
            left: repeat,
            early: 0,
            done: Some(done),
        });
        let started = Instant::now();
        drop(runtime.dispatch(sleeper.pid(), Sleeper::sleep, ()));
        trial.wait(all, |counts| counts.dispatches)?;
        let seconds = started.elapsed().as_secs_f64();

        sleeper.terminate_after_pending();
        let sleeper = sleeper.join()?;
        trial.equal("latencies", sleeper.latencies.len(), repeat);
        trial.equal("timers that were early", sleeper.early, 0);
        let expected = Counts {
            dispatches: repeat + 1,
            ..Counts::lives(1)
        };
        let verified = format!("{}, none of which was early", count(repeat, "timer"));
        let sample = Sample::rate(repeat, seconds, verified).latencies(sleeper.latencies);
        trial.finish(expected, sample)
    }
}

struct Sleeper {
    due: Instant,
    latencies: Histogram<u64>,
    left: u64,
    early: u64,
    done: Option<Promise<()>>,
}

impl Process for Sleeper {}

impl Sleeper {
    fn sleep(&mut self, cx: &mut Context<Self>) {
        self.due = Instant::now() + DELAY;
        let _fires = delay(DELAY, cx.pid(), Self::woken, ());
    }

    fn woken(&mut self, cx: &mut Context<Self>) {
        let now = Instant::now();
        self.early += u64::from(now < self.due);
        let late = now.saturating_duration_since(self.due);
        self.latencies.saturating_record(latency::nanoseconds(late));
        self.left -= 1;
        if self.left > 0 {
            self.sleep(cx);
        } else if let Some(done) = self.done.take() {
            done.set(());
        }
    }
}
