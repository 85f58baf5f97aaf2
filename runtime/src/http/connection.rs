//! A server's side of a connection.
//!
//! # What runs where
//!
//! A connection is an `async` block, and so a process of its own: it takes what comes, has the decoder make requests of it, hands them on, and sends what the
//! [answers](super::answers) have. Those who handle the requests write the answers, on their own threads.
//!
//! # States
//!
//! ```text
//!           ┌────────────── requests, answers ──────────────┐
//!           ▼                                               │
//! open ──► open ── end of stream, refusal, last request ──► ending: what was taken is answered ──► lingering ──► gone
//!   │                                                                                                          ▲
//!   └────────────────── reset, time-out while nothing is owed, client takes nothing ───────────────────────────┘
//! ```
//!
//! Lingering: bytes that come after the last answer are read and thrown away for a while, as to close a socket that has some unread makes the kernel send a reset, which may
//! take the answer away from the client (RFC 9112, section 9.6).
//!
//! # What can go wrong
//!
//! - *A client that sends and does not read.* Nothing is received while [`Limits::pipelined`] requests are unanswered or more than [`UNSENT`] bytes are under way,
//!   so it finds its own socket full.
//! - *A handler that reads a streamed body slowly, or not at all.* While its pipe is full nothing is received. What nobody reads any more is thrown away, up to a bound, and then the connection ends.
//! - *A streamed answer that fails.* Its client must not take what it has for the whole: the connection is closed without the last chunk, or reset where nothing else would tell.
//! - *A client that says little, or nothing* has a deadline in each state. One [alarm](super::alarm) serves all of them, so a request does not cost a timer.

mod deadlines;
mod ending;
mod service;

use std::future::Future as StdFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::service::Service;
use super::Transport;
use super::alarm::Alarm;
use super::answers::{Backlog, Handed, OrderedAnswers, Output, REFUSED, Stream};
use crate::clock::{Clock, Time};
use crate::exchange::{
    About, Answer, Answers, Decoded, Limits, Place, Refusal, RequestDecoder, Responder, text,
};
use crate::future::Future;

/// How much is given to the kernel at a time, and waits for it.
const UNSENT: usize = 64 << 10;
/// For how long, and how much, is read after the last answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

pub(super) struct Connection<T: Transport, S: Service> {
    stream: Arc<T>,
    service: Arc<S>,
    memory: S::Memory,
    limits: Arc<Limits>,
    answers: Arc<OrderedAnswers>,
    decoder: RequestDecoder,
    phase: Phase,
    sending: Option<Future<()>>,
    /// What is being sent, or was, has the end of this side's stream behind it.
    is_shut: bool,
    /// The body of an answer that is being made.
    streaming: Option<Box<Stream>>,
    /// No request is taken behind the one whose body is streamed.
    ends_behind_body: bool,
    /// That body's pipe is full.
    awaits_room: bool,
    requests: u64,
    /// The number of the next place for an answer.
    next: u64,
    /// Others have been let go first.
    has_waited: bool,
    /// Nobody takes the answers any more.
    is_unheard: bool,
    /// Reading has stopped for what is not answered or not sent.
    stalled: bool,
    /// When something last came, or was answered.
    active: Time,
    /// Something has come, of which it is not known yet whether it says anything.
    has_heard: bool,
    /// When what is being sent began to be.
    sent_at: Time,
    /// Bytes of the bodies of requests that may wait for their answers.
    bodies: u64,
    /// Whether the client will send nothing more.
    has_ended: bool,
    /// Bytes that came behind the last request.
    ignored: usize,
    /// When the head that is incomplete began.
    head_began: Option<Time>,
    /// What came of the body that is incomplete, behind its request's head, if no handler reads it as it comes.
    body: Option<deadlines::Coming>,
    alarm: Alarm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more requests are taken.
    Ending {
        unread: bool,
    },
    Lingering {
        bytes: usize,
    },
    Gone,
}

/// Whether a turn leaves something to do at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Again,
    Rest,
}

impl<T: Transport, S: Service> Connection<T, S> {
    pub(super) fn new(stream: T, service: Arc<S>, limits: Arc<Limits>, clock: Clock) -> Self {
        let (stream, now) = (Arc::new(stream), clock.now());
        Self {
            answers: Arc::new(OrderedAnswers::new(Arc::clone(&stream) as _)),
            memory: service.remember(&*stream),
            stream,
            service,
            decoder: RequestDecoder::new(Arc::clone(&limits)),
            phase: Phase::Open,
            sending: None,
            is_shut: false,
            streaming: None,
            ends_behind_body: false,
            awaits_room: false,
            requests: 0,
            next: 0,
            has_waited: false,
            is_unheard: false,
            stalled: false,
            active: now,
            has_heard: false,
            sent_at: now,
            bodies: 0,
            has_ended: false,
            ignored: 0,
            head_began: None,
            body: None,
            limits,
            alarm: Alarm::new(clock),
        }
    }

    pub(super) fn answers(&self) -> Arc<OrderedAnswers> {
        Arc::clone(&self.answers)
    }

    /// It is told this, whatever it asks, and closed.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let text = text(refusal.status, refusal.reason);
        let about = About {
            is_head: self.decoder.is_head(),
            ..REFUSED
        };
        let place = self.next_place(about, true);
        self.answers.answer(place, Answer::Response(text));
        self.phase = Phase::Ending { unread: true };
    }

    /// As `refuse`, of what comes now. Whoever is served the beginning of it is who answers.
    fn give_up(&mut self, refusal: Refusal) {
        if self.decoder.is_streaming() {
            self.decoder.break_off(refusal.reason);
            self.answers.close_behind(self.next - 1);
            self.phase = Phase::Ending { unread: true };
        } else {
            self.refuse(refusal);
        }
    }

    fn next_place(&mut self, about: About, is_last: bool) -> Place {
        let number = self.next;
        self.next += 1;
        Place {
            number,
            about,
            is_last,
        }
    }

    /// Whether nothing more may be taken until something has been answered or sent, or at all.
    fn is_stalled(&self) -> bool {
        let backlog = self.answers.peek();
        backlog.last_written && !self.decoder.is_streaming() || self.is_too_much(&backlog)
    }

    fn is_too_much(&self, backlog: &Backlog) -> bool {
        if backlog.unsent > UNSENT {
            return true;
        }
        // What is streamed is of a request that was taken, whose answer may wait for it.
        let awaited = self.next.saturating_sub(backlog.first);
        !self.decoder.is_streaming()
            && (awaited >= u64::from(self.limits.pipelined)
                || awaited > 0 && self.bodies > self.limits.body_bytes)
    }

    /// Takes what has come, as far as it may be taken: at most `turns` pieces. Gives those that are left.
    fn read(&mut self, cx: &mut Context<'_>, mut turns: u32) -> u32 {
        // Looked at once, as it only gets less by itself; and again where it seems too much.
        let mut backlog = self.answers.backlog();
        while self.phase == Phase::Open && turns > 0 {
            if self.is_too_much(&backlog) {
                backlog = self.answers.backlog();
            }
            if backlog.last_written && !self.decoder.is_streaming() {
                // There is nothing to wait for, either.
                self.stalled = false;
                break;
            }
            let is_stalled = self.is_too_much(&backlog);
            let was_stalled = std::mem::replace(&mut self.stalled, is_stalled);
            if was_stalled && !self.stalled {
                // The client could not go on.
                self.active = self.alarm.now();
            }
            if self.stalled {
                // What the client said meanwhile is not late: nobody has looked.
                self.head_began = None;
                self.body = None;
                break;
            }
            let awaited = self.next.saturating_sub(backlog.first);
            if awaited == 0 {
                self.bodies = 0;
            }
            let most = u64::from(self.limits.pipelined).saturating_sub(awaited);
            if self.take_requests(most) == Turn::Again {
                continue;
            }
            let awaited_room = self.awaits_room;
            self.awaits_room = self.decoder.poll_room(cx.waker()).is_pending();
            if awaited_room && !self.awaits_room {
                // As above.
                self.active = self.alarm.now();
            }
            if self.awaits_room || self.phase != Phase::Open {
                break;
            }
            match self.stream.poll_receive(cx.waker()) {
                Poll::Pending => break,
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => {
                    if !self.decoder.is_between() {
                        // Whoever shut down only its own half still listens.
                        self.give_up(Refusal::bad("the request ends in the middle"));
                    }
                    self.end_of_stream();
                }
                Poll::Ready(Ok(bytes)) => {
                    self.has_heard = true;
                    if self.decoder.collects() {
                        let (now, limits) = (self.alarm.now(), &self.limits);
                        self.body
                            .get_or_insert_with(|| deadlines::Coming::at(now, limits))
                            .piece(bytes.len(), now, limits);
                    }
                    self.decoder.feed(bytes);
                    turns -= 1;
                }
                Poll::Ready(Err(_)) => self.phase = Phase::Gone,
            }
        }
        turns
    }

    /// The client will send nothing more.
    fn end_of_stream(&mut self) {
        self.has_ended = true;
        self.active = self.alarm.now();
        self.phase = Phase::Ending { unread: false };
    }

    /// Hands on what the decoder has, up to a number. `Again` if there may be more.
    fn take_requests(&mut self, most: u64) -> Turn {
        let mut taken = 0;
        let streamed = self.decoder.is_streaming();
        loop {
            if self.decoder.is_streaming() {
                match self.decoder.stream() {
                    Ok(true) if self.ends_behind_body => {
                        self.phase = Phase::Ending {
                            unread: !self.decoder.is_between(),
                        };
                        return Turn::Rest;
                    }
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(refusal) => {
                        self.give_up(refusal);
                        return Turn::Rest;
                    }
                }
            }
            if taken >= most || self.bodies > self.limits.body_bytes {
                break;
            }
            match self.decoder.next(|head| self.service.streams(head)) {
                Ok(Some(decoded)) => {
                    taken += 1;
                    if self.hand_on(decoded) == Turn::Rest {
                        return Turn::Rest;
                    }
                }
                Ok(None) => break,
                Err(refusal) => {
                    self.refuse(refusal);
                    return Turn::Rest;
                }
            }
        }
        if std::mem::take(&mut self.has_heard)
            && (taken > 0 || streamed || !self.decoder.is_between())
        {
            // Empty lines alone say nothing.
            self.active = self.alarm.now();
        }
        if !self.decoder.is_in_head() {
            self.head_began = None;
        } else if taken > 0 || self.head_began.is_none() {
            self.head_began = Some(self.alarm.now());
        }
        if taken > 0 || !self.decoder.collects() {
            self.body = None;
        }
        self.tell_to_go_on();
        let is_full = taken >= most || self.bodies > self.limits.body_bytes;
        if is_full && !self.decoder.is_streaming() {
            Turn::Again
        } else {
            Turn::Rest
        }
    }

    /// Hands a request on. `Rest` if nothing comes behind it.
    #[inline]
    fn hand_on(&mut self, decoded: Decoded) -> Turn {
        let Decoded { request, about } = decoded;
        // Messages are no requests of the kind that a client could ask again elsewhere: their connection is a link.
        self.requests += u64::from(request.sender().is_none());
        self.bodies += request.body_len() as u64;
        let last = self.requests >= self.limits.requests || !about.keeps_alive;
        let streams = self.decoder.is_streaming();
        if streams {
            self.ends_behind_body = last;
            // Before the place of the answer.
            self.tell_to_go_on();
        } else if last {
            // Whoever said that he closes sends nothing more.
            let unread = about.keeps_alive || !self.decoder.is_between();
            self.phase = Phase::Ending { unread };
        }
        let place = self.next_place(about, last);
        let answers = Arc::clone(&self.answers) as _;
        let responder = Responder::of_connection(answers, place);
        self.service.call(request, responder, &mut self.memory);
        if last && !streams {
            Turn::Rest
        } else {
            Turn::Again
        }
    }

    /// Tells a client that waits for it to send the body.
    fn tell_to_go_on(&mut self) {
        if self.decoder.take_expectation() {
            let place = self.next_place(REFUSED, false);
            self.answers.answer(place, Answer::Continue);
        }
    }

    /// Sends what there is; or, in the end, goes on to it.
    fn write(&mut self, cx: &mut Context<'_>) -> Turn {
        if !matches!(self.phase, Phase::Open | Phase::Ending { .. }) {
            return Turn::Rest;
        }
        loop {
            // What has gone out need not be heard of before there is more: that would be another wake for each answer.
            let busy = self.is_sending();
            let failed = !busy && self.sending.take().is_some_and(|sent| !sent.is_ready());
            if failed && !self.goes_on_unheard() {
                return self.go_to(Phase::Gone);
            }
            if self.streaming.is_some() {
                match self.write_stream(cx) {
                    Poll::Ready(Turn::Again) => continue,
                    Poll::Ready(Turn::Rest) => return self.go_to(Phase::Gone),
                    Poll::Pending => return Turn::Rest,
                }
            }
            let handed = Handed {
                next: self.next,
                // What is sent elsewhere is watched by the alarm alone. Bodies may be what it is stalled for.
                goes_on: self.phase == Phase::Open && !self.stalled && self.alarm.is_set(),
                most: u64::from(self.limits.pipelined),
                is_between: self.phase == Phase::Open && self.decoder.is_between(),
            };
            match self.answers.take(UNSENT, busy, &handed, cx.waker()) {
                Output::Pieces { .. } | Output::Sending(_) if self.is_unheard => {}
                Output::Pieces { pieces, are_last } => self.send(pieces, are_last),
                Output::Stream(stream) => self.streaming = Some(stream),
                Output::Sending(sending) => {
                    // When it began is not known, and may be just now.
                    self.sent_at = self.alarm.now();
                    self.sending = Some(sending);
                }
                Output::SentElsewhere => return Turn::Rest,
                Output::Waits => match self.sent(cx) {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) if self.goes_on_unheard() => {}
                    Poll::Ready(false) => return self.go_to(Phase::Gone),
                    Poll::Pending => return Turn::Rest,
                },
                Output::Nothing { first, stopping } => {
                    if stopping && self.phase == Phase::Open && self.decoder.is_between() {
                        // With nothing owed, and nothing that has come, there is nothing to linger for.
                        let unread = first < self.next;
                        self.phase = Phase::Ending { unread };
                        self.ignore(cx);
                    }
                    if self.phase == Phase::Open || first < self.next {
                        return Turn::Rest;
                    }
                    return self.end(cx);
                }
                Output::End if self.phase == Phase::Open && self.decoder.is_streaming() => {
                    // Who has answered may still be reading.
                    self.ends_behind_body = true;
                    return Turn::Rest;
                }
                Output::End => return self.end(cx),
            }
        }
    }

    /// Sends what there is of a body that is being made, once the kernel has what was before. `Rest` if the rest of it will not come.
    fn write_stream(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if !ready!(self.sent(cx)) {
            return Poll::Ready(Turn::Rest);
        }
        let Some(stream) = &mut self.streaming else {
            return Poll::Ready(Turn::Again);
        };
        match ready!(stream.body.poll_pieces(UNSENT, cx.waker())) {
            Ok((pieces, ends)) => {
                let mut are_last = false;
                if ends && let Some(stream) = self.streaming.take() {
                    self.answers.end_stream(&stream);
                    // Answers that waited for the end of it may be written by now, the last one among them.
                    let backlog = self.answers.peek();
                    are_last = backlog.last_written && backlog.unsent == 0;
                }
                self.send(pieces, are_last);
                Poll::Ready(Turn::Again)
            }
            Err(reason) => {
                tracing::debug!(%reason, "the body of a response was broken off");
                if stream.body.ends_with_connection() {
                    self.stream.reset();
                }
                Poll::Ready(Turn::Rest)
            }
        }
    }

    /// Gives it to the kernel; the last of it with the end of this side's stream.
    fn send(&mut self, pieces: Vec<Bytes>, are_last: bool) {
        self.active = self.alarm.now();
        self.sent_at = self.active;
        if pieces.is_empty() {
            return;
        }
        // A client that still sends its request may take the end for a failure.
        self.is_shut = are_last && !self.decoder.is_streaming();
        self.sending = if self.is_shut {
            self.stream.send_and_shut_down(pieces)
        } else {
            self.stream.send_at_once(pieces)
        };
    }

    /// Answers are not taken any more. Whether the connection goes on: whoever sends messages may have gone, and left some that are to be delivered.
    fn goes_on_unheard(&mut self) -> bool {
        self.is_unheard = self.service.is_patient(&self.memory);
        self.is_unheard
    }

    /// Whether the kernel has not taken all of what it was given.
    fn is_sending(&self) -> bool {
        self.sending.as_ref().is_some_and(Future::is_pending)
    }

    /// Whether the last send has ended well, once it has ended.
    fn sent(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(sending) = &mut self.sending else {
            return Poll::Ready(true);
        };
        let sent = sending.poll_result(cx.waker()).map(|sent| sent.is_ok());
        if sent.is_ready() {
            self.sending = None;
        }
        sent
    }

    fn go_to(&mut self, phase: Phase) -> Turn {
        self.phase = phase;
        Turn::Again
    }
}

/// Pieces that a connection takes before others have their turn.
const TURNS: u32 = 16;

impl<T: Transport, S: Service> Unpin for Connection<T, S> {}

impl<T: Transport, S: Service> StdFuture for Connection<T, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut turns = TURNS;
        loop {
            turns = this.read(cx, turns);
            let waits = this.service.lets_others_go_first(&mut this.memory);
            if waits && !std::mem::replace(&mut this.has_waited, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.has_waited = false;
            this.watch_answers(cx);
            let turn = this.write(cx);
            this.ignore(cx);
            this.linger(cx);
            if this.phase == Phase::Gone {
                return Poll::Ready(());
            }
            if turns == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let may_read = this.phase == Phase::Open && this.stalled && !this.is_stalled();
            if turn == Turn::Again || may_read {
                continue;
            }
            if this.watch(cx) == Turn::Rest {
                return Poll::Pending;
            }
        }
    }
}

impl<T: Transport, S: Service> Drop for Connection<T, S> {
    fn drop(&mut self) {
        self.decoder.break_off("the client has gone away");
        if self.answers.abandon() || self.is_sending() {
            // Else it would go on for as long as the client takes.
            self.stream.abort();
        }
    }
}
