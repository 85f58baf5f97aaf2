//! The reactor: how the kernel's I/O reaches the processes.
//!
//! # What it is
//!
//! Each seat of the scheduler has a [`Port`]: a [`Driver`] (an io_uring, or an epoll), the requests of other threads to it, and the place in which the
//! worker that has the seat sleeps. A worker hands operations to the driver of its own seat and takes completions out between processes, without a call of the
//! kernel where the ring allows it; and when it has nothing to do it sleeps in the driver, so that one sleep covers I/O and wake-ups.
//!
//! # Whose operation it is
//!
//! ```text
//!            begin                     the kernel is done
//!  HANDLER ─────────► DRIVER, KERNEL ─────────────────────► COMPLETION ──► HANDLER (`complete`)
//!                         ▲   │ more: a multishot goes on
//!                         └───┘
//! ```
//!
//! From `begin` to its last completion an operation belongs to the driver, and with it all that the kernel reads or writes: the buffer, the address, the descriptor. `cancel` is a
//! request; the last completion comes all the same, and may bring what the kernel had done before. So nothing is freed under the kernel's hands, and
//! what it did is never lost: bytes that came too late for their reader are kept for the next one, an accepted connection likewise.
//! A driver that ends cancels what is left and waits for it; what the kernel does not give back in time is leaked, not freed.
//!
//! # I/O while a worker is busy
//!
//! Under `IORING_SETUP_SINGLE_ISSUER` and `DEFER_TASKRUN`, the fastest setting, a ring's completions are made by its one thread when it enters the kernel to wait, and
//! no other thread can. A worker in a long handler would freeze all connections of its ring, and one that waits for that very I/O would never go on. So rings are made
//! with `COOP_TASKRUN` alone:
//!
//! * Completions are made by the thread that submitted, whenever it passes through the kernel. In a handler that computes, that is the timer's next tick,
//!   some milliseconds; a thread that sleeps in a futex is woken for it and sleeps on. The ring's memory is then as readable to any thread as to the owner.
//! * A worker that blocks gives its seat away, and the port goes with the seat: whoever has the seat now goes on with the same ring. Requests that a thread has
//!   submitted are cancelled by the kernel if that thread ends; nobody asked for that, so the driver submits them again.
//! * A worker in a long handler has not looked at its port for a while. The watcher, and workers at work, look at such ports in its place, and submit what it has
//!   left there (`Ports::tend`). A lock around the driver keeps them apart; its owner finds it free but for these moments.
//!
//! The same holds for epoll, which any thread may ask.
//!
//! # The sleep
//!
//! See [`port`].

mod epoll;
mod faulty;
#[cfg(feature = "io-uring")]
mod io_uring;
mod kernel;
mod kind;
mod port;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{self, SendAncillaryBuffer, SendFlags, SocketAddrAny};

use crate::prefetch::prefetch_at;

pub use kernel::IoUringFeature;
pub use kind::{ReactorKind, ReactorUnavailable};

pub(crate) use faulty::Faults;
pub(crate) use kernel::Lacking;
use kind::Choice;
pub(crate) use kind::Wishes;
pub(crate) use port::{Port, Ports};

/// Tells the sockets of this OS process apart, also after one was closed and another got its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SocketId(u64);

/// A descriptor and who it is to the drivers. Closed with its last reference: each operation under way has one.
pub(crate) struct Socket {
    id: SocketId,
    descriptor: OwnedFd,
    is_unix: bool,
}

impl Socket {
    pub(crate) fn tcp(descriptor: OwnedFd) -> Arc<Self> {
        Self::new(descriptor, false)
    }

    pub(crate) fn unix(descriptor: OwnedFd) -> Arc<Self> {
        Self::new(descriptor, true)
    }

    fn new(descriptor: OwnedFd, is_unix: bool) -> Arc<Self> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            // Relaxed: only uniqueness matters.
            id: SocketId(IDS.fetch_add(1, Ordering::Relaxed)),
            descriptor,
            is_unix,
        })
    }

    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    fn is_unix(&self) -> bool {
        self.is_unix
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }
}

/// Tells the operations of this OS process apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct OperationId(u64);

impl OperationId {
    pub(crate) fn new() -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only uniqueness matters.
        Self(IDS.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is to be done. At most one that reads and one that writes at a time for each socket.
pub(crate) enum Action {
    /// Connections, until it is cancelled where the driver can (each with `more`), else one.
    Accept,
    /// What is there, until it is cancelled where the driver can (each with `more`), else one piece; empty at the end of the stream.
    Receive,
    /// Some of the data, from its beginning. Boxed, as `Connect` is: an operation that goes on for as long as its connection is small.
    Send(Box<Data>),
    Connect(Box<SocketAddrAny>),
}

/// What follows a send that is done at once and takes all of its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behind {
    Unknown,
    /// The end of the stream, which the caller tells the kernel next. So the kernel is asked to keep the data for it: both then go out in one segment, and neither the kernel nor the peer handles two.
    End,
}

/// What is to be sent: never nothing.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    One(Bytes),
    /// At most [`MOST_PIECES`](Self::MOST_PIECES), one behind the other.
    Several(Vec<Bytes>),
}

impl Data {
    /// In one call of the kernel; `IOV_MAX` is 1,024.
    pub(crate) const MOST_PIECES: usize = 64;
}

/// What is fetched of a handler that is called soon: a connection, and the counts before it.
pub(crate) const HANDLER_LINES: usize = 6;

/// Has so many lines of a handler fetched, from its counts on.
#[inline(always)]
fn fetch_handler(handler: &Arc<dyn Handler>, lines: usize) {
    const COUNTS: usize = 2 * size_of::<usize>();
    prefetch_at(
        Arc::as_ptr(handler).wrapping_byte_sub(COUNTS).cast::<()>(),
        lines,
    );
}

/// How many sends are done at once between two turns. Beyond these, a process that never has to wait would keep the others from their turn.
const AT_ONCE: u32 = 64;

/// Sends, without waiting, what the socket has room for.
fn send(socket: &Socket, pieces: &[IoSlice<'_>], behind: Behind) -> Result<usize, Errno> {
    let mut flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if behind == Behind::End {
        flags |= SendFlags::MORE;
    }
    match pieces {
        [piece] => net::send(socket.descriptor(), piece, flags),
        pieces => {
            let mut nothing_else = SendAncillaryBuffer::default();
            net::sendmsg(socket.descriptor(), pieces, &mut nothing_else, flags)
        }
    }
}

/// How many sends may be done at once until the next turn.
struct AtOnce(u32);

impl AtOnce {
    const ALL: Self = Self(AT_ONCE);

    /// Sends, if there is one left. `None`: there is none, or the socket has no room, or there was a signal, which is as rare: the send is to be begun.
    fn send(
        &mut self,
        socket: &Socket,
        pieces: &[IoSlice<'_>],
        behind: Behind,
    ) -> Option<io::Result<usize>> {
        let left = self.0.checked_sub(1)?;
        let sent = match send(socket, pieces, behind) {
            Err(Errno::AGAIN | Errno::INTR) => return None,
            sent => sent.map_err(io::Error::from),
        };
        self.0 = left;
        Some(sent)
    }
}

/// What an action is, without what it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Accept,
    Receive,
    Send,
    Connect,
}

impl Action {
    fn kind(&self) -> Kind {
        match self {
            Self::Accept => Kind::Accept,
            Self::Receive => Kind::Receive,
            Self::Send(_) => Kind::Send,
            Self::Connect(_) => Kind::Connect,
        }
    }
}

/// An action with all that it needs, and who is told.
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    pub(crate) socket: Arc<Socket>,
    pub(crate) action: Action,
    pub(crate) handler: Arc<dyn Handler>,
}

/// What was done.
#[derive(Debug)]
pub(crate) enum Outcome {
    Accepted(OwnedFd),
    Received(Bytes),
    Sent(usize),
    Connected,
}

/// Who is told what became of an operation. Called without any lock held, by whichever thread found the completion.
///
/// Two threads may have found two of them, and tell of the later one first: see [`Completed::number`].
pub(crate) trait Handler: Send + Sync {
    fn complete(self: Arc<Self>, completed: Completed);

    /// It will be called soon, with this: what it touches besides itself can be fetched ahead. It must not call anybody, lock or panic.
    fn fetch_ahead(&self, _completed: &Completed) {}
}

/// What became of an operation.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) kind: Kind,
    /// Counts the completions of the operation, from zero.
    pub(crate) number: u32,
    pub(crate) result: io::Result<Outcome>,
    /// The operation goes on, and this is not its last completion.
    pub(crate) more: bool,
    /// Of a send: what was to be sent, all of it, back. What the kernel did not take is to be sent again, and the memory is used again.
    pub(crate) data: Option<Box<Data>>,
}

impl Completed {
    /// The last one of an operation, by its number.
    fn last(action: Action, number: u32, result: io::Result<Outcome>) -> Self {
        Self {
            kind: action.kind(),
            number,
            result,
            more: false,
            data: match action {
                Action::Send(data) => Some(data),
                Action::Accept | Action::Receive | Action::Connect(_) => None,
            },
        }
    }

    /// The only one of its operation.
    fn only(action: Action, result: io::Result<Outcome>) -> Self {
        Self::last(action, 0, result)
    }

    /// One of an operation that goes on.
    fn more(kind: Kind, number: u32, result: io::Result<Outcome>) -> Self {
        Self {
            kind,
            number,
            result,
            more: true,
            data: None,
        }
    }
}

pub(crate) struct Completion {
    id: OperationId,
    handler: Arc<dyn Handler>,
    completed: Completed,
}

impl Completion {
    /// The last one of an operation, by its number.
    fn last(operation: Operation, number: u32, result: io::Result<Outcome>) -> Self {
        Self {
            id: operation.id,
            completed: Completed::last(operation.action, number, result),
            handler: operation.handler,
        }
    }

    /// It is delivered soon.
    #[inline]
    pub(crate) fn fetch_handler(&self) {
        fetch_handler(&self.handler, HANDLER_LINES);
    }

    /// It is delivered very soon, and the handler was fetched.
    #[inline]
    pub(crate) fn fetch_ahead(&self) {
        self.handler.fetch_ahead(&self.completed);
    }

    pub(crate) fn deliver(self) {
        self.handler.complete(self.completed);
    }
}

/// What one look at a port collects at most. Each completion may make a process runnable, and a worker's queue has room for some hundred: what does not fit goes where all the workers
/// look, behind those that come later, and is late.
pub(crate) const BATCH: usize = 128;

/// Moves so many at most from the one to the other. Mostly that is all of them, to where there is none.
fn collect(done: &mut VecDeque<Completion>, most: usize, completions: &mut VecDeque<Completion>) {
    if completions.is_empty() && done.len() <= most {
        std::mem::swap(done, completions);
    } else {
        completions.extend(done.drain(..done.len().min(most)));
    }
}

/// Where operations go, and completions come from: io_uring, epoll, or a simulated network.
///
/// One thread at a time uses it: the owner of its port, or who looks after that one.
trait Driver: Send {
    /// Takes an operation on. What the kernel needs to know it is told with the next `turn` or `park`.
    ///
    /// Where it is done at once, gives what became of it, and there is no other completion. Of a send that is a failure: what can be sent at once is, by [`send_now`](Self::send_now), before it
    /// comes here.
    fn begin(&mut self, operation: Operation) -> Option<Completed>;

    /// Sends some of the pieces, from their beginning, if the driver does that at once: then nothing need be made to wait with. No other send of the socket is under way. `None`: it is to
    /// be begun. Only asked where [`ReactorKind::sends_now`] says that it is worth it.
    ///
    /// How many are done so between two turns has a bound, so that the others come to their turn.
    fn send_now(
        &mut self,
        socket: &Socket,
        pieces: &[IoSlice<'_>],
        behind: Behind,
    ) -> Option<io::Result<usize>>;

    /// Asks for the end of an operation of this socket, which may have ended already.
    fn cancel(&mut self, socket: SocketId, id: OperationId);

    /// Collects completions, about as many as `most` at most, in the order in which they came. With `thorough` the kernel is told what it was not told yet, and asked for news, if
    /// that takes a call; without, only what can be had for less than waiting for it in the next `park`.
    fn turn(&mut self, thorough: bool, most: usize, completions: &mut VecDeque<Completion>);

    /// Whether `turn` would find something, as far as memory tells.
    fn is_ready(&self) -> bool;

    /// Tells the kernel what it was not told yet, and sleeps until there is a completion, until the waker was used, or until the deadline. May return early.
    fn park(&mut self, deadline: Option<Instant>);

    /// Whether there is no operation.
    fn is_idle(&self) -> bool;

    /// Ends all operations, and waits until the kernel is done with them.
    fn end(&mut self, completions: &mut VecDeque<Completion>);
}

/// Ends the `park` of a driver, from any thread: a descriptor that the driver watches.
pub(crate) struct Waker(OwnedFd);

impl Waker {
    fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(eventfd(0, flags)?))
    }

    fn wake(&self) {
        // Where the drivers watch for changes nobody reads it: each write is one. It takes 2⁶⁴ of them to fill it.
        let _written = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Where a driver can only watch whether there is something.
    #[cfg(feature = "io-uring")]
    fn reset(&self) {
        let _read = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// Hears of completions and does nothing, for tests of drivers.
#[cfg(test)]
struct Nobody;

#[cfg(test)]
impl Handler for Nobody {
    fn complete(self: Arc<Self>, _completed: Completed) {}
}
