//! What a process costs that does nothing: to make it, to ask it to end, and to wait for that, from a thread that is no worker; and to make it, link to it and hear of its end, from a process.

use std::time::{Duration, Instant};

use criterion::Criterion;
use libprocess::{
    Context, Future, Process, ProcessHandle, Promise, Runtime, Upid, spawn, terminate,
};

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
    let parent = runtime.spawn_owned(Parent {
        left: 0,
        done: None,
    });
    group.bench_function("link_exit", |bencher| {
        bencher.iter_custom(|count| link_exit(&runtime, &parent, count));
    });
    group.finish();
}

/// The time of so many lives, each begun when the one before has ended.
fn link_exit(runtime: &Runtime, parent: &ProcessHandle<Parent>, count: u64) -> Duration {
    let before = runtime.stats().ended;
    let started = Instant::now();
    let all = runtime.dispatch_with(parent.pid(), move |parent, cx| parent.start(count, cx));
    let result = all.get();
    let time = started.elapsed();
    assert_eq!(result, Ok(()));
    assert_eq!(runtime.stats().ended - before, count);
    time
}

/// Has one child at a time.
struct Parent {
    left: u64,
    done: Option<Promise<()>>,
}

impl Process for Parent {
    fn exited(&mut self, _who: &Upid, cx: &mut Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            Self::have_child(cx);
        } else if let Some(done) = self.done.take() {
            done.set(());
        }
    }
}

impl Parent {
    fn start(&mut self, children: u64, cx: &mut Context<Self>) -> Future<()> {
        let (promise, done) = Promise::pair();
        self.left = children;
        self.done = Some(promise);
        Self::have_child(cx);
        done
    }

    fn have_child(cx: &mut Context<Self>) {
        let child = spawn(Idle);
        cx.link(child);
        terminate(child);
    }
}
