//! Requests that are written, and responses that are read.

use std::net::TcpListener;
use std::time::Instant;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use libprocess::Runtime;
use libprocess::http::{Body, Connection};
use libprocess::net::TcpStream;

use super::start;
use super::wire::{BATCH, Wire, in_batches};

pub(super) fn benchmarks(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = start(Runtime::builder());
    let plain = "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
    let chunked = "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nHello, \r\n6\r\nWorld!\r\n0\r\n\r\n";
    for (name, answer) in [("get", plain), ("chunked", chunked)] {
        let (connection, mut wire) = connect(&runtime);
        // One to see how long it is, as all of them are.
        let first = connection.send(request());
        let asked = wire.receive_until(b"\r\n\r\n");
        wire.send(answer.as_bytes());
        assert_eq!(first.get().expect("it is answered").body(), "Hello, World!");
        let mut requests = vec![0; asked.len() * BATCH as usize];
        let answers = answer.repeat(BATCH as usize);
        group.bench_function(format!("client/{name}"), |bencher| {
            bencher.iter_custom(|count| {
                in_batches(count, |now| {
                    let requests = &mut requests[..asked.len() * now];
                    let made: Vec<_> = (0..now).map(|_| request()).collect();
                    let mut responses = Vec::with_capacity(now);
                    let started = Instant::now();
                    responses.extend(made.into_iter().map(|request| connection.send(request)));
                    wire.receive(requests);
                    wire.send(&answers.as_bytes()[..answer.len() * now]);
                    // They come in order.
                    let last = responses.pop().expect("one at least").get();
                    let time = started.elapsed();
                    assert!(requests.chunks(asked.len()).all(|request| request == asked));
                    let others = responses.into_iter().map(|response| response.get());
                    for response in others.chain([last]) {
                        let response = response.expect("it is answered");
                        assert_eq!(response.body(), "Hello, World!");
                    }
                    time
                })
            });
        });
    }
}

fn request() -> http::Request<Body> {
    http::Request::get("/plaintext")
        .body(Body::empty())
        .expect("it is a request")
}

fn connect(runtime: &Runtime) -> (Connection, Wire) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let connection = runtime.spawn_async(async move {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        // As the library's own client: what is sent in two pieces would wait for an acknowledgement.
        stream
            .set_nodelay(true)
            .expect("a TCP socket has that option");
        Connection::new(stream, &Default::default())
    });
    let (stream, _) = listener.accept().expect("it connects");
    (connection.get().expect("it connects"), Wire::new(stream))
}
