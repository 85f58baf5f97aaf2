//! Sockets, on both reactors: what a user of them would notice.

#[path = "../common/mod.rs"]
mod common;

mod given_up;
mod waiting;

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::sockets::{
    LONG, any, on_each, pair, receive_exactly, receive_the_rest, runtime, runtime_without,
};
use libprocess::net::{ListenOptions, TcpListener, TcpStream, UnixListener, UnixStream};
use libprocess::{Future, FutureError, IoUringFeature, ReactorKind, Runtime, spawn_async};

async fn receive_all(stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = stream.receive().await.expect("bytes");
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

#[test]
fn bytes_go_both_ways() {
    on_each(|| async {
        let (client, server) = pair().await;
        client.send("ping").await.expect("sent");
        assert_eq!(receive_exactly(&server, 4).await, b"ping");
        server.send("pong").await.expect("sent");
        assert_eq!(receive_exactly(&client, 4).await, b"pong");
    });
}

#[test]
fn much_arrives_whole_and_in_order() {
    on_each(|| async {
        let (client, server) = pair().await;
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        for piece in sent.chunks(70_001) {
            client.send(piece.to_vec()).detach();
        }
        client.shutdown().detach();
        assert!(receive_all(&server).await == sent, "other bytes came");
    });
}

#[test]
fn after_a_shutdown_the_other_direction_goes_on() {
    on_each(|| async {
        let (client, server) = pair().await;
        client.shutdown().await.expect("shut down");
        assert_eq!(server.receive().await.expect("the end"), "");
        server.send("still").await.expect("sent");
        assert_eq!(receive_exactly(&client, 5).await, b"still");
        let error = client.send("more").await.expect_err("it was shut down");
        assert!(error.to_string().contains("shut down"), "{error}");
    });
}

#[test]
fn a_reset_by_the_peer_is_told() {
    on_each(|| async {
        let listener = TcpListener::bind(any()).expect("a listener");
        let peer = StdStream::connect(listener.local_address().expect("an address"))
            .expect("a connection");
        let stream = listener.accept().await.expect("a connection");
        let received = stream.receive();
        rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).expect("an option");
        drop(peer);
        let error = received.await.expect_err("a reset");
        assert!(error.to_string().contains("reset"), "{error}");
        let error = stream.receive().await.expect_err("still");
        assert!(error.to_string().contains("reset"), "{error}");
    });
}

#[test]
fn nobody_listens() {
    on_each(|| async {
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_address().expect("an address");
        drop(listener);
        // The last operation of the listener may still be on its way.
        loop {
            match TcpStream::connect(address).await {
                Ok(_) => {}
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("refused"), "{text}");
                    assert!(text.contains(&address.to_string()), "{text}");
                    return;
                }
            }
        }
    });
}

#[test]
fn a_discarded_receive_loses_no_bytes() {
    on_each(|| async {
        let (client, server) = pair().await;
        for round in 0..200_u32 {
            let first = server.receive();
            if round % 3 == 0 {
                client.send(round.to_le_bytes().to_vec()).detach();
            }
            first.discard();
            if round % 3 != 0 {
                client.send(round.to_le_bytes().to_vec()).detach();
            }
            let got = match first.await {
                Ok(bytes) => bytes.to_vec(),
                Err(error) => {
                    assert_eq!(error, FutureError::Discarded);
                    Vec::new()
                }
            };
            let got = receive_the_rest(&server, got, 4).await;
            assert_eq!(got, round.to_le_bytes());
        }
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    on_each(|| async {
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_address().expect("an address");
        for _ in 0..50 {
            drop(listener.accept());
            let client = TcpStream::connect(address).await.expect("a connection");
            let server = listener.accept().await.expect("a connection");
            assert_eq!(
                server.peer_address().expect("an address"),
                client.local_address().expect("an address")
            );
        }
    });
}

#[test]
fn who_reads_slowly_slows_the_writer() {
    on_each(|| async {
        let (client, server) = pair().await;
        // Something to have the receive under way, where it stays so.
        client.send("x").await.expect("sent");
        assert_eq!(receive_exactly(&server, 1).await, b"x");
        let piece = vec![7_u8; 1 << 20];
        let mut sent = 0_usize;
        let stuck: Future<()> = loop {
            let sending = client.send(piece.clone());
            match sending.wait(Some(Duration::from_millis(300))) {
                Ok(()) => sent += piece.len(),
                Err(_) => break sending,
            }
            assert!(sent < 64 << 20, "nothing holds the writer back");
        };
        let mut received = 0;
        while received < sent + piece.len() {
            received += server.receive().await.expect("bytes").len();
        }
        stuck.await.expect("sent, once there was room");
    });
}

#[test]
fn descriptors_are_given_back() {
    fn open() -> usize {
        std::fs::read_dir("/proc/self/fd")
            .expect("the process's descriptors")
            .count()
    }
    const ROUNDS: usize = if cfg!(debug_assertions) { 250 } else { 2_500 };
    // Other tests of this binary open some too, but not so many at a time.
    on_each(|| async {
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_address().expect("an address");
        let before = open();
        for round in 0..ROUNDS {
            let connecting = TcpStream::connect(address);
            let server = listener.accept().await.expect("a connection");
            let client = connecting.await.expect("a connection");
            if round % 2 == 0 {
                client.send("hello").await.expect("sent");
                assert_eq!(receive_exactly(&server, 5).await, b"hello");
            }
            // One side with a receive under way.
            let receiving = server.receive();
            drop(client);
            drop(server);
            drop(receiving);
        }
        let deadline = Instant::now() + LONG;
        while open() > before + ROUNDS / 4 {
            assert!(
                Instant::now() < deadline,
                "{} are open, {before} were",
                open()
            );
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_runtime_ends_with_operations_under_way() {
    for kind in [ReactorKind::Epoll, ReactorKind::IoUring] {
        let Some(runtime) = runtime(kind, 2, None) else {
            continue;
        };
        let kept = runtime
            .spawn_async(async {
                let (client, server) = pair().await;
                let listener = TcpListener::bind(any()).expect("a listener");
                (
                    listener.accept(),
                    client.receive(),
                    client,
                    server,
                    listener,
                )
            })
            .get_timeout(LONG)
            .expect("sockets");
        drop(runtime);
        let (accepting, receiving, client, ..) = kept;
        let ended = [
            accepting.get_timeout(LONG).map(drop),
            receiving.get_timeout(LONG).map(drop),
            client.send("more").get_timeout(LONG),
        ];
        for outcome in ended {
            let error = outcome.expect_err("the runtime has ended");
            assert_ne!(error, FutureError::TimedOut);
        }
    }
}

/// More connections have something to read than a ring has buffers and submissions: those that found no buffer are served all the same.
#[test]
fn many_connections_at_once_are_all_answered() {
    for kind in [ReactorKind::IoUring, ReactorKind::Epoll] {
        if let Some(runtime) = runtime(kind, 1, None) {
            all_are_answered(&runtime, kind.to_string());
        }
    }
    // Each of these takes a whole buffer then, however little comes, so that they run out.
    let whole_buffers = [IoUringFeature::IncrementalBuffers];
    if let Some(runtime) = runtime_without(whole_buffers, 1, None) {
        all_are_answered(&runtime, "io_uring with whole buffers".to_owned());
    }
}

fn all_are_answered(runtime: &Runtime, name: String) {
    const ROUNDS: usize = 8;
    let address = common::echo_server(runtime);
    let mut streams: Vec<_> = (0..most_connections())
        .map(|_| StdStream::connect(address).expect("a connection"))
        .collect();
    for round in 0..ROUNDS {
        let request = [round as u8; 64];
        // The worker sits in a handler until all have something to read.
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let sitting = runtime.spawn_async(async move { held.recv().expect("it is let go") });
        for stream in &mut streams {
            stream.write_all(&request).expect("written");
        }
        let_go.send(()).expect("it is held");
        sitting.get_timeout(LONG).expect("it sat");
        for stream in &mut streams {
            stream.set_read_timeout(Some(LONG)).expect("an option");
            let mut answer = [u8::MAX; 64];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, request, "{name}");
        }
    }
}

/// A thousand, unless the process may not have both ends of so many.
fn most_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the process's limits");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .expect("a limit of open files");
    let soft = line.split_whitespace().next().expect("a soft limit");
    // The other tests of this binary have some too.
    let left = soft
        .parse()
        .map_or(usize::MAX, |limit: usize| limit.saturating_sub(200) / 2);
    left.min(1_000)
}

/// All workers but one sit in handlers, then in blocking closures: connections from before and from then are served all the same.
#[test]
fn busy_workers_do_not_keep_their_connections_waiting() {
    // Where races are looked for, and not times, there need not be that much.
    let sitting_time = if cfg!(any(libprocess_asan, libprocess_tsan)) {
        Duration::from_millis(500)
    } else {
        Duration::from_secs(2) * common::slowness()
    };
    // The promise is 50 ms. A machine with others on it now and then has no time for one for longer; who had to wait for those that sit would wait longer than this.
    let promised = Duration::from_millis(50) * common::slowness();
    let patience = 8 * promised;
    for kind in [ReactorKind::IoUring, ReactorKind::Epoll] {
        for blocking in [false, true] {
            let Some(runtime) = runtime(kind, 3, None) else {
                continue;
            };
            let address = common::echo_server(&runtime);
            let mut before: Vec<_> = (0..16)
                .map(|_| StdStream::connect(address).expect("a connection"))
                .collect();
            let echo = |stream: &mut StdStream| {
                let began = Instant::now();
                stream.write_all(b"hello").expect("written");
                let mut answer = [0; 5];
                stream.set_read_timeout(Some(LONG)).expect("an option");
                stream.read_exact(&mut answer).expect("an answer");
                began.elapsed()
            };
            before.iter_mut().for_each(|stream| {
                echo(stream);
            });
            let sitting: Vec<_> = (0..2)
                .map(|_| {
                    runtime.spawn_async(async move {
                        let until = Instant::now() + sitting_time;
                        if blocking {
                            libprocess::block_in_place(|| std::thread::sleep(sitting_time));
                        } else {
                            while Instant::now() < until {
                                std::hint::spin_loop();
                            }
                        }
                    })
                })
                .collect();
            let mut answers = Vec::new();
            while sitting.iter().any(Future::is_pending) {
                answers.extend(before.iter_mut().map(echo));
                let mut stream = StdStream::connect(address).expect("a connection");
                answers.push(echo(&mut stream));
            }
            let late = answers.iter().filter(|&&took| took > promised).count();
            let slowest = answers.iter().max().expect("answers");
            println!(
                "{kind}, blocking {blocking}: {} answers, {late} late, the slowest in {slowest:?}",
                answers.len()
            );
            assert!(
                late <= 1 + answers.len() / 100,
                "{kind}, blocking {blocking}: {late} of {} answers took longer than {promised:?}",
                answers.len()
            );
            assert!(
                *slowest < patience,
                "{kind}, blocking {blocking}: an answer took {slowest:?}"
            );
            for sitting in sitting {
                sitting.get_timeout(LONG).expect("it sat");
            }
        }
    }
}

#[test]
fn several_pieces_are_one_stream() {
    on_each(|| async {
        let (client, server) = pair().await;
        let pieces: Vec<Vec<u8>> = (0..300).map(|n| vec![n as u8; n % 40]).collect();
        let whole = pieces.concat();
        // The first ones wait behind much that is on its way, and go out together.
        let much = vec![1; 2_000_000];
        client.send(much.clone()).detach();
        let sent = client.send_vectored(pieces.clone());
        client.send("").detach();
        client.send_vectored(Vec::<Vec<u8>>::new()).detach();
        client.shutdown().detach();
        assert!(receive_all(&server).await == [much, whole].concat());
        sent.await.expect("sent");
    });
}

/// Where no test has made a socket yet.
fn new_path() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("libprocess-net-{}-{number}", std::process::id()))
}

#[test]
fn unix_sockets_are_streams_too() {
    on_each(|| async {
        let path = new_path();
        let listener = UnixListener::bind(&path).expect("a listener");
        let connecting: Vec<_> = (0..8_u8).map(|_| UnixStream::connect(&path)).collect();
        let mut clients = Vec::new();
        for (number, connecting) in (0..).zip(connecting) {
            let client = connecting.await.expect("a connection");
            client.send([number].to_vec()).detach();
            clients.push((number, client));
        }
        // Not in the order in which the clients connected: two workers may each have found some of them.
        for _ in &clients {
            let server = listener.accept().await.expect("a connection");
            let number = server.receive().await.expect("bytes");
            server.send(number).await.expect("sent");
        }
        for (number, client) in clients {
            assert_eq!(client.receive().await.expect("bytes"), [number].to_vec());
        }
        let (one, other) = UnixStream::pair().expect("a pair");
        let data: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
        one.send(data.clone()).detach();
        one.shutdown().detach();
        let mut all = Vec::new();
        loop {
            let bytes = other.receive().await.expect("bytes");
            if bytes.is_empty() {
                break;
            }
            all.extend_from_slice(&bytes);
        }
        assert!(all == data, "other bytes came");
        drop(listener);
        std::fs::remove_file(&path).expect("the socket's file");
        let error = UnixStream::connect(&path).await.expect_err("nobody");
        assert!(error.to_string().contains("No such file"), "{error}");
    });
}

/// The kernel refuses at once where a unix socket's backlog is full, and does not tell when there is room.
#[test]
fn who_finds_a_full_backlog_waits() {
    on_each(|| async {
        let path = new_path();
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a listener");
        rustix::net::listen(&listener, 1).expect("a small backlog");
        let connecting: Vec<_> = (0..6).map(|_| UnixStream::connect(&path)).collect();
        let accepting = libprocess::async_(move || {
            for _ in 0..6 {
                let (stream, _) = listener.accept().expect("a connection");
                drop(stream);
            }
        });
        for connecting in connecting {
            connecting.await.expect("a connection, in time");
        }
        accepting.await.expect("accepted");
        std::fs::remove_file(&path).expect("the socket's file");
    });
}

#[test]
fn each_worker_has_a_listener_of_its_own() {
    on_each(|| async {
        let listeners = ListenOptions::new().nodelay(true).bind_per_worker(any());
        let listeners = listeners.expect("listeners");
        let address = listeners[0].local_address().expect("an address");
        for (number, listener) in listeners.into_iter().enumerate() {
            assert_eq!(listener.local_address().expect("an address"), address);
            spawn_async(async move {
                while let Ok(stream) = listener.accept().await {
                    stream.send(vec![number as u8]).detach();
                }
            })
            .detach();
        }
        for _ in 0..50 {
            let client = TcpStream::connect(address).await.expect("a connection");
            receive_exactly(&client, 1).await;
        }
    });
}

#[test]
fn a_host_may_have_several_addresses() {
    on_each(|| async {
        // It listens at one of the addresses of this name.
        let listener = TcpListener::bind(any()).expect("a listener");
        let port = listener.local_address().expect("an address").port();
        let client = TcpStream::connect_host("localhost", port).await;
        let client = client.expect("a connection");
        assert_eq!(client.peer_address().expect("an address").port(), port);
        let error = TcpStream::connect_host("no.such.host.invalid", port).await;
        let error = error.expect_err("there is none");
        assert!(
            error.to_string().contains("no.such.host.invalid"),
            "{error}"
        );
    });
}

#[test]
fn whoever_makes_the_pieces_may_use_the_stream_or_panic() {
    on_each(|| async {
        let (client, server) = pair().await;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let pieces = (0..3).map(|n| match n {
                0 => "lost",
                _ => std::panic::panic_any("no more pieces"),
            });
            client.send_vectored(pieces).detach();
        }));
        assert!(panicked.is_err());
        let pieces = ["b", "c"]
            .into_iter()
            .inspect(|_| client.send("a").detach());
        client.send_vectored(pieces).await.expect("sent");
        assert_eq!(receive_exactly(&server, 4).await, b"aabc");
    });
}
