//! What listening sockets share: connections that came, and who waits for one.
//!
//! As a stream's inbound side: an accept is under way while somebody waits, and where the driver can it stays so; what comes
//! while nobody waits is kept for the next one, and beyond [`KEPT`] the kernel's backlog keeps it.
//!
//! Where the process has no descriptor left an accept fails, and would fail again at once: the listener rests for [`REST`], and those who wait go on waiting.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::socket::{Begun, Home, failure};
use super::waiting::{Waiting, settle};
use crate::facade::lock_std;
use crate::future::{Cancel, Future, Outcome as Ended, Spare};
use crate::reactor::{Action, Completed, Handler, Outcome, Socket};

/// How many connections are kept for `accept`s to come.
const KEPT: usize = 64;
/// How long nothing is accepted where there are no descriptors.
const REST: Duration = Duration::from_millis(50);

/// What passes when others have given back what they have.
const SHORTAGES: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];

/// What a connection becomes.
pub(super) trait Accepted: Send + Sized + 'static {
    fn of_accepted(home: Home, descriptor: OwnedFd) -> Self;
}

/// The one that has the socket: closed when it is dropped.
pub(super) struct Acceptor<S: Accepted>(Arc<Shared<S>>);

struct Shared<S: Accepted> {
    home: Home,
    socket: Arc<Socket>,
    state: Mutex<State<S>>,
    spare: Spare<Self, S>,
}

struct State<S> {
    kept: VecDeque<OwnedFd>,
    waiting: Waiting<S>,
    failed: Option<Arc<str>>,
}

impl<S: Accepted> Acceptor<S> {
    /// Of a socket that listens.
    pub(super) fn new(home: Home, socket: Arc<Socket>) -> Self {
        let state = State {
            kept: VecDeque::new(),
            waiting: Waiting::new(),
            failed: None,
        };
        Self(Arc::new(Shared {
            home,
            socket,
            state: Mutex::new(state),
            spare: Spare::new(),
        }))
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.0.socket
    }

    pub(super) fn accept(&self) -> Future<S> {
        self.0.accept()
    }

    /// As `accept`, for one who polls: nothing is allocated for the wait. Who has a future of `accept` is given what comes first.
    pub(super) fn poll_accept(&self, waker: &Waker) -> Poll<Result<S, Arc<str>>> {
        self.0.poll_accept(waker)
    }
}

impl<S: Accepted> Drop for Acceptor<S> {
    fn drop(&mut self) {
        let (accept, waiting, rest) = {
            let mut state = lock_std(&self.0.state);
            let rest = (std::mem::take(&mut state.kept), state.waiting.take_poller());
            (state.waiting.close(), state.waiting.take_all(), rest)
        };
        if let Some(begun) = accept {
            self.0.home.cancel(begun, &self.0.socket);
        }
        // Abandoned, and closed.
        drop((waiting, rest));
    }
}

impl<S: Accepted> Shared<S> {
    fn stream(&self, descriptor: OwnedFd) -> S {
        S::of_accepted(self.home.anywhere(), descriptor)
    }

    fn accept(self: &Arc<Self>) -> Future<S> {
        let (accepted, begin) = {
            let mut state = lock_std(&self.state);
            if let Some(descriptor) = state.kept.pop_front() {
                drop(state);
                return Future::ready(self.stream(descriptor));
            }
            if let Some(reason) = &state.failed {
                return Future::failed(Arc::clone(reason));
            }
            let accepted = state.waiting.wait(self);
            (accepted, state.waiting.next_place(&self.home))
        };
        if let Some(place) = begin {
            self.begin_accept(place);
        }
        accepted
    }

    fn poll_accept(self: &Arc<Self>, waker: &Waker) -> Poll<Result<S, Arc<str>>> {
        let begin = {
            let mut state = lock_std(&self.state);
            if let Some(descriptor) = state.kept.pop_front() {
                drop(state);
                return Poll::Ready(Ok(self.stream(descriptor)));
            }
            if let Some(reason) = &state.failed {
                return Poll::Ready(Err(Arc::clone(reason)));
            }
            state.waiting.watch(waker);
            state.waiting.next_place(&self.home)
        };
        if let Some(place) = begin {
            self.begin_accept(place);
        }
        Poll::Pending
    }

    fn begin_accept(self: &Arc<Self>, place: Begun) {
        let handler = Arc::clone(self) as _;
        let done = self
            .home
            .begin(place, &self.socket, Action::Accept, handler);
        if let Some(mut completed) = done {
            // No accept was tried, and the next one would not be either.
            completed.result = completed
                .result
                .map_err(|error| match error.raw_os_error() {
                    Some(code) if SHORTAGES.contains(&code) => error,
                    _ => io::Error::other(error),
                });
            return Arc::clone(self).complete(completed);
        }
        let closed = lock_std(&self.state).waiting.is_closed();
        if closed {
            self.home.cancel(place, &self.socket);
        }
    }

    fn begin_again(self: &Arc<Self>) {
        let begin = {
            let mut state = lock_std(&self.state);
            state.waiting.end_rest();
            state.waiting.next_place(&self.home)
        };
        if let Some(place) = begin {
            self.begin_accept(place);
        }
    }

    fn rest(self: &Arc<Self>, error: &io::Error) {
        tracing::warn!(%error, "no connection can be accepted for now");
        let shared = Arc::downgrade(self);
        self.home.later(REST, move || {
            if let Some(shared) = shared.upgrade() {
                shared.begin_again();
            }
        });
    }
}

impl<S: Accepted> Cancel<S> for Shared<S> {
    const CANCEL: Option<fn(&Self, u64)> = Some(|shared, number| {
        let promise = lock_std(&shared.state).waiting.take(number);
        if let Some(promise) = promise {
            promise.discard();
        }
    });

    fn spare(&self) -> &Spare<Self, S> {
        &self.spare
    }
}

impl<S: Accepted> Handler for Shared<S> {
    /// In any order: a connection is as good as another. To keep one until those before it were told would have it wait for whatever the thread that found those runs first.
    fn complete(self: Arc<Self>, completed: Completed) {
        let Completed { result, more, .. } = completed;
        let mut given = None;
        let mut failed = Vec::new();
        let mut rest = None;
        let (cancel, begin, poller) = {
            let mut state = lock_std(&self.state);
            let goes_on = state.waiting.completed(more);
            let cancel = goes_on.filter(|_| state.kept.len() >= KEPT);
            match result {
                Ok(Outcome::Accepted(descriptor)) => match state.waiting.pop() {
                    Some(promise) => given = Some((promise, descriptor)),
                    None if state.waiting.is_closed() => {}
                    None => state.kept.push_back(descriptor),
                },
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(code) if SHORTAGES.contains(&code) => {
                        state.waiting.rest();
                        rest = Some(error);
                    }
                    // That connection's own affair, of which accept(2) tells; the next one may be better.
                    Some(
                        libc::ECANCELED
                        | libc::ECONNABORTED
                        | libc::EPROTO
                        | libc::ENETDOWN
                        | libc::ENOPROTOOPT
                        | libc::EHOSTDOWN
                        | libc::ENONET
                        | libc::EHOSTUNREACH
                        | libc::EOPNOTSUPP
                        | libc::ENETUNREACH
                        | libc::EPERM,
                    ) => {}
                    _ => {
                        let reason: Arc<str> = Arc::from(failure("accept", &error));
                        state.failed = Some(Arc::clone(&reason));
                        let waiting = state.waiting.take_all();
                        failed.extend(waiting.map(|promise| (promise, reason.clone())));
                    }
                },
            }
            let something = !state.kept.is_empty() || state.failed.is_some();
            let poller = state.waiting.poller_to_wake(something);
            (cancel, state.waiting.next_place(&self.home), poller)
        };
        if let Some(begun) = cancel {
            self.home.cancel(begun, &self.socket);
        }
        if let Some((promise, descriptor)) = given {
            settle(promise, Ended::Ready(self.stream(descriptor)));
        }
        for (promise, reason) in failed {
            settle(promise, Ended::Failed(reason));
        }
        if let Some(poller) = poller {
            poller.wake();
        }
        if let Some(error) = rest {
            self.rest(&error);
        }
        if let Some(place) = begin {
            self.begin_accept(place);
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    use rustix::net::{AddressFamily, SocketFlags, SocketType};

    use super::super::UnixStream;
    use super::*;
    use crate::future::Promise;
    use crate::reactor::Kind;

    fn pair() -> (OwnedFd, OwnedFd) {
        let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
        rustix::net::socketpair(family, SocketType::STREAM, flags, None).expect("a pair")
    }

    fn completed(number: u32, result: io::Result<Outcome>, more: bool) -> Completed {
        Completed {
            kind: Kind::Accept,
            number,
            result,
            more,
            data: None,
        }
    }

    fn name(end: OwnedFd, name: &'static str) -> OwnedFd {
        rustix::io::write(&end, name.as_bytes()).expect("written");
        end
    }

    /// As when a worker looks after the port of another one, which is in a long handler with what it found before.
    #[test]
    fn a_connection_does_not_wait_for_those_before_it() {
        let (unused, _other) = pair();
        let acceptor = Acceptor::<UnixStream>::new(Home::current(), Socket::unix(unused));
        let (promise, accepted) = Promise::pair();
        {
            // As `accept`, without an operation.
            let mut state = lock_std(&acceptor.0.state);
            state.waiting.push(promise);
            assert!(state.waiting.next_place(&acceptor.0.home).is_some());
        }
        let tell = |completed| Arc::clone(&acceptor.0).complete(completed);
        let ((first, first_peer), (second, second_peer)) = (pair(), pair());
        tell(completed(1, Ok(Outcome::Accepted(second)), true));
        assert!(!accepted.is_pending(), "it waits for the first");
        let cancelled = io::Error::from_raw_os_error(libc::ECANCELED);
        tell(completed(2, Err(cancelled), false));
        // Of an operation that has ended.
        tell(completed(0, Ok(Outcome::Accepted(first)), true));
        let _peers = (name(first_peer, "first"), name(second_peer, "second"));
        let streams = [accepted, acceptor.accept()].map(|accepted| accepted.get().expect("it"));
        let names = streams.map(|stream| stream.receive().get().expect("bytes"));
        assert_eq!(names, ["second", "first"]);
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn who_polls_is_woken_once_by_what_comes_and_by_a_failure() {
        let (unused, _other) = pair();
        let acceptor = Acceptor::<UnixStream>::new(Home::current(), Socket::unix(unused));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        {
            // As `poll_accept`, without an operation.
            let mut state = lock_std(&acceptor.0.state);
            state.waiting.watch(&waker);
            assert!(state.waiting.next_place(&acceptor.0.home).is_some());
        }
        let tell = |completed| Arc::clone(&acceptor.0).complete(completed);
        let ((first, _first_peer), (second, _second_peer)) = (pair(), pair());
        tell(completed(0, Ok(Outcome::Accepted(first)), true));
        tell(completed(1, Ok(Outcome::Accepted(second)), true));
        assert_eq!(woken.0.load(Relaxed), 1);
        for _ in 0..2 {
            assert!(matches!(acceptor.poll_accept(&waker), Poll::Ready(Ok(_))));
        }
        assert!(acceptor.poll_accept(&waker).is_pending());
        let broken = io::Error::from_raw_os_error(libc::EINVAL);
        tell(completed(2, Err(broken), false));
        assert_eq!(woken.0.load(Relaxed), 2);
        assert!(matches!(acceptor.poll_accept(&waker), Poll::Ready(Err(_))));
    }
}
