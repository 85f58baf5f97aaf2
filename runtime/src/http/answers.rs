//! The answers of a connection, in the order of its requests.
//!
//! Requests are handed to their processes at once, so their answers come in any order and from any thread. They are numbered. The answer to the oldest request is
//! written at once by whoever brings it, into memory that the connection sends from, and so are those behind it that have come before; what comes before its turn waits in a
//! table, which is mostly empty. So a request is unknown here until it is answered: the connection alone counts how many it has handed on.
//!
//! # Who sends
//!
//! The connection is woken by the first answer after it went to sleep, and finds all that have come by the time it runs: so the answers to requests that came
//! together go out together. But where that answer is the only one that was awaited, it is sent at once by whoever brings it, and the connection sleeps on: a request that comes
//! alone costs one turn of its connection, not two. Two who send would send out of order, so one who does says so (`sending_elsewhere`), and the connection waits for that.
//!
//! # Bodies that are made while they are sent
//!
//! Of such an answer the head is written, and its body handed to the connection, which sends what the [pipe](crate::http::Pipe) has whenever the kernel has taken what was there before. Until the end of it that request is
//! the oldest, so the answers behind it wait, and nothing is sent elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use ::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;

use super::Transport;
use crate::exchange::{About, Answer, Answers, Outgoing, Place, Response, encode_response, text};
use crate::facade::lock_std;
use crate::future::Future;
use crate::process::guarded;

/// What memory for answers has room for at least, and at most before there is that much.
const ROOM: std::ops::RangeInclusive<usize> = 512..=16 << 10;

/// More is sent by the connection, piece by piece, so that it sees whether the client takes any.
const SENT_ELSEWHERE: usize = 64 << 10;

pub(super) struct OrderedAnswers {
    state: Mutex<State>,
}

struct State {
    /// The number of the oldest request whose answer has not been written.
    first: u64,
    /// What is known of requests whose turn has not come.
    others: BTreeMap<u64, Other>,
    /// What is to be sent: the pieces, then what is in `out`.
    pieces: Vec<Bytes>,
    out: Vec<u8>,
    /// How much was taken from there last, as a guess for the next time.
    room: usize,
    unsent: usize,
    /// The body of the oldest, until the connection takes it: that request is answered when all of it has gone out.
    stream: Option<Box<Stream>>,
    /// Behind the answer to this request the connection is closed.
    closes_behind: u64,
    /// The last answer that this connection gives has been written.
    last_written: bool,
    /// What was taken is answered, and nothing more is taken.
    stopping: bool,
    waker: Option<Waker>,
    /// Whether the connection is to be woken by an answer: else it is about to look.
    asleep: bool,
    /// Behind which request no other is awaited, while the connection is asleep.
    handed: u64,
    /// Until the connection is gone.
    transport: Option<Arc<dyn Transport>>,
    sending_elsewhere: bool,
    /// What was sent elsewhere and is not with the kernel yet, or will not be.
    sent: Option<Future<()>>,
    has_sent: bool,
}

/// A body that goes out as it is made.
pub(super) struct Stream {
    pub(super) body: Outgoing,
    closes: bool,
}

/// What the connection has handed on.
pub(super) struct Handed {
    /// The number of the next one.
    pub(super) next: u64,
    /// Whether it takes more without being told to.
    pub(super) goes_on: bool,
    /// How many may be unanswered.
    pub(super) most: u64,
    /// Nothing has come of a request behind it.
    pub(super) is_between: bool,
}

/// What an answer leaves to do, once the lock is let go.
enum Then {
    Nothing,
    Wake(Waker),
    Send(Arc<dyn Transport>, Vec<Bytes>),
}

enum Other {
    /// The handler gave a future, which is asked to be discarded if the client goes away.
    Promised(Future<()>),
    Answered(Box<(Place, Answer)>),
}

/// What a connection has before it.
pub(super) struct Backlog {
    /// The number of the oldest request that has no answer.
    pub(super) first: u64,
    /// Bytes of answers that have not been taken.
    pub(super) unsent: usize,
    /// Nothing more is answered.
    pub(super) last_written: bool,
}

/// What a connection finds to do.
pub(super) enum Output {
    Pieces {
        pieces: Vec<Bytes>,
        /// Nothing comes behind them.
        are_last: bool,
    },
    /// There is something, and the connection is busy with what it took before.
    Waits,
    /// What the connection is to send until it has its end.
    Stream(Box<Stream>),
    /// What somebody else has sent, and may not be with the kernel yet.
    Sending(Future<()>),
    /// Somebody else is just about to send: the connection will be woken.
    SentElsewhere,
    /// Nothing to be sent now: the waker is kept.
    Nothing {
        /// As in [`Backlog`].
        first: u64,
        stopping: bool,
    },
    /// All has been taken, and nothing will come.
    End,
}

impl OrderedAnswers {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            state: Mutex::new(State {
                transport: Some(transport),
                handed: u64::MAX,
                sending_elsewhere: false,
                sent: None,
                has_sent: false,
                first: 0,
                others: BTreeMap::new(),
                pieces: Vec::new(),
                out: Vec::new(),
                room: *ROOM.start(),
                unsent: 0,
                stream: None,
                closes_behind: u64::MAX,
                last_written: false,
                stopping: false,
                waker: None,
                asleep: false,
            }),
        }
    }

    /// Tells the connection, which is going to [`take`](Self::take).
    pub(super) fn backlog(&self) -> Backlog {
        let mut state = lock_std(&self.state);
        state.asleep = false;
        state.backlog()
    }

    /// As `backlog`, of a connection that goes to sleep.
    pub(super) fn peek(&self) -> Backlog {
        lock_std(&self.state).backlog()
    }

    /// As in [`Backlog`].
    pub(super) fn first(&self) -> u64 {
        lock_std(&self.state).first
    }

    /// Has the connection end when it has answered what it has taken.
    pub(super) fn stop(&self) {
        let waker = {
            let mut state = lock_std(&self.state);
            state.stopping = true;
            state.wake()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What is to be sent next, at most so many bytes of it, unless the connection is busy.
    pub(super) fn take(&self, most: usize, busy: bool, handed: &Handed, waker: &Waker) -> Output {
        let mut state = lock_std(&self.state);
        if state.sending_elsewhere {
            state.keep(waker);
            state.handed = u64::MAX;
            return Output::SentElsewhere;
        }
        if let Some(sent) = state.sent.take() {
            return Output::Sending(sent);
        }
        if state.unsent == 0 {
            if let Some(stream) = state.stream.take() {
                return Output::Stream(stream);
            }
            if state.last_written {
                return Output::End;
            }
            let may_sleep = handed.goes_on && !busy && handed.next - state.first < handed.most;
            state.handed = if may_sleep { handed.next } else { u64::MAX };
            if state.stopping && handed.is_between && handed.next > state.first {
                // The last one that is owed says so, and the client asks nothing behind it.
                state.closes_behind = state.closes_behind.min(handed.next - 1);
            }
            state.keep(waker);
            return Output::Nothing {
                first: state.first,
                stopping: state.stopping,
            };
        }
        if busy {
            return Output::Waits;
        }
        state.close_piece();
        if state.unsent <= most {
            state.unsent = 0;
            return Output::Pieces {
                pieces: std::mem::take(&mut state.pieces),
                are_last: state.last_written,
            };
        }
        state.unsent -= most;
        Output::Pieces {
            pieces: split_off_first(&mut state.pieces, most),
            are_last: false,
        }
    }

    /// All of the stream has been given to be sent.
    pub(super) fn end_stream(&self, stream: &Stream) {
        let done = {
            let mut state = lock_std(&self.state);
            state.written(stream.closes);
            state.write_more()
        };
        drop(done);
    }

    /// Nothing is answered behind this request.
    pub(super) fn close_behind(&self, number: u64) {
        lock_std(&self.state).closes_behind = number;
    }

    /// The connection is gone: nobody wants the answers. Whether some are on their way.
    pub(super) fn abandon(&self) -> bool {
        let (under_way, others, left) = {
            let mut state = lock_std(&self.state);
            state.last_written = true;
            state.first = u64::MAX;
            let others = std::mem::take(&mut state.others);
            let pieces = std::mem::take(&mut state.pieces);
            let sent = state.sent.take();
            let under_way =
                state.sending_elsewhere || sent.as_ref().is_some_and(Future::is_pending);
            let streams = (state.stream.take(), state.transport.take());
            let left = (pieces, sent, streams, state.waker.take());
            (under_way, others, left)
        };
        for other in others.into_values() {
            if let Other::Promised(answered) = other {
                // It runs what a user hung on it.
                guarded("a callback of a response's future", || {
                    answered.discard();
                });
            }
        }
        drop(left);
        under_way
    }

    /// Whether something was sent elsewhere since this was last asked.
    pub(super) fn has_sent(&self) -> bool {
        std::mem::take(&mut lock_std(&self.state).has_sent)
    }

    fn then(&self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Wake(waker) => waker.wake(),
            Then::Send(transport, pieces) => self.send(&*transport, pieces),
        }
    }

    fn send(&self, transport: &dyn Transport, pieces: Vec<Bytes>) {
        let sent = transport.send_at_once(pieces);
        let (waker, unused) = {
            let mut state = lock_std(&self.state);
            state.sending_elsewhere = false;
            state.has_sent = true;
            // Mostly the kernel has it, and the connection need not know.
            let before = sent.and_then(|sent| {
                if !sent.is_pending() && !sent.is_ready() {
                    state.handed = u64::MAX;
                }
                state.sent.replace(sent)
            });
            let waits = state.handed == u64::MAX || state.unsent > 0;
            (if waits { state.wake() } else { None }, before)
        };
        drop(unused);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Answers for OrderedAnswers {
    fn respond(&self, place: Place, response: &Response) -> bool {
        let (done, then) = {
            let mut state = lock_std(&self.state);
            if place.number != state.first || response.status().is_informational() {
                return false;
            }
            state.put(place, response);
            if state.others.is_empty() && !state.asleep {
                // As with all but the first of those that come together.
                return true;
            }
            (state.write_more(), state.then())
        };
        // First, as what is dropped is not ours, and may panic.
        self.then(then);
        drop(done);
        true
    }

    fn answer(&self, place: Place, answer: Answer) {
        let mut state = lock_std(&self.state);
        if place.number > state.first {
            let other = Other::Answered(Box::new((place, answer)));
            let promised = state.others.insert(place.number, other);
            drop(state);
            drop(promised);
            return;
        }
        if place.number < state.first {
            // Nobody is there any more.
            drop(state);
            return drop(answer);
        }
        state.write(place, &answer);
        let done = state.write_more();
        let then = state.then();
        drop(state);
        // As in `respond`.
        self.then(then);
        drop((answer, done));
    }

    fn will_answer(&self, number: u64, answered: Future<()>) {
        let mut state = lock_std(&self.state);
        let gone = state.first == u64::MAX;
        // It may have been answered meanwhile.
        if number >= state.first && !state.others.contains_key(&number) {
            state.others.insert(number, Other::Promised(answered));
            return;
        }
        drop(state);
        if gone {
            answered.discard();
        }
    }
}

impl State {
    fn backlog(&self) -> Backlog {
        Backlog {
            first: self.first,
            unsent: self.unsent,
            last_written: self.last_written,
        }
    }

    fn keep(&mut self, waker: &Waker) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|kept| kept.will_wake(waker))
        {
            self.waker = Some(waker.clone());
        }
        self.asleep = true;
    }

    /// An answer was written.
    fn then(&mut self) -> Then {
        if self.first == self.handed
            && self.asleep
            && !self.sending_elsewhere
            && !self.last_written
            && !self.stopping
            && self.sent.is_none()
            && self.unsent <= SENT_ELSEWHERE
            && let Some(transport) = self.transport.clone()
        {
            self.close_piece();
            self.unsent = 0;
            self.sending_elsewhere = true;
            return Then::Send(transport, std::mem::take(&mut self.pieces));
        }
        if self.sending_elsewhere {
            // Who sends looks again.
            return Then::Nothing;
        }
        self.wake().map_or(Then::Nothing, Then::Wake)
    }

    /// Whom to wake, once the lock is let go.
    fn wake(&mut self) -> Option<Waker> {
        if std::mem::take(&mut self.asleep) {
            self.waker.clone()
        } else {
            None
        }
    }

    /// What is in `out` becomes a piece.
    fn close_piece(&mut self) {
        if !self.out.is_empty() {
            let room = self.out.len().next_power_of_two();
            self.room = room.clamp(*ROOM.start(), *ROOM.end());
            self.pieces.push(std::mem::take(&mut self.out).into());
        }
    }

    /// The oldest has been written: goes on with those whose turn has come with that. Gives what is to be dropped once the lock is let go.
    #[inline]
    fn write_more(&mut self) -> Vec<Other> {
        if self.others.is_empty() {
            return Vec::new();
        }
        self.write_others()
    }

    fn write_others(&mut self) -> Vec<Other> {
        let mut done = Vec::new();
        // The future of the one that was just written.
        done.extend(self.others.remove(&(self.first.wrapping_sub(1))));
        while let Some(entry) = self.others.first_entry()
            && *entry.key() == self.first
            && matches!(entry.get(), Other::Answered(_))
        {
            let other = entry.remove();
            if let Other::Answered(answered) = &other {
                let (place, answer) = &**answered;
                self.write(*place, answer);
            }
            done.push(other);
        }
        done
    }

    fn write(&mut self, place: Place, answer: &Answer) {
        match answer {
            Answer::Continue => {
                self.first += 1;
                if self.last_written {
                    return;
                }
                let line = b"HTTP/1.1 100 Continue\r\n\r\n";
                self.out.extend_from_slice(line);
                self.unsent += line.len();
            }
            // It would be no answer, and the next one be taken for it.
            Answer::Response(response) if response.status().is_informational() => {
                let response = text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the handler gave an interim response",
                );
                self.put(place, &response);
            }
            Answer::Response(response) => self.put(place, response),
            Answer::Failed(reason) => {
                let response = text(StatusCode::INTERNAL_SERVER_ERROR, reason.clone());
                self.put(place, &response);
            }
            Answer::Abandoned => {
                let response = text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the process has ended, or gives no answer",
                );
                self.put(place, &response);
            }
            Answer::Full(full) => {
                let mut response = text(StatusCode::SERVICE_UNAVAILABLE, full.to_string());
                let second = HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, second);
                self.put(place, &response);
            }
        }
    }

    /// The oldest has its answer.
    fn written(&mut self, closes: bool) {
        // What comes behind it is not answered: RFC 9112, section 9.6.
        self.last_written |= closes || self.first == self.closes_behind;
        self.first += 1;
    }

    fn put(&mut self, place: Place, response: &Response) {
        if self.last_written {
            self.first += 1;
            return;
        }
        if self.out.capacity() == 0 {
            self.out.reserve(self.room);
        }
        let before = self.out.len();
        let is_last = place.is_last || place.number == self.closes_behind;
        let framed = encode_response(&mut self.out, place.about, is_last, response);
        self.unsent += self.out.len() - before + framed.body.len() + framed.end.len();
        if !framed.body.is_empty() {
            self.close_piece();
            self.pieces.push(framed.body);
        }
        if !framed.end.is_empty() {
            self.close_piece();
            self.pieces.push(framed.end);
        }
        let body = framed
            .stream
            .and_then(|chunks| Outgoing::new(response.body(), chunks));
        match body {
            Some(body) => {
                self.stream = Some(Box::new(Stream {
                    body,
                    closes: framed.closes,
                }));
            }
            None => self.written(framed.closes),
        }
    }
}

/// An answer to nobody in particular, behind which the connection is closed.
pub(super) const REFUSED: About = About {
    is_head: false,
    minor: 1,
    keeps_alive: false,
    accepts_gzip: false,
};

/// Takes the first so many bytes, of which there are more.
fn split_off_first(pieces: &mut Vec<Bytes>, most: usize) -> Vec<Bytes> {
    let mut room = most;
    let mut whole = 0;
    while let Some(piece) = pieces.get(whole)
        && piece.len() <= room
    {
        room -= piece.len();
        whole += 1;
    }
    let mut taken: Vec<Bytes> = pieces.drain(..whole).collect();
    if let Some(piece) = pieces.first_mut()
        && room > 0
    {
        taken.push(piece.split_to(room));
    }
    taken
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;
