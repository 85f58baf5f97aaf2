//! One door to everything that the loom model checker replaces.
//!
//! Under `--cfg libprocess_loom` the types below are loom's, so that the models in
//! `process/models.rs` explore the shipped arena, slots and futures, not copies of them.

#[cfg(libprocess_loom)]
pub(crate) use modelled::*;
#[cfg(not(libprocess_loom))]
pub(crate) use plain::*;

#[cfg(not(libprocess_loom))]
mod plain {
    pub(crate) use std::sync::atomic;
    pub(crate) use std::sync::{Mutex, MutexGuard};

    /// `std::cell::UnsafeCell` with loom's interface, so that both builds share their call sites.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
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

    /// Whether a planted weakening is on: never, in an ordinary build.
    #[inline(always)]
    pub(crate) const fn weakened(_name: &str) -> bool {
        false
    }
}

#[cfg(libprocess_loom)]
mod modelled {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    std::thread_local! {
        static WEAKENING: std::cell::Cell<Option<&'static str>> =
            const { std::cell::Cell::new(None) };
    }

    /// Whether the named weakening is on (all of a model's threads share one OS thread).
    pub(crate) fn weakened(name: &str) -> bool {
        WEAKENING.with(|on| on.get() == Some(name))
    }

    /// Runs `f` with the named weakening planted.
    pub(crate) fn with_weakening<R>(name: &'static str, f: impl FnOnce() -> R) -> R {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                WEAKENING.with(|on| on.set(None));
            }
        }
        WEAKENING.with(|on| on.set(Some(name)));
        let _restore = Restore;
        f()
    }
}

/// Locks a mutex whose critical sections never run foreign code, so that a poisoned one
/// (a panic of the allocator, say) still holds consistent data.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let guard = mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    #[cfg(libprocess_tsan)]
    libprocess_semaphore::tell_sanitizer_locked(mutex);
    guard
}

/// As `lock`, for what is never modelled: always std's mutex.
pub(crate) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    let guard = mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    #[cfg(libprocess_tsan)]
    libprocess_semaphore::tell_sanitizer_locked(mutex);
    guard
}
