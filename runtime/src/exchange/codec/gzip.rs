//! Bodies that are packed by gzip: RFC 1952, as RFC 9110, section 8.4.1.3, uses it.

use std::io::{Read, Write};

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::Refusal;
use super::fields::is_bodiless;
use crate::exchange::{Body, Response};

/// Smaller bodies are sent as they are, as libprocess does: what is saved is less than what it costs.
pub(crate) const WORTH: usize = 1_024;

/// What tells a client which bytes it is to find: RFC 9530, and those before it.
static DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Unpacks a body, up to so many bytes.
pub(super) fn unpack(packed: &Bytes, most: u64) -> Result<Bytes, Refusal> {
    let mut unpacked = Vec::new();
    // One more, to see whether there is more.
    let mut decoder = MultiGzDecoder::new(&packed[..]).take(most.saturating_add(1));
    if decoder.read_to_end(&mut unpacked).is_err() {
        return Err(Refusal::bad("the body is said to be gzip, and is not"));
    }
    if unpacked.len() as u64 > most {
        return Err(Refusal::with(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than is taken, once it is unpacked",
        ));
    }
    Ok(unpacked.into())
}

/// Packs the body of a response for whom accepts that, if it may be and gains something. A 304 only says that it varies.
pub(crate) fn pack(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::NOT_MODIFIED {
        // What it stands for may have been packed, and it is to say of that what the packed one said: RFC 9110, section 15.4.5.
        if may_be_other_bytes(&parts.headers, &body) {
            add_vary(&mut parts.headers);
        }
        return Response::from_parts(parts, body);
    }
    // What is a part of something is one of what that is unpacked: RFC 9110, section 15.3.7. And some have no content, whatever they were given.
    let is_whole = !is_bodiless(parts.status)
        && !matches!(
            parts.status,
            StatusCode::PARTIAL_CONTENT | StatusCode::RESET_CONTENT
        );
    let packed = if is_whole && may_be_packed(&parts.headers, &body) {
        packed(&body)
    } else {
        None
    };
    let Some(packed) = packed else {
        return Response::from_parts(parts, body);
    };
    let gzip = HeaderValue::from_static("gzip");
    parts.headers.insert(header::CONTENT_ENCODING, gzip);
    add_vary(&mut parts.headers);
    Response::from_parts(parts, body.with_bytes(packed))
}

/// Whoever keeps it is to know that not everybody can be given this one.
fn add_vary(headers: &mut HeaderMap) {
    let said = headers.get_all(header::VARY).iter();
    let mut names = said.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_said = names.any(|name| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding")
    });
    if !is_said {
        let vary = HeaderValue::from_static("Accept-Encoding");
        headers.append(header::VARY, vary);
    }
}

/// Whether it is long, and may be other bytes than it is.
fn may_be_packed(headers: &HeaderMap, body: &Body) -> bool {
    body.len() >= WORTH && may_be_other_bytes(headers, body)
}

/// Whether it is not packed in some way yet, and nobody would be told that it is byte for byte another thing.
fn may_be_other_bytes(headers: &HeaderMap, body: &Body) -> bool {
    let is_strong = |tag: &HeaderValue| !tag.as_bytes().starts_with(b"W/");
    let said = headers.get(header::CONTENT_TYPE);
    let media_type = said
        .and_then(|said| said.to_str().ok())
        .or(body.media_type());
    !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !DIGESTS.iter().any(|digest| headers.contains_key(digest))
        && !headers.get(header::ETAG).is_some_and(is_strong)
        && !media_type.is_some_and(is_packed)
}

/// Media that are packed by themselves.
fn is_packed(media_type: &str) -> bool {
    let starts = |start: &str| {
        let there = media_type.get(..start.len());
        there.is_some_and(|there| there.eq_ignore_ascii_case(start))
    };
    starts("image/") && !starts("image/svg")
        || starts("audio/")
        || starts("video/")
        || starts("application/zip")
        || starts("application/gzip")
}

fn packed(body: &Body) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    encoder.write_all(body.bytes()).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < body.len()).then(|| packed.into())
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::exchange::random::Random;

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        let text = "to be continued, ".repeat(1_000);
        let response = pack(Response::new(Body::text(text.clone())));
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        let packed = response.into_body().into_bytes();
        assert!(packed.len() < text.len() / 10);
        assert_eq!(unpack(&packed, 1 << 20).expect("legal"), text);
        assert_eq!(unpack(&packed, text.len() as u64).expect("legal"), text);
        let refused = unpack(&packed, text.len() as u64 - 1).expect_err("too large");
        assert_eq!(refused.status, 413);
        let half = packed.slice(..packed.len() / 2);
        assert_eq!(unpack(&half, 1 << 20).expect_err("half of it").status, 400);
        assert_eq!(
            unpack(&Bytes::from("text"), 9).expect_err("none").status,
            400
        );
    }

    #[test]
    fn what_has_not_been_modified_varies_as_what_was_packed() {
        let varies = |name: HeaderName, told: &'static str| {
            let mut response = Response::new(Body::default());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            let headers = response.headers_mut();
            headers.insert(name, HeaderValue::from_static(told));
            let marked = pack(response);
            assert!(!marked.headers().contains_key(header::CONTENT_ENCODING));
            let all = marked.headers().get_all(header::VARY).iter();
            all.map(|one| one.to_str().expect("text").to_owned())
                .collect::<Vec<_>>()
        };
        let weak = varies(header::ETAG, "W/\"weak\"");
        assert_eq!(weak, ["Accept-Encoding"], "it may have been packed");
        let never = [
            (header::ETAG, "\"strong\""),
            (header::CONTENT_TYPE, "image/png"),
        ];
        for (name, told) in never {
            assert!(varies(name, told).is_empty(), "{told} is never packed");
        }
        for told in ["*", "accept-encoding", "Cookie, Accept-Encoding"] {
            assert_eq!(varies(header::VARY, told), [told], "it is said already");
        }
        let both = varies(header::VARY, "Cookie");
        assert_eq!(both, ["Cookie", "Accept-Encoding"]);
    }

    #[test]
    fn what_is_told_of_its_bytes_stays() {
        let long = || Response::new(Body::text("x".repeat(5_000)));
        for name in &DIGESTS {
            let mut response = long();
            let told = HeaderValue::from_static("sha-256=:abc:");
            response.headers_mut().insert(name, told);
            assert_eq!(pack(response).body().len(), 5_000, "{name}");
        }
        let mut part = long();
        *part.status_mut() = StatusCode::PARTIAL_CONTENT;
        assert_eq!(pack(part).body().len(), 5_000);
        assert!(pack(long()).body().len() < 5_000);
    }

    #[test]
    fn what_gains_nothing_stays() {
        let mut random = Random::new(1);
        let noise: Vec<u8> = (0..5_000).map(|_| random.below(256) as u8).collect();
        let long = "x".repeat(5_000);
        for body in [
            Body::text("x".repeat(1_023)),
            Body::of_type("image/png", long.clone()),
            Body::from(noise),
        ] {
            let response = pack(Response::new(body.clone()));
            assert!(response.body().bytes() == body.bytes(), "another body");
            assert!(response.headers().is_empty());
        }
        for (name, value) in [
            (header::CONTENT_ENCODING, "br"),
            (header::ETAG, "\"1\""),
            (header::CONTENT_RANGE, "bytes 0-4999/9999"),
        ] {
            let mut response = Response::new(Body::text(long.clone()));
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
            assert_eq!(pack(response).body().len(), 5_000);
        }
    }
}
