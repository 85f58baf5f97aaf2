//! Echo servers under load: libprocess's own over each of its reactors, and canned loops beside them. How they are measured is in [`load`].
//!
//! With `Echo` connections stay, and each has one request under way; with `Connect` each request has a connection of its own.

mod exchange;

use libprocess::ReactorKind;

use self::exchange::Echoes;
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::load::{self, Life, MOST_CONNECTIONS};
use crate::parameters::Defaults;
use crate::server::{EchoServer, Service};
use crate::trial::{Trial, in_memory};

/// Which load, and who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    /// Requests over connections that stay.
    Echo(EchoServer),
    /// A connection for each request.
    Connect(EchoServer),
}

impl Benchmark for Net {
    fn name(&self) -> &'static str {
        match self {
            Self::Echo(EchoServer::IoUring) => "Net.Echo.IoUring",
            Self::Echo(EchoServer::Epoll) => "Net.Echo.Epoll",
            Self::Echo(EchoServer::CannedIoUring) => "Net.Echo.CannedIoUring",
            Self::Echo(EchoServer::CannedEpoll) => "Net.Echo.CannedEpoll",
            Self::Connect(EchoServer::IoUring) => "Net.Connect.IoUring",
            Self::Connect(EchoServer::Epoll) => "Net.Connect.Epoll",
            Self::Connect(EchoServer::CannedIoUring) => "Net.Connect.CannedIoUring",
            Self::Connect(EchoServer::CannedEpoll) => "Net.Connect.CannedEpoll",
        }
    }

    fn summary(&self) -> &'static str {
        match self {
            Self::Echo(EchoServer::IoUring) => {
                "Requests that an echo server in a process of its own answers, over io_uring; each of the actors is a TCP connection with one under way."
            }
            Self::Echo(EchoServer::Epoll) => "As Net.Echo.IoUring, over epoll.",
            Self::Echo(EchoServer::CannedIoUring) => {
                "As Net.Echo.IoUring, answered by a loop over io_uring in one thread, without libprocess."
            }
            Self::Echo(EchoServer::CannedEpoll) => {
                "As Net.Echo.IoUring, answered by a loop over epoll in one thread, without libprocess."
            }
            Self::Connect(EchoServer::IoUring) => {
                "As Net.Echo.IoUring, each request over a connection of its own; its latency is from before the connect to behind the close."
            }
            Self::Connect(EchoServer::Epoll) => "As Net.Connect.IoUring, over epoll.",
            Self::Connect(EchoServer::CannedIoUring) => {
                "As Net.Connect.IoUring, answered by a loop over io_uring in one thread, without libprocess."
            }
            Self::Connect(EchoServer::CannedEpoll) => {
                "As Net.Connect.IoUring, answered by a loop over epoll in one thread, without libprocess."
            }
        }
    }

    fn unit(&self) -> &'static str {
        "requests/s"
    }

    fn reactor(&self) -> Option<ReactorKind> {
        let (Self::Echo(server) | Self::Connect(server)) = self;
        server.reactor()
    }

    fn defaults(&self) -> Defaults {
        let repeat = match self {
            Self::Echo(_) => 300_000,
            Self::Connect(_) => 50_000,
        };
        Defaults::new(repeat)
            .actors_at_most(64, 1, MOST_CONNECTIONS)
            .size(64)
            .workers(1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (server, life) = match *self {
            Self::Echo(server) => (server, Life::Long),
            Self::Connect(server) => (server, Life::OneExchange),
        };
        let repeat = setting.parameters.repeat;
        let size = in_memory(setting.parameters.size.unwrap_or(1));

        let mut trial = Trial::begin(setting);
        let service = Service::Echo(server);
        let measured = load::measure(setting, service, life, |_address| Echoes::new(size))?;
        let different = measured.conversation.different;
        trial.equal("answers", measured.latencies.len(), repeat);
        trial.equal("pieces of answers that differ", different, 0);
        trial.equal("bytes behind an answer", measured.surplus, 0);
        let verified = format!(
            "{} and as many answers of the same {}",
            count(repeat, "request"),
            count(size as u64, "byte")
        );
        // The runtime of the harness has no part in it.
        trial.finish(Counts::default(), measured.sample(verified))
    }
}
