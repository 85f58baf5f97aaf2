//! A body that is made while it is sent: what one side writes the other reads.
//!
//! # Protocol
//!
//! ```text
//! writer ─ write ─► pieces (held < capacity: room) ─ read ─► reader
//!        ◄─ room ─                                 ◄─ end: closed, or failed and why
//! ```
//!
//! A pipe takes a piece while it holds less than its capacity, so it never holds more than that and one piece. A write gives a future of room for the next; whoever does not wait for it is refused once
//! there is none, so no reader, however slow, makes memory grow.
//!
//! # What can go wrong
//!
//! - *The reader goes away.* What is held is dropped, writes are refused, and the writer is told.
//! - *The writer goes away without a word.* That is no end: who reads half of a body must not take it for the whole. The read fails.
//! - *A read is given up.* It is taken out, and the next one is given what comes; one that is given up while it is given something gives it back.
//! - *Who is told does something with the pipe.* So nobody is told under the lock.

mod state;
#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};

use ::http::HeaderMap;
use bytes::Bytes;

use crate::future::Future;
use state::{CLOSED, End, READER_IS_GONE, Shared};

const FULL: &str = "the pipe is full: wait for the future of the last write";

/// A pipe: a body that is written while it is read. See [`Body::stream`](super::Body::stream).
///
/// ```
/// use libprocess::http::Pipe;
///
/// let Pipe { writer, reader } = Pipe::new();
/// writer.write("to be").get()?;
/// writer.write(" continued").get()?;
/// writer.close();
/// assert_eq!(reader.read().get()?, "to be");
/// assert_eq!(reader.read().get()?, " continued");
/// assert_eq!(reader.read().get()?, "");
/// # Ok::<(), libprocess::FutureError>(())
/// ```
#[derive(Debug)]
pub struct Pipe {
    /// Where the body is written.
    pub writer: PipeWriter,
    /// Where it is read.
    pub reader: PipeReader,
}

impl Pipe {
    /// What a pipe holds if it is not told otherwise.
    const CAPACITY: usize = 64 << 10;

    /// A pipe that holds up to 64 KiB.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let pipe = Pipe::new();
    /// assert!(pipe.writer.try_write("hello").is_ok());
    /// ```
    #[expect(
        clippy::new_without_default,
        reason = "a pipe is made to be taken apart, nobody wants one by default"
    )]
    pub fn new() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }

    /// A pipe that takes pieces while it holds less than so many bytes, and no more than 256 of them.
    ///
    /// # Panics
    ///
    /// If that is none.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let pipe = Pipe::with_capacity(1 << 20);
    /// # drop(pipe);
    /// ```
    pub fn with_capacity(bytes: usize) -> Self {
        assert!(bytes > 0, "a pipe without room would never take a byte");
        let shared = Arc::new(Shared::new(bytes));
        Self {
            writer: PipeWriter(Arc::new(WriterEnd(Arc::clone(&shared)))),
            reader: PipeReader(Arc::new(ReaderEnd(shared))),
        }
    }
}

/// Where a pipe is written. Clones write to the same pipe.
///
/// # Drop
///
/// When the last clone is dropped before [`close`](Self::close) the body fails: its reader is told that this is not the end.
#[derive(Clone)]
pub struct PipeWriter(Arc<WriterEnd>);

struct WriterEnd(Arc<Shared>);

impl Drop for WriterEnd {
    fn drop(&mut self) {
        self.0.end(End::Failed(
            "the writer of the body was dropped before its end".into(),
        ));
    }
}

/// Why a piece was not taken: it is given back.
///
/// ```
/// use libprocess::http::{Pipe, TryWriteError};
///
/// let Pipe { writer, reader } = Pipe::with_capacity(4);
/// assert!(writer.try_write("hello").is_ok());
/// assert_eq!(writer.try_write("more"), Err(TryWriteError::Full("more".into())));
/// drop(reader);
/// assert_eq!(writer.try_write("more"), Err(TryWriteError::Closed("more".into())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryWriteError {
    /// The pipe holds as much as it may.
    #[error("the pipe is full: {} bytes were not taken", .0.len())]
    Full(Bytes),
    /// The reader, or the writer, has closed the pipe.
    #[error("the pipe is closed: {} bytes were not taken", .0.len())]
    Closed(Bytes),
}

impl TryWriteError {
    /// The piece.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// # let Pipe { writer, reader } = Pipe::new();
    /// # drop(reader);
    /// let refused = writer.try_write("hello").expect_err("nobody reads");
    /// assert_eq!(refused.into_inner(), "hello");
    /// ```
    pub fn into_inner(self) -> Bytes {
        match self {
            Self::Full(piece) | Self::Closed(piece) => piece,
        }
    }
}

impl PipeWriter {
    /// Writes a piece, behind those before it. Ready when the pipe has room for the next. Nothing is written if it is empty.
    ///
    /// The future fails, and the piece is not taken, if the reader has gone away or the pipe is closed; and if the pipe is full, because somebody did not wait for the future before. Where several write
    /// to one pipe each may find that, and had better [`try_write`](Self::try_write) and wait for [`room`](Self::room).
    ///
    /// ```
    /// use libprocess::http::Pipe;
    ///
    /// let Pipe { writer, reader } = Pipe::with_capacity(4);
    /// let room = writer.write("hello");
    /// assert!(room.is_pending());
    /// assert_eq!(reader.read().get()?, "hello");
    /// room.get()?;
    /// drop(reader);
    /// assert!(writer.write("more").get().is_err());
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn write(&self, data: impl Into<Bytes>) -> Future<()> {
        match self.try_write(data) {
            Ok(()) => self.room(),
            Err(TryWriteError::Full(_)) => Future::failed(FULL),
            Err(TryWriteError::Closed(_)) => Future::failed(self.why_closed()),
        }
    }

    fn why_closed(&self) -> &'static str {
        if self.0.0.with(|state| state.reader_is_gone) {
            READER_IS_GONE
        } else {
            CLOSED
        }
    }

    /// Writes a piece, if there is room now.
    ///
    /// # Errors
    ///
    /// Gives the piece back, if there is no room or nobody reads.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// writer.try_write("hello")?;
    /// assert_eq!(reader.read().get()?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_write(&self, data: impl Into<Bytes>) -> Result<(), TryWriteError> {
        let data = data.into();
        let shared = &self.0.0;
        shared.change(|state, told| {
            if state.reader_is_gone || state.end.is_some() {
                return Err(TryWriteError::Closed(data));
            }
            if !state.has_room(shared.capacity) {
                return Err(TryWriteError::Full(data));
            }
            if !data.is_empty() {
                state.push(data, told);
            }
            Ok(())
        })
    }

    /// Ready when the pipe has room for a piece. Fails if it is closed by either side.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// writer.room().get()?;
    /// # drop(reader);
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn room(&self) -> Future<()> {
        let shared = &self.0.0;
        let state = shared.lock();
        if state.reader_is_gone {
            Future::failed(READER_IS_GONE)
        } else if state.end.is_some() {
            Future::failed(CLOSED)
        } else if state.has_room(shared.capacity) {
            Future::done()
        } else {
            shared.wait_for_room(state)
        }
    }

    /// Ends the body. Whether it had not ended before.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// assert!(writer.close());
    /// assert!(!writer.close());
    /// assert_eq!(reader.read().get()?, "");
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn close(&self) -> bool {
        self.0.0.end(End::Closed(None))
    }

    /// Ends the body, with header fields behind it. They reach the other side where the body is sent in chunks, but for those that are no
    /// [trailers](super::Body::with_trailers).
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use libprocess::http::Pipe;
    ///
    /// let Pipe { writer, reader } = Pipe::new();
    /// let mut trailers = HeaderMap::new();
    /// trailers.insert("checksum", HeaderValue::from_static("5d41402a"));
    /// writer.close_with_trailers(trailers);
    /// assert_eq!(reader.trailers().expect("trailers")["checksum"], "5d41402a");
    /// ```
    pub fn close_with_trailers(&self, trailers: HeaderMap) -> bool {
        let trailers = Some(Box::new(trailers)).filter(|trailers| !trailers.is_empty());
        self.0.0.end(End::Closed(trailers))
    }

    /// Breaks the body off, and why: behind what was written the read fails. A client is not told the reason: its connection is reset, as nothing else tells it that the body is not whole.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// writer.fail("the disk is gone");
    /// assert!(reader.read().get().is_err());
    /// ```
    pub fn fail(&self, reason: impl Into<Arc<str>>) -> bool {
        self.0.0.end(End::Failed(reason.into()))
    }

    /// Ready when nobody reads any more: the client has gone away, say. It stays pending where the body is read to its end, until the reader is dropped.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// let closed = writer.reader_closed();
    /// assert!(closed.is_pending());
    /// drop(reader);
    /// closed.get()?;
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn reader_closed(&self) -> Future<()> {
        let state = self.0.0.lock();
        if state.reader_is_gone {
            return Future::done();
        }
        self.0.0.wait_for_reader(state)
    }

    /// Ready if there is room, or nobody to read: else who asked last is woken then.
    pub(crate) fn poll_room(&self, waker: &Waker) -> Poll<()> {
        let shared = &self.0.0;
        let mut state = shared.lock();
        if state.reader_is_gone || state.end.is_some() || state.has_room(shared.capacity) {
            return Poll::Ready(());
        }
        keep(&mut state.writer, waker);
        Poll::Pending
    }

    /// Ready once nobody reads: until then who asked last is woken then, and perhaps before.
    pub(crate) fn poll_reader_gone(&self, waker: &Waker) -> Poll<()> {
        let mut state = self.0.0.lock();
        if state.reader_is_gone {
            return Poll::Ready(());
        }
        keep(&mut state.writer, waker);
        Poll::Pending
    }

    pub(crate) fn has_room(&self) -> bool {
        let shared = &self.0.0;
        shared.with(|state| state.has_room(shared.capacity))
    }

    pub(crate) fn reader_is_gone(&self) -> bool {
        self.0.0.with(|state| state.reader_is_gone)
    }
}

/// Where a pipe is read. Clones read the same pipe: each piece goes to the read that came first.
///
/// # Drop
///
/// When the last clone is dropped the pipe is closed, as by [`close`](Self::close).
#[derive(Clone)]
pub struct PipeReader(Arc<ReaderEnd>);

struct ReaderEnd(Arc<Shared>);

impl Drop for ReaderEnd {
    fn drop(&mut self) {
        self.0.close_reader();
    }
}

/// What a pipe had, for one who polls.
pub(crate) struct Taken {
    pub(crate) pieces: Vec<Bytes>,
    /// Nothing comes behind them, but these trailers.
    pub(crate) end: Option<Option<Box<HeaderMap>>>,
}

impl PipeReader {
    /// The next piece, as it was written; an empty one at the end, and from then on. Fails where the body was broken off.
    ///
    /// Several may wait: each piece goes to the one that asked first. A read that is discarded takes nothing.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// let first = reader.read();
    /// writer.write("hello").get()?;
    /// assert_eq!(first.get()?, "hello");
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn read(&self) -> Future<Bytes> {
        let shared = &self.0.0;
        let mut state = shared.lock();
        if state.reader_is_gone {
            return Future::failed(READER_IS_GONE);
        }
        // Those who came first are to be served first: some may be waiting for the end.
        if state.is_awaited() {
            return shared.wait_for_piece(state);
        }
        let Some(given) = state.take_one() else {
            return shared.wait_for_piece(state);
        };
        drop(state);
        shared.change(|state, told| state.serve_writers(shared.capacity, told));
        match given {
            Ok(bytes) => Future::ready(bytes),
            Err(reason) => Future::failed(reason),
        }
    }

    /// All that is still to come, put together; reads that are asked for later come behind it. If it is given up, what has come is there for the next read. Fails if that is more than so many bytes, or the body is broken off, or somebody else has asked for all of it.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// let all = reader.read_all(1 << 20);
    /// writer.write("to be").get()?;
    /// writer.write(" continued").get()?;
    /// writer.close();
    /// assert_eq!(all.get()?, "to be continued");
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn read_all(&self, most: usize) -> Future<Bytes> {
        let shared = &self.0.0;
        if shared.with(|state| state.reader_is_gone) {
            return Future::failed(READER_IS_GONE);
        }
        let all = shared.wait_for_all(most);
        all.unwrap_or_else(|| Future::failed("all of the body is being read already"))
    }

    /// What came behind the body, once that has ended.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// writer.close();
    /// assert!(reader.trailers().is_none());
    /// ```
    pub fn trailers(&self) -> Option<HeaderMap> {
        self.0.0.with(|state| match &state.end {
            Some(End::Closed(trailers)) => trailers.as_deref().cloned(),
            _ => None,
        })
    }

    /// Reads nothing more: what is there is dropped, and the writer is told.
    ///
    /// ```
    /// # use libprocess::http::Pipe;
    /// let Pipe { writer, reader } = Pipe::new();
    /// reader.close();
    /// writer.reader_closed().get()?;
    /// # Ok::<(), libprocess::FutureError>(())
    /// ```
    pub fn close(&self) {
        self.0.0.close_reader();
    }

    /// Up to so many bytes of what is there, at least a piece of it; else who asked last is woken.
    pub(crate) fn poll_take(&self, most: usize, waker: &Waker) -> Poll<Result<Taken, Arc<str>>> {
        let shared = &self.0.0;
        shared.change(|state, told| {
            let (mut pieces, mut room) = (Vec::new(), most);
            while room > 0
                && let Some(piece) = state.pieces.front_mut()
            {
                let length = piece.len().min(room);
                room -= length;
                state.held -= length;
                if length < piece.len() {
                    pieces.push(piece.split_to(length));
                } else {
                    pieces.extend(state.pieces.pop_front());
                }
            }
            let ends = state.pieces.is_empty();
            match &state.end {
                _ if state.reader_is_gone => return Poll::Ready(Err(READER_IS_GONE.into())),
                Some(End::Failed(reason)) if pieces.is_empty() => {
                    return Poll::Ready(Err(Arc::clone(reason)));
                }
                None if pieces.is_empty() => {
                    keep(&mut state.reader, waker);
                    return Poll::Pending;
                }
                _ => {}
            }
            state.serve_writers(shared.capacity, told);
            let end = match &state.end {
                Some(End::Closed(trailers)) if ends => Some(trailers.clone()),
                _ => None,
            };
            Poll::Ready(Ok(Taken { pieces, end }))
        })
    }
}

fn keep(kept: &mut Option<Waker>, waker: &Waker) {
    if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        *kept = Some(waker.clone());
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.describe("PipeWriter", f)
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.describe("PipeReader", f)
    }
}
