//! The one place where the crate's atomics, locks and cells come from: std's, or, under
//! `--cfg libprocess_loom`, loom's, which explore every interleaving and check every access, or, under
//! `--cfg libprocess_shuttle`, shuttle's, which try interleavings by chance.
//!
//! The rest of the crate is written once against these names, so what they check is what ships.
//!
//! `weakened(name)` is how a model shows that it can fail. At a few critical places the shipped
//! code asks whether that place is weakened. In an ordinary build the answer is the constant
//! `false` and the question is compiled away. Under a checker a test can say "yes" for one name, and
//! then asserts that its model finds the bug. `model_failed` tells destructors that it has.

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod types {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use std::sync::{Mutex, MutexGuard};

    #[inline(always)]
    pub(crate) const fn weakened(_name: &str) -> bool {
        false
    }

    /// Whether a model has failed and is being taken apart: never.
    #[inline(always)]
    pub(crate) const fn model_failed() -> bool {
        false
    }
}

#[cfg(libprocess_loom)]
mod types {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    /// Whether a model has failed and is being taken apart: then there is no execution any more in which a destructor could use
    /// an atomic.
    pub(crate) fn model_failed() -> bool {
        std::thread::panicking()
    }
}

#[cfg(libprocess_shuttle)]
mod types {
    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    /// Whether a model has failed and is being taken apart. Its queues may then be in the middle of something.
    pub(crate) fn model_failed() -> bool {
        std::thread::panicking()
    }
}

#[cfg(not(libprocess_loom))]
mod cell {
    /// A cell with loom's interface: closures instead of a raw pointer that outlives the access.
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(any(libprocess_loom, libprocess_shuttle))]
mod weakening {
    use std::cell::Cell;

    // std's, not the checker's: all threads of a model run on the one thread that runs the test.
    std::thread_local! {
        static WEAKENED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    pub(crate) fn weakened(name: &str) -> bool {
        WEAKENED.get() == Some(name)
    }

    /// Runs `body` with the place called `name` weakened, and restores it, also on a panic.
    pub fn with_weakening<R>(name: &'static str, body: impl FnOnce() -> R) -> R {
        struct Restore(Option<&'static str>);
        impl Drop for Restore {
            fn drop(&mut self) {
                WEAKENED.set(self.0);
            }
        }
        let _restore = Restore(WEAKENED.replace(Some(name)));
        body()
    }
}

#[cfg(not(libprocess_loom))]
pub(crate) use cell::UnsafeCell;
pub(crate) use types::*;

#[cfg(any(libprocess_loom, libprocess_shuttle))]
pub(crate) use weakening::weakened;
#[cfg(any(libprocess_loom, libprocess_shuttle))]
#[doc(hidden)]
pub use weakening::with_weakening;

/// Locks `mutex`, whether or not somebody panicked while holding it.
///
/// Every critical section of this crate leaves its data whole before it calls anything that can
/// panic (only the caller's own predicate can), so poisoning would carry no information.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let guard = mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    #[cfg(libprocess_tsan)]
    tell_sanitizer_locked(mutex);
    guard
}

/// Tells ThreadSanitizer that this thread has just locked `mutex`.
///
/// Where std is not instrumented, the sanitizer sees a mutex unlocked (that is inlined here) but not locked by a thread that had
/// to wait (that is std's machine code). Which word of the mutex is its lock is std's affair, so all are named.
#[cfg(libprocess_tsan)]
fn tell_sanitizer_locked<T>(mutex: &std::sync::Mutex<T>) {
    unsafe extern "C" {
        fn __tsan_acquire(address: *mut std::ffi::c_void);
    }
    let start = std::ptr::from_ref(mutex).cast::<u32>();
    for word in 0..size_of_val(mutex) / size_of::<u32>() {
        // SAFETY: within the mutex; the sanitizer only takes note of the address.
        unsafe { __tsan_acquire(start.add(word).cast_mut().cast()) };
    }
}
