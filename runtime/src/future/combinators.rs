//! Links by name: `then`, `recover`, `repair`, `undiscardable`.

use std::marker::PhantomData;

use super::chain::{Continuation, Step, Upstream, link};
use super::core::Outcome;
use super::{Error, Future};

/// What a callback returns: a value, or a future of one.
///
/// Implemented for every `Future<T>`, and for every other type that is [`Unpin`], which nearly all are. A [`Future`] is not `Unpin`, and that is
/// how the compiler tells the two apart. For a value that is not `Unpin` (one that has futures in it, say) return a `Box` of it.
///
/// ```
/// use libprocess::Future;
///
/// let value: Future<usize> = Future::ready("four").then(|text| text.len());
/// let future: Future<usize> = Future::ready("four").then(|text| Future::ready(text.len()));
/// assert_eq!(value.get(), future.get());
/// ```
#[diagnostic::on_unimplemented(
    message = "a callback cannot return `{Self}`",
    label = "neither a `Future` nor an `Unpin` value",
    note = "return a `Box` of a value that is not `Unpin`; in generic code add the bound `T: Unpin`"
)]
pub trait ValueOrFuture<T, Kind>: Sized {
    #[doc(hidden)]
    fn into_returned(self) -> Returned<T>;
}

#[doc(hidden)]
#[derive(Debug)]
pub enum Returned<T> {
    Value(T),
    Future(Future<T>),
}

/// The kind of a callback that returns a value: see [`ValueOrFuture`].
#[derive(Debug)]
pub enum IsValue {}

/// The kind of a callback that returns a future: see [`ValueOrFuture`].
#[derive(Debug)]
pub enum IsFuture {}

impl<T: Unpin> ValueOrFuture<T, IsValue> for T {
    #[inline]
    fn into_returned(self) -> Returned<T> {
        Returned::Value(self)
    }
}

impl<T> ValueOrFuture<T, IsFuture> for Future<T> {
    #[inline]
    fn into_returned(self) -> Returned<T> {
        Returned::Future(self)
    }
}

impl<T> From<Returned<T>> for Step<T> {
    fn from(returned: Returned<T>) -> Self {
        match returned {
            Returned::Value(value) => Self::Done(Outcome::Ready(value)),
            Returned::Future(future) => Self::Follow(future),
        }
    }
}

struct Then<F, R, K>(F, PhantomData<fn() -> (R, K)>);

impl<T, U, F, R, K> Continuation<T, U> for Then<F, R, K>
where
    F: FnOnce(T) -> R + Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
{
    fn run(self, upstream: Upstream<'_, T>) -> Step<U> {
        if let Some(error) = upstream.error() {
            return Step::Done(Err(error).into());
        }
        if upstream.is_requested() {
            return Step::Done(Outcome::Discarded);
        }
        match upstream.take() {
            Ok(value) => (self.0)(value).into_returned().into(),
            Err(error) => Step::Done(Err(error).into()),
        }
    }
}

struct Recover<F, R, K>(F, PhantomData<fn() -> (R, K)>);

impl<T, F, R, K> Continuation<T, T> for Recover<F, R, K>
where
    F: FnOnce(Error) -> R + Send + 'static,
    R: ValueOrFuture<T, K> + 'static,
    K: 'static,
{
    fn run(self, upstream: Upstream<'_, T>) -> Step<T> {
        match upstream.error() {
            Some(error) => {
                // Else the future that the callback returns would be discarded at once.
                upstream.clear_request();
                (self.0)(error).into_returned().into()
            }
            None => upstream.pass(),
        }
    }
}

struct Repair<F, R, K>(F, PhantomData<fn() -> (R, K)>);

impl<T, F, R, K> Continuation<T, T> for Repair<F, R, K>
where
    F: FnOnce(Error) -> R + Send + 'static,
    R: ValueOrFuture<T, K> + 'static,
    K: 'static,
{
    fn run(self, upstream: Upstream<'_, T>) -> Step<T> {
        match upstream.error() {
            Some(error @ (Error::Failed(_) | Error::Full(_))) => {
                (self.0)(error).into_returned().into()
            }
            _ => upstream.pass(),
        }
    }
}

struct Finally<F>(F);

impl<T, F> Continuation<T, ()> for Finally<F>
where
    F: FnOnce(Result<T, Error>) + Send + 'static,
{
    fn run(self, upstream: Upstream<'_, T>) -> Step<()> {
        (self.0)(upstream.take());
        Step::Done(Outcome::Ready(()))
    }
}

struct Undiscardable;

impl<T> Continuation<T, T> for Undiscardable {
    const DISCARDABLE: bool = false;

    fn run(self, upstream: Upstream<'_, T>) -> Step<T> {
        upstream.pass()
    }
}

/// # Links
///
/// Each of these takes a callback and gives a future. The callback runs at once if this future has ended, else in the thread that
/// completes the promise: use [`defer`](crate::defer) to have it run as an event of a process. It is freed when it has run, or cannot run any more.
///
/// A discard request on the future that they give is passed on to this one. Dropping it is not: the callback runs all the same, and what is cancelled when its
/// own future is dropped (an async block, a sleep) is not cancelled by the drop of one that was made of it. One allocation each, none but the new future's if this one has ended.
///
/// A panic in a callback abandons the future that was given, and goes on in the thread that ran it, after the other callbacks.
impl<T: Send + 'static> Future<T> {
    /// Runs `f` on the value when it is there, and gives a future of what `f` returns: a value, or a future, whose end is then the end.
    ///
    /// If this future fails, is discarded or is abandoned, so is the one that is given, and `f` is dropped unused. So it is, and the given future
    /// discarded, if a discard was requested before the value came.
    ///
    /// ```
    /// use libprocess::Future;
    ///
    /// fn find(name: &'static str) -> Future<&'static str> {
    ///     Future::ready(if name == "Ann" { "Bea" } else { "Cleo" })
    /// }
    ///
    /// let grandmother = find("Ann").then(find);
    /// assert_eq!(grandmother.then(|name| name.len()).get(), Ok(4));
    /// ```
    pub fn then<U, F, R, K>(self, f: F) -> Future<U>
    where
        U: Send + 'static,
        F: FnOnce(T) -> R + Send + 'static,
        R: ValueOrFuture<U, K> + 'static,
        K: 'static,
    {
        link(self, Then(f, PhantomData))
    }

    /// Runs `f` on the error if this future fails, is discarded or is abandoned; passes a value on.
    ///
    /// A discard request that was made before is forgotten then, so that a future that `f` returns is not discarded at once; one that comes
    /// later is passed on to it.
    ///
    /// ```
    /// use libprocess::{Future, FutureError, Promise};
    ///
    /// let future = Future::<i64>::failed("nobody home").recover(|error| error.to_string().len() as i64);
    /// assert_eq!(future.get(), Ok(19));
    /// let abandoned = Promise::<i64>::new().future();
    /// assert_eq!(abandoned.recover(|error| i64::from(error == FutureError::Abandoned)).get(), Ok(1));
    /// ```
    pub fn recover<F, R, K>(self, f: F) -> Future<T>
    where
        F: FnOnce(Error) -> R + Send + 'static,
        R: ValueOrFuture<T, K> + 'static,
        K: 'static,
    {
        link(self, Recover(f, PhantomData))
    }

    /// Runs `f` on the error ([`Error::Failed`] or [`Error::Full`]) if this future fails; passes anything else on.
    ///
    /// ```
    /// use libprocess::Future;
    ///
    /// let future = Future::<i64>::failed("out of range").repair(|_| Future::ready(0));
    /// assert_eq!(future.get(), Ok(0));
    /// ```
    pub fn repair<F, R, K>(self, f: F) -> Future<T>
    where
        F: FnOnce(Error) -> R + Send + 'static,
        R: ValueOrFuture<T, K> + 'static,
        K: 'static,
    {
        link(self, Repair(f, PhantomData))
    }

    /// Hands the value, or why there is none, to `f`. The future that this gives passes a discard request on.
    pub(crate) fn finally(self, f: impl FnOnce(Result<T, Error>) + Send + 'static) -> Future<()> {
        link(self, Finally(f))
    }

    /// A future that ends as this one does, and keeps discard requests from it.
    ///
    /// For what several depend on, such as an initialization: whoever gives up waiting must not cancel it for the others.
    ///
    /// ```
    /// use libprocess::Promise;
    ///
    /// let promise = Promise::<()>::new();
    /// let initialized = promise.future();
    /// let waiting = initialized.clone().undiscardable().then(|()| 1);
    /// waiting.discard();
    /// assert!(!initialized.has_discard());
    /// promise.set(());
    /// assert!(waiting.is_discarded() && initialized.is_ready());
    /// ```
    pub fn undiscardable(self) -> Future<T> {
        link(self, Undiscardable)
    }
}

impl<T: Send + 'static> Future<Result<T, Error>> {
    /// A future of the value: it fails, or is discarded or abandoned, if this one is or if its result says so.
    ///
    /// For `async` blocks that use `?`.
    ///
    /// ```
    /// use libprocess::{Future, FutureError};
    ///
    /// let future = Future::ready(Err::<i64, _>(FutureError::Discarded)).flatten();
    /// assert!(future.is_discarded());
    /// ```
    pub fn flatten(self) -> Future<T> {
        self.then(Future::from)
    }
}
