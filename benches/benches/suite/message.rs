//! What a message costs, and one back: two processes, one message under way.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use libprocess::{Context, Future, MessageEvent, Pid, Process, Promise, Runtime};

struct Destination;

impl Process for Destination {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        cx.send(&event.from, "pong", "");
    }
}

struct Client {
    destination: Pid<Destination>,
    left: u64,
    done: Option<Promise<()>>,
}

impl Process for Client {
    fn consume_message(&mut self, _event: MessageEvent, cx: &mut Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            cx.send(self.destination, "ping", "");
        } else if let Some(done) = self.done.take() {
            done.set(());
        }
    }
}

impl Client {
    fn start(&mut self, round_trips: u64, cx: &mut Context<Self>) -> Future<()> {
        let done = Promise::new();
        let future = done.future();
        self.left = round_trips;
        self.done = Some(done);
        cx.send(self.destination, "ping", "");
        future
    }
}

/// The time that so many round trips take, one after the other. This thread only starts them and waits for the last.
fn round_trips(runtime: &Runtime, client: Pid<Client>, count: u64) -> Duration {
    let started = Instant::now();
    let all = runtime.dispatch_with(client, move |client, cx| client.start(count, cx));
    let result = all.get();
    let time = started.elapsed();
    assert_eq!(result, Ok(()));
    time
}

/// A process with many handlers, of which each message names the last.
struct Handlers {
    handlers: usize,
    last: &'static str,
    left: u64,
    done: Option<Promise<()>>,
}

impl Handlers {
    fn new(handlers: usize) -> Self {
        Self {
            handlers,
            last: format!("handler {}", handlers - 1).leak(),
            left: 0,
            done: None,
        }
    }

    fn start(&mut self, messages: u64, cx: &mut Context<Self>) -> Future<()> {
        let done = Promise::new();
        let future = done.future();
        self.left = messages;
        self.done = Some(done);
        cx.send(cx.pid(), self.last, "");
        future
    }

    fn handle(&mut self, _event: MessageEvent, cx: &mut Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            cx.send(cx.pid(), self.last, "");
        } else if let Some(done) = self.done.take() {
            done.set(());
        }
    }
}

impl Process for Handlers {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        for handler in 0..self.handlers {
            // Of the program for good, as literals are, but not the very text that the messages name: as if both were in different crates.
            let name: &'static str = format!("handler {handler}").leak();
            cx.install(name, Self::handle);
        }
    }
}

/// A message that a process sends itself, by the number of handlers that it has: what is more for more of them is the lookup of the name.
fn lookups(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("message_to_handler");
    group.throughput(Throughput::Elements(1));
    for handlers in [1, 5, 20, 100] {
        let process = runtime.spawn_owned(Handlers::new(handlers));
        group.bench_with_input(handlers.to_string(), &process.pid(), |bencher, &pid| {
            bencher.iter_custom(|count| {
                let started = Instant::now();
                let all = runtime.dispatch(pid, Handlers::start, (count,));
                assert_eq!(all.get(), Ok(()));
                started.elapsed()
            });
        });
    }
    group.finish();
}

pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let runtime = Runtime::builder().build().expect("the runtime starts");
    lookups(criterion, &runtime);
    let destination = runtime.spawn_owned(Destination);
    let client = Client {
        destination: destination.pid(),
        left: 0,
        done: None,
    };
    let client = runtime.spawn_owned(client);
    let mut group = criterion.benchmark_group("message");
    // Messages, two in each round trip.
    group.throughput(Throughput::Elements(2));
    group.bench_function("round_trip", |bencher| {
        bencher.iter_custom(|count| round_trips(&runtime, client.pid(), count));
    });
    group.finish();
    let dead_letters = runtime.stats().dead_letters;
    assert_eq!(dead_letters, 0, "messages were lost");
}
