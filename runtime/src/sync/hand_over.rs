//! Completing the promises of an object's waiters, in a loop where it would be a recursion.
//!
//! # The recursion
//!
//! An unlock completes the future of the next waiter, in whose callback the guard is dropped, which unlocks, and so on: each waiter is some
//! frames further down, and some thousand waiters are the end of the stack.
//!
//! # The loop
//!
//! Each thread has a list of the objects for which it is completing promises at the moment: further down on its stack. [`complete`] looks for its object there.
//!
//! * It is not there: it is entered, the promises are completed, then whatever was *deferred* to the entry meanwhile, until nothing is. Then the entry goes.
//! * It is there: we are in a callback that the loop further down has called. The promises are deferred to it.
//!
//! So the stack holds each object once at most. The list is short, nearly always empty.
//!
//! # What can go wrong
//!
//! * *A deferred promise is forgotten.* The entry goes only when nothing is deferred, both seen in one borrow; all that runs meanwhile is contained if it panics.
//! * *A promise waits for a loop that is stuck in a callback.* Only for one in the same thread, whose callback is what deferred it: another thread that
//!   unlocks has a list of its own. The owner was chosen before, under the object's lock; only telling him waits.
//! * *Another object at the same address.* The caller keeps the object alive during the call, and the entry does not outlive the call.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

struct Entry {
    /// An address, for comparison only.
    object: usize,
    deferred: VecDeque<Box<dyn FnOnce()>>,
}

thread_local! {
    /// The innermost is the last.
    static ENTERED: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// The first panic of foreign code that was run, if any.
#[must_use = "a panic is to go on, or to be logged"]
#[derive(Default)]
pub(super) struct Panicked(Option<Box<dyn Any + Send>>);

impl Panicked {
    fn contain(&mut self, f: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            match self.0 {
                None => self.0 = Some(payload),
                // One goes on. Dropping the others is foreign code too, and could panic again.
                Some(_) => std::mem::forget(payload),
            }
        }
    }

    /// Lets the panic go on here.
    pub(super) fn resume(self) {
        if let Some(payload) = self.0 {
            resume_unwind(payload);
        }
    }

    /// For where it must not go on: in a drop, perhaps while another panic unwinds.
    pub(super) fn log(self) {
        if let Some(payload) = self.0 {
            tracing::error!("panic in a callback of a future");
            // As in `contain`.
            std::mem::forget(payload);
        }
    }
}

/// Runs each completion: here and now, or, in a callback of the same object, when that callback has returned.
///
/// Completions that are run at once cost no allocation; deferred ones a box each.
pub(super) fn complete<S, C: FnOnce() + 'static>(
    shared: &Arc<S>,
    completions: impl IntoIterator<Item = C>,
) -> Panicked {
    let object = Arc::as_ptr(shared).addr();
    let mut panicked = Panicked::default();
    match enter(object) {
        Entered::Now => {
            for completion in completions {
                panicked.contain(completion);
            }
            while let Some(deferred) = next_deferred(object) {
                panicked.contain(deferred);
            }
        }
        Entered::Before => {
            for completion in completions {
                defer(object, Box::new(completion));
            }
        }
        Entered::Never => {
            for completion in completions {
                panicked.contain(completion);
            }
        }
    }
    panicked
}

enum Entered {
    Now,
    /// Further down on the stack.
    Before,
    /// In a destructor at the end of the thread, after that of the list. What nests here is what such destructors hold.
    Never,
}

fn enter(object: usize) -> Entered {
    ENTERED
        .try_with(|entered| {
            let mut entered = entered.borrow_mut();
            if entered.iter().any(|entry| entry.object == object) {
                return Entered::Before;
            }
            entered.push(Entry {
                object,
                deferred: VecDeque::new(),
            });
            Entered::Now
        })
        .unwrap_or(Entered::Never)
}

fn defer(object: usize, completion: Box<dyn FnOnce()>) {
    ENTERED.with_borrow_mut(|entered| {
        let entry = entered.iter_mut().find(|entry| entry.object == object);
        entry
            .expect("the loop further down on the stack has an entry")
            .deferred
            .push_back(completion);
    });
}

/// What is to be completed next; if nothing is, the entry goes.
fn next_deferred(object: usize) -> Option<Box<dyn FnOnce()>> {
    ENTERED.with_borrow_mut(|entered| {
        // Entries further up on the stack have gone with their calls.
        let entry = entered.last_mut()?;
        debug_assert_eq!(entry.object, object, "entries go in the order of calls");
        let next = entry.deferred.pop_front();
        if next.is_none() {
            entered.pop();
        }
        next
    })
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use std::sync::Mutex;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn add(log: &Log, entry: &'static str) {
        crate::facade::lock_std(log).push(entry);
    }

    #[test]
    fn what_a_completion_completes_of_the_same_object_comes_after_it_and_of_another_at_once() {
        let log = Log::default();
        let (object, other) = (Arc::new(1), Arc::new(2));
        let (inner, inner_object, inner_other) =
            (Arc::clone(&log), Arc::clone(&object), Arc::clone(&other));
        let outer = move || {
            add(&inner, "begin");
            let (same, another) = (Arc::clone(&inner), Arc::clone(&inner));
            complete(&inner_object, [move || add(&same, "same")]).resume();
            complete(&inner_other, [move || add(&another, "other")]).resume();
            add(&inner, "end");
        };
        complete(&object, [outer]).resume();
        let last = Arc::clone(&log);
        complete(&object, [move || add(&last, "last")]).resume();
        assert_eq!(
            *crate::facade::lock_std(&log),
            ["begin", "other", "end", "same", "last"]
        );
    }

    #[test]
    fn the_first_panic_is_kept_and_nothing_is_left_out() {
        let log = Log::default();
        let object = Arc::new(());
        let completions = ["one", "two", "three"].map(|name| {
            let (log, object) = (Arc::clone(&log), Arc::clone(&object));
            move || {
                let deferred = Arc::clone(&log);
                complete(&object, [move || add(&deferred, "deferred")]).resume();
                add(&log, name);
                std::panic::panic_any(name);
            }
        });
        let panicked = complete(&object, completions);
        let payload = catch_unwind(AssertUnwindSafe(|| panicked.resume())).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"one"));
        assert_eq!(
            *crate::facade::lock_std(&log),
            ["one", "two", "three", "deferred", "deferred", "deferred"]
        );
        ENTERED.with_borrow(|entered| assert!(entered.is_empty()));
    }
}
