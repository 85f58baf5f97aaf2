//! What a server takes of a client, and for how long: bytes and times.

mod common;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::answers::{body, status};
use common::http::{on_each_with, one, rest, service_with};
use common::serving::until;
use common::tcp_table::has_been_read;
use libprocess::http::Limits;
use libprocess::{Clock, ReactorKind};

#[test]
fn a_request_cut_anywhere_is_the_same() {
    let text = "\r\nPUT /adder/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n1\r\n!\r\n0\r\nSum: 7\r\n\r\n\
                GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let service = service_with(ReactorKind::Epoll, Limits::new());
    let whole = service.ask(text);
    assert!(whole.contains("hello!\nsum: \"7\""), "{whole}");
    assert!(whole.ends_with("\r\n\r\n3"), "{whole}");
    for cut in 1..text.len() {
        let mut stream = service.connect();
        stream.set_nodelay(true).expect("set");
        let (first, second) = text.as_bytes().split_at(cut);
        stream.write_all(first).expect("sent");
        // Mostly they come as two pieces; where not, it is the whole again.
        std::thread::yield_now();
        stream.write_all(second).expect("sent");
        assert_eq!(rest(&mut stream), whole, "cut at {cut}");
    }
}

#[test]
fn limits_are_told_by_their_status() {
    let limits = Limits::new()
        .head_bytes(1_000)
        .fields(10)
        .target_bytes(200)
        .body_bytes(100);
    on_each_with(&limits, |service| {
        let x = |count: usize| "x".repeat(count);
        let many = (0..11).map(|n| format!("f{n}: 1\r\n")).collect::<String>();
        for (request, expected) in [
            (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", x(300)), 414),
            (format!("GET /{}", x(600)), 414),
            (
                format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", x(1_000)),
                431,
            ),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", x(1_000)), 431),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
            (
                format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{}",
                    x(101)
                ),
                413,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n"
                    .into(),
                413,
            ),
            (
                format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n{}",
                    x(101)
                ),
                413,
            ),
            ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into(), 501),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 505),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ] {
            let answer = service.ask(&request);
            assert_eq!(status(&answer), expected, "{request}");
            assert!(answer.contains("Connection: close\r\n"), "{request}");
        }
    });
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let service = service_with(ReactorKind::Epoll, Limits::new());
    let smuggled = "GET /adder HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding:",
        "Folded: a\r\n b",
        " Folded: a",
        "Bare: a\nOther: b",
        "Bare: a\rOther: b",
        "Nul: a\0b",
        "Na\0me: a",
        "No colon",
        ": no name",
        "Na me: a",
        "Host: b",
        "Host: b c",
        "Bare-End: a\n",
    ] {
        let request = format!("POST /adder HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{smuggled}");
        let answer = service.ask(&request);
        assert_eq!(status(&answer), 400, "{head:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{head:?}: {answer}");
    }
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "GET http://a%41/adder HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
    ] {
        assert_eq!(status(&service.ask(request)), 400, "{request:?}");
    }
}

#[test]
fn what_is_legal_is_taken() {
    let service = service_with(ReactorKind::Epoll, Limits::new());
    for request in [
        "GET /adder HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        "\r\n\r\nGET /adder HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "get /adder HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /adder HTTP/1.1\r\nHost:a\r\nConnection:close\r\n\r\n",
        "GET /adder HTTP/1.1\r\nHost: \t a \t \r\nConnection: close\r\n\r\n",
        "GET http://b/adder HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /adder HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n",
        "POST /adder HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        "GET /adder HTTP/1.0\r\n\r\n",
        "GET /adder HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let answer = service.ask(request);
        assert_eq!(
            (status(&answer), body(&answer)),
            (200, "root"),
            "{request:?}"
        );
    }
}

/// Time passes, and all that follows from that happens.
fn pass(clock: &Clock, time: Duration) {
    clock.advance(time);
    clock.settle().expect("outside of a process");
}

#[test]
fn time_is_limited() {
    let second = Duration::from_secs(1);
    let late = Limits::new()
        .head_timeout(second)
        .body_timeout(second * 2)
        // Not before the server has seen what is said.
        .idle_timeout(Duration::MAX);
    let idle = Limits::new().idle_timeout(second * 5);
    for (limits, text, seconds, expected) in [
        (&late, "GET / HT", 1, Some(408)),
        (
            &late,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
            2,
            Some(408),
        ),
        // One that has asked for nothing may be the link of a process elsewhere.
        (&idle, "GET /adder HTTP/1.1\r\nHost: a\r\n\r\n", 5, None),
    ] {
        on_each_with(limits, |service| {
            let clock = service.runtime.clock();
            clock.pause();
            let began = clock.now();
            let mut stream = service.connect();
            stream.write_all(text.as_bytes()).expect("sent");
            if expected.is_none() {
                assert_eq!(body(&one(&mut stream)), "root");
            }
            // When the server has seen it is not known, so time goes on until it is too late.
            while !has_something(&stream) {
                pass(&clock, Duration::from_millis(100));
            }
            assert!(clock.now() >= began + second * seconds, "{text}");
            let answer = rest(&mut stream);
            match expected {
                Some(expected) => assert_eq!(status(&answer), expected, "{text}"),
                None => assert_eq!(answer, "", "{text}"),
            }
            clock.resume();
        });
    }
}

/// One that sends a byte now and then, and so is never silent for long; and one that sends some more.
#[test]
fn a_body_may_not_come_too_slowly() {
    let second = Duration::from_secs(1);
    let limits = Limits::new().body_timeout(second * 5).body_rate(10);
    on_each_with(&limits, |service| {
        let clock = service.runtime.clock();
        clock.pause();
        for (bytes_a_second, is_taken) in [(1, false), (20, true)] {
            let length = bytes_a_second * 30;
            let mut stream = service.connect();
            let head = format!(
                "POST /adder HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).expect("sent");
            let began = clock.now();
            let mut sent = 0;
            while sent < length && !has_something(&stream) {
                // It may have been reset.
                let _sent = stream.write_all(&vec![b'x'; bytes_a_second]);
                sent += bytes_a_second;
                until(|| has_been_read(&stream) || has_something(&stream));
                pass(&clock, second);
            }
            if is_taken {
                assert_eq!(body(&rest(&mut stream)), "root");
            } else {
                assert_eq!(status(&rest(&mut stream)), 408);
                let took = clock.now() - began;
                // Each byte gives it a tenth of a second.
                assert!(took >= second * 5 && took <= second * 12, "{took:?}");
            }
        }
        clock.resume();
    });
}

/// It has its time from when it is told to go on, which is behind the answers before it.
#[test]
fn a_body_that_waits_to_be_wanted_is_not_slow() {
    let second = Duration::from_secs(1);
    let limits = Limits::new().body_timeout(second * 5).body_rate(10);
    on_each_with(&limits, |service| {
        let clock = service.runtime.clock();
        clock.pause();
        let mut stream = service.connect();
        let requests = "GET /adder/hold HTTP/1.1\r\nHost: a\r\n\r\n\
             PUT /adder/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(requests.as_bytes()).expect("sent");
        until(|| has_been_read(&stream));
        pass(&clock, second * 3);
        until(|| {
            // It may not have got there.
            let released =
                service.ask("GET /adder/release HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            assert_eq!(status(&released), 200);
            has_something(&stream)
        });
        assert_eq!(status(&one(&mut stream)), 200);
        pass(&clock, second * 3);
        stream.write_all(b"hello").expect("sent");
        let answer = rest(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
        assert!(answer.contains("hello"), "{answer}");
        clock.resume();
    });
}

/// A client that always sends the beginning of the next request with the last one is not late with it.
#[test]
fn the_time_of_a_head_is_its_own() {
    let second = Duration::from_secs(1);
    let limits = Limits::new().head_timeout(second * 3);
    on_each_with(&limits, |service| {
        let clock = service.runtime.clock();
        clock.pause();
        let mut stream = service.connect();
        stream.write_all(b"GE").expect("sent");
        for _ in 0..5 {
            stream
                .write_all(b"T /adder HTTP/1.1\r\nHost: a\r\n\r\nGE")
                .expect("sent");
            assert_eq!(body(&one(&mut stream)), "root");
            pass(&clock, second * 2);
        }
        clock.resume();
    });
}

/// Whether there is something to be read, or the end.
fn has_something(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("set");
    !matches!(&peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}
