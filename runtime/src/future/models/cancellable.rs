//! Models of futures that are cancelled by number, whose blocks are used again.

use std::sync::Arc;

use super::super::cancellable::{Cancel, Spare, cancellable};
use super::{Count, Future, Promise, RACE, Watched, fails, model, race};
use crate::facade::{Mutex, lock};
use crate::future::Outcome;

/// Brings one thing at a time.
struct Bringer {
    promise: Mutex<Option<Promise<Watched>>>,
    cancelled: Count,
    spare: Spare<Self, Watched>,
}

impl Bringer {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            promise: Mutex::new(None),
            cancelled: Count::default(),
            spare: Spare::new(),
        })
    }

    fn ask(self: &Arc<Self>) -> Future<Watched> {
        let (promise, future) = cancellable(self, 0);
        *lock(&self.promise) = Some(promise);
        future
    }

    fn take(&self) -> Option<Promise<Watched>> {
        lock(&self.promise).take()
    }

    /// False: it was cancelled.
    fn bring(&self, alive: &Count) -> bool {
        let promise = self.take();
        promise
            .map(|promise| promise.settle(Outcome::Ready(Watched::new(7, alive))))
            .is_some()
    }
}

impl Cancel<Watched> for Bringer {
    const CANCEL: Option<fn(&Self, u64)> = Some(|bringer, _number| {
        if let Some(promise) = bringer.take() {
            bringer.cancelled.add();
            promise.discard();
        }
    });

    fn spare(&self) -> &Spare<Self, Watched> {
        &self.spare
    }
}

/// One thread brings while another gives the future up. A bug: the promise is left, the value lives on or the block is held.
fn bring_and_give_up() {
    let (alive, bringer) = (Count::default(), Bringer::new());
    let future = bringer.ask();
    let (own, count) = (Arc::clone(&bringer), alive.clone());
    let (brought, ()) = race(move || own.bring(&count), move || drop(future));
    assert_eq!(
        bringer.cancelled.get(),
        usize::from(!brought),
        "cancelled, or brought"
    );
    assert_eq!(
        (alive.get(), Arc::strong_count(&bringer)),
        (0, 1),
        "all of it is gone"
    );
}

#[test]
fn what_is_given_up_is_cancelled_or_brought() {
    model(bring_and_give_up);
}

#[test]
fn without_acquire_its_block_would_be_freed_too_early() {
    fails("free", RACE, bring_and_give_up);
}

/// One thread brings while another requests a discard. A bug: both end it, or neither does.
fn bring_and_discard() {
    let (alive, bringer) = (Count::default(), Bringer::new());
    let future = bringer.ask();
    let (own, count) = (Arc::clone(&bringer), alive.clone());
    let (brought, future) = race(
        move || own.bring(&count),
        move || {
            future.discard();
            future
        },
    );
    assert_eq!(
        (future.is_ready(), future.is_discarded()),
        (brought, !brought)
    );
    drop(future);
    assert_eq!(
        (alive.get(), Arc::strong_count(&bringer)),
        (0, 1),
        "all of it is gone"
    );
}

#[test]
fn what_is_discarded_is_cancelled_or_brought() {
    model(bring_and_discard);
}

/// One thread has the last of a block while another asks for the next. A bug: that one writes the memory while the first still uses it.
fn free_and_use_again() {
    let (alive, bringer) = (Count::default(), Bringer::new());
    let first = bringer.ask();
    bringer.bring(&alive);
    let own = Arc::clone(&bringer);
    let ((), second) = race(move || drop(first), move || own.ask());
    bringer.bring(&alive);
    drop(second);
    assert_eq!(
        (alive.get(), Arc::strong_count(&bringer)),
        (0, 1),
        "all of it is gone"
    );
}

#[test]
fn a_block_is_used_again_when_nobody_uses_it() {
    model(free_and_use_again);
}

#[test]
fn without_acquire_it_would_be_used_again_too_early() {
    fails("spare", RACE, free_and_use_again);
}
