//! The run queue over crossbeam's `SegQueue`.

use std::fmt;

use crossbeam_queue::SegQueue;

use super::RunQueue;

/// A linked list of blocks of 31 slots, as crossbeam has it.
///
/// **Order**: first in, first out.
///
/// **Progress**: an enqueue reserves a slot by a compare-and-swap, then writes it; the one that
/// reserves the last slot of a block also links the next block, and the others wait for it. A
/// dequeue reserves likewise, and then waits for a slot that is reserved but not yet written: a
/// producer that is paused between the two holds up the consumer that reserved its slot (the others
/// go on). So it is lock-free from operation to operation but not end to end.
///
/// **Memory**: 256 bytes on x86-64 and no block while nothing was ever enqueued, then one block.
/// Blocks are freed as soon as all of their slots were read: memory comes back after a burst. One
/// allocation per 31 items.
///
/// ```
/// use libprocess_queues::run::{RunQueue, SegmentedRunQueue};
///
/// let queue = SegmentedRunQueue::new(1);
/// queue.enqueue("first");
/// queue.enqueue("second");
/// assert_eq!(queue.dequeue(&mut ()), Some("first"));
/// assert_eq!(queue.len(), 1);
/// ```
pub struct SegmentedRunQueue<T> {
    items: SegQueue<T>,
}

impl<T: Send> RunQueue<T> for SegmentedRunQueue<T> {
    const NAME: &'static str = "segmented";

    type Local = ();

    fn new(_workers: usize) -> Self {
        SegmentedRunQueue {
            items: SegQueue::new(),
        }
    }

    fn local(&self, _worker: usize) {}

    #[inline]
    fn enqueue(&self, item: T) {
        self.items.push(item);
    }

    #[inline]
    fn dequeue(&self, _local: &mut ()) -> Option<T> {
        self.items.pop()
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T: Send> fmt::Debug for SegmentedRunQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentedRunQueue")
            .field("len", &self.len())
            .finish()
    }
}
