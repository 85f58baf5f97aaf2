//! Run queues: what is runnable, from many threads to many workers.
//!
//! # What a run queue promises
//!
//! Every item that was enqueued is dequeued once. An item that was enqueued before a dequeue began
//! is found by it, unless another worker got it first. How workers sleep when nothing is runnable
//! is not its business: a semaphore beside it counts.
//!
//! A worker keeps a [`Local`](RunQueue::Local) beside the queue: nothing, for a queue that is
//! shared by all; its own deque, for one that steals. That is why only the thread that has the
//! `Local` dequeues with it.
//!
//! # Which one
//!
//! | | order | enqueue | dequeue | after a burst |
//! |---|---|---|---|---|
//! | [`LockingRunQueue`] | FIFO | blocks | blocks | memory falls back by halves |
//! | [`SegmentedRunQueue`] | FIFO | lock-free but at block ends | may wait for an enqueue | memory falls back |
//! | [`ConcurrentRunQueue`] | FIFO | lock-free but at block ends | may wait for an enqueue | memory falls back |
//! | [`WorkStealingRunQueue`] | newest first, then FIFO by worker | lock-free on a worker | lock-free on a worker | as the one before |
//!
//! [`LockFreeRunQueue`] names the better of the last two, by measurement.
//!
//! ```
//! use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
//!
//! let queue = LockFreeRunQueue::new(2);
//! std::thread::scope(|scope| {
//!     for worker in 0..2 {
//!         let queue = &queue;
//!         scope.spawn(move || {
//!             let mut local = queue.local(worker);
//!             queue.enqueue_local(&mut local, worker);
//!         });
//!     }
//! });
//! let mut local = queue.local(0);
//! assert_eq!(queue.dequeue(&mut local).unwrap() + queue.dequeue(&mut local).unwrap(), 1);
//! assert!(queue.is_empty());
//! ```

mod concurrent;
mod lock_free;
mod locking;
mod segmented;
mod work_stealing;

pub use concurrent::ConcurrentRunQueue;
pub use lock_free::LockFreeRunQueue;
pub use locking::LockingRunQueue;
pub use segmented::SegmentedRunQueue;
pub use work_stealing::{WorkStealingLocal, WorkStealingRunQueue};

/// Where an item went that a worker enqueued.
///
/// ```
/// use libprocess_queues::run::{LockingRunQueue, Placed, RunQueue};
///
/// let queue = LockingRunQueue::new(1);
/// assert_eq!(queue.enqueue_local(&mut queue.local(0), 1), Placed::Shared);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Its worker will take it next, and before long: nobody need be woken for it now.
    Kept,
    /// Where others find it.
    Shared,
    /// As `Shared`, and it was more than its worker has room for: who makes so many should let them have a turn.
    Crowded,
}

/// A queue from many threads to many workers.
///
/// **Misuse**: a `Local` belongs to the queue that made it. With another queue's, items may be
/// found late or in another order; none is lost or found twice.
///
/// **Drop**: what is left is dropped with the queue, and with the `Local`s.
///
/// ```
/// use libprocess_queues::run::RunQueue;
///
/// fn drain<T: Send, Q: RunQueue<T>>(queue: &Q) -> Vec<T> {
///     let mut local = queue.local(0);
///     std::iter::from_fn(|| queue.dequeue(&mut local)).collect()
/// }
///
/// use libprocess_queues::run::{LockFreeRunQueue, LockingRunQueue};
/// let queue = LockingRunQueue::new(1);
/// queue.enqueue('a');
/// queue.enqueue('b');
/// assert_eq!(drain(&queue), ['a', 'b']);
/// assert_eq!(drain(&LockFreeRunQueue::<char>::new(1)), []);
/// ```
pub trait RunQueue<T: Send>: Send + Sync + Sized {
    /// How the implementation is called in reports: `"locking"`, `"lock-free"`.
    const NAME: &'static str;

    /// Whether a worker may keep an item to itself for a while: see [`Placed::Kept`].
    const KEEPS: bool = false;

    /// What a worker keeps for itself; `()` where everything is shared.
    type Local: Send;

    /// An empty queue for `workers` workers.
    ///
    /// ```
    /// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
    ///
    /// assert!(LockFreeRunQueue::<u8>::new(4).is_empty());
    /// ```
    fn new(workers: usize) -> Self;

    /// What the worker with the number `worker`, below the number given to [`new`](RunQueue::new),
    /// keeps for itself.
    ///
    /// Called once for each worker; the worker's place may pass from thread to thread, and the
    /// `Local` with it.
    ///
    /// ```
    /// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
    ///
    /// let queue = LockFreeRunQueue::<u8>::new(4);
    /// let mut locals: Vec<_> = (0..4).map(|worker| queue.local(worker)).collect();
    /// assert_eq!(queue.dequeue(&mut locals[3]), None);
    /// ```
    fn local(&self, worker: usize) -> Self::Local;

    /// Puts `item` in, from any thread.
    ///
    /// ```
    /// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
    ///
    /// let queue = LockFreeRunQueue::new(1);
    /// queue.enqueue("runnable");
    /// assert_eq!(queue.len(), 1);
    /// ```
    fn enqueue(&self, item: T);

    /// Puts `item` in, from the worker whose `local` this is: near to it, where the queue knows a
    /// near and a far. Says whether others find it.
    ///
    /// ```
    /// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
    ///
    /// let queue = LockFreeRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// queue.enqueue_local(&mut local, "runnable");
    /// assert_eq!(queue.dequeue(&mut local), Some("runnable"));
    /// ```
    fn enqueue_local(&self, local: &mut Self::Local, item: T) -> Placed {
        let _ = local;
        self.enqueue(item);
        Placed::Shared
    }

    /// Puts `item` in, from its worker, as one that has just run and gives others a turn: behind what
    /// the worker has.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// queue.enqueue_local(&mut local, "waits");
    /// queue.enqueue_yielded(&mut local, "has run");
    /// assert_eq!(queue.dequeue(&mut local), Some("waits"));
    /// assert_eq!(queue.dequeue(&mut local), Some("has run"));
    /// ```
    fn enqueue_yielded(&self, local: &mut Self::Local, item: T) -> Placed {
        let _ = local;
        self.enqueue(item);
        Placed::Shared
    }

    /// Takes an item out of what is the worker's or everybody's, or finds none.
    ///
    /// ```
    /// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
    ///
    /// let queue = LockFreeRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// assert_eq!(queue.dequeue(&mut local), None);
    /// queue.enqueue("runnable");
    /// assert_eq!(queue.dequeue(&mut local), Some("runnable"));
    /// ```
    fn dequeue(&self, local: &mut Self::Local) -> Option<T>;

    /// As [`dequeue`](Self::dequeue), and if there is none, takes one from another worker, and more with it.
    ///
    /// It may miss what another thread is stealing at this moment.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(2);
    /// let (mut one, mut other) = (queue.local(0), queue.local(1));
    /// for item in 0..5 {
    ///     queue.enqueue_local(&mut one, item); // the last one is next, the others can be stolen
    /// }
    /// assert_eq!(queue.steal(&mut other), Some(0));
    /// assert_eq!(queue.dequeue(&mut other), Some(1));
    /// ```
    fn steal(&self, local: &mut Self::Local) -> Option<T> {
        self.dequeue(local)
    }

    /// Puts all that a worker has for itself where every worker finds it, in the order in which it would have taken it.
    ///
    /// Nothing by default: where all share one queue, nobody has anything for itself.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(2);
    /// let (mut one, mut other) = (queue.local(0), queue.local(1));
    /// queue.enqueue_local(&mut one, "kept");
    /// assert_eq!(queue.dequeue(&mut other), None);
    /// queue.share(&mut one);
    /// assert_eq!(queue.dequeue(&mut other), Some("kept"));
    /// ```
    fn share(&self, local: &mut Self::Local) {
        let _ = local;
    }

    /// How many items the worker can put in before its own part is full and some of them go where all look: a snapshot. All there can ever be, where there are no such parts.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// let room = queue.room(&local);
    /// queue.enqueue_local(&mut local, "displaced");
    /// queue.enqueue_local(&mut local, "next");
    /// assert_eq!(queue.room(&local), room - 1);
    /// ```
    fn room(&self, local: &Self::Local) -> usize {
        let _ = local;
        usize::MAX
    }

    /// If the worker with this number keeps an item to itself: how many turns it has had. If it still has as
    /// many later, it has kept it all that while.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// assert_eq!(queue.kept(0), None);
    /// queue.enqueue_local(&mut local, "next");
    /// assert_eq!(queue.kept(0), Some(0));
    /// ```
    fn kept(&self, worker: usize) -> Option<u32> {
        let _ = worker;
        None
    }

    /// If anything waits for the worker with this number, kept or not: how many turns it has had. If it still has as many later, it has been
    /// in one turn all that while.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// queue.enqueue_local(&mut local, "displaced");
    /// queue.enqueue_local(&mut local, "next");
    /// queue.take_kept(0);
    /// assert_eq!((queue.kept(0), queue.awaited(0)), (None, Some(0)));
    /// ```
    fn awaited(&self, worker: usize) -> Option<u32> {
        self.kept(worker)
    }

    /// How many turns all workers together have had, with wrap-around: each [`dequeue`](Self::dequeue) is one. Zero where nobody counts.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::<u8>::new(2);
    /// queue.dequeue(&mut queue.local(0));
    /// queue.dequeue(&mut queue.local(1));
    /// assert_eq!(queue.turns(), 2);
    /// ```
    fn turns(&self) -> u32 {
        0
    }

    /// Takes for another worker what waits for the one with this number: what that one keeps, else half of the rest, of which the oldest is
    /// given. Nothing if both are the same.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(2);
    /// let (mut one, mut other) = (queue.local(0), queue.local(1));
    /// for item in ["old", "newer", "newest", "next"] {
    ///     queue.enqueue_local(&mut one, item);
    /// }
    /// assert_eq!(queue.relieve(&mut other, 0), Some("next"));
    /// assert_eq!(queue.relieve(&mut other, 0), Some("old"));
    /// assert_eq!(queue.dequeue(&mut other), Some("newer"));
    /// assert_eq!(queue.relieve(&mut one, 0), None);
    /// ```
    fn relieve(&self, local: &mut Self::Local, worker: usize) -> Option<T> {
        let _ = local;
        self.take_kept(worker)
    }

    /// Takes what the worker with this number keeps to itself, from any thread.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// queue.enqueue_local(&mut local, "next");
    /// assert_eq!(queue.take_kept(0), Some("next"));
    /// assert_eq!(queue.dequeue(&mut local), None);
    /// ```
    fn take_kept(&self, worker: usize) -> Option<T> {
        let _ = worker;
        None
    }

    /// Whether there is an item that any worker can get by [`steal`](Self::steal): a snapshot. If an item was put in
    /// before, in the eyes of this thread, and nobody took it, it is true.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(1);
    /// let mut local = queue.local(0);
    /// queue.enqueue_local(&mut local, "next");
    /// assert!(!queue.has_shared());
    /// queue.enqueue("for all");
    /// assert!(queue.has_shared());
    /// ```
    fn has_shared(&self) -> bool {
        !self.is_empty()
    }

    /// How many items that [`enqueue`](Self::enqueue) put in wait for whoever comes first, and belong to no worker yet: a snapshot.
    ///
    /// ```
    /// use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
    ///
    /// let queue = WorkStealingRunQueue::new(1);
    /// queue.enqueue_local(&mut queue.local(0), "next");
    /// queue.enqueue("for all");
    /// assert_eq!(queue.injected(), 1);
    /// ```
    fn injected(&self) -> usize {
        self.len()
    }

    /// How many items are in the queue: a snapshot, which may have changed already.
    ///
    /// ```
    /// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
    ///
    /// let queue = LockFreeRunQueue::new(1);
    /// queue.enqueue('a');
    /// queue.enqueue('b');
    /// assert_eq!(queue.len(), 2);
    /// ```
    fn len(&self) -> usize;

    /// Whether no item is in the queue: a snapshot, as [`len`](RunQueue::len).
    ///
    /// ```
    /// use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
    ///
    /// let queue = LockFreeRunQueue::new(1);
    /// assert!(queue.is_empty());
    /// queue.enqueue('a');
    /// assert!(!queue.is_empty());
    /// ```
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A run queue from the middle of which an item can be taken: to run it now, because somebody waits
/// for it.
///
/// ```
/// use libprocess_queues::run::{Extract, LockingRunQueue, RunQueue};
///
/// let queue = LockingRunQueue::new(1);
/// for item in 0..5 {
///     queue.enqueue(item);
/// }
/// assert_eq!(queue.extract(|item| *item == 3), Some(3));
/// assert_eq!(queue.extract(|item| *item == 3), None);
/// assert_eq!(queue.len(), 4);
/// ```
pub trait Extract<T: Send>: RunQueue<T> {
    /// Takes out the oldest item that `matches`, and leaves the others in their order. O(n).
    ///
    /// `matches` may be called while the queue is locked: it must be short, and must not use the
    /// queue.
    ///
    /// ```
    /// use libprocess_queues::run::{Extract, LockingRunQueue, RunQueue};
    ///
    /// let queue = LockingRunQueue::new(1);
    /// queue.enqueue("first");
    /// queue.enqueue("second");
    /// assert_eq!(queue.extract(|item| item.starts_with('s')), Some("second"));
    /// assert_eq!(queue.dequeue(&mut ()), Some("first"));
    /// ```
    fn extract(&self, matches: impl FnMut(&T) -> bool) -> Option<T>;
}
