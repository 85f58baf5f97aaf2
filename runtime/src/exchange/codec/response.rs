//! Responses as bytes.

use ::http::{HeaderName, StatusCode, header};
use bytes::Bytes;

use super::date;
use super::request::About;
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
    let trailers = body.trailers().filter(|_| about.minor == 1 && !bodiless);
    if let Some(trailers) = trailers {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        if about.is_head {
            return Framed {
                closes,
                body: Bytes::new(),
                end: Bytes::new(),
            };
        }
        let mut end = Vec::new();
        if !body.is_empty() {
            out.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            end.extend_from_slice(b"\r\n");
        }
        end.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            if !frames(name) {
                end.extend_from_slice(name.as_str().as_bytes());
                end.extend_from_slice(b": ");
                end.extend_from_slice(value.as_bytes());
                end.extend_from_slice(b"\r\n");
            }
        }
        end.extend_from_slice(b"\r\n");
        return Framed {
            closes,
            body: body.bytes().clone(),
            end: end.into(),
        };
    }
    let body = body.bytes();
    if !bodiless {
        out.extend_from_slice(b"Content-Length: ");
        match length {
            Some(length) if about.is_head && body.is_empty() => {
                out.extend_from_slice(length.as_bytes())
            }
            _ => put_number(out, body.len()),
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
        closes,
        body: if sent && !copied {
            body.clone()
        } else {
            Bytes::new()
        },
        end: Bytes::new(),
    }
}

/// The fields that this side writes itself.
fn frames(name: &HeaderName) -> bool {
    name == header::CONTENT_LENGTH
        || name == header::TRANSFER_ENCODING
        || name == header::CONNECTION
}

fn put_number(out: &mut Vec<u8>, mut number: usize) {
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
