//! Queues, without a bound and with one: every element goes to one getter, in order, and to nobody who gave up.

use std::time::Duration;

use crate::common::Log;
use libprocess::sync::{BoundedQueue, Queue};
use libprocess::{
    Future, FutureError, assert_abandoned, assert_discarded, assert_pending, assert_ready,
};

/// A value that is there.
fn now<T>(future: Future<T>) -> T {
    assert!(!future.is_pending(), "it should be there at once");
    future.get().expect("a value")
}

#[test]
fn a_getter_waits_for_an_element_or_an_element_for_a_getter() {
    let queue = Queue::new();
    let waiting = queue.get();
    assert_pending!(waiting);
    queue.put(1);
    assert_eq!(now(waiting), 1);
    assert!(queue.is_empty());
    queue.put(2);
    queue.clone().put(3);
    assert_eq!(queue.len(), 2);
    assert_eq!((now(queue.get()), queue.try_get()), (2, Some(3)));
    assert_eq!(queue.try_get(), None);
}

#[test]
fn getters_are_served_in_order() {
    let queue = Queue::new();
    let mut waiting: std::collections::VecDeque<_> = (0..3).map(|_| queue.get()).collect();
    for number in 0..3 {
        queue.put(number);
        let first = waiting.pop_front().unwrap();
        assert_eq!(now(first), number);
        assert!(waiting.iter().all(Future::is_pending));
    }
}

#[test]
fn no_element_goes_to_a_getter_who_gave_up() {
    let queue = Queue::new();
    let (discarded, dropped, last) = (queue.get(), queue.get(), queue.get());
    discarded.discard();
    assert_discarded!(discarded);
    drop(dropped);
    queue.put(1);
    assert_eq!(now(last), 1);
    // But one that was given is the future's.
    let ready = queue.get();
    queue.put(2);
    assert_ready!(ready);
    drop(ready);
    assert!(queue.is_empty());
}

#[test]
fn a_queue_that_nobody_can_put_into_abandons() {
    let queue = Queue::<i32>::new();
    let waiting = queue.get();
    drop(queue);
    assert_abandoned!(waiting);
    assert_eq!(waiting.get(), Err(FutureError::Abandoned));
}

#[test]
fn a_bounded_queue_makes_putters_wait_in_order() {
    let queue = BoundedQueue::new(2);
    now(queue.put('a'));
    now(queue.put('b'));
    assert_eq!(queue.try_put('x'), Err('x'));
    let (third, withdrawn, fourth) = (queue.put('c'), queue.put('y'), queue.put('d'));
    assert_pending!(third);
    withdrawn.discard();
    assert_discarded!(withdrawn);
    drop(queue.put('z'));
    assert_eq!(now(queue.get()), 'a');
    assert_ready!(third);
    assert_pending!(fourth);
    assert_eq!((queue.len(), queue.capacity()), (2, 2));
    assert_eq!(queue.try_get(), Some('b'));
    assert_ready!(fourth);
    assert_eq!((now(queue.get()), now(queue.get())), ('c', 'd'));
    let waiting = queue.get();
    now(queue.put('e'));
    assert_eq!(now(waiting), 'e');
    assert!(queue.is_empty());
}

#[test]
fn without_room_putter_and_getter_meet() {
    let queue = BoundedQueue::new(0);
    let put = queue.put(1);
    assert_pending!(put);
    assert_eq!(queue.try_put(2), Err(2));
    assert_eq!(now(queue.get()), 1);
    assert_ready!(put);
    let get = queue.get();
    assert_eq!(queue.try_put(3), Ok(()));
    assert_eq!(now(get), 3);
    let put = queue.put(4);
    drop(queue);
    assert_abandoned!(put);
}

#[test]
fn callbacks_may_use_the_object_that_has_called_them() {
    let queue = Queue::new();
    let log = Log::default();
    let get = |name: &'static str| {
        let (queue, log) = (queue.clone(), log.clone());
        queue.clone().get().then(move |number: i32| {
            log.add(format!("{name} begins with {number}"));
            if number < 3 {
                queue.put(number + 1);
            }
            log.add(format!("{name} ends"));
        })
    };
    let futures = [get("a"), get("b"), get("c")];
    queue.put(1);
    futures.into_iter().for_each(now);
    // What a callback puts reaches its getter when the callback has returned.
    assert_eq!(
        log.entries(),
        [
            "a begins with 1",
            "a ends",
            "b begins with 2",
            "b ends",
            "c begins with 3",
            "c ends"
        ]
    );
}

#[test]
fn a_future_can_be_waited_for_with_a_limit_of_time() {
    let queue = Queue::<i32>::new();
    let late = queue.get().get_timeout(Duration::from_millis(1));
    assert_eq!(late, Err(FutureError::TimedOut));
    queue.put(1);
    assert_eq!(queue.len(), 1, "who did not wait any longer has no element");
}
