//! Memory of events, used again without the allocator.
//!
//! # How
//!
//! This is the magazine layer of J. Bonwick and J. Adams, "Magazines and Vmem", USENIX 2001. Each thread keeps, for each size, two *magazines* of at
//! most [`ROUNDS`] free blocks: it loads and unloads one, the other is full or empty. So a thread that makes an event and frees one, in any order,
//! touches its own memory only. When both are empty or both are full, a whole magazine is exchanged with the *depot*, which all threads share. Where one
//! thread makes events and another frees them, that is one exchange in `ROUNDS` events on each side.
//!
//! ```text
//! worker 0                       depot (by size)                 worker 1
//! loaded ─► o─o─o                magazine ─► o─…─o               loaded ─► o─…─o (full)
//! spare  ─► nothing   ◄── empty  magazine ─► o─…─o   full ◄──    spare  ─► o─…─o (full)
//! ```
//!
//! The blocks are cut, a magazine at a time, from a *region* of fixed size for each class. When a region is used up, because more events are
//! under way than it has blocks, events come from the allocator and go back there: a block's address tells which it is.
//!
//! # What can go wrong
//!
//! - *Memory that is kept for ever.* The regions are all that is kept: [`REGION`] bytes each, of which the kernel gives what was touched. What a burst takes beyond goes
//!   back to the allocator.
//! - *Threads that wait for the depot.* None does: whoever finds it taken takes from the allocator, or lets its magazine grow, and tries again with the next block.
//! - *Two threads that write to one cache line.* Magazines that travel mix the blocks of all threads, and a process that moves to another worker takes
//!   its blocks with it. Blocks that shared a line would slow down both threads from then on, so none does: blocks begin and end with a line. That
//!   gave 1.4 times the messages of two workers (docs/benchmarks.md).
//! - *A thread that ends.* Its magazines go to the depot. An event that it makes after that comes from the allocator; the block of one that it frees after that is lost to
//!   the region, unless it came from the allocator.
//! - *Tools that look for use after free* (Miri, Valgrind, AddressSanitizer) see less of it. Under Miri and in models every event is the allocator's own.
//!
//! # Invariants
//!
//! 1. A magazine is a list of blocks of one class's region, and owns them alone.
//! 2. Every block of a region that was cut is in a magazine, or is given out, or was lost with a thread.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

use crate::facade::lock_std;

/// Blocks of a magazine that is exchanged.
const ROUNDS: u32 = 64;
/// Bytes of the region of a class: 16,384 messages.
const REGION: usize = 2 << 20;
/// Sizes are multiples of a cache line, and begin with one (see above).
const STEP: usize = 64;
/// Blocks of up to 256 bytes; larger ones are rare, and the allocator's own.
const CLASSES: usize = 4;

/// Which class holds blocks of this layout.
const fn class_of(layout: Layout) -> Option<usize> {
    let class = layout.size().div_ceil(STEP);
    if cfg!(any(miri, libprocess_loom)) || class == 0 || class > CLASSES || layout.align() > STEP {
        None
    } else {
        Some(class - 1)
    }
}

const fn bytes_of(class: usize) -> usize {
    (class + 1) * STEP
}

#[repr(C, align(64))]
struct Region(UnsafeCell<MaybeUninit<[u8; REGION]>>);

// SAFETY: bytes, which are given out block by block to one owner at a time.
unsafe impl Sync for Region {}

/// Never written before it is given out, so no memory until then.
static REGIONS: [Region; CLASSES] =
    [const { Region(UnsafeCell::new(MaybeUninit::uninit())) }; CLASSES];

/// How many bytes of each region were cut.
static CUT: [AtomicUsize; CLASSES] = [const { AtomicUsize::new(0) }; CLASSES];

#[inline(always)]
fn is_of_region<T>(class: usize, place: NonNull<T>) -> bool {
    let region = REGIONS[class].0.get().addr();
    place.addr().get().wrapping_sub(region) < REGION
}

/// What a free block holds: the next one.
struct Free {
    next: *mut Free,
}

struct Magazines {
    loaded: Cell<*mut Free>,
    rounds: Cell<u32>,
    spare: Cell<Option<Magazine>>,
}

struct Thread {
    classes: [Magazines; CLASSES],
}

thread_local! {
    static THREAD: Thread = const {
        Thread {
            classes: [const {
                Magazines {
                    loaded: Cell::new(null_mut()),
                    rounds: Cell::new(0),
                    spare: Cell::new(None),
                }
            }; CLASSES],
        }
    };
}

/// Blocks that are nobody's else, not none.
struct Magazine {
    first: NonNull<Free>,
    rounds: u32,
}

// SAFETY: it owns its blocks (invariant 1).
unsafe impl Send for Magazine {}

static DEPOT: [Mutex<Vec<Magazine>>; CLASSES] = [const { Mutex::new(Vec::new()) }; CLASSES];

/// What `f` does with the magazines in the depot, or `None` if another thread is at them.
fn at_depot<R>(class: usize, f: impl FnOnce(&mut Vec<Magazine>) -> R) -> Option<R> {
    match DEPOT[class].try_lock() {
        Ok(mut depot) => Some(f(&mut depot)),
        // The lists are consistent whatever panicked: the only thing that may is the growth of one.
        Err(TryLockError::Poisoned(depot)) => Some(f(&mut depot.into_inner())),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A magazine of blocks that were never given out, if the region has any.
fn cut(class: usize) -> Option<Magazine> {
    let bytes = bytes_of(class);
    let wanted = ROUNDS as usize * bytes;
    // Relaxed: the number alone says whose the bytes are.
    let cut = CUT[class]
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |cut| {
            (cut + wanted <= REGION).then_some(cut + wanted)
        })
        .ok()?;
    let mut next = null_mut();
    for block in (0..ROUNDS as usize).rev() {
        // SAFETY: within the region, aligned as the region and its blocks are, and nobody else's.
        unsafe {
            let place: *mut Free = REGIONS[class].0.get().byte_add(cut + block * bytes).cast();
            place.write(Free { next });
            next = place;
        }
    }
    NonNull::new(next).map(|first| Magazine {
        first,
        rounds: ROUNDS,
    })
}

impl Magazines {
    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<Free>> {
        let block = match NonNull::new(self.loaded.get()) {
            Some(block) => block,
            None => self.reload(class)?,
        };
        // SAFETY: invariant 1.
        self.loaded.set(unsafe { block.as_ref() }.next);
        self.rounds.set(self.rounds.get() - 1);
        Some(block)
    }

    /// Loads the spare magazine, or one from the depot, or a new one.
    #[cold]
    fn reload(&self, class: usize) -> Option<NonNull<Free>> {
        let magazine = match self.spare.take() {
            Some(spare) => spare,
            // If another thread is there, the next event tries again.
            None => at_depot(class, Vec::pop)?.or_else(|| cut(class))?,
        };
        self.rounds.set(magazine.rounds);
        Some(magazine.first)
    }

    /// # Safety
    ///
    /// The block is of the class's region, and the caller gives it up.
    #[inline]
    unsafe fn put(&self, class: usize, block: NonNull<Free>) {
        if self.rounds.get() >= ROUNDS {
            self.unload(class);
        }
        // SAFETY: by the contract.
        unsafe {
            block.write(Free {
                next: self.loaded.get(),
            });
        }
        self.loaded.set(block.as_ptr());
        self.rounds.set(self.rounds.get() + 1);
    }

    /// Makes the loaded magazine the spare one. If there is one, that goes to the depot; if another thread is there, nothing is done.
    #[cold]
    fn unload(&self, class: usize) {
        if let Some(spare) = self.spare.take() {
            let mut left = Some(spare);
            at_depot(class, |depot| depot.extend(left.take()));
            if left.is_some() {
                return self.spare.set(left);
            }
        }
        self.spare.set(self.take_loaded());
    }

    fn take_loaded(&self) -> Option<Magazine> {
        let rounds = self.rounds.replace(0);
        NonNull::new(self.loaded.replace(null_mut())).map(|first| Magazine { first, rounds })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        for (class, magazines) in self.classes.iter().enumerate() {
            let left = [magazines.take_loaded(), magazines.spare.take()];
            let mut depot = lock_std(&DEPOT[class]);
            depot.extend(left.into_iter().flatten());
        }
    }
}

/// Memory for a `T`.
#[inline(always)]
pub(super) fn allocate<T>() -> NonNull<T> {
    const { assert!(size_of::<T>() != 0) };
    if let Some(class) = const { class_of(Layout::new::<T>()) }
        && let Ok(Some(block)) = THREAD.try_with(|thread| thread.classes[class].take(class))
    {
        return block.cast();
    }
    from_allocator::<T>()
}

#[cold]
fn from_allocator<T>() -> NonNull<T> {
    let layout = Layout::new::<T>();
    // SAFETY: not empty: `allocate` asserts that.
    let place = NonNull::new(unsafe { alloc(layout) });
    place.unwrap_or_else(|| handle_alloc_error(layout)).cast()
}

/// Gives back the memory of a `T`, whose contents were dropped or moved out.
///
/// # Safety
///
/// It came out of `allocate::<T>`, and nobody uses it afterwards.
#[inline(always)]
pub(super) unsafe fn release<T>(place: NonNull<T>) {
    if let Some(class) = const { class_of(Layout::new::<T>()) }
        && is_of_region(class, place)
    {
        // SAFETY: by the contract. If the thread is ending, and its magazines are gone, the block is lost.
        let _lost =
            THREAD.try_with(|thread| unsafe { thread.classes[class].put(class, place.cast()) });
        return;
    }
    // SAFETY: by the contract: not of a region, so `from_allocator` made it, with this layout.
    unsafe { dealloc(place.cast().as_ptr(), Layout::new::<T>()) };
}

/// Memory for a `T` that is given back unless it is `written`: what makes the contents may panic.
pub(super) struct Unwritten<T>(NonNull<T>);

impl<T> Unwritten<T> {
    #[inline(always)]
    pub(super) fn allocate() -> Self {
        Self(allocate())
    }

    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// The contents are there.
    #[inline(always)]
    pub(super) fn written(self) -> NonNull<T> {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl<T> Drop for Unwritten<T> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: allocated for this type, and nobody else knows of it.
        unsafe { release(self.0) }
    }
}

/// Drops a `T` in its place and gives its memory back, also if the drop panics.
///
/// # Safety
///
/// As `release`, but the contents are there.
#[inline(always)]
pub(super) unsafe fn drop_and_release<T>(place: NonNull<T>) {
    struct Release<T>(NonNull<T>);
    impl<T> Drop for Release<T> {
        #[inline(always)]
        fn drop(&mut self) {
            // SAFETY: by the contract of `drop_and_release`; once.
            unsafe { release(self.0) }
        }
    }
    let release = Release(place);
    // SAFETY: by the contract.
    unsafe { release.0.drop_in_place() };
}

/// Moves a `T` out of its place and gives its memory back.
///
/// # Safety
///
/// As `drop_and_release`.
#[inline(always)]
pub(super) unsafe fn take_and_release<T>(place: NonNull<T>) -> T {
    // SAFETY: by the contract.
    unsafe {
        let contents = place.read();
        release(place);
        contents
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle)), not(miri)))]
mod tests {
    use super::*;

    /// As large as no event of the other tests, which share the depot.
    type Large = [u64; 30];
    const CLASS: usize = CLASSES - 1;

    fn in_depot() -> usize {
        DEPOT[CLASS].lock().unwrap().len()
    }

    fn many(number: usize) -> Vec<usize> {
        (0..number)
            .map(|_| allocate::<Large>().as_ptr().expose_provenance())
            .collect()
    }

    fn release_all(blocks: &[usize]) {
        for block in blocks {
            let block = std::ptr::with_exposed_provenance_mut::<Large>(*block);
            // SAFETY: of `many`, given back once.
            unsafe { release(NonNull::new(block).unwrap()) };
        }
    }

    // One test, as all of it is about the one depot of the class.
    #[test]
    fn memory_is_used_again_moves_between_threads_and_is_bounded() {
        let rounds = ROUNDS as usize;
        let first = many(1);
        release_all(&first);
        assert_eq!(many(1), first);
        assert_eq!(first[0] % STEP, 0, "a block begins with a line");

        // A thread that only frees hands its magazines on, the last two when it ends.
        let blocks = many(rounds * 5);
        let freed = blocks.clone();
        let before = in_depot();
        let freeing = std::thread::spawn(move || {
            release_all(&freed);
            in_depot()
        });
        assert_eq!(freeing.join().unwrap(), before + 3);
        assert_eq!(in_depot(), before + 5);
        let in_use = CUT[CLASS].load(Ordering::Relaxed);
        let again = many(rounds * 5 + rounds);
        assert!(blocks.iter().all(|block| again.contains(block)));
        assert!(CUT[CLASS].load(Ordering::Relaxed) <= in_use + rounds * bytes_of(CLASS));

        // What is more than the region has comes from the allocator, and goes back there.
        let burst = many(REGION / bytes_of(CLASS) + 100);
        let of_region = |block: &&usize| {
            let block = std::ptr::with_exposed_provenance_mut::<Large>(**block);
            is_of_region(CLASS, NonNull::new(block).unwrap())
        };
        let pooled = burst.iter().filter(of_region).count();
        assert!((1..=REGION / bytes_of(CLASS)).contains(&pooled));
        assert!(burst.len() - pooled >= 100);
        release_all(&burst);
        release_all(&again);
        release_all(&first);
        let all = many(REGION / bytes_of(CLASS));
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
        assert_eq!(all.iter().filter(of_region).count(), all.len());
        release_all(&all);

        // Whoever finds the depot taken does not wait.
        let taken = DEPOT[CLASS].lock().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            let blocks = many(3);
            release_all(&blocks);
            sender.send(()).unwrap();
        });
        receiver.recv().unwrap();
        drop(taken);
        other.join().unwrap();
    }

    #[test]
    fn contents_are_dropped_once_also_if_that_panics() {
        struct Panics(
            [u64; 40],
            #[allow(dead_code, reason = "counted")] std::sync::Arc<()>,
        );
        impl Drop for Panics {
            fn drop(&mut self) {
                assert!(self.0[0] == 0, "as wanted");
            }
        }
        let counted = std::sync::Arc::new(());
        for value in [0, 1] {
            let place = allocate::<Panics>();
            // SAFETY: allocated for this type.
            unsafe { place.write(Panics([value; 40], counted.clone())) };
            let dropped = std::panic::catch_unwind(|| {
                // SAFETY: written above, given back once.
                unsafe { drop_and_release(place) }
            });
            assert_eq!(dropped.is_err(), value == 1);
            assert_eq!(std::sync::Arc::strong_count(&counted), 1);
        }
        let place = allocate::<std::sync::Arc<()>>();
        // SAFETY: allocated for this type, moved out once.
        let out = unsafe {
            place.write(counted.clone());
            take_and_release(place)
        };
        drop(out);
        assert_eq!(std::sync::Arc::strong_count(&counted), 1);
    }
}
