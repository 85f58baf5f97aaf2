//! What timers cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use libprocess::{Clock, Runtime, Timer};

/// How many timers are pending all the time, as the timeouts of so many requests.
const PENDING: u64 = 10_000;

/// How many timers are due at once.
const DUE: u64 = 1_000;

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let runtime = Runtime::builder()
        .workers(1)
        .build()
        .expect("the runtime starts");
    let clock = runtime.clock();
    let mut group = criterion.benchmark_group("timer");
    let hour = Duration::from_secs(3_600);
    let never = |after| clock.timer(after, || unreachable!("it is cancelled within the hour"));
    let pending: Vec<Timer> = (0..PENDING)
        .map(|number| never(hour + Duration::from_nanos(number)))
        .collect();
    group.bench_function("start_cancel", |bencher| {
        bencher.iter(|| assert!(never(hour).cancel()));
    });
    let left = pending.iter().filter(|timer| timer.cancel()).count() as u64;
    assert_eq!(left, PENDING, "others were cancelled");
    group.throughput(Throughput::Elements(DUE));
    group.bench_function("fire", |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| fire(&clock)).sum());
    });
    group.finish();
}

/// The time in which many timers fire that become due together, in the order of their deadlines.
fn fire(clock: &Clock) -> Duration {
    let fired = Arc::new(AtomicU64::new(0));
    clock.pause();
    for _ in 0..DUE {
        let fired = Arc::clone(&fired);
        // Relaxed: the sleep that is due last is behind them all, and whoever waits for it sees them.
        let count = move || {
            fired.fetch_add(1, Ordering::Relaxed);
        };
        clock.timer(Duration::from_nanos(1), count);
    }
    let last = clock.sleep(Duration::from_nanos(2));
    let started = Instant::now();
    clock.advance(Duration::from_nanos(2));
    let result = last.get();
    let time = started.elapsed();
    clock.resume();
    assert_eq!(result, Ok(()));
    // Relaxed: see above.
    assert_eq!(fired.load(Ordering::Relaxed), DUE, "timers were lost");
    time
}
