//! An event queue with a limit: a count of credits beside any other event queue.
//!
//! # The protocol
//!
//! A producer takes a credit first, and is refused if there is none; then it enqueues. The receiver
//! gives credits back, one for each item that took one, when it is done with the item. *Control*
//! items (the request to end, the news that somebody else has ended) take no credit: they are never
//! refused for want of room, and keep their place in the order, since it is the same queue.
//!
//! # Where a credit is
//!
//! Credits are neither made nor lost. At every moment each of them is in one of four places:
//!
//! 1. available;
//! 2. in the hands of a producer, between taking it and what the enqueue says;
//! 3. with an item that is pending, or was taken and is being served;
//! 4. with an item that `close` gave to whoever closed.
//!
//! From 2 it goes to 3, or, when the enqueue was refused because the queue is closed, back to 1.
//! From 3 and 4 it goes to 1 by [`release`](Bounded::release). So the items of place 3 are never
//! more than the capacity.
//!
//! # What could go wrong
//!
//! *Opening that resets the credits* looks simpler than asking whoever closed to release those of
//! place 4. But a producer may stall in place 2 while the queue is closed and opened again. A reset
//! would count its credit as available, and then its push would succeed: one item more than the
//! capacity. A reset that left those out would have to know how many are in place 2, and a producer
//! that stalls just after its push cannot say whether the item was part of what the close gave out.
//! Where credits are only ever moved, the question does not come up.

use std::fmt;
use std::marker::PhantomData;

use crate::sync::{AtomicUsize, Ordering, weakened};

use super::{Batch, Enqueued, EventQueue, Linked, Rest, State};

/// What became of an item that [`Bounded::try_enqueue`] was given.
///
/// ```
/// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node, TryEnqueued};
///
/// let mailbox = Bounded::<_, LockFreeEventQueue<_>>::new(1);
/// mailbox.open();
/// assert!(matches!(mailbox.try_enqueue(Node::new(1)), TryEnqueued::Queued));
/// assert!(matches!(mailbox.try_enqueue(Node::new(2)), TryEnqueued::Full(_)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a receiver that nobody schedules never runs again"]
pub enum TryEnqueued<T> {
    /// It is in the queue, with a credit, and whoever holds the token will see it.
    Queued,
    /// It is in the queue, with a credit; the caller now holds the token and must schedule the
    /// receiver.
    Schedule,
    /// The queue is closed; here is the item back.
    Closed(T),
    /// No credit is available; here is the item back.
    Full(T),
}

/// An event queue that holds at most so many items that count.
///
/// It adds a credit count to a queue `Q`; the queue itself stays as it is, and whoever needs no
/// limit pays nothing. The [token](super) works as it does without a limit.
///
/// **Order**: that of `Q`, for items with and without a credit together.
///
/// **Progress**: the credit is one compare-and-swap, lock-free; then as `Q`.
///
/// **Memory**: two words more than `Q`.
///
/// ```
/// use libprocess_queues::event::{Batch, Bounded, LockingEventQueue, Node, TryEnqueued};
///
/// let mailbox = Bounded::<Box<Node<&str>>, LockingEventQueue<_>>::new(2);
/// mailbox.open();
/// assert!(matches!(mailbox.try_enqueue(Node::new("one")), TryEnqueued::Queued));
/// assert!(matches!(mailbox.try_enqueue(Node::new("two")), TryEnqueued::Queued));
/// assert!(matches!(mailbox.try_enqueue(Node::new("three")), TryEnqueued::Full(_)));
/// let _ = mailbox.enqueue_control(Node::new("terminate"));
///
/// let mut batch = mailbox.take();
/// assert_eq!(batch.pop_front().unwrap().into_item(), "one");
/// mailbox.release(1); // served: there is room for another
/// assert_eq!(mailbox.available(), 1);
/// ```
pub struct Bounded<T: Linked, Q: EventQueue<T>> {
    /// Credits in place 1. Producers take one at a time; `release` and a refused producer add.
    available: AtomicUsize,
    capacity: usize,
    queue: Q,
    items: PhantomData<fn(T) -> T>,
}

impl<T: Linked, Q: EventQueue<T>> Bounded<T, Q> {
    /// A closed queue for at most `capacity` items with a credit, all of which are available.
    ///
    /// A capacity of 0 lets nothing in but control items.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node, State};
    ///
    /// let mailbox = Bounded::<Box<Node<u8>>, LockFreeEventQueue<_>>::new(8);
    /// assert_eq!(mailbox.state(), State::Closed);
    /// assert_eq!(mailbox.available(), 8);
    /// ```
    pub fn new(capacity: usize) -> Self {
        Bounded {
            available: AtomicUsize::new(capacity),
            capacity,
            queue: Q::closed(),
            items: PhantomData,
        }
    }

    /// Takes a credit and enqueues `item`, or gives it back.
    ///
    /// A closed queue answers [`TryEnqueued::Closed`] whether or not it is full. What the receiver
    /// did before it released a credit happens before what the caller does after it got that
    /// credit.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node, TryEnqueued};
    ///
    /// let mailbox = Bounded::<_, LockFreeEventQueue<_>>::new(1);
    /// assert!(matches!(mailbox.try_enqueue(Node::new(1)), TryEnqueued::Closed(_)));
    /// mailbox.open();
    /// assert!(matches!(mailbox.try_enqueue(Node::new(1)), TryEnqueued::Queued));
    /// ```
    #[inline]
    pub fn try_enqueue(&self, item: T) -> TryEnqueued<T> {
        if !self.take_credit() {
            return self.refuse_as_full(item);
        }
        match self.queue.enqueue(item) {
            Enqueued::Queued => TryEnqueued::Queued,
            Enqueued::Schedule => TryEnqueued::Schedule,
            Enqueued::Closed(item) => {
                self.give_back(1);
                TryEnqueued::Closed(item)
            }
        }
    }

    /// Enqueues `item` without a credit. The receiver must not [`release`](Bounded::release) one
    /// for it.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, Enqueued, LockFreeEventQueue, Node};
    ///
    /// let mailbox = Bounded::<_, LockFreeEventQueue<_>>::new(0);
    /// mailbox.open();
    /// assert!(matches!(mailbox.enqueue_control(Node::new("terminate")), Enqueued::Queued));
    /// ```
    #[inline]
    pub fn enqueue_control(&self, item: T) -> Enqueued<T> {
        self.queue.enqueue(item)
    }

    /// Gives `count` credits back: one for each item that took one and was served, or dropped.
    ///
    /// That includes what [`close`](Bounded::close) returned. Wait-free, from any thread.
    ///
    /// # Panics
    ///
    /// If that makes more credits than the capacity: somebody has released an item twice, or a
    /// control item.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node};
    ///
    /// let mailbox = Bounded::<_, LockFreeEventQueue<_>>::new(2);
    /// mailbox.open();
    /// let _ = mailbox.try_enqueue(Node::new(1));
    /// let _ = mailbox.try_enqueue(Node::new(2));
    /// let served = mailbox.take().into_iter().count();
    /// mailbox.release(served);
    /// assert_eq!(mailbox.available(), 2);
    /// ```
    #[inline]
    pub fn release(&self, count: usize) {
        self.give_back(count);
    }

    /// How many credits are available now: a snapshot, which may have changed already.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node};
    ///
    /// assert_eq!(Bounded::<Box<Node<u8>>, LockFreeEventQueue<_>>::new(3).available(), 3);
    /// ```
    pub fn available(&self) -> usize {
        // Relaxed: a number for reports; nothing is looked at on its word.
        self.available.load(Ordering::Relaxed)
    }

    /// The number of credits that there are.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node};
    ///
    /// assert_eq!(Bounded::<Box<Node<u8>>, LockFreeEventQueue<_>>::new(3).capacity(), 3);
    /// ```
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The queue beneath. What is enqueued there takes no credit.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, EventQueue, LockFreeEventQueue, Node, State};
    ///
    /// let mailbox = Bounded::<Box<Node<u8>>, LockFreeEventQueue<_>>::new(3);
    /// assert_eq!(mailbox.queue().state(), State::Closed);
    /// ```
    pub fn queue(&self) -> &Q {
        &self.queue
    }

    /// As [`EventQueue::open`]. Leaves the credits alone.
    ///
    /// They are all available if whoever closed the queue has released those of the items that were
    /// pending or taken. Only a producer that stalled since before the closing may still hold one,
    /// and then rightly: its item will come, or the credit goes back.
    ///
    /// # Panics
    ///
    /// If the queue is not closed.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node};
    ///
    /// let mailbox = Bounded::<_, LockFreeEventQueue<_>>::new(1);
    /// mailbox.open();
    /// let _ = mailbox.try_enqueue(Node::new(1));
    ///
    /// let left = mailbox.close();
    /// mailbox.release(left.len()); // of which none was a control item
    /// mailbox.open();
    /// assert_eq!(mailbox.available(), 1);
    /// ```
    pub fn open(&self) {
        self.queue.open();
    }

    /// As [`EventQueue::take`]. The items keep their credits until they are
    /// [released](Bounded::release).
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node};
    ///
    /// let mailbox = Bounded::<_, LockFreeEventQueue<_>>::new(1);
    /// mailbox.open();
    /// let _ = mailbox.try_enqueue(Node::new(1));
    /// assert_eq!(mailbox.take().len(), 1);
    /// assert_eq!(mailbox.available(), 0);
    /// ```
    #[inline]
    pub fn take(&self) -> Batch<T> {
        self.queue.take()
    }

    /// As [`EventQueue::rest`].
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node, Rest};
    ///
    /// let mailbox = Bounded::<Box<Node<u8>>, LockFreeEventQueue<_>>::new(1);
    /// mailbox.open();
    /// assert_eq!(mailbox.rest(), Rest::Idle);
    /// ```
    #[inline]
    pub fn rest(&self) -> Rest {
        self.queue.rest()
    }

    /// As [`EventQueue::close`]. The items in the batch keep their credits until they are
    /// [released](Bounded::release), which the caller must do before the queue is of use again.
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node};
    ///
    /// let mailbox = Bounded::<_, LockFreeEventQueue<_>>::new(2);
    /// mailbox.open();
    /// let _ = mailbox.try_enqueue(Node::new("event"));
    /// let _ = mailbox.enqueue_control(Node::new("terminate"));
    ///
    /// let left = mailbox.close();
    /// mailbox.release(left.iter().filter(|item| **item != "terminate").count());
    /// assert_eq!(mailbox.available(), mailbox.capacity());
    /// ```
    #[must_use = "what was pending is dropped here if nobody wants it, and its credits are gone"]
    pub fn close(&self) -> Batch<T> {
        self.queue.close()
    }

    /// As [`EventQueue::state`].
    ///
    /// ```
    /// use libprocess_queues::event::{Bounded, LockFreeEventQueue, Node, State};
    ///
    /// let mailbox = Bounded::<Box<Node<u8>>, LockFreeEventQueue<_>>::new(1);
    /// assert_eq!(mailbox.state(), State::Closed);
    /// ```
    #[inline]
    pub fn state(&self) -> State {
        self.queue.state()
    }

    /// From place 1 to place 2, unless there is none.
    ///
    /// Not `fetch_sub` and a correction: while it stands below zero, another producer would be
    /// refused though a credit had just been released.
    #[inline]
    fn take_credit(&self) -> bool {
        // Relaxed: a stale count makes the exchange fail, or is one that was true a moment ago.
        let mut available = self.available.load(Ordering::Relaxed);
        while available > 0 {
            if weakened("credit-compare") {
                self.available.fetch_sub(1, Ordering::Acquire);
                return true;
            }
            // Acquire pairs with the Release in `give_back`: what was done with the last item that
            // had this credit is done. Relaxed on failure: as the load.
            match self.available.compare_exchange_weak(
                available,
                available - 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(actual) => available = actual,
            }
        }
        false
    }

    /// From any other place to place 1.
    #[inline]
    fn give_back(&self, count: usize) {
        let order = if weakened("credit-release") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        // Release pairs with the Acquire in `take_credit`.
        let before = self.available.fetch_add(count, order);
        let out = self.capacity.saturating_sub(before);
        assert!(
            count <= out,
            "{count} credits were released where only {out} were out"
        );
    }

    #[cold]
    #[inline(never)]
    fn refuse_as_full(&self, item: T) -> TryEnqueued<T> {
        // A closed queue stays full while nobody serves it: the sender should learn the reason that
        // lasts.
        match self.queue.state() {
            State::Closed => TryEnqueued::Closed(item),
            _ => TryEnqueued::Full(item),
        }
    }
}

impl<T: Linked, Q: EventQueue<T> + fmt::Debug> fmt::Debug for Bounded<T, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded")
            .field("available", &self.available())
            .field("capacity", &self.capacity)
            .field("queue", &self.queue)
            .finish()
    }
}
