//! A parker on its own.
#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod support;

use libprocess_semaphore::{FutexParker, Parked, Parker};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::thread;
use support::{Random, Watched, rounds, within_reason};

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(1))
}

#[test]
fn an_unpark_before_the_park_sticks_but_does_not_add_up() {
    within_reason(|| {
        let parker = FutexParker::new();
        for _ in 0..3 {
            parker.unpark();
        }
        assert_eq!(parker.park(None), Parked::Woken);
        assert_eq!(parker.park(soon()), Parked::Deadline);
        parker.unpark();
        assert_eq!(parker.park(soon()), Parked::Woken);
    });
}

#[test]
fn a_notification_wins_over_a_deadline_that_is_past() {
    let parker = FutexParker::new();
    parker.unpark();
    assert_eq!(parker.park(Some(Instant::now())), Parked::Woken);
    assert_eq!(parker.park(Some(Instant::now())), Parked::Deadline);
}

#[test]
fn a_sleeper_is_woken_and_signals_of_the_operating_system_do_not_wake_it() {
    within_reason(|| {
        let (parker, watched) = (FutexParker::new(), Watched::default());
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                watched.here();
                parker.park(None)
            });
            for _ in 0..5 {
                watched.until_asleep();
                watched.disturb();
            }
            watched.until_asleep();
            assert_eq!(format!("{parker:?}"), r#"FutexParker { state: "parked" }"#);
            parker.unpark();
            assert_eq!(sleeper.join().unwrap(), Parked::Woken);
        });
    });
}

/// Two threads take turns, so each unpark is answered by one park, however the two meet.
#[test]
fn no_unpark_is_lost() {
    within_reason(|| {
        let (there, back) = (FutexParker::new(), FutexParker::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..rounds(5_000) {
                    assert_eq!(there.park(None), Parked::Woken);
                    back.unpark();
                }
            });
            let mut random = Random::new(3);
            for _ in 0..rounds(5_000) {
                there.unpark();
                if random.below(4) == 0 {
                    thread::yield_now();
                }
                assert_eq!(back.park(None), Parked::Woken);
            }
        });
    });
}

#[test]
fn a_second_thread_is_refused() {
    within_reason(|| {
        let (parker, watched) = (Arc::new(FutexParker::new()), Watched::default());
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                watched.here();
                parker.park(None)
            });
            watched.until_asleep();
            assert!(catch_unwind(|| parker.park(None)).is_err());
            parker.unpark();
            assert_eq!(first.join().unwrap(), Parked::Woken);
        });
    });
}

#[test]
fn debug_names_the_state() {
    let parker = FutexParker::new();
    assert_eq!(format!("{parker:?}"), r#"FutexParker { state: "empty" }"#);
    parker.unpark();
    assert_eq!(
        format!("{parker:?}"),
        r#"FutexParker { state: "notified" }"#
    );
}
