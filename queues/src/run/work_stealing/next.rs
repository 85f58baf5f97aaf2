//! The place for the one item that its worker will take next.
//!
//! # States
//!
//! | state | the cell | who leaves it, for what |
//! |---|---|---|
//! | `EMPTY` | is the owner's | the owner, for `FULL` |
//! | `FULL` | holds an item | the owner, for `EMPTY` or `BUSY`; a thief, for `BUSY`: each by compare-and-swap |
//! | `BUSY` | belongs to whoever made it so | that one, for `EMPTY` (a thief) or `FULL` (the owner, which replaced the item) |
//!
//! An owner that puts an item into an empty place pays a store, and no more: only it leaves `EMPTY`.
//! One that finds the place `BUSY` does without it.

use std::mem::MaybeUninit;

use crate::sync::{AtomicU8, Ordering, UnsafeCell, model_failed, weakened};

const EMPTY: u8 = 0;
const FULL: u8 = 1;
const BUSY: u8 = 2;

pub(super) struct Next<T> {
    state: AtomicU8,
    item: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: items move in and out whole, each to one thread (the table above).
unsafe impl<T: Send> Send for Next<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Next<T> {}

/// What became of an item that was put.
pub(super) enum Put<T> {
    /// It has the place, which was empty.
    Kept,
    /// It has the place; here is what was there.
    Displaced(T),
    /// A thief is at the place; here is the item back.
    Refused(T),
}

impl<T> Next<T> {
    pub(super) fn new() -> Next<T> {
        Next {
            state: AtomicU8::new(EMPTY),
            item: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Whether there is an item: a snapshot.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.state.load(Ordering::Relaxed) == FULL
    }

    /// Whether there is an item, or its owner or a thief is just at the place: a snapshot.
    pub(super) fn is_in_use(&self) -> bool {
        self.state.load(Ordering::Relaxed) != EMPTY
    }

    #[inline]
    fn leave_full(&self, to: u8) -> bool {
        // Acquire: pairs with the Release in `put`: the item is written. Relaxed on failure: then nothing is touched.
        self.state
            .compare_exchange(FULL, to, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(super) unsafe fn put(&self, item: T) -> Put<T> {
        // Acquire: pairs with the Release in `steal`: the thief has read the item.
        let displaced = match self.state.load(Ordering::Acquire) {
            EMPTY => None,
            FULL if self.leave_full(BUSY) => {
                // SAFETY: the item was there, and the place is ours.
                Some(self.item.with(|item| unsafe { (*item).assume_init_read() }))
            }
            // A thief has it, or had it just now.
            _ => return Put::Refused(item),
        };
        // SAFETY: the cell is ours, in either case.
        self.item.with_mut(|place| unsafe { (*place).write(item) });
        // Release: pairs with the Acquire in `leave_full`.
        let order = if weakened("next-put") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.state.store(FULL, order);
        match displaced {
            None => Put::Kept,
            Some(displaced) => Put::Displaced(displaced),
        }
    }

    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(super) unsafe fn take(&self) -> Option<T> {
        // Straight to empty: only the owner writes an empty place, and that is who reads it now.
        if self.is_full() && self.leave_full(EMPTY) {
            // SAFETY: the item was there, and nobody else left `FULL`.
            return Some(self.item.with(|item| unsafe { (*item).assume_init_read() }));
        }
        None
    }

    /// Takes the item, in any thread.
    pub(super) fn steal(&self) -> Option<T> {
        let busy = if weakened("next-busy") { EMPTY } else { BUSY };
        if !self.is_full() || !self.leave_full(busy) {
            return None;
        }
        // SAFETY: the item was there, and the place is ours until it is empty.
        let item = self.item.with(|item| unsafe { (*item).assume_init_read() });
        // Release: pairs with the Acquire in `put`: the owner may write.
        self.state.store(EMPTY, Ordering::Release);
        Some(item)
    }
}

impl<T> Drop for Next<T> {
    fn drop(&mut self) {
        if !model_failed() {
            drop(self.steal());
        }
    }
}
