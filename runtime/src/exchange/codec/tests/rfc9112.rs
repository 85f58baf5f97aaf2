//! What RFC 9112 says that a server must do with a request, section by section. Where it leaves a choice (must reject or replace, may, should), the table has ours.

use super::check;

/// In front of the fields of a request whose line does not matter.
macro_rules! put {
    ($rest:literal) => {
        concat!("PUT / HTTP/1.1\r\nHost: a\r\n", $rest)
    };
}

/// A body in chunks.
macro_rules! chunks {
    ($rest:literal) => {
        concat!(
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            $rest
        )
    };
}

/// 2.1 and 2.2: a message is parsed as bytes; a bare CR is invalid; no white space between the first line and the fields; empty lines before a request.
#[test]
fn section_2_2_message_parsing() {
    check(&[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
        // Should ignore at least one.
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
        // May take a bare LF as the end of a line: two readers would differ.
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", "400"),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        // A bare CR: must be invalid, or replaced by a space.
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", "400"),
        ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nB\r: c\r\n\r\n", "400"),
        // White space in front of the first field: must reject, or skip the line.
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\tB: c\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", "400"),
        // What is no HTTP should be answered with 400.
        ("hello\r\n\r\n", "400"),
        ("\x16\x03\x01\r\n\r\n", "400"),
    ]);
}

/// 2.3: the version, which is case-sensitive. RFC 9110, section 2.5: of a major version that is not known, 505 may be said.
#[test]
fn section_2_3_http_version() {
    check(&[
        ("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 closes"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505"),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/11\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.x\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTPS/1.1\r\nHost: a\r\n\r\n", "400"),
    ]);
}

/// 3: three words with one space between; what is not should be answered with 400.
#[test]
fn section_3_request_line() {
    check(&[
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"),
        ("GET / b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1 b\r\nHost: a\r\n\r\n", "400"),
        ("GET / \r\nHost: a\r\n\r\n", "400"),
        // HTTP/0.9.
        ("GET /\r\n\r\n", "400"),
        ("GET\r\n\r\n", "400"),
        (" / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    ]);
    // A target that is longer than what is taken: must be 414.
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8_000));
    let limits = crate::exchange::Limits::new();
    assert_eq!(super::decode(&limits, [long.as_bytes()]).0, "414");
    assert_eq!(super::decode(&limits, long.as_bytes().chunks(1)).0, "414");
}

/// 3.1: the method is a token, and case-sensitive.
#[test]
fn section_3_1_method() {
    check(&[
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get /"),
        (
            "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n",
            "!#$%&'*+-.^_`|~09azAZ /",
        ),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GÉT / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("G\x7fT / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    ]);
}

/// 3.2: no white space in the target; one Host, and a valid one, in all requests of HTTP/1.1, or else 400.
#[test]
fn section_3_2_request_target_and_host() {
    check(&[
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        // No Host.
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET http://b/ HTTP/1.1\r\n\r\n", "400"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "400"),
        (
            "GET / HTTP/1.0\r\nHost: b\r\n\r\n",
            "GET / host=b 1.0 closes",
        ),
        // More than one.
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nhOST: b\r\n\r\n",
            "400",
        ),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        // An invalid one.
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400"),
        // An empty one is what a client sends whose URL has no authority.
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / host="),
        (
            "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            "GET / host=[::1]:80",
        ),
        (
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n",
            "GET / host=127.0.0.1:80",
        ),
    ]);
}

/// 3.2.1: a path that is not empty, and a query.
#[test]
fn section_3_2_1_origin_form() {
    check(&[
        (
            "GET /a/b?c=d?e HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a/b?c=d?e",
        ),
        ("GET //a HTTP/1.1\r\nHost: a\r\n\r\n", "GET //a"),
        ("GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?"),
        ("GET /%2e%2E/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%2e%2E/"),
        ("GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    ]);
}

/// 3.2.2: a server must take it, though only proxies are sent it, and its host is the one that counts. RFC 9110, section 4.2.4: a name and a password in it are an error.
#[test]
fn section_3_2_2_absolute_form() {
    check(&[
        (
            "GET http://b/c?d HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://b/c?d host=b",
        ),
        (
            "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://b/ host=b",
        ),
        (
            "GET https://[::1]:80/c HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET https://[::1]:80/c host=[::1]:80",
        ),
        (
            "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS http://b/ host=b",
        ),
        (
            "GET http://b/c HTTP/1.0\r\n\r\n",
            "GET http://b/c host=b 1.0 closes",
        ),
        ("GET http:///c HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET http://:80/c HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET http://b@c/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET http:b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        // The type that a request is told in has no such host.
        ("GET http://%61/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    ]);
}

/// 3.2.3: for CONNECT alone, which this server does not serve.
#[test]
fn section_3_2_3_authority_form() {
    check(&[
        ("CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n", "501"),
        ("GET b:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("connect b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n", "400"),
    ]);
}

/// 3.2.4: for OPTIONS alone.
#[test]
fn section_3_2_4_asterisk_form() {
    check(&[
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *"),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("options * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    ]);
}

/// 5 and 5.1: white space around a value is none of it; white space in front of the colon must be answered with 400. RFC 9110, section 5.5: no CR, LF or NUL in a value.
#[test]
fn section_5_1_field_line_parsing() {
    check(&[
        (put!("B:c\r\n\r\n"), "PUT / b=c"),
        (put!("B: \t c d\t \r\n\r\n"), "PUT / b=c d"),
        (put!("B:\r\n\r\n"), "PUT / b="),
        (put!("B: \t\r\n\r\n"), "PUT / b="),
        (put!("B: c\r\nb: d\r\n\r\n"), "PUT / b=c b=d"),
        (put!("B: :c: \"d\r\n\r\n"), "PUT / b=:c: \"d"),
        (put!("B: é\r\n\r\n"), "PUT / b=é"),
        (
            put!("!#$%&'*+-.^_`|~09: c\r\n\r\n"),
            "PUT / !#$%&'*+-.^_`|~09=c",
        ),
        (put!("B : c\r\n\r\n"), "400"),
        (put!("B\t: c\r\n\r\n"), "400"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
        (put!("Content-Length : 1\r\n\r\na"), "400"),
        (put!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), "400"),
        (put!("B\r\n\r\n"), "400"),
        (put!(": c\r\n\r\n"), "400"),
        (put!("B C: d\r\n\r\n"), "400"),
        (put!("B(: c\r\n\r\n"), "400"),
        (put!("é: c\r\n\r\n"), "400"),
        (put!("B: c\0\r\n\r\n"), "400"),
        (put!("B: \x7f\r\n\r\n"), "400"),
        (put!("B: \x0b\r\n\r\n"), "400"),
    ]);
}

/// 5.2: a folded line must be rejected with 400, or have spaces instead of its fold.
#[test]
fn section_5_2_obsolete_line_folding() {
    check(&[
        (put!("B: c\r\n d\r\n\r\n"), "400"),
        (put!("B: c\r\n\td\r\n\r\n"), "400"),
        (put!("B: c\r\n \r\n\r\n"), "400"),
        (put!("Content-Length:\r\n 1\r\n\r\na"), "400"),
        (
            put!("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
    ]);
}

/// 6.1: chunked must be understood, and comes once; in HTTP/1.0 the framing must be taken as faulty.
#[test]
fn section_6_1_transfer_encoding() {
    check(&[
        (
            put!("Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"b\"",
        ),
        (
            put!("transfer-encoding:CHUNKED\r\n\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=CHUNKED",
        ),
        (
            put!("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            put!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            put!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
            "400",
        ),
    ]);
}

/// 6.2 and RFC 9110, section 8.6: a length is digits, one or more.
#[test]
fn section_6_2_content_length() {
    check(&[
        (
            put!("Content-Length: 2\r\n\r\nbcGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "PUT / content-length=2 \"bc\", GET /",
        ),
        (put!("Content-Length: 0\r\n\r\n"), "PUT / content-length=0"),
        (
            put!("Content-Length: 002\r\n\r\nbc"),
            "PUT / content-length=002 \"bc\"",
        ),
        (put!("Content-Length: 3\r\n\r\nbc"), "…"),
        // A GET may have one, too: it is not the method that tells.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb",
            "GET / content-length=1 \"b\"",
        ),
    ]);
}

/// 6.3: how long a body is. What is not valid must be answered with 400.
#[test]
fn section_6_3_message_body_length() {
    check(&[
        // Rule 3: both; may be rejected.
        (
            put!("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            put!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        // Rule 4: chunked is not the last coding.
        (put!("Transfer-Encoding: gzip\r\n\r\n"), "400"),
        (
            put!("Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (put!("Transfer-Encoding: identity\r\n\r\n"), "400"),
        (put!("Transfer-Encoding:\r\n\r\n"), "400"),
        (put!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), "400"),
        (
            put!("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            put!("Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            put!("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        // It is, behind a coding that is not known: should be 501. It is refused, that is what counts.
        (
            put!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        // Rule 5: an invalid length.
        (put!("Content-Length:\r\n\r\n"), "400"),
        (put!("Content-Length: +1\r\n\r\nb"), "400"),
        (put!("Content-Length: -1\r\n\r\nb"), "400"),
        (put!("Content-Length: 0x1\r\n\r\nb"), "400"),
        (put!("Content-Length: 1 1\r\n\r\nb"), "400"),
        (put!("Content-Length: 1.0\r\n\r\nb"), "400"),
        (put!("Content-Length: a\r\n\r\nb"), "400"),
        (put!("Content-Length: 18446744073709551616\r\n\r\nb"), "400"),
        (
            put!("Content-Length: 1\r\nContent-Length: 2\r\n\r\nb"),
            "400",
        ),
        // The same length again may be taken as one: not here.
        (put!("Content-Length: 1, 1\r\n\r\nb"), "400"),
        (
            put!("Content-Length: 1\r\nContent-Length: 1\r\n\r\nb"),
            "400",
        ),
        // Rule 7: neither of them.
        (
            put!("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "PUT /, GET /",
        ),
        ("PUT / HTTP/1.0\r\n\r\n", "PUT / 1.0 closes"),
    ]);
}

/// 7.1: chunks must be understood, and large sizes must not overflow.
#[test]
fn section_7_1_chunked_transfer_coding() {
    check(&[
        (chunks!("0\r\n\r\n"), "PUT / transfer-encoding=chunked"),
        (
            chunks!("1\r\nb\r\n2\r\ncd\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"bcd\"",
        ),
        (
            chunks!("A\r\n0123456789\r\n00\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"0123456789\"",
        ),
        (
            chunks!("a\r\n01234\r\n789\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"01234\\r\\n789\"",
        ),
        (
            chunks!("0000000000000001\r\nb\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"b\"",
        ),
        (
            chunks!("0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "PUT / transfer-encoding=chunked, GET /",
        ),
        (chunks!("1\r\nb"), "…"),
        (chunks!("0\r\n"), "…"),
        (chunks!("fffffffffffffffff\r\nb"), "400"),
        (chunks!("10000000000000001\r\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("ffffffffffffffff\r\nb"), "413"),
        (chunks!("7fffffffffffffff\r\nb"), "413"),
        (chunks!("\r\nb"), "400"),
        (chunks!("-1\r\nb"), "400"),
        (chunks!("+1\r\nb"), "400"),
        (chunks!("0x1\r\nb"), "400"),
        (chunks!(" 1\r\nb"), "400"),
        (chunks!("g\r\nb"), "400"),
        (chunks!("1\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1\rb\r\n0\r\n\r\n"), "400"),
        (chunks!("1\r\nbc\r\n0\r\n\r\n"), "400"),
        (chunks!("1\r\nb0\r\n\r\n"), "400"),
        (chunks!("1\r\nb\n0\r\n\r\n"), "400"),
        (chunks!("1\r\nb\r0\r\n\r\n"), "400"),
    ]);
}

/// 7.1.1: extensions that are not known must be ignored. Malformed ones are refused: two readers may end their line differently.
#[test]
fn section_7_1_1_chunk_extensions() {
    check(&[
        (
            chunks!("1;c\r\nb\r\n0;c\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"b\"",
        ),
        (
            chunks!("1;c=d;e=f\r\nb\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"b\"",
        ),
        (
            chunks!("1 ; c = \"d;\\\"e\\\\\" ;f\r\nb\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"b\"",
        ),
        (
            chunks!("1;c=\"\"\r\nb\r\n0\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"b\"",
        ),
        (chunks!("1;\r\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1;c=\r\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1;c=\"d\r\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1;c d\r\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1;c\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1;c\rd\r\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1;c=\"\n\"\r\nb\r\n0\r\n\r\n"), "400"),
        (chunks!("1 c\r\nb\r\n0\r\n\r\n"), "400"),
    ]);
}

/// 7.1.2: trailers are kept apart from the fields; what frames or routes a message is none (RFC 9110, section 6.5.1).
#[test]
fn section_7_1_2_chunked_trailer_section() {
    check(&[
        (
            chunks!("1\r\nb\r\n0\r\nC: d\r\nE:\r\n\r\n"),
            "PUT / transfer-encoding=chunked \"b\" +c=d +e=",
        ),
        (
            chunks!("0\r\nContent-Length: 5\r\nC: d\r\n\r\n"),
            "PUT / transfer-encoding=chunked +c=d",
        ),
        (
            chunks!(
                "0\r\nTransfer-Encoding: gzip\r\nHost: b\r\nAuthorization: c\r\nConnection: close\r\n\r\n"
            ),
            "PUT / transfer-encoding=chunked",
        ),
        (chunks!("0\r\nC : d\r\n\r\n"), "400"),
        (chunks!("0\r\nC\r\n\r\n"), "400"),
        (chunks!("0\r\n C: d\r\n\r\n"), "400"),
        (chunks!("0\r\nC: d\r\n e\r\n\r\n"), "400"),
        (chunks!("0\r\nC: d\nE: f\r\n\r\n"), "400"),
        (chunks!("0\r\nC: d\re\r\n\r\n"), "400"),
        (chunks!("0\r\nC: \0\r\n\r\n"), "400"),
    ]);
}

/// 9.3: who stays. In HTTP/1.1 all do but for `close`; before, none but for `keep-alive`.
#[test]
fn section_9_3_persistence() {
    check(&[
        (
            put!("Connection: keep-alive\r\n\r\n"),
            "PUT / connection=keep-alive",
        ),
        (put!("Connection: b, c\r\n\r\n"), "PUT / connection=b, c"),
        (
            put!("Connection: closed\r\n\r\n"),
            "PUT / connection=closed",
        ),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            "GET / connection=Keep-Alive 1.0",
        ),
        (
            "GET / HTTP/1.0\r\nConnection: b\r\n\r\n",
            "GET / connection=b 1.0 closes",
        ),
        // 9.3.2: requests in a row are taken in their order, each behind all of the one before.
        (
            "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\ncdGET /e HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a, PUT /b content-length=2 \"cd\", GET /e",
        ),
    ]);
}

/// 9.6: `close` must close, whatever stands beside it.
#[test]
fn section_9_6_tear_down() {
    check(&[
        (
            put!("Connection: close\r\n\r\n"),
            "PUT / connection=close closes",
        ),
        (
            put!("Connection: CLOSE\r\n\r\n"),
            "PUT / connection=CLOSE closes",
        ),
        (
            put!("Connection: keep-alive,\tclose , b\r\n\r\n"),
            "PUT / connection=keep-alive,\tclose , b closes",
        ),
        (
            put!("Connection: b\r\nConnection: close\r\n\r\n"),
            "PUT / connection=b connection=close closes",
        ),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
            "GET / connection=keep-alive, close 1.0 closes",
        ),
    ]);
}
