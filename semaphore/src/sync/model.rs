//! The two kernel objects as the model checkers see them: a mutex and a condition variable each.
//!
//! Neither checker has time. What becomes of a sleep with a deadline is `model_clock`'s affair.

use super::atomic::AtomicU32;
use super::model_clock::runs_out;
use super::{Condvar, Mutex, Slept, ValueOverflow, Waited, lock, weakened};
use std::sync::PoisonError;
use std::time::Instant;

/// The mutex is the lock that the kernel holds while it compares the word and queues the sleeper.
pub(crate) struct Futex {
    word: AtomicU32,
    queue: Mutex<()>,
    woken: Condvar,
}

impl Futex {
    pub(crate) fn new(value: u32) -> Self {
        Futex {
            word: AtomicU32::new(value),
            queue: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.word
    }

    pub(crate) fn wait(&self, expected: u32, deadline: Option<Instant>) -> Slept {
        if let Some(deadline) = deadline {
            return self.wait_until(expected, deadline);
        }
        let queue = lock(&self.queue);
        // Relaxed: a waker changed the word before it locked the queue, so either this thread sees
        // the change or it is queued when the waker gets the lock.
        if self.word.load(super::atomic::Ordering::Relaxed) != expected {
            return Slept::Returned;
        }
        drop(
            self.woken
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner),
        );
        Slept::Returned
    }

    /// A sleep that will end by itself is no sleep in which a checker could find a lost wake-up: it is a loop.
    fn wait_until(&self, expected: u32, deadline: Instant) -> Slept {
        loop {
            // Relaxed: as in `wait`; what the change means is ordered by who looks at the word afterwards.
            if self.word.load(super::atomic::Ordering::Relaxed) != expected {
                return Slept::Returned;
            }
            if runs_out(deadline) {
                return Slept::Deadline;
            }
        }
    }

    pub(crate) fn wake_one(&self) {
        let _queue = lock(&self.queue);
        self.woken.notify_one();
    }
}

pub(crate) struct PosixSemaphore {
    value: Mutex<u32>,
    posted: Condvar,
}

impl PosixSemaphore {
    pub(crate) fn new() -> Self {
        PosixSemaphore {
            value: Mutex::new(0),
            posted: Condvar::new(),
        }
    }

    pub(crate) fn post(&self) -> Result<(), ValueOverflow> {
        let mut value = lock(&self.value);
        *value = value.checked_add(1).ok_or(ValueOverflow)?;
        // A classic mistake: to notify only when the value leaves zero. The second of two posts
        // then wakes nobody.
        if *value == 1 || !weakened("posix-post-wakes-each") {
            self.posted.notify_one();
        }
        Ok(())
    }

    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Waited {
        let mut value = lock(&self.value);
        while *value == 0 {
            if let Some(deadline) = deadline {
                drop(value);
                if runs_out(deadline) {
                    return Waited::Deadline;
                }
                value = lock(&self.value);
                continue;
            }
            value = self
                .posted
                .wait(value)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *value -= 1;
        Waited::Taken
    }
}
