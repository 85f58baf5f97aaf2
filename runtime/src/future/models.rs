//! Models of the future's protocols, explored by loom: `scripts/loom`.
//!
//! They run the shipped promises, futures and links. Each has a twin that plants a weakening in them, and must fail.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::thread;

use super::{Future, Promise};
use crate::facade::with_weakening;

mod cancellable;
mod discard;
mod settle;

/// What loom says when somebody reads or writes what another thread may be using.
const RACE: &str = "Causality violation";

/// Counts what happens. Plain atomics: they are no part of the model.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Something that counts its drop.
    fn on_drop(&self) -> CountDrop {
        CountDrop(self.clone())
    }
}

struct CountDrop(Count);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.add();
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.add();
    }
}

/// A value that loom watches: a read that is not ordered with the write, the clone or the drop of another thread is a failure.
struct Watched {
    number: UnsafeCell<u32>,
    alive: Count,
}

// SAFETY: only read while it is shared; loom checks that.
unsafe impl Sync for Watched {}

impl Watched {
    fn new(number: u32, alive: &Count) -> Self {
        alive.add();
        Self {
            number: UnsafeCell::new(number),
            alive: alive.clone(),
        }
    }

    fn number(&self) -> u32 {
        // SAFETY: as for `Sync`.
        self.number.with(|number| unsafe { *number })
    }
}

impl Clone for Watched {
    fn clone(&self) -> Self {
        Self::new(self.number(), &self.alive)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Dropped twice, the count is beyond all bounds.
        self.alive.0.fetch_sub(1, Ordering::Relaxed);
        if !std::thread::panicking() {
            self.number.with_mut(|_| ());
        }
    }
}

std::thread_local! {
    /// Which side of a `race` this thread runs itself.
    static SWAPPED: Cell<bool> = const { Cell::new(false) };
}

/// Runs two sides in two threads.
fn race<A, B>(
    one: impl FnOnce() -> A + Send + 'static,
    other: impl FnOnce() -> B + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    if SWAPPED.get() {
        let other = thread::spawn(other);
        let one = one();
        (one, other.join().unwrap())
    } else {
        let one = thread::spawn(one);
        let other = other();
        (one.join().unwrap(), other)
    }
}

/// Explores the interleavings, once for either side of a race in the first thread: loom begins with the first
/// thread, and does not find all that there is beyond it.
fn model(f: impl Fn() + Send + Sync + 'static) {
    let f = Arc::new(f);
    for swapped in [false, true] {
        let f = Arc::clone(&f);
        SWAPPED.set(swapped);
        loom::model::Builder::new().check(move || f());
    }
}

/// Runs a model with a weakening, which loom must complain of in these words.
fn fails(weakening: &'static str, words: &str, f: impl Fn() + Send + Sync + 'static) {
    let failure = catch_unwind(AssertUnwindSafe(|| with_weakening(weakening, || model(f))));
    let payload = failure.expect_err("the weakening was not noticed");
    let complaint = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or_default();
    assert!(complaint.contains(words), "{complaint}");
}

/// One thread sets while another registers a callback, and drops its future. A bug: the callback is lost, runs twice, or sees no value.
fn set_and_register() {
    let (ran, alive) = (Count::default(), Count::default());
    let (promise, future) = Promise::pair();
    let (value, seen) = (Watched::new(7, &alive), ran.clone());
    race(
        move || promise.set(value),
        move || {
            future.on_ready(move |value: &Watched| {
                assert_eq!(value.number(), 7);
                seen.add();
            });
        },
    );
    assert_eq!(ran.get(), 1, "the callback ran once");
    assert_eq!(alive.get(), 0, "the value was dropped once");
}

#[test]
fn a_callback_runs_once_and_sees_the_value() {
    model(set_and_register);
}

#[test]
fn without_acquire_it_would_see_none() {
    fails("word-load", RACE, set_and_register);
}

#[test]
fn without_release_it_would_see_none() {
    fails("word-update", RACE, set_and_register);
}

#[test]
fn pushed_into_a_settled_core_it_would_be_lost() {
    fails(
        "push-when-settled",
        "the callback ran once",
        set_and_register,
    );
}

/// As before, with an observer there already, so that more comes while the first is run.
fn register_while_observers_run() {
    let ran = Count::default();
    let (promise, future) = Promise::pair();
    let (first, second) = (ran.clone(), ran.clone());
    future.on_ready(move |_: &u32| first.add());
    let (_, link) = race(
        move || promise.set(7),
        move || {
            future.on_ready(move |_| second.add());
            future.then(|number| number)
        },
    );
    assert_eq!((ran.get(), link.is_ready()), (2, true), "all ran once");
}

#[test]
fn callbacks_that_come_while_others_run_are_run() {
    model(register_while_observers_run);
}

#[test]
fn without_another_look_they_would_be_lost() {
    fails("look-again", "all ran once", register_while_observers_run);
}

/// The completer shows the value to an observer while the only future takes it. A bug: it is moved under the observer.
fn observe_and_take() {
    let (ran, alive) = (Count::default(), Count::default());
    let woken = Arc::new(Count::default());
    let (promise, mut future) = Promise::pair();
    let seen = ran.clone();
    future.on_ready(move |value: &Watched| {
        assert_eq!(value.number(), 7);
        seen.add();
    });
    let (value, waker) = (Watched::new(7, &alive), Waker::from(Arc::clone(&woken)));
    let (_, (polled, mut future)) = race(
        move || promise.set(value),
        move || (future.poll_result(&waker), future),
    );
    assert_eq!(ran.get(), 1);
    let taken = match polled {
        Poll::Ready(result) => result,
        Poll::Pending => {
            assert_eq!(woken.get(), 1, "woken once");
            match future.poll_result(Waker::noop()) {
                Poll::Ready(result) => result,
                Poll::Pending => panic!("pending beyond the end"),
            }
        }
    };
    assert_eq!(taken.map(|value| value.number()), Ok(7));
    assert_eq!(alive.get(), 0, "the value was dropped once");
}

#[test]
fn a_value_is_moved_when_observers_have_seen_it() {
    model(observe_and_take);
}

#[test]
fn settled_at_once_it_would_be_moved_before() {
    fails("settle-at-once", RACE, observe_and_take);
}

/// The completer shows a failure to an observer while the last future is dropped. A bug: the message is gone.
fn fail_and_drop() {
    let ran = Count::default();
    let (promise, future) = Promise::<u32>::pair();
    let seen = ran.clone();
    future.on_failed(move |message| {
        assert_eq!(message, "no");
        seen.add();
    });
    race(move || promise.fail("no"), move || drop(future));
    assert_eq!(ran.get(), 1);
}

#[test]
fn a_failure_stays_until_the_core_is_freed() {
    model(fail_and_drop);
}

#[test]
fn dropped_with_the_last_future_it_would_be_read_too_late() {
    fails("drop-failure", RACE, fail_and_drop);
}

/// A promise is dropped while its future is linked. A bug: the link never ends, or its callback is leaked.
fn abandon_and_link() {
    let freed = Count::default();
    let (promise, future) = Promise::<u32>::pair();
    let own = freed.on_drop();
    let (_, link) = race(
        move || drop(promise),
        move || future.then(move |_| drop(own)),
    );
    assert!(link.is_abandoned(), "the link was told");
    assert_eq!(freed.get(), 1);
}

#[test]
fn a_link_is_told_that_its_promise_is_gone() {
    model(abandon_and_link);
}

#[test]
fn pushed_into_a_settled_core_it_would_not_be() {
    fails("push-when-settled", "the link was told", abandon_and_link);
}

/// One thread polls while another sets. A bug: the poll says that it waits, and nobody wakes it.
fn poll_and_set() {
    let (woken, alive) = (Arc::new(Count::default()), Count::default());
    let (promise, mut future) = Promise::pair();
    let (value, waker) = (Watched::new(7, &alive), Waker::from(Arc::clone(&woken)));
    let (_, (mut polled, mut future)) = race(
        move || promise.set(value),
        move || (future.poll_result(&waker), future),
    );
    if polled.is_pending() {
        assert_eq!(woken.get(), 1, "woken once");
        polled = future.poll_result(Waker::noop());
    }
    let Poll::Ready(Ok(value)) = polled else {
        panic!("no value");
    };
    assert_eq!(value.number(), 7);
    assert_eq!(Arc::strong_count(&woken), 1, "the waker was freed");
}

#[test]
fn no_wake_up_is_lost() {
    model(poll_and_set);
}

#[test]
fn without_the_bit_one_would_be() {
    fails("waker-before-bit", "woken once", poll_and_set);
}

/// One handle reads and is dropped while another takes the value. A bug: the value is moved while it is read, or dropped twice.
fn read_and_take() {
    let alive = Count::default();
    let future = Future::ready(Watched::new(7, &alive));
    let taker = future.clone();
    let (_, value) = race(
        move || {
            future.on_ready(|value| assert_eq!(value.number(), 7));
        },
        move || taker.get(),
    );
    assert_eq!(value.map(|value| value.number()), Ok(7));
    assert_eq!(alive.get(), 0, "each value was dropped once");
}

#[test]
fn a_value_is_moved_when_nobody_reads_it() {
    model(read_and_take);
}

#[test]
fn without_acquire_it_would_be_moved_too_early() {
    fails("claim", RACE, read_and_take);
}

/// A handle reads the value and is dropped while the promise is. A bug: the core is freed before the reader is done.
fn read_and_free() {
    let alive = Count::default();
    let (promise, future) = Promise::pair();
    promise.set(Watched::new(7, &alive));
    race(
        move || {
            future.on_ready(|value| assert_eq!(value.number(), 7));
        },
        move || drop(promise),
    );
    assert_eq!(alive.get(), 0, "the value was dropped once");
}

#[test]
fn a_core_is_freed_when_nobody_uses_it() {
    model(read_and_free);
}

#[test]
fn without_acquire_it_would_be_freed_too_early() {
    fails("free", RACE, read_and_free);
}

/// A weak future is upgraded, and read, while the only handle takes the value. A bug: the value is moved under the reader.
fn upgrade_and_take() {
    let alive = Count::default();
    let future = Future::ready(Watched::new(7, &alive));
    let weak = future.downgrade();
    let (upgraded, value) = race(
        move || {
            weak.upgrade()
                .map(|future| future.get().map(|value| value.number()))
        },
        move || future.get().map(|value| value.number()),
    );
    assert_eq!(value, Ok(7), "the first handle got the value");
    assert!(upgraded.is_none_or(|value| value == Ok(7)));
    assert_eq!(alive.get(), 0, "each value was dropped once");
}

#[test]
fn a_weak_future_is_upgraded_in_time_or_not_at_all() {
    model(upgrade_and_take);
}

#[test]
fn without_an_exchange_it_would_be_upgraded_to_a_value_that_is_moved() {
    fails("claim-at-once", RACE, upgrade_and_take);
}

/// A discard walks up a link while its callback returns a pending future, which it follows from then on. A bug: the request is lost between the two.
fn discard_and_follow() {
    let (outer, start) = Promise::pair();
    let (inner, returned) = Promise::<u32>::pair();
    let link = start.then(move |()| returned);
    let (_, (_, link)) = race(move || outer.set(()), move || (link.discard(), link));
    assert!(
        link.is_discarded() || inner.has_discard(),
        "the request was lost"
    );
    inner.set(7);
    assert!(!link.is_pending(), "the link ended");
}

#[test]
fn a_request_finds_the_future_that_a_link_follows() {
    model(discard_and_follow);
}

#[test]
fn without_an_exchange_it_would_be_lost() {
    fails("follow-load", "the request was lost", discard_and_follow);
}

/// A link begins to follow a future that is set at that time. A bug: the link never ends, or the value is lost.
fn set_and_follow() {
    let alive = Count::default();
    let (outer, start) = Promise::pair();
    let (inner, returned) = Promise::pair();
    let link = start.then(move |()| returned);
    let value = Watched::new(7, &alive);
    race(move || inner.set(value), move || outer.set(()));
    assert!(link.is_ready(), "the link ended");
    assert_eq!(link.get().map(|value| value.number()), Ok(7));
    assert_eq!(alive.get(), 0, "the value was moved along");
}

#[test]
fn a_link_ends_with_the_future_that_it_follows() {
    model(set_and_follow);
}

#[test]
fn pushed_into_a_settled_core_it_would_never_end() {
    fails("push-when-settled", "the link ended", set_and_follow);
}

/// A promise is associated while its future is asked to discard. A bug: the request does not reach the other promise.
fn discard_and_associate() {
    let (outer, future) = Promise::<u32>::pair();
    let (inner, source) = Promise::pair();
    let (_, future) = race(
        move || outer.associate(source),
        move || {
            future.discard();
            future
        },
    );
    assert!(inner.has_discard(), "the request was passed on");
    inner.set(7);
    assert_eq!(future.get(), Ok(7));
}

#[test]
fn a_request_finds_what_a_promise_is_associated_with() {
    model(discard_and_associate);
}

#[test]
fn with_the_look_before_the_bit_it_would_not() {
    fails(
        "word-before-bit",
        "the request was passed on",
        discard_and_associate,
    );
}

/// Two threads complete one promise. A bug: both do.
fn set_and_set() {
    let alive = Count::default();
    let (promise, future) = Promise::pair();
    let promise = Arc::new(promise);
    let other = Arc::clone(&promise);
    let (one, two) = (Watched::new(1, &alive), Watched::new(2, &alive));
    let (first, second) = race(move || other.set(one), move || promise.set(two));
    assert!(first != second, "one of them completed it");
    assert_eq!(alive.get(), 1, "the other value was dropped");
    let expected = if first { 1 } else { 2 };
    assert_eq!(future.get().map(|value| value.number()), Ok(expected));
}

#[test]
fn one_of_two_threads_completes() {
    model(set_and_set);
}

#[test]
fn with_a_claim_in_two_steps_both_would() {
    fails("claim-in-two-steps", RACE, set_and_set);
}
