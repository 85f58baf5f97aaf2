//! The same with threads: a connection that parks, three who answer, a kernel that is late with some sends, and a client that waits for each answer.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;

use super::paused_clock;
use super::wire::{self, Given};
use crate::clock::Clock;
use crate::exchange::{Limits, Request, Responder, text};
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::http::Transport;
use crate::http::connection::{Connection, Service};

const ROUNDS: usize = 3_000;
/// Long enough for any machine: only a lost wake-up takes it.
const LOST: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Line {
    state: Mutex<Wire>,
    grown: Condvar,
    is_sending: AtomicUsize,
    elsewhere: AtomicUsize,
}

#[derive(Default)]
struct Wire {
    inbox: Vec<u8>,
    has_ended: bool,
    receiver: Option<Waker>,
    sent: Vec<u8>,
    sends: usize,
    /// Every so many sends, one is late.
    late: Option<usize>,
    kernel: Vec<Promise<()>>,
}

impl Line {
    fn say(&self, bytes: &[u8]) {
        let mut state = lock_std(&self.state);
        state.inbox.extend_from_slice(bytes);
        state.has_ended = bytes.is_empty();
        let receiver = state.receiver.take();
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }
}

struct Fake(Arc<Line>);

impl Transport for Fake {
    fn poll_receive(&self, waker: &Waker) -> Poll<Result<Bytes, Arc<str>>> {
        let mut state = lock_std(&self.0.state);
        if state.inbox.is_empty() && !state.has_ended {
            state.receiver = Some(waker.clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(std::mem::take(&mut state.inbox).into()))
    }

    fn send(&self, pieces: Vec<Bytes>) -> Future<()> {
        assert_eq!(self.0.is_sending.fetch_add(1, Relaxed), 0, "two send");
        let elsewhere = thread::current().name() == Some("answers");
        self.0.elsewhere.fetch_add(usize::from(elsewhere), Relaxed);
        let mut state = lock_std(&self.0.state);
        state.sent.extend(pieces.iter().flatten());
        state.sends += 1;
        let is_late = state
            .late
            .is_some_and(|late| state.sends.is_multiple_of(late));
        self.0.is_sending.fetch_sub(1, Relaxed);
        let sent = if is_late {
            let (promise, sent) = Promise::pair();
            state.kernel.push(promise);
            sent
        } else {
            Future::ready(())
        };
        drop(state);
        self.0.grown.notify_all();
        sent
    }

    fn shutdown(&self) -> Future<()> {
        Future::ready(())
    }

    fn reset(&self) {}

    fn abort(&self) {}

    fn peer_ip(&self) -> Option<std::net::IpAddr> {
        None
    }
}

/// Deals the requests out to those who answer.
struct Desk(Vec<mpsc::Sender<(usize, Responder)>>);

impl Service for Desk {
    type Memory = usize;

    fn call(&self, _request: Request, responder: Responder, called: &mut usize) {
        let _ = self.0[*called % self.0.len()].send((*called, responder));
        *called += 1;
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn connect(line: &Arc<Line>, desk: Desk, clock: &Clock) -> Connection<Fake, Desk> {
    let limits = Arc::new(Limits::new());
    Connection::new(
        Fake(Arc::clone(line)),
        Arc::new(desk),
        limits,
        clock.clone(),
    )
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn answers_of_threads_are_all_sent_in_order() {
    let line = Arc::new(Line::default());
    lock_std(&line.state).late = Some(3);
    let clock = paused_clock();
    let (desks, tasks): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel()).unzip();
    let connection = connect(&line, Desk(desks), &clock);
    thread::scope(|scope| {
        for task in tasks {
            let answers = move || {
                for (request, responder) in task {
                    responder.set(text(::http::StatusCode::ACCEPTED, request.to_string()));
                }
            };
            let named = thread::Builder::new().name("answers".into());
            named.spawn_scoped(scope, answers).expect("a thread");
        }
        scope.spawn(move || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut connection = pin!(connection);
            while connection
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
            {
                thread::park();
            }
        });
        let mut asked = 0;
        for round in 0..ROUNDS {
            let together = [1, 1, 2, 5][round % 4];
            asked += together;
            line.say(&REQUEST.repeat(together));
            let mut state = lock_std(&line.state);
            let last = format!("\r\n\r\n{}", asked - 1);
            while !state.sent.ends_with(last.as_bytes()) {
                // The kernel's part.
                let late = std::mem::take(&mut state.kernel);
                if !late.is_empty() {
                    drop(state);
                    for promise in late {
                        promise.set(());
                    }
                    state = lock_std(&line.state);
                    continue;
                }
                let (woken, waited) = line.grown.wait_timeout(state, LOST).expect("a lock");
                state = woken;
                if waited.timed_out() {
                    // Else the other threads would be waited for.
                    eprintln!("a wake-up was lost in round {round}");
                    std::process::abort();
                }
            }
        }
        // The connection waits for the last send before it ends.
        let late = std::mem::take(&mut lock_std(&line.state).kernel);
        for promise in late {
            promise.set(());
        }
        line.say(b"");
        let given: Vec<_> = (0..asked)
            .map(|request| Some(Given::Body(request.to_string())))
            .collect();
        let replies = wire::read(&lock_std(&line.state).sent, &given);
        assert!(replies.answered == asked && !replies.is_cut);
    });
    assert!(line.elsewhere.load(Relaxed) > 0, "never sent elsewhere");
}

#[test]
fn what_is_sent_elsewhere_has_its_own_time() {
    let clock = paused_clock();
    let line = Arc::new(Line::default());
    let (desk, tasks) = mpsc::channel();
    let mut connection = connect(&line, Desk(vec![desk]), &clock);
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = || Pin::new(&mut connection).poll(&mut context);
    assert!(poll().is_pending());
    // Longer than a send may take, from a time when there was none.
    clock.advance(Duration::from_secs(61));
    line.say(REQUEST);
    assert!(poll().is_pending());
    lock_std(&line.state).late = Some(1);
    let (_, responder) = tasks.try_recv().expect("a request");
    responder.set(text(::http::StatusCode::OK, "slow"));
    assert_eq!(lock_std(&line.state).kernel.len(), 1, "sent elsewhere");
    line.say(REQUEST);
    assert!(poll().is_pending(), "it has only begun");
    assert!(tasks.try_recv().is_ok());
}
