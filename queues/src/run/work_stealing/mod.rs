//! The run queue of which each worker has a part, and steals from the others' when it has nothing.

mod next;
mod ring;

use std::fmt;
use std::sync::Arc;

use crate::sync::{AtomicBool, AtomicU32, Ordering, model_failed};

use self::next::{Next, Put};
use self::ring::Ring;
use super::{Placed, RunQueue};

/// What other threads put in, and what a ring has no room for. In models the one whose mutex the checkers know.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
type Injector<T> = super::LockFreeRunQueue<T>;
#[cfg(any(libprocess_loom, libprocess_shuttle))]
type Injector<T> = super::LockingRunQueue<T>;

/// How many turns in a row may be the next place's while others wait: two that wake each other in turn
/// would otherwise keep a worker for ever.
const NEXT_IN_A_ROW: u32 = 16;

/// One in so many turns that are not the next place's is the injector's, while the ring has something. What a ring had no room for is older, so this keeps who spawns a tree of others
/// near its leaves, and what lives at a time small.
const INJECTED_ONE_IN: u32 = 8;

/// A queue for each worker, and one for all others; a worker without work steals half of another's.
///
/// | part | who puts in | who takes |
/// |---|---|---|
/// | *next*: one item | its worker, the newest | its worker first; others by [`take_kept`](RunQueue::take_kept) |
/// | *ring*: 256 items | its worker, what *next* displaces | its worker, oldest first; others by [`steal`](RunQueue::steal), half at a time |
/// | *injector*: unbounded | everybody, what a ring has no room for | everybody, oldest first |
///
/// **Order**: first in, first out in each part. What a worker enqueues runs before what it had, as its
/// memory is warm; at most 16 times in a row while something else waits. Of the other turns one in eight is the injector's; and every second one where each
/// is a long one, at whose end its process yields, or stands behind 16 in a row. So neither the injector nor the ring starves.
///
/// **Progress**: the worker's own turns are lock-free; a steal takes nothing where another thief is.
/// The injector as [`LockFreeRunQueue`](super::LockFreeRunQueue).
///
/// **Memory**: about 2.5 KiB for each worker with items of one word; the injector as above.
///
/// **Misuse**: an index is given out once: `local` panics if the worker's `Local` exists already.
///
/// The shape is that of Go's scheduler and of tokio's: "Making the Tokio scheduler 10x faster" tells
/// of it; half a queue stolen from a random victim goes back to Blumofe and Leiserson, "Scheduling
/// Multithreaded Computations by Work Stealing" (1999).
///
/// ```
/// use libprocess_queues::run::{Placed, RunQueue, WorkStealingRunQueue};
///
/// let queue = WorkStealingRunQueue::new(2);
/// let (mut one, mut other) = (queue.local(0), queue.local(1));
/// assert_eq!(queue.enqueue_local(&mut one, "older"), Placed::Kept);
/// assert_eq!(queue.enqueue_local(&mut one, "newer"), Placed::Shared);
/// assert_eq!(queue.dequeue(&mut other), None);
/// assert_eq!(queue.steal(&mut other), Some("older"));
/// assert_eq!(queue.dequeue(&mut one), Some("newer"));
/// ```
pub struct WorkStealingRunQueue<T> {
    parts: Box<[Arc<Part<T>>]>,
    injector: Injector<T>,
}

/// A worker's part, as others see it.
struct Part<T> {
    taken: AtomicBool,
    /// Turns that its worker has taken: a store for it, and a sign of life for others.
    turns: AtomicU32,
    next: Next<T>,
    ring: Ring<T>,
}

/// A worker's side of a [`WorkStealingRunQueue`].
pub struct WorkStealingLocal<T> {
    part: Arc<Part<T>>,
    /// Runs before anything else: a yield gave its place in *next* to another.
    ready: Option<T>,
    next_in_a_row: u32,
    until_injector: u32,
    turns: u32,
    random: u64,
}

impl<T> WorkStealingLocal<T> {
    fn take_next(&mut self) -> Option<T> {
        // SAFETY: there is one `Local` for each part, and this is the owner's.
        unsafe { self.part.next.take() }
    }

    fn pop(&mut self) -> Option<T> {
        // SAFETY: as in `take_next`.
        unsafe { self.part.ring.pop() }
    }

    /// Xorshift: "Xorshift RNGs", Marsaglia 2003.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl<T> Drop for WorkStealingLocal<T> {
    fn drop(&mut self) {
        if !model_failed() {
            // Release: pairs with the Acquire in `local`: the next owner sees the ring as this one left it.
            self.part.taken.store(false, Ordering::Release);
        }
    }
}

impl<T: Send> WorkStealingRunQueue<T> {
    fn push(&self, local: &mut WorkStealingLocal<T>, item: T) -> Placed {
        // SAFETY: one `Local` for each part.
        if let Err(item) = unsafe { local.part.ring.push(item) } {
            self.overflow(local, item);
            return Placed::Crowded;
        }
        Placed::Shared
    }

    #[cold]
    #[inline(never)]
    fn overflow(&self, local: &mut WorkStealingLocal<T>, item: T) {
        // SAFETY: one `Local` for each part.
        unsafe {
            local
                .part
                .ring
                .pop_half(|older| self.injector.enqueue(older))
        };
        self.injector.enqueue(item);
    }

    fn take_turn(&self, local: &mut WorkStealingLocal<T>) {
        local.turns = local.turns.wrapping_add(1);
        // Relaxed: a sign of life; nothing is published with it.
        local.part.turns.store(local.turns, Ordering::Relaxed);
    }

    #[inline]
    fn take_injected(&self) -> Option<T> {
        if self.injector.is_empty() {
            return None;
        }
        self.injector.dequeue(&mut ())
    }
}

impl<T: Send> RunQueue<T> for WorkStealingRunQueue<T> {
    const NAME: &'static str = "work-stealing";
    const KEEPS: bool = true;

    type Local = WorkStealingLocal<T>;

    fn new(workers: usize) -> Self {
        WorkStealingRunQueue {
            parts: (0..workers)
                .map(|_| {
                    Arc::new(Part {
                        taken: AtomicBool::new(false),
                        turns: AtomicU32::new(0),
                        next: Next::new(),
                        ring: Ring::new(),
                    })
                })
                .collect(),
            injector: Injector::new(workers),
        }
    }

    fn local(&self, worker: usize) -> WorkStealingLocal<T> {
        let part = Arc::clone(&self.parts[worker]);
        // Acquire: pairs with the Release in the drop of a `Local`.
        let taken = part.taken.swap(true, Ordering::Acquire);
        assert!(
            !taken,
            "worker {worker} has its part of the run queue already"
        );
        WorkStealingLocal {
            part,
            ready: None,
            next_in_a_row: 0,
            until_injector: INJECTED_ONE_IN,
            turns: 0,
            // Different for each worker, and not zero, which xorshift never leaves.
            random: (worker as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        }
    }

    #[inline]
    fn enqueue(&self, item: T) {
        self.injector.enqueue(item);
    }

    #[inline]
    fn enqueue_local(&self, local: &mut WorkStealingLocal<T>, item: T) -> Placed {
        // SAFETY: one `Local` for each part.
        match unsafe { local.part.next.put(item) } {
            Put::Kept => Placed::Kept,
            Put::Displaced(item) | Put::Refused(item) => self.push(local, item),
        }
    }

    fn enqueue_yielded(&self, local: &mut WorkStealingLocal<T>, item: T) -> Placed {
        // A turn that long is worth several: those who yield come out of ring and injector in turn.
        local.until_injector = local.until_injector.min(2);
        if local.ready.is_some() || local.part.ring.len() > 0 {
            return self.push(local, item);
        }
        if !self.injector.is_empty() {
            // Behind a good part of that: alone in the ring it would have every other turn.
            for _ in 0..ring::CAPACITY / 2 {
                let Some(injected) = self.injector.dequeue(&mut ()) else {
                    break;
                };
                self.push(local, injected);
            }
            return self.push(local, item);
        }
        // Nothing waits but what is next: that goes first, and this takes its place. Nobody need be woken
        // to take one of the two to another processor, away from the other.
        local.ready = local.take_next();
        self.enqueue_local(local, item)
    }

    #[inline]
    fn dequeue(&self, local: &mut WorkStealingLocal<T>) -> Option<T> {
        self.take_turn(local);
        if let Some(item) = local.ready.take() {
            local.next_in_a_row = local.next_in_a_row.saturating_add(1);
            return Some(item);
        }
        if local.next_in_a_row < NEXT_IN_A_ROW
            && let Some(item) = local.take_next()
        {
            local.next_in_a_row = local.next_in_a_row.saturating_add(1);
            return Some(item);
        }
        // Where few turns are not the next place's, more of them are the injector's: every second one behind 16 in a row.
        let run = local.next_in_a_row / (NEXT_IN_A_ROW / 4);
        local.until_injector = local.until_injector.saturating_sub(run).max(1);
        local.next_in_a_row = 0;
        // Where nobody outside puts anything in, the look at it costs two loads.
        local.until_injector -= 1;
        if local.until_injector == 0 {
            local.until_injector = INJECTED_ONE_IN;
            self.take_injected().or_else(|| local.pop())
        } else {
            local.pop().or_else(|| self.take_injected())
        }
        .or_else(|| local.take_next())
    }

    fn steal(&self, local: &mut WorkStealingLocal<T>) -> Option<T> {
        if let Some(item) = self.dequeue(local) {
            return Some(item);
        }
        let count = self.parts.len();
        let start = (local.random() % count as u64) as usize;
        (0..count)
            .map(|step| &self.parts[(start + step) % count])
            .filter(|victim| !Arc::ptr_eq(victim, &local.part))
            // SAFETY: one `Local` for each part, and the victim is another part.
            .find_map(|victim| unsafe { victim.ring.steal(&local.part.ring) })
    }

    fn share(&self, local: &mut WorkStealingLocal<T>) {
        let first = local.ready.take().or_else(|| local.take_next());
        first
            .into_iter()
            .for_each(|item| self.injector.enqueue(item));
        while let Some(item) = local.take_next().or_else(|| local.pop()) {
            self.injector.enqueue(item);
        }
    }

    fn room(&self, local: &WorkStealingLocal<T>) -> usize {
        ring::CAPACITY as usize - local.part.ring.len()
    }

    fn kept(&self, worker: usize) -> Option<u32> {
        let part = &self.parts[worker];
        // Relaxed: a later look compares it with this one. One that is just replaced is kept, too.
        part.next
            .is_in_use()
            .then(|| part.turns.load(Ordering::Relaxed))
    }

    fn take_kept(&self, worker: usize) -> Option<T> {
        self.parts[worker].next.steal()
    }

    fn awaited(&self, worker: usize) -> Option<u32> {
        let part = &self.parts[worker];
        // Relaxed: as in `kept`.
        (part.next.is_full() || part.ring.len() > 0).then(|| part.turns.load(Ordering::Relaxed))
    }

    fn turns(&self) -> u32 {
        // Relaxed: as in `kept`.
        let of_part = |part: &Arc<Part<T>>| part.turns.load(Ordering::Relaxed);
        self.parts.iter().map(of_part).fold(0, u32::wrapping_add)
    }

    fn relieve(&self, local: &mut WorkStealingLocal<T>, worker: usize) -> Option<T> {
        let part = &self.parts[worker];
        if Arc::ptr_eq(part, &local.part) {
            return None;
        }
        // SAFETY: one `Local` for each part, and the other is another part.
        let of_ring = || unsafe { part.ring.steal(&local.part.ring) };
        part.next.steal().or_else(of_ring)
    }

    fn has_shared(&self) -> bool {
        !self.injector.is_empty() || self.parts.iter().any(|part| part.ring.len() > 0)
    }

    fn injected(&self) -> usize {
        self.injector.len()
    }

    fn len(&self) -> usize {
        let of_part = |part: &Arc<Part<T>>| part.ring.len() + usize::from(part.next.is_full());
        self.injector.len() + self.parts.iter().map(of_part).sum::<usize>()
    }
}

impl<T: Send> fmt::Debug for WorkStealingRunQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkStealingRunQueue")
            .field("workers", &self.parts.len())
            .field("len", &self.len())
            .finish()
    }
}

impl<T> fmt::Debug for WorkStealingLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkStealingLocal")
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}
