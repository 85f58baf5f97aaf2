//! Responses as bytes.

use ::http::{StatusCode, header};

use super::fields::is_bodiless;
use super::framed::{
    Framed, PIECE, asks_to_close, promised, put_bytes, put_chunk, put_chunked, put_fields,
    put_length, put_length_and, put_streamed, put_type,
};
use super::request::About;
use super::{Chunks, date};
use crate::exchange::{Body, Response};

/// Appends a response, framed as its request allows. The fields that frame are written here, whoever set them.
pub(crate) fn encode_response(
    out: &mut Vec<u8>,
    about: About,
    closes: bool,
    response: &Response,
) -> Framed {
    let (status, headers, body) = (response.status(), response.headers(), response.body());
    if status == StatusCode::OK && headers.is_empty() && body.is_plain() && about.is_plain() {
        return put_plain(out, closes, body);
    }
    // RFC 9110, section 15.3.6: it has no content, which is said, as one without a length would end with the connection.
    let nothing = (status == StatusCode::RESET_CONTENT).then(Body::empty);
    let body = nothing.as_ref().unwrap_or(body);
    let bodiless = is_bodiless(status);
    let mut closes = closes || !about.keeps_alive;
    let (mut dated, mut typed, mut upgrades) = (false, false, false);
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
        closes |= asks_to_close(headers);
        // The length of what a GET would have had, where the handler knows it and made no body.
        length = headers
            .get(header::CONTENT_LENGTH)
            .filter(|_| nothing.is_none());
        dated = headers.contains_key(header::DATE);
        typed = headers.contains_key(header::CONTENT_TYPE);
        upgrades = headers.contains_key(header::UPGRADE);
        // RFC 9110, section 7.6.1: it would have to be named in `Connection`, and is that of HTTP/1.0 before there was one.
        put_fields(out, headers, |name| name == "keep-alive");
        out.reserve(160 + body.len().min(PIECE));
    }
    let stream = body
        .reader()
        .filter(|_| !bodiless)
        .map(|_| match promised(length) {
            Some(length) => Chunks::Length(length),
            None if about.minor == 1 => Chunks::Chunked,
            None => Chunks::UntilClose,
        });
    closes |= stream == Some(Chunks::UntilClose);
    if !dated {
        date::put(out);
    }
    if let Some(media_type) = body.media_type()
        && !typed
    {
        put_type(out, media_type);
    }
    // RFC 9110, section 7.8: who names protocols, as with 426, says that it is for this connection.
    out.extend_from_slice(match (closes, about.minor, upgrades) {
        (true, _, false) => b"Connection: close\r\n",
        (true, _, true) => b"Connection: close, upgrade\r\n",
        (false, 0, false) => b"Connection: keep-alive\r\n",
        (false, 0, true) => b"Connection: keep-alive, upgrade\r\n",
        (false, _, true) => b"Connection: upgrade\r\n",
        (false, _, false) => b"",
    });
    if let Some(stream) = stream {
        put_streamed(out, stream);
        return Framed {
            stream: Some(stream).filter(|_| !about.is_head),
            ..Framed::without_body(closes)
        };
    }
    let trailers = body.trailers().filter(|_| about.minor == 1 && !bodiless);
    if let Some(trailers) = trailers {
        put_chunked(out);
        if about.is_head {
            return Framed::without_body(closes);
        }
        return put_chunk(out, body, trailers, closes);
    }
    let body = body.bytes();
    if !bodiless {
        let of_get = promised(length).filter(|_| about.is_head && body.is_empty());
        put_length(out, of_get.unwrap_or(body.len() as u64));
    }
    out.extend_from_slice(b"\r\n");
    if bodiless || about.is_head {
        return Framed::without_body(closes);
    }
    put_bytes(out, body, closes)
}

/// Most responses, to most requests: what the long way would write, in a third of the instructions.
#[inline]
fn put_plain(out: &mut Vec<u8>, closes: bool, body: &Body) -> Framed {
    let bytes = body.bytes();
    out.reserve(160 + bytes.len().min(PIECE));
    date::put_behind_ok(out, body.media_type());
    if closes {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    put_length_and(out, bytes.len() as u64, b"\r\n\r\n");
    put_bytes(out, bytes, closes)
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    /// What is put in a quick way is what the long one puts, which an own field leads to.
    #[test]
    fn plain_responses_are_as_all_others() {
        let about = About {
            is_head: false,
            minor: 1,
            keeps_alive: true,
            accepts_gzip: false,
        };
        for body in [
            Body::empty(),
            Body::from("hello"),
            Body::text("hello"),
            Body::text(vec![b'x'; PIECE]),
        ] {
            for closes in [false, true] {
                let response = Response::new(body.clone());
                let mut other = Response::new(body.clone());
                let value = ::http::HeaderValue::from_static("b");
                other.headers_mut().insert("a", value);
                let (mut plain, mut long) = (Vec::new(), Vec::new());
                let plainly = encode_response(&mut plain, about, closes, &response);
                let at_length = encode_response(&mut long, about, closes, &other);
                let long = String::from_utf8(long)
                    .expect("text")
                    .replace("a: b\r\n", "");
                assert_eq!(String::from_utf8(plain).expect("text"), long);
                assert_eq!(plainly.body, at_length.body);
                assert_eq!(plainly.closes, at_length.closes);
            }
        }
    }
}
