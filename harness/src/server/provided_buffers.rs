//! Buffers that the kernel takes one of when bytes arrive, for the canned loop over io_uring.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The group's number in its ring.
pub(super) const GROUP: u16 = 0;
/// A power of two.
const COUNT: u16 = 1024;
const SIZE: usize = 4 * 1024;
const PAGE: usize = 4 * 1024;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// Both parts of the memory are leaked: the kernel may use them as long as the ring, and that is as long as the program.
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

impl ProvidedBuffers {
    pub(super) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let pages = |bytes: usize| {
            let pages = vec![Page([0; PAGE]); bytes.div_ceil(PAGE)].leak();
            NonNull::from(pages).cast::<u8>()
        };
        let mut buffers = Self {
            entries: pages(usize::from(COUNT) * size_of::<BufRingEntry>()).cast(),
            memory: pages(usize::from(COUNT) * SIZE),
            tail: 0,
        };
        let entries = buffers.entries.as_ptr() as u64;
        // SAFETY: the entries are never freed, and begin at a page.
        unsafe { submitter.register_buf_ring_with_flags(entries, COUNT, GROUP, 0)? };
        for buffer in 0..COUNT {
            buffers.put(buffer);
        }
        buffers.give_back();
        Ok(buffers)
    }

    /// Where the bytes of a buffer are. They are whoever's the buffer is.
    pub(super) fn memory(&self, buffer: u16) -> *const u8 {
        // SAFETY: within the memory.
        unsafe { self.memory.add(usize::from(buffer % COUNT) * SIZE) }.as_ptr()
    }

    /// The buffer goes back with the next `give_back`.
    pub(super) fn put(&mut self, buffer: u16) {
        let address = self.memory(buffer) as u64;
        let index = usize::from(self.tail % COUNT);
        // SAFETY: within the entries, all of whose bytes are set; the kernel does not read this one before the tail has passed it.
        let entry = unsafe { &mut *self.entries.as_ptr().add(index) };
        entry.set_addr(address);
        entry.set_len(SIZE as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Tells the kernel of the buffers that were put.
    pub(super) fn give_back(&mut self) {
        // SAFETY: the tail lies within the first entry.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: it is aligned, and both sides use it atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: pairs with the kernel's acquiring load: it sees the entries before the tail.
        tail.store(self.tail, Ordering::Release);
    }
}
