//! Requests out of the bytes of a connection.

use std::sync::Arc;

use ::http::StatusCode;
use bytes::{Buf, Bytes, BytesMut};

use super::body::BodyDecoder;
use super::fields::{Fields, Framing};
use super::head::{Head, field_space};
use super::{Refusal, gzip};
use crate::exchange::{Limits, Request};

const LINE_END: Refusal = Refusal::bad("a line does not end with CR LF");
/// Of the name of a field, as the `http` crate has it.
pub(super) const LONGEST_NAME: usize = (1 << 16) - 1;
const TOO_LONG: Refusal = Refusal::with(
    StatusCode::URI_TOO_LONG,
    "the target is longer than this server takes",
);
const TOO_LARGE: Refusal = Refusal::with(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the header fields are more than this server takes",
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

/// Takes requests out of what comes, one behind the other.
pub(crate) struct RequestDecoder {
    limits: Arc<Limits>,
    /// What has come and was not taken.
    input: Bytes,
    /// The beginning of a head, while the rest is to come; then the input is empty.
    partial: BytesMut,
    /// How much of that has no end of a head in it.
    searched: usize,
    body: Option<Pending>,
}

/// A request whose body is to come.
struct Pending {
    head: Head,
    about: About,
    decoder: BodyDecoder,
    /// Whether the client waits to be told to go on.
    expects_continue: bool,
    is_gzip: bool,
}

impl RequestDecoder {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            input: Bytes::new(),
            partial: BytesMut::new(),
            searched: 0,
            body: None,
        }
    }

    /// Whether nothing has come of a request that was not taken.
    pub(crate) fn is_between(&self) -> bool {
        self.input.is_empty() && self.partial.is_empty() && self.body.is_none()
    }

    /// Whether a head has come, and the body has not.
    pub(crate) fn is_in_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether a part of a head has come.
    pub(crate) fn is_in_head(&self) -> bool {
        !self.is_between() && !self.is_in_body()
    }

    /// What has come and was not taken; without that of a body that has begun.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn rest(&self) -> Vec<u8> {
        [self.partial.as_ref(), self.input.as_ref()].concat()
    }

    /// Adds what has come, behind what is there.
    pub(crate) fn feed(&mut self, piece: Bytes) {
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(&piece);
        } else if self.input.is_empty() {
            self.input = piece;
        } else {
            let mut both = BytesMut::with_capacity(self.input.len() + piece.len());
            both.extend_from_slice(&self.input);
            both.extend_from_slice(&piece);
            self.input = both.freeze();
        }
    }

    /// Whether the client waits for `100 Continue`, of which this tells once.
    pub(crate) fn take_expectation(&mut self) -> bool {
        self.body
            .as_mut()
            .is_some_and(|pending| std::mem::take(&mut pending.expects_continue))
    }

    /// The next request, if all of it has come. After a refusal nothing that comes has a meaning.
    pub(crate) fn next(&mut self) -> Result<Option<Decoded>, Refusal> {
        if self.body.is_none() {
            let Some(pending) = self.next_head()? else {
                return Ok(None);
            };
            match pending {
                Begun::Whole(decoded) => return Ok(Some(decoded)),
                Begun::Pending(pending) => self.body = Some(pending),
            }
        }
        let Some(pending) = &mut self.body else {
            return Ok(None);
        };
        if !self.input.is_empty() {
            // It did not wait.
            pending.expects_continue = false;
        }
        let Some(mut body) = pending.decoder.decode(&mut self.input)? else {
            return Ok(None);
        };
        if pending.is_gzip {
            let unpacked = gzip::unpack(body.bytes(), self.limits.body_bytes)?;
            body = body.with_bytes(unpacked);
            pending.head.is_unpacked = true;
        }
        Ok(self.body.take().map(|pending| Decoded {
            request: Request::decoded(pending.head, Some(Box::new(body))),
            about: pending.about,
        }))
    }

    fn next_head(&mut self) -> Result<Option<Begun>, Refusal> {
        if !self.partial.is_empty() {
            // What begins with half of an empty line is no head yet.
            if self.partial[0] != b'\r' && !self.has_end(&self.partial, self.searched)? {
                self.searched = self.partial.len();
                return Ok(None);
            }
            self.input = std::mem::take(&mut self.partial).freeze();
        }
        // RFC 9112, section 2.2: behind the body of a request some clients send an empty line.
        while self.input.starts_with(b"\r\n") {
            self.input.advance(2);
        }
        match self.input[..] {
            [] => return Ok(None),
            [b'\n', ..] | [b'\r', _, ..] => return Err(LINE_END),
            _ => {}
        }
        let mut space = field_space();
        let mut parsed = httparse::Request::new(&mut []);
        let length = match parsed.parse_with_uninit_headers(&self.input, &mut space) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return self.wait(),
            // Which version it is, the line tells when it has its end.
            Err(httparse::Error::Version) if !self.input.contains(&b'\n') => return self.wait(),
            Err(error) => return Err(refusal_of(error, &self.input)),
        };
        let (begun, framing, fields) = self.check(&parsed, length)?;
        let is_head = parsed.method == Some("HEAD");
        let bytes = self.input.split_to(length);
        let head = Head { bytes, ..begun };
        let about = About {
            is_head,
            minor: head.minor,
            keeps_alive: fields.keeps_alive(head.minor),
            accepts_gzip: fields.accepts_gzip,
        };
        if framing == Framing::Length(0) {
            return Ok(Some(Begun::Whole(Decoded {
                request: Request::decoded(head, None),
                about,
            })));
        }
        Ok(Some(Begun::Pending(Pending {
            decoder: BodyDecoder::new(framing, &self.limits)?,
            // RFC 9110, section 10.1.1: of an older client it means nothing.
            expects_continue: fields.expects_continue && head.minor == 1,
            is_gzip: fields.is_gzip(),
            about,
            head,
        })))
    }

    /// Keeps the beginning of a head until the rest comes, unless it is one of none that is taken.
    fn wait(&mut self) -> Result<Option<Begun>, Refusal> {
        self.has_end(&self.input, 0)?;
        self.searched = self.input.len();
        self.partial = BytesMut::from(std::mem::take(&mut self.input));
        Ok(None)
    }

    /// Whether a head that was not complete is so now; or why it never will be. So many bytes of it have been searched before.
    fn has_end(&self, text: &[u8], searched: usize) -> Result<bool, Refusal> {
        let mut place = searched;
        while let Some(length) = text[place..].iter().position(|byte| *byte == b'\n') {
            place += length;
            if !text[..place].ends_with(b"\r") {
                // The end might never come: who ends its lines so ends its head so.
                return Err(LINE_END);
            }
            if text[..place].ends_with(b"\r\n\r") {
                return Ok(true);
            }
            place += 1;
        }
        self.too_long(text).map_or(Ok(false), Err)
    }

    /// A head that is not complete, and will be too long when it is.
    fn too_long(&self, text: &[u8]) -> Option<Refusal> {
        let most = self.most_line();
        if text.len() > most && !text[..most].contains(&b'\n') {
            return Some(TOO_LONG);
        }
        (text.len() > self.limits.head_bytes).then(|| {
            // RFC 9112, section 3: if it is the target that is too long, that must be said.
            let mut words = text.split(|byte| matches!(byte, b' ' | b'\r'));
            let target = words.nth(1).unwrap_or_default();
            if target.len() > self.limits.target_bytes {
                TOO_LONG
            } else {
                TOO_LARGE
            }
        })
    }

    /// Bytes of the first line and its end: the longest target, with a method and a version.
    fn most_line(&self) -> usize {
        (self.limits.target_bytes + 64).min(self.limits.head_bytes)
    }

    /// What `httparse` does not look at. Gives a head without its bytes.
    fn check(
        &self,
        parsed: &httparse::Request<'_, '_>,
        length: usize,
    ) -> Result<(Head, Framing, Fields), Refusal> {
        let input: &[u8] = &self.input;
        let (Some(method), Some(target), Some(minor)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(Refusal::bad("the request is malformed"));
        };
        let start = offset(input, target.as_bytes());
        let end = start + target.len();
        if target.len() > self.limits.target_bytes || end + " HTTP/1.1\r\n".len() > self.most_line()
        {
            return Err(TOO_LONG);
        }
        if length > self.limits.head_bytes || parsed.headers.len() > self.limits.fields {
            return Err(TOO_LARGE);
        }
        if !ends_line(input, end + " HTTP/1.1".len()) {
            return Err(LINE_END);
        }
        let mut fields = Fields::default();
        for field in parsed.headers.iter() {
            if field.name.len() > LONGEST_NAME {
                return Err(TOO_LARGE);
            }
            let mut end = offset(input, field.value) + field.value.len();
            while matches!(input.get(end), Some(b' ' | b'\t')) {
                end += 1;
            }
            if !ends_line(input, end) {
                return Err(LINE_END);
            }
            fields.add(field.name, field.value)?;
        }
        if !ends_line(input, length - 2) {
            return Err(LINE_END);
        }
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
        };
        Ok((head, framing, fields))
    }
}

enum Begun {
    Whole(Decoded),
    Pending(Pending),
}

/// Where a part of the input is; beyond its end, if it is none.
fn offset(input: &[u8], part: &[u8]) -> usize {
    let offset = part.as_ptr().addr().wrapping_sub(input.as_ptr().addr());
    offset.min(input.len())
}

fn ends_line(input: &[u8], place: usize) -> bool {
    input.get(place..place + 2) == Some(b"\r\n")
}

fn refusal_of(error: httparse::Error, input: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => TOO_LARGE,
        httparse::Error::Version if is_other_version(input) => Refusal::with(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "this server speaks HTTP/1.1",
        ),
        httparse::Error::Version => Refusal::bad("the version is malformed"),
        httparse::Error::HeaderName => Refusal::bad("the name of a header field is malformed"),
        httparse::Error::HeaderValue => Refusal::bad("the value of a header field is malformed"),
        httparse::Error::NewLine => LINE_END,
        httparse::Error::Token | httparse::Error::Status => {
            Refusal::bad("the request line is malformed")
        }
    }
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
