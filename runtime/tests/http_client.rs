//! The HTTP client: what it says to a server, and what becomes of the answers, on both reactors.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::scale;
use common::serving::until;
use common::sockets::{self, FAULTS, LONG, REACTORS, any};
use libprocess::http::{
    Body, Client, ClientOptions, Connection, Limits, Pipe, Request, Response, Server, connect,
    connect_unix, get, ok, post, request, request_delete,
};
use libprocess::net::UnixListener;
use libprocess::{Future, FutureError, Runtime};

fn on_each(test: impl Fn(&Runtime)) {
    let seeds = (0..FAULTS * scale() as u64).map(Some);
    for faults in std::iter::once(None).chain(seeds) {
        for kind in REACTORS {
            let runtime = sockets::runtime(*kind, 2, faults).expect("it was built in");
            test(&runtime);
        }
    }
}

/// Runs it in a process of the runtime, where futures are of that runtime.
fn inside<T: Send + 'static>(runtime: &Runtime, f: impl FnOnce() -> T + Send + 'static) -> T {
    let done = runtime.spawn_async(async move { f() });
    done.get_timeout(LONG).expect("it does not wait")
}

fn ready<T: Send + 'static>(future: Future<T>) -> Result<T, FutureError> {
    future.get_timeout(LONG)
}

fn why<T: Send + 'static>(future: Future<T>) -> String {
    match ready(future) {
        Ok(_) => panic!("it did not fail"),
        Err(error) => error.to_string(),
    }
}

fn asked(path: &str) -> http::Request<Body> {
    http::Request::get(path)
        .body(Body::empty())
        .expect("a request")
}

/// A server that a test plays by hand: it gets the connections in the order in which they come.
struct Played {
    address: SocketAddr,
    accepted: Receiver<TcpStream>,
    connections: Arc<AtomicUsize>,
}

impl Played {
    fn new() -> Self {
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (sender, accepted) = channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                stream.set_read_timeout(Some(LONG)).expect("an option");
                stream.set_write_timeout(Some(LONG)).expect("an option");
                count.fetch_add(1, Relaxed);
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self {
            address,
            accepted,
            connections,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn accept(&self) -> TcpStream {
        let deadline = Instant::now() + LONG;
        loop {
            // Without std's slow path, which ThreadSanitizer does not see.
            if let Ok(stream) = self.accepted.try_recv() {
                return stream;
            }
            assert!(Instant::now() < deadline, "nobody connects");
            thread::yield_now();
        }
    }

    /// A connection of the client's, and the server's end of it.
    fn connected(&self, runtime: &Runtime) -> (Connection, TcpStream) {
        let url = self.url("/");
        let connection = inside(runtime, move || connect(url));
        let stream = self.accept();
        (ready(connection).expect("a connection"), stream)
    }
}

/// The head of a request, with its end.
#[track_caller]
fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a text")
}

#[track_caller]
fn answer(stream: &mut impl Write, body: &str) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).expect("sent");
}

/// Whatever still comes before.
#[track_caller]
fn is_closed(mut stream: TcpStream) {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
}

#[test]
fn what_is_asked_is_answered() {
    on_each(|runtime| {
        let url = inside(runtime, || {
            let listener = libprocess::net::TcpListener::bind(any()).expect("a listener");
            let server = Server::new(listener, |request: &Request| {
                let told = format!("{} {}", request.method(), request.uri());
                let mut body = told.into_bytes();
                body.extend_from_slice(request.body().bytes());
                ok(body)
            });
            let url = format!("http://{}", server.local_address().expect("an address"));
            server.run().detach();
            // For as long as the runtime.
            std::mem::forget(server);
            url
        });
        let answered = inside(runtime, move || {
            let of = |path: &str| format!("{url}{path}");
            let put = http::Request::put(of("/put")).body("d").expect("a request");
            [
                get(of("/get?a=b%20c#d")),
                post(of("/post"), Body::text("abc")),
                request_delete(of("/delete")),
                request(put),
                get(url.clone()),
            ]
        });
        let expected = [
            "GET /get?a=b%20c",
            "POST /postabc",
            "DELETE /delete",
            "PUT /putd",
            "GET /",
        ];
        for (response, expected) in answered.into_iter().zip(expected) {
            let response = ready(response).expect("an answer");
            assert_eq!(response.status(), 200);
            assert_eq!(response.body(), expected);
        }
    });
}

#[test]
fn a_request_is_as_the_rfc_has_it() {
    on_each(|runtime| {
        let server = Played::new();
        let url = server.url("/a b?c".replace(' ', "%20").as_str());
        let response = inside(runtime, move || post(url, Body::text("hello")));
        let mut stream = server.accept();
        let told = head(&mut stream);
        let host = server.address;
        assert_eq!(
            told,
            format!(
                "POST /a%20b?c HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n"
            )
        );
        let mut body = [0; 5];
        stream.read_exact(&mut body).expect("the body");
        answer(&mut stream, "thanks");
        assert_eq!(ready(response).expect("an answer").body(), "thanks");
    });
}

#[test]
fn connections_are_used_again() {
    on_each(|runtime| {
        let server = Played::new();
        let mut stream = None;
        for path in ["/1", "/2", "/3"] {
            let url = server.url(path);
            let response = inside(runtime, move || get(url));
            let stream = stream.get_or_insert_with(|| server.accept());
            assert!(head(stream).starts_with(&format!("GET {path} ")));
            answer(stream, path);
            assert_eq!(ready(response).expect("an answer").body(), path);
        }
        assert_eq!(server.connections.load(Relaxed), 1);
    });
}

#[test]
fn who_finds_no_connection_waits_for_one() {
    on_each(|runtime| {
        let server = Played::new();
        let urls = ["/1", "/2", "/3"].map(|path| server.url(path));
        let (responses, _client) = inside(runtime, move || {
            let client = Client::new(ClientOptions::new().connections_per_server(1));
            (urls.map(|url| client.get(url)), client)
        });
        let mut stream = server.accept();
        let mut answered = Vec::new();
        for _ in 0..3 {
            let line = head(&mut stream);
            let path = line.split(' ').nth(1).expect("a path").to_owned();
            answer(&mut stream, &path);
            answered.push(path);
        }
        answered.sort_unstable();
        assert_eq!(answered, ["/1", "/2", "/3"]);
        for (response, path) in responses.into_iter().zip(["/1", "/2", "/3"]) {
            assert_eq!(ready(response).expect("an answer").body(), path);
        }
        assert_eq!(server.connections.load(Relaxed), 1);
    });
}

#[test]
fn a_connection_that_was_closed_meanwhile_harms_nobody() {
    on_each(|runtime| {
        for (method, is_repeated) in [("GET", true), ("PUT", true), ("POST", false)] {
            let server = Played::new();
            let ask = || {
                let url = server.url("/");
                let request = http::Request::builder().method(method).uri(url);
                let request = request.body("abc").expect("a request");
                inside(runtime, move || libprocess::http::request(request))
            };
            let first = ask();
            let mut stream = server.accept();
            head(&mut stream);
            stream.read_exact(&mut [0; 3]).expect("the body");
            answer(&mut stream, "first");
            assert_eq!(ready(first).expect("an answer").body(), "first");
            // It is asked the second time, and goes away without a word.
            let second = ask();
            head(&mut stream);
            stream.read_exact(&mut [0; 3]).expect("the body");
            drop(stream);
            if is_repeated {
                let mut stream = server.accept();
                head(&mut stream);
                answer(&mut stream, "second");
                assert_eq!(ready(second).expect("an answer").body(), "second");
                // On a new connection that would be a server that does not answer.
                let third = ask();
                head(&mut stream);
                drop(stream);
                let mut stream = server.accept();
                head(&mut stream);
                drop(stream);
                assert!(why(third).contains("before it answered"));
            } else {
                assert!(why(second).contains("before it answered"));
            }
        }
    });
}

#[test]
fn several_are_asked_at_a_time() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let responses = ["/1", "/2", "/3"].map(|path| connection.send(asked(path)));
        let heads = [(); 3].map(|()| head(&mut stream));
        for (head, path) in heads.iter().zip(["/1", "/2", "/3"]) {
            assert!(head.starts_with(&format!("GET {path} ")), "{head}");
        }
        // What is told before belongs to none; the second has no body, the third is of an older kind.
        stream
            .write_all(
                b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nEnd: b\r\n\r\n\
                  HTTP/1.1 204 No Content\r\n\r\nHTTP/1.0 200 OK\r\n\r\nall that comes",
            )
            .expect("sent");
        drop(stream);
        let responses = responses.map(|response| ready(response).expect("an answer"));
        assert_eq!(responses[0].body(), "a");
        assert_eq!(responses[0].body().trailers().expect("some")["end"], "b");
        assert_eq!(responses[1].status(), 204);
        assert_eq!(responses[1].body(), "");
        assert_eq!(responses[2].body(), "all that comes");
        ready(connection.disconnected()).expect("told");
        assert!(connection.send(asked("/4")).is_failed());
    });
}

#[test]
fn a_connection_ends_when_it_is_told_to() {
    on_each(|runtime| {
        let server = Played::new();
        // By the request.
        let (connection, mut stream) = server.connected(runtime);
        let last = http::Request::get("/").header("connection", "close");
        let last = connection.send(last.body(Body::empty()).expect("a request"));
        assert!(why(connection.send(asked("/"))).contains("ends behind"));
        assert!(head(&mut stream).contains("Connection: close\r\n"));
        answer(&mut stream, "bye");
        assert_eq!(ready(last).expect("an answer").body(), "bye");
        is_closed(stream);

        // By the server.
        let (connection, mut stream) = server.connected(runtime);
        let (first, second) = (connection.send(asked("/1")), connection.send(asked("/2")));
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .expect("sent");
        assert_eq!(ready(first).expect("an answer").body(), "");
        assert!(why(second).contains("earlier response"));
        is_closed(stream);

        // By its owner, at once.
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send(asked("/"));
        head(&mut stream);
        ready(connection.disconnect()).expect("it ends");
        assert!(why(response).contains("by this side"));
        is_closed(stream);

        // And when nobody has it any more, behind what was asked.
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send(asked("/"));
        drop(connection);
        head(&mut stream);
        answer(&mut stream, "late");
        assert_eq!(ready(response).expect("an answer").body(), "late");
        is_closed(stream);
        let (connection, stream) = server.connected(runtime);
        drop(connection);
        is_closed(stream);
    });
}

#[test]
fn who_gives_up_takes_nothing_from_others() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let [first, second, third] = ["/1", "/2", "/3"].map(|path| connection.send(asked(path)));
        head(&mut stream);
        second.discard();
        drop(first);
        answer(&mut stream, "first");
        if head(&mut stream).starts_with("GET /2") {
            // It was not taken back in time.
            answer(&mut stream, "second");
            head(&mut stream);
        }
        answer(&mut stream, "third");
        assert_eq!(ready(third).expect("an answer").body(), "third");

        // One of the pool's is nobody else's.
        let url = server.url("/");
        let response = inside(runtime, move || get(url));
        let mut stream = server.accept();
        head(&mut stream);
        response.discard();
        is_closed(stream);
    });
}

#[test]
fn what_is_no_response_is_an_error() {
    on_each(|runtime| {
        for (told, reason) in [
            (&b"SSH-2.0-OpenSSH\r\n"[..], "HTTP"),
            (b"HTTP/2.0 200 OK\r\n\r\n", ""),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                "",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                "middle",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
                "middle",
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Le", "middle"),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "protocols"),
            (b"", "before it answered"),
        ] {
            let server = Played::new();
            let (connection, mut stream) = server.connected(runtime);
            let (first, second) = (connection.send(asked("/1")), connection.send(asked("/2")));
            head(&mut stream);
            head(&mut stream);
            stream.write_all(told).expect("sent");
            stream
                .shutdown(std::net::Shutdown::Write)
                .expect("shut down");
            let why = why(first);
            assert!(why.contains(reason), "{why}: {}", told.escape_ascii());
            assert!(ready(second).is_err());
            is_closed(stream);
        }
        // What nobody asked for.
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        answer(&mut stream, "unasked");
        ready(connection.disconnected()).expect("it ends");
        assert!(why(connection.send(asked("/"))).contains("nobody asked"));
    });
}

#[test]
fn a_body_that_is_too_large_is_an_error() {
    on_each(|runtime| {
        let server = Played::new();
        let url = server.url("/");
        let response = inside(runtime, move || {
            let limits = Limits::new().body_bytes(10);
            Client::new(ClientOptions::new().limits(limits)).get(url)
        });
        let mut stream = server.accept();
        head(&mut stream);
        answer(&mut stream, "more than ten bytes");
        assert!(why(response).contains("larger"));
    });
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let clock = runtime.clock().clone();
        clock.pause();
        let server = Played::new();
        let (connection, mut stream) = server.connected(&runtime);
        let first = connection.send(asked("/1"));
        head(&mut stream);
        clock.advance(Duration::from_secs(59));
        let second = connection.send(asked("/2"));
        head(&mut stream);
        clock.settle().expect("outside of a process, and paused");
        assert!(first.is_pending());
        until(|| {
            clock.advance(Duration::from_secs(1));
            !first.is_pending()
        });
        assert!(why(first).contains("in time"));
        assert!(ready(second).is_err());
        is_closed(stream);

        // What is read as it comes may take its time, once it has begun; and idle connections end.
        let url = server.url("/");
        let response = inside(&runtime, move || {
            let asked = http::Request::get(url)
                .body(Body::empty())
                .expect("a request");
            Client::new(ClientOptions::new()).request_streamed(asked)
        });
        let mut stream = server.accept();
        head(&mut stream);
        let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
        stream.write_all(begun).expect("sent");
        let response = ready(response).expect("a head");
        clock.advance(Duration::from_secs(600));
        clock.settle().expect("outside of a process, and paused");
        stream.write_all(b"llo").expect("sent");
        let all = response.body().reader().expect("a stream").read_all(5);
        assert_eq!(ready(all).expect("all"), "hello");

        let (response, client) = {
            let url = server.url("/");
            inside(&runtime, move || {
                let client = Client::new(ClientOptions::new());
                (client.get(url), client)
            })
        };
        let mut stream = server.accept();
        head(&mut stream);
        answer(&mut stream, "hello");
        ready(response).expect("an answer");
        stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .expect("an option");
        until(|| {
            clock.advance(Duration::from_secs(1));
            matches!((&stream).read(&mut [0]), Ok(0))
        });
        drop(client);
    }
}

#[test]
fn who_is_behind_a_stream_has_his_time_from_its_end() {
    const LONG_AFTER: Duration = Duration::from_secs(600);
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let clock = runtime.clock().clone();
        clock.pause();
        let later = || {
            clock.advance(LONG_AFTER);
            clock.settle().expect("outside of a process, and paused");
        };
        let server = Played::new();
        let url = server.url("/");
        let connection = inside(&runtime, move || {
            // The clock may be ahead of a send of which the runtime has not heard yet.
            let limits = Limits::new().write_timeout(10 * LONG_AFTER);
            Client::new(ClientOptions::new().limits(limits)).connect(url)
        });
        let connection = ready(connection).expect("a connection");
        let mut stream = server.accept();
        let streamed = connection.send_streamed(asked("/1"));
        let behind = connection.send(asked("/2"));
        head(&mut stream);
        head(&mut stream);
        let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(begun).expect("sent");
        let response = ready(streamed).expect("a head");
        later();
        stream.write_all(b"0\r\n\r\n").expect("sent");
        let reader = response.body().reader().expect("a stream");
        assert_eq!(ready(reader.read()).expect("the end"), "");
        clock.settle().expect("outside of a process, and paused");
        assert!(behind.is_pending(), "{kind}");
        answer(&mut stream, "second");
        assert_eq!(ready(behind).expect("an answer").body(), "second");

        let Pipe { writer, reader } = Pipe::new();
        let request = http::Request::post("/3").body(Body::stream(reader));
        let streamed = connection.send(request.expect("a request"));
        let behind = connection.send(asked("/4"));
        head(&mut stream);
        later();
        writer.close();
        stream.read_exact(&mut [0; 5]).expect("the last chunk");
        answer(&mut stream, "third");
        assert_eq!(ready(streamed).expect("an answer").body(), "third");
        clock.settle().expect("outside of a process, and paused");
        assert!(behind.is_pending(), "{kind}");
        head(&mut stream);
        answer(&mut stream, "fourth");
        assert_eq!(ready(behind).expect("an answer").body(), "fourth");
    }
}

#[test]
fn a_response_is_read_while_it_comes() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send_streamed(asked("/1"));
        let second = connection.send(asked("/2"));
        head(&mut stream);
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .expect("sent");
        let response = ready(response).expect("a head");
        let reader = response.body().reader().expect("a stream").clone();
        drop(response);
        for piece in ["to be", "continued"] {
            let sent = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(sent.as_bytes()).expect("sent");
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(ready(reader.read()).expect("a piece"));
            }
            assert_eq!(got, piece.as_bytes());
        }
        stream.write_all(b"0\r\nEnd: a\r\n\r\n").expect("sent");
        assert_eq!(ready(reader.read()).expect("the end"), "");
        assert_eq!(reader.trailers().expect("some")["end"], "a");
        answer(&mut stream, "second");
        assert_eq!(ready(second).expect("an answer").body(), "second");

        // Half of one fails, and takes the connection with it.
        let response = connection.send_streamed(asked("/3"));
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")
            .expect("sent");
        let response = ready(response).expect("a head");
        drop(stream);
        let reader = response.body().reader().expect("a stream");
        let why = why(reader.read_all(10));
        assert!(why.contains("middle"), "{why}");
        ready(connection.disconnected()).expect("told");
    });
}

#[test]
fn who_reads_slowly_holds_the_server_up() {
    const MOST: usize = 32 << 20;
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let response = connection.send_streamed(asked("/"));
        head(&mut stream);
        let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
        stream.write_all(begun).expect("sent");
        let response = ready(response).expect("a head");
        let reader = response.body().reader().expect("a stream").clone();
        stream.set_nonblocking(true).expect("an option");
        let piece = vec![b'x'; 50_000];
        let (mut sent, mut refused) = (0, 0);
        while refused < 100_000 {
            match stream.write(&piece) {
                Ok(more) => {
                    sent += more;
                    refused = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    refused += 1;
                    thread::yield_now();
                }
                Err(error) => panic!("{error}"),
            }
            assert!(sent < MOST, "nothing holds it up");
        }
        stream.set_nonblocking(false).expect("an option");
        let counted = runtime.spawn_async(async move {
            let mut count = 0;
            while count < 100_000_000 {
                count += reader.read().await.expect("more").len();
            }
            count
        });
        while sent < 100_000_000 {
            let more = piece.len().min(100_000_000 - sent);
            stream.write_all(&piece[..more]).expect("sent");
            sent += more;
        }
        assert_eq!(ready(counted).expect("all"), 100_000_000);
        // Who does not read at all has the connection closed, in the end.
        let unread = connection.send_streamed(asked("/"));
        head(&mut stream);
        stream.write_all(begun).expect("sent");
        drop(ready(unread).expect("a head"));
        while stream.write_all(&piece).is_ok() {}
        ready(connection.disconnected()).expect("told");
    });
}

#[test]
fn a_request_is_written_while_it_is_sent() {
    on_each(|runtime| {
        let server = Played::new();
        let (connection, mut stream) = server.connected(runtime);
        let Pipe { writer, reader } = Pipe::new();
        let asked_in_pieces = |body| http::Request::post("/up").body(body).expect("a request");
        let response = connection.send(asked_in_pieces(Body::stream(reader)));
        let second = connection.send(asked("/2"));
        assert!(head(&mut stream).contains("Transfer-Encoding: chunked\r\n"));
        for piece in ["to be", "continued"] {
            writer.try_write(piece).expect("room");
            let mut got = vec![0; piece.len() + 5];
            stream.read_exact(&mut got).expect("a chunk");
            let sent = format!("{:x}\r\n{piece}\r\n", piece.len());
            assert_eq!(String::from_utf8_lossy(&got), sent);
        }
        writer.close();
        let mut end = [0; 5];
        stream.read_exact(&mut end).expect("the last chunk");
        assert_eq!(&end, b"0\r\n\r\n");
        answer(&mut stream, "thanks");
        assert_eq!(ready(response).expect("an answer").body(), "thanks");
        assert!(head(&mut stream).starts_with("GET /2"));
        answer(&mut stream, "second");
        assert_eq!(ready(second).expect("an answer").body(), "second");

        // An answer to half of it is an answer, and there is no use in the rest.
        let Pipe { writer, reader } = Pipe::new();
        let response = connection.send(asked_in_pieces(Body::stream(reader)));
        head(&mut stream);
        answer(&mut stream, "too much");
        assert_eq!(ready(response).expect("an answer").body(), "too much");
        ready(writer.reader_closed()).expect("told");
        is_closed(stream);

        // What is broken off is no request.
        let (connection, mut stream) = server.connected(runtime);
        let Pipe { writer, reader } = Pipe::new();
        let response = connection.send(asked_in_pieces(Body::stream(reader)));
        head(&mut stream);
        writer.fail("the disk is gone");
        assert!(why(response).contains("the disk is gone"));
        is_closed(stream);
    });
}

#[test]
fn unix_sockets_are_servers_too() {
    on_each(|runtime| {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("libprocess-client-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let at = path.clone();
        let connection = inside(runtime, move || {
            let listener = UnixListener::bind(&at).expect("a listener");
            let server = Server::new(listener, |request: &Request| {
                ok(request.headers()["host"].as_bytes().to_vec())
            });
            server.run().detach();
            std::mem::forget(server);
            connect_unix(at)
        });
        let connection = ready(connection).expect("a connection");
        let response = ready(connection.send(asked("/"))).expect("an answer");
        assert_eq!(response.body(), "localhost");
        std::fs::remove_file(path).expect("the socket's file");
    });
}

#[test]
fn who_cannot_be_reached_is_an_error_that_says_so() {
    let runtime = common::runtime(2);
    let nobody = {
        let listener = TcpListener::bind(any()).expect("a listener");
        listener.local_addr().expect("an address")
    };
    for (url, reason) in [
        (format!("http://{nobody}/"), "refused"),
        ("https://localhost/".to_owned(), "https"),
        ("localhost:80".to_owned(), "scheme"),
        ("http://nowhere.invalid/".to_owned(), "nowhere.invalid"),
        ("http://a b/".to_owned(), ""),
    ] {
        let of_get = url.clone();
        let (response, connection) = inside(&runtime, move || (get(of_get), connect(url)));
        let (first, second) = (why(response), why(connection));
        assert!(first.contains(reason), "{first}");
        assert_eq!(first, second);
    }
    let asked = asked("/only-a-path");
    assert!(ready(inside(&runtime, move || request(asked))).is_err());
}

/// As often as a client might: what servers and connections held comes back.
#[test]
#[cfg_attr(libprocess_tsan, ignore = "its own descriptors come and go")]
fn all_comes_back() {
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let before = runtime.stats().alive;
        let server = Played::new();
        let url = server.url("/");
        let asked = inside(&runtime, move || {
            let client = Client::new(ClientOptions::new().connections_per_server(4));
            let responses: Vec<Future<Response>> = (0..100).map(|_| client.get(&*url)).collect();
            responses
        });
        let serving = thread::spawn(move || {
            let mut streams: Vec<_> = (0..4).map(|_| server.accept()).collect();
            for stream in &streams {
                stream.set_nonblocking(true).expect("an option");
            }
            let mut answered = 0;
            while answered < 100 {
                for stream in &mut streams {
                    let mut head = [0; 1 << 10];
                    match stream.read(&mut head) {
                        // Small, and one at a time: all of it is there.
                        Ok(length) if length > 0 => {
                            assert!(head[..length].ends_with(b"\r\n\r\n"));
                            answer(stream, "hello");
                            answered += 1;
                        }
                        _ => thread::yield_now(),
                    }
                }
            }
            streams
        });
        for response in asked {
            assert_eq!(ready(response).expect("an answer").body(), "hello");
        }
        // The client has gone with its last request, and so do its connections.
        for stream in serving.join().expect("no panic") {
            stream.set_nonblocking(false).expect("an option");
            is_closed(stream);
        }
        until(|| runtime.stats().alive == before);
    }
}

#[test]
fn what_is_asked_ends_with_the_runtime() {
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let server = Played::new();
        let url = server.url("/");
        let (response, connection) = inside(&runtime, move || (get(&*url), connect(&*url)));
        let streams = [server.accept(), server.accept()];
        let connection = ready(connection).expect("a connection");
        let second = connection.send(asked("/"));
        runtime.shutdown();
        assert!(ready(response).is_err());
        assert!(ready(second).is_err());
        ready(connection.disconnected()).expect("told");
        for mut stream in streams {
            let mut all = Vec::new();
            // The one has asked, the other perhaps not.
            let _ = stream.read_to_end(&mut all);
        }
    }
}
