//! Messages between processes: requests that say who sends them.

use super::{check, decode};
use crate::exchange::Limits;

#[test]
fn the_sender_of_a_message_is_told() {
    check(&[
        (
            "POST /a/b HTTP/1.1\r\nUser-Agent: libprocess/c@1.2.3.4:5\r\nHost: a\r\n\r\n",
            "POST /a/b user-agent=libprocess/c@1.2.3.4:5 (c@1.2.3.4:5)",
        ),
        (
            "POST /a/b HTTP/1.1\r\nlibprocess-from:\t c@1.2.3.4:5 \r\nHost: a\r\n\r\n",
            "POST /a/b libprocess-from=c@1.2.3.4:5 (c@1.2.3.4:5)",
        ),
        // Known and empty is not unknown.
        (
            "POST /a/b HTTP/1.1\r\nLibprocess-From:\r\nHost: a\r\n\r\n",
            "POST /a/b libprocess-from= ()",
        ),
        (
            "POST /a/b HTTP/1.1\r\nLibprocess-From:\r\nHost: a\r\n\r\nPOST /a/b HTTP/1.1\r\nLibprocess-From:\r\nHost: a\r\n\r\n",
            "POST /a/b libprocess-from= (), POST /a/b libprocess-from= ()",
        ),
        // Another method has none, and another agent is none.
        (
            "PUT /a/b HTTP/1.1\r\nLibprocess-From: c@1.2.3.4:5\r\nHost: a\r\n\r\n",
            "PUT /a/b libprocess-from=c@1.2.3.4:5",
        ),
        (
            "POST /a/b HTTP/1.1\r\nUser-Agent: libprocessing/1\r\nHost: a\r\n\r\n",
            "POST /a/b user-agent=libprocessing/1",
        ),
        // Who is between may see one of them alone.
        (
            "POST /a/b HTTP/1.1\r\nUser-Agent: libprocess/c@1.2.3.4:5\r\nLibprocess-From: d@1.2.3.4:5\r\nHost: a\r\n\r\n",
            "400",
        ),
        (
            "POST /a/b HTTP/1.1\r\nLibprocess-From: c@1.2.3.4:5\r\nLibprocess-From: d@1.2.3.4:5\r\nHost: a\r\n\r\n",
            "400",
        ),
    ]);
}

/// The bodies of messages, one behind the other, as they are written and as they may be.
#[test]
fn bodies_of_messages_are_taken_in_any_form() {
    let head = "POST /a/b HTTP/1.1\r\nLibprocess-From: c@1.2.3.4:5\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, expected) in [
        ("3\r\nabc\r\n0\r\n\r\n", "\"abc\""),
        ("00000003\r\nabc\r\n0\r\n\r\n", "\"abc\""),
        ("0000000003\r\nabc\r\n0\r\n\r\n", "\"abc\""),
        ("A\r\n0123456789\r\n0\r\n\r\n", "\"0123456789\""),
        ("3\r\nabc\r\n00\r\n\r\n", "\"abc\""),
        ("3\r\nabc\r\n0;x\r\n\r\n", "\"abc\""),
        ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "\"abc\""),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "\"0\\r\\n\\r\\n\""),
    ] {
        let message = format!("{head}{body}");
        let sender = "POST /a/b libprocess-from=c@1.2.3.4:5 transfer-encoding=chunked";
        let expected = format!("{sender} {expected} (c@1.2.3.4:5)");
        let three = message.repeat(3);
        check(&[(&three, &format!("{expected}, {expected}, {expected}"))]);
    }
    for body in [
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3xxabc\r\n0\r\n\r\n",
        "3\r\rabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
    ] {
        check(&[(&format!("{head}{body}"), "400")]);
    }
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    let limits = Limits::new().body_bytes(10);
    let head = "POST /a/b HTTP/1.1\r\nLibprocess-From: c@1.2.3.4:5\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (length, refused) in [(10, false), (11, true)] {
        let body = "x".repeat(length);
        let message = format!("{head}{length:x}\r\n{body}\r\n0\r\n\r\n");
        let (told, _) = decode(&limits, [message.as_bytes()]);
        assert_eq!(told == "413", refused, "{told}");
    }
}
