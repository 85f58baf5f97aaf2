//! What benchmarks of sockets talk to: echo servers, each in a process of its own.
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
//! Two of the servers are no more than the calls of the kernel that the protocol needs, in one thread: without a runtime, a process, a future or a lock. They tell how far from the
//! ground the others are.

mod epoll;
#[cfg(feature = "io-uring")]
mod io_uring;
mod parent;
#[cfg(feature = "io-uring")]
mod provided_buffers;
mod runtime;

use std::convert::Infallible;
use std::io::{BufRead, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use clap::ValueEnum;
use libprocess::ReactorKind;

use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::placement::{Core, Pinned};
use crate::{measure, usage};

pub(crate) use parent::Server;

/// Where a server listens: the operating system chooses the port.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How many connections the kernel keeps until a server accepts them: all those of a benchmark may come at once.
const BACKLOG: i32 = 1024;

/// How long the end of a server may take: it may hang, and its parent may be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerKind {
    /// libprocess, over io_uring.
    IoUring,
    /// libprocess, over epoll.
    Epoll,
    /// A canned loop over io_uring.
    CannedIoUring,
    /// A canned loop over epoll.
    CannedEpoll,
}

impl ServerKind {
    /// As a command line has it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .expect("no kind is skipped")
            .get_name()
            .to_owned()
    }

    /// What may help if it fails, to be put behind an error.
    fn hint(self) -> &'static str {
        match self {
            Self::IoUring | Self::CannedIoUring => {
                "; without io_uring, leave out what needs it: harness run 'Net.*-*IoUring'"
            }
            Self::Epoll | Self::CannedEpoll => "",
        }
    }
}

/// The child's side: until the end of `input`.
pub(crate) fn serve(
    arguments: &ServeArguments,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let (address, runtime) = match arguments.kind {
        ServerKind::IoUring => runtime::start(ReactorKind::IoUring, arguments)?,
        ServerKind::Epoll => runtime::start(ReactorKind::Epoll, arguments)?,
        ServerKind::CannedIoUring => (canned_io_uring(arguments.pin)?, None),
        ServerKind::CannedEpoll => (canned_epoll(arguments.pin)?, None),
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

fn canned_epoll(pin: bool) -> Result<SocketAddr, Failure> {
    let (listener, address) = listen()?;
    in_thread(pin, move || epoll::EpollEcho::new(listener)?.run())?;
    Ok(address)
}

#[cfg(feature = "io-uring")]
fn canned_io_uring(pin: bool) -> Result<SocketAddr, Failure> {
    let (listener, address) = listen()?;
    let server = io_uring::IoUringEcho::new(listener).map_err(Failure::CannotServe)?;
    in_thread(pin, move || server.run())?;
    Ok(address)
}

#[cfg(not(feature = "io-uring"))]
fn canned_io_uring(_pin: bool) -> Result<SocketAddr, Failure> {
    let reason = "there is no io_uring, as this program was built without the feature `io-uring`";
    Err(Failure::CannotServe(reason.to_owned()))
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

/// A canned loop knows no end. One that fails ends this program, so that its clients see it.
fn in_thread(
    pin: bool,
    run: impl FnOnce() -> std::io::Result<Infallible> + Send + 'static,
) -> Result<(), Failure> {
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
    Ok(())
}
