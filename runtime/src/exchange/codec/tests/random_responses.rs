//! Legal responses with a few bytes changed: wherever they are cut, and whether they are read at once or as they come, they are the same.

use super::random::{has_bare_lf, mutate};
use super::responses::{GET, HEAD, decode};
use crate::exchange::random::{ROUNDS, Random};
use crate::exchange::{Asked, Limits};

/// A legal response.
fn response(random: &mut Random) -> Vec<u8> {
    const LINES: [&str; 6] = [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.1 204 ",
        "HTTP/1.1 304 A",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 103 A",
    ];
    const FIELDS: [&str; 5] = [
        "B: c",
        "D:\te ",
        "F:",
        "Connection: close",
        "Connection: keep-alive",
    ];
    let line = LINES[random.below(LINES.len())];
    let mut text = format!("{line}\r\n");
    for field in random.of(&FIELDS, 3) {
        text += &format!("{field}\r\n");
    }
    let body = random.of(&["a", "0\r\n", "\r\n\r\n"], 4).concat();
    let is_bodiless = ["204 ", "304 A", "103 A"]
        .iter()
        .any(|end| line.ends_with(end));
    match random.below(8) {
        _ if is_bodiless => text += "\r\n",
        0 => text += &format!("\r\n{body}"),
        1 | 2 if !line.contains("1.0") => {
            text += "Transfer-Encoding: chunked\r\n\r\n";
            if !body.is_empty() {
                text += &format!("{:x};g=\"h\"\r\n{body}\r\n", body.len());
            }
            text += ["0\r\n\r\n", "0\r\nSum: 7\r\n\r\n"][random.below(2)];
        }
        _ => text += &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
    }
    text.into_bytes()
}

/// Of responses that are cut or streamed. What came at once may be refused before its end has come, and for either of two reasons.
fn assert_same(bytes: &[u8], whole: &str, cut: &str) {
    if whole == cut {
        return;
    }
    let split = |outcome: &str| match outcome.split_once("refused: ") {
        Some((taken, reason)) => (taken.to_owned(), Some(reason.to_owned())),
        None => (outcome.trim_end_matches('…').to_owned(), None),
    };
    let ((taken, reason), (cut_taken, cut_reason)) = (split(whole), split(cut));
    let waits = cut.ends_with('…') || cut.ends_with("in the middle of a response");
    let is_legal = reason.is_some()
        && taken == cut_taken
        && (waits || cut_reason.is_some() && has_bare_lf(bytes));
    assert!(is_legal, "{}: {whole}, {cut}", bytes.escape_ascii());
}

#[test]
fn what_is_nearly_a_response_is_the_same_in_pieces() {
    let limits = Limits::new();
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let mut bytes = [response(&mut random), response(&mut random)].concat();
        mutate(&mut random, &mut bytes);
        let asked = [GET, GET, GET, HEAD][random.below(4)];
        let closes = random.below(2) == 0;
        let whole = decode(&limits, asked, [bytes.as_slice()], closes).0;
        let is_refused = whole.contains("refused: ");
        taken += u64::from(!is_refused);
        refused += u64::from(is_refused);
        for streams in [false, true] {
            let asked = Asked { streams, ..asked };
            let place = random.below(bytes.len() + 1);
            let (first, second) = bytes.split_at(place);
            let length = 1 + random.below(bytes.len());
            for cut in [
                decode(&limits, asked, [bytes.as_slice()], closes),
                decode(&limits, asked, bytes.chunks(1), closes),
                decode(&limits, asked, [first, second], closes),
                decode(&limits, asked, bytes.chunks(length), closes),
            ] {
                assert_same(&bytes, &whole, &cut.0);
            }
        }
    }
    assert!(
        taken > ROUNDS / 5 && refused > ROUNDS / 5,
        "both are tried: {taken}, {refused}"
    );
}

#[test]
fn legal_responses_are_taken() {
    let limits = Limits::new();
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let bytes = response(&mut random);
        if bytes.starts_with(b"HTTP/1.1 103") {
            continue;
        }
        let (outcome, rest) = decode(&limits, GET, [bytes.as_slice()], true);
        let is_taken = !outcome.contains("refused") && !outcome.ends_with('…') && rest.is_empty();
        assert!(is_taken, "{}: {outcome}", bytes.escape_ascii());
    }
}
