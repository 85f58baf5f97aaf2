//! The client: connections, and a pool of them behind the functions that ask for one thing.
//!
//! ```text
//! get, post, request ─► Client ─► pool: an idle connection, else a new one, else wait
//!                                   │
//!                                   ▼
//!                        Connection (a handle) ─ requests as bytes ─► driver (an async block) ─► socket
//!                                   ▲                                      │ responses, in order
//!                                   └───────────── promises ◄──────────────┘
//! ```
//!
//! # What can go wrong
//!
//! - *The server closes an idle connection just when it is asked something.* What was not sent is asked again, on a new connection. So is, once, what may be asked twice (RFC 9110, section 9.2.2), if nothing has come of an answer and the pool chose the old connection.
//! - *A response that is not one* leaves nobody knowing what the next bytes are. The connection is given up, and all that were asked on it fail.
//! - *A server that does not answer* is given up after a time, and with it what was asked behind.
//! - *Whoever asked goes away.* What has not been sent is not. What has is answered for nobody, on a connection with others; one of the pool's, which is his alone, is closed. So is one that streams to nobody a response that may have no end.
//! - *A response to what is still being sent.* Nobody waits for the rest of that body: the connection ends.

mod connection;
mod driver;
mod pool;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::http::uri::PathAndQuery;
use ::http::{Method, Uri};
use bytes::Bytes;

pub use connection::Connection;

use super::{Limits, Scheme, Url};
use crate::exchange::{Body, Response};
use crate::functions::spawn_async;
use crate::future::Future;
use crate::net::{TcpStream, UnixStream};
use crate::process::in_current;
use pool::Pool;

/// Gets what a URL names: a `GET`, by the runtime's [client](Client).
///
/// The future fails if the URL is none, or the server cannot be reached, or does not answer in time. An answer that says that something is wrong is a response like others.
///
/// ```
/// use libprocess::http::{Request, Server, get, ok};
/// use libprocess::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let server = Server::new(listener, |request: &Request| ok(request.uri().path().to_owned()));
/// let url = format!("http://{}/hello", server.local_address()?);
/// server.run().detach();
/// assert_eq!(get(&url).get()?.body(), "/hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn get<U>(url: U) -> Future<Response>
where
    U: TryInto<Url>,
    U::Error: fmt::Display,
{
    Client::of_runtime().get(url)
}

/// Posts a body to what a URL names: a `POST`, by the runtime's [client](Client). See [`get`] for how it fails.
///
/// ```
/// use libprocess::http::{Body, Request, Server, ok, post};
/// use libprocess::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let server = Server::new(listener, |request: &Request| ok(request.body().bytes().clone()));
/// let url = format!("http://{}/", server.local_address()?);
/// server.run().detach();
/// assert_eq!(post(&url, Body::text("hello")).get()?.body(), "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn post<U>(url: U, body: impl Into<Body>) -> Future<Response>
where
    U: TryInto<Url>,
    U::Error: fmt::Display,
{
    Client::of_runtime().post(url, body)
}

/// Has what a URL names deleted: a `DELETE`, by the runtime's [client](Client). See [`get`] for how it fails.
///
/// ```
/// use libprocess::http::{Request, Server, ok, request_delete};
/// use libprocess::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let server = Server::new(listener, |request: &Request| ok(request.method().to_string()));
/// let url = format!("http://{}/", server.local_address()?);
/// server.run().detach();
/// assert_eq!(request_delete(&url).get()?.body(), "DELETE");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn request_delete<U>(url: U) -> Future<Response>
where
    U: TryInto<Url>,
    U::Error: fmt::Display,
{
    Client::of_runtime().request_delete(url)
}

/// Sends any request to the server that its URL names, by the runtime's [client](Client). See [`get`] for how it fails; for a process there is [`libprocess::request`](crate::request).
///
/// ```
/// use libprocess::http::{Body, Request, Server, ok, request};
/// use libprocess::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let server = Server::new(listener, |request: &Request| {
///     ok(request.headers()["x-name"].as_bytes().to_vec())
/// });
/// let asked = http::Request::get(format!("http://{}/", server.local_address()?))
///     .header("x-name", "value")
///     .body(Body::empty())?;
/// server.run().detach();
/// assert_eq!(request(asked).get()?.body(), "value");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn request<B: Into<Body>>(request: ::http::Request<B>) -> Future<Response> {
    Client::of_runtime().request(request)
}

/// Connects to the server that a URL names, for requests one behind the other, or several at a time. By the runtime's [client](Client), of which it has the options; it is none of the pool's.
///
/// ```
/// use libprocess::http::{Body, Request, Server, connect, ok};
/// use libprocess::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let server = Server::new(listener, |request: &Request| ok(request.uri().path().to_owned()));
/// let url = format!("http://{}/", server.local_address()?);
/// server.run().detach();
/// let connection = connect(&url).get()?;
/// let first = connection.send(http::Request::get("/first").body(Body::empty())?);
/// let second = connection.send(http::Request::get("/second").body(Body::empty())?);
/// assert_eq!(first.get()?.body(), "/first");
/// assert_eq!(second.get()?.body(), "/second");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn connect<U>(url: U) -> Future<Connection>
where
    U: TryInto<Url>,
    U::Error: fmt::Display,
{
    Client::of_runtime().connect(url)
}

/// Connects to a server at a unix socket. See [`connect`].
///
/// ```
/// let nobody = libprocess::http::connect_unix("/nonexistent").get();
/// assert!(nobody.is_err());
/// ```
pub fn connect_unix(path: impl AsRef<Path>) -> Future<Connection> {
    Client::of_runtime().connect_unix(path)
}

/// How a [`Client`] asks, and for how long it waits.
///
/// ```
/// use std::time::Duration;
/// use libprocess::http::ClientOptions;
///
/// let options = ClientOptions::new().response_timeout(Duration::from_secs(5));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientOptions {
    limits: Limits,
    connect_timeout: Duration,
    response_timeout: Duration,
    idle_timeout: Duration,
    connections_per_server: usize,
}

impl ClientOptions {
    /// The defaults.
    ///
    /// ```
    /// let options = libprocess::http::ClientOptions::new();
    /// # let _ = options;
    /// ```
    pub const fn new() -> Self {
        Self {
            limits: Limits::new(),
            connect_timeout: Duration::from_secs(30),
            response_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            connections_per_server: 64,
        }
    }

    /// What is taken of a server: of [`Limits`] the bytes of a head, its fields, and the bytes of a body that is not streamed. Of its times there is the [`write_timeout`](Limits::write_timeout), within which a
    /// server must take what it is sent of a body that is streamed; the others are those of servers.
    ///
    /// ```
    /// # use libprocess::http::{ClientOptions, Limits};
    /// let options = ClientOptions::new().limits(Limits::new().body_bytes(1 << 30));
    /// # let _ = options;
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a connection may take to be made, with the name that is looked up: 30 s.
    ///
    /// ```
    /// # use libprocess::http::ClientOptions;
    /// # use std::time::Duration;
    /// let options = ClientOptions::new().connect_timeout(Duration::from_secs(5));
    /// # let _ = options;
    /// ```
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a response may take, all of it, or if it is streamed, its head: 60 s from when its request is given to a connection, or from the end of the last body that was streamed on that, either way. Then
    /// the connection is given up, and what else was asked on it.
    ///
    /// ```
    /// # use libprocess::http::ClientOptions;
    /// # use std::time::Duration;
    /// let options = ClientOptions::new().response_timeout(Duration::from_secs(600));
    /// # let _ = options;
    /// ```
    pub const fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// How long a connection of the pool stays when nothing is asked on it: 30 s.
    ///
    /// ```
    /// # use libprocess::http::ClientOptions;
    /// # use std::time::Duration;
    /// let options = ClientOptions::new().idle_timeout(Duration::from_secs(5));
    /// # let _ = options;
    /// ```
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Connections that the pool has with one server at a time: 64. Who comes beyond waits, in order; of those, too, there are at most 10,000.
    ///
    /// # Panics
    ///
    /// If that is none.
    ///
    /// ```
    /// # use libprocess::http::ClientOptions;
    /// let options = ClientOptions::new().connections_per_server(8);
    /// # let _ = options;
    /// ```
    pub const fn connections_per_server(mut self, connections: usize) -> Self {
        assert!(connections > 0, "without a connection nothing can be asked");
        self.connections_per_server = connections;
        self
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks servers, over connections that it keeps for a while. Clones share them.
///
/// The functions [`get`] and the like are those of the runtime's own client, which has the default options.
///
/// ```
/// use libprocess::http::{Client, ClientOptions, Request, Server, ok};
/// use libprocess::net::TcpListener;
///
/// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
/// let server = Server::new(listener, |_request: &Request| ok("hello"));
/// let url = format!("http://{}/", server.local_address()?);
/// server.run().detach();
/// let client = Client::new(ClientOptions::new().connections_per_server(1));
/// let (first, second) = (client.get(&url), client.get(&url));
/// assert_eq!(first.get()?.body(), "hello");
/// assert_eq!(second.get()?.body(), "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
}

impl Client {
    /// A client without a connection yet. They belong to the runtime in which it is asked.
    ///
    /// ```
    /// # use libprocess::http::{Client, ClientOptions};
    /// let client = Client::new(ClientOptions::new());
    /// # drop(client);
    /// ```
    pub fn new(options: ClientOptions) -> Self {
        Self {
            pool: Pool::new(options),
        }
    }

    fn of_runtime() -> Self {
        let kept = in_current(|manager| {
            let kept = manager?.client(|| Box::new(Self::new(ClientOptions::new())));
            kept.downcast_ref::<Self>().cloned()
        });
        // Before there is a runtime: the first thing that is asked makes one.
        kept.unwrap_or_else(|| Self::new(ClientOptions::new()))
    }

    /// As the function [`get`].
    ///
    /// ```
    /// # use libprocess::http::{Client, ClientOptions};
    /// let client = Client::new(ClientOptions::new());
    /// assert!(client.get("no URL").get().is_err());
    /// ```
    pub fn get<U>(&self, url: U) -> Future<Response>
    where
        U: TryInto<Url>,
        U::Error: fmt::Display,
    {
        self.ask(Method::GET, url, Body::empty())
    }

    /// As the function [`post`].
    ///
    /// ```
    /// # use libprocess::http::{Client, ClientOptions};
    /// let client = Client::new(ClientOptions::new());
    /// assert!(client.post("no URL", "hello").get().is_err());
    /// ```
    pub fn post<U>(&self, url: U, body: impl Into<Body>) -> Future<Response>
    where
        U: TryInto<Url>,
        U::Error: fmt::Display,
    {
        self.ask(Method::POST, url, body.into())
    }

    /// As the function [`request_delete`].
    ///
    /// ```
    /// # use libprocess::http::{Client, ClientOptions};
    /// let client = Client::new(ClientOptions::new());
    /// assert!(client.request_delete("no URL").get().is_err());
    /// ```
    pub fn request_delete<U>(&self, url: U) -> Future<Response>
    where
        U: TryInto<Url>,
        U::Error: fmt::Display,
    {
        self.ask(Method::DELETE, url, Body::empty())
    }

    fn ask<U>(&self, method: Method, url: U, body: Body) -> Future<Response>
    where
        U: TryInto<Url>,
        U::Error: fmt::Display,
    {
        let url = match url.try_into() {
            Ok(url) => url,
            Err(error) => return Future::failed(error.to_string()),
        };
        let mut request = ::http::Request::new(body);
        *request.method_mut() = method;
        match Uri::try_from(&url) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return Future::failed(error.to_string()),
        }
        self.send(request, url, false)
    }

    /// As the function [`request`].
    ///
    /// ```
    /// # use libprocess::http::{Body, Client, ClientOptions};
    /// let client = Client::new(ClientOptions::new());
    /// let asked = http::Request::get("/no-server-is-named").body(Body::empty())?;
    /// assert!(client.request(asked).get().is_err());
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn request<B: Into<Body>>(&self, request: ::http::Request<B>) -> Future<Response> {
        self.send_to_url(request.map(Into::into), false)
    }

    /// As [`request`](Self::request), but the response is there when its head is, and its body is [read](Body::reader) as it comes: as the server sends it, not unpacked if it is packed, and
    /// for as long as it takes, as there is no time-out for a body that stalls. To drop the body before its end is to close the connection.
    ///
    /// ```
    /// use libprocess::http::{Body, Client, ClientOptions, Request, Server, ok};
    /// use libprocess::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let server = Server::new(listener, |_request: &Request| ok("hello"));
    /// let asked = http::Request::get(format!("http://{}/", server.local_address()?));
    /// server.run().detach();
    /// let client = Client::new(ClientOptions::new());
    /// let response = client.request_streamed(asked.body(Body::empty())?).get()?;
    /// let reader = response.body().reader().expect("a stream");
    /// assert_eq!(reader.read_all(1 << 20).get()?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_streamed<B: Into<Body>>(&self, request: ::http::Request<B>) -> Future<Response> {
        self.send_to_url(request.map(Into::into), true)
    }

    fn send_to_url(&self, request: ::http::Request<Body>, streams: bool) -> Future<Response> {
        if request.method() == Method::CONNECT {
            // Before it has a connection of the pool.
            return Future::failed(connection::NO_TUNNELS);
        }
        // Who is asked: path and query go out as they are.
        let mut server = request.uri().clone().into_parts();
        if server.authority.is_some() {
            server.path_and_query = Some(PathAndQuery::from_static("/"));
        }
        let url = match Uri::from_parts(server) {
            Ok(server) => Url::try_from(&server),
            // Without a scheme: said as of the whole.
            Err(_) => Url::try_from(request.uri()),
        };
        match url {
            Ok(url) => self.send(request, url, streams),
            Err(error) => Future::failed(error.to_string()),
        }
    }

    fn send(&self, request: ::http::Request<Body>, url: Url, streams: bool) -> Future<Response> {
        let pool = Arc::clone(&self.pool);
        spawn_async(async move { pool.ask(request, &url, streams).await }).flatten()
    }

    /// As the function [`connect`].
    ///
    /// ```
    /// # use libprocess::http::{Client, ClientOptions};
    /// let client = Client::new(ClientOptions::new());
    /// assert!(client.connect("no URL").get().is_err());
    /// ```
    pub fn connect<U>(&self, url: U) -> Future<Connection>
    where
        U: TryInto<Url>,
        U::Error: fmt::Display,
    {
        match url.try_into() {
            Ok(url) => {
                let options = self.pool.options().clone();
                spawn_async(async move {
                    let stream = options.open(&url).await?;
                    Ok(Connection::with_host(stream, url.host_header(), &options))
                })
                .flatten()
            }
            Err(error) => Future::failed(error.to_string()),
        }
    }

    /// As the function [`connect_unix`].
    ///
    /// ```
    /// # use libprocess::http::{Client, ClientOptions};
    /// let client = Client::new(ClientOptions::new());
    /// assert!(client.connect_unix("/nonexistent").get().is_err());
    /// ```
    pub fn connect_unix(&self, path: impl AsRef<Path>) -> Future<Connection> {
        let options = self.pool.options().clone();
        let connected = in_time(UnixStream::connect(path), options.connect_timeout);
        // In a process of the runtime of who asks, whose the connection's is to be.
        spawn_async(async move { Ok(Connection::new(connected.await?, &options)) }).flatten()
    }
}

impl Default for Client {
    /// With the default options.
    fn default() -> Self {
        Self::new(ClientOptions::new())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", self.pool.options())
            .finish_non_exhaustive()
    }
}

impl ClientOptions {
    fn open(&self, url: &Url) -> Future<TcpStream> {
        if url.scheme() != Scheme::Http {
            return Future::failed(format!("{url}: {} is not spoken here", url.scheme()));
        }
        let connected = match url.address() {
            Some(address) => TcpStream::connect(address),
            None => TcpStream::connect_host(
                url.host().name().unwrap_or_default(),
                url.port_or_default(),
            ),
        };
        in_time(connected, self.connect_timeout).then(|stream: TcpStream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection may be slower than it could be");
            }
            stream
        })
    }
}

fn in_time<S: Send + 'static>(connected: Future<S>, timeout: Duration) -> Future<S> {
    connected.after(timeout, move |connecting: Future<S>| {
        connecting.discard();
        Future::<S>::failed(format!("connect: no answer within {timeout:?}"))
    })
}

/// A request as it goes out.
struct Encoded {
    pieces: Vec<Bytes>,
    body: Option<crate::exchange::Outgoing>,
    closes: bool,
}
