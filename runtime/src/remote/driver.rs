//! What drives the connection to a peer: an `async` block, and so a process of its own.
//!
//! Each turn it reads the answers that have come, which nobody needs, gives the kernel what has gathered, and looks at the time. It ends with the connection, or when that is idle; then the peer is retired.
//!
//! An idle connection is closed in order: the peer is told that nothing more comes, and what is sent from then on waits until it has closed its side, too, which it does when it has read all. Over the next connection that might be read first.

use std::future::Future as StdFuture;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Remote;
use super::links::{LINKS, RENEWAL, VERSION};
use super::peer::{Next, Peer};
use crate::clock::{Clock, Time};
use crate::exchange::without_zone;
use crate::functions::spawn_async;
use crate::future::Future;
use crate::http::{self, Alarm, Body, Response, Transport};
use crate::net::TcpStream;
use crate::process::in_current;

/// For how long the end of an idle connection may take.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a peer without links may take for what it is sent, and bytes that it takes in a millisecond beyond that, at least: one that takes less is given up.
const STALLED: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 100;
/// The shortest time of a heartbeat.
const FASTEST: Duration = Duration::from_millis(10);

/// Pieces of answers that are read before others have their turn.
const TURNS: u32 = 16;

pub(super) struct Driver {
    peer: Arc<Peer>,
    remote: Weak<Remote>,
    connecting: Option<Future<TcpStream>>,
    stream: Option<TcpStream>,
    sending: Option<Future<()>>,
    /// It is idle, and the peer was told that nothing more comes; since when.
    closing: Option<Time>,
    /// When something was last sent.
    active: Time,
    alarm: Alarm,
    /// Whether the runtime there is one of these: asked once for a connection, where somebody is linked by it.
    asking: Asking,
    /// When the links were last renewed.
    renewed: Time,
    /// When something last came from the peer, and when it was last asked for something.
    heard: Time,
    asked: Time,
    /// Since when it has answered nothing that it was asked.
    unanswered_since: Option<Time>,
    /// How much is being sent.
    bytes: u64,
    /// Why there is no connection any more.
    lost: Option<Arc<str>>,
}

enum Asking {
    Not,
    Asked(Future<Response>),
    Agreed,
    /// It is not one of these, or said nothing.
    Alone,
}

impl Driver {
    pub(super) fn new(peer: Arc<Peer>, remote: Weak<Remote>, clock: Clock) -> Self {
        let now = clock.now();
        Self {
            active: now,
            renewed: now,
            heard: now,
            asked: now,
            unanswered_since: None,
            bytes: 0,
            asking: Asking::Not,
            alarm: Alarm::new(clock),
            peer,
            remote,
            connecting: None,
            stream: None,
            sending: None,
            closing: None,
            lost: None,
        }
    }

    /// Ready when there is a connection.
    fn connect(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Arc<str>>> {
        if self.stream.is_some() {
            return Poll::Ready(Ok(()));
        }
        let (address, options) = (self.peer.address(), self.peer.options());
        let connecting = self
            .connecting
            .get_or_insert_with(|| TcpStream::connect_timeout(address, options.connect_timeout));
        let connected = ready!(connecting.poll_result(cx.waker()));
        self.connecting = None;
        let stream = connected.map_err(|error| Arc::from(error.to_string()))?;
        if let (Ok(local), Ok(peer)) = (stream.local_address(), stream.peer_address())
            && local == peer
        {
            // Nobody listens there, and the kernel has chosen that very port for this end.
            return Poll::Ready(Err("nobody listens there".into()));
        }
        let watched = options
            .peer_timeout
            .map_or(Ok(()), |timeout| stream.set_peer_timeout(timeout));
        if let Err(error) = stream.set_nodelay(true).and(watched) {
            tracing::warn!(%address, %error, "a connection is as the operating system has it");
        }
        self.active = self.alarm.now();
        self.heard = self.active;
        self.unanswered_since = None;
        self.peer.set_connected(true);
        self.stream = Some(stream);
        Poll::Ready(Ok(()))
    }

    /// Throws away the answers that have come.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Arc<str>>> {
        let Some(stream) = &self.stream else {
            return Poll::Pending;
        };
        for _ in 0..TURNS {
            let received = ready!(stream.poll_receive(cx.waker()))?;
            if received.is_empty() {
                if self.closing.is_some() {
                    return self.close();
                }
                return Poll::Ready(Err("it was closed by the peer".into()));
            }
            self.heard = self.alarm.now();
            self.unanswered_since = None;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Asks whether the runtime there is one of these, where that is of use, and agrees with it if so.
    fn agree(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Arc<str>>> {
        if self.stream.is_none() || !self.peer.options().negotiates || !self.peer.is_linked() {
            return Poll::Pending;
        }
        let address = self.peer.address();
        loop {
            match &mut self.asking {
                Asking::Not => {
                    let url = format!("http://{}/{LINKS}", without_zone(address));
                    let asked = ::http::Request::get(url)
                        .header(::http::header::CONNECTION, "close")
                        .body(Body::empty());
                    self.asking = match asked {
                        Ok(asked) => Asking::Asked(http::request(asked)),
                        Err(_) => Asking::Alone,
                    };
                }
                Asking::Asked(answer) => {
                    let answer = ready!(answer.poll_result(cx.waker()));
                    let is_one = answer.is_ok_and(|answer| answer.body() == VERSION);
                    let agreed = in_current(|manager| {
                        manager.and_then(|manager| is_one.then(|| self.peer.agree(manager))?)
                    });
                    self.renewed = self.alarm.now();
                    self.asking = match (agreed, self.remote.upgrade()) {
                        (Some(token), Some(remote)) => {
                            remote.agreed(&self.peer, token);
                            Asking::Agreed
                        }
                        _ => Asking::Alone,
                    };
                }
                Asking::Agreed | Asking::Alone => return Poll::Pending,
            }
        }
    }

    /// What was agreed on was for the connection that there was.
    fn disagree(&mut self) {
        self.peer.set_connected(false);
        self.asking = Asking::Not;
        if let (Some(token), Some(remote)) = (self.peer.disagree(), self.remote.upgrade()) {
            remote.forget(token);
        }
    }

    /// Sends what there is.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Arc<str>>> {
        loop {
            let mut is_sent = false;
            if let Some(sending) = &mut self.sending {
                match sending.poll_result(cx.waker()) {
                    Poll::Ready(Ok(())) => {
                        self.sending = None;
                        is_sent = true;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string().into())),
                    Poll::Pending => {}
                }
            }
            let may_send =
                self.sending.is_none() && self.stream.is_some() && self.closing.is_none();
            match self.peer.next(is_sent, may_send, cx.waker()) {
                Next::Send(pieces) => {
                    self.active = self.alarm.now();
                    self.bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
                    let Some(stream) = &self.stream else {
                        return Poll::Pending;
                    };
                    // What the kernel has at once is told of at the next look.
                    self.sending =
                        Some(Transport::send_at_once(stream, pieces).unwrap_or_else(Future::done));
                }
                Next::Relink => self.leave(),
                Next::Nothing => return Poll::Pending,
            }
        }
    }

    /// Leaves the connection for another. What it was given goes out, as far as it does.
    fn leave(&mut self) {
        self.connecting = None;
        self.closing = None;
        self.disagree();
        let Some(stream) = self.stream.take() else {
            return;
        };
        let sending = self.sending.take();
        let left = spawn_async(Left { stream, sending }.end());
        // Discarded, it is reset: what it keeps would be kept for as long as its peer likes.
        left.after(CLOSING, |left: Future<()>| {
            left.discard();
            Future::done()
        })
        .detach();
    }

    /// Ready if the connection is not needed any more, or the peer is gone. Says what is due.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Arc<str>>> {
        if self.stream.is_none() {
            return Poll::Pending;
        }
        if let Some(since) = self.closing {
            ready!(self.alarm.poll(since + CLOSING, cx.waker()));
            return self.close();
        }
        if !self.peer.is_linked() {
            let idle = self.peer.options().idle_timeout;
            if self.sending.is_some() {
                // Nobody would hear of it otherwise, and what waits would wait for ever.
                let slow = STALLED + Duration::from_millis(self.bytes / SLOWEST);
                ready!(self.alarm.poll(self.active + slow, cx.waker()));
                return Poll::Ready(Err("it takes nothing".into()));
            }
            ready!(self.alarm.poll(self.active + idle, cx.waker()));
            self.closing = Some(self.alarm.now());
            if let Some(stream) = &self.stream {
                stream.shutdown().detach();
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let renewal = self.renewed + RENEWAL;
            let agreed = matches!(self.asking, Asking::Agreed).then_some(renewal);
            let beats = self.peer.options().heartbeat.map(|time| time.max(FASTEST));
            let beat = beats.map(|time| self.asked.max(self.heard) + time / 3);
            let Some(deadline) = agreed.into_iter().chain(beat).min() else {
                return Poll::Pending;
            };
            ready!(self.alarm.poll(deadline, cx.waker()));
            let now = self.alarm.now();
            if let (Some(time), Some(since)) = (beats, self.unanswered_since)
                && now >= since + time * 2 / 3
            {
                return Poll::Ready(Err("it does not answer".into()));
            }
            let is_due = agreed.is_some_and(|renewal| now >= renewal);
            if is_due {
                self.renewed = now;
            }
            self.asked = now;
            self.unanswered_since.get_or_insert(now);
            let goes_on = in_current(|manager| {
                manager.is_none_or(|manager| self.peer.say_something(manager, is_due))
            });
            if !goes_on {
                return Poll::Ready(Err("it does not answer for its processes".into()));
            }
            cx.waker().wake_by_ref();
        }
    }

    /// The connection was idle and has ended. Another follows, if there is something to be sent by now.
    fn close(&mut self) -> Poll<Result<(), Arc<str>>> {
        self.stream = None;
        self.closing = None;
        self.disagree();
        if self.peer.retire() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Arc<str>>> {
        loop {
            let connected = self.connect(cx);
            if let Poll::Ready(Err(_)) = connected {
                return connected;
            }
            for step in [Self::read, Self::agree, Self::write] {
                let Poll::Ready(ended) = step(self, cx) else {
                    continue;
                };
                if ended.is_err() && self.peer.takes_relink() {
                    // Whoever relinks does not mind the end of the connection that there was.
                    self.leave();
                    break;
                }
                return Poll::Ready(ended);
            }
            if self.stream.is_none() && self.connecting.is_none() {
                // It has just left one.
                continue;
            }
            if let Poll::Ready(ended) = self.watch(cx) {
                return Poll::Ready(ended);
            }
            if self.stream.is_some() || self.connecting.is_some() {
                return Poll::Pending;
            }
        }
    }
}

/// A connection that was left for another.
struct Left {
    stream: TcpStream,
    sending: Option<Future<()>>,
}

impl Left {
    /// Gives the kernel the rest, and reads to the end: what is not read when it is closed would have the peer's kernel throw away what it has of ours.
    async fn end(mut self) {
        if let Some(sending) = &mut self.sending {
            let _ended = std::future::poll_fn(|cx| sending.poll_result(cx.waker())).await;
        }
        if self.stream.shutdown().await.is_ok() {
            while self
                .stream
                .receive()
                .await
                .is_ok_and(|bytes| !bytes.is_empty())
            {}
        }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if self.sending.as_ref().is_some_and(Future::is_pending) {
            self.stream.abort();
        }
    }
}

impl Unpin for Driver {}

impl StdFuture for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let ended = ready!(this.turn(cx));
        this.lost = ended.err();
        Poll::Ready(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream
            && self.sending.as_ref().is_some_and(Future::is_pending)
        {
            // Else it would go on for as long as the peer takes.
            stream.abort();
        }
        self.disagree();
        let (lost, letters) = self.peer.end();
        if let Some(remote) = self.remote.upgrade() {
            remote.remove(&self.peer);
        }
        if let Some(reason) = &self.lost {
            let peer = self.peer.address();
            tracing::debug!(%peer, %reason, lost, "a connection to another runtime has ended");
        }
        if lost > 0 {
            in_current(|manager| {
                if let Some(manager) = manager {
                    manager.dead_letters().record_lost(lost, letters);
                }
            });
        }
    }
}
