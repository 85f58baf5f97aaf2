//! What a dispatch costs a thread that is no worker and waits for the result.

use criterion::Criterion;
use libprocess::{Process, Runtime};

struct Adder {
    calls: u64,
}

impl Process for Adder {}

impl Adder {
    fn add(&mut self, a: u64, b: u64) -> u64 {
        self.calls += 1;
        a + b
    }
}

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let runtime = Runtime::builder().build().expect("the runtime starts");
    let adder = runtime.spawn_owned(Adder { calls: 0 });
    let pid = adder.pid();
    let mut group = criterion.benchmark_group("dispatch");
    group.bench_function("method", |bencher| {
        bencher.iter(|| {
            let sum = runtime.dispatch(pid, Adder::add, (20, 22));
            assert_eq!(sum.get(), Ok(42));
        });
    });
    group.bench_function("closure", |bencher| {
        bencher.iter(|| {
            let sum = runtime.dispatch_with(pid, |adder, _cx| adder.add(20, 22));
            assert_eq!(sum.get(), Ok(42));
        });
    });
    group.finish();
}
