//! The clients: a loop over epoll in one thread, with one request under way on each line.
//!
//! # Addresses
//!
//! The side that closes first keeps its port for a minute, and each client address has some 28,000 of them: with a connection for each request these would be gone within seconds. So such
//! connections come from the loopback network's addresses in turn.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, Shutdown, SocketFlags, SocketType, sockopt};

use super::exchange::{Bodies, Exchange};
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

/// How long connections live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// As long as the load.
    Long,
    /// For one request.
    OneRequest,
}

/// What clients have seen.
pub(super) struct Seen {
    pub(super) latencies: Histogram<u64>,
    /// Pieces of answers that were not as they were to be.
    pub(super) different: u64,
    /// Bytes that nobody had asked for.
    pub(super) surplus: u64,
}

pub(super) struct Load {
    server: SocketAddr,
    life: Life,
    epoll: OwnedFd,
    lines: Vec<Line>,
    bodies: Bodies,
    buffer: Vec<u8>,
    seen: Seen,
    begun: u64,
    done: u64,
    connected: u64,
}

/// A client: it has one connection at a time, and one request at a time.
#[derive(Default)]
struct Line {
    socket: Option<OwnedFd>,
    exchange: Option<Exchange>,
    /// The socket did not take all of the request: epoll tells when it takes more.
    blocked: bool,
}

impl Load {
    pub(super) fn new(
        server: SocketAddr,
        life: Life,
        connections: u64,
        size: usize,
    ) -> Result<Self, Failure> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC);
        let mut load = Self {
            server,
            life,
            epoll: epoll.map_err(Failure::socket("the clients' epoll"))?,
            lines: (0..connections).map(|_| Line::default()).collect(),
            bodies: Bodies::new(size),
            buffer: vec![0; PIECE],
            seen: Seen {
                latencies: latency::histogram(),
                different: 0,
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
                    if self.done.is_multiple_of(TELL_EVERY) {
                        tell(self.done);
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
    pub(super) fn finish(mut self) -> Result<Seen, Failure> {
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
        self.lines[index].exchange = Some(Exchange::new(self.begun));
        self.begun += 1;
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
            if self.life == Life::OneRequest {
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
        let (Some(socket), Some(exchange)) = (&line.socket, &mut line.exchange) else {
            return Ok(());
        };
        let sent = exchange.send(socket.as_fd(), &self.bodies);
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
        let (Some(socket), Some(exchange)) = (&line.socket, &mut line.exchange) else {
            return Err(Failure::Socket {
                what: "an answer",
                error: std::io::Error::other("the server says something unasked, or closes"),
            });
        };
        let received = exchange.receive(socket.as_fd(), &self.bodies, &mut self.buffer);
        let piece = received.map_err(Failure::socket("an answer"))?;
        self.seen.different += u64::from(piece.differs);
        self.seen.surplus += piece.surplus as u64;
        if !piece.last {
            return Ok(false);
        }
        let begun = exchange.begun;
        line.exchange = None;
        if self.life == Life::OneRequest {
            line.socket = None;
        }
        let taken = latency::nanoseconds(begun.elapsed());
        self.seen.latencies.saturating_record(taken);
        self.done += 1;
        Ok(true)
    }
}
