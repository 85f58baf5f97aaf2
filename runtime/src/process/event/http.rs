use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use super::block::{EventBox, EventKind, Table, table_of};
use super::pointer::BlockOf;
use crate::future::{MailboxFull, Outcome, Promise};

/// An HTTP request, and where its answer goes.
#[derive(Debug)]
pub struct HttpExchange {
    /// The request.
    pub request: http::Request<Bytes>,
    /// Completed with the response. Dropping it tells the client that there is none.
    pub response: Promise<http::Response<Bytes>>,
}

/// An HTTP request that a process is being served.
///
/// ```
/// use libprocess::{Context, HttpEvent, Process, request, spawn_owned};
///
/// struct Hello;
/// impl Process for Hello {
///     fn consume_http(&mut self, event: HttpEvent, _cx: &mut Context<Self>) {
///         let path = event.request.uri().path().to_owned();
///         event.response.set(http::Response::new(path.into()));
///     }
/// }
///
/// let hello = spawn_owned(Hello);
/// let mut asked = http::Request::new("".into());
/// *asked.uri_mut() = "/there".parse().unwrap();
/// assert_eq!(request(hello.pid(), asked).get()?.into_body(), "/there");
/// # Ok::<(), libprocess::FutureError>(())
/// ```
pub struct HttpEvent(BlockOf<HttpExchange>);

impl HttpEvent {
    const TABLE: &'static Table = &table_of::<HttpExchange>(EventKind::Http);

    pub(crate) fn allocate(exchange: HttpExchange) -> EventBox {
        // SAFETY: the table is the one of this payload type.
        unsafe { EventBox::allocate(Self::TABLE, exchange) }
    }

    /// Drops a request that found its mailbox full, and has the future of its response say so.
    pub(super) fn refuse(self, full: MailboxFull) {
        self.into_exchange().response.settle(Outcome::Full(full));
    }

    /// # Safety
    ///
    /// The block is of this kind.
    #[inline]
    pub(crate) unsafe fn from_box(event: EventBox) -> Self {
        // SAFETY: only `allocate` makes blocks of this kind.
        Self(unsafe { BlockOf::from_box(event) })
    }

    /// The request and the promise by value.
    pub fn into_exchange(self) -> HttpExchange {
        self.0.into_payload()
    }
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
