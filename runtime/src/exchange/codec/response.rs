//! Responses as bytes.

use ::http::{HeaderMap, HeaderName, StatusCode, header};
use bytes::Bytes;

use super::fields::digits;
use super::request::About;
use super::{Chunks, date};
use crate::exchange::Response;

/// From this many bytes on a body goes out as its own piece; below, copying it is cheaper than another piece.
const PIECE: usize = 4 << 10;

/// Whether the connection is closed behind a response, and what of its body was not copied.
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
    fn without_body(closes: bool) -> Self {
        Self {
            closes,
            body: Bytes::new(),
            end: Bytes::new(),
            stream: None,
        }
    }
}

/// Appends a response, framed as its request allows. The fields that frame are written here, whoever set them.
pub(crate) fn encode_response(
    out: &mut Vec<u8>,
    about: About,
    closes: bool,
    response: &Response,
) -> Framed {
    let (status, headers, body) = (response.status(), response.headers(), response.body());
    let bodiless = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let mut closes = closes || !about.keeps_alive;
    let (mut dated, mut typed) = (false, false);
    out.reserve(160 + body.len().min(PIECE));
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let mut length = None;
    if !headers.is_empty() {
        for option in headers.get_all(header::CONNECTION) {
            let mut options = option.as_bytes().split(|byte| *byte == b',');
            closes |= options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
        }
        // The length of what a GET would have had, where the handler knows it and made no body.
        length = headers.get(header::CONTENT_LENGTH);
        dated = headers.contains_key(header::DATE);
        typed = headers.contains_key(header::CONTENT_TYPE);
        for (name, value) in headers {
            if !frames(name) {
                out.reserve(name.as_str().len() + value.len() + 4);
                out.extend_from_slice(name.as_str().as_bytes());
                out.extend_from_slice(b": ");
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        out.reserve(160 + body.len().min(PIECE));
    }
    let stream = body.reader().filter(|_| !bodiless).map(|_| {
        let promised = length.and_then(|length| digits(length.as_bytes()));
        match promised {
            Some(length) => Chunks::Length(length),
            None if about.minor == 1 => Chunks::Chunked,
            None => Chunks::UntilClose,
        }
    });
    closes |= stream == Some(Chunks::UntilClose);
    if !dated {
        date::put(out);
    }
    if let Some(media_type) = body.media_type()
        && !typed
    {
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(media_type.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if closes {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if about.minor == 0 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    if let Some(stream) = stream {
        match stream {
            Chunks::Length(length) => {
                out.extend_from_slice(b"Content-Length: ");
                put_number(out, length);
                out.extend_from_slice(b"\r\n");
            }
            Chunks::Chunked => out.extend_from_slice(CHUNKED),
            Chunks::UntilClose => {}
        }
        out.extend_from_slice(b"\r\n");
        return Framed {
            stream: Some(stream).filter(|_| !about.is_head),
            ..Framed::without_body(closes)
        };
    }
    let trailers = body.trailers().filter(|_| about.minor == 1 && !bodiless);
    if let Some(trailers) = trailers {
        out.extend_from_slice(CHUNKED);
        out.extend_from_slice(b"\r\n");
        if about.is_head {
            return Framed::without_body(closes);
        }
        let mut end = Vec::new();
        if !body.is_empty() {
            put_size(out, body.len());
            end.extend_from_slice(b"\r\n");
        }
        put_last_chunk(&mut end, Some(trailers));
        return Framed {
            body: body.bytes().clone(),
            end: end.into(),
            ..Framed::without_body(closes)
        };
    }
    let body = body.bytes();
    if !bodiless {
        out.extend_from_slice(b"Content-Length: ");
        match length {
            Some(length) if about.is_head && body.is_empty() => {
                out.extend_from_slice(length.as_bytes())
            }
            _ => put_number(out, body.len() as u64),
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    let sent = !bodiless && !about.is_head;
    let copied = body.len() < PIECE;
    if sent && copied {
        out.extend_from_slice(body);
    }
    Framed {
        body: if sent && !copied {
            body.clone()
        } else {
            Bytes::new()
        },
        ..Framed::without_body(closes)
    }
}

const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";

/// The line before a chunk.
pub(super) fn put_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(format!("{size:x}\r\n").as_bytes());
}

/// What ends a body in chunks.
pub(super) fn put_last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if !frames(name) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The fields that this side writes itself.
fn frames(name: &HeaderName) -> bool {
    name == header::CONTENT_LENGTH
        || name == header::TRANSFER_ENCODING
        || name == header::CONNECTION
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut place = digits.len();
    loop {
        place -= 1;
        digits[place] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[place..]);
}
