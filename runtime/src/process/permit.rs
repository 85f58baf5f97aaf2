//! Room in a mailbox, taken before what it is for is made: `reserve`, and everything that is *tried*.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

use bytes::Bytes;

use super::event::{EventBox, Message, MessageEvent};
use super::manager::{self, ProcessManager};
use super::room::{self, RawPermit};
use super::tenancy::Take;
use super::{
    Context, Method, Pid, Process, RawPid, Recipient, Upid, dispatch_of_closure,
    dispatch_of_method, send,
};
use crate::future::{Future, ValueOrFuture};

/// Why something was not sent. Gives it back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The mailbox is full.
    Full(T),
    /// The process has ended; or nobody is called so, or can be reached.
    Ended(T),
}

impl<T> TrySendError<T> {
    /// What was to be sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Ended(item) => item,
        }
    }

    /// Whether the mailbox was full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    fn with<U>(self, item: U) -> TrySendError<U> {
        match self {
            Self::Full(_) => TrySendError::Full(item),
            Self::Ended(_) => TrySendError::Ended(item),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the mailbox is full",
            Self::Ended(_) => "the process has ended, or never was",
        })
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Ended(_) => "Ended(..)",
        })
    }
}

impl<T> std::error::Error for TrySendError<T> {}

/// Room for one event in the mailbox of a process: see [`reserve`](crate::reserve).
///
/// What is sent by it is not refused for want of room. If the process ends first it is a dead letter, or the dispatch's future abandoned, as without a permit. Dropping a
/// permit gives the room to whoever waits for it. One that is kept makes the mailbox smaller for as long.
#[must_use = "dropping the permit gives the room up"]
pub struct Permit<R> {
    place: Place,
    to: R,
}

// Nothing in it is ever pinned.
impl<R> Unpin for Permit<R> {}

/// Where the room is.
enum Place {
    Here(RawPid, RawPermit),
    /// In what waits to be sent to another runtime, by that of this number.
    Elsewhere(u64),
}

impl<R> Permit<R> {
    fn new(pid: RawPid, to: R, raw: RawPermit) -> Self {
        Self {
            place: Place::Here(pid, raw),
            to,
        }
    }

    fn elsewhere(by: u64, to: R) -> Self {
        Self {
            place: Place::Elsewhere(by),
            to,
        }
    }

    /// Whom it is for.
    pub fn recipient(&self) -> &R {
        &self.to
    }
}

impl<R: Recipient> Permit<R> {
    /// As [`post`](crate::post).
    pub fn post(self, name: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) {
        self.message(name.into(), Upid::nobody(), body.into());
    }

    /// As [`Context::send`].
    pub fn send<P: Process>(
        self,
        cx: &mut Context<P>,
        name: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) {
        self.message(name.into(), cx.pid().upid(), body.into());
    }

    fn message(self, name: Cow<'static, str>, from: Upid, body: Bytes) {
        match self.place {
            Place::Here(pid, raw) => {
                send::deliver_reserved(raw, pid, MessageEvent::allocate(name, from, body));
            }
            Place::Elsewhere(by) => {
                let (to, message) = (self.to.to_upid(), Message { name, from, body });
                manager::with_runtime(by, |manager| {
                    send::send_by(manager, &to, message.into(), true);
                });
            }
        }
    }
}

impl<P: Process> Permit<Pid<P>> {
    /// As [`dispatch`](crate::dispatch()).
    pub fn dispatch<A, M, K>(self, method: M, arguments: A) -> Future<M::Output>
    where
        A: Send + 'static,
        M: Method<P, A, K>,
        K: 'static,
    {
        let pid = self.to.raw();
        let (event, future) = dispatch_of_method::<P, A, M, K>(pid, method, arguments);
        self.deliver(pid, event);
        future
    }

    /// As [`dispatch_with`](crate::dispatch_with).
    #[track_caller]
    pub fn dispatch_with<U, R, F, K>(self, closure: F) -> Future<U>
    where
        U: Send + 'static,
        R: ValueOrFuture<U, K> + 'static,
        K: 'static,
        F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
    {
        self.dispatch_at(closure, Location::caller())
    }

    fn dispatch_at<U, R, F, K>(self, closure: F, location: &'static Location<'static>) -> Future<U>
    where
        U: Send + 'static,
        R: ValueOrFuture<U, K> + 'static,
        K: 'static,
        F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
    {
        let pid = self.to.raw();
        let (event, future) = dispatch_of_closure::<P, F, U, R, K>(pid, closure, location);
        self.deliver(pid, event);
        future
    }

    fn deliver(self, pid: RawPid, event: EventBox) {
        match self.place {
            Place::Here(_, raw) => send::deliver_reserved(raw, pid, event),
            // A `Pid` is of a local process.
            Place::Elsewhere(_) => send::deliver(pid, event),
        };
    }
}

impl<R: Recipient> fmt::Debug for Permit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({})", self.to.to_upid())
    }
}

/// A future of room for one event; if that is elsewhere, of what this runtime sends there.
pub(crate) fn reserve<R: Recipient + Send + 'static>(
    by: Option<&ProcessManager>,
    to: R,
) -> Future<Permit<R>> {
    let upid = to.to_upid();
    let elsewhere = send::elsewhere(by, &upid, |by, transport, (_, address)| {
        (by.id(), transport.room(address))
    });
    match elsewhere {
        Some((by, Some(room))) => return room.then(move |()| Permit::elsewhere(by, to)),
        Some((by, None)) => return Future::ready(Permit::elsewhere(by, to)),
        None => {}
    }
    match send::resolve(&upid) {
        Some(pid) => room::reserve(pid, move |raw| Permit::new(pid, to, raw)),
        None => room::abandoned(),
    }
}

/// Room for one event, if there is some now; as in `reserve`.
pub(crate) fn try_reserve<R: Recipient>(
    by: Option<&ProcessManager>,
    to: R,
) -> Result<Permit<R>, TrySendError<R>> {
    let pid = match to.local_pid() {
        Some(pid) => Some(pid.0),
        None => {
            let upid = to.to_upid();
            let has_room = send::elsewhere(by, &upid, |by, transport, (_, address)| {
                (by.id(), transport.has_room(address))
            });
            match has_room {
                Some((by, true)) => return Ok(Permit::elsewhere(by, to)),
                Some((_, false)) => return Err(TrySendError::Full(to)),
                None => send::resolve(&upid),
            }
        }
    };
    let Some(pid) = pid else {
        return Err(TrySendError::Ended(to));
    };
    match RawPermit::take(pid) {
        Ok(raw) => Ok(Permit::new(pid, to, raw)),
        Err(Take::Full) => Err(TrySendError::Full(to)),
        Err(_) => Err(TrySendError::Ended(to)),
    }
}

/// Sends a message, if there is room; as in `reserve`.
pub(crate) fn try_send(
    by: Option<&ProcessManager>,
    to: impl Recipient,
    name: Cow<'static, str>,
    from: Upid,
    body: Bytes,
) -> Result<(), TrySendError<Message>> {
    match try_reserve(by, to) {
        Ok(permit) => {
            permit.message(name, from, body);
            Ok(())
        }
        Err(refused) => Err(refused.with(Message { name, from, body })),
    }
}

/// Dispatches a method, if there is room.
pub(crate) fn try_dispatch<P, A, M, K>(
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
    match try_reserve(None, pid) {
        Ok(permit) => Ok(permit.dispatch(method, arguments)),
        Err(refused) => Err(refused.with((method, arguments))),
    }
}

/// Dispatches a closure, if there is room.
pub(crate) fn try_dispatch_at<P, U, R, F, K>(
    pid: Pid<P>,
    closure: F,
    location: &'static Location<'static>,
) -> Result<Future<U>, TrySendError<F>>
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    match try_reserve(None, pid) {
        Ok(permit) => Ok(permit.dispatch_at(closure, location)),
        Err(refused) => Err(refused.with(closure)),
    }
}
