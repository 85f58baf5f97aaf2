//! What promises and futures promise: states, callbacks, links, discard requests.

use crate::common::{Counted, HANG, Log, lock};
use libprocess::{Future, FutureError, Promise};
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Can be neither cloned nor copied.
#[derive(Debug, PartialEq)]
struct Unique(Box<u32>);

fn unique(number: u32) -> Unique {
    Unique(Box::new(number))
}

fn failed(message: &str) -> FutureError {
    FutureError::Failed(message.into())
}

/// Registers every callback. Each adds its name and what it saw.
fn register_all<T>(future: &Future<T>, log: &Log)
where
    T: Send + std::fmt::Debug + 'static,
{
    let add = |name: &'static str| {
        let log = log.clone();
        move |what: String| log.add(format!("{name} {what}").trim().to_owned())
    };
    let (ready, failed, discarded, abandoned, any) = (
        add("ready"),
        add("failed"),
        add("discarded"),
        add("abandoned"),
        add("any"),
    );
    future
        .on_ready(move |value| ready(format!("{value:?}")))
        .on_failed(move |message| failed(message.to_owned()))
        .on_discarded(move || discarded(String::new()))
        .on_abandoned(move || abandoned(String::new()))
        .on_any(move |result| any(format!("{result:?}")));
}

type End = fn(Promise<u32>);

/// Ends a promise in each of the four ways, and says what its callbacks add.
fn each_end() -> [(End, &'static [&'static str]); 4] {
    [
        (|promise| assert!(promise.set(5)), &["ready 5", "any Ok(5)"]),
        (
            |promise| assert!(promise.fail("no")),
            &["failed no", r#"any Err(Failed("no"))"#],
        ),
        (
            |promise| assert!(promise.discard()),
            &["discarded", "any Err(Discarded)"],
        ),
        // Not `any`: an abandoned future is still pending.
        (drop, &["abandoned"]),
    ]
}

#[test]
fn a_promise_ends_its_future_once() {
    let promise = Promise::new();
    let future = promise.future();
    assert!(future.is_pending() && !future.is_ready());
    assert!(promise.set(1));
    assert!(!promise.set(2) && !promise.fail("no") && !promise.discard());
    assert!(!promise.associate(Future::ready(3)));
    drop(promise);
    assert!(future.is_ready() && !future.is_pending() && !future.is_abandoned());
    assert_eq!(future.get(), Ok(1));

    let promise = Promise::<u32>::new();
    let future = promise.future();
    assert!(promise.fail("no") && !promise.set(1) && !promise.discard());
    assert!(future.is_failed() && !future.is_pending());
    assert_eq!(future.get(), Err(failed("no")));

    let promise = Promise::<u32>::new();
    let future = promise.future();
    assert!(promise.discard() && !promise.set(1) && !promise.fail("no"));
    assert!(future.is_discarded() && !future.is_pending());
    assert_eq!(future.get(), Err(FutureError::Discarded));
}

#[test]
fn a_future_is_abandoned_when_its_promise_is_gone_and_pending_all_the_while() {
    let promise = Promise::<u32>::new();
    let future = promise.future();
    assert!(!future.is_abandoned());
    drop(promise);
    assert!(future.is_abandoned() && future.is_pending());
    assert!(!future.is_ready() && !future.is_failed() && !future.is_discarded());
    assert!(!future.discard(), "nobody is left to ask");
    assert_eq!(future.wait(None), Ok(()));
    assert_eq!(future.get(), Err(FutureError::Abandoned));
}

#[test]
fn the_text_of_a_future_names_its_state() {
    let text = |requested: bool, end: fn(&Promise<u32>)| {
        let promise = Promise::new();
        let future = promise.future();
        if requested {
            future.discard();
        }
        end(&promise);
        format!("{future:?}")
    };
    assert_eq!(text(false, |_| {}), "Future(pending)");
    assert_eq!(text(true, |_| {}), "Future(pending, discard requested)");
    assert_eq!(
        text(false, |promise| assert!(promise.set(1))),
        "Future(ready)"
    );
    // Asked before it ended, it says so ever after.
    assert_eq!(
        text(true, |promise| assert!(promise.set(1))),
        "Future(ready, discard requested)"
    );
    assert_eq!(
        text(false, |promise| assert!(promise.fail("no"))),
        "Future(failed: no)"
    );
    assert_eq!(
        text(true, |promise| assert!(promise.fail("no"))),
        "Future(failed: no, discard requested)"
    );
    assert_eq!(
        text(false, |promise| assert!(promise.discard())),
        "Future(discarded)"
    );
    let abandoned = Promise::<u32>::new().future();
    assert_eq!(format!("{abandoned:?}"), "Future(abandoned)");
    let ended = Future::ready(1);
    assert!(!ended.discard() && !ended.has_discard());
}

#[test]
fn clones_are_equal_and_other_futures_are_not() {
    let promise = Promise::<u32>::new();
    let future = promise.future();
    let (same, other) = (future.clone(), Future::ready(1));
    assert!(future == same && future != other);
    assert!(
        Future::ready(1) != Future::ready(1),
        "by identity, not value"
    );
    let set: HashSet<_> = [future, same, other].into_iter().collect();
    assert_eq!(set.len(), 2);
    promise.set(1);
}

#[test]
fn a_promise_gives_its_future_once() {
    let promise = Promise::<u32>::new();
    let future = promise.future();
    assert!(catch_unwind(AssertUnwindSafe(|| promise.future())).is_err());
    drop(future);
    assert!(catch_unwind(AssertUnwindSafe(|| promise.future())).is_err());
    let late = Promise::new();
    late.set(1);
    assert_eq!(late.future().get(), Ok(1));
}

#[test]
fn callbacks_run_once_and_only_those_of_the_end() {
    for (end, expected) in each_end() {
        let (pending, ended) = (Log::default(), Log::default());
        let promise = Promise::new();
        let future = promise.future();
        register_all(&future, &pending);
        assert!(pending.entries().is_empty());
        end(promise);
        assert_eq!(pending.entries(), expected);
        // At once, in the caller, when the future has ended.
        register_all(&future, &ended);
        assert_eq!(ended.entries(), expected);
        drop(future);
        assert_eq!(pending.entries(), expected);
    }
}

#[test]
fn callbacks_are_freed_when_the_future_ends_whether_they_ran_or_not() {
    for (end, _) in each_end() {
        let alive = Arc::new(AtomicUsize::new(0));
        let promise = Promise::new();
        let future = promise.future();
        let each = || Counted::new(&alive);
        let (ready, failed, discarded, abandoned, any) = (each(), each(), each(), each(), each());
        let (discard, then, recover) = (each(), each(), each());
        future
            .on_ready(move |_| drop(ready))
            .on_failed(move |_| drop(failed))
            .on_discarded(move || drop(discarded))
            .on_abandoned(move || drop(abandoned))
            .on_any(move |_| drop(any))
            .on_discard(move || drop(discard));
        let next = future.clone().then(move |_| drop(then));
        let repaired = future.clone().recover(move |_| {
            drop(recover);
            0
        });
        assert_eq!(alive.load(Ordering::Relaxed), 8);
        end(promise);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        drop((future, next, repaired));
    }
}

#[test]
fn callbacks_run_in_their_order_and_before_any_link() {
    let log = Log::default();
    let promise = Promise::new();
    let future = promise.future();
    let add = |entry: &'static str| {
        let log = log.clone();
        move || log.add(entry)
    };
    let (then, first, other, second, behind) = (
        add("then"),
        add("first"),
        add("other then"),
        add("second"),
        add("behind then"),
    );
    let link = future.clone().then(move |_| then());
    link.on_ready(move |()| behind());
    future.on_ready(move |_| first());
    let other = future.clone().then(move |_| other());
    future.on_any(move |_| second());
    promise.set(1);
    assert_eq!(
        log.entries(),
        ["first", "second", "then", "behind then", "other then"]
    );
    drop((link, other));
}

#[test]
fn a_callback_can_register_more_on_the_same_future() {
    for (end, expected) in each_end() {
        let log = Log::default();
        let promise = Promise::new();
        let future = promise.future();
        let (same, inner) = (future.clone(), log.clone());
        let register = move || register_all(&same, &inner);
        let (again, abandoned) = (register.clone(), register);
        future.on_any(move |_| again());
        future.on_abandoned(abandoned);
        end(promise);
        assert_eq!(log.entries(), expected);
    }
}

#[test]
fn a_callback_can_get_the_value_from_a_clone_of_the_same_future() {
    let promise = Promise::new();
    let future = promise.future();
    let got = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..2 {
        let (same, got) = (future.clone(), Arc::clone(&got));
        future.on_ready(move |_| {
            assert!(same.is_ready() && same.wait(None).is_ok());
            lock(&got).push(same.clone().get());
            lock(&got).push(same.get());
        });
    }
    let (same, kept) = (future.clone(), Arc::clone(&got));
    future.on_ready(move |_| {
        // A link made now runs when the callbacks have.
        let link = same.then(|text: String| text.len());
        link.on_ready(move |length| lock(&kept).push(Ok(length.to_string())));
        assert!(link.is_pending());
    });
    promise.set("abc".to_owned());
    assert_eq!(
        *lock(&got),
        [Ok("abc"), Ok("abc"), Ok("abc"), Ok("abc"), Ok("3")].map(|end| end.map(str::to_owned))
    );
    assert_eq!(future.get().as_deref(), Ok("abc"));
}

#[test]
fn a_callback_can_complete_another_promise_and_a_callback_of_that_one_a_third() {
    let log = Log::default();
    let (one, two, three) = (Promise::new(), Promise::new(), Promise::new());
    let (first, second, third) = (one.future(), two.future(), three.future());
    let (outer, middle, inner) = (log.clone(), log.clone(), log.clone());
    first.on_ready(move |n: &u32| {
        two.set(n + 1);
        outer.add("outer");
    });
    second.on_ready(move |n: &u32| {
        three.set(n + 1);
        middle.add("middle");
    });
    third.on_ready(move |n: &u32| inner.add(format!("inner {n}")));
    one.set(1);
    assert_eq!(log.entries(), ["inner 3", "middle", "outer"]);
}

#[test]
fn a_promise_can_be_dropped_in_its_own_callback() {
    for (end, _) in each_end().into_iter().take(3) {
        let slot = Arc::new(Mutex::new(None::<Arc<Promise<u32>>>));
        let promise = Arc::new(Promise::new());
        let future = promise.future();
        let kept = Arc::clone(&slot);
        future.on_any(move |_| drop(lock(&kept).take()));
        // A shared promise that the callback has the last handle to but one.
        let relay = Promise::new();
        promise.associate(relay.future());
        *lock(&slot) = Some(promise);
        end(relay);
        assert!(lock(&slot).is_none() && !future.is_pending());
    }
}

#[test]
fn a_link_takes_a_value_or_a_future() {
    let value: Future<String> = Future::ready(1).then(|n: u32| n.to_string());
    let future: Future<String> = Future::ready(1).then(|n| Future::ready(n.to_string()));
    assert!(value.is_ready() && future.is_ready());
    assert_eq!(
        (value.get(), future.get()),
        (Ok("1".into()), Ok("1".into()))
    );

    let (source, returned) = (Promise::new(), Promise::new());
    let answer = returned.future();
    let value = source.future().then(|n: u32| n + 1);
    let both = value.then(move |n| answer.then(move |m: u32| n + m));
    source.set(1);
    assert!(both.is_pending());
    returned.set(40);
    assert_eq!(both.get(), Ok(42));
}

#[test]
fn every_callback_may_own_what_cannot_be_cloned() {
    let sum = Arc::new(AtomicUsize::new(0));
    let add = |number: usize| {
        let (number, sum) = (Box::new(number), Arc::clone(&sum));
        move || {
            sum.fetch_add(*number, Ordering::Relaxed);
        }
    };
    let future = Future::ready(0);
    let (ready, any, failed, discard, discarded) =
        (add(1), add(10), add(100), add(1_000), add(10_000));
    future
        .on_ready(move |_| ready())
        .on_any(move |_| any())
        .on_failed(move |_| failed())
        .on_discard(discard)
        .on_discarded(discarded);
    let own = Unique(Box::new(31));
    let got = future.then(move |n| n + *own.0 as usize);
    assert_eq!(got.get(), Ok(31));
    assert_eq!(sum.load(Ordering::Relaxed), 11);
}

#[test]
fn a_chain_passes_every_end_on_and_runs_no_callback_without_a_value() {
    let log = Log::default();
    for (end, _) in each_end() {
        let promise = Promise::new();
        let future = promise.future();
        let (one, two) = (log.clone(), log.clone());
        let last = future
            .clone()
            .then(move |n| {
                one.add("one");
                n + 1
            })
            .then(move |n: u32| {
                two.add("two");
                n.to_string()
            });
        assert!(last.is_pending() && !last.is_abandoned());
        end(promise);
        assert_eq!(last.is_abandoned(), future.is_abandoned());
        assert_eq!(last.get(), future.get().map(|n| (n + 1).to_string()));
    }
    assert_eq!(log.entries(), ["one", "two"]);
    assert_eq!(
        Future::<u32>::failed("no").then(|n| n).then(|n| n).get(),
        Err(failed("no"))
    );
}

#[test]
fn a_discard_request_goes_to_what_the_chain_waits_for_and_stops_the_rest() {
    // How the first link's future then ends, and how the chain's last does.
    type End = fn(&Promise<u32>) -> bool;
    let ends: [(End, FutureError); 3] = [
        (Promise::discard, FutureError::Discarded),
        (|promise| promise.set(1), FutureError::Discarded),
        (|promise| promise.fail("no"), failed("no")),
    ];
    for pending_start in [false, true] {
        for (end, expected) in &ends {
            let (start, one, two) = (Promise::new(), Promise::new(), Promise::<u32>::new());
            let (first, second) = (one.future(), two.future());
            let watched = first.clone();
            let ran = Log::default();
            let entry = ran.clone();
            let source = if pending_start {
                start.future()
            } else {
                Future::ready(0)
            };
            let kept = second.clone();
            let last = source.then(move |_| first).then(move |_| {
                entry.add("ran");
                second
            });
            if pending_start {
                start.set(0);
            }
            assert!(last.discard() && last.has_discard() && last.is_pending());
            assert!(watched.has_discard() && watched.is_pending());
            assert!(!kept.has_discard(), "nobody has it yet");
            assert!(!last.discard(), "once");
            assert!(end(&one));
            assert_eq!(last.get(), Err(expected.clone()));
            assert!(ran.entries().is_empty() && kept.is_pending());
        }
    }
}

#[test]
fn a_discard_request_before_a_link_is_made_counts_too() {
    let promise = Promise::new();
    let future = promise.future();
    future.discard();
    let pending = future.clone().then(|n: u32| n);
    promise.set(1);
    let ended = future.clone().then(|n: u32| n);
    assert!(pending.is_discarded() && ended.is_discarded());
    assert_eq!(future.get(), Ok(1));
}

#[test]
fn recover_gets_every_error_and_passes_values_on() {
    for (end, _) in each_end() {
        let promise = Promise::new();
        let future = promise.future();
        let text = |error: FutureError| Future::ready(error.to_string());
        let recovered = future.clone().then(|n: u32| n.to_string()).recover(text);
        let late_value = {
            assert!(recovered.is_pending());
            end(promise);
            future
                .clone()
                .then(|n: u32| n.to_string())
                .recover(|error| error.to_string())
        };
        let expected = future
            .get()
            .map_or_else(|error| error.to_string(), |n| n.to_string());
        assert_eq!(recovered.get().as_ref(), Ok(&expected));
        assert_eq!(late_value.get(), Ok(expected));
    }
}

#[test]
fn repair_gets_failures_only() {
    for (end, _) in each_end() {
        let promise = Promise::new();
        let future = promise.future();
        let repaired = future.clone().repair(|error| {
            assert_eq!(error, failed("no"));
            Future::ready(43)
        });
        assert!(repaired.is_pending());
        end(promise);
        let late = future.clone().repair(|_| 43);
        let expected = match future.get() {
            Err(FutureError::Failed(_)) => Ok(43),
            other => other,
        };
        assert_eq!(repaired.get(), expected);
        assert_eq!(late.get(), expected);
    }
}

#[test]
fn recover_forgets_a_discard_request_and_passes_the_next_one_on() {
    let (one, two, three, four) = (
        Promise::<u32>::new(),
        Promise::<u32>::new(),
        Promise::<u32>::new(),
        Promise::<u32>::new(),
    );
    let (second, third, fourth) = (two.future(), three.future(), four.future());
    let seen = [second.clone(), third.clone(), fourth.clone()];
    let last = one
        .future()
        .then(|n| n)
        .recover(move |_| second.then(move |_| third).then(move |_| fourth));
    last.discard();
    assert!(one.has_discard() && last.has_discard());
    one.discard();
    assert!(last.is_pending() && !last.has_discard() && !seen[0].has_discard());
    two.set(2);
    assert!(!seen[1].has_discard());
    three.set(3);
    assert!(!seen[2].has_discard());
    assert!(last.discard(), "the second request");
    assert!(seen[2].has_discard() && last.has_discard());
    four.set(4);
    assert_eq!(last.get(), Ok(4));
}

#[test]
fn undiscardable_keeps_a_request_to_itself() {
    let promise = Promise::new();
    let future = promise.future();
    let kept = future.clone().undiscardable();
    kept.discard();
    assert!(kept.has_discard() && !future.has_discard());
    promise.set(42);
    assert_eq!(kept.get(), Ok(42));

    // In a callback, for the future that it returns.
    let (source, returned) = (Promise::new(), Promise::new());
    let inner = returned.future();
    let watched = inner.clone();
    let last = source
        .future()
        .then(move |n: u32| inner.undiscardable().then(move |m: u32| n + m));
    source.set(42);
    last.discard();
    assert!(last.has_discard() && !watched.has_discard());
    returned.set(42);
    assert_eq!(watched.get(), Ok(42));
}

#[test]
fn a_result_becomes_a_future_and_a_future_of_one_is_flattened() {
    assert_eq!(Future::from(Ok(1)).get(), Ok(1));
    assert!(Future::<u32>::from(Err(failed("no"))).is_failed());
    assert!(Future::<u32>::from(Err(FutureError::Abandoned)).is_abandoned());

    let promise = Promise::new();
    let flat = promise.future().flatten();
    assert!(flat.is_pending());
    promise.set(Ok(1));
    assert_eq!(flat.get(), Ok(1));
    assert!(
        Future::ready(Err::<u32, _>(FutureError::Discarded))
            .flatten()
            .is_discarded()
    );
    assert!(Future::<Result<u32, _>>::failed("no").flatten().is_failed());
}

#[test]
fn a_value_that_is_not_sync_goes_through_links_and_callbacks() {
    let promise = Promise::new();
    let future = promise.future();
    future.on_ready(|cell: &Cell<u32>| cell.set(cell.get() + 1));
    let next = future.then(|cell| {
        cell.set(cell.get() * 2);
        cell
    });
    std::thread::spawn(move || promise.set(Cell::new(20)))
        .join()
        .unwrap();
    assert_eq!(next.get().map(Cell::into_inner), Ok(42));
}

#[test]
fn a_value_that_cannot_be_cloned_is_moved_along() {
    let promise = Promise::new();
    let future = promise.future().then(|n: Unique| unique(*n.0 + 1));
    let outer = Promise::new();
    outer.associate(future.undiscardable());
    let last = outer.future().recover(|_| unique(0)).repair(|_| unique(0));
    promise.set(unique(1));
    assert_eq!(last.get_timeout(HANG), Ok(unique(2)));
    assert_eq!(Future::ready(unique(3)).get(), Ok(unique(3)));
}
