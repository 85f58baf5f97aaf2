//! The queues of the libprocess runtime: *event queues*, from many producers to one receiver, and
//! *run queues*, from many threads to many workers.
//!
//! Each family is one trait with interchangeable implementations, generic over the item, so that
//! each is usable alone; the runtime names the one it wants by a type alias, and the choice is
//! inlined.
//!
//! | | trait | implementations |
//! |---|---|---|
//! | [`event`] | [`EventQueue`](event::EventQueue) | [`LockFreeEventQueue`](event::LockFreeEventQueue), [`LockingEventQueue`](event::LockingEventQueue), and [`Bounded`](event::Bounded) around either |
//! | [`run`] | [`RunQueue`](run::RunQueue) | [`LockFreeRunQueue`](run::LockFreeRunQueue), [`LockingRunQueue`](run::LockingRunQueue), [`WorkStealingRunQueue`](run::WorkStealingRunQueue) |
//!
//! The two work together: an enqueue on an event queue says when its receiver became runnable, and
//! the receiver then goes through a run queue to some worker.
//!
//! ```
//! use libprocess_queues::event::{Enqueued, EventQueue, LockFreeEventQueue, Node, Rest};
//! use libprocess_queues::run::{LockFreeRunQueue, RunQueue};
//!
//! type Mailbox = LockFreeEventQueue<Box<Node<String>>>;
//!
//! let receivers = [Mailbox::closed(), Mailbox::closed()];
//! let runnable = LockFreeRunQueue::new(1);
//! for receiver in &receivers {
//!     receiver.open();
//!     assert_eq!(receiver.rest(), Rest::Idle);
//! }
//!
//! // A sender:
//! for text in ["one", "two"] {
//!     match receivers[1].enqueue(Node::new(text.to_string())) {
//!         Enqueued::Schedule => runnable.enqueue(1),
//!         Enqueued::Queued => {}
//!         Enqueued::Closed(_) => unreachable!(),
//!     }
//! }
//!
//! // A worker:
//! let mut local = runnable.local(0);
//! while let Some(receiver) = runnable.dequeue(&mut local) {
//!     let batch = receivers[receiver].take();
//!     assert!(batch.iter().eq(["one", "two"]));
//!     drop(batch);
//!     match receivers[receiver].rest() {
//!         Rest::Idle => {}
//!         Rest::Pending => runnable.enqueue(receiver),
//!     }
//! }
//! ```

pub mod event;
pub mod run;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod sync;
#[cfg(any(libprocess_loom, libprocess_shuttle))]
#[doc(hidden)]
pub mod sync;
