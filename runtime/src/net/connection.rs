//! A connected stream: what has arrived and who waits for it, what is to go out.
//!
//! # Inbound
//!
//! While somebody waits, a receive is under way; where the driver can, it stays so (a multishot), and what comes while nobody waits is kept for the next reader. If
//! that is more than [`KEPT`], the receive is cancelled, so that a reader who is slow slows its peer; it is begun again when the last of what was kept has been taken.
//!
//! # Outbound
//!
//! One send is under way at a time, and those that come meanwhile go out together behind it: so bytes go out in the order in which `send` was called. A short send goes on with
//! the rest. Whoever finds nothing under way begins a send itself, and where the socket has room for it the driver may do it at once: then there is nothing to wait for.
//!
//! The lock is held while a send is begun. Drivers call nobody back from there; and the completion, which takes the lock, so finds what it is of.

mod inbound;
mod outbound;
#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rustix::net::{Shutdown, SocketAddrAny};

use super::queue::Queue;
use super::socket::{Begun, Home, failure, socket_for};
use super::waiting::{Waiting, settle};
use crate::FutureError;
use crate::facade::lock_std;
use crate::future::{Cancel, Future, Outcome as Ended, Promise, Spare, cancellable};
use crate::prefetch::prefetch;
use crate::process::Waits;
use crate::reactor::{Action, Behind, Completed, Data, Handler, Kind, Outcome, Socket};
use inbound::{Inbound, Received};
use outbound::{Outbound, Outgoing};

/// What is kept for readers to come, in bytes, before the peer has to wait.
const KEPT: usize = 256 * 1024;

/// When a unix socket whose backlog is full is tried again.
const AGAIN: Duration = Duration::from_millis(2);

/// What most connections do not have, or not often, is elsewhere: of a thousand that are served in turn none is in the processor's cache, and each line counts.
#[repr(C)]
pub(super) struct Connection {
    pub(super) socket: Arc<Socket>,
    home: Home,
    spare: Spare<Self, Bytes>,
    waits: Waits,
    inbound: Mutex<Inbound>,
    outbound: Mutex<Outbound>,
    spare_sent: Spare<Self, ()>,
}

/// Who is to be told what, once the lock is let go.
type Told<T> = Queue<(Promise<T>, Result<T, Arc<str>>)>;

fn tell<T>(mut told: Told<T>) {
    while let Some((promise, outcome)) = told.pop() {
        let outcome = match outcome {
            Ok(value) => Ended::Ready(value),
            Err(reason) => Ended::Failed(reason),
        };
        settle(promise, outcome);
    }
}

struct Connecting {
    address: SocketAddrAny,
    promise: Promise<()>,
}

/// A new connection to an address, whose text is for errors.
pub(super) fn connect(home: Home, address: SocketAddrAny, text: String) -> Future<Arc<Connection>> {
    let connection = match socket_for(&address) {
        Ok(socket) => Connection::new(home, socket),
        Err(error) => return Future::failed(failure(&format!("connect to {text}"), &error)),
    };
    connection
        .connect(address)
        .then(move |()| connection)
        .repair(move |error| match error {
            FutureError::Failed(reason) => Future::failed(format!("connect to {text}: {reason}")),
            other => Future::failed(other.to_string()),
        })
}

impl Connection {
    pub(super) fn new(home: Home, socket: Arc<Socket>) -> Arc<Self> {
        Arc::new(Self {
            home,
            socket,
            inbound: Mutex::new(Inbound::new()),
            outbound: Mutex::new(Outbound {
                queue: VecDeque::new(),
                failed: None,
                is_shut: false,
                connecting: None,
                spare_data: None,
            }),
            spare: Spare::new(),
            waits: Waits::default(),
            spare_sent: Spare::new(),
        })
    }

    /// The stream was dropped: nobody reads any more.
    pub(super) fn close(&self) {
        let (receive, waiting, poller) = {
            let mut inbound = lock_std(&self.inbound);
            inbound.ended.get_or_insert(None);
            let poller = inbound.waiting.take_poller();
            (inbound.waiting.close(), inbound.waiting.take_all(), poller)
        };
        if let Some(begun) = receive {
            self.home.cancel(begun, &self.socket);
        }
        // Abandoned, as their socket is.
        drop((waiting, poller));
    }

    /// Has what is under way end by an error.
    pub(super) fn abort(&self) {
        let descriptor = self.socket.descriptor();
        // Either fails if the peer is gone already, which is as well.
        let reset = rustix::net::sockopt::set_socket_linger(descriptor, Some(Duration::ZERO));
        let shut = rustix::net::shutdown(descriptor, Shutdown::Both);
        if let (Err(error), Err(_)) = (reset, shut) {
            tracing::debug!(%error, "a connection could not be reset");
        }
    }

    /// Has its end, when nothing is under way, be a reset.
    pub(super) fn reset(&self) {
        let reset =
            rustix::net::sockopt::set_socket_linger(self.socket.descriptor(), Some(Duration::ZERO));
        if let Err(error) = reset {
            tracing::debug!(%error, "a connection could not be reset");
        }
    }

    /// Ready once it is connected.
    pub(super) fn connect(self: &Arc<Self>, address: SocketAddrAny) -> Future<()> {
        let (promise, connected) = Promise::pair();
        let action = Action::Connect(Box::new(address.clone()));
        lock_std(&self.outbound).connecting = Some(Box::new(Connecting { address, promise }));
        let begun = self.home.place();
        self.begin(begun, action);
        let of_discard = Arc::downgrade(self);
        connected.on_cancelled(move || {
            if let Some(shared) = of_discard.upgrade()
                && let Some(connecting) = shared.take_connecting()
            {
                shared.home.cancel(begun, &shared.socket);
                connecting.promise.discard();
            }
        });
        connected
    }

    /// Not with a lock held: what was done at once is told like anything else.
    fn begin(self: &Arc<Self>, place: Begun, action: Action) {
        let handler = Arc::clone(self) as _;
        let done = self.home.begin(place, &self.socket, action, handler);
        if let Some(completed) = done {
            Arc::clone(self).complete(completed);
        }
    }

    fn connected(self: &Arc<Self>, result: io::Result<Outcome>) {
        if let Err(error) = &result
            && error.raw_os_error() == Some(libc::EAGAIN)
        {
            return self.connect_later();
        }
        if let Some(connecting) = self.take_connecting() {
            let outcome = match result {
                Ok(_) => Ended::Ready(()),
                Err(error) => Ended::Failed(error.to_string().into()),
            };
            settle(connecting.promise, outcome);
        }
    }

    /// The backlog of a unix socket is full, and the kernel does not tell when it is no more.
    fn connect_later(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        self.home.later(AGAIN, move || {
            if let Some(shared) = shared.upgrade() {
                shared.connect_again();
            }
        });
    }

    /// Unless it was given up.
    fn connect_again(self: &Arc<Self>) {
        let address = {
            let outbound = lock_std(&self.outbound);
            let connecting = outbound.connecting.as_ref();
            connecting.map(|connecting| connecting.address.clone())
        };
        if let Some(address) = address {
            self.begin(self.home.place(), Action::Connect(Box::new(address)));
        }
    }

    fn take_connecting(&self) -> Option<Box<Connecting>> {
        lock_std(&self.outbound).connecting.take()
    }

    pub(super) fn receive(self: &Arc<Self>) -> Future<Bytes> {
        let (received, begin) = {
            let mut inbound = lock_std(&self.inbound);
            if let Some(bytes) = inbound.take_kept() {
                return Future::ready(bytes);
            }
            match &inbound.ended {
                Some(None) => return Future::ready(Bytes::new()),
                Some(Some(reason)) => return Future::failed(Arc::clone(reason)),
                None => {}
            }
            let received = inbound.waiting.wait(self);
            self.waits.for_receive(received.address());
            (received, inbound.next_place(&self.home))
        };
        if let Some(place) = begin {
            self.begin_receive(place);
        }
        received
    }

    /// As `receive`, for one who polls: nothing is allocated for the wait. Who has a future of `receive` is given what comes first.
    pub(super) fn poll_receive(self: &Arc<Self>, waker: &Waker) -> Poll<Result<Bytes, Arc<str>>> {
        let begin = {
            let mut inbound = lock_std(&self.inbound);
            if let Some(bytes) = inbound.take_kept() {
                return Poll::Ready(Ok(bytes));
            }
            match &inbound.ended {
                Some(None) => return Poll::Ready(Ok(Bytes::new())),
                Some(Some(reason)) => return Poll::Ready(Err(Arc::clone(reason))),
                None => {}
            }
            inbound.waiting.watch(waker);
            self.waits.for_receive(std::ptr::null());
            inbound.next_place(&self.home)
        };
        if let Some(place) = begin {
            self.begin_receive(place);
        }
        Poll::Pending
    }

    fn begin_receive(self: &Arc<Self>, place: Begun) {
        self.begin(place, Action::Receive);
        let closed = lock_std(&self.inbound).waiting.is_closed();
        if closed {
            // Meanwhile, and who closed it may have come before the operation.
            self.home.cancel(place, &self.socket);
        }
    }

    fn received(self: &Arc<Self>, received: Received) {
        let mut inbound = lock_std(&self.inbound);
        let received = match inbound.give_to_one(received) {
            Ok((promise, bytes)) => {
                drop(inbound);
                return settle(promise, Ended::Ready(bytes));
            }
            Err(received) => received,
        };
        let mut told = Told::new();
        let mut cancel = None;
        let mut next = inbound.in_turn(received);
        while let Some(received) = next {
            let goes_on = inbound.waiting.completed(received.more);
            cancel = cancel.or(goes_on.filter(|_| inbound.bytes > KEPT));
            inbound.take_in(received.result, &mut told);
            next = inbound.next_received();
        }
        let begin = inbound.next_place(&self.home);
        let poller = inbound.poller_to_wake();
        drop(inbound);
        if let Some(begun) = cancel {
            self.home.cancel(begun, &self.socket);
        }
        tell(told);
        if let Some(poller) = poller {
            poller.wake();
        }
        if let Some(place) = begin {
            self.begin_receive(place);
        }
    }

    /// Ready when all of it is with the kernel, and all before it. The pieces are there: nothing of a caller's runs while they are put in.
    pub(super) fn send(self: &Arc<Self>, pieces: impl IntoIterator<Item = Bytes>) -> Future<()> {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        let mut ended = Told::new();
        let mut outbound = lock_std(&self.outbound);
        if let Some(reason) = &outbound.failed {
            return Future::failed(Arc::clone(reason));
        }
        let before = outbound.queue.len();
        let data = pieces.map(|piece| Outgoing::Data(piece, None));
        outbound.queue.extend(data);
        if outbound.queue.len() == before {
            outbound.queue.push_back(Outgoing::Data(Bytes::new(), None));
        }
        if before == 0 {
            self.advance(&mut outbound, &mut ended);
        }
        let sent = if let Some(Outgoing::Data(_, last)) = outbound.queue.back_mut() {
            let (promise, sent) = cancellable(self, 0);
            *last = Some(promise);
            sent
        } else if let Some(reason) = &outbound.failed {
            Future::failed(Arc::clone(reason))
        } else {
            Future::done()
        };
        drop(outbound);
        tell(ended);
        sent
    }

    /// As `send`, of one piece, which mostly the kernel takes at once.
    pub(super) fn send_piece(self: &Arc<Self>, piece: Bytes) -> Future<()> {
        self.send_at_once(piece).unwrap_or_else(Future::done)
    }

    /// As `send`, of one piece. `None`: the kernel has it already, so there is nothing to wait for, and nothing was made to wait with.
    pub(super) fn send_at_once(self: &Arc<Self>, piece: Bytes) -> Option<Future<()>> {
        let mut outbound = lock_std(&self.outbound);
        if outbound.failed.is_some() || !outbound.queue.is_empty() || piece.is_empty() {
            drop(outbound);
            return Some(self.send([piece]));
        }
        let sent = self.home.send_now(&self.socket, Behind::Unknown, |send| {
            send(&[IoSlice::new(&piece)]);
        });
        if matches!(&sent, Some(Ok(sent)) if *sent == piece.len()) {
            return None;
        }
        let (promise, future) = cancellable(self, 0);
        outbound
            .queue
            .push_back(Outgoing::Data(piece, Some(promise)));
        self.waits.for_send(future.address(), outbound.queue.back());
        let mut ended = Told::new();
        match sent {
            Some(sent) => self.go_on(&mut outbound, sent, &mut ended),
            None => self.begin_send(&mut outbound, &mut ended),
        }
        drop(outbound);
        tell(ended);
        Some(future)
    }

    /// Sends the end of the stream behind these. Both go out together, where they may. `None`: as in `send_at_once`.
    pub(super) fn send_and_shut_down(
        self: &Arc<Self>,
        pieces: impl IntoIterator<Item = Bytes>,
    ) -> Option<Future<()>> {
        let mut ended = Told::new();
        let mut outbound = lock_std(&self.outbound);
        if let Some(reason) = &outbound.failed {
            return Some(Future::failed(Arc::clone(reason)));
        }
        let is_busy = !outbound.queue.is_empty();
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        let data = pieces.map(|piece| Outgoing::Data(piece, None));
        outbound.queue.extend(data);
        outbound.queue.push_back(Outgoing::Shutdown(None));
        if !is_busy {
            self.advance(&mut outbound, &mut ended);
        }
        let sent = if let Some(Outgoing::Shutdown(last)) = outbound.queue.back_mut() {
            let (promise, sent) = cancellable(self, 0);
            *last = Some(promise);
            Some(sent)
        } else if outbound.is_shut {
            None
        } else {
            let reason = outbound.failed.as_ref().map(Arc::clone);
            reason.map(Future::failed)
        };
        drop(outbound);
        tell(ended);
        sent
    }

    /// A send has taken so much.
    fn go_on(
        self: &Arc<Self>,
        outbound: &mut Outbound,
        sent: io::Result<usize>,
        ended: &mut Told<()>,
    ) {
        if outbound.sent(sent, ended) {
            self.begin_send(outbound, ended);
        } else {
            self.advance(outbound, ended);
        }
    }

    /// Of data that was not sent at once, or not all of it.
    fn begin_send(self: &Arc<Self>, outbound: &mut Outbound, ended: &mut Told<()>) {
        let action = Action::Send(outbound.take_next_data());
        let handler = Arc::clone(self) as _;
        let place = self.home.place();
        // Only what cannot be begun is done at once: it has failed, and with it all that is to be sent.
        if let Some(completed) = self.home.begin(place, &self.socket, action, handler) {
            debug_assert!(completed.result.is_err(), "see `Driver::begin`");
            outbound.sent(completed.result.map(sent), ended);
        }
    }

    /// Goes on, as nothing is under way, until a send is, or the queue is empty.
    fn advance(self: &Arc<Self>, outbound: &mut Outbound, ended: &mut Told<()>) {
        loop {
            match outbound.queue.front() {
                None => return,
                Some(Outgoing::Data(data, _)) if data.is_empty() => outbound.ended(ended),
                Some(Outgoing::Data(..)) => {
                    let behind = outbound.behind();
                    let sent = self
                        .home
                        .send_now(&self.socket, behind, |send| outbound.with_next_pieces(send));
                    let is_short = sent.is_none_or(|sent| outbound.sent(sent, ended));
                    if is_short {
                        return self.begin_send(outbound, ended);
                    }
                }
                Some(Outgoing::Shutdown(_)) => {
                    let shut = rustix::net::shutdown(self.socket.descriptor(), Shutdown::Write);
                    let reason = match shut {
                        Ok(()) => {
                            outbound.is_shut = true;
                            outbound.ended(ended);
                            Arc::from("send: this side was shut down")
                        }
                        Err(error) => Arc::from(failure("shutdown", &error.into())),
                    };
                    outbound.fail(&reason, ended);
                }
            }
        }
    }

    fn sent(self: &Arc<Self>, result: io::Result<Outcome>, data: Option<Box<Data>>) {
        let mut ended = Told::new();
        let mut outbound = lock_std(&self.outbound);
        if let Some(data) = data {
            outbound.take_back(data);
        }
        self.go_on(&mut outbound, result.map(sent), &mut ended);
        drop(outbound);
        tell(ended);
    }
}

/// How many bytes a send took.
fn sent(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Sent(sent) => sent,
        _ => 0,
    }
}

/// Receives.
impl Cancel<Bytes> for Connection {
    const CANCEL: Option<fn(&Self, u64)> = Some(|connection, number| {
        let promise = lock_std(&connection.inbound).waiting.take(number);
        if let Some(promise) = promise {
            promise.discard();
        }
    });

    fn spare(&self) -> &Spare<Self, Bytes> {
        &self.spare
    }
}

/// Sends: what was given to the connection goes out.
impl Cancel<()> for Connection {
    const CANCEL: Option<fn(&Self, u64)> = None;

    fn spare(&self) -> &Spare<Self, ()> {
        &self.spare_sent
    }
}

impl Handler for Connection {
    fn fetch_ahead(&self, completed: &Completed) {
        match completed.kind {
            Kind::Receive => self.waits.fetch_for_receive(),
            Kind::Send => {
                self.waits.fetch_for_send();
                if let Some(data) = &completed.data {
                    prefetch(&**data, 1);
                }
            }
            Kind::Connect | Kind::Accept => {}
        }
    }

    fn complete(self: Arc<Self>, completed: Completed) {
        let result = completed.result;
        match completed.kind {
            Kind::Connect => self.connected(result),
            Kind::Receive => self.received(Received {
                number: completed.number,
                result: result.map(|outcome| match outcome {
                    Outcome::Received(bytes) => bytes,
                    _ => Bytes::new(),
                }),
                more: completed.more,
            }),
            Kind::Send => self.sent(result, completed.data),
            Kind::Accept => {}
        }
    }
}
