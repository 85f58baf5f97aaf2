//! The end of service, for those who wait and those who come later.

use crate::support::thread;
use crate::support::{Random, Watched, rounds};
use libprocess_semaphore::{FutexParker, Semaphore, Wakeup};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) fn sends_every_waiter_home<S: Semaphore>() {
    let semaphore = S::with_capacity(8);
    let watched: [Watched; 8] = Default::default();
    thread::scope(|scope| {
        for watched in &watched {
            scope.spawn(|| {
                watched.here();
                assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
                assert_eq!(
                    semaphore.wait(),
                    Ok(Wakeup::Decommissioned),
                    "again, at once"
                );
            });
        }
        watched.iter().for_each(Watched::until_asleep);
        assert!(!semaphore.is_decommissioned());
        semaphore.decommission();
        assert!(semaphore.is_decommissioned());
    });
    for _ in 0..20 {
        assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
    }
}

pub(crate) fn comes_before_kept_signals<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    semaphore.signal();
    semaphore.signal();
    semaphore.decommission();
    for _ in 0..4 {
        assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
    }
}

pub(crate) fn ignores_later_signals<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    semaphore.decommission();
    semaphore.signal();
    assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
}

pub(crate) fn may_be_repeated<S: Semaphore>() {
    let semaphore = S::with_capacity(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                semaphore.decommission();
                assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
            });
        }
    });
    semaphore.decommission();
    assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
}

pub(crate) fn reaches_waiters_that_race_with_it<S: Semaphore>() {
    let mut random = Random::new(11);
    for round in 0..rounds(200) {
        let semaphore = S::with_capacity(3);
        let pause = random.micros_below(60);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(
                    || {
                        while semaphore.wait().unwrap() != Wakeup::Decommissioned {}
                    },
                );
            }
            scope.spawn(|| {
                for _ in 0..round % 5 {
                    semaphore.signal();
                }
            });
            let start = Instant::now();
            while start.elapsed() < pause {
                std::hint::spin_loop();
            }
            semaphore.decommission();
        });
        assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned), "{random:?}");
    }
}

pub(crate) fn ends_waits_with_a_deadline<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    let watched = Watched::default();
    let far = Instant::now() + Duration::from_secs(3_600);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            watched.here();
            semaphore.wait_with(&Arc::new(FutexParker::new()), Some(far))
        });
        watched.until_asleep();
        semaphore.decommission();
        assert_eq!(waiter.join().unwrap(), Ok(Wakeup::Decommissioned));
    });
    let parker = Arc::new(FutexParker::new());
    assert_eq!(
        semaphore.wait_with(&parker, Some(far)),
        Ok(Wakeup::Decommissioned)
    );
    assert_eq!(
        semaphore.wait_with(&parker, Some(Instant::now())),
        Ok(Wakeup::Decommissioned)
    );
}
