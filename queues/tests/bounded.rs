//! The bounded event queue, around every queue that there is.

#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod common;

use common::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{Books, Item, scaled, until_hit, with_seeds};
use libprocess_queues::event::{
    Bounded, Enqueued, EventQueue, LockFreeEventQueue, LockingEventQueue, Node, Rest, State,
    TryEnqueued,
};

type Event = Box<Node<Item>>;

/// The number that marks a control item.
const CONTROL: usize = usize::MAX;

fn credits_of<'a>(items: impl IntoIterator<Item = &'a Item>) -> usize {
    items
        .into_iter()
        .filter(|item| item.number != CONTROL)
        .count()
}

fn a_full_queue_refuses_all_but_control<Q: EventQueue<Event>>() {
    let books = Books::default();
    let mailbox = Bounded::<Event, Q>::new(2);
    let send = |number| mailbox.try_enqueue(Node::new(books.item(0, number)));
    assert!(matches!(send(0), TryEnqueued::Closed(_)));
    mailbox.open();
    assert_eq!(mailbox.rest(), Rest::Idle);
    assert!(matches!(send(1), TryEnqueued::Schedule));
    assert!(matches!(
        mailbox.enqueue_control(Node::new(books.item(0, CONTROL))),
        Enqueued::Queued
    ));
    assert!(matches!(send(2), TryEnqueued::Queued));
    match send(3) {
        TryEnqueued::Full(event) => assert_eq!(event.number, 3),
        _ => panic!("a full queue accepted an event"),
    }
    assert_eq!((mailbox.available(), mailbox.capacity()), (0, 2));

    let batch = mailbox.take();
    assert!(
        batch.iter().map(|item| item.number).eq([1, CONTROL, 2]),
        "control keeps its place"
    );
    assert!(
        matches!(send(4), TryEnqueued::Full(_)),
        "what is being served still counts"
    );
    mailbox.release(credits_of(&batch));
    assert!(matches!(send(5), TryEnqueued::Queued));
    assert_eq!(mailbox.queue().state(), State::Pending);
}

fn a_closed_queue_says_so_even_when_it_is_full<Q: EventQueue<Event>>() {
    let books = Books::default();
    let mailbox = Bounded::<Event, Q>::new(1);
    let send = || mailbox.try_enqueue(Node::new(books.item(0, 0)));
    mailbox.open();
    assert!(matches!(send(), TryEnqueued::Queued));
    let left = mailbox.close();
    assert!(matches!(send(), TryEnqueued::Closed(_)));
    assert_eq!(
        mailbox.available(),
        0,
        "the item that was left over still has its credit"
    );
    mailbox.release(left.len());
    assert!(matches!(send(), TryEnqueued::Closed(_)));
    assert_eq!(
        mailbox.available(),
        1,
        "a refused item gave its credit back"
    );
    mailbox.open();
    assert!(matches!(send(), TryEnqueued::Queued));
}

fn releasing_too_much_panics<Q: EventQueue<Event>>() {
    let mailbox = Bounded::<Event, Q>::new(3);
    assert!(catch_unwind(AssertUnwindSafe(|| mailbox.release(1))).is_err());
}

/// Producers that try until they get in, and a receiver that looks for more than the capacity.
fn never_more_than_the_capacity<Q: EventQueue<Event>>() {
    const CAPACITY: usize = 4;
    let books = Books::default();
    let each = scaled(2_000);
    let mailbox = Bounded::<Event, Q>::new(CAPACITY);
    mailbox.open();
    let full = AtomicUsize::new(0);
    let (mut served, mut controls, mut fullest) = (0, 0, 0);
    thread::scope(|scope| {
        for from in 0..8 {
            let (mailbox, books, full) = (&mailbox, &books, &full);
            scope.spawn(move || {
                for number in 0..each {
                    if number % 64 == 0 {
                        let control = Node::new(books.item(from, CONTROL));
                        assert!(matches!(mailbox.enqueue_control(control), Enqueued::Queued));
                    }
                    let mut event = Node::new(books.item(from, number));
                    loop {
                        match mailbox.try_enqueue(event) {
                            TryEnqueued::Queued => break,
                            TryEnqueued::Full(refused) => event = refused,
                            TryEnqueued::Schedule | TryEnqueued::Closed(_) => unreachable!(),
                        }
                        full.fetch_add(1, Ordering::Relaxed);
                        thread::yield_now();
                    }
                }
            });
        }
        while served < 8 * each {
            let mut batch = mailbox.take();
            batch.append(mailbox.take());
            let credits = credits_of(&batch);
            assert!(
                credits <= CAPACITY,
                "{credits} items with a credit were pending"
            );
            fullest = fullest.max(credits);
            controls += batch.len() - credits;
            served += credits;
            drop(batch);
            mailbox.release(credits);
            thread::yield_now();
        }
    });
    assert_eq!(controls, 8 * each.div_ceil(64));
    assert_eq!(mailbox.available(), CAPACITY);
    assert_eq!(books.dropped(), books.created());
    assert_eq!(fullest, CAPACITY, "the queue was never full");
    assert!(full.into_inner() > 0, "nobody was ever refused");
}

/// Receivers follow each other while producers never stop: no credit is lost or made.
fn credits_survive_reopening<Q: EventQueue<Event>>() {
    const CAPACITY: usize = 3;
    let books = Books::default();
    let mailbox = Bounded::<Event, Q>::new(CAPACITY);
    let stop = AtomicBool::new(false);
    let (refused, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut received = 0;
    thread::scope(|scope| {
        for from in 0..4 {
            let (mailbox, books, stop) = (&mailbox, &books, &stop);
            let (refused, accepted) = (&refused, &accepted);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match mailbox.try_enqueue(Node::new(books.item(from, 0))) {
                        TryEnqueued::Queued => {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                        TryEnqueued::Closed(_) => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        TryEnqueued::Full(_) => {}
                        TryEnqueued::Schedule => panic!("the receivers never rest"),
                    }
                    thread::yield_now();
                }
            });
        }
        until_hit(scaled(2_000), |_| {
            mailbox.open();
            thread::yield_now();
            let mut batch = mailbox.take();
            batch.append(mailbox.close());
            assert!(batch.len() <= CAPACITY);
            received += batch.len();
            mailbox.release(batch.len());
            thread::yield_now();
            received > 0 && refused.load(Ordering::Relaxed) > 0
        });
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(mailbox.available(), CAPACITY);
    assert_eq!(received, accepted.into_inner());
    assert_eq!(books.dropped(), books.created());
}

/// Random operations, beside two counters.
fn it_behaves_as_the_reference<Q: EventQueue<Event>>() {
    with_seeds(if cfg!(miri) { 3 } else { 200 }, |random| {
        let books = Books::default();
        let capacity = random.below(5);
        let mailbox = Bounded::<Event, Q>::new(capacity);
        mailbox.open();
        let (mut pending, mut out, mut serving) = (0, 0, 0);
        for number in 0..300 {
            match random.below(8) {
                0..4 => match mailbox.try_enqueue(Node::new(books.item(0, number))) {
                    TryEnqueued::Queued => {
                        pending += 1;
                        out += 1;
                        assert!(out <= capacity);
                    }
                    TryEnqueued::Full(event) => {
                        assert_eq!((event.number, out), (number, capacity));
                    }
                    TryEnqueued::Schedule | TryEnqueued::Closed(_) => unreachable!(),
                },
                4 => {
                    let control = Node::new(books.item(0, CONTROL));
                    assert!(matches!(mailbox.enqueue_control(control), Enqueued::Queued));
                    pending += 1;
                }
                5 => {
                    let batch = mailbox.take();
                    assert_eq!(batch.len(), pending);
                    pending = 0;
                    serving += credits_of(&batch);
                }
                _ => {
                    let done = random.below(serving + 1);
                    mailbox.release(done);
                    serving -= done;
                    out -= done;
                }
            }
            assert_eq!(mailbox.available(), capacity - out);
        }
    });
}

macro_rules! suite {
    ($name:ident, $queue:ident, [$($test:ident),* $(,)?]) => {
        mod $name {
            use super::*;
            $(
                #[test]
                fn $test() {
                    super::$test::<$queue<Event>>();
                }
            )*
        }
    };
    ($($name:ident: $queue:ident),* $(,)?) => {
        $(suite!($name, $queue, [
            a_full_queue_refuses_all_but_control,
            a_closed_queue_says_so_even_when_it_is_full,
            releasing_too_much_panics,
            never_more_than_the_capacity,
            credits_survive_reopening,
            it_behaves_as_the_reference,
        ]);)*
    };
}

suite! {
    lock_free: LockFreeEventQueue,
    locking: LockingEventQueue,
}
