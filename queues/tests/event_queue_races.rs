//! One suite for every event queue: what many threads make of it. A test of a race fails if the
//! race was never hit.

#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod common;

use common::thread;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use common::{Books, InOrder, Item, scaled, until_hit};
use libprocess_queues::event::{
    Batch, Enqueued, EventQueue, LockFreeEventQueue, LockingEventQueue, Node, Rest, State,
};

type Event = Box<Node<Item>>;

const PRODUCERS: usize = 8;

fn each_producer_keeps_its_order<Q: EventQueue<Event>>() {
    let books = Books::default();
    let each = scaled(10_000);
    let queue = Q::closed();
    queue.open();
    let mut seen = InOrder::new(PRODUCERS);
    let mut longest = 0;
    thread::scope(|scope| {
        for from in 0..PRODUCERS {
            let (queue, books) = (&queue, &books);
            scope.spawn(move || {
                for number in 0..each {
                    let outcome = queue.enqueue(Node::new(books.item(from, number)));
                    assert!(
                        matches!(outcome, Enqueued::Queued),
                        "the consumer never rests"
                    );
                }
            });
        }
        while seen.total() < PRODUCERS * each {
            let batch = queue.take();
            longest = longest.max(batch.len());
            if batch.is_empty() {
                thread::yield_now();
            }
            for event in batch {
                seen.see(event.from, event.number);
            }
        }
    });
    assert!(queue.take().is_empty());
    assert!(longest > 1, "the producers never got ahead of the consumer");
    assert_eq!(books.dropped(), PRODUCERS * each);
}

/// Whoever wins the token runs the receiver. Counts tokens, and looks for two holders at once.
fn the_token_is_won_once_for_each_rest<Q: EventQueue<Event>>() {
    let mut winners = HashSet::new();
    let mut still_pending = 0;
    until_hit(scaled(60), |_| {
        let tokens = count_tokens::<Q>(200);
        winners.extend(tokens.winners.into_inner().unwrap());
        still_pending += tokens.still_pending.into_inner();
        // Events came between a take and a rest, and not always the same producer won the token.
        still_pending > 0 && winners.len() > 1
    });
}

#[derive(Default)]
struct Tokens {
    won: AtomicUsize,
    rested: AtomicUsize,
    still_pending: AtomicUsize,
    winners: Mutex<HashSet<usize>>,
}

fn count_tokens<Q: EventQueue<Event>>(each: usize) -> Tokens {
    let queue = Q::closed();
    let books = Books::default();
    let tokens = Tokens::default();
    // Under a lock that is only ever tried: what the token protects needs none.
    let seen = Mutex::new(InOrder::new(PRODUCERS));

    let run = || loop {
        {
            let mut seen = seen.try_lock().expect("one holder at a time");
            for event in queue.take() {
                seen.see(event.from, event.number);
            }
            // A slow receiver, so that events come between its last take and its rest.
            thread::yield_now();
        }
        match queue.rest() {
            Rest::Idle => break tokens.rested.fetch_add(1, Ordering::Relaxed),
            Rest::Pending => tokens.still_pending.fetch_add(1, Ordering::Relaxed),
        };
    };

    queue.open();
    run();
    let start = Barrier::new(PRODUCERS);
    thread::scope(|scope| {
        for from in 0..PRODUCERS {
            let (queue, books, start, run, tokens) = (&queue, &books, &start, &run, &tokens);
            scope.spawn(move || {
                start.wait();
                for number in 0..each {
                    match queue.enqueue(Node::new(books.item(from, number))) {
                        Enqueued::Queued => {}
                        Enqueued::Schedule => {
                            tokens.won.fetch_add(1, Ordering::Relaxed);
                            tokens.winners.lock().unwrap().insert(from);
                            run();
                        }
                        Enqueued::Closed(_) => panic!("nobody closes"),
                    }
                }
            });
        }
    });

    assert_eq!(queue.state(), State::Idle);
    assert_eq!(seen.lock().unwrap().total(), PRODUCERS * each);
    let (won, rested) = (&tokens.won, &tokens.rested);
    let (won, rested) = (won.load(Ordering::Relaxed), rested.load(Ordering::Relaxed));
    assert_eq!(rested, won + 1, "each token went back once");
    tokens
}

/// Producers, a receiver and two who close, again and again.
fn a_close_drops_each_event_once<Q: EventQueue<Event>>() {
    let (mut some_refused, mut some_left) = (false, false);
    until_hit(scaled(400), |round| {
        let books = Books::default();
        let queue = Q::closed();
        queue.open();
        let (refused, served, left) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let start = Barrier::new(PRODUCERS + 2);
        let close = || {
            let batch: Batch<Event> = queue.close();
            left.fetch_add(batch.len(), Ordering::Relaxed);
        };
        thread::scope(|scope| {
            for from in 0..PRODUCERS {
                let (queue, books, start, refused) = (&queue, &books, &start, &refused);
                scope.spawn(move || {
                    start.wait();
                    for number in 0..20 {
                        if let Enqueued::Closed(_) =
                            queue.enqueue(Node::new(books.item(from, number)))
                        {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            scope.spawn(|| {
                start.wait();
                for _ in 0..round % 32 {
                    thread::yield_now();
                }
                close();
            });
            start.wait();
            while queue.state() != State::Closed {
                served.fetch_add(queue.take().into_iter().count(), Ordering::Relaxed);
                thread::yield_now();
            }
            close();
        });
        assert_eq!(queue.state(), State::Closed);
        assert!(queue.close().is_empty());
        let (refused, served, left) =
            (refused.into_inner(), served.into_inner(), left.into_inner());
        assert_eq!(refused + served + left, books.created());
        assert_eq!(books.dropped(), books.created());
        some_refused |= refused > 0;
        some_left |= left > 0;
        some_refused && some_left
    });
}

/// Receivers follow each other in one queue while the producers never stop.
fn events_go_to_one_receiver_across_reopening<Q: EventQueue<Event>>() {
    let books = Books::default();
    let queue = Q::closed();
    let stop = AtomicBool::new(false);
    let (refused, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut received = 0;
    thread::scope(|scope| {
        for from in 0..4 {
            let (queue, books, stop) = (&queue, &books, &stop);
            let (refused, accepted) = (&refused, &accepted);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match queue.enqueue(Node::new(books.item(from, 0))) {
                        Enqueued::Queued => accepted.fetch_add(1, Ordering::Relaxed),
                        Enqueued::Closed(_) => refused.fetch_add(1, Ordering::Relaxed),
                        Enqueued::Schedule => panic!("the receivers never rest"),
                    };
                    thread::yield_now();
                }
            });
        }
        until_hit(scaled(2_000), |_| {
            queue.open();
            thread::yield_now();
            received += queue.take().len();
            received += queue.close().len();
            thread::yield_now();
            received > 0 && refused.load(Ordering::Relaxed) > 0
        });
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(received, accepted.into_inner());
    assert_eq!(books.dropped(), books.created());
}

macro_rules! suite {
    ($($name:ident: $queue:ident),* $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn each_producer_keeps_its_order() {
                super::each_producer_keeps_its_order::<$queue<Event>>();
            }

            #[test]
            fn the_token_is_won_once_for_each_rest() {
                super::the_token_is_won_once_for_each_rest::<$queue<Event>>();
            }

            #[test]
            fn a_close_drops_each_event_once() {
                super::a_close_drops_each_event_once::<$queue<Event>>();
            }

            #[test]
            fn events_go_to_one_receiver_across_reopening() {
                super::events_go_to_one_receiver_across_reopening::<$queue<Event>>();
            }
        })*
    };
}

suite! {
    lock_free: LockFreeEventQueue,
    locking: LockingEventQueue,
}
