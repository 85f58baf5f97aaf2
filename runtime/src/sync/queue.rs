//! Elements that wait for getters, or getters that wait for elements; and, if there is a bound, putters that wait for room.
//!
//! At most one side waits: getters only while there is no element, putters only while the queue is full (which a queue without room always is).
//! So every call looks at the other side first and at the room second, and is over under one lock:
//!
//! | call | somebody waits on the other side | else |
//! |---|---|---|
//! | `put` | the getter who came first has the element | room: it is stored. No room: the putter waits, the element with him |
//! | `get` | the first element is the caller's, and that of the putter who came first is stored | the first element; if there is none, the getter waits |
//!
//! # What can go wrong
//!
//! * *An element goes to a getter who gave up.* He is not among the getters any more; see [`Waiters`].
//! * *He gives up after he was chosen, before he looks.* The element is in his future, and dropped with it. To have it back would take a future that can be asked
//!   whether somebody has read it, and its answer would be out of date.
//! * *A getter waits and an element is there.* Both are changed under one lock, by the table above.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::hand_over::{Panicked, complete};
use super::waiters::{Waiters, weakly};
use crate::facade::lock_std;
use crate::future::{Future, Promise};

pub(super) struct Shared<T> {
    capacity: usize,
    state: std::sync::Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<T>,
    getters: Waiters<Promise<T>>,
    putters: Waiters<Putter<T>>,
}

struct Putter<T> {
    item: T,
    promise: Promise<()>,
}

/// What became of an element that was put.
enum Offered<T> {
    Stored,
    Given(Promise<T>, T),
    Full(T),
}

impl<T> State<T> {
    fn offer(&mut self, item: T, capacity: usize) -> Offered<T> {
        if let Some(promise) = self.getters.pop_front() {
            debug_assert!(
                self.items.is_empty(),
                "a getter waits and an element is there"
            );
            Offered::Given(promise, item)
        } else if self.items.len() < capacity {
            self.items.push_back(item);
            Offered::Stored
        } else {
            Offered::Full(item)
        }
    }

    /// The first element; and whom to tell that his is stored, or taken.
    fn take(&mut self) -> Option<(T, Option<Promise<()>>)> {
        let first = self.items.pop_front();
        match (first, self.putters.pop_front()) {
            (Some(first), Some(Putter { item, promise })) => {
                self.items.push_back(item);
                Some((first, Some(promise)))
            }
            (Some(first), None) => Some((first, None)),
            // Without room.
            (None, Some(Putter { item, promise })) => Some((item, Some(promise))),
            (None, None) => None,
        }
    }
}

impl<T: Send + 'static> Shared<T> {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            state: std::sync::Mutex::new(State {
                items: VecDeque::new(),
                getters: Waiters::new(),
                putters: Waiters::new(),
            }),
        })
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        lock_std(&self.state).items.len()
    }

    /// Puts an element. A future if it has to wait for room.
    pub(super) fn put(self: &Arc<Self>, item: T) -> Option<Future<()>> {
        let mut state = lock_std(&self.state);
        match state.offer(item, self.capacity) {
            Offered::Stored => None,
            Offered::Given(promise, item) => {
                drop(state);
                self.give(promise, item).resume();
                None
            }
            Offered::Full(item) => {
                let cancel = weakly(self, Self::putter_gives_up);
                let waiter = |promise| Putter { item, promise };
                Some(state.putters.enter(waiter, cancel))
            }
        }
    }

    /// Puts an element if there is a getter or room for it, else gives it back.
    pub(super) fn try_put(self: &Arc<Self>, item: T) -> Result<(), T> {
        let mut state = lock_std(&self.state);
        match state.offer(item, self.capacity) {
            Offered::Stored => Ok(()),
            Offered::Given(promise, item) => {
                drop(state);
                self.give(promise, item).resume();
                Ok(())
            }
            Offered::Full(item) => Err(item),
        }
    }

    fn give(self: &Arc<Self>, promise: Promise<T>, item: T) -> Panicked {
        let completion = move || {
            promise.set(item);
        };
        complete(self, [completion])
    }

    pub(super) fn get(self: &Arc<Self>) -> Future<T> {
        let mut state = lock_std(&self.state);
        let Some((item, putter)) = state.take() else {
            let cancel = weakly(self, Self::getter_gives_up);
            return state.getters.enter(|promise| promise, cancel);
        };
        drop(state);
        self.tell(putter);
        Future::ready(item)
    }

    pub(super) fn try_get(self: &Arc<Self>) -> Option<T> {
        let (item, putter) = lock_std(&self.state).take()?;
        self.tell(putter);
        Some(item)
    }

    fn tell(self: &Arc<Self>, putter: Option<Promise<()>>) {
        let Some(promise) = putter else { return };
        let completion = move || {
            promise.set(());
        };
        // The caller has an element in hand, which a panic would lose.
        complete(self, [completion]).log();
    }

    fn getter_gives_up(self: &Arc<Self>, ticket: u64) {
        let waiter = lock_std(&self.state).getters.remove(ticket);
        if let Some(promise) = waiter {
            promise.discard();
        }
    }

    fn putter_gives_up(self: &Arc<Self>, ticket: u64) {
        let waiter = lock_std(&self.state).putters.remove(ticket);
        if let Some(Putter { item, promise }) = waiter {
            drop(item);
            promise.discard();
        }
    }

    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        // Not the elements: their `Debug` is foreign code, and would run under the lock.
        let state = lock_std(&self.state);
        f.debug_struct(name)
            .field("len", &state.items.len())
            .field("getters_waiting", &state.getters.len())
            .field("putters_waiting", &state.putters.len())
            .finish()
    }
}

/// A queue without bound, whose `get` gives a [`Future`]: first in, first out, and the getter who came first has the first element.
///
/// Nothing keeps putters from being faster than getters for ever: where that may be, use a [`BoundedQueue`](super::BoundedQueue).
///
/// Cheap to clone: a clone is a handle to the same queue. If the last handle is dropped, getters who wait are abandoned, and elements are dropped.
///
/// # Cost
///
/// `put` is a short lock, and no allocation but for the queue's growth. `get` is one allocation, some more and O(log getters) if it has to wait.
///
/// ```
/// use libprocess::sync::Queue;
///
/// let queue = Queue::new();
/// let first = queue.get();
/// assert!(first.is_pending());
/// queue.put(1);
/// queue.put(2);
/// assert_eq!(first.get(), Ok(1));
/// assert_eq!(queue.get().get(), Ok(2));
/// ```
pub struct Queue<T: Send + 'static> {
    shared: Arc<Shared<T>>,
}

impl<T: Send + 'static> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            shared: Shared::new(usize::MAX),
        }
    }

    /// Puts an element in: the getter who has waited longest has it at once, else it is stored. Never waits.
    ///
    /// # Panics
    ///
    /// If a callback of that getter's future does.
    pub fn put(&self, item: T) {
        let waits = self.shared.put(item);
        debug_assert!(waits.is_none(), "there is always room");
    }

    /// A future of the next element.
    ///
    /// Discarding or dropping it gives the place up: the element goes to the next getter. If it was ready, or is being made so at that moment, the element is
    /// dropped with it.
    ///
    /// ```
    /// use libprocess::sync::Queue;
    ///
    /// let queue = Queue::new();
    /// let (first, second) = (queue.get(), queue.get());
    /// first.discard();
    /// assert!(first.is_discarded());
    /// queue.put(1);
    /// assert_eq!(second.get(), Ok(1));
    /// ```
    pub fn get(&self) -> Future<T> {
        self.shared.get()
    }

    /// The next element, if there is one. No allocation.
    ///
    /// ```
    /// let queue = libprocess::sync::Queue::new();
    /// assert_eq!(queue.try_get(), None);
    /// queue.put(1);
    /// assert_eq!(queue.try_get(), Some(1));
    /// ```
    pub fn try_get(&self) -> Option<T> {
        self.shared.try_get()
    }

    /// How many elements there are, that no getter has. Others may change that meanwhile.
    ///
    /// ```
    /// let queue = libprocess::sync::Queue::new();
    /// queue.put(1);
    /// assert_eq!(queue.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Send + 'static> Clone for Queue<T> {
    /// Another handle to the same queue.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Send + 'static> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug(f, "Queue")
    }
}
