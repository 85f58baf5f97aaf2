//! What a dispatch costs: a thread that is no worker and waits for the result, one that does not wait, and a process that goes on when it has the result.

use std::time::{Duration, Instant};

use criterion::Criterion;
use libprocess::{Context, Future, Pid, Process, ProcessHandle, Promise, Runtime, defer, dispatch};

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
    group.bench_function("detached", |bencher| {
        bencher.iter_custom(|count| detached(&runtime, pid, count));
    });
    let asker = runtime.spawn_owned(Asker {
        adder: pid,
        left: 0,
        done: None,
    });
    group.bench_function("between_processes", |bencher| {
        bencher.iter_custom(|count| between_processes(&runtime, &adder, &asker, count));
    });
    group.finish();
}

/// How often the adder was asked by now.
fn calls(runtime: &Runtime, adder: Pid<Adder>) -> u64 {
    let calls = runtime.dispatch_with(adder, |adder, _cx| adder.calls);
    calls.get().expect("it is asked")
}

/// The time of so many dispatches whose results nobody looks at, until all are served.
fn detached(runtime: &Runtime, adder: Pid<Adder>, count: u64) -> Duration {
    let before = calls(runtime, adder);
    let started = Instant::now();
    for _ in 0..count {
        runtime.dispatch(adder, Adder::add, (20, 22)).detach();
    }
    let after = calls(runtime, adder);
    let time = started.elapsed();
    assert_eq!(after - before, count);
    time
}

/// The time in which a process asks another so many times, and each time goes on with the result as an event of its own.
fn between_processes(
    runtime: &Runtime,
    adder: &ProcessHandle<Adder>,
    asker: &ProcessHandle<Asker>,
    count: u64,
) -> Duration {
    let before = calls(runtime, adder.pid());
    let started = Instant::now();
    let all = runtime.dispatch_with(asker.pid(), move |asker, cx| asker.start(count, cx));
    let sum = all.get();
    let time = started.elapsed();
    assert_eq!(sum, Ok(42));
    assert_eq!(calls(runtime, adder.pid()) - before, count);
    time
}

/// Asks the adder, one sum after the other.
struct Asker {
    adder: Pid<Adder>,
    left: u64,
    done: Option<Promise<u64>>,
}

impl Process for Asker {}

impl Asker {
    fn start(&mut self, count: u64, cx: &mut Context<Self>) -> Future<u64> {
        let (promise, done) = Promise::pair();
        self.left = count;
        self.done = Some(promise);
        self.ask(cx);
        done
    }

    fn ask(&mut self, cx: &mut Context<Self>) {
        dispatch(self.adder, Adder::add, (20, 22))
            .then(defer(cx.pid(), Self::answered))
            .detach();
    }

    fn answered(&mut self, sum: u64, cx: &mut Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            self.ask(cx);
        } else if let Some(done) = self.done.take() {
            done.set(sum);
        }
    }
}
