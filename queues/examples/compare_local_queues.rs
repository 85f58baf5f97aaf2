//! Compares the work-stealing run queue with the deques that schedulers are usually built of.
//!
//! ```text
//! cargo run --release -p libprocess-queues --example compare_local_queues [ROUNDS]
//! ```
//!
//! `work-stealing` is the whole run queue: a worker's turn is the place for what comes next, the ring, and a look at the injector.
//! The others are the deque alone, first in, first out, which is what it would be built of; the rest would come on top.
//! How the figures are taken: see `compare_run_queues`.

mod turns;

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libprocess_queues::run::{RunQueue, WorkStealingLocal, WorkStealingRunQueue};
use turns::{Run, compare};

const ITEMS: usize = 200_000;
/// What a worker has while it makes more runnable.
const WAITING: usize = 8;

/// A worker's queue and what a thief has of it.
trait Local: Send + Sized {
    type Thief: Send;
    fn new() -> (Self, Self::Thief);
    fn push(&mut self, item: usize);
    fn pop(&mut self) -> Option<usize>;
    /// Steals half, and counts what it got.
    fn steal(thief: &mut Self::Thief) -> usize;
}

struct Ours(
    std::sync::Arc<WorkStealingRunQueue<usize>>,
    WorkStealingLocal<usize>,
);

impl Local for Ours {
    type Thief = Ours;

    fn new() -> (Self, Self) {
        let queue = std::sync::Arc::new(WorkStealingRunQueue::new(2));
        let (one, other) = (queue.local(0), queue.local(1));
        (Ours(queue.clone(), one), Ours(queue, other))
    }

    fn push(&mut self, item: usize) {
        let _placed = self.0.enqueue_local(&mut self.1, item);
    }

    fn pop(&mut self) -> Option<usize> {
        self.0.dequeue(&mut self.1)
    }

    fn steal(thief: &mut Self) -> usize {
        let mut got = usize::from(thief.0.steal(&mut thief.1).is_some());
        while got > 0 && thief.pop().is_some() {
            got += 1;
        }
        got
    }
}

struct Crossbeam(crossbeam_deque::Worker<usize>);

impl Local for Crossbeam {
    type Thief = (
        crossbeam_deque::Worker<usize>,
        crossbeam_deque::Stealer<usize>,
    );

    fn new() -> (Self, Self::Thief) {
        let own = crossbeam_deque::Worker::new_fifo();
        let stealer = own.stealer();
        (
            Crossbeam(own),
            (crossbeam_deque::Worker::new_fifo(), stealer),
        )
    }

    fn push(&mut self, item: usize) {
        self.0.push(item);
    }

    fn pop(&mut self) -> Option<usize> {
        self.0.pop()
    }

    fn steal((own, from): &mut Self::Thief) -> usize {
        let mut got = usize::from(from.steal_batch_and_pop(own).success().is_some());
        while got > 0 && own.pop().is_some() {
            got += 1;
        }
        got
    }
}

struct St3(st3::fifo::Worker<usize>);

impl Local for St3 {
    type Thief = (st3::fifo::Worker<usize>, st3::fifo::Stealer<usize>);

    fn new() -> (Self, Self::Thief) {
        let own = st3::fifo::Worker::new(256);
        let stealer = own.stealer();
        (St3(own), (st3::fifo::Worker::new(256), stealer))
    }

    fn push(&mut self, item: usize) {
        // Full only while a thief that was interrupted has places in hand.
        let mut item = item;
        while let Err(back) = self.0.push(item) {
            item = back;
            thread::yield_now();
        }
    }

    fn pop(&mut self) -> Option<usize> {
        self.0.pop()
    }

    fn steal((own, from): &mut Self::Thief) -> usize {
        let stolen = from.steal_and_pop(own, |available| available - available / 2);
        let mut got = usize::from(stolen.is_ok());
        while got > 0 && own.pop().is_some() {
            got += 1;
        }
        got
    }
}

/// A worker makes one runnable and takes one, while others wait.
fn alone<Q: Local>() -> Duration {
    let (mut queue, _thief) = Q::new();
    (0..WAITING).for_each(|item| queue.push(item));
    let started = Instant::now();
    for item in 0..ITEMS {
        queue.push(black_box(item));
        black_box(queue.pop());
    }
    started.elapsed()
}

/// The same while a thief takes half whenever there is something: until all are through.
fn robbed<Q: Local>() -> Duration {
    let (mut queue, mut thief) = Q::new();
    let (start, done, stolen) = (Barrier::new(2), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let (start, done, stolen) = (&start, &done, &stolen);
        scope.spawn(move || {
            start.wait();
            // Relaxed: the items come through the queue.
            while !done.load(Ordering::Relaxed) {
                match Q::steal(&mut thief) {
                    0 => std::hint::spin_loop(),
                    got => {
                        stolen.fetch_add(got, Ordering::Relaxed);
                    }
                }
            }
        });
        start.wait();
        let started = Instant::now();
        let mut taken = 0;
        for round in 0..ITEMS / WAITING {
            (0..WAITING).for_each(|item| queue.push(black_box(round + item)));
            while queue.pop().is_some() {
                taken += 1;
            }
        }
        while taken + stolen.load(Ordering::Relaxed) < ITEMS {
            taken += usize::from(queue.pop().is_some());
        }
        let time = started.elapsed();
        done.store(true, Ordering::Relaxed);
        time
    })
}

fn main() {
    let rounds = turns::rounds();
    let runs: [[(&str, Run); 3]; 2] = [
        [
            ("work-stealing", alone::<Ours>),
            ("crossbeam", alone::<Crossbeam>),
            ("st3", alone::<St3>),
        ],
        [
            ("work-stealing", robbed::<Ours>),
            ("crossbeam", robbed::<Crossbeam>),
            ("st3", robbed::<St3>),
        ],
    ];
    compare("own turns", rounds, ITEMS, runs[0]);
    compare("with a thief", rounds, ITEMS, runs[1]);
}
