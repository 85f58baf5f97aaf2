//! Semaphores that decide *who* is woken, apart from *how* a thread sleeps.
//!
//! A worker thread with nothing to do waits on a [`Semaphore`]; whoever makes work signals it. One
//! signal wakes one waiter, or is kept until somebody waits: the number of waits that return
//! [`Wakeup::Signalled`], plus the signals still kept, is the number of signals given, whatever
//! deadlines and interruptions cut into the waits.
//!
//! ```
//! use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore, Wakeup};
//! use std::sync::Arc;
//!
//! let semaphore = Arc::new(LifoFixedSizeSemaphore::new());
//! let worker = std::thread::spawn({
//!     let semaphore = Arc::clone(&semaphore);
//!     move || {
//!         let mut served = 0;
//!         while let Ok(Wakeup::Signalled) = semaphore.wait() {
//!             served += 1;
//!             if served == 2 {
//!                 semaphore.decommission();
//!             }
//!         }
//!         served
//!     }
//! });
//!
//! semaphore.signal();
//! semaphore.signal();
//! assert_eq!(worker.join().unwrap(), 2);
//! ```
//!
//! # Which one
//!
//! | | [`KernelSemaphore`] | [`LifoFixedSizeSemaphore`] |
//! |---|---|---|
//! | made of | a `sem_t` of the C library | one atomic word, a list of waiters over fixed slots |
//! | wakes | some waiter, mostly the oldest | the newest waiter: its stack and caches are warm, and the others sleep on undisturbed; with [`signal_elsewhere`](Semaphore::signal_elsewhere) the newest that slept on another processor |
//! | sleeps in | the kernel, on one futex for all | any [`Parker`]: a futex of its own by default, or a ring, or epoll |
//! | before sleeping | one attempt | a short bounded spin, where there is more than one core |
//! | waiters | unbounded | at most its capacity, else [`TooManyWaiters`] |
//! | signals kept | at most 2³¹ − 1 | at most 2³² − 1 |
//!
//! Take the last-in-first-out one for a pool of workers, and wherever a sleep has to end for I/O as
//! well. Take the kernel's where fairness among the waiters matters more than their warmth, where
//! their number has no bound, or as the yardstick to measure the other by.
//!
//! Last in, first out is unfair by design: under a light load the oldest waiter may sleep for ever.
//! For a pool that is the point; for threads that each wait for a turn of their own it is a
//! mistake.
//!
//! # Progress
//!
//! With nobody waiting, `signal` and `wait` are one compare-and-swap each and lock-free. A signal
//! that finds waiters takes a mutex for a handful of instructions (no call into foreign code, no
//! allocation and no system call is made under it) and then unparks one thread, which is a system
//! call only if that thread really sleeps. A waiter uses no processor time while it sleeps.
//!
//! # Ordering
//!
//! A signal *happens before* the return of the wait that used it: what the signaller wrote before
//! is visible to the waiter after. A decommissioning happens before the return of every wait that
//! reports it. Two signals are not ordered with each other, nor are two waits.
//!
//! # Memory
//!
//! A [`LifoFixedSizeSemaphore`] allocates when it is made, about 100 bytes for each slot, and never
//! again. A [`KernelSemaphore`] allocates its `sem_t` (32 bytes), which must not move. Besides,
//! each thread that calls [`Semaphore::wait`] on a [`LifoFixedSizeSemaphore`] keeps one
//! [`FutexParker`] until it ends.
//!
//! # The end of a semaphore
//!
//! Every operation borrows the semaphore, so it can only be dropped when no thread waits on it or
//! is about to return from a signal. Threads that share it hold an `Arc`, or borrow it in a scope.
//! [`Semaphore::decommission`] is how the waiters are sent home first.
//!
//! # Platform
//!
//! Linux: futexes, `CLOCK_MONOTONIC`, POSIX semaphores. With the GNU C library, 2.30 or newer.

mod kernel;
mod last_in_first_out;
mod parker;
mod semaphore;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod sync;
#[cfg(any(libprocess_loom, libprocess_shuttle))]
#[doc(hidden)]
pub mod sync;

pub use kernel::KernelSemaphore;
pub use last_in_first_out::LifoFixedSizeSemaphore;
pub use parker::{FutexParker, Parked, Parker};
pub use semaphore::{Semaphore, TooManyWaiters, Wakeup};
#[cfg(libprocess_tsan)]
#[doc(hidden)]
pub use sync::tell_sanitizer_locked;
