//! Another reader of requests: slow, plain, and along the grammar of RFC 9112.

use crate::http::Body;
use ::http::{HeaderMap, Request, Version};

use super::Outcome;

/// The limits, by number.
pub(super) struct Most {
    pub(super) head: usize,
    pub(super) target: usize,
    pub(super) fields: usize,
    pub(super) body: u64,
}

/// Behind the empty line that ends a head.
pub(super) fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut begin = 0;
    while bytes[begin..].starts_with(b"\r\n") {
        begin += 2;
    }
    let end = bytes[begin..]
        .windows(4)
        .position(|four| four == b"\r\n\r\n")?;
    Some(begin + end + 4)
}

/// Whether a line ends so.
pub(super) fn has_bare_lf(text: &[u8]) -> bool {
    let mut pairs = text.windows(2);
    text.starts_with(b"\n") || pairs.any(|two| two[1] == b'\n' && two[0] != b'\r')
}

/// Whether what was taken is what the bytes are.
pub(super) fn check(bytes: &[u8], whole: &Outcome, most: &Most) {
    let mut begin = 0;
    for (request, end, _) in &whole.taken {
        check_one(&bytes[begin..*end], request, most);
        begin = *end;
    }
    if whole.refused.is_none() && !whole.is_in_body {
        assert!(
            bytes[begin..].ends_with(&whole.rest),
            "the rest is what was not taken"
        );
        let skipped = &bytes[begin..bytes.len() - whole.rest.len()];
        assert!(
            skipped.chunks(2).all(|two| two == b"\r\n"),
            "empty lines alone are skipped"
        );
    }
}

fn check_one(mut bytes: &[u8], request: &Request<Body>, most: &Most) {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    let end = head_end(bytes).expect("a request that was taken has a head");
    assert!(end <= most.head);
    let (head, body) = bytes.split_at(end);
    let lines = lines_of(&head[..end - 2]);
    check_line(lines[0], request, most);
    let fields: Vec<_> = lines[1..].iter().map(|line| field_of(line)).collect();
    assert!(fields.len() <= most.fields);
    check_host(&fields, request.version());
    let of_target = request.uri().authority().map(|host| host.as_str());
    check_headers(
        &with_host(&fields, of_target),
        request.headers(),
        request.body(),
    );
    check_body(
        body,
        &fields,
        request.version(),
        request.headers(),
        request.body(),
        most,
    );
    assert!(request.body().len() as u64 <= most.body);
}

/// The Host of a target that names one is that one.
fn with_host<'a>(
    fields: &[(String, &'a [u8])],
    of_target: Option<&'a str>,
) -> Vec<(String, &'a [u8])> {
    let mut fields = fields.to_vec();
    if let Some(host) = of_target {
        fields.retain(|(name, _)| name != "host");
        fields.push(("host".to_owned(), host.as_bytes()));
    }
    fields
}

/// The fields are there, with the length of the body as it is now, if that was unpacked.
pub(super) fn check_headers(fields: &[(String, &[u8])], headers: &HeaderMap, body: &Body) {
    let length = body.len().to_string();
    let mut fields = fields.to_vec();
    if is_unpacked(&fields, headers) {
        fields.retain(|(name, _)| name != "content-encoding");
        for (_, value) in fields
            .iter_mut()
            .filter(|(name, _)| name == "content-length")
        {
            *value = length.as_bytes();
        }
    }
    check_fields(&fields, headers);
}

/// Whether the body was packed by gzip alone, and is not as it came.
pub(super) fn is_unpacked(fields: &[(String, &[u8])], headers: &HeaderMap) -> bool {
    let is_gzip = match values(fields, "content-encoding")[..] {
        [coding] => coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip"),
        _ => false,
    };
    is_gzip && !headers.contains_key("content-encoding")
}

/// Lines that end with CR LF, in which there is neither of both otherwise.
pub(super) fn lines_of(mut text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = text.windows(2).position(|two| two == b"\r\n") {
        let line = &text[..end];
        assert!(
            !line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "no bare CR, LF or NUL"
        );
        lines.push(line);
        text = &text[end + 2..];
    }
    assert!(text.is_empty());
    lines
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// `method SP request-target SP HTTP-version`.
fn check_line(line: &[u8], request: &Request<Body>, most: &Most) {
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else {
        panic!("a request line has three words");
    };
    assert!(is_token(method));
    assert_eq!(request.method().as_str().as_bytes(), method);
    assert_ne!(method, b"CONNECT");
    assert_eq!(
        request.version(),
        match version {
            b"HTTP/1.0" => Version::HTTP_10,
            b"HTTP/1.1" => Version::HTTP_11,
            _ => panic!("no version of HTTP/1"),
        }
    );
    assert!(target.len() <= most.target);
    assert!(
        target
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b'#')
    );
    let target = std::str::from_utf8(target).expect("ASCII");
    let uri = request.uri();
    if target.starts_with('/') || target == "*" {
        assert_eq!(uri.to_string(), target);
        assert!(target != "*" || method == b"OPTIONS");
        return;
    }
    let (scheme, rest) = target.split_once("://").expect("an absolute target");
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    assert!(
        !authority.is_empty() && !authority.starts_with(':'),
        "a host"
    );
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    assert!(
        uri.scheme_str()
            .is_some_and(|given| given.eq_ignore_ascii_case(scheme))
    );
    assert_eq!(
        uri.authority().map(http::uri::Authority::as_str),
        Some(authority)
    );
    assert_eq!(uri.path(), if path.is_empty() { "/" } else { path });
    assert_eq!(uri.query(), query);
}

/// `field-name ":" OWS field-value OWS`.
pub(super) fn field_of(line: &[u8]) -> (String, &[u8]) {
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .expect("a field has a colon");
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    assert!(is_token(name));
    assert!(
        value
            .iter()
            .all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f)
    );
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    (name, trimmed(value))
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

pub(super) fn values<'a>(fields: &[(String, &'a [u8])], wanted: &str) -> Vec<&'a [u8]> {
    fields
        .iter()
        .filter(|(name, _)| name == wanted)
        .map(|(_, value)| *value)
        .collect()
}

/// All fields are there, those of a name in their order, and no others.
fn check_fields(fields: &[(String, &[u8])], headers: &HeaderMap) {
    assert_eq!(headers.len(), fields.len());
    for (name, _) in fields {
        let given: Vec<_> = headers
            .get_all(name.as_str())
            .iter()
            .map(|value| value.as_bytes())
            .collect();
        assert_eq!(given, values(fields, name), "{name}");
    }
}

/// RFC 9112, section 3.2; RFC 3986, section 3.2.2.
fn check_host(fields: &[(String, &[u8])], version: Version) {
    let hosts = values(fields, "host");
    assert!(
        hosts.len() == 1 || hosts.is_empty() && version == Version::HTTP_10,
        "one Host"
    );
    for host in hosts {
        let host = std::str::from_utf8(host).expect("ASCII");
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').expect("a bracket");
                address.parse::<std::net::Ipv6Addr>().expect("an address");
                ("", port)
            }
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let mut rest = name.as_bytes();
        while let [byte, behind @ ..] = rest {
            rest = behind;
            if *byte == b'%' {
                assert!(
                    rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit),
                    "an escape"
                );
            } else {
                assert!(
                    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte),
                    "{host}"
                );
            }
        }
        let digits = port.strip_prefix(':').unwrap_or(port);
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
    }
}

/// RFC 9112, section 6.3.
pub(super) fn check_body(
    bytes: &[u8],
    fields: &[(String, &[u8])],
    version: Version,
    headers: &HeaderMap,
    body: &Body,
    most: &Most,
) {
    let codings = values(fields, "transfer-encoding");
    let lengths = values(fields, "content-length");
    if codings.is_empty() {
        let length = match lengths[..] {
            [] => 0,
            [length] => {
                assert!(!length.is_empty() && length.iter().all(u8::is_ascii_digit));
                std::str::from_utf8(length)
                    .expect("digits")
                    .parse()
                    .expect("a length")
            }
            _ => panic!("one length"),
        };
        assert_eq!(bytes.len(), length);
        assert!(is_unpacked(fields, headers) || body == bytes);
        assert!(body.trailers().is_none());
        return;
    }
    assert!(lengths.is_empty(), "two ways to tell where it ends");
    assert_eq!(version, Version::HTTP_11);
    assert!(codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked"));
    let (whole, trailers) = chunks_of(bytes);
    assert!(is_unpacked(fields, headers) || body == &whole);
    let lines = lines_of(&trailers[..trailers.len() - 2]);
    assert!(trailers.len() <= most.head);
    assert!(lines.len() <= most.fields);
    check_trailers(&lines, body.trailers());
}

/// RFC 9110, section 6.5.1: what is left of them is as it came, and what frames a message is not among it.
fn check_trailers(lines: &[&[u8]], trailers: Option<&HeaderMap>) {
    const NONE_OF: [&str; 10] = [
        "content-length",
        "transfer-encoding",
        "host",
        "content-encoding",
        "content-type",
        "content-range",
        "trailer",
        "authorization",
        "connection",
        "cookie",
    ];
    let mut fields: Vec<_> = lines.iter().map(|line| field_of(line)).collect();
    fields.retain(|(name, _)| !NONE_OF.contains(&name.as_str()));
    match trailers {
        Some(trailers) => check_fields(&fields, trailers),
        None => assert!(fields.is_empty()),
    }
}

/// The body, and the trailers up to the empty line behind them: RFC 9112, section 7.1.
fn chunks_of(mut bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let end = bytes
            .windows(2)
            .position(|two| two == b"\r\n")
            .expect("a line");
        let line = &bytes[..end];
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        assert!(matches!(line.get(digits), None | Some(b';' | b' ' | b'\t')));
        let digits = std::str::from_utf8(&line[..digits]).expect("digits");
        let size = usize::from_str_radix(digits, 16).expect("a size");
        bytes = &bytes[end + 2..];
        if size == 0 {
            return (body, bytes);
        }
        body.extend_from_slice(&bytes[..size]);
        bytes = bytes[size..]
            .strip_prefix(b"\r\n")
            .expect("the end of a chunk");
    }
}
