//! One request and its answer, which is the same bytes.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::io::{Errno, Result};
use rustix::net::{RecvFlags, SendFlags};

/// Requests that follow each other differ; one that has as many behind it as this is as it was. A prime: no size is a multiple of it.
const CYCLE: usize = 251;

/// What requests have in them. Made before, so that none costs its making.
pub(super) struct Bodies {
    pattern: Vec<u8>,
    size: usize,
}

impl Bodies {
    pub(super) fn new(size: usize) -> Self {
        let pattern = (0..size + CYCLE).map(|index| (index % CYCLE) as u8);
        Self {
            pattern: pattern.collect(),
            size,
        }
    }

    fn of(&self, number: u64) -> &[u8] {
        let from = (number % CYCLE as u64) as usize;
        &self.pattern[from..from + self.size]
    }
}

/// A request that is under way.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    number: u64,
    pub(super) begun: Instant,
    sent: usize,
    received: usize,
}

/// What arrived, compared with what was to.
#[derive(Default)]
pub(super) struct Piece {
    /// It has other bytes.
    pub(super) differs: bool,
    /// Bytes behind the last one of the answer.
    pub(super) surplus: usize,
    /// The answer is complete.
    pub(super) last: bool,
}

impl Exchange {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            begun: Instant::now(),
            sent: 0,
            received: 0,
        }
    }

    /// Sends what the socket takes, and tells whether that was all.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, bodies: &Bodies) -> Result<bool> {
        let body = bodies.of(self.number);
        while self.sent < body.len() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(socket, &body[self.sent..], flags) {
                Ok(sent) => self.sent += sent,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Receives one piece, if one is there.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        bodies: &Bodies,
        buffer: &mut [u8],
    ) -> Result<Piece> {
        let received = match rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            // A server that closes what it has not answered has lost the request.
            Ok((0, _)) => return Err(Errno::CONNRESET),
            Ok((received, _)) => &buffer[..received],
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Piece::default()),
            Err(error) => return Err(error),
        };
        Ok(self.take(received, bodies))
    }

    fn take(&mut self, received: &[u8], bodies: &Bodies) -> Piece {
        let expected = &bodies.of(self.number)[self.received..];
        let (answer, surplus) = received.split_at(received.len().min(expected.len()));
        self.received += answer.len();
        Piece {
            differs: answer != &expected[..answer.len()],
            surplus: surplus.len(),
            last: answer.len() == expected.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_come_in_pieces() {
        let bodies = Bodies::new(5);
        let mut exchange = Exchange::new(7);
        let piece = exchange.take(&[7, 8], &bodies);
        assert!(!piece.differs && !piece.last);
        let piece = exchange.take(&[9, 10, 11], &bodies);
        assert!(!piece.differs && piece.last && piece.surplus == 0);
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let bodies = Bodies::new(3);
        assert!(Exchange::new(0).take(&[0, 2], &bodies).differs);
        assert!(Exchange::new(1).take(&[0, 1, 2], &bodies).differs);
        let piece = Exchange::new(0).take(&[0, 1, 2, 3], &bodies);
        assert!(piece.last && piece.surplus == 1);
    }
}
