//! The codec as those see it that check it.

use std::sync::Arc;
use std::task::{Poll, Waker};

use ::http::StatusCode;
use bytes::Bytes;

use crate::exchange::{
    About, Asked, Body, DecodedResponse, Limits, PipeReader, Refusal, Request, RequestDecoder,
    Response, ResponseDecoder, encode_request, encode_response,
};

/// The decoder of requests.
pub(super) struct Decoder(RequestDecoder);

impl Decoder {
    /// A decoder that has been fed nothing.
    pub(super) fn new(limits: Limits) -> Self {
        Self(RequestDecoder::new(Arc::new(limits)))
    }

    /// Adds what has come.
    pub(super) fn feed(&mut self, piece: Bytes) {
        self.0.feed(piece);
    }

    /// The next request, the path that it is routed by, and all else that is told of it, as text; or the status that it is refused with.
    pub(super) fn take(&mut self) -> Result<Option<(Request, String, String)>, StatusCode> {
        let decoded = self.0.next(|_| false).map_err(|refusal| refusal.status)?;
        Ok(decoded.map(|decoded| {
            let path = decoded.request.path_of_head().to_owned();
            let about = format!("{:?} {:?}", decoded.about, decoded.request.sender());
            (decoded.request, path, about)
        }))
    }

    /// What has come and was not taken; without that of a body that has begun.
    pub(super) fn rest(&self) -> Vec<u8> {
        self.0.rest()
    }

    /// Whether a head has come, and its body has not.
    pub(super) fn is_in_body(&self) -> bool {
        self.0.is_in_body()
    }

    /// Whether nothing has come of a request that was not taken.
    pub(super) fn is_between(&self) -> bool {
        self.0.is_between()
    }
}

/// The decoder of responses, which all answer the same kind of request.
pub(super) struct Responses {
    decoder: ResponseDecoder,
    asked: Asked,
    begun: Option<Begun>,
    has_ended: bool,
}

/// A response whose body comes.
struct Begun {
    decoded: DecodedResponse,
    reader: PipeReader,
    body: Vec<u8>,
}

impl Responses {
    /// A decoder that has been fed nothing.
    pub(super) fn new(limits: Limits, is_head: bool, streams: bool) -> Self {
        Self {
            decoder: ResponseDecoder::new(Arc::new(limits)),
            asked: Asked { is_head, streams },
            begun: None,
            has_ended: false,
        }
    }

    /// Adds what has come.
    pub(super) fn feed(&mut self, piece: Bytes) {
        self.decoder.feed(piece);
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// The next response, with all of its body however that came, and whether the connection stays; or why it is refused.
    pub(super) fn take(&mut self) -> Result<Option<(Response, bool)>, &'static str> {
        self.try_take().map_err(|refusal| refusal.reason)
    }

    fn try_take(&mut self) -> Result<Option<(Response, bool)>, Refusal> {
        if self.begun.is_none() {
            let decoded = if self.has_ended {
                self.decoder.end(Some(self.asked))?
            } else {
                self.decoder.next(self.asked)?
            };
            let Some(decoded) = decoded else {
                return Ok(None);
            };
            let Some(reader) = decoded.response.body().reader().cloned() else {
                return Ok(Some((decoded.response, decoded.keeps_alive)));
            };
            self.begun = Some(Begun {
                decoded,
                reader,
                body: Vec::new(),
            });
        }
        let is_whole = if self.has_ended {
            self.decoder.end(None)?;
            !self.decoder.is_streaming()
        } else {
            self.decoder.stream()?
        };
        let Some(begun) = &mut self.begun else {
            return Ok(None);
        };
        while let Poll::Ready(taken) = begun.reader.poll_take(usize::MAX, Waker::noop()) {
            let taken = taken.expect("a body that was not refused does not fail");
            begun.body.extend(taken.pieces.concat());
            if let Some(trailers) = taken.end {
                assert!(is_whole, "it ends when it is told to");
                let body = Body::from(std::mem::take(&mut begun.body));
                let body = body.with_trailers(trailers.map(|it| *it).unwrap_or_default());
                let begun = self.begun.take();
                return Ok(begun.map(|Begun { decoded, .. }| {
                    (decoded.response.map(|_| body), decoded.keeps_alive)
                }));
            }
        }
        assert!(!is_whole, "its end reaches the reader");
        Ok(None)
    }

    /// What has come and was not taken; without that of a body that has begun.
    pub(super) fn rest(&self) -> Vec<u8> {
        self.decoder.rest()
    }

    /// Whether nothing has come of a response that was not taken.
    pub(super) fn is_between(&self) -> bool {
        self.decoder.is_between()
    }
}

/// A response that is not streamed as bytes.
pub(super) fn response_bytes(response: &Response, is_head: bool, keeps_alive: bool) -> Vec<u8> {
    let about = About {
        is_head,
        minor: 1,
        keeps_alive,
        accepts_gzip: false,
    };
    let mut out = Vec::new();
    let framed = encode_response(&mut out, about, false, response);
    [&out[..], &framed.body, &framed.end].concat()
}

/// A request that is not streamed as bytes.
pub(super) fn request_bytes(request: &::http::Request<Body>) -> Vec<u8> {
    let mut out = Vec::new();
    let framed = encode_request(&mut out, request, "h", false);
    [&out[..], &framed.body, &framed.end].concat()
}
