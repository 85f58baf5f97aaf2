//! The model of the bounded event queue: two senders for one credit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use libprocess_queues::event::{Bounded, EventQueue, Node, Rest, State, TryEnqueued};
use loom::cell::UnsafeCell;
use loom::thread;

use super::{Event, LockFree, Locking, check, fails, small_or_none};

/// A receiver behind a queue for one event, and what it notes for each of its two senders.
struct BoundedReceiver<Q: EventQueue<Box<Node<Event>>>> {
    mailbox: Bounded<Box<Node<Event>>, Q>,
    notes: [UnsafeCell<usize>; 2],
    /// Set when the credit of that sender's event was released.
    released: [AtomicBool; 2],
    dropped: Arc<AtomicUsize>,
}

// SAFETY: `notes` are the only fields that are not `Sync` by themselves, and loom checks their
// every access.
unsafe impl<Q: EventQueue<Box<Node<Event>>>> Sync for BoundedReceiver<Q> {}
// SAFETY: as above.
unsafe impl<Q: EventQueue<Box<Node<Event>>>> Send for BoundedReceiver<Q> {}

impl<Q: EventQueue<Box<Node<Event>>>> BoundedReceiver<Q> {
    fn send(&self, from: usize) {
        let other = 1 - from;
        let follows = self.released[other].load(Relaxed);
        let event = Node::new(Event {
            from,
            number: 0,
            dropped: Arc::clone(&self.dropped),
        });
        let outcome = self.mailbox.try_enqueue(event);
        if follows && !matches!(outcome, TryEnqueued::Full(_)) {
            // SAFETY: this thread has got the credit that the receiver released after its last
            // write here.
            assert_eq!(self.notes[other].with(|note| unsafe { *note }), 1);
        }
        match outcome {
            TryEnqueued::Queued | TryEnqueued::Full(_) => {}
            TryEnqueued::Schedule => self.run(),
            TryEnqueued::Closed(_) => unreachable!("nobody closes"),
        }
    }

    fn run(&self) {
        loop {
            let mut batch = self.mailbox.take();
            // Nothing was released for this batch, so what is pending now counts with it.
            batch.append(self.mailbox.take());
            assert!(
                batch.len() <= self.mailbox.capacity(),
                "more was pending than the capacity"
            );
            for event in batch {
                // SAFETY: for the holder of the token alone, before it releases the credit.
                self.notes[event.from].with_mut(|note| unsafe { *note += 1 });
                let from = event.from;
                drop(event);
                self.mailbox.release(1);
                self.released[from].store(true, Relaxed);
            }
            if let Rest::Idle = self.mailbox.rest() {
                break;
            }
        }
    }
}

/// Two senders for one credit.
///
/// A bug would be: both get it, and two events are pending; a credit that is lost or made; a sender
/// that got the credit but does not see what the receiver did before it released it (a data race on
/// `notes`).
fn never_more_than_the_capacity<Q: EventQueue<Box<Node<Event>>> + 'static>() {
    let receiver = Arc::new(BoundedReceiver::<Q> {
        mailbox: Bounded::new(1),
        notes: [UnsafeCell::new(0), UnsafeCell::new(0)],
        released: Default::default(),
        dropped: Arc::default(),
    });
    receiver.mailbox.open();
    let senders = [0, 1].map(|from| {
        let receiver = Arc::clone(&receiver);
        thread::spawn(move || receiver.send(from))
    });
    receiver.run();
    for sender in senders {
        sender.join().unwrap();
    }

    assert_eq!(receiver.mailbox.state(), State::Idle);
    assert_eq!(receiver.mailbox.available(), 1, "a credit was lost or made");
    assert_eq!(receiver.dropped.load(Relaxed), 2);
}

#[test]
fn never_more_than_the_capacity_lock_free() {
    check(small_or_none(3), never_more_than_the_capacity::<LockFree>);
}

#[test]
fn never_more_than_the_capacity_locking() {
    check(small_or_none(3), never_more_than_the_capacity::<Locking>);
}

#[test]
fn never_more_than_the_capacity_fails_if_credits_are_taken_blindly() {
    fails(
        "credit-compare",
        &[
            "more was pending than the capacity",
            "1 credits were released where only 0 were out", // both had the one credit
        ],
        never_more_than_the_capacity::<LockFree>,
    );
}

#[test]
fn never_more_than_the_capacity_fails_without_release_of_credits() {
    fails(
        "credit-release",
        &["Causality violation"],
        never_more_than_the_capacity::<LockFree>,
    );
}
