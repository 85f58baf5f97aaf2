//! The clients: a loop over epoll in one thread, with one exchange under way on each line.
//!
//! # Addresses
//!
//! The side that closes first keeps the connection's addresses for a minute, and each client address has some 28,000 of them: with a connection for each request these would be gone within seconds. So such
//! connections come from the loopback network's addresses in turn.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Instant;

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};

use super::{Conversation, Life};
use crate::failure::Failure;
use crate::latency;
use crate::trial::in_memory;

/// What is taken from a socket at a time.
const PIECE: usize = 64 * 1024;
/// What is taken from epoll at a time.
const EVENTS: usize = 1024;
/// Addresses that connections come from in turn.
const ADDRESSES: u64 = 250;
/// After how many answers the progress is told.
const TELL_EVERY: u64 = 1 << 10;

/// What clients have seen.
pub(super) struct Seen<C> {
    pub(super) conversation: C,
    pub(super) latencies: Histogram<u64>,
    /// Bytes that nobody had asked for.
    pub(super) surplus: u64,
}

pub(super) struct Load<C: Conversation> {
    server: SocketAddr,
    life: Life,
    epoll: OwnedFd,
    lines: Vec<Line<C::Exchange>>,
    buffer: Vec<u8>,
    seen: Seen<C>,
    begun: u64,
    done: u64,
    connected: u64,
}

/// A client: it has one connection at a time, and one exchange at a time.
struct Line<E> {
    socket: Option<OwnedFd>,
    under_way: Option<UnderWay<E>>,
    /// The socket did not take all requests: epoll tells when it takes more.
    blocked: bool,
}

struct UnderWay<E> {
    exchange: E,
    begun: Instant,
    /// Bytes.
    sent: usize,
    requests: u64,
    /// Requests.
    unanswered: u64,
}

impl<C: Conversation> Load<C> {
    pub(super) fn new(
        server: SocketAddr,
        life: Life,
        connections: u64,
        conversation: C,
    ) -> Result<Self, Failure> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC);
        let line = || Line {
            socket: None,
            under_way: None,
            blocked: false,
        };
        let mut load = Self {
            server,
            life,
            epoll: epoll.map_err(Failure::socket("the clients' epoll"))?,
            lines: (0..connections).map(|_| line()).collect(),
            buffer: vec![0; PIECE],
            seen: Seen {
                conversation,
                latencies: latency::histogram(),
                surplus: 0,
            },
            begun: 0,
            done: 0,
            connected: 0,
        };
        if life == Life::Long {
            for index in 0..load.lines.len() {
                load.connect(index)?;
            }
        }
        Ok(load)
    }

    /// So many requests from their beginning to their end, of whichever lines are free.
    pub(super) fn run(&mut self, requests: u64, tell: impl Fn(u64)) -> Result<(), Failure> {
        (self.begun, self.done) = (0, 0);
        for index in 0..self.lines.len() {
            self.begin(index, requests)?;
        }
        let mut told = 0;
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        while self.done < requests {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::socket("the clients' wait")(error)),
            }
            for event in events.drain(..) {
                let index = in_memory(event.data.u64());
                if self.advance(index)? {
                    self.begin(index, requests)?;
                    if self.done - told >= TELL_EVERY {
                        told = self.done;
                        tell(told);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn forget_latencies(&mut self) {
        self.seen.latencies.reset();
    }

    /// Closes what is open, once the server has: what it still says, nobody had asked for.
    pub(super) fn finish(mut self) -> Result<Seen<C>, Failure> {
        for socket in self.lines.into_iter().filter_map(|line| line.socket) {
            let failed = Failure::socket("the end of a client's connection");
            rustix::net::shutdown(&socket, Shutdown::Write).map_err(&failed)?;
            loop {
                let flags = RecvFlags::empty();
                let (received, _) =
                    rustix::net::recv(&socket, &mut self.buffer[..], flags).map_err(&failed)?;
                if received == 0 {
                    break;
                }
                self.seen.surplus += received as u64;
            }
        }
        Ok(self.seen)
    }

    fn begin(&mut self, index: usize, requests: u64) -> Result<(), Failure> {
        if self.begun == requests {
            return Ok(());
        }
        let conversation = &self.seen.conversation;
        let begins = conversation.depth().min(requests - self.begun);
        self.lines[index].under_way = Some(UnderWay {
            exchange: conversation.begin(self.begun, begins),
            begun: Instant::now(),
            sent: 0,
            requests: begins,
            unanswered: begins,
        });
        self.begun += begins;
        if self.lines[index].socket.is_none() {
            self.connect(index)?;
        }
        self.send(index)
    }

    /// Does not wait, though it may: over the loopback the kernel has connected before the call returns, whatever the server does.
    fn connect(&mut self, index: usize) -> Result<(), Failure> {
        let connected = || {
            let socket = rustix::net::socket_with(
                AddressFamily::INET,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            sockopt::set_tcp_nodelay(&socket, true)?;
            if self.life != Life::Long {
                let [network, ..] = Ipv4Addr::LOCALHOST.octets();
                let last = (1 + self.connected % ADDRESSES) as u8;
                let address = Ipv4Addr::new(network, 0, 0, last);
                rustix::net::bind(&socket, &SocketAddrV4::new(address, 0))?;
            }
            rustix::net::connect(&socket, &self.server)?;
            let data = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &socket, data, EventFlags::IN | EventFlags::ET)?;
            Ok::<_, Errno>(socket)
        };
        let socket = connected().map_err(Failure::socket("a client's connection"))?;
        self.connected += 1;
        let line = &mut self.lines[index];
        line.blocked = false;
        line.socket = Some(socket);
        Ok(())
    }

    fn send(&mut self, index: usize) -> Result<(), Failure> {
        let line = &mut self.lines[index];
        let (Some(socket), Some(under_way)) = (&line.socket, &mut line.under_way) else {
            return Ok(());
        };
        let requests = self.seen.conversation.requests(&under_way.exchange);
        let sent = send(socket, requests, &mut under_way.sent);
        let blocked = !sent.map_err(Failure::socket("a request"))?;
        if blocked == line.blocked {
            return Ok(());
        }
        line.blocked = blocked;
        let wanted = if blocked {
            EventFlags::IN | EventFlags::OUT | EventFlags::ET
        } else {
            EventFlags::IN | EventFlags::ET
        };
        let data = EventData::new_u64(index as u64);
        epoll::modify(&self.epoll, socket, data, wanted)
            .map_err(Failure::socket("the clients' epoll"))
    }

    /// Goes on with what is under way on a line, and tells whether it has ended.
    fn advance(&mut self, index: usize) -> Result<bool, Failure> {
        if self.lines[index].blocked {
            self.send(index)?;
        }
        let line = &mut self.lines[index];
        let (Some(socket), Some(under_way)) = (&line.socket, &mut line.under_way) else {
            return Err(Failure::Socket {
                what: "an answer",
                error: std::io::Error::other("the server says something unasked, or closes"),
            });
        };
        loop {
            let received =
                receive(socket, &mut self.buffer).map_err(Failure::socket("an answer"))?;
            let Some(received) = received else {
                return Ok(false);
            };
            if received.is_empty() {
                if self.life == Life::OneExchangeOfServer && under_way.unanswered == 0 {
                    break;
                }
                // A server that closes what it has not answered has lost the request.
                let error = Errno::CONNRESET;
                return Err(Failure::socket("an answer")(error));
            }
            if under_way.unanswered == 0 {
                self.seen.surplus += received.len() as u64;
                continue;
            }
            let taken = self.seen.conversation.take(
                &mut under_way.exchange,
                under_way.unanswered,
                received,
            )?;
            self.seen.surplus += taken.surplus as u64;
            if taken.answers > 0 {
                let took = latency::nanoseconds(under_way.begun.elapsed());
                let latencies = &mut self.seen.latencies;
                latencies.saturating_record_n(took, taken.answers);
                under_way.unanswered -= taken.answers;
            }
            if under_way.unanswered == 0 && self.life != Life::OneExchangeOfServer {
                break;
            }
            // Epoll tells only of what comes from here on, so there must be nothing left; an end that is there already is not told again.
            if received.len() < PIECE && self.life != Life::OneExchangeOfServer {
                return Ok(false);
            }
        }
        // Only now: while one has not ended, the load has not.
        self.done += under_way.requests;
        line.under_way = None;
        if self.life != Life::Long {
            line.socket = None;
        }
        Ok(true)
    }
}

/// Sends what the socket takes of that of which so many bytes were sent before, and tells whether that was all.
fn send(socket: &OwnedFd, requests: &[u8], sent: &mut usize) -> rustix::io::Result<bool> {
    while *sent < requests.len() {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(socket, &requests[*sent..], flags) {
            Ok(taken) => *sent += taken,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// One piece, if one is there; empty at the end of the stream.
fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> rustix::io::Result<Option<&'a [u8]>> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((received, _)) => return Ok(Some(&buffer[..received])),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
