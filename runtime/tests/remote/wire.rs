//! What goes over the wire, byte by byte, against what a C++ libprocess sent and answered (`recorded`).

use std::io::{Read, Write};
use std::net::TcpListener;

use libprocess::http::{Request, Response, ok};
use libprocess::{Context, MessageEvent, Process, SpawnOptions, Upid};
use serde_json::Value;

use super::common::answers::one;
use super::common::serving::connect;
use super::common::sockets::any;
use super::{Kind, accept, on_each, station, upid};

/// What a libprocess sent for a link, a message without a body, one with a short and one with a long body.
const SENT: &[u8] = include_bytes!("recorded/sent.bin");
const EXCHANGES: &str = include_str!("recorded/exchanges.json");

/// The bytes with another text in the place of one.
fn with(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(from.as_bytes()) {
            out.extend_from_slice(to.as_bytes());
            rest = behind;
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

#[test]
fn what_is_sent_is_what_a_libprocess_sends() {
    on_each(|kind| {
        let listener = TcpListener::bind(any()).expect("a listener");
        let there = listener.local_addr().expect("an address");
        let runtime =
            kind.build(|builder| builder.advertise("127.0.0.1:17002".parse().expect("an address")));
        let client = station(&runtime, "client");
        let to = upid("srv", there);
        client.does(move |cx| {
            cx.link(&to);
            cx.send(&to, "hello", "");
            cx.send(&to, "ping", "abc");
            cx.send(&to, "big", "x".repeat(20_000));
        });
        let mut stream = accept(&listener);
        let expected = with(SENT, "127.0.0.1:17001", &there.to_string());
        let mut sent = vec![0; expected.len()];
        stream.read_exact(&mut sent).expect("all of it");
        assert_eq!(
            String::from_utf8_lossy(&sent),
            String::from_utf8_lossy(&expected)
        );
        // Nothing comes behind it: neither of the link nor of the answers that do not come.
        drop((client, runtime));
        let mut rest = Vec::new();
        // It ends, by a reset perhaps.
        let _ended = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    });
}

/// The process that the recorded requests are for.
struct Echo;

impl Process for Echo {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("ping", |_, event: MessageEvent, cx| {
            cx.send(&event.from, "pong", event.body.clone());
        });
        cx.route("/hello", "", Self::hello);
    }
}

impl Echo {
    fn hello(&mut self, request: &Request, _cx: &mut Context<Self>) -> Response {
        let query = request.uri().query().unwrap_or_default();
        ok(format!(
            "hello {}",
            query.strip_prefix("name=").unwrap_or("nobody")
        ))
    }
}

/// The lines of an answer's head, but for the date, in an order of their own; then the body.
fn comparable(answer: &str) -> (Vec<String>, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<_> = head
        .lines()
        .map(str::to_owned)
        .filter(|line| !line.starts_with("Date: "))
        .collect();
    lines[1..].sort();
    (lines, body.to_owned())
}

#[test]
fn recorded_requests_are_answered_as_a_libprocess_answers_them() {
    let exchanges: Value = serde_json::from_str(EXCHANGES).expect("JSON");
    on_each(|kind| {
        let runtime = kind.runtime();
        let options = SpawnOptions::new().name("echo");
        runtime.spawn_with(options, Echo).expect("a name");
        let address = runtime.address().expect("it listens");
        let mut compared = 0;
        for exchange in exchanges.as_array().expect("a list") {
            let text = |key: &str| exchange[key].as_str().expect("a text");
            let (name, request) = (text("name"), text("request"));
            let recorded = text("response");
            match name {
                // Where it errs; and where it has processes that are its own.
                "bad from" | "head" | "get processes" | "get help echo" | "metrics" | "http10"
                | "pipelined" => continue,
                _ => {}
            }
            let mut stream = connect(address);
            stream.write_all(request.as_bytes()).expect("sent");
            let answer = one(&mut stream);
            assert_eq!(comparable(&answer), comparable(recorded), "{name}");
            assert!(answer.contains("\r\nDate: "), "{name}");
            compared += 1;
        }
        assert_eq!(compared, 7);
    });
}

#[test]
fn answers_to_messages_come_by_a_connection_of_their_own() {
    on_each(|kind: Kind| {
        let runtime = kind.runtime();
        let options = SpawnOptions::new().name("echo");
        runtime.spawn_with(options, Echo).expect("a name");
        let address = runtime.address().expect("it listens");
        let listener = TcpListener::bind(any()).expect("a listener");
        let me = listener.local_addr().expect("an address");
        let mut stream = connect(address);
        let request = format!(
            "POST /echo/ping HTTP/1.1\r\nUser-Agent: libprocess/me@{me}\r\nConnection: Keep-Alive\r\nHost: \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        assert!(one(&mut stream).starts_with("HTTP/1.1 202 Accepted\r\n"));
        let mut back = accept(&listener);
        let expected = format!(
            "POST /me/pong HTTP/1.1\r\nUser-Agent: libprocess/echo@{address}\r\nLibprocess-From: echo@{address}\r\nConnection: Keep-Alive\r\nHost: {me}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        let mut sent = vec![0; expected.len()];
        back.read_exact(&mut sent).expect("all of it");
        assert_eq!(String::from_utf8_lossy(&sent), expected);
    });
}

/// A message in each form that the standard has for it, whole and cut anywhere.
#[test]
fn a_message_is_taken_in_any_form() {
    let from = "me@127.0.0.1:17004";
    let agent = format!("User-Agent: libprocess/{from}\r\n");
    let sender = format!("Libprocess-From: {from}\r\n");
    let chunks = "2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: t\r\n\r\n";
    let mut forms = Vec::new();
    for fields in [
        agent.clone(),
        sender.clone(),
        format!("{agent}{sender}"),
        format!("user-agent: curl/8\r\nLIBPROCESS-FROM:{from}\r\n"),
    ] {
        for (framing, body) in [
            ("Content-Length: 3\r\n", "abc"),
            ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\n", chunks),
        ] {
            forms.push(format!(
                "POST /station/x%20y HTTP/1.1\r\n{fields}Host: a\r\n{framing}\r\n{body}"
            ));
        }
    }
    let kind = super::REACTORS.iter().map(|reactor| Kind {
        reactor: *reactor,
        workers: 1,
        faults: None,
    });
    for kind in kind {
        let runtime = kind.runtime();
        let station = station(&runtime, "station");
        let mut stream = connect(runtime.address().expect("it listens"));
        stream.set_nodelay(true).expect("an option");
        let expected = (
            "x y".to_owned(),
            from.parse().expect("a name"),
            b"abc".to_vec(),
        );
        for form in &forms {
            for cut in [
                0,
                1,
                5,
                20,
                60,
                form.len() - 30,
                form.len() - 9,
                form.len() - 2,
            ] {
                let (one_part, other) = form.as_bytes().split_at(cut);
                stream.write_all(one_part).expect("sent");
                stream.flush().expect("sent");
                stream.write_all(other).expect("sent");
                assert!(one(&mut stream).starts_with("HTTP/1.1 202 "), "{form}");
                assert_eq!(station.message(), expected, "{form}");
            }
        }
        station.has_no_more();
    }
}

#[test]
fn what_is_no_message_is_refused() {
    on_each(|kind| {
        let runtime = kind.runtime();
        let station = station(&runtime, "station");
        let mut stream = connect(runtime.address().expect("it listens"));
        for (path, from, status) in [
            ("/station/ping", "garbage", 400),
            ("/station/ping", "", 400),
            ("/station/ping", "me@127.0.0.1", 400),
            ("/station/ping", "@127.0.0.1:1", 400),
            ("/station/ping", "me\u{e9}@127.0.0.1:x", 400),
            ("/station", "me@127.0.0.1:1", 400),
            ("/", "me@127.0.0.1:1", 400),
            ("/nobody/ping", "me@127.0.0.1:1", 404),
            ("/sta%00tion/ping", "me@127.0.0.1:1", 404),
            ("/station/%ff", "me@127.0.0.1:1", 404),
        ] {
            let request =
                format!("POST {path} HTTP/1.1\r\nLibprocess-From: {from}\r\nHost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("sent");
            let answer = one(&mut stream);
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&expected), "{path} {from}: {answer}");
        }
        // Of no process, and of one without a name.
        let request = "POST /station/x HTTP/1.1\r\nLibprocess-From: @0.0.0.0:0\r\nHost: a\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        assert!(one(&mut stream).starts_with("HTTP/1.1 202 "));
        assert_eq!(station.message().1, Upid::nobody());
        // Another's name beside one's own.
        let request = "POST /station/x HTTP/1.1\r\nUser-Agent: libprocess/a@127.0.0.1:1\r\nLibprocess-From: b@127.0.0.1:1\r\nHost: a\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        assert!(one(&mut stream).starts_with("HTTP/1.1 400 "));
        station.has_no_more();
    });
}

#[test]
fn a_sender_must_be_where_it_says_if_that_is_required() {
    on_each(|kind| {
        let runtime = kind.build(|builder| {
            builder.remote(super::RemoteOptions::new().require_peer_address_ip_match(true))
        });
        let station = station(&runtime, "station");
        let mut stream = connect(runtime.address().expect("it listens"));
        for (from, status) in [
            ("me@127.0.0.1:5", 202),
            ("me@127.0.0.2:5", 400),
            ("me@[::1]:5", 400),
            ("@0.0.0.0:0", 400),
        ] {
            let request =
                format!("POST /station/x HTTP/1.1\r\nLibprocess-From: {from}\r\nHost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("sent");
            let answer = one(&mut stream);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{from}: {answer}"
            );
        }
        station.message();
        station.has_no_more();
    });
}
