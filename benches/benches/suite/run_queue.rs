//! What a run queue costs a worker whose process makes another one runnable, with no other worker in the way.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use libprocess_queues::run::{
    ConcurrentRunQueue, LockingRunQueue, RunQueue, SegmentedRunQueue, WorkStealingRunQueue,
};

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("run_queue");
    enqueue_dequeue::<LockingRunQueue<usize>>(&mut group);
    enqueue_dequeue::<SegmentedRunQueue<usize>>(&mut group);
    enqueue_dequeue::<ConcurrentRunQueue<usize>>(&mut group);
    enqueue_dequeue::<WorkStealingRunQueue<usize>>(&mut group);
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
