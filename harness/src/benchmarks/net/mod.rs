//! Echo servers under load: libprocess's own over each of its reactors, and canned loops beside them.
//!
//! The server is a process of its own (of the operating system; see [`server`](crate::server)), and so is told from its clients: what it did in a second of a core is the figure that does
//! not depend on how much of the machine the clients take. Those are a loop over epoll in the harness's thread: see [`load`].
//!
//! With `Echo` connections stay, and each has one request under way; with `Connect` each request has a connection of its own. It is a closed loop: see
//! [`ping_pong`](super::ping_pong) on what that means for latencies.

mod exchange;
mod load;

use std::time::Instant;

use self::load::{Life, Load};
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::placement::{Core, Pinned};
use crate::server::{Server, ServerKind};
use crate::trial::{Trial, in_memory};

/// With more, the clients would need more descriptors than a shell gives to a program.
const MOST_CONNECTIONS: u64 = 1_000;

/// Which load, and who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Net {
    /// Requests over connections that stay.
    Echo(ServerKind),
    /// A connection for each request.
    Connect(ServerKind),
}

impl Benchmark for Net {
    fn name(&self) -> &'static str {
        match self {
            Self::Echo(ServerKind::IoUring) => "Net.Echo.IoUring",
            Self::Echo(ServerKind::Epoll) => "Net.Echo.Epoll",
            Self::Echo(ServerKind::CannedIoUring) => "Net.Echo.CannedIoUring",
            Self::Echo(ServerKind::CannedEpoll) => "Net.Echo.CannedEpoll",
            Self::Connect(ServerKind::IoUring) => "Net.Connect.IoUring",
            Self::Connect(ServerKind::Epoll) => "Net.Connect.Epoll",
            Self::Connect(ServerKind::CannedIoUring) => "Net.Connect.CannedIoUring",
            Self::Connect(ServerKind::CannedEpoll) => "Net.Connect.CannedEpoll",
        }
    }

    fn summary(&self) -> &'static str {
        match self {
            Self::Echo(ServerKind::IoUring) => {
                "Requests that an echo server in a process of its own answers, over io_uring; each of the actors is a TCP connection with one under way."
            }
            Self::Echo(ServerKind::Epoll) => "As Net.Echo.IoUring, over epoll.",
            Self::Echo(ServerKind::CannedIoUring) => {
                "As Net.Echo.IoUring, answered by a loop over io_uring in one thread, without libprocess."
            }
            Self::Echo(ServerKind::CannedEpoll) => {
                "As Net.Echo.IoUring, answered by a loop over epoll in one thread, without libprocess."
            }
            Self::Connect(ServerKind::IoUring) => {
                "As Net.Echo.IoUring, each request over a connection of its own; its latency is from before the connect to behind the close."
            }
            Self::Connect(ServerKind::Epoll) => "As Net.Connect.IoUring, over epoll.",
            Self::Connect(ServerKind::CannedIoUring) => {
                "As Net.Connect.IoUring, answered by a loop over io_uring in one thread, without libprocess."
            }
            Self::Connect(ServerKind::CannedEpoll) => {
                "As Net.Connect.IoUring, answered by a loop over epoll in one thread, without libprocess."
            }
        }
    }

    fn unit(&self) -> &'static str {
        "requests/s"
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
        let (kind, life) = match *self {
            Self::Echo(kind) => (kind, Life::Long),
            Self::Connect(kind) => (kind, Life::OneRequest),
        };
        let parameters = setting.parameters;
        let repeat = parameters.repeat;
        let connections = parameters.actors.unwrap_or(1);
        let size = in_memory(parameters.size.unwrap_or(1));

        let mut trial = Trial::begin(setting);
        let mut server = Server::start(kind, parameters)?;
        // Not before: the server would have to stay there, too.
        let _pinned = parameters.pin.then(|| Pinned::to(Core::Last));
        let mut load = Load::new(server.address(), life, connections, size)?;
        // One for each: so all are accepted, and the server has warmed up what is new in its process.
        load.run(connections, |_| ())?;
        load.forget_latencies();

        let worked_before = server.processor_time()?;
        let started = Instant::now();
        load.run(repeat, |done| setting.progress.advance(done))?;
        let seconds = started.elapsed().as_secs_f64();
        let worked = (server.processor_time()? - worked_before).as_secs_f64();

        let seen = load.finish()?;
        server.stop()?;
        trial.equal("answers", seen.latencies.len(), repeat);
        trial.equal("pieces of answers that differ", seen.different, 0);
        trial.equal("bytes behind an answer", seen.surplus, 0);
        let verified = format!(
            "{} and as many answers of the same {}",
            count(repeat, "request"),
            count(size as u64, "byte")
        );
        let sample = Sample::rate(repeat, seconds, verified)
            .also("requests/server-CPU-second", repeat as f64 / worked)
            .latencies(seen.latencies);
        // The runtime of the harness has no part in it.
        trial.finish(Counts::default(), sample)
    }
}
