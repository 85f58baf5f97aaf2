//! A connection, as those who ask on it have it.
//!
//! What they and its [driver](super::driver) share is under one lock: what has not been sent, how many are not answered, and whether it is to end. What was sent is the driver's alone.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;

use super::driver::Driver;
use super::pool::{Key, Pool};
use super::{ClientOptions, Encoded};
use crate::clock::{Clock, Time};
use crate::exchange::{Asked, Body, Outgoing, Response, encode_request};
use crate::facade::lock_std;
use crate::functions::{clock, spawn_async};
use crate::future::{Future, Promise};
use crate::http::Stream;
use crate::process::guarded;

/// Requests that wait to be sent, on one connection.
const MOST_WAITING: usize = 10_000;

/// RFC 9112, section 3.2.3: its target is an authority, and what follows the response is no HTTP.
pub(super) const NO_TUNNELS: &str =
    "CONNECT is not supported: this client asks servers, and makes no tunnels through proxies";
pub(super) const DISCONNECTED: &str = "the connection was closed by this side";
const CLOSING: &str = "the connection ends behind an earlier request";
const FULL: &str = "too many requests wait to be sent on the connection";

/// How the reason begins when nothing of a request was sent, so that it may be asked again whatever it is.
const UNSENT: &str = "the request was not sent: ";

/// A connection to an HTTP server. Clones are the same connection.
///
/// # Drop
///
/// When the last clone is dropped the connection is closed, once all that was asked on it is answered, streamed responses read to their ends, or dropped.
///
/// ```
/// use libprocess::http::{Body, Connection, Limits, Request, ok, serve};
/// use libprocess::net::UnixStream;
///
/// let (client, server) = UnixStream::pair()?;
/// let served = serve(server, Limits::new(), |_request: &Request| ok("hello"));
/// let connection = Connection::new(client, &Default::default());
/// let response = connection.send(http::Request::get("/").body(Body::empty())?);
/// assert_eq!(response.get()?.body(), "hello");
/// connection.disconnect().get()?;
/// served.get()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    options: ClientOptions,
    host: String,
    clock: Clock,
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// Whose it is, if it is of a pool.
    owner: Option<(Weak<Pool>, Key)>,
}

#[derive(Default)]
struct State {
    /// What has not been sent.
    waiting: VecDeque<Asking>,
    next: u64,
    /// Requests whose responses have not come, to their ends.
    unanswered: usize,
    /// One that waits, or waited, says that the connection ends behind it.
    closes: bool,
    /// Of a pool's connection: whether somebody has it.
    is_claimed: bool,
    end: EndWhen,
    /// Why nothing is asked on it any more.
    gone: Option<Arc<str>>,
    driver: Option<Waker>,
    /// Who waits for the end, by numbers.
    watchers: BTreeMap<u64, Promise<()>>,
    next_watcher: u64,
}

/// When a connection is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum EndWhen {
    #[default]
    Never,
    Answered,
    Now,
}

/// A request that has not been sent.
pub(super) struct Asking {
    number: u64,
    pub(super) encoded: Encoded,
    pub(super) awaited: Awaited,
}

/// Who waits for a response.
pub(super) struct Awaited {
    /// Until it has its head.
    pub(super) promise: Option<Promise<Response>>,
    pub(super) asked: Asked,
    pub(super) closes: bool,
    pub(super) deadline: Time,
}

impl Connection {
    /// A connection over a stream that is connected already, with the options of a client for its responses. Requests that name no server are told to be for `localhost`.
    ///
    /// ```
    /// use libprocess::http::{ClientOptions, Connection};
    /// use libprocess::net::UnixStream;
    ///
    /// let (client, server) = UnixStream::pair()?;
    /// let connection = Connection::new(client, &ClientOptions::new());
    /// drop(server);
    /// connection.disconnected().get()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(stream: impl Into<Stream>, options: &ClientOptions) -> Self {
        Self::with_host(stream, "localhost".to_owned(), options)
    }

    pub(super) fn with_host(
        stream: impl Into<Stream>,
        host: String,
        options: &ClientOptions,
    ) -> Self {
        Self::over(stream.into(), host, options, None)
    }

    fn over(
        stream: Stream,
        host: String,
        options: &ClientOptions,
        owner: Option<(Weak<Pool>, Key)>,
    ) -> Self {
        let clock = clock();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                is_claimed: owner.is_some(),
                ..State::default()
            }),
            owner,
        });
        let of_driver = Arc::clone(&shared);
        match stream {
            Stream::Tcp(stream) => {
                let driver = Driver::new(stream, of_driver, options.clone(), clock.clone());
                spawn_async(driver).detach();
            }
            Stream::Unix(stream) => {
                let driver = Driver::new(stream, of_driver, options.clone(), clock.clone());
                spawn_async(driver).detach();
            }
        }
        Self {
            handle: Arc::new(Handle {
                shared,
                options: options.clone(),
                host,
                clock,
            }),
        }
    }

    /// Sends a request, behind those before it, without waiting for their responses (RFC 9112, section 9.3.2): so several may be under way. Responses come in the order of the requests.
    ///
    /// The future fails if the connection is lost first, or ends behind an earlier request. It says so if nothing of the request was sent by then, which may then be asked elsewhere without harm. To
    /// discard it takes a request back that has not been sent; else its response is read and dropped.
    ///
    /// ```
    /// # use libprocess::http::{Body, Connection, Limits, Request, ok, serve};
    /// # use libprocess::net::UnixStream;
    /// # let (client, server) = UnixStream::pair()?;
    /// # serve(server, Limits::new(), |_request: &Request| ok("hello")).detach();
    /// let connection = Connection::new(client, &Default::default());
    /// let response = connection.send(http::Request::post("/").body(Body::text("to be"))?);
    /// assert_eq!(response.get()?.status(), 200);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send<B: Into<Body>>(&self, request: ::http::Request<B>) -> Future<Response> {
        self.ask(&request.map(Into::into), false)
    }

    /// As [`send`](Self::send), but the response is there when its head is, and its body is [read](Body::reader) as it comes: as the server sends it, not unpacked if it is packed, and for as long as it
    /// takes, as there is no time-out for a body that stalls. While nobody reads it nothing comes of the responses behind.
    ///
    /// What is left of a response that is dropped is thrown away. If that is more than 256 KiB, or has not come within the [response time-out](ClientOptions::response_timeout), the connection is lost, and
    /// with it what was asked behind. If nothing can be asked behind, as nobody has the connection any more, it is closed at once.
    ///
    /// ```
    /// # use libprocess::http::{Body, Connection, Limits, Request, ok, serve};
    /// # use libprocess::net::UnixStream;
    /// # let (client, server) = UnixStream::pair()?;
    /// # serve(server, Limits::new(), |_request: &Request| ok("hello")).detach();
    /// let connection = Connection::new(client, &Default::default());
    /// let response = connection.send_streamed(http::Request::get("/").body(Body::empty())?).get()?;
    /// let reader = response.body().reader().expect("a stream");
    /// assert_eq!(reader.read().get()?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_streamed<B: Into<Body>>(&self, request: ::http::Request<B>) -> Future<Response> {
        self.ask(&request.map(Into::into), true)
    }

    pub(super) fn ask(&self, request: &::http::Request<Body>, streams: bool) -> Future<Response> {
        let Handle {
            shared,
            options,
            host,
            clock,
        } = &*self.handle;
        if request.method() == ::http::Method::CONNECT {
            return Future::failed(NO_TUNNELS);
        }
        let (promise, response) = Promise::pair();
        let encoded = encode(request, host);
        let awaited = Awaited {
            promise: Some(promise),
            asked: Asked {
                is_head: request.method() == ::http::Method::HEAD,
                streams,
            },
            closes: encoded.closes,
            deadline: clock.now() + options.response_timeout,
        };
        let number = match shared.push(encoded, awaited) {
            Ok(number) => number,
            Err(reason) => return Future::failed(unsent(&reason)),
        };
        let of_discard = Arc::downgrade(shared);
        response.on_cancelled(move || {
            if let Some(shared) = of_discard.upgrade() {
                shared.take_back(number);
            }
        });
        response
    }

    /// Closes the connection at once: what is not answered fails. Ready when it is closed.
    ///
    /// ```
    /// # use libprocess::http::Connection;
    /// # use libprocess::net::UnixStream;
    /// # let (client, server) = UnixStream::pair()?;
    /// let connection = Connection::new(client, &Default::default());
    /// connection.disconnect().get()?;
    /// # drop(server);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disconnect(&self) -> Future<()> {
        let disconnected = self.disconnected();
        self.handle.shared.end(EndWhen::Now);
        disconnected
    }

    /// Ready when the connection is gone, whoever closed it.
    ///
    /// ```
    /// # use libprocess::http::Connection;
    /// # use libprocess::net::UnixStream;
    /// # let (client, server) = UnixStream::pair()?;
    /// let connection = Connection::new(client, &Default::default());
    /// let disconnected = connection.disconnected();
    /// assert!(disconnected.is_pending());
    /// drop(server);
    /// disconnected.get()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disconnected(&self) -> Future<()> {
        let shared = &self.handle.shared;
        let (promise, disconnected) = Promise::pair();
        let number = {
            let mut state = lock_std(&shared.state);
            if state.gone.is_some() {
                return Future::done();
            }
            let number = state.next_watcher;
            state.next_watcher += 1;
            state.watchers.insert(number, promise);
            number
        };
        let of_discard = Arc::downgrade(shared);
        disconnected.on_cancelled(move || {
            if let Some(shared) = of_discard.upgrade() {
                shared.forget(number);
            }
        });
        disconnected
    }

    /// Takes it for one request, if it is free.
    pub(super) fn claim(&self) -> bool {
        let mut state = lock_std(&self.handle.shared.state);
        let is_free = !state.is_claimed && state.is_usable();
        state.is_claimed |= is_free;
        is_free
    }

    /// Whoever claimed it asks nothing on it.
    pub(super) fn give_back(&self) {
        lock_std(&self.handle.shared.state).is_claimed = false;
    }

    /// One of a pool, claimed by who has it made.
    pub(super) fn of_pool(
        stream: impl Into<Stream>,
        host: String,
        options: &ClientOptions,
        pool: &Arc<Pool>,
        key: Key,
    ) -> Self {
        let owner = (Arc::downgrade(pool), key);
        Self::over(stream.into(), host, options, Some(owner))
    }

    pub(super) fn is_gone(&self) -> bool {
        lock_std(&self.handle.shared.state).gone.is_some()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.end(EndWhen::Answered);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock_std(&self.handle.shared.state);
        f.debug_struct("Connection")
            .field("host", &self.handle.host)
            .field("unanswered", &state.unanswered)
            .field("is_gone", &state.gone.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a request that was not sent fails.
fn unsent(reason: &str) -> Arc<str> {
    format!("{UNSENT}{reason}").into()
}

/// Whether nothing of a request was sent that failed so.
pub(super) fn is_unsent(reason: &str) -> bool {
    reason.starts_with(UNSENT)
}

fn encode(request: &::http::Request<Body>, host: &str) -> Encoded {
    let mut head = Vec::new();
    let framed = encode_request(&mut head, request, host, false);
    let mut pieces = vec![head.into()];
    pieces.extend(
        [framed.body, framed.end]
            .into_iter()
            .filter(|piece| !piece.is_empty()),
    );
    let chunks = framed.stream;
    Encoded {
        pieces,
        body: chunks.and_then(|chunks| Outgoing::new(request.body(), chunks)),
        closes: framed.closes,
    }
}

impl State {
    fn is_usable(&self) -> bool {
        self.gone.is_none() && !self.closes && self.end == EndWhen::Never
    }
}

impl Shared {
    fn push(&self, encoded: Encoded, awaited: Awaited) -> Result<u64, Arc<str>> {
        let (number, driver) = {
            let mut state = lock_std(&self.state);
            if let Some(reason) = &state.gone {
                return Err(Arc::clone(reason));
            }
            if state.end != EndWhen::Never {
                return Err(DISCONNECTED.into());
            }
            if state.closes {
                return Err(CLOSING.into());
            }
            if state.waiting.len() >= MOST_WAITING {
                return Err(FULL.into());
            }
            let number = state.next;
            state.next += 1;
            state.unanswered += 1;
            state.closes = awaited.closes;
            state.waiting.push_back(Asking {
                number,
                encoded,
                awaited,
            });
            (number, state.driver.take())
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(number)
    }

    /// Nobody waits for that response any more.
    fn take_back(&self, number: u64) {
        if self.owner.is_some() {
            // Whether it is of use again would be known late.
            // Of a request that is not the last one, or has its response, the connection has been given to somebody else, or may be.
            let is_its = |state: &State| state.unanswered > 0 && state.next == number + 1;
            return self.end_if(EndWhen::Now, is_its);
        }
        let asking = {
            let mut state = lock_std(&self.state);
            let place = state
                .waiting
                .binary_search_by_key(&number, |asking| asking.number);
            let asking = place.ok().and_then(|place| state.waiting.remove(place));
            if let Some(asking) = &asking {
                state.unanswered -= 1;
                // It was the last one, as nothing is asked behind such.
                state.closes &= !asking.awaited.closes;
            }
            asking
        };
        // If it has been sent, its response is read, for nobody.
        if let Some(promise) = asking.and_then(|asking| asking.awaited.promise) {
            promise.discard();
        }
    }

    /// Nobody waits for the end, by that number, any more.
    fn forget(&self, number: u64) {
        let watcher = lock_std(&self.state).watchers.remove(&number);
        if let Some(promise) = watcher {
            promise.discard();
        }
    }

    fn end(&self, when: EndWhen) {
        self.end_if(when, |_| true);
    }

    fn end_if(&self, when: EndWhen, applies: impl FnOnce(&State) -> bool) {
        let driver = {
            let mut state = lock_std(&self.state);
            if !applies(&state) {
                return;
            }
            if state.end != EndWhen::Now {
                state.end = when;
            }
            state.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// When to end, and the first request that waits, if it may be sent; else the driver is woken once there is something.
    pub(super) fn next(&self, may_send: bool, driver: &Waker) -> (EndWhen, Option<Asking>) {
        let mut state = lock_std(&self.state);
        let asking = if may_send && state.end != EndWhen::Now {
            state.waiting.pop_front()
        } else {
            None
        };
        if asking.is_none() {
            state.driver = Some(driver.clone());
        }
        let end = match state.end {
            EndWhen::Answered if state.unanswered > 0 => EndWhen::Never,
            end => end,
        };
        (end, asking)
    }

    /// When the first that waits gives up waiting.
    pub(super) fn deadline(&self) -> Option<Time> {
        let state = lock_std(&self.state);
        state.waiting.front().map(|asking| asking.awaited.deadline)
    }

    /// Whether it is one of a pool, that nobody has.
    pub(super) fn is_idle_in_pool(&self) -> bool {
        let state = lock_std(&self.state);
        self.owner.is_some() && state.unanswered == 0 && !state.is_claimed
    }

    /// Whether nothing will be asked behind what has been sent: one of a pool is one request's at a time.
    pub(super) fn is_last(&self) -> bool {
        let state = lock_std(&self.state);
        state.waiting.is_empty() && (self.owner.is_some() || state.end == EndWhen::Answered)
    }

    /// A response has come, to its end.
    pub(super) fn answered(&self) {
        let is_free = {
            let mut state = lock_std(&self.state);
            state.unanswered -= 1;
            state.unanswered == 0 && std::mem::take(&mut state.is_claimed)
        };
        if is_free {
            self.tell_owner();
        }
    }

    fn tell_owner(&self) {
        if let Some((pool, key)) = &self.owner
            && let Some(pool) = pool.upgrade()
        {
            pool.freed(key);
        }
    }

    /// The connection is lost. Those that have been sent are the driver's to tell.
    pub(super) fn lost(&self, reason: &Arc<str>) {
        let (waiting, watchers) = {
            let mut state = lock_std(&self.state);
            state.gone = Some(Arc::clone(reason));
            state.driver = None;
            (
                std::mem::take(&mut state.waiting),
                std::mem::take(&mut state.watchers),
            )
        };
        if !waiting.is_empty() {
            let unsent = unsent(reason);
            for asking in waiting {
                asking.awaited.fail(&unsent);
            }
        }
        for watcher in watchers.into_values() {
            complete(|| watcher.set(()));
        }
        self.tell_owner();
    }
}

/// Completes what others wait for. A callback of theirs that panics harms nobody else.
pub(super) fn complete<R>(completes: impl FnOnce() -> R) {
    guarded("a callback of what an HTTP client was asked", || {
        completes();
    });
}

impl Awaited {
    pub(super) fn fail(self, reason: &Arc<str>) {
        if let Some(promise) = self.promise {
            complete(|| promise.fail(Arc::clone(reason)));
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;
