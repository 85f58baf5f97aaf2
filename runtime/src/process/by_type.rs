//! What the program has one of for each type: a table of lists that only grow, read without a lock.
//!
//! A `static` in a generic function would be one for all types. This table is bounded by the types that the program names.

use std::any::TypeId;
use std::hash::{Hash, Hasher};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

struct Entry {
    id: TypeId,
    /// Without its type, because a static cannot name it.
    value: *const (),
    next: *mut Entry,
}

const LISTS: usize = 64;

static ENTRIES: [AtomicPtr<Entry>; LISTS] = [const { AtomicPtr::new(null_mut()) }; LISTS];

/// A type's identity is a good hash already: its last eight bytes are taken as they are.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn find(mut entry: *const Entry, id: TypeId) -> Option<*const ()> {
    // SAFETY: null, or an entry, which lives for ever and is not written any more.
    while let Some(known) = unsafe { entry.as_ref() } {
        if known.id == id {
            return Some(known.value);
        }
        entry = known.next;
    }
    None
}

/// The value stored under `id`; `make` is called if there is none, and what it made is not stored if another thread came first.
fn find_or_insert(id: TypeId, make: impl FnOnce() -> *const ()) -> *const () {
    let mut hasher = AsItIs::default();
    id.hash(&mut hasher);
    let list = &ENTRIES[(hasher.finish() % LISTS as u64) as usize];
    // Acquire: pairs with the Release below: the entries that are listed are seen, and their values.
    let mut first = list.load(Ordering::Acquire);
    if let Some(value) = find(first, id) {
        return value;
    }
    let value = make();
    let ours = Box::into_raw(Box::new(Entry {
        id,
        value,
        next: first,
    }));
    loop {
        // Release: publishes the entry and its value; Acquire on failure: pairs with it, another's entry is looked at.
        match list.compare_exchange(first, ours, Ordering::Release, Ordering::Acquire) {
            Ok(_) => return value,
            Err(now) => first = now,
        }
        if let Some(value) = find(first, id) {
            // SAFETY: made above, and published nowhere.
            drop(unsafe { Box::from_raw(ours) });
            return value;
        }
        // SAFETY: made above, and published nowhere.
        unsafe { (*ours).next = first };
    }
}

/// The program's one `T`, for ever: what `make` gives to whoever asks first.
///
/// To find it takes one load, and a look through the few types that share a list.
pub(crate) fn the_one<T: Send + Sync + 'static>(make: impl FnOnce() -> T) -> &'static T {
    let mut ours = null_mut::<T>();
    let value = find_or_insert(TypeId::of::<T>(), || {
        ours = Box::into_raw(Box::new(make()));
        ours.cast_const().cast()
    });
    let value: *const T = value.cast();
    if !ours.is_null() && !std::ptr::eq(ours, value) {
        // SAFETY: made above; another thread came first, so it was stored nowhere.
        drop(unsafe { Box::from_raw(ours) });
    }
    // SAFETY: stored under `TypeId::of::<T>()` by the lines above, so it is a `T`, which nobody frees or borrows mutably.
    unsafe { &*value }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn threads_that_come_together_find_one_value() {
        struct Type<const N: usize>(usize);
        fn all_agree<const N: usize>() {
            let start = std::sync::Barrier::new(4);
            let found: Vec<&Type<N>> = std::thread::scope(|scope| {
                let ask = |made| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        the_one(|| Type::<N>(made))
                    })
                };
                let threads: Vec<_> = (1..=4).map(ask).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            assert!(found.iter().all(|one| std::ptr::eq(*one, found[0])));
            assert!((1..=4).contains(&found[0].0));
            assert!(std::ptr::eq(the_one(|| Type::<N>(0)), found[0]));
        }
        all_agree::<1>();
        all_agree::<2>();
        all_agree::<3>();
        all_agree::<4>();
    }
}
