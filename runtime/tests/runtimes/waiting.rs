//! Blocking: `wait` and `get`, from outside and inside, and who takes over meanwhile.

use crate::common::{Idle, gate, runtime};
use libprocess::{
    FutureError, Pid, Process, Promise, Runtime, TooManyBlocked, WaitStatus, dispatch_with,
    spawn_owned, terminate, wait, wait_timeout,
};
use std::time::Duration;

#[test]
fn a_wait_can_time_out_and_be_repeated() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    for _ in 0..100 {
        assert_eq!(
            wait_timeout(pid, Duration::from_micros(10)),
            WaitStatus::TimedOut
        );
    }
    assert!(!WaitStatus::TimedOut.has_ended());
    terminate(pid);
    assert!(wait(pid).has_ended());
    assert_eq!(wait_timeout(pid, Duration::ZERO), WaitStatus::AlreadyEnded);
}

#[test]
fn waiting_for_oneself_is_refused_at_once() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let status = dispatch_with(pid, |_, cx| {
        (wait(cx.pid()), wait_timeout(cx.pid(), crate::common::HANG))
    });
    assert_eq!(status.get(), Ok((WaitStatus::Itself, WaitStatus::Itself)));
}

#[test]
fn waiting_for_oneself_while_ending_is_refused() {
    struct Ending(Option<Pid<Ending>>, std::sync::mpsc::Sender<WaitStatus>);
    impl Process for Ending {}
    impl Drop for Ending {
        fn drop(&mut self) {
            // Without this refusal the end would wait for the end.
            self.1.send(wait(self.0.unwrap())).unwrap();
        }
    }
    let runtime = runtime(1);
    let (send, status) = std::sync::mpsc::channel();
    let pid = runtime.spawn(Ending(None, send));
    dispatch_with(pid, |ending, cx| ending.0 = Some(cx.pid()))
        .get()
        .unwrap();
    terminate(pid);
    assert_eq!(
        status.recv_timeout(crate::common::HANG),
        Ok(WaitStatus::Itself)
    );
    assert!(wait(pid).has_ended());
}

#[test]
fn processes_that_wait_for_each_other_in_a_row_need_one_worker_only() {
    const ROW: usize = 20;
    let runtime = runtime(1);
    let last = runtime.spawn(Idle);
    let mut next = last;
    let mut waits = Vec::new();
    for _ in 0..ROW {
        let pid = runtime.spawn(Idle);
        waits.push(dispatch_with(pid, move |_, cx| {
            let status = wait(next);
            cx.terminate();
            status
        }));
        next = pid;
    }
    // The worker is free although all of them wait.
    dispatch_with(last, |_, cx| cx.terminate()).get().unwrap();
    for wait in waits {
        assert!(wait.get().unwrap().has_ended());
    }
    assert!(wait(next).has_ended());
}

#[test]
fn a_handler_can_get_a_future_that_another_process_completes_on_the_same_worker() {
    let runtime = runtime(1);
    let asking = runtime.spawn(Idle);
    let answering = runtime.spawn(Idle);
    let answer = dispatch_with(asking, move |_, _| {
        dispatch_with(answering, |_, _| 42).get()
    });
    assert_eq!(answer.get(), Ok(Ok(42)));
}

#[test]
fn a_handler_s_get_can_time_out() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let result = dispatch_with(pid, |_, _| {
        let promise = Promise::<()>::new();
        promise.future().get_timeout(Duration::from_millis(5))
    });
    assert_eq!(result.get(), Ok(Err(FutureError::TimedOut)));
}

#[test]
fn a_process_can_spawn_own_and_drop_another_in_a_handler() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    dispatch_with(pid, |_, _| drop(spawn_owned(Idle)))
        .get()
        .unwrap();
    assert_eq!(runtime.stats().ended, 1);
}

#[test]
fn at_the_cap_a_wait_is_refused_instead_of_a_deadlock() {
    let runtime = Runtime::builder()
        .workers(1)
        .max_blocked_threads(2)
        .build()
        .unwrap();
    let (target, free) = (runtime.spawn(Idle), runtime.spawn(Idle));
    let mut blocked = Vec::new();
    let mut doors = Vec::new();
    for _ in 0..2 {
        let (door, stop) = gate();
        let pid = runtime.spawn(Idle);
        blocked.push(dispatch_with(pid, move |_, _| {
            // Stand at the gate for a moment, so that both are known to have come here.
            stop();
            wait(target)
        }));
        door.wait_until_reached();
        door.open();
        doors.push(door);
    }
    // Whoever is served now is served by a stand-in of the second one.
    let third = dispatch_with(free, move |_, _| wait(target));
    assert_eq!(third.get(), Ok(WaitStatus::TooManyBlocked));
    let refused = dispatch_with(free, |_, _| {
        let promise = Promise::<()>::new();
        promise.future().get()
    });
    assert_eq!(
        refused.get(),
        Ok(Err(FutureError::TooManyBlocked(TooManyBlocked)))
    );
    terminate(target);
    for wait in blocked {
        assert!(wait.get().unwrap().has_ended());
    }
}

#[test]
fn never_more_processes_run_at_a_time_than_there_are_workers() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    const PROCESSES: usize = 50;
    let runtime = runtime(2);
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let promise = Promise::<u64>::new();
    let future = promise.future();
    let mut results = Vec::new();
    let mut doors = Vec::new();
    for _ in 0..PROCESSES {
        let (running, most, future) = (Arc::clone(&running), Arc::clone(&most), future.clone());
        let (door, stop) = gate();
        let pid = runtime.spawn(Idle);
        results.push(dispatch_with(pid, move |_, _| {
            stop();
            let value = future.get().unwrap();
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            for _ in 0..10_000 {
                std::hint::spin_loop();
            }
            running.fetch_sub(1, Ordering::SeqCst);
            value
        }));
        doors.push(door);
    }
    for door in &doors {
        door.wait_until_reached();
        door.open();
    }
    // All are blocked, or about to be; one value wakes them all.
    promise.set(7);
    for result in results {
        assert_eq!(result.get(), Ok(7));
    }
    assert!(
        most.load(Ordering::SeqCst) <= 2,
        "{} ran at a time",
        most.load(Ordering::SeqCst)
    );
    assert!(
        runtime.stats().blocked > 0,
        "nobody was blocked: the race was not hit"
    );
}

#[test]
fn threads_that_stood_in_end_when_nobody_needs_them() {
    let runtime = runtime(1);
    let target = runtime.spawn(Idle);
    let waits: Vec<_> = (0..10)
        .map(|_| dispatch_with(runtime.spawn(Idle), move |_, _| wait(target)))
        .collect();
    let deadline = std::time::Instant::now() + crate::common::HANG;
    while runtime.stats().blocked < 10 {
        assert!(
            std::time::Instant::now() < deadline,
            "{} blocked",
            runtime.stats().blocked
        );
        std::thread::yield_now();
    }
    assert!(runtime.stats().threads > 10);
    dispatch_with(target, |_, cx| cx.terminate()).get().unwrap();
    for wait in waits {
        assert_eq!(wait.get(), Ok(WaitStatus::Ended));
    }
    while runtime.stats().threads > 1 {
        assert!(
            std::time::Instant::now() < deadline,
            "{} threads",
            runtime.stats().threads
        );
        std::thread::yield_now();
    }
    // And the runtime still works.
    dispatch_with(runtime.spawn(Idle), |_, _| ()).get().unwrap();
}
