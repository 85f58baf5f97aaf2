//! How long a message and its answer take.
//!
//! # Closed or open
//!
//! Unless told, a round trip begins when the one before is done: a closed loop, with one under way. Nothing was to happen
//! in a moment of its own, so no sample is missing, and there is nothing to correct.
//!
//! With `--rate` round trips have moments at which they are to begin, whatever became of the ones before. If one stalls, those behind it
//! begin late, and a clock that is started only then would not see that they waited: it would leave out what the stall
//! did to them ("coordinated omission"). So each latency is counted from the intended moment. That is what `record_correct` of the histogram
//! only estimates, from the long samples that there are. The moments are kept by the thread of the harness; that it wakes late counts too, as does
//! the worker's being woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use libprocess::{Context, MessageEvent, Process, Promise, Upid};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::latency;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// After how many round trips the progress is told.
const TELL_EVERY: u64 = 1 << 10;

/// How much earlier than wanted a pacer wakes, to wait for the rest without sleeping: a sleep ends late by about half of this.
const SLEEP_LESS: Duration = Duration::from_micros(120);

/// Between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingPong {
    /// Two processes on one worker: no thread is woken.
    Worker,
    /// Two processes where there are two workers: whether they take turns on one, or wake each other, is the scheduler's choice.
    Workers,
    /// A thread that is no worker, which sleeps in between, and a process.
    Thread,
}

impl Benchmark for PingPong {
    fn name(&self) -> &'static str {
        match self {
            Self::Worker => "Latency.PingPong",
            Self::Workers => "Latency.PingPong.Workers",
            Self::Thread => "Latency.PingPong.Thread",
        }
    }

    fn summary(&self) -> &'static str {
        match self {
            Self::Worker => {
                "The latency of a message and its answer, one at a time, between two processes on one worker."
            }
            Self::Workers => "As Latency.PingPong, on two workers.",
            Self::Thread => {
                "As Latency.PingPong, between a process and a thread that is no worker, which it unparks."
            }
        }
    }

    fn unit(&self) -> &'static str {
        "round trips/s"
    }

    fn defaults(&self) -> Defaults {
        match self {
            Self::Worker => Defaults::new(1_000_000).workers(1),
            Self::Workers => Defaults::new(100_000).workers(2),
            Self::Thread => Defaults::new(20_000).workers(1),
        }
        .paced()
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        match self {
            Self::Worker | Self::Workers => between_processes(setting),
            Self::Thread => with_thread(setting),
        }
    }
}

fn between_processes(setting: &Setting<'_>) -> Result<Sample, Failure> {
    let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
    let mut trial = Trial::begin(setting);
    let ponger = runtime.spawn_owned(Ponger { pings: 0 });
    let done = Promise::new();
    let all = done.future();
    let started = Instant::now();
    let schedule = Schedule::new(setting, started);
    let pinger = runtime.spawn_owned(Pinger {
        ponger: ponger.pid().upid(),
        schedule,
        sent: started,
        pongs: 0,
        repeat,
        latencies: latency::histogram(),
        done: Some(done),
    });

    // Paced, each repeat has a start of its own.
    let starts = schedule.map_or(1, |_| repeat);
    for start in 0..starts {
        if let Some(schedule) = schedule {
            schedule.wait_for(start);
        }
        runtime.post(pinger.pid(), "start", "");
        if start % TELL_EVERY == 0 {
            setting.progress.advance(start);
        }
    }
    trial.wait(all, |counts| counts.messages / 2)?;
    let seconds = started.elapsed().as_secs_f64();

    pinger.terminate_after_pending();
    let pinger = pinger.join()?;
    ponger.terminate_after_pending();
    trial.equal("pings", ponger.join()?.pings, repeat);
    trial.equal("pongs", pinger.pongs, repeat);
    let expected = Counts {
        messages: starts + 2 * repeat,
        ..Counts::lives(2)
    };
    finish(trial, expected, repeat, seconds, pinger.latencies)
}

fn with_thread(setting: &Setting<'_>) -> Result<Sample, Failure> {
    let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
    let mut trial = Trial::begin(setting);
    let mut latencies = latency::histogram();
    let pongs = Arc::new(AtomicU64::new(0));
    let unparker = runtime.spawn_owned(Unparker {
        thread: thread::current(),
        pongs: Arc::clone(&pongs),
    });

    let started = Instant::now();
    let schedule = Schedule::new(setting, started);
    for n in 0..repeat {
        let begin = match schedule {
            Some(schedule) => schedule.wait_for(n),
            None => Instant::now(),
        };
        runtime.post(unparker.pid(), "ping", "");
        // Pairs with the Release of the process: what it did before is seen. A token of `park` may be left from before.
        while pongs.load(Ordering::Acquire) == n {
            thread::park();
        }
        latencies.saturating_record(latency::nanoseconds(begin.elapsed()));
        if n % TELL_EVERY == 0 {
            setting.progress.advance(n);
        }
    }
    let seconds = started.elapsed().as_secs_f64();

    unparker.terminate_after_pending();
    unparker.join()?;
    trial.equal("pongs", pongs.load(Ordering::Acquire), repeat);
    let expected = Counts {
        messages: repeat,
        ..Counts::lives(1)
    };
    finish(trial, expected, repeat, seconds, latencies)
}

fn finish(
    mut trial: Trial<'_>,
    expected: Counts,
    repeat: u64,
    seconds: f64,
    latencies: Histogram<u64>,
) -> Result<Sample, Failure> {
    trial.equal("latencies", latencies.len(), repeat);
    let verified = format!("{}, no dead letter", count(repeat, "round trip"));
    let sample = Sample::rate(repeat, seconds, verified).latencies(latencies);
    trial.finish(expected, sample)
}

/// When each repeat is to begin.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    first: Instant,
    rate: u64,
}

impl Schedule {
    /// `None` if nobody asked for a pace.
    fn new(setting: &Setting<'_>, first: Instant) -> Option<Self> {
        let rate = setting.parameters.rate?;
        Some(Self { first, rate })
    }

    /// When repeat `n` is to begin. From the first one on, so that no rounding adds up.
    fn intended(self, n: u64) -> Instant {
        let (seconds, rest) = (n / self.rate, n % self.rate);
        let nanoseconds = u128::from(rest) * 1_000_000_000 / u128::from(self.rate);
        self.first + Duration::new(seconds, u32::try_from(nanoseconds).unwrap_or(u32::MAX))
    }

    /// Waits until repeat `n` is to begin, and tells when that was; not at all if it is late.
    fn wait_for(self, n: u64) -> Instant {
        let intended = self.intended(n);
        loop {
            let left = intended.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return intended;
            }
            match left.checked_sub(SLEEP_LESS) {
                Some(time) if !time.is_zero() => thread::sleep(time),
                // Lets a worker have the core, if there is only one.
                _ => thread::yield_now(),
            }
        }
    }
}

struct Pinger {
    ponger: Upid,
    schedule: Option<Schedule>,
    /// When the one that is under way was sent, if there is no schedule.
    sent: Instant,
    pongs: u64,
    repeat: u64,
    latencies: Histogram<u64>,
    done: Option<Promise<()>>,
}

impl Pinger {
    fn ping(&mut self, cx: &mut Context<Self>) {
        if self.schedule.is_none() {
            self.sent = Instant::now();
        }
        cx.send(&self.ponger, "ping", "");
    }

    fn pong(&mut self, cx: &mut Context<Self>) {
        // Pongs come in the order of their pings, also where several are under way.
        let begun = self
            .schedule
            .map_or(self.sent, |schedule| schedule.intended(self.pongs));
        self.latencies
            .saturating_record(latency::nanoseconds(begun.elapsed()));
        self.pongs += 1;
        if self.pongs == self.repeat {
            if let Some(done) = self.done.take() {
                done.set(());
            }
        } else if self.schedule.is_none() {
            self.ping(cx);
        }
    }
}

impl Process for Pinger {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("start", |pinger, _event, cx| pinger.ping(cx));
        cx.install("pong", |pinger, _event, cx| pinger.pong(cx));
    }
}

struct Ponger {
    pings: u64,
}

impl Process for Ponger {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        self.pings += 1;
        cx.send(&event.from, "pong", "");
    }
}

struct Unparker {
    thread: Thread,
    pongs: Arc<AtomicU64>,
}

impl Process for Unparker {
    fn consume_message(&mut self, _event: MessageEvent, _cx: &mut Context<Self>) {
        // Release: pairs with the Acquire of the thread that waits.
        self.pongs.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_evenly_spaced_and_do_not_drift() {
        let first = Instant::now();
        let schedule = Schedule { first, rate: 3 };
        let after = |n| schedule.intended(n).duration_since(first);
        assert_eq!(after(0), Duration::ZERO);
        assert_eq!(after(1), Duration::from_nanos(333_333_333));
        assert_eq!(after(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn nobody_waits_for_what_is_late() {
        let first = Instant::now() - Duration::from_secs(3_600);
        let schedule = Schedule { first, rate: 1 };
        assert_eq!(schedule.wait_for(5), first + Duration::from_secs(5));
        assert!(schedule.wait_for(0).elapsed() >= Duration::from_secs(3_600));
    }
}
