//! The run queue behind a mutex: the reference for the others, and the one that can be searched.

use std::collections::VecDeque;
use std::fmt;

use crate::sync::{Mutex, lock};

use super::{Extract, RunQueue};

/// A ring buffer behind a mutex.
///
/// **Order**: first in, first out.
///
/// **Progress**: every operation blocks while another thread is in one. Most are a handful of
/// instructions; one that grows or shrinks the buffer moves what is in it, which is O(1) per item
/// in the long run.
///
/// **Memory**: nothing is allocated while nothing was ever enqueued. The buffer doubles when it is
/// full. When no more than a quarter of it is in use it falls back to half, again and again until
/// it has room for 64 items: memory comes back after a burst, and a queue whose length swings
/// around one size does not allocate at each swing, as it would have to double or halve in between.
///
/// ```
/// use libprocess_queues::run::{LockingRunQueue, RunQueue};
///
/// let queue = LockingRunQueue::new(1);
/// queue.enqueue("first");
/// queue.enqueue("second");
/// assert_eq!(queue.dequeue(&mut ()), Some("first"));
/// assert_eq!(queue.len(), 1);
/// ```
pub struct LockingRunQueue<T> {
    items: Mutex<VecDeque<T>>,
}

/// The room that is kept however little of it is used: to give back less is not worth an allocation
/// later.
const KEPT: usize = 64;

impl<T> LockingRunQueue<T> {
    /// How many items the buffer has room for now.
    ///
    /// ```
    /// use libprocess_queues::run::{LockingRunQueue, RunQueue};
    ///
    /// let queue = LockingRunQueue::<u8>::new(4);
    /// assert_eq!(queue.capacity(), 0);
    /// ```
    pub fn capacity(&self) -> usize {
        lock(&self.items).capacity()
    }
}

/// Halves the buffer when a quarter of it is enough.
#[inline]
fn shrink<T>(items: &mut VecDeque<T>) {
    let capacity = items.capacity();
    if capacity > KEPT && items.len() <= capacity / 4 {
        shrink_to(items, (capacity / 2).max(KEPT));
    }
}

#[cold]
#[inline(never)]
fn shrink_to<T>(items: &mut VecDeque<T>, capacity: usize) {
    items.shrink_to(capacity);
}

impl<T: Send> RunQueue<T> for LockingRunQueue<T> {
    const NAME: &'static str = "locking";

    type Local = ();

    fn new(_workers: usize) -> Self {
        LockingRunQueue {
            items: Mutex::new(VecDeque::new()),
        }
    }

    fn local(&self, _worker: usize) {}

    fn enqueue(&self, item: T) {
        lock(&self.items).push_back(item);
    }

    fn dequeue(&self, _local: &mut ()) -> Option<T> {
        let mut items = lock(&self.items);
        let item = items.pop_front()?;
        shrink(&mut items);
        Some(item)
    }

    fn len(&self) -> usize {
        lock(&self.items).len()
    }
}

impl<T: Send> Extract<T> for LockingRunQueue<T> {
    /// Takes out the oldest item that `matches`, under the lock.
    ///
    /// If `matches` panics, the queue is as it was and goes on working.
    fn extract(&self, matches: impl FnMut(&T) -> bool) -> Option<T> {
        let mut items = lock(&self.items);
        let at = items.iter().position(matches)?;
        let item = items.remove(at);
        shrink(&mut items);
        item
    }
}

impl<T: Send> fmt::Debug for LockingRunQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockingRunQueue")
            .field("len", &self.len())
            .finish()
    }
}
