//! The one place that chooses between the real primitives and the model checkers'.
//!
//! Ordinary builds get std and the kernel's futex and `sem_t`. Built with `--cfg libprocess_loom` or
//! `--cfg libprocess_shuttle`, the same names are loom's or shuttle's, and the two kernel objects are made of their mutex and
//! condition variable (`model`), so that the models in `tests/loom.rs`, and the runtime's, run the types that are shipped.
//!
//! A critical step may ask [`weakened`] for its name and then do the wrong thing. The models run
//! once as shipped and once so weakened, and must fail then: a model that cannot fail proves
//! nothing. In ordinary builds the answer is a constant `false`.

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod futex;
#[cfg(any(libprocess_loom, libprocess_shuttle))]
mod model;
#[cfg(any(libprocess_loom, libprocess_shuttle))]
mod model_clock;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod posix_semaphore;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod time;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use self::{futex::Futex, posix_semaphore::PosixSemaphore};
#[cfg(libprocess_loom)]
pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread_local,
};
#[cfg(any(libprocess_loom, libprocess_shuttle))]
pub(crate) use model::{Futex, PosixSemaphore};
#[cfg(any(libprocess_loom, libprocess_shuttle))]
pub use model_clock::now;
#[cfg(libprocess_shuttle)]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard},
    thread_local,
};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard},
    thread_local,
};

pub(crate) mod atomic {
    #[cfg(libprocess_loom)]
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
    #[cfg(libprocess_shuttle)]
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
}

/// The number of the processor that runs the caller, or did a moment ago. To loom there is one; to shuttle two, and a thread is on any of them at any time.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) fn processor() -> u32 {
    // SAFETY: it takes nothing, and answers with a number.
    let number = unsafe { libc::sched_getcpu() };
    // Where it is not known all are one, and there is no choice.
    u32::try_from(number).unwrap_or(0)
}

#[cfg(libprocess_loom)]
pub(crate) fn processor() -> u32 {
    0
}

#[cfg(libprocess_shuttle)]
pub(crate) fn processor() -> u32 {
    use shuttle::rand::Rng as _;
    shuttle::rand::thread_rng().gen_range(0..2)
}

/// What time it is, for the comparison with a deadline. Models have a clock of their own.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

use std::sync::PoisonError;

/// How a sleep on a futex ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Woken, or the word had changed, or for no reason: look at the word.
    Returned,
    /// The deadline passed.
    Deadline,
}

/// How a wait on a POSIX semaphore ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The value was above zero and is now one less.
    Taken,
    /// The deadline passed; the value is untouched.
    Deadline,
}

/// The value of a POSIX semaphore is at its maximum.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueOverflow;

/// Locks, whether or not a thread panicked under the lock before.
///
/// What these mutexes guard is whole at every point where a panic is possible under them (the
/// assertions come before the changes), so there is nothing that poisoning could warn of.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    #[cfg(libprocess_tsan)]
    tell_sanitizer_locked(mutex);
    guard
}

/// Tells ThreadSanitizer that this thread has just locked `mutex`.
///
/// Where std is not instrumented, the sanitizer sees a mutex unlocked (that is compiled here) but not locked by a thread that had
/// to wait (that is std's machine code). Which word of the mutex is its lock is std's affair, so all are named.
#[cfg(libprocess_tsan)]
#[doc(hidden)]
pub fn tell_sanitizer_locked<T>(mutex: &std::sync::Mutex<T>) {
    unsafe extern "C" {
        fn __tsan_acquire(address: *mut std::ffi::c_void);
    }
    let start = std::ptr::from_ref(mutex).cast::<u32>();
    for word in 0..size_of_val(mutex) / size_of::<u32>() {
        // SAFETY: within the mutex; the sanitizer only takes note of the address.
        unsafe { __tsan_acquire(start.add(word).cast_mut().cast()) };
    }
}

/// Spins on `done` at most `limit` times; `true` if it came about.
///
/// Models do not spin: to them each turn is another branch that leads nowhere new.
pub(crate) fn spin_until(limit: u32, mut done: impl FnMut() -> bool) -> bool {
    let limit = if cfg!(any(libprocess_loom, libprocess_shuttle)) {
        0
    } else {
        limit
    };
    for _ in 0..limit {
        if done() {
            return true;
        }
        std::hint::spin_loop();
    }
    done()
}

/// Whether primitives may still be used by a value that is dropped at this point.
///
/// When a model fails, loom unwinds the thread that noticed, and panics again (which aborts the
/// process) if a destructor touches one of its primitives. Real ones have no such limit, nor have shuttle's.
pub(crate) fn usable_in_drop() -> bool {
    !(cfg!(libprocess_loom) && std::thread::panicking())
}

/// Whether the step called `name` is to be done wrongly, to show that a model would notice.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
#[inline(always)]
pub(crate) const fn weakened(_name: &str) -> bool {
    false
}

#[cfg(any(libprocess_loom, libprocess_shuttle))]
pub(crate) use self::weakening::weakened;
#[cfg(any(libprocess_loom, libprocess_shuttle))]
pub use self::weakening::with_weakening;

#[cfg(any(libprocess_loom, libprocess_shuttle))]
mod weakening {
    use std::cell::Cell;

    // A plain thread-local value reaches all threads of a model: loom and shuttle run them on one
    // thread of the system.
    std::thread_local! {
        static WEAKENED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Runs `model` with the step called `name` done wrongly.
    pub fn with_weakening<R>(name: &'static str, model: impl FnOnce() -> R) -> R {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                WEAKENED.set(None);
            }
        }
        let _restore = Restore;
        WEAKENED.set(Some(name));
        model()
    }

    pub(crate) fn weakened(name: &str) -> bool {
        WEAKENED.get() == Some(name)
    }
}
