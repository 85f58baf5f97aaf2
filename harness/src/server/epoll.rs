//! The canned loop over epoll, whatever it answers: level-triggered, one `recv` and one `send` for each piece.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

/// What is taken from a socket at a time.
const PIECE: usize = 64 * 1024;
/// What is taken from epoll at a time.
const EVENTS: usize = 1024;

/// What is answered to what was received.
pub(super) trait Reply {
    /// What is known of a connection from what it has received before.
    type Heard: Default;

    fn reply<'a>(&'a mut self, heard: &mut Self::Heard, received: &'a [u8]) -> &'a [u8];

    /// Whether the connection ends behind what was answered last.
    fn is_last(_heard: &Self::Heard) -> bool {
        false
    }
}

/// The same.
pub(super) struct Echo;

impl Reply for Echo {
    type Heard = ();

    fn reply<'a>(&'a mut self, _heard: &mut (), received: &'a [u8]) -> &'a [u8] {
        received
    }
}

pub(super) struct EpollLoop<R: Reply> {
    reply: R,
    epoll: OwnedFd,
    listener: TcpListener,
    /// By descriptor.
    connections: Vec<Option<Connection<R::Heard>>>,
    buffer: Vec<u8>,
}

struct Connection<H> {
    socket: OwnedFd,
    heard: H,
    /// What the socket did not take yet: then nothing is received.
    left: Vec<u8>,
}

enum Next {
    Readable,
    Writable,
    Closed,
}

impl<R: Reply> EpollLoop<R> {
    pub(super) fn new(listener: TcpListener, reply: R) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, data(&listener), EventFlags::IN)?;
        Ok(Self {
            reply,
            epoll,
            listener,
            connections: Vec::new(),
            buffer: vec![0; PIECE],
        })
    }

    pub(super) fn run(mut self) -> io::Result<Infallible> {
        let of_listener = data(&self.listener).u64();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                if event.data.u64() == of_listener {
                    self.accept()?;
                } else {
                    self.serve(event.data.u64())?;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match rustix::net::accept_with(&self.listener, flags) {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        epoll::add(&self.epoll, &socket, data(&socket), EventFlags::IN)?;
        let index = index(data(&socket).u64());
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        self.connections[index] = Some(Connection {
            socket,
            heard: R::Heard::default(),
            left: Vec::new(),
        });
        Ok(())
    }

    fn serve(&mut self, descriptor: u64) -> io::Result<()> {
        let place = &mut self.connections[index(descriptor)];
        let Some(connection) = place else {
            return Ok(());
        };
        let waited = !connection.left.is_empty();
        let wanted = match connection.serve(&mut self.reply, &mut self.buffer) {
            Next::Closed => {
                *place = None;
                return Ok(());
            }
            Next::Readable if waited => EventFlags::IN,
            Next::Writable if !waited => EventFlags::OUT,
            Next::Readable | Next::Writable => return Ok(()),
        };
        let of_connection = data(&connection.socket);
        Ok(epoll::modify(
            &self.epoll,
            &connection.socket,
            of_connection,
            wanted,
        )?)
    }
}

impl<H: Default> Connection<H> {
    fn serve<R: Reply<Heard = H>>(&mut self, reply: &mut R, buffer: &mut [u8]) -> Next {
        if !self.left.is_empty() {
            let left = std::mem::take(&mut self.left);
            return self.send::<R>(&left);
        }
        match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => Next::Closed,
            Ok((received, _)) => match reply.reply(&mut self.heard, &buffer[..received]) {
                [] => Next::Readable,
                bytes => self.send::<R>(bytes),
            },
            Err(Errno::AGAIN | Errno::INTR) => Next::Readable,
            // The client is gone, and sees itself what it did not get.
            Err(_) => Next::Closed,
        }
    }

    fn send<R: Reply<Heard = H>>(&mut self, bytes: &[u8]) -> Next {
        let sent = match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => return Next::Closed,
        };
        if sent == bytes.len() {
            return if R::is_last(&self.heard) {
                Next::Closed
            } else {
                Next::Readable
            };
        }
        self.left.extend_from_slice(&bytes[sent..]);
        Next::Writable
    }
}

fn data(socket: &impl AsRawFd) -> EventData {
    EventData::new_u64(u64::try_from(socket.as_raw_fd()).expect("an open one is not negative"))
}

fn index(descriptor: u64) -> usize {
    usize::try_from(descriptor).expect("descriptors are small")
}
