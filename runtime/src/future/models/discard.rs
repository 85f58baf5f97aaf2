//! Models of a discard that is requested while a promise says what to do then.

use std::sync::Arc;

use loom::thread;

use super::{Count, Promise, fails, model, race};

/// One thread requests a discard while another has a callback wait for one. A bug: it never runs, or twice.
fn discard_and_register() {
    let ran = Count::default();
    let (promise, future) = Promise::<u32>::pair();
    let seen = ran.clone();
    let kept = race(
        move || (future.discard(), future),
        move || {
            promise.on_discard(move || seen.add());
            promise
        },
    );
    assert_eq!(ran.get(), 1, "the discard callback ran once");
    drop(kept);
}

#[test]
fn a_discard_callback_meets_its_request() {
    model(discard_and_register);
}

#[test]
fn with_the_look_before_the_bit_it_would_miss_the_request() {
    fails(
        "word-before-bit",
        "the discard callback ran once",
        discard_and_register,
    );
}

/// One thread sets, another requests a discard, and a third has a callback wait for that. A bug: the callback is kept beyond the end.
fn set_and_discard_and_register() {
    let (ran, freed) = (Count::default(), Count::default());
    let (promise, future) = Promise::pair();
    let promise = Arc::new(promise);
    let other = Arc::clone(&promise);
    let setter = thread::spawn(move || other.set(1));
    let (seen, own) = (ran.clone(), freed.on_drop());
    let ((requested, future), promise) = race(
        move || (future.discard(), future),
        move || {
            promise.on_discard(move || {
                seen.add();
                drop(own);
            });
            promise
        },
    );
    setter.join().unwrap();
    assert!(ran.get() <= usize::from(requested), "it ran unasked");
    assert_eq!(freed.get(), 1, "the discard callback was freed");
    assert!(future.is_ready() && future.has_discard() == requested);
    drop(promise);
}

#[test]
fn a_discard_callback_ends_with_its_future() {
    model(set_and_discard_and_register);
}

#[test]
fn with_the_look_before_the_bit_it_would_stay() {
    fails(
        "word-before-bit",
        "the discard callback was freed",
        set_and_discard_and_register,
    );
}

/// The last future is dropped while the promise has a callback wait for a discard. A bug: the callback, which may own the promise, stays for good.
fn drop_the_last_and_register() {
    let freed = Count::default();
    let promise = Promise::<u32>::new();
    let (future, own) = (promise.future(), freed.on_drop());
    let (_, promise) = race(
        move || drop(future),
        move || {
            promise.on_discard(move || drop(own));
            promise
        },
    );
    assert_eq!(freed.get(), 1, "the discard callback was freed");
    drop(promise);
}

#[test]
fn a_discard_callback_goes_with_the_last_future() {
    model(drop_the_last_and_register);
}

#[test]
fn without_an_exchange_the_last_future_would_leave_it() {
    fails(
        "last-at-once",
        "the discard callback was freed",
        drop_the_last_and_register,
    );
}
