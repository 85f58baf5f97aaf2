//! Sockets whose operations fail, any of them, at any time: whoever waits is told, and nothing is left.
//!
//! A program of its own, as it counts the descriptors of the whole.

mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use common::scale;
use common::sockets::{FAULTS, LONG, REACTORS, any};
use libprocess::net::{TcpListener, TcpStream};
use libprocess::{Future, FutureError, Runtime, collect, spawn_async};

const CONVERSATIONS: usize = 60;
const ROUNDS: usize = 5;

/// How many ended in which way.
type Ends = BTreeMap<&'static str, usize>;

fn sockets() -> usize {
    let folder = std::fs::read_dir("/proc/self/fd").expect("a folder");
    let links = folder.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Sends back what comes, until the end or an error.
async fn echo(stream: TcpStream) {
    while let Ok(bytes) = stream.receive().await {
        if bytes.is_empty() || stream.send(bytes).await.is_err() {
            return;
        }
    }
}

async fn accept(listener: TcpListener) {
    // Also an accept may fail, of which the listener's rest is no part.
    while let Ok(stream) = listener.accept().await {
        spawn_async(echo(stream)).detach();
    }
}

async fn converse(address: std::net::SocketAddr) -> &'static str {
    let what = |error: FutureError| match error.to_string() {
        text if text.contains("refused") => "refused",
        text if text.contains("timed out") => "no answer",
        text if text.contains("receive") => "reset",
        text if text.contains("send") => "nobody",
        text => panic!("{text}"),
    };
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) => return what(error),
    };
    for round in 0..ROUNDS {
        let said = vec![round as u8; 3_000];
        if let Err(error) = stream.send(said.clone()).await {
            return what(error);
        }
        let mut got = Vec::new();
        while got.len() < said.len() {
            match stream.receive().await {
                Ok(bytes) if bytes.is_empty() => return "end",
                Ok(bytes) => got.extend_from_slice(&bytes),
                Err(error) => return what(error),
            }
        }
        assert_eq!(got, said, "what was said, or an error");
    }
    "well"
}

async fn all() -> Ends {
    let listener = TcpListener::bind(any()).expect("a listener");
    let address = listener.local_address().expect("bound");
    let accepting = spawn_async(accept(listener));
    let conversations: Vec<Future<_>> = (0..CONVERSATIONS)
        .map(|_| spawn_async(converse(address)))
        .collect();
    let ended = collect(conversations).await.expect("each in some way");
    accepting.discard();
    let mut ends = Ends::new();
    for end in ended {
        *ends.entry(end).or_default() += 1;
    }
    ends
}

#[test]
fn whatever_fails_everybody_is_told_and_nothing_is_left() {
    let before = sockets();
    let mut ends = Ends::new();
    for kind in REACTORS {
        for workers in [1, 3] {
            for seed in 0..FAULTS * scale() as u64 {
                let builder = Runtime::builder().workers(workers).reactor(*kind);
                let runtime = builder.io_errors(seed).build().expect("a runtime");
                let these = runtime
                    .spawn_async(all())
                    .get_timeout(LONG)
                    .unwrap_or_else(|error| panic!("{kind}, {workers} workers, {seed}: {error}"));
                for (end, count) in these {
                    *ends.entry(end).or_default() += count;
                }
                // Those that the server has are let go when it hears of their end, and all with the runtime.
                let deadline = Instant::now() + LONG;
                drop(runtime);
                while sockets() > before {
                    assert!(Instant::now() < deadline, "{} are left", sockets() - before);
                    std::thread::yield_now();
                }
            }
        }
    }
    // Each of them was met.
    for end in ["refused", "no answer", "reset", "nobody", "end", "well"] {
        assert!(ends.contains_key(end), "{end} is none of {ends:?}");
    }
}
