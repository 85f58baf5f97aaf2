//! Legal requests with a few bytes changed: wherever they are cut, they are the same.

use super::decode;
use crate::exchange::Limits;
use crate::exchange::random::{ROUNDS, Random};

/// A legal request.
fn request(random: &mut Random) -> Vec<u8> {
    const LINES: [&str; 7] = [
        "GET / HTTP/1.1",
        "POST /id/name HTTP/1.1",
        "POST /a HTTP/1.1",
        "PUT /a/b%20c?d=e HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://b:80/c HTTP/1.1",
        "HEAD / HTTP/1.0",
    ];
    const FIELDS: [&str; 8] = [
        "User-Agent: libprocess/a@1.2.3.4:5",
        "Libprocess-From: a@1.2.3.4:5",
        "B: c",
        "D:\te ",
        "F:",
        "Connection: close",
        "Connection: keep-alive",
        "Accept-Encoding: gzip, *;q=0",
    ];
    let line = LINES[random.below(LINES.len())];
    let mut text = format!("{line}\r\nHost: a\r\n");
    for field in random.of(&FIELDS, 3) {
        text += &format!("{field}\r\n");
    }
    let body = random.of(&["a", "0\r\n", "\r\n\r\n"], 4).concat();
    match random.below(3) {
        0 => text += "\r\n",
        1 => text += &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        _ if line.ends_with("1.0") => text += "\r\n",
        _ => {
            text += "Transfer-Encoding: chunked\r\n\r\n";
            if !body.is_empty() {
                let extension = [";g=\"h\"", ""][random.below(2)];
                text += &format!("{:x}{extension}\r\n{body}\r\n", body.len());
            }
            text += ["0\r\n\r\n", "0\r\nSum: 7\r\n\r\n"][random.below(2)];
        }
    }
    text.into_bytes()
}

pub(super) fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    const BYTES: [u8; 16] = *b"\r\n \t:;,/%?0aG\0\x7f\xe9";
    for _ in 0..random.below(4) {
        let place = random.below(bytes.len());
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(4) {
            0 => bytes[place] = byte,
            1 => bytes.insert(place, byte),
            2 if bytes.len() > 1 => {
                bytes.remove(place);
            }
            _ => {
                let end = bytes.len().min(place + random.below(20));
                let again = bytes[place..end].to_vec();
                bytes.splice(place..place, again);
            }
        }
    }
}

fn is_refusal(outcome: &str) -> bool {
    outcome.len() == 3
}

/// Whether a line ends so: what is also wrong otherwise may then be refused for either.
pub(super) fn has_bare_lf(bytes: &[u8]) -> bool {
    let mut pairs = bytes.windows(2);
    pairs.any(|two| two[1] == b'\n' && two[0] != b'\r') || bytes.starts_with(b"\n")
}

/// What it makes of them cut is what it makes of them whole. But a head that came at once may be refused before it has its end, and one that is
/// wrong in two ways, by a bare LF and otherwise, for either.
fn assert_same(bytes: &[u8], whole: &(String, Vec<u8>), cut: &(String, Vec<u8>)) {
    if whole == cut {
        return;
    }
    let split = |outcome: &str| match outcome.rsplit_once(", ") {
        Some((taken, last)) => (taken.to_owned(), last.to_owned()),
        None => (String::new(), outcome.to_owned()),
    };
    let ((taken, last), (cut_taken, cut_last)) = (split(&whole.0), split(&cut.0));
    let differ =
        is_refusal(&last) && (cut_last == "…" || is_refusal(&cut_last) && has_bare_lf(bytes));
    assert!(
        differ && taken == cut_taken,
        "{}: {whole:?}, {cut:?}",
        bytes.escape_ascii()
    );
    if cut_last == "…" {
        let end = b"\r\n\r\n";
        assert!(
            !cut.1.windows(4).any(|four| four == end),
            "{}: it waits",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn what_is_nearly_a_request_is_the_same_in_pieces() {
    let limits = Limits::new();
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let mut bytes = [request(&mut random), request(&mut random)].concat();
        mutate(&mut random, &mut bytes);
        let whole = decode(&limits, [bytes.as_slice()]);
        let last = whole.0.rsplit(", ").next().unwrap_or_default();
        taken += u64::from(!is_refusal(last));
        refused += u64::from(is_refusal(last));
        assert_same(&bytes, &whole, &decode(&limits, bytes.chunks(1)));
        let place = random.below(bytes.len() + 1);
        let (first, second) = bytes.split_at(place);
        assert_same(&bytes, &whole, &decode(&limits, [first, second]));
        let length = 1 + random.below(bytes.len());
        assert_same(&bytes, &whole, &decode(&limits, bytes.chunks(length)));
    }
    assert!(
        taken > ROUNDS / 4 && refused > ROUNDS / 4,
        "both are tried: {taken}, {refused}"
    );
}

#[test]
fn legal_requests_are_taken() {
    let limits = Limits::new();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let bytes = request(&mut random);
        let (outcome, rest) = decode(&limits, [bytes.as_slice()]);
        let is_taken = !is_refusal(&outcome) && !outcome.ends_with('…') && rest.is_empty();
        assert!(is_taken, "{}: {outcome}", bytes.escape_ascii());
    }
}

/// A decoder that knows the fields of the request before reads the next as one that knows none: taken or refused, and told the same.
#[test]
fn what_is_repeated_is_read_as_if_it_were_new() {
    const LINES: [&str; 10] = [
        "GET / HTTP/1.1",
        "POST /id/name HTTP/1.1",
        "POST /id HTTP/1.1",
        "HEAD /a.b/c?d=e&f HTTP/1.1",
        "GET /a/../b HTTP/1.1",
        "GET /a%20b?c%20d HTTP/1.1",
        "GET /long-enough-to-be-more-than-is-taken HTTP/1.1",
        "GET /a?b#c HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET  / HTTP/1.1",
    ];
    let limits = Limits::new().target_bytes(30);
    let mut repeated = 0;
    for seed in 0..10 * ROUNDS {
        let mut random = Random::new(seed);
        let first = request(&mut random);
        let fields = first.iter().position(|byte| *byte == b'\n');
        let fields = &first[fields.expect("a line") + 1..];
        let mut second = LINES[random.below(LINES.len())].as_bytes().to_vec();
        second.extend_from_slice(b"\r\n");
        second.extend_from_slice(fields);
        if random.below(2) == 0 {
            mutate(&mut random, &mut second);
        }
        let alone = decode(&limits, [first.as_slice()]);
        if !alone.1.is_empty() || alone.0.contains("closes") || is_refusal(&alone.0) {
            continue;
        }
        let new = decode(&limits, [second.as_slice()]);
        let both = decode(&limits, [[first, second.clone()].concat().as_slice()]);
        assert_eq!(both.1, new.1, "{}", second.escape_ascii());
        let expected = match (alone.0.as_str(), new.0.as_str()) {
            (alone, "") => alone.to_owned(),
            (alone, new) => format!("{alone}, {new}"),
        };
        assert_eq!(both.0, expected, "{}", second.escape_ascii());
        repeated += u64::from(!is_refusal(&new.0));
    }
    assert!(repeated > ROUNDS, "hardly any was taken: {repeated}");
}
