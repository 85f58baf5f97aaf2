//! Which of the two block queues the lock-free run queue is, and the measurement that decided it.

use super::SegmentedRunQueue;

/// The lock-free run queue: [`SegmentedRunQueue`].
///
/// # Why this one
///
/// ```text
/// cargo run --release -p libprocess-queues --example compare_run_queues 41
/// ```
///
/// On a shared virtual machine with two processors (Intel Xeon), the queues taking turns in every
/// round, two runs of 41 rounds; median time for each item, and its ratio to `segmented`:
///
/// | threads | segmented | [concurrent](super::ConcurrentRunQueue) | ratio | [locking](super::LockingRunQueue) | ratio |
/// |---|---|---|---|---|---|
/// | one, which enqueues and dequeues in turn | 47 ns | 48 ns | 1.02 to 1.03 | 39 ns | 0.84 |
/// | 1 producer, 1 consumer | 64 to 67 ns | 65 to 68 ns | 1.01 to 1.02 | 124 to 137 ns | 1.9 to 2.0 |
/// | 2 producers, 2 consumers | 50 to 52 ns | 65 to 85 ns | 1.3 to 1.6 | 159 to 184 ns | 3.2 to 3.5 |
///
/// The two block queues are the same where there is little contention. Where there is more, this one
/// backs off between attempts and the other does not; and where a thread has to wait, this one
/// spins for a moment before it gives its time slice away. It is also half the size. One thread on
/// its own is served best by a mutex, which needs one atomic operation less for an enqueue and a
/// dequeue, and allocates nothing; but a run queue is rarely alone with one thread.
///
/// # How lock-free it is
///
/// Not from end to end. An enqueue first reserves a slot and then writes it. A dequeue that has
/// reserved the same slot waits for it to be written, so a producer that is paused between the two
/// holds that one consumer up for as long as it is paused, though not the others. The same goes for
/// the end of a block: until the producer of its last slot has linked the next one, producers and
/// consumers that need it wait. A mutex has such a moment in every operation and for everybody; here
/// it is a few instructions long for one consumer, and comes once in 31 items for all.
///
/// ```
/// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
///
/// let queue = LockFreeRunQueue::new(2);
/// queue.enqueue("runnable");
/// assert_eq!(queue.dequeue(&mut queue.local(0)), Some("runnable"));
/// ```
pub type LockFreeRunQueue<T> = SegmentedRunQueue<T>;
