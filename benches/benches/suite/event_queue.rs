//! What a mailbox costs, for each event, under one producer and under several.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use libprocess_benches::{Item, through};
use libprocess_queues::event::{EventQueue, LockFreeEventQueue, LockingEventQueue};

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event_queue");
    group.throughput(Throughput::Elements(1));
    for producers in [1, 2, 4, 8] {
        producers_receiver::<LockingEventQueue<Item>>(&mut group, producers);
        producers_receiver::<LockFreeEventQueue<Item>>(&mut group, producers);
    }
    group.finish();
}

fn producers_receiver<Q: EventQueue<Item>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    producers: u64,
) {
    group.bench_function(BenchmarkId::new(Q::NAME, producers), |bencher| {
        bencher.iter_custom(|items| through::<Q>(items, producers));
    });
}
