use std::task::{Poll, Waker};
use std::time::Duration;

use super::Clock;
use crate::future::task::{Steps, run};
use crate::future::{Future, Outcome, Returned, ValueOrFuture};

impl<T: Send + 'static> Future<T> {
    /// As this future, if it ends before `duration` has passed on `clock`; else what `f` makes of it: a value or a future, such as this one, asked to discard.
    ///
    /// A discard request is passed on to this future, later to the one that `f` returned, and does not keep `f` from being called when the time comes. `f` runs where timers do, and must not block: see [`Clock::timer`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::{Future, Promise, Runtime};
    ///
    /// let runtime = Runtime::builder().workers(1).build()?;
    /// let clock = runtime.clock();
    /// clock.pause();
    /// let promise = Promise::<i64>::new();
    /// let second = Duration::from_secs(1);
    /// let answer = promise.future().after_on(&clock, second, |late| {
    ///     late.discard();
    ///     Future::failed("no answer within a second")
    /// });
    /// clock.advance(second);
    /// clock.settle()?;
    /// assert!(answer.is_failed() && promise.has_discard());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after_on<F, R, K>(self, clock: &Clock, duration: Duration, f: F) -> Future<T>
    where
        F: FnOnce(Future<T>) -> R + Send + 'static,
        R: ValueOrFuture<T, K>,
    {
        run(After {
            expired: clock.sleep(duration),
            waits: Waits::ForBoth(self, move |late| f(late).into_returned()),
        })
    }
}

struct After<T, F> {
    expired: Future<()>,
    waits: Waits<T, F>,
}

enum Waits<T, F> {
    ForBoth(Future<T>, F),
    /// For what the callback returned.
    ForOther(Future<T>),
    Over,
}

impl<T, F> Steps for After<T, F>
where
    T: Send + 'static,
    F: FnOnce(Future<T>) -> Returned<T> + Send + 'static,
{
    type Output = T;

    fn poll(&mut self, waker: &Waker, discard: bool) -> Poll<Outcome<T>> {
        if let Waits::ForBoth(future, _) = &mut self.waits {
            if discard {
                future.discard();
            }
            if let Poll::Ready(result) = future.poll_result(waker) {
                return Poll::Ready(result.into());
            }
            if self.expired.poll_result(waker).is_pending() {
                return Poll::Pending;
            }
            if let Waits::ForBoth(future, f) = std::mem::replace(&mut self.waits, Waits::Over) {
                match f(future) {
                    Returned::Value(value) => return Poll::Ready(Outcome::Ready(value)),
                    Returned::Future(other) => self.waits = Waits::ForOther(other),
                }
            }
        }
        self.poll_other(waker, discard)
    }
}

impl<T, F> After<T, F> {
    fn poll_other(&mut self, waker: &Waker, discard: bool) -> Poll<Outcome<T>> {
        let Waits::ForOther(other) = &mut self.waits else {
            return Poll::Ready(Outcome::Abandoned);
        };
        if discard {
            other.discard();
        }
        other.poll_result(waker).map(Outcome::from)
    }
}
