//! Servers and clients that mean no good, or cannot do better: many requests together, answers that nobody reads, heads that come byte by byte.

mod common;

use std::io::{BufReader, Read, Write};
use std::time::Duration;

use common::answers::{body, one, rest, status};
use common::serving::{Desk, LARGE, Place, ask, on_each, on_each_reactor, request, until};
use libprocess::http::Limits;

const SECOND: Duration = Duration::from_secs(1);

/// More than any kernel's buffers take of an answer: what was asked beyond is what the server has asked for.
const IN_BUFFERS: usize = 2;

fn settle(place: &Place) {
    let settled = place.runtime.clock().settle();
    settled.expect("outside of a process, and paused");
}

#[test]
fn of_ten_thousand_requests_together_a_bounded_number_is_handed_on() {
    const REQUESTS: usize = 10_000;
    const PIPELINED: usize = 1_000;
    on_each(|place| {
        place.runtime.clock().pause();
        let desk = Desk::default();
        let limits = Limits::new().pipelined(PIPELINED as u32);
        let serving = place.serve(limits, desk.handler());
        let mut stream = serving.connect();
        let mut writing = stream.try_clone().expect("another handle");
        let writer = std::thread::spawn(move || {
            let all = request("/hold").repeat(REQUESTS);
            writing.write_all(all.as_bytes()).expect("sent");
        });
        let name = place.name.clone();
        let reader = std::thread::spawn(move || {
            let mut answers = BufReader::new(&mut stream);
            for number in 0..REQUESTS {
                let answer = one(&mut answers);
                assert_eq!(body(&answer), number.to_string(), "{name}");
            }
        });
        for round in 1..=REQUESTS / PIPELINED {
            until(|| desk.held() >= PIPELINED);
            // There is more, and it would have come.
            drop(serving.acquainted());
            settle(place);
            assert_eq!(desk.asked(), round * PIPELINED, "{}", place.name);
            for held in desk.take().into_iter().rev() {
                assert!(held.answer());
            }
        }
        writer.join().expect("written");
        reader.join().expect("read");
        assert_eq!(desk.asked(), REQUESTS);
    });
}

/// It comes while the server is not to read on, and there may be no other reason to look for it.
#[test]
fn a_request_that_comes_during_a_large_answer_is_answered() {
    on_each_reactor(|place| {
        let serving = place.serve(Limits::new(), Desk::default().handler());
        let mut stream = serving.acquainted();
        for _ in 0..10 * common::scale() {
            ask(&mut stream, "/large");
            stream.read_exact(&mut [0; 9]).expect("a beginning");
            ask(&mut stream, "/hello");
            // It has come by the time that another one is served.
            drop(serving.acquainted());
            let mut large = BufReader::new(&mut stream);
            assert_eq!(body(&one(&mut large)).len(), LARGE, "{}", place.name);
            assert_eq!(body(&one(&mut large)), "hello", "{}", place.name);
        }
    });
}

#[test]
fn a_client_that_reads_nothing_is_not_worked_for_and_cut_off() {
    const PIPELINED: usize = 3;
    on_each_reactor(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        let desk = Desk::default();
        let limits = Limits::new()
            .pipelined(PIPELINED as u32)
            .write_timeout(30 * SECOND)
            // Longer than all of this, for the other one.
            .idle_timeout(1_000 * SECOND);
        let serving = place.serve(limits, desk.handler());
        let mut other = serving.acquainted();
        settle(place);
        let with_other = place.runtime.stats().alive;
        let mut stream = serving.connect();
        let mut writing = stream.try_clone().expect("another handle");
        let writer = std::thread::spawn(move || {
            // Cut off, at the latest.
            let _outcome = writing.write_all(request("/large").repeat(10_000).as_bytes());
        });
        until(|| desk.asked() > 0);
        settle(place);
        assert!(place.runtime.stats().alive > with_other);
        let gone = || place.runtime.stats().alive == with_other;
        assert!(
            place.advance_until(300 * SECOND, gone),
            "{}: it is not cut off",
            place.name
        );
        let asked = desk.asked();
        assert!(
            asked <= PIPELINED + IN_BUFFERS,
            "{}: {asked} answers were made for nobody",
            place.name
        );
        ask(&mut other, "/hello");
        assert_eq!(body(&one(&mut other)), "hello");
        let mut some = Vec::new();
        // By a reset, mostly.
        let _end = stream.read_to_end(&mut some);
        assert!(some.starts_with(b"HTTP/1.1 200 OK\r\n"));
        writer.join().expect("no panic");
    });
}

/// That it still says something is no excuse for not reading.
#[test]
fn a_client_that_writes_and_does_not_read_is_cut_off() {
    // A unix socket takes less than half of it, and what is left is little enough for the server to read on.
    const LENGTH: usize = 500_000;
    on_each(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        let forever = 1_000_000 * SECOND;
        let limits = Limits::new()
            .write_timeout(30 * SECOND)
            .head_timeout(forever)
            .idle_timeout(forever);
        let serving = place.serve_unix(limits, |_| {
            libprocess::Future::ready(libprocess::http::ok(vec![b'x'; LENGTH]))
        });
        settle(place);
        let before = place.runtime.stats().alive;
        let mut stream = serving.connect();
        ask(&mut stream, "/");
        // The answer has begun.
        stream.read_exact(&mut [0; 8]).expect("a beginning");
        let endless = "GET /".bytes().chain(std::iter::repeat(b'x'));
        let mut rounds = endless.take(100);
        settle(place);
        while place.runtime.stats().alive > before {
            let byte = rounds
                .next()
                .unwrap_or_else(|| panic!("{}: it is not cut off", place.name));
            let _outcome = stream.write_all(&[byte]);
            clock.advance(10 * SECOND);
            settle(place);
        }
    });
}

#[test]
fn heads_that_come_byte_by_byte_have_their_time() {
    const CONNECTIONS: usize = 50;
    on_each(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        let limits = Limits::new()
            .head_timeout(30 * SECOND)
            .idle_timeout(600 * SECOND);
        let serving = place.serve(limits, Desk::default().handler());
        let mut other = serving.acquainted();
        let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| serving.acquainted()).collect();
        let began = clock.now();
        for byte in request("/").bytes().take(12) {
            let is_late = clock.now() - began >= 30 * SECOND;
            for stream in &mut streams {
                stream.set_nonblocking(true).expect("set");
                if stream.peek(&mut [0]).is_err() {
                    stream.write_all(&[byte]).expect("written");
                } else {
                    assert!(is_late, "{}", place.name);
                }
            }
            // Others are served meanwhile.
            ask(&mut other, "/hello");
            assert_eq!(body(&one(&mut other)), "hello");
            drop(serving.acquainted());
            clock.advance(5 * SECOND);
            settle(place);
        }
        for stream in &mut streams {
            stream.set_nonblocking(false).expect("set");
            let answer = rest(stream);
            assert_eq!(status(&answer), 408, "{}", place.name);
        }
        ask(&mut other, "/hello");
        assert_eq!(body(&one(&mut other)), "hello");
    });
}
