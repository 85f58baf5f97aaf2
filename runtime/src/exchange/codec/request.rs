//! Requests out of the bytes of a connection.

use std::sync::Arc;
use std::task::{Poll, Waker};

use ::http::StatusCode;
use bytes::{Buf, Bytes};

use super::body::WholeBody;
use super::fields::{Fields, Framing};
use super::head::{Head, field_space};
use super::input::{Input, LINE_END, TOO_LARGE, check_fields, ends_line, offset};
use super::repeated::{Again, Repeated};
use super::streamed::Streamed;
use super::{Refusal, gzip, input, one_chunk, sender};
use crate::exchange::{Limits, Request};

const TOO_LONG: Refusal = Refusal::with(
    StatusCode::URI_TOO_LONG,
    "the target is longer than this server takes",
);

/// A request, and what its answer depends on.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) request: Request,
    pub(crate) about: About,
}

/// What the answer to a request depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) is_head: bool,
    pub(crate) minor: u8,
    pub(crate) keeps_alive: bool,
    pub(crate) accepts_gzip: bool,
}

impl About {
    /// Whether nothing about it asks for a response of another form.
    pub(super) fn is_plain(self) -> bool {
        !self.is_head && self.minor == 1 && self.keeps_alive
    }
}

/// Takes requests out of what comes, one behind the other.
pub(crate) struct RequestDecoder {
    limits: Arc<Limits>,
    input: Input,
    body: Incoming,
    repeated: Repeated,
    /// The body of a HEAD was refused before anything of it was read.
    refuses_head: bool,
}

/// Which body is to come.
enum Incoming {
    None,
    /// Of a request that is handed on when it is whole.
    Whole(Pending),
    /// Of one that was handed on.
    Streamed {
        body: Streamed,
        expects_continue: bool,
    },
}

/// A request whose body is to come.
struct Pending {
    head: Head,
    about: About,
    decoder: WholeBody,
    /// Whether the client waits to be told to go on.
    expects_continue: bool,
    is_gzip: bool,
}

impl RequestDecoder {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            input: Input::default(),
            body: Incoming::None,
            repeated: Repeated::default(),
            refuses_head: false,
        }
    }

    /// Whether nothing has come of a request that was not taken.
    pub(crate) fn is_between(&self) -> bool {
        self.input.is_empty() && !self.is_in_body()
    }

    /// Whether what is refused is a HEAD, whose answer has no body: RFC 9110, section 9.3.2.
    pub(crate) fn is_head(&self) -> bool {
        match &self.body {
            Incoming::None => self.refuses_head || self.input.starts_with(b"HEAD "),
            Incoming::Whole(pending) => pending.about.is_head,
            Incoming::Streamed { .. } => false,
        }
    }

    /// Whether a head has come, and the body has not.
    pub(crate) fn is_in_body(&self) -> bool {
        !matches!(self.body, Incoming::None)
    }

    /// Whether a part of a head has come.
    pub(crate) fn is_in_head(&self) -> bool {
        !self.is_between() && !self.is_in_body()
    }

    /// What has come and was not taken; without that of a body that has begun.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn rest(&self) -> Vec<u8> {
        self.input.rest()
    }

    /// Adds what has come, behind what is there.
    pub(crate) fn feed(&mut self, piece: Bytes) {
        self.input.feed(piece);
    }

    /// Whether the client waits for `100 Continue`, of which this tells once.
    pub(crate) fn take_expectation(&mut self) -> bool {
        match &mut self.body {
            Incoming::None => false,
            Incoming::Whole(pending) => std::mem::take(&mut pending.expects_continue),
            Incoming::Streamed {
                expects_continue, ..
            } => std::mem::take(expects_continue),
        }
    }

    /// Whether a request was handed on whose body is still to come.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self.body, Incoming::Streamed { .. })
    }

    /// Whether a body comes that nobody reads while it comes: to be handed on when it is whole, or to be thrown away.
    pub(crate) fn collects(&self) -> bool {
        match &self.body {
            Incoming::None => false,
            Incoming::Whole(_) => true,
            Incoming::Streamed { body, .. } => body.reader_is_gone(),
        }
    }

    /// Hands on what has come of the body of a request that was handed on. Whether that was the end of it.
    pub(crate) fn stream(&mut self) -> Result<bool, Refusal> {
        let Incoming::Streamed { body, .. } = &mut self.body else {
            return Ok(true);
        };
        match body.take(&mut self.input.bytes, false) {
            Ok(None) => Ok(false),
            Ok(Some(end)) => {
                self.body = Incoming::None;
                end.tell();
                Ok(true)
            }
            Err(refusal) => {
                self.break_off(refusal.reason);
                Err(refusal)
            }
        }
    }

    /// Ready if the body that is streamed has room for more.
    pub(crate) fn poll_room(&self, waker: &Waker) -> Poll<()> {
        match &self.body {
            Incoming::Streamed { body, .. } => body.poll_room(waker),
            Incoming::None | Incoming::Whole(_) => Poll::Ready(()),
        }
    }

    /// Nothing more comes of a body that is streamed.
    pub(crate) fn break_off(&mut self, reason: &'static str) {
        if let Incoming::Streamed { body, .. } = &self.body {
            body.break_off(reason);
        }
    }

    /// The next request, if all of it has come; or its head, if its body is to be streamed. After a refusal nothing that comes has a meaning.
    ///
    /// The way of most, and inlined, so that a request is made where it goes to: each copy of one on its way would be some 25 instructions.
    #[inline(always)]
    pub(crate) fn next(
        &mut self,
        is_streamed: impl FnOnce(&Head) -> bool,
    ) -> Result<Option<Decoded>, Refusal> {
        let mut begun = None;
        if matches!(self.body, Incoming::None) {
            let limits = &*self.limits;
            if !self.input.gather(|text| too_long(text, limits))? {
                return Ok(None);
            }
            match self.repeated.head(&mut self.input.bytes, limits) {
                Some(again) if again.framing == Framing::Length(0) => {
                    return Ok(Some(Decoded {
                        request: Request::decoded(again.head, None),
                        about: again.about,
                    }));
                }
                again => begun = again.map(BegunBody::again),
            }
        }
        self.next_at_length(begun, is_streamed)
    }

    /// As `next`, of a request that has begun, or whatever comes.
    #[inline(never)]
    fn next_at_length(
        &mut self,
        begun: Option<BegunBody>,
        is_streamed: impl FnOnce(&Head) -> bool,
    ) -> Result<Option<Decoded>, Refusal> {
        if matches!(self.body, Incoming::None) {
            let begun = match begun {
                Some(begun) => begun,
                None => match self.next_head()? {
                    Some(begun) => begun,
                    None => return Ok(None),
                },
            };
            if begun.framing == Framing::Length(0) {
                return Ok(Some(Decoded {
                    request: Request::decoded(begun.head, None),
                    about: begun.about,
                }));
            }
            let is_message = begun.head.sender().is_some();
            if is_message && begun.framing == Framing::Chunked && !begun.is_gzip {
                let most = self.limits.body_bytes;
                if let Some(body) = one_chunk::take(&mut self.input.bytes, most) {
                    return Ok(Some(Decoded {
                        request: Request::decoded(begun.head, Some(Box::new(body.into()))),
                        about: begun.about,
                    }));
                }
            }
            let is_head = begun.about.is_head;
            if !is_message && is_streamed(&begun.head) {
                let begun = self.begin_stream(begun);
                return begun.inspect_err(|_| self.refuses_head = is_head).map(Some);
            }
            let decoder = WholeBody::new(begun.framing, &self.limits)
                .inspect_err(|_| self.refuses_head = is_head)?;
            self.body = Incoming::Whole(Pending {
                decoder,
                expects_continue: begun.expects_continue,
                is_gzip: begun.is_gzip,
                about: begun.about,
                head: begun.head,
            });
        }
        let Incoming::Whole(pending) = &mut self.body else {
            return Ok(None);
        };
        if !self.input.bytes.is_empty() {
            // It did not wait.
            pending.expects_continue = false;
        }
        let Some(mut body) = pending.decoder.decode(&mut self.input.bytes)? else {
            return Ok(None);
        };
        if pending.is_gzip {
            let unpacked = gzip::unpack(body.bytes(), self.limits.body_bytes)?;
            body = body.with_bytes(unpacked);
            pending.head.is_unpacked = true;
        }
        let Incoming::Whole(pending) = std::mem::replace(&mut self.body, Incoming::None) else {
            return Ok(None);
        };
        Ok(Some(Decoded {
            request: Request::decoded(pending.head, Some(Box::new(body))),
            about: pending.about,
        }))
    }

    fn begin_stream(&mut self, begun: BegunBody) -> Result<Decoded, Refusal> {
        let (streamed, body) = Streamed::new(begun.framing, &self.limits)?;
        self.body = Incoming::Streamed {
            body: streamed,
            expects_continue: begun.expects_continue && self.input.bytes.is_empty(),
        };
        Ok(Decoded {
            request: Request::decoded(begun.head, Some(Box::new(body))),
            about: begun.about,
        })
    }

    /// Reads a head, whatever has come before.
    fn next_head(&mut self) -> Result<Option<BegunBody>, Refusal> {
        // RFC 9112, section 2.2: behind the body of a request some clients send an empty line.
        while self.input.bytes.starts_with(b"\r\n") {
            self.input.bytes.advance(2);
        }
        match self.input.bytes[..] {
            [] => return Ok(None),
            [b'\n', ..] | [b'\r', _, ..] => return Err(LINE_END),
            _ => {}
        }
        let mut space = field_space();
        let mut parsed = httparse::Request::new(&mut []);
        let length = match parsed.parse_with_uninit_headers(&self.input.bytes, &mut space) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return self.wait(),
            // Which version it is, the line tells when it has its end.
            Err(httparse::Error::Version) if !self.input.bytes.contains(&b'\n') => {
                return self.wait();
            }
            Err(error) => return Err(refusal_of(error, &self.input.bytes)),
        };
        let (checked, framing, fields) = self.check(&parsed, length)?;
        let is_head = parsed.method == Some("HEAD");
        let parsed_fields = parsed.headers.len();
        let bytes = self.input.bytes.split_to(length);
        let head = Head { bytes, ..checked };
        let about = About {
            is_head,
            minor: head.minor,
            keeps_alive: fields.keeps_alive(head.minor),
            accepts_gzip: fields.accepts_gzip(),
        };
        if fields.is_plain() {
            self.repeated.keep(&head, parsed_fields, about, framing);
        }
        Ok(Some(BegunBody {
            framing,
            // RFC 9110, section 10.1.1: of an older client it means nothing.
            expects_continue: fields.expects_continue && head.minor == 1,
            is_gzip: fields.is_gzip(),
            about,
            head,
        }))
    }

    fn wait(&mut self) -> Result<Option<BegunBody>, Refusal> {
        let limits = &self.limits;
        self.input.wait(|text| too_long(text, limits))?;
        Ok(None)
    }

    /// What `httparse` does not look at. Gives a head without its bytes.
    fn check(
        &self,
        parsed: &httparse::Request<'_, '_>,
        length: usize,
    ) -> Result<(Head, Framing, Fields), Refusal> {
        let input: &[u8] = &self.input.bytes;
        let (Some(method), Some(target), Some(minor)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(Refusal::bad("the request is malformed"));
        };
        let start = offset(input, target.as_bytes());
        let end = start + target.len();
        if target.len() > self.limits.target_bytes
            || end + " HTTP/1.1\r\n".len() > most_line(&self.limits)
        {
            return Err(TOO_LONG);
        }
        if length > self.limits.head_bytes || parsed.headers.len() > self.limits.fields {
            return Err(TOO_LARGE);
        }
        if !ends_line(input, end + " HTTP/1.1".len()) {
            return Err(LINE_END);
        }
        let fields = check_fields(input, length, parsed.headers, Fields::add)?;
        if method == "CONNECT" {
            return Err(Refusal::with(
                StatusCode::NOT_IMPLEMENTED,
                "this server is no proxy",
            ));
        }
        let parts = super::target::parse(method, target.as_bytes())?;
        let framing = fields.framing(minor)?;
        // A head's length has a limit of far less.
        let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let head = Head {
            bytes: Bytes::new(),
            target: place(start)..place(end),
            path: place(start + parts.path.start)..place(start + parts.path.end),
            kind: parts.kind,
            is_unpacked: false,
            minor,
            sender: if method == "POST" {
                sender::of(input, parsed.headers)?
            } else {
                0..0
            },
        };
        Ok((head, framing, fields))
    }
}

/// A request whose head has come.
struct BegunBody {
    head: Head,
    about: About,
    framing: Framing,
    expects_continue: bool,
    is_gzip: bool,
}

impl BegunBody {
    /// Of a request whose fields say nothing else of a body than how it is framed.
    fn again(again: Again) -> Self {
        Self {
            head: again.head,
            about: again.about,
            framing: again.framing,
            expects_continue: false,
            is_gzip: false,
        }
    }
}

/// A head that is not complete, and will be too long when it is.
fn too_long(text: &[u8], limits: &Limits) -> Option<Refusal> {
    let most = most_line(limits);
    if text.len() > most && !text[..most].contains(&b'\n') {
        return Some(TOO_LONG);
    }
    (text.len() > limits.head_bytes).then(|| {
        // RFC 9112, section 3: if it is the target that is too long, that must be said.
        let mut words = text.split(|byte| matches!(byte, b' ' | b'\r'));
        let target = words.nth(1).unwrap_or_default();
        if target.len() > limits.target_bytes {
            TOO_LONG
        } else {
            TOO_LARGE
        }
    })
}

/// Bytes of the first line and its end: the longest target, with a method and a version.
pub(super) fn most_line(limits: &Limits) -> usize {
    (limits.target_bytes + 64).min(limits.head_bytes)
}

fn refusal_of(error: httparse::Error, input: &[u8]) -> Refusal {
    if error != httparse::Error::Version {
        return input::refusal_of(error).unwrap_or(Refusal::bad("the request line is malformed"));
    }
    if is_other_version(input) {
        return Refusal::with(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "this server speaks HTTP/1.1",
        );
    }
    Refusal::bad("the version is malformed")
}

/// Whether the first line ends as that of a version of HTTP does.
fn is_other_version(input: &[u8]) -> bool {
    let line = input
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit() && !matches!((major, minor), (b'1', b'0' | b'1')))
}
