//! Processes as web services: what a client on the other end of a socket notices.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use common::answers::{body, status};
use common::http::{on_each, on_each_with, one, rest};
use common::serving::{ends, request, until};
use common::sockets::{LONG, REACTORS, any};
use flate2::Compression;
use flate2::write::GzEncoder;
use libprocess::http::{Limits, Request, Response, ok};
use libprocess::{Context, FutureError, Process, Promise, Runtime, SpawnOptions};

#[test]
fn a_route_answers() {
    on_each(|service| {
        assert_eq!(
            service.get("/adder/add?a=2&b=40"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: 2\r\n\r\n42"
        );
        for (path, expected) in [
            ("/adder/add/one", "one"),
            ("/adder/add/one/more", "one"),
            ("/adder/add/two?a=1&b=1", "2"),
            ("/adder/%61dd?a=1&b=1", "2"),
            ("/%61dder/add?a=1&b=1", "2"),
            ("/adder", "root"),
            ("/adder/", "root"),
            ("http://elsewhere/adder/add?a=1&b=1", "2"),
            // By the delegate.
            ("/", "root"),
            ("/add?a=1&b=1", "2"),
        ] {
            assert_eq!(body(&service.get(path)), expected, "{path}");
        }
        for path in [
            "/adder/nothing",
            "/adder/../adder/add",
            "/adder/%2e%2e/add",
            "/%ff/add",
            "/adder/ad",
        ] {
            assert_eq!(status(&service.get(path)), 404, "{path}");
        }
    });
}

/// So a client that waits is woken once. Where they are sent apart from each other, few of them come at once; and what another worker sends, while the connection's own has no time, is sent so.
#[test]
fn the_end_of_a_connection_comes_with_its_last_answer() {
    use rustix::event::{PollFd, PollFlags, poll};
    on_each(|service| {
        let together = (0..100).filter(|_| {
            let mut stream = service.connect();
            stream
                .write_all(
                    b"GET /adder/add?a=1&b=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                )
                .expect("sent");
            let mut wait = [PollFd::new(&stream, PollFlags::IN | PollFlags::RDHUP)];
            assert_eq!(poll(&mut wait, None), Ok(1));
            let together = wait[0].revents().contains(PollFlags::IN | PollFlags::RDHUP);
            assert_eq!(body(&rest(&mut stream)), "2");
            together
        });
        let together = together.count();
        assert!(together >= 80, "{together}");
    });
}

#[test]
fn all_of_a_request_arrives() {
    on_each(|service| {
        let answer = service.ask(
            "POST /adder/echo?x HTTP/1.1\r\nhOsT: a\r\nX-Twice: 1\r\nX-Empty:\r\nX-Twice:  2 \r\nContent-Length: 5\r\n\
             Connection: close\r\n\r\nhello",
        );
        let told = "POST /adder/echo?x HTTP/1.1\nconnection: close\ncontent-length: 5\nhost: a\nx-empty: \nx-twice: 1\nx-twice: 2\nhello";
        assert_eq!(body(&answer), told);
    });
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    on_each(|service| {
        let mut stream = service.connect();
        let hold = "GET /adder/hold HTTP/1.1\r\nHost: a\r\n\r\n";
        let add = "GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\n";
        let release = "GET /adder/release HTTP/1.1\r\nHost: a\r\n\r\n";
        stream
            .write_all(format!("{hold}{add}{hold}{hold}{release}").as_bytes())
            .expect("sent");
        for expected in ["held 0", "3", "held 1", "held 2", "released 3"] {
            assert_eq!(body(&one(&mut stream)), expected);
        }
    });
}

#[test]
fn connections_stay_or_close_as_asked() {
    on_each(|service| {
        let mut stream = service.connect();
        for _ in 0..3 {
            stream
                .write_all(b"GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\n")
                .expect("sent");
            let answer = one(&mut stream);
            assert!(!answer.contains("Connection"), "{answer}");
        }
        stream
            .write_all(b"GET /adder HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .expect("sent");
        assert!(one(&mut stream).contains("Connection: keep-alive\r\n"));
        stream
            .write_all(b"GET /adder HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n")
            .expect("sent");
        let last = rest(&mut stream);
        assert!(last.contains("Connection: close\r\n"), "{last}");
        assert_eq!(body(&last), "root", "what comes behind is not answered");
    });
}

#[test]
fn who_shuts_down_still_gets_the_answer() {
    on_each(|service| {
        let mut stream = service.connect();
        stream
            .write_all(b"GET /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(body(&rest(&mut stream)), "3");
        let mut stream = service.connect();
        stream
            .write_all(b"GET /adder/add?a=1&b=2 HTTP/1.1\r\nHo")
            .expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(status(&rest(&mut stream)), 400);
    });
}

#[test]
fn what_has_no_body_has_none() {
    on_each(|service| {
        let head =
            service.ask("HEAD /adder/add?a=1&b=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(head.contains("Content-Length: 1\r\n"), "{head}");
        assert_eq!(body(&head), "");
        // RFC 9110, section 9.3.2: nor where it is refused.
        for (ask, expected) in [
            ("HEAD / HTTP/1.1\r\n\r\n", 400),
            ("HEAD / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
            (
                "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
                413,
            ),
            (
                "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                400,
            ),
        ] {
            let refused = service.ask(ask);
            assert_eq!(status(&refused), expected, "{ask}: {refused}");
            assert!(refused.contains("Content-Length: "), "{refused}");
            assert_eq!(body(&refused), "", "{ask}");
        }
        let refused = service.ask("GET / HTTP/1.1\r\n\r\n");
        assert_ne!(body(&refused), "");
        // Also one that never becomes whole.
        let mut stream = service.connect();
        stream.write_all(b"HEAD /adder HT").expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut down");
        let refused = rest(&mut stream);
        assert_eq!(status(&refused), 400, "{refused}");
        assert_eq!(body(&refused), "");
        let empty = service.get("/adder/empty");
        assert!(!empty.contains("Content-Length"), "{empty}");
        assert_eq!(body(&empty), "");
    });
}

#[test]
fn a_client_that_expects_is_told_to_go_on() {
    on_each(|service| {
        let mut stream = service.connect();
        let ask = b"POST /adder/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).expect("sent");
        assert_eq!(one(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").expect("sent");
        assert!(rest(&mut stream).ends_with("hello"));
        let refused = service.ask("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n");
        assert_eq!(status(&refused), 417);
    });
}

#[test]
fn a_handler_that_fails_says_so() {
    on_each(|service| {
        let failed = service.get("/adder/fail");
        assert_eq!((status(&failed), body(&failed)), (500, "out of order"));
        assert_eq!(status(&service.get("/adder/panic")), 503);
        // Its end comes behind that answer: until then it is found, and what it is asked is answered so, too.
        until(|| match status(&service.get("/adder/add")) {
            404 => true,
            other => {
                assert_eq!(other, 503);
                false
            }
        });
    });
}

#[test]
fn a_large_answer_reaches_a_slow_client() {
    on_each(|service| {
        let mut stream = service.connect();
        stream
            .write_all(b"GET /adder/large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .expect("sent");
        std::thread::yield_now();
        let answer = rest(&mut stream);
        assert_eq!(body(&answer).len(), 3_000_000);
    });
}

/// A client that always sends the beginning of the next request with the last one is not late with it.
/// `100 Continue` is no answer behind the last one.
#[test]
fn nothing_comes_behind_the_last_answer() {
    on_each(|service| {
        let mut stream = service.connect();
        let requests = "GET /adder/hold HTTP/1.1\r\nHost: a\r\n\r\n\
                        GET /adder/bye HTTP/1.1\r\nHost: a\r\n\r\n\
                        POST /adder/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(requests.as_bytes()).expect("sent");
        // Until it is there to be released.
        while body(&service.get("/adder/release")) == "released 0" {}
        let all = rest(&mut stream);
        assert!(all.contains("held 0") && all.ends_with("bye"), "{all}");
    });
}

#[test]
fn help_tells_what_there_is() {
    on_each(|service| {
        let index = service.get("/help");
        assert!(
            index.contains("Content-Type: text/x-markdown\r\n"),
            "{index}"
        );
        assert_eq!(
            body(&index),
            "## HELP ##\n> [/adder][adder]\n\n[adder]: help/adder\n"
        );
        struct Echo;
        impl Process for Echo {
            fn initialize(&mut self, cx: &mut Context<Self>) {
                cx.route(
                    "/hello",
                    "Greets.",
                    |_: &mut Self, _: &Request, _: &mut Context<Self>| Response::default(),
                );
            }
        }
        let options = SpawnOptions::new().name("echo");
        service.runtime.spawn_with(options, Echo).expect("spawned");
        // As libprocess itself answers.
        assert_eq!(
            body(&service.get("/help/echo")),
            "## `/echo` ##\n> [/echo/hello][echo/hello]\n\n[echo/hello]: echo/hello\n"
        );
        assert_eq!(
            body(&service.get("/help/echo/hello")),
            "### `/echo/hello` ###\n\nGreets.\n"
        );
        for path in ["/help/nobody", "/help/echo/nothing"] {
            assert_eq!(status(&service.get(path)), 404, "{path}");
        }
    });
}

#[test]
fn bodies_are_packed_and_unpacked() {
    let limits = Limits::new().body_bytes(10_000);
    on_each_with(&limits, |service| {
        let answer = service.ask(
            "GET /adder/large HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, gzip\r\nConnection: close\r\n\r\n",
        );
        assert!(answer.contains("content-encoding: gzip\r\n"), "{answer}");
        assert!(body(&answer).len() < 100_000);
        let refused = service.ask(
            "GET /adder/large HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=0\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(body(&refused).len(), 3_000_000);
        // Two lines are one list.
        let refused = service.ask(
            "GET /adder/large HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=0\r\nAccept-Encoding: *\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(body(&refused).len(), 3_000_000);
        let post = |text: &str| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(text.as_bytes()).expect("packed");
            let packed = packed.finish().expect("packed");
            let mut request = format!(
                "POST /adder/echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                packed.len()
            )
            .into_bytes();
            request.extend(packed);
            service.ask(request)
        };
        let told =
            "POST /adder/echo HTTP/1.1\nconnection: close\ncontent-length: 5\nhost: a\nhello";
        assert_eq!(body(&post("hello")), told);
        assert_eq!(status(&post(&"x".repeat(10_001))), 413);
    });
}

#[test]
fn a_client_that_goes_away_has_its_handlers_told() {
    on_each(|service| {
        let (told, discarded) = std::sync::mpsc::channel();
        let options = SpawnOptions::new().name("patient");
        struct Patient(std::sync::mpsc::Sender<FutureError>);
        impl Process for Patient {
            fn initialize(&mut self, cx: &mut Context<Self>) {
                cx.route(
                    "/",
                    "",
                    |patient: &mut Self, _: &Request, _: &mut Context<Self>| {
                        let (promise, response) = Promise::<Response>::pair();
                        let told = patient.0.clone();
                        let promise = std::sync::Mutex::new(Some(promise));
                        response.on_discard(move || {
                            told.send(FutureError::Discarded).expect("somebody listens");
                            drop(promise.lock().expect("no panic").take());
                        });
                        response
                    },
                );
            }
        }
        service
            .runtime
            .spawn_with(options, Patient(told))
            .expect("spawned");
        let mut stream = service.connect();
        stream
            .write_all(b"GET /patient HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("sent");
        service.get("/adder");
        // A mere end could be of its own half only, and it still listen.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("set");
        drop(stream);
        assert_eq!(discarded.recv_timeout(LONG), Ok(FutureError::Discarded));
    });
}

/// Tells whoever ends it that it was asked, and answers or does not.
struct Last {
    asked: Promise<()>,
    held: Option<Promise<Response>>,
}

/// More than one call to the kernel takes.
const PARTING: usize = 8 << 20;

impl Process for Last {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.route("/quit", "", |last: &mut Self, _: &Request, _| {
            last.asked.set(());
            ok(vec![b'x'; PARTING])
        });
        cx.route("/hold", "", |last: &mut Self, _: &Request, _| {
            last.asked.set(());
            let (promise, response) = Promise::pair();
            last.held = Some(promise);
            response
        });
    }
}

#[test]
fn what_was_answered_goes_out_before_a_runtime_ends() {
    for kind in REACTORS {
        for path in ["/last/quit", "/last/hold"] {
            let builder = Runtime::builder().workers(2).reactor(*kind);
            let runtime = builder.listen(any()).build().expect("a runtime");
            let clock = runtime.clock().clone();
            clock.pause();
            let (asked, is_asked) = Promise::pair();
            let options = SpawnOptions::new().name("last");
            runtime
                .spawn_with(options, Last { asked, held: None })
                .expect("spawned");
            let address = runtime.address().expect("it listens");
            let mut stream = TcpStream::connect(address).expect("connected");
            stream.set_read_timeout(Some(LONG)).expect("an option");
            stream.write_all(request(path).as_bytes()).expect("sent");
            is_asked.get_timeout(LONG).expect("asked");
            // By the clock of that runtime, wherever it is called.
            let stopped = runtime.stop_serving(Duration::from_secs(5));
            if path == "/last/quit" {
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).expect("all of it");
                assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{kind}");
                assert!(answer.len() > PARTING, "{kind}: {} bytes", answer.len());
                drop(stream);
                stopped.get_timeout(LONG).expect("stopped");
            } else {
                clock.advance(Duration::from_secs(4));
                clock.settle().expect("outside of a process, and paused");
                assert!(stopped.is_pending(), "{kind}");
                until(|| {
                    clock.advance(Duration::from_secs(1));
                    !stopped.is_pending()
                });
                ends(&mut stream);
            }
            runtime.shutdown();
        }
        let runtime = Runtime::builder().workers(1).build().expect("a runtime");
        let stopped = runtime.stop_serving(LONG);
        stopped.get_timeout(LONG).expect("it serves nobody");
    }
}
