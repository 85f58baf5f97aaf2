//! Whether a process that polls is to be woken: a word of its slot, which its wakers change.
//!
//! An `async` block is polled by a process (see [`asynchronous`](super::asynchronous)), and its wakers send that process an event. Of many wakes between two polls the
//! first one sends, and the others need not: at most one such event is on its way. Who was first is told by this word.
//!
//! # The word
//!
//! | bits | what |
//! |---|---|
//! | 1..32 | the generation of the tenant whose poll began last, or zero |
//! | 0 | whether it was woken since then |
//!
//! *A poll begins* by writing its generation without the mark, before the block is polled: so a wake during the poll sends an event, and none is lost.
//!
//! *A wake* compares the generation, sets the mark in the same step, and sends if it was not set. So a waker is no more than a pid. It may outlive its block,
//! and the slot may have another tenant by then, who polls or not. Where the generation differs it does nothing; where nobody has polled since, the mark is set, as a block that ends sets it; only where
//! the block was ended from outside it may send, once, to a process that is there no more.
//!
//! *A wake that finds the mark set writes the word all the same.* It sends nothing, but what its thread did before must be seen by the poll that follows. That poll
//! begins by exchanging the word, and finds what was done before every write that it replaces; a mere look at the mark would tell it of nothing.
//!
//! The generation has 31 bits here, and so has no tenant more (see [`LAST_GENERATION`](super::pid::LAST_GENERATION)).
//!
//! Weighed against a flag in a block that all wakers of a task share and count: that is an allocation for each task and two counts for each waker that is kept and dropped; and with a thousand
//! tasks that wait for I/O a cache line that each wake misses, where this word is on a line that its event writes anyway.

use crate::facade::atomic::{AtomicU32, Ordering};
use crate::facade::weakened;

const WOKEN: u32 = 1;

/// See the module.
pub(super) struct WakeWord(AtomicU32);

impl WakeWord {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    const fn waits(generation: u32) -> u32 {
        generation << 1
    }

    /// Polls the tenant of this generation, whose token the caller holds.
    #[inline]
    pub(super) fn poll<R>(&self, generation: u32, poll: impl FnOnce() -> R) -> R {
        if weakened("waits-before-the-poll") {
            let polled = poll();
            self.wait(generation);
            return polled;
        }
        self.wait(generation);
        poll()
    }

    #[inline]
    fn wait(&self, generation: u32) {
        // AcqRel: pairs with the Release in `wake`: what was done before each wake until now is seen by the poll; and with the Acquire there.
        self.0.swap(Self::waits(generation), Ordering::AcqRel);
    }

    /// The tenant of this generation has polled for the last time: it need not be woken any more.
    pub(super) fn end(&self, generation: u32) {
        let waits = Self::waits(generation);
        // Relaxed: no poll follows. It fails where the tenant was woken already.
        let _ = self
            .0
            .compare_exchange(waits, waits | WOKEN, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the tenant of this generation, which polls now, was woken since it began.
    #[inline]
    pub(super) fn is_woken(&self, generation: u32) -> bool {
        // Relaxed: a hint of who wakes himself; whoever else does has sent an event.
        self.0.load(Ordering::Relaxed) == Self::waits(generation) | WOKEN
    }

    /// Wakes. True: the caller is to send the event.
    #[inline]
    pub(super) fn wake(&self, generation: u32) -> bool {
        let waits = Self::waits(generation);
        let mut word = self.0.load(Ordering::Relaxed);
        if weakened("wakes-in-one-step") && word == waits {
            // AcqRel: as below.
            return self.0.fetch_or(WOKEN, Ordering::AcqRel) == waits;
        }
        while word | WOKEN == waits | WOKEN {
            if word != waits && weakened("wakes-in-vain-publish") {
                return false;
            }
            // AcqRel: the Release pairs with the Acquire in `wait`, the Acquire with the Release there: what the task did before it began to poll is seen by who
            // wakes it. Relaxed on failure: tried again.
            match self.0.compare_exchange_weak(
                word,
                waits | WOKEN,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return word == waits,
                Err(other) => word = other,
            }
        }
        false
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_first_wake_of_each_poll_sends() {
        let word = WakeWord::new();
        assert!(!word.wake(7), "nobody polls yet");
        for _ in 0..2 {
            word.poll(7, || {
                assert!(!word.is_woken(7));
                assert!(word.wake(7) && !word.wake(7));
                assert!(word.is_woken(7));
            });
        }
    }

    #[test]
    fn a_waker_of_another_generation_does_nothing() {
        let last = super::super::pid::LAST_GENERATION;
        let word = WakeWord::new();
        word.poll(8, || ());
        word.end(7);
        for other in [1, 7, 9, last] {
            assert!(!word.wake(other));
        }
        assert!(!word.is_woken(8) && word.wake(8));
        word.poll(last, || ());
        assert!(!word.wake(8) && !word.wake(last - 1));
        assert!(word.wake(last) && word.is_woken(last));
    }

    #[test]
    fn what_has_ended_is_woken_no_more() {
        let word = WakeWord::new();
        word.poll(7, || ());
        word.end(7);
        assert!(!word.wake(7));
        word.poll(8, || ());
        assert!(word.wake(8));
    }
}

/// Models of the word, explored by loom: `scripts/loom`.
#[cfg(all(test, libprocess_loom))]
mod models {
    use std::sync::Arc;

    use loom::sync::Mutex;
    use loom::sync::atomic::AtomicBool;
    use loom::thread;

    use super::*;
    use crate::process::models::{complaint, model};

    const GENERATION: u32 = 3;

    /// Things that a block waits for, of which it is told by wakers, and what its last poll found of them. The lock stands for the token.
    struct Task {
        word: WakeWord,
        done: [AtomicBool; 2],
        found: Mutex<[bool; 2]>,
    }

    impl Task {
        fn poll(&self) {
            let mut found = self.found.lock().unwrap();
            *found = self.word.poll(GENERATION, || {
                self.done
                    .each_ref()
                    .map(|done| done.load(Ordering::Relaxed))
            });
        }

        /// Something is done. The event of a wake is a poll in the same thread.
        fn finish(&self, which: usize) {
            self.done[which].store(true, Ordering::Relaxed);
            if self.word.wake(GENERATION) {
                self.poll();
            }
        }
    }

    /// A bug: the last poll has not found everything, and nobody polls again.
    fn two_wake_one() {
        let task = Arc::new(Task {
            word: WakeWord::new(),
            done: Default::default(),
            found: Mutex::default(),
        });
        // Before there is a waker.
        task.poll();
        let others = [0, 1].map(|which| {
            let task = Arc::clone(&task);
            thread::spawn(move || task.finish(which))
        });
        // Of the slot's last tenant, whose block is gone.
        assert!(!task.word.wake(GENERATION - 1), "another one was woken");
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(
            *task.found.lock().unwrap(),
            [true, true],
            "a wake-up was lost"
        );
    }

    #[test]
    fn the_last_poll_finds_what_every_wake_told_of() {
        model(two_wake_one);
    }

    /// The slot has another tenant when a waker of the last one is used. A bug: the new one is marked, and who wakes it then sends nothing.
    fn a_late_wake() {
        let task = Arc::new(Task {
            word: WakeWord::new(),
            done: Default::default(),
            found: Mutex::default(),
        });
        task.word.poll(GENERATION - 1, || ());
        let late = {
            let task = Arc::clone(&task);
            thread::spawn(move || task.word.wake(GENERATION - 1))
        };
        task.poll();
        let other = {
            let task = Arc::clone(&task);
            thread::spawn(move || task.finish(0))
        };
        let _sends = late.join().unwrap();
        other.join().unwrap();
        assert_eq!(
            *task.found.lock().unwrap(),
            [true, false],
            "a wake-up was lost"
        );
    }

    #[test]
    fn a_waker_of_the_last_tenant_takes_no_wake_up_from_the_next() {
        model(a_late_wake);
    }

    #[test]
    fn in_two_steps_it_would() {
        let complaint = complaint("wakes-in-one-step", a_late_wake);
        assert!(complaint.contains("a wake-up was lost"), "{complaint}");
    }

    #[test]
    fn if_wakes_in_vain_wrote_nothing_it_would_not() {
        let complaint = complaint("wakes-in-vain-publish", two_wake_one);
        assert!(complaint.contains("a wake-up was lost"), "{complaint}");
    }

    #[test]
    fn nor_if_it_were_waited_for_behind_the_poll() {
        let complaint = complaint("waits-before-the-poll", two_wake_one);
        assert!(complaint.contains("a wake-up was lost"), "{complaint}");
    }
}
