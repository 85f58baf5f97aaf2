//! Responses out of the bytes of a connection.
//!
//! Where a response ends depends on the request that it answers: what answers a HEAD has the fields of a body and none. So a response is taken for a request that is said, and what
//! comes unasked is left where it is, for whoever keeps the connection to see.

use std::sync::Arc;
use std::task::{Poll, Waker};

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use ::http::{StatusCode, Version};
use bytes::{Buf, Bytes};

use super::body::WholeBody;
use super::fields::{Fields, Framing};
use super::head::{append, field_space};
use super::input::{Input, LINE_END, TOO_LARGE, check_fields};
use super::streamed::{BodyEnd, Streamed};
use super::{Refusal, gzip, input};
use crate::exchange::{Body, Limits, Pipe, Response};

/// Of the interim responses before the one that is awaited: else a server could send them without end.
const MOST_INTERIM: u32 = 32;

const NO_HTTP: Refusal = Refusal::bad("the response does not begin as one of HTTP does");
const CUT: Refusal = Refusal::bad("the connection has ended in the middle of a response");

/// What of a request its response depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) is_head: bool,
    /// The body is wanted as it comes, not all of it at once.
    pub(crate) streams: bool,
}

/// A response, and whether the connection may be used again behind it.
#[derive(Debug)]
pub(crate) struct DecodedResponse {
    pub(crate) response: Response,
    pub(crate) keeps_alive: bool,
}

/// Takes responses out of what comes, one behind the other.
pub(crate) struct ResponseDecoder {
    limits: Arc<Limits>,
    input: Input,
    body: Incoming,
    /// Interim responses since the last other one.
    interim: u32,
    /// Nothing comes behind the input.
    has_ended: bool,
}

/// Which body is to come.
enum Incoming {
    None,
    /// Of a response that is handed on when it is whole.
    Whole(Pending),
    /// Of one that was handed on.
    Streamed(Streamed),
}

/// A response whose body is to come.
struct Pending {
    head: Head,
    decoder: WholeBody,
}

/// What the head of a response says.
struct Head {
    response: ::http::Response<()>,
    keeps_alive: bool,
    /// `None`: there is no body, whatever the fields say.
    framing: Option<Framing>,
    is_gzip: bool,
}

impl ResponseDecoder {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            input: Input::default(),
            body: Incoming::None,
            interim: 0,
            has_ended: false,
        }
    }

    /// Adds what has come, behind what is there.
    pub(crate) fn feed(&mut self, piece: Bytes) {
        self.input.feed(piece);
    }

    /// Whether nothing has come of a response that was not taken.
    pub(crate) fn is_between(&self) -> bool {
        self.input.is_empty() && matches!(self.body, Incoming::None) && self.interim == 0
    }

    /// What has come and was not taken; without that of a body that has begun.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn rest(&self) -> Vec<u8> {
        self.input.rest()
    }

    /// Whether a response was handed on whose body is still to come.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self.body, Incoming::Streamed(_))
    }

    /// Hands on what has come of the body of a response that was handed on. The end of it, once that has come.
    pub(crate) fn stream_on(&mut self) -> Result<Option<BodyEnd>, Refusal> {
        let Incoming::Streamed(body) = &mut self.body else {
            return Ok(None);
        };
        let end = body.take(&mut self.input.bytes, self.has_ended);
        match &end {
            Ok(None) => {}
            Ok(Some(_)) => self.body = Incoming::None,
            Err(refusal) => self.break_off(refusal.reason),
        }
        end
    }

    /// As [`stream_on`](Self::stream_on), of which the reader is told at once. Whether that was the end of it.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn stream(&mut self) -> Result<bool, Refusal> {
        let end = self.stream_on()?;
        Ok(end.map(BodyEnd::tell).is_some() || !self.is_streaming())
    }

    /// Ready if the body that is streamed has room for more.
    pub(crate) fn poll_room(&self, waker: &Waker) -> Poll<()> {
        match &self.body {
            Incoming::Streamed(body) => body.poll_room(waker),
            Incoming::None | Incoming::Whole(_) => Poll::Ready(()),
        }
    }

    /// Ready once nobody reads the body that is streamed.
    pub(crate) fn poll_reader_gone(&self, waker: &Waker) -> Poll<()> {
        match &self.body {
            Incoming::Streamed(body) => body.poll_reader_gone(waker),
            Incoming::None | Incoming::Whole(_) => Poll::Pending,
        }
    }

    /// Nothing more comes of a body that is streamed.
    pub(crate) fn break_off(&mut self, reason: &str) {
        if let Incoming::Streamed(body) = &self.body {
            body.break_off(reason);
        }
    }

    /// The server has closed: a body that this ends is whole now, and what else is not whole never will be. If a response was asked for it is given, as by [`next`](Self::next), unless nothing
    /// has come of it. A body that is streamed may wait for room still: it ends, or breaks off, by [`stream_on`](Self::stream_on).
    pub(crate) fn end(&mut self, asked: Option<Asked>) -> Result<Option<DecodedResponse>, Refusal> {
        self.has_ended = true;
        if let Some(end) = self.stream_on()? {
            end.tell();
        }
        match asked {
            Some(asked) => self.next(asked),
            None => Ok(None),
        }
    }

    /// The response to a request, once all of it has come; or its head, if its body is to be streamed. Interim ones are skipped. After a refusal nothing that comes has a meaning.
    pub(crate) fn next(&mut self, asked: Asked) -> Result<Option<DecodedResponse>, Refusal> {
        if matches!(self.body, Incoming::None) {
            let Some(head) = self.next_head(asked.is_head)? else {
                return if self.has_ended && !self.is_between() {
                    Err(CUT)
                } else {
                    Ok(None)
                };
            };
            match head.framing {
                None | Some(Framing::Length(0)) => return Ok(Some(head.without_body(asked))),
                Some(framing) if asked.streams => {
                    let (streamed, body) = Streamed::new(framing, &self.limits)?;
                    self.body = Incoming::Streamed(streamed);
                    return Ok(Some(head.with(body)));
                }
                Some(framing) => {
                    self.body = Incoming::Whole(Pending {
                        decoder: WholeBody::new(framing, &self.limits)?,
                        head,
                    });
                }
            }
        }
        let Incoming::Whole(pending) = &mut self.body else {
            return Ok(None);
        };
        let body = match pending.decoder.decode(&mut self.input.bytes)? {
            Some(body) => body,
            None if self.has_ended => pending.decoder.end()?,
            None => return Ok(None),
        };
        let Incoming::Whole(pending) = std::mem::replace(&mut self.body, Incoming::None) else {
            return Ok(None);
        };
        pending.head.with_whole(body, &self.limits).map(Some)
    }

    /// The next one that is no interim one.
    fn next_head(&mut self, is_head: bool) -> Result<Option<Head>, Refusal> {
        while let Some(head) = self.any_head(is_head)? {
            let status = head.response.status();
            if !status.is_informational() {
                self.interim = 0;
                return Ok(Some(head));
            }
            if status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(Refusal::bad("the server switches protocols, unasked"));
            }
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                return Err(Refusal::bad("there are too many interim responses"));
            }
        }
        Ok(None)
    }

    fn any_head(&mut self, is_head: bool) -> Result<Option<Head>, Refusal> {
        let limits = &self.limits;
        let is_ready = self.input.gather(|text| too_long(text, limits))?;
        if !is_ready || self.input.bytes.is_empty() {
            return Ok(None);
        }
        // Unlike a server, a client takes no empty lines before a message.
        if !begins_as_http(&self.input.bytes) {
            return Err(NO_HTTP);
        }
        let bytes = self.input.bytes.clone();
        let mut space = field_space();
        let mut parsed = httparse::Response::new(&mut []);
        let length = match httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut parsed,
            &bytes,
            &mut space,
        ) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => {
                // Else they were copied to be kept.
                drop(bytes);
                self.input.wait(|text| too_long(text, limits))?;
                return Ok(None);
            }
            Err(error) => return Err(refusal_of(error)),
        };
        let head = read(&parsed, &bytes, length, is_head, limits)?;
        self.input.bytes.advance(length);
        Ok(Some(head))
    }
}

impl Head {
    fn with(self, body: Body) -> DecodedResponse {
        DecodedResponse {
            response: self.response.map(|()| body),
            keeps_alive: self.keeps_alive,
        }
    }

    /// Who reads a body as it comes is given one that has ended.
    fn without_body(self, asked: Asked) -> DecodedResponse {
        if !asked.streams {
            return self.with(Body::empty());
        }
        let Pipe { writer, reader } = Pipe::new();
        writer.close();
        self.with(Body::stream(reader))
    }

    fn with_whole(mut self, mut body: Body, limits: &Limits) -> Result<DecodedResponse, Refusal> {
        if self.is_gzip && !body.is_empty() {
            let unpacked = gzip::unpack(body.bytes(), limits.body_bytes)?;
            body = body.with_bytes(unpacked);
            let headers = self.response.headers_mut();
            headers.remove(CONTENT_ENCODING);
            if let Some(said) = headers.get_mut(CONTENT_LENGTH) {
                *said = body.len().into();
            }
        }
        Ok(self.with(body))
    }
}

/// What `httparse` does not look at, and the head's value.
fn read(
    parsed: &httparse::Response<'_, '_>,
    bytes: &Bytes,
    length: usize,
    is_head: bool,
    limits: &Limits,
) -> Result<Head, Refusal> {
    const BAD_LINE: Refusal = Refusal::bad("the status line is malformed");
    if length > limits.head_bytes || parsed.headers.len() > limits.fields {
        return Err(TOO_LARGE);
    }
    let (Some(minor), Some(code)) = (parsed.version, parsed.code) else {
        return Err(BAD_LINE);
    };
    let status = StatusCode::from_u16(code).map_err(|_| BAD_LINE)?;
    let line = bytes.split(|byte| *byte == b'\n').next();
    if !line.is_some_and(|line| line.ends_with(b"\r")) {
        return Err(LINE_END);
    }
    let fields = check_fields(bytes, length, parsed.headers, Fields::add_of_response)?;
    let said = fields.framing_of_response(minor)?;
    // RFC 9112, section 6.3, rule 1.
    let is_bodiless = status.is_informational() || status == StatusCode::NO_CONTENT;
    let framing = if is_head || is_bodiless || status == StatusCode::NOT_MODIFIED {
        None
    } else {
        Some(said)
    };
    // A server that says that there is a body where there is none may send one, too.
    let is_sure = !is_bodiless || matches!(said, Framing::UntilClose | Framing::Length(0));
    if !is_sure && status.is_informational() {
        return Err(Refusal::bad("an interim response has no body"));
    }
    let mut response = ::http::Response::new(());
    *response.status_mut() = status;
    *response.version_mut() = if minor == 0 {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    append(parsed.headers, bytes, response.headers_mut());
    Ok(Head {
        response,
        keeps_alive: is_sure && framing != Some(Framing::UntilClose) && fields.keeps_alive(minor),
        framing,
        // A part of what is packed cannot be unpacked.
        is_gzip: fields.is_gzip() && status != StatusCode::PARTIAL_CONTENT,
    })
}

/// A head that is not complete, and will be too long when it is.
fn too_long(text: &[u8], limits: &Limits) -> Option<Refusal> {
    (text.len() > limits.head_bytes).then_some(TOO_LARGE)
}

/// Whether it does as far as it goes: who speaks another protocol might never send what looks like the end of a head.
fn begins_as_http(text: &[u8]) -> bool {
    let begin = b"HTTP/";
    let length = text.len().min(begin.len());
    text[..length] == begin[..length]
}

fn refusal_of(error: httparse::Error) -> Refusal {
    input::refusal_of(error).unwrap_or(match error {
        httparse::Error::Version => Refusal::bad("the server speaks another version of HTTP"),
        _ => Refusal::bad("the status line is malformed"),
    })
}
