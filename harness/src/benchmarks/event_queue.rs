//! The event queue by itself, without a runtime.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[cfg(feature = "lock-free-event-queue")]
use libprocess_queues::event::LockFreeEventQueue as EventQueueOfFeatures;
#[cfg(not(feature = "lock-free-event-queue"))]
use libprocess_queues::event::LockingEventQueue as EventQueueOfFeatures;
use libprocess_queues::event::{Enqueued, EventQueue, Node};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Checks;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::share;

/// libprocess's three benchmarks of its queue of events, with the event queue that the features choose.
///
/// Each item is a block that the producer allocates and the consumer frees, as a node of the original's queue is.
pub(crate) enum MpscLinkedQueue {
    /// Producers and the consumer at the same time.
    Contended,
    /// The consumer alone, and nothing there.
    Empty,
    /// First the producers, then the consumer.
    NonContendedRead,
}

/// Who made it, and how many it had made before.
type Item = (u64, u64);
type Queue = EventQueueOfFeatures<Box<Node<Item>>>;

impl Benchmark for MpscLinkedQueue {
    fn name(&self) -> &'static str {
        match self {
            Self::Contended => "ProcessTest.Process_BENCHMARK_MpscLinkedQueue",
            Self::Empty => "ProcessTest.Process_BENCHMARK_MpscLinkedQueueEmpty",
            Self::NonContendedRead => {
                "ProcessTest.Process_BENCHMARK_MpscLinkedQueueNonContendedRead"
            }
        }
    }

    fn summary(&self) -> &'static str {
        match self {
            Self::Contended => {
                "The event queue alone: threads that enqueue (`--actors`, by default a core less than there are) and one that takes out at the \
                 same time; the figure is what that one takes out."
            }
            Self::Empty => {
                "The event queue alone: one thread that looks into an empty one; a tenth of the original's looks by default."
            }
            Self::NonContendedRead => {
                "The event queue alone: threads that enqueue (`--actors`, by default a core less than there are), and when they have ended one that \
                 takes out; the figure is what that one takes out. All items are in memory at once."
            }
        }
    }

    fn unit(&self) -> &'static str {
        match self {
            Self::Contended | Self::NonContendedRead => "items/s",
            Self::Empty => "looks/s",
        }
    }

    fn defaults(&self) -> Defaults {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let producers = cores.saturating_sub(1).max(1);
        match self {
            Self::Empty => Defaults::new(100_000_000),
            _ => Defaults::new(10_000_000).actors(producers, 1),
        }
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let repeat = setting.parameters.repeat;
        let queue = Queue::closed();
        queue.open();
        match self {
            Self::Empty => look_into_empty(setting, &queue),
            Self::Contended => {
                let taken_out = AtomicU64::new(0);
                let producers = setting.parameters.actors.unwrap_or(1);
                // Both begin together, as each measures its own time.
                let begin = Barrier::new(2);
                let (enqueued, consumed) = std::thread::scope(|scope| {
                    let consumer = scope.spawn(|| {
                        begin.wait();
                        consume(&queue, repeat, producers, |done| {
                            // Relaxed: for the progress bar.
                            taken_out.store(done, Ordering::Relaxed);
                        })
                    });
                    begin.wait();
                    let enqueued = produce(&queue, repeat, producers);
                    while !consumer.is_finished() {
                        setting.progress.advance(taken_out.load(Ordering::Relaxed));
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    let consumed = consumer.join();
                    (enqueued, consumed)
                });
                let consumed = consumed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                finish(&queue, repeat, enqueued, consumed)
            }
            Self::NonContendedRead => {
                let producers = setting.parameters.actors.unwrap_or(1);
                let enqueued = produce(&queue, repeat, producers);
                let consumed = consume(&queue, repeat, producers, |done| {
                    setting.progress.advance(done);
                });
                finish(&queue, repeat, enqueued, consumed)
            }
        }
    }
}

fn look_into_empty(setting: &Setting<'_>, queue: &Queue) -> Result<Sample, Failure> {
    let repeat = setting.parameters.repeat;
    let mut found = 0;
    let started = Instant::now();
    for n in 0..repeat {
        found += u64::from(!black_box(queue).take().is_empty());
        if n % (1 << 20) == 0 {
            setting.progress.advance(n);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut checks = Checks::new();
    checks.equal("items found in an empty queue", found, 0);
    checks.finish()?;
    let verified = format!("{}, nothing found", count(repeat, "look"));
    Ok(Sample::rate(repeat, seconds, verified))
}

/// How long it took the producers, and how many items were refused.
fn produce(queue: &Queue, repeat: u64, producers: u64) -> (f64, u64) {
    let started = Instant::now();
    let refused = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..producers)
            .map(|producer| {
                scope.spawn(move || {
                    let mut refused = 0;
                    for n in 0..share(repeat, producers, producer) {
                        match queue.enqueue(Node::new((producer, n))) {
                            Enqueued::Queued | Enqueued::Schedule => {}
                            Enqueued::Closed(_) => refused += 1,
                        }
                    }
                    refused
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .sum()
    });
    (started.elapsed().as_secs_f64(), refused)
}

/// How long it took to take them all out, and how many were not the next of their producer.
fn consume(queue: &Queue, repeat: u64, producers: u64, progress: impl Fn(u64)) -> (f64, u64) {
    let mut next = vec![0; crate::trial::in_memory(producers)];
    let (mut taken_out, mut out_of_order, mut reported) = (0, 0, 0);
    let started = Instant::now();
    while taken_out < repeat {
        let mut batch = queue.take();
        if batch.is_empty() {
            // The original's consumer spins. This one lets the producers run where there are fewer cores than threads.
            std::thread::yield_now();
        }
        while let Some(node) = batch.pop_front() {
            let (producer, n) = node.into_item();
            let next = &mut next[producer as usize];
            out_of_order += u64::from(*next != n);
            *next = n + 1;
            taken_out += 1;
        }
        if taken_out - reported >= 1 << 16 {
            reported = taken_out;
            progress(taken_out);
        }
    }
    (started.elapsed().as_secs_f64(), out_of_order)
}

fn finish(
    queue: &Queue,
    repeat: u64,
    (producers_seconds, refused): (f64, u64),
    (seconds, out_of_order): (f64, u64),
) -> Result<Sample, Failure> {
    let mut checks = Checks::new();
    checks.equal("items refused", refused, 0);
    checks.equal("items out of their producer's order", out_of_order, 0);
    checks.equal("items left", queue.close().len() as u64, 0);
    checks.finish()?;
    let verified = format!("{} taken out, each in order", count(repeat, "item"));
    let enqueued = repeat as f64 / producers_seconds;
    Ok(Sample::rate(repeat, seconds, verified).also("enqueued/s", enqueued))
}
