//! Event queues: mailboxes, into which anybody enqueues and out of which one receiver takes.
//!
//! # What an event queue decides
//!
//! A receiver is worth running only while something is pending for it, and must not run in two
//! places at once. The queue itself keeps both promises, by its state:
//!
//! | state | somebody holds the token | something is pending |
//! |---|---|---|
//! | [`State::Closed`] | – | no |
//! | [`State::Idle`] | no | no |
//! | [`State::Scheduled`] | yes | no |
//! | [`State::Pending`] | yes | yes |
//!
//! *The token* is the right, and the duty, to run the receiver. There is one for each open queue.
//! Idle means that it lies in the queue:
//!
//! 1. [`open`](EventQueue::open) makes a closed queue scheduled: the opener holds the token, so
//!    that it can set the receiver up before, or while, others enqueue.
//! 2. [`enqueue`](EventQueue::enqueue) on an idle queue takes the token out and answers
//!    [`Enqueued::Schedule`]: the caller has to run the receiver, or hand the token to somebody who
//!    will. In every other state it answers [`Enqueued::Queued`] and there is nothing to do: who
//!    holds the token will see the item.
//! 3. The holder [`take`](EventQueue::take)s what is pending, a batch at a time, and serves it.
//! 4. When it has had enough it may hand the token on, with things pending or not.
//! 5. When nothing is left it [`rest`](EventQueue::rest)s: the token goes back into the queue,
//!    unless something has come meanwhile ([`Rest::Pending`]). The two are one step, and that is
//!    the whole trick: a *check, then go* could miss an item that comes in between, and nobody
//!    would be scheduled.
//! 6. [`close`](EventQueue::close) ends it from any state, gives what was pending to the caller,
//!    and makes every later enqueue give its item back.
//!
//! What a holder did before `rest` happens before what the next one does after `Schedule`. So
//! whatever the token protects needs no lock.
//!
//! ```
//! use libprocess_queues::event::{EventQueue, Enqueued, LockFreeEventQueue, Node, Rest};
//!
//! let mailbox = LockFreeEventQueue::closed();
//! mailbox.open(); // we hold the token
//! assert!(matches!(mailbox.rest(), Rest::Idle)); // and put it back
//!
//! assert!(matches!(mailbox.enqueue(Node::new("one")), Enqueued::Schedule)); // our turn to run it
//! assert!(matches!(mailbox.enqueue(Node::new("two")), Enqueued::Queued));
//!
//! let mut served = Vec::new();
//! loop {
//!     served.extend(mailbox.take().into_iter().map(|node| node.into_item()));
//!     if let Rest::Idle = mailbox.rest() {
//!         break;
//!     }
//! }
//! assert_eq!(served, ["one", "two"]);
//!
//! let left = mailbox.close();
//! assert!(left.is_empty());
//! assert!(matches!(mailbox.enqueue(Node::new("late")), Enqueued::Closed(_)));
//! ```
//!
//! # Which one
//!
//! | | [`LockFreeEventQueue`] | [`LockingEventQueue`] |
//! |---|---|---|
//! | size, and all its memory while empty | one word | four words |
//! | enqueue | lock-free | blocks behind whoever has the lock |
//! | take, rest | lock-free | as above |
//! | a thread paused within an operation | delays nobody | delays everybody if it has the lock |
//!
//! [`Bounded`] puts a limit on how much either may hold.

mod batch;
mod bounded;
mod iter;
mod link;
mod lock_free;
mod locking;
mod word;

pub use batch::Batch;
pub use bounded::{Bounded, TryEnqueued};
pub use iter::{IntoIter, Iter};
pub use link::{Link, Linked, Node};
pub use lock_free::LockFreeEventQueue;
pub use locking::LockingEventQueue;

/// What became of an item that was enqueued.
///
/// ```
/// use libprocess_queues::event::{Enqueued, EventQueue, LockingEventQueue, Node};
///
/// let mailbox = LockingEventQueue::closed();
/// match mailbox.enqueue(Node::new("hello")) {
///     Enqueued::Queued => {}
///     Enqueued::Schedule => println!("run the receiver"),
///     Enqueued::Closed(node) => assert_eq!(node.into_item(), "hello"),
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a receiver that nobody schedules never runs again"]
pub enum Enqueued<T> {
    /// It is in the queue, and whoever holds the token will see it.
    Queued,
    /// It is in the queue, which was idle: the caller now holds the token and must schedule the
    /// receiver.
    Schedule,
    /// The queue is closed; here is the item back.
    Closed(T),
}

/// Whether the holder of the token got rid of it.
///
/// ```
/// use libprocess_queues::event::{EventQueue, LockingEventQueue, Node, Rest};
///
/// let mailbox = LockingEventQueue::closed();
/// mailbox.open();
/// let _ = mailbox.enqueue(Node::new(1));
/// assert_eq!(mailbox.rest(), Rest::Pending);
/// drop(mailbox.take());
/// assert_eq!(mailbox.rest(), Rest::Idle);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "whoever is told `Pending` still holds the token, and has to go on"]
pub enum Rest {
    /// The caller no longer holds the token: it is back in the queue, or the queue was closed.
    Idle,
    /// Something is pending. The caller still holds the token.
    Pending,
}

/// What an event queue looked like at some moment.
///
/// ```
/// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node, State};
///
/// let mailbox = LockFreeEventQueue::<Box<Node<u8>>>::closed();
/// assert_eq!(mailbox.state(), State::Closed);
/// mailbox.open();
/// assert_eq!(mailbox.state(), State::Scheduled);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is pending and the token is in the queue.
    Idle,
    /// Somebody holds the token, and nothing is pending that was not taken already.
    Scheduled,
    /// Somebody holds the token, and something is pending.
    Pending,
    /// Nothing can be enqueued.
    Closed,
}

/// A queue from many producers to one receiver, which also says when the receiver must be
/// scheduled.
///
/// The [module](self) tells the protocol. An implementation may be shared by reference between any
/// number of threads; it allocates nothing, as items bring their own [`Link`].
///
/// **Order**: items of one producer come out in the order in which it enqueued them; so do items of
/// two producers, if one enqueue happened before the other.
///
/// **Misuse**: `take` and `rest` belong to the holder of the token. Where several threads call them
/// at once, memory stays safe and every item still comes out once, since each `take` owns a chain
/// of its own; but the order between two such chains, and the promise of one runner at a time, are
/// gone.
///
/// **Drop**: what is pending is dropped with the queue.
///
/// ```
/// use libprocess_queues::event::{EventQueue, Enqueued, Node};
///
/// fn send<Q: EventQueue<Box<Node<u32>>>>(mailbox: &Q, item: u32) -> bool {
///     match mailbox.enqueue(Node::new(item)) {
///         Enqueued::Queued => true,
///         Enqueued::Schedule => { /* run the receiver */ true }
///         Enqueued::Closed(_) => false,
///     }
/// }
///
/// use libprocess_queues::event::{LockFreeEventQueue, LockingEventQueue};
/// assert!(!send(&LockFreeEventQueue::closed(), 1));
/// assert!(!send(&LockingEventQueue::closed(), 1));
/// ```
pub trait EventQueue<T: Linked>: Send + Sync + Sized {
    /// How the implementation is called in reports: `"lock-free"`, `"locking"`.
    const NAME: &'static str;

    /// A new queue. It starts closed, so that nothing gets in before its receiver is there.
    ///
    /// ```
    /// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node, State};
    ///
    /// let mailbox = LockFreeEventQueue::<Box<Node<u8>>>::closed();
    /// assert_eq!(mailbox.state(), State::Closed);
    /// ```
    fn closed() -> Self;

    /// Closed → scheduled, with nothing pending. The caller holds the token.
    ///
    /// What happened before the queue was closed happens before this, and this happens before every
    /// enqueue that it lets in.
    ///
    /// Only one thread may be about to open a queue, and only when nobody holds a token from before
    /// it was closed: such a token would be a second one.
    ///
    /// # Panics
    ///
    /// If the queue is not closed.
    ///
    /// ```
    /// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node, State};
    ///
    /// let mailbox = LockFreeEventQueue::<Box<Node<u8>>>::closed();
    /// mailbox.open();
    /// assert_eq!(mailbox.state(), State::Scheduled);
    /// ```
    fn open(&self);

    /// Puts `item` behind everything that is pending, if the queue is open.
    ///
    /// What happened before it is seen by whoever takes the item. With [`Enqueued::Schedule`], what
    /// the last holder of the token did before it rested is seen by the caller. With
    /// [`Enqueued::Closed`], what happened before the queue was closed is.
    ///
    /// ```
    /// use libprocess_queues::event::{Enqueued, EventQueue, LockFreeEventQueue, Node, Rest};
    ///
    /// let mailbox = LockFreeEventQueue::closed();
    /// mailbox.open();
    /// assert!(matches!(mailbox.enqueue(Node::new(1)), Enqueued::Queued)); // we hold the token
    /// drop(mailbox.take());
    /// assert_eq!(mailbox.rest(), Rest::Idle);
    /// assert!(matches!(mailbox.enqueue(Node::new(2)), Enqueued::Schedule)); // and won it back
    /// ```
    fn enqueue(&self, item: T) -> Enqueued<T>;

    /// Everything pending, oldest first: at once, also while producers are in the middle of an
    /// enqueue.
    ///
    /// Nothing in an idle or closed queue, which it leaves as it is. For the holder of the token.
    ///
    /// ```
    /// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node};
    ///
    /// let mailbox = LockFreeEventQueue::closed();
    /// mailbox.open();
    /// let _ = mailbox.enqueue(Node::new("one"));
    /// let _ = mailbox.enqueue(Node::new("two"));
    /// assert!(mailbox.take().iter().eq(&["one", "two"]));
    /// assert!(mailbox.take().is_empty());
    /// ```
    fn take(&self) -> Batch<T>;

    /// Scheduled → idle, unless something is pending. For the holder of the token.
    ///
    /// Answers [`Rest::Idle`] for a closed queue too, whose token is void: there is nothing to go
    /// on with.
    ///
    /// # Panics
    ///
    /// In a debug build, if the queue is idle already: the caller did not hold the token.
    ///
    /// ```
    /// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node, Rest};
    ///
    /// let mailbox = LockFreeEventQueue::closed();
    /// mailbox.open();
    /// let _ = mailbox.enqueue(Node::new(1));
    /// assert_eq!(mailbox.rest(), Rest::Pending);
    /// drop(mailbox.take());
    /// assert_eq!(mailbox.rest(), Rest::Idle);
    /// ```
    fn rest(&self) -> Rest;

    /// Closes the queue, whatever its state, and gives what was pending to the caller.
    ///
    /// Any thread may close. Of several that do, one gets what was pending; the others get nothing.
    /// An enqueue either comes before, and its item is in the batch or was taken earlier, or is
    /// refused.
    ///
    /// ```
    /// use libprocess_queues::event::{Enqueued, EventQueue, LockFreeEventQueue, Node};
    ///
    /// let mailbox = LockFreeEventQueue::closed();
    /// mailbox.open();
    /// let _ = mailbox.enqueue(Node::new("pending"));
    /// assert!(mailbox.close().iter().eq(&["pending"]));
    /// assert!(matches!(mailbox.enqueue(Node::new("late")), Enqueued::Closed(_)));
    /// ```
    #[must_use = "what was pending is dropped here if nobody wants it"]
    fn close(&self) -> Batch<T>;

    /// What the queue looks like now; it may have changed when the caller looks at the answer.
    ///
    /// What the holder of the token did before it rested happens before an answer of
    /// [`State::Idle`].
    ///
    /// ```
    /// use libprocess_queues::event::{EventQueue, LockFreeEventQueue, Node, State};
    ///
    /// let mailbox = LockFreeEventQueue::closed();
    /// mailbox.open();
    /// let _ = mailbox.enqueue(Node::new(1));
    /// assert_eq!(mailbox.state(), State::Pending);
    /// ```
    fn state(&self) -> State;
}
