//! One door to everything that the model checkers replace.
//!
//! Under `--cfg libprocess_loom` the types below are loom's, so that the models in `process/models.rs` and its like
//! explore the shipped arena, slots, futures and scheduler, not copies of them. Under `--cfg libprocess_shuttle` they are
//! shuttle's, which tries the whole scheduler in random schedules (`scheduler/schedules.rs`).
//!
//! What is never modelled (the clock's thread, the names, the counts of a test) keeps std's types and [`lock_std`].

#[cfg(libprocess_loom)]
pub(crate) use under_loom::*;
#[cfg(libprocess_shuttle)]
pub(crate) use under_shuttle::*;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use plain::*;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod plain {
    pub(crate) use std::sync::atomic;
    pub(crate) use std::sync::atomic::AtomicU64 as Statistic;
    pub(crate) use std::sync::{Mutex, MutexGuard};
    pub(crate) use std::{thread, thread_local};

    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Whether a planted weakening is on: never, in an ordinary build.
    #[inline(always)]
    pub(crate) const fn weakened(_name: &str) -> bool {
        false
    }

    /// What time it is, for the comparison with a deadline.
    pub(crate) fn now() -> std::time::Instant {
        std::time::Instant::now()
    }

    /// Runs what may panic, and gives the panic to the caller.
    #[inline(always)]
    pub(crate) fn contained<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
        catch_unwind(AssertUnwindSafe(f))
    }

    /// Whether a thread has ended, so that joining it does not wait.
    pub(crate) fn is_finished<T>(handle: &thread::JoinHandle<T>) -> bool {
        handle.is_finished()
    }

    /// A thread-local value that needs neither initialization nor a destructor: a plain load.
    macro_rules! thread_constant {
        (static $name:ident: $type:ty = $value:expr) => {
            std::thread_local! {
                static $name: $type = const { $value };
            }
        };
    }
    pub(crate) use thread_constant;
}

#[cfg(libprocess_loom)]
mod under_loom {
    pub(crate) use super::modelled::*;
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use loom::{thread, thread_local};
    /// No part of loom's models: each look at a counter would double what there is to explore.
    pub(crate) use std::sync::atomic::AtomicU64 as Statistic;

    macro_rules! thread_constant {
        (static $name:ident: $type:ty = $value:expr) => {
            loom::thread_local! {
                static $name: $type = $value;
            }
        };
    }
    pub(crate) use thread_constant;
}

#[cfg(libprocess_shuttle)]
mod under_shuttle {
    pub(crate) use super::modelled::*;
    pub(crate) use shuttle::sync::atomic;
    pub(crate) use shuttle::sync::atomic::AtomicU64 as Statistic;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use shuttle::{thread, thread_local};

    macro_rules! thread_constant {
        (static $name:ident: $type:ty = $value:expr) => {
            shuttle::thread_local! {
                static $name: $type = $value;
            }
        };
    }
    pub(crate) use thread_constant;
}

#[cfg(any(libprocess_loom, libprocess_shuttle))]
mod modelled {
    pub(crate) use libprocess_semaphore::sync::now;

    std::thread_local! {
        static WEAKENING: std::cell::Cell<Option<&'static str>> =
            const { std::cell::Cell::new(None) };
    }

    /// Whether the named weakening is on (all of a model's threads share one OS thread).
    pub(crate) fn weakened(name: &str) -> bool {
        WEAKENING.with(|on| on.get() == Some(name))
    }

    /// Runs `f` with the named weakening planted.
    #[cfg(test)]
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

    /// Contains nothing: a panic is the checker's, or an assertion of a model, and either has to come to its test.
    pub(crate) fn contained<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
        Ok(f())
    }

    /// Neither checker's handle tells. So ended threads are joined at the end only.
    pub(crate) fn is_finished<T>(_handle: &super::thread::JoinHandle<T>) -> bool {
        false
    }
}

#[cfg(not(libprocess_loom))]
pub(crate) use cell::UnsafeCell;

#[cfg(not(libprocess_loom))]
mod cell {
    /// `std::cell::UnsafeCell` with loom's interface, so that all builds share their call sites.
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
