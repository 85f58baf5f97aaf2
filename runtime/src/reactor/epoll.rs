//! The driver over epoll: tells of readiness, edge by edge, and makes the calls itself.
//!
//! Two marks of each socket say whether it may be read and written, as far as is known. An operation is tried while its mark is set; a call that would have blocked clears the mark, and the next
//! edge sets it. A socket is registered once, for both directions, when the kernel is next asked for news and one of its operations waits: the registration tells what it has missed. A connection that
//! is answered and closed between two such questions is never registered.
//! A read that fills less than the buffer has emptied the socket, so the call that would only find that out is left out, unless the peer has hung up, of
//! which there is no second edge, or it is a unix socket, where a read ends also behind what came with a descriptor. (It ends at TCP's urgent mark, too: a peer that
//! sets one may wait for itself.)
//!
//! A send is tried before anything is made to wait with, and mostly is done then; where the socket is full it is tried once more in the next turn, and waits for its edge. Accepts and receives go on until they are cancelled, as io_uring's multishots do; in each turn a socket may have
//! [`ACCEPTS`] connections or one piece, so that who has asked for them can say that it is enough.
//!
//! epoll, through rustix: mio's events are the same, but it hides what a hang-up is; polling arms anew for each event, a call more for each operation.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SocketFlags};

use super::{
    Action, AtOnce, Behind, Completed, Completion, Data, Driver, Operation, OperationId, Outcome,
    Socket, SocketId, Waker, collect, send,
};

/// What the kernel tells in one call.
const EVENTS: usize = 256;
/// What is read in one call.
const BUFFER: usize = 64 * 1024;
/// Below so many sockets it is not looked which of them were closed.
const SWEEP_AT: usize = 256;
/// What one turn collects at most: an answer then goes out while what the kernel has of its socket is still in the cache. With a thousand connections 128 were a sixth slower.
const TURN: usize = 32;
/// How many connections a listener is given in one turn.
const ACCEPTS: u32 = 16;
/// After so many turns the kernel is asked for news although there is enough to do: sockets that always have more would keep the others from being heard of.
const UNASKED: u32 = 8;
/// The waker's number among the sockets.
const WAKER: u64 = u64::MAX;

pub(super) struct Epoll {
    epoll: OwnedFd,
    sources: FxHashMap<SocketId, Source>,
    sweep_at: usize,
    /// Sockets that epoll does not know, and of which an operation has come to wait.
    unknown: Vec<SocketId>,
    /// How many operations are under way.
    operations: usize,
    /// What may succeed now, if it is still under way.
    due: VecDeque<(SocketId, Direction)>,
    done: VecDeque<Completion>,
    buffer: Vec<u8>,
    at_once: AtOnce,
    /// How many turns the kernel was not asked.
    unasked: u32,
}

#[derive(Clone, Copy)]
enum Direction {
    In,
    Out,
}

impl Direction {
    fn of(action: &Action) -> Self {
        match action {
            Action::Accept | Action::Receive => Self::In,
            Action::Send(_) | Action::Connect(_) => Self::Out,
        }
    }
}

/// What is known of a socket.
struct Source {
    socket: Weak<Socket>,
    inbound: Side,
    outbound: Side,
    hung_up: bool,
    /// Epoll knows it, or is about to.
    registered: bool,
}

/// A socket's one direction.
struct Side {
    /// It may succeed, as far as is known.
    ready: bool,
    operation: Option<Operation>,
    /// How many completions the operation had.
    completions: u32,
    /// It is in the list of what is due.
    listed: bool,
}

impl Side {
    fn new() -> Self {
        Self {
            ready: true,
            operation: None,
            completions: 0,
            listed: false,
        }
    }

    /// Whether the caller shall put it into the list of what is due.
    fn wants_turn(&mut self) -> bool {
        let wants = self.ready && self.operation.is_some() && !self.listed;
        self.listed |= wants;
        wants
    }

    /// The operation has ended.
    fn end(&mut self, result: io::Result<Outcome>) -> Option<Completion> {
        let operation = self.operation.take()?;
        let mut completion = Completion::only(operation, result);
        completion.completed.number = self.completions;
        Some(completion)
    }

    /// It goes on, and this is not all.
    fn more(&mut self, outcome: Outcome) -> Option<Completion> {
        let operation = self.operation.as_ref()?;
        let mut completed = Completed::only(&operation.action, Ok(outcome));
        completed.number = self.completions;
        completed.more = true;
        self.completions = self.completions.wrapping_add(1);
        Some(Completion {
            id: operation.id,
            handler: Arc::clone(&operation.handler),
            completed,
        })
    }
}

impl Source {
    fn new(socket: &Arc<Socket>) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            inbound: Side::new(),
            outbound: Side::new(),
            hung_up: false,
            registered: false,
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::In => &mut self.inbound,
            Direction::Out => &mut self.outbound,
        }
    }

    /// Enters a direction among what is due, or the socket among what epoll shall be told of, if it waits and is not there yet.
    fn list(
        &mut self,
        id: SocketId,
        direction: Direction,
        due: &mut VecDeque<(SocketId, Direction)>,
        unknown: &mut Vec<SocketId>,
    ) {
        let side = self.side(direction);
        if side.wants_turn() {
            due.push_back((id, direction));
        } else if !side.ready && !self.registered {
            self.registered = true;
            unknown.push(id);
        }
    }

    /// Tries the operation of one direction. `None`: there is none, or it waits.
    fn attempt(
        &mut self,
        direction: Direction,
        buffer: &mut Vec<u8>,
    ) -> Option<Result<Outcome, Errno>> {
        let hung_up = self.hung_up;
        let side = self.side(direction);
        let operation = side.operation.as_ref()?;
        let result = loop {
            match call(operation, buffer) {
                Err(Errno::INTR) => {}
                result => break result,
            }
        };
        let waits = match operation.action {
            // Of `EAGAIN`, which is for a unix socket without a place to connect to, it would hear no more.
            Action::Connect(_) => matches!(result, Err(Errno::INPROGRESS | Errno::ALREADY)),
            _ => matches!(result, Err(Errno::AGAIN)),
        };
        if waits {
            side.ready = false;
            return None;
        }
        if let Ok(Outcome::Received(bytes)) = &result
            && bytes.len() < BUFFER
            && !hung_up
            && !operation.socket.is_unix()
        {
            side.ready = false;
        }
        Some(result)
    }

    /// Goes on with the operation of one direction, as far as a turn goes. True: it has ended.
    fn go_on(
        &mut self,
        direction: Direction,
        buffer: &mut Vec<u8>,
        done: &mut VecDeque<Completion>,
    ) -> bool {
        for _ in 0..ACCEPTS {
            if !self.side(direction).ready {
                return false;
            }
            let result = self.attempt(direction, buffer);
            let side = self.side(direction);
            match result {
                None => return false,
                Some(Ok(outcome @ Outcome::Accepted(_))) => push(done, side.more(outcome)),
                Some(Ok(Outcome::Received(bytes))) if !bytes.is_empty() => {
                    push(done, side.more(Outcome::Received(bytes)));
                    return false;
                }
                Some(result) => {
                    push(done, side.end(result.map_err(io::Error::from)));
                    return true;
                }
            }
        }
        false
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
            sources: FxHashMap::default(),
            sweep_at: SWEEP_AT,
            unknown: Vec::new(),
            operations: 0,
            due: VecDeque::new(),
            done: VecDeque::new(),
            buffer: Vec::with_capacity(BUFFER),
            at_once: AtOnce::ALL,
            unasked: 0,
        })
    }

    /// Knows the socket from here on.
    fn know(&mut self, operation: &Operation) -> io::Result<()> {
        let socket = &operation.socket;
        if !self.sources.contains_key(&socket.id()) {
            // The other calls are told by a flag not to wait.
            if matches!(operation.action, Action::Accept | Action::Connect(_)) {
                rustix::io::ioctl_fionbio(socket.descriptor(), true)?;
            }
            self.sweep();
            self.sources.insert(socket.id(), Source::new(socket));
        }
        Ok(())
    }

    /// Has epoll tell of the sockets whose operations have come to wait, if they still do.
    fn register(&mut self) {
        while let Some(id) = self.unknown.pop() {
            let Some(source) = self.sources.get_mut(&id) else {
                continue;
            };
            let operations = [&source.inbound.operation, &source.outbound.operation];
            let Some(operation) = operations.into_iter().flatten().next() else {
                source.registered = false;
                continue;
            };
            let flags = epoll::EventFlags::IN
                | epoll::EventFlags::OUT
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(id.0);
            let registered = epoll::add(&self.epoll, operation.socket.descriptor(), data, flags);
            if let Err(error) = registered {
                source.registered = false;
                for side in [&mut source.inbound, &mut source.outbound] {
                    if let Some(ended) = side.end(Err(error.into())) {
                        self.operations -= 1;
                        self.done.push_back(ended);
                    }
                }
            }
        }
    }

    /// Forgets sockets that were closed, once they may be half of all.
    fn sweep(&mut self) {
        if self.sources.len() >= self.sweep_at {
            self.sources
                .retain(|_, source| source.socket.strong_count() > 0);
            self.sweep_at = SWEEP_AT.max(2 * self.sources.len());
        }
    }

    /// Tries what may succeed, each once, until there are so many completions.
    fn work(&mut self, most: usize) {
        for _ in 0..self.due.len() {
            if self.done.len() >= most {
                return;
            }
            let Some((id, direction)) = self.due.pop_front() else {
                return;
            };
            let Some(source) = self.sources.get_mut(&id) else {
                continue;
            };
            source.side(direction).listed = false;
            if source.go_on(direction, &mut self.buffer, &mut self.done) {
                self.operations -= 1;
            } else {
                source.list(id, direction, &mut self.due, &mut self.unknown);
            }
        }
    }

    fn wait(&mut self, timeout: Option<Timespec>) {
        self.unasked = 0;
        self.register();
        // What could not be registered is not to be slept on.
        let timeout = if self.done.is_empty() {
            timeout
        } else {
            Some(Timespec::default())
        };
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
            let id = SocketId(data);
            let Some(source) = self.sources.get_mut(&id) else {
                continue;
            };
            use epoll::EventFlags as Flags;
            let over = Flags::ERR | Flags::HUP;
            source.hung_up |= flags.intersects(over | Flags::RDHUP);
            for (direction, news) in [
                (Direction::In, over | Flags::IN | Flags::RDHUP),
                (Direction::Out, over | Flags::OUT),
            ] {
                let side = source.side(direction);
                side.ready |= flags.intersects(news);
                if side.wants_turn() {
                    self.due.push_back((id, direction));
                }
            }
        }
    }
}

/// As `extend`, which is several times as dear: it cannot know that there is one at most.
fn push(done: &mut VecDeque<Completion>, completion: Option<Completion>) {
    if let Some(completion) = completion {
        done.push_back(completion);
    }
}

/// Makes the call of the kernel that is asked for, once.
fn call(operation: &Operation, buffer: &mut Vec<u8>) -> Result<Outcome, Errno> {
    let descriptor = operation.socket.descriptor().as_fd();
    match &operation.action {
        Action::Accept => net::accept_with(descriptor, SocketFlags::CLOEXEC).map(Outcome::Accepted),
        Action::Receive => {
            buffer.clear();
            net::recv(descriptor, spare_capacity(buffer), RecvFlags::DONTWAIT)?;
            Ok(Outcome::Received(Bytes::copy_from_slice(buffer)))
        }
        Action::Send(data) => {
            let sent = match &**data {
                Data::One(data) => send(&operation.socket, &[IoSlice::new(data)], Behind::Unknown),
                Data::Several(pieces) => {
                    let pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                    send(&operation.socket, &pieces, Behind::Unknown)
                }
            };
            sent.map(Outcome::Sent)
        }
        Action::Connect(address) => match net::connect(descriptor, &**address) {
            Ok(()) | Err(Errno::ISCONN) => {
                // A connection that failed in the background tells so once.
                net::sockopt::socket_error(descriptor)??;
                Ok(Outcome::Connected)
            }
            Err(error) => Err(error),
        },
    }
}

impl Driver for Epoll {
    fn begin(&mut self, operation: Operation) -> Option<Completed> {
        if let Err(error) = self.know(&operation) {
            return Some(Completed::only(&operation.action, Err(error)));
        }
        let (id, direction) = (operation.socket.id(), Direction::of(&operation.action));
        let source = self.sources.get_mut(&id)?;
        let connects = matches!(operation.action, Action::Connect(_));
        let side = source.side(direction);
        debug_assert!(side.operation.is_none(), "one at a time");
        side.operation = Some(operation);
        side.completions = 0;
        if connects
            && side.ready
            && let Some(result) = source.attempt(direction, &mut self.buffer)
        {
            let ended = source.outbound.end(result.map_err(io::Error::from));
            return ended.map(|ended| ended.completed);
        }
        source.list(id, direction, &mut self.due, &mut self.unknown);
        self.operations += 1;
        None
    }

    fn send_now(
        &mut self,
        socket: &Socket,
        pieces: &[IoSlice<'_>],
        behind: Behind,
    ) -> Option<io::Result<usize>> {
        self.at_once.send(socket, pieces, behind)
    }

    fn cancel(&mut self, socket: SocketId, id: OperationId) {
        let Some(source) = self.sources.get_mut(&socket) else {
            return;
        };
        for side in [&mut source.inbound, &mut source.outbound] {
            if side
                .operation
                .as_ref()
                .is_some_and(|operation| operation.id == id)
            {
                self.operations -= 1;
                push(&mut self.done, side.end(Err(Errno::CANCELED.into())));
            }
        }
    }

    fn turn(&mut self, thorough: bool, most: usize, completions: &mut VecDeque<Completion>) {
        self.at_once = AtOnce::ALL;
        let most = most.min(TURN);
        self.unasked += 1;
        let enough = !thorough || self.due.len() >= most;
        if self.operations > 0 && (!enough || self.unasked >= UNASKED) {
            self.wait(Some(Timespec::default()));
        }
        self.work(most);
        collect(&mut self.done, most, completions);
    }

    fn is_ready(&self) -> bool {
        !self.done.is_empty() || !self.due.is_empty()
    }

    fn park(&mut self, deadline: Option<Instant>) {
        if !self.is_ready() {
            let timeout = deadline.map(|deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                // Of the right size: a duration's seconds fit unless it is of ages.
                Timespec::try_from(left).unwrap_or_default()
            });
            self.wait(timeout);
        }
    }

    fn is_idle(&self) -> bool {
        self.operations == 0 && self.done.is_empty()
    }

    fn end(&mut self, completions: &mut VecDeque<Completion>) {
        completions.append(&mut self.done);
        for source in self.sources.values_mut() {
            for side in [&mut source.inbound, &mut source.outbound] {
                completions.extend(side.end(Err(Errno::CANCELED.into())));
            }
        }
        self.operations = 0;
    }
}
