//! A body that its reader is given as it comes.

use std::task::{Poll, Waker};

use ::http::HeaderMap;
use bytes::Bytes;

use super::Refusal;
use super::body::{BodyDecoder, Piece};
use super::fields::Framing;
use crate::exchange::{Body, Limits, Pipe, PipeWriter};

/// Bytes of a body that are thrown away when nobody reads it, so that the connection stays.
const MOST_UNREAD: usize = 256 << 10;

/// A body that its reader is given as it comes. What its pipe holds bounds it, and nothing else.
pub(super) struct Streamed {
    decoder: BodyDecoder,
    writer: PipeWriter,
    /// Bytes that came when nobody read them any more.
    unread: usize,
}

/// The end of a body, of which its reader is yet to be told: he may act on it at once, and had better find that the connection is free by then.
#[must_use]
pub(crate) struct BodyEnd {
    writer: PipeWriter,
    trailers: HeaderMap,
}

impl BodyEnd {
    pub(crate) fn tell(self) {
        self.writer.close_with_trailers(self.trailers);
    }
}

impl Streamed {
    /// With the body for its reader.
    pub(super) fn new(framing: Framing, limits: &Limits) -> Result<(Self, Body), Refusal> {
        let decoder = BodyDecoder::new(framing, limits, u64::MAX)?;
        let Pipe { writer, reader } = Pipe::new();
        let streamed = Self {
            decoder,
            writer,
            unread: 0,
        };
        Ok((streamed, Body::stream(reader)))
    }

    /// Hands on what has come, behind which nothing comes if the connection has ended. The end of the body, once that has come.
    pub(super) fn take(
        &mut self,
        input: &mut Bytes,
        has_ended: bool,
    ) -> Result<Option<BodyEnd>, Refusal> {
        loop {
            let is_read = !self.reader_is_gone();
            if is_read && !self.writer.has_room() {
                return Ok(None);
            }
            match self.decoder.decode(input)? {
                None if has_ended => self.decoder.end()?,
                None => return Ok(None),
                Some(Piece::Bytes(piece)) if is_read => {
                    // Unless it is read no more, meanwhile.
                    let _ = self.writer.try_write(piece);
                }
                Some(Piece::Bytes(piece)) => {
                    self.unread += piece.len();
                    if self.unread > MOST_UNREAD {
                        return Err(Refusal::bad("nobody reads the body"));
                    }
                }
                Some(Piece::End(trailers)) => {
                    return Ok(Some(BodyEnd {
                        writer: self.writer.clone(),
                        trailers: trailers.unwrap_or_default(),
                    }));
                }
            }
        }
    }

    /// Whether its reader has left it.
    pub(super) fn reader_is_gone(&self) -> bool {
        self.writer.reader_is_gone()
    }

    /// Ready if there is room for more.
    pub(super) fn poll_room(&self, waker: &Waker) -> Poll<()> {
        self.writer.poll_room(waker)
    }

    /// Ready once nobody reads it.
    pub(super) fn poll_reader_gone(&self, waker: &Waker) -> Poll<()> {
        self.writer.poll_reader_gone(waker)
    }

    /// Nothing more comes of it.
    pub(super) fn break_off(&self, reason: &str) {
        self.writer.fail(reason);
    }
}
