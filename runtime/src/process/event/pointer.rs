//! An owning pointer to the payload of a block whose type is known.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use super::block::EventBox;

/// Owns a block whose payload is a `T`. Its contents are not copied to be looked at.
pub(crate) struct BlockOf<T> {
    event: ManuallyDrop<EventBox>,
    payload: PhantomData<T>,
}

impl<T> BlockOf<T> {
    /// # Safety
    ///
    /// The block's payload is a `T`.
    #[inline]
    pub(crate) unsafe fn from_box(event: EventBox) -> Self {
        Self {
            event: ManuallyDrop::new(event),
            payload: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn into_box(self) -> EventBox {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `self` is never used nor dropped again, so the box is moved out once.
        unsafe { ManuallyDrop::take(&mut this.event) }
    }

    /// Frees the block and gives its payload.
    #[inline]
    pub(crate) fn into_payload(self) -> T {
        // SAFETY: by the contract of `from_box`.
        unsafe { self.into_box().into_payload() }
    }
}

impl<T> Deref for BlockOf<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the contract of `from_box`.
        unsafe { self.event.payload() }
    }
}

impl<T> DerefMut for BlockOf<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the contract of `from_box`.
        unsafe { self.event.payload_mut() }
    }
}

impl<T> Drop for BlockOf<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: dropped once, so the box is moved out once; its payload is a `T` by the contract of `from_box`.
        unsafe { ManuallyDrop::take(&mut self.event).free_as::<T>() };
    }
}
