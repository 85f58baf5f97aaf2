//! Promises and futures.
//!
//! A [`Promise`] is the writing side of a result, a [`Future`] the reading side. A promise goes from
//! pending to ready, failed or discarded, once. Dropping it before that *abandons* its future.
//!
//! A `Future<T>` is libprocess's (callbacks, blocking `get`) and Rust's (`.await`). Where `T: Clone + Sync`
//! it can be cloned and every clone gets the value; otherwise it is unique and gives the value away.
//!
//! ```
//! use libprocess::Promise;
//!
//! let promise = Promise::new();
//! let twice = promise.future().then(|n: i64| n * 2);
//! promise.set(21);
//! assert_eq!(twice.get(), Ok(42));
//! ```

pub(crate) mod blocking;
mod core;
mod promise;

pub use blocking::TooManyBlocked;
pub use promise::Promise;

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use self::core::{Completion, Core, State, Taken};

/// Why a future gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The promise failed, with this message.
    #[error("failed: {0}")]
    Failed(Arc<str>),
    /// The promise was discarded.
    #[error("discarded")]
    Discarded,
    /// The promise was dropped before it was completed: nobody will ever complete the future. A dispatch
    /// to a process that has ended, or that ends first, looks like this.
    #[error("abandoned: the promise was dropped before it was completed")]
    Abandoned,
    /// The future was still pending when the time was over.
    #[error("still pending after the time given")]
    TimedOut,
    /// The thread may not block. See [`TooManyBlocked`].
    #[error(transparent)]
    TooManyBlocked(#[from] TooManyBlocked),
    /// The value was taken before, by polling a future again that had given its value.
    #[error("the value was taken already: a future gives it once")]
    Taken,
}

/// The reading side of a result that may not be there yet.
///
/// # Cost
///
/// One allocation, made by the promise. `clone` is one atomic increment.
///
/// # Examples
///
/// ```
/// use libprocess::Promise;
///
/// let promise = Promise::new();
/// let future = promise.future();
/// assert!(future.is_pending());
/// promise.set("hello");
/// assert!(future.is_ready());
/// assert_eq!(future.get(), Ok("hello"));
/// ```
#[must_use = "a future does nothing by itself: `then`, `get` or `.await` it, or drop it on purpose"]
pub struct Future<T> {
    core: Arc<Core<T>>,
    /// `&Future` shows `&T`, so it is `Sync` only where `T` is, although the core always may be.
    value: PhantomData<T>,
}

impl<T> Future<T> {
    fn from_core(core: Arc<Core<T>>) -> Self {
        core.add_handle(None);
        Self {
            core,
            value: PhantomData,
        }
    }

    /// A future that is ready.
    ///
    /// ```
    /// assert_eq!(libprocess::Future::ready(7).get(), Ok(7));
    /// ```
    pub fn ready(value: T) -> Self
    where
        T: Send + 'static,
    {
        let promise = Promise::new();
        let future = promise.future();
        promise.set(value);
        future
    }

    /// A future that failed with `message`.
    ///
    /// ```
    /// let future = libprocess::Future::<i64>::failed("no such user");
    /// assert_eq!(future.get().unwrap_err().to_string(), "failed: no such user");
    /// ```
    pub fn failed(message: impl Into<Arc<str>>) -> Self
    where
        T: Send + 'static,
    {
        let promise = Promise::new();
        let future = promise.future();
        promise.fail(message);
        future
    }

    /// Whether the future is neither ready, failed nor discarded. An abandoned future is pending.
    pub fn is_pending(&self) -> bool {
        self.core.state() == State::Pending
    }

    /// Whether the future has a value.
    pub fn is_ready(&self) -> bool {
        matches!(self.core.state(), State::Ready | State::Settled)
    }

    /// Whether the future failed.
    pub fn is_failed(&self) -> bool {
        matches!(self.core.state(), State::Failed(_))
    }

    /// Whether the future was discarded.
    pub fn is_discarded(&self) -> bool {
        self.core.state() == State::Discarded
    }

    /// Whether the promise was dropped before it was completed. Such a future stays pending.
    pub fn is_abandoned(&self) -> bool {
        self.core.is_abandoned()
    }

    /// Blocks until the future is finished and gives its value, moved if this is the last handle,
    /// cloned otherwise.
    ///
    /// In a worker thread, another thread takes over the worker's seat meanwhile, and when the value is there this one waits for a seat
    /// like any runnable process. So do not hold a lock across this in a handler: if a handler on each worker waits for that lock, none of
    /// them gives its seat up, and nobody goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`], [`Error::Discarded`] or [`Error::Abandoned`] as the promise ended;
    /// [`Error::TooManyBlocked`] in a worker whose runtime has no thread left to take over.
    pub fn get(self) -> Result<T, Error>
    where
        T: Send,
    {
        self.get_until(None)
    }

    /// As [`get`](Self::get), for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Also [`Error::TimedOut`].
    ///
    /// ```
    /// use libprocess::{FutureError, Promise};
    ///
    /// let promise = Promise::<i64>::new();
    /// let result = promise.future().get_timeout(std::time::Duration::from_millis(1));
    /// assert_eq!(result, Err(FutureError::TimedOut));
    /// ```
    pub fn get_timeout(self, timeout: Duration) -> Result<T, Error>
    where
        T: Send,
    {
        self.get_until(Instant::now().checked_add(timeout))
    }

    pub(crate) fn get_until(self, deadline: Option<Instant>) -> Result<T, Error>
    where
        T: Send,
    {
        loop {
            if let Taken::Value(result) = self.core.take(None, false) {
                return result;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::TimedOut);
            }
            blocking::sleep(&mut |waker| self.core.register(waker), deadline)?;
        }
    }

    /// Runs `f` on the value when it is there, and gives a future of what `f` returns.
    ///
    /// If this future fails, is discarded or is abandoned, so is the one that is returned, and `f`
    /// is dropped unused. `f` runs at once if the value is there, else in the thread that completes the promise.
    ///
    /// # Panics
    ///
    /// A panic in `f` abandons the returned future and goes on in the thread that runs `f`.
    ///
    /// # Chains
    ///
    /// Completing a chain runs one link inside the other: some hundred bytes of stack for each.
    ///
    /// ```
    /// let length = libprocess::Future::ready("four").then(|text| text.len());
    /// assert_eq!(length.get(), Ok(4));
    /// ```
    pub fn then<U, F>(self, f: F) -> Future<U>
    where
        T: Send + 'static,
        U: Send + 'static,
        F: FnOnce(T) -> U + Send + 'static,
    {
        let promise = Promise::new();
        let future = promise.future();
        let core = Arc::clone(&self.core);
        let this = self;
        core.on_finished(
            true,
            Box::new(move |_| match this.core.take(None, true) {
                Taken::Value(Ok(value)) => {
                    promise.set(f(value));
                }
                Taken::Value(Err(Error::Failed(message))) => {
                    promise.fail(message);
                }
                Taken::Value(Err(Error::Discarded)) => {
                    promise.discard();
                }
                // Abandoned: dropping the promise says so to the next one.
                Taken::Value(Err(_)) | Taken::NotYet => {}
            }),
        );
        future
    }

    /// Runs `f` when the future is finished (ready, failed, discarded) or abandoned: at once if it is,
    /// else in the thread that completes the promise.
    ///
    /// ```
    /// use libprocess::Promise;
    ///
    /// let promise = Promise::new();
    /// promise.future().on_any(|result| assert_eq!(result, Ok(&3)));
    /// promise.set(3);
    /// ```
    pub fn on_any<F>(&self, f: F)
    where
        T: Send + 'static,
        F: FnOnce(Result<&T, Error>) + Send + 'static,
    {
        self.core.on_finished(
            false,
            Box::new(move |core| match core.state() {
                State::Ready | State::Settled => {
                    core.observe(|value| f(value.ok_or(Error::Taken)));
                }
                State::Failed(message) => f(Err(Error::Failed(message))),
                State::Discarded => f(Err(Error::Discarded)),
                State::Pending => f(Err(Error::Abandoned)),
            }),
        );
    }
}

impl<T: Clone + Sync> Clone for Future<T> {
    /// Another handle to the same result. `T: Sync`, as two handles may read the value from two
    /// threads at a time.
    fn clone(&self) -> Self {
        self.core.add_handle(Some(T::clone));
        Self {
            core: Arc::clone(&self.core),
            value: PhantomData,
        }
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        self.core.drop_handle();
    }
}

impl<T: Send> std::future::Future for Future<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.core.take(Some(cx.waker()), false) {
            Taken::Value(result) => Poll::Ready(result),
            Taken::NotYet => Poll::Pending,
        }
    }
}

impl<T> std::fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.core.state() {
            State::Pending if self.core.is_abandoned() => "abandoned".into(),
            State::Pending => "pending".into(),
            State::Ready | State::Settled => "ready".into(),
            State::Failed(message) => format!("failed: {message}"),
            State::Discarded => "discarded".into(),
        };
        write!(f, "Future({state})")
    }
}
