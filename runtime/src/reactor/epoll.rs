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

mod sources;
#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SocketFlags};

use super::{
    Action, AtOnce, Behind, Completed, Completion, Data, Driver, Operation, OperationId, Outcome,
    Socket, SocketId, Waker, collect, fetch_handler, send,
};
use crate::prefetch::prefetch;
use sources::{Direction, Place, Source, Sources};

/// What the kernel tells in one call.
const EVENTS: usize = 256;
/// What is read in one call.
const BUFFER: usize = 64 * 1024;
/// What one turn collects at most, where the worker has nothing else to do: an answer then goes out while what the kernel has of its socket is still in the cache. With a thousand
/// connections 128 were a fifth slower. In a thorough turn, of which a busy worker has one in so many of its own, it is twice as many: else I/O would have half of the turns at most.
const TURN: usize = 16;
/// So many sockets before its turn, what is known of one is fetched ahead. It comes while the kernel is at work for those before it; fetched when the kernel has told of it, it would be
/// out of the cache again, as the kernel itself needs much of that for each socket.
const SOURCES_AHEAD: usize = 5;
/// The same of the socket, and of who is told.
const HANDLERS_AHEAD: usize = 3;
/// The same of what the kernel has told of, before it is entered: no call is made in between.
const NEWS_AHEAD: usize = 8;
/// How many connections a listener is given in one turn.
const ACCEPTS: u32 = 16;
/// After so many turns the kernel is asked for news although there is enough to do: sockets that always have more would keep the others from being heard of. A thorough turn counts twice,
/// so that it is after as many pieces as the kernel may have told of.
const UNASKED: u32 = 16;
/// The waker's number among the sockets.
const WAKER: u64 = u64::MAX;

pub(super) struct Epoll {
    epoll: OwnedFd,
    sources: Sources,
    /// Sockets that epoll does not know, and of which an operation has come to wait.
    unknown: Vec<Place>,
    /// How many operations are under way.
    operations: usize,
    /// What may succeed now, if it is still under way.
    due: VecDeque<(Place, Direction)>,
    done: VecDeque<Completion>,
    buffer: Vec<u8>,
    at_once: AtOnce,
    /// How many turns the kernel was not asked.
    unasked: u32,
}

impl Source {
    /// Enters a direction among what is due, or the socket among what epoll shall be told of, if it waits and is not there yet.
    fn list(
        &mut self,
        place: Place,
        direction: Direction,
        due: &mut VecDeque<(Place, Direction)>,
        unknown: &mut Vec<Place>,
    ) {
        if self.wants_turn(direction) {
            due.push_back((place, direction));
        } else if !self.is_ready(direction) && !self.registered {
            self.registered = true;
            unknown.push(place);
        }
    }

    /// Tries the operation of one direction. `None`: there is none, or it waits.
    #[inline(always)]
    fn attempt(
        &mut self,
        direction: Direction,
        buffer: &mut Vec<u8>,
    ) -> Option<Result<Outcome, Errno>> {
        let operation = self.side(direction).operation.as_ref()?;
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
        let is_unix = operation.socket.is_unix();
        let is_emptied = matches!(&result, Ok(Outcome::Received(bytes)) if bytes.len() < BUFFER);
        if waits || is_emptied && !self.hung_up && !is_unix {
            self.set_ready(direction, false);
        }
        (!waits).then_some(result)
    }

    /// Goes on with the operation of one direction, as far as a turn goes. True: it has ended.
    fn go_on(
        &mut self,
        direction: Direction,
        buffer: &mut Vec<u8>,
        done: &mut VecDeque<Completion>,
    ) -> bool {
        for _ in 0..ACCEPTS {
            if !self.is_ready(direction) {
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
            sources: Sources::new(),
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
    fn know(&mut self, operation: &Operation) -> io::Result<Place> {
        let socket = &operation.socket;
        if let Some(place) = self.sources.place_of(socket.id()) {
            return Ok(place);
        }
        // The other calls are told by a flag not to wait.
        if matches!(operation.action, Action::Accept | Action::Connect(_)) {
            rustix::io::ioctl_fionbio(socket.descriptor(), true)?;
        }
        Ok(self.sources.insert(socket))
    }

    /// Has epoll tell of the sockets whose operations have come to wait, if they still do.
    fn register(&mut self) {
        while let Some(place) = self.unknown.pop() {
            let Some(source) = self.sources.get_mut(place) else {
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
            let data = epoll::EventData::new_u64(place.to_bits());
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

    /// Tries what may succeed, each once, until there are so many completions.
    fn work(&mut self, most: usize) {
        for _ in 0..self.due.len() {
            if self.done.len() >= most {
                return;
            }
            self.fetch_ahead();
            let Some((place, direction)) = self.due.pop_front() else {
                return;
            };
            let Some(source) = self.sources.get_mut(place) else {
                continue;
            };
            source.side(direction).listed = false;
            if source.go_on(direction, &mut self.buffer, &mut self.done) {
                self.operations -= 1;
            } else {
                source.list(place, direction, &mut self.due, &mut self.unknown);
            }
        }
    }

    /// Has what is due soon fetched.
    #[inline(always)]
    fn fetch_ahead(&mut self) {
        if let Some(&(place, _)) = self.due.get(SOURCES_AHEAD) {
            self.sources.fetch(place);
        }
        if let Some(&(place, direction)) = self.due.get(HANDLERS_AHEAD)
            && let Some(source) = self.sources.get_mut(place)
            && let Some(operation) = &source.side(direction).operation
        {
            prefetch(&*operation.socket, 1);
            fetch_handler(&operation.handler, 1);
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
            Ok((events, _)) => &*events,
            Err(Errno::INTR) => return,
            Err(error) => {
                // It cannot be: the descriptor and the buffer are ours.
                return tracing::error!(%error, "epoll does not answer");
            }
        };
        let place_of = |event: &epoll::Event| Place::from_bits(event.data.u64());
        for event in events.iter().take(NEWS_AHEAD) {
            self.sources.fetch(place_of(event));
        }
        for (index, event) in events.iter().enumerate() {
            if let Some(event) = events.get(index + NEWS_AHEAD) {
                self.sources.fetch(place_of(event));
            }
            let (flags, place) = (event.flags, place_of(event));
            let Some(source) = self.sources.get_mut(place) else {
                continue;
            };
            use epoll::EventFlags as Flags;
            let over = Flags::ERR | Flags::HUP;
            source.hung_up |= flags.intersects(over | Flags::RDHUP);
            for (direction, news) in [
                (Direction::In, over | Flags::IN | Flags::RDHUP),
                (Direction::Out, over | Flags::OUT),
            ] {
                // What was ready before, and waited for, is listed already.
                if flags.intersects(news) && !source.is_ready(direction) {
                    source.set_ready(direction, true);
                    if source.wants_turn(direction) {
                        self.due.push_back((place, direction));
                    }
                }
            }
        }
    }
}

/// As `extend`, which is several times as dear: it cannot know that there is one at most.
#[inline(always)]
fn push(done: &mut VecDeque<Completion>, completion: Option<Completion>) {
    if let Some(completion) = completion {
        done.push_back(completion);
    }
}

/// Makes the call of the kernel that is asked for, once.
#[inline(always)]
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
        let place = match self.know(&operation) {
            Ok(place) => place,
            Err(error) => return Some(Completed::only(operation.action, Err(error))),
        };
        let direction = Direction::of(&operation.action);
        let source = self.sources.get_mut(place)?;
        let connects = matches!(operation.action, Action::Connect(_));
        source.side(direction).begin(operation);
        if connects
            && source.is_ready(direction)
            && let Some(result) = source.attempt(direction, &mut self.buffer)
        {
            let ended = source.outbound.end(result.map_err(io::Error::from));
            return ended.map(|ended| ended.completed);
        }
        source.list(place, direction, &mut self.due, &mut self.unknown);
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
        let place = self.sources.place_of(socket);
        let Some(source) = place.and_then(|place| self.sources.get_mut(place)) else {
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
        let turns = if thorough { 2 } else { 1 };
        let most = most.min(turns as usize * TURN);
        self.unasked += turns;
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
        for source in self.sources.iter_mut() {
            for side in [&mut source.inbound, &mut source.outbound] {
                completions.extend(side.end(Err(Errno::CANCELED.into())));
            }
        }
        self.operations = 0;
    }
}
