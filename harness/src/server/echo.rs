//! Echo servers.

use libprocess::ReactorKind;

use super::epoll::{Echo, EpollLoop};
use super::{Started, listen_in_thread, runtime};
use crate::cli::ServeArguments;
use crate::failure::Failure;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EchoServer {
    /// libprocess, over io_uring.
    IoUring,
    /// libprocess, over epoll.
    Epoll,
    /// A canned loop over io_uring.
    CannedIoUring,
    /// A canned loop over epoll.
    CannedEpoll,
}

impl EchoServer {
    /// The one of libprocess that it is.
    pub(crate) const fn reactor(self) -> Option<ReactorKind> {
        match self {
            Self::IoUring => Some(ReactorKind::IoUring),
            Self::Epoll => Some(ReactorKind::Epoll),
            Self::CannedIoUring | Self::CannedEpoll => None,
        }
    }
}

/// Listens when this returns.
pub(super) fn start(server: EchoServer, arguments: &ServeArguments) -> Result<Started, Failure> {
    match server {
        EchoServer::IoUring => runtime::start(ReactorKind::IoUring, arguments),
        EchoServer::Epoll => runtime::start(ReactorKind::Epoll, arguments),
        EchoServer::CannedIoUring => canned_io_uring(arguments.pin),
        EchoServer::CannedEpoll => listen_in_thread(arguments.pin, |listener| {
            EpollLoop::new(listener, Echo)?.run()
        }),
    }
}

#[cfg(feature = "io-uring")]
fn canned_io_uring(pin: bool) -> Result<Started, Failure> {
    let (listener, address) = super::listen()?;
    let server = super::io_uring::IoUringEcho::new(listener).map_err(Failure::CannotServe)?;
    super::in_thread(address, pin, move || server.run())
}

#[cfg(not(feature = "io-uring"))]
fn canned_io_uring(_pin: bool) -> Result<Started, Failure> {
    let reason = "there is no io_uring, as this program was built without the feature `io-uring`";
    Err(Failure::CannotServe(reason.to_owned()))
}
