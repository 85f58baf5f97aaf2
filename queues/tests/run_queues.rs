//! One suite for every run queue.

#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod common;

use common::thread;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};

use common::{Books, InOrder, Item, scaled, until_hit, with_seeds};
use libprocess_queues::run::{
    ConcurrentRunQueue, Extract, LockFreeRunQueue, LockingRunQueue, RunQueue, SegmentedRunQueue,
    WorkStealingRunQueue,
};

fn what_goes_in_comes_out_in_order<Q: RunQueue<Item>>() {
    let books = Books::default();
    let queue = Q::new(1);
    let mut local = queue.local(0);
    assert!(queue.dequeue(&mut local).is_none());
    assert!(queue.is_empty());
    for number in 0..100 {
        if number % 2 == 0 {
            queue.enqueue(books.item(0, number));
        } else {
            queue.enqueue_local(&mut local, books.item(0, number));
        }
    }
    assert_eq!(queue.len(), 100);
    assert!(!queue.is_empty());
    for number in 0..100 {
        assert_eq!(queue.dequeue(&mut local).unwrap().number, number);
    }
    assert!(queue.dequeue(&mut local).is_none());
    assert_eq!((queue.len(), books.dropped()), (0, 100));
}

fn a_dropped_queue_drops_what_is_left<Q: RunQueue<Item>>() {
    let books = Books::default();
    let queue = Q::new(2);
    let mut local = queue.local(1);
    for number in 0..50 {
        queue.enqueue(books.item(0, number));
    }
    drop(queue.dequeue(&mut local));
    drop(queue);
    drop(local);
    assert_eq!(books.dropped(), 50);
}

fn one_producer_and_one_consumer_keep_the_order<Q: RunQueue<Item>>() {
    let books = Books::default();
    let queue = Q::new(1);
    let count = scaled(20_000);
    let mut seen = InOrder::new(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                queue.enqueue(books.item(0, number));
            }
        });
        let mut local = queue.local(0);
        while seen.total() < count {
            match queue.dequeue(&mut local) {
                Some(item) => seen.see(item.from, item.number),
                None => thread::yield_now(),
            }
        }
    });
    assert!(queue.is_empty());
    assert_eq!(books.dropped(), count);
}

/// Four producers, four workers: every item comes out once, and each worker sees the items of one
/// producer in order.
fn every_item_comes_out_once<Q: RunQueue<Item>>() {
    // Hit where more than one worker got something.
    until_hit(4, |_| workers_that_got_items::<Q>(scaled(1_000)) > 1);
}

fn workers_that_got_items<Q: RunQueue<Item>>(each: usize) -> usize {
    const THREADS: usize = 4;
    let books = Books::default();
    let queue = Q::new(THREADS);
    let left = AtomicUsize::new(THREADS * each);
    let seen = Mutex::new(Vec::new());
    let start = Barrier::new(2 * THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (queue, books, left, seen, start) = (&queue, &books, &left, &seen, &start);
            scope.spawn(move || {
                start.wait();
                for number in 0..each {
                    queue.enqueue(books.item(thread, number));
                }
            });
            scope.spawn(move || {
                let mut local = queue.local(thread);
                let mut own = Vec::new();
                start.wait();
                // Relaxed: only counts, the items themselves come through the queue.
                while left.load(Ordering::Relaxed) > 0 {
                    match queue.dequeue(&mut local) {
                        Some(item) => {
                            left.fetch_sub(1, Ordering::Relaxed);
                            own.push((item.from, item.number));
                        }
                        None => thread::yield_now(),
                    }
                }
                // Not `lock`: ThreadSanitizer does not see std's slow path where std is not instrumented.
                while let Err(_held) = seen
                    .try_lock()
                    .map(|mut seen| seen.push(std::mem::take(&mut own)))
                {
                    thread::yield_now();
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    for own in &seen {
        let mut last = [None; THREADS];
        for (from, number) in own {
            assert!(
                last[*from] < Some(*number),
                "items of one producer changed places"
            );
            last[*from] = Some(*number);
        }
    }
    let workers = seen.iter().filter(|own| !own.is_empty()).count();
    let mut all: Vec<_> = seen.into_iter().flatten().collect();
    all.sort_unstable();
    let expected = (0..THREADS).flat_map(|from| (0..each).map(move |number| (from, number)));
    assert!(all.into_iter().eq(expected));
    assert_eq!(books.dropped(), THREADS * each);
    workers
}

/// Random operations of one thread, beside a reference that is too simple to be wrong.
fn it_behaves_as_the_reference<Q: RunQueue<Item>>() {
    with_seeds(if cfg!(miri) { 3 } else { 100 }, |random| {
        let books = Books::default();
        let queue = Q::new(1);
        let mut local = queue.local(0);
        let mut reference = VecDeque::new();
        // Phases of growth and of decay, so that blocks and buffers come and go.
        for number in 0..600 {
            let growing = number / 150 % 2 == 0;
            if random.below(4) < if growing { 3 } else { 1 } {
                queue.enqueue(books.item(0, number));
                reference.push_back(number);
            } else {
                let item = queue.dequeue(&mut local);
                assert_eq!(item.map(|item| item.number), reference.pop_front());
            }
            assert_eq!(
                (queue.len(), queue.is_empty()),
                (reference.len(), reference.is_empty())
            );
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
                    super::$test::<$queue<Item>>();
                }
            )*
        }
    };
    ($($name:ident: $queue:ident),* $(,)?) => {
        $(suite!($name, $queue, [
            what_goes_in_comes_out_in_order,
            a_dropped_queue_drops_what_is_left,
            one_producer_and_one_consumer_keep_the_order,
            every_item_comes_out_once,
            it_behaves_as_the_reference,
        ]);)*
    };
}

// It keeps no order among what a worker puts in by itself: see `work_stealing.rs`.
suite!(
    work_stealing,
    WorkStealingRunQueue,
    [
        a_dropped_queue_drops_what_is_left,
        one_producer_and_one_consumer_keep_the_order,
        every_item_comes_out_once,
        it_behaves_as_the_reference,
    ]
);

suite! {
    locking: LockingRunQueue,
    segmented: SegmentedRunQueue,
    concurrent: ConcurrentRunQueue,
    lock_free: LockFreeRunQueue,
}

#[test]
fn the_locking_queue_can_be_searched() {
    let books = Books::default();
    let queue = LockingRunQueue::new(1);
    for number in 0..10 {
        queue.enqueue(books.item(number % 2, number));
    }
    assert_eq!(
        queue.extract(|item| item.from == 1).unwrap().number,
        1,
        "the oldest that matches"
    );
    assert!(queue.extract(|item| item.number == 1).is_none());
    let search = || queue.extract(|item| item.number == 4 && panic!("no"));
    assert!(catch_unwind(AssertUnwindSafe(search)).is_err());
    let left: Vec<_> = std::iter::from_fn(|| queue.dequeue(&mut ()))
        .map(|item| item.number)
        .collect();
    assert_eq!(left, [0, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(books.dropped(), 10);
}

#[test]
fn the_locking_queue_gives_memory_back_after_a_burst() {
    let queue = LockingRunQueue::new(1);
    assert_eq!(queue.capacity(), 0);
    for item in 0..10_000 {
        queue.enqueue(item);
    }
    assert!(queue.capacity() >= 10_000);
    for item in 0..10_000 {
        assert_eq!(queue.dequeue(&mut ()), Some(item));
    }
    assert!(
        queue.capacity() <= 128,
        "{} places are kept",
        queue.capacity()
    );
}

#[test]
fn the_sizes_are_as_documented() {
    assert_eq!(size_of::<LockingRunQueue<usize>>(), 40);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(size_of::<SegmentedRunQueue<usize>>(), 256);
        assert_eq!(size_of::<ConcurrentRunQueue<usize>>(), 512);
    }
}
