//! What the macros of assertions call, so that a failure points at the test.

use std::sync::Arc;
use std::time::Duration;

use crate::future::{Error, Future};

/// Fails the test: with the text of the future, what was expected of it, and what it is.
#[track_caller]
fn refuse<T>(text: &str, expected: &str, timeout: Duration, error: Option<&Error>) -> T {
    match error {
        None => panic!("expected `{text}` to be {expected}, but it is ready"),
        Some(Error::TimedOut) => panic!(
            "expected `{text}` to be {expected}, but it is still pending after {timeout:?} \
             (if a clock is paused: who advances it?)"
        ),
        Some(error) => panic!("expected `{text}` to be {expected}, but: {error}"),
    }
}

#[track_caller]
#[doc(hidden)]
pub fn ready<T>(future: Future<T>, timeout: Duration, text: &str) -> T {
    match future.get_timeout(timeout) {
        Ok(value) => value,
        Err(error) => refuse(text, "ready", timeout, Some(&error)),
    }
}

#[track_caller]
#[doc(hidden)]
pub fn failed<T>(future: Future<T>, timeout: Duration, text: &str) -> Arc<str> {
    match future.get_timeout(timeout) {
        Err(Error::Failed(message)) => message,
        Err(Error::Full(full)) => full.to_string().into(),
        other => refuse(text, "failed", timeout, other.err().as_ref()),
    }
}

#[track_caller]
#[doc(hidden)]
pub fn discarded<T>(future: Future<T>, timeout: Duration, text: &str) {
    match future.get_timeout(timeout) {
        Err(Error::Discarded) => {}
        other => refuse(text, "discarded", timeout, other.err().as_ref()),
    }
}

#[track_caller]
#[doc(hidden)]
pub fn abandoned<T>(future: Future<T>, timeout: Duration, text: &str) {
    match future.get_timeout(timeout) {
        Err(Error::Abandoned) => {}
        other => refuse(text, "abandoned", timeout, other.err().as_ref()),
    }
}

#[track_caller]
#[doc(hidden)]
pub fn state<T>(future: &Future<T>, holds: bool, expected: &str, text: &str) {
    assert!(
        holds,
        "expected `{text}` to be {expected}, but it is {future:?}"
    );
}

/// Waits until a future is ready, and gives its value. Fails the test if it ends otherwise, or is not ready in
/// [15 seconds](crate::testing::DEFAULT_TIMEOUT), or the time given.
///
/// The future is moved: clone it to look at it later.
///
/// ```
/// use libprocess::{Future, await_ready};
///
/// assert_eq!(await_ready!(Future::ready(1)), 1);
/// assert_eq!(await_ready!(Future::ready(2), std::time::Duration::from_secs(1)), 2);
/// ```
///
/// ```should_panic
/// libprocess::await_ready!(libprocess::Future::<()>::failed("no"));
/// ```
#[macro_export]
macro_rules! await_ready {
    ($future:expr $(,)?) => {
        $crate::await_ready!($future, $crate::testing::DEFAULT_TIMEOUT)
    };
    ($future:expr, $timeout:expr $(,)?) => {
        $crate::testing::ready($future, $timeout, ::std::stringify!($future))
    };
}

/// Waits until a future has failed, and gives the message.
///
/// ```
/// use libprocess::{Future, await_failed};
///
/// assert_eq!(&*await_failed!(Future::<()>::failed("no")), "no");
/// ```
///
/// ```should_panic
/// libprocess::await_failed!(libprocess::Future::ready(1));
/// ```
#[macro_export]
macro_rules! await_failed {
    ($future:expr $(,)?) => {
        $crate::await_failed!($future, $crate::testing::DEFAULT_TIMEOUT)
    };
    ($future:expr, $timeout:expr $(,)?) => {
        $crate::testing::failed($future, $timeout, ::std::stringify!($future))
    };
}

/// Waits until a future is discarded.
///
/// ```
/// use libprocess::{Promise, await_discarded};
///
/// let promise = Promise::<()>::new();
/// let future = promise.future();
/// promise.discard();
/// await_discarded!(future);
/// ```
#[macro_export]
macro_rules! await_discarded {
    ($future:expr $(,)?) => {
        $crate::await_discarded!($future, $crate::testing::DEFAULT_TIMEOUT)
    };
    ($future:expr, $timeout:expr $(,)?) => {
        $crate::testing::discarded($future, $timeout, ::std::stringify!($future))
    };
}

/// Waits until a future is abandoned.
///
/// ```
/// use libprocess::{Promise, await_abandoned};
///
/// let future = Promise::<()>::new().future(); // the promise is dropped here
/// await_abandoned!(future);
/// ```
#[macro_export]
macro_rules! await_abandoned {
    ($future:expr $(,)?) => {
        $crate::await_abandoned!($future, $crate::testing::DEFAULT_TIMEOUT)
    };
    ($future:expr, $timeout:expr $(,)?) => {
        $crate::testing::abandoned($future, $timeout, ::std::stringify!($future))
    };
}

macro_rules! assertion {
    ($(#[$documentation:meta])* $name:ident, $method:ident, $expected:literal, $d:tt) => {
        $(#[$documentation])*
        #[macro_export]
        macro_rules! $name {
            ($d future:expr $d(,)?) => {{
                let future = &$d future;
                $crate::testing::state(
                    future,
                    future.$method(),
                    $expected,
                    ::std::stringify!($d future),
                )
            }};
        }
    };
}

assertion!(
    /// Fails the test unless a future is pending now. An abandoned one is.
    ///
    /// ```
    /// let promise = libprocess::Promise::<()>::new();
    /// libprocess::assert_pending!(promise.future());
    /// ```
    ///
    /// ```should_panic
    /// libprocess::assert_pending!(libprocess::Future::ready(1));
    /// ```
    assert_pending, is_pending, "pending", $
);
assertion!(
    /// Fails the test unless a future is ready now.
    ///
    /// ```
    /// libprocess::assert_ready!(libprocess::Future::ready(1));
    /// ```
    assert_ready, is_ready, "ready", $
);
assertion!(
    /// Fails the test unless a future has failed by now.
    ///
    /// ```
    /// libprocess::assert_failed!(libprocess::Future::<()>::failed("no"));
    /// ```
    assert_failed, is_failed, "failed", $
);
assertion!(
    /// Fails the test unless a future is discarded by now.
    ///
    /// ```
    /// use libprocess::{Future, FutureError};
    ///
    /// libprocess::assert_discarded!(Future::<()>::from(Err(FutureError::Discarded)));
    /// ```
    assert_discarded, is_discarded, "discarded", $
);
assertion!(
    /// Fails the test unless a future is abandoned by now.
    ///
    /// ```
    /// let future = libprocess::Promise::<()>::new().future();
/// libprocess::assert_abandoned!(future);
    /// ```
    assert_abandoned, is_abandoned, "abandoned", $
);
