//! Who fires timers: workers that sleep, the clock's thread where none can, and whoever it is in time.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::common::{HANG, Idle, runtime};
use libprocess::{Promise, await_ready, clock, dispatch_with};

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// The name of the thread that fires a timer which a handler starts.
#[cfg(feature = "last-in-first-out-fixed-size-semaphore")]
fn fired_by(runtime: &libprocess::Runtime) -> String {
    let pid = runtime.spawn(Idle);
    let answer: libprocess::Future<String> = dispatch_with(pid, |_, _| {
        let promise = Promise::new();
        let future = promise.future();
        clock().timer(MILLISECOND, move || {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            promise.set(name);
        });
        future
    });
    await_ready!(answer)
}

/// Where sleepers have drivers of their own.
#[test]
#[cfg(feature = "last-in-first-out-fixed-size-semaphore")]
fn a_worker_that_sleeps_wakes_for_what_its_handler_started() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        // Where the machine keeps the worker from waking for long, the clock's thread comes first.
        let by_worker = (0..1_000).any(|_| !fired_by(&runtime).ends_with("-clock"));
        assert!(
            by_worker,
            "with {workers} workers all were fired by the clock's thread"
        );
    }
}

#[test]
fn a_worker_that_sleeps_for_a_later_timer_is_woken_for_an_earlier_one() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let pid = runtime.spawn(Idle);
        // One of them, as the machine may be slow.
        let mut quickest = HOUR;
        for _ in 0..20 {
            // Near enough for the worker to keep the time for it.
            let later = dispatch_with(pid, |_, _| clock().timer(90 * MILLISECOND, || {}));
            let later = await_ready!(later);
            let began = Instant::now();
            await_ready!(runtime.clock().sleep(MILLISECOND));
            quickest = quickest.min(began.elapsed());
            later.cancel();
        }
        assert!(quickest < 45 * MILLISECOND, "{quickest:?}");
    }
}

#[test]
fn timers_come_while_all_workers_sit_in_handlers() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let stuck = (0..workers).map(|_| {
            let pid = runtime.spawn(Idle);
            dispatch_with(pid, |_, _| {
                let (fired, is_fired) = mpsc::channel();
                clock().timer(MILLISECOND, move || fired.send(()).unwrap());
                // Holds its worker, as the runtime knows nothing of it.
                is_fired.recv_timeout(HANG).expect("it fires");
            })
        });
        for handled in stuck.collect::<Vec<_>>() {
            await_ready!(handled);
        }
    }
}

#[test]
fn a_timer_that_waits_does_not_keep_its_worker() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let pid = runtime.spawn(Idle);
        let promise = Promise::<()>::new();
        let opened = promise.future();
        let (begun, has_begun) = mpsc::channel();
        await_ready!(dispatch_with(pid, move |_, _| {
            clock().timer(MILLISECOND, move || {
                begun.send(()).unwrap();
                opened.get().unwrap();
            });
        }));
        has_begun.recv_timeout(HANG).expect("it fires");
        await_ready!(dispatch_with(pid, |_, _| {}));
        promise.set(());
        await_ready!(runtime.clock().sleep(MILLISECOND));
    }
}

/// What it waits for may need the workers: they go on until it has come to its end.
#[test]
fn a_runtime_ends_although_a_timer_waits() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let clock = runtime.clock().clone();
        let pid = runtime.spawn(Idle);
        let promise = Promise::<()>::new();
        let opened = promise.future();
        let (begun, has_begun) = mpsc::channel();
        await_ready!(dispatch_with(pid, move |_, _| {
            libprocess::clock().timer(MILLISECOND, move || {
                begun.send(()).unwrap();
                opened.get().unwrap();
            });
        }));
        has_begun.recv_timeout(HANG).expect("it fires");
        let (ended, has_ended) = mpsc::channel();
        let ending = std::thread::spawn(move || {
            drop(runtime);
            ended.send(()).unwrap();
        });
        // The clock has been stopped: all that follows is the end of the threads.
        let began = Instant::now();
        while !clock.sleep(HOUR).is_abandoned() {
            assert!(began.elapsed() < HANG, "the clock is not stopped");
            std::thread::yield_now();
        }
        for _ in 0..1_000 {
            std::thread::yield_now();
        }
        promise.set(());
        has_ended.recv_timeout(HANG).expect("it ends");
        ending.join().unwrap();
    }
}
