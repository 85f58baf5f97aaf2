//! Messages of another runtime that are read, each with the 202 that answers it; and messages to one that are written.

use std::net::TcpListener;
use std::time::Instant;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use libprocess::{Context, MessageEvent, Process, Runtime, SpawnOptions, Upid};

use super::start;
use super::wire::{Asking, BATCH, Wire, in_batches};

const BODY: &str = "to be or not to be";

#[derive(Default)]
struct Sink {
    received: u64,
}

impl Process for Sink {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("tick", Self::tick);
    }
}

impl Sink {
    fn tick(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        assert_eq!(event.body, BODY);
        self.received += 1;
    }
}

pub(super) fn benchmarks(group: &mut BenchmarkGroup<'_, WallTime>) {
    receive(group);
    send(group);
}

fn receive(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = start(Runtime::builder().listen(([127, 0, 0, 1], 0).into()));
    let address = runtime.address().expect("it listens");
    let sink = runtime
        .spawn_with(SpawnOptions::new().name("sink"), Sink::default())
        .expect("the name is free");
    // As libprocess writes it.
    let message = format!(
        "POST /sink/tick HTTP/1.1\r\nUser-Agent: libprocess/source@127.0.0.1:1\r\nLibprocess-From: source@127.0.0.1:1\r\nConnection: Keep-Alive\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n",
        BODY.len()
    );
    let mut asking = Asking::new(Wire::connect(address), message.as_bytes(), b"\r\n\r\n");
    assert!(asking.answer().starts_with(b"HTTP/1.1 202 "));
    let received = || {
        let received = runtime.dispatch_with(sink, |sink, _cx| sink.received);
        received.get().expect("it is asked")
    };
    group.bench_function("message/receive", |bencher| {
        bencher.iter_custom(|count| {
            let before = received();
            let time = asking.ask(count);
            assert_eq!(received() - before, count, "messages were lost");
            time
        });
    });
}

fn send(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = start(Runtime::builder());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let there: Upid = format!("sink@{address}").parse().expect("it is a upid");
    // One to see how long it is, as all of them are.
    runtime.post(&there, "tick", BODY);
    let (stream, _) = listener.accept().expect("it connects");
    let mut wire = Wire::new(stream);
    let first = wire.receive_until(b"\r\n0\r\n\r\n");
    const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    wire.send(ACCEPTED.as_bytes());
    let mut messages = vec![0; first.len() * BATCH as usize];
    let answers = ACCEPTED.repeat(BATCH as usize);
    group.bench_function("message/send", |bencher| {
        bencher.iter_custom(|count| {
            in_batches(count, |now| {
                let messages = &mut messages[..first.len() * now];
                let started = Instant::now();
                for _ in 0..now {
                    runtime.post(&there, "tick", BODY);
                }
                wire.receive(messages);
                let time = started.elapsed();
                wire.send(&answers.as_bytes()[..ACCEPTED.len() * now]);
                for message in messages.chunks(first.len()) {
                    assert!(message == first, "{:?}", String::from_utf8_lossy(message));
                }
                time
            })
        });
    });
    assert_eq!(runtime.stats().dead_letters, 0, "messages were lost");
}
