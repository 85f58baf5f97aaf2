//! Processes that block while the I/O they wait for is that of their own worker, and lookups that block no worker.

use std::hint::spin_loop;
use std::io::{Read as _, Write as _};
use std::net::TcpListener as StdListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libprocess::net::{TcpListener, TcpStream};
use libprocess::{Context, Process, Runtime, async_, dispatch, dispatch_with, wait};

use crate::common::Idle;
use crate::common::sockets::{LONG, REACTORS, any, runtime};

/// Does all of its I/O in its handlers, each of which sits there until it is done.
#[derive(Default)]
struct Blocking {
    listener: Option<TcpListener>,
    client: Option<TcpStream>,
    server: Option<TcpStream>,
}

impl Process for Blocking {}

impl Blocking {
    fn connect(&mut self, _cx: &mut Context<Self>) {
        let listener = TcpListener::bind(any()).expect("a listener");
        let connecting = TcpStream::connect(listener.local_address().expect("an address"));
        self.server = listener.accept().get().ok();
        self.client = connecting.get().ok();
        self.listener = Some(listener);
    }

    /// Both ways, and more than the kernel takes at once.
    fn exchange(&mut self, bytes: usize, _cx: &mut Context<Self>) -> usize {
        let (client, server) = (self.client.as_ref(), self.server.as_ref());
        let (client, server) = (client.expect("connected"), server.expect("connected"));
        let mut received = 0;
        for (from, to) in [(client, server), (server, client)] {
            let sending = from.send(vec![7; bytes]);
            let before = received;
            while received < before + bytes {
                received += to.receive().get().expect("bytes").len();
            }
            sending.get().expect("sent");
        }
        received
    }
}

/// One worker: whoever waits there waits for the driver in which that worker sleeps.
#[test]
fn a_handler_waits_for_the_io_of_its_own_worker() {
    for &kind in REACTORS {
        let runtime = runtime(kind, 1, None).expect("it is built in");
        let pid = runtime.spawn(Blocking::default());
        let connected = dispatch(pid, Blocking::connect, ());
        connected.get_timeout(LONG).expect("a connection");
        for bytes in [1, 1_000, 3_000_000] {
            let exchanged = dispatch(pid, Blocking::exchange, (bytes,)).get_timeout(LONG);
            assert_eq!(exchanged, Ok(2 * bytes), "{kind}");
        }
    }
}

/// The first I/O there is begins in a handler that has been at work for long and goes on until it is done; and what it waits for comes when nobody has had anything else to do
/// for as long. Nobody but the other worker can see it, which has slept all the while.
#[test]
fn a_long_handler_s_io_is_seen_by_a_worker_that_sleeps() {
    // As long as takes several looks of one that watches over another worker: which way it goes is to be met here, and both must hold.
    const WHILE: Duration = Duration::from_millis(30);
    for &kind in REACTORS {
        let runtime = runtime(kind, 2, None).expect("it is built in");
        let listener = StdListener::bind(any()).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            thread::sleep(WHILE);
            stream.write_all(b"late").expect("written");
            let mut rest = Vec::new();
            let _ended = stream.read_to_end(&mut rest);
        });
        let pid = runtime.spawn(Idle);
        let received = dispatch_with(pid, move |_, _| {
            let began = Instant::now();
            while began.elapsed() < WHILE {
                spin_loop();
            }
            let connecting = TcpStream::connect(address);
            while connecting.is_pending() && began.elapsed() < LONG {
                spin_loop();
            }
            // Begun here, and so in this worker's port.
            let stream = connecting.get_timeout(Duration::ZERO)?;
            let received = stream.receive();
            while received.is_pending() && began.elapsed() < LONG {
                spin_loop();
            }
            received.get_timeout(Duration::ZERO)
        });
        let received = received.get_timeout(2 * LONG).expect("a handler that ends");
        assert_eq!(received.expect("bytes, while it sat"), "late", "{kind}");
        peer.join().expect("a peer");
    }
}

/// The one that is waited for ends once its I/O is done.
#[test]
fn a_handler_waits_for_a_process_that_waits_for_io() {
    for &kind in REACTORS {
        let runtime = runtime(kind, 1, None).expect("it is built in");
        let other = runtime.spawn(Blocking::default());
        let pid = runtime.spawn(Idle);
        let waited = dispatch_with(pid, move |_, _| {
            drop(dispatch(other, Blocking::connect, ()));
            let exchanged = dispatch(other, Blocking::exchange, (100_000,));
            libprocess::terminate_with(other, false);
            let _ended = wait(other);
            exchanged
        });
        assert_eq!(waited.get_timeout(LONG), Ok(200_000), "{kind}");
    }
}

/// All threads for what blocks are taken, so the lookup waits for one, and the only worker goes on.
#[test]
fn no_worker_waits_for_a_lookup() {
    let runtime = Runtime::builder().workers(1).max_async_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let pid = runtime.spawn(Idle);
    let (let_go, held) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let connecting = dispatch_with(pid, move |_, _| {
        let holding = async_(move || {
            begun.send(()).expect("somebody waits");
            held.recv().expect("it is let go");
        });
        has_begun.recv_timeout(LONG).expect("it holds the thread");
        let listener = TcpListener::bind(any()).expect("a listener");
        let port = listener.local_address().expect("an address").port();
        let connecting = TcpStream::connect_host("localhost", port);
        let connected = connecting.then(move |stream: TcpStream| {
            drop((listener, holding));
            drop(stream);
        });
        libprocess::Future::ready(connected)
    });
    let connecting = connecting.get_timeout(LONG).expect("it has begun");
    for _ in 0..10 {
        let served = dispatch_with(pid, |_, _| {}).get_timeout(LONG);
        served.expect("the worker goes on");
    }
    assert!(connecting.is_pending(), "it waits for a thread");
    let_go.send(()).expect("it is held");
    connecting.get_timeout(LONG).expect("a connection");
}
