//! Compares the two block queues, and the locking one for scale.
//!
//! ```text
//! cargo run --release -p libprocess-queues --example compare_run_queues [ROUNDS]
//! ```
//!
//! The machine may be shared, so single figures mean little: in every round each queue runs once,
//! in turn, and what counts is the ratio of the medians, beside which the spread (the quartiles of
//! the ratios round by round) is printed. A ratio below 1 says that the queue is faster than
//! `segmented`.

mod turns;

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libprocess_queues::run::{ConcurrentRunQueue, LockingRunQueue, RunQueue, SegmentedRunQueue};
use turns::{Run, compare};

const ITEMS: usize = 200_000;

/// One thread enqueues and dequeues in turn: a worker whose process makes another one runnable.
fn alone<Q: RunQueue<usize>>() -> Duration {
    let queue = Q::new(1);
    let mut local = queue.local(0);
    let started = Instant::now();
    for item in 0..ITEMS {
        queue.enqueue(black_box(item));
        black_box(queue.dequeue(&mut local));
    }
    started.elapsed()
}

/// `pairs` producers and as many consumers, all at once, until every item is through.
fn across<Q: RunQueue<usize>>(pairs: usize) -> Duration {
    let queue = Q::new(pairs);
    let start = Barrier::new(2 * pairs + 1);
    let left = AtomicUsize::new(ITEMS);
    thread::scope(|scope| {
        for worker in 0..pairs {
            let (queue, start, left) = (&queue, &start, &left);
            scope.spawn(move || {
                start.wait();
                for item in 0..ITEMS / pairs {
                    queue.enqueue(black_box(item));
                }
            });
            scope.spawn(move || {
                let mut local = queue.local(worker);
                start.wait();
                // Relaxed: only counts; the items come through the queue.
                while left.load(Ordering::Relaxed) > 0 {
                    match queue.dequeue(&mut local) {
                        Some(item) => {
                            black_box(item);
                            left.fetch_sub(1, Ordering::Relaxed);
                        }
                        // There may be more threads than processors.
                        None => thread::yield_now(),
                    }
                }
            });
        }
        start.wait();
        Instant::now()
    })
    .elapsed()
}

/// The names and runs of one scenario, for each queue in the order in which they take turns.
macro_rules! turns {
    (|$queue:ident| $run:expr) => {
        [
            turns!(@one SegmentedRunQueue, $queue, $run),
            turns!(@one ConcurrentRunQueue, $queue, $run),
            turns!(@one LockingRunQueue, $queue, $run),
        ]
    };
    (@one $type:ident, $queue:ident, $run:expr) => {{
        type $queue = $type<usize>;
        (<$queue as RunQueue<usize>>::NAME, (|| $run) as Run)
    }};
}

fn main() {
    let rounds = turns::rounds();
    let compare = |name, queues| compare(name, rounds, ITEMS, queues);
    compare("one thread", turns!(|Queue| alone::<Queue>()));
    compare("1 producer/consumer", turns!(|Queue| across::<Queue>(1)));
    compare("2 producers/consumers", turns!(|Queue| across::<Queue>(2)));
}
