//! What futures cost by themselves, all in one thread: no runtime has a part in it.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use criterion::Criterion;
use libprocess::{Future, Promise, collect, select};

/// How many links a chain has, and how many futures are waited for together.
const SEVERAL: u64 = 10;

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("future");
    group.bench_function("set_get", |bencher| {
        bencher.iter(|| {
            let (promise, future) = Promise::pair();
            promise.set(black_box(7));
            assert_eq!(future.get(), Ok(7));
        });
    });
    group.bench_function("then", |bencher| bencher.iter(|| chain(1)));
    group.bench_function("then_of_ready", |bencher| {
        bencher.iter(|| {
            let future = Future::ready(black_box(7)).then(|n| n + 1);
            assert_eq!(future.get(), Ok(8));
        });
    });
    group.bench_function("chain", |bencher| bencher.iter(|| chain(SEVERAL)));
    group.bench_function("collect", |bencher| {
        bencher.iter(|| {
            let (promises, futures) = several();
            let all = collect(futures);
            for (promise, number) in promises.iter().zip(0..) {
                promise.set(number);
            }
            let sum = all.then(|numbers| numbers.iter().sum::<u64>());
            assert_eq!(sum.get(), Ok(SEVERAL * (SEVERAL - 1) / 2));
        });
    });
    group.bench_function("select", |bencher| {
        bencher.iter(|| {
            let (promises, futures) = several();
            let first = select(futures);
            promises[3].set(black_box(7));
            let selected = first.get().expect("one is there");
            assert_eq!((selected.index, selected.future.get()), (3, Ok(7)));
        });
    });
    group.bench_function("await", |bencher| {
        bencher.iter(|| {
            let (promise, future) = Promise::pair();
            let mut future = pin!(future);
            let mut cx = Context::from_waker(Waker::noop());
            assert_eq!(future.as_mut().poll(&mut cx), Poll::Pending);
            promise.set(black_box(7));
            assert_eq!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(7)));
        });
    });
    group.bench_function("discard", |bencher| {
        bencher.iter(|| {
            let (promise, future) = Promise::<u64>::pair();
            assert!(future.discard() && promise.has_discard());
            assert!(promise.discard() && future.is_discarded());
        });
    });
    group.finish();
}

/// So many `then`s behind a promise that is set when all are there.
fn chain(links: u64) {
    let (promise, mut future) = Promise::pair();
    for _ in 0..links {
        future = future.then(|n: u64| n + 1);
    }
    promise.set(black_box(7));
    assert_eq!(future.get(), Ok(7 + links));
}

fn several() -> (Vec<Promise<u64>>, Vec<Future<u64>>) {
    (0..SEVERAL).map(|_| Promise::pair()).unzip()
}
