//! The target of a request: RFC 9112, section 3.2.

use std::net::Ipv6Addr;
use std::ops::Range;

use ::http::uri::Authority;

use super::Refusal;

/// Where the parts of a target are, in the target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Empty in an absolute form without one, which means `/`.
    pub(super) path: Range<usize>,
    pub(super) kind: PathKind,
}

/// What a path needs to be looked at for, before a process is found by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathKind {
    /// There is a percent sign in it.
    pub(crate) is_encoded: bool,
    /// There is `/..` in it.
    pub(crate) is_relative: bool,
}

const PATH: u8 = 1;
const QUERY: u8 = 2;
/// Of a path, and neither a part of an escape nor of `/..`.
const PLAIN: u8 = 4;

/// RFC 3986: `pchar` and `/`; in a query also `?`, and what browsers leave as it is there.
static ALLOWED: [u8; 256] = {
    let mut allowed = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() {
            allowed[byte] = PATH | QUERY | PLAIN;
        }
        byte += 1;
    }
    let both = b"-_~!$&'()*+,;=:@/";
    let mut i = 0;
    while i < both.len() {
        allowed[both[i] as usize] = PATH | QUERY | PLAIN;
        i += 1;
    }
    allowed[b'.' as usize] = PATH | QUERY;
    allowed[b'%' as usize] = PATH | QUERY;
    let query = b"?[]^`{|}";
    let mut i = 0;
    while i < query.len() {
        allowed[query[i] as usize] = QUERY;
        i += 1;
    }
    allowed
};

pub(super) fn parse(method: &str, target: &[u8]) -> Result<Target, Refusal> {
    match target {
        [b'/', ..] => {
            let (end, kind) = path_end(target, 0)?;
            Ok(Target { path: 0..end, kind })
        }
        b"*" if method == "OPTIONS" => Ok(Target {
            path: 0..1,
            kind: PathKind::default(),
        }),
        _ => absolute(target),
    }
}

/// What was sent to a proxy, or by a client that takes this for one: a server must take it, too.
fn absolute(target: &[u8]) -> Result<Target, Refusal> {
    const BAD: Refusal = Refusal::bad("the target is neither a path nor an http URL");
    let scheme = [b"http://".as_slice(), b"https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or(BAD)?;
    let authority = &target[scheme.len()..];
    let length = authority
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(authority.len());
    let authority = &authority[..length];
    // RFC 9110, section 4.2.1: a URL without a host must be refused. The `http` crate is to take it, too: a request is made of it.
    let is_taken = is_host(authority) && !authority.is_empty() && !authority.starts_with(b":");
    if !is_taken || Authority::try_from(authority).is_err() {
        return Err(BAD);
    }
    let start = scheme.len() + length;
    let (end, kind) = path_end(target, start)?;
    Ok(Target {
        path: start..end,
        kind,
    })
}

/// Where the path that begins there ends; what is allowed is looked at to the end of the query.
fn path_end(target: &[u8], start: usize) -> Result<(usize, PathKind), Refusal> {
    let mut place = start;
    let mut allowed = PATH;
    let mut end = None;
    let mut kind = PathKind::default();
    while let Some(&byte) = target.get(place) {
        if ALLOWED[usize::from(byte)] & allowed == 0 {
            if byte != b'?' {
                return Err(Refusal::bad("the target has a byte that must be encoded"));
            }
            end = Some(place);
            allowed = QUERY;
        } else if byte == b'%' {
            if !is_escape(&target[place..]) {
                return Err(Refusal::bad("the target has a % without two digits"));
            }
            kind.is_encoded |= end.is_none();
        } else if byte == b'.' && end.is_none() && target[..place].ends_with(b"/.") {
            kind.is_relative = true;
        }
        place += 1;
    }
    Ok((end.unwrap_or(place), kind))
}

/// Where a path that begins there ends, and its query with it, by a space, and what it needs to be looked at for. `None` if there is something in it that is not plain.
#[inline]
pub(super) fn plain(text: &[u8], start: usize) -> Option<(usize, usize, PathKind)> {
    if text.get(start) != Some(&b'/') {
        return None;
    }
    let mut place = start;
    loop {
        let byte = *text.get(place)?;
        let is_plain =
            ALLOWED[usize::from(byte)] & PLAIN != 0 || byte == b'.' && text[place - 1] != b'/';
        if !is_plain {
            break;
        }
        place += 1;
    }
    let path_end = place;
    if text[place] == b'?' {
        place += 1;
        while ALLOWED[usize::from(*text.get(place)?)] & QUERY != 0 {
            if text[place] == b'%' {
                return None;
            }
            place += 1;
        }
    }
    (text[place] == b' ').then_some((path_end, place, PathKind::default()))
}

/// Appends a path: what a target must not have is escaped, and nothing else.
pub(super) fn put_path(out: &mut Vec<u8>, path: &[u8]) {
    put(out, path, PATH);
}

/// Appends a query, in the same way.
pub(super) fn put_query(out: &mut Vec<u8>, query: &[u8]) {
    put(out, query, QUERY);
}

fn put(out: &mut Vec<u8>, text: &[u8], allowed: u8) {
    for (place, byte) in text.iter().enumerate() {
        let is_allowed = ALLOWED[usize::from(*byte)] & allowed != 0;
        if is_allowed && (*byte != b'%' || is_escape(&text[place..])) {
            out.push(*byte);
        } else {
            put_escape(out, *byte);
        }
    }
}

/// Appends any text as one segment of a path: what it says is what is read, percent signs and slashes too.
#[inline]
pub(super) fn put_segment(out: &mut Vec<u8>, text: &[u8]) {
    // A `+` is allowed there, but C++ libprocess takes one in an id for a space.
    put_text(out, text, |byte| !matches!(byte, b'/' | b'+'));
}

/// As `put_segment`, as segments: a slash is one.
#[inline]
pub(super) fn put_segments(out: &mut Vec<u8>, text: &[u8]) {
    put_text(out, text, |_| true);
}

#[inline]
fn put_text(out: &mut Vec<u8>, text: &[u8], stays: impl Fn(u8) -> bool) {
    if text
        .iter()
        .all(|byte| ALLOWED[usize::from(*byte)] & PLAIN != 0 && stays(*byte))
    {
        return out.extend_from_slice(text);
    }
    for byte in text {
        let is_plain = ALLOWED[usize::from(*byte)] & PLAIN != 0 || *byte == b'.';
        if is_plain && stays(*byte) {
            out.push(*byte);
        } else {
            put_escape(out, *byte);
        }
    }
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
    out.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
}

/// Whether it begins with a percent sign and two digits.
fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', one, two, ..] if one.is_ascii_hexdigit() && two.is_ascii_hexdigit())
}

fn has_whole_escapes(text: &[u8]) -> bool {
    let is_legal = |(place, byte): (usize, &u8)| *byte != b'%' || is_escape(&text[place..]);
    text.iter().enumerate().all(is_legal)
}

/// Whether it can be the host and port of a `Host` field: RFC 9110, section 7.2. It may be empty, as where there is no authority.
pub(super) fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let address = std::str::from_utf8(&rest[..end]);
            if !address.is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok()) {
                return false;
            }
            (b"".as_slice(), &rest[end + 1..])
        }
        None => {
            let end = host.iter().position(|byte| *byte == b':');
            host.split_at(end.unwrap_or(host.len()))
        }
    };
    // As in a path, but for what separates its parts.
    let is_name =
        |byte: &u8| ALLOWED[usize::from(*byte)] & PATH != 0 && !matches!(byte, b'/' | b':' | b'@');
    let port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    port && name.iter().all(is_name) && has_whole_escapes(name)
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use ::http::Uri;

    fn path_of(target: &str) -> Result<&str, Refusal> {
        let parsed = parse("GET", target.as_bytes())?;
        Ok(&target[parsed.path])
    }

    #[test]
    fn a_target_is_a_path_or_a_url() {
        for (target, path) in [
            ("/", "/"),
            ("/a/b?c=d?e", "/a/b"),
            ("/a%20b", "/a%20b"),
            ("/a(1)/b", "/a(1)/b"),
            ("http://host:80/a?b", "/a"),
            ("HTTP://host?b", ""),
            ("https://[::1]:5050/a", "/a"),
            ("http://host", ""),
        ] {
            assert_eq!(path_of(target), Ok(path), "{target}");
        }
        for target in [
            "a",
            "*",
            "host:80",
            "/a b",
            "/a#b",
            "/%",
            "/%2",
            "/%zz",
            "/a\u{e9}",
            "http://",
            "http:///a",
            "http://:80/a",
            "ftp://host/",
            "http://a@b/",
            "http://[::1/",
            "/{a}",
            "http://a%41/",
            "http://[1:2:3:4:5:6:7:8:9:a]/",
            "?a",
            "http://host:123456/",
        ] {
            assert!(path_of(target).is_err(), "{target}");
        }
        assert!(parse("OPTIONS", b"*").is_ok());
    }

    /// Else a request could not be made of a head that was taken.
    #[test]
    fn what_is_allowed_makes_a_uri() {
        for byte in 0..=255_u8 {
            for target in [[b'/', byte].to_vec(), [b'/', b'?', byte].to_vec()] {
                if parse("GET", &target).is_ok() {
                    let text = std::str::from_utf8(&target).expect("text");
                    let uri: Uri = text.parse().unwrap_or_else(|_| panic!("{text}"));
                    assert_eq!(uri.path_and_query().map(|both| both.as_str()), Some(text));
                }
            }
        }
    }

    #[test]
    fn a_segment_has_no_slash_and_no_plus() {
        let written = |put: fn(&mut Vec<u8>, &[u8]), text: &str| {
            let mut out = Vec::new();
            put(&mut out, text.as_bytes());
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(written(put_segment, "a+b/c(1)"), "a%2Bb%2Fc(1)");
        assert_eq!(written(put_segment, "plain"), "plain");
        assert_eq!(written(put_segments, "a+b/c"), "a+b/c");
    }

    #[test]
    fn hosts() {
        for host in [
            "",
            "a",
            "a.b:80",
            "127.0.0.1:5050",
            "[::1]:1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "a:",
            "a%20b",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b",
            "a/b",
            "[::1",
            "a:b",
            "a:1:2",
            "a@b",
            "[g]",
            "a\"",
            "[::1]x",
            "[]",
            "[1.1.1.1]",
            "[1::2::3]",
            "a%",
            "a%2",
            "a%zz",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
