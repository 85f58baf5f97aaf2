//! Bodies that are written while they are sent, and read while they come: what both ends notice.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod requests;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use common::answers::head;
use common::serving::until;
use common::sockets::{self, LONG, REACTORS, any};
use common::{lock, scale};
use http::{HeaderValue, StatusCode, header};
use libprocess::http::{
    Body, Limits, Pipe, PipeReader, PipeWriter, Request, Response, RouteOptions, ok, text,
};
use libprocess::{
    Context, Future, FutureError, Process, Promise, Runtime, SpawnOptions, spawn_async,
};

/// What the test has of an answer or a request that is under way.
#[derive(Clone, Default)]
struct Hands(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    writers: Vec<PipeWriter>,
    uploads: Vec<(PipeReader, Promise<Response>)>,
}

impl Hands {
    fn writer(&self) -> PipeWriter {
        until(|| !lock(&self.0).writers.is_empty());
        lock(&self.0).writers.remove(0)
    }

    fn upload(&self) -> (PipeReader, Promise<Response>) {
        until(|| !lock(&self.0).uploads.is_empty());
        lock(&self.0).uploads.remove(0)
    }
}

struct Streams(Hands);

impl Process for Streams {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.route(
            "/hello",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| ok("hello"),
        );
        cx.route("/down", "", Self::down);
        cx.route("/promised", "", Self::promised);
        cx.route("/endless", "", Self::endless);
        let streamed = RouteOptions::new().stream_requests(true);
        cx.route_with(streamed, "/up", "", Self::up);
        cx.route("/up/whole", "", Self::whole);
        cx.route_with(streamed, "/up/ignored", "", Self::ignored);
        cx.route_with(streamed, "/echo", "", Self::echo);
    }
}

impl Streams {
    fn down(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        self.begin().1
    }

    fn begin(&mut self) -> (PipeWriter, Response) {
        let Pipe { writer, reader } = Pipe::new();
        lock(&self.0.0).writers.push(writer.clone());
        let body = Body::stream(reader).with_type("text/plain");
        (writer, Response::new(body))
    }

    fn promised(&mut self, request: &Request, cx: &mut Context<Self>) -> Response {
        let mut response = self.down(request, cx);
        let ten = HeaderValue::from_static("10");
        response.headers_mut().insert(header::CONTENT_LENGTH, ten);
        response
    }

    /// As much as is taken.
    fn endless(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        let (writer, response) = self.begin();
        spawn_async(async move {
            let piece = vec![b'x'; 10_000];
            while writer.write(piece.clone()).await.is_ok() {}
        })
        .detach();
        response
    }

    fn up(&mut self, request: &Request, _cx: &mut Context<Self>) -> Future<Response> {
        let (promise, response) = Promise::pair();
        match request.body().reader() {
            Some(reader) => lock(&self.0.0).uploads.push((reader.clone(), promise)),
            None => {
                promise.set(ok("without a body"));
            }
        }
        response
    }

    fn whole(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        assert!(request.body().reader().is_none());
        ok(request.body().bytes().clone())
    }

    fn ignored(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        text(StatusCode::FORBIDDEN, "not wanted")
    }

    fn echo(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        match request.body().reader() {
            Some(reader) => Response::new(Body::stream(reader.clone())),
            None => ok(""),
        }
    }
}

struct Service {
    runtime: Runtime,
    hands: Hands,
    name: String,
}

impl Service {
    fn new(runtime: Runtime, name: String) -> Self {
        let hands = Hands::default();
        let options = SpawnOptions::new().name("streams");
        let streams = runtime
            .spawn_with(options, Streams(hands.clone()))
            .expect("spawned");
        // Which routes there are is known once it is initialized.
        let initialized = runtime.dispatch_with(streams, |_, _| ());
        initialized.get_timeout(LONG).expect("it goes on");
        Self {
            runtime,
            hands,
            name,
        }
    }

    fn connect(&self) -> TcpStream {
        let address = self.runtime.address().expect("it listens");
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(LONG)).expect("an option");
        stream.set_write_timeout(Some(LONG)).expect("an option");
        stream
    }

    fn ask(&self, request: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    }
}

fn on_each_with(limits: &Limits, test: impl Fn(&Service)) {
    let seeds = (0..sockets::FAULTS * scale() as u64).map(Some);
    for faults in std::iter::once(None).chain(seeds) {
        for kind in REACTORS {
            let mut builder = Runtime::builder()
                .workers(2)
                .reactor(*kind)
                .listen(any())
                .http_limits(limits.clone());
            if let Some(seed) = faults {
                builder = builder.io_faults(seed);
            }
            let runtime = builder.build().expect("a runtime");
            test(&Service::new(runtime, format!("{kind}, faults {faults:?}")));
        }
    }
}

fn on_each(test: impl Fn(&Service)) {
    on_each_with(&Limits::new(), test);
}

const DOWN: &str = "GET /streams/down HTTP/1.1\r\nHost: a\r\n\r\n";
const HELLO: &str = "GET /streams/hello HTTP/1.1\r\nHost: a\r\n\r\n";
const UP: &str = "POST /streams/up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A chunk, which is empty at the end.
fn chunk(stream: &mut impl Read) -> Vec<u8> {
    let size = line(stream);
    let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no size: {size:?}"));
    let mut chunk = vec![0; size];
    stream.read_exact(&mut chunk).expect("a chunk");
    if size > 0 {
        assert_eq!(line(stream), "");
    }
    chunk
}

fn line(stream: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).expect("a line");
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).expect("a text")
}

fn reads(reader: &PipeReader) -> Result<Vec<u8>, FutureError> {
    reader.read().get_timeout(LONG).map(|bytes| bytes.to_vec())
}

/// Bytes that the kernel may hold of a connection, with what the runtime does: far less than what would have been written meanwhile.
const HELD_UP: usize = 32 << 20;
