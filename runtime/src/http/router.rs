//! From a path to a process.

use std::borrow::Cow;

use super::connection::Service;
use crate::exchange::{Head, PathKind, Request, Responder, decoded_path, not_found};
use crate::process::{
    HttpEvent, HttpExchange, RawPid, deliver, find_process, is_alive, streams_requests,
};

/// Hands requests to the processes of the runtime that it is called in.
pub(crate) struct Router {
    /// Who is given what names no process.
    delegate: Option<String>,
}

/// The process that was asked last: mostly it is the next one, too.
#[derive(Default)]
pub(crate) struct Last {
    /// Its id, as it was in the path.
    id: String,
    pid: Option<RawPid>,
}

impl Router {
    pub(crate) fn new(delegate: Option<String>) -> Self {
        Self { delegate }
    }

    /// The process, and where in the path its route begins.
    fn find(&self, path: &str, kind: PathKind, last: &mut Last) -> Option<(RawPid, usize)> {
        let rest = path.strip_prefix('/')?;
        // Before the id is looked for: to compare is less.
        if let Some(pid) = last.pid
            && let Some(behind) = rest.strip_prefix(&*last.id)
            && matches!(behind.as_bytes().first(), None | Some(b'/'))
            && is_alive(pid)
        {
            return Some((pid, 1 + last.id.len()));
        }
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
        find_process(self.delegate.as_ref()?).map(|pid| (pid, 0))
    }
}

/// Whether the path leads out of where it begins, once it is decoded.
fn is_relative(path: &str, kind: PathKind) -> bool {
    kind.is_relative
        || kind.is_encoded && decoded_path(path).is_none_or(|path| path.contains("/.."))
}

impl Service for Router {
    type Memory = Last;

    fn call(&self, request: Request, responder: Responder, last: &mut Last) {
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
