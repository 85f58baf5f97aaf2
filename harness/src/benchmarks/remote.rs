//! Messages between two runtimes, each in a process of its own (of the operating system), over loopback: as between two hosts, without the network.
//!
//! Workers poll for a while before they sleep: [`awake`]. Both are linked to each other, as processes of C++ libprocess mostly are, and each message is answered with its 202.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use libprocess::{Context, MessageEvent, Process, Promise, ReactorKind, Runtime, Upid};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::latency;
use crate::measure;
use crate::parameters::{Defaults, Overrides};
use crate::placement::{Core, Pinned};
use crate::server::{PONGER, RemoteServer, Server, Service, awake};
use crate::trial::Trial;

/// How long the end of the runtime may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which load, and over which reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remote {
    /// A window of messages under way.
    Throughput(RemoteServer),
    /// One message at a time.
    PingPong(RemoteServer),
}

impl Benchmark for Remote {
    fn name(&self) -> &'static str {
        match self {
            Self::Throughput(RemoteServer::IoUring) => "Remote.ThroughputPerformance",
            Self::Throughput(RemoteServer::Epoll) => "Remote.ThroughputPerformance.Epoll",
            Self::PingPong(RemoteServer::IoUring) => "Remote.PingPong",
            Self::PingPong(RemoteServer::Epoll) => "Remote.PingPong.Epoll",
        }
    }

    fn summary(&self) -> &'static str {
        match self {
            Self::Throughput(RemoteServer::IoUring) => {
                "Messages between two runtimes in processes of their own, over io_uring, a window of pings under way at a time; pings and pongs count. Workers poll for 50 us before they sleep, unless LIBPROCESS_BUSY_POLL says otherwise."
            }
            Self::Throughput(RemoteServer::Epoll) => "As Remote.ThroughputPerformance, over epoll.",
            Self::PingPong(RemoteServer::IoUring) => {
                "The latency of a message to another runtime and its answer, one at a time, over io_uring. Workers poll as in Remote.ThroughputPerformance."
            }
            Self::PingPong(RemoteServer::Epoll) => "As Remote.PingPong, over epoll.",
        }
    }

    fn unit(&self) -> &'static str {
        match self {
            Self::Throughput(_) => "messages/s",
            Self::PingPong(_) => "round trips/s",
        }
    }

    fn reactor(&self) -> Option<ReactorKind> {
        let (Self::Throughput(server) | Self::PingPong(server)) = self;
        Some(server.reactor())
    }

    fn defaults(&self) -> Defaults {
        match self {
            Self::Throughput(_) => Defaults::new(1_000_000).window(1_000).size(0).workers(1),
            Self::PingPong(_) => Defaults::new(50_000).size(0).workers(1),
        }
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let parameters = setting.parameters;
        let repeat = parameters.repeat;
        let (kind, window) = match *self {
            Self::Throughput(kind) => (kind, parameters.window.unwrap_or(1)),
            Self::PingPong(kind) => (kind, 1),
        };
        let mut trial = Trial::begin(setting);
        let mut server = Server::start(Service::Remote(kind), parameters)?;
        let runtime = runtime(kind, setting)?;
        let pinger = Pinger {
            ponger: Upid::new(PONGER, server.address()),
            body: vec![b'x'; crate::trial::in_memory(parameters.size.unwrap_or(0))].into(),
            window,
            sent: 0,
            sent_at: Instant::now(),
            pongs: 0,
            wrong: 0,
            repeat: 0,
            latencies: latency::histogram(),
            done: None,
        };
        let pinger = runtime.spawn_owned(pinger);
        let run = |repeat| {
            let (promise, done) = Promise::pair();
            runtime
                .dispatch(pinger.pid(), Pinger::run, (repeat, promise))
                .detach();
            trial.wait(done, |_| 0)
        };
        // The connections are made, and both have warmed up what is new in their processes.
        run(window.max(100))?;
        let worked_before = server.processor_time()?;
        let started = Instant::now();
        run(repeat)?;
        let took = started.elapsed();
        let worked = server.processor_time()? - worked_before;
        pinger.terminate_after_pending();
        let pinger = pinger.join()?;
        let stats = runtime.stats();
        measure::shut_down(runtime, "the runtime of the load", PATIENCE);
        server.stop()?;

        trial.equal("pongs", pinger.pongs, repeat);
        trial.equal("bodies that differ", pinger.wrong, 0);
        trial.equal("dead letters", stats.dead_letters, 0);
        let verified = format!(
            "{} and as many pings, no dead letter",
            count(repeat, "pong")
        );
        let (seconds, messages) = (took.as_secs_f64(), 2 * repeat);
        let sample = match self {
            Self::Throughput(_) => Sample::rate(messages, seconds, verified).also(
                "messages/server-CPU-second",
                messages as f64 / worked.as_secs_f64(),
            ),
            Self::PingPong(_) => {
                trial.equal("latencies", pinger.latencies.len(), repeat);
                Sample::rate(repeat, seconds, verified).latencies(pinger.latencies)
            }
        };
        // The runtime of the harness has no part in it.
        trial.finish(Counts::default(), sample)
    }
}

/// The one that sends the pings: on the core that is farthest from the other's, if cores are chosen.
fn runtime(server: RemoteServer, setting: &Setting<'_>) -> Result<Runtime, Failure> {
    let parameters = setting.parameters;
    let overrides = Overrides {
        workers: Some(parameters.workers),
        events_per_resume: parameters.events_per_resume,
        ..Overrides::default()
    };
    let builder = overrides
        .runtime_builder(Defaults::new(1))
        .reactor(server.reactor())
        .listen("127.0.0.1:0".parse().expect("an address"));
    let builder = if parameters.pin {
        // For as long as the worker's thread is there.
        builder.on_worker_start(|_| std::mem::forget(Pinned::to(Core::Last)))
    } else {
        builder
    };
    Ok(awake(builder).build()?)
}

struct Pinger {
    ponger: Upid,
    body: bytes::Bytes,
    window: u64,
    sent: u64,
    /// When the last one was, which is the only one where latencies are of interest.
    sent_at: Instant,
    pongs: u64,
    /// Whose bodies were not those of the pings.
    wrong: u64,
    repeat: u64,
    latencies: Histogram<u64>,
    done: Option<Promise<()>>,
}

impl Process for Pinger {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("pong", Self::on_pong);
        cx.link(&self.ponger);
        cx.send(&self.ponger, "link", "");
    }
}

impl Pinger {
    fn run(this: &mut Self, repeat: u64, done: Promise<()>, cx: &mut Context<Self>) {
        (this.repeat, this.sent, this.pongs) = (repeat, 0, 0);
        this.latencies.reset();
        this.done = Some(done);
        for _ in 0..this.window.min(repeat) {
            this.ping(cx);
        }
    }

    fn ping(&mut self, cx: &mut Context<Self>) {
        self.sent += 1;
        if self.window == 1 {
            self.sent_at = Instant::now();
        }
        cx.send(&self.ponger, "ping", self.body.clone());
    }

    fn on_pong(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        self.pongs += 1;
        self.wrong += u64::from(event.body != self.body);
        if self.window == 1 {
            let took = self.sent_at.elapsed();
            self.latencies.saturating_record(latency::nanoseconds(took));
        }
        if self.sent < self.repeat {
            self.ping(cx);
        } else if self.pongs == self.repeat
            && let Some(done) = self.done.take()
        {
            done.set(());
        }
    }
}
