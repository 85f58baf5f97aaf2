//! Processes as web services: what a client on the other end of a socket notices.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use common::sockets::{LONG, REACTORS};
use libprocess::http::{Body, Limits, Request, Response, ok, text};
use libprocess::{
    Context, Future, FutureError, Process, Promise, ReactorKind, Runtime, SpawnOptions,
};

/// A service with a route of each kind.
#[derive(Default)]
struct Adder {
    /// Who waits for `/adder/release`.
    held: Vec<Promise<Response>>,
}

impl Process for Adder {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.route("/add", "Adds the query arguments a and b.", Self::add);
        cx.route(
            "/add/one",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| ok("one"),
        );
        cx.route(
            "/",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| ok("root"),
        );
        cx.route("/echo", "", Self::echo);
        cx.route("/hold", "", Self::hold);
        cx.route("/release", "", Self::release);
        cx.route(
            "/bye/",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| {
                let mut response = ok("bye");
                let close = http::HeaderValue::from_static("close");
                response
                    .headers_mut()
                    .insert(http::header::CONNECTION, close);
                response
            },
        );
        cx.route(
            "/fail",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| {
                Future::<Response>::failed("out of order")
            },
        );
        cx.route(
            "/panic",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| -> Response { panic!("asked to") },
        );
        cx.route(
            "/large",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| ok(vec![b'x'; 3_000_000]),
        );
        cx.route(
            "/empty",
            "",
            |_: &mut Self, _: &Request, _: &mut Context<Self>| {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = http::StatusCode::NO_CONTENT;
                response
            },
        );
    }
}

impl Adder {
    fn add(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        let argument = |name: &str| {
            let query = request.uri().query()?;
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|(key, _)| *key == name)?
                .1
                .parse::<i64>()
                .ok()
        };
        match (argument("a"), argument("b")) {
            (Some(a), Some(b)) => ok((a + b).to_string()),
            _ => text(http::StatusCode::BAD_REQUEST, "expecting a and b"),
        }
    }

    /// All that is told of a request.
    fn echo(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        let mut told = format!(
            "{} {} {:?}\n",
            request.method(),
            request.uri(),
            request.version()
        );
        let mut fields: Vec<_> = request.headers().iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in fields {
            told += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        }
        told += &String::from_utf8_lossy(request.body().bytes());
        let trailers = request.body().trailers().cloned().unwrap_or_default();
        for (name, value) in &trailers {
            told += &format!("\n{name}: {value:?}");
        }
        Response::new(Body::from(told).with_trailers(trailers))
    }

    fn hold(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Future<Response> {
        let (promise, response) = Promise::pair();
        self.held.push(promise);
        response
    }

    fn release(&mut self, _request: &Request, _cx: &mut Context<Self>) -> Response {
        let count = self.held.len();
        for (number, promise) in self.held.drain(..).enumerate().rev() {
            promise.set(ok(format!("held {number}")));
        }
        ok(format!("released {count}"))
    }
}

struct Service {
    runtime: Runtime,
    address: SocketAddr,
}

fn service_with(kind: ReactorKind, limits: Limits) -> Service {
    let runtime = Runtime::builder()
        .workers(2)
        .reactor(kind)
        .listen("127.0.0.1:0".parse().expect("an address"))
        .http_limits(limits)
        .delegate("adder")
        .build()
        .expect("a runtime");
    let options = SpawnOptions::new().name("adder");
    runtime
        .spawn_with(options, Adder::default())
        .expect("spawned");
    let address = runtime.address().expect("it listens");
    Service { runtime, address }
}

fn on_each_with(limits: &Limits, test: impl Fn(&Service)) {
    for kind in REACTORS {
        test(&service_with(*kind, limits.clone()));
    }
}

fn on_each(test: impl Fn(&Service)) {
    on_each_with(&Limits::new(), test);
}

impl Service {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(LONG)).expect("a time-out");
        stream
    }

    /// All that comes until the server closes, the dates blanked.
    fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).expect("sent");
        rest(&mut stream)
    }

    /// The answer to a GET, which closes.
    fn get(&self, path: &str) -> String {
        self.ask(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ))
    }
}

fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an end");
    blanked(&answer)
}

/// Exactly one answer with a length.
fn one(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        answer.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&answer).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    answer.extend(body);
    blanked(&answer)
}

fn blanked(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let lines = text.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("Date: ")).collect()
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status
        .parse()
        .unwrap_or_else(|_| panic!("no status: {answer:?}"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

#[test]
fn a_route_answers() {
    on_each(|service| {
        assert_eq!(
            service.get("/adder/add?a=2&b=40"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: 2\r\n\r\n42"
        );
        for (path, expected) in [
            ("/adder/add/one", "one"),
            ("/adder/add/one/more", "one"),
            ("/adder/add/two?a=1&b=1", "2"),
            ("/adder/%61dd?a=1&b=1", "2"),
            ("/%61dder/add?a=1&b=1", "2"),
            ("/adder", "root"),
            ("/adder/", "root"),
            ("http://elsewhere/adder/add?a=1&b=1", "2"),
            // By the delegate.
            ("/", "root"),
            ("/add?a=1&b=1", "2"),
        ] {
            assert_eq!(body(&service.get(path)), expected, "{path}");
        }
        for path in [
            "/adder/nothing",
            "/adder/../adder/add",
            "/adder/%2e%2e/add",
            "/%ff/add",
            "/adder/ad",
        ] {
            assert_eq!(status(&service.get(path)), 404, "{path}");
        }
    });
}

#[test]
fn all_of_a_request_arrives() {
    on_each(|service| {
        let answer = service.ask(
            "POST /adder/echo?x HTTP/1.1\r\nhOsT: a\r\nX-Twice: 1\r\nX-Empty:\r\nX-Twice:  2 \r\nContent-Length: 5\r\n\
             Connection: close\r\n\r\nhello",
        );
        let told = "POST /adder/echo?x HTTP/1.1\nconnection: close\ncontent-length: 5\nhost: a\nx-empty: \nx-twice: 1\nx-twice: 2\nhello";
        assert_eq!(body(&answer), told);
    });
}

#[test]
fn a_request_cut_anywhere_is_the_same() {
    let text = "\r\nPUT /adder/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n1\r\n!\r\n0\r\nSum: 7\r\n\r\n\
                GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let service = service_with(ReactorKind::Epoll, Limits::new());
    let whole = service.ask(text);
    assert!(whole.contains("hello!\nsum: \"7\""), "{whole}");
    assert!(whole.ends_with("\r\n\r\n3"), "{whole}");
    for cut in 1..text.len() {
        let mut stream = service.connect();
        stream.set_nodelay(true).expect("set");
        let (first, second) = text.as_bytes().split_at(cut);
        stream.write_all(first).expect("sent");
        // Mostly they come as two pieces; where not, it is the whole again.
        std::thread::yield_now();
        stream.write_all(second).expect("sent");
        assert_eq!(rest(&mut stream), whole, "cut at {cut}");
    }
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    on_each(|service| {
        let mut stream = service.connect();
        let hold = "GET /adder/hold HTTP/1.1\r\nHost: a\r\n\r\n";
        let add = "GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\n";
        let release = "GET /adder/release HTTP/1.1\r\nHost: a\r\n\r\n";
        stream
            .write_all(format!("{hold}{add}{hold}{hold}{release}").as_bytes())
            .expect("sent");
        for expected in ["held 0", "3", "held 1", "held 2", "released 3"] {
            assert_eq!(body(&one(&mut stream)), expected);
        }
    });
}

#[test]
fn connections_stay_or_close_as_asked() {
    on_each(|service| {
        let mut stream = service.connect();
        for _ in 0..3 {
            stream
                .write_all(b"GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\n")
                .expect("sent");
            let answer = one(&mut stream);
            assert!(!answer.contains("Connection"), "{answer}");
        }
        stream
            .write_all(b"GET /adder HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .expect("sent");
        assert!(one(&mut stream).contains("Connection: keep-alive\r\n"));
        stream
            .write_all(b"GET /adder HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n")
            .expect("sent");
        let last = rest(&mut stream);
        assert!(last.contains("Connection: close\r\n"), "{last}");
        assert_eq!(body(&last), "root", "what comes behind is not answered");
    });
}

#[test]
fn who_shuts_down_still_gets_the_answer() {
    on_each(|service| {
        let mut stream = service.connect();
        stream
            .write_all(b"GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(body(&rest(&mut stream)), "3");
        let mut stream = service.connect();
        stream
            .write_all(b"GET /adder/add?a=1&b=2 HTTP/1.1\r\nHo")
            .expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(status(&rest(&mut stream)), 400);
    });
}

#[test]
fn what_has_no_body_has_none() {
    on_each(|service| {
        let head =
            service.ask("HEAD /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(head.contains("Content-Length: 1\r\n"), "{head}");
        assert_eq!(body(&head), "");
        let empty = service.get("/adder/empty");
        assert!(!empty.contains("Content-Length"), "{empty}");
        assert_eq!(body(&empty), "");
    });
}

#[test]
fn a_client_that_expects_is_told_to_go_on() {
    on_each(|service| {
        let mut stream = service.connect();
        let ask = b"POST /adder/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).expect("sent");
        assert_eq!(one(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").expect("sent");
        assert!(rest(&mut stream).ends_with("hello"));
        let refused = service.ask("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n");
        assert_eq!(status(&refused), 417);
    });
}

#[test]
fn a_handler_that_fails_says_so() {
    on_each(|service| {
        let failed = service.get("/adder/fail");
        assert_eq!((status(&failed), body(&failed)), (500, "out of order"));
        assert_eq!(status(&service.get("/adder/panic")), 503);
        assert_eq!(
            status(&service.get("/adder/add")),
            404,
            "the process has ended"
        );
    });
}

#[test]
fn a_large_answer_reaches_a_slow_client() {
    on_each(|service| {
        let mut stream = service.connect();
        stream
            .write_all(b"GET /adder/large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .expect("sent");
        std::thread::yield_now();
        let answer = rest(&mut stream);
        assert_eq!(body(&answer).len(), 3_000_000);
    });
}

#[test]
fn limits_are_told_by_their_status() {
    let limits = Limits::new()
        .head_bytes(1_000)
        .fields(10)
        .target_bytes(200)
        .body_bytes(100);
    on_each_with(&limits, |service| {
        let x = |count: usize| "x".repeat(count);
        let many = (0..11).map(|n| format!("f{n}: 1\r\n")).collect::<String>();
        for (request, expected) in [
            (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", x(300)), 414),
            (format!("GET /{}", x(600)), 414),
            (
                format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", x(1_000)),
                431,
            ),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", x(1_000)), 431),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
            (
                format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{}",
                    x(101)
                ),
                413,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n"
                    .into(),
                413,
            ),
            (
                format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{}",
                    x(101)
                ),
                413,
            ),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into(), 501),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 505),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ] {
            let answer = service.ask(&request);
            assert_eq!(status(&answer), expected, "{request}");
            assert!(answer.contains("Connection: close\r\n"), "{request}");
        }
    });
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let service = service_with(ReactorKind::Epoll, Limits::new());
    let smuggled = "GET /adder HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding:",
        "Folded: a\r\n b",
        " Folded: a",
        "Bare: a\nOther: b",
        "Bare: a\rOther: b",
        "Nul: a\0b",
        "Na\0me: a",
        "No colon",
        ": no name",
        "Na me: a",
        "Host: b",
        "Host: b c",
        "Bare-End: a\n",
    ] {
        let request = format!("POST /adder HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{smuggled}");
        let answer = service.ask(&request);
        assert_eq!(status(&answer), 400, "{head:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{head:?}: {answer}");
    }
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "GET http://a%41/adder HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
    ] {
        assert_eq!(status(&service.ask(request)), 400, "{request:?}");
    }
}

#[test]
fn what_is_legal_is_taken() {
    let service = service_with(ReactorKind::Epoll, Limits::new());
    for request in [
        "GET /adder HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        "\r\n\r\nGET /adder HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "get /adder HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /adder HTTP/1.1\r\nHost:a\r\nConnection:close\r\n\r\n",
        "GET /adder HTTP/1.1\r\nHost: \t a \t \r\nConnection: close\r\n\r\n",
        "GET http://b/adder HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /adder HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n",
        "POST /adder HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        "GET /adder HTTP/1.0\r\n\r\n",
        "GET /adder HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let answer = service.ask(request);
        assert_eq!(
            (status(&answer), body(&answer)),
            (200, "root"),
            "{request:?}"
        );
    }
}

#[test]
fn time_is_limited() {
    let second = Duration::from_secs(1);
    let limits = Limits::new()
        .head_timeout(second)
        .body_timeout(second * 2)
        .idle_timeout(second * 5);
    on_each_with(&limits, |service| {
        let clock = service.runtime.clock();
        clock.pause();
        let say = |text: &str| {
            let mut stream = service.connect();
            stream.write_all(text.as_bytes()).expect("sent");
            // It is there once another connection, opened later, has been answered.
            service.get("/adder");
            stream
        };
        for (text, seconds, expected) in [
            ("GET / HT", 1, Some(408)),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
                2,
                Some(408),
            ),
            ("", 5, None),
        ] {
            let mut stream = say(text);
            let late = clock.now() + second * seconds;
            while clock.now() < late {
                clock.advance(Duration::from_millis(100));
                clock.settle().expect("outside of a process");
            }
            let answer = rest(&mut stream);
            match expected {
                Some(expected) => assert_eq!(status(&answer), expected, "{text}"),
                None => assert_eq!(answer, "", "{text}"),
            }
        }
        clock.resume();
    });
}

/// A client that always sends the beginning of the next request with the last one is not late with it.
#[test]
fn the_time_of_a_head_is_its_own() {
    let second = Duration::from_secs(1);
    let limits = Limits::new().head_timeout(second * 3);
    on_each_with(&limits, |service| {
        let clock = service.runtime.clock();
        clock.pause();
        let mut stream = service.connect();
        stream.write_all(b"GE").expect("sent");
        for _ in 0..5 {
            stream
                .write_all(b"T /adder HTTP/1.1\r\nHost: a\r\n\r\nGE")
                .expect("sent");
            assert_eq!(body(&one(&mut stream)), "root");
            clock.advance(second * 2);
            clock.settle().expect("outside of a process");
        }
        clock.resume();
    });
}

/// `100 Continue` is no answer behind the last one.
#[test]
fn nothing_comes_behind_the_last_answer() {
    on_each(|service| {
        let mut stream = service.connect();
        let requests = "GET /adder/hold HTTP/1.1\r\nHost: a\r\n\r\n\
                        GET /adder/bye HTTP/1.1\r\nHost: a\r\n\r\n\
                        POST /adder/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(requests.as_bytes()).expect("sent");
        // Until it is there to be released.
        while body(&service.get("/adder/release")) == "released 0" {}
        let all = rest(&mut stream);
        assert!(all.contains("held 0") && all.ends_with("bye"), "{all}");
    });
}

#[test]
fn a_client_that_goes_away_has_its_handlers_told() {
    on_each(|service| {
        let (told, discarded) = std::sync::mpsc::channel();
        let options = SpawnOptions::new().name("patient");
        struct Patient(std::sync::mpsc::Sender<FutureError>);
        impl Process for Patient {
            fn initialize(&mut self, cx: &mut Context<Self>) {
                cx.route(
                    "/",
                    "",
                    |patient: &mut Self, _: &Request, _: &mut Context<Self>| {
                        let (promise, response) = Promise::<Response>::pair();
                        let told = patient.0.clone();
                        let promise = std::sync::Mutex::new(Some(promise));
                        response.on_discard(move || {
                            told.send(FutureError::Discarded).expect("somebody listens");
                            drop(promise.lock().expect("no panic").take());
                        });
                        response
                    },
                );
            }
        }
        service
            .runtime
            .spawn_with(options, Patient(told))
            .expect("spawned");
        let mut stream = service.connect();
        stream
            .write_all(b"GET /patient HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("sent");
        service.get("/adder");
        // A mere end could be of its own half only, and it still listen.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("set");
        drop(stream);
        assert_eq!(discarded.recv_timeout(LONG), Ok(FutureError::Discarded));
    });
}
