//! The canned loop over io_uring: one multishot accept, a multishot receive for each connection, sends out of the buffers into which the kernel has received, and one call of
//! the kernel for each turn.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::net::Shutdown;

use super::provided_buffers::{self, ProvidedBuffers};

/// Submissions of a turn, before the kernel has to be called once more.
const ENTRIES: u32 = 1024;
/// Completions before the kernel has to keep them itself.
const COMPLETIONS: u32 = 4 * ENTRIES;

/// What a completion is of: beside it in the user data is the descriptor.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CLOSE: u64 = 3;
const KINDS: u64 = 4;

pub(super) struct IoUringEcho {
    ring: IoUring,
    buffers: ProvidedBuffers,
    listener: TcpListener,
    /// By descriptor.
    connections: Vec<Option<Connection>>,
    /// Whose receive ended as all buffers were in use.
    starved: Vec<usize>,
}

struct Connection {
    socket: OwnedFd,
    /// Of which the first one is being sent.
    pieces: VecDeque<Piece>,
    receiving: bool,
    /// There is nothing more to receive.
    ended: bool,
}

struct Piece {
    buffer: u16,
    from: usize,
    to: usize,
}

impl IoUringEcho {
    /// # Errors
    ///
    /// Why there can be no such ring.
    pub(super) fn new(listener: TcpListener) -> Result<Self, String> {
        let ring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_coop_taskrun()
            .build(ENTRIES)
            .map_err(|error| {
                format!(
                    "a ring of io_uring cannot be made, for which the kernel has to be 5.19 or newer and to allow it ({error})"
                )
            })?;
        let buffers = ProvidedBuffers::register(&ring.submitter()).map_err(|error| {
            format!("the kernel's io_uring takes no rings of buffers: 5.19 is needed ({error})")
        })?;
        Ok(Self {
            ring,
            buffers,
            listener,
            connections: Vec::new(),
            starved: Vec::new(),
        })
    }

    pub(super) fn run(mut self) -> io::Result<Infallible> {
        self.arm_accept()?;
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // There are more completions than it can keep: they are taken now.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(error),
            }
            while let Some(completion) = self.next() {
                self.complete(&completion)?;
            }
            self.buffers.give_back();
            for index in std::mem::take(&mut self.starved) {
                self.arm_receive(index)?;
            }
        }
    }

    fn next(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    fn push(&mut self, entry: squeue::Entry, index: usize, kind: u64) -> io::Result<()> {
        let entry = entry.user_data(index as u64 * KINDS + kind);
        // SAFETY: a send's piece is kept in its connection until the completion; the rest points to nothing.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }

    fn arm_accept(&mut self) -> io::Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        self.push(entry, 0, ACCEPT)
    }

    fn arm_receive(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        connection.receiving = true;
        let socket = Fd(connection.socket.as_raw_fd());
        let entry = opcode::RecvMulti::new(socket, provided_buffers::GROUP).build();
        self.push(entry, index, RECEIVE)
    }

    /// Sends the first piece; where there is none and the stream has ended, closes.
    fn go_on(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = &self.connections[index] else {
            return Ok(());
        };
        if let Some(piece) = connection.pieces.front() {
            let socket = Fd(connection.socket.as_raw_fd());
            let bytes = self.buffers.memory(piece.buffer).wrapping_add(piece.from);
            let entry = opcode::Send::new(socket, bytes, (piece.to - piece.from) as u32)
                .flags(libc::MSG_NOSIGNAL)
                .build();
            return self.push(entry, index, SEND);
        }
        if !connection.ended || connection.receiving {
            return Ok(());
        }
        let Some(connection) = self.connections[index].take() else {
            return Ok(());
        };
        let entry = opcode::Close::new(Fd(connection.socket.into_raw_fd())).build();
        self.push(entry, index, CLOSE)
    }

    fn complete(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        let index = usize::try_from(completion.user_data() / KINDS).expect("a descriptor is small");
        let more = cqueue::more(completion.flags());
        let result = usize::try_from(completion.result())
            .map_err(|_| io::Error::from_raw_os_error(-completion.result()));
        match completion.user_data() % KINDS {
            ACCEPT => self.accepted(result, more),
            RECEIVE => {
                let buffer = cqueue::buffer_select(completion.flags());
                self.received(index, result, buffer, more)
            }
            SEND => self.sent(index, result),
            _ => result.map(|_closed| ()),
        }
    }

    fn accepted(&mut self, result: io::Result<usize>, more: bool) -> io::Result<()> {
        if !more {
            self.arm_accept()?;
        }
        let index = result?;
        let descriptor = i32::try_from(index).expect("the kernel told it as such");
        // SAFETY: the kernel has just opened it, and told nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, || None);
        }
        self.connections[index] = Some(Connection {
            socket,
            pieces: VecDeque::new(),
            receiving: false,
            ended: false,
        });
        self.arm_receive(index)
    }

    fn received(
        &mut self,
        index: usize,
        result: io::Result<usize>,
        buffer: Option<u16>,
        more: bool,
    ) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        connection.receiving = more;
        match (result, buffer) {
            (Ok(to), Some(buffer)) if to > 0 => {
                let from = 0;
                connection.pieces.push_back(Piece { buffer, from, to });
                let first = connection.pieces.len() == 1;
                if !more {
                    self.arm_receive(index)?;
                }
                if first { self.go_on(index) } else { Ok(()) }
            }
            (Err(error), _) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.starved.push(index);
                Ok(())
            }
            (Err(error), _) if error.raw_os_error() == Some(libc::EINVAL) => Err(io::Error::other(
                "the kernel's io_uring has no multishot receive: 6.0 is needed",
            )),
            // The end of the stream; or the client is gone, and sees itself what it did not get.
            (_, buffer) => {
                connection.ended = true;
                let idle = connection.pieces.is_empty();
                if let Some(buffer) = buffer {
                    self.buffers.put(buffer);
                }
                if idle { self.go_on(index) } else { Ok(()) }
            }
        }
    }

    fn sent(&mut self, index: usize, result: io::Result<usize>) -> io::Result<()> {
        let Some(connection) = &mut self.connections[index] else {
            return Ok(());
        };
        match result {
            Ok(sent) => {
                if let Some(piece) = connection.pieces.front_mut() {
                    piece.from += sent;
                    if piece.from == piece.to {
                        self.buffers.put(piece.buffer);
                        connection.pieces.pop_front();
                    }
                }
            }
            Err(_) => {
                for piece in connection.pieces.drain(..) {
                    self.buffers.put(piece.buffer);
                }
                // Ends the receive; fails where the client has gone, which has ended it.
                let _ended = rustix::net::shutdown(&connection.socket, Shutdown::Both);
            }
        }
        self.go_on(index)
    }
}
