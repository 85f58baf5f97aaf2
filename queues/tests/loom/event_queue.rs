//! Models of the event queue: scheduling, closing, opening again.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use libprocess_queues::event::{Batch, Enqueued, EventQueue, Node, Rest, State};
use loom::cell::UnsafeCell;
use loom::thread;

use super::{Event, LockFree, Locking, check, fails, small_or_none};

/// A receiver: its queue, what its token protects, and the books.
struct Receiver<Q> {
    queue: Q,
    /// Written by whoever holds the token: two at once, or one that does not see the last, is a
    /// data race.
    owned: UnsafeCell<usize>,
    /// Tokens that were taken out of the queue, by an open or an enqueue.
    tokens_out: AtomicUsize,
    /// Tokens that went back in, by a rest.
    tokens_in: AtomicUsize,
    created: AtomicUsize,
    refused: AtomicUsize,
    left: AtomicUsize,
    dropped: Arc<AtomicUsize>,
    served: Mutex<Vec<(usize, usize)>>,
}

// SAFETY: `owned` is the only field that is not `Sync` by itself, and loom checks its every access.
unsafe impl<Q: Sync> Sync for Receiver<Q> {}
// SAFETY: as above.
unsafe impl<Q: Send> Send for Receiver<Q> {}

impl<Q: EventQueue<Box<Node<Event>>> + 'static> Receiver<Q> {
    fn closed() -> Arc<Self> {
        Arc::new(Receiver {
            queue: Q::closed(),
            owned: UnsafeCell::new(0),
            tokens_out: AtomicUsize::new(0),
            tokens_in: AtomicUsize::new(0),
            created: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            dropped: Arc::default(),
            served: Mutex::default(),
        })
    }

    fn open(&self) {
        self.queue.open();
        self.tokens_out.fetch_add(1, Relaxed);
    }

    fn event(&self, from: usize, number: usize) -> Box<Node<Event>> {
        self.created.fetch_add(1, Relaxed);
        Node::new(Event {
            from,
            number,
            dropped: Arc::clone(&self.dropped),
        })
    }

    /// Sends one event, and runs the receiver if that is now up to this thread.
    fn send(&self, from: usize, number: usize) {
        match self.queue.enqueue(self.event(from, number)) {
            Enqueued::Queued => {}
            Enqueued::Schedule => {
                self.tokens_out.fetch_add(1, Relaxed);
                self.run();
            }
            Enqueued::Closed(_) => {
                self.refused.fetch_add(1, Relaxed);
            }
        }
    }

    /// What whoever holds the token does with it.
    fn run(&self) {
        loop {
            self.touch();
            self.serve(self.queue.take());
            match self.queue.rest() {
                Rest::Idle => break,
                Rest::Pending => {}
            }
        }
        self.tokens_in.fetch_add(1, Relaxed);
    }

    fn touch(&self) {
        // SAFETY: for the holder of the token alone, which is what the models find out.
        self.owned.with_mut(|owned| unsafe { *owned += 1 });
    }

    fn serve(&self, batch: Batch<Box<Node<Event>>>) {
        let mut served = self.served.lock().unwrap();
        served.extend(batch.into_iter().map(|event| (event.from, event.number)));
    }

    fn close(&self) {
        self.left.fetch_add(self.queue.close().len(), Relaxed);
    }

    /// Every event is in one place, and was dropped once; events of one sender were served in
    /// order.
    fn balance(&self) {
        let served = self.served.lock().unwrap();
        let elsewhere = self.refused.load(Relaxed) + self.left.load(Relaxed);
        let created = self.created.load(Relaxed);
        assert_eq!(
            served.len() + elsewhere,
            created,
            "an event was lost or came twice"
        );
        assert_eq!(
            self.dropped.load(Relaxed),
            created,
            "an event was dropped twice or never"
        );
        for (at, (from, number)) in served.iter().enumerate() {
            let mut later = served[at + 1..].iter().filter(|event| event.0 == *from);
            assert!(
                later.all(|event| event.1 > *number),
                "events of one sender changed places"
            );
        }
    }

    fn spawn(self: &Arc<Self>, body: impl FnOnce(&Self) + 'static) -> thread::JoinHandle<()> {
        let receiver = Arc::clone(self);
        thread::spawn(move || body(&receiver))
    }
}

/// Two senders and the opener. Whoever wins the token runs the receiver.
///
/// A bug would be: an event that is in an idle queue (nobody will ever run for it); two holders at
/// once, or one that does not see what the last one did (a data race on `owned`); an event whose
/// content is not seen by the receiver (a data race on its link); a token more, or less, than went
/// back.
fn scheduled_exactly_once<Q: EventQueue<Box<Node<Event>>> + 'static>() {
    let receiver = Receiver::<Q>::closed();
    receiver.open();
    let one = receiver.spawn(|receiver| {
        receiver.send(1, 0);
        receiver.send(1, 1);
    });
    let two = receiver.spawn(|receiver| receiver.send(2, 0));
    receiver.run();
    one.join().unwrap();
    two.join().unwrap();

    assert_eq!(receiver.queue.state(), State::Idle);
    assert_eq!(
        receiver.queue.close().len(),
        0,
        "something was left in an idle queue"
    );
    assert_eq!(
        receiver.tokens_out.load(Relaxed),
        receiver.tokens_in.load(Relaxed)
    );
    receiver.balance();
}

#[test]
fn scheduled_exactly_once_lock_free() {
    // Without a bound: minutes.
    check(Some(5), scheduled_exactly_once::<LockFree>);
}

#[test]
fn scheduled_exactly_once_locking() {
    check(None, scheduled_exactly_once::<Locking>);
}

#[test]
fn scheduled_exactly_once_fails_without_release_in_push() {
    fails(
        "push-release",
        &["Causality violation"],
        scheduled_exactly_once::<LockFree>,
    );
}

#[test]
fn scheduled_exactly_once_fails_without_release_in_rest() {
    fails(
        "rest-release",
        &["Causality violation"],
        scheduled_exactly_once::<LockFree>,
    );
}

#[test]
fn scheduled_exactly_once_fails_if_rest_does_not_look() {
    fails(
        "rest-looks",
        &["something was left in an idle queue"],
        scheduled_exactly_once::<Locking>,
    );
}

/// Two senders and the receiver, and a fourth thread that closes the queue at any moment.
///
/// A bug would be: an event that got in after the queue was closed, and that nobody will ever drop;
/// a queue that is open again because the receiver's take overwrote the closing; an event that both
/// the receiver and the closer got.
fn closed_exactly_once<Q: EventQueue<Box<Node<Event>>> + 'static>() {
    let receiver = Receiver::<Q>::closed();
    receiver.open();
    let threads = [
        receiver.spawn(|receiver| receiver.send(1, 0)),
        receiver.spawn(|receiver| receiver.send(2, 0)),
        receiver.spawn(|receiver| receiver.close()),
    ];
    receiver.serve(receiver.queue.take());
    let _ = receiver.queue.rest();
    for thread in threads {
        thread.join().unwrap();
    }

    assert_eq!(
        receiver.queue.state(),
        State::Closed,
        "a closed queue is open again"
    );
    assert_eq!(
        receiver.queue.close().len(),
        0,
        "something got into a closed queue"
    );
    receiver.balance();
}

#[test]
fn closed_exactly_once_lock_free() {
    // With four preemptions, of four threads: minutes.
    check(Some(3), closed_exactly_once::<LockFree>);
}

#[test]
fn closed_exactly_once_locking() {
    check(small_or_none(3), closed_exactly_once::<Locking>);
}

#[test]
fn closed_exactly_once_fails_if_take_swaps_blindly() {
    fails(
        "take-compare",
        &["a closed queue is open again"],
        closed_exactly_once::<LockFree>,
    );
}

#[test]
fn closed_exactly_once_fails_if_close_takes_two_steps() {
    fails(
        "close-at-once",
        &["something got into a closed queue"],
        closed_exactly_once::<Locking>,
    );
}

/// The receiver ends and closes the queue. A sender that is refused sets up the next receiver in
/// the same place, and opens the queue for it, while another sender may have stalled anywhere since
/// before the closing.
///
/// A bug would be: a next receiver that does not see what the last one did (a data race on
/// `owned`); a stalled event that is neither refused, nor left over, nor served by the next one; a
/// second token.
fn reopened_under_a_stalled_sender<Q: EventQueue<Box<Node<Event>>> + 'static>() {
    let receiver = Receiver::<Q>::closed();
    receiver.open();
    let stalled = receiver.spawn(|receiver| receiver.send(1, 0));
    let next = receiver.spawn(
        |receiver| match receiver.queue.enqueue(receiver.event(2, 0)) {
            Enqueued::Queued => {}
            Enqueued::Schedule => unreachable!("the first receiver does not rest"),
            Enqueued::Closed(event) => {
                drop(event);
                receiver.refused.fetch_add(1, Relaxed);
                receiver.touch();
                receiver.open();
                receiver.run();
            }
        },
    );
    receiver.touch();
    receiver.serve(receiver.queue.take());
    receiver.close();
    receiver.tokens_in.fetch_add(1, Relaxed); // void with the closing
    stalled.join().unwrap();
    next.join().unwrap();

    let reopened = receiver.tokens_out.load(Relaxed) > 1;
    assert_eq!(
        receiver.queue.state(),
        if reopened { State::Idle } else { State::Closed }
    );
    assert_eq!(
        receiver.tokens_out.load(Relaxed),
        receiver.tokens_in.load(Relaxed)
    );
    receiver.balance();
}

#[test]
fn reopened_under_a_stalled_sender_lock_free() {
    check(None, reopened_under_a_stalled_sender::<LockFree>);
}

#[test]
fn reopened_under_a_stalled_sender_locking() {
    check(None, reopened_under_a_stalled_sender::<Locking>);
}

#[test]
fn reopened_under_a_stalled_sender_fails_without_release_in_close() {
    fails(
        "close-release",
        &["Causality violation"],
        reopened_under_a_stalled_sender::<LockFree>,
    );
}
