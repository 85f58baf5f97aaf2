//! What RFC 9112 says that a client must do with a response, section by section, and RFC 9110 where it concerns where one ends. Where they leave a choice, the table has ours.

use super::responses::{check, check_head};

/// In front of the fields of a response whose line does not matter.
macro_rules! ok {
    ($rest:literal) => {
        concat!("HTTP/1.1 200 OK\r\n", $rest)
    };
}

/// A body in chunks.
macro_rules! chunks {
    ($rest:literal) => {
        concat!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            $rest
        )
    };
}

/// 2.1 and 2.2: a message is parsed as bytes; a bare CR is invalid; no white space between the first line and the fields. Empty lines before a message are for servers alone to ignore.
#[test]
fn section_2_2_message_parsing() {
    check(&[
        (ok!("Content-Length: 0\r\n\r\n"), "200 content-length=0"),
        (
            "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "refused",
        ),
        // May take a bare LF as the end of a line: two readers would differ.
        (
            "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
            "refused: a line does not end with CR LF",
        ),
        (
            "HTTP/1.1 200\nContent-Length: 0\r\n\r\n",
            "refused: a line does not end with CR LF",
        ),
        (
            ok!("Content-Length: 0\n\r\n"),
            "refused: a line does not end with CR LF",
        ),
        (
            ok!("Content-Length: 0\r\n\n"),
            "refused: a line does not end with CR LF",
        ),
        ("\nHTTP/1.1 200 OK\r\n\r\n", "refused"),
        // A bare CR: must be invalid, or replaced by a space.
        ("HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n", "refused"),
        ("HTTP/1.1 200 O\rK\r\n\r\n", "refused"),
        ("HTTP/1.1 200\r\r\n\r\n", "refused"),
        ("HTTP/1.1\r 200 OK\r\n\r\n", "refused"),
        (ok!("B: c\rd\r\n\r\n"), "refused"),
        (ok!("B: c\r\r\n\r\n"), "refused"),
        (ok!("B\r: c\r\n\r\n"), "refused"),
        // White space in front of the first field: must reject, or skip the line.
        (ok!(" Content-Length: 0\r\n\r\n"), "refused"),
        (ok!("\tB: c\r\nContent-Length: 0\r\n\r\n"), "refused"),
        (ok!(" \r\n\r\n"), "refused"),
        // What is no HTTP is so from its first byte that is another.
        (
            "hello",
            "refused: the response does not begin as one of HTTP does",
        ),
        (
            "SSH-2.0-a\r\n",
            "refused: the response does not begin as one of HTTP does",
        ),
        (
            "\x15\x03\x01",
            "refused: the response does not begin as one of HTTP does",
        ),
        ("", ""),
    ]);
}

/// 2.3: the version, which is case-sensitive.
#[test]
fn section_2_3_http_version() {
    check(&[
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            "200 content-length=0 1.0 closes",
        ),
        (
            "HTTP/1.2 200 OK\r\n\r\n",
            "refused: the server speaks another version of HTTP",
        ),
        (
            "HTTP/2.0 200 OK\r\n\r\n",
            "refused: the server speaks another version of HTTP",
        ),
        ("HTTP/0.9 200 OK\r\n\r\n", "refused"),
        ("HTTP/1.10 200 OK\r\n\r\n", "refused"),
        ("HTTP/11 200 OK\r\n\r\n", "refused"),
        ("HTTP/1.x 200 OK\r\n\r\n", "refused"),
        ("HTTP/ 1.1 200 OK\r\n\r\n", "refused"),
        ("http/1.1 200 OK\r\n\r\n", "refused"),
        ("HTTPS/1.1 200 OK\r\n\r\n", "refused"),
        ("ICY 200 OK\r\n\r\n", "refused"),
    ]);
}

/// 4: version, status and reason, with one space between; the reason should be ignored, and may be empty. RFC 9110, section 15: three digits, of which a client need not know more than the first.
#[test]
fn section_4_status_line() {
    check(&[
        ("HTTP/1.1 204 \r\n\r\n", "204"),
        // The space must be sent, and who forgets it means nothing else.
        ("HTTP/1.1 204\r\n\r\n", "204"),
        ("HTTP/1.1 204 No  such\tthing: é\r\n\r\n", "204"),
        (
            "HTTP/1.1 299 B\r\nContent-Length: 0\r\n\r\n",
            "299 content-length=0",
        ),
        (
            "HTTP/1.1 471 B\r\nContent-Length: 0\r\n\r\n",
            "471 content-length=0",
        ),
        // Invalid: should be taken as a 5xx, which is for whoever looks at it.
        (
            "HTTP/1.1 600 B\r\nContent-Length: 0\r\n\r\n",
            "600 content-length=0",
        ),
        (
            "HTTP/1.1 999 B\r\nContent-Length: 0\r\n\r\n",
            "999 content-length=0",
        ),
        (
            "HTTP/1.1 099 B\r\n\r\n",
            "refused: the status line is malformed",
        ),
        (
            "HTTP/1.1 000 B\r\n\r\n",
            "refused: the status line is malformed",
        ),
        ("HTTP/1.1 20 OK\r\n\r\n", "refused"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "refused"),
        ("HTTP/1.1 2x0 OK\r\n\r\n", "refused"),
        ("HTTP/1.1 -20 OK\r\n\r\n", "refused"),
        ("HTTP/1.1 200OK\r\n\r\n", "refused"),
        ("HTTP/1.1  200 OK\r\n\r\n", "refused"),
        ("HTTP/1.1\t200 OK\r\n\r\n", "refused"),
        ("HTTP/1.1 200\tOK\r\n\r\n", "refused"),
        ("HTTP/1.1200 OK\r\n\r\n", "refused"),
        (" HTTP/1.1 200 OK\r\n\r\n", "refused"),
        ("HTTP/1.1 \r\n\r\n", "refused"),
        ("HTTP/1.1\r\n\r\n", "refused"),
        ("HTTP/1.1 200 O\0K\r\n\r\n", "refused"),
        ("HTTP/1.1 200 O\x7fK\r\n\r\n", "refused"),
    ]);
}

/// 5.1 and RFC 9110, section 5.5: as a server reads them.
#[test]
fn section_5_1_field_line_parsing() {
    check(&[
        ("HTTP/1.1 204 A\r\nB:c\r\n\r\n", "204 b=c"),
        ("HTTP/1.1 204 A\r\nB: \t c d\t \r\n\r\n", "204 b=c d"),
        ("HTTP/1.1 204 A\r\nB:\r\nC: \t\r\n\r\n", "204 b= c="),
        ("HTTP/1.1 204 A\r\nB: c\r\nb: d\r\n\r\n", "204 b=c b=d"),
        ("HTTP/1.1 204 A\r\nB: é\r\n\r\n", "204 b=é"),
        (ok!("B : c\r\n\r\n"), "refused"),
        (ok!("Content-Length : 1\r\n\r\na"), "refused"),
        (
            ok!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (ok!("B\r\n\r\n"), "refused"),
        (ok!(": c\r\n\r\n"), "refused"),
        (ok!("B C: d\r\n\r\n"), "refused"),
        (ok!("é: c\r\n\r\n"), "refused"),
        (ok!("B: c\0\r\n\r\n"), "refused"),
        (ok!("B: \x7f\r\n\r\n"), "refused"),
        // What says something in requests says nothing here.
        (
            "HTTP/1.1 204 A\r\nHost: a b\r\nHost: c\r\n\r\n",
            "204 host=a b host=c",
        ),
        ("HTTP/1.1 204 A\r\nExpect: b\r\n\r\n", "204 expect=b"),
        (
            "HTTP/1.1 204 A\r\nAccept-Encoding: b\r\n\r\n",
            "204 accept-encoding=b",
        ),
    ]);
}

/// 5.2: a user agent must put spaces for the fold. This one refuses it: no server that is not broken folds a line, and who does not understand it takes one field for two.
#[test]
fn section_5_2_obsolete_line_folding() {
    check(&[
        (ok!("B: c\r\n d\r\n\r\n"), "refused"),
        (ok!("B: c\r\n\td\r\n\r\n"), "refused"),
        (ok!("B: c\r\n \r\n\r\n"), "refused"),
        (ok!("Content-Length:\r\n 1\r\n\r\na"), "refused"),
        (
            ok!("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
    ]);
}

/// 6.1: chunked must be understood, and comes once; in HTTP/1.0 the framing must be taken as faulty. 7.2: other codings are not known here.
#[test]
fn section_6_1_transfer_encoding() {
    check(&[
        (
            chunks!("1\r\nb\r\n0\r\n\r\n"),
            "200 transfer-encoding=chunked \"b\"",
        ),
        (
            ok!("transfer-encoding:CHUNKED\r\n\r\n0\r\n\r\n"),
            "200 transfer-encoding=CHUNKED",
        ),
        (
            ok!("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
            "refused",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "refused: HTTP/1.0 has no Transfer-Encoding",
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
            "refused",
        ),
    ]);
}

/// 6.2 and RFC 9110, section 8.6: a length is digits, one or more.
#[test]
fn section_6_2_content_length() {
    check(&[
        (
            ok!("Content-Length: 2\r\n\r\nbc"),
            "200 content-length=2 \"bc\"",
        ),
        (
            ok!("Content-Length: 002\r\n\r\nbc"),
            "200 content-length=002 \"bc\"",
        ),
        (ok!("Content-Length: 3\r\n\r\nbc"), "…"),
        (ok!("Content-Length: 3\r\n"), "…"),
        ("HTTP/1.", "…"),
    ]);
}

/// 6.3, rule 1: what answers a HEAD, and 1xx, 204 and 304, has no body whatever its fields say.
#[test]
fn section_6_3_responses_without_a_body() {
    check_head(&[
        (ok!("Content-Length: 5\r\n\r\n"), "200 content-length=5"),
        (
            ok!("Transfer-Encoding: chunked\r\n\r\n"),
            "200 transfer-encoding=chunked",
        ),
        (ok!("\r\n"), "200"),
        ("HTTP/1.0 200 OK\r\n\r\n", "200 1.0 closes"),
        (
            "HTTP/1.1 404 A\r\nContent-Length: 5\r\n\r\n",
            "404 content-length=5",
        ),
        (
            ok!("Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"),
            "200 content-encoding=gzip content-length=5",
        ),
        // Twice is malformed, with a body or without.
        (
            ok!("Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
            "refused",
        ),
        (
            ok!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "refused",
        ),
        // A body that there must not be is not taken for the next response.
        (
            ok!("Content-Length: 5\r\n\r\nhello"),
            "200 content-length=5, refused",
        ),
    ]);
    check(&[
        ("HTTP/1.1 204 A\r\n\r\nHTTP/1.1 304 B\r\n\r\n", "204, 304"),
        (
            "HTTP/1.1 304 A\r\nContent-Length: 5\r\n\r\n",
            "304 content-length=5",
        ),
        (
            "HTTP/1.1 304 A\r\nTransfer-Encoding: chunked\r\n\r\n",
            "304 transfer-encoding=chunked",
        ),
        (
            "HTTP/1.1 204 A\r\nContent-Length: 0\r\n\r\n",
            "204 content-length=0",
        ),
        // It must not say so, and may send a body, too: nobody reads on.
        (
            "HTTP/1.1 204 A\r\nContent-Length: 5\r\n\r\n",
            "204 content-length=5 closes",
        ),
        (
            "HTTP/1.1 204 A\r\nTransfer-Encoding: chunked\r\n\r\n",
            "204 transfer-encoding=chunked closes",
        ),
        // 205 is none of them, though it has no content: RFC 9110, section 15.3.6.
        (
            "HTTP/1.1 205 A\r\nContent-Length: 0\r\n\r\n",
            "205 content-length=0",
        ),
        (
            "HTTP/1.1 205 A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "205 transfer-encoding=chunked",
        ),
        ("HTTP/1.1 205 A\r\n\r\n$", "205 closes"),
    ]);
}

/// 6.3, rules 3 to 5: both fields ought to be handled as an error; with an invalid length the connection must be closed and the response discarded.
#[test]
fn section_6_3_faulty_framing() {
    check(&[
        (
            ok!("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "refused: there are both Content-Length and Transfer-Encoding",
        ),
        (
            ok!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
            "refused: there are both Content-Length and Transfer-Encoding",
        ),
        // Chunked is not the last coding: the close ends it, for whoever knows the other.
        (
            ok!("Transfer-Encoding: gzip\r\n\r\na$"),
            "refused: Transfer-Encoding must be chunked, once",
        ),
        (ok!("Transfer-Encoding: chunked, gzip\r\n\r\na$"), "refused"),
        (ok!("Transfer-Encoding: identity\r\n\r\na$"), "refused"),
        (ok!("Transfer-Encoding:\r\n\r\na$"), "refused"),
        (
            ok!("Content-Length:\r\n\r\n"),
            "refused: Content-Length must be digits",
        ),
        (ok!("Content-Length: +1\r\n\r\nb"), "refused"),
        (ok!("Content-Length: -1\r\n\r\nb"), "refused"),
        (ok!("Content-Length: 0x1\r\n\r\nb"), "refused"),
        (ok!("Content-Length: 1 1\r\n\r\nb"), "refused"),
        (ok!("Content-Length: 1.0\r\n\r\nb"), "refused"),
        (ok!("Content-Length: a\r\n\r\nb"), "refused"),
        (
            ok!("Content-Length: 18446744073709551616\r\n\r\nb"),
            "refused",
        ),
        (
            ok!("Content-Length: 1\r\nContent-Length: 2\r\n\r\nb"),
            "refused: Content-Length is given twice",
        ),
        // The same length again may be taken as one: not here.
        (ok!("Content-Length: 1, 1\r\n\r\nb"), "refused"),
        (
            ok!("Content-Length: 1\r\nContent-Length: 1\r\n\r\nb"),
            "refused",
        ),
    ]);
}

/// 6.3, rule 8, and 8: without either the close ends it. What is cut must be known to be incomplete.
#[test]
fn section_8_incomplete_messages() {
    check(&[
        (ok!("\r\n$"), "200 closes"),
        (ok!("\r\nhello$"), "200 \"hello\" closes"),
        (
            ok!("Connection: keep-alive\r\n\r\nhello$"),
            "200 connection=keep-alive \"hello\" closes",
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello$",
            "200 connection=keep-alive \"hello\" 1.0 closes",
        ),
        (
            "HTTP/1.0 200 OK\r\n\r\nHTTP/1.0 200 OK\r\n\r\n$",
            "200 \"HTTP/1.0 200 OK\\r\\n\\r\\n\" 1.0 closes",
        ),
        (ok!("\r\nhello"), "…"),
        (ok!("\r\n"), "…"),
        // A head that is cut is none.
        ("$", ""),
        (
            "H$",
            "refused: the connection has ended in the middle of a response",
        ),
        (
            ok!("$"),
            "refused: the connection has ended in the middle of a response",
        ),
        (
            ok!("B: c\r\n$"),
            "refused: the connection has ended in the middle of a response",
        ),
        (
            "HTTP/1.1 100 A\r\n\r\n$",
            "refused: the connection has ended in the middle of a response",
        ),
        // So is a body.
        (
            ok!("Content-Length: 3\r\n\r\n$"),
            "refused: the connection has ended in the middle of a body",
        ),
        (
            ok!("Content-Length: 3\r\n\r\nbc$"),
            "refused: the connection has ended in the middle of a body",
        ),
        (
            ok!("Content-Length: 3\r\n\r\nbcd$"),
            "200 content-length=3 \"bcd\"",
        ),
        (
            chunks!("$"),
            "refused: the connection has ended in the middle of a body",
        ),
        (chunks!("1\r\nb\r\n$"), "refused"),
        (chunks!("1\r\nb\r\n0\r\n$"), "refused"),
        (chunks!("1\r\nb\r\n0\r\nC: d\r\n$"), "refused"),
        (
            chunks!("1\r\nb\r\n0\r\n\r\n$"),
            "200 transfer-encoding=chunked \"b\"",
        ),
        // What came whole before is whole.
        (
            ok!("Content-Length: 1\r\n\r\nbHTTP/1.1 2$"),
            "200 content-length=1 \"b\", refused",
        ),
    ]);
}

/// 7.1: chunks must be understood, and large sizes must not overflow. 7.1.1: extensions that are not known must be ignored.
#[test]
fn section_7_1_chunked_transfer_coding() {
    check(&[
        (chunks!("0\r\n\r\n"), "200 transfer-encoding=chunked"),
        (
            chunks!("1\r\nb\r\n00a;c=\"d\"\r\n0123456789\r\n0;e\r\n\r\n"),
            "200 transfer-encoding=chunked \"b0123456789\"",
        ),
        (
            chunks!("0\r\n\r\nHTTP/1.1 204 A\r\n\r\n"),
            "200 transfer-encoding=chunked, 204",
        ),
        (chunks!("1\r\nb"), "…"),
        (chunks!("fffffffffffffffff\r\nb"), "refused"),
        (chunks!("10000000000000001\r\nb\r\n0\r\n\r\n"), "refused"),
        (chunks!("-1\r\nb"), "refused"),
        (chunks!("0x1\r\nb"), "refused"),
        (chunks!("\r\nb"), "refused"),
        (chunks!("1\nb\r\n0\r\n\r\n"), "refused"),
        (chunks!("1\r\nbc\r\n0\r\n\r\n"), "refused"),
        (chunks!("1\r\nb\n0\r\n\r\n"), "refused"),
        (chunks!("1;c=\"d\r\nb\r\n0\r\n\r\n"), "refused"),
    ]);
}

/// 7.1.2: trailers are kept apart from the fields; what frames or routes a message is none (RFC 9110, section 6.5.1).
#[test]
fn section_7_1_2_chunked_trailer_section() {
    check(&[
        (
            chunks!("1\r\nb\r\n0\r\nC: d\r\nE:\r\n\r\n"),
            "200 transfer-encoding=chunked \"b\" +c=d +e=",
        ),
        (
            chunks!(
                "0\r\nContent-Length: 5\r\nC: d\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n"
            ),
            "200 transfer-encoding=chunked +c=d",
        ),
        (chunks!("0\r\nC : d\r\n\r\n"), "refused"),
        (chunks!("0\r\nC: d\r\n e\r\n\r\n"), "refused"),
        (chunks!("0\r\nC: d\nE: f\r\n\r\n"), "refused"),
        (chunks!("0\r\nC: \0\r\n\r\n"), "refused"),
    ]);
}

/// 9.2 and RFC 9110, section 15.2: responses come in the order of their requests; interim ones before them must be read over, whether they are expected or not. Nobody asks for another protocol here.
#[test]
fn section_9_2_associating_a_response_to_a_request() {
    check(&[
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 A\r\n\r\n", "204"),
        (
            "HTTP/1.1 103 A\r\nLink: b\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 204 A\r\nC: d\r\n\r\n",
            "204 c=d",
        ),
        ("HTTP/1.1 199 A\r\n\r\nHTTP/1.1 204 A\r\n\r\n", "204"),
        (
            "HTTP/1.1 100 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 A\r\n\r\n",
            "204",
        ),
        (
            "HTTP/1.1 100 A\r\nConnection: close\r\n\r\nHTTP/1.1 204 A\r\n\r\n",
            "204",
        ),
        ("HTTP/1.1 100 A\r\n\r\n", "…"),
        (
            "HTTP/1.1 100 A\r\nContent-Length: 1\r\n\r\nb",
            "refused: an interim response has no body",
        ),
        (
            "HTTP/1.1 100 A\r\nTransfer-Encoding: chunked\r\n\r\n",
            "refused: an interim response has no body",
        ),
        (
            "HTTP/1.1 101 A\r\nUpgrade: b\r\nConnection: upgrade\r\n\r\n",
            "refused: the server switches protocols, unasked",
        ),
        (
            ok!(
                "Content-Length: 1\r\n\r\nbHTTP/1.1 404 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 A\r\n\r\n"
            ),
            "200 content-length=1 \"b\", 404 content-length=0, 204",
        ),
    ]);
    check_head(&[(
        "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 200 A\r\nContent-Length: 3\r\n\r\n",
        "200 content-length=3",
    )]);
}

/// 9.3: who stays. In HTTP/1.1 all do but for `close`; before, none but for `keep-alive`; 9.6: `close` must close, whatever stands beside it.
#[test]
fn section_9_3_persistence() {
    check(&[
        (
            "HTTP/1.1 204 A\r\nConnection: close\r\n\r\n",
            "204 connection=close closes",
        ),
        (
            "HTTP/1.1 204 A\r\nConnection: keep-alive,\tCLOSE , b\r\n\r\n",
            "204 connection=keep-alive,\tCLOSE , b closes",
        ),
        (
            "HTTP/1.1 204 A\r\nConnection: b\r\nConnection: close\r\n\r\n",
            "204 connection=b connection=close closes",
        ),
        (
            "HTTP/1.1 204 A\r\nConnection: closed\r\n\r\n",
            "204 connection=closed",
        ),
        ("HTTP/1.0 204 A\r\n\r\n", "204 1.0 closes"),
        (
            "HTTP/1.0 204 A\r\nConnection: Keep-Alive\r\n\r\n",
            "204 connection=Keep-Alive 1.0",
        ),
        (
            "HTTP/1.0 204 A\r\nConnection: keep-alive, close\r\n\r\n",
            "204 connection=keep-alive, close 1.0 closes",
        ),
        (
            "HTTP/1.0 200 A\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nb",
            "200 connection=keep-alive content-length=1 \"b\" 1.0",
        ),
    ]);
}
