//! [`KernelSemaphore`]: the C library's semaphore, made decommissionable.
//!
//! A `sem_t` counts and wakes, but it cannot wake *everybody*, and there is no telling how many
//! wait. So decommissioning is a chain: raise a flag, then post once. Whoever takes from the
//! semaphore looks at the flag; if it is raised, it posts again before it returns. One post thus
//! passes from waiter to waiter, and the last one leaves it for those who come later.
//!
//! # What could go wrong
//!
//! *The post is taken by somebody who does not see the flag*, the chain breaks, and the others
//! sleep for ever. It cannot: the flag is raised before the post, and a take that comes after the
//! post in the order of the semaphore's value has seen everything from before it (`sem_post` and
//! `sem_wait` synchronise memory: each change of the value is one atomic read-modify-write,
//! a release in the post and an acquire in the wait). A take that comes before it takes from what
//! was there before and leaves that post alone. So after the chain's first post, whoever takes sees
//! the flag and posts back: the value plus the takers about to post is never zero again.
//!
//! *The value is at its maximum* when the chain begins or goes on: then the post is refused, and is
//! not needed, as there is plenty to take for everybody, and each taker posts back.
//!
//! *A signal races with the flag.* It is then one post more: one more waiter may leave with
//! `Signalled` if it looked before the flag was raised, else it finds the flag. A wait that has
//! taken a signal and does not see the flag says `Signalled`, however late it is.

use crate::parker::Parker;
use crate::semaphore::{Semaphore, TooManyWaiters, Wakeup};
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{PosixSemaphore, ValueOverflow, Waited, weakened};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The C library's semaphore (`sem_t`), which sleeps in the kernel.
///
/// Any number of threads may wait. It cannot sleep in a [`Parker`]:
/// [`wait_with`](Semaphore::wait_with) honours the deadline, ignores the parker, and never answers
/// [`Wakeup::Interrupted`]; it never fails with [`TooManyWaiters`]. Whom a signal wakes
/// is the kernel's choice, and a thread that comes just then may take the signal first.
///
/// With the GNU C library deadlines are measured with `CLOCK_MONOTONIC`. Elsewhere they are
/// translated to the wall clock, and setting that back while a thread sleeps makes the sleep longer
/// by as much.
///
/// # Panics
///
/// [`signal`](Semaphore::signal) panics when 2³¹ − 1 signals are kept.
///
/// # Examples
///
/// ```
/// use libprocess_semaphore::{KernelSemaphore, Semaphore, Wakeup};
///
/// let semaphore = KernelSemaphore::new();
/// std::thread::scope(|scope| {
///     let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| semaphore.wait())).collect();
///     semaphore.decommission();
///     for waiter in waiters {
///         assert_eq!(waiter.join().unwrap(), Ok(Wakeup::Decommissioned));
///     }
/// });
/// ```
pub struct KernelSemaphore {
    /// The kept signals; once decommissioned, the post that sends everybody home.
    kept: PosixSemaphore,
    /// Written once, by whoever decommissions, before the post; read by every operation.
    decommissioned: AtomicBool,
}

impl KernelSemaphore {
    /// Makes a semaphore with no signals kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{KernelSemaphore, Semaphore};
    ///
    /// let semaphore = KernelSemaphore::new();
    /// assert_eq!(semaphore.capacity(), None);
    /// ```
    pub fn new() -> Self {
        KernelSemaphore {
            kept: PosixSemaphore::new(),
            decommissioned: AtomicBool::new(false),
        }
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Wakeup {
        if self.is_decommissioned() {
            return Wakeup::Decommissioned;
        }
        match self.kept.wait(deadline) {
            Waited::Taken if self.is_decommissioned() => {
                if !weakened("kernel-passes-on") {
                    self.post_chain();
                }
                Wakeup::Decommissioned
            }
            // A classic mistake: to look at the time after the signal was taken, and lose it.
            Waited::Taken if deadline.is_some() && weakened("kernel-taken-wins") => {
                Wakeup::Deadline
            }
            Waited::Taken => Wakeup::Signalled,
            Waited::Deadline if self.is_decommissioned() => Wakeup::Decommissioned,
            Waited::Deadline => Wakeup::Deadline,
        }
    }

    /// The first link of the chain, or the next.
    fn post_chain(&self) {
        match self.kept.post() {
            // At its maximum the value holds enough for everybody: see the module's text.
            Ok(()) | Err(ValueOverflow) => {}
        }
    }

    fn raise_flag(&self) {
        // Release: pairs with the Acquire in `is_decommissioned`. That the takers of the chain's
        // post see the flag does not rest on this, but on the order that the post itself
        // makes.
        self.decommissioned.store(true, Release);
    }
}

impl Semaphore for KernelSemaphore {
    const NAME: &'static str = "kernel";
    const SLEEPS_IN_PARKER: bool = false;

    fn with_capacity(_capacity: usize) -> Self {
        KernelSemaphore::new()
    }

    fn wait(&self) -> Result<Wakeup, TooManyWaiters> {
        Ok(self.wait_until(None))
    }

    fn wait_with<P: Parker + 'static>(
        &self,
        _parker: &Arc<P>,
        deadline: Option<Instant>,
    ) -> Result<Wakeup, TooManyWaiters> {
        Ok(self.wait_until(deadline))
    }

    fn signal(&self) {
        if self.is_decommissioned() {
            return;
        }
        if let Err(ValueOverflow) = self.kept.post() {
            panic!(
                "KernelSemaphore: {} signals are kept already, the most a sem_t can count: \
                 something signals again and again, and nobody waits",
                i32::MAX
            );
        }
    }

    fn decommission(&self) {
        if weakened("kernel-flag-before-post") {
            self.post_chain();
            self.raise_flag();
            return;
        }
        self.raise_flag();
        self.post_chain();
    }

    fn is_decommissioned(&self) -> bool {
        // Acquire: pairs with the Release in `raise_flag`, so that whoever learns of it has seen
        // what came before.
        self.decommissioned.load(Acquire)
    }

    fn capacity(&self) -> Option<usize> {
        None
    }
}

impl Default for KernelSemaphore {
    fn default() -> Self {
        KernelSemaphore::new()
    }
}

impl fmt::Debug for KernelSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a glance, outdated when it is printed.
        let decommissioned = self.decommissioned.load(Relaxed);
        f.debug_struct("KernelSemaphore")
            .field("decommissioned", &decommissioned)
            .finish()
    }
}
