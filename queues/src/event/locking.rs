//! The event queue behind a mutex: the reference for the lock-free one, and what is built without
//! it.
//!
//! The same states and the same answers (see the [module above](super)), each operation one
//! critical section of a handful of instructions. Nothing is allocated, freed, dropped or called
//! back while the lock is held.

use std::fmt;
use std::mem;

use crate::sync::{Mutex, lock, weakened};

use super::{Batch, Enqueued, EventQueue, Linked, Rest, State};

/// What is left of [`State`] where the batch itself says whether something is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Scheduled,
    Closed,
}

/// What the mutex protects. Something is pending only while `phase` is scheduled.
struct Inner<T: Linked> {
    phase: Phase,
    pending: Batch<T>,
}

/// An event queue behind a mutex.
///
/// **Order**: first in, first out; between producers, by who gets the lock first.
///
/// **Progress**: every operation blocks while another thread is in one, which is a handful of
/// instructions long, but as long as the kernel pleases if that thread is preempted there.
///
/// **Memory**: 32 bytes on a 64-bit Linux, and nothing else; items bring their own links. `take` is
/// O(1): the chain is in the right order already.
///
/// ```
/// use libprocess_queues::event::{EventQueue, LockingEventQueue, Node};
///
/// let mailbox = LockingEventQueue::closed();
/// mailbox.open();
/// let _ = mailbox.enqueue(Node::new("one"));
/// let _ = mailbox.enqueue(Node::new("two"));
/// assert!(mailbox.take().iter().eq(&["one", "two"]));
/// ```
pub struct LockingEventQueue<T: Linked> {
    inner: Mutex<Inner<T>>,
}

impl<T: Linked> EventQueue<T> for LockingEventQueue<T> {
    const NAME: &'static str = "locking";

    fn closed() -> Self {
        LockingEventQueue {
            inner: Mutex::new(Inner {
                phase: Phase::Closed,
                pending: Batch::new(),
            }),
        }
    }

    fn open(&self) {
        let phase = {
            let mut inner = lock(&self.inner);
            match inner.phase {
                Phase::Closed => mem::replace(&mut inner.phase, Phase::Scheduled),
                phase => phase,
            }
        };
        assert_eq!(
            phase,
            Phase::Closed,
            "an event queue was opened that is not closed"
        );
    }

    #[inline]
    fn enqueue(&self, item: T) -> Enqueued<T> {
        let mut inner = lock(&self.inner);
        match inner.phase {
            Phase::Closed => Enqueued::Closed(item),
            Phase::Idle => {
                inner.phase = Phase::Scheduled;
                inner.pending.push_back(item);
                Enqueued::Schedule
            }
            Phase::Scheduled => {
                inner.pending.push_back(item);
                Enqueued::Queued
            }
        }
    }

    #[inline]
    fn take(&self) -> Batch<T> {
        mem::take(&mut lock(&self.inner).pending)
    }

    #[inline]
    fn rest(&self) -> Rest {
        let mut inner = lock(&self.inner);
        match inner.phase {
            Phase::Scheduled if !inner.pending.is_empty() && !weakened("rest-looks") => {
                Rest::Pending
            }
            Phase::Closed => Rest::Idle,
            was => {
                inner.phase = Phase::Idle;
                drop(inner);
                debug_assert_eq!(
                    was,
                    Phase::Scheduled,
                    "an event queue was rested by somebody without the token"
                );
                Rest::Idle
            }
        }
    }

    fn close(&self) -> Batch<T> {
        if weakened("close-at-once") {
            let pending = self.take();
            lock(&self.inner).phase = Phase::Closed;
            return pending;
        }
        let mut inner = lock(&self.inner);
        inner.phase = Phase::Closed;
        mem::take(&mut inner.pending)
    }

    #[inline]
    fn state(&self) -> State {
        let inner = lock(&self.inner);
        match inner.phase {
            Phase::Idle => State::Idle,
            Phase::Scheduled if inner.pending.is_empty() => State::Scheduled,
            Phase::Scheduled => State::Pending,
            Phase::Closed => State::Closed,
        }
    }
}

impl<T: Linked> fmt::Debug for LockingEventQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockingEventQueue")
            .field(&self.state())
            .finish()
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::event::Node;

    #[test]
    fn the_queue_is_four_words() {
        assert_eq!(size_of::<LockingEventQueue<Box<Node<u64>>>>(), 32);
    }

    #[test]
    fn debug_shows_the_state() {
        let queue = LockingEventQueue::<Box<Node<u64>>>::closed();
        assert_eq!(format!("{queue:?}"), "LockingEventQueue(Closed)");
    }
}
