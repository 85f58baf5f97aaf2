//! The block that an event is: a header and its payload in one piece of memory, which [`recycle`] keeps for the next.
//!
//! # Invariants
//!
//! 1. An [`EventBox`] owns a block that `allocate` made, and its pointer covers the whole block.
//! 2. The header's table was made for the block's payload type, so `table.free` frees it rightly.
//! 3. While a block is linked into a mailbox, nobody but the mailbox touches it.

use std::cell::Cell;
use std::ptr::NonNull;

use libprocess_queues::event::{Link, Linked};

use super::recycle;
use super::stamp::{SentAt, Stamp};

/// The kinds of event, as libprocess has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// A named message with a body.
    Message,
    /// A function call on the process.
    Dispatch,
    /// An HTTP request.
    Http,
    /// A linked process has ended.
    Exited,
    /// The process is asked to end.
    Terminate,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [EventKind; 5] = [
        Self::Message,
        Self::Dispatch,
        Self::Http,
        Self::Exited,
        Self::Terminate,
    ];
}

/// What is known of a block without knowing its payload's type.
pub(crate) struct Table {
    pub(crate) kind: EventKind,
    /// Frees the block and drops its payload.
    free: unsafe fn(NonNull<Header>),
    /// For a dispatch: what is needed to run it.
    pub(crate) dispatch: Option<super::dispatch::DispatchTable>,
}

#[repr(C)]
pub(crate) struct Header {
    link: Link,
    table: &'static Table,
    /// A cell, as who walks over what waits has shared references.
    stamp: Cell<Stamp>,
}

/// A block: the header first, so that a pointer to the block is one to the header and to the link.
#[repr(C)]
pub(crate) struct Block<T> {
    header: Header,
    pub(crate) payload: T,
}

/// Owns a block of unknown payload.
pub(crate) struct EventBox(NonNull<Header>);

// SAFETY: payloads are `Send` (bound on `allocate`), and the box owns its block alone.
unsafe impl Send for EventBox {}

/// The table of a payload type that is no dispatch.
pub(crate) const fn table_of<T: Send + 'static>(kind: EventKind) -> Table {
    Table {
        kind,
        free: free::<T>,
        dispatch: None,
    }
}

/// The table of a dispatch.
pub(crate) const fn dispatch_table_of<T: Send + 'static>(
    dispatch: super::dispatch::DispatchTable,
) -> Table {
    dispatch_table_with(dispatch, free::<T>)
}

/// The table of a dispatch whose block is freed in its own way.
pub(crate) const fn dispatch_table_with(
    dispatch: super::dispatch::DispatchTable,
    free: unsafe fn(NonNull<Header>),
) -> Table {
    Table {
        kind: EventKind::Dispatch,
        free,
        dispatch: Some(dispatch),
    }
}

/// # Safety
///
/// `header` came out of an `EventBox` whose payload is a `T`, and nobody uses it afterwards.
unsafe fn free<T>(header: NonNull<Header>) {
    // SAFETY: by the contract and invariants 1 and 2.
    unsafe { recycle::drop_and_release(header.cast::<Block<T>>()) };
}

impl EventBox {
    /// A block with this payload; the only memory that an event takes.
    ///
    /// # Safety
    ///
    /// `table` was made by `table_of::<T>` or `dispatch_table_of::<T>` with the same `T`, or its function frees a block of a `T`.
    #[inline]
    pub(crate) unsafe fn allocate<T: Send + 'static>(table: &'static Table, payload: T) -> Self {
        // SAFETY: by the contract; the payload is written.
        unsafe { Self::allocate_with(table, |place: *mut T| place.write(payload)) }
    }

    /// As `allocate`, with a payload that is made where it stays: `write` runs when the memory is there already, so what it makes it
    /// stores once. What is put together on the stack before that, and then copied, waits for its own stores
    /// (docs/benchmarks.md: a third of the time of a message).
    ///
    /// # Safety
    ///
    /// As `allocate`; and `write` makes the place a valid `T`, unless it panics.
    #[inline(always)]
    pub(crate) unsafe fn allocate_with<T: Send + 'static>(
        table: &'static Table,
        write: impl FnOnce(*mut T),
    ) -> Self {
        let place = recycle::Unwritten::<Block<T>>::allocate();
        let block = place.as_ptr();
        // SAFETY: the block was just allocated, and is written in full before anybody reads it.
        unsafe {
            write(&raw mut (*block).payload);
            (&raw mut (*block).header).write(Header {
                link: Link::new(),
                table,
                stamp: Cell::new(Stamp::NONE),
            });
        }
        Self(place.written().cast())
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: invariant 1; the box is borrowed, so the block is not linked (invariant 3).
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn kind(&self) -> EventKind {
        self.header().table.kind
    }

    #[inline]
    pub(crate) fn header_pointer(&self) -> NonNull<Header> {
        self.0
    }

    #[inline]
    pub(crate) fn table(&self) -> &'static Table {
        self.header().table
    }

    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.header().stamp.get().generation()
    }

    /// Whether it is for this tenant, and that is all that its stamp says.
    #[inline]
    pub(crate) fn is_stamped_free(&self, generation: u32) -> bool {
        self.header().stamp.get().is_bare(generation)
    }

    /// Names the tenant that the event is for, and says whether it has a credit of his mailbox, and when it was sent.
    #[inline(always)]
    pub(crate) fn stamp(&mut self, generation: u32, paid: bool, sent_at: SentAt) {
        self.header()
            .stamp
            .set(Stamp::new(generation, paid, sent_at));
    }

    /// Whether it had a credit of its mailbox, which it has not any more: who passes it on pays anew.
    pub(crate) fn take_credit_out(&mut self) -> bool {
        let stamp = self.header().stamp.get();
        self.header().stamp.set(stamp.unpaid());
        stamp.is_paid()
    }

    pub(crate) fn sent_at(&self) -> SentAt {
        self.header().stamp.get().sent_at()
    }

    /// Whether it was [counted](Header::count) while it waited.
    pub(crate) fn is_counted(&self) -> bool {
        self.header().stamp.get().is_counted()
    }

    /// Lets the event into a full mailbox: what the process is owed, not what somebody wants of it.
    #[inline]
    pub(crate) fn exempt(&mut self) {
        self.header().stamp.set(Stamp::exempt());
    }

    /// Whether a bounded mailbox takes it only for a credit.
    pub(crate) fn takes_credit(&self) -> bool {
        let header = self.header();
        let of_its_kind = match header.table.kind {
            EventKind::Message | EventKind::Http => true,
            EventKind::Dispatch => !super::dispatch::is_internal(header.table),
            EventKind::Exited | EventKind::Terminate => false,
        };
        of_its_kind && !header.stamp.get().is_exempt()
    }

    /// The payload.
    ///
    /// # Safety
    ///
    /// The block's payload is a `T`.
    #[inline]
    pub(crate) unsafe fn payload<T>(&self) -> &T {
        // SAFETY: by the contract and invariant 1.
        unsafe { &self.0.cast::<Block<T>>().as_ref().payload }
    }

    /// The payload, to change.
    ///
    /// # Safety
    ///
    /// The block's payload is a `T`.
    #[inline]
    pub(crate) unsafe fn payload_mut<T>(&mut self) -> &mut T {
        // SAFETY: by the contract and invariant 1.
        unsafe { &mut self.0.cast::<Block<T>>().as_mut().payload }
    }

    /// Frees the block and gives its payload.
    ///
    /// # Safety
    ///
    /// The block's payload is a `T`.
    #[inline]
    pub(crate) unsafe fn into_payload<T>(self) -> T {
        let pointer = self.0.cast::<Block<T>>();
        std::mem::forget(self);
        // SAFETY: by the contract and invariant 1; `self` was forgotten, so the block is freed once.
        unsafe { recycle::take_and_release(pointer) }.payload
    }

    /// Frees the block, knowing its payload's type: no indirect call.
    ///
    /// # Safety
    ///
    /// The block's payload is a `T`.
    #[inline]
    pub(crate) unsafe fn free_as<T>(self) {
        let pointer = self.0;
        std::mem::forget(self);
        // SAFETY: by the contract.
        unsafe { free::<T>(pointer) }
    }
}

// SAFETY: the link is the header's first field and the header the block's, both `repr(C)`, so the
// pointers are the same and keep the provenance of the whole block; the box owns it alone.
unsafe impl Linked for EventBox {
    type Target = Header;

    #[inline]
    fn into_link(self) -> NonNull<Link> {
        let link = self.0.cast();
        std::mem::forget(self);
        link
    }

    #[inline]
    unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self(link.cast())
    }

    #[inline]
    unsafe fn target<'a>(link: NonNull<Link>) -> &'a Header {
        // SAFETY: by the contract of the trait the block is alive for `'a`.
        unsafe { link.cast::<Header>().as_ref() }
    }
}

impl Header {
    /// The kind and the generation of a pending event.
    pub(crate) fn kind_for(&self) -> (EventKind, u32) {
        (self.table.kind, self.stamp.get().generation())
    }

    /// Marks a pending event as counted, if it is for this generation; false if it is not.
    pub(crate) fn count(&self, generation: u32) -> bool {
        let stamp = self.stamp.get();
        self.stamp.set(stamp.counted());
        stamp.generation() == generation
    }
}

impl Drop for EventBox {
    fn drop(&mut self) {
        // SAFETY: invariant 2, and the box owns the block.
        unsafe { (self.header().table.free)(self.0) }
    }
}
