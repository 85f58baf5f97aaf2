//! A web service for tests, and a client that sees every byte.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use libprocess::http::{Body, Limits, Request, Response, ok, text};
use libprocess::{Context, Future, Process, Promise, ReactorKind, Runtime, SpawnOptions};

use super::answers;
use super::sockets::{LONG, REACTORS};

/// A service with a route of each kind.
#[derive(Default)]
pub struct Adder {
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

pub struct Service {
    pub runtime: Runtime,
    pub address: SocketAddr,
}

pub fn service_with(kind: ReactorKind, limits: Limits) -> Service {
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

pub fn on_each_with(limits: &Limits, test: impl Fn(&Service)) {
    for kind in REACTORS {
        test(&service_with(*kind, limits.clone()));
    }
}

pub fn on_each(test: impl Fn(&Service)) {
    on_each_with(&Limits::new(), test);
}

impl Service {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(LONG)).expect("a time-out");
        stream
    }

    /// All that comes until the server closes, the dates blanked.
    pub fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).expect("sent");
        rest(&mut stream)
    }

    /// The answer to a GET, which closes.
    pub fn get(&self, path: &str) -> String {
        self.ask(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ))
    }
}

/// A runtime answers there.
pub fn answers_at(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("a time-out");
    stream
        .write_all(b"GET /help HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("sent");
    assert_eq!(answers::status(&rest(&mut stream)), 200);
}

/// All that comes until the server closes, the dates blanked.
pub fn rest(stream: &mut TcpStream) -> String {
    blanked(&answers::rest(stream))
}

/// Exactly one answer with a length, the date blanked.
pub fn one(stream: &mut TcpStream) -> String {
    blanked(&answers::one(stream))
}

fn blanked(answer: &str) -> String {
    let lines = answer.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("Date: ")).collect()
}
