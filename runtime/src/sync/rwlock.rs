//! `RwLock`: many readers or one writer, waited for by a future.
//!
//! # States
//!
//! | state | the value | a reader who comes | a writer who comes |
//! |---|---|---|---|
//! | free | in the state | reads | writes |
//! | read, nobody waits | in the state, and with each reader | reads | waits |
//! | read, somebody waits | likewise | waits | waits |
//! | written | with the writer | waits | waits |
//!
//! The value is in an `Arc`. Readers have clones of it, and the writer has the only one, so who may see the value is a matter of ownership, and no unsafe
//! code is needed. A reader gives its clone up before it says so: so when the last reader is counted out, the state has the only one.
//!
//! # Who is next
//!
//! Waiters stand in one queue. Whenever a guard is dropped, or a waiter gives up, `admit` looks at its front: a writer goes in if nobody is in; readers go in, all that stand
//! in front of the next writer, if no writer is in. So groups of readers never cross a writer, and neither side starves:
//!
//! ```text
//! reading: R0, waiting: W1 R1 R2 W2 R3   then in turn W1, then R1 and R2, then W2, then R3
//! ```
//!
//! # What can go wrong
//!
//! * *The writer whom readers wait behind gives up.* Nobody unlocks, so nobody would look at the queue: whoever gives up looks himself.
//! * *Somebody is chosen and gives up.* The guard is in his future, or in his callback, and dropped with it, which unlocks.
//! * *A callback of the first reader of a group unlocks, and the next writer is chosen?* All readers of a group are counted in before the first is told.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::hand_over::complete;
use super::waiters::{Waiters, weakly};
use crate::facade::lock_std;
use crate::future::{Future, Promise};

/// Shared access to a value for readers or exclusive access for one writer, waited for by a [`Future`].
///
/// As libprocess's `ReadWriteLock`: first come, first served, but that readers who come one after another read together. A reader waits behind a
/// writer who waits, also while others read. So a reader who, before he unlocks, waits for a second read of his own may wait for ever.
///
/// Cheap to clone: a clone is a handle to the same lock. Guards own their access, may be sent anywhere, and unlock when they are dropped.
///
/// # Cost
///
/// One allocation for the value. To lock is one for the future, and some more and O(log waiters) to wait.
///
/// ```
/// use libprocess::sync::RwLock;
///
/// let lock = RwLock::new(1);
/// let (first, second) = (lock.read().get()?, lock.read().get()?);
/// assert_eq!(*first + *second, 2);
/// let write = lock.write();
/// drop(first);
/// assert!(write.is_pending());
/// drop(second);
/// *write.get()? += 1;
/// assert_eq!(*lock.read().get()?, 2);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
pub struct RwLock<T: Send + Sync + 'static = ()> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Send + Sync + 'static> {
    state: std::sync::Mutex<State<T>>,
}

struct State<T: Send + Sync + 'static> {
    /// None while somebody writes.
    value: Option<Arc<T>>,
    /// How many read; zero while somebody writes.
    readers: usize,
    /// None while nobody reads or writes. The first, while somebody reads, is a writer.
    waiters: Waiters<Waiter<T>>,
}

enum Waiter<T: Send + Sync + 'static> {
    Read(Promise<RwLockReadGuard<T>>),
    Write(Promise<RwLockWriteGuard<T>>),
}

/// Somebody who has the lock and is not told yet.
enum Admitted<T: Send + Sync + 'static> {
    Read(Promise<RwLockReadGuard<T>>, RwLockReadGuard<T>),
    Write(Promise<RwLockWriteGuard<T>>, RwLockWriteGuard<T>),
}

/// Shared access to the value of an [`RwLock`], until it is dropped.
///
/// ```
/// let lock = libprocess::sync::RwLock::new(1);
/// assert_eq!(*lock.read().get()?, 1);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
#[must_use = "the lock is unlocked when the guard is dropped: at once, if it is not kept"]
pub struct RwLockReadGuard<T: Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    /// There until the drop.
    value: Option<Arc<T>>,
}

/// Exclusive access to the value of an [`RwLock`], until it is dropped.
///
/// To change the value is, beside the change, an atomic step or two that make sure of what is known: borrow it once (`let value = &mut *guard`) for many changes in a loop.
///
/// ```
/// let lock = libprocess::sync::RwLock::new(1);
/// *lock.write().get()? += 1;
/// assert_eq!(*lock.read().get()?, 2);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
#[must_use = "the lock is unlocked when the guard is dropped: at once, if it is not kept"]
pub struct RwLockWriteGuard<T: Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    /// There until the drop, and the only one.
    value: Option<Arc<T>>,
}

impl<T: Send + Sync + 'static> RwLock<T> {
    /// A lock around `value`, unlocked.
    pub fn new(value: T) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: std::sync::Mutex::new(State {
                    value: Some(Arc::new(value)),
                    readers: 0,
                    waiters: Waiters::new(),
                }),
            }),
        }
    }

    /// A future of shared access: ready at once if nobody writes or waits.
    ///
    /// Discarding or dropping it gives the place in the queue up, or unlocks, if it was ready.
    pub fn read(&self) -> Future<RwLockReadGuard<T>> {
        let mut state = lock_std(&self.shared.state);
        match state.read_at_once(&self.shared) {
            Some(guard) => {
                drop(state);
                Future::ready(guard)
            }
            None => {
                let cancel = weakly(&self.shared, Shared::give_up);
                state.waiters.enter(Waiter::Read, cancel)
            }
        }
    }

    /// A future of exclusive access: ready at once if nobody reads or writes.
    ///
    /// Discarding or dropping it gives the place in the queue up, or unlocks, if it was ready.
    pub fn write(&self) -> Future<RwLockWriteGuard<T>> {
        let mut state = lock_std(&self.shared.state);
        match state.write_at_once(&self.shared) {
            Some(guard) => {
                drop(state);
                Future::ready(guard)
            }
            None => {
                let cancel = weakly(&self.shared, Shared::give_up);
                state.waiters.enter(Waiter::Write, cancel)
            }
        }
    }

    /// Shared access, if nobody writes or waits. No allocation.
    ///
    /// ```
    /// let lock = libprocess::sync::RwLock::new(1);
    /// let reader = lock.try_read().unwrap();
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// # drop(reader);
    /// ```
    pub fn try_read(&self) -> Option<RwLockReadGuard<T>> {
        lock_std(&self.shared.state).read_at_once(&self.shared)
    }

    /// Exclusive access, if nobody reads or writes. No allocation.
    ///
    /// ```
    /// let lock = libprocess::sync::RwLock::new(1);
    /// let writer = lock.try_write().unwrap();
    /// assert!(lock.try_read().is_none() && lock.try_write().is_none());
    /// # drop(writer);
    /// ```
    pub fn try_write(&self) -> Option<RwLockWriteGuard<T>> {
        lock_std(&self.shared.state).write_at_once(&self.shared)
    }
}

impl<T: Send + Sync + 'static> State<T> {
    fn read_at_once(&mut self, shared: &Arc<Shared<T>>) -> Option<RwLockReadGuard<T>> {
        if !self.waiters.is_empty() {
            return None;
        }
        self.enter_reader(shared)
    }

    fn write_at_once(&mut self, shared: &Arc<Shared<T>>) -> Option<RwLockWriteGuard<T>> {
        let guard = self.enter_writer(shared);
        debug_assert!(
            guard.is_none() || self.waiters.is_empty(),
            "nobody waits for a free lock"
        );
        guard
    }

    /// Counts a reader in, unless somebody writes.
    fn enter_reader(&mut self, shared: &Arc<Shared<T>>) -> Option<RwLockReadGuard<T>> {
        let value = Arc::clone(self.value.as_ref()?);
        self.readers += 1;
        Some(RwLockReadGuard {
            shared: Arc::clone(shared),
            value: Some(value),
        })
    }

    /// Lets a writer in, unless somebody reads or writes.
    fn enter_writer(&mut self, shared: &Arc<Shared<T>>) -> Option<RwLockWriteGuard<T>> {
        if self.readers > 0 {
            return None;
        }
        let value = self.value.take()?;
        Some(RwLockWriteGuard {
            shared: Arc::clone(shared),
            value: Some(value),
        })
    }

    /// Lets those in who are next: see the module.
    #[must_use]
    fn admit(&mut self, shared: &Arc<Shared<T>>) -> Vec<Admitted<T>> {
        let mut admitted = Vec::new();
        loop {
            match self.waiters.front() {
                Some(Waiter::Read(_)) if self.value.is_some() => {}
                Some(Waiter::Write(_)) if self.value.is_some() && self.readers == 0 => {}
                _ => return admitted,
            }
            admitted.extend(match self.waiters.pop_front() {
                Some(Waiter::Read(promise)) => self
                    .enter_reader(shared)
                    .map(|guard| Admitted::Read(promise, guard)),
                Some(Waiter::Write(promise)) => self
                    .enter_writer(shared)
                    .map(|guard| Admitted::Write(promise, guard)),
                None => None,
            });
        }
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    fn give_up(self: &Arc<Self>, ticket: u64) {
        let mut state = lock_std(&self.state);
        let waiter = state.waiters.remove(ticket);
        let admitted = state.admit(self);
        drop(state);
        self.tell(admitted);
        match waiter {
            Some(Waiter::Read(promise)) => promise.discard(),
            Some(Waiter::Write(promise)) => promise.discard(),
            None => false,
        };
    }

    fn tell(self: &Arc<Self>, admitted: Vec<Admitted<T>>) {
        if admitted.is_empty() {
            return;
        }
        let completions = admitted.into_iter().map(|admitted| {
            move || {
                match admitted {
                    Admitted::Read(promise, guard) => promise.set(guard),
                    Admitted::Write(promise, guard) => promise.set(guard),
                };
            }
        });
        complete(self, completions).log();
    }
}

impl<T: Send + Sync + 'static> Drop for RwLockReadGuard<T> {
    fn drop(&mut self) {
        // First: a writer who comes in next must have the only one. The state has another, so no value is dropped here.
        drop(self.value.take());
        let mut state = lock_std(&self.shared.state);
        debug_assert!(state.readers > 0 && state.value.is_some(), "we read");
        state.readers -= 1;
        let admitted = state.admit(&self.shared);
        drop(state);
        self.shared.tell(admitted);
    }
}

impl<T: Send + Sync + 'static> Drop for RwLockWriteGuard<T> {
    fn drop(&mut self) {
        let mut state = lock_std(&self.shared.state);
        debug_assert!(state.readers == 0 && state.value.is_none(), "we write");
        state.value = self.value.take();
        let admitted = state.admit(&self.shared);
        drop(state);
        self.shared.tell(admitted);
    }
}

impl<T: Send + Sync + 'static> Deref for RwLockReadGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let value = self.value.as_deref();
        value.expect("a guard has the value until it is dropped")
    }
}

impl<T: Send + Sync + 'static> Deref for RwLockWriteGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let value = self.value.as_deref();
        value.expect("a guard has the value until it is dropped")
    }
}

impl<T: Send + Sync + 'static> DerefMut for RwLockWriteGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        let value = self.value.as_mut();
        let value = value.expect("a guard has the value until it is dropped");
        Arc::get_mut(value).expect("readers give theirs up before they are counted out")
    }
}

impl<T: Send + Sync + 'static> Clone for RwLock<T> {
    /// Another handle to the same lock.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Send + Sync + Default + 'static> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the value: its `Debug` is foreign code, and would run under the lock.
        let state = lock_std(&self.shared.state);
        f.debug_struct("RwLock")
            .field("readers", &state.readers)
            .field("written", &state.value.is_none())
            .field("waiting", &state.waiters.len())
            .finish()
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for RwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RwLockReadGuard").field(&**self).finish()
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for RwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RwLockWriteGuard").field(&**self).finish()
    }
}
