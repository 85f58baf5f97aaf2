//! Buffers that a ring is provided with: the kernel takes one when bytes arrive, not when they are asked for.
//!
//! # The ring of buffers
//!
//! A piece of shared memory: entries that each name a buffer, and a tail, which only this side writes. The kernel takes entries from its own head on. A buffer is
//! the kernel's from when the tail passes its entry until a completion names it; then it is ours, is copied out, and goes back behind the tail.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The group's number in its ring.
pub(super) const GROUP: u16 = 0;
/// A power of two.
const COUNT: u16 = 128;
const SIZE: usize = 16 * 1024;
const PAGE: usize = 4096;

pub(super) struct ProvidedBuffers {
    /// `COUNT` entries; the kernel reads them.
    entries: NonNull<BufRingEntry>,
    /// `COUNT` buffers one behind the other; the kernel writes into those that are its own.
    memory: NonNull<u8>,
    /// What the kernel will be told.
    tail: u16,
}

// SAFETY: the memory is its own, and is used through `&mut self` alone, apart from the kernel.
unsafe impl Send for ProvidedBuffers {}

fn entries_layout() -> Layout {
    // A page has room for that many: `register` would refuse another alignment.
    Layout::from_size_align(usize::from(COUNT) * size_of::<BufRingEntry>(), PAGE)
        .expect("a small constant")
}

fn memory_layout() -> Layout {
    Layout::from_size_align(usize::from(COUNT) * SIZE, PAGE).expect("a small constant")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: neither layout is empty.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

impl ProvidedBuffers {
    /// # Errors
    ///
    /// The kernel has no such rings.
    pub(super) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let mut buffers = Self {
            entries: allocate(entries_layout()).cast(),
            memory: allocate(memory_layout()),
            tail: 0,
        };
        // SAFETY: the entries live as long as this, which the driver drops after its ring.
        unsafe {
            submitter.register_buf_ring_with_flags(
                buffers.entries.as_ptr() as u64,
                COUNT,
                GROUP,
                0,
            )?;
        }
        for buffer in 0..COUNT {
            buffers.put(buffer);
        }
        buffers.give_back();
        Ok(buffers)
    }

    fn buffer(&self, buffer: u16) -> NonNull<u8> {
        // SAFETY: within the memory.
        unsafe { self.memory.add(usize::from(buffer % COUNT) * SIZE) }
    }

    fn put(&mut self, buffer: u16) {
        let address = self.buffer(buffer).as_ptr() as u64;
        let index = usize::from(self.tail % COUNT);
        // SAFETY: within the entries; the kernel does not read this one before the tail has passed it.
        let entry = unsafe { &mut *self.entries.as_ptr().add(index) };
        entry.set_addr(address);
        entry.set_len(SIZE as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Copies out what the kernel has written into a buffer that it gave back; the buffer goes back with the next `give_back`.
    pub(super) fn take(&mut self, buffer: u16, length: usize) -> Bytes {
        // SAFETY: the kernel gave it back, having written so much of it.
        let written =
            unsafe { std::slice::from_raw_parts(self.buffer(buffer).as_ptr(), length.min(SIZE)) };
        let bytes = Bytes::copy_from_slice(written);
        self.put(buffer);
        bytes
    }

    /// Tells the kernel of the buffers that were put.
    pub(super) fn give_back(&mut self) {
        // SAFETY: the tail lies within the first entry, and the kernel only reads it.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: it is aligned, and both sides use it atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: pairs with the kernel's acquiring load: it sees the entries before the tail.
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for ProvidedBuffers {
    fn drop(&mut self) {
        // SAFETY: made with these layouts; the ring is gone, and the kernel with it.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), entries_layout());
            dealloc(self.memory.as_ptr(), memory_layout());
        }
    }
}
