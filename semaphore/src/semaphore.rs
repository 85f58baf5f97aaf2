//! What every semaphore promises: the trait, and what a wait can answer.

use crate::parker::Parker;
use std::sync::Arc;
use std::time::Instant;

/// Counts signals and wakes waiters, one for one.
///
/// A signal wakes one waiting thread; with nobody waiting it is kept, and the next wait returns at
/// once. Code that is generic over the kind of semaphore names this trait; which kind a program
/// uses is then one type alias.
///
/// # Ordering
///
/// A signal happens before the return of the wait that used it, and a decommissioning before the
/// return of every wait that reports it.
///
/// # Examples
///
/// ```
/// use libprocess_semaphore::{KernelSemaphore, LifoFixedSizeSemaphore, Semaphore, Wakeup};
///
/// fn signal_then_wait<S: Semaphore>() {
///     let semaphore = S::with_capacity(4);
///     semaphore.signal();
///     assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled), "the {} semaphore", S::NAME);
/// }
///
/// signal_then_wait::<KernelSemaphore>();
/// signal_then_wait::<LifoFixedSizeSemaphore>();
/// ```
pub trait Semaphore: Send + Sync + Sized + 'static {
    /// What reports and benchmarks call this kind.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{KernelSemaphore, LifoFixedSizeSemaphore, Semaphore};
    ///
    /// assert_eq!(KernelSemaphore::NAME, "kernel");
    /// assert_eq!(LifoFixedSizeSemaphore::NAME, "last-in-first-out-fixed-size");
    /// ```
    const NAME: &'static str;

    /// Whether [`wait_with`](Self::wait_with) sleeps in the parker it is given, so that the parker may end the wait for a reason of its own.
    ///
    /// ```
    /// use libprocess_semaphore::{KernelSemaphore, LifoFixedSizeSemaphore, Semaphore};
    ///
    /// assert!(LifoFixedSizeSemaphore::SLEEPS_IN_PARKER);
    /// assert!(!KernelSemaphore::SLEEPS_IN_PARKER);
    /// ```
    const SLEEPS_IN_PARKER: bool;

    /// Makes a semaphore with no signals kept, on which at most `capacity` threads may wait at one
    /// time. A kind without such a limit ignores the figure.
    ///
    /// # Panics
    ///
    /// If a kind with fixed slots is given zero or more than it can have.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore};
    ///
    /// assert_eq!(LifoFixedSizeSemaphore::with_capacity(4).capacity(), Some(4));
    /// ```
    fn with_capacity(capacity: usize) -> Self;

    /// Uses a kept signal, or sleeps until one comes or the semaphore is decommissioned.
    ///
    /// The thread sleeps in a [`FutexParker`](crate::FutexParker) of its own. There is no deadline,
    /// so the answer is [`Wakeup::Signalled`] or [`Wakeup::Decommissioned`].
    ///
    /// # Errors
    ///
    /// [`TooManyWaiters`] if there is no kept signal and `capacity` threads wait already. The
    /// semaphore is as it was; waiting again later is fine.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{KernelSemaphore, Semaphore, Wakeup};
    ///
    /// let semaphore = KernelSemaphore::new();
    /// std::thread::scope(|scope| {
    ///     let waiter = scope.spawn(|| semaphore.wait());
    ///     semaphore.signal();
    ///     assert_eq!(waiter.join().unwrap(), Ok(Wakeup::Signalled));
    /// });
    /// ```
    fn wait(&self) -> Result<Wakeup, TooManyWaiters>;

    /// As [`wait`](Self::wait), but sleeps in `parker` and no longer than until `deadline`.
    ///
    /// A kept signal wins over a deadline that is already past. With neither a kept signal nor time
    /// left the answer is [`Wakeup::Deadline`] at once. [`Wakeup::Deadline`] and
    /// [`Wakeup::Interrupted`] leave no trace: no signal was used. [`Wakeup::Signalled`] may
    /// come together with a deadline that is past or with whatever made the parker return; a
    /// caller whose parker also watches I/O looks after both.
    ///
    /// A kind that cannot sleep in a parker ignores it, and then never answers
    /// [`Wakeup::Interrupted`].
    ///
    /// # Errors
    ///
    /// [`TooManyWaiters`], as for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// If the parker does. The wait is then undone, and a signal it had been given goes to another
    /// waiter.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{FutexParker, LifoFixedSizeSemaphore, Semaphore, Wakeup};
    /// use std::sync::Arc;
    /// use std::time::{Duration, Instant};
    ///
    /// let semaphore = LifoFixedSizeSemaphore::new();
    /// let parker = Arc::new(FutexParker::new());
    ///
    /// let deadline = Instant::now() + Duration::from_millis(2);
    /// assert_eq!(semaphore.wait_with(&parker, Some(deadline)), Ok(Wakeup::Deadline));
    /// assert!(Instant::now() >= deadline);
    ///
    /// semaphore.signal();
    /// assert_eq!(semaphore.wait_with(&parker, Some(deadline)), Ok(Wakeup::Signalled));
    /// ```
    fn wait_with<P: Parker + 'static>(
        &self,
        parker: &Arc<P>,
        deadline: Option<Instant>,
    ) -> Result<Wakeup, TooManyWaiters>;

    /// Wakes one waiter, or keeps the signal for the next wait. Ignored once decommissioned.
    ///
    /// Never sleeps for another thread's signal or wait. May be called from any thread, waiters
    /// included.
    ///
    /// # Panics
    ///
    /// If more signals are kept than the kind can count (the crate's documentation says how many).
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore, Wakeup};
    ///
    /// let semaphore = LifoFixedSizeSemaphore::new();
    /// semaphore.signal();
    /// semaphore.signal();
    /// assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
    /// assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
    /// ```
    fn signal(&self);

    /// As [`signal`](Self::signal), but where there is a choice wakes one that fell asleep on another
    /// processor than the caller's.
    ///
    /// For who goes on running: the kernel mostly wakes a thread where it slept, and there the
    /// caller is. A hint, which a kind whose waiters are the kernel's to choose from ignores; the
    /// default does, too.
    ///
    /// # Panics
    ///
    /// As [`signal`](Self::signal).
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore, Wakeup};
    ///
    /// let semaphore = LifoFixedSizeSemaphore::new();
    /// semaphore.signal_elsewhere();
    /// assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
    /// ```
    fn signal_elsewhere(&self) {
        self.signal();
    }

    /// Ends the service of this semaphore, for good: wakes every waiter, now and later.
    ///
    /// Whoever waits returns [`Wakeup::Decommissioned`], except for those whom a signal had picked
    /// before. A wait that begins afterwards returns it at once; signals still kept are ignored.
    /// Calling it again changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{KernelSemaphore, Semaphore, Wakeup};
    ///
    /// let semaphore = KernelSemaphore::new();
    /// semaphore.signal();
    /// semaphore.decommission();
    /// assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
    /// assert_eq!(semaphore.wait(), Ok(Wakeup::Decommissioned));
    /// ```
    fn decommission(&self);

    /// Whether [`decommission`](Self::decommission) was called. Costs one load.
    ///
    /// If `true`, what the thread that called it wrote before is visible.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{LifoFixedSizeSemaphore, Semaphore};
    ///
    /// let semaphore = LifoFixedSizeSemaphore::new();
    /// assert!(!semaphore.is_decommissioned());
    /// semaphore.decommission();
    /// assert!(semaphore.is_decommissioned());
    /// ```
    fn is_decommissioned(&self) -> bool;

    /// How many threads may wait at one time, or `None` if the kind has no such limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{KernelSemaphore, LifoFixedSizeSemaphore, Semaphore};
    ///
    /// assert_eq!(LifoFixedSizeSemaphore::with_capacity(2).capacity(), Some(2));
    /// assert_eq!(KernelSemaphore::with_capacity(2).capacity(), None);
    /// ```
    fn capacity(&self) -> Option<usize>;
}

/// Why a wait returned.
///
/// # Examples
///
/// ```
/// use libprocess_semaphore::{KernelSemaphore, Semaphore, Wakeup};
///
/// let semaphore = KernelSemaphore::new();
/// semaphore.signal();
/// match semaphore.wait().unwrap() {
///     Wakeup::Signalled => { /* look for work */ }
///     Wakeup::Decommissioned => { /* go home */ }
///     Wakeup::Deadline | Wakeup::Interrupted => unreachable!("this wait had neither"),
/// }
/// ```
#[must_use = "a signal that was used must be answered, by doing the work it announced"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wakeup {
    /// A signal was used by this wait, and by no other.
    Signalled,
    /// The deadline passed; no signal was used.
    Deadline,
    /// The parker left for its own reason, I/O say; no signal was used.
    Interrupted,
    /// The semaphore is out of service, for good.
    Decommissioned,
}

/// As many threads wait on the semaphore as it has slots for.
///
/// # Examples
///
/// ```
/// use libprocess_semaphore::TooManyWaiters;
///
/// let error = TooManyWaiters { capacity: 2 };
/// assert!(error.to_string().starts_with("all 2 slots"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "all {capacity} slots of the semaphore are taken by waiting threads: \
     make it with a larger capacity, or let fewer threads wait at one time"
)]
pub struct TooManyWaiters {
    /// How many threads may wait at one time.
    pub capacity: usize,
}
