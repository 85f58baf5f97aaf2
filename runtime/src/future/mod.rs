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
//!
//! | file | what |
//! |---|---|
//! | `core` | the states, completion, discard; the essay |
//! | `word`, `counts` | its two atomic words |
//! | `node` | callbacks that wait, and the loop that runs them |
//! | `chain` | links from one future to the next |
//! | `embedded` | a core inside of a larger block |
//! | `cancellable` | a core with whom to ask to cancel, used again and again |
//! | `done` | a core that is there for ever |
//! | `handle_state` | what each handle knows of itself |
//! | `side` | wakers, and callbacks for a discard request |
//! | `task` | combinators that are polled: `select`, `collect`, `await_all`, `repeat` |

pub(crate) mod blocking;
#[cfg_attr(
    any(libprocess_loom, libprocess_shuttle),
    allow(
        dead_code,
        reason = "of sockets, which are no part of the models; theirs are tests"
    )
)]
mod cancellable;
mod chain;
mod combinators;
mod core;
mod counts;
mod done;
pub(crate) mod embedded;
mod full;
mod group;
mod handle_state;
#[cfg(all(test, libprocess_loom))]
mod models;
mod node;
mod promise;
mod repeat;
mod side;
pub(crate) mod task;
mod traits;
mod weak;
mod word;

pub use blocking::{TooManyBlocked, WaitCycle};
pub use combinators::{IsFuture, IsValue, Returned, ValueOrFuture};
pub(crate) use core::Outcome;
pub use full::MailboxFull;
pub use group::{Futures, Selected, await_all, collect, select};
pub use promise::Promise;
pub use repeat::repeat;
pub use weak::WeakFuture;

use std::marker::{PhantomData, PhantomPinned};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use self::blocking::{Awaited, Registered};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use self::cancellable::{Cancel, Spare, cancellable};
use self::core::{Core, Taken};
use self::counts::Counts;
use self::handle_state::HandleState;
use self::side::{DiscardCallback, OnDiscard};

/// Why a future gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The promise failed, with this message.
    #[error("failed: {0}")]
    Failed(Arc<str>),
    /// The mailbox of the process was full: the dispatch was refused. Counts as a failure.
    #[error("failed: {0}")]
    Full(MailboxFull),
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
    /// The call would never have returned. See [`WaitCycle`].
    #[error(transparent)]
    WaitCycle(#[from] WaitCycle),
    /// The value was taken before, by polling a future again that had given its value.
    #[error("the value was taken already: a future gives it once")]
    Taken,
}

/// The reading side of a result that may not be there yet.
///
/// # Cost
///
/// One allocation, made by the promise. `clone` is one atomic addition.
///
/// # Clones
///
/// Handles to one result. They compare equal, and each gets the value: the last by a move, the others by a clone. `T: Sync` too, as two handles may
/// read the value from two threads at a time. A future of any other `T` is the only handle there is, and moves the value.
///
/// ```compile_fail
/// let future = libprocess::Future::ready(std::fs::File::open("/dev/null"));
/// let _ = future.clone(); // a file cannot be cloned
/// ```
///
/// # Not `Unpin`
///
/// `.await` it, or pin it (`std::pin::pin!`) to poll it by hand. See [`ValueOrFuture`] for why.
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
    core: NonNull<Core<T>>,
    state: HandleState,
    value: PhantomData<T>,
    _not_unpin: PhantomPinned,
}

// SAFETY: a handle moves or clones the value in the thread it is in; the core is `Send` where `T` is.
unsafe impl<T: Send> Send for Future<T> {}
// SAFETY: `&Future` shows `&T` to callbacks.
unsafe impl<T: Send + Sync> Sync for Future<T> {}

impl<T> Future<T> {
    /// # Safety
    ///
    /// The caller counted the handle.
    unsafe fn from_core(core: NonNull<Core<T>>) -> Self {
        Self {
            core,
            state: HandleState::new(),
            value: PhantomData,
            _not_unpin: PhantomPinned,
        }
    }

    fn from_outcome(outcome: Outcome<T>) -> Self {
        // SAFETY: counted.
        unsafe { Self::from_core(Core::allocate(outcome, Counts::new(1, 1))) }
    }

    /// Where its core is, to fetch it ahead.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    #[inline]
    pub(crate) fn address(&self) -> *const () {
        self.core.as_ptr().cast()
    }

    fn core(&self) -> &Core<T> {
        // SAFETY: a handle has a reference.
        unsafe { self.core.as_ref() }
    }

    fn parts(&mut self) -> (&Core<T>, &mut HandleState) {
        // SAFETY: as above.
        (unsafe { self.core.as_ref() }, &mut self.state)
    }

    /// Gives up the future, not its handle: the caller has that now. Not for one whose value was moved out.
    fn into_core(self) -> NonNull<Core<T>> {
        debug_assert!(!self.state.is_claimed(), "a handle that does not count");
        self.forget(self.state.ticket());
        let core = self.core;
        std::mem::forget(self);
        core
    }

    fn forget(&self, ticket: u32) {
        if ticket != 0 {
            self.core().header.forget_waker(ticket);
        }
    }

    fn reference(&self) -> weak::Reference
    where
        T: Send,
    {
        weak::Reference::new(self.core)
    }

    /// A future that is ready. One allocation.
    ///
    /// ```
    /// assert_eq!(libprocess::Future::ready(7).get(), Ok(7));
    /// ```
    pub fn ready(value: T) -> Self {
        Self::from_outcome(Outcome::Ready(value))
    }

    /// A future that failed with `message`.
    ///
    /// ```
    /// let future = libprocess::Future::<i64>::failed("no such user");
    /// assert_eq!(future.get().unwrap_err().to_string(), "failed: no such user");
    /// ```
    pub fn failed(message: impl Into<Arc<str>>) -> Self {
        Self::from_outcome(Outcome::Failed(message.into()))
    }

    fn outcome<R>(&self, f: impl FnOnce(&Outcome<T>) -> R) -> R {
        if self.core().header.word.load().is_pending() {
            f(&Outcome::None)
        } else {
            self.core().peek(f)
        }
    }

    /// Whether the future is neither ready, failed nor discarded. An abandoned future is pending.
    pub fn is_pending(&self) -> bool {
        self.outcome(|outcome| matches!(outcome, Outcome::None | Outcome::Abandoned))
    }

    /// Whether the future has, or gave away, a value.
    pub fn is_ready(&self) -> bool {
        self.outcome(|outcome| matches!(outcome, Outcome::Ready(_) | Outcome::Taken))
    }

    /// Whether the future failed.
    pub fn is_failed(&self) -> bool {
        self.outcome(|outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Full(_)))
    }

    /// Whether the future was discarded. (Not: whether that was requested. See [`has_discard`](Self::has_discard).)
    pub fn is_discarded(&self) -> bool {
        self.outcome(|outcome| matches!(outcome, Outcome::Discarded))
    }

    /// Whether the promise was dropped before it was completed. Such a future stays pending.
    pub fn is_abandoned(&self) -> bool {
        self.outcome(|outcome| matches!(outcome, Outcome::Abandoned))
    }

    /// Whether the future has ended: it is ready, failed, discarded, or abandoned (which leaves it pending).
    ///
    /// ```
    /// let future = libprocess::Promise::<()>::new().future();
    /// assert!(future.has_ended() && future.is_pending());
    /// ```
    pub fn has_ended(&self) -> bool {
        !self.core().header.word.load().is_pending()
    }

    /// Requests that the future be discarded: runs the callbacks of [`on_discard`](Self::on_discard), and passes the request on
    /// to the futures that this one depends on. Whether it is then discarded is up to the promise. False if it was requested before, or the future has ended.
    ///
    /// ```
    /// use libprocess::Promise;
    ///
    /// let promise = Promise::<i64>::new();
    /// let future = promise.future();
    /// let length = future.clone().then(|n| n.to_string().len());
    /// length.discard();
    /// assert!(future.has_discard() && future.is_pending());
    /// promise.set(42);
    /// assert!(future.is_ready() && length.is_discarded());
    /// ```
    pub fn discard(&self) -> bool {
        // SAFETY: a handle has a reference.
        unsafe { side::discard(self.core.cast()) }
    }

    /// Whether a discard was requested.
    pub fn has_discard(&self) -> bool {
        self.core().header.is_requested()
    }

    /// Has `f` run when a discard is requested: at once if it was. It is dropped unused when the future ends, and when the last handle is dropped.
    pub fn on_discard(&self, f: impl FnOnce() + Send + 'static) -> &Self {
        self.core().header.on_discard(DiscardCallback {
            callback: OnDiscard::Run(Box::new(f)),
            when_unwatched: false,
        });
        self
    }

    /// Drops the future, but lets what completes it go on: an async block or a [`sleep`](crate::Clock::sleep) is cancelled when its last future is dropped. What else
    /// completes futures, such as a dispatch, goes on in any case; there it says that the result is not wanted.
    ///
    /// ```
    /// # let (sender, receiver) = std::sync::mpsc::channel();
    /// libprocess::spawn_async(async move { sender.send(1) }).detach();
    /// # assert_eq!(receiver.recv(), Ok(1));
    /// ```
    pub fn detach(self) {
        self.core().header.detach();
    }

    /// A future that does not count: see [`WeakFuture`].
    pub fn downgrade(&self) -> WeakFuture<T>
    where
        T: Clone + Send + Sync,
    {
        WeakFuture::new(self.core)
    }

    /// Blocks until the future has ended and gives its value, moved if this is the last handle,
    /// cloned otherwise.
    ///
    /// A thread that is no worker looks on for up to 50 µs before it sleeps, unless it did so in vain lately.
    ///
    /// In a worker thread, another thread takes over the worker's seat meanwhile, and when the value is there this one waits for a seat
    /// like any runnable process. So do not hold a lock across this in a handler: if a handler on each worker waits for that lock, none of
    /// them gives its seat up, and nobody goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`], [`Error::Discarded`] or [`Error::Abandoned`] as the promise ended;
    /// [`Error::TooManyBlocked`] in a worker whose runtime has no thread left to take over; [`Error::WaitCycle`] in a handler, if the future
    /// is that of a dispatch to a process that waits for this one.
    pub fn get(self) -> Result<T, Error> {
        self.get_until(None, None)
    }

    /// As [`get`](Self::get), looking on included, for at most `timeout`, by the machine's clock, not one that a test may have paused.
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
    pub fn get_timeout(self, timeout: Duration) -> Result<T, Error> {
        self.get_until(Instant::now().checked_add(timeout), None)
    }

    /// `awaited`: what is waited for, if that is more than this future knows.
    pub(crate) fn get_until(
        mut self,
        deadline: Option<Instant>,
        awaited: Option<&dyn Awaited>,
    ) -> Result<T, Error> {
        let mut ticket = self.state.ticket();
        loop {
            // Also while observers run, if the value can be cloned: one of them may be who asks.
            let (core, state) = self.parts();
            if let Taken::Value(result) = core.take(state) {
                return result;
            }
            self.sleep(deadline, &mut ticket, awaited)
                .inspect_err(|_| self.forget(ticket))?;
            self.state.set_ticket(ticket);
        }
    }

    /// Blocks until the future has ended, however, for at most `timeout` if one is given. A thread looks on before it sleeps, and a blocked worker is replaced, as
    /// by [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::TooManyBlocked`] and [`Error::WaitCycle`].
    ///
    /// ```
    /// let future = libprocess::Future::<i64>::failed("no");
    /// assert_eq!(future.wait(None), Ok(()));
    /// ```
    pub fn wait(&self, timeout: Option<Duration>) -> Result<(), Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut ticket = 0;
        let mut result = Ok(());
        while result.is_ok() && self.core().header.word.load().is_pending() {
            result = self.sleep(deadline, &mut ticket, None);
        }
        self.forget(ticket);
        result
    }

    /// Sleeps until the future is settled, or for no reason.
    fn sleep(
        &self,
        deadline: Option<Instant>,
        ticket: &mut u32,
        awaited: Option<&dyn Awaited>,
    ) -> Result<(), Error> {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::TimedOut);
        }
        let header = &self.core().header;
        if blocking::look_on(deadline, || header.word.load().is_settled()) {
            return Ok(());
        }
        blocking::sleep(
            &mut |waker| match header.keep_waker(*ticket, waker.clone()) {
                Some(kept) => {
                    *ticket = kept;
                    Registered::Waiting
                }
                None => Registered::Done,
            },
            deadline,
            awaited.unwrap_or(self),
        )?;
        Ok(())
    }

    /// Keeps `waker` until the future has ended. True if it has.
    fn wake_when_ended(&mut self, waker: &Waker) -> bool {
        if self.core().header.word.load().is_settled() {
            return true;
        }
        let (core, state) = self.parts();
        let kept = core.header.keep_waker(state.ticket(), waker.clone());
        state.set_ticket(kept.unwrap_or(0));
        kept.is_none()
    }

    /// Polls without a pin: nothing in a future is pinned.
    pub(crate) fn poll_result(&mut self, waker: &Waker) -> Poll<Result<T, Error>> {
        loop {
            let (core, state) = self.parts();
            if let Taken::Value(result) = core.take(state) {
                // Who completes takes the waker out.
                state.clear_ticket();
                return Poll::Ready(result);
            }
            if let Some(ticket) = core.header.keep_waker(state.ticket(), waker.clone()) {
                state.set_ticket(ticket);
                return Poll::Pending;
            }
        }
    }
}

/// # Callbacks
///
/// They run at once if the future has ended so, else in the thread that completes the promise, in the order in which they were
/// registered, before any `then`. They see the value, and leave it. Each runs at most once, and is then freed. One allocation each.
impl<T: Send + 'static> Future<T> {
    /// Runs `f` on the value, if the future is or becomes ready.
    ///
    /// ```
    /// use libprocess::Promise;
    ///
    /// let promise = Promise::new();
    /// let future = promise.future();
    /// future.on_ready(|value| assert_eq!(*value, 3)).on_failed(|_| unreachable!());
    /// promise.set(3);
    /// ```
    pub fn on_ready(&self, f: impl FnOnce(&T) + Send + 'static) -> &Self {
        self.observe(|outcome| {
            if let Outcome::Ready(value) = outcome {
                f(value);
            }
        })
    }

    /// Runs `f` on the message, if the future has failed or fails.
    pub fn on_failed(&self, f: impl FnOnce(&str) + Send + 'static) -> &Self {
        self.observe(|outcome| match outcome {
            Outcome::Failed(message) => f(message),
            Outcome::Full(full) => f(&full.to_string()),
            _ => {}
        })
    }

    /// Runs `f` if the future is or becomes discarded.
    pub fn on_discarded(&self, f: impl FnOnce() + Send + 'static) -> &Self {
        self.observe(|outcome| {
            if let Outcome::Discarded = outcome {
                f();
            }
        })
    }

    /// Runs `f` if the promise was or is dropped before it was completed.
    pub fn on_abandoned(&self, f: impl FnOnce() + Send + 'static) -> &Self {
        self.observe(|outcome| {
            if let Outcome::Abandoned = outcome {
                f();
            }
        })
    }

    /// Runs `f` when the future is ready, failed or discarded. Not when it is abandoned, which leaves it pending: see
    /// [`on_abandoned`](Self::on_abandoned).
    ///
    /// ```
    /// use libprocess::Promise;
    ///
    /// let promise = Promise::new();
    /// promise.future().on_any(|result| assert_eq!(result, Ok(&3)));
    /// promise.set(3);
    /// ```
    pub fn on_any(&self, f: impl FnOnce(Result<&T, Error>) + Send + 'static) -> &Self {
        self.observe(|outcome| match outcome {
            Outcome::Ready(value) => f(Ok(value)),
            Outcome::Failed(message) => f(Err(Error::Failed(Arc::clone(message)))),
            Outcome::Full(full) => f(Err(Error::Full(*full))),
            Outcome::Discarded => f(Err(Error::Discarded)),
            Outcome::Taken => f(Err(Error::Taken)),
            Outcome::None | Outcome::Abandoned => {}
        })
    }

    fn observe(&self, f: impl FnOnce(&Outcome<T>) + Send + 'static) -> &Self {
        self.core().observe(|core: &Core<T>| core.peek(f));
        self
    }
}

impl<T: Clone + Sync> Clone for Future<T> {
    /// Another handle to the same result.
    fn clone(&self) -> Self {
        self.core().record_clone(T::clone);
        if self.state.is_claimed() {
            return Self::from_outcome(Outcome::Taken);
        }
        self.core().header.counts.add_handle();
        // SAFETY: just counted.
        unsafe { Self::from_core(self.core) }
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        self.forget(self.state.ticket());
        // SAFETY: ours, given up once.
        unsafe { Core::drop_handle(self.core, self.state.is_claimed()) };
    }
}

impl<T> Awaited for Future<T> {
    fn owner(&self) -> u64 {
        let header = &self.core().header;
        if !header.word.load().is_pending() {
            return 0;
        }
        // SAFETY: the table is this core's, and the pointer is to the whole of it.
        unsafe { (header.table.owner)(self.core.cast()) }
    }
}

impl<T> std::future::Future for Future<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: no field is pinned structurally, and none is moved out.
        unsafe { self.get_unchecked_mut() }.poll_result(cx.waker())
    }
}
