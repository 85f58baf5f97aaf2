//! What a client accepts: `Accept`, `Accept-Encoding`, and their weights.
//!
//! A header lists what is accepted, each with a weight `q` from 0 (not at all) to 1 (the default). For what is offered, the most precise
//! element counts, wherever it stands: the name itself, then (of a media type) `type/*`, then `*` or `*/*`. If the same element occurs
//! twice, the first counts.
//!
//! Headers come from anybody. What cannot be read accepts nothing: an element with a malformed weight is one with the weight 0. Other
//! parameters than `q` are passed over; commas and semicolons in a quoted string are no separators. A header that is sent in several lines
//! is one list (RFC 9110 §5.3).
//!
//! # Cost
//!
//! One pass over the header's lines for each name that is asked for, and no allocation.

use ::http::header::{ACCEPT, ACCEPT_ENCODING, AsHeaderName, GetAll};
use ::http::{HeaderMap, HeaderValue};

/// A weight in thousandths: `q=0.5` is 500.
type Weight = u16;

const FULL: Weight = 1000;

/// Whether the client accepts that encoding of the content: `gzip`, `identity`.
///
/// Without the header, or with an empty one, nothing but `identity` is accepted: RFC 9110 would allow anything, but a client that says
/// nothing often understands nothing. `identity`, which is no encoding, is accepted unless `identity;q=0` refuses it, or `*;q=0` without an
/// `identity`.
///
/// ```
/// use http::HeaderMap;
/// use libprocess::http::accept::accepts_encoding;
///
/// let mut headers = HeaderMap::new();
/// assert!(!accepts_encoding(&headers, "gzip"));
/// headers.insert("accept-encoding", "gzip;q=0.5, br;q=0".parse()?);
/// assert!(accepts_encoding(&headers, "gzip"));
/// assert!(!accepts_encoding(&headers, "br"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn accepts_encoding(headers: &HeaderMap, encoding: &str) -> bool {
    weight_of_encoding(headers, encoding).is_some()
}

/// The encoding that the client likes best of those that are offered; of equals, the one that is offered first.
///
/// `None` if none is accepted. If the client does not mention `identity`, it is what is left when nothing else fits: offer it, wherever you
/// can answer without an encoding.
///
/// ```
/// use http::HeaderMap;
/// use libprocess::http::accept::best_encoding;
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(best_encoding(&headers, &["gzip", "identity"]), Some("identity"));
/// headers.insert("accept-encoding", "gzip;q=0.5, br".parse()?);
/// assert_eq!(best_encoding(&headers, &["gzip", "br", "identity"]), Some("br"));
/// assert_eq!(best_encoding(&headers, &["gzip", "identity"]), Some("gzip"));
/// assert_eq!(best_encoding(&headers, &["zstd"]), None);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn best_encoding<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    best(offered, |encoding| weight_of_encoding(headers, encoding))
}

/// Whether the client accepts that media type, by its header `Accept`: `application/json`.
///
/// Without the header, everything is accepted; with an empty one, nothing. What is no `type/subtype` never is. Parameters of the media type
/// (`; charset=utf-8`) are passed over.
///
/// ```
/// use http::HeaderMap;
/// use libprocess::http::accept::accepts_media_type;
///
/// let mut headers = HeaderMap::new();
/// assert!(accepts_media_type(&headers, "application/json"));
/// headers.insert("accept", "text/*, application/json;q=0".parse()?);
/// assert!(accepts_media_type(&headers, "text/html"));
/// assert!(!accepts_media_type(&headers, "application/json"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn accepts_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    accepts_media_type_in(headers, ACCEPT, media_type)
}

/// The same by another header: of a stream of messages, say, whose own media type `Accept` tells.
///
/// ```
/// use http::HeaderMap;
/// use libprocess::http::accept::accepts_media_type_in;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("accept", "application/recordio".parse()?);
/// headers.insert("message-accept", "application/json".parse()?);
/// assert!(accepts_media_type_in(&headers, "message-accept", "application/json"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn accepts_media_type_in(
    headers: &HeaderMap,
    header: impl AsHeaderName,
    media_type: &str,
) -> bool {
    weight_of_media_type(&headers.get_all(header), media_type).is_some()
}

/// The media type that the client likes best of those that are offered, by its header `Accept`; of equals, the one that is offered first.
///
/// `None` if none is accepted: the answer is then 406.
///
/// ```
/// use http::HeaderMap;
/// use libprocess::http::accept::best_media_type;
///
/// let mut headers = HeaderMap::new();
/// let offered = ["application/json", "text/html"];
/// assert_eq!(best_media_type(&headers, &offered), Some("application/json"));
/// headers.insert("accept", "text/html, application/*;q=0.9".parse()?);
/// assert_eq!(best_media_type(&headers, &offered), Some("text/html"));
/// assert_eq!(best_media_type(&headers, &["image/png"]), None);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn best_media_type<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let lines = headers.get_all(ACCEPT);
    best(offered, |media_type| {
        weight_of_media_type(&lines, media_type)
    })
}

/// The one with the most weight; the first of equals.
fn best<'a>(offered: &[&'a str], weight: impl Fn(&str) -> Option<Weight>) -> Option<&'a str> {
    let weighed = offered.iter().filter_map(|one| Some((*one, weight(one)?)));
    weighed
        // `max_by_key` has the last of equals.
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(one, _)| one)
}

/// `None` if it is not accepted. 0 is `identity`, unmentioned: accepted, and liked less than whatever is mentioned.
fn weight_of_encoding(headers: &HeaderMap, encoding: &str) -> Option<Weight> {
    let lines = headers.get_all(ACCEPT_ENCODING);
    let weight = [encoding.as_bytes(), b"*"]
        .iter()
        .find_map(|name| weight_in(&lines, |range| range.eq_ignore_ascii_case(name)));
    match weight {
        Some(weight) => (weight > 0).then_some(weight),
        None => encoding.eq_ignore_ascii_case("identity").then_some(0),
    }
}

/// `None` if it is not accepted.
fn weight_of_media_type(lines: &GetAll<'_, HeaderValue>, media_type: &str) -> Option<Weight> {
    let name = media_type.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = name.split_once('/')?;
    if kind.is_empty() || subtype.is_empty() || subtype.contains('/') {
        return None;
    }
    if lines.iter().next().is_none() {
        return Some(FULL);
    }
    [(kind, subtype), (kind, "*"), ("*", "*")]
        .iter()
        .find_map(|(kind, subtype)| {
            weight_in(lines, |range| {
                let mut parts = range.splitn(2, |byte| *byte == b'/');
                let is = |part: Option<&[u8]>, name: &str| {
                    part.is_some_and(|part| part.eq_ignore_ascii_case(name.as_bytes()))
                };
                is(parts.next(), kind) && is(parts.next(), subtype)
            })
        })
        .filter(|weight| *weight > 0)
}

/// The weight of the first element whose name is wanted, if there is one.
fn weight_in(lines: &GetAll<'_, HeaderValue>, is_wanted: impl Fn(&[u8]) -> bool) -> Option<Weight> {
    for line in lines {
        for element in Split::new(line.as_bytes(), b',') {
            let mut parts = Split::new(element, b';');
            if parts.next().is_some_and(&is_wanted) {
                return Some(weight_among(parts));
            }
        }
    }
    None
}

/// The weight among the parameters of an element: the full one, if none of them is `q`.
fn weight_among(mut parameters: Split<'_>) -> Weight {
    let weight = parameters.find_map(|parameter| {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
        name.trim_ascii_end()
            .eq_ignore_ascii_case(b"q")
            .then(|| weight_of(value.trim_ascii_start()))
    });
    weight.unwrap_or(FULL)
}

/// A weight as it is written: `1`, `0.5`. What is not one weighs nothing, what is more than 1 weighs 1.
fn weight_of(text: &[u8]) -> Weight {
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = text.split_at(point.unwrap_or(text.len()));
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    let digits = || whole.iter().chain(fraction);
    if digits().next().is_none() || !digits().all(u8::is_ascii_digit) {
        return 0;
    }
    if whole.iter().any(|digit| *digit != b'0') {
        return FULL;
    }
    let thousandths = (0..3).fold(0, |weight, index| {
        weight * 10
            + fraction
                .get(index)
                .map_or(0, |digit| Weight::from(digit - b'0'))
    });
    // However little it is, it is not nothing.
    thousandths.max(fraction.iter().any(|digit| *digit != b'0').into())
}

/// The parts of a list, without the spaces around them; a separator in a quoted string separates nothing.
struct Split<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Split<'a> {
    fn new(list: &'a [u8], separator: u8) -> Self {
        Self {
            rest: Some(list),
            separator,
        }
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let list = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = list.iter().position(|byte| {
            let was_escaped = std::mem::take(&mut escaped);
            match byte {
                _ if was_escaped => {}
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                byte => return *byte == self.separator && !quoted,
            }
            false
        });
        self.rest = end.map(|end| &list[end + 1..]);
        Some(list[..end.unwrap_or(list.len())].trim_ascii())
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::exchange::random::{ROUNDS, Random};

    fn headers(header: &'static str, lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    fn accept(line: &str) -> HeaderMap {
        headers("accept", &[line.as_bytes()])
    }

    fn accept_encoding(line: &str) -> HeaderMap {
        headers("accept-encoding", &[line.as_bytes()])
    }

    #[test]
    fn media_types_that_are_not_accepted() {
        for line in [
            "text/*;q=0.0",
            "text/html;q=0.0",
            "text/",
            "text",
            "foo/*",
            "foo/*, text/*;q=0.0",
            "foo/*,\ttext/*;q=0.0",
            "*/*, text/*;q=0.0",
            "*/*;q=0.0, foo",
            "textttt/*",
            "",
            ",;,",
            "/",
            "*",
            "text/html;q=",
            "text/html;q=-1",
            "text/html;q=x",
            "text/html ; Q = 0",
            "*/*, text/html;level=1;q=0",
            "text/html;note=\"a,text/html\";q=0",
            "text/html;q=0, text/html",
        ] {
            assert!(!accepts_media_type(&accept(line), "text/html"), "{line}");
        }
        for line in ["text/*;q=0.0", "text/html;q=0.0", "*/*, text/*;q=0.0"] {
            assert!(!accepts_media_type(&accept(line), "text/*"), "{line}");
        }
    }

    #[test]
    fn media_types_that_are_accepted() {
        for line in [
            "text/*",
            "text/*;q=0.1",
            "text/html",
            "text/html;q=0.1",
            "text/bar, text/html,q=0.1",
            "*/*, text/bar;q=0.5",
            "*/*;q=0.9, text/foo",
            "text/foo,\ttext/*;q=0.1",
            "*/*",
            "*/*, text/bar",
            "*/*, foo/*",
            "TEXT/Html",
            "text/html;q=.5",
            "text/html;q=1.",
            "text/html;q=7",
            "text/html;q=0.0001",
            "text/*;q=0, text/html",
            "text/html;level=1;q=0.1",
        ] {
            assert!(accepts_media_type(&accept(line), "text/html"), "{line}");
        }
        let nothing = HeaderMap::new();
        assert!(accepts_media_type(&nothing, "text/html"));
        for none in ["", "text", "text/", "/html", "a/b/c"] {
            assert!(!accepts_media_type(&nothing, none), "{none}");
        }
        assert!(accepts_media_type(
            &accept("text/html"),
            "text/html; charset=utf-8"
        ));
    }

    #[test]
    fn encodings_that_are_not_accepted() {
        for line in [
            "gzip;q=0.0,*",
            "compress",
            "compress, gzip;q=0.0",
            "*, gzip;q=0.0",
            "*;q=0.0, compress",
            " compress",
            "compress,\tgzip;q=0.0",
            "",
            "gzi p",
        ] {
            assert!(!accepts_encoding(&accept_encoding(line), "gzip"), "{line}");
        }
        assert!(!accepts_encoding(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn encodings_that_are_accepted() {
        for line in [
            "gzip;q=0.1,*",
            "compress, gzip;q=0.1",
            "*, gzip;q=0.5",
            "*;q=0.9, compress",
            "compress,\tgzip;q=0.1",
            "gzip",
            "compress, gzip",
            "*",
            "*, compress",
            " gzip",
            "compress,\tgzip",
            "GZIP",
        ] {
            assert!(accepts_encoding(&accept_encoding(line), "gzip"), "{line}");
        }
    }

    #[test]
    fn identity_is_accepted_unless_it_is_refused() {
        for (line, accepted) in [
            ("", true),
            ("gzip", true),
            ("*", true),
            ("*;q=0, identity", true),
            ("identity;q=0", false),
            ("gzip, *;q=0", false),
            ("*, identity;q=0", false),
        ] {
            let headers = accept_encoding(line);
            assert_eq!(accepts_encoding(&headers, "identity"), accepted, "{line}");
        }
        assert!(accepts_encoding(&HeaderMap::new(), "Identity"));
    }

    #[test]
    fn lines_are_one_list() {
        let lines = headers("accept", &[b"*/*", b"text/html;q=0"]);
        assert!(!accepts_media_type(&lines, "text/html"));
        assert!(accepts_media_type(&lines, "text/plain"));
    }

    #[test]
    fn what_is_not_ascii_does_no_harm() {
        let lines = headers("accept", &[b"\xff/\xfe, text/html;x=\xff"]);
        assert!(accepts_media_type(&lines, "text/html"));
        assert!(!accepts_media_type(&lines, "é/ü"));
    }

    #[test]
    fn the_best_is_the_heaviest_and_of_equals_the_first() {
        let offered = ["text/html", "application/json", "text/plain"];
        for (line, best) in [
            ("*/*", Some("text/html")),
            ("application/*", Some("application/json")),
            ("text/plain, text/html;q=0.9", Some("text/plain")),
            (
                "text/*;q=0.2, application/json;q=0.3",
                Some("application/json"),
            ),
            ("*/*, text/html;q=0.999", Some("application/json")),
            ("text/html;q=0, */*;q=0.001", Some("application/json")),
            ("image/*", None),
            ("*/*;q=0", None),
        ] {
            assert_eq!(best_media_type(&accept(line), &offered), best, "{line}");
        }
        assert_eq!(best_media_type(&HeaderMap::new(), &[]), None);

        for (line, best) in [
            ("", Some("identity")),
            ("gzip;q=0.001", Some("gzip")),
            ("gzip;q=0.5, identity", Some("identity")),
            ("*;q=0.5", Some("identity")),
            ("br", Some("identity")),
            ("br, *;q=0", None),
        ] {
            let best_of = best_encoding(&accept_encoding(line), &["identity", "gzip"]);
            assert_eq!(best_of, best, "{line}");
        }
    }

    #[test]
    fn weights_are_thousandths() {
        for (text, weight) in [
            ("1", 1000),
            ("1.000", 1000),
            ("0.5", 500),
            ("0.125", 125),
            ("0.0009", 1),
            ("0", 0),
            ("0.000", 0),
            ("00.1", 100),
            ("99999999999999999999", 1000),
            (".", 0),
            ("", 0),
            ("0.5.5", 0),
            ("1e3", 0),
            ("nan", 0),
            ("\"1\"", 0),
        ] {
            assert_eq!(weight_of(text.as_bytes()), weight, "{text}");
        }
    }

    #[test]
    fn a_list_that_was_written_is_read() {
        const NAMES: [&str; 4] = ["a/b", "a/*", "*/*", "c/d"];
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let list: Vec<_> = (0..1 + random.below(4))
                .map(|_| (NAMES[random.below(NAMES.len())], random.below(1001)))
                .collect();
            let line: Vec<_> = list
                .iter()
                .map(|(name, weight)| format!("{name};x=\",\\\";\";q={}", *weight as f64 / 1000.0))
                .collect();
            let headers = accept(&line.join([", ", ",", "\t,,"][random.below(3)]));
            let expected = NAMES[..3]
                .iter()
                .find_map(|name| list.iter().find(|(its, _)| its == name))
                .is_some_and(|(_, weight)| *weight > 0);
            assert_eq!(
                accepts_media_type(&headers, "a/b"),
                expected,
                "seed {seed}: {headers:?}"
            );
        }
    }

    #[test]
    fn no_header_panics() {
        for seed in 0..ROUNDS {
            let mut random = Random::new(seed);
            let pieces = [
                "a", "/", "*", ",", ";", "q", "=", "0", ".", "\"", "\\", " ", "é",
            ];
            let line = random.pieces(&pieces, 20);
            let asked = random.pieces(&pieces, 4);
            accepts_media_type(&accept(&line), &asked);
            accepts_encoding(&accept_encoding(&line), &asked);
            best_media_type(&accept(&line), &["a/a", &asked]);
            if let Ok(value) = HeaderValue::from_bytes(&random.bytes(20)) {
                let lines = headers("accept", &[value.as_bytes()]);
                accepts_media_type(&lines, &random.text(5));
            }
        }
    }
}
