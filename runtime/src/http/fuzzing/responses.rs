//! Bytes that come in pieces are the same responses, at once or as they come, and are those that another reader has.

use super::codec::Responses;
use crate::http::{Body, Limits};
use ::http::{Response, Version};
use bytes::Bytes;

use super::again;
use super::cuts::places;
use super::reading::{
    Most, check_body, check_headers, field_of, has_bare_lf, head_end, is_unpacked, lines_of, values,
};

/// What was asked, and how what answers it comes.
#[derive(Clone, Copy)]
struct How {
    is_head: bool,
    streams: bool,
    closes: bool,
}

/// How far a decoder came with some bytes.
struct Outcome {
    /// What it took; where in the bytes each ends, if all came at once; and whether the connection stays.
    taken: Vec<(Response<Body>, usize, bool)>,
    refused: Option<&'static str>,
    rest: Vec<u8>,
    is_between: bool,
}

const CUT: &str = "the connection has ended in the middle of a response";
const TOO_LARGE: &str = "the header fields are more than are taken";

fn decode<'a>(limits: &Limits, how: How, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Responses::new(limits.clone(), how.is_head, how.streams);
    let (mut taken, mut fed) = (Vec::new(), 0);
    let mut take = |decoder: &mut Responses, fed: usize| {
        loop {
            match decoder.take() {
                Ok(Some((response, keeps_alive))) => {
                    taken.push((response, fed - decoder.rest().len(), keeps_alive));
                }
                Ok(None) => return None,
                Err(reason) => return Some(reason),
            }
        }
    };
    let mut refused = None;
    for piece in pieces {
        fed += piece.len();
        decoder.feed(Bytes::copy_from_slice(piece));
        refused = refused.or_else(|| take(&mut decoder, fed));
    }
    if how.closes && refused.is_none() {
        decoder.end();
        refused = take(&mut decoder, fed);
    }
    Outcome {
        taken,
        refused,
        rest: decoder.rest(),
        is_between: decoder.is_between(),
    }
}

pub(super) fn check(bytes: &[u8], is_head: bool, closes: bool, limits: &Limits, most: &Most) {
    let how = How {
        is_head,
        closes,
        streams: false,
    };
    let whole = decode(limits, how, [bytes]);
    let mut begin = 0;
    for (response, end, keeps_alive) in &whole.taken {
        check_one(&bytes[begin..*end], how, response, *keeps_alive, most);
        assert!(
            response.body().len() as u64 <= most.body,
            "the limit of a body holds"
        );
        begin = *end;
        again::check_response(response, is_head, *keeps_alive);
    }
    check_cuts(bytes, &whole, limits, how, most);
    let how = How {
        streams: true,
        ..how
    };
    let streamed = decode(limits, how, [bytes]);
    check_cuts(bytes, &streamed, limits, how, most);
    // What is read as it comes is neither unpacked nor too long: that apart, it is the same.
    for ((one, end, stays), (other, other_end, other_stays)) in
        whole.taken.iter().zip(&streamed.taken)
    {
        assert_eq!(
            (one.status(), end, stays),
            (other.status(), other_end, other_stays)
        );
        if one.headers() == other.headers() {
            assert_eq!(one.body().bytes(), other.body().bytes());
        } else {
            assert!(other.headers().contains_key("content-encoding"));
        }
        assert_eq!(one.body().trailers(), other.body().trailers());
    }
    assert!(whole.taken.len() <= streamed.taken.len());
}

fn check_cuts(bytes: &[u8], whole: &Outcome, limits: &Limits, how: How, most: &Most) {
    same(bytes, whole, &decode(limits, how, bytes.chunks(1)), most);
    let places = places(bytes);
    let (first, rest) = bytes.split_at(places[0]);
    let (second, third) = rest.split_at(places[1] - places[0]);
    let cut = decode(limits, how, [first, second, third]);
    same(bytes, whole, &cut, most);
    if bytes.len() <= 64 {
        for place in 0..=bytes.len() {
            let (first, second) = bytes.split_at(place);
            same(bytes, whole, &decode(limits, how, [first, second]), most);
        }
    }
}

fn same(bytes: &[u8], whole: &Outcome, cut: &Outcome, most: &Most) {
    assert_eq!(whole.taken.len(), cut.taken.len(), "as many responses");
    for ((one, _, stays), (other, _, cut_stays)) in whole.taken.iter().zip(&cut.taken) {
        assert_eq!(one.status(), other.status());
        assert_eq!(one.version(), other.version());
        assert_eq!(one.headers(), other.headers());
        assert_eq!(one.body().bytes(), other.body().bytes());
        assert_eq!(one.body().trailers(), other.body().trailers());
        assert_eq!(stays, cut_stays);
    }
    if whole.refused == cut.refused {
        if whole.refused.is_none() {
            assert_eq!(whole.rest, cut.rest);
            assert_eq!(whole.is_between, cut.is_between);
        }
        return;
    }
    // A head in pieces is looked at when all of it has come: it is refused later than one that came at once.
    let reason = whole
        .refused
        .expect("what is refused in pieces is refused at once, too");
    let begin = whole.taken.last().map_or(0, |(_, end, _)| *end);
    let mut head = &bytes[begin..];
    let mut is_long = false;
    while let Some(end) = head_end(head).filter(|_| is_interim(head)) {
        is_long |= end > most.head;
        head = &head[end..];
    }
    let end = head_end(head);
    is_long |= end.unwrap_or(head.len()) > most.head;
    match cut.refused {
        None | Some(CUT) => assert!(
            end.is_none(),
            "refused at once ({reason}), and not in pieces"
        ),
        // What is wrong in itself and longer than the limits, or ends its lines with a bare LF, is wrong in two ways, of which either may be found first.
        Some(other) => assert!(
            has_bare_lf(&bytes[begin..]) || is_long && [reason, other].contains(&TOO_LARGE),
            "refused at once ({reason}), and in pieces ({other})"
        ),
    }
}

fn is_interim(head: &[u8]) -> bool {
    head.get(9) == Some(&b'1')
}

fn version_of(line: &[u8]) -> Version {
    match line.get(..9) {
        Some(b"HTTP/1.0 ") => Version::HTTP_10,
        Some(b"HTTP/1.1 ") => Version::HTTP_11,
        _ => panic!("no version of HTTP/1"),
    }
}

/// `HTTP-version SP status-code [SP [reason-phrase]]`.
fn check_line(line: &[u8]) -> (Version, u16) {
    let version = version_of(line);
    let (status, reason) = line[9..].split_at(3);
    assert!(status.iter().all(u8::is_ascii_digit));
    if let [space, reason @ ..] = reason {
        assert_eq!(*space, b' ');
        assert!(
            reason
                .iter()
                .all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f)
        );
    }
    let status = std::str::from_utf8(status).expect("digits");
    (version, status.parse().expect("digits"))
}

/// RFC 9112, section 9.3.
fn stays(version: Version, fields: &[(String, &[u8])]) -> bool {
    let options = values(fields, "connection").join(&b","[..]);
    let has = |wanted: &[u8]| {
        options
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    !has(b"close") && (version == Version::HTTP_11 || has(b"keep-alive"))
}

/// Whether what was taken is what the bytes are.
fn check_one(
    mut bytes: &[u8],
    how: How,
    response: &Response<Body>,
    keeps_alive: bool,
    most: &Most,
) {
    let mut interim = 0;
    let (head, body) = loop {
        assert!(bytes.starts_with(b"HTTP/1."), "nothing is skipped");
        let end = head_end(bytes).expect("a response that was taken has a head");
        assert!(end <= most.head);
        let (head, rest) = bytes.split_at(end);
        let lines = lines_of(&head[..end - 2]);
        assert!(lines.len() <= most.fields + 1);
        let (_, status) = check_line(lines[0]);
        if status >= 200 {
            break (head, rest);
        }
        assert_ne!(status, 101);
        for line in &lines[1..] {
            field_of(line);
        }
        interim += 1;
        bytes = rest;
    };
    assert!(interim <= 32);
    let lines = lines_of(&head[..head.len() - 2]);
    let (version, status) = check_line(lines[0]);
    assert_eq!(response.version(), version);
    assert_eq!(response.status(), status);
    let fields: Vec<_> = lines[1..].iter().map(|line| field_of(line)).collect();
    check_headers(&fields, response.headers(), response.body());
    let is_framed = ["transfer-encoding", "content-length"]
        .iter()
        .any(|name| !values(&fields, name).is_empty());
    let stays = stays(version, &fields);
    if how.is_head || matches!(status, 204 | 304) {
        assert!(body.is_empty() && response.body().is_empty());
        assert!(keeps_alive == stays || stays && status == 204 && is_framed);
    } else if is_framed {
        check_body(
            body,
            &fields,
            version,
            response.headers(),
            response.body(),
            most,
        );
        assert_eq!(keeps_alive, stays);
    } else {
        assert!(how.closes && !keeps_alive, "what the close ends");
        let is_unpacked = is_unpacked(&fields, response.headers());
        assert!(is_unpacked || response.body() == body);
    }
}
