//! The arena: all slots of the OS process, and which of them are free.
//!
//! Slots live in chunks that are never moved or freed while the arena lives, so that a pid may be looked up at any time
//! by any thread without a lock. Free slots form stacks of indices, one per
//! runtime and one of those that no runtime has; a stack's head carries a tag that each change increments.
//!
//! # What can go wrong
//!
//! * *ABA on the free list.* A popper reads head A and A's next B, stalls; others pop A, pop B, push A. The
//!   popper's compare-and-swap would make B the head although it is in use. The tag differs, so it fails. The tag has 32 bits:
//!   a popper would have to stall for exactly 2³² changes.
//! * *A losing popper reads `next_free` of a slot that is in use.* It is an atomic that only the arena writes; the value is thrown away.
//! * *A chunk is looked up before it is there.* A pid only comes out of a claim, which published the chunk; numbers from outside go through
//!   [`Arena::find`], which checks.

use crate::facade::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::facade::{Mutex, lock, weakened};

use super::RawPid;
use super::slot::{Farewell, Slot, Vacated};

/// Slots in a chunk. Under loom a chunk is as small as can be, as each slot costs the model memory.
#[cfg(not(libprocess_loom))]
const CHUNK: usize = 4096;
#[cfg(libprocess_loom)]
const CHUNK: usize = 1;

/// Chunks in an arena: as many as a pid's index can name (under loom: two).
#[cfg(not(libprocess_loom))]
const CHUNKS: usize = (1 << super::pid::INDEX_BITS) / CHUNK;
#[cfg(libprocess_loom)]
const CHUNKS: usize = 2;

/// The head of the free list.
///
/// | bits | what |
/// |---|---|
/// | 0..32 | index of the first free slot, plus one; zero: none |
/// | 32..64 | tag, incremented by every change |
#[derive(Clone, Copy)]
struct FreeHead(u64);

impl FreeHead {
    fn index(self) -> Option<u32> {
        (self.0 as u32).checked_sub(1)
    }

    fn with_index(self, index: Option<u32>) -> Self {
        let step = u32::from(!weakened("free-tag"));
        let tag = ((self.0 >> 32) as u32).wrapping_add(step);
        Self((u64::from(tag) << 32) | u64::from(index.map_or(0, |index| index + 1)))
    }
}

/// A stack of free slots.
///
/// Each runtime has one, and keeps its slots until it ends: so that a slot's last runtime is also that of every pid
/// that names it, and dead letters are counted where they belong.
pub(crate) struct FreeList {
    head: AtomicU64,
}

impl FreeList {
    #[cfg(not(libprocess_loom))]
    pub(crate) const fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
        }
    }

    /// Not `const`, because loom's types are not.
    #[cfg(libprocess_loom)]
    pub(crate) fn new() -> Self {
        Self {
            head: AtomicU64::new(0),
        }
    }

    fn pop<'a>(&self, arena: &'a Arena) -> Option<&'a Slot> {
        // Acquire: pairs with the Release in `push`: the last tenant's traces are behind us.
        let mut head = FreeHead(self.head.load(Ordering::Acquire));
        loop {
            let slot = arena.at(head.index()?);
            // Relaxed: if the slot was popped meanwhile, the tag fails the exchange and this is thrown away.
            let next = slot.next_free().load(Ordering::Relaxed).checked_sub(1);
            match self.head.compare_exchange_weak(
                head.0,
                head.with_index(next).0,
                Ordering::AcqRel, // Acquire as above; Release hands on what earlier pushes published.
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(slot),
                Err(now) => head = FreeHead(now),
            }
        }
    }

    fn push(&self, slot: &Slot) {
        // Relaxed: the value is only compared and stored.
        let mut head = FreeHead(self.head.load(Ordering::Relaxed));
        loop {
            // Relaxed: published by the exchange.
            slot.next_free()
                .store(head.index().map_or(0, |index| index + 1), Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head.0,
                head.with_index(Some(slot.index())).0,
                Ordering::AcqRel, // Release pairs with the Acquire in `pop`; Acquire hands on earlier pushes.
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = FreeHead(now),
            }
        }
    }
}

pub(crate) struct Arena {
    chunks: [AtomicPtr<Slot>; CHUNKS],
    /// Slots that no runtime has.
    free: FreeList,
    /// How many slots have ever been used: those below may be walked. Written under the lock.
    used: AtomicU32,
    grow: Mutex<()>,
    /// The last generation that a slot's tenant may have; few in tests.
    limit: u32,
}

/// Every slot of the arena is in use or retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {} slots for processes are in use", CHUNK * CHUNKS)]
pub(crate) struct Exhausted;

impl Arena {
    #[cfg(not(libprocess_loom))]
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
            free: FreeList::new(),
            used: AtomicU32::new(0),
            grow: Mutex::new(()),
            limit,
        }
    }

    /// Not `const`, because loom's types are not.
    #[cfg(libprocess_loom)]
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            chunks: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            free: FreeList::new(),
            used: AtomicU32::new(0),
            grow: Mutex::new(()),
            limit,
        }
    }

    /// The slot of a pid that came out of a claim.
    #[inline]
    pub(crate) fn slot(&self, pid: RawPid) -> &Slot {
        self.at(pid.index())
    }

    #[inline]
    fn at(&self, index: u32) -> &Slot {
        let index = index as usize;
        // Acquire: pairs with the Release in `claim_fresh`: the slots of the chunk are made.
        let chunk = self.chunks[index / CHUNK].load(Ordering::Acquire);
        assert!(!chunk.is_null(), "a pid of a slot that was never made");
        // SAFETY: the chunk has CHUNK slots, and lives as long as the arena.
        unsafe { &*chunk.add(index % CHUNK) }
    }

    /// The slot of a pid that came from outside, if there is such a slot.
    #[inline]
    pub(crate) fn find(&self, pid: RawPid) -> Option<&Slot> {
        // Acquire: pairs with the Release in `claim_fresh`.
        (pid.index() < self.used.load(Ordering::Acquire)).then(|| self.slot(pid))
    }

    /// Whether a pid names a process, or a slot's next one.
    #[inline]
    pub(crate) fn is_current(&self, pid: RawPid) -> bool {
        self.find(pid).is_some_and(|slot| slot.pid() == pid)
    }

    /// Claims a slot, from `own` if there is one, else from those that no runtime has: the caller alone may open it.
    pub(crate) fn claim(&self, own: &FreeList) -> Result<&Slot, Exhausted> {
        match own.pop(self).or_else(|| self.free.pop(self)) {
            Some(slot) => Ok(slot),
            None => self.claim_fresh(),
        }
    }

    /// Claims a slot that was never used, making a chunk of them where needed.
    #[cold]
    fn claim_fresh(&self) -> Result<&Slot, Exhausted> {
        let _growing = lock(&self.grow);
        // Relaxed: written under this lock.
        let index = self.used.load(Ordering::Relaxed);
        let place = index as usize / CHUNK;
        if place >= CHUNKS {
            return Err(Exhausted);
        }
        // Relaxed: written under this lock.
        if self.chunks[place].load(Ordering::Relaxed).is_null() {
            let slots: Box<[Slot]> = (0..CHUNK as u32)
                .map(|n| Slot::new(index + n, super::resume::never))
                .collect();
            // Release: pairs with the Acquire in `slot`.
            self.chunks[place].store(Box::into_raw(slots).cast(), Ordering::Release);
        }
        // Release: pairs with the Acquire in `find`.
        self.used.store(index + 1, Ordering::Release);
        Ok(self.at(index))
    }

    /// Moves a tenant out and puts its slot on the list of its runtime, unless it is retired. Refused as [`Slot::vacate`] says.
    ///
    /// # Safety
    ///
    /// As [`Slot::vacate`].
    pub(crate) unsafe fn vacate(
        &self,
        own: &FreeList,
        slot: &Slot,
        nameless: bool,
        count_out: &mut dyn FnMut(),
    ) -> Result<Option<Box<super::slot::Ties>>, Farewell> {
        // SAFETY: by the contract.
        let (ties, vacated) = unsafe { slot.vacate(self.limit, nameless, count_out) }?;
        if vacated == Vacated::Free {
            own.push(slot);
        }
        Ok(ties)
    }

    /// Gives back a slot that was claimed and never opened.
    ///
    /// # Safety
    ///
    /// The caller claimed the slot, did not open it, and does not use it any more.
    pub(crate) unsafe fn unclaim(&self, own: &FreeList, slot: &Slot) {
        // SAFETY: by the contract: there is no token. Nobody can link what was never opened.
        let _no_ties = unsafe { self.vacate(own, slot, true, &mut || ()) };
    }

    /// Gives the free slots of a runtime that ends to whoever needs some. O(slots).
    pub(crate) fn give_back(&self, own: &FreeList) {
        while let Some(slot) = own.pop(self) {
            self.free.push(slot);
        }
    }

    /// Calls `f` with every slot that was ever used. O(slots).
    pub(crate) fn for_each_used(&self, mut f: impl FnMut(&Slot)) {
        // Under the lock, not only by an atomic load: a spawn that this walk misses must see what the
        // walker did before (see `ProcessManager::close`).
        let used = {
            let _growing = lock(&self.grow);
            self.used.load(Ordering::Relaxed)
        };
        for index in 0..used {
            f(self.at(index));
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            let chunk = chunk.load(Ordering::Relaxed);
            if !chunk.is_null() {
                let slots = std::ptr::slice_from_raw_parts_mut(chunk, CHUNK);
                // SAFETY: made from a box of CHUNK slots in `claim_fresh`; the arena is borrowed by nobody.
                drop(unsafe { Box::from_raw(slots) });
            }
        }
    }
}

/// The arena of this OS process.
#[cfg(not(libprocess_loom))]
#[inline(always)]
pub(crate) fn arena() -> &'static Arena {
    static ARENA: Arena = Arena::new(super::pid::LAST_GENERATION);
    &ARENA
}

/// Models make arenas of their own; the shared one is not modelled.
#[cfg(libprocess_loom)]
pub(crate) fn arena() -> &'static Arena {
    unreachable!("the shared arena is not modelled")
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::process::Upid;
    use crate::process::event::{SentAt, TerminateEvent};
    use crate::process::slot::Delivery;

    #[test]
    fn a_slot_is_retired_when_its_generations_are_used_up() {
        // Two-bit generations: 1, 2, 3.
        let arena = Arena::new(3);
        let own = FreeList::new();
        let mut pids = Vec::new();
        for _ in 0..3 {
            let slot = arena.claim(&own).unwrap();
            assert_eq!(slot.index(), 0);
            pids.push(slot.pid());
            // SAFETY: claimed and never opened: there is no token.
            unsafe { arena.unclaim(&own, slot) };
        }
        let fourth = arena.claim(&own).unwrap();
        assert_eq!(fourth.index(), 1, "the retired slot came back");
        pids.push(fourth.pid());
        pids.dedup();
        assert_eq!(pids.len(), 4, "two tenants had the same pid");
        for pid in &pids[..3] {
            assert!(arena.slot(*pid).lock_ties(*pid).is_none());
            let event = TerminateEvent {
                from: Upid::nobody(),
            }
            .allocate();
            let delivery = arena.slot(*pid).push(*pid, event, SentAt::UNTOLD);
            assert!(
                matches!(delivery, Delivery::Dead(_)),
                "an event reached {pid:?}"
            );
        }
    }

    #[test]
    fn a_runtime_that_ends_gives_its_slots_to_others() {
        let arena = Arena::new(u32::MAX);
        let (one, other) = (FreeList::new(), FreeList::new());
        let first = arena.claim(&one).unwrap();
        // SAFETY: claimed and never opened.
        unsafe { arena.unclaim(&one, first) };
        assert_ne!(arena.claim(&other).unwrap().index(), first.index());
        arena.give_back(&one);
        assert_eq!(arena.claim(&other).unwrap().index(), first.index());
    }

    #[test]
    fn the_free_list_gives_each_slot_to_one_claimer() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};
        let arena = Arc::new((Arena::new(u32::MAX), FreeList::new()));
        let held: Arc<[AtomicBool]> = (0..64).map(|_| AtomicBool::new(false)).collect();
        let claimers: Vec<_> = (0..4)
            .map(|_| {
                let (arena, held) = (Arc::clone(&arena), Arc::clone(&held));
                std::thread::spawn(move || {
                    let (arena, own) = &*arena;
                    for round in 0..20_000 {
                        let slot = arena.claim(own).unwrap();
                        let held = &held[slot.index() as usize];
                        assert!(
                            !held.swap(true, Ordering::AcqRel),
                            "claimed twice in round {round}"
                        );
                        held.store(false, Ordering::Release);
                        // SAFETY: claimed and never opened.
                        unsafe { arena.unclaim(own, slot) };
                    }
                })
            })
            .collect();
        for claimer in claimers {
            claimer.join().unwrap();
        }
        let mut used = 0;
        arena.0.for_each_used(|_| used += 1);
        assert!(used <= 4, "{used} slots for four claimers at a time");
    }
}
