//! [`FutexParker`] by itself.

use super::{DEADLOCK, Message, Order, RACE, explore, must_fail, together};
use libprocess_semaphore::{FutexParker, Parked, Parker};
use loom::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// One thread parks, another writes a message and unparks it.
///
/// A bug would be a deadlock (the unpark was overwritten, or did not find the sleeper), or a race
/// on the message (the park that consumed the unpark is not ordered after it).
fn an_unpark_ends_the_park(order: Order) {
    let (parker, message) = (Arc::new(FutexParker::new()), Message::new());
    let (sleeper, expected) = (Arc::clone(&parker), Arc::clone(&message));
    together(
        order,
        [
            Box::new(move || {
                assert_eq!(sleeper.park(None), Parked::Woken);
                expected.assert_written();
            }),
            Box::new(move || {
                message.write();
                parker.unpark();
            }),
        ],
    );
}

#[test]
fn an_unpark_ends_the_park_as_shipped() {
    explore(None, an_unpark_ends_the_park);
}

#[test]
fn an_unpark_ends_the_park_needs_the_release() {
    must_fail("unpark-release", RACE, None, an_unpark_ends_the_park);
}

#[test]
fn an_unpark_ends_the_park_needs_the_compare_and_swap() {
    must_fail(
        "park-keeps-notification",
        DEADLOCK,
        None,
        an_unpark_ends_the_park,
    );
}

/// Two threads unpark, one parks until it has seen that both did.
///
/// A bug would be a deadlock: the second of two unparks that merge is not followed by a park that
/// returns and sees what was written before it.
fn unparks_that_merge_are_not_lost(order: Order) {
    let (parker, arrived) = (Arc::new(FutexParker::new()), Arc::new(AtomicUsize::new(0)));
    let arrive = || {
        let (parker, arrived) = (Arc::clone(&parker), Arc::clone(&arrived));
        move || {
            // Relaxed: the unpark publishes it.
            arrived.fetch_add(1, Ordering::Relaxed);
            parker.unpark();
        }
    };
    let (first, second) = (arrive(), arrive());
    together(
        order,
        [
            Box::new(first),
            Box::new(second),
            Box::new(move || {
                while arrived.load(Ordering::Relaxed) < 2 {
                    assert_eq!(parker.park(None), Parked::Woken);
                }
            }),
        ],
    );
}

#[test]
fn unparks_that_merge_are_not_lost_as_shipped() {
    explore(Some(3), unparks_that_merge_are_not_lost);
}

#[test]
fn unparks_that_merge_are_not_lost_needs_the_compare_and_swap() {
    must_fail(
        "park-keeps-notification",
        DEADLOCK,
        Some(3),
        unparks_that_merge_are_not_lost,
    );
}

#[test]
fn unparks_that_merge_are_not_lost_needs_the_release() {
    must_fail(
        "unpark-release",
        DEADLOCK,
        Some(3),
        unparks_that_merge_are_not_lost,
    );
}
