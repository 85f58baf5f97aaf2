//! A 32-bit word on which threads sleep in the kernel.
//!
//! Invariants that the system calls below rest on:
//!
//! 1. The kernel reads the word through a pointer that was made from `&self`, so the word is alive
//!    and in place for as long as the call runs. It is never written by the kernel.
//! 2. The word is four bytes and aligned to four, as an `AtomicU32` is.
//! 3. A wake-up of an address on which nobody sleeps does nothing, whatever lives there.

use super::Slept;
use super::atomic::AtomicU32;
use super::time;
use std::io;
use std::ptr;
use std::time::Instant;

pub(crate) struct Futex {
    word: AtomicU32,
}

impl Futex {
    pub(crate) const fn new(value: u32) -> Self {
        Futex {
            word: AtomicU32::new(value),
        }
    }

    /// For every change of the word: the kernel only reads it.
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Sleeps if the word is `expected`, until woken or until `deadline`.
    ///
    /// The kernel compares and goes to sleep in one step as seen by [`wake_one`](Self::wake_one).
    pub(crate) fn wait(&self, expected: u32, deadline: Option<Instant>) -> Slept {
        let until = deadline.map(|deadline| time::absolute(libc::CLOCK_MONOTONIC, deadline));
        // The BITSET form because it alone takes an absolute time: a sleep that a signal
        // interrupts is begun again without computing anew what is left of it.
        // SAFETY: invariants 1 and 2; `until` outlives the call, and a null time means none.
        let outcome = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
                expected,
                until.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null::<u32>(),
                libc::FUTEX_BITSET_MATCH_ANY,
            )
        };
        if outcome == 0 {
            return Slept::Returned;
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Slept::Returned,
            Some(libc::ETIMEDOUT) => Slept::Deadline,
            _ => panic!("futex wait: {error}"),
        }
    }

    /// Wakes one thread that sleeps on the word, if there is one.
    pub(crate) fn wake_one(&self) {
        // SAFETY: invariants 1 to 3.
        let outcome = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                1,
            )
        };
        debug_assert!(outcome >= 0, "futex wake: {}", io::Error::last_os_error());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn another_value_does_not_sleep() {
        assert_eq!(Futex::new(1).wait(2, None), Slept::Returned);
    }

    #[test]
    fn the_deadline_ends_the_sleep_and_not_before() {
        let deadline = Instant::now() + Duration::from_millis(2);
        assert_eq!(Futex::new(1).wait(1, Some(deadline)), Slept::Deadline);
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn waking_nobody_is_harmless() {
        Futex::new(0).wake_one();
    }
}
