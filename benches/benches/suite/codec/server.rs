//! Requests that are read, and responses that are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use libprocess::http::{Request, Server, ok};
use libprocess::net::ListenOptions;
use libprocess::{Runtime, spawn_async};

use super::start;
use super::wire::{Asking, Wire};

const GET: &str = "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// As browsers ask.
const BROWSER: &str = "GET /articles/2026/11/actors?page=2&order=newest HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Referer: https://www.example.org/articles\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Priority: u=0, i\r\n\r\n";

const BODY: usize = 1_024;

/// What the server has seen.
#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    body_bytes: AtomicU64,
}

impl Seen {
    // Relaxed: who looks has had an answer to each request, which is behind its count.
    fn so_far(&self) -> [u64; 2] {
        [&self.requests, &self.body_bytes].map(|count| count.load(Ordering::Relaxed))
    }
}

pub(super) fn benchmarks(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = start(Runtime::builder());
    let seen = Arc::new(Seen::default());
    let (server, address) = serve(&runtime, &seen);
    let post = format!(
        "POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY}\r\n\r\n{}",
        "x".repeat(BODY)
    );
    let half = "x".repeat(BODY / 2);
    let chunked = format!(
        "POST /form HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n{half}\r\n200\r\n{half}\r\n0\r\n\r\n"
    );
    let mut answer = Vec::new();
    for (name, request, body) in [
        ("get", GET, 0),
        ("browser", BROWSER, 0),
        ("post", &post, BODY),
        ("chunked", &chunked, BODY),
    ] {
        let mut asking = Asking::new(Wire::connect(address), request.as_bytes(), b"Hello, World!");
        answer = asking.answer().to_vec();
        group.bench_function(format!("server/{name}"), |bencher| {
            bencher.iter_custom(|count| {
                let before = seen.so_far();
                let time = asking.ask(count);
                let [requests, bytes] = seen.so_far();
                assert_eq!(requests - before[0], count, "requests were lost");
                assert_eq!(bytes - before[1], count * body as u64, "bodies were lost");
                time
            });
        });
    }
    server.stop(Duration::ZERO).get().expect("it stops");
    no_codec(&runtime, group, &answer);
}

fn serve(runtime: &Runtime, seen: &Arc<Seen>) -> (Server, std::net::SocketAddr) {
    let seen = Arc::clone(seen);
    let started = runtime.spawn_async(async {
        let options = ListenOptions::new().nodelay(true);
        let listener = options.bind(([127, 0, 0, 1], 0).into());
        let listener = listener.expect("a port is free");
        let server = Server::new(listener, move |request: &Request| {
            // Relaxed: see `Seen::so_far`.
            seen.requests.fetch_add(1, Ordering::Relaxed);
            let bytes = request.body().bytes().len();
            seen.body_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            ok("Hello, World!")
        });
        let address = server.local_address().expect("it listens");
        server.run().detach();
        Arc::new((server, address))
    });
    let started = started.get().expect("it starts");
    Arc::into_inner(started).expect("nobody else has it")
}

/// As many bytes as those of `get` and its answer, of which nobody makes requests and responses.
fn no_codec(runtime: &Runtime, group: &mut BenchmarkGroup<'_, WallTime>, answer: &[u8]) {
    let answers = Bytes::from(answer.repeat(super::wire::BATCH as usize));
    let answer = answer.len();
    let listening = runtime.spawn_async(async move {
        // As that of the server.
        let options = ListenOptions::new().nodelay(true);
        let listener = options
            .bind(([127, 0, 0, 1], 0).into())
            .expect("a port is free");
        let address = listener.local_address().expect("it listens");
        spawn_async(async move {
            let stream = listener.accept().await.expect("somebody connects");
            let mut received = 0;
            while let Ok(bytes) = stream.receive().await {
                if bytes.is_empty() {
                    break;
                }
                received += bytes.len();
                let whole = received / GET.len();
                received %= GET.len();
                if stream.send(answers.slice(..whole * answer)).await.is_err() {
                    break;
                }
            }
        })
        .detach();
        address
    });
    let address = listening.get().expect("it listens");
    let mut asking = Asking::new(Wire::connect(address), GET.as_bytes(), b"Hello, World!");
    group.bench_function("server/no_codec", |bencher| {
        bencher.iter_custom(|count| asking.ask(count));
    });
}
