use std::fmt;
use std::sync::Arc;

use super::queue::Shared;
use crate::future::Future;

/// A queue for so many elements at most, whose `put` gives a [`Future`] too: as [`Queue`](super::Queue), but a putter waits for room.
///
/// Putters who wait come first come, first served too, so elements are in the order of the calls. With a capacity of zero nothing is stored: a putter waits
/// until a getter takes his element.
///
/// Cheap to clone: a clone is a handle to the same queue. If the last handle is dropped, all who wait are abandoned, and elements are dropped.
///
/// # Cost
///
/// As for [`Queue`](super::Queue); `put` is one allocation, some more and O(log putters) if it has to wait. Room is not reserved: an empty queue is small.
///
/// ```
/// use libprocess::sync::BoundedQueue;
///
/// let queue = BoundedQueue::new(1);
/// assert!(queue.put('a').is_ready());
/// let second = queue.put('b');
/// assert!(second.is_pending());
/// assert_eq!(queue.get().get(), Ok('a'));
/// assert!(second.is_ready());
/// ```
pub struct BoundedQueue<T: Send + 'static> {
    shared: Arc<Shared<T>>,
}

impl<T: Send + 'static> BoundedQueue<T> {
    /// An empty queue with room for `capacity` elements.
    pub fn new(capacity: usize) -> Self {
        Self {
            shared: Shared::new(capacity),
        }
    }

    /// Puts an element in, as soon as a getter waits or there is room: then the future is ready.
    ///
    /// Discarding or dropping the future before that takes the element back, and drops it.
    ///
    /// # Panics
    ///
    /// If a getter waits and a callback of his future does.
    ///
    /// ```
    /// use libprocess::sync::BoundedQueue;
    ///
    /// let queue = BoundedQueue::new(1);
    /// assert!(queue.put('a').is_ready());
    /// drop(queue.put('b')); // we do not wait for room
    /// assert_eq!(queue.try_get(), Some('a'));
    /// assert_eq!(queue.try_get(), None);
    /// ```
    pub fn put(&self, item: T) -> Future<()> {
        self.shared.put(item).unwrap_or_else(Future::done)
    }

    /// Puts an element in if a getter waits or there is room. No allocation but for the queue's growth.
    ///
    /// # Errors
    ///
    /// Gives the element back if there is no room.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    ///
    /// ```
    /// let queue = libprocess::sync::BoundedQueue::new(1);
    /// assert_eq!(queue.try_put('a'), Ok(()));
    /// assert_eq!(queue.try_put('b'), Err('b'));
    /// ```
    pub fn try_put(&self, item: T) -> Result<(), T> {
        self.shared.try_put(item)
    }

    /// A future of the next element. Discarding or dropping it gives the place up, as with [`Queue::get`](super::Queue::get).
    pub fn get(&self) -> Future<T> {
        self.shared.get()
    }

    /// The next element, if there is one. No allocation.
    ///
    /// ```
    /// let queue = libprocess::sync::BoundedQueue::new(1);
    /// assert_eq!(queue.try_get(), None);
    /// assert_eq!(queue.try_put('a'), Ok(()));
    /// assert_eq!(queue.try_get(), Some('a'));
    /// ```
    pub fn try_get(&self) -> Option<T> {
        self.shared.try_get()
    }

    /// How many elements are stored: not those of putters who wait. Others may change that meanwhile.
    ///
    /// ```
    /// let queue = libprocess::sync::BoundedQueue::new(1);
    /// let (stored, waits) = (queue.put('a'), queue.put('b'));
    /// assert_eq!((queue.len(), queue.capacity()), (1, 1));
    /// # drop((stored, waits));
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no element is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how many elements there is room.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }
}

impl<T: Send + 'static> Clone for BoundedQueue<T> {
    /// Another handle to the same queue.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Send + 'static> fmt::Debug for BoundedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug(f, "BoundedQueue")
    }
}
