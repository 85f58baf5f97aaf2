//! What a semaphore costs a worker that has work: a signal that nobody waits for, and the wait that uses it. And what it costs to wake a worker that has none.

use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use libprocess_semaphore::{KernelSemaphore, LifoFixedSizeSemaphore, Semaphore, Wakeup};

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("semaphore");
    signal_wait::<KernelSemaphore>(&mut group);
    signal_wait::<LifoFixedSizeSemaphore>(&mut group);
    handover::<KernelSemaphore>(&mut group);
    handover::<LifoFixedSizeSemaphore>(&mut group);
    group.finish();
}

fn signal_wait<S: Semaphore>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let semaphore = S::with_capacity(4);
    group.bench_function(S::NAME, |bencher| {
        bencher.iter(|| {
            semaphore.signal();
            assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
        });
    });
}

fn handover<S: Semaphore>(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function(BenchmarkId::new("handover", S::NAME), |bencher| {
        bencher.iter_custom(there_and_back::<S>);
    });
}

/// The time in which two threads wake each other so many times, each out of the wait for a semaphore of its own.
fn there_and_back<S: Semaphore>(times: u64) -> Duration {
    let (there, back) = (S::with_capacity(1), S::with_capacity(1));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Once more than is measured: by then this thread runs.
            for _ in 0..=times {
                assert_eq!(there.wait(), Ok(Wakeup::Signalled));
                back.signal();
            }
        });
        let once = || {
            there.signal();
            assert_eq!(back.wait(), Ok(Wakeup::Signalled));
        };
        once();
        let started = Instant::now();
        for _ in 0..times {
            once();
        }
        started.elapsed()
    })
}
