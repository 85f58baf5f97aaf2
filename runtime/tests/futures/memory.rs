//! Chains of any length need no stack, and leave no memory behind.

use crate::common::{Counted, lock, scale};
use libprocess::{Future, FutureError, Promise};
use std::future::Future as _;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

/// Far too little for a recursion over the chains below.
const STACK: usize = 256 << 10;

/// Long enough for a recursion to show, if not in an interpreter; as long as the build is quick enough for.
fn long() -> usize {
    if cfg!(miri) {
        100
    } else if cfg!(libprocess_tsan) {
        5_000
    } else if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    }
}

/// Runs a test on a thread with a small stack. It is given a count of what is alive, which must come to nothing.
fn on_a_small_stack(test: impl FnOnce(&Arc<AtomicUsize>) + Send + 'static) {
    let run = move || {
        let alive = Arc::new(AtomicUsize::new(0));
        test(&alive);
        assert_eq!(alive.load(Ordering::Relaxed), 0, "something was not freed");
    };
    let thread = thread::Builder::new().stack_size(STACK).spawn(run);
    thread.expect("a thread").join().expect("the test holds");
}

/// A chain of links that each add one. A counted thing goes with each callback, and one with each value.
fn chain(start: Future<(usize, Counted)>, alive: &Arc<AtomicUsize>) -> Future<(usize, Counted)> {
    (0..long()).fold(start, |future, _| {
        let (own, next) = (Counted::new(alive), Arc::clone(alive));
        future.then(move |(number, _)| {
            drop(own);
            (number + 1, Counted::new(&next))
        })
    })
}

#[test]
fn a_long_chain_is_completed() {
    on_a_small_stack(|alive| {
        let promise = Promise::new();
        let end = chain(promise.future(), alive);
        assert_eq!(alive.load(Ordering::Relaxed), long());
        promise.set((0, Counted::new(alive)));
        assert_eq!(alive.load(Ordering::Relaxed), 1, "the last value alone");
        assert_eq!(end.get().map(|(number, _)| number), Ok(long()));
    });
}

#[test]
fn a_long_chain_is_abandoned() {
    on_a_small_stack(|alive| {
        let promise = Promise::new();
        let end = chain(promise.future(), alive);
        drop(promise);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert!(end.is_abandoned());
    });
}

#[test]
fn a_long_chain_fails_and_its_futures_are_kept_to_the_end() {
    on_a_small_stack(|alive| {
        let promise = Promise::<usize>::new();
        let mut futures = vec![promise.future()];
        for index in 0..long() {
            let own = Counted::new(alive);
            futures.push(futures[index].clone().then(move |number| {
                drop(own);
                number + 1
            }));
        }
        promise.fail("no");
        assert!(futures.iter().all(Future::is_failed));
    });
}

#[test]
fn a_long_chain_is_discarded_from_its_end() {
    on_a_small_stack(|alive| {
        let promise = Promise::new();
        let end = chain(promise.future(), alive);
        assert!(end.discard() && promise.has_discard());
        promise.set((0, Counted::new(alive)));
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert!(end.is_discarded());
    });
}

#[test]
fn a_long_chain_that_nobody_waits_for_still_runs() {
    on_a_small_stack(|alive| {
        let promise = Promise::new();
        drop(chain(promise.future(), alive));
        assert_eq!(alive.load(Ordering::Relaxed), long());
        promise.set((0, Counted::new(alive)));
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        drop(promise);

        let promise = Promise::new();
        drop(chain(promise.future(), alive));
        drop(promise);
    });
}

#[test]
fn a_long_chain_is_freed_whoever_is_last() {
    on_a_small_stack(|alive| {
        // The end keeps the links before it, for discard requests.
        let promise = Promise::new();
        let end = chain(promise.future(), alive);
        promise.set((0, Counted::new(alive)));
        drop(promise);
        drop(end);
        assert_eq!(alive.load(Ordering::Relaxed), 0);

        let promise = Promise::new();
        let end = chain(promise.future(), alive);
        promise.set((0, Counted::new(alive)));
        drop(end);
        drop(promise);
    });
}

#[test]
fn a_long_chain_of_callbacks_that_return_futures_is_completed() {
    on_a_small_stack(|alive| {
        let promise = Promise::new();
        let end = (0..long()).fold(promise.future(), |future, _| {
            let own = Counted::new(alive);
            future.then(move |number: usize| {
                drop(own);
                Future::ready(number + 1)
            })
        });
        promise.set(0);
        assert_eq!(end.get(), Ok(long()));
    });
}

#[test]
fn a_long_chain_of_recovered_failures_is_completed() {
    on_a_small_stack(|alive| {
        let promise = Promise::<usize>::new();
        let end = (0..long()).fold(promise.future(), |future, number| {
            let own = Counted::new(alive);
            future
                .recover(move |_| {
                    drop(own);
                    Future::failed("still not")
                })
                .undiscardable()
                .repair(move |error| {
                    assert!(number > 0 || error.to_string().contains("still"));
                    Future::from(Err(error))
                })
        });
        promise.discard();
        assert_eq!(end.get(), Err(FutureError::Failed("still not".into())));
    });
}

/// Promises of which each is associated with the future of the next: the first one's future, and the last promise.
fn associations(length: usize) -> (Future<usize>, Promise<usize>) {
    let mut last = Promise::new();
    let first = last.future();
    for _ in 0..length {
        let next = Promise::new();
        assert!(last.associate(next.future()));
        last = next;
    }
    (first, last)
}

#[test]
fn a_long_chain_of_associations_is_completed_discarded_and_freed() {
    on_a_small_stack(|_| {
        let (first, last) = associations(long());
        last.set(7);
        assert_eq!(first.get(), Ok(7));

        let (first, last) = associations(long());
        assert!(first.discard() && last.has_discard());
        last.discard();
        assert!(first.is_discarded());

        let (first, last) = associations(long());
        drop(first);
        assert!(!last.has_discard());
        drop(last);

        // The other way around: each is associated when its own future is waited for already.
        let first = Promise::new();
        let mut source = first.future();
        for _ in 0..long() {
            let outer = Promise::new();
            assert!(outer.associate(source));
            source = outer.future();
        }
        assert!(source.discard() && first.has_discard());
        first.set(8);
        assert_eq!(source.get(), Ok(8));
    });
}

/// Counts down, one link for each step, which waits for the one that it makes.
fn recurse(left: usize, steps: Arc<std::sync::Mutex<Vec<Promise<()>>>>) -> Future<usize> {
    let promise = Promise::new();
    let step = promise.future();
    crate::common::lock(&steps).push(promise);
    step.then(move |()| {
        if left == 0 {
            Future::ready(7)
        } else {
            recurse(left - 1, steps)
        }
    })
}

#[test]
fn a_long_recursion_of_links_that_wait_is_completed_discarded_and_freed() {
    for discard in [false, true] {
        on_a_small_stack(move |_| {
            let steps = Arc::default();
            let end = recurse(long(), Arc::clone(&steps));
            for _ in 0..long() {
                let step = crate::common::lock(&steps).pop();
                step.expect("one is waited for").set(());
            }
            assert!(end.is_pending());
            let last = crate::common::lock(&steps)
                .pop()
                .expect("the last is waited for");
            if discard {
                assert!(end.discard() && last.has_discard());
            }
            last.set(());
            let expected = if discard {
                Err(FutureError::Discarded)
            } else {
                Ok(7)
            };
            assert_eq!(end.get(), expected);
        });
    }
}

#[test]
fn many_callbacks_of_one_future_run_and_are_freed() {
    on_a_small_stack(|alive| {
        let promise = Promise::new();
        let future = promise.future();
        let mut links = Vec::new();
        for _ in 0..long() {
            let (ready, then) = (Counted::new(alive), Counted::new(alive));
            future.on_ready(move |()| drop(ready));
            links.push(future.clone().then(move |()| drop(then)));
        }
        promise.set(());
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert!(links.iter().all(Future::is_ready));
    });
}

#[test]
fn waiters_that_come_and_go_leave_nothing_in_a_future_that_never_ends() {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let promise = Promise::<u32>::new();
    let future = promise.future();
    let nobody = Arc::new(Nobody);
    let waker = Waker::from(Arc::clone(&nobody));
    let mut context = Context::from_waker(&waker);
    // One that stays, so that the others do not have the first place.
    let mut staying = pin!(future.clone());
    for first in [false, true] {
        for _ in 0..long().min(100_000) * scale() {
            let mut going = pin!(future.clone());
            assert!(going.as_mut().poll(&mut context).is_pending());
        }
        let held = Arc::strong_count(&nobody);
        assert_eq!(held, if first { 3 } else { 2 });
        assert!(staying.as_mut().poll(&mut context).is_pending());
        assert_eq!(
            future
                .clone()
                .get_timeout(std::time::Duration::from_nanos(1)),
            Err(FutureError::TimedOut)
        );
    }
    // A link takes the waker back of the future that it is made of.
    let mut polled = Box::pin(future.clone());
    assert!(polled.as_mut().poll(&mut context).is_pending());
    assert_eq!(Arc::strong_count(&nobody), 4);
    // SAFETY: a future does not depend on its place.
    let unpinned = *unsafe { std::pin::Pin::into_inner_unchecked(polled) };
    let link = unpinned.then(|number| number);
    assert_eq!(Arc::strong_count(&nobody), 3);
    drop(promise);
    assert_eq!(Arc::strong_count(&nobody), 2, "woken, not kept");
    assert!(link.is_abandoned());
}

#[test]
fn threads_that_complete_clone_drop_and_ask_at_once_agree_and_free_all() {
    let alive = Arc::new(AtomicUsize::new(0));
    for round in 0..(long() / 200).clamp(20, 500) * scale() {
        let value = Arc::new(Counted::new(&alive));
        let (promise, counted) = (Promise::new(), Arc::clone(&alive));
        let future = promise.future();
        let (second, third, fourth) = (future.clone(), future.clone(), future.clone());
        let weak = future.downgrade();
        let own = Counted::new(&alive);
        let threads = [
            thread::spawn(move || {
                match round % 4 {
                    0 => false,
                    1 => promise.fail("no"),
                    _ => promise.set(value),
                };
            }),
            thread::spawn(move || {
                let counted = Counted::new(&counted);
                let link = second.then(move |value| {
                    drop(counted);
                    Future::ready(value)
                });
                link.discard();
                drop(link.get());
            }),
            thread::spawn(move || {
                third.on_any(move |_| drop(own));
                drop(third.get());
            }),
            thread::spawn(move || drop(weak.upgrade().map(Future::get))),
            thread::spawn(move || drop(fourth)),
        ];
        drop(future);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(alive.load(Ordering::Relaxed), 0, "in round {round}");
    }
}

/// Its callback asks to discard it, lets go of it, and returns a future that ends by being asked so.
#[test]
fn a_link_that_nobody_has_passes_its_discard_on_as_it_begins_to_follow() {
    let upstream = Promise::<()>::new();
    let inner = Arc::new(Promise::<i32>::new());
    let (weak, followed) = (Arc::downgrade(&inner), inner.future());
    let ends = Arc::clone(&inner);
    inner.on_discard(move || {
        ends.discard();
    });
    drop(inner);
    let itself = Arc::new(Mutex::new(None::<Future<i32>>));
    let own = Arc::clone(&itself);
    let linked = upstream.future().then(move |()| {
        let linked = lock(&own).take().expect("put there before");
        linked.discard();
        followed
    });
    *lock(&itself) = Some(linked);
    upstream.set(());
    assert!(
        weak.upgrade().is_none(),
        "it was asked to discard, and let go of"
    );
}
