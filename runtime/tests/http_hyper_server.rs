//! A server of hyper's, over tokio's sockets in a thread of its own, and our client.
//!
//! The channels between them lock std's mutexes in ways that ThreadSanitizer does not see where std is not instrumented, so these tests are not run under it.

#![cfg(not(libprocess_tsan))]

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;

use common::serving::{Place, on_each, until};
use common::sockets::{LONG, any};
use futures_lite::StreamExt;
use futures_lite::stream::iter;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use libprocess::Future;
use libprocess::http::{
    Body, Client, ClientOptions, Connection, Pipe, Response as Answered, connect,
};

type Boxed = BoxBody<Bytes, hyper::Error>;

/// hyper's server, as long as it is not dropped.
struct Hyper {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Those that have ended.
    ended: Arc<AtomicUsize>,
    /// What `/fed` answers, piece by piece, until it is closed.
    feed: async_channel::Sender<Bytes>,
    /// While it is open.
    runs: Option<async_channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hyper {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind(any()).expect("a listener");
        listener.set_nonblocking(true).expect("an option");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (feed, fed) = async_channel::unbounded();
        let (runs, stops) = async_channel::bounded::<()>(1);
        let ended = Arc::new(AtomicUsize::new(0));
        let counts = [Arc::clone(&connections), Arc::clone(&ended)];
        let thread = std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("tokio's runtime");
            let stopped = async {
                let _ = stops.recv().await;
            };
            tokio.block_on(futures_lite::future::or(
                stopped,
                serve(listener, counts, fed),
            ));
        });
        Self {
            address,
            connections,
            ended,
            feed,
            runs: Some(runs),
            thread: Some(thread),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    fn connect(&self, place: &Place) -> Connection {
        let url = self.url("/");
        ready(place.inside(move || connect(url)), place)
    }
}

impl Drop for Hyper {
    fn drop(&mut self) {
        self.runs = None;
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("once").expect("no panic");
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    [connections, ended]: [Arc<AtomicUsize>; 2],
    fed: async_channel::Receiver<Bytes>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        connections.fetch_add(1, Relaxed);
        let fed = fed.clone();
        let service = service_fn(move |request| handle(request, fed.clone()));
        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that breaks off is an error to it.
        let ended = Arc::clone(&ended);
        tokio::spawn(async move {
            drop(served.await);
            ended.fetch_add(1, Relaxed);
        });
    }
}

fn whole(body: impl Into<Bytes>) -> Boxed {
    Full::new(body.into()).map_err(|no| match no {}).boxed()
}

fn framed(frames: Vec<Frame<Bytes>>) -> Boxed {
    let frames = iter(frames.into_iter().map(Ok::<_, Infallible>));
    StreamBody::new(frames).map_err(|no| match no {}).boxed()
}

async fn handle(
    request: Request<Incoming>,
    fed: async_channel::Receiver<Bytes>,
) -> Result<Response<Boxed>, hyper::Error> {
    let (head, body) = request.into_parts();
    let mut response = match head.uri.path() {
        // While it comes.
        "/back" => Response::new(body.boxed()),
        "/fed" => {
            let pieces = fed.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
            let body = BodyExt::map_err(StreamBody::new(pieces), |no| match no {});
            Response::new(BodyExt::boxed(body))
        }
        "/early" => {
            let mut response = Response::new(whole("not wanted"));
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
        "/path" => Response::new(whole(head.uri.to_string())),
        // Whole, and with trailers if it had some.
        _ => {
            let collected = body.collect().await?;
            let trailers = collected.trailers().cloned();
            let bytes = collected.to_bytes();
            match trailers {
                None => Response::new(whole(bytes)),
                Some(trailers) => {
                    let frames = vec![Frame::data(bytes), Frame::trailers(trailers)];
                    let mut response = Response::new(framed(frames));
                    let named = "sum".parse().expect("a value");
                    response.headers_mut().insert("trailer", named);
                    response
                }
            }
        }
    };
    let fields = response.headers_mut();
    for (name, told) in [
        ("content-length", "x-length"),
        ("transfer-encoding", "x-coding"),
    ] {
        if let Some(value) = head.headers.get(name) {
            fields.insert(told, value.clone());
        }
    }
    if head.uri.query() == Some("close") {
        fields.insert("connection", "close".parse().expect("a value"));
    }
    Ok(response)
}

#[track_caller]
fn ready<T: Send + 'static>(future: Future<T>, place: &Place) -> T {
    future
        .get_timeout(LONG)
        .unwrap_or_else(|error| panic!("{}: {error}", place.name))
}

fn client(place: &Place) -> Client {
    place.inside(|| Client::new(ClientOptions::new()))
}

/// Asked in the runtime of the place.
fn ask(place: &Place, client: &Client, request: Request<Body>) -> Future<Answered> {
    let client = client.clone();
    place.inside(move || client.request(request))
}

fn asked(method: Method, url: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(url);
    request.body(body.into()).expect("a request")
}

fn much(length: usize) -> Bytes {
    (0..length).map(|number| (number % 251) as u8).collect()
}

fn sum() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", "7".parse().expect("a value"));
    trailers
}

#[test]
fn bodies_of_any_size_go_over_one_connection() {
    on_each(|place| {
        let (hyper, client) = (Hyper::new(), client(place));
        for length in [0, 1, 5, 70_000, 2 << 20, 3, 0] {
            let body = much(length);
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                let request = asked(method.clone(), &hyper.url("/"), body.clone());
                let answer = ready(ask(place, &client, request), place);
                assert_eq!(answer.status(), StatusCode::OK);
                let told = answer.headers().get("x-length");
                if length > 0 || method != Method::DELETE {
                    assert_eq!(told.expect("it was said"), &*length.to_string());
                }
                assert!(answer.body() == &body, "{}: other bytes came", place.name);
            }
        }
        assert_eq!(hyper.connections(), 1, "{}", place.name);
    });
}

#[test]
fn chunks_and_trailers_go_both_ways() {
    on_each(|place| {
        let hyper = Hyper::new();
        let connection = hyper.connect(place);
        for pieces in [0, 1, 3, 40] {
            for streams in [false, true] {
                let piece = much(2 << 20 >> 5);
                let Pipe { writer, reader } = Pipe::with_capacity(usize::MAX);
                for _ in 0..pieces {
                    writer.try_write(piece.clone()).expect("room");
                }
                writer.close_with_trailers(sum());
                let mut request = asked(Method::POST, "/", Body::stream(reader));
                let trailers = "trailers".parse().expect("a value");
                request.headers_mut().insert("te", trailers);
                let (body, trailers) = if streams {
                    let answer = ready(connection.send_streamed(request), place);
                    assert_eq!(answer.headers()["x-coding"], "chunked");
                    let reader = answer.body().reader().expect("a stream");
                    let body = ready(reader.read_all(usize::MAX), place);
                    (body, reader.trailers())
                } else {
                    let answer = ready(connection.send(request), place);
                    let trailers = answer.body().trailers().cloned();
                    (answer.into_body().into_bytes(), trailers)
                };
                assert!(body == piece.repeat(pieces), "{}: other bytes", place.name);
                assert_eq!(trailers.expect("trailers")["sum"], "7", "{}", place.name);
            }
        }
        // Trailers of a body that is whole.
        let mut request = asked(Method::POST, "/", Body::from("a").with_trailers(sum()));
        let trailers = "trailers".parse().expect("a value");
        request.headers_mut().insert("te", trailers);
        let answer = ready(connection.send(request), place);
        assert_eq!(answer.body(), "a");
        assert_eq!(answer.body().trailers().expect("trailers")["sum"], "7");
        assert_eq!(hyper.connections(), 1, "{}", place.name);
    });
}

#[test]
fn many_are_under_way_on_a_connection() {
    on_each(|place| {
        let hyper = Hyper::new();
        let connection = hyper.connect(place);
        let sent: Vec<_> = (0..500)
            .map(|number| {
                let body = much(number * 37 % 10_000);
                let method = [Method::GET, Method::POST, Method::HEAD][number % 3].clone();
                let has_none = method == Method::HEAD;
                let sent = if method == Method::POST {
                    body
                } else {
                    Bytes::new()
                };
                let path = if method == Method::GET {
                    format!("/path?{number}")
                } else {
                    "/".to_owned()
                };
                let answer = connection.send(asked(method, &path, sent.clone()));
                let expected = if has_none || path == "/" {
                    sent
                } else {
                    path.into()
                };
                (answer, expected)
            })
            .collect();
        for (answer, expected) in sent {
            let answer = ready(answer, place);
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(answer.body() == &expected, "{}: another answer", place.name);
        }
        assert_eq!(hyper.connections(), 1);
        ready(connection.disconnect(), place);
    });
}

#[test]
fn what_is_written_comes_back_before_the_next_is() {
    on_each(|place| {
        let hyper = Hyper::new();
        let connection = hyper.connect(place);
        let Pipe { writer, reader } = Pipe::new();
        let request = asked(Method::POST, "/back", Body::stream(reader));
        let answer = connection.send_streamed(request);
        let answer = ready(answer, place);
        let reader = answer.body().reader().expect("a stream");
        for number in 0..50 {
            let piece = much(1 + number * 997);
            ready(writer.write(piece.clone()), place);
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(ready(reader.read(), place));
            }
            assert!(got == piece, "{}: other bytes came", place.name);
        }
        writer.close();
        assert_eq!(ready(reader.read(), place), "");
        // And once more, over the same connection, more than fits anywhere on the way.
        const ALL: usize = 20 << 20;
        let Pipe { writer, reader } = Pipe::new();
        let request = asked(Method::POST, "/back", Body::stream(reader));
        let answer = ready(connection.send_streamed(request), place);
        let written = place.runtime.spawn_async(async move {
            let piece = much(100_000);
            for start in (0..ALL).step_by(piece.len()) {
                let length = piece.len().min(ALL - start);
                writer.write(piece.slice(..length)).await?;
            }
            writer.close();
            Ok::<_, libprocess::FutureError>(())
        });
        let reader = answer.body().reader().expect("a stream").clone();
        let counted = place.runtime.spawn_async(async move {
            let mut count = 0;
            loop {
                match reader.read().await? {
                    piece if piece.is_empty() => return Ok::<_, libprocess::FutureError>(count),
                    piece => count += piece.len(),
                }
            }
        });
        assert_eq!(ready(counted, place), Ok(ALL), "{}", place.name);
        assert_eq!(ready(written, place), Ok(()), "{}", place.name);
        assert_eq!(hyper.connections(), 1, "{}", place.name);
    });
}

#[test]
fn an_answer_is_read_while_it_is_made() {
    on_each(|place| {
        let (hyper, client) = (Hyper::new(), client(place));
        let request = asked(Method::GET, &hyper.url("/fed"), Body::empty());
        let of_client = client.clone();
        let answer = place.inside(move || of_client.request_streamed(request));
        let answer = ready(answer, place);
        let reader = answer.body().reader().expect("a stream");
        for piece in ["to be", "continued"] {
            hyper.feed.try_send(piece.into()).expect("room");
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(ready(reader.read(), place));
            }
            assert_eq!(got, piece.as_bytes());
        }
        hyper.feed.close();
        assert_eq!(ready(reader.read(), place), "");
        // The connection is the pool's again.
        let request = asked(Method::GET, &hyper.url("/path"), Body::empty());
        assert_eq!(ready(ask(place, &client, request), place).body(), "/path");
        assert_eq!(hyper.connections(), 1, "{}", place.name);
    });
}

#[test]
fn an_answer_that_nobody_reads_any_more_is_not_waited_for() {
    on_each(|place| {
        let (hyper, client) = (Hyper::new(), client(place));
        let ended = |count| until(|| hyper.ended.load(Relaxed) == count);
        // One of the pool's. It might be kept for ever, for nobody.
        let request = asked(Method::GET, &hyper.url("/fed"), Body::empty());
        let of_client = client.clone();
        let answer = place.inside(move || of_client.request_streamed(request));
        hyper.feed.try_send("a".into()).expect("room");
        drop(ready(answer, place));
        ended(1);
        // One that nobody has any more, whichever is dropped first.
        for is_first in [true, false] {
            let connection = hyper.connect(place);
            let request = asked(Method::GET, "/fed", Body::empty());
            let answer = ready(connection.send_streamed(request), place);
            if is_first {
                drop((connection, answer));
            } else {
                drop((answer, connection));
            }
            ended(if is_first { 2 } else { 3 });
        }
        // Who has the connection may wait for what comes behind.
        let connection = hyper.connect(place);
        let request = asked(Method::GET, "/fed", Body::empty());
        drop(ready(connection.send_streamed(request), place));
        let behind = connection.send(asked(Method::GET, "/path", Body::empty()));
        hyper.feed.close();
        assert_eq!(ready(behind, place).body(), "/path", "{}", place.name);
    });
}

#[test]
fn an_answer_without_a_body_has_none() {
    on_each(|place| {
        let (hyper, client) = (Hyper::new(), client(place));
        for _ in 0..3 {
            let request = asked(Method::HEAD, &hyper.url("/path"), Body::empty());
            let answer = ready(ask(place, &client, request), place);
            assert_eq!(answer.headers()["content-length"], "5");
            assert_eq!(answer.body(), "");
            let request = asked(Method::GET, &hyper.url("/path"), Body::empty());
            let answer = ready(ask(place, &client, request), place);
            assert_eq!(answer.body(), "/path");
        }
        assert_eq!(hyper.connections(), 1, "{}", place.name);
    });
}

#[test]
fn connections_are_kept_until_one_side_closes() {
    on_each(|place| {
        let (hyper, client) = (Hyper::new(), client(place));
        let get = |path: &str| {
            let (client, url) = (client.clone(), hyper.url(path));
            place.inside(move || client.get(url))
        };
        // Whoever has an answer finds the connection free that it came by.
        for _ in 0..50 {
            assert_eq!(ready(get("/path"), place).body(), "/path");
            let request = asked(Method::GET, &hyper.url("/path"), Body::empty());
            let of_client = client.clone();
            let answer = ready(
                place.inside(move || of_client.request_streamed(request)),
                place,
            );
            let reader = answer.body().reader().expect("a stream");
            assert_eq!(ready(reader.read_all(10), place), "/path");
        }
        assert_eq!(hyper.connections(), 1, "{}", place.name);
        let answer = ready(get("/path?close"), place);
        assert_eq!(answer.headers()["connection"], "close");
        assert_eq!(answer.body(), "/path?close");
        assert_eq!(ready(get("/path"), place).body(), "/path");
        assert_eq!(hyper.connections(), 2);
        let mut request = asked(Method::GET, &hyper.url("/path"), Body::empty());
        let close = "close".parse().expect("a value");
        request.headers_mut().insert("connection", close);
        assert_eq!(ready(ask(place, &client, request), place).body(), "/path");
        let together: Vec<_> = (0..20).map(|_| get("/path")).collect();
        for answer in together {
            assert_eq!(ready(answer, place).body(), "/path");
        }
        let made = hyper.connections();
        assert!((3..=22).contains(&made), "{}: {made}", place.name);
    });
}

/// Its `100 Continue` is not the answer.
#[test]
fn a_server_may_say_that_it_waits_for_the_body() {
    on_each(|place| {
        let (hyper, client) = (Hyper::new(), client(place));
        for length in [1, 2 << 20] {
            let mut request = asked(Method::POST, &hyper.url("/"), much(length));
            let expected = "100-continue".parse().expect("a value");
            request.headers_mut().insert("expect", expected);
            let answer = ready(ask(place, &client, request), place);
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(answer.body() == &much(length), "{}", place.name);
        }
    });
}

#[test]
fn an_answer_to_half_of_a_request_is_one() {
    on_each(|place| {
        let hyper = Hyper::new();
        let connection = hyper.connect(place);
        let Pipe { writer, reader } = Pipe::new();
        let request = asked(Method::POST, "/early", Body::stream(reader));
        let answer = ready(connection.send(request), place);
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(answer.body(), "not wanted");
        ready(writer.reader_closed(), place);
        ready(connection.disconnected(), place);
    });
}
