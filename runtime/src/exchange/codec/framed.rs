//! What requests and responses have in common as they go out.

use std::io::Write;

use ::http::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;

use super::Chunks;
use super::fields::{NO_TRAILERS, digits};
use crate::exchange::Body;

/// From this many bytes on a body goes out as its own piece; below, copying it is cheaper than another piece.
pub(super) const PIECE: usize = 4 << 10;

const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";

/// Whether the connection is closed behind a message, and what of its body was not copied.
#[derive(Debug)]
pub(crate) struct Framed {
    pub(crate) closes: bool,
    pub(crate) body: Bytes,
    /// What goes behind that body.
    pub(crate) end: Bytes,
    /// How the body goes out, if it is streamed.
    pub(crate) stream: Option<Chunks>,
}

impl Framed {
    pub(super) fn without_body(closes: bool) -> Self {
        Self {
            closes,
            body: Bytes::new(),
            end: Bytes::new(),
            stream: None,
        }
    }
}

/// Ends a head whose body goes out while it is made.
pub(super) fn put_streamed(out: &mut Vec<u8>, stream: Chunks) {
    match stream {
        Chunks::Length(length) => put_length(out, length),
        Chunks::Chunked => out.extend_from_slice(CHUNKED),
        Chunks::UntilClose => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Ends a head whose body comes in chunks.
pub(super) fn put_chunked(out: &mut Vec<u8>) {
    out.extend_from_slice(CHUNKED);
    out.extend_from_slice(b"\r\n");
}

/// Behind the head, a body with trailers: one chunk.
pub(super) fn put_chunk(
    out: &mut Vec<u8>,
    body: &Body,
    trailers: &HeaderMap,
    closes: bool,
) -> Framed {
    let mut end = Vec::new();
    if !body.is_empty() {
        put_size(out, body.len());
        end.extend_from_slice(b"\r\n");
    }
    put_last_chunk(&mut end, Some(trailers));
    Framed {
        body: body.bytes().clone(),
        end: end.into(),
        ..Framed::without_body(closes)
    }
}

/// Behind the head, a body of a known length.
#[inline]
pub(super) fn put_bytes(out: &mut Vec<u8>, body: &Bytes, closes: bool) -> Framed {
    if body.len() < PIECE {
        out.extend_from_slice(body);
        return Framed::without_body(closes);
    }
    Framed {
        body: body.clone(),
        ..Framed::without_body(closes)
    }
}

/// The fields of a message but for those that are written here, and the one that was written before.
#[inline]
pub(super) fn put_fields(
    out: &mut Vec<u8>,
    headers: &HeaderMap,
    is_left_out: impl Fn(&HeaderName) -> bool,
) {
    for (name, value) in headers {
        if !frames(name) && !is_left_out(name) {
            out.reserve(name.as_str().len() + value.len() + 4);
            put_field(out, name, value);
        }
    }
}

#[inline]
fn put_field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The type that a body was said to be.
#[inline]
pub(super) fn put_type(out: &mut Vec<u8>, media_type: &str) {
    out.extend_from_slice(b"Content-Type: ");
    out.extend_from_slice(media_type.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[inline]
pub(super) fn put_length(out: &mut Vec<u8>, length: u64) {
    put_length_and(out, length, b"\r\n");
}

/// The line before a chunk.
pub(super) fn put_size(out: &mut Vec<u8>, size: usize) {
    // To memory this does not fail.
    let _ = write!(out, "{size:x}\r\n");
}

/// What ends a body in chunks.
pub(super) fn put_last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if !NO_TRAILERS.contains(name) {
            put_field(out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The length that a message's headers say, where that is one.
pub(super) fn promised(length: Option<&HeaderValue>) -> Option<u64> {
    length.and_then(|length| digits(length.as_bytes()))
}

/// Whether the headers ask for the connection to be closed.
#[inline]
pub(super) fn asks_to_close(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|option| {
        let mut options = option.as_bytes().split(|byte| *byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// The fields that this side writes itself.
fn frames(name: &HeaderName) -> bool {
    name == header::CONTENT_LENGTH
        || name == header::TRANSFER_ENCODING
        || name == header::CONNECTION
}

/// The length and what is behind it, at once: each piece that is appended costs as much as some ten bytes of it.
#[inline]
pub(super) fn put_length_and<const N: usize>(out: &mut Vec<u8>, mut length: u64, end: &[u8; N]) {
    const NAME: &[u8] = b"Content-Length: ";
    const DIGITS: usize = NAME.len() + 20;
    // As long as the longest length and the longest end.
    let mut text = [0_u8; DIGITS + 4];
    const { assert!(N <= 4) };
    text[DIGITS..DIGITS + N].copy_from_slice(end);
    let mut place = DIGITS;
    loop {
        place -= 1;
        text[place] = b'0' + (length % 10) as u8;
        length /= 10;
        if length == 0 {
            break;
        }
    }
    place -= NAME.len();
    text[place..place + NAME.len()].copy_from_slice(NAME);
    out.extend_from_slice(&text[place..DIGITS + N]);
}
