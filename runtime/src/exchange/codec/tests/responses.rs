//! The decoder of responses: what it makes of some bytes, whole and cut, at once and as they come.
//!
//! | text | meaning |
//! |---|---|
//! | `200` | a response |
//! | `200 b=c "hello" +d=e` | its fields, its body, its trailers |
//! | `200 1.0`, `200 closes` | of HTTP/1.0; the connection may not be used again |
//! | `…` | more is to come |
//! | `refused` | what comes has no meaning any more |
//!
//! Behind bytes that end with `$` the server closes the connection.

use std::sync::Arc;
use std::task::{Poll, Waker};

use ::http::{HeaderMap, Version};
use bytes::Bytes;

use crate::exchange::{Asked, DecodedResponse, Limits, PipeReader, Refusal, ResponseDecoder};

pub(super) const GET: Asked = Asked {
    is_head: false,
    streams: false,
};

pub(super) const HEAD: Asked = Asked {
    is_head: true,
    ..GET
};

fn told(decoded: &DecodedResponse, body: &[u8], trailers: Option<&HeaderMap>) -> String {
    let response = &decoded.response;
    let mut text = response.status().as_str().to_owned();
    let value =
        |value: &::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    for (name, its) in response.headers() {
        text += &format!(" {name}={}", value(its));
    }
    if !body.is_empty() {
        text += &format!(" {:?}", String::from_utf8_lossy(body));
    }
    for (name, its) in trailers.into_iter().flatten() {
        text += &format!(" +{name}={}", value(its));
    }
    if response.version() == Version::HTTP_10 {
        text += " 1.0";
    }
    if !decoded.keeps_alive {
        text += " closes";
    }
    text
}

/// Takes what there is of all the responses.
struct Reading {
    decoder: ResponseDecoder,
    asked: Asked,
    all: Vec<String>,
    /// A response whose body is to come.
    begun: Option<(DecodedResponse, PipeReader, Vec<u8>)>,
}

impl Reading {
    fn new(limits: &Limits, asked: Asked) -> Self {
        Self {
            decoder: ResponseDecoder::new(Arc::new(limits.clone())),
            asked,
            all: Vec::new(),
            begun: None,
        }
    }

    fn take(&mut self, has_ended: bool) -> Result<(), Refusal> {
        if has_ended {
            self.decoder.end(None)?;
        }
        loop {
            if self.begun.is_some() && !self.hand_on()? {
                return Ok(());
            }
            let decoded = if has_ended {
                self.decoder.end(Some(self.asked))?
            } else {
                self.decoder.next(self.asked)?
            };
            let Some(decoded) = decoded else {
                return Ok(());
            };
            let body = decoded.response.body();
            let Some(reader) = body.reader().cloned() else {
                assert!(!self.asked.streams, "who asks for a stream is given one");
                let told = told(&decoded, body.bytes(), body.trailers());
                self.all.push(told);
                continue;
            };
            self.begun = Some((decoded, reader, Vec::new()));
        }
    }

    /// Whether the body has ended.
    fn hand_on(&mut self) -> Result<bool, Refusal> {
        let has_ended = self.decoder.stream();
        let Some((decoded, reader, body)) = &mut self.begun else {
            return Ok(true);
        };
        loop {
            match reader.poll_take(usize::MAX, Waker::noop()) {
                Poll::Pending => return has_ended,
                Poll::Ready(Err(reason)) => {
                    let refusal = has_ended.expect_err("it is broken off when it is refused");
                    assert_eq!(*reason, *refusal.reason);
                    return Err(refusal);
                }
                Poll::Ready(Ok(taken)) => {
                    body.extend(taken.pieces.concat());
                    if let Some(trailers) = taken.end {
                        assert_eq!(has_ended, Ok(true));
                        self.all.push(told(decoded, body, trailers.as_deref()));
                        self.begun = None;
                        return Ok(true);
                    }
                }
            }
        }
    }
}

/// What is made of these pieces, and what was left of them.
pub(super) fn decode<'a>(
    limits: &Limits,
    asked: Asked,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    closes: bool,
) -> (String, Vec<u8>) {
    let mut reading = Reading::new(limits, asked);
    let mut outcome = Ok(());
    for piece in pieces {
        reading.decoder.feed(Bytes::copy_from_slice(piece));
        outcome = outcome.and_then(|()| reading.take(false));
    }
    if closes {
        outcome = outcome.and_then(|()| reading.take(true));
    }
    let Reading {
        decoder, mut all, ..
    } = reading;
    if let Err(refusal) = outcome {
        all.push(format!("refused: {}", refusal.reason));
        return (all.join(", "), Vec::new());
    }
    if !decoder.is_between() {
        all.push("…".to_owned());
    }
    (all.join(", "), decoder.rest())
}

/// What is made of the bytes, wherever they are cut.
pub(super) fn decode_cut(limits: &Limits, asked: Asked, bytes: &[u8], closes: bool) -> String {
    let whole = decode(limits, asked, [bytes], closes);
    let shown = bytes.escape_ascii();
    for place in 0..=bytes.len() {
        let (first, second) = bytes.split_at(place);
        let cut = decode(limits, asked, [first, second], closes);
        assert_eq!(cut, whole, "{shown} cut at {place}");
    }
    let cut = decode(limits, asked, bytes.chunks(1), closes);
    assert_eq!(cut, whole, "{shown} byte by byte");
    whole.0
}

fn check_asked(asked: Asked, bytes: &str, expected: &str) {
    let (text, closes) = match bytes.strip_suffix('$') {
        Some(text) => (text, true),
        None => (bytes, false),
    };
    for streams in [false, true] {
        let asked = Asked { streams, ..asked };
        let seen = decode_cut(&Limits::new(), asked, text.as_bytes(), closes);
        let seen = match (seen.rsplit_once("refused: "), expected.contains("refused:")) {
            (Some((taken, _)), false) => format!("{taken}refused"),
            _ => seen,
        };
        assert_eq!(seen, expected, "{bytes:?}, streams: {streams}");
    }
}

/// A table of bytes, and what is made of them.
pub(super) fn check(table: &[(&str, &str)]) {
    for (bytes, expected) in table {
        check_asked(GET, bytes, expected);
    }
}

/// A table of what answers a HEAD, and what is made of it.
pub(super) fn check_head(table: &[(&str, &str)]) {
    for (bytes, expected) in table {
        check_asked(HEAD, bytes, expected);
    }
}
