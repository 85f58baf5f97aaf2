//! libprocess's benchmark of clients and a server.
//!
//! Each client is started by an HTTP request to its route `run`, whose answer is the end of its work, and then has a number of requests under way at a time:
//! messages by name with a body of three bytes. The server links to each client that it hears of, and answers with the body that it got. As in the original clients and server
//! share a runtime, so that no socket has a part in what is measured; here the HTTP requests go to the processes without one, too.

use std::collections::HashSet;
use std::time::Instant;

use libprocess::http::{Body, Request, Response, ok};
use libprocess::{Context, Future, MessageEvent, Process, Promise, Upid, collect, request};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, join_all};

/// The body of each request, and of its answer.
const BODY: &str = "hi!";

pub(crate) struct ClientServer;

impl Benchmark for ClientServer {
    fn name(&self) -> &'static str {
        "ProcessTest.Process_BENCHMARK_ClientServer"
    }

    fn summary(&self) -> &'static str {
        "Clients that are started by an HTTP request and send requests of three bytes to one server, a window of them under way at a time, which \
         answers each; a repeat is a request of each client."
    }

    fn unit(&self) -> &'static str {
        "requests/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(10_000).window(250).actors(8, 1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(1);
        let window = setting.parameters.window.unwrap_or(1).min(repeat);
        let mut trial = Trial::begin(setting);
        let server = runtime.spawn_owned(Server::default());
        let clients: Vec<_> = (0..actors)
            .map(|_| {
                runtime.spawn_owned(Client {
                    server: server.pid().upid(),
                    requests: repeat,
                    window,
                    sent: 0,
                    answered: 0,
                    strange: 0,
                    done: None,
                })
            })
            .collect();

        let started = Instant::now();
        let all: Vec<Future<u64>> = clients
            .iter()
            .map(|client| {
                let mut run = http::Request::new(Body::empty());
                *run.uri_mut() = http::Uri::from_static("/run");
                request(client.pid(), run).then(|response| {
                    let told = std::str::from_utf8(response.body().bytes());
                    let told = told.ok().and_then(|told| told.parse().ok());
                    told.map_or_else(|| Future::failed("no number"), Future::ready)
                })
            })
            .collect();
        let answered = trial.wait(collect(all), |counts| counts.messages / (2 * actors))?;
        let seconds = started.elapsed().as_secs_f64();

        for (client, answered) in answered.into_iter().enumerate() {
            trial.equal(
                format_args!("what the future of client {client} tells"),
                answered,
                repeat,
            );
        }
        for (index, client) in join_all(clients)?.iter().enumerate() {
            let what = format_args!("requests of client {index}");
            trial.equal(what, client.sent, repeat);
            let what = format_args!("answers to client {index}");
            trial.equal(what, client.answered, repeat);
            let what = format_args!("answers to client {index} that were wrong");
            trial.equal(what, client.strange, 0);
        }
        server.terminate_after_pending();
        let server = server.join()?;
        trial.equal(
            "clients that the server was told have ended",
            server.exits,
            actors,
        );
        trial.equal("requests served", server.served, actors * repeat);
        trial.equal("requests that were wrong", server.strange, 0);
        let expected = Counts {
            messages: 2 * actors * repeat,
            http: actors,
            exited: actors,
            ..Counts::lives(actors + 1)
        };
        let verified = format!(
            "{} of each of {}, answered whole, no dead letter",
            count(repeat, "request"),
            count(actors, "client")
        );
        let sample = Sample::rate(actors * repeat, seconds, verified)
            .also("messages/s", (2 * actors * repeat) as f64 / seconds);
        trial.finish(expected, sample)
    }
}

struct Client {
    server: Upid,
    requests: u64,
    window: u64,
    sent: u64,
    answered: u64,
    strange: u64,
    done: Option<Promise<u64>>,
}

impl Client {
    /// Answers in the end with how many were answered.
    fn run(&mut self, _request: &Request, cx: &mut Context<Self>) -> Future<Response> {
        let done = Promise::new();
        let all = done.future();
        self.done = Some(done);
        for _ in 0..self.window {
            self.request(cx);
        }
        all.then(|answered| ok(answered.to_string()))
    }

    fn request(&mut self, cx: &mut Context<Self>) {
        self.sent += 1;
        cx.send(&self.server, "ping", BODY);
    }

    fn on_pong(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        self.answered += 1;
        self.strange += u64::from(event.from != self.server || event.body != BODY);
        if self.sent < self.requests {
            self.request(cx);
        } else if self.answered == self.requests
            && let Some(done) = self.done.take()
        {
            done.set(self.answered);
        }
    }
}

impl Process for Client {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("pong", Self::on_pong);
        cx.route(
            "/run",
            "Sends all requests, and answers when they are answered.",
            Self::run,
        );
    }
}

#[derive(Default)]
struct Server {
    clients: HashSet<Upid>,
    exits: u64,
    served: u64,
    strange: u64,
}

impl Server {
    fn on_ping(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        self.served += 1;
        self.strange += u64::from(event.body != BODY);
        if self.clients.insert(event.from.clone()) {
            cx.link(&event.from);
        }
        cx.send(&event.from, "pong", event.body.clone());
    }
}

impl Process for Server {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("ping", Self::on_ping);
    }

    fn exited(&mut self, client: &Upid, _cx: &mut Context<Self>) {
        self.exits += u64::from(self.clients.remove(client));
    }
}
