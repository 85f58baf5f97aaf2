//! What benchmarks of sockets talk to: servers, each in a process of its own.
//!
//! A server that shared a process with its clients could not be told from them: what the kernel counts, it counts for processes. So this
//! program is started anew, as with [`isolated`](crate::isolated) runs, and is the server and nothing else.
//!
//! # What parent and child say
//!
//! The child prints the address at which it listens, and then, for each line that it reads, for how many nanoseconds cores have worked for it so far. The end of its
//! input is its own end: a parent that dies leaves none behind.
//!
//! # Canned loops
//!
//! Some of the servers are no more than the calls of the kernel that the protocol needs, in one thread: without a runtime, a process, a future or a lock. They tell how far from the
//! ground the others are.

mod echo;
mod epoll;
mod http;
#[cfg(feature = "io-uring")]
mod io_uring;
mod parent;
#[cfg(feature = "io-uring")]
mod provided_buffers;
mod remote;
mod runtime;

use std::convert::Infallible;
use std::io::{BufRead, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use libprocess::Runtime;

use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::placement::{Core, Pinned};
use crate::{measure, usage};

pub(crate) use echo::EchoServer;
pub(crate) use http::{BODY, CONTENT_TYPE, HttpServer, PATH};
pub(crate) use parent::Server;
pub(crate) use remote::{PONGER, RemoteServer, awake};

/// Where a server listens: the operating system chooses the port.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How many connections the kernel keeps until a server accepts them: all those of a benchmark may come at once.
const BACKLOG: i32 = 1024;

/// How long the end of a server may take: it may hang, and its parent may be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is served, and by which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// What comes goes back.
    Echo(EchoServer),
    /// A text.
    Http(HttpServer),
    /// Each message by a message.
    Remote(RemoteServer),
}

impl Service {
    /// As a command line has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo(EchoServer::IoUring) => "echo-io-uring",
            Self::Echo(EchoServer::Epoll) => "echo-epoll",
            Self::Echo(EchoServer::CannedIoUring) => "echo-canned-io-uring",
            Self::Echo(EchoServer::CannedEpoll) => "echo-canned-epoll",
            Self::Http(HttpServer::IoUring) => "http-io-uring",
            Self::Http(HttpServer::Epoll) => "http-epoll",
            Self::Http(HttpServer::Hyper) => "http-hyper",
            Self::Http(HttpServer::CannedEpoll) => "http-canned-epoll",
            Self::Remote(RemoteServer::IoUring) => "remote-io-uring",
            Self::Remote(RemoteServer::Epoll) => "remote-epoll",
        }
    }

    /// What may help if it fails, to be put behind an error.
    fn hint(self) -> &'static str {
        match self {
            Self::Echo(EchoServer::IoUring | EchoServer::CannedIoUring)
            | Self::Http(HttpServer::IoUring)
            | Self::Remote(RemoteServer::IoUring) => {
                "; without io_uring, leave out what needs it: harness run '*-*IoUring'"
            }
            Self::Echo(EchoServer::Epoll | EchoServer::CannedEpoll)
            | Self::Http(HttpServer::Epoll | HttpServer::Hyper | HttpServer::CannedEpoll)
            | Self::Remote(RemoteServer::Epoll) => "",
        }
    }
}

impl ValueEnum for Service {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Echo(EchoServer::IoUring),
            Self::Echo(EchoServer::Epoll),
            Self::Echo(EchoServer::CannedIoUring),
            Self::Echo(EchoServer::CannedEpoll),
            Self::Http(HttpServer::IoUring),
            Self::Http(HttpServer::Epoll),
            Self::Http(HttpServer::Hyper),
            Self::Http(HttpServer::CannedEpoll),
            Self::Remote(RemoteServer::IoUring),
            Self::Remote(RemoteServer::Epoll),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

/// A server that was started.
struct Started {
    /// Where it listens.
    address: SocketAddr,
    /// Which it runs in; `None` if it has no end of its own.
    runtime: Option<Runtime>,
}

/// The child's side: until the end of `input`.
pub(crate) fn serve(
    arguments: &ServeArguments,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let Started { address, runtime } = match arguments.service {
        Service::Echo(server) => echo::start(server, arguments)?,
        Service::Http(server) => http::start(server, arguments)?,
        Service::Remote(server) => remote::start(server, arguments)?,
    };
    writeln!(output, "{address}")?;
    output.flush()?;
    for line in input.lines() {
        line?;
        writeln!(output, "{}", usage::processor_time().as_nanos())?;
        output.flush()?;
    }
    if let Some(runtime) = runtime {
        measure::shut_down(runtime, "the server", PATIENCE);
    }
    Ok(())
}

fn listen() -> Result<(TcpListener, SocketAddr), Failure> {
    let listening = || -> std::io::Result<_> {
        let listener = TcpListener::bind(ADDRESS)?;
        // Std's own backlog is smaller; the kernel takes the last one that it was told.
        rustix::net::listen(&listener, BACKLOG)?;
        // Linux hands it on to what is accepted.
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listening().map_err(Failure::socket("a server's socket"))
}

/// As [`in_thread`], for a server that starts there with its listener.
fn listen_in_thread(
    pin: bool,
    run: impl FnOnce(TcpListener) -> std::io::Result<Infallible> + Send + 'static,
) -> Result<Started, Failure> {
    let (listener, address) = listen()?;
    in_thread(address, pin, move || run(listener))
}

/// For a server that knows no end. One that fails ends this program, so that its clients see it.
fn in_thread(
    address: SocketAddr,
    pin: bool,
    run: impl FnOnce() -> std::io::Result<Infallible> + Send + 'static,
) -> Result<Started, Failure> {
    let run = move || {
        let _pinned = pin.then(|| Pinned::to(Core::First));
        let Err(error) = run();
        eprintln!("error: the server cannot go on: {error}");
        std::process::exit(crate::Outcome::Failed.code().into())
    };
    std::thread::Builder::new()
        .name("server".to_owned())
        .spawn(run)
        .map_err(|error| Failure::CannotServe(error.to_string()))?;
    let runtime = None;
    Ok(Started { address, runtime })
}
