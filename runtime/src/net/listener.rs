//! TCP sockets that listen, and how they are set up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use rustix::net::sockopt;

use super::TcpStream;
use super::acceptor::Acceptor;
use super::socket::{Home, any_address, set_keepalive, socket_for, to_address};
use crate::future::Future;
use crate::process::manager::ProcessManager;

/// How many connections the kernel keeps that nobody has accepted yet, unless told.
const BACKLOG: u32 = 1024;

/// A TCP socket that accepts connections.
///
/// # Drop
///
/// The socket is closed, with the connections that nobody accepted; futures of [`accept`](Self::accept) are abandoned.
///
/// ```
/// use libprocess::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("[::1]:0".parse()?)?;
/// let client = TcpStream::connect(listener.local_address()?).get()?;
/// let server = listener.accept().get()?;
/// assert_eq!(server.peer_address()?, client.local_address()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TcpListener(Acceptor<TcpStream>);

impl TcpListener {
    /// Listens at an address, as [`ListenOptions`] have it that nobody has changed; port 0 has the operating system choose one, which
    /// [`local_address`](Self::local_address) tells.
    ///
    /// # Errors
    ///
    /// As the operating system says: the address is in use, or is not of this machine, or the port is for the privileged.
    ///
    /// ```
    /// use libprocess::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// assert!(TcpListener::bind(listener.local_address()?).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        ListenOptions::new().bind(address)
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// The operating system does not tell.
    ///
    /// ```
    /// let listener = libprocess::net::TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// assert_ne!(listener.local_address()?.port(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        to_address(rustix::net::getsockname(self.0.socket().descriptor())?)
    }

    /// The next connection. Several may wait: the one that asked first is given the first that is told of. Workers tell of what they find each for itself: of
    /// connections that come close together a later one may be given before an earlier one. Who must know which one it has asks the peer.
    ///
    /// While the process has no descriptor left it waits, rather than fails.
    ///
    /// ```
    /// # use libprocess::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let accepted = listener.accept();
    /// let client = TcpStream::connect(listener.local_address()?).get()?;
    /// assert_eq!(accepted.get()?.peer_address()?, client.local_address()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(&self) -> Future<TcpStream> {
        self.0.accept()
    }

    pub(crate) fn poll_accept(&self, waker: &Waker) -> Poll<Result<TcpStream, Arc<str>>> {
        self.0.poll_accept(waker)
    }
}

impl std::fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local_address().ok())
            .finish()
    }
}

/// How a TCP socket listens.
///
/// ```
/// use libprocess::net::ListenOptions;
///
/// let listener = ListenOptions::new()
///     .backlog(4096)
///     .nodelay(true)
///     .bind("127.0.0.1:0".parse()?)?;
/// # drop(listener);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing listens until `bind`"]
pub struct ListenOptions {
    backlog: u32,
    reuse_address: bool,
    reuse_port: bool,
    nodelay: bool,
    keepalive: Option<Duration>,
}

impl ListenOptions {
    /// A backlog of 1,024, an address that may have been in use a moment ago, and nothing else.
    ///
    /// ```
    /// let options = libprocess::net::ListenOptions::new();
    /// # let _ = options;
    /// ```
    pub fn new() -> Self {
        Self {
            backlog: BACKLOG,
            reuse_address: true,
            reuse_port: false,
            nodelay: false,
            keepalive: None,
        }
    }

    /// How many connections the kernel keeps that nobody has accepted yet; it allows no more than `net.core.somaxconn`. Beyond that, those who connect wait and
    /// try again.
    ///
    /// ```
    /// # use libprocess::net::ListenOptions;
    /// let listener = ListenOptions::new().backlog(16).bind("127.0.0.1:0".parse()?)?;
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Whether the address may have connections from before that have not quite ended (`SO_REUSEADDR`), as after a restart.
    ///
    /// ```
    /// # use libprocess::net::ListenOptions;
    /// let listener = ListenOptions::new().reuse_address(false).bind("127.0.0.1:0".parse()?)?;
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reuse_address(mut self, on: bool) -> Self {
        self.reuse_address = on;
        self
    }

    /// Whether several sockets may listen at the address, all of which say so (`SO_REUSEPORT`): the kernel spreads the connections over them.
    ///
    /// ```
    /// # use libprocess::net::ListenOptions;
    /// let options = ListenOptions::new().reuse_port(true);
    /// let one = options.bind("127.0.0.1:0".parse()?)?;
    /// let other = options.bind(one.local_address()?)?;
    /// # drop(other);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// Whether accepted connections send small pieces at once: as [`TcpStream::set_nodelay`] on each of them, without a call of the kernel for each.
    ///
    /// ```
    /// # use libprocess::net::ListenOptions;
    /// let listener = ListenOptions::new().nodelay(true).bind("127.0.0.1:0".parse()?)?;
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// Listens at an address. Port 0: one that the operating system chooses.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    ///
    /// ```
    /// # use libprocess::net::ListenOptions;
    /// let listener = ListenOptions::new().bind("[::1]:0".parse()?)?;
    /// assert!(listener.local_address()?.is_ipv6());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        self.bind_in(Home::current(), address)
    }

    /// Listens at an address with a socket for each worker, over which the kernel spreads the connections (`SO_REUSEPORT`). What comes to a socket is accepted in its worker's driver, and
    /// whoever waits for it runs there: a process for each listener, and connections are served by all workers without one handing them to the others.
    ///
    /// The kernel spreads by the connections' addresses, whatever the workers have to do: with few connections some have none.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    ///
    /// ```
    /// # use libprocess::net::{ListenOptions, TcpStream};
    /// # use libprocess::{Runtime, spawn_async};
    /// # let runtime = Runtime::builder().workers(2).build()?;
    /// # let spread = runtime.spawn_async(async {
    /// let listeners = ListenOptions::new().bind_per_worker("127.0.0.1:0".parse()?)?;
    /// let address = listeners[0].local_address()?;
    /// let count = listeners.len();
    /// for listener in listeners {
    ///     spawn_async(async move {
    ///         while let Ok(stream) = listener.accept().await {
    ///             stream.send("hello").detach();
    ///         }
    ///     })
    ///     .detach();
    /// }
    /// let client = TcpStream::connect(address).await?;
    /// assert_eq!(client.receive().await?, "hello");
    /// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(count)
    /// # });
    /// # assert_eq!(spread.get()?.expect("listeners"), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind_per_worker(&self, address: SocketAddr) -> io::Result<Vec<TcpListener>> {
        let home = Home::current();
        let options = self.clone().reuse_port(true);
        let first = options.bind_in(home.of_worker(0), address)?;
        // Where it was left to the operating system, the others take what it chose.
        let address = first.local_address()?;
        let mut listeners = vec![first];
        for worker in 1..home.workers() {
            listeners.push(options.bind_in(home.of_worker(worker), address)?);
        }
        Ok(listeners)
    }

    /// As [`bind`](Self::bind), wherever it is called: what is accepted is accepted in that runtime's ports. The port is open from here on; nothing is accepted yet.
    pub(crate) fn bind_for(
        &self,
        manager: &ProcessManager,
        address: SocketAddr,
    ) -> io::Result<TcpListener> {
        self.bind_in(Home::of(manager), address)
    }

    /// Has the kernel ask whether a peer is there that says nothing, and break the accepted connection of one that does not answer for this time. Whole seconds; less than a second counts as one. By default it does not ask.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::net::ListenOptions;
    /// let options = ListenOptions::new().keepalive(Duration::from_secs(30));
    /// let listener = options.bind("127.0.0.1:0".parse()?)?;
    /// # drop(listener);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keepalive(mut self, time: Duration) -> Self {
        self.keepalive = Some(time);
        self
    }

    fn bind_in(&self, home: Home, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = socket_for(&any_address(address))?;
        let descriptor = socket.descriptor();
        sockopt::set_socket_reuseaddr(descriptor, self.reuse_address)?;
        if self.reuse_port {
            sockopt::set_socket_reuseport(descriptor, true)?;
        }
        if self.nodelay {
            // Linux hands it on to what is accepted.
            sockopt::set_tcp_nodelay(descriptor, true)?;
        }
        if let Some(time) = self.keepalive {
            // As above.
            set_keepalive(descriptor, time)?;
        }
        rustix::net::bind(descriptor, &any_address(address))?;
        rustix::net::listen(descriptor, i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(TcpListener(Acceptor::new(home, socket)))
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}
