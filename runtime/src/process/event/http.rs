use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use super::block::{EventBox, EventKind, Table, table_of};
use super::pointer::BlockOf;
use crate::exchange::{Request, Responder, decoded_path};
use crate::future::MailboxFull;

/// An HTTP request, and where its answer goes.
#[derive(Debug)]
pub struct HttpExchange {
    /// The request.
    pub request: Request,
    /// Who is to be answered. Dropping it tells the client that there is no answer.
    pub response: Responder,
    /// Where in the path the route begins: behind the process's id, if that is in it.
    route: u32,
}

impl HttpExchange {
    #[inline]
    pub(crate) fn new(request: Request, response: Responder, route: usize) -> Self {
        Self {
            request,
            response,
            // A path has a limit of far less.
            route: u32::try_from(route).unwrap_or(u32::MAX),
        }
    }
}

/// An HTTP request that a process is being served.
///
/// ```
/// use libprocess::http::{Body, ok};
/// use libprocess::{Context, HttpEvent, Process, request, spawn_owned};
///
/// struct Hello;
/// impl Process for Hello {
///     fn consume_http(&mut self, event: HttpEvent, _cx: &mut Context<Self>) {
///         let path = event.request.uri().path().to_owned();
///         event.into_exchange().response.set(ok(path));
///     }
/// }
///
/// let hello = spawn_owned(Hello);
/// let asked = http::Request::get("/there").body(Body::empty())?;
/// assert_eq!(request(hello.pid(), asked).get()?.body(), "/there");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HttpEvent(BlockOf<HttpExchange>);

impl HttpEvent {
    const TABLE: &'static Table = &table_of::<HttpExchange>(EventKind::Http);

    #[inline]
    pub(crate) fn allocate(exchange: HttpExchange) -> EventBox {
        // SAFETY: the table is the one of this payload type.
        unsafe { EventBox::allocate(Self::TABLE, exchange) }
    }

    /// Drops a request that found its mailbox full, and has the future of its response say so.
    pub(super) fn refuse(self, full: MailboxFull) {
        self.into_responder().refuse(full);
    }

    /// # Safety
    ///
    /// The block is of this kind.
    #[inline]
    pub(crate) unsafe fn from_box(event: EventBox) -> Self {
        // SAFETY: only `allocate` makes blocks of this kind.
        Self(unsafe { BlockOf::from_box(event) })
    }

    /// The request and the responder by value.
    pub fn into_exchange(self) -> HttpExchange {
        self.0.into_payload()
    }

    /// Who is to be answered, without moving the request.
    #[inline]
    pub(crate) fn into_responder(mut self) -> Responder {
        std::mem::replace(&mut self.0.response, Responder::of_nobody())
    }

    /// The path without the process's id, decoded, and without slashes around it; `None` if it is no text.
    // With `path_of_head`, it is 60 instructions of each request where it is called, and half of that inlined.
    #[inline(always)]
    pub(crate) fn route(&self) -> Option<Cow<'_, str>> {
        let path = self.request.path_of_head();
        let route = without_slashes(path.get(self.0.route as usize..)?);
        if self.request.path_kind().is_encoded {
            decoded_path(route)
        } else {
            Some(Cow::Borrowed(route))
        }
    }
}

/// As `trim_matches`, by bytes: some 50 instructions less for each request.
#[inline]
fn without_slashes(mut path: &str) -> &str {
    while let [b'/', ..] = path.as_bytes() {
        path = &path[1..];
    }
    while let [.., b'/'] = path.as_bytes() {
        path = &path[..path.len() - 1];
    }
    path
}

impl Deref for HttpEvent {
    type Target = HttpExchange;

    fn deref(&self) -> &HttpExchange {
        &self.0
    }
}

impl DerefMut for HttpEvent {
    fn deref_mut(&mut self) -> &mut HttpExchange {
        &mut self.0
    }
}

impl fmt::Debug for HttpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
