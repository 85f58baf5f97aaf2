//! `Mutex`: a lock that is waited for by a future.
//!
//! # States
//!
//! ```text
//!             lock                      lock: waits
//! UNLOCKED ──────────────► LOCKED ───┐◄──────────────
//!    ▲                       │       │ unlock, somebody waits: he is the owner
//!    └───────────────────────┘       └──────────────►  (LOCKED)
//!       unlock, nobody waits
//! ```
//!
//! Unlocked, the state has the value; locked, the guard has it. So who can see the value is a matter of ownership and nothing else, and no unsafe code is needed.
//! The value stands in a box, so that it is not moved about.
//!
//! # Protocol
//!
//! The guard's drop looks, under the lock of the state, for the waiter that came first. If there is one, the value goes into a new guard, and that into the
//! waiter's future; the mutex was never free, so nobody can come in between. Else the value goes back into the state.
//!
//! # What can go wrong
//!
//! * *The next owner gave up.* Before he was chosen: he was not among the waiters any more. After: the guard is in his future, or in a callback of his, and is
//!   dropped with it, which unlocks.
//! * *A guard that is never dropped* (`mem::forget`) locks the mutex for good, as with any.
//! * *Its owner panics.* The guard is dropped as the stack unwinds, and the next owner finds the value as it was left. There is no poisoning.
//! * *A million waiters whose callbacks unlock.* See [`hand_over`](super::hand_over).

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::hand_over::complete;
use super::waiters::{Waiters, weakly};
use crate::facade::lock_std;
use crate::future::{Future, Promise};

/// Exclusive access to a value, waited for by a [`Future`]: first come, first served.
///
/// Cheap to clone: a clone is a handle to the same mutex. libprocess's, which guards no value, is `Mutex<()>`, made by `Mutex::default()`.
///
/// The guard owns its access and may be sent anywhere, kept in a process, and held across any number of callbacks. It unlocks when it is dropped: if somebody
/// waits, he owns the lock from then on, and his future is ready when the drop is over, unless it happens in a callback of this mutex
/// ([rules](crate::sync#rules-for-all)).
///
/// # Cost
///
/// One allocation for the value. To lock is one for the future, and some more and O(log waiters) to wait.
///
/// ```
/// use libprocess::sync::Mutex;
///
/// let mutex = Mutex::new(vec![1]);
/// let mut guard = mutex.lock().get()?;
/// let second = mutex.lock();
/// assert!(second.is_pending());
/// guard.push(2);
/// drop(guard);
/// assert_eq!(*second.get()?, [1, 2]);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
///
/// As a critical section that lasts until a future has ended:
///
/// ```
/// use libprocess::{Promise, sync::Mutex};
///
/// let mutex = Mutex::<()>::default();
/// let written = Promise::<usize>::new();
/// let future = written.future();
/// let section = mutex.lock().then(move |guard| future.then(move |bytes| {
///     drop(guard);
///     bytes
/// }));
/// assert!(mutex.is_locked());
/// written.set(42);
/// assert_eq!(section.get(), Ok(42));
/// assert!(!mutex.is_locked());
/// ```
pub struct Mutex<T: Send + 'static = ()> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Send + 'static> {
    state: std::sync::Mutex<State<T>>,
}

struct State<T: Send + 'static> {
    /// None while it is locked.
    value: Option<Box<T>>,
    /// None while it is not.
    waiters: Waiters<Promise<MutexGuard<T>>>,
}

/// Exclusive access to the value of a [`Mutex`], until it is dropped.
///
/// ```
/// use libprocess::sync::Mutex;
///
/// let mutex = Mutex::new(1);
/// *mutex.lock().get()? += 1;
/// assert_eq!(*mutex.lock().get()?, 2);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
#[must_use = "the mutex is unlocked when the guard is dropped: at once, if it is not kept"]
pub struct MutexGuard<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    /// There until the drop.
    value: Option<Box<T>>,
}

impl<T: Send + 'static> Mutex<T> {
    /// A mutex around `value`, unlocked.
    pub fn new(value: T) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: std::sync::Mutex::new(State {
                    value: Some(Box::new(value)),
                    waiters: Waiters::new(),
                }),
            }),
        }
    }

    /// A future of the guard: ready at once if the mutex is unlocked, else when it is the caller's turn.
    ///
    /// Discarding or dropping it gives the place in the queue up, or unlocks, if it was ready.
    ///
    /// ```
    /// use libprocess::sync::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock();
    /// let (first, second) = (mutex.lock(), mutex.lock());
    /// first.discard();
    /// drop(guard);
    /// assert!(first.is_discarded() && second.is_ready());
    /// ```
    pub fn lock(&self) -> Future<MutexGuard<T>> {
        let mut state = lock_std(&self.shared.state);
        let Some(value) = state.value.take() else {
            let cancel = weakly(&self.shared, Shared::give_up);
            return state.waiters.enter(|promise| promise, cancel);
        };
        drop(state);
        Future::ready(self.shared.guard(value))
    }

    /// The guard, if the mutex is unlocked. No allocation.
    ///
    /// ```
    /// use libprocess::sync::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_some());
    /// ```
    pub fn try_lock(&self) -> Option<MutexGuard<T>> {
        let value = lock_std(&self.shared.state).value.take();
        value.map(|value| self.shared.guard(value))
    }

    /// Whether somebody has the lock. Others may change that meanwhile.
    ///
    /// ```
    /// use libprocess::sync::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock();
    /// assert!(mutex.is_locked());
    /// # drop(guard);
    /// ```
    pub fn is_locked(&self) -> bool {
        lock_std(&self.shared.state).value.is_none()
    }
}

impl<T: Send + 'static> Shared<T> {
    fn guard(self: &Arc<Self>, value: Box<T>) -> MutexGuard<T> {
        MutexGuard {
            shared: Arc::clone(self),
            value: Some(value),
        }
    }

    fn give_up(self: &Arc<Self>, ticket: u64) {
        let waiter = lock_std(&self.state).waiters.remove(ticket);
        if let Some(promise) = waiter {
            promise.discard();
        }
    }
}

impl<T: Send + 'static> Drop for MutexGuard<T> {
    fn drop(&mut self) {
        let Some(value) = self.value.take() else {
            return;
        };
        let mut state = lock_std(&self.shared.state);
        debug_assert!(state.value.is_none(), "the value is where it is owned");
        let Some(promise) = state.waiters.pop_front() else {
            state.value = Some(value);
            return;
        };
        drop(state);
        let guard = self.shared.guard(value);
        let completion = move || {
            promise.set(guard);
        };
        complete(&self.shared, [completion]).log();
    }
}

impl<T: Send + 'static> Deref for MutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let value = self.value.as_deref();
        value.expect("a guard has the value until it is dropped")
    }
}

impl<T: Send + 'static> DerefMut for MutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        let value = self.value.as_deref_mut();
        value.expect("a guard has the value until it is dropped")
    }
}

impl<T: Send + 'static> Clone for Mutex<T> {
    /// Another handle to the same mutex.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Send + Default + 'static> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Send + 'static> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the value: its `Debug` is foreign code, and would run under the lock.
        let state = lock_std(&self.shared.state);
        f.debug_struct("Mutex")
            .field("locked", &state.value.is_none())
            .field("waiting", &state.waiters.len())
            .finish()
    }
}

impl<T: Send + fmt::Debug + 'static> fmt::Debug for MutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MutexGuard").field(&**self).finish()
    }
}
