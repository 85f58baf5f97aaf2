//! What the tests of this folder share: guards against hangs, seeded randomness, a look at threads.

// Each test file is a crate of its own and uses its part of this.
#![allow(dead_code, reason = "not every test file uses everything")]

pub mod thread;

use libprocess_semaphore::{FutexParker, Parked, Parker, Semaphore, Wakeup};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Long enough that only a hang takes it, also on a busy machine.
const HANG: Duration = Duration::from_secs(60);

/// Runs `test`, and fails if it hangs. It is the one use of time that decides about a test.
pub(crate) fn within_reason(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let runner = thread::spawn(move || {
        test();
        // The receiver is gone only if the guard has given up.
        let _ = done.send(());
    });
    match finished.recv_timeout(HANG) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = runner.join() {
                std::panic::resume_unwind(panic);
            }
        }
        Err(RecvTimeoutError::Timeout) => panic!("the test hangs: a wake-up was lost"),
    }
}

/// Lets others run until `condition` holds.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// More rounds where they cost less.
pub(crate) const fn rounds(debug: usize) -> usize {
    if cfg!(debug_assertions) {
        debug
    } else {
        debug * 4
    }
}

/// Uses up the signals that are kept, and counts them.
pub(crate) fn drain<S: Semaphore>(semaphore: &S) -> usize {
    let parker = Arc::new(FutexParker::new());
    let past = Some(Instant::now());
    let mut kept = 0;
    while semaphore.wait_with(&parker, past) == Ok(Wakeup::Signalled) {
        kept += 1;
    }
    kept
}

/// xorshift: the same seed, the same run. Printed by whoever fails, through its `Debug`.
#[derive(Debug)]
pub(crate) struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Random { seed, state }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % bound
    }

    pub(crate) fn micros_below(&mut self, bound: u64) -> Duration {
        Duration::from_nanos(self.below(bound * 1_000))
    }
}

/// A parker that leaves when asked to, as one that watches I/O does when there is some.
#[derive(Debug, Default)]
pub(crate) struct InterruptibleParker {
    sleep: FutexParker,
    interrupted: AtomicBool,
}

impl InterruptibleParker {
    pub(crate) fn interrupt(&self) {
        // Published by the unpark.
        self.interrupted.store(true, Ordering::Relaxed);
        self.sleep.unpark();
    }
}

impl Parker for InterruptibleParker {
    fn park(&self, deadline: Option<Instant>) -> Parked {
        match self.sleep.park(deadline) {
            Parked::Woken if self.interrupted.swap(false, Ordering::Relaxed) => Parked::Interrupted,
            parked => parked,
        }
    }

    fn unpark(&self) {
        self.sleep.unpark();
    }
}

/// A thread as the operating system sees it.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    thread_id: AtomicI32,
}

impl Watched {
    /// Called by the thread that is to be watched.
    pub(crate) fn here(&self) {
        // SAFETY: takes no arguments and touches no memory.
        let thread_id = unsafe { libc::gettid() };
        self.thread_id.store(thread_id, Ordering::Relaxed);
    }

    /// Returns when the thread has called `here` and then gone to sleep in the kernel.
    pub(crate) fn until_asleep(&self) {
        until(|| {
            let thread_id = self.thread_id.load(Ordering::Relaxed);
            let stat = fs::read_to_string(format!("/proc/self/task/{thread_id}/stat"));
            // The state follows the name, which is in parentheses.
            thread_id != 0 && stat.is_ok_and(|stat| stat.contains(") S "))
        });
    }

    /// Sends the thread a signal of the operating system, whose handler does nothing. A thread that
    /// has ended meanwhile is let be.
    pub(crate) fn disturb(&self) {
        extern "C" fn nothing(_signal: libc::c_int) {}
        let handler: extern "C" fn(libc::c_int) = nothing;
        let thread_id = self.thread_id.load(Ordering::Relaxed);
        // SAFETY: the action is fully initialised, and its handler does nothing, which is allowed
        // anywhere. No SA_RESTART, so that system calls end with EINTR. The signal stays in
        // this process.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as libc::sighandler_t;
            assert_eq!(
                libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
                0
            );
            let process_id = libc::getpid();
            let sent = libc::syscall(libc::SYS_tgkill, process_id, thread_id, libc::SIGUSR1);
            assert!(sent == 0 || *libc::__errno_location() == libc::ESRCH);
        }
    }
}

/// Processor time that the calling thread has used.
pub(crate) fn processor_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` is writable memory for one `rusage`, and the call writes all of it.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    [usage.ru_utime, usage.ru_stime]
        .iter()
        .map(|time| {
            Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
        })
        .sum()
}
