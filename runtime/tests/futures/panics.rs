//! Foreign code that panics within futures: callbacks, clones, drops, wakers. Nobody else notices.

use crate::common::{HANG, Log};
use libprocess::{Future, Promise};
use std::future::Future as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

fn panics<R>(f: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

#[test]
fn a_link_whose_callback_panics_is_abandoned_and_all_others_go_on() {
    let promise = Promise::new();
    let future = promise.future();
    let before = future.clone().then(|n: u32| n);
    let broken = future
        .clone()
        .then(|_| -> u32 { panic!("in the callback") });
    let behind = broken.clone().then(|n| n);
    let saved = broken.clone().recover(|_| 5);
    let after = future.clone().then(|n| n);
    assert!(panics(|| promise.set(1)));
    assert!(broken.is_abandoned() && behind.is_abandoned());
    assert_eq!(
        (saved.get(), before.get(), after.get()),
        (Ok(5), Ok(1), Ok(1))
    );
    assert_eq!(future.get(), Ok(1));
}

#[test]
fn a_clone_that_panics_costs_its_holder_the_value_and_nobody_else() {
    struct Fragile(u32);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            panic!("in clone");
        }
    }
    let promise = Promise::new();
    let future = promise.future();
    let broken = future.clone().then(|value: Fragile| value.0);
    let whole = future.clone().then(|value| value.0);
    let kept = future.clone();
    drop(future);
    assert!(panics(|| promise.set(Fragile(1))));
    assert!(broken.is_abandoned() && whole.is_abandoned());
    let clone = kept.clone();
    assert!(panics(|| clone.get()));
    assert_eq!(kept.get().map(|value| value.0), Ok(1));
}

#[test]
fn a_value_that_panics_when_it_is_dropped_abandons_the_link_that_dropped_it() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let promise = Promise::new();
    let link = promise.future().then(|_: Bomb| 1);
    assert!(panics(|| promise.set(Bomb)));
    assert!(link.is_abandoned());
    assert!(panics(|| drop(Future::ready(Bomb))));
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_from_being_woken() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("in wake");
        }
    }
    #[derive(Default)]
    struct Good(AtomicUsize);
    impl Wake for Good {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let promise = Promise::new();
    let mut one = pin!(promise.future());
    let mut two = pin!(one.clone());
    let good = Arc::new(Good::default());
    let wakers = [Waker::from(Arc::new(Bad)), Waker::from(Arc::clone(&good))];
    let [bad_context, context] = &mut wakers.each_ref().map(Context::from_waker);
    assert!(one.as_mut().poll(bad_context).is_pending());
    assert!(two.as_mut().poll(context).is_pending());
    assert!(panics(|| promise.set(1)));
    assert_eq!(good.0.load(Ordering::Relaxed), 1);
    assert_eq!(two.as_mut().poll(context), Poll::Ready(Ok(1)));
}

#[test]
fn discard_callbacks_that_panic_do_not_stop_the_request() {
    let promises: Vec<Promise<u32>> = (0..3).map(|_| Promise::new()).collect();
    let log = Log::default();
    let futures: Vec<_> = promises.iter().map(Promise::future).collect();
    for (promise, next) in promises.iter().zip(&futures[1..]) {
        let after = log.clone();
        promise.on_discard(|| panic!("in the callback"));
        promise.associate(next.clone().then(|n| n));
        promise.on_discard(move || after.add("after"));
    }
    assert!(panics(|| futures[0].discard()));
    assert!(futures.iter().all(Future::has_discard));
    assert_eq!(log.entries(), ["after", "after"]);
}

#[test]
fn an_association_stands_though_a_discard_callback_panics_while_it_is_made() {
    let (outer, inner) = (Promise::new(), Promise::new());
    let (future, source) = (outer.future(), inner.future());
    inner.on_discard(|| panic!("in the callback"));
    future.discard();
    assert!(panics(|| outer.associate(source)));
    assert!(inner.has_discard());
    drop(outer);
    inner.set(1);
    assert_eq!(future.get_timeout(HANG), Ok(1));
}
