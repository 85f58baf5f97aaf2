//! One signal, one wait.

use crate::support::thread;
use crate::support::{Watched, drain, rounds, until};
use libprocess_semaphore::{Semaphore, Wakeup};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) fn kept_signals_are_used_one_by_one<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    for kept in [1, 2, 1_000] {
        for _ in 0..kept {
            semaphore.signal();
        }
        for _ in 0..kept {
            assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
        }
        assert_eq!(drain(&semaphore), 0);
    }
}

pub(crate) fn as_many_signals_as_there_are_waiters_wake_them_all<S: Semaphore>() {
    let semaphore = S::with_capacity(8);
    let watched: [Watched; 8] = Default::default();
    thread::scope(|scope| {
        for watched in &watched {
            scope.spawn(|| {
                watched.here();
                assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
            });
        }
        watched.iter().for_each(Watched::until_asleep);
        for _ in &watched {
            semaphore.signal();
        }
    });
    assert_eq!(drain(&semaphore), 0);
}

pub(crate) fn signals_wake_exactly_as_many<S: Semaphore>() {
    let semaphore = S::with_capacity(6);
    let watched: [Watched; 6] = Default::default();
    let returned = AtomicUsize::new(0);
    let mut wakeups = thread::scope(|scope| {
        let waiters: Vec<_> = watched
            .iter()
            .map(|watched| {
                scope.spawn(|| {
                    watched.here();
                    let wakeup = semaphore.wait().unwrap();
                    returned.fetch_add(1, Ordering::Relaxed);
                    wakeup
                })
            })
            .collect();
        watched.iter().for_each(Watched::until_asleep);
        for _ in 0..4 {
            semaphore.signal();
        }
        until(|| returned.load(Ordering::Relaxed) == 4);
        // Only now, as decommissioning ignores signals that nobody has used yet.
        semaphore.decommission();
        waiters
            .into_iter()
            .map(|waiter| waiter.join().unwrap())
            .collect::<Vec<_>>()
    });
    wakeups.sort_by_key(|wakeup| *wakeup == Wakeup::Decommissioned);
    assert_eq!(wakeups[..4], [Wakeup::Signalled; 4]);
    assert_eq!(wakeups[4..], [Wakeup::Decommissioned; 2]);
}

pub(crate) fn a_waiter_can_signal<S: Semaphore>() {
    let semaphore = S::with_capacity(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
                semaphore.signal();
            });
        }
        semaphore.signal();
    });
    assert_eq!(drain(&semaphore), 1);
}

pub(crate) fn threads_hand_a_turn_back_and_forth<S: Semaphore>() {
    let (there, back) = (S::with_capacity(1), S::with_capacity(1));
    let turns = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..rounds(2_000) {
                assert_eq!(there.wait(), Ok(Wakeup::Signalled));
                // Relaxed: the two semaphores order everything here, which is what is tested.
                assert_eq!(turns.fetch_add(1, Ordering::Relaxed), 2 * turn);
                back.signal();
            }
        });
        for turn in 0..rounds(2_000) {
            there.signal();
            assert_eq!(back.wait(), Ok(Wakeup::Signalled));
            assert_eq!(turns.fetch_add(1, Ordering::Relaxed), 2 * turn + 1);
        }
    });
}
