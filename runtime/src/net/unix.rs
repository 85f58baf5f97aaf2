//! Unix stream sockets: as TCP, within one machine, at a path.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::acceptor::{Accepted, Acceptor};
use super::connection::{Connection, connect};
use super::socket::{Home, failure, socket_for};
use crate::future::Future;
use crate::reactor::Socket;

/// How many connections the kernel keeps that nobody has accepted yet, unless it allows fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;

/// A unix socket that accepts connections.
///
/// # Drop
///
/// As that of a [`TcpListener`](super::TcpListener). The file stays, as the operating system has it: who wants the path again removes it first.
///
/// ```
/// use libprocess::net::{UnixListener, UnixStream};
///
/// let path = std::env::temp_dir().join(format!("libprocess-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let client = UnixStream::connect(&path).get()?;
/// let server = listener.accept().get()?;
/// client.send("hello").detach();
/// assert_eq!(server.receive().get()?, "hello");
/// std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixListener(Acceptor<UnixStream>);

impl UnixListener {
    /// Listens at a path, where a file is made.
    ///
    /// # Errors
    ///
    /// As the operating system says: there is a file at the path, or none can be made, or the path is too long (107 bytes).
    ///
    /// ```
    /// # use libprocess::net::UnixListener;
    /// let path = std::env::temp_dir().join(format!("libprocess-bind-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path)?;
    /// assert!(UnixListener::bind(&path).is_err());
    /// # std::fs::remove_file(path)?;
    /// # drop(listener);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let home = Home::current();
        let address = SocketAddrUnix::new(path.as_ref())?;
        let socket = socket_for(&address.clone().into())?;
        rustix::net::bind(socket.descriptor(), &address)?;
        rustix::net::listen(socket.descriptor(), BACKLOG)?;
        Ok(Self(Acceptor::new(home, socket)))
    }

    /// The next connection; as [`TcpListener::accept`](super::TcpListener::accept).
    ///
    /// ```
    /// # use libprocess::net::{UnixListener, UnixStream};
    /// # let path = std::env::temp_dir().join(format!("libprocess-accept-{}", std::process::id()));
    /// # let listener = UnixListener::bind(&path)?;
    /// let accepted = listener.accept();
    /// let client = UnixStream::connect(&path).get()?;
    /// let server = accepted.get()?;
    /// # drop((client, server));
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(&self) -> Future<UnixStream> {
        self.0.accept()
    }

    pub(crate) fn poll_accept(&self, waker: &Waker) -> Poll<Result<UnixStream, Arc<str>>> {
        self.0.poll_accept(waker)
    }
}

impl std::fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnixListener").finish_non_exhaustive()
    }
}

/// A connection over a unix socket.
///
/// Its methods are those of a [`TcpStream`](super::TcpStream), and so is what its drop does.
///
/// ```
/// use libprocess::net::UnixStream;
///
/// let (one, other) = UnixStream::pair()?;
/// one.send_vectored(["to be", " continued"]).get()?;
/// assert_eq!(other.receive().get()?, "to be continued");
/// one.shutdown().get()?;
/// assert_eq!(other.receive().get()?, "");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixStream {
    shared: Arc<Connection>,
}

impl UnixStream {
    /// Connects to a path. Where the listener's backlog is full it waits, until the future is discarded.
    ///
    /// # Errors
    ///
    /// The future fails as the operating system says: there is no such file, or nobody listens.
    ///
    /// ```
    /// let nobody = libprocess::net::UnixStream::connect("/nonexistent").get();
    /// assert!(nobody.is_err_and(|error| error.to_string().contains("/nonexistent")));
    /// ```
    pub fn connect(path: impl AsRef<Path>) -> Future<Self> {
        let path = path.as_ref();
        let text = path.display().to_string();
        match SocketAddrUnix::new(path) {
            Ok(address) => {
                connect(Home::current(), address.into(), text).then(|shared| Self { shared })
            }
            Err(error) => Future::failed(failure(&format!("connect to {text}"), &error.into())),
        }
    }

    /// Two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
    ///
    /// ```
    /// # use libprocess::net::UnixStream;
    /// let (one, other) = UnixStream::pair()?;
    /// drop(one);
    /// assert_eq!(other.receive().get()?, "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
        let (one, other) = rustix::net::socketpair(family, SocketType::STREAM, flags, None)?;
        let home = Home::current();
        let stream = |descriptor| Self::of_accepted(home.clone(), descriptor);
        Ok((stream(one), stream(other)))
    }

    /// The next bytes; as [`TcpStream::receive`](super::TcpStream::receive).
    ///
    /// ```
    /// # let (one, other) = libprocess::net::UnixStream::pair()?;
    /// one.send("hello").get()?;
    /// assert_eq!(other.receive().get()?, "hello");
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

    /// Sends all of the data; as [`TcpStream::send`](super::TcpStream::send).
    ///
    /// ```
    /// # let (one, other) = libprocess::net::UnixStream::pair()?;
    /// one.send("hello").get()?;
    /// # drop(other);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, data: impl Into<Bytes>) -> Future<()> {
        self.shared.send_piece(data.into())
    }

    /// Sends all of several pieces; as [`TcpStream::send_vectored`](super::TcpStream::send_vectored).
    ///
    /// ```
    /// # let (one, other) = libprocess::net::UnixStream::pair()?;
    /// one.send_vectored(["he", "llo"]).get()?;
    /// assert_eq!(other.receive().get()?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_vectored<T: Into<Bytes>>(&self, pieces: impl IntoIterator<Item = T>) -> Future<()> {
        // Before anything is locked: what makes the pieces is not ours.
        let pieces: Vec<Bytes> = pieces.into_iter().map(Into::into).collect();
        self.shared.send(pieces)
    }

    /// Tells the peer that nothing more will be sent; as [`TcpStream::shutdown`](super::TcpStream::shutdown).
    ///
    /// ```
    /// # let (one, other) = libprocess::net::UnixStream::pair()?;
    /// one.shutdown().get()?;
    /// assert_eq!(other.receive().get()?, "");
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
}

impl Accepted for UnixStream {
    fn of_accepted(home: Home, descriptor: OwnedFd) -> Self {
        Self {
            shared: Connection::new(home, Socket::unix(descriptor)),
        }
    }
}

impl std::fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnixStream").finish_non_exhaustive()
    }
}

impl Drop for UnixStream {
    fn drop(&mut self) {
        self.shared.close();
    }
}
