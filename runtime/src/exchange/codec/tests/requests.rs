//! Requests as bytes, which the decoder takes for the same: what RFC 9112 and 9110 say that a client must send.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Method, Request, Uri};
use bytes::Bytes;

use crate::exchange::codec::Chunks;
use crate::exchange::codec::framed::Framed;
use crate::exchange::random::{ROUNDS, Random};
use crate::exchange::{Body, Limits, Pipe, RequestDecoder, encode_request};

/// The first line says method and target, the others fields.
fn request(text: &str, body: impl Into<Body>) -> Request<Body> {
    let mut lines = text.split('\n');
    let (method, target) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .expect("a line");
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a field");
        request = request.header(name, value);
    }
    request.body(body.into()).expect("legal")
}

fn encode(request: &Request<Body>, closes: bool) -> (String, Framed) {
    let mut out = Vec::new();
    let framed = encode_request(&mut out, request, "h:1", closes);
    let bytes = [&out[..], &framed.body, &framed.end].concat();
    (String::from_utf8(bytes).expect("text"), framed)
}

fn check(table: &[(&str, &str, &str)]) {
    for (text, body, expected) in table {
        let request = request(text, Bytes::copy_from_slice(body.as_bytes()));
        let (bytes, framed) = encode(&request, false);
        let expected = expected.replace('\n', "\r\n");
        assert_eq!(bytes, expected, "{text}");
        assert!(framed.stream.is_none());
        let mut decoder = RequestDecoder::new(Arc::new(Limits::new()));
        decoder.feed(bytes.into());
        let decoded = decoder.next(|_| false).expect("legal").expect("whole");
        assert_eq!(decoded.request.method(), request.method());
        assert_eq!(decoded.about.keeps_alive, !framed.closes, "{text}");
        assert!(decoder.is_between());
    }
}

/// RFC 9112, section 3.2.1: path and query, and if there is no path, `/`. 3.2.4: the asterisk of OPTIONS. RFC 9110, sections 4.2.4 and 7.1: neither the name nor the fragment.
#[test]
fn the_target_is_path_and_query() {
    check(&[
        (
            "GET /a/b?c=d?e",
            "",
            "GET /a/b?c=d?e HTTP/1.1\nHost: h:1\n\n",
        ),
        (
            "GET http://b:80/c?d",
            "",
            "GET /c?d HTTP/1.1\nHost: b:80\n\n",
        ),
        ("GET https://b", "", "GET / HTTP/1.1\nHost: b\n\n"),
        ("GET http://b?c", "", "GET /?c HTTP/1.1\nHost: b\n\n"),
        ("GET http://b/#c", "", "GET / HTTP/1.1\nHost: b\n\n"),
        ("GET /?", "", "GET /? HTTP/1.1\nHost: h:1\n\n"),
        (
            "GET http://name:word@b:80/c",
            "",
            "GET /c HTTP/1.1\nHost: b:80\n\n",
        ),
        (
            "GET http://[::1]:80/",
            "",
            "GET / HTTP/1.1\nHost: [::1]:80\n\n",
        ),
        ("OPTIONS *", "", "OPTIONS * HTTP/1.1\nHost: h:1\n\n"),
        ("OPTIONS /", "", "OPTIONS / HTTP/1.1\nHost: h:1\n\n"),
        ("GET *", "", "GET /* HTTP/1.1\nHost: h:1\n\n"),
        // What a target must not have is escaped; what is escaped stays.
        (
            "GET /{\"%22é\"}?{%}",
            "",
            "GET /%7B%22%22%C3%A9%22%7D?{%25} HTTP/1.1\nHost: h:1\n\n",
        ),
    ]);
}

/// RFC 9112, section 3.2, and RFC 9110, section 7.2: always, and once, in front.
#[test]
fn there_is_one_host() {
    check(&[
        ("GET /\nb: c", "", "GET / HTTP/1.1\nHost: h:1\nb: c\n\n"),
        (
            "GET http://d/\nb: c\nhost: e",
            "",
            "GET / HTTP/1.1\nHost: e\nb: c\n\n",
        ),
        ("GET /\nhost: e\nhost: f", "", "GET / HTTP/1.1\nHost: e\n\n"),
    ]);
    // Where there is no authority it is empty.
    let mut out = Vec::new();
    encode_request(&mut out, &request("GET /", ""), "", false);
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: \r\n\r\n");
}

/// RFC 9110, section 8.6: a length with content, and without where content is what the method is about; RFC 9112, section 6.2: never beside Transfer-Encoding. Whoever set either is not heard.
#[test]
fn a_body_is_framed_once() {
    check(&[
        ("GET /", "", "GET / HTTP/1.1\nHost: h:1\n\n"),
        ("HEAD /", "", "HEAD / HTTP/1.1\nHost: h:1\n\n"),
        ("DELETE /", "", "DELETE / HTTP/1.1\nHost: h:1\n\n"),
        ("OPTIONS /", "", "OPTIONS / HTTP/1.1\nHost: h:1\n\n"),
        (
            "POST /",
            "",
            "POST / HTTP/1.1\nHost: h:1\nContent-Length: 0\n\n",
        ),
        (
            "PUT /",
            "",
            "PUT / HTTP/1.1\nHost: h:1\nContent-Length: 0\n\n",
        ),
        (
            "PATCH /",
            "",
            "PATCH / HTTP/1.1\nHost: h:1\nContent-Length: 0\n\n",
        ),
        (
            "POST /",
            "b",
            "POST / HTTP/1.1\nHost: h:1\nContent-Length: 1\n\nb",
        ),
        (
            "GET /",
            "b",
            "GET / HTTP/1.1\nHost: h:1\nContent-Length: 1\n\nb",
        ),
        (
            "GET /\ncontent-length: 5",
            "",
            "GET / HTTP/1.1\nHost: h:1\n\n",
        ),
        (
            "POST /\ncontent-length: 5",
            "b",
            "POST / HTTP/1.1\nHost: h:1\nContent-Length: 1\n\nb",
        ),
        (
            "POST /\ntransfer-encoding: gzip",
            "b",
            "POST / HTTP/1.1\nHost: h:1\nContent-Length: 1\n\nb",
        ),
        // RFC 9110, section 9.3.8: a client must not send content with it.
        (
            "TRACE /\ncontent-length: 1",
            "b",
            "TRACE / HTTP/1.1\nHost: h:1\n\n",
        ),
        // RFC 9110, section 10.1.1: nor wait to be told to send none.
        (
            "POST /\nexpect: 100-continue",
            "b",
            "POST / HTTP/1.1\nHost: h:1\nexpect: 100-continue\nContent-Length: 1\n\nb",
        ),
        (
            "POST /\nexpect: 100-continue",
            "",
            "POST / HTTP/1.1\nHost: h:1\nContent-Length: 0\n\n",
        ),
    ]);
}

/// RFC 9110, section 7.6.1, 7.8 and 10.1.4: what is of the connection is said by whoever keeps it.
#[test]
fn the_connection_is_this_sides() {
    check(&[
        (
            "GET /\nconnection: keep-alive",
            "",
            "GET / HTTP/1.1\nHost: h:1\n\n",
        ),
        (
            "GET /\nconnection: b, Close",
            "",
            "GET / HTTP/1.1\nHost: h:1\nConnection: close\n\n",
        ),
        (
            "GET /\nte: trailers",
            "",
            "GET / HTTP/1.1\nHost: h:1\nte: trailers\nConnection: TE\n\n",
        ),
        (
            "GET /\nconnection: upgrade\nupgrade: b",
            "",
            "GET / HTTP/1.1\nHost: h:1\n\n",
        ),
    ]);
    let (bytes, framed) = encode(&request("GET /\nte: trailers", ""), true);
    assert!(framed.closes);
    assert_eq!(
        bytes,
        "GET / HTTP/1.1\r\nHost: h:1\r\nte: trailers\r\nConnection: close, TE\r\n\r\n"
    );
}

#[test]
fn the_type_of_a_body_is_said() {
    let json = || Body::of_type("application/json", "{}");
    let (bytes, _) = encode(&request("POST /", json()), false);
    let typed = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    assert!(bytes.ends_with(typed), "{bytes}");
    let (bytes, _) = encode(&request("POST /\ncontent-type: b", json()), false);
    assert!(bytes.contains("content-type: b\r\n") && !bytes.contains("json"));
}

#[test]
fn a_large_body_is_not_copied() {
    for (length, is_copied) in [(4_095, true), (4_096, false)] {
        let body = Bytes::from(vec![b'b'; length]);
        let mut out = Vec::new();
        let request = request("POST /", body.clone());
        let framed = encode_request(&mut out, &request, "h", false);
        assert_eq!(framed.body.is_empty(), is_copied);
        assert_eq!(out.ends_with(b"b"), is_copied);
        assert!(is_copied || framed.body.as_ptr() == body.as_ptr());
    }
}

/// RFC 9112, section 7.1.2: in one chunk, and what frames is no trailer.
#[test]
fn trailers_go_out_behind_a_chunk() {
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", HeaderValue::from_static("7"));
    trailers.insert("content-length", HeaderValue::from_static("7"));
    for (body, chunk) in [("hello", "5\r\nhello\r\n"), ("", "")] {
        let body = Body::from(body).with_trailers(trailers.clone());
        let (bytes, _) = encode(&request("PUT /\ncontent-length: 5", body), false);
        let expected = format!(
            "PUT / HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\nsum: 7\r\n\r\n"
        );
        assert_eq!(bytes, expected);
    }
}

#[test]
fn a_streamed_body_goes_out_behind() {
    for (fields, stream, framing) in [
        ("", Chunks::Chunked, "Transfer-Encoding: chunked"),
        (
            "\ntransfer-encoding: gzip",
            Chunks::Chunked,
            "Transfer-Encoding: chunked",
        ),
        (
            "\ncontent-length: 5",
            Chunks::Length(5),
            "Content-Length: 5",
        ),
        (
            "\ncontent-length: x",
            Chunks::Chunked,
            "Transfer-Encoding: chunked",
        ),
    ] {
        let Pipe { writer, reader } = Pipe::new();
        let request = request(&format!("PUT /{fields}"), Body::stream(reader));
        let (bytes, framed) = encode(&request, false);
        assert_eq!(framed.stream, Some(stream));
        assert_eq!(
            bytes,
            format!("PUT / HTTP/1.1\r\nHost: h:1\r\n{framing}\r\n\r\n")
        );
        drop(writer);
    }
}

/// Whatever a request is made of, the server's half reads the same out of it.
#[test]
fn what_is_encoded_is_decoded_to_the_same() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let text = random
            .text(20)
            .replace(['\r', '\n', '\0', ' ', '#', '\x7f'], "");
        let Ok(uri) = format!("/{text}").parse::<Uri>() else {
            continue;
        };
        let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
        let method = methods[random.below(4)].clone();
        let value = HeaderValue::from_bytes(&random.bytes(10));
        let longest = [10, 10_000][random.below(2)];
        let body = random.bytes(longest);
        let mut request = Request::new(Body::from(body));
        (*request.method_mut(), *request.uri_mut()) = (method, uri);
        if let Ok(value) = value {
            request.headers_mut().insert("b", value);
        }
        let mut out = Vec::new();
        let framed = encode_request(&mut out, &request, "h", false);
        let bytes = [&out[..], &framed.body, &framed.end].concat();
        let mut decoder = RequestDecoder::new(Arc::new(Limits::new()));
        decoder.feed(bytes.into());
        let decoded = decoder.next(|_| false).expect("legal").expect("whole");
        let decoded = decoded.request.into_inner();
        assert_eq!(decoded.method(), request.method());
        let trimmed = |request: &Request<Body>| {
            let value = request.headers().get("b")?.as_bytes();
            Some(value.trim_ascii().to_vec())
        };
        assert_eq!(trimmed(&decoded), trimmed(&request));
        assert_eq!(decoded.body().bytes(), request.body().bytes());
        let unescaped = |uri: &Uri| {
            let text = uri.path_and_query().map(|both| both.as_str().to_owned());
            percent_encoding::percent_decode_str(&text.unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(unescaped(decoded.uri()), unescaped(request.uri()));
    }
}
