//! The HTTP client: what it says to a server, and what becomes of the answers, on both reactors.

#[path = "../common/mod.rs"]
mod common;

mod connections;
mod ends;
mod errors;
mod pool;
mod streams;
mod times;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::answers::head;
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

/// With a clock that stands still, so that a test may wait until all is at rest; without faults, which take time.
fn on_each_paused(test: impl Fn(&Runtime)) {
    for kind in REACTORS {
        // With one worker what is runnable runs in order.
        for workers in [1, 2] {
            let runtime = sockets::runtime(*kind, workers, None).expect("it was built in");
            runtime.clock().pause();
            test(&runtime);
        }
    }
}

fn settle(runtime: &Runtime) {
    let settled = runtime.clock().settle();
    settled.expect("outside of a process, and paused");
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

/// A connection at a unix socket, and the server's end of it.
fn connected_unix(runtime: &Runtime) -> (Connection, std::os::unix::net::UnixStream) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let name = format!("libprocess-played-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a listener");
    let at = path.clone();
    let connection = ready(inside(runtime, move || connect_unix(at))).expect("a connection");
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    std::fs::remove_file(path).expect("the socket's file");
    (connection, stream)
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
