//! A process that answers each message that comes from another runtime.

use std::time::Duration;

use libprocess::{Context, MessageEvent, Process, ReactorKind, RuntimeBuilder, SpawnOptions};

use super::runtime::{builder, started};
use super::{ADDRESS, Started};
use crate::cli::ServeArguments;
use crate::failure::Failure;

/// The id of the process.
pub(crate) const PONGER: &str = "ponger";

/// Over which reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteServer {
    /// io_uring.
    IoUring,
    /// epoll.
    Epoll,
}

impl RemoteServer {
    pub(crate) const fn reactor(self) -> ReactorKind {
        match self {
            Self::IoUring => ReactorKind::IoUring,
            Self::Epoll => ReactorKind::Epoll,
        }
    }
}

/// As who exchanges messages one at a time sets it up: workers look on for a while before they sleep, as to be woken costs a message more than all else. `LIBPROCESS_BUSY_POLL` says otherwise.
pub(crate) fn awake(builder: RuntimeBuilder) -> RuntimeBuilder {
    if std::env::var_os("LIBPROCESS_BUSY_POLL").is_some() {
        builder
    } else {
        builder.busy_poll(Duration::from_micros(50))
    }
}

/// Answers a `ping` with a `pong`, and links back to who links to it.
struct Ponger;

impl Process for Ponger {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("ping", |_, event: MessageEvent, cx| {
            cx.send(&event.from, "pong", event.body.clone());
        });
        cx.install("link", |_, event: MessageEvent, cx| cx.link(&event.from));
    }
}

/// The runtime's own listener, and the process.
pub(super) fn start(server: RemoteServer, arguments: &ServeArguments) -> Result<Started, Failure> {
    let builder = builder(server.reactor(), arguments).listen(ADDRESS);
    let runtime = awake(builder).build()?;
    runtime
        .spawn_with(SpawnOptions::new().name(PONGER), Ponger)
        .map_err(|error| Failure::CannotServe(error.to_string()))?;
    started(runtime)
}
