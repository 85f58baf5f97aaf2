//! `select`, `collect` and `await_all`.

use std::sync::{Arc, Weak};
use std::task::{Poll, Wake, Waker};

use super::core::Outcome;
use super::task::{Steps, Woken, nest, run};
use super::{Error, Future, Promise};
use crate::facade::{Mutex, lock};

/// The first of several futures that became ready: what [`select`] gives.
#[derive(Debug)]
#[non_exhaustive]
pub struct Selected<T> {
    /// Which it was, counted from zero.
    pub index: usize,
    /// The future. It is ready.
    pub future: Future<T>,
    /// The others, in their order, whatever their state.
    pub others: Vec<Future<T>>,
}

/// Gives the first future that is or becomes ready. Futures that end otherwise are passed over; if all do, the result is abandoned.
///
/// A discard of the result drops the futures without asking them to discard.
///
/// O(number of futures) for each that ends. Nothing stays behind in those that do not.
///
/// ```
/// use libprocess::{Future, Promise, select};
///
/// let promise = Promise::new();
/// let selected = select(vec![Future::failed("no"), promise.future(), Promise::new().future()]);
/// promise.set(7);
/// let selected = selected.get()?;
/// assert_eq!((selected.index, selected.future.get()), (1, Ok(7)));
/// assert_eq!(selected.others.len(), 2);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
pub fn select<T: Send + 'static>(futures: Vec<Future<T>>) -> Future<Selected<T>> {
    run(Select(futures))
}

struct Select<T>(Vec<Future<T>>);

impl<T: Send + 'static> Steps for Select<T> {
    type Output = Selected<T>;

    fn poll(&mut self, waker: &Waker, discard: bool) -> Poll<Outcome<Selected<T>>> {
        if discard {
            return Poll::Ready(Outcome::Discarded);
        }
        let mut pending = false;
        for index in 0..self.0.len() {
            if !self.0[index].wake_when_ended(waker) {
                pending = true;
            } else if self.0[index].is_ready() {
                let mut others = std::mem::take(&mut self.0);
                return Poll::Ready(Outcome::Ready(Selected {
                    index,
                    future: others.remove(index),
                    others,
                }));
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(Outcome::Abandoned)
        }
    }
}

/// Several futures: a vector of one type, or a tuple of up to eight types. See [`collect`] and [`await_all`].
pub trait Futures {
    /// What [`collect`] gives.
    type Values: Send + 'static;
    /// What [`await_all`] gives.
    type Results: Send + 'static;

    #[doc(hidden)]
    fn collect(self) -> Future<Self::Values>;

    #[doc(hidden)]
    fn await_all(self) -> Future<Self::Results>;
}

/// A future of the values of all, in their order.
///
/// It fails as soon as one fails or is discarded, and is abandoned as soon as one is. The others are dropped then, not asked to
/// discard. A discard of the result is passed on to all.
///
/// One allocation for each future of a vector, and none in the futures.
///
/// ```
/// use libprocess::{Future, collect};
///
/// let all = collect(vec![Future::ready(1), Future::ready(2)]);
/// assert_eq!(all.get(), Ok(vec![1, 2]));
/// let both = collect((Future::ready(1), Future::ready("one")));
/// assert_eq!(both.get(), Ok((1, "one")));
/// let failed = collect((Future::ready(1), Future::<()>::failed("no")));
/// assert_eq!(failed.get().unwrap_err().to_string(), "failed: collect failed: no");
/// ```
pub fn collect<F: Futures>(futures: F) -> Future<F::Values> {
    futures.collect()
}

/// A future of the results of all, in their order: ready when all have ended, however. It is abandoned as soon as one is. A discard of
/// the result is passed on to all.
///
/// ```
/// use libprocess::{Future, FutureError, await_all};
///
/// let (one, no) = await_all((Future::ready(1), Future::<()>::failed("no"))).get()?;
/// assert_eq!(one, Ok(1));
/// assert!(matches!(no, Err(FutureError::Failed(_))));
/// # Ok::<(), FutureError>(())
/// ```
pub fn await_all<F: Futures>(futures: F) -> Future<F::Results> {
    futures.await_all()
}

/// How a collection ends when one of its futures has no value; `None` if it need not end.
type OnError = fn(Error) -> Option<Error>;

fn collect_error(error: Error) -> Option<Error> {
    Some(match error {
        Error::Abandoned => error,
        Error::Failed(message) => Error::Failed(format!("collect failed: {message}").into()),
        Error::Full(full) => Error::Failed(format!("collect failed: {full}").into()),
        other => Error::Failed(format!("collect failed: {other}").into()),
    })
}

fn await_error(error: Error) -> Option<Error> {
    (error == Error::Abandoned).then_some(error)
}

/// Where one future of a vector stands.
enum Place<T> {
    /// Somebody polls it.
    Polled,
    /// Somebody polls it, and it was woken meanwhile.
    Woken,
    Waiting(Future<T>),
    Done(Result<T, Error>),
}

/// A vector of futures. Each has a waker of its own, so that an end costs O(1).
struct Gather<T, V> {
    on_error: OnError,
    finish: fn(Vec<Result<T, Error>>) -> V,
    /// Gone when it is over.
    state: Mutex<Option<GatherState<T, V>>>,
}

struct GatherState<T, V> {
    places: Vec<Place<T>>,
    pending: usize,
    promise: Promise<V>,
}

struct PlaceWaker<T, V> {
    gather: Arc<Gather<T, V>>,
    index: usize,
}

impl<T, V> Wake for PlaceWaker<T, V>
where
    T: Send + 'static,
    V: Send + 'static,
{
    fn wake(self: Arc<Self>) {
        nest(self);
    }
}

impl<T, V> Woken for PlaceWaker<T, V>
where
    T: Send + 'static,
    V: Send + 'static,
{
    fn run(self: Arc<Self>) {
        let taken = {
            let mut state = lock(&self.gather.state);
            let Some(state) = state.as_mut() else { return };
            let place = &mut state.places[self.index];
            match place {
                Place::Waiting(_) => std::mem::replace(place, Place::Polled),
                Place::Polled => {
                    *place = Place::Woken;
                    return;
                }
                Place::Woken | Place::Done(_) => return,
            }
        };
        if let Place::Waiting(future) = taken {
            self.advance(future);
        }
    }
}

impl<T, V> PlaceWaker<T, V>
where
    T: Send + 'static,
    V: Send + 'static,
{
    /// Polls a future, whose place says that it is polled.
    fn advance(self: Arc<Self>, mut future: Future<T>) {
        let waker = Waker::from(Arc::clone(&self));
        loop {
            if let Poll::Ready(result) = future.poll_result(&waker) {
                return self.gather.ended(self.index, result);
            }
            let mut state = lock(&self.gather.state);
            let Some(state) = state.as_mut() else { return };
            let place = &mut state.places[self.index];
            if !matches!(place, Place::Woken) {
                *place = Place::Waiting(future);
                return;
            }
            *place = Place::Polled;
        }
    }
}

impl<T, V> Gather<T, V>
where
    T: Send + 'static,
    V: Send + 'static,
{
    fn run(
        futures: Vec<Future<T>>,
        on_error: OnError,
        finish: fn(Vec<Result<T, Error>>) -> V,
    ) -> Future<V> {
        if futures.is_empty() {
            return Future::ready(finish(Vec::new()));
        }
        let (promise, result) = Promise::pair();
        let gather = Arc::new(Self {
            on_error,
            finish,
            state: Mutex::new(None),
        });
        // Weak: as in `task`.
        let weak = Arc::downgrade(&gather);
        promise.on_discard(move || discard_all(&weak));
        *lock(&gather.state) = Some(GatherState {
            places: futures.iter().map(|_| Place::Polled).collect(),
            pending: futures.len(),
            promise,
        });
        for (index, future) in futures.into_iter().enumerate() {
            let gather = Arc::clone(&gather);
            Arc::new(PlaceWaker { gather, index }).advance(future);
        }
        result
    }

    fn ended(&self, index: usize, result: Result<T, Error>) {
        let error = result.as_ref().err().cloned().and_then(self.on_error);
        let over = {
            let mut guard = lock(&self.state);
            let Some(state) = guard.as_mut() else { return };
            state.places[index] = Place::Done(result);
            state.pending -= 1;
            if state.pending == 0 || error.is_some() {
                guard.take()
            } else {
                None
            }
        };
        let Some(GatherState {
            places, promise, ..
        }) = over
        else {
            return;
        };
        if let Some(error) = error {
            // Before the callbacks of the result.
            drop(places);
            return promise.settle(Err(error).into());
        }
        let results = places
            .into_iter()
            .map(|place| match place {
                Place::Done(result) => result,
                Place::Polled | Place::Woken | Place::Waiting(_) => {
                    unreachable!("none is pending")
                }
            })
            .collect();
        promise.settle(Outcome::Ready((self.finish)(results)));
    }
}

/// Asks all to discard, and ends discarded.
fn discard_all<T, V>(gather: &Weak<Gather<T, V>>)
where
    T: Send + 'static,
    V: Send + 'static,
{
    let Some(gather) = gather.upgrade() else {
        return;
    };
    let Some(state) = lock(&gather.state).take() else {
        return;
    };
    for place in &state.places {
        if let Place::Waiting(future) = place {
            future.discard();
        }
    }
    drop(state.places);
    state.promise.discard();
}

impl<T: Send + 'static> Futures for Vec<Future<T>> {
    type Values = Vec<T>;
    type Results = Vec<Result<T, Error>>;

    fn collect(self) -> Future<Vec<T>> {
        Gather::run(self, collect_error, |results| {
            results.into_iter().flatten().collect()
        })
    }

    fn await_all(self) -> Future<Self::Results> {
        Gather::run(self, await_error, |results| results)
    }
}

/// One future of a tuple.
enum Waiting<T> {
    Pending(Future<T>),
    Ended(Option<Result<T, Error>>),
}

impl<T: Send + 'static> Waiting<T> {
    /// Whether it is still pending; or the error that ends all.
    fn poll(&mut self, waker: &Waker, discard: bool, on_error: OnError) -> Result<bool, Error> {
        let Self::Pending(future) = self else {
            return Ok(false);
        };
        if discard {
            future.discard();
        }
        let Poll::Ready(result) = future.poll_result(waker) else {
            return Ok(true);
        };
        let error = result.as_ref().err().cloned().and_then(on_error);
        *self = Self::Ended(Some(result));
        error.map_or(Ok(false), Err)
    }

    fn take(&mut self) -> Result<T, Error> {
        match self {
            Self::Ended(result) => result.take().unwrap_or(Err(Error::Taken)),
            Self::Pending(_) => Err(Error::Abandoned),
        }
    }
}

/// The futures of a tuple, and what is made of their results.
struct Tuple<W, V> {
    waiting: W,
    on_error: OnError,
    finish: fn(&mut W) -> Result<V, Error>,
}

macro_rules! tuple {
    ($($future:ident),*) => {
        #[allow(non_snake_case, reason = "the futures are named as their types")]
        impl<V: Send + 'static, $($future: Send + 'static),*> Steps for Tuple<($(Waiting<$future>,)*), V> {
            type Output = V;

            fn poll(&mut self, waker: &Waker, discard: bool) -> Poll<Outcome<V>> {
                let on_error = self.on_error;
                let ($($future,)*) = &mut self.waiting;
                let mut pending = false;
                $(
                    match $future.poll(waker, discard, on_error) {
                        Ok(one) => pending |= one,
                        Err(_) if discard => {}
                        Err(error) => return Poll::Ready(Err(error).into()),
                    }
                )*
                if discard {
                    return Poll::Ready(Outcome::Discarded);
                }
                if pending {
                    return Poll::Pending;
                }
                Poll::Ready((self.finish)(&mut self.waiting).into())
            }
        }

        #[allow(non_snake_case, reason = "the futures are named as their types")]
        impl<$($future: Send + 'static),*> Futures for ($(Future<$future>,)*) {
            type Values = ($($future,)*);
            type Results = ($(Result<$future, Error>,)*);

            fn collect(self) -> Future<Self::Values> {
                let ($($future,)*) = self;
                run(Tuple {
                    waiting: ($(Waiting::Pending($future),)*),
                    on_error: collect_error,
                    finish: |($($future,)*)| Ok(($($future.take()?,)*)),
                })
            }

            fn await_all(self) -> Future<Self::Results> {
                let ($($future,)*) = self;
                run(Tuple {
                    waiting: ($(Waiting::Pending($future),)*),
                    on_error: await_error,
                    finish: |($($future,)*)| Ok(($($future.take(),)*)),
                })
            }
        }
    };
}

tuple!(A);
tuple!(A, B);
tuple!(A, B, C);
tuple!(A, B, C, D);
tuple!(A, B, C, D, E);
tuple!(A, B, C, D, E, F);
tuple!(A, B, C, D, E, F, G);
tuple!(A, B, C, D, E, F, G, H);
