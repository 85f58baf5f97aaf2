//! One suite for every event queue: what a single thread can see.

#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod common;

use std::collections::VecDeque;

use common::{Books, Item, with_seeds};
use libprocess_queues::event::{
    Enqueued, EventQueue, LockFreeEventQueue, LockingEventQueue, Node, Rest, State,
};

type Event = Box<Node<Item>>;

fn open<Q: EventQueue<Event>>() -> Q {
    let queue = Q::closed();
    queue.open();
    queue
}

fn numbers(events: impl IntoIterator<Item = Event>) -> Vec<usize> {
    events.into_iter().map(|event| event.number).collect()
}

fn a_new_queue_is_closed_and_refuses<Q: EventQueue<Event>>() {
    let books = Books::default();
    let queue = Q::closed();
    assert_eq!(queue.state(), State::Closed);
    match queue.enqueue(Node::new(books.item(0, 7))) {
        Enqueued::Closed(event) => assert_eq!(event.into_item().number, 7),
        _ => panic!("a closed queue accepted an event"),
    }
    assert!(queue.take().is_empty());
    assert!(queue.close().is_empty());
    assert_eq!(queue.rest(), Rest::Idle);
    assert_eq!(queue.state(), State::Closed, "nothing but open opens it");
    assert_eq!(books.dropped(), 1);
}

fn each_state_answers_as_the_table_says<Q: EventQueue<Event>>() {
    let books = Books::default();
    let event = |number| Node::new(books.item(0, number));
    let queue: Q = open();
    assert_eq!(queue.state(), State::Scheduled);
    assert_eq!(queue.rest(), Rest::Idle);
    assert_eq!(queue.state(), State::Idle);
    assert!(queue.take().is_empty());
    assert_eq!(
        queue.state(),
        State::Idle,
        "a take does not wake an idle queue"
    );

    assert!(matches!(queue.enqueue(event(0)), Enqueued::Schedule));
    assert_eq!(queue.state(), State::Pending);
    assert!(matches!(queue.enqueue(event(1)), Enqueued::Queued));
    assert_eq!(queue.rest(), Rest::Pending);
    assert_eq!(queue.state(), State::Pending);

    assert_eq!(numbers(queue.take()), [0, 1]);
    assert_eq!(queue.state(), State::Scheduled);
    assert!(
        matches!(queue.enqueue(event(2)), Enqueued::Queued),
        "the token is still out"
    );
    assert_eq!(numbers(queue.close()), [2]);
    assert_eq!(queue.state(), State::Closed);
    assert_eq!(queue.rest(), Rest::Idle);
    assert!(queue.close().is_empty());
    assert_eq!((books.created(), books.dropped()), (3, 3));
}

fn an_idle_queue_closes_and_opens_again<Q: EventQueue<Event>>() {
    let books = Books::default();
    let queue: Q = open();
    for tenant in 0..3 {
        assert_eq!(queue.rest(), Rest::Idle);
        assert!(queue.close().is_empty());
        assert!(matches!(
            queue.enqueue(Node::new(books.item(tenant, 0))),
            Enqueued::Closed(_)
        ));
        queue.open();
        assert!(matches!(
            queue.enqueue(Node::new(books.item(tenant, 1))),
            Enqueued::Queued
        ));
        assert_eq!(numbers(queue.take()), [1]);
    }
    assert_eq!((books.created(), books.dropped()), (6, 6));
}

fn opening_an_open_queue_panics<Q: EventQueue<Event>>() {
    let queue: Q = open();
    let panics = || {
        let open = std::panic::AssertUnwindSafe(|| queue.open());
        std::panic::catch_unwind(open).is_err()
    };
    assert!(panics());
    assert_eq!(queue.rest(), Rest::Idle, "the queue goes on as before");
    assert!(panics());
    assert_eq!(queue.state(), State::Idle);
}

fn resting_without_the_token_panics_in_a_debug_build<Q: EventQueue<Event>>() {
    let queue: Q = open();
    assert_eq!(queue.rest(), Rest::Idle);
    let rest = std::panic::AssertUnwindSafe(|| queue.rest());
    assert_eq!(
        std::panic::catch_unwind(rest).is_err(),
        cfg!(debug_assertions)
    );
    assert_eq!(queue.state(), State::Idle, "the queue goes on as before");
}

fn a_dropped_queue_drops_what_is_pending<Q: EventQueue<Event>>() {
    let books = Books::default();
    let queue: Q = open();
    for number in 0..3 {
        let _ = queue.enqueue(Node::new(books.item(0, number)));
    }
    let taken = queue.take();
    let _ = queue.enqueue(Node::new(books.item(0, 3)));
    drop(queue);
    assert_eq!(books.dropped(), 1);
    drop(taken);
    assert_eq!(books.dropped(), 4);
}

/// A chain this long would overflow the stack of anything that walked it by recursion.
fn a_long_chain_is_walked_in_a_loop<Q: EventQueue<Event>>() {
    let books = Books::default();
    let length = if cfg!(miri) { 1_000 } else { 200_000 };
    let queue: Q = open();
    for number in 0..length {
        let _ = queue.enqueue(Node::new(books.item(0, number)));
    }
    let batch = queue.take();
    assert_eq!(batch.len(), length);
    assert!(
        batch
            .iter()
            .enumerate()
            .all(|(at, event)| event.number == at)
    );
    drop(batch);
    assert_eq!(books.dropped(), length);
}

/// Random operations, beside a reference that is too simple to be wrong.
fn it_behaves_as_the_reference<Q: EventQueue<Event>>() {
    with_seeds(if cfg!(miri) { 3 } else { 200 }, |random| {
        let books = Books::default();
        let queue = Q::closed();
        let (mut state, mut pending) = (State::Closed, VecDeque::new());
        for number in 0..300 {
            match random.below(16) {
                0..8 => {
                    let outcome = queue.enqueue(Node::new(books.item(0, number)));
                    match state {
                        State::Closed => {
                            assert!(
                                matches!(outcome, Enqueued::Closed(event) if event.number == number)
                            );
                        }
                        State::Idle => assert!(matches!(outcome, Enqueued::Schedule)),
                        _ => assert!(matches!(outcome, Enqueued::Queued)),
                    }
                    if state != State::Closed {
                        state = State::Pending;
                        pending.push_back(number);
                    }
                }
                8..11 => {
                    assert_eq!(numbers(queue.take()), Vec::from_iter(pending.drain(..)));
                    if state == State::Pending {
                        state = State::Scheduled;
                    }
                }
                // Only who holds the token may rest.
                11..14 if matches!(state, State::Scheduled | State::Pending) => {
                    match queue.rest() {
                        Rest::Idle => {
                            assert!(pending.is_empty());
                            state = State::Idle;
                        }
                        Rest::Pending => assert!(!pending.is_empty()),
                    }
                }
                14 => {
                    assert_eq!(numbers(queue.close()), Vec::from_iter(pending.drain(..)));
                    state = State::Closed;
                }
                _ if state == State::Closed => {
                    queue.open();
                    state = State::Scheduled;
                }
                _ => {}
            }
            assert_eq!(queue.state(), state);
        }
        drop(queue);
        assert_eq!(books.created(), books.dropped());
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
            a_new_queue_is_closed_and_refuses,
            each_state_answers_as_the_table_says,
            an_idle_queue_closes_and_opens_again,
            opening_an_open_queue_panics,
            resting_without_the_token_panics_in_a_debug_build,
            a_dropped_queue_drops_what_is_pending,
            a_long_chain_is_walked_in_a_loop,
            it_behaves_as_the_reference,
        ]);)*
    };
}

suite! {
    lock_free: LockFreeEventQueue,
    locking: LockingEventQueue,
}

#[test]
fn the_names_are_told_apart() {
    assert_eq!(
        <LockFreeEventQueue<Event> as EventQueue<Event>>::NAME,
        "lock-free"
    );
    assert_eq!(
        <LockingEventQueue<Event> as EventQueue<Event>>::NAME,
        "locking"
    );
}
