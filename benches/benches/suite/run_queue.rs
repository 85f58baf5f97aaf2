//! What a run queue costs, with no other thread in the way: a worker whose process makes another one runnable; what comes from a thread that is no worker; and a worker
//! that takes from another.

use std::hint::black_box;
use std::iter;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use libprocess_queues::run::{
    ConcurrentRunQueue, LockingRunQueue, RunQueue, SegmentedRunQueue, WorkStealingRunQueue,
};

/// How many items wait when a worker takes from another.
const WAITING: usize = 8;

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run_queue");
    enqueue_dequeue::<LockingRunQueue<usize>>(&mut group);
    enqueue_dequeue::<SegmentedRunQueue<usize>>(&mut group);
    enqueue_dequeue::<ConcurrentRunQueue<usize>>(&mut group);
    enqueue_dequeue::<WorkStealingRunQueue<usize>>(&mut group);
    from_outside::<LockingRunQueue<usize>>(&mut group);
    from_outside::<SegmentedRunQueue<usize>>(&mut group);
    from_outside::<ConcurrentRunQueue<usize>>(&mut group);
    from_outside::<WorkStealingRunQueue<usize>>(&mut group);
    group.throughput(Throughput::Elements(WAITING as u64));
    from_another::<LockingRunQueue<usize>>(&mut group);
    from_another::<SegmentedRunQueue<usize>>(&mut group);
    from_another::<ConcurrentRunQueue<usize>>(&mut group);
    from_another::<WorkStealingRunQueue<usize>>(&mut group);
    group.finish();
}

fn enqueue_dequeue<Q: RunQueue<usize>>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let queue = Q::new(1);
    let mut local = queue.local(0);
    group.bench_function(Q::NAME, |bencher| {
        bencher.iter(|| {
            queue.enqueue_local(&mut local, black_box(7));
            assert_eq!(queue.dequeue(&mut local), Some(7));
        });
    });
}

fn from_outside<Q: RunQueue<usize>>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let queue = Q::new(1);
    let mut local = queue.local(0);
    group.bench_function(BenchmarkId::new("from_outside", Q::NAME), |bencher| {
        bencher.iter(|| {
            queue.enqueue(black_box(7));
            assert_eq!(queue.dequeue(&mut local), Some(7));
        });
    });
}

fn from_another<Q: RunQueue<usize>>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let queue = Q::new(2);
    let (mut one, mut other) = (queue.local(0), queue.local(1));
    group.bench_function(BenchmarkId::new("from_another", Q::NAME), |bencher| {
        bencher.iter(|| {
            for item in 0..WAITING {
                queue.enqueue_local(&mut one, black_box(item));
            }
            let taken: usize = iter::from_fn(|| queue.steal(&mut other)).sum();
            // What a worker runs next it may keep to itself.
            let kept = queue.dequeue(&mut one).unwrap_or(0);
            assert_eq!(taken + kept, WAITING * (WAITING - 1) / 2);
        });
    });
}
