use std::sync::Arc;

use super::{Completion, Core, Future};

/// The writing side of a result: completes its future once.
///
/// Dropping it before that abandons the future.
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
    core: Arc<Core<T>>,
    /// Whether `future` was called: a second handle needs `T: Clone`.
    given: std::sync::atomic::AtomicBool,
}

impl<T> Promise<T> {
    /// A promise that is pending. One allocation.
    pub fn new() -> Self {
        Self {
            core: Core::new(),
            given: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// The future of this promise.
    ///
    /// # Panics
    ///
    /// On a second call: a future of a `T` that is not `Clone` is unique, so clone the first one
    /// where `T: Clone`.
    pub fn future(&self) -> Future<T> {
        // Relaxed: a flag between callers of one `&self`; the swap alone decides.
        let given = self.given.swap(true, std::sync::atomic::Ordering::Relaxed);
        assert!(
            !given,
            "`Promise::future` was called before: clone the future it gave instead"
        );
        Future::from_core(Arc::clone(&self.core))
    }

    /// Whether the future was given away and every handle to it is gone.
    pub(crate) fn is_unwatched(&self) -> bool {
        // Relaxed: as in `future`.
        self.given.load(std::sync::atomic::Ordering::Relaxed) && self.core.is_unwatched()
    }

    /// Makes the future ready and runs its callbacks; returns when they have run. False (and the value is dropped) if the
    /// future was completed before.
    pub fn set(&self, value: T) -> bool {
        self.core.complete(Completion::Ready(value)).is_ok()
    }

    /// Makes the future fail with `message`. False if it was completed before.
    pub fn fail(&self, message: impl Into<Arc<str>>) -> bool {
        self.core
            .complete(Completion::Failed(message.into()))
            .is_ok()
    }

    /// Makes the future discarded. False if it was completed before.
    pub fn discard(&self) -> bool {
        self.core.complete(Completion::Discarded).is_ok()
    }
}

impl<T> Default for Promise<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.core.abandon();
    }
}

impl<T> std::fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Promise({:?})", self.core.state())
    }
}
