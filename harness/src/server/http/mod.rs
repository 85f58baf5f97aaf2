//! HTTP servers: each answers a GET of [`PATH`] with [`BODY`].
//!
//! # One more
//!
//! It needs a variant of [`HttpServer`], an arm of [`start`], its name in [`Service`](super::Service), and names and places for its benchmarks, in `benchmarks/http` and the registry. One that
//! runs in libprocess begins as the echo server does: see [`runtime`](super::runtime).

mod canned;
mod hyper;
mod runtime;

use libprocess::ReactorKind;

use self::canned::Plaintext;
use super::epoll::EpollLoop;
use super::{Started, listen_in_thread};
use crate::cli::ServeArguments;
use crate::failure::Failure;

/// What is asked for.
pub(crate) const PATH: &str = "/plaintext";
/// What is answered.
pub(crate) const BODY: &str = "Hello, World!";
/// What the answer says that it is.
pub(crate) const CONTENT_TYPE: &str = "text/plain";

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpServer {
    /// A process of libprocess, over io_uring.
    IoUring,
    /// A process of libprocess, over epoll.
    Epoll,
    /// hyper, on tokio's runtime of one thread.
    Hyper,
    /// A canned loop over epoll.
    CannedEpoll,
}

impl HttpServer {
    /// The one of libprocess that it is.
    pub(crate) const fn reactor(self) -> Option<ReactorKind> {
        match self {
            Self::IoUring => Some(ReactorKind::IoUring),
            Self::Epoll => Some(ReactorKind::Epoll),
            Self::Hyper | Self::CannedEpoll => None,
        }
    }
}

/// Listens when this returns.
pub(super) fn start(server: HttpServer, arguments: &ServeArguments) -> Result<Started, Failure> {
    let pin = arguments.pin;
    match server {
        HttpServer::IoUring => runtime::start(ReactorKind::IoUring, arguments),
        HttpServer::Epoll => runtime::start(ReactorKind::Epoll, arguments),
        HttpServer::Hyper => listen_in_thread(pin, hyper::run),
        HttpServer::CannedEpoll => listen_in_thread(pin, |listener| {
            EpollLoop::new(listener, Plaintext::default())?.run()
        }),
    }
}
