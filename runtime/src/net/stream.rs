//! A TCP stream, as its users see it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use rustix::net::sockopt;

use super::acceptor::Accepted;
use super::connection::{Connection, connect};
use super::socket::{Home, any_address, set_keepalive, to_address};
use crate::future::Future;
use crate::reactor::Socket;

/// A TCP connection.
///
/// All methods take `&self`: one process may read while another one writes, over an `Arc`.
///
/// # Drop
///
/// What was given to [`send`](Self::send) still goes out; then the connection is closed. What had arrived and nobody took is lost, and
/// the peer may be told so by a reset.
///
/// ```
/// use libprocess::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let client = TcpStream::connect(listener.local_address()?).get()?;
/// let server = listener.accept().get()?;
/// client.send("to be").detach();
/// client.send(" continued").get()?;
/// client.shutdown().get()?;
/// let mut all = Vec::new();
/// loop {
///     let bytes = server.receive().get()?;
///     if bytes.is_empty() {
///         break; // the end of the stream
///     }
///     all.extend_from_slice(&bytes);
/// }
/// assert_eq!(all, b"to be continued");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TcpStream {
    shared: Arc<Connection>,
}

impl TcpStream {
    /// Connects to an address. The future fails as the operating system says, mostly `Connection refused`, after its own time-out where nobody answers: see
    /// [`connect_timeout`](Self::connect_timeout). To discard it gives the connection up.
    ///
    /// ```
    /// use libprocess::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let stream = TcpStream::connect(listener.local_address()?).get()?;
    /// assert_eq!(stream.peer_address()?, listener.local_address()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(address: SocketAddr) -> Future<Self> {
        Self::connect_in(Home::current(), address)
    }

    fn connect_in(home: Home, address: SocketAddr) -> Future<Self> {
        connect(home, any_address(address), address.to_string()).then(|shared| Self { shared })
    }

    /// Looks a name up, as [`lookup`](super::lookup) does, and connects to the first of its addresses that answers. Fails with what the last of them said.
    ///
    /// ```
    /// use libprocess::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let port = listener.local_address()?.port();
    /// let stream = TcpStream::connect_host("localhost", port).get()?;
    /// assert_eq!(stream.peer_address()?.port(), port);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_host(host: impl Into<String>, port: u16) -> Future<Self> {
        let home = Home::current();
        super::lookup(host, port)
            .then(|addresses: Vec<SocketAddr>| Self::connect_to_one_of(home, addresses.into_iter()))
    }

    fn connect_to_one_of(home: Home, mut addresses: vec::IntoIter<SocketAddr>) -> Future<Self> {
        let Some(first) = addresses.next() else {
            return Future::failed("connect: there is no address");
        };
        let connected = Self::connect_in(home.clone(), first);
        if addresses.as_slice().is_empty() {
            return connected;
        }
        connected.repair(move |_| Self::connect_to_one_of(home, addresses))
    }

    /// As [`connect`](Self::connect), and fails if that takes longer, by the runtime's clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let time = Duration::from_secs(5);
    /// let stream = TcpStream::connect_timeout(listener.local_address()?, time).get()?;
    /// # drop(stream);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_timeout(address: SocketAddr, time: Duration) -> Future<Self> {
        Self::connect(address).after(time, move |connecting: Future<Self>| {
            connecting.discard();
            Future::<Self>::failed(format!("connect to {address}: no answer within {time:?}"))
        })
    }

    /// The next bytes, as many as have come, at least one; none at the end of the stream, and from then on.
    ///
    /// Several may wait: each piece goes to the one that asked first.
    ///
    /// # Cost
    ///
    /// One allocation, for the bytes: the future's memory is that of the one before, once that is gone.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// # let server = listener.accept().get()?;
    /// server.send("hello").get()?;
    /// assert_eq!(client.receive().get()?, "hello");
    /// drop(server);
    /// assert_eq!(client.receive().get()?, "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receive(&self) -> Future<Bytes> {
        self.shared.receive()
    }

    /// Ends it at once: what was given to `send` and is not with the kernel does not go out.
    pub(crate) fn abort(&self) {
        self.shared.abort();
    }

    /// Has the peer told, when this is dropped with nothing under way, by a reset that it is not the end, where its protocol has that.
    pub(crate) fn reset(&self) {
        self.shared.reset();
    }

    /// As [`send`](Self::send); `None` if the kernel has it already.
    pub(crate) fn send_at_once(&self, data: Bytes) -> Option<Future<()>> {
        self.shared.send_at_once(data)
    }

    pub(crate) fn poll_receive(&self, waker: &Waker) -> Poll<Result<Bytes, Arc<str>>> {
        self.shared.poll_receive(waker)
    }

    /// Sends all of the data, behind that of earlier calls. Ready when the kernel has taken it.
    ///
    /// What waits here has no bound: who sends without waiting for the futures fills memory where the peer is slow.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// # let server = listener.accept().get()?;
    /// client.send("hello").get()?;
    /// # assert_eq!(server.receive().get()?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, data: impl Into<Bytes>) -> Future<()> {
        self.shared.send_piece(data.into())
    }

    /// Sends all of several pieces, as [`send`](Self::send) would if they were one: a header and a body, say, without copying them together. They go out in one call of the kernel, if
    /// they are no more than 64 and it takes them.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// # let server = listener.accept().get()?;
    /// client.send_vectored(["to be", " continued"]).get()?;
    /// assert_eq!(server.receive().get()?, "to be continued");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_vectored<T: Into<Bytes>>(&self, pieces: impl IntoIterator<Item = T>) -> Future<()> {
        // Before anything is locked: what makes the pieces is not ours.
        let pieces: Vec<Bytes> = pieces.into_iter().map(Into::into).collect();
        self.shared.send(pieces)
    }

    /// Tells the peer that nothing more will be sent, behind what was. It is still possible to receive.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// # let server = listener.accept().get()?;
    /// client.shutdown().get()?;
    /// assert_eq!(server.receive().get()?, "");
    /// server.send("still there").get()?;
    /// assert_eq!(client.receive().get()?, "still there");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self) -> Future<()> {
        self.shared
            .send_and_shut_down([])
            .unwrap_or_else(Future::done)
    }

    pub(crate) fn send_and_shut_down(&self, pieces: Vec<Bytes>) -> Option<Future<()>> {
        self.shared.send_and_shut_down(pieces)
    }

    /// This side's address.
    ///
    /// # Errors
    ///
    /// The operating system does not tell.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// assert!(client.local_address()?.ip().is_loopback());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        to_address(rustix::net::getsockname(self.shared.socket.descriptor())?)
    }

    /// The other side's address.
    ///
    /// # Errors
    ///
    /// The operating system does not tell, as when the connection is broken.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// assert_eq!(client.peer_address()?, listener.local_address()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        let address = rustix::net::getpeername(self.shared.socket.descriptor())?;
        to_address(address.ok_or(io::ErrorKind::NotConnected)?)
    }

    /// Whether small pieces are sent at once (`TCP_NODELAY`) rather than put together while others are on their way.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// client.set_nodelay(true)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(
            self.shared.socket.descriptor(),
            on,
        )?)
    }

    /// Has the kernel ask a silent peer after this time whether it is still there; `None`: never.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// client.set_keepalive(Some(Duration::from_secs(60)))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_keepalive(&self, after: Option<Duration>) -> io::Result<()> {
        let descriptor = self.shared.socket.descriptor();
        if let Some(after) = after {
            sockopt::set_tcp_keepidle(descriptor, after)?;
        }
        Ok(sockopt::set_socket_keepalive(descriptor, after.is_some())?)
    }

    /// Has the kernel break the connection when the peer's has acknowledged nothing for this time: neither what was sent, nor the questions whether it is there, which it is asked several times in
    /// it while it is silent. Whole seconds; less than a second counts as one.
    ///
    /// (`TCP_USER_TIMEOUT`, RFC 5482, and keep-alive probes.)
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// # let client = TcpStream::connect(listener.local_address()?).get()?;
    /// client.set_peer_timeout(Duration::from_secs(30))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_peer_timeout(&self, time: Duration) -> io::Result<()> {
        let descriptor = self.shared.socket.descriptor();
        let seconds = set_keepalive(descriptor, time)?;
        Ok(sockopt::set_tcp_user_timeout(descriptor, seconds * 1_000)?)
    }
}

impl Accepted for TcpStream {
    fn of_accepted(home: Home, descriptor: OwnedFd) -> Self {
        Self {
            shared: Connection::new(home, Socket::tcp(descriptor)),
        }
    }
}

impl std::fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local_address().ok())
            .field("peer", &self.peer_address().ok())
            .finish()
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.shared.close();
    }
}
