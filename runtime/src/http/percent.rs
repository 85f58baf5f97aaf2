//! Percent encoding: the bytes that libprocess escapes, and no others.
//!
//! | bytes | encoded |
//! |---|---|
//! | letters, digits, `-` `_` `.` `!` `*` `'` `(` `)`, and DEL | as they are |
//! | `$ & + , / : ; = ? @`, space, `" < > # % { } \| \ ^ ~ [ ]` and the backtick | `%` and two upper-case hexadecimal digits |
//! | below 0x20, above 0x7F | the same |
//!
//! RFC 3986 would leave `~` alone, and would escape DEL; a text that goes to a peer is to have the very bytes that the peer would have
//! written itself, so both are as they have always been. Whatever is printed *into a URL* escapes DEL, too: see [`Query`](super::Query).
//!
//! Decoding reads `+` as a space, as forms write it, and is strict: a `%` without two hexadecimal digits is an error. The crate
//! `percent-encoding` does the work, but would let such a `%` pass.

use std::borrow::Cow;

use ::percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode, percent_encode_byte};

/// What [`encode`] escapes; bytes that are not ASCII are escaped always.
const ESCAPED: AsciiSet = CONTROLS
    .remove(0x7f)
    .add(b'$')
    .add(b'&')
    .add(b'+')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'=')
    .add(b'?')
    .add(b'@')
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'#')
    .add(b'%')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'~')
    .add(b'[')
    .add(b']')
    .add(b'`');

/// The same, and DEL: for a text that becomes part of a URL.
pub(super) const ESCAPED_IN_URL: AsciiSet = ESCAPED.add(0x7f);

/// The text cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A `%` that two hexadecimal digits do not follow.
    #[error(
        "`{escape}` at byte {at} is no escape: `%` takes two hexadecimal digits, and is itself written %25"
    )]
    Malformed {
        /// Where the `%` is, in bytes from the start.
        at: usize,
        /// The `%` and what follows it, three bytes at most.
        escape: String,
    },
    /// What was decoded is not text.
    #[error("byte {at} of what was decoded is not UTF-8: use `decode_bytes` for what is not text")]
    NotUtf8 {
        /// The first byte that does not fit, in bytes from the start of what was decoded.
        at: usize,
    },
}

/// Percent-encodes a text, or any bytes.
///
/// Not for what is encoded already: its `%` are escaped again.
///
/// # Cost
///
/// One pass, and the allocation of the result.
///
/// ```
/// use libprocess::http::{decode, encode};
///
/// assert_eq!(encode("a/b c~"), "a%2Fb%20c%7E");
/// assert_eq!(encode([0x80, 0xff, 0]), "%80%FF%00");
/// assert_eq!(decode(encode("100% é"))?, "100% é");
/// # Ok::<(), libprocess::http::DecodeError>(())
/// ```
pub fn encode(text: impl AsRef<[u8]>) -> String {
    percent_encode(text.as_ref(), &ESCAPED).to_string()
}

/// Percent-encodes a text, and in it also the bytes of `also`.
///
/// # Cost
///
/// One pass, with a look into `also` for each byte, and the allocation of the result.
///
/// ```
/// use libprocess::http::{decode, encode_with};
///
/// assert_eq!(encode_with("foo.bar", "."), "foo%2Ebar");
/// assert_eq!(decode("foo%2Ebar")?, "foo.bar");
/// # Ok::<(), libprocess::http::DecodeError>(())
/// ```
pub fn encode_with(text: impl AsRef<[u8]>, also: impl AsRef<[u8]>) -> String {
    let also = also.as_ref();
    let mut encoded = String::with_capacity(text.as_ref().len());
    for piece in text.as_ref().split_inclusive(|byte| also.contains(byte)) {
        match piece.split_last() {
            Some((last, before)) if also.contains(last) => {
                encoded.extend(percent_encode(before, &ESCAPED));
                encoded.push_str(percent_encode_byte(*last));
            }
            _ => encoded.extend(percent_encode(piece, &ESCAPED)),
        }
    }
    encoded
}

/// Decodes a percent-encoded text; `+` is a space.
///
/// # Errors
///
/// [`DecodeError::Malformed`] if a `%` has not two hexadecimal digits, [`DecodeError::NotUtf8`] if the result is not text: then
/// [`decode_bytes`] has it.
///
/// # Cost
///
/// One pass to check, one to decode, one to see that it is UTF-8, and the allocation of the result.
///
/// ```
/// use libprocess::http::decode;
///
/// assert_eq!(decode("a%2Fb+c")?, "a/b c");
/// assert_eq!(
///     decode("100%").unwrap_err().to_string(),
///     "`%` at byte 3 is no escape: `%` takes two hexadecimal digits, and is itself written %25",
/// );
/// assert!(decode("%FF").is_err()); // no text
/// # Ok::<(), libprocess::http::DecodeError>(())
/// ```
pub fn decode(text: impl AsRef<[u8]>) -> Result<String, DecodeError> {
    text_of(decode_bytes(text)?)
}

/// What was decoded, if it is text.
pub(super) fn text_of(decoded: Vec<u8>) -> Result<String, DecodeError> {
    String::from_utf8(decoded).map_err(|error| DecodeError::NotUtf8 {
        at: error.utf8_error().valid_up_to(),
    })
}

/// Decodes a percent-encoded text to bytes of any kind; `+` is a space.
///
/// # Errors
///
/// [`DecodeError::Malformed`] if a `%` has not two hexadecimal digits.
///
/// # Cost
///
/// One pass to check, one to decode, and the allocation of the result.
///
/// ```
/// use libprocess::http::decode_bytes;
///
/// assert_eq!(decode_bytes("%80%FF+%00")?, [0x80, 0xff, b' ', 0]);
/// assert!(decode_bytes("%1;").is_err());
/// # Ok::<(), libprocess::http::DecodeError>(())
/// ```
pub fn decode_bytes(text: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeError> {
    let text = text.as_ref();
    check_escapes(text)?;
    // Before decoding, which is what makes spaces of `+` and pluses of `%2B`.
    let spaced = if text.contains(&b'+') {
        let space = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
        Cow::Owned(text.iter().map(space).collect())
    } else {
        Cow::Borrowed(text)
    };
    Ok(percent_decode(&spaced).collect())
}

/// That two hexadecimal digits follow each `%`.
pub(super) fn check_escapes(text: &[u8]) -> Result<(), DecodeError> {
    // The digits of an escape are no `%` themselves, so that each `%` begins one.
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'%' {
            let escape = &text[at..text.len().min(at + 3)];
            if escape.len() != 3 || !escape[1..].iter().all(u8::is_ascii_hexdigit) {
                return Err(DecodeError::Malformed {
                    at,
                    escape: String::from_utf8_lossy(escape).into_owned(),
                });
            }
        }
    }
    Ok(())
}

/// The beginning of a text that is somebody else's, for an error: of whatever length the text is, an error stays readable.
pub(super) fn excerpt(text: &str) -> String {
    const CHARS: usize = 60;
    match text.char_indices().nth(CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::exchange::random::{ROUNDS, Random};

    const PLAIN: &[u8] = b"a$&+,/:;=?@ \"<>#%{}|\\^~[]`\x19\x80\xff\0";
    const ENCODED: &str = "a%24%26%2B%2C%2F%3A%3B%3D%3F%40%20%22%3C%3E%23\
                           %25%7B%7D%7C%5C%5E%7E%5B%5D%60%19%80%FF%00";

    #[test]
    fn reserved_and_unsafe_bytes_are_escaped() {
        assert_eq!(encode(PLAIN), ENCODED);
        assert_eq!(decode_bytes(ENCODED), Ok(PLAIN.to_vec()));
    }

    #[test]
    fn exactly_the_bytes_of_libprocess_are_escaped() {
        for byte in 0..=u8::MAX {
            let kept = byte.is_ascii_alphanumeric() || b"-_.!*'()\x7f".contains(&byte);
            let expected = if kept {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            };
            assert_eq!(encode([byte]), expected);
        }
    }

    #[test]
    fn a_plus_is_a_space() {
        assert_eq!(
            decode_bytes(ENCODED.replace("%20", "+")),
            Ok(PLAIN.to_vec())
        );
        assert_eq!(decode("+%2B%2b").as_deref(), Ok(" ++"));
    }

    #[test]
    fn a_percent_sign_without_two_digits_is_an_error() {
        for (text, at, escape) in [
            ("%", 0, "%"),
            ("%1", 0, "%1"),
            ("%;1", 0, "%;1"),
            ("%1;", 0, "%1;"),
            ("ab%20%2", 5, "%2"),
            ("%%20", 0, "%%2"),
            ("%+1", 0, "%+1"),
            ("%1é", 0, "%1\u{fffd}"),
        ] {
            let expected = DecodeError::Malformed {
                at,
                escape: escape.to_owned(),
            };
            assert_eq!(decode(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_text_is_bytes_only() {
        assert_eq!(decode("a%C3%28"), Err(DecodeError::NotUtf8 { at: 1 }));
        assert_eq!(decode_bytes("a%C3%28"), Ok(b"a\xc3(".to_vec()));
        assert_eq!(decode("%C3%A9").as_deref(), Ok("é"));
    }

    #[test]
    fn more_bytes_can_be_escaped() {
        assert_eq!(encode_with("foo.bar", "."), "foo%2Ebar");
        assert_eq!(encode_with("..a%\u{7f}", ".\u{7f}"), "%2E%2Ea%25%7F");
        assert_eq!(encode_with("", "."), "");
    }

    #[test]
    fn whatever_is_encoded_is_decoded() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let (bytes, also) = (random.bytes(40), random.bytes(5));
            assert_eq!(
                decode_bytes(encode(&bytes)),
                Ok(bytes.clone()),
                "seed {seed}"
            );
            let encoded = encode_with(&bytes, &also);
            let plain = |byte: &u8| *byte != b'%' && !byte.is_ascii_hexdigit();
            assert!(
                !also
                    .iter()
                    .filter(|byte| plain(byte))
                    .any(|byte| encoded.as_bytes().contains(byte)),
                "seed {seed}"
            );
            assert_eq!(decode_bytes(encoded), Ok(bytes), "seed {seed}");
        }
    }

    #[test]
    fn no_bytes_panic() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let _ = decode(random.bytes(20));
            let text = random.pieces(&["%", "4", "f", "F", "g", "+", "é", "%41", "\0"], 9);
            if let Ok(decoded) = decode(&text) {
                assert_eq!(decode(encode(&decoded)), Ok(decoded), "seed {seed}");
            }
        }
    }

    #[test]
    fn an_excerpt_is_short() {
        assert_eq!(excerpt("é"), "é");
        assert_eq!(excerpt(&"é".repeat(1000)).chars().count(), 61);
    }
}
