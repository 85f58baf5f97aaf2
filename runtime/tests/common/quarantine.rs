//! An allocator that keeps what was freed for a while and looks whether somebody writes there: also the kernel, which no sanitizer sees.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Blocks that were freed, at most.
const KEPT: usize = 4_096;
/// Of which sizes: what the kernel writes into is no smaller than an address, and no longer than all of a ring's buffers.
const SIZES: std::ops::RangeInclusive<usize> = 64..=4 << 20;
/// Bytes of all of them, at most.
const MOST_BYTES: usize = 64 << 20;

const PATTERN: u8 = 0xa5;
const PATTERNS: [u8; 4_096] = [PATTERN; 4_096];

#[derive(Clone, Copy)]
struct Block {
    at: *mut u8,
    layout: Layout,
}

struct Kept {
    /// A ring.
    blocks: [Option<Block>; KEPT],
    first: usize,
    count: usize,
    bytes: usize,
}

pub struct Quarantine {
    locked: AtomicBool,
    kept: std::cell::UnsafeCell<Kept>,
    checked: AtomicU64,
    written: AtomicU64,
}

// SAFETY: what is in the cell is used under the lock alone.
unsafe impl Sync for Quarantine {}

impl Quarantine {
    pub const fn new() -> Self {
        Self {
            locked: AtomicBool::new(false),
            kept: std::cell::UnsafeCell::new(Kept {
                blocks: [None; KEPT],
                first: 0,
                count: 0,
                bytes: 0,
            }),
            checked: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// Frees all that is kept. How many blocks were looked at so far, and how many of those somebody had written to.
    pub fn look(&self) -> (u64, u64) {
        while let Some(block) = self.with_kept(Kept::take_oldest) {
            self.free(block);
        }
        // Relaxed: who asks has waited for all that it asks about.
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (number(&self.checked), number(&self.written))
    }

    fn with_kept<R>(&self, f: impl FnOnce(&mut Kept) -> R) -> R {
        // Acquire: pairs with the Release below. A lock of std might allocate.
        while self.locked.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        // SAFETY: the lock is held, and nothing in `f` comes here again.
        let result = f(unsafe { &mut *self.kept.get() });
        // Release: pairs with the Acquire above.
        self.locked.store(false, Ordering::Release);
        result
    }

    /// Looks at a block that is kept no more, and frees it.
    fn free(&self, Block { at, layout }: Block) {
        // SAFETY: the block was allocated with that layout, and is not freed yet.
        let bytes = unsafe { std::slice::from_raw_parts(at, layout.size()) };
        let is_as_it_was = bytes
            .chunks(PATTERNS.len())
            .all(|chunk| chunk == &PATTERNS[..chunk.len()]);
        // Relaxed: see `look`.
        self.checked.fetch_add(1, Ordering::Relaxed);
        self.written
            .fetch_add(u64::from(!is_as_it_was), Ordering::Relaxed);
        // SAFETY: as above, and now it is freed, once.
        unsafe { System.dealloc(at, layout) };
    }
}

impl Kept {
    fn take_oldest(&mut self) -> Option<Block> {
        let block = self.blocks[self.first].take()?;
        self.first = (self.first + 1) % KEPT;
        self.count -= 1;
        self.bytes -= block.layout.size();
        Some(block)
    }

    /// Keeps a block, or gives one that must go first.
    fn keep(&mut self, block: Block) -> Option<Block> {
        if self.count == KEPT || self.bytes + block.layout.size() > MOST_BYTES {
            return self.take_oldest();
        }
        self.blocks[(self.first + self.count) % KEPT] = Some(block);
        self.count += 1;
        self.bytes += block.layout.size();
        None
    }
}

// SAFETY: the system's, which is told of each block once, later.
unsafe impl GlobalAlloc for Quarantine {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // Sanitizers look at what was freed themselves.
        let is_sanitized = cfg!(any(libprocess_asan, libprocess_tsan));
        if is_sanitized || !SIZES.contains(&layout.size()) {
            // SAFETY: as the caller says.
            return unsafe { System.dealloc(at, layout) };
        }
        // SAFETY: the block is the caller's, who gives it away.
        unsafe { at.write_bytes(PATTERN, layout.size()) };
        let block = Block { at, layout };
        while let Some(other) = self.with_kept(|kept| kept.keep(block)) {
            self.free(other);
        }
    }
}
