//! What the cuts once made a difference to.

use super::*;

/// The version is known only when its line has come.
#[test]
fn another_version_is_told_so_in_pieces_too() {
    check(&[
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        ("GET / HTTP/1.15\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTML/1.1\r\nHost: a\r\n\r\n", "400"),
    ]);
}

/// Half of an empty line was kept as the beginning of a head: the server waited for its end, or missed it.
#[test]
fn half_of_an_empty_line_is_no_head() {
    check(&[
        ("\r\n", ""),
        ("\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n", "GET /"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
        ("\r", "…"),
        ("\rG", "400"),
        ("\r\r\n", "400"),
    ]);
    // Nor does it count as one of its lines, or bytes.
    let limits = Limits::new().target_bytes(8).head_bytes(80);
    let long = format!("\r\nGET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(80));
    assert_eq!(decode_cut(&limits, long.as_bytes()), "414");
    let fits = format!(
        "\r\nGET / HTTP/1.1\r\nB: {}\r\nHost: a\r\n\r\n",
        "b".repeat(48)
    );
    assert_eq!(fits.len(), 82);
    assert_eq!(
        decode_cut(&limits, fits.as_bytes()),
        format!("GET / b={}", "b".repeat(48))
    );
}

/// A head whose lines end with a bare LF was waited for in pieces, since its end never comes.
#[test]
fn a_bare_line_feed_is_found_before_the_end() {
    check(&[
        ("GET / HTTP/1.1\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\n\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n\n", "GET /, 400"),
    ]);
}

/// Which limit a head is beyond does not depend on how much of it had come.
#[test]
fn a_limit_is_the_same_in_pieces() {
    let limits = Limits::new().target_bytes(16).head_bytes(160).fields(3);
    let a = |count| "a".repeat(count);
    for (bytes, expected) in [
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", a(15)),
            format!("GET /{}", a(15)),
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", a(16)),
            "414".into(),
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", a(100)),
            "414".into(),
        ),
        (format!("GET /{}", a(100)), "414".into()),
        // The target is too long, and so is all of it.
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: a\r\nb: {}\r\n\r\n",
                a(16),
                a(200)
            ),
            "414".into(),
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\nb: {}", a(16), a(200)),
            "414".into(),
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nb: {}\r\n\r\n", a(200)),
            "431".into(),
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nb: {}", a(200)),
            "431".into(),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\nb: c\r\nb: c\r\n\r\n".into(),
            "431".into(),
        ),
        // No method is as long as this one, which leaves the target no room in the line.
        (
            format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", a(67)),
            format!("{} /", a(67)),
        ),
        (
            format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", a(68)),
            "414".into(),
        ),
    ] {
        assert_eq!(decode_cut(&limits, bytes.as_bytes()), expected, "{bytes:?}");
    }
    // There is less room for a head than for its target.
    let limits = Limits::new().target_bytes(200).head_bytes(64);
    for count in [64, 199, 264, 300] {
        let bytes = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", a(count));
        assert_eq!(decode_cut(&limits, bytes.as_bytes()), "414", "{count}");
    }
}

/// A name that the `http` crate has no room for was left out of the request.
#[test]
fn no_field_is_lost() {
    let limits = Limits::new().head_bytes(1 << 20);
    for (length, is_taken) in [(65_535, true), (65_536, false)] {
        let name = "b".repeat(length);
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: c\r\n\r\n");
        let (seen, _) = decode(&limits, [head.as_bytes()]);
        assert_eq!(
            seen,
            if is_taken {
                format!("GET / {name}=c")
            } else {
                "431".into()
            }
        );
        let chunked = format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{name}: c\r\n\r\n"
        );
        let (seen, _) = decode(&limits, [chunked.as_bytes()]);
        let taken = format!("PUT / transfer-encoding=chunked +{name}=c");
        assert_eq!(seen, if is_taken { taken } else { "431".into() });
    }
}
