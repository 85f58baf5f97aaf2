//! HTTP servers under load: a process of libprocess over both reactors, hyper, and a canned loop beside them. How they are measured is in [`load`].
//!
//! With `Plaintext` connections stay, and on each so many requests as the pipeline is deep are sent together: the next ones go when all of them were answered. With `Connect` each request has a
//! connection of its own, which the client closes; with `Close` it says `Connection: close`, as a client does that wants one answer, and the server closes.
//!
//! A latency is from when the requests were sent that were sent together to when the last byte of the answer was received: with a deep pipeline most of it is the others' share.

mod answers;

use libprocess::ReactorKind;

use self::answers::Pipeline;
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::load::{self, Life, MOST_CONNECTIONS};
use crate::parameters::Defaults;
use crate::server::{HttpServer, Service};
use crate::trial::Trial;

/// Which load, and who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    /// Requests over connections that stay.
    Plaintext(HttpServer),
    /// A connection for each request.
    Connect(HttpServer),
    /// A connection for each request, which says so.
    Close(HttpServer),
}

impl Benchmark for Http {
    fn name(&self) -> &'static str {
        match self {
            Self::Plaintext(HttpServer::IoUring) => "Http.Plaintext.IoUring",
            Self::Plaintext(HttpServer::Epoll) => "Http.Plaintext.Epoll",
            Self::Plaintext(HttpServer::Hyper) => "Http.Plaintext.Hyper",
            Self::Plaintext(HttpServer::CannedEpoll) => "Http.Plaintext.CannedEpoll",
            Self::Connect(HttpServer::IoUring) => "Http.Connect.IoUring",
            Self::Connect(HttpServer::Epoll) => "Http.Connect.Epoll",
            Self::Connect(HttpServer::Hyper) => "Http.Connect.Hyper",
            Self::Connect(HttpServer::CannedEpoll) => "Http.Connect.CannedEpoll",
            Self::Close(HttpServer::IoUring) => "Http.Close.IoUring",
            Self::Close(HttpServer::Epoll) => "Http.Close.Epoll",
            Self::Close(HttpServer::Hyper) => "Http.Close.Hyper",
            Self::Close(HttpServer::CannedEpoll) => "Http.Close.CannedEpoll",
        }
    }

    fn summary(&self) -> &'static str {
        match self {
            Self::Plaintext(HttpServer::IoUring) => {
                "GETs of a text of 13 bytes that a route of a libprocess process answers, over io_uring, in an operating system's process of its own; each of the actors is a connection, with as many sent together as its pipeline is deep."
            }
            Self::Plaintext(HttpServer::Epoll) => "As Http.Plaintext.IoUring, over epoll.",
            Self::Plaintext(HttpServer::Hyper) => {
                "As Http.Plaintext.IoUring, answered by hyper in one thread, on tokio's runtime."
            }
            Self::Plaintext(HttpServer::CannedEpoll) => {
                "As Http.Plaintext.Hyper, answered by a loop over epoll in one thread, which looks only for the ends of requests."
            }
            Self::Connect(HttpServer::IoUring) => {
                "As Http.Plaintext.IoUring, each request over a connection of its own; its latency is from before the connect to behind the answer."
            }
            Self::Connect(HttpServer::Epoll) => "As Http.Connect.IoUring, over epoll.",
            Self::Connect(HttpServer::Hyper) => {
                "As Http.Plaintext.Hyper, each request over a connection of its own; its latency is from before the connect to behind the answer."
            }
            Self::Connect(HttpServer::CannedEpoll) => {
                "As Http.Connect.Hyper, answered by a loop over epoll in one thread, which looks only for the ends of requests."
            }
            Self::Close(HttpServer::IoUring) => {
                "As Http.Connect.IoUring, each request with `Connection: close`, so that the server closes; a request has ended when it has."
            }
            Self::Close(HttpServer::Epoll) => "As Http.Close.IoUring, over epoll.",
            Self::Close(HttpServer::Hyper) => {
                "As Http.Connect.Hyper, each request with `Connection: close`, so that the server closes; a request has ended when it has."
            }
            Self::Close(HttpServer::CannedEpoll) => {
                "As Http.Close.Hyper, answered by a loop over epoll in one thread, which looks only for the ends of requests."
            }
        }
    }

    fn unit(&self) -> &'static str {
        "requests/s"
    }

    fn reactor(&self) -> Option<ReactorKind> {
        let (Self::Plaintext(server) | Self::Connect(server) | Self::Close(server)) = self;
        server.reactor()
    }

    fn defaults(&self) -> Defaults {
        match self {
            Self::Plaintext(_) => Defaults::new(3_000_000).pipeline(16),
            Self::Connect(_) | Self::Close(_) => Defaults::new(50_000),
        }
        .actors_at_most(64, 1, MOST_CONNECTIONS)
        .workers(1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (server, life) = match *self {
            Self::Plaintext(server) => (server, Life::Long),
            Self::Connect(server) => (server, Life::OneExchange),
            Self::Close(server) => (server, Life::OneExchangeOfServer),
        };
        let repeat = setting.parameters.repeat;
        let depth = setting.parameters.pipeline.unwrap_or(1);

        let mut trial = Trial::begin(setting);
        let service = Service::Http(server);
        let measured = load::measure(setting, service, life, |address| {
            if life == Life::OneExchangeOfServer {
                Pipeline::closing(address)
            } else {
                Pipeline::new(address, depth)
            }
        })?;
        measured.conversation.check_date()?;
        trial.equal("answers", measured.latencies.len(), repeat);
        trial.equal("bytes behind an answer", measured.surplus, 0);
        let verified = format!(
            "{} and as many answers of status 200 with the text",
            count(repeat, "request")
        );
        // The runtime of the harness has no part in it.
        trial.finish(Counts::default(), measured.sample(verified))
    }
}
