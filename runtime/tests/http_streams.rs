//! Bodies that are written while they are sent, and read while they come: what both ends notice.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::answers::{body, one, rest, status};
use common::serving::{ends, reset, until};
use common::sockets::{self, LONG, REACTORS, any};
use common::{lock, scale};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use libprocess::http::{
    Body, Limits, Pipe, PipeReader, PipeWriter, Request, Response, RouteOptions, ok, text,
};
use libprocess::{
    Context, Future, FutureError, Process, Promise, Runtime, SpawnOptions, request, spawn_async,
    spawn_with,
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
        runtime
            .spawn_with(options, Streams(hands.clone()))
            .expect("spawned");
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

fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a text")
}

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

#[test]
fn an_answer_goes_out_while_it_is_made() {
    on_each(|service| {
        let mut stream = service.ask(&format!("{DOWN}{HELLO}"));
        let head = head(&mut stream);
        assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/plain\r\n"), "{head}");
        assert!(!head.contains("Content-Length"), "{head}");
        let writer = service.hands.writer();
        for piece in ["to be", " continued", "."] {
            writer.try_write(piece).expect("room");
            assert_eq!(chunk(&mut stream), piece.as_bytes());
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", HeaderValue::from_static("abc"));
        trailers.insert("content-length", HeaderValue::from_static("1"));
        writer.close_with_trailers(trailers);
        assert_eq!(chunk(&mut stream), b"");
        assert_eq!(line(&mut stream), "checksum: abc");
        assert_eq!(line(&mut stream), "");
        // Which has waited behind it.
        assert_eq!(body(&one(&mut stream)), "hello");
        stream.write_all(HELLO.as_bytes()).expect("sent");
        assert_eq!(body(&one(&mut stream)), "hello", "{}", service.name);
    });
}

#[test]
fn a_client_of_http_1_0_has_it_up_to_the_end() {
    on_each(|service| {
        let ask = "GET /streams/down HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let mut stream = service.ask(ask);
        let head = head(&mut stream);
        assert!(head.contains("Connection: close\r\n"), "{head}");
        assert!(!head.contains("Transfer-Encoding"), "{head}");
        let writer = service.hands.writer();
        writer.try_write("to be").expect("room");
        writer.try_write(" continued").expect("room");
        writer.close();
        assert_eq!(rest(&mut stream), "to be continued");

        let mut stream = service.ask(ask);
        self::head(&mut stream);
        let writer = service.hands.writer();
        writer.try_write("half").expect("room");
        let mut half = [0; 4];
        stream.read_exact(&mut half).expect("what was written");
        writer.fail("no more of it");
        let error = stream
            .read(&mut half)
            .expect_err("no end that looks like one");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{}", service.name);
    });
}

#[test]
fn a_length_that_was_promised_is_kept_or_the_connection_is_cut() {
    on_each(|service| {
        let ask = "GET /streams/promised HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut stream = service.ask(ask);
        let head = head(&mut stream);
        assert!(head.contains("Content-Length: 10\r\n"), "{head}");
        assert!(!head.contains("Transfer-Encoding"), "{head}");
        let writer = service.hands.writer();
        writer.try_write("01234").expect("room");
        writer.try_write("56789").expect("room");
        writer.close();
        let mut all = [0; 10];
        stream.read_exact(&mut all).expect("the body");
        assert_eq!(&all, b"0123456789");
        for (written, is_less) in [("01234", true), ("0123456789a", false)] {
            stream.write_all(ask.as_bytes()).expect("sent");
            self::head(&mut stream);
            let writer = service.hands.writer();
            writer.try_write(written).expect("room");
            writer.close();
            let mut got = Vec::new();
            // By a reset, perhaps.
            let _ = stream.read_to_end(&mut got);
            assert!(got.len() < 10, "{is_less}: {got:?}");
            writer.reader_closed().get_timeout(LONG).expect("told");
            stream = service.connect();
        }
    });
}

#[test]
fn what_is_broken_off_does_not_look_whole() {
    on_each(|service| {
        let mut stream = service.ask(&format!("{DOWN}{HELLO}"));
        head(&mut stream);
        let writer = service.hands.writer();
        writer.try_write("half").expect("room");
        assert_eq!(chunk(&mut stream), b"half");
        // As if it had failed: nobody can say that this was all.
        drop(writer);
        ends(&mut stream);
    });
}

#[test]
fn a_head_has_no_body() {
    on_each(|service| {
        let ask = DOWN.replace("GET", "HEAD");
        let mut stream = service.ask(&format!("{ask}{HELLO}"));
        let head = head(&mut stream);
        assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
        assert_eq!(body(&one(&mut stream)), "hello");
        let writer = service.hands.writer();
        writer.reader_closed().get_timeout(LONG).expect("told");
        assert!(writer.write("for nobody").get().is_err());
    });
}

/// Bytes that the kernel may hold of a connection, with what the runtime does: far less than what would have been written meanwhile.
const HELD_UP: usize = 32 << 20;

#[test]
fn a_client_that_does_not_read_holds_the_writer_up() {
    on_each(|service| {
        let mut stream = service.ask("GET /streams/endless HTTP/1.1\r\nHost: a\r\n\r\n");
        let writer = service.hands.writer();
        // It comes to rest by itself, which an unbounded one would not.
        let mut refused = 0;
        while refused < 100_000 {
            refused = if writer.try_write("").is_err() {
                refused + 1
            } else {
                0
            };
            std::thread::yield_now();
        }
        let mut got = 0;
        head(&mut stream);
        while got < HELD_UP {
            got += chunk(&mut stream).len();
        }
        drop(stream);
        writer.reader_closed().get_timeout(LONG).expect("told");
        assert!(
            writer.write("for nobody").get().is_err(),
            "{}",
            service.name
        );
    });
}

#[test]
fn who_writes_learns_that_the_client_has_gone() {
    on_each(|service| {
        for leaves in [drop, reset] {
            let mut stream = service.ask(DOWN);
            head(&mut stream);
            let writer = service.hands.writer();
            let closed = writer.reader_closed();
            leaves(stream);
            let left = closed.get_timeout(Duration::from_millis(1)).is_ok();
            if !left {
                // A close that is no reset is told by the answer to what is sent.
                until(|| {
                    writer.write("anybody there?").get().is_err()
                        || writer.reader_closed().is_ready()
                });
            }
            assert!(writer.reader_closed().is_ready(), "{}", service.name);
        }
    });
}

#[test]
fn a_request_is_read_while_it_comes() {
    on_each(|service| {
        let mut stream = service.ask(UP);
        let (reader, response) = service.hands.upload();
        for piece in ["to be", "continued"] {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(chunk.as_bytes()).expect("sent");
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(reads(&reader).expect("a piece"));
            }
            assert_eq!(got, piece.as_bytes());
        }
        let end = format!("0\r\nChecksum: abc\r\n\r\n{HELLO}");
        stream.write_all(end.as_bytes()).expect("sent");
        assert_eq!(reads(&reader).expect("the end"), b"");
        assert_eq!(reader.trailers().expect("trailers")["checksum"], "abc");
        response.set(ok("thanks"));
        assert_eq!(body(&one(&mut stream)), "thanks");
        assert_eq!(body(&one(&mut stream)), "hello");
        // The longest route decides, and a request without a body has nothing to be streamed.
        for (path, told) in [("/up/whole", "abc"), ("/%75p/whole", "abc")] {
            let ask =
                format!("POST /streams{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
            stream.write_all(ask.as_bytes()).expect("sent");
            assert_eq!(body(&one(&mut stream)), told);
        }
        let ask = "POST /streams/up HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(ask.as_bytes()).expect("sent");
        assert_eq!(body(&one(&mut stream)), "without a body");
        let ask = "POST /streams/%75%70?a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
        stream.write_all(ask.as_bytes()).expect("sent");
        let (reader, response) = service.hands.upload();
        assert_eq!(reader.read_all(3).get_timeout(LONG).expect("all"), "abc");
        response.set(ok("bye"));
        let last = rest(&mut stream);
        assert!(last.contains("Connection: close\r\n"), "{last}");
        assert_eq!(body(&last), "bye", "{}", service.name);
    });
}

#[test]
fn a_client_that_expects_is_told_before_it_sends() {
    on_each(|service| {
        let ask = "POST /streams/up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        let mut stream = service.ask(ask);
        assert_eq!(one(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").expect("sent");
        let (reader, response) = service.hands.upload();
        assert_eq!(reader.read_all(5).get_timeout(LONG).expect("all"), "hello");
        response.set(ok("thanks"));
        assert_eq!(body(&one(&mut stream)), "thanks", "{}", service.name);
    });
}

#[test]
fn a_handler_that_does_not_read_holds_the_client_up() {
    on_each(|service| {
        let mut stream = service.ask(
            "POST /streams/up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\nConnection: close\r\n\r\n",
        );
        let (reader, response) = service.hands.upload();
        stream.set_nonblocking(true).expect("an option");
        let piece = vec![b'x'; 50_000];
        let mut sent = 0;
        // Until nothing is taken for so many looks that it will not be.
        let mut refused = 0;
        while refused < 100_000 {
            match stream.write(&piece) {
                Ok(more) => {
                    sent += more;
                    refused = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    refused += 1;
                    std::thread::yield_now();
                }
                Err(error) => panic!("{}: {error}", service.name),
            }
            assert!(sent < HELD_UP, "nothing holds it up");
        }
        stream.set_nonblocking(false).expect("an option");
        let counted = service.runtime.spawn_async(async move {
            let mut count = 0;
            loop {
                match reader.read().await {
                    Ok(piece) if piece.is_empty() => break count,
                    Ok(piece) => count += piece.len(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        while sent < 100_000_000 {
            let more = piece.len().min(100_000_000 - sent);
            stream.write_all(&piece[..more]).expect("sent");
            sent += more;
        }
        assert_eq!(counted.get_timeout(LONG), Ok(100_000_000));
        response.set(ok("thanks"));
        assert_eq!(body(&rest(&mut stream)), "thanks", "{}", service.name);
    });
}

#[test]
fn what_the_client_breaks_off_does_not_look_whole() {
    on_each(|service| {
        for leaves in [drop, reset] {
            let stream = service.ask(&format!("{UP}3\r\nabc\r\n"));
            let (reader, _response) = service.hands.upload();
            assert_eq!(reads(&reader).expect("a piece"), b"abc");
            leaves(stream);
            reads(&reader).expect_err("no end");
        }
        // What is no chunk is answered by whoever has the request, and nothing comes behind.
        let mut stream = service.ask(&format!("{UP}3\r\nabcd\r\n{HELLO}"));
        let (reader, response) = service.hands.upload();
        assert_eq!(reads(&reader).expect("a piece"), b"abc");
        reads(&reader).expect_err("no end");
        response.set(text(StatusCode::BAD_REQUEST, "half of it"));
        let answer = rest(&mut stream);
        assert_eq!((status(&answer), body(&answer)), (400, "half of it"));
        assert!(
            answer.contains("Connection: close\r\n"),
            "{}: {answer}",
            service.name
        );
    });
}

#[test]
fn what_nobody_reads_is_thrown_away() {
    on_each(|service| {
        let ask = |length: usize| {
            format!(
                "POST /streams/up/ignored HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        let mut stream = service.ask(&ask(100_000));
        assert_eq!(status(&one(&mut stream)), 403);
        stream.write_all(&vec![b'x'; 100_000]).expect("sent");
        stream.write_all(HELLO.as_bytes()).expect("sent");
        assert_eq!(body(&one(&mut stream)), "hello");
        // Too much for that: the connection ends.
        stream.write_all(ask(100_000_000).as_bytes()).expect("sent");
        assert_eq!(status(&one(&mut stream)), 403);
        let piece = vec![b'x'; 1 << 20];
        let sent = (0..100).try_for_each(|_| stream.write_all(&piece));
        assert!(sent.is_err(), "{}: all was taken", service.name);
    });
}

#[test]
fn a_body_can_be_sent_back_while_it_comes() {
    on_each(|service| {
        let mut stream = service.ask(&UP.replace("/up", "/echo"));
        head(&mut stream);
        for piece in ["to be", "continued"] {
            let sent = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(sent.as_bytes()).expect("sent");
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(chunk(&mut stream));
            }
            assert_eq!(got, piece.as_bytes());
        }
        let end = format!("0\r\n\r\n{HELLO}");
        stream.write_all(end.as_bytes()).expect("sent");
        assert_eq!(chunk(&mut stream), b"");
        assert_eq!(line(&mut stream), "");
        assert_eq!(body(&one(&mut stream)), "hello", "{}", service.name);
    });
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let limits = Limits::new().body_timeout(Duration::from_secs(5));
    for kind in REACTORS {
        let builder = Runtime::builder().workers(2).reactor(*kind);
        let builder = builder.listen(any()).http_limits(limits.clone());
        let runtime = builder.build().expect("a runtime");
        let clock = runtime.clock().clone();
        clock.pause();
        let service = Service::new(runtime, kind.to_string());
        let mut stream = service.ask(&format!("{UP}3\r\nabc\r\n"));
        let (reader, response) = service.hands.upload();
        assert_eq!(reads(&reader).expect("a piece"), b"abc");
        let read = reader.read();
        // The process of the connection begins to wait at some time.
        until(|| {
            clock.advance(Duration::from_secs(1));
            !read.is_pending()
        });
        assert!(read.is_failed());
        response.set(text(StatusCode::REQUEST_TIMEOUT, "late"));
        assert_eq!(body(&rest(&mut stream)), "late", "{}", service.name);
    }
}

#[test]
fn a_pipe_goes_from_process_to_process() {
    let runtime = common::runtime(2);
    let hands = Hands::default();
    let process = Streams(hands.clone());
    let asked = runtime.spawn_async(async move {
        let streams = spawn_with(SpawnOptions::new(), process).expect("spawned");
        let asked = http::Request::get("/down")
            .body(Body::empty())
            .expect("a request");
        let response = request(streams, asked).await.expect("an answer");
        let reader = response.body().reader().expect("a stream").clone();
        reader.read_all(1 << 10).await
    });
    let writer = hands.writer();
    writer.try_write("to be").expect("room");
    writer.try_write(" continued").expect("room");
    writer.close();
    let all = asked.get_timeout(LONG).expect("it ends").expect("all");
    assert_eq!(all, "to be continued");
}
