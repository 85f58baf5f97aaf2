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

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};

use ::http::HeaderMap;
use bytes::{Bytes, BytesMut};

use crate::facade::lock_std;
use crate::future::{Future, Promise};

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

    /// A pipe that takes pieces while it holds less than so many bytes.
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
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            capacity: bytes,
        });
        Self {
            writer: PipeWriter(Arc::new(WriterEnd(Arc::clone(&shared)))),
            reader: PipeReader(Arc::new(ReaderEnd(shared))),
        }
    }
}

struct Shared {
    state: Mutex<State>,
    capacity: usize,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Bytes>,
    held: usize,
    end: Option<End>,
    reader_is_gone: bool,
    /// Reads that wait for a piece, by number: then there is none.
    reads: VecDeque<(u64, Promise<Bytes>)>,
    next_read: u64,
    /// Who wants all of it at once.
    collecting: Option<Collecting>,
    wants_room: Vec<Promise<()>>,
    watches_reader: Vec<Promise<()>>,
    /// Who polls for pieces, and for room.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone)]
enum End {
    Closed(Option<Box<HeaderMap>>),
    Failed(Arc<str>),
}

struct Collecting {
    into: BytesMut,
    most: usize,
    promise: Promise<Bytes>,
}

/// What a read gives: a piece, nothing at the end, or why there is none.
type Given = Result<Bytes, Arc<str>>;

/// Whom to tell what, once the lock is let go.
#[derive(Default)]
struct Told {
    reads: Vec<(Promise<Bytes>, Given)>,
    done: Vec<Promise<()>>,
    refused: Vec<(Promise<()>, &'static str)>,
    wakers: [Option<Waker>; 2],
    dropped: VecDeque<Bytes>,
}

const READER_IS_GONE: &str = "the reader has closed the pipe";
const CLOSED: &str = "the pipe was closed by its writer";
const FULL: &str = "the pipe is full: wait for the future of the last write";

impl State {
    fn has_room(&self, capacity: usize) -> bool {
        self.held < capacity
    }

    /// Gives reads what there is for them.
    fn serve_reads(&mut self, told: &mut Told) {
        while !self.reads.is_empty() {
            let Some(given) = self.take_one() else {
                break;
            };
            let read = self.reads.pop_front();
            told.reads.extend(read.map(|(_, read)| (read, given)));
        }
        if self.reads.is_empty() {
            self.serve_collecting(told);
        }
        if !self.pieces.is_empty() || self.end.is_some() {
            told.wakers[0] = self.reader.take();
        }
    }

    /// What is next; `None` if it is to come.
    fn take_one(&mut self) -> Option<Given> {
        if let Some(piece) = self.pieces.pop_front() {
            self.held -= piece.len();
            return Some(Ok(piece));
        }
        match &self.end {
            None => None,
            Some(End::Closed(_)) => Some(Ok(Bytes::new())),
            Some(End::Failed(reason)) => Some(Err(Arc::clone(reason))),
        }
    }

    fn serve_collecting(&mut self, told: &mut Told) {
        let Some(collecting) = &mut self.collecting else {
            return;
        };
        for piece in std::mem::take(&mut self.pieces) {
            self.held -= piece.len();
            collecting.into.extend_from_slice(&piece);
        }
        let result = if collecting.into.len() > collecting.most {
            Err(format!("the body is more than {} bytes", collecting.most).into())
        } else {
            match &self.end {
                None => return,
                Some(End::Closed(_)) => Ok(collecting.into.split().freeze()),
                Some(End::Failed(reason)) => Err(Arc::clone(reason)),
            }
        };
        if let Some(collecting) = self.collecting.take() {
            told.reads.push((collecting.promise, result));
        }
    }

    /// Nothing is taken any more.
    fn refuse_writers(&mut self, reason: &'static str, told: &mut Told) {
        let waiting = self.wants_room.drain(..);
        told.refused
            .extend(waiting.map(|promise| (promise, reason)));
    }

    /// Something was taken.
    fn serve_writers(&mut self, capacity: usize, told: &mut Told) {
        if self.has_room(capacity) {
            told.done.append(&mut self.wants_room);
            told.wakers[1] = self.writer.take();
        }
    }
}

impl Shared {
    /// Changes something, and tells whom it concerns.
    fn change<R>(&self, change: impl FnOnce(&mut State, &mut Told) -> R) -> R {
        let mut told = Told::default();
        let result = change(&mut lock_std(&self.state), &mut told);
        let mut again = Vec::new();
        for (read, given) in told.reads {
            match given {
                Ok(bytes) if read.has_discard() || read.is_unwatched() => {
                    read.discard();
                    again.push(bytes);
                }
                Ok(bytes) => {
                    read.set(bytes);
                }
                Err(reason) => {
                    read.fail(reason);
                }
            }
        }
        for promise in told.done {
            promise.set(());
        }
        for (promise, reason) in told.refused {
            promise.fail(reason);
        }
        for waker in told.wakers.into_iter().flatten() {
            waker.wake();
        }
        drop(told.dropped);
        again.retain(|bytes: &Bytes| !bytes.is_empty());
        if !again.is_empty() {
            self.give_back(again);
        }
        result
    }

    /// What was to be given to reads that were given up at that very moment.
    #[cold]
    fn give_back(&self, given: Vec<Bytes>) {
        self.change(|state, told| {
            if state.reader_is_gone {
                return;
            }
            for bytes in given.into_iter().rev() {
                state.held += bytes.len();
                state.pieces.push_front(bytes);
            }
            state.serve_reads(told);
        });
    }

    fn end(&self, end: End) -> bool {
        self.change(|state, told| {
            let is_first = state.end.is_none();
            if is_first {
                state.end = Some(end);
                state.refuse_writers(CLOSED, told);
                state.serve_reads(told);
            }
            is_first
        })
    }

    fn close_reader(&self) {
        self.change(|state, told| {
            if std::mem::replace(&mut state.reader_is_gone, true) {
                return;
            }
            told.dropped = std::mem::take(&mut state.pieces);
            state.held = 0;
            let reads = std::mem::take(&mut state.reads);
            let reason: Arc<str> = READER_IS_GONE.into();
            told.reads.extend(
                reads
                    .into_iter()
                    .map(|(_, read)| (read, Err(Arc::clone(&reason)))),
            );
            let collecting = state.collecting.take();
            told.reads
                .extend(collecting.map(|all| (all.promise, Err(reason))));
            state.refuse_writers(READER_IS_GONE, told);
            told.done.append(&mut state.watches_reader);
            told.wakers = [state.reader.take(), state.writer.take()];
        });
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
                state.held += data.len();
                state.pieces.push_back(data);
                state.serve_reads(told);
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
        let mut state = lock_std(&shared.state);
        if state.reader_is_gone {
            Future::failed(READER_IS_GONE)
        } else if state.end.is_some() {
            Future::failed(CLOSED)
        } else if state.has_room(shared.capacity) {
            Future::ready(())
        } else {
            let (promise, room) = Promise::pair();
            // Who asks again and again without waiting shall not fill memory, either.
            state.wants_room.retain(|promise| !promise.is_unwatched());
            state.wants_room.push(promise);
            room
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

    /// Ends the body, with header fields behind it. They reach the other side where the body is sent in chunks.
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
        let mut state = lock_std(&self.0.0.state);
        if state.reader_is_gone {
            return Future::ready(());
        }
        let (promise, closed) = Promise::pair();
        state
            .watches_reader
            .retain(|promise| !promise.is_unwatched());
        state.watches_reader.push(promise);
        closed
    }

    /// Ready if there is room, or nobody to read: else who asked last is woken then.
    pub(crate) fn poll_room(&self, waker: &Waker) -> Poll<()> {
        let shared = &self.0.0;
        let mut state = lock_std(&shared.state);
        if state.reader_is_gone || state.end.is_some() || state.has_room(shared.capacity) {
            return Poll::Ready(());
        }
        keep(&mut state.writer, waker);
        Poll::Pending
    }

    /// Ready once nobody reads: until then who asked last is woken then, and perhaps before.
    pub(crate) fn poll_reader_gone(&self, waker: &Waker) -> Poll<()> {
        let mut state = lock_std(&self.0.0.state);
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
        let (read, number) = {
            let mut state = lock_std(&shared.state);
            if state.reader_is_gone {
                return Future::failed(READER_IS_GONE);
            }
            // Those who came first are to be served first: some may be waiting for the end.
            if state.reads.is_empty()
                && let Some(given) = state.take_one()
            {
                drop(state);
                shared.change(|state, told| state.serve_writers(shared.capacity, told));
                return match given {
                    Ok(bytes) => Future::ready(bytes),
                    Err(reason) => Future::failed(reason),
                };
            }
            let (promise, read) = Promise::pair();
            let number = state.next_read;
            state.next_read += 1;
            state.reads.push_back((number, promise));
            (read, number)
        };
        let of_discard = Arc::downgrade(shared);
        read.on_cancelled(move || {
            let given_up = Weak::upgrade(&of_discard).and_then(|shared| {
                let mut state = lock_std(&shared.state);
                let place = state.reads.binary_search_by_key(&number, |read| read.0);
                place.ok().and_then(|place| state.reads.remove(place))
            });
            if let Some((_, promise)) = given_up {
                promise.discard();
            }
        });
        read
    }

    /// All that is still to come, put together. Fails if that is more than so many bytes, or the body is broken off, or somebody else has asked for all of it.
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
        shared.change(|state, told| {
            if state.reader_is_gone {
                return Future::failed(READER_IS_GONE);
            }
            if state.collecting.is_some() {
                return Future::failed("all of the body is being read already");
            }
            let (promise, all) = Promise::pair();
            state.collecting = Some(Collecting {
                into: BytesMut::new(),
                most,
                promise,
            });
            state.serve_reads(told);
            state.serve_writers(shared.capacity, told);
            all
        })
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

impl Shared {
    fn with<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&lock_std(&self.state))
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

impl Shared {
    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|state| {
            f.debug_struct(name)
                .field("held", &state.held)
                .field("capacity", &self.capacity)
                .field("has_ended", &state.end.is_some())
                .field("reader_is_gone", &state.reader_is_gone)
                .finish()
        })
    }
}

#[cfg(test)]
mod tests;
