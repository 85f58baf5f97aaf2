//! What a process costs that does nothing: to make it, to ask it to end, and to wait for that, from a thread that is no worker.

use criterion::Criterion;
use libprocess::{Process, Runtime};

struct Idle;

impl Process for Idle {}

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let runtime = Runtime::builder().build().expect("the runtime starts");
    let mut group = criterion.benchmark_group("spawn");
    group.bench_function("spawn_terminate_wait", |bencher| {
        bencher.iter(|| {
            let pid = runtime.spawn(Idle);
            runtime.terminate(pid);
            assert!(runtime.wait(pid).has_ended());
        });
    });
    group.finish();
}
