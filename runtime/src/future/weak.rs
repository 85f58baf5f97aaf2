use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::Future;
use super::core::{Core, Header, release};

/// A reference to a core: keeps its memory, not its value.
pub(super) struct Reference(NonNull<Header>);

// SAFETY: made of futures of `Send` values only, and it touches nothing but the header, which is synchronized.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Reference {
    pub(super) fn new<T: Send>(core: NonNull<Core<T>>) -> Self {
        let header: NonNull<Header> = core.cast();
        // SAFETY: the caller borrows it from a handle.
        unsafe { header.as_ref() }.counts.add_reference();
        Self(header)
    }

    pub(super) fn header(&self) -> NonNull<Header> {
        self.0
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: ours, given up once.
        unsafe { release(self.0) };
    }
}

/// A future that does not count: it keeps neither the value nor, if it is the last that is left, a chain of callbacks.
///
/// For callbacks that must not keep alive what they watch.
///
/// ```
/// use libprocess::Promise;
///
/// let promise = Promise::<i64>::new();
/// let future = promise.future();
/// let weak = future.downgrade();
/// assert!(weak.upgrade().is_some_and(|same| same == future));
/// drop(future);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakFuture<T> {
    reference: Reference,
    value: PhantomData<fn() -> T>,
}

impl<T> WeakFuture<T> {
    pub(super) fn new(core: NonNull<Core<T>>) -> Self
    where
        T: Clone + Send + Sync,
    {
        // Before there is a weak future to upgrade: a second handle needs it.
        // SAFETY: the caller borrows the core from a handle.
        unsafe { core.as_ref() }.record_clone(T::clone);
        Self {
            reference: Reference::new(core),
            value: PhantomData,
        }
    }

    /// The future, if another handle to it is left.
    pub fn upgrade(&self) -> Option<Future<T>> {
        let header = self.reference.0;
        // SAFETY: we hold a reference.
        if !unsafe { header.as_ref() }.counts.try_add_handle() {
            return None;
        }
        let core: NonNull<Core<T>> = header.cast();
        // SAFETY: this weak future was made of a `Future<T>`; the handle was just counted.
        Some(unsafe { Future::from_core(core) })
    }
}

impl<T> Clone for WeakFuture<T> {
    fn clone(&self) -> Self {
        // SAFETY: we hold a reference.
        unsafe { self.reference.0.as_ref() }.counts.add_reference();
        Self {
            reference: Reference(self.reference.0),
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for WeakFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakFuture")
    }
}
