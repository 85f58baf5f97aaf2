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
//! # What can go wrong
//!
//! - *Memory that is kept for ever.* After a burst no more is kept than [`DEPOT`] magazines of each size, and two for each thread until it ends.
//! - *Threads that wait for the depot.* None does: whoever finds it taken goes to the allocator with this magazine.
//! - *Two threads that write to one cache line.* Magazines that travel mix the blocks of all threads, and a process that moves to another worker takes
//!   its blocks with it. Blocks that shared a line would slow down both threads from then on, so none does: blocks begin and end with a line. That
//!   costs memory, and gave 1.4 times the messages of two workers (docs/benchmarks.md).
//! - *A thread that ends.* Its magazines are freed; an event that it frees or makes after that goes to the allocator.
//! - *Tools that look for use after free* (Miri, Valgrind, AddressSanitizer) see less of it. Under Miri and in models every event is the allocator's own.
//!
//! # Invariants
//!
//! 1. A magazine is a list of blocks of one class, each allocated with the layout of its class and owned by the magazine alone.
//! 2. `spare` is null or a list of exactly `ROUNDS` blocks, and so is everything in the depot.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, TryLockError};

/// Blocks of a full magazine.
const ROUNDS: u32 = 64;
/// Full magazines that are kept of each size for whichever thread needs one: 8,192 blocks, at most two MiB.
const DEPOT: usize = 128;
/// Sizes are multiples of a cache line, and begin with one (see the module's text).
const STEP: usize = 64;
const ALIGNMENT: usize = STEP;
/// Blocks of up to 256 bytes; larger ones are rare, and the allocator's own.
const CLASSES: usize = 4;

/// Which class holds blocks of this layout.
const fn class_of(layout: Layout) -> Option<usize> {
    let class = layout.size().div_ceil(STEP);
    if cfg!(any(miri, libprocess_loom))
        || class == 0
        || class > CLASSES
        || layout.align() > ALIGNMENT
    {
        None
    } else {
        Some(class - 1)
    }
}

const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align((class + 1) * STEP, ALIGNMENT) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

/// What a free block holds: the next one.
struct Free {
    next: *mut Free,
}

struct Magazines {
    loaded: Cell<*mut Free>,
    rounds: Cell<u32>,
    spare: Cell<*mut Free>,
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
                    spare: Cell::new(null_mut()),
                }
            }; CLASSES],
        }
    };
}

/// A full magazine on its way from one thread to another.
struct Full(NonNull<Free>);

// SAFETY: it owns its blocks (invariant 1).
unsafe impl Send for Full {}

static FULL: [Mutex<Vec<Full>>; CLASSES] = [const { Mutex::new(Vec::new()) }; CLASSES];

/// What `f` does with the full magazines of a class, or `None` if another thread is at them.
fn at_depot<R>(class: usize, f: impl FnOnce(&mut Vec<Full>) -> R) -> Option<R> {
    match FULL[class].try_lock() {
        Ok(mut full) => Some(f(&mut full)),
        // The lists are consistent whatever panicked: the only thing that may is the growth of one.
        Err(TryLockError::Poisoned(full)) => Some(f(&mut full.into_inner())),
        Err(TryLockError::WouldBlock) => None,
    }
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

    /// Loads the spare magazine, or one from the depot.
    #[cold]
    fn reload(&self, class: usize) -> Option<NonNull<Free>> {
        let full = NonNull::new(self.spare.replace(null_mut()))
            .or_else(|| at_depot(class, Vec::pop).flatten().map(|full| full.0))?;
        self.rounds.set(ROUNDS);
        Some(full)
    }

    /// # Safety
    ///
    /// The block was allocated with the layout of the class, and the caller gives it up.
    #[inline]
    unsafe fn put(&self, class: usize, block: NonNull<Free>) {
        if self.rounds.get() == ROUNDS {
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

    /// Makes the loaded magazine, which is full, the spare one. If there is one, that goes to the depot.
    #[cold]
    fn unload(&self, class: usize) {
        self.rounds.set(0);
        let full = self.spare.replace(self.loaded.replace(null_mut()));
        let Some(full) = NonNull::new(full) else {
            return;
        };
        let kept = at_depot(class, |depot| {
            let room = depot.len() < DEPOT;
            if room {
                depot.push(Full(full));
            }
            room
        });
        if kept != Some(true) {
            // SAFETY: invariants 1 and 2; it was taken out.
            unsafe { free_all(class, full.as_ptr()) };
        }
    }
}

/// Gives a magazine back to the allocator.
///
/// # Safety
///
/// It is one of this class, or null, and the caller gives it up.
unsafe fn free_all(class: usize, mut magazine: *mut Free) {
    while let Some(block) = NonNull::new(magazine) {
        // SAFETY: invariant 1.
        unsafe {
            magazine = block.as_ref().next;
            dealloc(block.cast().as_ptr(), layout_of(class));
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        for (class, magazines) in self.classes.iter().enumerate() {
            // SAFETY: both are this thread's, and are taken out.
            unsafe {
                free_all(class, magazines.loaded.replace(null_mut()));
                free_all(class, magazines.spare.replace(null_mut()));
            }
            // Not zero: what is freed while the thread ends comes here no more (`try_with`).
            magazines.rounds.set(0);
        }
    }
}

fn allocated(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout that comes here is empty: a block has a header.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Memory for a `T`.
#[inline(always)]
pub(super) fn allocate<T>() -> NonNull<T> {
    const { assert!(size_of::<T>() != 0) };
    let Some(class) = (const { class_of(Layout::new::<T>()) }) else {
        return allocated(Layout::new::<T>()).cast();
    };
    let recycled = THREAD.try_with(|thread| thread.classes[class].take(class));
    match recycled {
        Ok(Some(block)) => block.cast(),
        Ok(None) | Err(_) => new_block(class).cast(),
    }
}

#[cold]
fn new_block(class: usize) -> NonNull<u8> {
    allocated(layout_of(class))
}

/// Gives back the memory of a `T`, whose contents were dropped or moved out.
///
/// # Safety
///
/// It came out of `allocate::<T>`, and nobody uses it afterwards.
#[inline(always)]
pub(super) unsafe fn release<T>(place: NonNull<T>) {
    let Some(class) = (const { class_of(Layout::new::<T>()) }) else {
        // SAFETY: by the contract, allocated with this layout.
        return unsafe { dealloc(place.cast().as_ptr(), Layout::new::<T>()) };
    };
    let free = place.cast();
    // SAFETY: by the contract, allocated with the layout of this class.
    let put = THREAD.try_with(|thread| unsafe { thread.classes[class].put(class, free) });
    if put.is_err() {
        // SAFETY: as above.
        unsafe { dealloc(place.cast().as_ptr(), layout_of(class)) };
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

#[cfg(all(test, not(libprocess_loom), not(miri)))]
mod tests {
    use super::*;

    /// As large as no event of the other tests, which share the depot.
    type Large = [u64; 30];
    const CLASS: usize = CLASSES - 1;

    fn in_depot() -> usize {
        FULL[CLASS].lock().unwrap().len()
    }

    #[test]
    fn memory_is_used_again_moves_between_threads_and_falls_back() {
        // One test, as all of it is about the one depot of the class.
        let first = allocate::<Large>();
        // SAFETY: just allocated, given back once.
        unsafe { release(first) };
        assert_eq!(allocate::<Large>(), first);

        // A thread that only frees hands its magazines on, all but two.
        let many = ROUNDS as usize * 5;
        let blocks: Vec<usize> = (0..many)
            .map(|_| allocate::<Large>().as_ptr().expose_provenance())
            .collect();
        let freed = blocks.clone();
        let before = in_depot();
        let freeing = std::thread::spawn(move || {
            for block in freed {
                let block = std::ptr::with_exposed_provenance_mut::<Large>(block);
                // SAFETY: allocated above, given back once.
                unsafe { release(NonNull::new(block).unwrap()) };
            }
            in_depot()
        });
        assert_eq!(freeing.join().unwrap(), before + 3);
        let again: Vec<NonNull<Large>> = (0..ROUNDS).map(|_| allocate::<Large>()).collect();
        assert!(
            again
                .iter()
                .all(|block| blocks.contains(&block.as_ptr().expose_provenance()))
        );
        assert_eq!(in_depot(), before + 2);

        // A burst leaves no more than the bounds.
        let burst: Vec<NonNull<Large>> = (0..ROUNDS as usize * (DEPOT + 10))
            .map(|_| allocate::<Large>())
            .collect();
        for block in burst.into_iter().chain(again).chain([first]) {
            // SAFETY: allocated above, given back once.
            unsafe { release(block) };
        }
        assert_eq!(in_depot(), DEPOT);

        // Whoever finds the depot taken does not wait.
        let taken = FULL[CLASS].lock().unwrap();
        std::thread::spawn(|| {
            let block = allocate::<Large>();
            // SAFETY: just allocated, given back once.
            unsafe { release(block) };
        })
        .join()
        .unwrap();
        drop(taken);
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
