//! What a semaphore costs a worker that has work: a signal that nobody waits for, and the wait that uses it.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use libprocess_semaphore::{KernelSemaphore, LifoFixedSizeSemaphore, Semaphore, Wakeup};

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("semaphore");
    signal_wait::<KernelSemaphore>(&mut group);
    signal_wait::<LifoFixedSizeSemaphore>(&mut group);
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
