//! Models of a promise that is given up with its outcome, as a dispatch does it.

use super::super::core::Outcome;
use super::{Count, Promise, Watched, fails, model, race};

/// A dispatch is answered while its future gets a callback and is dropped. A bug: the answer goes past the callback, as if nobody could have one.
fn settle_and_forget() {
    let (ran, alive) = (Count::default(), Count::default());
    let (promise, future) = Promise::pair();
    let (value, seen) = (Watched::new(7, &alive), ran.clone());
    race(
        move || promise.settle(Outcome::Ready(value)),
        move || {
            future.on_ready(move |value: &Watched| {
                assert_eq!(value.number(), 7);
                seen.add();
            });
            drop(future);
        },
    );
    assert_eq!(ran.get(), 1, "the callback ran once");
    assert_eq!(alive.get(), 0, "the value was dropped once");
}

#[test]
fn an_answer_goes_past_nobody() {
    model(settle_and_forget);
}

#[test]
fn without_acquire_it_would_go_past_a_callback() {
    fails("forgotten", "the callback ran once", settle_and_forget);
}

/// The future is dropped before anything waits for it, while the answer comes. A bug: the value or the core is dropped twice, or never.
#[test]
fn an_answer_for_nobody_is_dropped_once() {
    model(|| {
        let alive = Count::default();
        let (promise, future) = Promise::pair();
        let value = Watched::new(7, &alive);
        race(
            move || promise.settle(Outcome::Ready(value)),
            move || drop(future),
        );
        assert_eq!(alive.get(), 0, "the value was dropped once");
    });
}
