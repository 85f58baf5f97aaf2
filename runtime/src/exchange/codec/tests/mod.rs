//! The decoder of requests: what it makes of some bytes, whole and cut.
//!
//! What it makes of them is told in a line: its requests, and behind them what became of the rest.
//!
//! | text | meaning |
//! |---|---|
//! | `GET /a` | a request; `Host: a` is not told of |
//! | `PUT / b=c "hello" +d=e` | its fields, its body, its trailers |
//! | `GET / 1.0`, `GET / closes` | of HTTP/1.0; the connection does not stay |
//! | `POST /a/b (c@1.2.3.4:5)` | a message, and who sends it |
//! | `…` | more is to come |
//! | `400` | refused, with that status |

mod messages;
mod pieces;
mod random;
mod random_responses;
mod recorded;
mod requests;
mod response_bodies;
mod responses;
mod rfc9112;
mod rfc9112_client;

use std::sync::Arc;

use ::http::Version;
use bytes::Bytes;

use super::{Decoded, RequestDecoder};
use crate::exchange::Limits;

fn told(Decoded { request, about }: Decoded) -> String {
    let mut text = format!("{} {}", request.method(), request.uri());
    let value =
        |value: &::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    for (name, its) in request.headers() {
        if name != "host" || its != "a" {
            text += &format!(" {name}={}", value(its));
        }
    }
    if !request.body().is_empty() {
        text += &format!(" {:?}", String::from_utf8_lossy(request.body().bytes()));
    }
    for (name, its) in request.body().trailers().into_iter().flatten() {
        text += &format!(" +{name}={}", value(its));
    }
    if let Some(sender) = request.sender() {
        text += &format!(" ({})", String::from_utf8_lossy(sender));
    }
    if request.version() == Version::HTTP_10 {
        text += " 1.0";
    }
    if !about.keeps_alive {
        text += " closes";
    }
    text
}

/// What is made of these pieces, and what was left of them.
fn decode<'a>(limits: &Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, Vec<u8>) {
    let mut decoder = RequestDecoder::new(Arc::new(limits.clone()));
    let mut all = Vec::new();
    for piece in pieces {
        decoder.feed(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next(|_| false) {
                Ok(Some(decoded)) => all.push(told(decoded)),
                Ok(None) => break,
                Err(refusal) => {
                    all.push(refusal.status.as_u16().to_string());
                    return (all.join(", "), Vec::new());
                }
            }
        }
    }
    if !decoder.is_between() {
        all.push("…".to_owned());
    }
    (all.join(", "), decoder.rest())
}

/// What is made of the bytes, wherever they are cut.
fn decode_cut(limits: &Limits, bytes: &[u8]) -> String {
    let whole = decode(limits, [bytes]);
    let shown = bytes.escape_ascii();
    for place in 0..=bytes.len() {
        let (first, second) = bytes.split_at(place);
        assert_eq!(
            decode(limits, [first, second]),
            whole,
            "{shown} cut at {place}"
        );
    }
    assert_eq!(
        decode(limits, bytes.chunks(1)),
        whole,
        "{shown} byte by byte"
    );
    whole.0
}

/// A table of bytes, and what is made of them.
fn check(table: &[(&str, &str)]) {
    for (bytes, expected) in table {
        assert_eq!(
            decode_cut(&Limits::new(), bytes.as_bytes()),
            *expected,
            "{bytes:?}"
        );
    }
}
