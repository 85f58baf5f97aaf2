//! Servers: listeners whose connections are served.

use std::collections::HashMap;
use std::future::{Future as StdFuture, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::StatusCode;
use rustc_hash::FxHashMap;

use super::Transport;
use super::answers::OrderedAnswers;
use super::connection::{Connection, Service};
use crate::clock::Clock;
use crate::exchange::{Limits, Refusal, Request, Responder, Response, text};
use crate::facade::lock_std;
use crate::functions::{clock, spawn_async, spawn_unwatched};
use crate::future::{Future, Promise, ValueOrFuture};
use crate::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use crate::process::asynchronous::Task;
use crate::process::guarded;

/// Connections beyond the limit that are told so, at a time; what is beyond that, too, is closed without a word.
const REFUSED: usize = 64;

/// A server of its own listener, for what is no process: each request is handed to one function.
///
/// # Drop
///
/// Nothing more is accepted, and the connections are closed at once: see [`stop`](Self::stop) for the gentle way.
///
/// ```
/// use std::time::Duration;
/// use libprocess::http::{Request, Server, ok};
/// use libprocess::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let server = Server::new(listener, |request: &Request| {
///     ok(format!("you asked for {}", request.uri().path()))
/// });
/// let running = server.run();
/// // …
/// server.stop(Duration::from_secs(5)).get()?;
/// running.get()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    core: Arc<dyn Core>,
}

/// Where a [`Server`] accepts.
#[derive(Debug)]
pub enum Listener {
    /// Over TCP.
    Tcp(TcpListener),
    /// Over a unix socket.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl Server {
    /// A server that accepts from the listener once it [runs](Self::run). The handler is called in the connection's process, one request at a time; what
    /// takes long belongs into the future that it gives.
    ///
    /// ```
    /// # use libprocess::http::{Request, Server, ok};
    /// # use libprocess::net::TcpListener;
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let server = Server::new(listener, |_request: &Request| ok("hello"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new<F, R, K>(listener: impl Into<Listener>, handler: F) -> Self
    where
        F: Fn(&Request) -> R + Send + Sync + 'static,
        R: ValueOrFuture<Response, K> + 'static,
        K: 'static,
    {
        Self::with_limits(listener, Limits::new(), handler)
    }

    /// As [`new`](Self::new), with limits of its own.
    ///
    /// ```
    /// # use libprocess::http::{Limits, Request, Server, ok};
    /// # use libprocess::net::TcpListener;
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let limits = Limits::new().body_bytes(1 << 10);
    /// let server = Server::with_limits(listener, limits, |_request: &Request| ok("hello"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_limits<F, R, K>(listener: impl Into<Listener>, limits: Limits, handler: F) -> Self
    where
        F: Fn(&Request) -> R + Send + Sync + 'static,
        R: ValueOrFuture<Response, K> + 'static,
        K: 'static,
    {
        let service = function(handler);
        Self::of_service(listener.into(), limits, service)
    }

    pub(crate) fn of_service<S: Service>(listener: Listener, limits: Limits, service: S) -> Self {
        Self {
            core: Arc::new(Inner {
                service: Arc::new(service),
                limits: Arc::new(limits),
                clock: clock(),
                state: Mutex::new(State {
                    listener: Some(listener),
                    ..State::default()
                }),
            }),
        }
    }

    /// Accepts connections, and serves them, until the server is [stopped](Self::stop): then the future is ready. It fails if nothing can be accepted any more. To discard it is to
    /// stop at once.
    ///
    /// A server runs once: to ask again gives a future that fails.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::http::{Request, Server, ok};
    /// # use libprocess::net::TcpListener;
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let server = Server::new(listener, |_request: &Request| ok("hello"));
    /// let running = server.run();
    /// assert!(server.run().get().is_err());
    /// server.stop(Duration::ZERO).get()?;
    /// running.get()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run(&self) -> Future<()> {
        Arc::clone(&self.core).run()
    }

    /// Accepts nothing more, has each connection answer what it has taken, and closes it. Connections that have not ended after the time of grace are closed as they are. Ready when
    /// there are none.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use libprocess::http::{Request, Server, ok};
    /// # use libprocess::net::TcpListener;
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let server = Server::new(listener, |_request: &Request| ok("hello"));
    /// server.run().detach();
    /// server.stop(Duration::from_secs(5)).get()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&self, grace: Duration) -> Future<()> {
        Arc::clone(&self.core).stop(grace)
    }

    /// Where it listens, if that is over TCP.
    ///
    /// # Errors
    ///
    /// The operating system does not tell; or it is a unix socket, or the server has been told to run, and the listener is gone.
    ///
    /// ```
    /// # use libprocess::http::{Request, Server, ok};
    /// # use libprocess::net::TcpListener;
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let server = Server::new(listener, |_request: &Request| ok("hello"));
    /// assert_ne!(server.local_address()?.port(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.core.local_address()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.core.close();
    }
}

/// Serves one connection, that came in some other way: ready when it has ended. To discard the future closes it.
///
/// ```
/// use libprocess::http::{Limits, Request, ok, serve};
/// use libprocess::net::UnixStream;
///
/// let (client, server) = UnixStream::pair()?;
/// let served = serve(server, Limits::new(), |_request: &Request| ok("hello"));
/// client.send("GET / HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n").get()?;
/// let answer = client.receive().get()?;
/// assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
/// served.get()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn serve<F, R, K>(stream: impl Into<Stream>, limits: Limits, handler: F) -> Future<()>
where
    F: Fn(&Request) -> R + Send + Sync + 'static,
    R: ValueOrFuture<Response, K> + 'static,
    K: 'static,
{
    let service = Arc::new(function(handler));
    let limits = Arc::new(limits);
    match stream.into() {
        Stream::Tcp(stream) => spawn_async(Connection::new(stream, service, limits, clock())),
        Stream::Unix(stream) => spawn_async(Connection::new(stream, service, limits, clock())),
    }
}

/// A connection that can be [served](serve).
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

/// A function as a service.
struct Function<F>(F);

/// A panic of the handler is that request's own affair.
fn function<F, R, K>(handler: F) -> Function<impl Fn(&Request, Responder) + Send + Sync + 'static>
where
    F: Fn(&Request) -> R + Send + Sync + 'static,
    R: ValueOrFuture<Response, K> + 'static,
    K: 'static,
{
    Function(move |request: &Request, responder: Responder| {
        let mut returned = None;
        guarded("the handler of a server", || {
            returned = Some(handler(request).into_returned());
        });
        match returned {
            Some(returned) => responder.give(returned),
            None => responder.set(text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the handler panicked",
            )),
        }
    })
}

impl<F> Service for Function<F>
where
    F: Fn(&Request, Responder) + Send + Sync + 'static,
{
    type Memory = ();

    fn call(&self, request: Request, responder: Responder, (): &mut ()) {
        (self.0)(&request, responder);
    }
}

/// A server whose service is some.
trait Core: Send + Sync + std::fmt::Debug {
    fn run(self: Arc<Self>) -> Future<()>;
    fn stop(self: Arc<Self>, grace: Duration) -> Future<()>;
    fn close(&self);
    fn local_address(&self) -> io::Result<SocketAddr>;
}

struct Inner<S> {
    service: Arc<S>,
    limits: Arc<Limits>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until it runs.
    listener: Option<Listener>,
    accepting: Option<Future<()>>,
    stopping: bool,
    /// No connection is served any more.
    closed: bool,
    /// By numbers that are given here: nobody chooses them so that they collide.
    connections: FxHashMap<u64, Served>,
    next: u64,
    refused: usize,
    /// How many connections there are of an address, where that is bounded. Refused ones do not count.
    of_address: HashMap<IpAddr, usize>,
    /// Who waits for the last connection to end.
    emptied: Vec<Promise<()>>,
}

struct Served {
    answers: Arc<OrderedAnswers>,
    address: Option<IpAddr>,
    is_refused: bool,
    /// Once it is there: the connection may end before.
    task: Option<Task>,
}

impl State {
    /// Takes the connection's part out of what is counted. Gives who is to be told that it was the last, and what is to be dropped once the lock is let go.
    fn remove(&mut self, number: u64) -> (Vec<Promise<()>>, Option<Served>) {
        let served = self.connections.remove(&number);
        if let Some(served) = &served {
            self.refused -= usize::from(served.is_refused);
            if let Some(address) = served.address
                && let Some(count) = self.of_address.get_mut(&address)
            {
                *count -= 1;
                if *count == 0 {
                    self.of_address.remove(&address);
                }
            }
        }
        let emptied = if self.connections.is_empty() {
            std::mem::take(&mut self.emptied)
        } else {
            Vec::new()
        };
        (emptied, served)
    }
}

impl<S: Service> Inner<S> {
    /// Serves a connection, or refuses it.
    fn admit<T: Transport>(self: &Arc<Self>, stream: T, address: Option<IpAddr>) {
        let mut connection = Connection::new(
            stream,
            Arc::clone(&self.service),
            Arc::clone(&self.limits),
            self.clock.clone(),
        );
        let (number, is_refused) = {
            let mut state = lock_std(&self.state);
            let of_address = address.map_or(0, |address| {
                state.of_address.get(&address).copied().unwrap_or(0)
            });
            let is_refused = state.connections.len() - state.refused >= self.limits.connections
                || of_address >= self.limits.connections_per_address;
            if state.stopping || is_refused && state.refused >= REFUSED {
                return;
            }
            let number = state.next;
            state.next += 1;
            state.refused += usize::from(is_refused);
            let address = address.filter(|_| !is_refused);
            if let Some(address) = address {
                *state.of_address.entry(address).or_default() += 1;
            }
            let served = Served {
                answers: connection.answers(),
                address,
                is_refused,
                task: None,
            };
            state.connections.insert(number, served);
            (number, is_refused)
        };
        if is_refused {
            connection.refuse(Refusal::with(
                StatusCode::SERVICE_UNAVAILABLE,
                "there are too many connections",
            ));
        }
        let counted = Counted {
            server: Arc::clone(self),
            number,
        };
        let task = spawn_unwatched(Admitted {
            connection,
            _counted: counted,
        });
        let mut state = lock_std(&self.state);
        let closed = state.closed;
        if let Some(served) = state.connections.get_mut(&number) {
            served.task = Some(task);
        }
        drop(state);
        if closed {
            // Meanwhile, and whoever closed did not see it.
            task.cancel();
        }
    }

    /// Accepts until that fails, and gives the reason.
    async fn accept(self: Arc<Self>, listener: Listener) -> Arc<str> {
        loop {
            match &listener {
                Listener::Tcp(listener) => {
                    let accepted = poll_fn(|cx| listener.poll_accept(cx.waker())).await;
                    let stream = match accepted {
                        Ok(stream) => stream,
                        Err(reason) => return reason,
                    };
                    let address = if self.limits.connections_per_address == usize::MAX {
                        None
                    } else {
                        stream.peer_address().ok().map(|address| address.ip())
                    };
                    self.admit(stream, address);
                }
                Listener::Unix(listener) => {
                    let accepted = poll_fn(|cx| listener.poll_accept(cx.waker())).await;
                    match accepted {
                        Ok(stream) => self.admit(stream, None),
                        Err(reason) => return reason,
                    }
                }
            }
        }
    }
}

/// A connection of the server. No `async` block, which would have room for it twice.
struct Admitted<T: Transport, S: Service> {
    connection: Connection<T, S>,
    /// Dropped behind the connection.
    _counted: Counted<S>,
}

impl<T: Transport, S: Service> StdFuture for Admitted<T, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.get_mut().connection).poll(cx)
    }
}

/// Takes its connection out of the server's table when that ends, however it does.
struct Counted<S: Service> {
    server: Arc<Inner<S>>,
    number: u64,
}

impl<S: Service> Drop for Counted<S> {
    fn drop(&mut self) {
        let (emptied, served) = lock_std(&self.server.state).remove(self.number);
        drop(served);
        for promise in emptied {
            promise.set(());
        }
    }
}

impl<S: Service> Core for Inner<S> {
    fn run(self: Arc<Self>) -> Future<()> {
        let listener = lock_std(&self.state).listener.take();
        let Some(listener) = listener else {
            return Future::failed("the server runs already, or was stopped");
        };
        let (stopped, running) = Promise::pair();
        let server = Arc::clone(&self);
        let accepting = spawn_async(async move {
            // It ends by an error only; stopped, it is dropped.
            let reason = server.accept(listener).await;
            tracing::error!(%reason, "a server accepts no more connections");
            stopped.fail(reason);
        });
        let of_discard = Arc::downgrade(&self);
        running.on_discard(move || {
            if let Some(server) = of_discard.upgrade() {
                server.close();
            }
        });
        let mut state = lock_std(&self.state);
        if state.stopping {
            drop(state);
            accepting.discard();
        } else {
            state.accepting = Some(accepting);
        }
        // Whoever stops it drops the block, and with it the promise.
        running.recover(|error| match error {
            crate::FutureError::Failed(reason) => Future::failed(reason),
            _ => Future::done(),
        })
    }

    fn stop(self: Arc<Self>, grace: Duration) -> Future<()> {
        let (promise, emptied) = Promise::pair();
        let (accepting, listener, answers) = {
            let mut state = lock_std(&self.state);
            state.stopping = true;
            if state.connections.is_empty() {
                promise.set(());
            } else {
                state.emptied.push(promise);
            }
            let answers: Vec<_> = state
                .connections
                .values()
                .map(|served| Arc::clone(&served.answers))
                .collect();
            (state.accepting.take(), state.listener.take(), answers)
        };
        drop(listener);
        if let Some(accepting) = accepting {
            accepting.discard();
        }
        for answers in answers {
            answers.stop();
        }
        if emptied.is_ready() {
            return emptied;
        }
        let clock = self.clock.clone();
        emptied.after_on(&clock, grace, move |emptied: Future<()>| {
            self.close();
            emptied
        })
    }

    fn close(&self) {
        let (accepting, listener, tasks) = {
            let mut state = lock_std(&self.state);
            state.stopping = true;
            state.closed = true;
            let tasks: Vec<_> = state
                .connections
                .values_mut()
                .filter_map(|served| served.task.take())
                .collect();
            (state.accepting.take(), state.listener.take(), tasks)
        };
        drop(listener);
        if let Some(accepting) = accepting {
            accepting.discard();
        }
        for task in tasks {
            task.cancel();
        }
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        match &lock_std(&self.state).listener {
            Some(Listener::Tcp(listener)) => listener.local_address(),
            Some(Listener::Unix(_)) => Err(io::ErrorKind::Unsupported.into()),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl<S> std::fmt::Debug for Inner<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = lock_std(&self.state);
        f.debug_struct("Server")
            .field("connections", &state.connections.len())
            .field("stopping", &state.stopping)
            .finish_non_exhaustive()
    }
}
