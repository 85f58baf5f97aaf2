//! What only the last-in-first-out semaphore promises: its order, its slots, its parkers.
#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod support;

use libprocess_semaphore::{
    FutexParker, LifoFixedSizeSemaphore, Parked, Parker, Semaphore, TooManyWaiters, Wakeup,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, OnceLock, Weak, mpsc};
use std::time::{Duration, Instant};
use support::thread;
use support::{InterruptibleParker, drain, rounds, until, within_reason};

#[test]
fn the_newest_waiter_is_woken_first() {
    within_reason(|| {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(5);
        let (sender, woken) = mpsc::channel();
        thread::scope(|scope| {
            for number in 0..5 {
                let (semaphore, sender) = (&semaphore, sender.clone());
                scope.spawn(move || {
                    assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
                    sender.send(number).unwrap();
                });
                until(|| semaphore.waiters() == number + 1);
            }
            for expected in (0..5).rev() {
                semaphore.signal();
                assert_eq!(woken.recv().unwrap(), expected);
                assert_eq!(semaphore.waiters(), expected);
            }
        });
    });
}

/// The processors that this thread may run on.
fn processors() -> Vec<usize> {
    // SAFETY: a set of processors is words, for which zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is this one, and the kernel writes no more than its size.
    let outcome = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    assert_eq!(outcome, 0);
    let all = 0..8 * size_of_val(&set);
    // SAFETY: within the set.
    all.filter(|&one| unsafe { libc::CPU_ISSET(one, &set) })
        .collect()
}

/// Has the thread run on this processor and no other.
fn run_on(processor: usize) {
    // SAFETY: as in `processors`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is this one, and the kernel reads no more than its size.
    let outcome = unsafe {
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    assert_eq!(outcome, 0);
}

#[test]
fn who_fell_asleep_elsewhere_is_woken_first_if_asked_so() {
    let [here, there, ..] = processors()[..] else {
        // Not `println!`, which is shown only of tests that fail.
        let line = b"SKIPPED: who fell asleep elsewhere, as there is one processor\n";
        std::io::Write::write_all(&mut std::io::stderr(), line).unwrap();
        return;
    };
    within_reason(move || {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(5);
        let (sender, woken) = mpsc::channel();
        thread::scope(|scope| {
            for (number, processor) in [there, here, there, here, here].into_iter().enumerate() {
                let (semaphore, sender) = (&semaphore, sender.clone());
                scope.spawn(move || {
                    run_on(processor);
                    assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
                    sender.send(number).unwrap();
                });
                until(|| semaphore.waiters() == number + 1);
            }
            run_on(here);
            // The newest ones from there, then, as there is none any more, the newest.
            for expected in [2, 0, 4, 3, 1] {
                semaphore.signal_elsewhere();
                assert_eq!(woken.recv().unwrap(), expected);
            }
            // Nobody waits: it is kept.
            semaphore.signal_elsewhere();
            assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
        });
    });
}

#[test]
fn the_order_holds_around_a_waiter_that_left() {
    within_reason(|| {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(5);
        let parkers: [Arc<InterruptibleParker>; 5] = Default::default();
        let (sender, woken) = mpsc::channel();
        thread::scope(|scope| {
            for (number, parker) in parkers.iter().enumerate() {
                let (semaphore, sender) = (&semaphore, sender.clone());
                scope.spawn(move || {
                    let wakeup = semaphore.wait_with(parker, None).unwrap();
                    sender.send((number, wakeup)).unwrap();
                });
                until(|| semaphore.waiters() == number + 1);
            }
            for leaving in [2, 4, 0] {
                parkers[leaving].interrupt();
                assert_eq!(woken.recv().unwrap(), (leaving, Wakeup::Interrupted));
            }
            for expected in [3, 1] {
                semaphore.signal();
                assert_eq!(woken.recv().unwrap(), (expected, Wakeup::Signalled));
            }
        });
    });
}

#[test]
fn one_waiter_too_many_is_refused_and_leaves_no_trace() {
    within_reason(|| {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(2);
        let parker = Arc::new(FutexParker::new());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled)));
            }
            until(|| semaphore.waiters() == 2);
            let refused = Err(TooManyWaiters { capacity: 2 });
            assert_eq!(semaphore.wait(), refused);
            let far = Some(Instant::now() + Duration::from_secs(3_600));
            assert_eq!(semaphore.wait_with(&parker, far), refused);
            let past = Some(Instant::now());
            assert_eq!(semaphore.wait_with(&parker, past), Ok(Wakeup::Deadline));
            assert_eq!(
                Arc::strong_count(&parker),
                1,
                "the refused parker is still held"
            );
            assert_eq!(semaphore.waiters(), 2);
            semaphore.signal();
            semaphore.signal();
        });
        assert_eq!(drain(&semaphore), 0);
    });
}

#[test]
fn a_picked_waiter_frees_its_slot_before_it_runs() {
    within_reason(|| {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(1);
        // Its unpark does nothing, so the thread stays asleep although it was picked.
        struct Deaf(FutexParker);
        impl Parker for Deaf {
            fn park(&self, deadline: Option<Instant>) -> Parked {
                self.0.park(deadline)
            }
            fn unpark(&self) {}
        }
        let deaf = Arc::new(Deaf(FutexParker::new()));
        thread::scope(|scope| {
            let first = scope.spawn(|| semaphore.wait_with(&deaf, None));
            until(|| semaphore.waiters() == 1);
            semaphore.signal();
            assert_eq!(semaphore.waiters(), 0);
            let second = scope.spawn(|| semaphore.wait());
            until(|| semaphore.waiters() == 1);
            // Now the first looks, and finds another one in its slot.
            deaf.0.unpark();
            assert_eq!(first.join().unwrap(), Ok(Wakeup::Signalled));
            assert_eq!(semaphore.waiters(), 1);
            semaphore.signal();
            assert_eq!(second.join().unwrap(), Ok(Wakeup::Signalled));
        });
    });
}

#[test]
fn slots_are_used_again_after_their_waiters_left() {
    within_reason(|| {
        struct Hasty;
        impl Parker for Hasty {
            fn park(&self, _deadline: Option<Instant>) -> Parked {
                Parked::Interrupted
            }
            fn unpark(&self) {}
        }
        let semaphore = LifoFixedSizeSemaphore::with_capacity(2).with_spin(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let parker = Arc::new(Hasty);
                    for _ in 0..5_000 {
                        let wakeup = semaphore.wait_with(&parker, None);
                        assert_eq!(wakeup, Ok(Wakeup::Interrupted));
                    }
                    assert_eq!(Arc::strong_count(&parker), 1);
                });
            }
        });
        assert_eq!(semaphore.waiters(), 0);
        semaphore.signal();
        assert_eq!(
            drain(&semaphore),
            1,
            "with nobody waiting, signals are kept again"
        );
    });
}

#[test]
fn threads_that_ended_take_no_slot() {
    within_reason(|| {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(2);
        for _ in 0..200 {
            thread::scope(|scope| {
                scope.spawn(|| assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled)));
                until(|| semaphore.waiters() == 1);
                semaphore.signal();
            });
        }
        assert_eq!(semaphore.waiters(), 0);
    });
}

#[test]
fn two_signallers_never_wake_the_same_waiter() {
    within_reason(|| {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(2);
        let (both_signallers, all) = (Barrier::new(2), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..rounds(500) {
                        assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
                        all.wait();
                    }
                });
                scope.spawn(|| {
                    for _ in 0..rounds(500) {
                        until(|| semaphore.waiters() == 2);
                        both_signallers.wait();
                        // Had one waiter been given both signals, the other would wait on, and
                        // the round would never end.
                        semaphore.signal();
                        all.wait();
                    }
                });
            }
        });
        assert_eq!(drain(&semaphore), 0);
    });
}

#[test]
fn a_wake_up_left_over_does_not_end_the_next_wait() {
    within_reason(|| {
        let semaphore = LifoFixedSizeSemaphore::with_capacity(1);
        let parker = Arc::new(FutexParker::new());
        parker.unpark();
        let deadline = Instant::now() + Duration::from_millis(1);
        assert_eq!(
            semaphore.wait_with(&parker, Some(deadline)),
            Ok(Wakeup::Deadline)
        );
    });
}

/// Parkers are foreign code: if one were called or dropped under the mutex, this would never end.
#[test]
fn parkers_may_use_the_semaphore_themselves() {
    struct Meddling {
        semaphore: Arc<LifoFixedSizeSemaphore>,
        itself: Weak<Meddling>,
        sleep: FutexParker,
        dropped_by: mpsc::Sender<thread::ThreadId>,
    }
    impl Parker for Meddling {
        fn park(&self, deadline: Option<Instant>) -> Parked {
            let _ = self.semaphore.waiters();
            self.sleep.park(deadline)
        }
        fn unpark(&self) {
            let _ = self.semaphore.waiters();
            self.sleep.unpark();
            // The waiter goes first, so that the signaller is the one who drops this.
            until(|| self.itself.strong_count() == 1);
        }
    }
    impl Drop for Meddling {
        fn drop(&mut self) {
            let _ = self.semaphore.waiters();
            self.dropped_by.send(thread::current().id()).unwrap();
        }
    }

    within_reason(|| {
        let semaphore = Arc::new(LifoFixedSizeSemaphore::with_capacity(1));
        let (sender, dropped_by) = mpsc::channel();
        let make = || {
            Arc::new_cyclic(|itself| Meddling {
                semaphore: Arc::clone(&semaphore),
                itself: Weak::clone(itself),
                sleep: FutexParker::new(),
                dropped_by: sender.clone(),
            })
        };
        for service_ends in [false, true] {
            thread::scope(|scope| {
                let waiter = scope.spawn(|| semaphore.wait_with(&make(), None));
                until(|| semaphore.waiters() == 1);
                assert!(semaphore.wait_with(&make(), None).is_err());
                assert_eq!(dropped_by.recv().unwrap(), thread::current().id());
                let expected = if service_ends {
                    semaphore.decommission();
                    Wakeup::Decommissioned
                } else {
                    semaphore.signal();
                    Wakeup::Signalled
                };
                assert_eq!(dropped_by.recv().unwrap(), thread::current().id());
                assert_eq!(waiter.join().unwrap(), Ok(expected));
            });
        }
    });
}

#[test]
fn a_parker_that_panics_undoes_its_wait() {
    struct Panicking {
        semaphore: OnceLock<Arc<LifoFixedSizeSemaphore>>,
        signals_first: bool,
    }
    impl Parker for Panicking {
        fn park(&self, _deadline: Option<Instant>) -> Parked {
            if self.signals_first {
                // The newest waiter is the one that parks here: the signal is its own.
                self.semaphore.get().unwrap().signal();
            }
            panic!("the parker's own mistake");
        }
        fn unpark(&self) {}
    }

    within_reason(|| {
        for signals_first in [false, true] {
            let semaphore = Arc::new(LifoFixedSizeSemaphore::with_capacity(1));
            let parker = Arc::new(Panicking {
                semaphore: OnceLock::new(),
                signals_first,
            });
            assert!(parker.semaphore.set(Arc::clone(&semaphore)).is_ok());
            let wait = AssertUnwindSafe(|| semaphore.wait_with(&parker, None));
            assert!(catch_unwind(wait).is_err());
            assert_eq!(semaphore.waiters(), 0);
            assert_eq!(
                drain(&*semaphore),
                usize::from(signals_first),
                "the signal is passed on"
            );
        }
    });
}

#[test]
#[should_panic(expected = "a capacity of 0 is out of range; it must be at least 1")]
fn no_slots_at_all_is_refused() {
    let _ = LifoFixedSizeSemaphore::with_capacity(0);
}

#[test]
#[should_panic(expected = "a capacity of 65537 is out of range")]
fn too_many_slots_are_refused() {
    let _ = LifoFixedSizeSemaphore::with_capacity(LifoFixedSizeSemaphore::MAXIMUM_CAPACITY + 1);
}

#[test]
fn the_largest_capacity_works() {
    let most = LifoFixedSizeSemaphore::MAXIMUM_CAPACITY;
    let semaphore = LifoFixedSizeSemaphore::with_capacity(most);
    assert_eq!(semaphore.capacity(), Some(most));
}

#[test]
#[should_panic(expected = "a spin of 10001 is too long")]
fn spinning_without_end_is_refused() {
    let _ = LifoFixedSizeSemaphore::new().with_spin(LifoFixedSizeSemaphore::MAXIMUM_SPIN + 1);
}

#[test]
fn debug_shows_the_state() {
    let semaphore = LifoFixedSizeSemaphore::with_capacity(3).with_spin(0);
    semaphore.signal();
    assert_eq!(
        format!("{semaphore:?}"),
        "LifoFixedSizeSemaphore { state: State { signals: 1, waiters: false, \
         decommissioned: false }, capacity: 3, spin: 0 }"
    );
}
