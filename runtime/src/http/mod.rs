//! HTTP: every process is a web service.
//!
//! A request is an [`HttpEvent`](crate::HttpEvent) of the process that its path names first, and is served by the handler of the [route](crate::Context::route) that the rest of the
//! path names. What is no process can have a server of its own: [`Server`].
//!
//! Names are those of the `http` crate: a handler is given a [`Request`] and gives a [`Response`], or a future of one.

// How it is built: docs/http.md. From a socket to a process and back:
//
// net::TcpStream ─ bytes ─► exchange::RequestDecoder ─ Request ─► Service ─ HttpEvent ─► the process's mailbox
//        ▲                                                                                    │ handler
//        └───────── bytes ───────── answers::OrderedAnswers ◄──────── Responder ◄─────────────┘

pub mod accept;
pub mod authenticate;
#[cfg(all(any(fuzzing, test), not(any(libprocess_loom, libprocess_shuttle))))]
#[doc(hidden)]
pub mod fuzzing;
pub mod path;
mod percent;
pub mod query;
pub mod url;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod alarm;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod answers;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod client;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod connection;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod help;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod router;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod server;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod transport;

pub use authenticate::{WwwAuthenticate, WwwAuthenticateError};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub use client::{
    Client, ClientOptions, Connection, connect, connect_unix, get, post, request, request_delete,
};
pub use path::PathError;
pub use percent::{DecodeError, decode, decode_bytes, encode, encode_with};
pub use query::Query;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub use server::{Listener, Server, Stream, serve};
pub use url::{Host, HostError, Scheme, Url, UrlError};

pub use crate::exchange::{
    Body, Limits, Pipe, PipeReader, PipeWriter, Request, Responder, Response, RouteOptions,
    TryWriteError, ok, text,
};

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(crate) use {alarm::Alarm, help::Help, router::Router, transport::Transport};
