//! [`LifoFixedSizeSemaphore`]: the word, the list and the parkers together.

use super::{
    DEADLOCK, Message, Order, RACE, decommissioning, explore, keeps_a_signal, leaving, must_fail,
    signalling, small_or, together, waiting,
};
use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore, TooManyWaiters, Wakeup};
use std::sync::Arc;

fn semaphore(capacity: usize) -> Arc<LifoFixedSizeSemaphore> {
    Arc::new(LifoFixedSizeSemaphore::with_capacity(capacity))
}

/// One thread writes a message and signals, one waits and reads it.
///
/// A bug would be a deadlock (the signal was kept while the waiter went to sleep), or a race on the
/// message (the signal does not happen before the return of the wait: kept, handed over, or seen
/// before parking).
fn a_signal_publishes(order: Order) {
    let (semaphore, message) = (semaphore(1), Message::new());
    let (waited, expected) = (Arc::clone(&semaphore), Arc::clone(&message));
    let signalled = Arc::clone(&semaphore);
    together(
        order,
        [
            Box::new(move || {
                assert_eq!(waited.wait(), Ok(Wakeup::Signalled));
                expected.assert_written();
            }),
            Box::new(move || {
                message.write();
                signalled.signal();
            }),
        ],
    );
    assert_eq!(semaphore.waiters(), 0);
}

#[test]
fn a_signal_publishes_as_shipped() {
    explore(None, a_signal_publishes);
}

#[test]
fn a_signal_publishes_needs_the_release_of_a_kept_signal() {
    must_fail("keep-release", RACE, None, a_signal_publishes);
}

#[test]
fn a_signal_publishes_needs_the_release_of_an_ended_turn() {
    must_fail("end-release", RACE, None, a_signal_publishes);
}

#[test]
fn a_signal_publishes_needs_the_comparing_announcement() {
    must_fail("announce-compares", DEADLOCK, None, a_signal_publishes);
}

/// Two wait, and one signals twice.
///
/// A bug would be a deadlock (a signal woke nobody, or both woke the same one), or a signal that is
/// still kept although both were used.
fn two_signals_wake_two_waiters(order: Order) {
    let semaphore = semaphore(2);
    let threads = [
        waiting(&semaphore),
        waiting(&semaphore),
        signalling(&semaphore, 2),
    ];
    let signalled = Some(Wakeup::Signalled);
    assert_eq!(together(order, threads), [signalled, signalled, None]);
    assert!(!keeps_a_signal(&*semaphore), "used and kept");
}

#[test]
fn two_signals_wake_two_waiters_as_shipped() {
    explore(small_or(2, Some(3)), two_signals_wake_two_waiters);
}

#[test]
fn two_signals_wake_two_waiters_needs_the_comparing_announcement() {
    must_fail(
        "announce-compares",
        DEADLOCK,
        small_or(2, Some(3)),
        two_signals_wake_two_waiters,
    );
}

/// Two signal at the same time, and one waits twice.
///
/// A bug would be a deadlock: both signallers found the same waiter, and one signal was neither
/// used nor kept.
fn two_signallers_do_not_share_a_waiter(order: Order) {
    let semaphore = semaphore(1);
    let waited = Arc::clone(&semaphore);
    let twice = Box::new(move || {
        assert_eq!(waited.wait(), Ok(Wakeup::Signalled));
        Some(waited.wait().unwrap())
    });
    let threads = [twice, signalling(&semaphore, 1), signalling(&semaphore, 1)];
    assert_eq!(
        together(order, threads),
        [Some(Wakeup::Signalled), None, None]
    );
    assert!(!keeps_a_signal(&*semaphore), "used and kept");
}

#[test]
fn two_signallers_do_not_share_a_waiter_as_shipped() {
    explore(small_or(2, Some(3)), two_signallers_do_not_share_a_waiter);
}

#[test]
fn two_signallers_do_not_share_a_waiter_needs_the_comparing_announcement() {
    must_fail(
        "announce-compares",
        DEADLOCK,
        small_or(2, Some(3)),
        two_signallers_do_not_share_a_waiter,
    );
}

/// Two wait over one slot: the second may get the slot before the first has looked at it, or be
/// refused.
///
/// A bug would be a deadlock: the first takes the new tenant's turn for its own, and waits on.
fn a_slot_is_used_again_before_its_waiter_looks(order: Order) {
    let semaphore = semaphore(1);
    let trying = || -> Box<dyn FnOnce() -> Option<Wakeup>> {
        let semaphore = Arc::clone(&semaphore);
        Box::new(move || match semaphore.wait() {
            Ok(wakeup) => Some(wakeup),
            Err(TooManyWaiters { capacity }) => {
                assert_eq!(capacity, 1);
                None
            }
        })
    };
    let threads = [trying(), trying(), signalling(&semaphore, 2)];
    let used = together(order, threads).into_iter().flatten();
    let used = used
        .inspect(|wakeup| assert_eq!(*wakeup, Wakeup::Signalled))
        .count();
    let kept = usize::from(keeps_a_signal(&*semaphore));
    assert_eq!(used + kept, 2, "two signals, used or kept");
}

#[test]
fn a_slot_is_used_again_before_its_waiter_looks_as_shipped() {
    explore(
        small_or(2, Some(3)),
        a_slot_is_used_again_before_its_waiter_looks,
    );
}

#[test]
fn a_slot_is_used_again_before_its_waiter_looks_needs_the_ticket() {
    let model = a_slot_is_used_again_before_its_waiter_looks;
    must_fail(
        "outcome-compares-tickets",
        DEADLOCK,
        small_or(2, Some(3)),
        model,
    );
}

/// A waiter leaves for its own reason while a signal is given.
///
/// A bug would be a signal that is neither used nor kept (given to the one that left), or both.
fn a_waiter_leaves_while_a_signal_comes(order: Order) {
    let semaphore = semaphore(1);
    let [wakeup, _] = together(order, [leaving(&semaphore), signalling(&semaphore, 1)]);
    let used = match wakeup {
        Some(Wakeup::Signalled) => true,
        Some(Wakeup::Interrupted) => false,
        other => panic!("{other:?}"),
    };
    assert_ne!(
        used,
        keeps_a_signal(&*semaphore),
        "the signal is used or kept"
    );
    assert_eq!(semaphore.waiters(), 0);
}

#[test]
fn a_waiter_leaves_while_a_signal_comes_as_shipped() {
    explore(None, a_waiter_leaves_while_a_signal_comes);
}

#[test]
fn a_waiter_leaves_while_a_signal_comes_needs_the_last_look() {
    let reason = "the signal is used or kept";
    must_fail(
        "leave-looks",
        reason,
        None,
        a_waiter_leaves_while_a_signal_comes,
    );
}

/// One leaves, one stays, and there is one signal, or a second if the one that left had used the
/// first.
///
/// A bug would be a deadlock: the signal went to the one that left, or its leaving cut the other
/// off the list.
fn the_signal_goes_to_the_waiter_that_stays(order: Order) {
    let semaphore = semaphore(2);
    let left = Arc::clone(&semaphore);
    let leaving = leaving(&semaphore);
    let handing_on = Box::new(move || {
        let wakeup = leaving();
        if wakeup == Some(Wakeup::Signalled) {
            left.signal();
        }
        None
    });
    let threads = [waiting(&semaphore), handing_on, signalling(&semaphore, 1)];
    assert_eq!(
        together(order, threads),
        [Some(Wakeup::Signalled), None, None]
    );
    assert_eq!(semaphore.waiters(), 0);
    assert!(!keeps_a_signal(&*semaphore), "used and kept");
}

#[test]
fn the_signal_goes_to_the_waiter_that_stays_as_shipped() {
    explore(
        small_or(2, Some(3)),
        the_signal_goes_to_the_waiter_that_stays,
    );
}

#[test]
fn the_signal_goes_to_the_waiter_that_stays_needs_the_last_look() {
    must_fail(
        "leave-looks",
        DEADLOCK,
        small_or(2, Some(3)),
        the_signal_goes_to_the_waiter_that_stays,
    );
}

/// Two begin to wait while the semaphore is decommissioned.
///
/// A bug would be a deadlock: a waiter joined the list after it had been emptied for the last time.
fn decommissioning_reaches_every_waiter(order: Order) {
    let semaphore = semaphore(2);
    let threads = [
        waiting(&semaphore),
        waiting(&semaphore),
        decommissioning(&semaphore),
    ];
    let sent_home = Some(Wakeup::Decommissioned);
    assert_eq!(together(order, threads), [sent_home, sent_home, None]);
    assert_eq!(semaphore.waiters(), 0);
    assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
}

#[test]
fn decommissioning_reaches_every_waiter_as_shipped() {
    explore(small_or(2, Some(3)), decommissioning_reaches_every_waiter);
}

#[test]
fn decommissioning_reaches_every_waiter_needs_the_look_under_the_mutex() {
    let model = decommissioning_reaches_every_waiter;
    must_fail(
        "announce-sees-decommissioned",
        DEADLOCK,
        small_or(2, Some(3)),
        model,
    );
}

/// A signal, a decommissioning and a wait, all at once.
///
/// A bug would be a deadlock, or a wait after the decommissioning that does not say so.
fn decommissioning_races_with_a_signal(order: Order) {
    let semaphore = semaphore(1);
    let threads = [
        waiting(&semaphore),
        signalling(&semaphore, 1),
        decommissioning(&semaphore),
    ];
    let [wakeup, ..] = together(order, threads);
    assert!(matches!(
        wakeup,
        Some(Wakeup::Signalled | Wakeup::Decommissioned)
    ));
    assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
    assert_eq!(semaphore.waiters(), 0);
}

#[test]
fn decommissioning_races_with_a_signal_as_shipped() {
    explore(Some(3), decommissioning_races_with_a_signal);
}

#[test]
fn decommissioning_races_with_a_signal_needs_the_look_under_the_mutex() {
    let model = decommissioning_races_with_a_signal;
    must_fail("announce-sees-decommissioned", DEADLOCK, Some(3), model);
}

/// A waiter leaves for its own reason while the semaphore is decommissioned.
///
/// A bug would be a waiter taken off the list twice (which panics), or one that joins it too late,
/// in a slot whose last tenant then believes that it was signalled.
fn decommissioning_races_with_leaving(order: Order) {
    let semaphore = semaphore(2);
    let threads = [
        waiting(&semaphore),
        leaving(&semaphore),
        decommissioning(&semaphore),
    ];
    let [stayed, left, _] = together(order, threads);
    assert_eq!(
        stayed,
        Some(Wakeup::Decommissioned),
        "the one that stays is not sent home"
    );
    assert!(matches!(
        left,
        Some(Wakeup::Interrupted | Wakeup::Decommissioned)
    ));
    assert_eq!(semaphore.waiters(), 0);
}

#[test]
fn decommissioning_races_with_leaving_as_shipped() {
    explore(Some(3), decommissioning_races_with_leaving);
}

#[test]
fn decommissioning_races_with_leaving_needs_the_look_under_the_mutex() {
    let (reason, model) = ("is not sent home", decommissioning_races_with_leaving);
    must_fail("announce-sees-decommissioned", reason, Some(3), model);
}
