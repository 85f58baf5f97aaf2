//! The driver over epoll: tells of readiness, edge by edge, and makes the calls itself.
//!
//! A socket is registered once, for both directions, when it has its first operation here; from then on two marks say whether it may be read and written, as far as
//! is known. An operation is tried at once while its mark is set; a call that would have blocked clears the mark, and the next edge
//! sets it. A read that fills less than the buffer has emptied the socket, so the call that would only find that out is left out, unless the peer has hung up, of
//! which there is no second edge.
//!
//! epoll, through rustix: mio's events are the same, but it hides what a hang-up is; polling arms anew for each event, a call more for each operation.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, SocketFlags};

use super::{Action, Completion, Driver, Operation, OperationId, Outcome, Socket, SocketId, Waker};

/// What the kernel tells in one call.
const EVENTS: usize = 256;
/// What is read in one call.
const BUFFER: usize = 64 * 1024;
/// Below so many sockets it is not looked which of them were closed.
const SWEEP_AT: usize = 256;
/// The waker's number among the sockets.
const WAKER: u64 = u64::MAX;

pub(super) struct Epoll {
    epoll: OwnedFd,
    operations: FxHashMap<OperationId, Operation>,
    sources: FxHashMap<SocketId, Source>,
    sweep_at: usize,
    /// Operations that may succeed now.
    due: VecDeque<OperationId>,
    done: VecDeque<Completion>,
    buffer: Vec<u8>,
}

/// What is known of a socket.
struct Source {
    socket: Weak<Socket>,
    readable: bool,
    writable: bool,
    hung_up: bool,
    reads: Option<OperationId>,
    writes: Option<OperationId>,
}

impl Source {
    fn operation(&mut self, action: &Action) -> &mut Option<OperationId> {
        match action {
            Action::Accept | Action::Receive => &mut self.reads,
            Action::Send(_) | Action::Connect(_) => &mut self.writes,
        }
    }

    fn mark(&mut self, action: &Action) -> &mut bool {
        match action {
            Action::Accept | Action::Receive => &mut self.readable,
            Action::Send(_) | Action::Connect(_) => &mut self.writable,
        }
    }
}

impl Epoll {
    pub(super) fn new(waker: Arc<Waker>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        // The kernel takes it off when the waker is closed.
        epoll::add(&epoll, &waker.0, epoll::EventData::new_u64(WAKER), flags)?;
        Ok(Self {
            epoll,
            operations: FxHashMap::default(),
            sources: FxHashMap::default(),
            sweep_at: SWEEP_AT,
            due: VecDeque::new(),
            done: VecDeque::new(),
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    fn register(&mut self, socket: &Arc<Socket>) -> io::Result<()> {
        if self.sources.contains_key(&socket.id()) {
            return Ok(());
        }
        rustix::io::ioctl_fionbio(socket.descriptor(), true)?;
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(socket.id().0);
        epoll::add(&self.epoll, socket.descriptor(), data, flags)?;
        self.sweep();
        let source = Source {
            socket: Arc::downgrade(socket),
            readable: true,
            writable: true,
            hung_up: false,
            reads: None,
            writes: None,
        };
        self.sources.insert(socket.id(), source);
        Ok(())
    }

    /// Forgets sockets that were closed, once they may be half of all.
    fn sweep(&mut self) {
        if self.sources.len() >= self.sweep_at {
            self.sources
                .retain(|_, source| source.socket.strong_count() > 0);
            self.sweep_at = SWEEP_AT.max(2 * self.sources.len());
        }
    }

    fn complete(&mut self, operation: Operation, result: io::Result<Outcome>) {
        if let Some(source) = self.sources.get_mut(&operation.socket.id()) {
            *source.operation(&operation.action) = None;
        }
        self.done.push_back(Completion::only(operation, result));
    }

    /// Tries what may succeed.
    fn work(&mut self) {
        while let Some(id) = self.due.pop_front() {
            let Some(mut operation) = self.operations.remove(&id) else {
                // It was cancelled.
                continue;
            };
            let Some(source) = self.sources.get_mut(&operation.socket.id()) else {
                self.complete(operation, Err(io::ErrorKind::NotFound.into()));
                continue;
            };
            let may = *source.mark(&operation.action);
            let result = if may {
                attempt(&mut operation, &mut self.buffer, source)
            } else {
                Err(Errno::AGAIN)
            };
            match result {
                Err(Errno::AGAIN) => {
                    *source.mark(&operation.action) = false;
                    self.operations.insert(id, operation);
                }
                Err(Errno::INTR) => {
                    self.due.push_front(id);
                    self.operations.insert(id, operation);
                }
                result => self.complete(operation, result.map_err(io::Error::from)),
            }
        }
    }

    fn wait(&mut self, timeout: Option<Timespec>) {
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let events = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return,
            Err(error) => {
                // It cannot be: the descriptor and the buffer are ours.
                return tracing::error!(%error, "epoll does not answer");
            }
        };
        for event in events {
            let (flags, data) = (event.flags, event.data.u64());
            let Some(source) = self.sources.get_mut(&SocketId(data)) else {
                continue;
            };
            use epoll::EventFlags as Flags;
            let over = Flags::ERR | Flags::HUP;
            source.hung_up |= flags.intersects(over | Flags::RDHUP);
            if flags.intersects(over | Flags::IN | Flags::RDHUP) {
                source.readable = true;
                self.due.extend(source.reads);
            }
            if flags.intersects(over | Flags::OUT) {
                source.writable = true;
                self.due.extend(source.writes);
            }
        }
    }
}

fn attempt(
    operation: &mut Operation,
    buffer: &mut Vec<u8>,
    source: &mut Source,
) -> Result<Outcome, Errno> {
    let descriptor = operation.socket.descriptor().as_fd();
    match &mut operation.action {
        Action::Accept => net::accept_with(descriptor, SocketFlags::CLOEXEC).map(Outcome::Accepted),
        Action::Receive => {
            buffer.clear();
            net::recv(descriptor, spare_capacity(buffer), RecvFlags::DONTWAIT)?;
            if buffer.len() < BUFFER && !source.hung_up {
                source.readable = false;
            }
            Ok(Outcome::Received(Bytes::copy_from_slice(buffer)))
        }
        Action::Send(data) => {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            net::send(descriptor, data, flags).map(Outcome::Sent)
        }
        Action::Connect(address) => match net::connect(descriptor, &**address) {
            Ok(()) | Err(Errno::ISCONN) => {
                // A connection that failed in the background tells so once.
                net::sockopt::socket_error(descriptor)??;
                Ok(Outcome::Connected)
            }
            Err(Errno::INPROGRESS | Errno::ALREADY) => Err(Errno::AGAIN),
            Err(error) => Err(error),
        },
    }
}

impl Driver for Epoll {
    fn begin(&mut self, operation: Operation) {
        let id = operation.id;
        if let Err(error) = self.register(&operation.socket) {
            return self.complete(operation, Err(error));
        }
        if let Some(source) = self.sources.get_mut(&operation.socket.id()) {
            *source.operation(&operation.action) = Some(id);
            if *source.mark(&operation.action) {
                self.due.push_back(id);
            }
        }
        self.operations.insert(id, operation);
    }

    fn cancel(&mut self, id: OperationId) {
        if let Some(operation) = self.operations.remove(&id) {
            self.complete(operation, Err(Errno::CANCELED.into()));
        }
    }

    fn turn(&mut self, thorough: bool, completions: &mut VecDeque<Completion>) {
        self.work();
        if thorough && !self.operations.is_empty() {
            self.wait(Some(Timespec::default()));
            self.work();
        }
        completions.append(&mut self.done);
    }

    fn is_ready(&self) -> bool {
        !self.done.is_empty() || !self.due.is_empty()
    }

    fn park(&mut self, deadline: Option<Instant>) {
        self.work();
        if self.done.is_empty() {
            let timeout = deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                // Of the right size: a duration's seconds fit unless it is of ages.
                Timespec::try_from(left).unwrap_or_default()
            });
            self.wait(timeout);
            self.work();
        }
    }

    fn is_idle(&self) -> bool {
        self.operations.is_empty() && self.done.is_empty()
    }

    fn end(&mut self, completions: &mut VecDeque<Completion>) {
        let ids: Vec<_> = self.operations.keys().copied().collect();
        for id in ids {
            self.cancel(id);
        }
        completions.append(&mut self.done);
    }
}
