//! What timers cost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libprocess::{Clock, Timer};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Checks;
use crate::failure::Failure;
use crate::format::{count, grouped};
use crate::parameters::Defaults;

/// How many timers are pending all the time, as the timeouts of so many requests.
const PENDING: u64 = 10_000;

/// Timeouts that never fire: each is cancelled when a thousand later ones are pending.
pub(crate) struct Timers;

impl Benchmark for Timers {
    fn name(&self) -> &'static str {
        "Clock.Timers"
    }

    fn summary(&self) -> &'static str {
        "Timers that are started and cancelled in one thread, by default with 1,000 starts in between, while 10,000 others are pending; a \
         repeat is one start and one cancel. Then, how fast that many fire."
    }

    fn unit(&self) -> &'static str {
        "timers/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(5_000_000).window(1_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let sample = start_and_cancel(setting)?;
        let due = setting.parameters.repeat.min(1_000_000);
        let mut checks = Checks::new();
        let fired = fire(&setting.runtime.clock(), due, &mut checks)?;
        checks.finish()?;
        let verified = format!(
            "{}; {} fired, each in its turn",
            sample.verified,
            grouped(due)
        );
        Ok(Sample { verified, ..sample }.also("fired/s", fired))
    }
}

/// [`Timers`] without those that fire.
pub(crate) fn start_and_cancel(setting: &Setting<'_>) -> Result<Sample, Failure> {
    let repeat = setting.parameters.repeat;
    let window = setting.parameters.window.unwrap_or(1);
    let clock = setting.runtime.clock();
    let hour = Duration::from_secs(3_600);
    let pending: Vec<Timer> = (0..PENDING)
        .map(|n| start(&clock, hour + Duration::from_nanos(n)))
        .collect();
    let mut under_way = VecDeque::new();
    let mut cancelled = 0;

    let started = Instant::now();
    for n in 0..repeat {
        under_way.push_back(start(&clock, hour));
        if n >= window
            && let Some(timer) = under_way.pop_front()
        {
            cancelled += u64::from(timer.cancel());
        }
        if n % (1 << 16) == 0 {
            setting.progress.advance(n);
        }
    }
    for timer in under_way {
        cancelled += u64::from(timer.cancel());
    }
    let seconds = started.elapsed().as_secs_f64();

    let mut checks = Checks::new();
    checks.equal("timers cancelled", cancelled, repeat);
    let left = pending.iter().filter(|timer| timer.cancel()).count() as u64;
    checks.equal("other timers pending", left, PENDING);
    checks.finish()?;
    let verified = format!("{} cancelled, none of which fired", count(repeat, "timer"));
    Ok(Sample::rate(repeat, seconds, verified))
}

fn start(clock: &Clock, after: Duration) -> Timer {
    clock.timer(after, || unreachable!("it is cancelled within the hour"))
}

/// How many timers fire in a second, when all of many are due.
fn fire(clock: &Clock, timers: u64, checks: &mut Checks) -> Result<f64, Failure> {
    let minute = Duration::from_secs(60);
    let fired = Arc::new(AtomicU64::new(0));
    let early_or_late = Arc::new(AtomicU64::new(0));
    clock.pause();
    for n in 0..timers {
        let (fired, early_or_late) = (Arc::clone(&fired), Arc::clone(&early_or_late));
        clock.timer(Duration::from_nanos(n * 1_000), move || {
            // Relaxed: they fire one after the other, and before the sleep below, which is waited for.
            let before = fired.fetch_add(1, Ordering::Relaxed);
            early_or_late.fetch_add(u64::from(before != n), Ordering::Relaxed);
        });
    }
    let last = clock.sleep(Duration::from_nanos(timers * 1_000) + minute);
    let started = Instant::now();
    clock.advance(Duration::from_nanos(timers * 1_000) + minute);
    last.get()?;
    let seconds = started.elapsed().as_secs_f64();
    clock.resume();
    // Relaxed: see above.
    checks.equal("timers fired", fired.load(Ordering::Relaxed), timers);
    let early_or_late = early_or_late.load(Ordering::Relaxed);
    checks.equal("timers that fired out of turn", early_or_late, 0);
    Ok(timers as f64 / seconds)
}
