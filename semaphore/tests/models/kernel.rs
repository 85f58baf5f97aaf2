//! [`KernelSemaphore`]: the decommissioning and the deadline above a modelled `sem_t`.

use super::{
    DEADLOCK, Message, Order, decommissioning, explore, keeps_a_signal, leaving, must_fail,
    signalling, small_or, together, waiting,
};
use libprocess_semaphore::{KernelSemaphore, Semaphore, Wakeup};
use std::sync::Arc;

fn semaphore() -> Arc<KernelSemaphore> {
    Arc::new(KernelSemaphore::new())
}

/// Two wait, and one writes a message and signals twice.
///
/// A bug would be a deadlock (a signal woke nobody), a race on the message, or a signal both used
/// and kept.
fn two_signals_wake_two_waiters(order: Order) {
    let (semaphore, message) = (semaphore(), Message::new());
    let reading = || -> Box<dyn FnOnce() -> Option<Wakeup>> {
        let (wait, message) = (waiting(&semaphore), Arc::clone(&message));
        Box::new(move || {
            let wakeup = wait();
            message.assert_written();
            wakeup
        })
    };
    let (signal, written) = (signalling(&semaphore, 2), Arc::clone(&message));
    let writing = Box::new(move || {
        written.write();
        signal()
    });
    let signalled = Some(Wakeup::Signalled);
    let outcomes = together(order, [reading(), reading(), writing]);
    assert_eq!(outcomes, [signalled, signalled, None]);
    assert!(!keeps_a_signal(&*semaphore), "used and kept");
}

#[test]
fn two_signals_wake_two_waiters_as_shipped() {
    explore(None, two_signals_wake_two_waiters);
}

/// The weakened step is in the stand-in for the `sem_t`: it shows that the model knows a lost
/// wake-up when it sees one.
#[test]
fn two_signals_wake_two_waiters_needs_a_wake_up_for_each_post() {
    must_fail(
        "posix-post-wakes-each",
        DEADLOCK,
        None,
        two_signals_wake_two_waiters,
    );
}

/// A wait times out while a signal is given.
///
/// A bug would be a signal that is neither used nor kept.
fn a_deadline_races_with_a_signal(order: Order) {
    let semaphore = semaphore();
    let [wakeup, _] = together(order, [leaving(&semaphore), signalling(&semaphore, 1)]);
    let used = match wakeup {
        Some(Wakeup::Signalled) => true,
        Some(Wakeup::Deadline) => false,
        other => panic!("{other:?}"),
    };
    assert_ne!(
        used,
        keeps_a_signal(&*semaphore),
        "the signal is used or kept"
    );
}

#[test]
fn a_deadline_races_with_a_signal_as_shipped() {
    explore(None, a_deadline_races_with_a_signal);
}

#[test]
fn a_deadline_races_with_a_signal_needs_what_was_taken_to_win() {
    let reason = "the signal is used or kept";
    must_fail(
        "kernel-taken-wins",
        reason,
        None,
        a_deadline_races_with_a_signal,
    );
}

/// Two wait, one decommissions.
///
/// A bug would be a deadlock (the chain of posts broke at a waiter that did not pass it on), or a
/// waiter that was sent home and takes it for a signal.
fn decommissioning_reaches_every_waiter(order: Order) {
    let semaphore = semaphore();
    let threads = [
        waiting(&semaphore),
        waiting(&semaphore),
        decommissioning(&semaphore),
    ];
    let sent_home = Some(Wakeup::Decommissioned);
    let outcomes = together(order, threads);
    assert_eq!(
        outcomes,
        [sent_home, sent_home, None],
        "there was no signal"
    );
    assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
}

#[test]
fn decommissioning_reaches_every_waiter_as_shipped() {
    explore(small_or(3, None), decommissioning_reaches_every_waiter);
}

#[test]
fn decommissioning_reaches_every_waiter_needs_each_to_pass_it_on() {
    let model = decommissioning_reaches_every_waiter;
    must_fail("kernel-passes-on", DEADLOCK, small_or(3, None), model);
}

#[test]
fn decommissioning_reaches_every_waiter_needs_the_flag_before_the_post() {
    let model = decommissioning_reaches_every_waiter;
    must_fail(
        "kernel-flag-before-post",
        DEADLOCK,
        small_or(3, None),
        model,
    );
}

/// Two wait, one signals and then decommissions.
///
/// A bug would be one signal that two waits have used: the second took the post of the chain for a
/// signal.
fn decommissioning_follows_a_signal(order: Order) {
    let semaphore = semaphore();
    let (signal, decommission) = (signalling(&semaphore, 1), decommissioning(&semaphore));
    let both = Box::new(move || {
        signal();
        decommission()
    });
    let outcomes = together(order, [waiting(&semaphore), waiting(&semaphore), both]);
    let used = outcomes
        .into_iter()
        .filter(|wakeup| *wakeup == Some(Wakeup::Signalled))
        .count();
    assert!(used <= 1, "one signal, used twice");
    assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
}

#[test]
fn decommissioning_follows_a_signal_as_shipped() {
    explore(Some(3), decommissioning_follows_a_signal);
}

#[test]
fn decommissioning_follows_a_signal_needs_the_flag_before_the_post() {
    let (reason, model) = ("one signal, used twice", decommissioning_follows_a_signal);
    must_fail("kernel-flag-before-post", reason, Some(3), model);
}

/// One waits with a deadline and one without, and the semaphore is decommissioned.
///
/// A bug would be a deadlock: the one that may time out takes the post, and does not pass it on.
fn decommissioning_races_with_a_deadline(order: Order) {
    let semaphore = semaphore();
    let threads = [
        waiting(&semaphore),
        leaving(&semaphore),
        decommissioning(&semaphore),
    ];
    let [patient, hasty, _] = together(order, threads);
    assert_eq!(patient, Some(Wakeup::Decommissioned));
    assert!(matches!(
        hasty,
        Some(Wakeup::Deadline | Wakeup::Decommissioned)
    ));
}

#[test]
fn decommissioning_races_with_a_deadline_as_shipped() {
    explore(small_or(3, None), decommissioning_races_with_a_deadline);
}

#[test]
fn decommissioning_races_with_a_deadline_needs_each_to_pass_it_on() {
    let model = decommissioning_races_with_a_deadline;
    must_fail("kernel-passes-on", DEADLOCK, small_or(3, None), model);
}
