//! The arena: all slots of the OS process, and which of them are free.
//!
//! Slots live in chunks that are never moved or freed while the arena lives, so that a pid may be looked up at any time
//! by any thread without a lock. Which are free is told in [`free_slots`](super::free_slots).
//!
//! # What can go wrong
//!
//! * *A chunk is looked up before it is there.* A pid only comes out of a claim, which published the chunk; numbers from outside go through
//!   [`Arena::find`], which checks.

use crate::facade::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::facade::{Mutex, lock};

use super::RawPid;
use super::free_slots::{Chain, FreeList, FreeSlots};
use super::slot::{Farewell, Slot, Vacated};

/// Slots in a chunk. Under loom a chunk is as small as can be, as each slot costs the model memory.
#[cfg(not(libprocess_loom))]
const CHUNK: usize = 4096;
#[cfg(libprocess_loom)]
const CHUNK: usize = 1;

/// Chunks in an arena: as many as a pid's index can name (under loom: six).
#[cfg(not(libprocess_loom))]
const CHUNKS: usize = (1 << super::pid::INDEX_BITS) / CHUNK;
#[cfg(libprocess_loom)]
const CHUNKS: usize = 6;

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
    pub(super) fn at(&self, index: u32) -> &Slot {
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
        self.find(pid)
            .is_some_and(|slot| slot.is_next_or_tenant(pid))
    }

    /// Makes the first slots, so that whatever pid there is, nobody's among them, is of one that was made.
    pub(super) fn make_first(&self) {
        let _growing = lock(&self.grow);
        self.make_chunk(0);
    }

    /// Those that no runtime has.
    pub(super) fn free(&self) -> &FreeList {
        &self.free
    }

    /// Claims a slot for the runtime whose `own` these are: the caller alone may open it.
    ///
    /// # Safety
    ///
    /// As [`FreeSlots::take`].
    pub(crate) unsafe fn claim(
        &self,
        own: &FreeSlots,
        seat: Option<usize>,
    ) -> Result<&Slot, Exhausted> {
        // SAFETY: by the contract.
        unsafe { own.take(self, seat) }
    }

    /// Claims one to `most` slots that were never used, making a chunk of them where needed.
    #[cold]
    pub(super) fn claim_fresh(&self, most: u32) -> Result<Chain, Exhausted> {
        let _growing = lock(&self.grow);
        // Relaxed: written under this lock.
        let index = self.used.load(Ordering::Relaxed);
        let place = index as usize / CHUNK;
        if place >= CHUNKS {
            return Err(Exhausted);
        }
        self.make_chunk(place);
        let behind = (index + most).min((place as u32 + 1) * CHUNK as u32);
        // Release: pairs with the Acquire in `find`.
        self.used.store(behind, Ordering::Release);
        let mut chain = Chain::default();
        // The lowest comes out first.
        for index in (index..behind).rev() {
            chain.push(self.at(index));
        }
        Ok(chain)
    }

    /// Under the lock of growing.
    fn make_chunk(&self, place: usize) {
        // Relaxed: written under this lock.
        if self.chunks[place].load(Ordering::Relaxed).is_null() {
            let slots: Box<[Slot]> = (0..CHUNK)
                .map(|n| Slot::new((place * CHUNK + n) as u32, super::resume::never))
                .collect();
            // Release: pairs with the Acquire in `at`.
            self.chunks[place].store(Box::into_raw(slots).cast(), Ordering::Release);
        }
    }

    /// Moves a tenant out and puts its slot among the free ones of its runtime, unless it is retired. Refused as [`Slot::vacate`] says.
    ///
    /// # Safety
    ///
    /// As [`Slot::vacate`] and [`FreeSlots::take`].
    pub(crate) unsafe fn vacate(
        &self,
        (own, seat): (&FreeSlots, Option<usize>),
        slot: &Slot,
        nameless: bool,
        count_out: &mut dyn FnMut(),
    ) -> Result<Option<Box<super::slot::Ties>>, Farewell> {
        // SAFETY: by the contract.
        let (ties, vacated) = unsafe { slot.vacate(self.limit, nameless, count_out) }?;
        if vacated == Vacated::Free {
            // SAFETY: by the contract; nobody has the slot any more.
            unsafe { own.put(self, slot, seat) };
        }
        Ok(ties)
    }

    /// Gives back a slot that was claimed and never opened.
    ///
    /// # Safety
    ///
    /// The caller claimed the slot, did not open it, and does not use it any more. And as [`FreeSlots::take`].
    pub(crate) unsafe fn unclaim(&self, own: (&FreeSlots, Option<usize>), slot: &Slot) {
        // SAFETY: by the contract: there is no token. Nobody can link what was never opened.
        let _no_ties = unsafe { self.vacate(own, slot, true, &mut || ()) };
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
mod tests;
