//! The run queue over `ConcurrentQueue`.

use std::fmt;

use concurrent_queue::ConcurrentQueue;

use super::RunQueue;

/// A linked list of blocks of 31 slots, as the `concurrent-queue` crate has it.
///
/// **Order**: first in, first out.
///
/// **Progress**: as [`SegmentedRunQueue`](super::SegmentedRunQueue), of whose algorithm it is a
/// descendant, with two differences: who has to wait gives its time slice away at once instead of
/// spinning first, and a failed attempt is repeated without a pause.
///
/// **Memory**: 512 bytes on x86-64 and no block while nothing was ever enqueued, then one block.
/// Blocks are freed as soon as all of their slots were read: memory comes back after a burst. One
/// allocation per 31 items.
///
/// ```
/// use libprocess_queues::run::{ConcurrentRunQueue, RunQueue};
///
/// let queue = ConcurrentRunQueue::new(1);
/// queue.enqueue("first");
/// queue.enqueue("second");
/// assert_eq!(queue.dequeue(&mut ()), Some("first"));
/// assert_eq!(queue.len(), 1);
/// ```
pub struct ConcurrentRunQueue<T> {
    items: ConcurrentQueue<T>,
}

impl<T: Send> RunQueue<T> for ConcurrentRunQueue<T> {
    const NAME: &'static str = "concurrent";

    type Local = ();

    fn new(_workers: usize) -> Self {
        ConcurrentRunQueue {
            items: ConcurrentQueue::unbounded(),
        }
    }

    fn local(&self, _worker: usize) {}

    #[inline]
    fn enqueue(&self, item: T) {
        let refused = self.items.push(item).is_err();
        // An unbounded queue refuses only when it is closed, and nobody outside can close this one.
        assert!(!refused, "a queue that is never closed refused an item");
    }

    #[inline]
    fn dequeue(&self, _local: &mut ()) -> Option<T> {
        self.items.pop().ok()
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T: Send> fmt::Debug for ConcurrentRunQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrentRunQueue")
            .field("len", &self.len())
            .finish()
    }
}
