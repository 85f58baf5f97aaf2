//! Which slots of the arena are free, and for whom.
//!
//! # How
//!
//! Free slots form *chains* of at most [`CHAIN`]. Each worker's seat keeps two, its *magazine*: it claims from one and frees into it, the other is full or empty; only
//! when both are empty, or both are full, a whole chain is exchanged with a stack that the runtime's threads share. This is the magazine layer of J. Bonwick and J. Adams,
//! "Magazines and Vmem", USENIX 2001, as for the [memory of events](super::event): so a worker that spawns and ends processes writes no word for it that
//! another one writes, but once in [`CHAIN`] times. Threads that have no seat use the stack.
//!
//! Each runtime has such a stack, and keeps its slots until it ends, so that a slot's last runtime is also that of every pid that names it, and dead
//! letters are counted where they belong. Then they go to the arena's own stack, of those that no runtime has.
//!
//! ```text
//! seat 0                          shared by the runtime                seat 1
//! loaded ─► s─s─s                 s─…─s                                loaded ─► s─…─s (full)
//! spare  ─► nothing    ◄── empty  s─…─s                     full ◄──   spare  ─► s─…─s (full)
//!                                 s
//! ```
//!
//! A slot that is claimed lets its successor be fetched: it has mostly not been touched since its last tenant, and is written as soon as it is claimed.
//!
//! # What can go wrong
//!
//! * *ABA on the stack.* A popper reads head A and what is below it, B, and stalls; others pop A, pop B, push A. The popper's compare-and-swap would make B the head
//!   although it is in use. The head carries a tag that each change increments, and it differs, so the exchange fails. The tag has 32 bits: a popper would have to stall for exactly 2³² changes.
//! * *A losing popper reads the links of a slot that is in use.* They are atomics that only this module writes; the values are thrown away.
//! * *A magazine is used by two threads.* It belongs to a seat, which one thread has at a time, and which passes from thread to thread through a lock.
//! * *Free slots that nobody finds.* At most two chains for each seat, and for a moment the chain that a thread without a seat has in its hands: others take those that no
//!   runtime has, or fresh ones. Where there are no fresh ones any more, beyond 67 million processes, a spawn may be refused for that.

use super::arena::{Arena, Exhausted};
use super::slot::Slot;
use crate::facade::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::facade::{UnsafeCell, weakened};
use crate::prefetch::prefetch;

/// Slots of a chain that is exchanged. Two in models, so that few slots are enough for every exchange.
pub(super) const CHAIN: u32 = if cfg!(libprocess_loom) { 2 } else { 32 };

/// What a free slot says of others: numbers of slots, plus one; zero: none.
pub(super) struct Links {
    /// The next one of the chain.
    next: AtomicU32,
    /// Of a chain's first slot: the first one of the chain below it.
    below: AtomicU32,
    /// Of a chain's first slot: how many the chain has.
    count: AtomicU32,
}

impl Links {
    pub(super) fn new() -> Self {
        Self {
            next: AtomicU32::new(0),
            below: AtomicU32::new(0),
            count: AtomicU32::new(0),
        }
    }
}

/// Free slots that one thread has. All that is in them is loaded and stored relaxed: who gets a chain from another thread does so by an exchange of a stack's
/// head, or with a seat.
#[derive(Default)]
pub(super) struct Chain {
    /// The number of its first slot, plus one; zero: none.
    first: u32,
    count: u32,
}

impl Chain {
    pub(super) fn push(&mut self, slot: &Slot) {
        slot.links().next.store(self.first, Ordering::Relaxed);
        self.first = slot.index() + 1;
        self.count += 1;
    }

    fn pop<'a>(&mut self, arena: &'a Arena) -> Option<&'a Slot> {
        let slot = arena.at(self.first.checked_sub(1)?);
        self.first = slot.links().next.load(Ordering::Relaxed);
        self.count -= 1;
        if let Some(next) = self.first.checked_sub(1) {
            prefetch(arena.at(next), usize::MAX);
        }
        Some(slot)
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The head of a stack of chains.
///
/// | bits | what |
/// |---|---|
/// | 0..32 | the first slot of the first chain, plus one; zero: none |
/// | 32..64 | tag, incremented by every change |
#[derive(Clone, Copy)]
struct Head(u64);

impl Head {
    fn first(self) -> u32 {
        self.0 as u32
    }

    fn with_first(self, first: u32) -> Self {
        let step = u32::from(!weakened("free-tag"));
        let tag = ((self.0 >> 32) as u32).wrapping_add(step);
        Self((u64::from(tag) << 32) | u64::from(first))
    }
}

/// A stack of chains, which any thread may use.
pub(crate) struct FreeList {
    head: AtomicU64,
}

impl FreeList {
    #[cfg(not(libprocess_loom))]
    pub(super) const fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
        }
    }

    /// Not `const`, because loom's types are not.
    #[cfg(libprocess_loom)]
    pub(super) fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
        }
    }

    fn pop_chain(&self, arena: &Arena) -> Chain {
        // Acquire: pairs with the Release in `push_chain`: the last tenants' traces are behind us.
        let mut head = Head(self.head.load(Ordering::Acquire));
        loop {
            let Some(first) = head.first().checked_sub(1) else {
                return Chain::default();
            };
            let links = arena.at(first).links();
            // Relaxed: if the chain was popped meanwhile, the tag fails the exchange and this is thrown away.
            let below = links.below.load(Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head.0,
                head.with_first(below).0,
                Ordering::AcqRel, // Acquire as above; Release hands on what earlier pushes published.
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    return Chain {
                        first: head.first(),
                        // Relaxed: it is ours now.
                        count: links.count.load(Ordering::Relaxed),
                    };
                }
                Err(now) => head = Head(now),
            }
        }
    }

    fn push_chain(&self, arena: &Arena, chain: Chain) {
        let Some(first) = chain.first.checked_sub(1) else {
            return;
        };
        let links = arena.at(first).links();
        // Relaxed: published by the exchange.
        links.count.store(chain.count, Ordering::Relaxed);
        let order = if weakened("chain-published") {
            Ordering::Relaxed
        } else {
            Ordering::AcqRel
        };
        // Relaxed: the value is only compared and stored.
        let mut head = Head(self.head.load(Ordering::Relaxed));
        loop {
            // Relaxed: as the count.
            links.below.store(head.first(), Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head.0,
                head.with_first(chain.first).0,
                order, // Release pairs with the Acquire in `pop_chain`; Acquire hands on earlier pushes.
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = Head(now),
            }
        }
    }

    /// Takes one out of the first chain.
    pub(super) fn pop<'a>(&self, arena: &'a Arena) -> Option<&'a Slot> {
        let mut chain = self.pop_chain(arena);
        let slot = chain.pop(arena);
        self.push_chain(arena, chain);
        slot
    }

    /// Puts one in, as a chain of its own.
    pub(super) fn push(&self, arena: &Arena, slot: &Slot) {
        let mut chain = Chain::default();
        chain.push(slot);
        self.push_chain(arena, chain);
    }
}

/// What a seat keeps. On lines of its own: its worker writes it for each process that begins or ends.
#[derive(Default)]
#[repr(align(128))]
struct Magazine {
    loaded: Chain,
    /// Full or empty.
    spare: Chain,
}

impl Magazine {
    /// Takes one out; if there is none, first gets a chain from `more`.
    fn take<'a>(
        &mut self,
        arena: &'a Arena,
        more: impl FnOnce() -> Result<Chain, Exhausted>,
    ) -> Result<&'a Slot, Exhausted> {
        if self.loaded.is_empty() {
            std::mem::swap(&mut self.loaded, &mut self.spare);
        }
        if self.loaded.is_empty() {
            self.loaded = more()?;
        }
        self.loaded.pop(arena).ok_or(Exhausted)
    }

    /// Puts one in; what there is no room for is the chain that it gives.
    fn put(&mut self, slot: &Slot) -> Chain {
        let mut displaced = Chain::default();
        if self.loaded.count >= CHAIN {
            displaced = std::mem::replace(&mut self.spare, std::mem::take(&mut self.loaded));
        }
        self.loaded.push(slot);
        displaced
    }
}

/// The free slots of a runtime.
pub(crate) struct FreeSlots {
    shared: FreeList,
    /// By seat.
    magazines: Box<[UnsafeCell<Magazine>]>,
}

// SAFETY: a magazine is touched by the thread that has its seat, and by who drains when no thread has one.
unsafe impl Sync for FreeSlots {}

impl FreeSlots {
    pub(crate) fn new(seats: usize) -> Self {
        Self {
            shared: FreeList::new(),
            magazines: (0..seats)
                .map(|_| UnsafeCell::new(Magazine::default()))
                .collect(),
        }
    }

    /// Takes one out: of the seat's, of the runtime's, of those that no runtime has, or of those that were never used.
    ///
    /// # Safety
    ///
    /// If there is a seat, it is of this runtime, and this thread has it.
    pub(super) unsafe fn take<'a>(
        &self,
        arena: &'a Arena,
        seat: Option<usize>,
    ) -> Result<&'a Slot, Exhausted> {
        let Some(seat) = seat else {
            return match self.shared.pop(arena).or_else(|| arena.free().pop(arena)) {
                Some(slot) => Ok(slot),
                None => arena.claim_fresh(1)?.pop(arena).ok_or(Exhausted),
            };
        };
        let more = || {
            [&self.shared, arena.free()]
                .into_iter()
                .map(|list| list.pop_chain(arena))
                .find(|chain| !chain.is_empty())
                .map_or_else(|| arena.claim_fresh(CHAIN), Ok)
        };
        // SAFETY: by the contract nobody else touches the magazine, and nothing in `take` comes back here.
        self.magazines[seat].with_mut(|magazine| unsafe { &mut *magazine }.take(arena, more))
    }

    /// Puts one in.
    ///
    /// # Safety
    ///
    /// As for `take`; and the slot has no tenant, and is in no list.
    pub(super) unsafe fn put(&self, arena: &Arena, slot: &Slot, seat: Option<usize>) {
        let Some(seat) = seat else {
            return self.shared.push(arena, slot);
        };
        // SAFETY: as in `take`.
        let displaced =
            self.magazines[seat].with_mut(|magazine| unsafe { &mut *magazine }.put(slot));
        self.shared.push_chain(arena, displaced);
    }

    /// Gives all to whoever needs some. O(chains).
    ///
    /// # Safety
    ///
    /// No thread has a seat of this runtime, nor will.
    pub(crate) unsafe fn drain(&self, arena: &Arena) {
        for magazine in &self.magazines {
            // SAFETY: by the contract nobody else touches it.
            let magazine = magazine.with_mut(|magazine| std::mem::take(unsafe { &mut *magazine }));
            arena.free().push_chain(arena, magazine.loaded);
            arena.free().push_chain(arena, magazine.spare);
        }
        loop {
            let chain = self.shared.pop_chain(arena);
            if chain.is_empty() {
                return;
            }
            arena.free().push_chain(arena, chain);
        }
    }
}
