//! Answers that go out while they are made.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::common::answers::{body, one, rest, status};
use crate::common::serving::{ends, reset, until};
use crate::common::sockets::LONG;
use crate::{DOWN, HELD_UP, HELLO, chunk, head, line, on_each};

#[test]
fn an_answer_goes_out_while_it_is_made() {
    on_each(|service| {
        let mut stream = service.ask(&format!("{DOWN}{HELLO}"));
        let told = head(&mut stream);
        assert!(told.contains("Transfer-Encoding: chunked\r\n"), "{told}");
        assert!(told.contains("Content-Type: text/plain\r\n"), "{told}");
        assert!(!told.contains("Content-Length"), "{told}");
        let writer = service.hands.writer();
        for piece in ["to be", " continued", "."] {
            writer.try_write(piece).expect("room");
            assert_eq!(chunk(&mut stream), piece.as_bytes());
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", HeaderValue::from_static("abc"));
        trailers.insert("content-length", HeaderValue::from_static("1"));
        writer.close_with_trailers(trailers);
        assert_eq!(chunk(&mut stream), b"");
        assert_eq!(line(&mut stream), "checksum: abc");
        assert_eq!(line(&mut stream), "");
        // Which has waited behind it.
        assert_eq!(body(&one(&mut stream)), "hello");
        stream.write_all(HELLO.as_bytes()).expect("sent");
        assert_eq!(body(&one(&mut stream)), "hello", "{}", service.name);
    });
}

/// It has waited for the end of the stream, with which the connection does not end yet.
#[test]
fn the_last_answer_comes_behind_a_stream() {
    let hello = HELLO.trim_end();
    let missing = HELLO.replace("hello", "missing");
    for (ask, expected) in [
        (format!("{hello}\r\nConnection: close\r\n\r\n"), 200),
        (HELLO.replace("HTTP/1.1", "HTTP/1.0"), 200),
        (HELLO.replace("Host: a", "Host: a\r\nHost: a"), 400),
        (
            missing.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
            404,
        ),
    ] {
        on_each(|service| {
            let mut stream = service.ask(&format!("{DOWN}{ask}"));
            head(&mut stream);
            let writer = service.hands.writer();
            // It has been answered by the time that the stream ends.
            let served = if expected == 400 { 1 } else { 2 };
            until(|| service.runtime.stats().events.http >= served);
            writer.try_write("all").expect("room");
            assert_eq!(chunk(&mut stream), b"all");
            writer.close();
            assert_eq!(chunk(&mut stream), b"");
            assert_eq!(line(&mut stream), "");
            let last = rest(&mut stream);
            assert_eq!(status(&last), expected, "{}: {ask}: {last:?}", service.name);
        });
    }
}

#[test]
fn a_client_of_http_1_0_has_it_up_to_the_end() {
    on_each(|service| {
        let ask = "GET /streams/down HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let mut stream = service.ask(ask);
        let told = head(&mut stream);
        assert!(told.contains("Connection: close\r\n"), "{told}");
        assert!(!told.contains("Transfer-Encoding"), "{told}");
        let writer = service.hands.writer();
        writer.try_write("to be").expect("room");
        writer.try_write(" continued").expect("room");
        writer.close();
        assert_eq!(rest(&mut stream), "to be continued");

        let mut stream = service.ask(ask);
        head(&mut stream);
        let writer = service.hands.writer();
        writer.try_write("half").expect("room");
        let mut half = [0; 4];
        stream.read_exact(&mut half).expect("what was written");
        writer.fail("no more of it");
        // `read_exact` goes on where a signal ends a read.
        let error = stream.read_exact(&mut half);
        let error = error.expect_err("no end that looks like one");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{}", service.name);
    });
}

#[test]
fn a_length_that_was_promised_is_kept_or_the_connection_is_cut() {
    on_each(|service| {
        let ask = "GET /streams/promised HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut stream = service.ask(ask);
        let told = head(&mut stream);
        assert!(told.contains("Content-Length: 10\r\n"), "{told}");
        assert!(!told.contains("Transfer-Encoding"), "{told}");
        let writer = service.hands.writer();
        writer.try_write("01234").expect("room");
        writer.try_write("56789").expect("room");
        writer.close();
        let mut all = [0; 10];
        stream.read_exact(&mut all).expect("the body");
        assert_eq!(&all, b"0123456789");
        for (written, is_less) in [("01234", true), ("0123456789a", false)] {
            stream.write_all(ask.as_bytes()).expect("sent");
            head(&mut stream);
            let writer = service.hands.writer();
            writer.try_write(written).expect("room");
            writer.close();
            let mut got = Vec::new();
            // By a reset, perhaps.
            let _ = stream.read_to_end(&mut got);
            assert!(got.len() < 10, "{is_less}: {got:?}");
            writer.reader_closed().get_timeout(LONG).expect("told");
            stream = service.connect();
        }
    });
}

#[test]
fn what_is_broken_off_does_not_look_whole() {
    on_each(|service| {
        let mut stream = service.ask(&format!("{DOWN}{HELLO}"));
        head(&mut stream);
        let writer = service.hands.writer();
        writer.try_write("half").expect("room");
        assert_eq!(chunk(&mut stream), b"half");
        // As if it had failed: nobody can say that this was all.
        drop(writer);
        ends(&mut stream);
    });
}

#[test]
fn a_head_has_no_body() {
    on_each(|service| {
        let ask = DOWN.replace("GET", "HEAD");
        let mut stream = service.ask(&format!("{ask}{HELLO}"));
        let told = head(&mut stream);
        assert!(told.contains("Transfer-Encoding: chunked\r\n"), "{told}");
        assert_eq!(body(&one(&mut stream)), "hello");
        let writer = service.hands.writer();
        writer.reader_closed().get_timeout(LONG).expect("told");
        assert!(writer.write("for nobody").get().is_err());
    });
}

#[test]
fn a_client_that_does_not_read_holds_the_writer_up() {
    on_each(|service| {
        let mut stream = service.ask("GET /streams/endless HTTP/1.1\r\nHost: a\r\n\r\n");
        let writer = service.hands.writer();
        // It comes to rest by itself, which an unbounded one would not.
        let mut refused = 0;
        while refused < 100_000 {
            refused = if writer.try_write("").is_err() {
                refused + 1
            } else {
                0
            };
            std::thread::yield_now();
        }
        let mut got = 0;
        head(&mut stream);
        while got < HELD_UP {
            got += chunk(&mut stream).len();
        }
        drop(stream);
        writer.reader_closed().get_timeout(LONG).expect("told");
        assert!(
            writer.write("for nobody").get().is_err(),
            "{}",
            service.name
        );
    });
}

#[test]
fn who_writes_learns_that_the_client_has_gone() {
    on_each(|service| {
        for leaves in [drop, reset] {
            let mut stream = service.ask(DOWN);
            head(&mut stream);
            let writer = service.hands.writer();
            let closed = writer.reader_closed();
            leaves(stream);
            let left = closed.get_timeout(Duration::from_millis(1)).is_ok();
            if !left {
                // A close that is no reset is told by the answer to what is sent.
                until(|| {
                    writer.write("anybody there?").get().is_err()
                        || writer.reader_closed().is_ready()
                });
            }
            assert!(writer.reader_closed().is_ready(), "{}", service.name);
        }
    });
}
