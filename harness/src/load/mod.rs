//! Servers under load: what their benchmarks have in common, whatever is said on the connections.
//!
//! The server is a process of its own (of the operating system; see [`server`](crate::server)), and so is told from its clients: what it did in a second of a core is the figure that does
//! not depend on how much of the machine the clients take. Those are a loop over epoll in the harness's thread: see [`clients`]. What they say is a [`Conversation`].
//!
//! It is a closed loop: see [`ping_pong`](crate::benchmarks::ping_pong) on what that means for latencies.

mod clients;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use self::clients::Load;
use crate::benchmark::{Sample, Setting};
use crate::failure::Failure;
use crate::placement::{Core, Pinned};
use crate::server::{Server, Service};

/// With more, the clients would need more descriptors than a shell gives to a program.
pub(crate) const MOST_CONNECTIONS: u64 = 1_000;

/// How long connections live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// As long as the load.
    Long,
    /// For one exchange: then the client closes.
    OneExchange,
    /// For one exchange: then the server closes, and the exchange has ended when it has.
    OneExchangeOfServer,
}

/// What clients say, and what they make of the answers.
pub(crate) trait Conversation {
    /// What is under way on a connection: requests that are sent together.
    type Exchange;

    /// How many requests an exchange has, but for the last ones.
    fn depth(&self) -> u64;

    /// An exchange of so many requests, of which the first one has this number.
    fn begin(&self, number: u64, requests: u64) -> Self::Exchange;

    /// All requests of an exchange, as they are sent.
    fn requests<'a>(&'a self, exchange: &'a Self::Exchange) -> &'a [u8];

    /// Reads what was received in an exchange of which so many requests, at least one, have no answer yet.
    ///
    /// # Errors
    ///
    /// An answer is so wrong that going on makes no sense.
    fn take(
        &mut self,
        exchange: &mut Self::Exchange,
        unanswered: u64,
        received: &[u8],
    ) -> Result<Taken, Failure>;
}

/// What was found in a piece of what was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Answers of which this piece had the end: no more than there were requests without one.
    pub(crate) answers: u64,
    /// Bytes behind the last answer.
    pub(crate) surplus: usize,
}

/// What a load has shown.
pub(crate) struct Measured<C> {
    /// With what it has seen.
    pub(crate) conversation: C,
    /// One for each answer.
    pub(crate) latencies: Histogram<u64>,
    /// Bytes that nobody had asked for.
    pub(crate) surplus: u64,
    requests: u64,
    took: Duration,
    /// For how long cores worked for the server.
    worked: Duration,
}

/// As many requests as there are repeats, on as many connections as there are actors, to a server that is started for them and has ended when this returns.
pub(crate) fn measure<C: Conversation>(
    setting: &Setting<'_>,
    service: Service,
    life: Life,
    conversation: impl FnOnce(SocketAddr) -> C,
) -> Result<Measured<C>, Failure> {
    let parameters = setting.parameters;
    let requests = parameters.repeat;
    let connections = parameters.actors.unwrap_or(1);

    let mut server = Server::start(service, parameters)?;
    // Not before: the server would have to stay there, too.
    let _pinned = parameters.pin.then(|| Pinned::to(Core::Last));
    let conversation = conversation(server.address());
    let depth = conversation.depth();
    let mut load = Load::new(server.address(), life, connections, conversation)?;
    // An exchange for each: so all are accepted, and the server has warmed up what is new in its process.
    load.run(connections * depth, |_| ())?;
    load.forget_latencies();

    let worked_before = server.processor_time()?;
    let started = Instant::now();
    load.run(requests, |done| setting.progress.advance(done))?;
    let took = started.elapsed();
    let worked = server.processor_time()? - worked_before;

    let seen = load.finish()?;
    server.stop()?;
    Ok(Measured {
        conversation: seen.conversation,
        latencies: seen.latencies,
        surplus: seen.surplus,
        requests,
        took,
        worked,
    })
}

impl<C> Measured<C> {
    /// The figures of the run, once all of it was checked.
    pub(crate) fn sample(self, verified: String) -> Sample {
        let per_processor_second = self.requests as f64 / self.worked.as_secs_f64();
        Sample::rate(self.requests, self.took.as_secs_f64(), verified)
            .also("requests/server-CPU-second", per_processor_second)
            .latencies(self.latencies)
    }
}
