//! What any type has: how a future is compared, printed, and made of a result.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::{Error, Future, Outcome};

/// Ready, failed, discarded or abandoned, as the result says.
///
/// ```
/// use libprocess::{Future, FutureError};
///
/// assert_eq!(Future::from(Ok(1)).get(), Ok(1));
/// assert!(Future::<i64>::from(Err(FutureError::Discarded)).is_discarded());
/// ```
impl<T> From<Result<T, Error>> for Future<T> {
    fn from(result: Result<T, Error>) -> Self {
        Self::from_outcome(result.into())
    }
}

/// By identity: whether both are handles to the same result. What was done at once, with nothing to tell but that (a send that the kernel took), has one result for all.
impl<T> PartialEq for Future<T> {
    fn eq(&self, other: &Self) -> bool {
        self.core == other.core
    }
}

impl<T> Eq for Future<T> {}

/// By identity.
impl<T> Hash for Future<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.core.hash(state);
    }
}

impl<T> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requested = if self.has_discard() {
            ", discard requested"
        } else {
            ""
        };
        self.outcome(|outcome| match outcome {
            Outcome::None => write!(f, "Future(pending{requested})"),
            Outcome::Ready(_) => write!(f, "Future(ready{requested})"),
            Outcome::Failed(message) => write!(f, "Future(failed: {message}{requested})"),
            Outcome::Full(full) => write!(f, "Future(failed: {full}{requested})"),
            Outcome::Discarded => write!(f, "Future(discarded{requested})"),
            Outcome::Abandoned => write!(f, "Future(abandoned{requested})"),
            Outcome::Taken => write!(f, "Future(ready, its value taken{requested})"),
        })
    }
}
