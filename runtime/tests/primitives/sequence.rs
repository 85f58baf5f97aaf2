//! The sequence: one callback at a time, whatever becomes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::common::{Counted, HANG, Idle, Log, gate, runtime, scale};
use libprocess::sync::Sequence;
use libprocess::{
    Future, FutureError, Process, Promise, assert_abandoned, assert_discarded, assert_failed,
    assert_pending, assert_ready, dispatch, dispatch_with,
};

#[test]
fn the_next_begins_when_the_future_before_has_ended() {
    let runtime = runtime(2);
    let clock = runtime.clock();
    clock.pause();
    let (first, second) = (runtime.spawn(Idle), runtime.spawn(Idle));
    let (sequence, log) = (Sequence::new(), Log::default());
    let promise = Promise::<()>::new();
    let opened = promise.future();
    let far = {
        let log = log.clone();
        sequence.add(move || {
            // Through several dispatches.
            dispatch_with(first, move |_, _| {
                log.add("first begins");
                dispatch_with(second, move |_, _| {
                    opened.then(move |()| dispatch_with(first, move |_, _| log.add("first ends")))
                })
            })
        })
    };
    let near = {
        let log = log.clone();
        sequence.add(move || dispatch_with(second, move |_, _| log.add("second")))
    };
    clock.settle().unwrap();
    assert_pending!(far);
    assert_eq!(log.entries(), ["first begins"]);
    promise.set(());
    assert_eq!(near.get_timeout(HANG), Ok(()));
    assert_ready!(far);
    assert_eq!(log.entries(), ["first begins", "first ends", "second"]);
}

#[test]
fn a_callback_that_is_discarded_in_time_never_runs() {
    let (sequence, log) = (Sequence::new(), Log::default());
    let promise = Promise::<()>::new();
    let opened = promise.future();
    let first = sequence.add(move || opened);
    let rest = ["second", "third", "fourth"].map(|name| {
        let log = log.clone();
        sequence.add(move || log.add(name))
    });
    assert_eq!(sequence.waiting(), 3);
    rest[1].discard();
    assert_discarded!(rest[1]);
    assert_eq!(sequence.waiting(), 2);
    promise.set(());
    assert_ready!(first);
    assert_ready!(rest[2]);
    assert_eq!(log.entries(), ["second", "fourth"]);
}

#[test]
fn dropping_the_sequence_discards_what_has_not_begun() {
    let alive = Arc::new(AtomicUsize::new(0));
    let sequence = Sequence::new();
    let promise = Promise::new();
    let opened = promise.future();
    let first = sequence.add(move || opened);
    let rest = [(); 3].map(|()| {
        let counted = Counted::new(&alive);
        sequence.add(move || -> Box<Counted> {
            drop(counted);
            unreachable!("it was discarded")
        })
    });
    assert_eq!(alive.load(Ordering::Relaxed), 3);
    drop(sequence.clone());
    assert!(rest.iter().all(Future::is_pending));
    drop(sequence);
    for future in &rest {
        assert_discarded!(future);
    }
    assert_eq!(alive.load(Ordering::Relaxed), 0, "callbacks are dropped");
    assert_pending!(first);
    promise.set(7);
    assert_eq!(first.get(), Ok(7));
}

#[test]
fn a_sequence_dropped_while_a_thread_is_in_a_callback_begins_nothing_more() {
    let sequence = Sequence::new();
    let promise = Promise::<()>::new();
    let opened = promise.future();
    drop(sequence.add(move || opened));
    let (door, stop) = gate();
    let second = sequence.add(stop);
    let third = sequence.add(|| -> i32 { unreachable!("it was discarded") });
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| promise.set(()));
        door.wait_until_reached();
        drop(sequence);
        assert_discarded!(third);
        assert_pending!(second);
        door.open();
        assert_eq!(second.get_timeout(HANG), Ok(()));
        assert!(thread.join().unwrap());
    });
}

#[test]
fn a_discard_while_it_runs_is_passed_on_and_the_next_waits_for_the_end() {
    let sequence = Sequence::new();
    let promise = Promise::<i32>::new();
    let inner = promise.future();
    let first = sequence.add(move || inner);
    let second = sequence.add(|| 2);
    first.discard();
    assert!(promise.has_discard());
    assert_pending!(second);
    promise.discard();
    assert_discarded!(first);
    assert_eq!(second.get(), Ok(2));
}

#[test]
fn however_one_ends_the_next_begins() {
    let sequence = Sequence::new();
    let promise = Promise::<()>::new();
    let opened = promise.future();
    let gate = sequence.add(move || opened);
    let failed = sequence.add(|| Future::<i32>::failed("no"));
    let abandoned = sequence.add(|| Promise::<i32>::new().future());
    let panicked = sequence.add(|| -> i32 { panic!("planned") });
    let later = Promise::<i32>::new();
    let pending = later.future();
    let abandoned_later = sequence.add(move || pending);
    let last = sequence.add(|| 1);
    let set = catch_unwind(AssertUnwindSafe(|| promise.set(())));
    assert!(
        set.is_err(),
        "the panic goes on in the thread that ran the callback"
    );
    assert_ready!(gate);
    assert_failed!(failed);
    assert_abandoned!(abandoned);
    assert_abandoned!(panicked);
    assert_pending!(last);
    drop(later);
    assert_abandoned!(abandoned_later);
    assert_eq!(last.get(), Ok(1));
    let first = catch_unwind(AssertUnwindSafe(|| {
        sequence.add(|| -> i32 { panic!("planned") })
    }));
    assert!(first.is_err(), "it ran at once");
    assert_eq!(sequence.add(|| 2).get(), Ok(2));
}

#[test]
fn callbacks_of_the_future_run_before_the_next_begins() {
    let (sequence, log) = (Sequence::new(), Log::default());
    let promise = Promise::<()>::new();
    let opened = promise.future();
    let add = |entry: &'static str| {
        let log = log.clone();
        move || log.add(entry)
    };
    let first = sequence.add(move || opened);
    first.on_ready({
        let log = log.clone();
        move |()| log.add("observer of the first")
    });
    let (then, second, third) = (
        add("then of the first"),
        add("second"),
        add("then of the second"),
    );
    let chain = first.then(move |()| then());
    let other = sequence.add(second).then(move |()| third());
    let last = sequence.add(add("third"));
    promise.set(());
    for future in [chain, other, last] {
        assert_ready!(future);
    }
    assert_eq!(
        log.entries(),
        [
            "observer of the first",
            "then of the first",
            "second",
            "then of the second",
            "third"
        ]
    );
}

#[test]
fn dropping_a_future_calls_nothing_off() {
    let (sequence, log) = (Sequence::new(), Log::default());
    let promise = Promise::<()>::new();
    let opened = promise.future();
    drop(sequence.add(move || opened));
    let added = log.clone();
    drop(sequence.add(move || added.add("it ran")));
    assert!(log.entries().is_empty());
    promise.set(());
    assert_eq!(log.entries(), ["it ran"]);
}

#[test]
fn a_callback_may_add_and_drop_the_sequence() {
    let sequence = Sequence::new();
    let inner = sequence.clone();
    let nested = sequence.add(move || {
        let next = inner.add(|| 1);
        assert_pending!(next);
        Promise::new().set(next)
    });
    assert_eq!(nested.get(), Ok(true));
    let (sender, receiver) = std::sync::mpsc::channel();
    let only = Sequence::new();
    let promise = Promise::<()>::new();
    let opened = promise.future();
    let first = only.add(move || opened);
    let (drops, never) = (
        only.add(move || drop(receiver.recv().ok())),
        only.add(|| -> i32 { unreachable!("it was discarded") }),
    );
    sender.send(only).unwrap();
    promise.set(());
    assert_ready!(first);
    assert_ready!(drops);
    assert_eq!(never.get(), Err(FutureError::Discarded));
}

/// A process whose state is inconsistent between two of its events.
#[derive(Default)]
struct Pulsing {
    high: bool,
}

impl Process for Pulsing {}

impl Pulsing {
    fn rise(&mut self) {
        assert!(!self.high);
        self.high = true;
    }

    fn fall(&mut self) {
        assert!(self.high);
        self.high = false;
    }

    fn is_low(&mut self) -> bool {
        !self.high
    }
}

#[test]
fn nobody_sees_what_is_between_two_steps_of_a_callback() {
    let runtime = runtime(2);
    let pid = runtime.spawn(Pulsing::default());
    let sequence = Sequence::new();
    let mut random = 0x9e37_79b9_u64;
    let mut verified = Vec::new();
    for _ in 0..100 * scale() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        verified.push(sequence.add(move || {
            if random.is_multiple_of(2) {
                dispatch(pid, Pulsing::is_low, ())
            } else {
                let risen = dispatch(pid, Pulsing::rise, ());
                risen
                    .then(move |()| dispatch(pid, Pulsing::fall, ()))
                    .then(|()| true)
            }
        }));
    }
    for verified in verified {
        assert_eq!(verified.get_timeout(HANG), Ok(true));
    }
}

#[test]
fn callbacks_added_by_many_threads_never_overlap() {
    let adds = 500 * scale();
    let sequence = Sequence::new();
    let inside = Arc::new(AtomicBool::new(false));
    let ran = Arc::new(AtomicUsize::new(0));
    let answering = runtime(1);
    let pid = answering.spawn(Idle);
    let threads = [(); 3].map(|()| {
        let (sequence, inside, ran) = (sequence.clone(), Arc::clone(&inside), Arc::clone(&ran));
        std::thread::spawn(move || {
            let mut last = None;
            for number in 0..adds {
                let (inside, ran) = (Arc::clone(&inside), Arc::clone(&ran));
                last = Some(sequence.add(move || {
                    assert!(!inside.swap(true, Ordering::Relaxed), "two at a time");
                    let leave = move || {
                        ran.fetch_add(1, Ordering::Relaxed);
                        inside.store(false, Ordering::Relaxed);
                    };
                    if number % 2 == 0 {
                        leave();
                        Future::ready(())
                    } else {
                        dispatch_with(pid, move |_, _| leave())
                    }
                }));
            }
            last.map(|last| last.get_timeout(HANG))
        })
    });
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Some(Ok(())));
    }
    assert_eq!(ran.load(Ordering::Relaxed), 3 * adds);
}
