//! The connections of a client, by server: each is one request's at a time.
//!
//! A connection knows by itself whether it is free; the pool has only the list. Whoever wants one looks through that, has a new one made if there may be more, and else waits to be told that one is
//! free, or is gone, and looks again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use ::http::Method;

use super::ClientOptions;
use super::connection::Connection;
use super::driver::CLOSED;
use crate::FutureError;
use crate::exchange::{Body, Response};
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::http::Url;

/// Requests that wait for a connection to one server.
const MOST_WAITING: usize = 10_000;

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
    waiting: VecDeque<Promise<()>>,
}

/// What somebody who wants a connection is to do.
enum Step {
    Use(Connection),
    Open(Opening),
    Wait(Future<()>),
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

    /// Asks, and asks once more if a connection that was there turns out to be gone and no harm can come of it.
    pub(super) async fn ask(
        self: Arc<Self>,
        request: ::http::Request<Body>,
        url: &Url,
        streams: bool,
    ) -> Result<Response, FutureError> {
        let may_repeat = is_idempotent(request.method()) && request.body().reader().is_none();
        let (connection, is_new) = self.connection(url, false).await?;
        let response = connection.ask(&request, streams).await;
        match response {
            Err(FutureError::Failed(reason)) if &*reason == CLOSED && may_repeat && !is_new => {
                let (connection, _) = self.connection(url, true).await?;
                connection.ask(&request, streams).await
            }
            response => response,
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
            match self.next_step(&key, must_be_new)? {
                Step::Use(connection) => return Ok((connection, false)),
                Step::Wait(freed) => freed.await?,
                Step::Open(opening) => {
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
        }
    }

    fn next_step(self: &Arc<Self>, key: &Key, must_be_new: bool) -> Result<Step, FutureError> {
        let mut gone = Vec::new();
        let mut servers = lock_std(&self.servers);
        let server = servers.entry(Arc::clone(key)).or_default();
        let mut place = 0;
        let mut free = None;
        while let Some(connection) = server.connections.get(place) {
            if connection.is_gone() {
                gone.push(server.connections.swap_remove(place));
                continue;
            }
            if free.is_none() && !must_be_new && connection.claim() {
                free = Some(connection.clone());
            }
            place += 1;
        }
        let step = if let Some(connection) = free {
            Step::Use(connection)
        } else if server.connections.len() + server.opening < self.options.connections_per_server {
            server.opening += 1;
            Step::Open(Opening {
                pool: Arc::clone(self),
                key: Arc::clone(key),
            })
        } else {
            server.waiting.retain(|promise| !promise.is_unwatched());
            if server.waiting.len() >= MOST_WAITING {
                drop(servers);
                return Err(FutureError::Failed(
                    "too many requests wait for a connection".into(),
                ));
            }
            let (promise, freed) = Promise::pair();
            server.waiting.push_back(promise);
            Step::Wait(freed)
        };
        drop(servers);
        // To drop a handle is to tell its driver.
        drop(gone);
        Ok(step)
    }

    /// A connection with that server is free, or gone.
    pub(super) fn freed(&self, key: &Key) {
        let (next, gone) = {
            let mut servers = lock_std(&self.servers);
            let Some(server) = servers.get_mut(key) else {
                return;
            };
            let (gone, left): (Vec<_>, Vec<_>) = std::mem::take(&mut server.connections)
                .into_iter()
                .partition(Connection::is_gone);
            server.connections = left;
            let mut next = None;
            while let Some(promise) = server.waiting.pop_front() {
                if !promise.is_unwatched() {
                    next = Some(promise);
                    break;
                }
            }
            if server.connections.is_empty() && server.opening == 0 && next.is_none() {
                servers.remove(key);
            }
            (next, gone)
        };
        drop(gone);
        if let Some(promise) = next {
            promise.set(());
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
