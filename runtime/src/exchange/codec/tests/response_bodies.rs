//! Bodies of responses: packed, longer than is taken, and handed on as there is room.

use std::io::Write;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::responses::{GET, HEAD, decode, decode_cut};
use crate::exchange::{Asked, Limits, PipeReader, ResponseDecoder};

const STREAM: Asked = Asked {
    streams: true,
    ..GET
};

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

fn message(head: &str, body: &[u8]) -> Vec<u8> {
    let head = head.replace("LENGTH", &body.len().to_string());
    [head.as_bytes(), b"\r\n\r\n", body].concat()
}

#[test]
fn a_packed_body_is_unpacked() {
    let limits = Limits::new().body_bytes(100);
    let hello = packed("hello");
    for (head, body, expected) in [
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: gzip\r\nContent-Length: LENGTH",
            &hello[..],
            "200 content-length=5 \"hello\"",
        ),
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: X-GZIP\r\nB: c",
            &hello,
            "200 b=c \"hello\" closes",
        ),
        // There is nothing to unpack.
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: gzip",
            b"",
            "200 content-encoding=gzip closes",
        ),
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: gzip\r\nContent-Length: 0",
            b"",
            "200 content-encoding=gzip content-length=0",
        ),
        // Other codings are for whoever asked for them, and so is a part of what is packed.
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: br\r\nContent-Length: 1",
            b"b",
            "200 content-encoding=br content-length=1 \"b\"",
        ),
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: gzip\r\nContent-Encoding: br\r\nContent-Length: 1",
            b"b",
            "200 content-encoding=gzip content-encoding=br content-length=1 \"b\"",
        ),
        (
            "HTTP/1.1 206 A\r\nContent-Encoding: gzip\r\nContent-Length: 1",
            b"b",
            "206 content-encoding=gzip content-length=1 \"b\"",
        ),
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: gzip\r\nContent-Length: 5",
            b"hello",
            "refused: the body is said to be gzip, and is not",
        ),
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: gzip",
            &hello[..hello.len() / 2],
            "refused: the body is said to be gzip, and is not",
        ),
        (
            "HTTP/1.1 200 A\r\nContent-Encoding: gzip\r\nContent-Length: LENGTH",
            &packed(&"b".repeat(101)),
            "refused: the body is larger than is taken, once it is unpacked",
        ),
    ] {
        let bytes = message(head, body);
        let seen = decode_cut(&limits, GET, &bytes, true);
        assert_eq!(seen, expected, "{head}");
    }
    // Whoever reads it as it comes is given it as it comes.
    let bytes = message(
        "HTTP/1.1 200 A\r\nContent-Encoding: gzip\r\nContent-Length: LENGTH",
        &hello,
    );
    let (seen, _) = decode(&limits, STREAM, [&bytes[..]], false);
    assert!(seen.starts_with("200 content-encoding=gzip content-length="));
}

#[test]
fn limits_hold() {
    let limits = Limits::new().body_bytes(10).head_bytes(100).fields(3);
    let fields = "the header fields are more than are taken";
    let body = "the body is larger than is taken";
    let a = |count| "a".repeat(count);
    for (bytes, expected) in [
        (
            format!("HTTP/1.1 204 A\r\nB: {}\r\n\r\n", a(77)),
            format!("204 b={}", a(77)),
        ),
        (
            format!("HTTP/1.1 204 A\r\nB: {}\r\n\r\n", a(78)),
            format!("refused: {fields}"),
        ),
        (
            format!("HTTP/1.1 204 A\r\nB: {}", a(100)),
            format!("refused: {fields}"),
        ),
        (
            format!("HTTP/1.1 204 {}\r\n\r\n", a(100)),
            format!("refused: {fields}"),
        ),
        (
            "HTTP/1.1 204 A\r\nB: c\r\nB: c\r\nB: c\r\nB: c\r\n\r\n".to_owned(),
            format!("refused: {fields}"),
        ),
        (
            "HTTP/1.1 200 A\r\nContent-Length: 11\r\n\r\n".to_owned(),
            format!("refused: {body}"),
        ),
        (
            "HTTP/1.1 200 A\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n".to_owned(),
            format!("refused: {body}"),
        ),
        (
            format!(
                "HTTP/1.1 200 A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nb: {}",
                a(100)
            ),
            "refused: the trailers are more than are taken".to_owned(),
        ),
        (
            format!("HTTP/1.1 200 A\r\n\r\n{}", a(11)),
            format!("refused: {body}"),
        ),
        (
            format!("HTTP/1.1 200 A\r\n\r\n{}", a(10)),
            format!("200 \"{}\" closes", a(10)),
        ),
    ] {
        assert_eq!(
            decode_cut(&limits, GET, bytes.as_bytes(), true),
            expected,
            "{bytes:?}"
        );
    }
    // What is read as it comes may be as long as it likes.
    for bytes in [
        format!("HTTP/1.1 200 A\r\nContent-Length: 100\r\n\r\n{}", a(100)),
        format!("HTTP/1.1 200 A\r\n\r\n{}", a(100)),
    ] {
        let seen = decode_cut(&limits, STREAM, bytes.as_bytes(), true);
        assert!(seen.contains(&a(100)), "{seen}");
    }
    // And what has no body may be said to have any.
    let bytes = b"HTTP/1.1 200 A\r\nContent-Length: 11\r\n\r\n";
    assert_eq!(
        decode_cut(&limits, HEAD, bytes, false),
        "200 content-length=11"
    );
}

#[test]
fn interim_responses_are_counted() {
    let interim = "HTTP/1.1 102 A\r\n\r\n";
    let some = format!("{}HTTP/1.1 204 A\r\n\r\n", interim.repeat(32));
    // For each response anew.
    let bytes = some.repeat(2);
    let limits = Limits::new();
    assert_eq!(
        decode(&limits, GET, [bytes.as_bytes()], false).0,
        "204, 204"
    );
    assert_eq!(
        decode(&limits, GET, bytes.as_bytes().chunks(1), false).0,
        "204, 204"
    );
    let more = format!("{interim}{some}");
    for seen in [
        decode(&limits, GET, [more.as_bytes()], false).0,
        decode(&limits, GET, more.as_bytes().chunks(1), false).0,
    ] {
        assert_eq!(seen, "refused: there are too many interim responses");
    }
}

/// Byte by byte it takes as long for each, however long the head is.
#[test]
fn a_head_that_comes_byte_by_byte_is_searched_once() {
    let limits = Limits::new().head_bytes(4 << 20);
    let bytes = format!("HTTP/1.1 204 A\r\nB: {}\r\n\r\n", "c".repeat(1 << 20));
    let begun = std::time::Instant::now();
    let (seen, _) = decode(&limits, GET, bytes.as_bytes().chunks(1), false);
    assert!(seen.starts_with("204 b=ccc"));
    // Else it were hours.
    assert!(begun.elapsed().as_secs() < 60);
}

fn begin(head: &str) -> (ResponseDecoder, PipeReader) {
    let mut decoder = ResponseDecoder::new(Arc::new(Limits::new()));
    decoder.feed(Bytes::copy_from_slice(head.as_bytes()));
    let decoded = decoder.next(STREAM).expect("legal").expect("a head");
    let reader = decoded.response.body().reader().expect("a stream").clone();
    assert!(decoder.is_streaming());
    (decoder, reader)
}

#[test]
fn a_body_waits_for_room() {
    let (mut decoder, reader) = begin("HTTP/1.1 200 A\r\n\r\n");
    let piece = Bytes::from(vec![b'b'; 100_000]);
    decoder.feed(piece.clone());
    assert_eq!(decoder.stream(), Ok(false));
    assert_eq!(decoder.poll_room(Waker::noop()), Poll::Pending);
    // What comes then stays, also when nothing comes behind it.
    decoder.feed(piece.clone());
    assert_eq!(decoder.stream(), Ok(false));
    assert_eq!(decoder.rest().len(), 100_000);
    assert!(decoder.end(None).expect("not cut").is_none());
    assert!(decoder.is_streaming());
    assert_eq!(reader.read().get().expect("a piece"), piece);
    assert_eq!(decoder.poll_room(Waker::noop()), Poll::Ready(()));
    assert_eq!(
        decoder.stream(),
        Ok(false),
        "there is no room to see the end"
    );
    assert_eq!(reader.read().get().expect("a piece"), piece);
    assert_eq!(decoder.stream(), Ok(true));
    assert_eq!(reader.read().get().expect("the end"), "");
    assert!(decoder.is_between());
}

#[test]
fn a_body_that_is_cut_is_broken_off() {
    for head in [
        "HTTP/1.1 200 A\r\nContent-Length: 2\r\n\r\nb",
        "HTTP/1.1 200 A\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n",
    ] {
        let (mut decoder, reader) = begin(head);
        assert_eq!(decoder.stream(), Ok(false));
        let refusal = decoder.end(None).expect_err("cut");
        assert_eq!(reader.read().get().expect("what came"), "b");
        let failure = reader.read().get().expect_err("cut").to_string();
        assert!(failure.contains(refusal.reason), "{failure}");
    }
    let (mut decoder, reader) = begin("HTTP/1.1 200 A\r\nContent-Length: 2\r\n\r\n");
    decoder.break_off("the server is too slow");
    let failure = reader.read().get().expect_err("broken off").to_string();
    assert!(failure.contains("the server is too slow"), "{failure}");
}

#[test]
fn a_body_that_nobody_reads_is_read_over_up_to_a_bound() {
    let (mut decoder, reader) = begin("HTTP/1.1 200 A\r\nContent-Length: 100000\r\n\r\n");
    drop(reader);
    decoder.feed(Bytes::from(vec![b'b'; 100_000]));
    assert_eq!(decoder.stream(), Ok(true));
    assert!(decoder.is_between());
    let (mut decoder, reader) = begin("HTTP/1.1 200 A\r\n\r\n");
    drop(reader);
    decoder.feed(Bytes::from(vec![b'b'; 300_000]));
    assert!(decoder.stream().is_err());
}

/// 6.3: what comes behind the last response is no other one.
#[test]
fn what_comes_unasked_stays_where_it_is() {
    let mut decoder = ResponseDecoder::new(Arc::new(Limits::new()));
    decoder.feed(Bytes::from("HTTP/1.1 204 A\r\n\r\nHTTP/1.1 200 A\r\n\r\n"));
    let decoded = decoder.next(GET).expect("legal").expect("whole");
    assert_eq!(decoded.response.status(), 204);
    assert!(!decoder.is_between());
    assert!(decoder.end(None).expect("nothing was asked").is_none());
    assert_eq!(decoder.rest(), b"HTTP/1.1 200 A\r\n\r\n");
}
