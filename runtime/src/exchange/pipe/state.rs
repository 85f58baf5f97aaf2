//! What the ends of a pipe share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use ::http::HeaderMap;
use bytes::{Bytes, BytesMut};

use crate::facade::{contained, lock_std};
use crate::future::{Future, Promise};

/// Pieces that a pipe holds: each takes some memory beside its bytes, and may keep a larger buffer alive.
const MOST_PIECES: usize = 256;

pub(super) const READER_IS_GONE: &str = "the reader has closed the pipe";
pub(super) const CLOSED: &str = "the pipe was closed by its writer";

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) capacity: usize,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) held: usize,
    pub(super) end: Option<End>,
    pub(super) reader_is_gone: bool,
    /// Reads that wait for a piece.
    reads: Waiting<Bytes>,
    /// Who wants all of it at once.
    collecting: Option<Collecting>,
    wants_room: Waiting<()>,
    watches_reader: Waiting<()>,
    /// Of everybody who waits.
    next: u64,
    /// Who polls for pieces, and for room.
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

#[derive(Clone)]
pub(super) enum End {
    Closed(Option<Box<HeaderMap>>),
    Failed(Arc<str>),
}

/// In the order of their numbers, which are the order in which they came.
type Waiting<T> = VecDeque<Waiter<T>>;

struct Waiter<T> {
    number: u64,
    promise: Promise<T>,
    /// Also when it is just being told.
    is_given_up: Arc<AtomicBool>,
}

struct Collecting {
    into: BytesMut,
    most: usize,
    waiter: Waiter<Bytes>,
}

/// A piece, nothing at the end, or why there is none.
type Given = Result<Bytes, Arc<str>>;

/// Whom to tell what, once the lock is let go.
#[derive(Default)]
pub(super) struct Told {
    reads: Vec<(Waiter<Bytes>, Given)>,
    others: Vec<(Waiter<()>, Result<(), &'static str>)>,
    wakers: [Option<Waker>; 2],
    dropped: VecDeque<Bytes>,
}

impl State {
    pub(super) fn has_room(&self, capacity: usize) -> bool {
        self.held < capacity && self.pieces.len() < MOST_PIECES
    }

    /// Whether somebody has asked for what comes next.
    pub(super) fn is_awaited(&self) -> bool {
        !self.reads.is_empty() || self.collecting.is_some()
    }

    pub(super) fn push(&mut self, piece: Bytes, told: &mut Told) {
        self.held += piece.len();
        self.pieces.push_back(piece);
        self.serve_reads(told);
    }

    /// Gives reads what there is for them, in the order in which they asked.
    pub(super) fn serve_reads(&mut self, told: &mut Told) {
        loop {
            let first = self.reads.front().map(|read| read.number);
            let all = self.collecting.as_ref().map(|all| all.waiter.number);
            match (first, all) {
                (Some(first), all) if all.is_none_or(|all| first < all) => {
                    let Some(given) = self.take_one() else {
                        break;
                    };
                    let read = self.reads.pop_front();
                    told.reads.extend(read.map(|read| (read, given)));
                }
                (_, Some(_)) => {
                    if !self.collect(told) {
                        break;
                    }
                }
                _ => break,
            }
        }
        if !self.pieces.is_empty() || self.end.is_some() {
            told.wakers[0] = self.reader.take();
        }
    }

    /// The next piece, nothing at the end, or why there is none; `None` if it is to come.
    pub(super) fn take_one(&mut self) -> Option<Given> {
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

    /// For whoever wants all of it. Whether he has it, or why not.
    fn collect(&mut self, told: &mut Told) -> bool {
        let Some(collecting) = &mut self.collecting else {
            return false;
        };
        for piece in std::mem::take(&mut self.pieces) {
            self.held -= piece.len();
            collecting.into.extend_from_slice(&piece);
        }
        let result = if collecting.into.len() > collecting.most {
            Err(format!("the body is more than {} bytes", collecting.most).into())
        } else {
            match &self.end {
                None => return false,
                Some(End::Closed(_)) => Ok(collecting.into.split().freeze()),
                Some(End::Failed(reason)) => Err(Arc::clone(reason)),
            }
        };
        if let Some(collecting) = self.collecting.take() {
            told.reads.push((collecting.waiter, result));
        }
        true
    }

    /// Nothing is taken any more.
    fn refuse_writers(&mut self, reason: &'static str, told: &mut Told) {
        let waiting = self.wants_room.drain(..);
        told.others
            .extend(waiting.map(|waiter| (waiter, Err(reason))));
    }

    /// Something was taken.
    pub(super) fn serve_writers(&mut self, capacity: usize, told: &mut Told) {
        if self.has_room(capacity) {
            let waiting = self.wants_room.drain(..);
            told.others.extend(waiting.map(|waiter| (waiter, Ok(()))));
            told.wakers[1] = self.writer.take();
        }
    }
}

impl Shared {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            capacity,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock_std(&self.state)
    }

    pub(super) fn with<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.lock())
    }

    /// Changes something, and tells whom it concerns.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State, &mut Told) -> R) -> R {
        let mut told = Told::default();
        let result = change(&mut self.lock(), &mut told);
        for waker in told.wakers.into_iter().flatten() {
            waker.wake();
        }
        let mut again = Vec::new();
        for (read, given) in told.reads {
            match given {
                // Relaxed: whether it is seen now or a moment later is the same to whoever gives up.
                Ok(bytes) if read.is_given_up.load(Ordering::Relaxed) => {
                    again.push(bytes);
                    complete(|| read.promise.discard());
                }
                Ok(bytes) => complete(|| read.promise.set(bytes)),
                Err(reason) => complete(|| read.promise.fail(reason)),
            }
        }
        for (other, outcome) in told.others {
            match outcome {
                Ok(()) => complete(|| other.promise.set(())),
                Err(reason) => complete(|| other.promise.fail(reason)),
            }
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

    pub(super) fn end(&self, end: End) -> bool {
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

    pub(super) fn close_reader(&self) {
        self.change(|state, told| {
            if std::mem::replace(&mut state.reader_is_gone, true) {
                return;
            }
            told.dropped = std::mem::take(&mut state.pieces);
            state.held = 0;
            let reason: Arc<str> = READER_IS_GONE.into();
            let collecting = state.collecting.take().map(|all| all.waiter);
            let reads = state.reads.drain(..).chain(collecting);
            told.reads
                .extend(reads.map(|read| (read, Err(Arc::clone(&reason)))));
            state.refuse_writers(READER_IS_GONE, told);
            let watching = state.watches_reader.drain(..);
            told.others.extend(watching.map(|waiter| (waiter, Ok(()))));
            told.wakers = [state.reader.take(), state.writer.take()];
        });
    }

    pub(super) fn wait_for_piece(self: &Arc<Self>, state: MutexGuard<'_, State>) -> Future<Bytes> {
        self.wait(state, |state| &mut state.reads)
    }

    pub(super) fn wait_for_room(self: &Arc<Self>, state: MutexGuard<'_, State>) -> Future<()> {
        self.wait(state, |state| &mut state.wants_room)
    }

    pub(super) fn wait_for_reader(self: &Arc<Self>, state: MutexGuard<'_, State>) -> Future<()> {
        self.wait(state, |state| &mut state.watches_reader)
    }

    /// Whoever gives up is taken out, so there are no more of these than somebody waits for.
    fn wait<T: Send + 'static>(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        waiting: fn(&mut State) -> &mut Waiting<T>,
    ) -> Future<T> {
        let (waiter, future) = state.waiter();
        let number = waiter.number;
        let is_given_up = Arc::clone(&waiter.is_given_up);
        waiting(&mut state).push_back(waiter);
        drop(state);
        let of_cancel = Arc::downgrade(self);
        future.on_cancelled(move || {
            is_given_up.store(true, Ordering::Relaxed);
            let given_up = of_cancel.upgrade().and_then(|shared| {
                let mut state = shared.lock();
                let waiting = waiting(&mut state);
                let place = waiting.binary_search_by_key(&number, |waiter| waiter.number);
                place.ok().and_then(|place| waiting.remove(place))
            });
            if let Some(waiter) = given_up {
                waiter.promise.discard();
            }
        });
        future
    }

    /// As `wait`, for all that is still to come. `None` if somebody else waits for that.
    pub(super) fn wait_for_all(self: &Arc<Self>, most: usize) -> Option<Future<Bytes>> {
        let future = {
            let mut state = self.lock();
            if state.collecting.is_some() {
                return None;
            }
            let (waiter, future) = state.waiter();
            let number = waiter.number;
            let is_given_up = Arc::clone(&waiter.is_given_up);
            state.collecting = Some(Collecting {
                into: BytesMut::new(),
                most,
                waiter,
            });
            drop(state);
            let of_cancel = Arc::downgrade(self);
            future.on_cancelled(move || {
                is_given_up.store(true, Ordering::Relaxed);
                if let Some(shared) = of_cancel.upgrade() {
                    shared.stop_collecting(number);
                }
            });
            future
        };
        self.change(|state, told| {
            state.serve_reads(told);
            state.serve_writers(self.capacity, told);
        });
        Some(future)
    }

    /// Gives what was put together back to whoever reads next.
    fn stop_collecting(&self, number: u64) {
        let stopped = self.change(|state, told| {
            let stopped = state
                .collecting
                .take_if(|collecting| collecting.waiter.number == number)?;
            if !stopped.into.is_empty() {
                state.held += stopped.into.len();
                state.pieces.push_front(stopped.into.freeze());
            }
            state.serve_reads(told);
            Some(stopped.waiter)
        });
        if let Some(waiter) = stopped {
            waiter.promise.discard();
        }
    }

    pub(super) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

impl State {
    fn waiter<T: Send + 'static>(&mut self) -> (Waiter<T>, Future<T>) {
        let (promise, future) = Promise::pair();
        let number = self.next;
        self.next += 1;
        let waiter = Waiter {
            number,
            promise,
            is_given_up: Arc::default(),
        };
        (waiter, future)
    }
}

/// It runs what a user hung on the future, whose panic is nobody else's affair.
fn complete(f: impl FnOnce() -> bool) {
    if contained(f).is_err() {
        report_panic();
    }
}

#[cold]
fn report_panic() {
    tracing::error!("panic in a callback of a pipe's future");
}
