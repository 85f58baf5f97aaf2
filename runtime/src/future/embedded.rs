//! A core inside of a larger block, so that a promise with what it belongs to is one allocation: a dispatch and its future.

use std::ptr::NonNull;

use super::core::{Core, Header, Outcome, Table};
use super::counts::Counts;
use super::{Future, Promise};

/// A core whose memory is part of a block. The block is freed when the core's last reference is gone.
#[repr(transparent)]
pub(crate) struct Embedded<T>(Core<T>);

/// How the block of an embedded core is freed.
pub(crate) struct EmbeddedTable(Table);

/// A core, of unknown type.
pub(crate) type CoreHeader = Header;

/// What [`EmbeddedTable::new`] takes gives this: no other core is held.
pub(crate) type NothingHeld = [Option<NonNull<Header>>; 2];

impl EmbeddedTable {
    /// `free` drops the core and frees the block that it is in; the pointer is to the core, made from one to the whole block. `owner` tells
    /// who has the promise in hand, or zero.
    pub(crate) const fn new(
        free: unsafe fn(NonNull<CoreHeader>) -> NothingHeld,
        owner: unsafe fn(NonNull<CoreHeader>) -> u64,
    ) -> Self {
        Self(Table {
            free,
            upstream: |_| None,
            owner,
            cancel: None,
        })
    }
}

impl<T> Embedded<T> {
    /// A pending core, with a promise and a future to be taken, once each.
    #[inline(always)]
    pub(crate) fn new(table: &'static EmbeddedTable) -> Self {
        Self(Core::new(Outcome::None, Counts::new(1, 2), &table.0))
    }

    /// The promise.
    ///
    /// # Safety
    ///
    /// Called once. `this` has the provenance of the whole block, and the block is freed by the core's table alone.
    #[inline]
    pub(crate) unsafe fn promise(this: NonNull<Self>) -> Promise<T> {
        // SAFETY: by the contract; counted in `new`.
        unsafe { Promise::from_core(this.cast()) }
    }

    /// The future.
    ///
    /// # Safety
    ///
    /// As `promise`.
    #[inline]
    pub(crate) unsafe fn future(this: NonNull<Self>) -> Future<T> {
        // SAFETY: by the contract; counted in `new`.
        unsafe { Future::from_core(this.cast()) }
    }
}
