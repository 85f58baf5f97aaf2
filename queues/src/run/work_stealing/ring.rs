//! A worker's own queue: a ring that its owner fills and empties, and from which others steal half.
//!
//! The shape is that of Go's and tokio's schedulers' local queues: two indices of the front, so that
//! a thief first claims what it takes, then moves it at leisure, and nobody reads a place that
//! somebody may be writing.
//!
//! # The indices
//!
//! All three only grow, and wrap; a place is an index modulo the capacity.
//!
//! | index | where | written by |
//! |---|---|---|
//! | *claimed*: the oldest item that nobody has yet | `front`, bits 0..32 | owner and thieves, by compare-and-swap |
//! | *freed*: the oldest place that may still be read | `front`, bits 32..64 | as above |
//! | `back`: the first free place | `back` | the owner |
//!
//! `freed ≤ claimed ≤ back ≤ freed + capacity`. Places from *freed* to *claimed* are being read by
//! the one thief there may be; those from *claimed* to `back` hold items; the rest are the owner's
//! to write.
//!
//! # What could go wrong
//!
//! *The owner writes a place that a thief still reads.* It compares `back` with *freed*, which a
//! thief moves on only when it is done; Release there pairs with Acquire here.
//!
//! *Two take one item.* Every taking is a compare-and-swap of `front` from the value at which the
//! item was found to be there.
//!
//! *A thief works from an old `back`.* Then it finds fewer items than there are. *From an old
//! `front`*: its compare-and-swap fails, unless claimed and freed have come around by exactly 2³²
//! while it stalled, which takes as many turns of this worker.
//!
//! *Two thieves.* The second finds *freed* unequal to *claimed*, and goes to another victim.

use std::mem::MaybeUninit;

use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell, model_failed, weakened};

/// How many items a ring holds. Small in models, so that it overflows there; under shuttle not so small that a thief never moves one.
pub(super) const CAPACITY: u32 = if cfg!(libprocess_loom) {
    2
} else if cfg!(libprocess_shuttle) {
    4
} else {
    256
};

#[derive(Clone, Copy, PartialEq, Eq)]
struct Front(u64);

impl Front {
    fn new(claimed: u32, freed: u32) -> Front {
        Front(u64::from(claimed) | u64::from(freed) << 32)
    }

    fn claimed(self) -> u32 {
        self.0 as u32
    }

    fn freed(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn has_thief(self) -> bool {
        self.claimed() != self.freed()
    }
}

/// Lines of 128 bytes, as two of 64 are fetched together: the owner's index, which it writes at each
/// turn, is on another one than what thieves write.
#[repr(align(128))]
struct Line<T>(T);

pub(super) struct Ring<T> {
    front: Line<AtomicU64>,
    back: Line<AtomicU32>,
    places: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: items are moved in by the owner and out by whoever's compare-and-swap claimed them; nobody
// gets a reference to one inside.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    pub(super) fn new() -> Ring<T> {
        Ring {
            front: Line(AtomicU64::new(0)),
            back: Line(AtomicU32::new(0)),
            places: (0..CAPACITY)
                .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
                .collect(),
        }
    }

    #[inline]
    fn front(&self) -> Front {
        // Acquire: pairs with the Release in `exchange`: who sees a place freed may write it.
        Front(self.front.0.load(Ordering::Acquire))
    }

    #[inline]
    fn exchange(&self, from: Front, to: Front) -> Result<Front, Front> {
        // Release: pairs with the Acquire in `front`: what was read from freed places was read before.
        // Acquire, on failure too, as in `front`.
        self.front
            .0
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(Front)
            .map_err(Front)
    }

    /// # Safety
    ///
    /// The place holds an item that the caller has claimed, and has not read yet.
    #[inline]
    unsafe fn read(&self, index: u32) -> T {
        let place = &self.places[(index % CAPACITY) as usize];
        // SAFETY: by the contract.
        place.with(|item| unsafe { (*item).assume_init_read() })
    }

    /// # Safety
    ///
    /// The caller is the owner, and the place is free.
    #[inline]
    unsafe fn write(&self, index: u32, item: T) {
        let place = &self.places[(index % CAPACITY) as usize];
        // SAFETY: by the contract nobody else touches the place.
        place.with_mut(|place| unsafe { (*place).write(item) });
    }

    /// How many items there are: a snapshot.
    pub(super) fn len(&self) -> usize {
        let front = self.front();
        // Acquire: pairs with the Release in `publish`, for whoever concludes from the length that an item is there.
        let back = self.back.0.load(Ordering::Acquire);
        // `back` is read last, so it is never behind the front, but may be far ahead of it.
        back.wrapping_sub(front.claimed()).min(CAPACITY) as usize
    }

    /// Puts an item at the back, or gives it back if the ring is full.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(super) unsafe fn push(&self, item: T) -> Result<(), T> {
        // Relaxed: the owner's own.
        let back = self.back.0.load(Ordering::Relaxed);
        if back.wrapping_sub(self.front().freed()) >= CAPACITY {
            return Err(item);
        }
        // SAFETY: the place is free, and free places are the owner's.
        unsafe { self.write(back, item) };
        self.publish(back.wrapping_add(1));
        Ok(())
    }

    #[inline]
    fn publish(&self, back: u32) {
        // Release: pairs with the Acquire in `steal` and `len`: who sees the index sees the item.
        let order = if weakened("ring-publish") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.back.0.store(back, order);
    }

    /// Takes the oldest item.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(super) unsafe fn pop(&self) -> Option<T> {
        // Relaxed: the owner's own.
        let back = self.back.0.load(Ordering::Relaxed);
        let mut front = self.front();
        loop {
            let claimed = front.claimed();
            if claimed == back {
                return None;
            }
            let next = claimed.wrapping_add(1);
            let to = if front.has_thief() {
                Front::new(next, front.freed())
            } else {
                Front::new(next, next)
            };
            match self.exchange(front, to) {
                // SAFETY: claimed by the exchange. The place may count as free already, but only we, the owner, write it.
                Ok(_) => return Some(unsafe { self.read(claimed) }),
                Err(actual) => front = actual,
            }
        }
    }

    /// Takes the older half of a full ring, oldest first. Nothing, if a thief is at it: then there is room soon.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    pub(super) unsafe fn pop_half(&self, mut each: impl FnMut(T)) {
        // Relaxed: the owner's own.
        let back = self.back.0.load(Ordering::Relaxed);
        let front = self.front();
        let half = back.wrapping_sub(front.claimed()) / 2;
        if front.has_thief() || half == 0 {
            return;
        }
        let first = front.claimed();
        let behind = first.wrapping_add(half);
        if self.exchange(front, Front::new(behind, behind)).is_ok() {
            for index in 0..half {
                // SAFETY: claimed by the exchange; only we write places.
                each(unsafe { self.read(first.wrapping_add(index)) });
            }
        }
    }

    /// Moves half of what is here, rounded up, to `own`, and gives the oldest, to run at once.
    ///
    /// # Safety
    ///
    /// The caller is the owner of `own`, which is another ring.
    pub(super) unsafe fn steal(&self, own: &Ring<T>) -> Option<T> {
        // Relaxed: the caller's own.
        let own_back = own.back.0.load(Ordering::Relaxed);
        let room = CAPACITY - own_back.wrapping_sub(own.front().freed());
        let mut front = self.front();
        let (first, count) = loop {
            if front.has_thief() {
                return None;
            }
            let first = front.claimed();
            // Acquire: pairs with the Release in `publish`: the items before it are written.
            let available = self.back.0.load(Ordering::Acquire).wrapping_sub(first);
            // One more than the room, as one is not put there.
            let count = (available - available / 2).min(room + 1);
            if count == 0 {
                return None;
            }
            if available > CAPACITY {
                // `front` is older than `back`: between the two the owner took from it, and put in.
                front = self.front();
                continue;
            }
            let behind = first.wrapping_add(count);
            let freed = if weakened("ring-freed") {
                behind
            } else {
                first
            };
            match self.exchange(front, Front::new(behind, freed)) {
                Ok(_) => break (first, count),
                Err(actual) => front = actual,
            }
        };
        // SAFETY: claimed by the exchange, and not free until `free_stolen`.
        let oldest = unsafe { self.read(first) };
        for index in 1..count {
            // SAFETY: as above; there is room in our own ring, of which we are the owner.
            unsafe {
                own.write(
                    own_back.wrapping_add(index - 1),
                    self.read(first.wrapping_add(index)),
                );
            }
        }
        if count > 1 {
            own.publish(own_back.wrapping_add(count - 1));
        }
        self.free_stolen();
        Some(oldest)
    }

    /// The thief is done: what it claimed is free.
    fn free_stolen(&self) {
        let mut front = self.front();
        loop {
            let claimed = front.claimed();
            match self.exchange(front, Front::new(claimed, claimed)) {
                Ok(_) => return,
                Err(actual) => front = actual,
            }
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        if model_failed() {
            return;
        }
        // SAFETY: nobody else has the ring.
        while let Some(item) = unsafe { self.pop() } {
            drop(item);
        }
    }
}
