//! Small benchmarks of libprocess and its parts, with criterion.
//!
//! ```text
//! cargo bench -p libprocess-benches                    # all of them: some minutes, once built
//! cargo bench -p libprocess-benches -- event_queue     # a group
//! cargo bench -p libprocess-benches -- --list          # their names
//! cargo criterion -p libprocess-benches                # the same with cargo-criterion
//! ```
//!
//! How two builds are compared is told in `docs/benchmarks.md`.
//!
//! | group | what is measured | variants |
//! |---|---|---|
//! | `semaphore` | a signal and the wait that uses it, with nobody waiting; `handover`: two threads that wake each other | each semaphore |
//! | `run_queue` | an enqueue and a dequeue, in one thread: of a worker; `from_outside`, of what no worker enqueued; `from_another`, of what another worker has | each run queue |
//! | `event_queue` | an item from a producer through the queue to the receiver | each event queue, 1, 2, 4 and 8 producers |
//! | `dispatch` | a dispatch and its result, from a thread that is no worker; `detached`, without the result; `between_processes`, with an event for the result | a method, a closure |
//! | `spawn` | spawn, terminate, wait; `link_exit`: spawn, link, and the end that is heard of | |
//! | `message` | a message to a process and one back | |
//! | `future` | a promise that is set and its future, read, awaited and discarded; `then`, alone and ten in a chain; ten together | |
//! | `timer` | a timer that is started and cancelled, with 10,000 pending; a thousand that fire together | |
//! | `codec/server` | a request that is read and a response that is written; `no_codec`: as many bytes as those of `get`, and no more | of `curl`'s size, as browsers ask, with 1 KiB in one piece and in chunks |
//! | `codec/client` | a request that is written and a response that is read | in one piece, in chunks |
//! | `codec/message` | a message of another runtime that is read, and one to another that is written | |
//! | `codec/protobuf` | a protobuf message decoded for its handler; one encoded and sent | |
//! | `codec/value` | the values that are in heads and URLs, from text and to text | |
//! | `ring_wakes` | two threads that wake each other out of the sleep in their io_urings, on one core and on two | each way the kernel has, and a plain futex |
//!
//! The names are stable: criterion compares with the last time by them. `names/*.txt` lists them, and `cargo test` fails when they are others ([`names`]). The first three groups measure every
//! implementation, whatever the features; the others the one that libprocess was built with, which is said at the start. Each benchmark checks what it did, and `cargo test` runs each once.
//!
//! Figures of whole systems, and of memory, are the harness's business; these find what a change costs, one operation at a time. On a
//! shared machine look at the ratio of two runs one after the other, not at the figure.
//!
//! This library holds the parts that are worth testing: [`through`], and [`names`].

pub mod names;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use libprocess_queues::event::{Enqueued, EventQueue, Node};

/// An item as event queues carry it.
pub type Item = Box<Node<u64>>;

/// The time that `items` items take from `producers` threads through an event queue to the receiver, this thread.
///
/// Items and threads are made before the clock starts, which is when all threads are ready, and freed after it stops: it is the queue
/// that is measured, not the allocator. Each producer makes an equal share; what the division leaves over, the first one makes. The
/// receiver takes, looks at each item in turn, and rests, as a worker does; while nothing is there it gives its time slice away.
///
/// Takes time and memory proportional to `items`, at 16 bytes and two words of the allocator's each.
///
/// # Panics
///
/// If there is no producer; or if an item is lost, or comes twice, or out of its producer's order.
///
/// ```
/// use libprocess_benches::{Item, through};
/// use libprocess_queues::event::LockFreeEventQueue;
///
/// let time = through::<LockFreeEventQueue<Item>>(1_000, 4);
/// println!("{} ns for each", time.as_nanos() / 1_000);
/// ```
pub fn through<Q: EventQueue<Item>>(items: u64, producers: u64) -> Duration {
    assert!(producers > 0, "nobody would enqueue");
    let queue = Q::closed();
    queue.open();
    // The opener holds the token; idle is how the producers are to find the queue.
    let _idle = queue.rest();
    let ready =
        Barrier::new(usize::try_from(producers).map_or(usize::MAX, |producers| producers + 1));
    let mut received: Vec<Item> = Vec::with_capacity(usize::try_from(items).unwrap_or(0));

    let time = thread::scope(|scope| {
        for producer in 0..producers {
            let (queue, ready) = (&queue, &ready);
            scope.spawn(move || {
                let share = items / producers + if producer == 0 { items % producers } else { 0 };
                let made: Vec<Item> = (0..share)
                    .map(|number| Node::new(number * producers + producer))
                    .collect();
                ready.wait();
                for item in made {
                    // The receiver looks by itself, so nobody needs to schedule it.
                    if let Enqueued::Closed(_) = queue.enqueue(item) {
                        unreachable!("the queue is open");
                    }
                }
            });
        }
        ready.wait();
        let started = Instant::now();
        while (received.len() as u64) < items {
            let batch = queue.take();
            if batch.is_empty() {
                thread::yield_now();
                continue;
            }
            // What is pending means that a producer won the token. We are who would be scheduled by it.
            received.extend(batch);
            // Pending or not, the next thing to do is to look: there is nothing else to run.
            let _next = queue.rest();
        }
        started.elapsed()
    });

    check(&received, producers);
    time
}

/// Each item says who made it, and the how-manieth of his it is.
fn check(received: &[Item], producers: u64) {
    let mut next = vec![0; usize::try_from(producers).unwrap_or(0)];
    for item in received {
        let number: u64 = ***item;
        let (producer, number) = (number % producers, number / producers);
        let expected = &mut next[producer as usize];
        assert_eq!(number, *expected, "of producer {producer}");
        *expected += 1;
    }
}

#[cfg(test)]
mod tests {
    use libprocess_queues::event::{LockFreeEventQueue, LockingEventQueue};

    use super::*;

    #[test]
    fn every_item_comes_through() {
        for producers in 1..=4 {
            for items in [0, 1, 2, 5, 1_000] {
                // Panics if one does not.
                through::<LockFreeEventQueue<Item>>(items, producers);
                through::<LockingEventQueue<Item>>(items, producers);
            }
        }
    }

    #[test]
    #[should_panic = "of producer 1"]
    fn an_item_out_of_order_is_noticed() {
        check(&[Node::new(3), Node::new(1)], 2);
    }

    #[test]
    #[should_panic = "of producer 0"]
    fn an_item_that_comes_twice_is_noticed() {
        check(&[Node::new(0), Node::new(1), Node::new(0)], 2);
    }
}
