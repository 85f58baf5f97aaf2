//! The free functions for mailboxes that may be full, and the same as methods of a runtime.

use std::borrow::Cow;
use std::panic::Location;

use bytes::Bytes;

use crate::Runtime;
use crate::future::{Future, ValueOrFuture};
use crate::process::{
    self, Context, Message, Method, Permit, Pid, Process, Recipient, TrySendError, Upid,
};
use crate::runtime::start_for;

/// A future of room for one event in the mailbox of a process: back-pressure.
///
/// Ready at once if there is room, or no bound. Otherwise those who wait get room in the order in which they came, before anybody who does not wait. If the process has
/// ended, or ends first, the future is abandoned. Discarding or dropping it gives the place up.
///
/// To a process at another address it is room among what waits to be sent there ([`RemoteOptions::outbound_bytes`](crate::RemoteOptions::outbound_bytes)): all who wait are told when there is some again.
///
/// Do not `get` it in a handler of that very process, which then makes no room: `.await` it in an async block, or use `then`.
///
/// ```
/// use libprocess::{Process, SpawnOptions, reserve, spawn_async, spawn_with, terminate_with, wait};
///
/// #[derive(Default)]
/// struct Sum(u64);
/// impl Process for Sum {}
/// impl Sum {
///     fn add(&mut self, number: u64) -> u64 { self.0 += number; self.0 }
/// }
///
/// let sum = spawn_with(SpawnOptions::new().mailbox_capacity(2), Sum::default())?;
/// let sent = spawn_async(async move {
///     for number in 1..=1_000 {
///         // Never more than two wait.
///         reserve(sum).await?.dispatch(Sum::add, (number,)).detach();
///     }
///     reserve(sum).await?.dispatch(Sum::add, (0,)).await
/// });
/// assert_eq!(sent.flatten().get(), Ok(500_500));
/// terminate_with(sum, false);
/// wait(sum);
/// # Ok::<(), libprocess::SpawnError<Sum>>(())
/// ```
pub fn reserve<R: Recipient + Send + 'static>(to: R) -> Future<Permit<R>> {
    start_for(&to);
    process::reserve(None, to)
}

/// Room for one event in the mailbox of a process, if there is some now. It costs no allocation.
///
/// # Errors
///
/// Gives the recipient back, if there is none or the process has ended.
///
/// ```
/// use libprocess::{Process, TrySendError, spawn_owned, terminate, try_reserve, wait};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let idle = spawn_owned(Idle); // without a bound
/// try_reserve(idle.pid()).unwrap().post("hello", "");
/// terminate(idle.pid());
/// wait(idle.pid());
/// assert!(matches!(try_reserve(idle.pid()), Err(TrySendError::Ended(_))));
/// ```
pub fn try_reserve<R: Recipient>(to: R) -> Result<Permit<R>, TrySendError<R>> {
    start_for(&to);
    process::try_reserve(None, to)
}

/// As [`post`](crate::post), if the mailbox has room.
///
/// `Ok` says that the message is in the mailbox, or that the process ended in this moment, which makes it a dead letter.
///
/// # Errors
///
/// Gives the message back, if the mailbox is full or the process has ended.
///
/// ```
/// use libprocess::{Process, SpawnOptions, TrySendError, spawn_with, terminate, try_post, wait};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let nothing = spawn_with(SpawnOptions::new().mailbox_capacity(0), Idle)?;
/// match try_post(nothing, "run", "now") {
///     Err(TrySendError::Full(message)) => assert_eq!(message.body, "now"),
///     _ => unreachable!(),
/// }
/// terminate(nothing);
/// wait(nothing);
/// # Ok::<(), libprocess::SpawnError<Idle>>(())
/// ```
pub fn try_post(
    to: impl Recipient,
    name: impl Into<Cow<'static, str>>,
    body: impl Into<Bytes>,
) -> Result<(), TrySendError<Message>> {
    start_for(&to);
    process::try_send(None, to, name.into(), Upid::nobody(), body.into())
}

/// As [`dispatch`](crate::dispatch()), if the mailbox has room.
///
/// # Errors
///
/// Gives the method and its arguments back, if the mailbox is full or the process has ended.
///
/// ```
/// use libprocess::{Process, spawn_owned, try_dispatch};
///
/// struct Adder;
/// impl Process for Adder {}
/// impl Adder {
///     fn add(&mut self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// let adder = spawn_owned(Adder);
/// let sum = try_dispatch(adder.pid(), Adder::add, (99, 101))?;
/// assert_eq!(sum.get(), Ok(200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn try_dispatch<P, A, M, K>(
    pid: Pid<P>,
    method: M,
    arguments: A,
) -> Result<Future<M::Output>, TrySendError<(M, A)>>
where
    P: Process,
    A: Send + 'static,
    M: Method<P, A, K>,
    K: 'static,
{
    process::try_dispatch(pid, method, arguments)
}

/// As [`dispatch_with`](crate::dispatch_with), if the mailbox has room.
///
/// # Errors
///
/// Gives the closure back, if the mailbox is full or the process has ended.
#[track_caller]
pub fn try_dispatch_with<P, U, R, F, K>(
    pid: Pid<P>,
    closure: F,
) -> Result<Future<U>, TrySendError<F>>
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    process::try_dispatch_at(pid, closure, Location::caller())
}

/// # Mailboxes that may be full
impl Runtime {
    /// See [`reserve`](crate::reserve).
    pub fn reserve(&self, to: impl Recipient) -> Future<Permit<Upid>> {
        process::reserve(Some(self.manager()), self.local_or_elsewhere(&to))
    }

    /// See [`try_reserve`](crate::try_reserve).
    ///
    /// # Errors
    ///
    /// If there is no room now, or the process has ended.
    pub fn try_reserve(&self, to: impl Recipient) -> Result<Permit<Upid>, TrySendError<Upid>> {
        process::try_reserve(Some(self.manager()), self.local_or_elsewhere(&to))
    }

    /// See [`try_post`](crate::try_post).
    ///
    /// # Errors
    ///
    /// Gives the message back.
    pub fn try_post(
        &self,
        to: impl Recipient,
        name: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) -> Result<(), TrySendError<Message>> {
        let (name, body) = (name.into(), body.into());
        let to = self.local_or_elsewhere(&to);
        process::try_send(Some(self.manager()), to, name, Upid::nobody(), body)
    }

    /// See [`try_dispatch`](crate::try_dispatch).
    ///
    /// # Errors
    ///
    /// Gives the method and its arguments back.
    pub fn try_dispatch<P, A, M, K>(
        &self,
        pid: Pid<P>,
        method: M,
        arguments: A,
    ) -> Result<Future<M::Output>, TrySendError<(M, A)>>
    where
        P: Process,
        A: Send + 'static,
        M: Method<P, A, K>,
        K: 'static,
    {
        process::try_dispatch(pid, method, arguments)
    }

    /// See [`try_dispatch_with`](crate::try_dispatch_with).
    ///
    /// # Errors
    ///
    /// Gives the closure back.
    #[track_caller]
    pub fn try_dispatch_with<P, U, R, F, K>(
        &self,
        pid: Pid<P>,
        closure: F,
    ) -> Result<Future<U>, TrySendError<F>>
    where
        P: Process,
        U: Send + 'static,
        R: ValueOrFuture<U, K> + 'static,
        K: 'static,
        F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
    {
        process::try_dispatch_at(pid, closure, Location::caller())
    }
}
