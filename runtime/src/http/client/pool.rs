//! The connections of a client, by server: each is one request's at a time.
//!
//! A connection knows by itself whether it is free; the pool has only the list. Whoever wants one takes a free one, has a new one made if there may be more, and else waits. What becomes free, a connection
//! or the room for one, is handed to who has waited longest: it is his before anybody else can have it, and whoever goes away with what he was handed gives it back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use ::http::Method;

use super::ClientOptions;
use super::connection::{Connection, complete, is_unsent};
use super::driver::CLOSED;
use crate::FutureError;
use crate::exchange::{Body, Response};
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::http::Url;

/// Requests that wait for a connection to one server.
const MOST_WAITING: usize = 10_000;

/// How often a request is given to a connection that turns out to be gone.
const MOST_TRIES: u32 = 3;

/// A server, as `Host` names it.
pub(super) type Key = Arc<str>;

pub(super) struct Pool {
    options: ClientOptions,
    servers: Mutex<HashMap<Key, Server>>,
}

#[derive(Default)]
struct Server {
    connections: Vec<Connection>,
    /// Connections that are being made.
    opening: usize,
    waiting: VecDeque<Waiter>,
}

/// Who waits for a connection.
struct Waiter {
    must_be_new: bool,
    promise: Promise<Turn>,
}

/// What somebody has whose turn it is.
enum Turn {
    Use(Claimed),
    Open(Opening),
}

/// When that is.
enum When {
    Now(Turn),
    Later(Future<Turn>),
}

/// What there is for somebody.
enum Found {
    Free(Connection),
    Room,
}

/// A connection that is somebody's, until he asks on it, or is gone.
struct Claimed {
    /// Until it is used.
    connection: Option<Connection>,
    pool: Arc<Pool>,
    key: Key,
}

impl Claimed {
    fn used(mut self) -> Option<Connection> {
        self.connection.take()
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.give_back();
            self.pool.freed(&self.key);
        }
    }
}

/// The right to have one made, which is one of those that there may be until it is there.
struct Opening {
    pool: Arc<Pool>,
    key: Key,
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut servers = lock_std(&self.pool.servers);
        if let Some(server) = servers.get_mut(&self.key) {
            server.opening -= 1;
        }
        drop(servers);
        self.pool.freed(&self.key);
    }
}

impl Server {
    /// A free connection, which is claimed then, or room for another; `gone` gets what is to be dropped outside of the lock, as to drop a handle is to tell its driver.
    fn find(
        &mut self,
        most: usize,
        must_be_new: bool,
        gone: &mut Vec<Connection>,
    ) -> Option<Found> {
        gone.extend(
            self.connections
                .extract_if(.., |connection| connection.is_gone()),
        );
        let has_room = self.connections.len() + self.opening < most;
        if must_be_new && has_room {
            self.opening += 1;
            return Some(Found::Room);
        }
        let free = self.connections.iter().position(Connection::claim);
        match free {
            // Whoever must have a new one has it made in the place of one that is free.
            Some(place) if must_be_new => gone.push(self.connections.swap_remove(place)),
            Some(place) => return Some(Found::Free(self.connections[place].clone())),
            None if has_room => {}
            None => return None,
        }
        self.opening += 1;
        Some(Found::Room)
    }

    /// The first who still waits, and what there is for him, if there is.
    fn next(&mut self, most: usize, gone: &mut Gone) -> Option<(Promise<Turn>, Found)> {
        while let Some(waiter) = self.waiting.pop_front() {
            if waiter.promise.is_unwatched() {
                gone.waiters.push(waiter);
                continue;
            }
            let found = self.find(most, waiter.must_be_new, &mut gone.connections);
            match found {
                Some(found) => return Some((waiter.promise, found)),
                None => {
                    self.waiting.push_front(waiter);
                    return None;
                }
            }
        }
        None
    }
}

/// What is to be dropped outside of the lock.
#[derive(Default)]
struct Gone {
    connections: Vec<Connection>,
    waiters: Vec<Waiter>,
}

impl Pool {
    pub(super) fn new(options: ClientOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            servers: Mutex::default(),
        })
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Asks, and asks again on a new connection if the one that was there turns out to be gone and no harm can come of it.
    pub(super) async fn ask(
        self: Arc<Self>,
        request: ::http::Request<Body>,
        url: &Url,
        streams: bool,
    ) -> Result<Response, FutureError> {
        let may_repeat = is_idempotent(request.method()) && request.body().reader().is_none();
        let mut tries = 1;
        loop {
            let (connection, is_new) = self.connection(url, tries > 1).await?;
            match connection.ask(&request, streams).await {
                Err(FutureError::Failed(reason))
                    if tries < MOST_TRIES
                        && (is_unsent(&reason) || may_repeat && !is_new && &*reason == CLOSED) =>
                {
                    tries += 1;
                }
                response => return response,
            }
        }
    }

    /// A connection for one request, and whether it is a new one.
    async fn connection(
        self: &Arc<Self>,
        url: &Url,
        must_be_new: bool,
    ) -> Result<(Connection, bool), FutureError> {
        let key: Key = url.host_header().into();
        loop {
            let turn = match self.turn(&key, must_be_new)? {
                When::Now(turn) => turn,
                When::Later(turn) => turn.await?,
            };
            let opening = match turn {
                Turn::Open(opening) => opening,
                Turn::Use(claimed) => match claimed.used() {
                    Some(connection) => return Ok((connection, false)),
                    None => continue,
                },
            };
            let stream = self.options.open(url).await?;
            let host = url.host_header();
            let connection =
                Connection::of_pool(stream, host, &self.options, self, Arc::clone(&key));
            let mut servers = lock_std(&self.servers);
            if let Some(server) = servers.get_mut(&key) {
                server.connections.push(connection.clone());
            }
            drop(servers);
            drop(opening);
            return Ok((connection, true));
        }
    }

    /// When it is the caller's turn: at once, if nobody waits before him and there is what he wants.
    fn turn(self: &Arc<Self>, key: &Key, must_be_new: bool) -> Result<When, FutureError> {
        let mut gone = Gone::default();
        let mut servers = lock_std(&self.servers);
        let server = servers.entry(Arc::clone(key)).or_default();
        let has_left = |waiter: &Waiter| waiter.promise.is_unwatched();
        while server.waiting.front().is_some_and(has_left) {
            gone.waiters.extend(server.waiting.pop_front());
        }
        if server.waiting.len() >= MOST_WAITING {
            let all = std::mem::take(&mut server.waiting).into_iter();
            let (left, waiting): (VecDeque<_>, VecDeque<_>) = all.partition(has_left);
            server.waiting = waiting;
            gone.waiters.extend(left);
        }
        let found = if server.waiting.is_empty() {
            let most = self.options.connections_per_server;
            server.find(most, must_be_new, &mut gone.connections)
        } else {
            None
        };
        let turn = match found {
            Some(found) => Ok(When::Now(self.turn_with(key, found))),
            None if server.waiting.len() >= MOST_WAITING => Err(FutureError::Failed(
                "too many requests wait for a connection".into(),
            )),
            None => {
                let (promise, turn) = Promise::pair();
                server.waiting.push_back(Waiter {
                    must_be_new,
                    promise,
                });
                Ok(When::Later(turn))
            }
        };
        drop(servers);
        drop(gone);
        turn
    }

    fn turn_with(self: &Arc<Self>, key: &Key, found: Found) -> Turn {
        let (pool, key) = (Arc::clone(self), Arc::clone(key));
        match found {
            Found::Free(connection) => Turn::Use(Claimed {
                connection: Some(connection),
                pool,
                key,
            }),
            Found::Room => Turn::Open(Opening { pool, key }),
        }
    }

    /// A connection with that server is free, or gone, or somebody makes none after all: who waits has it, in order.
    pub(super) fn freed(self: &Arc<Self>, key: &Key) {
        loop {
            let mut gone = Gone::default();
            let next = {
                let mut servers = lock_std(&self.servers);
                let Some(server) = servers.get_mut(key) else {
                    return;
                };
                let next = server.next(self.options.connections_per_server, &mut gone);
                if next.is_none() {
                    let lost = server.connections.extract_if(.., |of| of.is_gone());
                    gone.connections.extend(lost);
                    let is_unused = server.connections.is_empty() && server.opening == 0;
                    if is_unused && server.waiting.is_empty() {
                        servers.remove(key);
                    }
                }
                next
            };
            drop(gone);
            let Some((promise, found)) = next else {
                return;
            };
            let turn = self.turn_with(key, found);
            // If he has gone away meanwhile, it is given back as it is dropped.
            complete(|| promise.set(turn));
        }
    }
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ]
    .contains(method)
}
