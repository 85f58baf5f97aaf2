use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

use super::core::{Core, Outcome, release};
use super::counts::Counts;
use super::node::Work;
use super::side::{DiscardCallback, OnDiscard};
use super::{Future, chain};
use crate::facade::atomic::{AtomicU8, Ordering};
use crate::facade::weakened;

/// Somebody has, or had, the right to complete.
const CLAIMED: u8 = 1;

/// The writing side of a result: completes its future once.
///
/// Dropping it before that *abandons* the future, which stays pending; `get` and `.await` then answer
/// [`Abandoned`](super::Error::Abandoned).
///
/// A method that completes returns when every callback that waited has run, in this thread. If callbacks panic, the first
/// panic goes on in it, after the others have run.
///
/// ```
/// use libprocess::Promise;
///
/// let promise = Promise::<i64>::new();
/// let future = promise.future();
/// drop(promise);
/// assert!(future.is_abandoned() && future.is_pending());
/// ```
pub struct Promise<T> {
    core: NonNull<Core<T>>,
    flags: AtomicU8,
}

// SAFETY: a promise is a reference to a core and the right to complete it, which moves a `T` to other threads.
unsafe impl<T: Send> Send for Promise<T> {}
// SAFETY: as above: the flag lets one of several threads complete.
unsafe impl<T: Send> Sync for Promise<T> {}

impl<T> Promise<T> {
    /// A promise that is pending. One allocation.
    pub fn new() -> Self {
        Self {
            core: Core::allocate(Outcome::None, Counts::new(0, 1)),
            flags: AtomicU8::new(0),
        }
    }

    /// A promise and its future, in one step.
    ///
    /// ```
    /// let (promise, future) = libprocess::Promise::pair();
    /// promise.set(1);
    /// assert_eq!(future.get(), Ok(1));
    /// ```
    pub fn pair() -> (Self, Future<T>) {
        let core = Core::allocate(Outcome::None, Counts::new(1, 2));
        let promise = Self {
            core,
            flags: AtomicU8::new(0),
        };
        // SAFETY: counted above.
        (promise, unsafe { Future::from_core(core) })
    }

    /// # Safety
    ///
    /// The caller gives up a reference and the right to complete. The future was given away.
    pub(super) unsafe fn from_core(core: NonNull<Core<T>>) -> Self {
        Self {
            core,
            flags: AtomicU8::new(0),
        }
    }

    fn core(&self) -> &Core<T> {
        // SAFETY: we hold a reference.
        unsafe { self.core.as_ref() }
    }

    /// The future of this promise.
    ///
    /// # Panics
    ///
    /// On a second call: a future of a `T` that is not `Clone` is unique, so clone the first one where `T: Clone + Sync`.
    pub fn future(&self) -> Future<T> {
        assert!(
            self.core().header.counts.give_handle(),
            "`Promise::future` was called before: clone the future it gave instead"
        );
        // SAFETY: just counted.
        unsafe { Future::from_core(self.core) }
    }

    /// Whether the future was given away and every handle to it is gone.
    pub(crate) fn is_unwatched(&self) -> bool {
        self.core().header.counts.is_unwatched()
    }

    /// Claims the right to complete.
    fn claim(&self) -> bool {
        if weakened("claim-in-two-steps") {
            let flags = self.flags.load(Ordering::Relaxed);
            self.flags.store(flags | CLAIMED, Ordering::Relaxed);
            return flags & CLAIMED == 0;
        }
        // Relaxed: the exchange alone decides; what is completed is published by the core's word.
        self.flags.fetch_or(CLAIMED, Ordering::Relaxed) & CLAIMED == 0
    }

    #[inline]
    fn complete(&self, outcome: Outcome<T>) -> bool {
        if !self.claim() {
            return false;
        }
        // SAFETY: the right was just claimed, and we hold a reference.
        unsafe { Core::complete_now(self.core, outcome) };
        true
    }

    /// Makes the future ready. False (and the value is dropped) if it was completed or associated before.
    ///
    /// ```
    /// let promise = libprocess::Promise::new();
    /// assert!(promise.set(1));
    /// assert!(!promise.set(2));
    /// assert_eq!(promise.future().get(), Ok(1));
    /// ```
    #[inline]
    pub fn set(&self, value: T) -> bool {
        self.complete(Outcome::Ready(value))
    }

    /// Makes the future fail with `message`. False if it was completed or associated before.
    pub fn fail(&self, message: impl Into<Arc<str>>) -> bool {
        self.complete(Outcome::Failed(message.into()))
    }

    /// Makes the future discarded. False if it was completed or associated before.
    ///
    /// This is not the request that [`Future::discard`] makes, but what may answer it.
    pub fn discard(&self) -> bool {
        self.complete(Outcome::Discarded)
    }

    /// Has the future end as `future` does, whose discard is requested when this promise's future is asked to discard. From here on the promise completes nothing
    /// itself, and dropping it does not abandon. False (and `future` is dropped) if it was completed or associated before.
    ///
    /// Three allocations if `future` is pending.
    ///
    /// ```
    /// use libprocess::Promise;
    ///
    /// let (outer, inner) = (Promise::new(), Promise::new());
    /// let future = outer.future();
    /// assert!(outer.associate(inner.future()));
    /// drop(outer);
    /// inner.set(5);
    /// assert_eq!(future.get(), Ok(5));
    /// ```
    pub fn associate(&self, future: Future<T>) -> bool
    where
        T: Send + 'static,
    {
        if !self.claim() {
            return false;
        }
        // SAFETY: the right was just claimed, and we hold a reference.
        unsafe { chain::associate(self.core, future) };
        true
    }

    /// Completes and gives the promise up, without the atomic step that claims: nobody else has it.
    // In place, so that the outcome is made where it stays.
    #[inline(always)]
    pub(crate) fn settle(mut self, outcome: Outcome<T>) {
        let flags = *self.flags.get_mut_for_owner();
        let this = ManuallyDrop::new(self);
        let _release = ReleaseOnDrop(this.core);
        if flags & CLAIMED != 0 {
            return;
        }
        if this.core().header.is_forgotten() {
            // As after a dispatch whose future was dropped at once: nobody would ever see the outcome.
            return drop(outcome);
        }
        // SAFETY: the promise is ours alone and unclaimed; `_release` holds its reference.
        unsafe { Core::complete_now(this.core, outcome) };
    }

    /// As `settle`, where that is rare: one for each type of value.
    #[cold]
    #[inline(never)]
    pub(crate) fn settle_apart(self, outcome: Outcome<T>) {
        self.settle(outcome);
    }

    /// Whether [`Future::discard`] was called.
    pub fn has_discard(&self) -> bool {
        self.core().header.is_requested()
    }

    /// Has `callback` run when a discard of the future is requested: at once if it was. It is dropped unused when the
    /// future is completed, and when the last future is dropped: at once if it was.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use libprocess::Promise;
    ///
    /// let promise = Arc::new(Promise::<i64>::new());
    /// let cancelled = Arc::clone(&promise);
    /// promise.on_discard(move || { cancelled.discard(); });
    /// let future = promise.future();
    /// future.discard();
    /// assert!(future.is_discarded());
    /// ```
    pub fn on_discard(&self, callback: impl FnOnce() + Send + 'static) {
        self.core().header.on_discard(DiscardCallback {
            callback: OnDiscard::Run(Box::new(callback)),
            when_unwatched: false,
        });
    }
}

struct ReleaseOnDrop<T>(NonNull<Core<T>>);

impl<T> Drop for ReleaseOnDrop<T> {
    fn drop(&mut self) {
        // SAFETY: made of a promise that was given up, whose reference this is.
        unsafe { release(self.0.cast()) };
    }
}

/// `get_mut`, which loom's atomics have in another form.
trait GetMut {
    fn get_mut_for_owner(&mut self) -> impl std::ops::Deref<Target = u8>;
}

impl GetMut for AtomicU8 {
    fn get_mut_for_owner(&mut self) -> impl std::ops::Deref<Target = u8> {
        #[cfg(not(libprocess_loom))]
        {
            &*self.get_mut()
        }
        #[cfg(libprocess_loom)]
        {
            // Relaxed: exclusive.
            Box::new(self.load(Ordering::Relaxed))
        }
    }
}

impl<T> Default for Promise<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let _release = ReleaseOnDrop(self.core);
        if *self.flags.get_mut_for_owner() & CLAIMED != 0 {
            return;
        }
        let mut work = Work::new();
        // SAFETY: unclaimed, so the right is ours, as is the reference that `_release` holds.
        unsafe { Core::complete(self.core, Outcome::Abandoned, &mut work) };
        // This happens in a drop, perhaps while a panic unwinds, so a panic in a callback ends here.
        work.finish_in_drop();
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the outcome: the value may be moved out while we look.
        let claimed = self.flags.load(Ordering::Relaxed) & CLAIMED != 0;
        f.debug_struct("Promise")
            .field("completed_or_associated", &claimed)
            .field("has_discard", &self.has_discard())
            .finish()
    }
}
