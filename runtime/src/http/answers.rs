//! The answers of a connection, in the order of its requests.
//!
//! Requests are handed to their processes at once, so their answers come in any order and from any thread. Each has a slot. The answer to the oldest request is
//! written at once by whoever brings it, into memory that the connection sends from, and so are those behind it that have come before; others wait in their slots.
//!
//! The connection is woken by the first answer after it went to sleep, and finds all that have come by the time it runs: so the answers to requests that came
//! together go out together.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::Waker;

use bytes::{BufMut, Bytes, BytesMut};
use ::http::{HeaderValue, StatusCode, header};

use super::codec::{About, Refusal, encode_response};
use super::responder::{Answer, Answers};
use super::responses::text;
use super::Response;
use crate::facade::lock_std;
use crate::future::Future;

/// What the memory for answers grows by.
const ROOM: usize = 8 << 10;

pub(super) struct OrderedAnswers {
    state: Mutex<State>,
}

struct State {
    /// The number of the oldest request whose answer has not been written.
    first: u64,
    slots: VecDeque<Slot>,
    /// What is to be sent: the pieces, then what is in `out`.
    pieces: Vec<Bytes>,
    out: BytesMut,
    unsent: usize,
    /// The last answer that this connection gives has been written.
    last_written: bool,
    /// What was taken is answered, and nothing more is taken.
    stopping: bool,
    waker: Option<Waker>,
}

struct Slot {
    kind: Kind,
    state: SlotState,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Whether it is the last one.
    Request(About, bool),
    /// `100 Continue`, to a request whose body is awaited.
    Interim,
}

enum SlotState {
    Awaited,
    /// The handler gave a future, which is asked to be discarded if the client goes away.
    Promised(Future<()>),
    Answered(Answer),
}

/// What a connection has before it.
pub(super) struct Backlog {
    /// Requests that have no answer yet.
    pub(super) awaited: usize,
    /// Bytes of answers that have not been taken.
    pub(super) unsent: usize,
    pub(super) stopping: bool,
}

/// What a connection finds to do.
pub(super) enum Output {
    Pieces(Vec<Bytes>),
    /// There is something, and the connection is busy with what it took before.
    Waits,
    /// Nothing to be sent now: the waker is kept.
    Nothing,
    /// All has been taken, and nothing will come.
    End,
}

impl OrderedAnswers {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                first: 0,
                slots: VecDeque::new(),
                pieces: Vec::new(),
                out: BytesMut::new(),
                unsent: 0,
                last_written: false,
                stopping: false,
                waker: None,
            }),
        }
    }

    /// Makes room for the answers to requests that came together; the first one's number.
    pub(super) fn expect(&self, requests: impl Iterator<Item = (About, bool)>) -> u64 {
        let mut state = lock_std(&self.state);
        let number = state.first + state.slots.len() as u64;
        let slots = requests.map(|(about, last)| Slot {
            kind: Kind::Request(about, last),
            state: SlotState::Awaited,
        });
        state.slots.extend(slots);
        number
    }

    /// Writes `100 Continue` when its turn has come.
    pub(super) fn go_on(&self) {
        let mut state = lock_std(&self.state);
        if state.slots.is_empty() && !state.last_written {
            state.first += 1;
            state.put_interim();
        } else {
            state.slots.push_back(Slot {
                kind: Kind::Interim,
                state: SlotState::Awaited,
            });
        }
    }

    /// Writes a refusal when its turn has come, as the last answer.
    pub(super) fn refuse(&self, refusal: Refusal) {
        let about = About {
            is_head: false,
            minor: 1,
            keeps_alive: false,
            accepts_gzip: false,
        };
        let number = self.expect(std::iter::once((about, true)));
        let response = text(refusal.status, refusal.reason);
        self.answer(number, Answer::Response(response));
    }

    pub(super) fn backlog(&self) -> Backlog {
        let state = lock_std(&self.state);
        Backlog {
            awaited: state.slots.len(),
            unsent: state.unsent,
            stopping: state.stopping,
        }
    }

    pub(super) fn awaits_any(&self) -> bool {
        !lock_std(&self.state).slots.is_empty()
    }

    /// Has the connection end when it has answered what it has taken.
    pub(super) fn stop(&self) {
        let waker = {
            let mut state = lock_std(&self.state);
            state.stopping = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What is to be sent next, at most so many bytes of it, unless the connection is busy.
    pub(super) fn take(&self, most: usize, busy: bool, waker: &Waker) -> Output {
        let mut state = lock_std(&self.state);
        if state.unsent == 0 {
            if state.last_written {
                return Output::End;
            }
            state.keep(waker);
            return Output::Nothing;
        }
        if busy {
            return Output::Waits;
        }
        if !state.out.is_empty() {
            let piece = state.out.split().freeze();
            state.pieces.push(piece);
        }
        if state.unsent <= most {
            state.unsent = 0;
            return Output::Pieces(std::mem::take(&mut state.pieces));
        }
        state.unsent -= most;
        Output::Pieces(split_off_first(&mut state.pieces, most))
    }

    /// The connection is gone: nobody wants the answers.
    pub(super) fn abandon(&self) {
        let (slots, pieces) = {
            let mut state = lock_std(&self.state);
            state.last_written = true;
            let slots = std::mem::take(&mut state.slots);
            state.first += slots.len() as u64;
            (slots, std::mem::take(&mut state.pieces))
        };
        for slot in slots {
            if let SlotState::Promised(answered) = slot.state {
                answered.discard();
            }
        }
        drop(pieces);
    }
}

impl Answers for OrderedAnswers {
    fn answer(&self, number: u64, answer: Answer) {
        let mut done = Vec::new();
        let waker = {
            let mut state = lock_std(&self.state);
            match state.index(number) {
                None => {
                    drop(state);
                    drop(answer);
                    return;
                }
                Some(0) => {
                    let promised = state.write_first(&answer);
                    state.write_more(&mut done);
                    let waker = state.waker.take();
                    drop(state);
                    drop((answer, promised));
                    waker
                }
                Some(index) => {
                    let before = std::mem::replace(
                        &mut state.slots[index].state,
                        SlotState::Answered(answer),
                    );
                    drop(state);
                    drop(before);
                    None
                }
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn will_answer(&self, number: u64, answered: Future<()>) {
        let mut state = lock_std(&self.state);
        let gone = state.last_written;
        match state.index(number) {
            Some(index) if matches!(state.slots[index].state, SlotState::Awaited) => {
                state.slots[index].state = SlotState::Promised(answered);
            }
            _ => {
                drop(state);
                if gone && answered.is_pending() {
                    answered.discard();
                }
            }
        }
    }
}

impl State {
    fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (index < self.slots.len()).then_some(index)
    }

    fn keep(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Gives what is to be dropped once the lock is let go.
    fn write_first(&mut self, answer: &Answer) -> Option<Slot> {
        let slot = self.slots.pop_front()?;
        self.first += 1;
        if let Kind::Request(about, last) = slot.kind {
            self.write(about, last, answer);
        }
        Some(slot)
    }

    /// Those whose turn has come with the first one's end.
    fn write_more(&mut self, done: &mut Vec<Slot>) {
        while let Some(slot) = self.slots.front() {
            match (&slot.kind, &slot.state) {
                (Kind::Interim, _) => self.put_interim(),
                (Kind::Request(..), SlotState::Answered(_)) => {}
                _ => return,
            }
            let Some(slot) = self.slots.pop_front() else {
                return;
            };
            self.first += 1;
            if let (Kind::Request(about, last), SlotState::Answered(answer)) =
                (&slot.kind, &slot.state)
            {
                self.write(*about, *last, answer);
            }
            done.push(slot);
        }
    }

    fn put_interim(&mut self) {
        let line = b"HTTP/1.1 100 Continue\r\n\r\n";
        self.out.put_slice(line);
        self.unsent += line.len();
    }

    fn write(&mut self, about: About, last: bool, answer: &Answer) {
        if self.last_written {
            return;
        }
        match answer {
            // It would be no answer, and the next one be taken for it.
            Answer::Response(response) if response.status().is_informational() => {
                let response = text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the handler gave an interim response",
                );
                self.put(about, last, &response);
            }
            Answer::Response(response) => self.put(about, last, response),
            Answer::Failed(reason) => {
                let response = text(StatusCode::INTERNAL_SERVER_ERROR, reason.clone());
                self.put(about, last, &response);
            }
            Answer::Abandoned => {
                let response = text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the process has ended, or gives no answer",
                );
                self.put(about, last, &response);
            }
            Answer::Full(full) => {
                let mut response = text(StatusCode::SERVICE_UNAVAILABLE, full.to_string());
                let second = HeaderValue::from_static("1");
                response.headers_mut().insert(header::RETRY_AFTER, second);
                self.put(about, last, &response);
            }
        }
    }

    fn put(&mut self, about: About, last: bool, response: &Response) {
        let before = self.out.len();
        if self.out.capacity() - before < ROOM / 8 {
            self.out.reserve(ROOM);
        }
        let framed = encode_response(&mut self.out, about, last, response);
        self.unsent += self.out.len() - before + framed.body.len() + framed.end.len();
        if !framed.body.is_empty() {
            let head = self.out.split().freeze();
            self.pieces.extend([head, framed.body]);
        }
        if !framed.end.is_empty() {
            self.pieces.push(self.out.split().freeze());
            self.pieces.push(framed.end);
        }
        if framed.closes {
            // What comes behind it is not answered: RFC 9112, section 9.6.
            self.last_written = true;
        }
    }
}

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
