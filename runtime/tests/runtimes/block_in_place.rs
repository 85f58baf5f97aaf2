//! Closures that block: another thread takes the worker's place.

use std::sync::mpsc::channel;
use std::time::Duration;

use crate::common::{HANG, Idle, runtime};
use libprocess::{
    Clock, Runtime, assert_pending, await_abandoned, await_ready, block_in_place, dispatch_with,
};

/// One worker: the closure waits for what only another process on that worker can do.
#[test]
fn others_are_served_while_a_closure_blocks() {
    let runtime = runtime(1);
    let (blocking, other) = (runtime.spawn(Idle), runtime.spawn(Idle));
    for round in 0..100_u64 {
        let answer = dispatch_with(blocking, move |_, _| {
            let (sender, receiver) = channel();
            block_in_place(|| {
                drop(dispatch_with(other, move |_, _| {
                    sender.send(round).unwrap()
                }));
                receiver.recv_timeout(HANG).unwrap()
            })
        });
        assert_eq!(await_ready!(answer), round);
    }
    assert_eq!(runtime.stats().blocked, 100);
}

/// What was in the worker's queue when the closure began is served too.
#[test]
fn the_queue_goes_with_the_place() {
    let runtime = runtime(1);
    let blocking = runtime.spawn(Idle);
    let others: Vec<_> = (0..100).map(|_| runtime.spawn(Idle)).collect();
    let answer = dispatch_with(blocking, move |_, _| {
        let (sender, receiver) = channel();
        for other in others {
            let sender = sender.clone();
            drop(dispatch_with(other, move |_, _| sender.send(()).unwrap()));
        }
        block_in_place(|| (0..100).all(|_| receiver.recv_timeout(HANG).is_ok()))
    });
    assert!(await_ready!(answer));
}

#[test]
fn a_closure_may_get_wait_and_block_itself() {
    let runtime = runtime(1);
    let (blocking, other) = (runtime.spawn(Idle), runtime.spawn(Idle));
    let answer = dispatch_with(blocking, move |_, _| {
        let in_closure = block_in_place(|| {
            let first = dispatch_with(other, |_, _| 1).get().unwrap();
            let second = block_in_place(|| dispatch_with(other, |_, _| 2).get().unwrap());
            let third = dispatch_with(other, |_, _| 3).get().unwrap();
            (first, second, third)
        });
        let after = dispatch_with(other, |_, _| 4).get().unwrap();
        (in_closure, after)
    });
    assert_eq!(await_ready!(answer), ((1, 2, 3), 4));
    // The worker's place is where it belongs: the handlers go on, and can block again.
    let again = dispatch_with(blocking, move |_, _| {
        dispatch_with(other, |_, _| 5).get().unwrap()
    });
    assert_eq!(await_ready!(again), 5);
}

#[test]
fn a_closure_that_panics_ends_its_process_and_no_more() {
    let runtime = Runtime::builder()
        .workers(1)
        .max_blocked_threads(1)
        .build()
        .unwrap();
    let other = runtime.spawn(Idle);
    for _ in 0..10 {
        let blocking = runtime.spawn(Idle);
        let answer = dispatch_with(blocking, |_, _| {
            block_in_place(|| -> u32 { panic!("as wanted") })
        });
        await_abandoned!(answer);
        // The thread that was blocked counts no longer, or this would be refused.
        let asked = dispatch_with(other, |_, _| {
            let nobody = libprocess::spawn(Idle);
            dispatch_with(nobody, |_, _| 1).get()
        });
        assert_eq!(await_ready!(asked), Ok(1));
    }
    assert_eq!(runtime.stats().blocked, 20);
}

/// Where no thread can take the place, the closure holds the worker, and a `get` inside is refused.
#[test]
fn a_closure_runs_although_too_many_are_blocked() {
    let runtime = Runtime::builder()
        .workers(1)
        .max_blocked_threads(1)
        .build()
        .unwrap();
    let (first, second) = (runtime.spawn(Idle), runtime.spawn(Idle));
    let (let_go, may_go) = channel::<()>();
    let (is_in, entered) = channel();
    let held = dispatch_with(first, move |_, _| {
        block_in_place(|| {
            is_in.send(()).unwrap();
            may_go.recv_timeout(HANG).is_ok()
        })
    });
    entered.recv_timeout(HANG).unwrap();
    let refused = dispatch_with(second, move |_, _| {
        block_in_place(|| dispatch_with(second, |_, _| ()).get().is_err())
    });
    assert!(await_ready!(refused));
    let_go.send(()).unwrap();
    assert!(await_ready!(held));
}

#[test]
fn elsewhere_it_is_a_call() {
    let mut calls = 0;
    assert_eq!(
        block_in_place(|| {
            calls += 1;
            "value"
        }),
        "value"
    );
    assert_eq!(calls, 1);
}

/// A closure that waits for the paused clock is no work that is still to be done; one that computes is.
#[test]
fn a_clock_settles_when_a_closure_waits_for_it() {
    let runtime = runtime(1);
    let clock: Clock = runtime.clock();
    clock.pause();
    let blocking = runtime.spawn(Idle);
    let of_closure = clock.clone();
    let answer = dispatch_with(blocking, move |_, _| {
        block_in_place(|| of_closure.sleep(Duration::from_secs(5)).get().is_ok())
    });
    clock.settle().unwrap();
    assert_pending!(answer);
    clock.advance(Duration::from_secs(5));
    assert!(await_ready!(answer));
}

/// Many block at once, on more than one worker, while others are served: every closure returns, in a thread that has its place again.
#[test]
fn many_block_at_once() {
    const BLOCKING: usize = 50;
    let runtime = runtime(2);
    let other = runtime.spawn(Idle);
    for _ in 0..10 {
        let blocking: Vec<_> = (0..BLOCKING).map(|_| runtime.spawn_owned(Idle)).collect();
        let answers: Vec<_> = blocking
            .iter()
            .map(|blocking| {
                dispatch_with(blocking.pid(), move |_, _| {
                    let (sender, receiver) = channel();
                    block_in_place(|| {
                        drop(dispatch_with(other, move |_, _| sender.send(()).unwrap()));
                        receiver.recv_timeout(HANG).is_ok()
                    })
                })
            })
            .collect();
        for answer in answers {
            assert!(await_ready!(answer));
        }
    }
    assert_eq!(runtime.stats().blocked, 10 * BLOCKING as u64);
}
