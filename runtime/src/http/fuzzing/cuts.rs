//! Bytes that come in pieces are the same requests.

use super::codec::Decoder;
use crate::http::Limits;
use ::http::StatusCode;
use bytes::Bytes;

use super::Outcome;
use super::reading::{Most, has_bare_lf, head_end};

pub(super) fn decode<'a>(limits: &Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(limits.clone());
    let mut outcome = Outcome {
        taken: Vec::new(),
        refused: None,
        rest: Vec::new(),
        is_in_body: false,
        is_between: false,
    };
    let mut fed = 0;
    for piece in pieces {
        fed += piece.len();
        decoder.feed(Bytes::copy_from_slice(piece));
        loop {
            match decoder.take() {
                Ok(Some((request, path, about))) => {
                    let end = fed - decoder.rest().len();
                    let request = request.into_inner();
                    assert_eq!(request.uri().path(), path, "it is routed by its path");
                    outcome.taken.push((request, end, about));
                }
                Ok(None) => break,
                Err(status) => {
                    outcome.refused = Some(status);
                    outcome.is_in_body = decoder.is_in_body();
                    return outcome;
                }
            }
        }
    }
    outcome.rest = decoder.rest();
    outcome.is_in_body = decoder.is_in_body();
    outcome.is_between = decoder.is_between();
    outcome
}

pub(super) fn check(bytes: &[u8], whole: &Outcome, limits: &Limits, most: &Most) {
    same(bytes, whole, &decode(limits, bytes.chunks(1)), most);
    let places = places(bytes);
    let (first, rest) = bytes.split_at(places[0]);
    let (second, third) = rest.split_at(places[1] - places[0]);
    same(bytes, whole, &decode(limits, [first, second, third]), most);
    // And every place, of what is short.
    if bytes.len() <= 64 {
        for place in 0..=bytes.len() {
            let (first, second) = bytes.split_at(place);
            same(bytes, whole, &decode(limits, [first, second]), most);
        }
    }
}

/// Two places more, which each input has of its own and keeps.
pub(super) fn places(bytes: &[u8]) -> [usize; 2] {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let size = bytes.len() as u64 + 1;
    let mut places = [(hash % size) as usize, ((hash >> 32) % size) as usize];
    places.sort_unstable();
    places
}

fn same(bytes: &[u8], whole: &Outcome, cut: &Outcome, most: &Most) {
    assert_eq!(whole.taken.len(), cut.taken.len(), "as many requests");
    for ((one, _, about), (other, _, cut_about)) in whole.taken.iter().zip(&cut.taken) {
        assert_eq!(one.method(), other.method());
        assert_eq!(one.uri(), other.uri());
        assert_eq!(one.version(), other.version());
        assert_eq!(one.headers(), other.headers());
        assert_eq!(one.body().bytes(), other.body().bytes());
        assert_eq!(one.body().trailers(), other.body().trailers());
        assert_eq!(about, cut_about);
    }
    if whole.refused == cut.refused {
        assert_eq!(whole.rest, cut.rest);
        assert_eq!(whole.is_in_body, cut.is_in_body);
        assert_eq!(whole.is_between, cut.is_between);
        return;
    }
    // A head in pieces is looked at when all of it has come: it is refused later than one that came at once.
    assert!(
        !whole.is_in_body && !cut.is_in_body,
        "{:?}, {:?}",
        whole.refused,
        cut.refused
    );
    let status = whole
        .refused
        .expect("what is refused in pieces is refused at once, too");
    let begin = whole.taken.last().map_or(0, |(_, end, _)| *end);
    let mut head = &bytes[begin..];
    while let Some(rest) = head.strip_prefix(b"\r\n") {
        head = rest;
    }
    let Some(refused) = cut.refused else {
        assert!(
            head_end(head).is_none(),
            "refused at once ({status}), and not in pieces"
        );
        return;
    };
    // What is wrong in itself and longer than the limits, or ends its lines with a bare LF, is wrong in two ways, of which either may be found first.
    let head = &head[..head_end(head).unwrap_or(head.len())];
    let line = head
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(head.len());
    let is_long = head.len() > most.head || line >= most.target + 64;
    let says_so = |status| {
        matches!(
            status,
            StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        )
    };
    let is_either = is_long && !(says_so(status) && says_so(refused));
    assert!(
        has_bare_lf(head) || is_either,
        "refused at once ({status}), and in pieces ({refused})"
    );
}
