//! What the tests of HTTP servers share: runtimes to serve in, a handler that a test can hold, and clients that are std's sockets in plain threads.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libprocess::http::{Limits, Request, Response, Server, ok};
use libprocess::net::{TcpListener, UnixListener};
use libprocess::{Future, Promise, Runtime};

use super::answers::{body, one};
use super::lock;
use super::sockets::{self, FAULTS, LONG, REACTORS};

/// A runtime that servers are made in.
pub struct Place {
    pub runtime: Runtime,
    /// Of what kind, for a test that fails.
    pub name: String,
}

/// On both reactors, on io_uring as it was in Linux 5.10, and with the faults of some seeds.
pub fn on_each(test: impl Fn(&Place)) {
    let seeds = (0..FAULTS * super::scale() as u64).map(Some);
    for faults in std::iter::once(None).chain(seeds) {
        for kind in REACTORS {
            let runtime = sockets::runtime(*kind, 2, faults).expect("it was built in");
            let name = format!("{kind}, faults {faults:?}");
            test(&Place { runtime, name });
        }
    }
    let newer = sockets::newer_than_5_10();
    if let Some(runtime) = sockets::runtime_without(newer, 2, None) {
        let name = "io_uring of 5.10".to_owned();
        test(&Place { runtime, name });
    }
}

/// As `on_each`, without the faults: for tests that take long.
pub fn on_each_reactor(test: impl Fn(&Place)) {
    for kind in REACTORS {
        let runtime = sockets::runtime(*kind, 2, None).expect("it was built in");
        let name = kind.to_string();
        test(&Place { runtime, name });
    }
}

impl Place {
    /// What is made in a process of the runtime belongs to it.
    pub fn inside<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        let done = self.runtime.spawn_async(async move { f() });
        done.get_timeout(LONG)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A server over TCP that runs.
    pub fn serve<F>(&self, limits: Limits, handler: F) -> Serving
    where
        F: Fn(&Request) -> Future<Response> + Send + Sync + 'static,
    {
        self.inside(move || {
            let listener = TcpListener::bind(of_its_own()).expect("a listener");
            let server = Server::with_limits(listener, limits, handler);
            let address = server.local_address().expect("an address");
            let running = server.run();
            let server = Arc::new(server);
            Serving {
                server,
                running,
                address,
            }
        })
    }

    /// A server over a unix socket that runs.
    pub fn serve_unix<F>(&self, limits: Limits, handler: F) -> ServingUnix
    where
        F: Fn(&Request) -> Future<Response> + Send + Sync + 'static,
    {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("libprocess-http-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        self.inside(move || {
            let listener = UnixListener::bind(&path).expect("a listener");
            let server = Server::with_limits(listener, limits, handler);
            assert!(server.local_address().is_err(), "it has a path, no address");
            let running = server.run();
            let server = Arc::new(server);
            ServingUnix {
                server,
                running: Some(running),
                path,
            }
        })
    }

    pub fn stop(&self, server: &Arc<Server>, grace: Duration) -> Future<()> {
        let server = Arc::clone(server);
        self.inside(move || server.stop(grace))
    }

    /// Moves the paused clock on, step by step, until something is so: at most as far as that.
    pub fn advance_until(&self, most: Duration, what: impl Fn() -> bool) -> bool {
        const STEP: Duration = Duration::from_millis(250);
        let clock = self.runtime.clock();
        let late = clock.now() + most;
        loop {
            clock.settle().expect("outside of a process, and paused");
            if what() {
                return true;
            }
            if clock.now() >= late {
                return false;
            }
            clock.advance(STEP);
        }
    }
}

pub struct Serving {
    pub server: Arc<Server>,
    pub running: Future<()>,
    pub address: SocketAddr,
}

impl Serving {
    pub fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    pub fn acquainted(&self) -> TcpStream {
        acquainted(self.address)
    }
}

/// Whoever connects there when it is closed does not get to another server that was given its port.
fn of_its_own() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    ([127, 1, high, low], 0).into()
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("an option");
    stream.set_write_timeout(Some(LONG)).expect("an option");
    stream
}

/// Connected, and answered once.
pub fn acquainted(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    ask(&mut stream, "/hello");
    assert_eq!(body(&one(&mut stream)), "hello");
    stream
}

pub struct ServingUnix {
    pub server: Arc<Server>,
    pub running: Option<Future<()>>,
    path: PathBuf,
}

impl ServingUnix {
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).expect("connected");
        stream.set_read_timeout(Some(LONG)).expect("an option");
        stream.set_write_timeout(Some(LONG)).expect("an option");
        stream
    }
}

impl Drop for ServingUnix {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).expect("the socket's file");
    }
}

/// Returns once it is so.
#[track_caller]
pub fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !what() {
        assert!(Instant::now() < deadline, "it does not become so");
        std::thread::yield_now();
    }
}

/// A handler: `/hold` is answered when the test says so, with its number, `/large` at once with [`LARGE`] bytes, `/panic` panics, and anything else is greeted.
#[derive(Clone, Default)]
pub struct Desk(Arc<State>);

/// More than the kernel takes of an answer to a client that does not read.
pub const LARGE: usize = 32 << 20;

#[derive(Default)]
struct State {
    asked: AtomicUsize,
    held: Mutex<Vec<Held>>,
}

pub struct Held {
    number: usize,
    promise: Promise<Response>,
}

impl Held {
    pub fn answer(self) -> bool {
        self.promise.set(ok(self.number.to_string()))
    }

    pub fn has_discard(&self) -> bool {
        self.promise.has_discard()
    }
}

impl Desk {
    pub fn handler(&self) -> impl Fn(&Request) -> Future<Response> + Send + Sync + 'static {
        let desk = self.clone();
        move |request| desk.handle(request)
    }

    fn handle(&self, request: &Request) -> Future<Response> {
        match request.uri().path() {
            "/hold" => {
                let (promise, response) = Promise::pair();
                // Relaxed: the number is all that it tells; what is held is behind the lock.
                let number = self.0.asked.fetch_add(1, Ordering::Relaxed);
                lock(&self.0.held).push(Held { number, promise });
                response
            }
            "/large" => {
                self.0.asked.fetch_add(1, Ordering::Relaxed);
                Future::ready(ok(vec![b'x'; LARGE]))
            }
            "/panic" => panic!("asked to"),
            _ => Future::ready(ok("hello")),
        }
    }

    /// How often it was asked to hold, or for much.
    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    pub fn held(&self) -> usize {
        lock(&self.0.held).len()
    }

    pub fn take(&self) -> Vec<Held> {
        std::mem::take(&mut *lock(&self.0.held))
    }
}

pub fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub fn ask(stream: &mut impl Write, path: &str) {
    stream.write_all(request(path).as_bytes()).expect("sent");
}

/// The stream ends, by a reset perhaps, and nothing comes before.
#[track_caller]
pub fn ends(stream: &mut impl Read) {
    loop {
        match stream.read(&mut [0]) {
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => panic!("no end: {other:?}"),
        }
    }
}

/// Closes with a reset.
pub fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
    drop(stream);
}
