//! `select`, `collect`, `await_all` and `repeat`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::common::{Idle, runtime, scale};
use libprocess::{
    Future, FutureError, Process, Promise, assert_abandoned, assert_discarded, assert_pending,
    assert_ready, await_all, await_failed, await_ready, collect, repeat, repeat_in, select,
};

/// A promise that discards its future when asked to.
fn obedient<T: Send + 'static>() -> (Arc<Promise<T>>, Future<T>) {
    let promise = Arc::new(Promise::new());
    let to_discard = Arc::downgrade(&promise);
    promise.on_discard(move || {
        if let Some(promise) = to_discard.upgrade() {
            promise.discard();
        }
    });
    let future = promise.future();
    (promise, future)
}

#[test]
fn select_gives_the_first_that_is_ready_and_the_others_back() {
    let promises: Vec<Promise<i64>> = (0..4).map(|_| Promise::new()).collect();
    let futures: Vec<_> = promises.iter().map(Promise::future).collect();
    let clones = futures.clone();
    let selected = select(futures);
    promises[0].fail("not ready");
    promises[1].discard();
    assert_pending!(selected);
    promises[3].set(42);
    let selected = await_ready!(selected);
    assert_eq!(selected.index, 3);
    assert!(selected.future == clones[3]);
    assert_eq!(await_ready!(selected.future), 42);
    assert_eq!(selected.others.len(), 3);
    assert!(selected.others[2] == clones[2]);
}

#[test]
fn select_of_pending_ones_can_be_discarded_and_asks_them_nothing() {
    let promises: Vec<Promise<i64>> = (0..3).map(|_| Promise::new()).collect();
    let futures: Vec<_> = promises.iter().map(Promise::future).collect();
    let selected = select(futures.clone());
    assert_pending!(selected);
    selected.discard();
    assert_discarded!(selected);
    assert!(!futures[0].has_discard());
    let none = select(vec![Future::<()>::failed("no")]);
    assert_abandoned!(none);
}

#[test]
fn select_leaves_nothing_in_futures_that_live_on() {
    let shutdown = Promise::<()>::new();
    let shutting_down = shutdown.future();
    let held = Arc::new(());
    for _ in 0..(scale() * 1_000) {
        let of_loser = Arc::clone(&held);
        let step = Promise::new();
        let selected = select(vec![shutting_down.clone(), step.future()]).then(move |selected| {
            drop(of_loser);
            selected.index
        });
        step.set(());
        assert_eq!(await_ready!(selected), 1);
    }
    assert_eq!(Arc::strong_count(&held), 1);
    shutdown.set(());
}

#[test]
fn collect_gives_the_values_in_their_order() {
    assert_eq!(await_ready!(collect(Vec::<Future<()>>::new())), []);
    let promises: Vec<Promise<usize>> = (0..4).map(|_| Promise::new()).collect();
    let all = collect(promises.iter().map(Promise::future).collect::<Vec<_>>());
    for index in [2, 0, 3, 1] {
        assert_pending!(all);
        promises[index].set(index);
    }
    assert_eq!(await_ready!(all), [0, 1, 2, 3]);

    let (number, text) = (Promise::new(), Promise::new());
    let both = collect((number.future(), text.future()));
    text.set("four");
    assert_pending!(both);
    number.set(4);
    assert_eq!(await_ready!(both), (4, "four"));
}

#[test]
fn collect_fails_at_the_first_that_does_or_is_discarded() {
    let pending = Promise::<i64>::new();
    let failed = collect(vec![pending.future(), Future::failed("no")]);
    assert_eq!(&*await_failed!(failed), "collect failed: no");
    let pending = Promise::<i64>::new();
    let discarded = Future::<()>::from(Err(FutureError::Discarded));
    let failed = collect((pending.future(), discarded));
    assert_eq!(&*await_failed!(failed), "collect failed: discarded");
}

#[test]
fn a_discard_of_collect_or_await_all_is_passed_on_to_all() {
    for tuple in [false, true] {
        let ((_one, first), (_two, second)) = (obedient::<i64>(), obedient::<i64>());
        let (watched, also) = (first.clone(), second.clone());
        let all = if tuple {
            collect((first, second)).then(|_| ())
        } else {
            collect(vec![first, second]).then(|_| ())
        };
        all.discard();
        assert_discarded!(all);
        assert_discarded!(watched);
        assert_discarded!(also);

        let ((_one, first), (_two, second)) = (obedient::<i64>(), obedient::<i64>());
        let (watched, also) = (first.clone(), second.clone());
        let all = if tuple {
            await_all((first, second)).then(|_| ())
        } else {
            await_all(vec![first, second]).then(|_| ())
        };
        all.discard();
        assert_discarded!(all);
        assert_discarded!(watched);
        assert_discarded!(also);
    }
}

#[test]
fn one_that_is_abandoned_abandons_all() {
    for tuple in [false, true] {
        for awaiting in [false, true] {
            let (pending, dropped) = (Promise::<i64>::new(), Promise::<i64>::new());
            let (first, second) = (pending.future(), dropped.future());
            let all = match (tuple, awaiting) {
                (true, true) => await_all((first, second)).then(|_| ()),
                (true, false) => collect((first, second)).then(|_| ()),
                (false, true) => await_all(vec![first, second]).then(|_| ()),
                (false, false) => collect(vec![first, second]).then(|_| ()),
            };
            assert_pending!(all);
            drop(dropped);
            assert_abandoned!(all);
            assert_eq!(await_ready!(all.recover(|_| ())), ());
        }
    }
}

#[test]
fn await_all_gives_every_result_whatever_it_is() {
    let discarded = Future::<i64>::from(Err(FutureError::Discarded));
    let results = await_ready!(await_all(vec![
        Future::ready(1),
        Future::failed("no"),
        discarded
    ]));
    assert_eq!(results[0], Ok(1));
    assert_eq!(results[1], Err(FutureError::Failed("no".into())));
    assert_eq!(results[2], Err(FutureError::Discarded));
    let (first, second) = await_ready!(await_all((
        Future::ready("one"),
        Future::<()>::failed("no")
    )));
    assert_eq!((first, second.is_err()), (Ok("one"), true));
}

#[test]
fn a_hundred_thousand_futures_are_collected() {
    let count = scale() * 100_000;
    let promises: Vec<Promise<usize>> = (0..count).map(|_| Promise::new()).collect();
    let all = collect(promises.iter().map(Promise::future).collect::<Vec<_>>());
    for (index, promise) in promises.iter().enumerate() {
        promise.set(index);
    }
    assert_eq!(await_ready!(all).len(), count);
}

#[test]
fn futures_completed_by_several_threads_are_collected_once() {
    for _ in 0..(scale() * 200) {
        let promises: Vec<Promise<usize>> = (0..8).map(|_| Promise::new()).collect();
        let all = collect(promises.iter().map(Promise::future).collect::<Vec<_>>());
        let mut promises = promises.into_iter().enumerate();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let mine: Vec<_> = promises.by_ref().take(4).collect();
                std::thread::spawn(move || {
                    for (index, promise) in mine {
                        promise.set(index);
                    }
                })
            })
            .collect();
        assert_eq!(await_ready!(all), [0, 1, 2, 3, 4, 5, 6, 7]);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn a_loop_ends_with_the_value_of_its_break() {
    let mut next = 3;
    let over = repeat(
        move || {
            next -= 1;
            next
        },
        |n| {
            if n > 0 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break("over")
            }
        },
    );
    assert_eq!(await_ready!(over), "over");
}

#[test]
fn a_loop_waits_for_its_steps() {
    let (gives, body) = (Promise::<i64>::new(), Promise::new());
    let (mut given, mut flow) = (Some(gives.future()), Some(body.future()));
    let over = repeat(
        move || given.take().expect("one iteration"),
        move |n| {
            assert_eq!(n, 7);
            flow.take().expect("one iteration")
        },
    );
    assert_pending!(over);
    gives.set(7);
    assert_pending!(over);
    body.set(ControlFlow::Break("over"));
    assert_eq!(await_ready!(over), "over");
}

#[test]
fn a_loop_is_discarded_in_either_step() {
    let (_gives, given) = obedient::<()>();
    let watched = given.clone();
    let mut given = Some(given);
    let over = repeat(
        move || given.take().expect("one iteration"),
        |()| -> ControlFlow<()> { unreachable!() },
    );
    over.discard();
    assert_discarded!(watched);
    assert_discarded!(over);

    let (_flows, flow) = obedient::<ControlFlow<()>>();
    let watched = flow.clone();
    let mut flow = Some(flow);
    let over = repeat(|| (), move |()| flow.take().expect("one iteration"));
    over.discard();
    assert!(watched.has_discard());
    assert_discarded!(over);

    // The body may choose to end well.
    let promise = Arc::new(Promise::new());
    let to_end = Arc::clone(&promise);
    promise.on_discard(move || {
        to_end.set(ControlFlow::Break(()));
    });
    let mut flow = Some(promise.future());
    let over = repeat(|| (), move |()| flow.take().expect("one iteration"));
    over.discard();
    assert_ready!(over);
}

#[test]
fn a_loop_fails_and_is_abandoned_with_a_step() {
    let over = repeat(
        || Future::<()>::failed("no"),
        |()| -> ControlFlow<()> { unreachable!() },
    );
    assert_eq!(&*await_failed!(over), "no");
    let over = repeat(
        || Promise::<()>::new().future(),
        |()| -> ControlFlow<()> { unreachable!() },
    );
    assert_abandoned!(over);
}

#[test]
fn a_million_iterations_do_not_grow_the_stack() {
    let iterations = (scale() * 1_000_000) as u64;
    std::thread::Builder::new()
        .stack_size(128 * 1024)
        .spawn(move || {
            // Every other step waits, for a promise that is set before it is looked at again.
            let mut count = 0;
            let over = repeat(
                move || {
                    count += 1;
                    Future::ready(count)
                },
                move |count| {
                    let flow = if count < iterations {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(count)
                    };
                    Future::ready(flow)
                },
            );
            assert_eq!(await_ready!(over), iterations);
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn a_loop_that_is_woken_from_its_own_step_does_not_recurse() {
    let iterations = (scale() * 100_000) as u64;
    let current = Arc::new(std::sync::Mutex::new(None::<Promise<u64>>));
    let given = Arc::clone(&current);
    let over = repeat(
        move || {
            let promise = Promise::new();
            let future = promise.future();
            *crate::common::lock(&given) = Some(promise);
            future
        },
        move |count| {
            if count < iterations {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(count)
            }
        },
    );
    std::thread::Builder::new()
        .stack_size(128 * 1024)
        .spawn(move || {
            for count in 1..=iterations {
                let promise = crate::common::lock(&current).take().expect("it waits");
                promise.set(count);
            }
        })
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(await_ready!(over), iterations);
}

#[test]
fn a_loop_in_a_process_runs_as_its_events() {
    struct Counting(u64);
    impl Process for Counting {}
    let runtime = runtime(2);
    let pid = runtime.spawn(Counting(0));
    let over = repeat_in(
        pid,
        |counting, _cx| {
            counting.0 += 1;
            counting.0
        },
        |counting, cx, n| {
            assert_eq!(counting.0, n);
            assert_eq!(cx.pid().upid().to_string(), cx.pid().to_string());
            if n < 1_000 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(n)
            }
        },
    );
    assert_eq!(await_ready!(over), 1_000);
    // It ends with its process.
    let idle = runtime.spawn(Idle);
    let waits = Arc::new(AtomicU64::new(0));
    let begun = Arc::clone(&waits);
    let over = repeat_in(
        idle,
        move |_, _| {
            begun.fetch_add(1, Ordering::Relaxed);
        },
        |_, _, ()| ControlFlow::<()>::Continue(()),
    );
    while waits.load(Ordering::Relaxed) < 10 {
        std::thread::yield_now();
    }
    runtime.terminate(idle);
    assert_eq!(
        over.get_timeout(Duration::from_secs(15)),
        Err(FutureError::Abandoned)
    );
}

#[test]
fn what_comes_after_a_recovery_runs_although_a_discard_was_requested_before() {
    let promise = Promise::<i64>::new();
    let future = promise.future();
    let end = future.recover(|_| 20).then(|n| n + 1);
    end.discard();
    promise.discard();
    assert_eq!(end.get(), Ok(21));
}

#[test]
fn combinators_over_combinators_do_not_overflow_the_stack() {
    let levels = scale() * 10_000;
    std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(move || {
            let promise = Promise::new();
            let mut future = promise.future();
            for _ in 0..levels {
                future = collect(vec![future]).then(|values: Vec<usize>| values[0] + 1);
            }
            promise.set(0);
            assert_eq!(await_ready!(future), levels);
            let promise = Promise::new();
            let mut future = promise.future();
            for _ in 0..levels {
                future = collect((future,)).then(|(value,): (usize,)| value + 1);
            }
            promise.set(0);
            assert_eq!(await_ready!(future), levels);
        })
        .unwrap()
        .join()
        .unwrap();
}
