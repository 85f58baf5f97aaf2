//! A body as it goes out while it is made: RFC 9112, section 7.1, in chunks; or as it is, where its length was said, or the connection ends with it.

use std::sync::Arc;
use std::task::{Poll, Waker, ready};

use ::http::HeaderMap;
use bytes::Bytes;

use super::framed::{put_last_chunk, put_size};
use crate::exchange::{Body, PipeReader, Taken};

/// How the pieces of a streamed body are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    Chunked,
    /// So many bytes are still promised.
    Length(u64),
    UntilClose,
}

/// What is to be sent next, and whether nothing comes behind it.
pub(crate) type Pieces = (Vec<Bytes>, bool);

/// The body is more than was promised, or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body has another length than its Content-Length says")]
pub(crate) struct OtherLength;

impl Chunks {
    /// What goes out for a part of the body.
    pub(crate) fn frame(&mut self, taken: Taken) -> Result<Vec<Bytes>, OtherLength> {
        let Taken { mut pieces, end } = taken;
        let length: usize = pieces.iter().map(Bytes::len).sum();
        match self {
            Self::UntilClose => {}
            Self::Length(left) => {
                *left = left.checked_sub(length as u64).ok_or(OtherLength)?;
                if end.is_some() && *left > 0 {
                    return Err(OtherLength);
                }
            }
            Self::Chunked => {
                let mut behind = Vec::new();
                if length > 0 {
                    let mut before = Vec::new();
                    put_size(&mut before, length);
                    pieces.insert(0, before.into());
                    behind.extend_from_slice(b"\r\n");
                }
                if let Some(trailers) = end {
                    put_last_chunk(&mut behind, trailers.as_deref());
                }
                if !behind.is_empty() {
                    pieces.push(behind.into());
                }
            }
        }
        Ok(pieces)
    }
}

/// A body on its way out.
pub(crate) struct Outgoing {
    reader: PipeReader,
    chunks: Chunks,
    /// Unless the pipe has some.
    trailers: Option<Box<HeaderMap>>,
}

impl Outgoing {
    /// If that is a body that is streamed.
    pub(crate) fn new(body: &Body, chunks: Chunks) -> Option<Self> {
        Some(Self {
            reader: body.reader()?.clone(),
            chunks,
            trailers: body.trailers().cloned().map(Box::new),
        })
    }

    /// Whether only the end of the connection tells where it ends.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.chunks == Chunks::UntilClose
    }

    /// What is to be sent next, of so many bytes of the body at most; or why the rest of it will not come.
    pub(crate) fn poll_pieces(
        &mut self,
        most: usize,
        waker: &Waker,
    ) -> Poll<Result<Pieces, Arc<str>>> {
        let mut taken = match ready!(self.reader.poll_take(most, waker)) {
            Ok(taken) => taken,
            Err(reason) => return Poll::Ready(Err(reason)),
        };
        if let Some(none @ None) = &mut taken.end {
            *none = self.trailers.take();
        }
        let ends = taken.end.is_some();
        let framed = self.chunks.frame(taken);
        Poll::Ready(match framed {
            Ok(pieces) => Ok((pieces, ends)),
            Err(reason) => Err(reason.to_string().into()),
        })
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    fn framed(
        chunks: &mut Chunks,
        pieces: &[&'static str],
        ends: bool,
    ) -> Result<String, OtherLength> {
        let taken = Taken {
            pieces: pieces.iter().map(|piece| Bytes::from(*piece)).collect(),
            end: ends.then_some(None),
        };
        let framed = chunks.frame(taken)?.concat();
        Ok(String::from_utf8(framed).expect("text"))
    }

    #[test]
    fn pieces_that_are_there_together_are_one_chunk() {
        let mut chunks = Chunks::Chunked;
        for (pieces, ends, expected) in [
            (&["hello", " wor"][..], false, "9\r\nhello wor\r\n"),
            (&["ld"], true, "2\r\nld\r\n0\r\n\r\n"),
            (&[], true, "0\r\n\r\n"),
        ] {
            assert_eq!(framed(&mut chunks, pieces, ends).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_was_promised_must_be_kept() {
        let mut chunks = Chunks::Length(7);
        assert_eq!(
            framed(&mut chunks, &["hello"], false).as_deref(),
            Ok("hello")
        );
        assert_eq!(
            framed(&mut chunks.clone(), &["abc"], false),
            Err(OtherLength)
        );
        assert_eq!(framed(&mut chunks.clone(), &["a"], true), Err(OtherLength));
        assert_eq!(framed(&mut chunks, &["ab"], true).as_deref(), Ok("ab"));
    }

    #[test]
    fn what_the_end_of_the_connection_ends_goes_out_as_it_is() {
        let mut chunks = Chunks::UntilClose;
        assert_eq!(framed(&mut chunks, &["a", "b"], true).as_deref(), Ok("ab"));
    }
}
