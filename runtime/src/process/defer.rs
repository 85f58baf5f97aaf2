//! Calls of a process that are made later: by a future (`defer`), or by a clock (`delay`).

use std::panic::Location;
use std::time::Duration;

use super::arena::arena;
use super::manager::with_runtime_of;
use super::{
    Context, Method, Pid, Process, RawPid, current_manager, dispatch_of_closure,
    dispatch_of_method, send,
};
use crate::clock::{Clock, Timer};
use crate::future::{Future, ValueOrFuture};

/// A closure that dispatches `method` with what it is called with: a callback that runs as an event of the process.
///
/// A callback of a future runs in whatever thread completes it; this one runs where the process's other events do, and so may use its state.
/// It gives a future, as [`dispatch`](crate::dispatch) does, so [`then`](Future::then) goes on when the method has run. If the process has ended, that future is abandoned.
///
/// ```
/// use libprocess::{Process, Promise, defer, spawn_owned};
///
/// #[derive(Default)]
/// struct Sum(i64);
/// impl Process for Sum {}
/// impl Sum {
///     fn add(&mut self, n: i64) -> i64 { self.0 += n; self.0 }
/// }
///
/// let sum = spawn_owned(Sum::default());
/// let promise = Promise::new();
/// let added = promise.future().then(defer(sum.pid(), Sum::add));
/// promise.set(5);
/// assert_eq!(added.get(), Ok(5));
/// ```
pub fn defer<P, A, M, K>(
    pid: Pid<P>,
    method: M,
) -> impl FnOnce(A) -> Future<M::Output> + Send + 'static
where
    P: Process,
    A: Send + 'static,
    M: Method<P, (A,), K>,
    K: 'static,
{
    move |argument| {
        let (event, future) = dispatch_of_method::<P, (A,), M, K>(pid.raw(), method, (argument,));
        send::deliver_owed(pid.raw(), event);
        future
    }
}

/// As [`defer`], with a closure over the process, its [`Context`] and the argument.
///
/// ```
/// use libprocess::{Future, Process, defer_with, spawn_owned};
///
/// struct Text(String);
/// impl Process for Text {}
///
/// let text = spawn_owned(Text("four".into()));
/// let longer = Future::ready("teen").then(defer_with(text.pid(), |text, _cx, more| {
///     text.0.push_str(more);
///     text.0.len()
/// }));
/// assert_eq!(longer.get(), Ok(8));
/// ```
#[track_caller]
pub fn defer_with<P, A, U, R, F, K>(
    pid: Pid<P>,
    closure: F,
) -> impl FnOnce(A) -> Future<U> + Send + 'static
where
    P: Process,
    A: Send + 'static,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>, A) -> R + Send + 'static,
{
    let location = Location::caller();
    move |argument| {
        let call = move |process: &mut P, cx: &mut Context<P>| closure(process, cx, argument);
        let (event, future) = dispatch_of_closure::<P, _, U, R, K>(pid.raw(), call, location);
        send::deliver_owed(pid.raw(), event);
        future
    }
}

/// Dispatches `method` to a process when `duration` has passed on the clock of its runtime.
///
/// The timer can be [cancelled](Timer::cancel). What the method returns is dropped.
///
/// ```
/// use std::time::Duration;
/// use libprocess::{Process, Runtime, delay, dispatch};
///
/// #[derive(Default)]
/// struct Greeter { greeted: Vec<&'static str> }
/// impl Process for Greeter {}
/// impl Greeter {
///     fn greet(&mut self, name: &'static str) { self.greeted.push(name); }
///     fn greeted(&mut self) -> usize { self.greeted.len() }
/// }
///
/// let runtime = Runtime::builder().workers(1).build()?;
/// runtime.clock().pause();
/// let greeter = runtime.spawn(Greeter::default());
/// delay(Duration::from_secs(5), greeter, Greeter::greet, ("Neil",));
/// runtime.clock().advance(Duration::from_secs(5));
/// runtime.clock().settle()?;
/// assert_eq!(dispatch(greeter, Greeter::greeted, ()).get(), Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn delay<P, A, M, K>(duration: Duration, pid: Pid<P>, method: M, arguments: A) -> Timer
where
    P: Process,
    A: Send + 'static,
    M: Method<P, A, K>,
    K: 'static,
{
    clock_of(pid.raw()).timer(duration, move || {
        let (event, unwatched) = dispatch_of_method::<P, A, M, K>(pid.raw(), method, arguments);
        drop(unwatched);
        send::deliver_owed(pid.raw(), event);
    })
}

/// As [`delay`], with a closure over the process and its [`Context`].
#[track_caller]
pub fn delay_with<P, U, R, F, K>(duration: Duration, pid: Pid<P>, closure: F) -> Timer
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    let location = Location::caller();
    clock_of(pid.raw()).timer(duration, move || {
        let (event, unwatched) = dispatch_of_closure::<P, F, U, R, K>(pid.raw(), closure, location);
        drop(unwatched);
        send::deliver_owed(pid.raw(), event);
    })
}

/// The clock of a process's runtime; of the current one if that has ended.
fn clock_of(pid: RawPid) -> Clock {
    let id = arena().find(pid).map(super::slot::Slot::last_runtime);
    let own = current_manager(|manager| {
        manager
            .filter(|manager| Some(manager.id()) == id)
            .map(|manager| manager.clock().clone())
    });
    own.unwrap_or_else(|| {
        let mut found = None;
        with_runtime_of(pid, |manager| found = Some(manager.clock().clone()));
        found.unwrap_or_else(Clock::of_nobody)
    })
}
