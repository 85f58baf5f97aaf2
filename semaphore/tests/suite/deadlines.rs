//! Waits that end by themselves.

use crate::support::thread;
use crate::support::{Watched, drain};
use libprocess_semaphore::{FutexParker, Semaphore, Wakeup};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) fn never_end_a_wait_early<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    let parker = Arc::new(FutexParker::new());
    for micros in [0, 1, 10, 100, 1_000, 5_000] {
        let deadline = Instant::now() + Duration::from_micros(micros);
        assert_eq!(
            semaphore.wait_with(&parker, Some(deadline)),
            Ok(Wakeup::Deadline)
        );
        assert!(Instant::now() >= deadline, "{micros} µs");
    }
}

pub(crate) fn leave_kept_signals_alone<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    let parker = Arc::new(FutexParker::new());
    let past = Some(Instant::now());
    assert_eq!(semaphore.wait_with(&parker, past), Ok(Wakeup::Deadline));
    semaphore.signal();
    assert_eq!(drain(&semaphore), 1);
}

pub(crate) fn let_a_kept_signal_win<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    let parker = Arc::new(FutexParker::new());
    let past = Some(Instant::now());
    semaphore.signal();
    assert_eq!(semaphore.wait_with(&parker, past), Ok(Wakeup::Signalled));
    assert_eq!(semaphore.wait_with(&parker, past), Ok(Wakeup::Deadline));
}

pub(crate) fn survive_signals_of_the_operating_system<S: Semaphore>() {
    let semaphore = S::with_capacity(2);
    let (with_deadline, without) = (Watched::default(), Watched::default());
    thread::scope(|scope| {
        let early = scope.spawn(|| {
            with_deadline.here();
            let deadline = Instant::now() + Duration::from_millis(30);
            let parker = Arc::new(FutexParker::new());
            let wakeup = semaphore.wait_with(&parker, Some(deadline));
            (wakeup, Instant::now() >= deadline)
        });
        with_deadline.until_asleep();
        while !early.is_finished() {
            with_deadline.disturb();
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(early.join().unwrap(), (Ok(Wakeup::Deadline), true));

        let late = scope.spawn(|| {
            without.here();
            semaphore.wait()
        });
        for _ in 0..5 {
            without.until_asleep();
            without.disturb();
        }
        assert!(!late.is_finished());
        semaphore.signal();
        assert_eq!(late.join().unwrap(), Ok(Wakeup::Signalled));
    });
}

pub(crate) fn can_be_centuries_away<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    let watched = Watched::default();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            watched.here();
            let deadline = Instant::now() + Duration::from_secs(1_000 * 366 * 86_400);
            semaphore.wait_with(&Arc::new(FutexParker::new()), Some(deadline))
        });
        watched.until_asleep();
        semaphore.signal();
        assert_eq!(waiter.join().unwrap(), Ok(Wakeup::Signalled));
    });
}
