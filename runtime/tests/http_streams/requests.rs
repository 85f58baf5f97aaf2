//! Requests that are read while they come.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use libprocess::http::{Body, Limits, ok, text};
use libprocess::{Clock, Runtime, SpawnOptions, request, spawn_with};

use crate::common;
use crate::common::answers::{body, one, rest, status};
use crate::common::serving::{reset, until};
use crate::common::sockets::{LONG, REACTORS, any};
use crate::common::tcp_table::has_been_read;
use crate::{
    HELD_UP, HELLO, Hands, Service, Streams, UP, chunk, head, line, on_each, on_each_with, reads,
};

#[test]
fn a_request_is_read_while_it_comes() {
    on_each(|service| {
        let mut stream = service.ask(UP);
        let (reader, response) = service.hands.upload();
        for piece in ["to be", "continued"] {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(chunk.as_bytes()).expect("sent");
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(reads(&reader).expect("a piece"));
            }
            assert_eq!(got, piece.as_bytes());
        }
        let end = format!("0\r\nChecksum: abc\r\n\r\n{HELLO}");
        stream.write_all(end.as_bytes()).expect("sent");
        assert_eq!(reads(&reader).expect("the end"), b"");
        assert_eq!(reader.trailers().expect("trailers")["checksum"], "abc");
        response.set(ok("thanks"));
        assert_eq!(body(&one(&mut stream)), "thanks");
        assert_eq!(body(&one(&mut stream)), "hello");
        // The longest route decides, and a request without a body has nothing to be streamed.
        for (path, told) in [("/up/whole", "abc"), ("/%75p/whole", "abc")] {
            let ask =
                format!("POST /streams{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
            stream.write_all(ask.as_bytes()).expect("sent");
            assert_eq!(body(&one(&mut stream)), told);
        }
        let ask = "POST /streams/up HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(ask.as_bytes()).expect("sent");
        assert_eq!(body(&one(&mut stream)), "without a body");
        let ask = "POST /streams/%75%70?a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
        stream.write_all(ask.as_bytes()).expect("sent");
        let (reader, response) = service.hands.upload();
        assert_eq!(reader.read_all(3).get_timeout(LONG).expect("all"), "abc");
        response.set(ok("bye"));
        let last = rest(&mut stream);
        assert!(last.contains("Connection: close\r\n"), "{last}");
        assert_eq!(body(&last), "bye", "{}", service.name);
    });
}

#[test]
fn a_client_that_expects_is_told_before_it_sends() {
    on_each(|service| {
        let ask = "POST /streams/up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        let mut stream = service.ask(ask);
        assert_eq!(one(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").expect("sent");
        let (reader, response) = service.hands.upload();
        assert_eq!(reader.read_all(5).get_timeout(LONG).expect("all"), "hello");
        response.set(ok("thanks"));
        assert_eq!(body(&one(&mut stream)), "thanks", "{}", service.name);
    });
}

#[test]
fn a_handler_that_does_not_read_holds_the_client_up() {
    on_each(|service| {
        let mut stream = service.ask(
            "POST /streams/up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\nConnection: close\r\n\r\n",
        );
        let (reader, response) = service.hands.upload();
        stream.set_nonblocking(true).expect("an option");
        let piece = vec![b'x'; 50_000];
        let mut sent = 0;
        // Until nothing is taken for so many looks that it will not be.
        let mut refused = 0;
        while refused < 100_000 {
            match stream.write(&piece) {
                Ok(more) => {
                    sent += more;
                    refused = 0;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    refused += 1;
                    std::thread::yield_now();
                }
                Err(error) => panic!("{}: {error}", service.name),
            }
            assert!(sent < HELD_UP, "nothing holds it up");
        }
        stream.set_nonblocking(false).expect("an option");
        let counted = service.runtime.spawn_async(async move {
            let mut count = 0;
            loop {
                match reader.read().await {
                    Ok(piece) if piece.is_empty() => break count,
                    Ok(piece) => count += piece.len(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        while sent < 100_000_000 {
            let more = piece.len().min(100_000_000 - sent);
            stream.write_all(&piece[..more]).expect("sent");
            sent += more;
        }
        assert_eq!(counted.get_timeout(LONG), Ok(100_000_000));
        response.set(ok("thanks"));
        assert_eq!(body(&rest(&mut stream)), "thanks", "{}", service.name);
    });
}

#[test]
fn what_the_client_breaks_off_does_not_look_whole() {
    on_each(|service| {
        for leaves in [drop, reset] {
            let stream = service.ask(&format!("{UP}3\r\nabc\r\n"));
            let (reader, _response) = service.hands.upload();
            assert_eq!(reads(&reader).expect("a piece"), b"abc");
            leaves(stream);
            reads(&reader).expect_err("no end");
        }
        // What is no chunk is answered by whoever has the request, and nothing comes behind.
        let mut stream = service.ask(&format!("{UP}3\r\nabcd\r\n{HELLO}"));
        let (reader, response) = service.hands.upload();
        assert_eq!(reads(&reader).expect("a piece"), b"abc");
        reads(&reader).expect_err("no end");
        response.set(text(StatusCode::BAD_REQUEST, "half of it"));
        let answer = rest(&mut stream);
        assert_eq!((status(&answer), body(&answer)), (400, "half of it"));
        assert!(
            answer.contains("Connection: close\r\n"),
            "{}: {answer}",
            service.name
        );
    });
}

#[test]
fn what_nobody_reads_is_thrown_away() {
    on_each(|service| {
        let ask = |length: usize| {
            format!(
                "POST /streams/up/ignored HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        let mut stream = service.ask(&ask(100_000));
        assert_eq!(status(&one(&mut stream)), 403);
        stream.write_all(&vec![b'x'; 100_000]).expect("sent");
        stream.write_all(HELLO.as_bytes()).expect("sent");
        assert_eq!(body(&one(&mut stream)), "hello");
        // Too much for that: the connection ends.
        stream.write_all(ask(100_000_000).as_bytes()).expect("sent");
        assert_eq!(status(&one(&mut stream)), 403);
        let piece = vec![b'x'; 1 << 20];
        let sent = (0..100).try_for_each(|_| stream.write_all(&piece));
        assert!(sent.is_err(), "{}: all was taken", service.name);
    });
}

#[test]
fn a_body_can_be_sent_back_while_it_comes() {
    on_each(|service| {
        let mut stream = service.ask(&UP.replace("/up", "/echo"));
        head(&mut stream);
        for piece in ["to be", "continued"] {
            let sent = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(sent.as_bytes()).expect("sent");
            let mut got = Vec::new();
            while got.len() < piece.len() {
                got.extend(chunk(&mut stream));
            }
            assert_eq!(got, piece.as_bytes());
        }
        let end = format!("0\r\n\r\n{HELLO}");
        stream.write_all(end.as_bytes()).expect("sent");
        assert_eq!(chunk(&mut stream), b"");
        assert_eq!(line(&mut stream), "");
        assert_eq!(body(&one(&mut stream)), "hello", "{}", service.name);
    });
}

/// By a clock that stands still.
fn on_each_where_bodies_have_five_seconds(test: impl Fn(&Service, &Clock)) {
    let limits = Limits::new().body_timeout(Duration::from_secs(5));
    for kind in REACTORS {
        let builder = Runtime::builder().workers(2).reactor(*kind);
        let builder = builder.listen(any()).http_limits(limits.clone());
        let runtime = builder.build().expect("a runtime");
        let clock = runtime.clock().clone();
        clock.pause();
        test(&Service::new(runtime, kind.to_string()), &clock);
    }
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    on_each_where_bodies_have_five_seconds(|service, clock| {
        let mut stream = service.ask(&format!("{UP}3\r\nabc\r\n"));
        let (reader, response) = service.hands.upload();
        assert_eq!(reads(&reader).expect("a piece"), b"abc");
        let read = reader.read();
        // The process of the connection begins to wait at some time.
        until(|| {
            clock.advance(Duration::from_secs(1));
            !read.is_pending()
        });
        assert!(read.is_failed());
        response.set(text(StatusCode::REQUEST_TIMEOUT, "late"));
        assert_eq!(body(&rest(&mut stream)), "late", "{}", service.name);
    });
}

/// A handler that has heard enough answers, and leaves the rest, of which a client may not make hours.
#[test]
fn a_body_that_nobody_reads_may_not_come_slowly() {
    on_each_where_bodies_have_five_seconds(|service, clock| {
        let mut stream = service.ask(UP);
        let (reader, response) = service.hands.upload();
        drop(reader);
        response.set(ok("enough"));
        assert_eq!(body(&one(&mut stream)), "enough", "{}", service.name);
        stream.set_nonblocking(true).expect("an option");
        let began = clock.now();
        let has_ended = || {
            let waits = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
            !(&stream).read(&mut [0]).as_ref().is_err_and(waits)
        };
        until(|| {
            // It may have ended.
            let _sent = (&stream).write_all(b"1\r\nx\r\n");
            until(|| has_ended() || has_been_read(&stream));
            clock.advance(Duration::from_secs(1));
            has_ended()
        });
        // Each piece gives it a fortieth of a second.
        let took = clock.now() - began;
        assert!(took >= Duration::from_secs(5), "{took:?}");
    });
}

/// While the pipe was full the client could send nothing.
#[test]
fn a_body_is_not_late_for_time_in_which_there_was_no_room() {
    on_each_where_bodies_have_five_seconds(|service, clock| {
        // The pipe is full with it, and nothing is behind it.
        let piece = vec![b'x'; 64 << 10];
        let mut stream = service.ask(&format!("{UP}{:x}\r\n", piece.len()));
        stream.write_all(&piece).expect("sent");
        let (reader, response) = service.hands.upload();
        until(|| has_been_read(&stream));
        // Who took it from the kernel may not have passed it on yet.
        for _ in 0..1_000 {
            clock.settle().expect("outside of a process");
            std::thread::yield_now();
        }
        clock.advance(Duration::from_secs(60));
        clock.settle().expect("outside of a process");
        let mut got = 0;
        while got < piece.len() {
            got += reads(&reader).expect("a piece").len();
            clock.settle().expect("outside of a process");
        }
        stream.write_all(b"\r\n0\r\n\r\n").expect("sent");
        assert_eq!(reads(&reader).expect("the end"), b"");
        response.set(ok("thanks"));
        assert_eq!(body(&one(&mut stream)), "thanks", "{}", service.name);
    });
}

#[test]
fn a_pipe_goes_from_process_to_process() {
    let runtime = common::runtime(2);
    let hands = Hands::default();
    let process = Streams(hands.clone());
    let asked = runtime.spawn_async(async move {
        let streams = spawn_with(SpawnOptions::new(), process).expect("spawned");
        let asked = http::Request::get("/down")
            .body(Body::empty())
            .expect("a request");
        let response = request(streams, asked).await.expect("an answer");
        let reader = response.body().reader().expect("a stream").clone();
        reader.read_all(1 << 10).await
    });
    let writer = hands.writer();
    writer.try_write("to be").expect("room");
    writer.try_write(" continued").expect("room");
    writer.close();
    let all = asked.get_timeout(LONG).expect("it ends").expect("all");
    assert_eq!(all, "to be continued");
}

/// An upload counts as one that waits for its answer, which waits for the upload.
#[test]
fn a_body_comes_where_no_more_requests_may() {
    on_each_with(&Limits::new().pipelined(1), |service| {
        let mut stream = service.ask(&format!("{UP}3\r\nabc\r\n"));
        let (reader, response) = service.hands.upload();
        assert_eq!(reads(&reader).expect("a piece"), b"abc");
        let end = format!("3\r\ndef\r\n0\r\n\r\n{HELLO}");
        stream.write_all(end.as_bytes()).expect("sent");
        assert_eq!(reader.read_all(9).get_timeout(LONG).expect("all"), "def");
        response.set(ok("thanks"));
        assert_eq!(body(&one(&mut stream)), "thanks");
        assert_eq!(body(&one(&mut stream)), "hello", "{}", service.name);
    });
}

#[test]
fn who_answers_early_goes_on_reading() {
    on_each(|service| {
        for closes in ["", "Connection: close\r\n"] {
            let ask = format!(
                "POST /streams/up HTTP/1.1\r\nHost: a\r\n{closes}Content-Length: 10\r\n\r\n"
            );
            let mut stream = service.ask(&ask);
            let (reader, response) = service.hands.upload();
            response.set(ok("accepted"));
            assert_eq!(body(&one(&mut stream)), "accepted");
            for half in ["01234", "56789"] {
                stream.write_all(half.as_bytes()).expect("sent");
                let mut got = Vec::new();
                while got.len() < half.len() {
                    got.extend(reads(&reader).expect("a piece"));
                }
                assert_eq!(got, half.as_bytes());
            }
            assert_eq!(reads(&reader).expect("the end"), b"");
            if closes.is_empty() {
                stream.write_all(HELLO.as_bytes()).expect("sent");
                assert_eq!(body(&one(&mut stream)), "hello", "{}", service.name);
            } else {
                assert_eq!(rest(&mut stream), "", "{}", service.name);
            }
        }
    });
}

/// From a process of the same runtime a body comes as a whole, and the handler need not know.
#[test]
fn a_body_that_is_there_is_read_in_the_same_way() {
    let runtime = common::runtime(2);
    let hands = Hands::default();
    let process = Streams(hands.clone());
    let asked = runtime.spawn_async(async move {
        let streams = spawn_with(SpawnOptions::new(), process).expect("spawned");
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", HeaderValue::from_static("abc"));
        let body = Body::from("hello").with_trailers(trailers);
        let asked = http::Request::post("/up").body(body).expect("a request");
        request(streams, asked).await
    });
    let (reader, response) = hands.upload();
    assert_eq!(reads(&reader).expect("a piece"), b"hello");
    assert_eq!(reads(&reader).expect("the end"), b"");
    assert_eq!(reader.trailers().expect("trailers")["checksum"], "abc");
    response.set(ok("thanks"));
    let answer = asked
        .get_timeout(LONG)
        .expect("it ends")
        .expect("an answer");
    assert_eq!(answer.body(), "thanks");
}
