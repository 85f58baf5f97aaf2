//! What must hold of any text that is read as a value of a URL or of a header: what is read prints as what reads back the same.

use crate::http::{
    Url, WwwAuthenticate, accept, authenticate, decode, decode_bytes, encode, path, query,
};
use ::http::{HeaderMap, HeaderValue, Uri};

/// All that must hold of bytes that come as such values.
pub(super) fn check(bytes: &[u8]) {
    headers(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        url(text);
        query(text);
        path(text);
        challenges(text);
    }
}

fn url(text: &str) {
    assert_eq!(decode(encode(text)).as_deref(), Ok(text));
    let Ok(url) = text.parse::<Url>() else {
        return;
    };
    let printed = url.to_string();
    assert!(
        printed.bytes().all(|byte| byte > b' ' && byte != 0x7f),
        "nothing ends a request's line"
    );
    assert_eq!(printed.parse().as_ref(), Ok(&url));
    if let Ok(uri) = Uri::try_from(&url) {
        assert_eq!(uri.path(), url.path());
        assert_eq!(uri.port_u16(), url.port());
        let back = Url::try_from(&uri).expect("it came of one");
        assert_eq!(
            (back.host(), back.path(), back.query()),
            (url.host(), url.path(), url.query())
        );
    } else {
        assert!(printed.len() > 65_000, "{printed}");
    }
    HeaderValue::from_str(&url.host_header()).expect("a header's value");
    // What is set is escaped, whatever it is.
    let other = url.with_path(text).with_fragment(text);
    assert_eq!(other.to_string().parse(), Ok(other));
}

fn query(text: &str) {
    let read = query::decode(text);
    assert_eq!(
        read.is_ok(),
        text.split(['&', ';']).all(|pair| {
            pair.splitn(2, '=')
                .all(|part| decode_bytes(part).is_ok_and(|bytes| String::from_utf8(bytes).is_ok()))
        })
    );
    if let Ok(query) = read {
        let printed = query::encode(&query);
        assert_eq!(query::decode(&printed), Ok(query));
    }
}

fn path(text: &str) {
    let Some((pattern, path)) = text.split_once('\n') else {
        return;
    };
    if let Ok(segments) = path::parse(pattern, path) {
        let found: Vec<_> = segments.iter().map(|(_, segment)| segment).collect();
        let expected: Vec<_> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        assert_eq!(found, expected);
    }
}

fn challenges(text: &str) {
    for challenge in authenticate::challenges(text).flatten() {
        let value = HeaderValue::from(&challenge);
        assert_eq!(WwwAuthenticate::try_from(&value).as_ref(), Ok(&challenge));
        assert_eq!(challenge.get("realm"), Some(challenge.realm()));
    }
}

fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            return;
        };
        for name in ["accept", "accept-encoding", "www-authenticate"] {
            headers.append(name, value.clone());
        }
    }
    for challenge in authenticate::challenges_in(&headers).flatten() {
        assert!(!challenge.scheme().is_empty());
    }
    // The best of what is offered is accepted, and there is none only if nothing is.
    let codings = ["gzip", "br", "identity"];
    let best = accept::best_encoding(&headers, &codings);
    assert_eq!(
        best.is_some(),
        codings
            .iter()
            .any(|coding| accept::accepts_encoding(&headers, coding))
    );
    assert!(best.is_none_or(|best| accept::accepts_encoding(&headers, best)));
    let types = ["text/html", "application/json", "image/png"];
    let best = accept::best_media_type(&headers, &types);
    assert_eq!(
        best.is_some(),
        types
            .iter()
            .any(|media| accept::accepts_media_type(&headers, media))
    );
    assert!(best.is_none_or(|best| accept::accepts_media_type(&headers, best)));
}
