use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use super::{Context, Pid, Process, dispatch_of_closure, send};
use crate::facade::lock_std;
use crate::future::{Future, Promise, Returned, ValueOrFuture, repeat};

/// As [`repeat`], with both closures run as events of a process: libprocess's `loop` with a pid.
///
/// Each call is an event, so that the process serves others in between, and a loop that never waits keeps nobody else waiting. If the process ends, the loop is abandoned.
///
/// ```
/// use std::ops::ControlFlow;
/// use libprocess::{Process, repeat_in, spawn_owned};
///
/// struct Countdown(u32);
/// impl Process for Countdown {}
///
/// let countdown = spawn_owned(Countdown(3));
/// let over = repeat_in(
///     countdown.pid(),
///     |countdown, _cx| { countdown.0 -= 1; countdown.0 },
///     |_countdown, _cx, n| if n > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break("lift-off") },
/// );
/// assert_eq!(over.get(), Ok("lift-off"));
/// ```
#[track_caller]
pub fn repeat_in<P, T, V, I, B, RI, RB, KI, KB>(pid: Pid<P>, iterate: I, body: B) -> Future<V>
where
    P: Process,
    T: Send + 'static,
    V: Send + 'static,
    I: FnMut(&mut P, &mut Context<P>) -> RI + Send + 'static,
    B: FnMut(&mut P, &mut Context<P>, T) -> RB + Send + 'static,
    RI: ValueOrFuture<T, KI> + 'static,
    RB: ValueOrFuture<ControlFlow<V>, KB> + 'static,
    KI: 'static,
    KB: 'static,
{
    let location = Location::caller();
    let mut body = body;
    let mut iterate = iterate;
    let iterate = Lent::new(move |process: &mut P, cx: &mut Context<P>, ()| {
        iterate(process, cx).into_returned()
    });
    let body = Lent::new(move |process: &mut P, cx: &mut Context<P>, value| {
        body(process, cx, value).into_returned()
    });
    repeat(
        move || iterate.dispatch(pid, (), location),
        move |value| body.dispatch(pid, value, location),
    )
}

/// A closure that travels to the process with each call, and back.
struct Lent<F>(Arc<Mutex<Option<F>>>);

impl<F> Lent<F> {
    fn new(closure: F) -> Self {
        Self(Arc::new(Mutex::new(Some(closure))))
    }

    fn dispatch<P, A, U>(
        &self,
        pid: Pid<P>,
        argument: A,
        location: &'static Location<'static>,
    ) -> Future<U>
    where
        P: Process,
        A: Send + 'static,
        U: Send + 'static,
        F: FnMut(&mut P, &mut Context<P>, A) -> Returned<U> + Send + 'static,
    {
        let place = Arc::clone(&self.0);
        let call = move |process: &mut P, cx: &mut Context<P>| {
            // Out while it runs: it may take long, and panic. The loop makes one call at a time.
            let Some(mut closure) = lock_std(&place).take() else {
                return Promise::new().future();
            };
            let returned = closure(process, cx, argument);
            *lock_std(&place) = Some(closure);
            match returned {
                // `U` need not be `Unpin`.
                Returned::Value(value) => Future::ready(value),
                Returned::Future(future) => future,
            }
        };
        let (event, future) = dispatch_of_closure(pid.raw(), call, location);
        send::deliver_owed(pid.raw(), event);
        future
    }
}
