//! Buffers that a ring is provided with: the kernel takes one when bytes arrive, not when they are asked for.
//!
//! # The ring of buffers
//!
//! A piece of shared memory: entries that each name a buffer, and a tail, which only this side writes. The kernel takes entries from its own head on. A buffer is
//! the kernel's from when the tail passes its entry until a completion names it; then it is ours, is copied out, and goes back behind the tail.
//!
//! Where the kernel fills buffers piece by piece (6.12, `IOU_PBUF_RING_INC`), a completion names one and how much was written behind what was there; the rest stays the kernel's until a
//! completion says that nothing more will come. So buffers may be large, as a piece of 64 bytes takes 64 bytes: a thousand connections that have a little to
//! say each do not run out of them, and their bytes come in at a few cache lines after each other.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::super::kernel::{IoUringFeature, Lacking};

/// The group's number in its ring.
pub(super) const GROUP: u16 = 0;
/// Of all buffers together.
const MEMORY: usize = 4 * 1024 * 1024;
/// Of each, where it is filled piece by piece.
const LARGE: usize = 64 * 1024;
/// Of each, where whatever comes takes all of it.
const SMALL: usize = 8 * 1024;
/// `IOU_PBUF_RING_INC` in the kernel's `io_uring.h`.
const INCREMENTAL: u16 = 2;
const PAGE: usize = 4096;

pub(super) struct ProvidedBuffers {
    /// As many as there are buffers; the kernel reads them, and notes in them how far it has come.
    entries: NonNull<BufRingEntry>,
    /// The buffers, one behind the other; the kernel writes into those that are its own.
    memory: NonNull<u8>,
    /// Of each.
    size: usize,
    /// They are filled piece by piece.
    pub(super) incremental: bool,
    /// How much of each buffer was written and read.
    filled: Box<[usize]>,
    /// What the kernel will be told.
    tail: u16,
}

// SAFETY: the memory is its own, and is used through `&mut self` alone, apart from the kernel.
unsafe impl Send for ProvidedBuffers {}

fn entries_layout(count: usize) -> Layout {
    // `register` would refuse another alignment.
    Layout::from_size_align(count * size_of::<BufRingEntry>(), PAGE).expect("a small size")
}

fn memory_layout() -> Layout {
    Layout::from_size_align(MEMORY, PAGE).expect("a small constant")
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
    pub(super) fn register(submitter: &Submitter<'_>, lacking: Lacking) -> io::Result<Self> {
        if lacking.has(IoUringFeature::BufferRings) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if lacking.has(IoUringFeature::IncrementalBuffers) {
            return Self::register_with(submitter, SMALL, 0);
        }
        Self::register_with(submitter, LARGE, INCREMENTAL)
            .or_else(|_| Self::register_with(submitter, SMALL, 0))
    }

    fn register_with(submitter: &Submitter<'_>, size: usize, flags: u16) -> io::Result<Self> {
        // A power of two, as the kernel wants it.
        let count = MEMORY / size;
        let mut buffers = Self {
            entries: allocate(entries_layout(count)).cast(),
            memory: allocate(memory_layout()),
            size,
            incremental: flags & INCREMENTAL != 0,
            filled: vec![0; count].into(),
            tail: 0,
        };
        let entries = buffers.entries.as_ptr() as u64;
        // SAFETY: the entries live as long as this, which the driver drops after its ring.
        unsafe { submitter.register_buf_ring_with_flags(entries, count as u16, GROUP, flags)? };
        for buffer in 0..count {
            buffers.put(buffer);
        }
        buffers.give_back();
        Ok(buffers)
    }

    fn buffer(&self, buffer: usize) -> NonNull<u8> {
        // SAFETY: within the memory.
        unsafe { self.memory.add(buffer * self.size) }
    }

    fn put(&mut self, buffer: usize) {
        let address = self.buffer(buffer).as_ptr() as u64;
        let index = usize::from(self.tail) % self.filled.len();
        self.filled[buffer] = 0;
        // SAFETY: within the entries; the kernel does not read this one before the tail has passed it.
        let entry = unsafe { &mut *self.entries.as_ptr().add(index) };
        entry.set_addr(address);
        entry.set_len(self.size as u32);
        entry.set_bid(buffer as u16);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Copies out what the kernel has written into a buffer, behind what it had written before. Unless it will write more into it, the buffer goes back with the next `give_back`.
    pub(super) fn take(&mut self, buffer: u16, length: usize, more: bool) -> Bytes {
        let buffer = usize::from(buffer) % self.filled.len();
        let from = self.filled[buffer];
        let length = length.min(self.size - from);
        // SAFETY: the kernel has written so much of it, and writes there no more until it is given back.
        let written =
            unsafe { std::slice::from_raw_parts(self.buffer(buffer).as_ptr().add(from), length) };
        let bytes = Bytes::copy_from_slice(written);
        // Of a buffer into which nothing was written the kernel has let go only where it takes whole ones; in the ring twice, it would be written by two.
        if more || (self.incremental && length == 0) {
            self.filled[buffer] = from + length;
        } else {
            self.put(buffer);
        }
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
            dealloc(
                self.entries.as_ptr().cast(),
                entries_layout(self.filled.len()),
            );
            dealloc(self.memory.as_ptr(), memory_layout());
        }
    }
}
