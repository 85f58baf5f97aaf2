//! The C library's `sem_t`, with a monotonic deadline.
//!
//! Invariants that the calls below rest on:
//!
//! 1. The `sem_t` is initialised before anybody can call a method, and destroyed only in `drop`,
//!    which nobody can reach while another thread is in a method: that thread borrows the
//!    semaphore. This holds for `sem_post` too, whose caller may be overtaken by the waiter it
//!    woke: the waiter cannot free the semaphore before the borrow of the poster ends.
//! 2. It does not move: it lives in a `Box` (a `sem_t` that is moved is another semaphore).
//! 3. It is private to this OS process, and all access goes through the `sem_*` functions, which
//!    may be called by any threads at the same time. That makes it `Send` and `Sync`.
//!
//! # Which clock
//!
//! `sem_timedwait` measures its deadline by the wall clock, which somebody may set while a thread
//! sleeps. The GNU C library has had `sem_clockwait` since 2.30 (2019), which takes the clock as an
//! argument; it is declared here because the libc crate does not. Elsewhere (musl) the deadline is
//! translated to the wall clock: a clock that is set forward makes the call return early, which is
//! noticed and the rest slept; one that is set back while a thread sleeps makes that sleep
//! longer by as much, which nobody can notice. Where that matters, use the last-in-first-out
//! semaphore.

use super::{ValueOverflow, Waited, time};
use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::time::Instant;

pub(crate) struct PosixSemaphore {
    raw: Box<UnsafeCell<libc::sem_t>>,
}

// SAFETY: invariant 3.
unsafe impl Send for PosixSemaphore {}
// SAFETY: invariant 3.
unsafe impl Sync for PosixSemaphore {}

impl PosixSemaphore {
    pub(crate) fn new() -> Self {
        PosixSemaphore::with_value(0)
    }

    fn with_value(value: u32) -> Self {
        let raw: Box<MaybeUninit<UnsafeCell<libc::sem_t>>> = Box::new_uninit();
        // SAFETY: the memory is large enough and aligned for a `sem_t` (`UnsafeCell` has the layout
        // of what is in it).
        let outcome = unsafe { libc::sem_init(UnsafeCell::raw_get(raw.as_ptr()), 0, value) };
        assert_eq!(outcome, 0, "sem_init: {}", io::Error::last_os_error());
        // SAFETY: `sem_init` succeeded, so the `sem_t` is initialised, and it stays in this box
        // (invariants 1 and 2).
        let raw = unsafe { raw.assume_init() };
        PosixSemaphore { raw }
    }

    /// Adds one to the value, or says that it is at its maximum (2³¹ − 1).
    pub(crate) fn post(&self) -> Result<(), ValueOverflow> {
        // SAFETY: invariants 1 and 2.
        if unsafe { libc::sem_post(self.raw.get()) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EOVERFLOW) => Err(ValueOverflow),
            _ => panic!("sem_post: {error}"),
        }
    }

    /// Takes one from the value, sleeping while it is zero, but not beyond `deadline`.
    ///
    /// A value above zero is taken even if the deadline is past, as POSIX demands.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Waited {
        let Some(deadline) = deadline else {
            return self.wait_for_ever();
        };
        #[cfg(target_env = "gnu")]
        return self.wait_by_monotonic_clock(deadline);
        #[cfg(not(target_env = "gnu"))]
        return self.wait_by_wall_clock(deadline);
    }

    fn wait_for_ever(&self) -> Waited {
        loop {
            // SAFETY: invariants 1 and 2.
            if unsafe { libc::sem_wait(self.raw.get()) } == 0 {
                return Waited::Taken;
            }
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::EINTR), "sem_wait: {error}");
        }
    }

    #[cfg(target_env = "gnu")]
    fn wait_by_monotonic_clock(&self, deadline: Instant) -> Waited {
        unsafe extern "C" {
            fn sem_clockwait(
                semaphore: *mut libc::sem_t,
                clock: libc::clockid_t,
                until: *const libc::timespec,
            ) -> libc::c_int;
        }

        let until = time::absolute(libc::CLOCK_MONOTONIC, deadline);
        loop {
            // SAFETY: invariants 1 and 2; `until` outlives the call. The declaration is that of
            // <semaphore.h>.
            let outcome = unsafe { sem_clockwait(self.raw.get(), libc::CLOCK_MONOTONIC, &until) };
            if outcome == 0 {
                return Waited::Taken;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::ETIMEDOUT) => return Waited::Deadline,
                _ => panic!("sem_clockwait: {error}"),
            }
        }
    }

    // Built for the tests of every C library, so that it cannot rot where it is not used.
    #[cfg(any(test, not(target_env = "gnu")))]
    fn wait_by_wall_clock(&self, deadline: Instant) -> Waited {
        loop {
            let until = time::absolute(libc::CLOCK_REALTIME, deadline);
            // SAFETY: invariants 1 and 2; `until` outlives the call.
            if unsafe { libc::sem_timedwait(self.raw.get(), &until) } == 0 {
                return Waited::Taken;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::ETIMEDOUT) if Instant::now() >= deadline => return Waited::Deadline,
                Some(libc::ETIMEDOUT) => {}
                _ => panic!("sem_timedwait: {error}"),
            }
        }
    }
}

impl Drop for PosixSemaphore {
    fn drop(&mut self) {
        // SAFETY: invariant 1: nobody waits, and nobody comes after.
        let outcome = unsafe { libc::sem_destroy(self.raw.get()) };
        debug_assert_eq!(outcome, 0, "sem_destroy: {}", io::Error::last_os_error());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn posting_above_the_maximum_is_refused() {
        let semaphore = PosixSemaphore::with_value(i32::MAX as u32);
        assert_eq!(semaphore.post(), Err(ValueOverflow));
        assert_eq!(semaphore.wait(None), Waited::Taken);
        assert_eq!(semaphore.post(), Ok(()));
    }

    #[test]
    fn both_clocks_honour_the_deadline_and_prefer_the_value() {
        let semaphore = PosixSemaphore::with_value(2);
        let past = Instant::now();
        assert_eq!(semaphore.wait(Some(past)), Waited::Taken);
        assert_eq!(semaphore.wait_by_wall_clock(past), Waited::Taken);
        assert_eq!(semaphore.wait(Some(past)), Waited::Deadline);
        assert_eq!(semaphore.wait_by_wall_clock(past), Waited::Deadline);

        let deadline = Instant::now() + Duration::from_millis(2);
        assert_eq!(semaphore.wait(Some(deadline)), Waited::Deadline);
        assert!(Instant::now() >= deadline);
        let deadline = Instant::now() + Duration::from_millis(2);
        assert_eq!(semaphore.wait_by_wall_clock(deadline), Waited::Deadline);
        assert!(Instant::now() >= deadline);
    }
}
