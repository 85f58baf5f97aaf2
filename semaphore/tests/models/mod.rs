//! The models, one file for each shipped type, and what they share.

mod futex_parker;
mod kernel;
mod last_in_first_out;

use libprocess_semaphore::sync::{now, with_weakening};
use libprocess_semaphore::{Parked, Parker, Semaphore, Wakeup};
use loom::cell::UnsafeCell;
use loom::model::Builder;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// loom's words for threads that all sleep.
const DEADLOCK: &str = "deadlock";

/// loom's words for an access that nothing orders with an earlier one.
const RACE: &str = "Causality violation";

/// Which thread begins.
///
/// loom starts from the run in which each thread goes on as long as it can, and looks for races
/// between an access and the one before it on the same word. A thread that loads a word and then
/// changes it hides by its load what others did before, so some interleavings are only found from
/// the other end.
#[derive(Clone, Copy)]
enum Order {
    AsWritten,
    Reversed,
}

/// Runs `threads` at the same time, and returns what they returned.
fn together<T: 'static, const N: usize>(
    order: Order,
    threads: [Box<dyn FnOnce() -> T>; N],
) -> [T; N] {
    let indexed = threads.into_iter().enumerate();
    let spawn =
        |(index, thread): (usize, Box<dyn FnOnce() -> T>)| (index, loom::thread::spawn(thread));
    let mut handles: Vec<_> = match order {
        Order::AsWritten => indexed.map(spawn).collect(),
        Order::Reversed => indexed.rev().map(spawn).collect(),
    };
    handles.sort_by_key(|(index, _)| *index);
    let results: Vec<T> = handles
        .into_iter()
        .map(|(_, handle)| handle.join().unwrap())
        .collect();
    results.try_into().ok().expect("a result for each thread")
}

/// The bound of a model that takes long: a smaller one for each change, and the full one where
/// `LIBPROCESS_LOOM_MORE_PREEMPTIONS` asks for it. A twin has its model's.
fn small_or(small: usize, full: Option<usize>) -> Option<usize> {
    let more = std::env::var("LIBPROCESS_LOOM_MORE_PREEMPTIONS").unwrap_or_default();
    match more.as_str() {
        "" | "0" => Some(small),
        _ => full,
    }
}

/// Runs `model` in every interleaving, or in those with at most so many preemptions.
fn explore(preemptions: Option<usize>, model: fn(Order)) {
    for order in [Order::AsWritten, Order::Reversed] {
        let mut builder = Builder::new();
        builder.preemption_bound = preemptions;
        builder.check(move || model(order));
    }
}

/// Runs `model` with the step called `weakening` done wrongly, and demands that it fails with
/// `reason`.
fn must_fail(weakening: &'static str, reason: &str, preemptions: Option<usize>, model: fn(Order)) {
    let run = AssertUnwindSafe(|| with_weakening(weakening, || explore(preemptions, model)));
    let panic = catch_unwind(run).expect_err("the model does not notice the weakened step");
    let message = match panic.downcast_ref::<String>() {
        Some(message) => message.as_str(),
        None => panic.downcast_ref::<&str>().copied().unwrap_or_default(),
    };
    assert!(
        message.contains(reason),
        "failed, but for another reason: {message}"
    );
}

/// A plain value. loom fails the model if a read of it is not ordered with the write before.
struct Message(UnsafeCell<u32>);

// SAFETY: loom runs all threads of a model on one thread of the system, and checks the accesses
// itself.
unsafe impl Sync for Message {}
// SAFETY: as above.
unsafe impl Send for Message {}

impl Message {
    fn new() -> Arc<Self> {
        Arc::new(Message(UnsafeCell::new(0)))
    }

    fn write(&self) {
        // SAFETY: only one thread runs at a time, and the pointer is not kept.
        self.0.with_mut(|value| unsafe { *value = 1 });
    }

    fn assert_written(&self) {
        // SAFETY: only one thread runs at a time, and the pointer is not kept.
        let value = self.0.with(|value| unsafe { *value });
        assert_eq!(value, 1, "the write is not visible");
    }
}

/// A parker that never sleeps: it always has a reason of its own to leave.
struct Busy;

impl Parker for Busy {
    fn park(&self, _deadline: Option<Instant>) -> Parked {
        Parked::Interrupted
    }

    fn unpark(&self) {}
}

/// A thread of a model that waits once.
fn waiting<S: Semaphore>(semaphore: &Arc<S>) -> Box<dyn FnOnce() -> Option<Wakeup>> {
    let semaphore = Arc::clone(semaphore);
    Box::new(move || Some(semaphore.wait().unwrap()))
}

/// A thread of a model that signals `times` times.
fn signalling<S: Semaphore>(
    semaphore: &Arc<S>,
    times: usize,
) -> Box<dyn FnOnce() -> Option<Wakeup>> {
    let semaphore = Arc::clone(semaphore);
    Box::new(move || {
        (0..times).for_each(|_| semaphore.signal());
        None
    })
}

/// A thread of a model that decommissions.
fn decommissioning<S: Semaphore>(semaphore: &Arc<S>) -> Box<dyn FnOnce() -> Option<Wakeup>> {
    let semaphore = Arc::clone(semaphore);
    Box::new(move || {
        semaphore.decommission();
        None
    })
}

/// A thread of a model that waits once, and does not stay: its parker has a reason of its own to
/// leave, and its deadline, if the kind has no use for parkers, is taken as past.
fn leaving<S: Semaphore>(semaphore: &Arc<S>) -> Box<dyn FnOnce() -> Option<Wakeup>> {
    let semaphore = Arc::clone(semaphore);
    // By the model's clock, which passes it only where a sleep ends by it.
    let deadline = now() + Duration::from_secs(1);
    Box::new(move || {
        Some(
            semaphore
                .wait_with(&Arc::new(Busy), Some(deadline))
                .unwrap(),
        )
    })
}

/// Whether a signal is kept; uses it up.
fn keeps_a_signal<S: Semaphore>(semaphore: &S) -> bool {
    let past = now();
    match semaphore.wait_with(&Arc::new(Busy), Some(past)).unwrap() {
        Wakeup::Signalled => true,
        Wakeup::Deadline => false,
        other => panic!("{other:?} although the deadline is past"),
    }
}
