//! HTTP: every process is a web service.
//!
//! A request is an [`HttpEvent`](crate::HttpEvent) of the process that its path names first, and is served by the handler of the [route](crate::Context::route) that the rest of the
//! path names. What is no process can have a server of its own: [`Server`].
//!
//! Names are those of the `http` crate: a handler is given a [`Request`] and gives a [`Response`], or a future of one.

// How it is built: docs/http.md. From a socket to a process and back:
//
// net::TcpStream ─ bytes ─► codec::RequestDecoder ─ Request ─► Service ─ HttpEvent ─► the process's mailbox
//        ▲                                                                                    │ handler
//        └───────── bytes ───────── answers::OrderedAnswers ◄──────── Responder ◄─────────────┘

pub mod accept;
pub mod authenticate;
mod body;
mod codec;
mod limits;
pub mod path;
mod percent;
pub mod query;
mod request;
mod responder;
mod responses;
pub mod url;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod answers;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod connection;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod router;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod server;

use std::borrow::Cow;

pub use authenticate::{WwwAuthenticate, WwwAuthenticateError};
pub use body::Body;
pub use limits::Limits;
pub use path::PathError;
pub use percent::{DecodeError, decode, decode_bytes, encode, encode_with};
pub use query::Query;
pub use request::Request;
pub use responder::Responder;
pub use responses::{ok, text};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use router::Router;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub use server::{Listener, Server, Stream, serve};
pub use url::{Host, HostError, Scheme, Url, UrlError};

/// What a handler gives, or a future of it: the `http` crate's response with a [`Body`].
///
/// ```
/// use libprocess::http::Response;
///
/// let response = Response::new("hello".into());
/// assert_eq!(response.status(), 200);
/// ```
pub type Response = ::http::Response<Body>;

/// A path, or a part of one, without its percent signs; `None` if that is no text.
pub(crate) fn decoded_path(path: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()
}
