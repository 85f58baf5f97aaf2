//! What connections need of a stream.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;

use crate::future::Future;
use crate::net::{TcpStream, UnixStream};

/// What a connection needs of a stream.
pub(crate) trait Transport: Send + Sync + 'static {
    fn poll_receive(&self, waker: &Waker) -> Poll<Result<Bytes, Arc<str>>>;
    fn send(&self, pieces: Vec<Bytes>) -> Future<()>;
    /// As `send`; `None` if the kernel has all of it already.
    fn send_at_once(&self, pieces: Vec<Bytes>) -> Option<Future<()>> {
        Some(self.send(pieces)).filter(|sent| !sent.is_ready())
    }
    fn shutdown(&self) -> Future<()>;
    /// Sends these, and the end behind them: where it can, together. `None` as in `send_at_once`.
    fn send_and_shut_down(&self, pieces: Vec<Bytes>) -> Option<Future<()>> {
        let sent = self.send_at_once(pieces);
        self.shutdown().detach();
        sent
    }
    fn abort(&self);
    /// Has the peer told by a reset, when this is dropped, that it is not the end.
    fn reset(&self);
    /// Where the peer is, if it is at an IP address.
    fn peer_ip(&self) -> Option<IpAddr>;
}

macro_rules! transport {
    ($stream:ty, $peer_ip:expr) => {
        impl Transport for $stream {
            fn poll_receive(&self, waker: &Waker) -> Poll<Result<Bytes, Arc<str>>> {
                self.poll_receive(waker)
            }

            fn send(&self, mut pieces: Vec<Bytes>) -> Future<()> {
                match pieces.len() {
                    1 => self.send(pieces.swap_remove(0)),
                    _ => self.send_vectored(pieces),
                }
            }

            fn send_at_once(&self, mut pieces: Vec<Bytes>) -> Option<Future<()>> {
                match pieces.len() {
                    1 => self.send_at_once(pieces.swap_remove(0)),
                    _ => Some(self.send_vectored(pieces)).filter(|sent| !sent.is_ready()),
                }
            }

            fn shutdown(&self) -> Future<()> {
                self.shutdown()
            }

            fn send_and_shut_down(&self, pieces: Vec<Bytes>) -> Option<Future<()>> {
                self.send_and_shut_down(pieces)
            }

            fn abort(&self) {
                self.abort();
            }

            fn reset(&self) {
                self.reset();
            }

            fn peer_ip(&self) -> Option<IpAddr> {
                ($peer_ip)(self)
            }
        }
    };
}

transport!(TcpStream, |stream: &TcpStream| {
    stream.peer_address().ok().map(|address| address.ip())
});
transport!(UnixStream, |_: &UnixStream| None);
