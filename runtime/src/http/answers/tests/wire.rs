//! What a client makes of the bytes that it was sent.

/// What a request was answered with.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Status(u16),
    Body(String),
}

#[derive(Debug, Default)]
pub(super) struct Replies {
    pub(super) answered: usize,
    /// Told to go on with its request.
    pub(super) continued: usize,
    /// The last answer said that it is that.
    pub(super) closed: bool,
    /// The bytes end within an answer.
    pub(super) is_cut: bool,
}

/// Reads answers, each of which must be the one that was given to the request whose turn it is, byte for byte.
pub(super) fn read(mut wire: &[u8], given: &[Option<Given>]) -> Replies {
    let mut replies = Replies::default();
    let mut may_continue = true;
    while !wire.is_empty() {
        assert!(!replies.closed, "bytes behind the last answer");
        let end = wire.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            replies.is_cut = true;
            break;
        };
        let head = std::str::from_utf8(&wire[..end]).expect("a head is text");
        wire = &wire[end + 4..];
        let status = head.strip_prefix("HTTP/1.1 ").expect("a status line");
        let status: u16 = status[..3].parse().expect("a status");
        if status == 100 {
            assert!(may_continue, "told twice to go on");
            may_continue = false;
            replies.continued += 1;
            continue;
        }
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let length = field("Content-Length: ").expect("a length");
        let length: usize = length.parse().expect("a number");
        let body = &wire[..length.min(wire.len())];
        replies.is_cut = body.len() < length;
        wire = &wire[body.len()..];
        let expected = given.get(replies.answered).and_then(Option::as_ref);
        match expected.expect("an answer to what has none") {
            Given::Status(given) => assert_eq!(status, *given),
            Given::Body(given) => {
                assert_eq!((status, length), (202, given.len()));
                assert!(given.as_bytes().starts_with(body), "the body of another");
            }
        }
        replies.closed = field("Connection: ") == Some("close");
        replies.answered += usize::from(!replies.is_cut);
        may_continue = true;
    }
    replies
}
