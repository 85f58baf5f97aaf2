//! Models of the event queues and of the work-stealing run queue, in which loom tries every interleaving and every value that an
//! atomic may legally show.
//!
//! ```text
//! RUSTFLAGS="--cfg libprocess_loom" cargo test --release -p libprocess-queues --test loom
//! ```
//!
//! Beside each model are its twins: the same model with one place of the shipped code weakened,
//! where the test is that the model fails, and for which reason.
//!
//! Where a model is small enough, every interleaving is tried; where it is not, those with a
//! bounded number of preemptions, as its test says. The bugs that the twins plant show up with at
//! most three. Counters are std's, since all threads of a model run on one: they tell what has
//! happened, but order nothing in the eyes of loom.

#![cfg(libprocess_loom)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libprocess_queues::event::{LockFreeEventQueue, LockingEventQueue, Node};
use libprocess_queues::sync::with_weakening;

// Beside the root of a test, `mod` would look in the folder of the tests, where each file is one.
#[path = "loom/bounded.rs"]
mod bounded;
#[path = "loom/event_queue.rs"]
mod event_queue;
#[path = "loom/work_stealing.rs"]
mod work_stealing;

type LockFree = LockFreeEventQueue<Box<Node<Event>>>;
type Locking = LockingEventQueue<Box<Node<Event>>>;

/// The bound of a model that takes long with every interleaving: a number of preemptions for each change, and none where
/// `LIBPROCESS_LOOM_MORE_PREEMPTIONS` asks for that. It is not below the one of the twins.
fn small_or_none(small: usize) -> Option<usize> {
    let more = std::env::var("LIBPROCESS_LOOM_MORE_PREEMPTIONS").unwrap_or_default();
    matches!(more.as_str(), "" | "0").then_some(small)
}

/// Tries the model with every interleaving, or those with at most so many preemptions.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Runs the model with one place weakened, and asserts that it fails, for one of these reasons.
///
/// Where one bug has several symptoms, it is up to the order of the search which one shows first.
fn fails(weakening: &'static str, reasons: &[&str], model: impl Fn() + Sync + Send + 'static) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        with_weakening(weakening, || check(Some(3), model))
    }));
    let panic = outcome.expect_err("the model did not notice the weakening");
    let message = match panic.downcast_ref::<String>() {
        Some(message) => message.as_str(),
        None => panic
            .downcast_ref::<&str>()
            .expect("a panic with a message"),
    };
    assert!(
        reasons.iter().any(|reason| message.contains(reason)),
        "the model failed for another reason: {message}"
    );
}

/// What the producers send: who sent it, its number, and a counter that shows when it is dropped.
struct Event {
    from: usize,
    number: usize,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Event {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Relaxed);
    }
}
