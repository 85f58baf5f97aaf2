//! What a C++ libprocess answers, as it was recorded: a date, and `Content-Length` on either side of the type.

use super::responses::{GET, HEAD, decode, decode_cut};
use crate::exchange::Limits;

macro_rules! answer {
    ($status:literal, $length:literal, $body:literal) => {
        concat!(
            "HTTP/1.1 ",
            $status,
            "\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ",
            $length,
            "\r\n\r\n",
            $body
        )
    };
}

const HELLO: &str = answer!("200 OK", 12, "hello nobody");

#[test]
fn the_answers_of_a_libprocess_are_taken() {
    let date = "date=Thu, 01 Jan 1970 00:00:00 GMT";
    let typed = format!("{date} content-type=text/plain; charset=utf-8");
    for (bytes, expected) in [
        (
            "HTTP/1.1 202 Accepted\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
            format!("202 {date} content-length=0"),
        ),
        (
            answer!("404 Not Found", 14, "404 Not Found."),
            format!("404 {typed} content-length=14 \"404 Not Found.\""),
        ),
        (
            HELLO,
            format!("200 {typed} content-length=12 \"hello nobody\""),
        ),
        (
            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n[]",
            format!("200 {date} content-length=2 content-type=application/json \"[]\""),
        ),
        (
            concat!(
                answer!("200 OK", 7, "hello 1"),
                answer!("200 OK", 7, "hello 2")
            ),
            format!(
                "200 {typed} content-length=7 \"hello 1\", 200 {typed} content-length=7 \"hello 2\""
            ),
        ),
    ] {
        for closes in [false, true] {
            let seen = decode_cut(&Limits::new(), GET, bytes.as_bytes(), closes);
            assert_eq!(seen, expected);
        }
    }
}

/// It sends a body behind what answers a HEAD: that is no other response, and the connection is not used again.
#[test]
fn a_body_behind_what_answers_a_head_is_not_read() {
    let head = HELLO.strip_suffix("hello nobody").expect("a body");
    let (seen, _) = decode(&Limits::new(), HEAD, [head.as_bytes()], false);
    assert!(seen.starts_with("200 ") && !seen.contains('…'), "{seen}");
    let (seen, _) = decode(&Limits::new(), HEAD, [HELLO.as_bytes()], false);
    assert!(seen.contains(", refused: "), "{seen}");
}
