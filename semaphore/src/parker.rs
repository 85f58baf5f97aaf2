//! How a thread sleeps: [`Parker`], and the one that most threads use, [`FutexParker`].
//!
//! A semaphore decides who is woken; the sleeping itself belongs to the thread. One thread sleeps
//! on a futex word, another inside an I/O ring that also ends the sleep when a socket is ready.
//! Both are a `Parker`: a place for one thread to sleep in, which any thread can end.
//!
//! # The word of a [`FutexParker`]
//!
//! | from \ operation | `park` begins | `unpark` | sleep ends |
//! |---|---|---|---|
//! | `EMPTY` | `PARKED`, sleeps | `NOTIFIED` | – |
//! | `PARKED` | panic: two threads | `NOTIFIED`, **wakes** | `EMPTY`: deadline; or sleeps again |
//! | `NOTIFIED` | `EMPTY`, returns at once | `NOTIFIED` | `EMPTY`: woken |
//!
//! *Lost wake-up.* `EMPTY` → `PARKED` is a compare-and-swap, so it cannot overwrite a notification,
//! and the kernel puts the thread to sleep only if the word is still `PARKED`, deciding under the
//! same lock as its wakers. So an `unpark` either finds `PARKED` and wakes the thread, or comes
//! before that and keeps it from sleeping.
//!
//! *Wake-up for nothing.* Signals of the operating system, and a `FUTEX_WAKE` that arrives after
//! its notification was already consumed, end the system call early: the thread looks at the word
//! and sleeps again, with the same absolute deadline, so that interruptions do not stretch it.

use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Futex, Slept, thread_local, weakened};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// A place for one thread to sleep in, which any thread can end.
///
/// A semaphore calls [`unpark`](Self::unpark) without holding a lock, possibly after the thread has
/// long returned from [`park`](Self::park); that is why it shares the parker by `Arc`, and why both
/// sides put up with a wake-up too many.
///
/// # Examples
///
/// A parker that leaves early when asked to, as one that watches I/O would:
///
/// ```
/// use libprocess_semaphore::{FutexParker, LifoFixedSizeSemaphore, Parked, Parker, Semaphore, Wakeup};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::time::Instant;
///
/// #[derive(Default)]
/// struct Interruptible {
///     sleep: FutexParker,
///     interrupted: AtomicBool,
/// }
///
/// impl Interruptible {
///     fn interrupt(&self) {
///         self.interrupted.store(true, Ordering::Relaxed);
///         self.sleep.unpark(); // publishes the line above
///     }
/// }
///
/// impl Parker for Interruptible {
///     fn park(&self, deadline: Option<Instant>) -> Parked {
///         match self.sleep.park(deadline) {
///             Parked::Woken if self.interrupted.swap(false, Ordering::Relaxed) => Parked::Interrupted,
///             parked => parked,
///         }
///     }
///
///     fn unpark(&self) {
///         self.sleep.unpark();
///     }
/// }
///
/// let semaphore = LifoFixedSizeSemaphore::new();
/// let parker = Arc::new(Interruptible::default());
/// parker.interrupt();
/// assert_eq!(semaphore.wait_with(&parker, None), Ok(Wakeup::Interrupted));
/// ```
pub trait Parker: Send + Sync {
    /// Sleeps until unparked, or until the deadline, or until the parker has a reason of its own.
    ///
    /// Consumes a pending [`unpark`](Self::unpark), if there is one, and returns at once. May
    /// return [`Parked::Woken`] for no reason. What was written before an `unpark` must be
    /// visible after the `park` that consumed it. Only one thread at a time may park.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{FutexParker, Parked, Parker};
    /// use std::time::{Duration, Instant};
    ///
    /// let parker = FutexParker::new();
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// assert_eq!(parker.park(Some(deadline)), Parked::Deadline);
    /// ```
    fn park(&self, deadline: Option<Instant>) -> Parked;

    /// Ends the current [`park`](Self::park), or else makes the next one return at once.
    ///
    /// It does not add up: several before one `park` count as one. Must neither block nor panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{FutexParker, Parked, Parker};
    ///
    /// let parker = FutexParker::new();
    /// parker.unpark();
    /// assert_eq!(parker.park(None), Parked::Woken);
    /// ```
    fn unpark(&self);

    /// Whether the next sleep is likely to be ended by an [`unpark`](Self::unpark): only then is
    /// it of use to look for a signal for a moment before it.
    ///
    /// A guess, which decides nothing but how a moment is spent. A parker whose last sleep ended
    /// for a reason of its own had better say no, as no signal tells of those.
    ///
    /// # Examples
    ///
    /// ```
    /// use libprocess_semaphore::{FutexParker, Parker};
    ///
    /// assert!(FutexParker::new().expects_unpark());
    /// ```
    fn expects_unpark(&self) -> bool {
        true
    }
}

/// Why a thread stopped sleeping.
///
/// # Examples
///
/// ```
/// use libprocess_semaphore::{FutexParker, Parked, Parker};
/// use std::time::Instant;
///
/// let parker = FutexParker::new();
/// assert_eq!(parker.park(Some(Instant::now())), Parked::Deadline);
/// ```
#[must_use = "the reason says whether to look again, or to give up the wait"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parked {
    /// Unparked, or for no reason: look again at what the sleep was for.
    Woken,
    /// The deadline passed.
    Deadline,
    /// The parker left for its own reason, I/O say.
    Interrupted,
}

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// Sleeps on a futex word of its own.
///
/// [`park`](Parker::park) is one system call if the thread has to sleep, none if it was unparked
/// before; [`unpark`](Parker::unpark) is one if the thread really sleeps, none otherwise. Deadlines
/// are measured with `CLOCK_MONOTONIC` to the nanosecond, plus what the kernel's timer adds (50 µs
/// by default). It never answers [`Parked::Interrupted`].
///
/// # Panics
///
/// `park` panics if it finds another thread parked in it.
///
/// # Examples
///
/// ```
/// use libprocess_semaphore::{FutexParker, Parked, Parker};
/// use std::sync::Arc;
///
/// let parker = Arc::new(FutexParker::new());
/// let sleeper = std::thread::spawn({
///     let parker = Arc::clone(&parker);
///     move || parker.park(None)
/// });
/// parker.unpark();
/// assert_eq!(sleeper.join().unwrap(), Parked::Woken);
/// ```
pub struct FutexParker {
    /// `PARKED` and `EMPTY` are written by the thread that parks, `NOTIFIED` by any.
    futex: Futex,
}

/// What the thread finds when it sets out to sleep.
#[must_use]
enum Beginning {
    Parked,
    Notified,
}

/// Whether somebody has to be woken.
#[must_use]
enum Notification {
    Left,
    SleeperFound,
}

impl FutexParker {
    /// Makes a parker in which nobody sleeps. Four bytes; makes no system call.
    ///
    /// # Examples
    ///
    /// ```
    /// let parker = libprocess_semaphore::FutexParker::new();
    /// ```
    pub fn new() -> Self {
        FutexParker {
            futex: Futex::new(EMPTY),
        }
    }

    fn begin(&self) -> Beginning {
        if weakened("park-keeps-notification") {
            self.futex.word().store(PARKED, Relaxed);
            return Beginning::Parked;
        }
        // Relaxed: PARKED tells the other side to make a system call, and publishes nothing.
        match self
            .futex
            .word()
            .compare_exchange(EMPTY, PARKED, Relaxed, Relaxed)
        {
            Ok(_) => Beginning::Parked,
            Err(NOTIFIED) => {
                // Acquire: pairs with the Release in `notify`. Only this thread takes NOTIFIED
                // away.
                self.futex.word().swap(EMPTY, Acquire);
                Beginning::Notified
            }
            Err(_) => panic!("two threads park in one FutexParker: each thread needs its own"),
        }
    }

    fn take_notification(&self) -> bool {
        // Acquire: pairs with the Release in `notify`. Relaxed on failure: nothing was learnt.
        self.futex
            .word()
            .compare_exchange(NOTIFIED, EMPTY, Acquire, Relaxed)
            .is_ok()
    }

    /// Whatever the word is, nobody is parked any more; `true` if there was a notification.
    fn give_up(&self) -> bool {
        // Acquire: pairs with the Release in `notify`.
        self.futex.word().swap(EMPTY, Acquire) == NOTIFIED
    }

    fn notify(&self) -> Notification {
        let order = if weakened("unpark-release") {
            Relaxed
        } else {
            Release
        };
        // Release: pairs with the Acquire of `begin`, `take_notification` and `give_up`.
        match self.futex.word().swap(NOTIFIED, order) {
            PARKED => Notification::SleeperFound,
            _ => Notification::Left,
        }
    }
}

impl Parker for FutexParker {
    fn park(&self, deadline: Option<Instant>) -> Parked {
        match self.begin() {
            Beginning::Notified => return Parked::Woken,
            Beginning::Parked => {}
        }
        loop {
            match self.futex.wait(PARKED, deadline) {
                Slept::Returned if self.take_notification() => return Parked::Woken,
                Slept::Returned => {}
                Slept::Deadline if self.give_up() => return Parked::Woken,
                Slept::Deadline => return Parked::Deadline,
            }
        }
    }

    fn unpark(&self) {
        match self.notify() {
            Notification::SleeperFound => self.futex.wake_one(),
            Notification::Left => {}
        }
    }
}

impl Default for FutexParker {
    fn default() -> Self {
        FutexParker::new()
    }
}

impl fmt::Debug for FutexParker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a glance, outdated when it is printed.
        let state = match self.futex.word().load(Relaxed) {
            EMPTY => "empty",
            PARKED => "parked",
            _ => "notified",
        };
        f.debug_struct("FutexParker")
            .field("state", &state)
            .finish()
    }
}

thread_local! {
    static CURRENT: Arc<FutexParker> = Arc::new(FutexParker::new());
}

/// The calling thread's own parker, made at its first use.
///
/// A thread that waits while its thread-local values are being destroyed gets one for this once.
pub(crate) fn current() -> Arc<FutexParker> {
    CURRENT.try_with(Arc::clone).unwrap_or_default()
}
