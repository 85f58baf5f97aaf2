//! Servers of their own listeners: how they begin and end, and whom they let in.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use common::answers::{body, one, rest, status};
use common::serving::{Desk, Place, Serving, ask, ends, on_each, request, until};
use common::sockets::{self, LONG};
use libprocess::http::{Limits, Request, Server, ok, serve};
use libprocess::net::UnixStream;
use libprocess::{Future, FutureError, Promise};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_server_serves_over_tcp() {
    on_each(|place| {
        let serving = place.serve(Limits::new(), Desk::default().handler());
        let mut streams: Vec<_> = (0..5).map(|_| serving.acquainted()).collect();
        for stream in &mut streams {
            ask(stream, "/again");
            assert_eq!(body(&one(stream)), "hello", "{}", place.name);
        }
        stops(place, serving);
        streams.iter_mut().for_each(ends);
    });
}

#[test]
fn a_server_serves_over_a_unix_socket() {
    on_each(|place| {
        let mut serving = place.serve_unix(Limits::new(), |request: &Request| {
            Future::ready(ok(request.uri().path().to_owned()))
        });
        let mut streams: Vec<_> = (0..5).map(|_| serving.connect()).collect();
        for round in ["/a", "/b"] {
            for stream in &mut streams {
                ask(stream, round);
                assert_eq!(body(&one(stream)), round, "{}", place.name);
            }
        }
        place.runtime.clock().pause();
        let stopped = place.stop(&serving.server, LONG);
        streams.iter_mut().for_each(ends);
        stopped.get_timeout(LONG).expect("stopped");
        let running = serving.running.take().expect("it ran");
        running.get_timeout(LONG).expect("it has run");
    });
}

/// At once: it has connections that are idle, at most.
fn stops(place: &Place, serving: Serving) {
    place.runtime.clock().pause();
    let stopped = place.stop(&serving.server, LONG);
    stopped.get_timeout(LONG).expect("stopped");
    serving.running.get_timeout(LONG).expect("it has run");
}

#[test]
fn a_connection_can_be_served_alone() {
    sockets::on_each(|| async {
        let (client, server) = UnixStream::pair().expect("a pair");
        let served = serve(server, Limits::new(), |request: &Request| {
            ok(request.uri().path().to_owned())
        });
        for path in ["/a", "/b"] {
            client.send(request(path)).await.expect("sent");
            let mut answer = Vec::new();
            while !answer.ends_with(path.as_bytes()) {
                let bytes = client.receive().await.expect("bytes");
                assert!(!bytes.is_empty(), "an end behind {answer:?}");
                answer.extend_from_slice(&bytes);
            }
        }
        assert!(served.is_pending());
        drop(client);
        served.await.expect("it has ended");
    });
}

#[test]
fn to_discard_what_is_served_closes_it() {
    sockets::on_each(|| async {
        let (client, server) = UnixStream::pair().expect("a pair");
        let (promise, response) = Promise::pair();
        let (asked, is_asked) = Promise::pair();
        let response = std::sync::Mutex::new(Some(response));
        let served = serve(server, Limits::new(), move |_: &Request| {
            asked.set(());
            common::lock(&response).take().expect("asked once")
        });
        client.send(request("/")).await.expect("sent");
        is_asked.await.expect("asked");
        served.discard();
        assert_eq!(client.receive().await.expect("the end"), "");
        assert_eq!(served.await, Err(FutureError::Discarded));
        until(|| promise.has_discard());
    });
}

#[test]
fn a_server_runs_once() {
    on_each(|place| {
        let serving = place.serve(Limits::new(), Desk::default().handler());
        let server = Arc::clone(&serving.server);
        let again = place.inside(move || server.run());
        let error = again.get_timeout(LONG).expect_err("it runs already");
        assert!(matches!(error, FutureError::Failed(_)), "{error:?}");
        drop(serving.acquainted());
        let server = Arc::clone(&serving.server);
        stops(place, serving);
        let again = place.inside(move || server.run());
        again.get_timeout(LONG).expect_err("it was stopped");
    });
}

#[test]
fn what_was_stopped_before_it_ran_does_not_run() {
    on_each(|place| {
        place.inside(|| {
            let listener = libprocess::net::TcpListener::bind(sockets::any());
            let server = Server::new(listener.expect("a listener"), |_: &Request| ok("hello"));
            let address = server.local_address().expect("an address");
            server.stop(LONG).get().expect("at once");
            server.run().get().expect_err("it was stopped");
            server.stop(LONG).get().expect("once more");
            TcpStream::connect(address).expect_err("nobody listens");
        });
    });
}

/// Whoever gets through to a listener that is being closed is not answered.
fn nobody_accepts(serving: &Serving) {
    while let Ok(mut stream) = TcpStream::connect(serving.address) {
        stream.set_read_timeout(Some(LONG)).expect("an option");
        stream.set_read_timeout(Some(LONG)).expect("an option");
        ends(&mut stream);
    }
}

#[test]
fn who_stops_waits_for_the_answers_that_are_owed() {
    on_each(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        let desk = Desk::default();
        let serving = place.serve(Limits::new(), desk.handler());
        let mut idle = serving.acquainted();
        let mut new = serving.connect();
        // It is there once one that came later has been answered.
        let mut pending = serving.acquainted();
        // Two that are owed, and the first has not come yet.
        let both = request("/hold") + &request("/hello");
        pending.write_all(both.as_bytes()).expect("sent");
        until(|| desk.held() == 1);
        let stopped = place.stop(&serving.server, 5 * SECOND);
        ends(&mut idle);
        ends(&mut new);
        nobody_accepts(&serving);
        clock.settle().expect("outside of a process");
        assert!(stopped.is_pending(), "{}", place.name);
        // It is not taken, and does no harm.
        ask(&mut pending, "/hello");
        clock.advance(4 * SECOND);
        clock.settle().expect("outside of a process");
        assert!(stopped.is_pending(), "{}", place.name);
        for held in desk.take() {
            assert!(held.answer());
        }
        let answers = rest(&mut pending);
        assert_eq!(status(&answers), 200, "{}", place.name);
        assert!(body(&answers).starts_with("0HTTP/1.1 200 OK"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1").count(), 2, "{answers}");
        // The last one says that it is.
        let closing = answers.rfind("Connection: close");
        assert!(closing > answers.rfind("HTTP/1.1 "), "{answers}");
        drop(pending);
        stopped.get_timeout(LONG).expect("stopped");
        serving.running.get_timeout(LONG).expect("it has run");
    });
}

#[test]
fn at_the_end_of_the_grace_the_rest_is_cut_off() {
    on_each(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        let desk = Desk::default();
        let serving = place.serve(Limits::new(), desk.handler());
        let mut pending = serving.connect();
        ask(&mut pending, "/hold");
        until(|| desk.held() == 1);
        let mut half = serving.acquainted();
        half.write_all(b"GET / HTTP/1.1\r\n").expect("sent");
        let stopped = place.stop(&serving.server, 5 * SECOND);
        clock.advance(5 * SECOND - Duration::from_millis(1));
        clock.settle().expect("outside of a process");
        assert!(stopped.is_pending(), "{}", place.name);
        let held = desk.take();
        assert!(!held[0].has_discard());
        clock.advance(Duration::from_millis(1));
        ends(&mut pending);
        until(|| held[0].has_discard());
        ends(&mut half);
        stopped.get_timeout(LONG).expect("stopped");
        serving.running.get_timeout(LONG).expect("it has run");
    });
}

#[test]
fn without_grace_the_handlers_are_told_at_once() {
    on_each(|place| {
        let desk = Desk::default();
        let serving = place.serve(Limits::new(), desk.handler());
        let mut pending = serving.connect();
        ask(&mut pending, "/hold");
        until(|| desk.held() == 1);
        let stopped = place.stop(&serving.server, Duration::ZERO);
        ends(&mut pending);
        stopped.get_timeout(LONG).expect("stopped");
        let held = desk.take();
        until(|| held[0].has_discard());
    });
}

/// By each of the ways to end at once.
#[test]
fn who_drops_a_server_closes_it_and_gets_all_back() {
    let ways: [fn(Serving); 2] = [
        |serving| {
            drop(serving.server);
            serving.running.get_timeout(LONG).expect("it has run");
        },
        |serving| {
            serving.running.discard();
            // The future may tell of either.
            let _ended = serving.running.get_timeout(LONG);
        },
    ];
    for end in ways {
        on_each(|place| {
            let desk = Desk::default();
            let before = place.runtime.stats().alive;
            let serving = place.serve(Limits::new(), desk.handler());
            let address = serving.address;
            let mut idle = serving.acquainted();
            let mut pending = serving.connect();
            ask(&mut pending, "/hold");
            until(|| desk.held() == 1);
            end(serving);
            ends(&mut idle);
            ends(&mut pending);
            let held = desk.take();
            until(|| held[0].has_discard());
            until(|| place.runtime.stats().alive == before);
            while let Ok(mut stream) = TcpStream::connect(address) {
                stream.set_read_timeout(Some(LONG)).expect("an option");
                ends(&mut stream);
            }
        });
    }
}

/// One that is just being let in is closed, too.
#[test]
fn a_connection_that_comes_while_the_server_ends_is_not_forgotten() {
    for kind in sockets::REACTORS {
        let runtime = sockets::runtime(*kind, 3, None).expect("it was built in");
        let name = kind.to_string();
        let place = Place { runtime, name };
        let before = place.runtime.stats().alive;
        for round in 0..100 * common::scale() {
            let serving = place.serve(Limits::new(), Desk::default().handler());
            let mut streams: Vec<_> = (0..4).map(|_| serving.connect()).collect();
            (0..round % 8).for_each(|_| std::thread::yield_now());
            drop(serving.server);
            streams.iter_mut().for_each(ends);
        }
        until(|| place.runtime.stats().alive == before);
    }
}

#[test]
fn there_are_so_many_connections_at_a_time() {
    on_each(|place| {
        let limits = Limits::new().connections(3);
        let serving = place.serve(limits, Desk::default().handler());
        full_with_three(place, &serving);
    });
}

#[test]
fn there_are_so_many_connections_of_an_address() {
    on_each(|place| {
        let limits = Limits::new().connections_per_address(3);
        let serving = place.serve(limits, Desk::default().handler());
        full_with_three(place, &serving);
    });
}

fn full_with_three(place: &Place, serving: &Serving) {
    // Who was refused is let go in time, or by its own end: there is no time here.
    place.runtime.clock().pause();
    let mut served: Vec<_> = (0..3).map(|_| serving.acquainted()).collect();
    // Told so; the server reads on for a while, which is not to count.
    let mut refused: Vec<_> = (0..3).map(|_| serving.connect()).collect();
    for stream in &mut refused {
        let answer = rest(stream);
        assert_eq!(status(&answer), 503);
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
    }
    for stream in &mut served {
        ask(stream, "/hello");
        assert_eq!(body(&one(stream)), "hello");
    }
    // There is room again, whatever those do that were refused.
    drop(served.pop());
    comes_in(serving, &mut served);
    let mut beyond = serving.connect();
    assert_eq!(status(&rest(&mut beyond)), 503);
    drop(refused);
    served.clear();
    for _ in 0..3 {
        comes_in(serving, &mut served);
    }
}

/// One more is served, once the server has seen that another one went away.
fn comes_in(serving: &Serving, served: &mut Vec<TcpStream>) {
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let mut stream = serving.connect();
        ask(&mut stream, "/hello");
        if status(&one(&mut stream)) == 200 {
            return served.push(stream);
        }
        assert!(
            std::time::Instant::now() < deadline,
            "there is no room again"
        );
    }
}

/// Also where that was due while a handler had its time, and none of it was anybody's fault.
#[test]
fn a_connection_that_was_answered_late_is_idle_afterwards() {
    on_each(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        let desk = Desk::default();
        let limits = Limits::new().idle_timeout(5 * SECOND);
        let serving = place.serve(limits, desk.handler());
        let mut stream = serving.acquainted();
        ask(&mut stream, "/hold");
        until(|| desk.held() == 1);
        clock.settle().expect("outside of a process");
        clock.advance(7 * SECOND);
        clock.settle().expect("outside of a process");
        for held in desk.take() {
            assert!(held.answer());
        }
        assert_eq!(status(&one(&mut stream)), 200, "{}", place.name);
        clock.settle().expect("outside of a process");
        clock.advance(20 * SECOND);
        clock.settle().expect("outside of a process");
        ends(&mut stream);
        stops(place, serving);
    });
}

#[test]
fn empty_lines_say_nothing() {
    on_each(|place| {
        let clock = place.runtime.clock();
        clock.pause();
        let limits = Limits::new().idle_timeout(5 * SECOND);
        let serving = place.serve(limits, Desk::default().handler());
        let mut stream = serving.acquainted();
        // Twice as long: when an answer went out is known to one time-out.
        for _ in 0..12 {
            // Until it has ended, if it does.
            let _ = stream.write_all(b"\r\n");
            clock.settle().expect("outside of a process");
            clock.advance(SECOND);
            clock.settle().expect("outside of a process");
        }
        ends(&mut stream);
        stops(place, serving);
    });
}

#[test]
fn a_connection_has_so_many_requests() {
    on_each(|place| {
        let limits = Limits::new().requests(3);
        let serving = place.serve(limits, Desk::default().handler());
        let mut stream = serving.connect();
        let all = request("/hello").repeat(5);
        stream.write_all(all.as_bytes()).expect("sent");
        for is_last in [false, false, true] {
            let answer = one(&mut stream);
            assert_eq!(status(&answer), 200);
            assert_eq!(answer.contains("Connection: close"), is_last, "{answer}");
        }
        assert_eq!(rest(&mut stream), "");
    });
}

#[test]
fn a_handler_that_panics_fails_its_own_request() {
    on_each(|place| {
        let serving = place.serve(Limits::new(), Desk::default().handler());
        let mut other = serving.acquainted();
        let mut stream = serving.acquainted();
        ask(&mut stream, "/panic");
        assert_eq!(status(&one(&mut stream)), 500, "{}", place.name);
        ask(&mut stream, "/hello");
        assert_eq!(body(&one(&mut stream)), "hello");
        ask(&mut other, "/hello");
        assert_eq!(body(&one(&mut other)), "hello");
        drop(serving.acquainted());
        drop(other);
        stops(place, serving);
    });
}

/// A future that nobody completes, because its promise is gone, is an answer as well.
#[test]
fn a_handler_that_gives_no_answer_says_so() {
    on_each(|place| {
        let serving = place.serve(Limits::new(), |request: &Request| {
            match request.uri().path() {
                "/fail" => Future::failed("out of order"),
                _ => Promise::pair().1,
            }
        });
        let mut stream = serving.connect();
        ask(&mut stream, "/fail");
        let answer = one(&mut stream);
        assert_eq!((status(&answer), body(&answer)), (500, "out of order"));
        ask(&mut stream, "/abandon");
        assert_eq!(status(&one(&mut stream)), 503);
    });
}
