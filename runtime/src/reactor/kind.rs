//! Which driver: what was asked for, and what the kernel allows.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::faulty::{Faults, Faulty};
use super::{Behind, Driver, IoUringFeature, Lacking, Waker, epoll};
use crate::facade::lock_std;

/// How the kernel's I/O reaches a runtime.
///
/// ```
/// let runtime = libprocess::Runtime::builder().build()?;
/// // Not decided before there is a first socket.
/// assert_eq!(runtime.stats().reactor, None);
/// # Ok::<(), libprocess::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReactorKind {
    /// A ring of submissions and completions for each worker.
    IoUring,
    /// An epoll descriptor for each worker.
    Epoll,
}

impl ReactorKind {
    /// Whether such a driver does a send at once, behind which comes this: over io_uring only with the end of the stream, as all else is for the ring, where one call of
    /// the kernel is for many of them.
    pub(crate) fn sends_now(self, behind: Behind) -> bool {
        match self {
            Self::IoUring => behind == Behind::End,
            Self::Epoll => true,
        }
    }
}

impl std::fmt::Display for ReactorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

impl std::str::FromStr for ReactorKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "io_uring" => Ok(Self::IoUring),
            "epoll" => Ok(Self::Epoll),
            _ => Err(()),
        }
    }
}

/// The reactor that was asked for cannot be had.
///
/// ```
/// use libprocess::{BuildError, ReactorKind, Runtime};
///
/// match Runtime::builder().reactor(ReactorKind::IoUring).build() {
///     Ok(_runtime) => {}
///     Err(BuildError::Reactor(unavailable)) => assert!(unavailable.to_string().contains("io_uring")),
///     Err(error) => panic!("{error}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the {kind} reactor cannot be had: {reason}")]
pub struct ReactorUnavailable {
    kind: ReactorKind,
    reason: String,
}

const KINDS: [ReactorKind; 2] = [ReactorKind::IoUring, ReactorKind::Epoll];
const NONE: usize = usize::MAX;
const ASKED_FOR: &str = "it was asked for";

/// A driver, and what ends its sleep.
type Made = (Box<dyn Driver>, Arc<Waker>);

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) kind: Option<ReactorKind>,
    /// If there shall be some.
    pub(crate) faults: Option<Faults>,
    /// What io_uring shall be used without.
    pub(crate) lacking: Lacking,
}

/// What was asked for, and what became of it.
pub(crate) struct Choice {
    wishes: Wishes,
    /// `NONE`, or which kind: by its place in `KINDS`.
    made: AtomicUsize,
    /// What there is to say of the first driver: written once, and held for a moment.
    told: Mutex<Told>,
}

/// What is told of a driver.
#[derive(Clone, Default)]
struct Told {
    /// Why it is of its kind, if there is more to say than that it can be had.
    reason: String,
    without: Lacking,
}

impl Choice {
    /// # Errors
    ///
    /// What was asked for cannot be had.
    pub(crate) fn new(wishes: Wishes) -> Result<Self, ReactorUnavailable> {
        if wishes.kind == Some(ReactorKind::IoUring) {
            io_uring_driver(wishes.lacking).map_err(|refusal| ReactorUnavailable {
                kind: ReactorKind::IoUring,
                reason: refusal.reason,
            })?;
        }
        Ok(Self {
            wishes,
            made: AtomicUsize::new(NONE),
            told: Mutex::default(),
        })
    }

    /// What the first driver was, if there is one.
    pub(crate) fn made(&self) -> Option<ReactorKind> {
        // Relaxed: a number, beside which nothing is published.
        KINDS.get(self.made.load(Ordering::Relaxed)).copied()
    }

    /// Why it was that one, if there is more to say than that it can be had.
    pub(crate) fn reason(&self) -> String {
        lock_std(&self.told).reason.clone()
    }

    /// What of io_uring it does without.
    pub(crate) fn done_without(&self) -> Vec<IoUringFeature> {
        lock_std(&self.told).without.features().collect()
    }

    /// Makes a driver, as those before it.
    pub(super) fn driver(&self) -> io::Result<Made> {
        let (driver, waker) = self.sound_driver()?;
        Ok(match self.wishes.faults {
            Some(faults) => (Box::new(Faulty::new(driver, faults)), waker),
            None => (driver, waker),
        })
    }

    fn sound_driver(&self) -> io::Result<Made> {
        if self.made().or(self.wishes.kind) != Some(ReactorKind::Epoll) {
            match io_uring_driver(self.wishes.lacking) {
                Ok(ring) => {
                    let asked = self.wishes.kind.map(|_| ASKED_FOR.to_owned());
                    let why: Vec<_> = asked.into_iter().chain(ring.shortage).collect();
                    self.note(ReactorKind::IoUring, &why.join(", "), ring.without);
                    return Ok(ring.made);
                }
                // As the system said it: for want of descriptors, say, of which there may be some later.
                Err(refusal) if self.wishes.kind.is_some() => {
                    return Err(refusal
                        .error
                        .unwrap_or_else(|| io::Error::other(refusal.reason)));
                }
                Err(refusal) => {
                    self.note(ReactorKind::Epoll, &refusal.reason, Lacking::default());
                }
            }
        }
        self.note(ReactorKind::Epoll, ASKED_FOR, Lacking::default());
        let waker = Arc::new(Waker::new()?);
        Ok((Box::new(epoll::Epoll::new(Arc::clone(&waker))?), waker))
    }

    fn note(&self, kind: ReactorKind, why: &str, without: Lacking) {
        let place = KINDS.iter().position(|&one| one == kind).unwrap_or(NONE);
        // Relaxed: as in `made`.
        let first = self
            .made
            .compare_exchange(NONE, place, Ordering::Relaxed, Ordering::Relaxed);
        if first.is_ok() {
            *lock_std(&self.told) = Told {
                reason: why.to_owned(),
                without,
            };
            let why = match why {
                "" => String::new(),
                why => format!(": {why}"),
            };
            let words: Vec<_> = without.features().map(|one| one.to_string()).collect();
            let lacks = match &*words {
                [] => String::new(),
                words => format!("; without {}", words.join(", without ")),
            };
            tracing::info!(reactor = %kind, "I/O is done with {kind}{why}{lacks}");
        }
    }
}

/// Why there can be no driver of a kind.
pub(super) struct Refusal {
    /// For people.
    pub(super) reason: String,
    /// What the operating system said, if it was that.
    pub(super) error: Option<io::Error>,
}

impl Refusal {
    pub(super) fn without_error(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            error: None,
        }
    }
}

/// A driver over io_uring, and what is to be said of it.
struct Ring {
    made: Made,
    /// That it is less than it should be.
    shortage: Option<String>,
    without: Lacking,
}

#[cfg(feature = "io-uring")]
fn io_uring_driver(lacking: Lacking) -> Result<Ring, Refusal> {
    let waker = Waker::new().map(Arc::new).map_err(|error| Refusal {
        reason: format!("an eventfd cannot be made ({error})"),
        error: Some(error),
    })?;
    let driver = super::io_uring::IoUringDriver::new(Arc::clone(&waker), lacking)?;
    Ok(Ring {
        shortage: driver.shortage(),
        without: driver.done_without(),
        made: (Box::new(driver), waker),
    })
}

#[cfg(not(feature = "io-uring"))]
fn io_uring_driver(_lacking: Lacking) -> Result<Ring, Refusal> {
    Err(Refusal::without_error(
        "this program was built without the feature `io-uring`",
    ))
}
