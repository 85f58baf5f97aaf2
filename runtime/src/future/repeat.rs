use std::ops::ControlFlow;
use std::task::{Poll, Waker};

use super::core::Outcome;
use super::task::{Steps, run};
use super::{Error, Future, Returned, ValueOrFuture};

/// Calls `iterate`, then `body` with what that gave, over and over until `body` breaks: libprocess's `loop`.
///
/// Both may return a value or a future. They run in this thread as long as nothing is pending, else in the thread that completes what they wait for. Neither the stack nor the
/// heap grows with the number of iterations. A loop that never waits never returns: use [`repeat_in`](crate::repeat_in) to run it as events of a process.
///
/// It ends with the value of the break; or fails, is discarded, or is abandoned, as a future that it waits for does. A discard request is passed on to the future that
/// it waits for, and no further iteration is begun.
///
/// ```
/// use std::ops::ControlFlow;
/// use libprocess::{Future, repeat};
///
/// let mut n = 0;
/// let sum = repeat(
///     move || { n += 1; Future::ready(n) },
///     |n| if n < 1_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(n) },
/// );
/// assert_eq!(sum.get(), Ok(1_000));
/// ```
pub fn repeat<T, V, I, B, RI, RB, KI, KB>(iterate: I, body: B) -> Future<V>
where
    T: Send + 'static,
    V: Send + 'static,
    I: FnMut() -> RI + Send + 'static,
    B: FnMut(T) -> RB + Send + 'static,
    RI: ValueOrFuture<T, KI>,
    RB: ValueOrFuture<ControlFlow<V>, KB>,
{
    let mut iterate = iterate;
    let mut body = body;
    run(Repeat {
        iterate: move || iterate().into_returned(),
        body: move |value| body(value).into_returned(),
        waits: Waits::ToBegin,
    })
}

struct Repeat<T, V, I, B> {
    iterate: I,
    body: B,
    waits: Waits<T, V>,
}

/// What a loop waits for.
enum Waits<T, V> {
    ToBegin,
    Iterate(Future<T>),
    Body(Future<ControlFlow<V>>),
}

impl<T, V, I, B> Repeat<T, V, I, B>
where
    B: FnMut(T) -> Returned<ControlFlow<V>>,
{
    /// Calls `body`. Gives the value if the loop is over.
    fn enter_body(&mut self, value: T) -> Option<V> {
        match (self.body)(value) {
            Returned::Value(flow) => self.after_body(flow),
            Returned::Future(future) => {
                self.waits = Waits::Body(future);
                None
            }
        }
    }

    fn after_body(&mut self, flow: ControlFlow<V>) -> Option<V> {
        self.waits = Waits::ToBegin;
        flow.break_value()
    }
}

impl<T, V, I, B> Steps for Repeat<T, V, I, B>
where
    T: Send + 'static,
    V: Send + 'static,
    I: FnMut() -> Returned<T> + Send + 'static,
    B: FnMut(T) -> Returned<ControlFlow<V>> + Send + 'static,
{
    type Output = V;

    fn poll(&mut self, waker: &Waker, discard: bool) -> Poll<Outcome<V>> {
        loop {
            let over = match &mut self.waits {
                Waits::ToBegin if discard => return Poll::Ready(Outcome::Discarded),
                Waits::ToBegin => match (self.iterate)() {
                    Returned::Value(value) => Ok(self.enter_body(value)),
                    Returned::Future(future) => {
                        self.waits = Waits::Iterate(future);
                        Ok(None)
                    }
                },
                Waits::Iterate(future) => match poll_once(future, waker, discard) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(result) => result.map(|value| self.enter_body(value)),
                },
                Waits::Body(future) => match poll_once(future, waker, discard) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(result) => result.map(|flow| self.after_body(flow)),
                },
            };
            match over {
                Ok(None) => {}
                Ok(Some(value)) => return Poll::Ready(Outcome::Ready(value)),
                Err(error) => return Poll::Ready(Err(error).into()),
            }
        }
    }
}

fn poll_once<T>(future: &mut Future<T>, waker: &Waker, discard: bool) -> Poll<Result<T, Error>> {
    if discard {
        future.discard();
    }
    future.poll_result(waker)
}
