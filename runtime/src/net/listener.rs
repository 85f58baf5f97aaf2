//! A listening socket: connections that came, and who waits for one.
//!
//! As a stream's inbound side: an accept is under way while somebody waits, and where the driver can it stays so; what comes
//! while nobody waits is kept for the next one, and beyond [`KEPT`] the kernel's backlog keeps it.
//!
//! Where the process has no descriptor left an accept fails, and would fail again at once: the listener rests for [`REST`], and those who wait go on waiting.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::sockopt;

use super::TcpStream;
use super::socket::{Begun, Home, any_address, failure, socket_for, to_address};
use super::waiting::Waiting;
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::reactor::{Action, Completed, Handler, Outcome, Socket};

/// How many connections are kept for `accept`s to come.
const KEPT: usize = 64;
/// How many the kernel keeps beyond those, unless it allows fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;
/// How long nothing is accepted where there are no descriptors.
const REST: Duration = Duration::from_millis(50);

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
pub struct TcpListener {
    shared: Arc<Shared>,
}

struct Shared {
    home: Home,
    socket: Arc<Socket>,
    state: Mutex<State>,
}

struct State {
    kept: VecDeque<OwnedFd>,
    waiting: Waiting<TcpStream>,
    failed: Option<Arc<str>>,
}

impl TcpListener {
    /// Listens at an address; port 0 has the operating system choose one, which [`local_address`](Self::local_address) tells. The address may have been in use
    /// a moment ago (`SO_REUSEADDR`).
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
        let home = Home::current();
        let socket = socket_for(address)?;
        sockopt::set_socket_reuseaddr(socket.descriptor(), true)?;
        rustix::net::bind(socket.descriptor(), &any_address(address))?;
        rustix::net::listen(socket.descriptor(), BACKLOG)?;
        let state = State {
            kept: VecDeque::new(),
            waiting: Waiting::new(),
            failed: None,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                home,
                socket,
                state: Mutex::new(state),
            }),
        })
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
        to_address(rustix::net::getsockname(self.shared.socket.descriptor())?)
    }

    /// The next connection. Several may wait: the one that asked first is given the first.
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
        self.shared.accept()
    }
}

impl std::fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local_address().ok())
            .finish()
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let (accept, waiting, kept) = {
            let mut state = lock_std(&self.shared.state);
            let kept = std::mem::take(&mut state.kept);
            (state.waiting.close(), state.waiting.take_all(), kept)
        };
        if let Some(begun) = accept {
            self.shared.home.cancel(begun, &self.shared.socket);
        }
        // Abandoned, and closed.
        drop((waiting, kept));
    }
}

impl Shared {
    fn stream(&self, descriptor: OwnedFd) -> TcpStream {
        TcpStream::of_accepted(self.home.clone(), Socket::new(descriptor))
    }

    fn accept(self: &Arc<Self>) -> Future<TcpStream> {
        let (accepted, number, begin) = {
            let mut state = lock_std(&self.state);
            if let Some(descriptor) = state.kept.pop_front() {
                drop(state);
                return Future::ready(self.stream(descriptor));
            }
            if let Some(reason) = &state.failed {
                return Future::failed(Arc::clone(reason));
            }
            let (promise, accepted) = Promise::pair();
            let number = state.waiting.push(promise);
            (accepted, number, state.waiting.next_place(&self.home))
        };
        let of_discard = Arc::downgrade(self);
        accepted.on_cancelled(move || {
            let shared = of_discard.upgrade();
            let promise = shared.and_then(|shared| lock_std(&shared.state).waiting.take(number));
            if let Some(promise) = promise {
                promise.discard();
            }
        });
        if let Some(place) = begin {
            self.begin_accept(place);
        }
        accepted
    }

    fn begin_accept(self: &Arc<Self>, place: Begun) {
        let handler = Arc::clone(self) as _;
        let done = self
            .home
            .begin(place, &self.socket, Action::Accept, handler);
        if let Some(completed) = done {
            return Arc::clone(self).complete(completed);
        }
        let closed = lock_std(&self.state).waiting.is_closed();
        if closed {
            self.home.cancel(place, &self.socket);
        }
    }

    fn begin_again(self: &Arc<Self>) {
        let begin = {
            let mut state = lock_std(&self.state);
            state.waiting.end_rest();
            state.waiting.next_place(&self.home)
        };
        if let Some(place) = begin {
            self.begin_accept(place);
        }
    }

    fn rest(self: &Arc<Self>, error: &io::Error) {
        tracing::warn!(%error, "no connection can be accepted for now");
        let shared = Arc::downgrade(self);
        self.home
            .clock()
            .sleep(REST)
            .on_any(move |_| {
                if let Some(shared) = shared.upgrade() {
                    shared.begin_again();
                }
            })
            .clone()
            .detach();
    }
}

impl Handler for Shared {
    /// In any order: a connection is as good as another.
    fn complete(self: Arc<Self>, completed: Completed) {
        let Completed { result, more, .. } = completed;
        let mut given = None;
        let mut failed = Vec::new();
        let mut rest = None;
        let (cancel, begin) = {
            let mut state = lock_std(&self.state);
            let goes_on = state.waiting.completed(more);
            let cancel = goes_on.filter(|_| state.kept.len() >= KEPT);
            match result {
                Ok(Outcome::Accepted(descriptor)) => match state.waiting.pop() {
                    Some(promise) => given = Some((promise, descriptor)),
                    None if state.waiting.is_closed() => {}
                    None => state.kept.push_back(descriptor),
                },
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        state.waiting.rest();
                        rest = Some(error);
                    }
                    // That connection's own affair, of which accept(2) tells; the next one may be better.
                    Some(
                        libc::ECANCELED
                        | libc::ECONNABORTED
                        | libc::EPROTO
                        | libc::ENETDOWN
                        | libc::ENOPROTOOPT
                        | libc::EHOSTDOWN
                        | libc::ENONET
                        | libc::EHOSTUNREACH
                        | libc::EOPNOTSUPP
                        | libc::ENETUNREACH
                        | libc::EPERM,
                    ) => {}
                    _ => {
                        let reason: Arc<str> = Arc::from(failure("accept", &error));
                        state.failed = Some(Arc::clone(&reason));
                        let waiting = state.waiting.take_all();
                        failed.extend(waiting.map(|promise| (promise, reason.clone())));
                    }
                },
            }
            (cancel, state.waiting.next_place(&self.home))
        };
        if let Some(begun) = cancel {
            self.home.cancel(begun, &self.socket);
        }
        if let Some((promise, descriptor)) = given {
            promise.set(self.stream(descriptor));
        }
        for (promise, reason) in failed {
            promise.fail(reason);
        }
        if let Some(error) = rest {
            self.rest(&error);
        }
        if let Some(place) = begin {
            self.begin_accept(place);
        }
    }
}
