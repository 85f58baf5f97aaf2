//! What sends the requests of a connection, and reads the responses.
//!
//! It is an `async` block, so a process of its own. Each turn it reads what has come, hands responses on, sends what waits, and looks at the time; it ends when the connection does, and whatever is not answered by then fails.

use std::collections::VecDeque;
use std::future::Future as StdFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::ClientOptions;
use super::connection::{Asking, Awaited, DISCONNECTED, EndWhen, Shared, complete};
use crate::clock::{Clock, Time};
use crate::exchange::{DecodedResponse, Outgoing, Refusal, ResponseDecoder};
use crate::future::Future;
use crate::http::Transport;
use crate::http::alarm::Alarm;

/// How much of a streamed body is given to the kernel at a time.
const UNSENT: usize = 64 << 10;
/// Requests that are under way at a time.
const PIPELINED: usize = 128;
/// Requests that are sent together.
const TOGETHER: usize = 64;
/// Pieces that are taken before others have their turn.
const TURNS: u32 = 16;

const DEAF: &str = "the server takes nothing more";
const UNASKED: &str = "the server sent what nobody asked for";
const UNREAD: &str = "nobody reads the response";

/// Nothing has come of a response: who may ask again does.
pub(super) const CLOSED: &str = "the server closed the connection before it answered";

pub(super) struct Driver<T: Transport> {
    stream: Arc<T>,
    shared: Arc<Shared>,
    decoder: ResponseDecoder,
    alarm: Alarm,
    options: ClientOptions,
    /// What was sent, in order.
    awaited: VecDeque<Awaited>,
    sending: Option<Future<()>>,
    /// When that was given to the kernel.
    sent_at: Time,
    /// The body of the request that was sent last.
    body: Option<Outgoing>,
    /// The connection stays behind the response that is being read.
    keeps_alive: bool,
    /// The server sends nothing more.
    has_ended: bool,
    /// It takes nothing more: it may still have answered.
    is_deaf: bool,
    /// When a streamed body last ended, either way: until then those behind it were kept waiting by this side, not by the server.
    streamed_until: Time,
    /// When the rest of a body must have come that nobody reads.
    unread_until: Option<Time>,
    /// Since when nothing is asked.
    idle_since: Time,
    /// Why there is no connection any more.
    lost: Option<Arc<str>>,
}

impl<T: Transport> Driver<T> {
    pub(super) fn new(
        stream: T,
        shared: Arc<Shared>,
        options: ClientOptions,
        clock: Clock,
    ) -> Self {
        let now = clock.now();
        Self {
            stream: Arc::new(stream),
            shared,
            decoder: ResponseDecoder::new(Arc::new(options.limits.clone())),
            options,
            idle_since: now,
            streamed_until: now,
            unread_until: None,
            sent_at: now,
            alarm: Alarm::new(clock),
            awaited: VecDeque::new(),
            sending: None,
            body: None,
            keeps_alive: true,
            has_ended: false,
            is_deaf: false,
            lost: None,
        }
    }

    fn lose(&mut self, reason: impl Into<Arc<str>>) {
        self.lost.get_or_insert(reason.into());
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            if let Err(refusal) = self.take_responses() {
                self.lose(refusal.reason);
            }
            if self.lost.is_some() {
                return Poll::Ready(());
            }
            ready!(self.decoder.poll_room(cx.waker()));
            if self.has_ended {
                // What was streamed has gone to its end, or there is room for the rest of it.
                continue;
            }
            match ready!(self.stream.poll_receive(cx.waker())) {
                Ok(bytes) if bytes.is_empty() => self.has_ended = true,
                Ok(bytes) => self.decoder.feed(bytes),
                // As when it had closed in time.
                Err(_) if self.has_nothing() => self.lose(CLOSED),
                Err(reason) => self.lose(reason),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether nothing has come of the response that is awaited.
    fn has_nothing(&self) -> bool {
        self.decoder.is_between()
    }

    /// Ends if it was told to, and has the driver woken when it is.
    fn listen(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (end, _) = self.shared.next(false, cx.waker());
        if end != EndWhen::Never {
            self.lose(DISCONNECTED);
        }
        Poll::Ready(())
    }

    /// Hands on what has come.
    fn take_responses(&mut self) -> Result<(), Refusal> {
        loop {
            if self.decoder.is_streaming() {
                if self.has_ended {
                    self.decoder.end(None)?;
                }
                let end = self.decoder.stream_on()?;
                if self.decoder.is_streaming() {
                    return Ok(());
                }
                self.answered();
                if let Some(end) = end {
                    complete(|| end.tell());
                }
                continue;
            }
            if self.lost.is_some() {
                return Ok(());
            }
            let Some(first) = self.awaited.front_mut() else {
                if self.has_ended {
                    self.lose(CLOSED);
                } else if !self.decoder.is_between() {
                    return Err(Refusal::bad(UNASKED));
                }
                return Ok(());
            };
            let next = if self.has_ended {
                self.decoder.end(Some(first.asked))?
            } else {
                self.decoder.next(first.asked)?
            };
            let Some(decoded) = next else {
                if self.has_ended {
                    self.lose(CLOSED);
                }
                return Ok(());
            };
            let DecodedResponse {
                response,
                keeps_alive,
            } = decoded;
            self.keeps_alive = keeps_alive;
            let promise = first.promise.take();
            // Before it is told: whoever asks again at once is to find the connection free.
            if !self.decoder.is_streaming() {
                self.answered();
            }
            if let Some(promise) = promise {
                complete(|| promise.set(response));
            }
        }
    }

    /// The oldest request has all of its response.
    fn answered(&mut self) {
        let Some(first) = self.awaited.pop_front() else {
            return;
        };
        self.idle_since = self.alarm.now();
        self.unread_until = None;
        if first.asked.streams {
            self.streamed_until = self.idle_since;
        }
        if first.closes || !self.keeps_alive {
            self.lose("the connection ended behind an earlier response");
        } else if !self.awaited.is_empty() {
            // What is behind may have been answered, too.
        } else if self.body.is_some() {
            self.lose("the server answered before it had all of an earlier request");
        } else if self.is_deaf {
            self.lose(DEAF);
        } else if !self.decoder.is_between() {
            // Before somebody else asks on it.
            self.lose(UNASKED);
        }
        if self.lost.is_none() {
            self.shared.answered();
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURNS {
            if self.body.is_some() {
                ready!(self.write_body(cx));
                continue;
            }
            ready!(self.poll_sent(cx));
            let mut pieces = Vec::new();
            for _ in 0..TOGETHER {
                let may_send =
                    !self.is_deaf && self.body.is_none() && self.awaited.len() < PIPELINED;
                let (end, asking) = self.shared.next(may_send, cx.waker());
                let Some(asking) = asking else {
                    if end != EndWhen::Never {
                        self.lose(DISCONNECTED);
                    }
                    break;
                };
                let Asking {
                    encoded, awaited, ..
                } = asking;
                pieces.extend(encoded.pieces);
                self.body = encoded.body;
                self.awaited.push_back(awaited);
            }
            if pieces.is_empty() {
                return Poll::Pending;
            }
            self.send(pieces);
        }
        // As long as the kernel takes all at once there is more to do: others have their turn first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn send(&mut self, pieces: Vec<Bytes>) {
        self.sent_at = self.alarm.now();
        self.sending = Some(self.stream.send(pieces));
    }

    /// Ready when the kernel has what it was given.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.poll_result(cx.waker()));
            self.sending = None;
            if let Err(error) = sent {
                tracing::debug!(%error, "a server takes nothing more");
                self.is_deaf = true;
                if self.awaited.is_empty() {
                    self.lose(DEAF);
                }
            }
        }
        Poll::Ready(())
    }

    fn write_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_sent(cx));
        if self.is_deaf {
            // Whoever writes it is told; what was sent of it may be answered.
            self.body = None;
            self.streamed_until = self.alarm.now();
            return Poll::Ready(());
        }
        let Some(body) = &mut self.body else {
            return Poll::Ready(());
        };
        match ready!(body.poll_pieces(UNSENT, cx.waker())) {
            Ok((pieces, ends)) => {
                if ends {
                    self.body = None;
                    self.streamed_until = self.alarm.now();
                }
                if !pieces.is_empty() {
                    self.send(pieces);
                }
            }
            Err(reason) => {
                self.body = None;
                self.is_deaf = true;
                self.lose(format!("the body of a request was broken off: {reason}"));
            }
        }
        Poll::Ready(())
    }

    /// Ends if the last response is one that nobody reads any more: it may go on for ever. Where the connection stays for others the rest of it is thrown away, for which there is a time.
    fn leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.is_streaming() {
            return Poll::Ready(());
        }
        ready!(self.decoder.poll_reader_gone(cx.waker()));
        let is_sent = self.body.is_none() && !self.sending.as_ref().is_some_and(Future::is_pending);
        if self.awaited.len() == 1 && is_sent && self.shared.is_last() {
            self.lose(UNREAD);
        }
        let until = self.alarm.now() + self.options.response_timeout;
        self.unread_until.get_or_insert(until);
        Poll::Ready(())
    }

    /// When what is awaited now must have come, and what is said if not.
    fn deadline(&self) -> Option<(Time, &'static str)> {
        const LATE: &str = "the server did not answer in time";
        let at_least = self.streamed_until + self.options.response_timeout;
        match self.awaited.front() {
            // Whoever writes a body as it is sent takes as long as he likes; the server may not.
            Some(_) if self.body.is_some() && self.awaited.len() == 1 => {
                let is_sending = self.sending.as_ref().is_some_and(Future::is_pending);
                let until = self.sent_at + self.options.limits.write_timeout;
                is_sending.then_some((until, "the server does not take the request"))
            }
            // Whoever reads a body as it comes waits as long as he likes.
            Some(first) if first.promise.is_none() => {
                self.unread_until.map(|until| (until, UNREAD))
            }
            Some(first) => Some((first.deadline.max(at_least), LATE)),
            None => match self.shared.deadline() {
                Some(deadline) => Some((deadline.max(at_least), LATE)),
                None if self.shared.is_idle_in_pool() => Some((
                    self.idle_since + self.options.idle_timeout,
                    "the connection was idle",
                )),
                None => None,
            },
        }
    }

    /// Has the alarm go off when something is too late.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((deadline, reason)) = self.deadline() else {
            return Poll::Pending;
        };
        ready!(self.alarm.poll(deadline, cx.waker()));
        self.lose(reason);
        Poll::Ready(())
    }
}

impl<T: Transport> Unpin for Driver<T> {}

impl<T: Transport> StdFuture for Driver<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        for step in [
            Self::listen,
            Self::read,
            Self::write,
            Self::leave,
            Self::watch,
        ] {
            let _ = step(this, cx);
            if this.lost.is_some() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl<T: Transport> Drop for Driver<T> {
    fn drop(&mut self) {
        let reason = self.lost.take().unwrap_or_else(|| DISCONNECTED.into());
        self.decoder.break_off(&reason);
        if self.sending.as_ref().is_some_and(Future::is_pending) {
            // Else it would go on for as long as the server takes.
            self.stream.abort();
        }
        self.shared.lost(&reason);
        for awaited in self.awaited.drain(..) {
            awaited.fail(&reason);
        }
    }
}
