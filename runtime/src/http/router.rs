//! From a path to a process: of requests for it, and of messages to it.
//!
//! A request that says which process [sends](crate::exchange::Request) it is a message, as libprocess has it: `POST /<id>/<name>`. It is not served, but delivered as any message is, and answered at once.

use std::borrow::Cow;
use std::net::IpAddr;

use ::http::StatusCode;
use bytes::Bytes;

use super::Transport;
use super::connection::Service;
use crate::exchange::{
    Body, Head, NOBODY, PathKind, Refusal, Request, Responder, Response, decoded_path, not_found,
    text,
};
use crate::process::{
    HttpEvent, HttpExchange, MessageEvent, RawPid, Upid, deliver, find_process, is_alive,
    static_name, streams_requests,
};

/// A body that is shorter is copied, so that a process which keeps it does not keep all that came with it.
const COPIED: usize = 1 << 10;

/// As [`not_found`] says it.
const NOBODY_THERE: Refusal = Refusal::with(StatusCode::NOT_FOUND, "404 Not Found.");

/// Hands requests to the processes of the runtime that it is called in.
pub(crate) struct Router {
    /// Who is given what names no process.
    delegate: Option<String>,
    /// Whether who sends a message must be where it comes from.
    requires_address_match: bool,
}

/// What was asked for last: mostly it is the next, too.
#[derive(Default)]
pub(crate) struct Last {
    /// The id of the process that was asked, as it was in the path.
    id: String,
    pid: Option<RawPid>,
    /// Who sent the last message, as text.
    sender: Vec<u8>,
    from: Upid,
    /// The name of the last message, if that is one that processes of this program have handlers for.
    name: &'static str,
    /// Where the connection comes from, if that is looked at; of an IPv4 address as one.
    address: Option<IpAddr>,
    /// Something else than messages was asked for.
    is_client: bool,
    /// A message was delivered.
    has_delivered: bool,
}

impl Router {
    pub(crate) fn new(delegate: Option<String>, requires_address_match: bool) -> Self {
        Self {
            delegate,
            requires_address_match,
        }
    }

    /// The process, and where in the path its route begins; or else the delegate.
    #[inline(always)]
    fn find(&self, path: &str, kind: PathKind, last: &mut Last) -> Option<(RawPid, usize)> {
        let known = last.find(path);
        known.or_else(|| self.find_other(path, kind, last))
    }

    #[inline(never)]
    fn find_other(&self, path: &str, kind: PathKind, last: &mut Last) -> Option<(RawPid, usize)> {
        let named = find_other(path, kind, last);
        named.or_else(|| find_process(self.delegate.as_ref()?).map(|pid| (pid, 0)))
    }

    /// Delivers a message.
    fn take(&self, message: Request, last: &mut Last) -> Result<(), Refusal> {
        let from = message.sender().unwrap_or_default();
        if last.sender != from || last.sender.is_empty() {
            last.from = self.sender(from, last.address)?;
            last.sender.clear();
            last.sender.extend_from_slice(from);
        }
        let (path, kind) = (message.path_of_head(), message.path_kind());
        let behind = path.get(1..).and_then(|path| path.find('/'));
        let Some(name) = behind.and_then(|slash| path.get(slash + 2..)) else {
            return Err(Refusal::bad("a message has the path /<id>/<name>"));
        };
        let name: Cow<'static, str> = if name == last.name {
            Cow::Borrowed(last.name)
        } else {
            let name = if kind.is_encoded {
                decoded_path(name).ok_or(NOBODY_THERE)?
            } else {
                Cow::Borrowed(name)
            };
            match static_name(&name) {
                Some(known) => {
                    last.name = known;
                    Cow::Borrowed(known)
                }
                None => Cow::Owned(name.into_owned()),
            }
        };
        let (pid, _) = find_named(path, kind, last).ok_or(NOBODY_THERE)?;
        let mut body = message.into_body_bytes();
        if body.len() < COPIED && !body.is_empty() {
            body = Bytes::copy_from_slice(&body);
        }
        let event = MessageEvent::allocate(name, last.from.clone(), body);
        if deliver(pid, event) {
            last.has_delivered = true;
            Ok(())
        } else if is_alive(pid) {
            Err(Refusal::with(
                StatusCode::SERVICE_UNAVAILABLE,
                "the mailbox of the process is full",
            ))
        } else {
            Err(NOBODY_THERE)
        }
    }

    #[inline(never)]
    fn take_and_answer(&self, message: Request, responder: Responder, last: &mut Last) {
        match self.take(message, last) {
            Ok(()) => responder.set(accepted()),
            Err(Refusal { status, reason }) => responder.set(text(status, reason)),
        }
    }

    /// Who that is, if it may be.
    #[cold]
    fn sender(&self, text_of_sender: &[u8], address: Option<IpAddr>) -> Result<Upid, Refusal> {
        let bad = |reason| Err(Refusal::bad(reason));
        let Ok(sender) = std::str::from_utf8(text_of_sender) else {
            return bad("the sender is no text");
        };
        let from = if sender == NOBODY {
            Upid::nobody()
        } else {
            match sender.parse::<Upid>() {
                Ok(from) => from,
                Err(_) => return bad("the sender is not id@ip:port"),
            }
        };
        let of_sender = from.address().map(|from| from.ip().to_canonical());
        if self.requires_address_match && (address.is_none() || of_sender != address) {
            return bad("the sender is not where the message comes from");
        }
        Ok(from)
    }
}

/// The process that a path names, and where in the path its route begins.
#[inline]
fn find_named(path: &str, kind: PathKind, last: &mut Last) -> Option<(RawPid, usize)> {
    // Before the id is looked for: to compare is less.
    last.find(path).or_else(|| find_other(path, kind, last))
}

impl Last {
    /// As `find_named`, if it is the same as before.
    #[inline(always)]
    fn find(&self, path: &str) -> Option<(RawPid, usize)> {
        let pid = self.pid?;
        let behind = path.strip_prefix('/')?.strip_prefix(&*self.id)?;
        let is_id = matches!(behind.as_bytes().first(), None | Some(b'/'));
        (is_id && is_alive(pid)).then(|| (pid, 1 + self.id.len()))
    }
}

/// As `find_named`, whoever was asked for before.
fn find_other(path: &str, kind: PathKind, last: &mut Last) -> Option<(RawPid, usize)> {
    let rest = path.strip_prefix('/')?;
    let id = rest.split_once('/').map_or(rest, |(id, _)| id);
    let decoded = if kind.is_encoded {
        decoded_path(id)?
    } else {
        Cow::Borrowed(id)
    };
    let found = find_process(&decoded);
    if let Some(pid) = found {
        last.pid = found;
        last.id.clear();
        last.id.push_str(id);
        return Some((pid, 1 + id.len()));
    }
    None
}

/// Whether the path leads out of where it begins, once it is decoded.
fn is_relative(path: &str, kind: PathKind) -> bool {
    kind.is_relative
        || kind.is_encoded && decoded_path(path).is_none_or(|path| path.contains("/.."))
}

/// What libprocess answers to a message that it took.
fn accepted() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

impl Service for Router {
    type Memory = Last;

    fn remember(&self, stream: &dyn Transport) -> Last {
        Last {
            address: self
                .requires_address_match
                .then(|| stream.peer_ip().map(|ip| ip.to_canonical()))
                .flatten(),
            ..Last::default()
        }
    }

    /// A process that links to one of ours opens a connection, over which it may never say anything.
    fn is_patient(&self, last: &Last) -> bool {
        !last.is_client
    }

    /// What a process says when it is sent a message is awaited by somebody, as the answer to the message is not.
    fn lets_others_go_first(&self, last: &mut Last) -> bool {
        std::mem::take(&mut last.has_delivered)
    }

    // So that the request is made in its event: see `RequestDecoder::next`.
    #[inline(always)]
    fn call(&self, request: Request, responder: Responder, last: &mut Last) {
        if request.sender().is_some() {
            return self.take_and_answer(request, responder, last);
        }
        last.is_client = true;
        let (path, kind) = (request.path_of_head(), request.path_kind());
        let found = if is_relative(path, kind) {
            None
        } else {
            self.find(path, kind, last)
        };
        match found {
            Some((pid, route)) => {
                let exchange = HttpExchange::new(request, responder, route);
                deliver(pid, HttpEvent::allocate(exchange));
            }
            None => responder.set(not_found()),
        }
    }

    fn streams(&self, head: &Head) -> bool {
        let (path, kind) = (head.path(), head.path_kind());
        if is_relative(path, kind) {
            return false;
        }
        let Some((pid, route)) = self.find(path, kind, &mut Last::default()) else {
            return false;
        };
        let route = path.get(route..).unwrap_or_default().trim_matches('/');
        if kind.is_encoded {
            decoded_path(route).is_some_and(|route| streams_requests(pid, &route))
        } else {
            streams_requests(pid, route)
        }
    }
}
