//! What RFC 9112, and RFC 9110 where it is about the same, says that a server must do with its answers, section by section. What it must do with requests is a table in the codec.

mod common;

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use common::answers::{head, rest};
use common::serving::{Serving, on_each_reactor};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use libprocess::Future;
use libprocess::http::{Body, Limits, Pipe, Request, Response};

/// Answers as they are asked for by their path: a status, then what the body is.
fn answer(request: &Request) -> Future<Response> {
    let mut parts = request.uri().path().split('/').skip(1);
    let status: StatusCode = parts
        .next()
        .and_then(|status| status.parse().ok())
        .unwrap_or(StatusCode::OK);
    let mut response = Response::new(match parts.next() {
        Some("text") => Body::text("hello"),
        Some("long") => Body::text("hello".repeat(1_000)),
        Some("trailers") => Body::from("hello").with_trailers(trailers()),
        Some("pipe") => {
            let Pipe { writer, reader } = Pipe::new();
            // They may be refused: nobody reads what has no body.
            let _written = writer.try_write("hel");
            let _written = writer.try_write("lo");
            writer.close_with_trailers(trailers());
            Body::stream(reader)
        }
        Some("body") => request.body().clone(),
        _ => Body::empty(),
    });
    *response.status_mut() = status;
    for field in parts {
        let (name, value) = field.split_once('=').expect("a field");
        let name: HeaderName = name.parse().expect("a name");
        let value = HeaderValue::from_str(value).expect("a value");
        response.headers_mut().append(name, value);
    }
    Future::ready(response)
}

/// One that a trailer may be, and some that none may be.
fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", HeaderValue::from_static("7"));
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::HOST,
        header::CONNECTION,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::AUTHORIZATION,
        header::TRAILER,
        header::CONTENT_RANGE,
        header::COOKIE,
    ] {
        trailers.insert(name, HeaderValue::from_static("1"));
    }
    trailers
}

/// An answer, read as strictly as can be.
#[derive(Debug)]
struct Answer {
    status: u16,
    reason: String,
    fields: Vec<(String, String)>,
    body: String,
    trailers: Vec<(String, String)>,
}

impl Answer {
    fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter();
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    fn closes(&self) -> bool {
        self.values("connection") == ["close"]
    }
}

/// The lines of fields, without the end of the last one: sections 2.2, 5.1 and 5.2. No bare CR or LF, no line that goes on, no space before a colon.
fn fields(text: &str) -> Vec<(String, String)> {
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a field");
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(
            !name.is_empty() && name.bytes().all(is_token),
            "{name:?} in {text:?}"
        );
        assert!(value.bytes().all(|byte| byte >= b' '), "{value:?}");
        (name.to_owned(), value.to_owned())
    };
    let lines = text.split("\r\n").filter(|line| !line.is_empty());
    lines.map(field).collect()
}

/// Takes the first answer from what a server sent. Its end is where section 6.3 puts it, whose rules are checked.
fn take(sent: &mut &str, method: &Method, minor: u8) -> Answer {
    let (head, behind) = sent.split_once("\r\n\r\n").expect("a head");
    let (line, lines) = head.split_once("\r\n").expect("fields");
    // Section 4: the version that the server has, a status of three digits, and the space even where no reason follows.
    let line = line.strip_prefix("HTTP/1.1 ").expect("the version");
    let (status, reason) = line.split_once(' ').expect("a space");
    assert_eq!(status.len(), 3, "{line}");
    let mut answer = Answer {
        status: status.parse().expect("a number"),
        reason: reason.to_owned(),
        fields: fields(lines),
        body: String::new(),
        trailers: Vec::new(),
    };
    let bodiless = answer.status < 200 || [204, 304].contains(&answer.status);
    let codings = answer.values("transfer-encoding");
    let lengths = answer.values("content-length");
    // Section 6.1: in chunks once and as the last coding, never in an answer that has no body by its status, nor to HTTP/1.0.
    assert!(codings.is_empty() || codings == ["chunked"], "{answer:?}");
    assert!(
        codings.is_empty() || (minor == 1 && !bodiless),
        "{answer:?}"
    );
    // Section 6.2: no length beside it, nor more than one. RFC 9110, section 8.6: nor with 1xx and 204.
    assert!(lengths.len() + codings.len() <= 1, "{answer:?}");
    assert!(
        answer.status >= 200 && answer.status != 204 || lengths.is_empty(),
        "{answer:?}"
    );
    // RFC 9110, section 6.6.1: the origin has a clock.
    assert!(answer.status < 200 || answer.values("date").len() == 1);
    let (is_chunked, length) = (!codings.is_empty(), lengths.first().copied());
    let length = length.map(|length| length.parse::<usize>().expect("a length"));
    *sent = behind;
    if bodiless || method == Method::HEAD {
        return answer;
    }
    if is_chunked {
        loop {
            let (size, behind) = sent.split_once("\r\n").expect("a size");
            let size = usize::from_str_radix(size, 16).expect("in hexadecimal, without extensions");
            *sent = behind;
            if size == 0 {
                break;
            }
            let (chunk, behind) = sent.split_at(size);
            answer.body += chunk;
            *sent = behind.strip_prefix("\r\n").expect("the end of a chunk");
        }
        let (lines, behind) = match sent.strip_prefix("\r\n") {
            Some(behind) => ("", behind),
            None => sent
                .split_once("\r\n\r\n")
                .expect("the end of the trailers"),
        };
        answer.trailers = fields(lines);
        *sent = behind;
    } else if let Some(length) = length {
        let (body, behind) = sent.split_at(length);
        answer.body = body.to_owned();
        *sent = behind;
    } else {
        // Section 6.3: then it ends with the connection, and section 9.6: which is said.
        assert!(answer.closes(), "{answer:?}");
        answer.body = std::mem::take(sent).to_owned();
    }
    answer
}

/// The only answer that was sent.
fn only(sent: &str, method: &Method, minor: u8) -> Answer {
    let mut behind = sent;
    let answer = take(&mut behind, method, minor);
    assert_eq!(behind, "", "more than an answer: {sent:?}");
    answer
}

/// Sends all that, says that nothing follows, and gives what comes back until the server closes.
fn send(serving: &Serving, text: &str) -> String {
    let mut stream = serving.connect();
    stream.write_all(text.as_bytes()).expect("sent");
    stream.shutdown(Shutdown::Write).expect("shut down");
    rest(&mut stream)
}

/// Asks for that path over a connection of its own, which nothing follows.
fn ask(serving: &Serving, method: &Method, path: &str, minor: u8) -> Answer {
    let sent = send(
        serving,
        &format!("{method} {path} HTTP/1.{minor}\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
    );
    only(&sent, method, minor)
}

fn on_each(test: impl Fn(&Serving)) {
    on_each_reactor(|place| test(&place.serve(Limits::new().body_bytes(1_000), answer)));
}

/// 2.2, 4, 5.1, 5.2, 6.1, 6.2 and 6.3: each kind of body with each kind of status, to each version, is one answer that can be read in one way only.
#[test]
fn sections_4_to_6_whatever_a_handler_says_is_one_answer() {
    on_each(|serving| {
        let methods = [Method::GET, Method::HEAD, Method::POST];
        for (method, minor) in methods.iter().flat_map(|method| [(method, 0), (method, 1)]) {
            for status in [200, 201, 204, 205, 206, 299, 304, 404, 500, 599] {
                for kind in ["none", "text", "trailers", "pipe"] {
                    let path = format!("/{status}/{kind}");
                    let answer = ask(serving, method, &path, minor);
                    assert_eq!(answer.status, status, "{path}");
                    // RFC 9110, section 15.3.6: 205 has no content either.
                    let bodiless = method == Method::HEAD || [204, 205, 304].contains(&status);
                    let expected = if bodiless || kind == "none" {
                        ""
                    } else {
                        "hello"
                    };
                    assert_eq!(answer.body, expected, "{method} {path} 1.{minor}");
                }
            }
        }
    });
}

/// 4: a client ignores the reason, but the space in front of it is there, also of a status that nobody knows.
#[test]
fn section_4_status_line() {
    on_each(|serving| {
        let reason = |path| ask(serving, &Method::GET, path, 1).reason;
        assert_eq!(reason("/404/none"), "Not Found");
        assert_eq!(reason("/299/none"), "");
        assert_eq!(reason("/599/none"), "");
    });
}

/// 6.1 and 6.2: what frames a message is the server's, whatever the handler wrote there; 6.3: and so the next answer begins where this one ends.
#[test]
fn section_6_a_handler_cannot_break_the_framing() {
    on_each(|serving| {
        for kind in ["none", "text", "trailers", "pipe"] {
            for field in [
                "transfer-encoding=chunked",
                "transfer-encoding=gzip",
                "transfer-encoding=identity",
                "connection=te",
                "keep-alive=timeout=5",
            ] {
                let path = format!("/200/{kind}/{field}");
                let answer = ask(serving, &Method::GET, &path, 1);
                assert_eq!(answer.status, 200, "{path}");
                // RFC 9110, section 7.6.1.
                assert!(!answer.has("connection"), "{path}");
                assert!(!answer.has("keep-alive"), "{path}");
            }
        }
        // A length that is not that of the bytes.
        for length in ["3", "9", "-1", "five"] {
            let path = format!("/200/text/content-length={length}/transfer-encoding=chunked");
            let answer = ask(serving, &Method::GET, &path, 1);
            assert_eq!(answer.values("content-length"), ["5"]);
        }
        // Of what a handler gives no body for, HEAD is told a length only if it is one.
        for (length, expected) in [("7", "7"), ("-1", "0"), ("five", "0")] {
            let path = format!("/200/none/content-length={length}");
            let answer = ask(serving, &Method::HEAD, &path, 1);
            assert_eq!(answer.values("content-length"), [expected]);
        }
        // A stream is as long as was promised, or the connection ends before: no byte is taken for the next answer.
        let request = "GET /200/pipe/content-length=3 HTTP/1.1\r\nHost: a\r\n\r\n";
        let sent = send(serving, &request.repeat(2));
        let (head, behind) = sent.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("\r\nContent-Length: 3"), "{head}");
        assert!("hel".starts_with(behind), "{behind}");
    });
}

/// RFC 9110, section 9.3.2 and 8.6: to HEAD the length is that of the answer to GET.
#[test]
fn section_6_2_the_length_for_head_is_that_for_get() {
    on_each(|serving| {
        for (path, expected) in [
            ("/200/none", "0"),
            ("/200/text", "5"),
            ("/404/text", "5"),
            ("/205/text", "0"),
            ("/205/pipe", "0"),
        ] {
            let length = |method| {
                let answer = ask(serving, method, path, 1);
                answer.values("content-length").join(",")
            };
            assert_eq!(length(&Method::GET), expected, "{path}");
            assert_eq!(length(&Method::HEAD), expected, "{path}");
        }
        for path in ["/200/pipe", "/200/trailers"] {
            for method in [Method::GET, Method::HEAD] {
                let answer = ask(serving, &method, path, 1);
                assert_eq!(answer.values("transfer-encoding"), ["chunked"]);
            }
        }
    });
}

/// RFC 9110, sections 8.4 and 15.3: what has no content is not said to be packed.
#[test]
fn section_6_3_nothing_is_not_packed() {
    on_each(|serving| {
        let asked = |path: &str, accepted: &str| {
            let sent = send(
                serving,
                &format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n{accepted}\r\n"),
            );
            let answer = only(&sent, &Method::HEAD, 1);
            (answer.has("content-encoding"), answer.has("vary"))
        };
        let gzip = "Accept-Encoding: gzip\r\n";
        assert_eq!(asked("/200/long", gzip), (true, true));
        for path in ["/200/none", "/204/long", "/205/long", "/206/long"] {
            assert_eq!(asked(path, gzip), (false, false), "{path}");
        }
        // It says what the packed one says (RFC 9110, section 15.4.5), to whom that would have been sent.
        for path in ["/304/none", "/304/long"] {
            assert_eq!(asked(path, gzip), (false, true), "{path}");
            assert_eq!(asked(path, ""), (false, false), "{path}");
        }
    });
}

/// 7.1 and 7.1.2: chunks with trailers, but for those that RFC 9110, section 6.5.1, does not let be trailers; to HTTP/1.0 neither.
#[test]
fn section_7_1_chunks_and_trailers() {
    on_each(|serving| {
        for path in ["/200/pipe", "/200/trailers"] {
            let answer = ask(serving, &Method::GET, path, 1);
            let expected = ("sum".to_owned(), "7".to_owned());
            assert_eq!(answer.trailers, [expected], "{path}");
            let answer = ask(serving, &Method::GET, path, 0);
            assert!(!answer.has("transfer-encoding") && answer.trailers.is_empty());
        }
    });
}

/// 9.3.2: answers come in the order of the requests, each as its request wants it.
#[test]
fn section_9_3_2_pipelining() {
    on_each(|serving| {
        let requests = [
            (Method::GET, "/200/pipe"),
            (Method::HEAD, "/200/text"),
            (Method::GET, "/204/pipe"),
            (Method::GET, "/304/text"),
            (Method::HEAD, "/200/pipe"),
            (Method::GET, "/205/text"),
            (Method::GET, "/200/trailers"),
            (Method::GET, "/404/none"),
        ];
        let text: String = requests
            .iter()
            .map(|(method, path)| format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .collect();
        let sent = send(serving, &text);
        let mut behind = sent.as_str();
        for (method, path) in &requests {
            let answer = take(&mut behind, method, 1);
            assert!(path.starts_with(&format!("/{}", answer.status)), "{path}");
        }
        assert_eq!(behind, "");
    });
}

/// 9.3: who does not want a connection to stay says so; 9.6: who said `close`, or was told it, ends the connection behind that answer, and does nothing of what follows.
#[test]
fn sections_9_3_and_9_6_persistence_and_tear_down() {
    on_each(|serving| {
        let next = "GET /200/text HTTP/1.1\r\nHost: a\r\n\r\n";
        for (first, minor) in [
            (
                "GET /200/text HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                1,
            ),
            (
                "GET /200/text HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
                1,
            ),
            (
                "GET /200/text/connection=close HTTP/1.1\r\nHost: a\r\n\r\n",
                1,
            ),
            (
                "GET /200/pipe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                1,
            ),
            ("GET /200/text HTTP/1.0\r\n\r\n", 0),
            (
                "GET /200/pipe HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                0,
            ),
            ("GET /204/none HTTP/1.0\r\n\r\n", 0),
            // What is refused may have had a body that was not read.
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
                1,
            ),
            ("PUT / HTTP/1.1\r\n\r\n", 1),
        ] {
            let mut stream = serving.connect();
            stream.write_all(first.as_bytes()).expect("sent");
            stream.write_all(next.as_bytes()).expect("sent");
            // The client does not close: the server does.
            let sent = rest(&mut stream);
            let mut behind = sent.as_str();
            let answer = take(&mut behind, &Method::GET, minor);
            assert!(answer.closes(), "{first}");
            assert_eq!(behind, "", "{first}");
        }
        // HTTP/1.0 stays where it asks to, and an end can be told.
        let kept = "GET /200/text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let sent = send(serving, &format!("{kept}{kept}"));
        let mut behind = sent.as_str();
        for _ in 0..2 {
            let answer = take(&mut behind, &Method::GET, 0);
            assert_eq!(answer.values("connection"), ["keep-alive"]);
        }
        assert_eq!(behind, "");
    });
}

/// 9.3: the whole of a request is read, also of one that is not wanted, or the connection is closed behind the answer: what is left is no request.
#[test]
fn section_9_3_a_body_is_no_request() {
    on_each(|serving| {
        let smuggled = "GET /404/none HTTP/1.1\r\nHost: a\r\n\r\n";
        for framing in [
            format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len()),
            format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
                smuggled.len()
            ),
        ] {
            for method in [Method::GET, Method::HEAD, Method::DELETE, Method::POST] {
                let sent = send(
                    serving,
                    &format!("{method} /200/text HTTP/1.1\r\nHost: a\r\n{framing}"),
                );
                let mut behind = sent.as_str();
                assert_eq!(take(&mut behind, &method, 1).status, 200);
                assert_eq!(behind, "", "{method} {framing}");
            }
        }
    });
}

/// RFC 9110, section 10.1.1: who expects 100 is told it before the answer; not HTTP/1.0, and not who is refused.
#[test]
fn rfc_9110_section_10_1_1_expect() {
    on_each(|serving| {
        let expecting = |minor: u8, length: usize, connection: &str| {
            format!(
                "PUT /200/body HTTP/1.{minor}\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n{connection}\r\n"
            )
        };
        let mut stream: TcpStream = serving.connect();
        stream
            .write_all(expecting(1, 5, "Connection: close\r\n").as_bytes())
            .expect("sent");
        assert_eq!(head(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").expect("sent");
        let sent = rest(&mut stream);
        assert_eq!(only(&sent, &Method::PUT, 1).body, "hello");

        let sent = send(serving, &format!("{}hello", expecting(0, 5, "")));
        let answer = only(&sent, &Method::PUT, 0);
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));

        let sent = send(serving, &expecting(1, 1_001, ""));
        assert_eq!(only(&sent, &Method::PUT, 1).status, 413);
        // Nothing follows: nobody waits for a go-ahead.
        let sent = send(serving, &expecting(1, 0, ""));
        let answer = only(&sent, &Method::PUT, 1);
        assert_eq!(answer.status, 200, "{answer:?}");
    });
}

/// RFC 9110, sections 7.8 and 15.2: no protocol is switched to, so no 101 comes, and a handler's interim answer is no answer.
#[test]
fn rfc_9110_section_15_2_interim_answers() {
    on_each(|serving| {
        let sent = send(
            serving,
            "GET /200/text HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        let answer = only(&sent, &Method::GET, 1);
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
        for path in ["/100/none", "/101/none", "/103/text", "/199/pipe"] {
            assert_eq!(ask(serving, &Method::GET, path, 1).status, 500, "{path}");
        }
    });
}

/// RFC 9110, sections 7.8 and 15.5.22: a handler that asks for another protocol names it, and that it is for this connection.
#[test]
fn rfc_9110_section_7_8_upgrade() {
    on_each(|serving| {
        let path = "/426/text/upgrade=HTTP,2.0";
        let said = |path: &str, minor| {
            let answer = ask(serving, &Method::GET, path, minor);
            assert_eq!((answer.status, answer.has("upgrade")), (426, true));
            answer.values("connection").join(";")
        };
        assert_eq!(said(path, 1), "upgrade");
        assert_eq!(
            said(&format!("{path}/connection=close"), 1),
            "close, upgrade"
        );
        assert_eq!(said(path, 0), "close, upgrade");
    });
}

/// RFC 9110, section 6.6.1: a date that the handler gave stands, and is not sent twice.
#[test]
fn rfc_9110_section_6_6_1_date() {
    on_each(|serving| {
        let path = "/200/text/date=Thu,01-Jan-1970";
        let answer = ask(serving, &Method::GET, path, 1);
        assert_eq!(answer.values("date"), ["Thu,01-Jan-1970"]);
    });
}
