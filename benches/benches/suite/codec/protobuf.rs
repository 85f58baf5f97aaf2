//! Protobuf messages: read for the handler of their type, without a mailbox; and written, which takes one, to a process that looks at their length.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use libprocess::{Context, Message, MessageEvent, Pid, Process, Runtime, Upid};
use prost::{Message as _, Name};

use super::start;
use super::wire::in_batches;

/// Some fields of each kind that there is much of.
#[derive(Clone, PartialEq, prost::Message)]
struct Report {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, repeated, tag = "2")]
    figures: Vec<u64>,
    #[prost(message, optional, boxed, tag = "3")]
    of_before: Option<Box<Report>>,
}

impl Name for Report {
    const PACKAGE: &'static str = "libprocess.benches";
    const NAME: &'static str = "Report";
}

impl Report {
    fn new() -> Self {
        let inner = Self {
            name: "requests a second, an hour ago".to_owned(),
            figures: (0..16).map(|n| 1 << (4 * n)).collect(),
            of_before: None,
        };
        Self {
            name: "requests a second".to_owned(),
            figures: inner.figures.clone(),
            of_before: Some(Box::new(inner)),
        }
    }
}

#[derive(Default)]
struct Reader {
    handled: u64,
    last: Option<Report>,
}

impl Process for Reader {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install_protobuf(Self::handle);
    }
}

impl Reader {
    fn handle(&mut self, _from: &Upid, report: Report, _cx: &mut Context<Self>) {
        self.handled += 1;
        self.last = Some(report);
    }
}

#[derive(Default)]
struct Sink {
    messages: u64,
    bytes: usize,
}

impl Process for Sink {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        self.messages += 1;
        self.bytes += event.body.len();
    }
}

struct Writer {
    sink: Pid<Sink>,
}

impl Process for Writer {}

pub(super) fn benchmarks(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = start(Runtime::builder());
    let reader = runtime.spawn_owned(Reader::default());
    group.bench_function("protobuf/decode", |bencher| {
        bencher.iter_custom(|count| decode(&runtime, reader.pid(), count));
    });
    let sink = runtime.spawn_owned(Sink::default());
    let writer = runtime.spawn_owned(Writer { sink: sink.pid() });
    group.bench_function("protobuf/send", |bencher| {
        bencher.iter_custom(|count| send(&runtime, writer.pid(), sink.pid(), count));
    });
}

fn decode(runtime: &Runtime, reader: Pid<Reader>, count: u64) -> Duration {
    let message = Message {
        name: Cow::Owned(Report::full_name()),
        from: reader.upid(),
        body: Bytes::from(Report::new().encode_to_vec()),
    };
    let decoded = runtime.dispatch_with(reader, move |reader, cx| {
        let before = reader.handled;
        let started = Instant::now();
        for _ in 0..count {
            cx.handle(reader, message.clone().into());
        }
        let time = started.elapsed();
        assert_eq!(reader.handled - before, count, "messages were lost");
        assert_eq!(reader.last, Some(Report::new()));
        time
    });
    decoded.get().expect("it is as it was written")
}

fn send(runtime: &Runtime, writer: Pid<Writer>, sink: Pid<Sink>, count: u64) -> Duration {
    let received = || {
        let received = runtime.dispatch_with(sink, |sink, _cx| (sink.messages, sink.bytes));
        received.get().expect("it is asked")
    };
    let before = received();
    let size = Report::new().encoded_len();
    let time = in_batches(count, |now| {
        let report = Report::new();
        let started = Instant::now();
        let sent = runtime.dispatch_with(writer, move |writer, cx| {
            for _ in 0..now {
                cx.send_protobuf(writer.sink, &report);
            }
        });
        sent.get().expect("it sends");
        received();
        started.elapsed()
    });
    let (messages, bytes) = received();
    assert_eq!(messages - before.0, count, "messages were lost");
    assert_eq!(bytes - before.1, size * count as usize, "bytes were lost");
    time
}
