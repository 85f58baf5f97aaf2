//! A connection, its client, its kernel and those who answer, in one thread: what happens next is decided by a seed.
//!
//! The steps are the connection's turn, each call of an answerer, and the end of a send. Whatever is called with no lock held (the transport, the service, the
//! waker) takes more steps before it goes on, and again before it returns: so a step that one thread would be interrupted in is interleaved with those of the others.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use ::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;

use super::super::{OrderedAnswers, Other};
use super::hits::Hits;
use super::wire::Given;
use crate::clock::Clock;
use crate::exchange::random::Random;
use crate::exchange::{Limits, Request, Responder, Response, text};
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::http::Transport;
use crate::http::connection::{Connection, Service};

/// How many steps may be within one another.
const DEPTH: usize = 3;
/// The most bytes of bodies that may wait, where that is few: two bodies are more.
const FEW: u64 = 10;

/// What a seed decides beforehand.
struct Plan {
    pipelined: u32,
    has_bodies: bool,
    /// One in so many, or none.
    pending: usize,
    spurious: bool,
    stops: bool,
    breaks: bool,
    drops: bool,
    closes: bool,
    /// The client waits for each answer.
    alone: bool,
}

#[derive(Default)]
struct Model {
    /// What the client has to say yet, and how many requests are complete with each.
    to_say: VecDeque<(Vec<u8>, usize)>,
    inbox: VecDeque<Bytes>,
    has_ended: bool,
    receiver: Option<Waker>,
    /// Requests that have wholly been said, and those that were handed on.
    said: usize,
    called: usize,
    within_request: bool,
    held: Vec<(usize, Responder)>,
    promised: Vec<(usize, Promise<Response>)>,
    given: Vec<Option<Given>>,
    /// Sends that the kernel has not taken.
    kernel: VecDeque<Promise<()>>,
    wire: Vec<u8>,
    is_sending: bool,
    kernel_wakes: bool,
    broken: bool,
    /// A receive tells of it, too.
    broken_loudly: bool,
    was_shut: bool,
    was_stopped: bool,
    was_dropped: bool,
    is_finished: bool,
    hits: Hits,
}

pub(super) struct World {
    plan: Plan,
    random: Mutex<Random>,
    model: Mutex<Model>,
    /// Away while it has its turn.
    connection: Mutex<Option<Connection<Fake, Handler>>>,
    answers: OnceLock<Arc<OrderedAnswers>>,
    is_woken: AtomicBool,
    depth: AtomicUsize,
    draining: AtomicBool,
}

#[derive(Clone, Copy)]
enum Step {
    Say,
    Turn,
    Answer,
    Settle,
    Complete,
    Stop,
    Break,
    Drop,
}

pub(super) struct Fake(Arc<World>);

pub(super) struct Handler(Arc<World>);

struct Waking(Arc<World>);

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        let world = &self.0;
        if !world.model().kernel_wakes {
            world.interleave();
            world.model().hits.woken += 1;
        }
        world.is_woken.store(true, Relaxed);
    }
}

impl Transport for Fake {
    fn poll_receive(&self, waker: &Waker) -> Poll<Result<Bytes, Arc<str>>> {
        let world = &self.0;
        world.interleave();
        let mut model = world.model();
        if model.broken_loudly {
            Poll::Ready(Err("reset".into()))
        } else if let Some(bytes) = model.inbox.pop_front() {
            Poll::Ready(Ok(bytes))
        } else if model.has_ended {
            Poll::Ready(Ok(Bytes::new()))
        } else {
            model.receiver = Some(waker.clone());
            Poll::Pending
        }
    }

    fn send(&self, pieces: Vec<Bytes>) -> Future<()> {
        let world = &self.0;
        let elsewhere = lock_std(&world.answers().state).sending_elsewhere;
        {
            let mut model = world.model();
            assert!(!model.is_sending, "two send at a time");
            model.is_sending = true;
        }
        world.interleave();
        let sent = {
            let mut model = world.model();
            assert!(
                pieces.iter().any(|piece| !piece.is_empty()),
                "nothing is sent"
            );
            model.hits.elsewhere += usize::from(elsewhere);
            model.is_sending = false;
            if model.broken {
                model.hits.failed += 1;
                Future::failed("broken")
            } else {
                model.wire.extend(pieces.iter().flatten());
                let pending = world.plan.pending;
                if pending > 0 && world.below(pending) == 0 || !model.kernel.is_empty() {
                    let (promise, sent) = Promise::pair();
                    model.kernel.push_back(promise);
                    model.hits.elsewhere_pending += usize::from(elsewhere);
                    sent
                } else {
                    Future::ready(())
                }
            }
        };
        world.interleave();
        sent
    }

    fn shutdown(&self) -> Future<()> {
        self.0.model().was_shut = true;
        Future::ready(())
    }

    fn reset(&self) {}

    fn abort(&self) {
        self.0.model().broken = true;
    }

    fn peer_ip(&self) -> Option<std::net::IpAddr> {
        None
    }
}

impl Service for Handler {
    type Memory = ();

    fn call(&self, _request: Request, responder: Responder, (): &mut ()) {
        let world = &self.0;
        world.interleave();
        {
            let mut model = world.model();
            let request = model.called;
            model.called += 1;
            model.given.push(None);
            model.held.push((request, responder));
        }
        world.interleave();
    }
}

impl Model {
    fn answered(&self) -> usize {
        self.called - self.held.len() - self.promised.len()
    }
}

impl World {
    fn new(seed: u64, clock: &Clock) -> Arc<Self> {
        let mut random = Random::new(seed);
        let mut one_in = |bound| random.below(bound) == 0;
        let mut plan = Plan {
            pipelined: 128,
            has_bodies: one_in(3),
            pending: 0,
            spurious: one_in(4),
            stops: one_in(4),
            breaks: one_in(6),
            drops: one_in(6),
            closes: one_in(4),
            alone: one_in(2),
        };
        plan.pipelined = [1, 2, 3, 128, 128, 128][random.below(6)];
        plan.pending = [0, 1, 2, 4][random.below(4)];
        let mut to_say = VecDeque::new();
        for _ in 0..=random.below(8) {
            let (expects, has_body) = match random.below(6) {
                0 => (true, true),
                1 | 2 => (false, plan.has_bodies),
                _ => (false, false),
            };
            let expect = if expects {
                "Expect: 100-continue\r\n"
            } else {
                ""
            };
            let mut head = format!("POST / HTTP/1.1\r\nHost: a\r\n{expect}");
            head.push_str(if has_body {
                "Content-Length: 8\r\n\r\n"
            } else {
                "\r\n"
            });
            if expects {
                to_say.push_back((head.into_bytes(), 0));
                to_say.push_back((b"01234567".to_vec(), 1));
            } else {
                head.push_str(if has_body { "01234567" } else { "" });
                to_say.push_back((head.into_bytes(), 1));
            }
        }
        let mut limits = Limits::new().pipelined(plan.pipelined);
        if plan.has_bodies {
            limits = limits.body_bytes(FEW);
        }
        let world = Arc::new(Self {
            plan,
            random: Mutex::new(random),
            model: Mutex::new(Model {
                to_say,
                ..Model::default()
            }),
            connection: Mutex::new(None),
            answers: OnceLock::new(),
            is_woken: AtomicBool::new(true),
            depth: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        });
        let connection = Connection::new(
            Fake(Arc::clone(&world)),
            Arc::new(Handler(Arc::clone(&world))),
            Arc::new(limits),
            clock.clone(),
        );
        let _ = world.answers.set(connection.answers());
        *lock_std(&world.connection) = Some(connection);
        world
    }

    /// Everything that a seed has happen, and what must hold.
    pub(super) fn run(seed: u64, clock: &Clock) -> Hits {
        let world = Self::new(seed, clock);
        for _ in 0..20 + world.below(60) {
            world.step();
            world.check();
        }
        // Now only what must come to an end in any case: no turn for no reason.
        world.draining.store(true, Relaxed);
        while world.step() {
            world.check();
        }
        let (mut model, state) = (world.model(), lock_std(&world.answers().state));
        let replies = super::wire::read(&model.wire, &model.given);
        model.hits.continued += replies.continued;
        model.hits.closed += usize::from(replies.closed);
        if model.hits.failed > 0 {
            assert!(model.is_finished || model.was_dropped, "a failed send");
        }
        if !model.broken && !model.was_dropped {
            assert!(state.unsent == 0 && !replies.is_cut, "not all was sent");
            if !replies.closed {
                assert_eq!(replies.answered, model.called, "not all are answered");
            }
            if !replies.closed && !model.was_stopped {
                assert_eq!(model.called, model.said, "not all was taken");
            }
            let ends = replies.closed || model.was_stopped;
            let has_ended = model.was_shut || model.is_finished;
            assert!(!ends || has_ended, "told to stop, and sleeps");
        }
        drop((model, state));
        world.end_stream();
        while world.step() {}
        assert!(
            lock_std(&world.connection).is_none(),
            "the client has gone, and the connection sleeps"
        );
        let mut model = world.model();
        let hits = model.hits;
        // Ends the circle of who knows whom.
        model.receiver = None;
        drop(model);
        hits
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        lock_std(&self.model)
    }

    fn answers(&self) -> &Arc<OrderedAnswers> {
        self.answers.get().expect("a connection")
    }

    fn below(&self, bound: usize) -> usize {
        lock_std(&self.random).below(bound)
    }

    /// Others go on here.
    fn interleave(self: &Arc<Self>) {
        if self.depth.load(Relaxed) < DEPTH {
            for _ in 0..[0, 0, 1, 3][self.below(4)] {
                self.step();
            }
        }
    }

    /// Something happens, if anything can.
    fn step(self: &Arc<Self>) -> bool {
        let mut steps = Vec::new();
        {
            let has_connection = lock_std(&self.connection).is_some();
            let model = self.model();
            let mut may = |step, can: bool, weight| {
                steps.extend(std::iter::repeat_n(step, if can { weight } else { 0 }));
            };
            let waits = self.plan.alone && model.said > model.called.min(model.answered());
            may(Step::Say, !model.to_say.is_empty() && !waits, 6);
            may(
                Step::Turn,
                has_connection && self.is_woken.load(Relaxed),
                10,
            );
            may(Step::Answer, !model.held.is_empty(), 8);
            may(Step::Settle, !model.promised.is_empty(), 5);
            may(Step::Complete, !model.kernel.is_empty(), 3);
            if !self.draining.load(Relaxed) {
                let plan = &self.plan;
                may(Step::Turn, has_connection && plan.spurious, 1);
                may(Step::Stop, plan.stops && !model.was_stopped, 1);
                may(Step::Break, plan.breaks && !model.broken, 1);
                may(Step::Drop, has_connection && plan.drops, 1);
            }
        }
        if steps.is_empty() {
            return false;
        }
        self.depth.fetch_add(1, Relaxed);
        match steps[self.below(steps.len())] {
            Step::Say => self.say(),
            Step::Turn => self.turn(),
            Step::Answer => self.answer(),
            Step::Settle => self.settle(),
            Step::Complete => self.complete(),
            Step::Stop => {
                self.model().was_stopped = true;
                self.model().hits.stopped += 1;
                self.answers().stop();
            }
            Step::Break => self.break_off(),
            Step::Drop => {
                let connection = lock_std(&self.connection).take();
                if let Some(connection) = connection {
                    self.model().was_dropped = true;
                    self.gone(connection);
                }
            }
        }
        self.depth.fetch_sub(1, Relaxed);
        true
    }

    fn say(&self) {
        let mut model = self.model();
        let mut said = Vec::new();
        let most = if self.plan.alone { 1 } else { 3 };
        for _ in 0..=self.below(most) {
            if let Some((bytes, complete)) = model.to_say.pop_front() {
                said.extend(bytes);
                model.said += complete;
                model.within_request = complete == 0;
            }
        }
        model.inbox.push_back(said.into());
        self.wake_receiver(model);
    }

    fn end_stream(&self) {
        let mut model = self.model();
        model.has_ended = true;
        self.wake_receiver(model);
    }

    fn wake_receiver(&self, mut model: MutexGuard<'_, Model>) {
        model.kernel_wakes = true;
        let receiver = model.receiver.take();
        drop(model);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        self.model().kernel_wakes = false;
    }

    fn turn(self: &Arc<Self>) {
        let Some(mut connection) = lock_std(&self.connection).take() else {
            return;
        };
        self.is_woken.store(false, Relaxed);
        let waker = Waker::from(Arc::new(Waking(Arc::clone(self))));
        let polled = Pin::new(&mut connection).poll(&mut Context::from_waker(&waker));
        if lock_std(&self.answers().state).sending_elsewhere {
            self.model().hits.met += 1;
        }
        if polled.is_ready() {
            self.model().is_finished = true;
            self.gone(connection);
        } else {
            *lock_std(&self.connection) = Some(connection);
        }
    }

    /// Whatever was promised is not wanted from now on, and was until now.
    fn gone(&self, connection: Connection<Fake, Handler>) {
        let unwanted = |model: &Model| {
            let promised = model.promised.iter();
            promised.filter(|(_, of)| of.has_discard()).count()
        };
        assert_eq!(unwanted(&self.model()), 0, "discarded too early");
        drop(connection);
        let mut model = self.model();
        assert_eq!(
            unwanted(&model),
            model.promised.len(),
            "some are not discarded"
        );
        model.hits.discarded += model.promised.len();
    }

    fn answer(&self) {
        let (request, responder) = {
            let mut model = self.model();
            let place = self.below(model.held.len());
            model.held.swap_remove(place)
        };
        match self.below(8) {
            0 => {
                self.model().given[request] = Some(Given::Status(503));
                drop(responder);
            }
            1 | 2 => {
                let (promise, response) = Promise::pair();
                let is_late = {
                    let model = self.model();
                    model.is_finished || model.was_dropped
                };
                responder.associate(response);
                assert!(!is_late || promise.has_discard(), "a late one is wanted");
                let mut model = self.model();
                model.hits.discarded_late += usize::from(is_late);
                model.promised.push((request, promise));
            }
            _ => responder.set(self.response(request)),
        }
    }

    fn settle(&self) {
        let (request, promise) = {
            let mut model = self.model();
            let place = self.below(model.promised.len());
            model.promised.swap_remove(place)
        };
        match self.below(6) {
            0 => {
                self.model().given[request] = Some(Given::Status(500));
                promise.fail("no");
            }
            1 => {
                self.model().given[request] = Some(Given::Status(503));
                promise.discard();
            }
            _ => {
                promise.set(self.response(request));
            }
        }
    }

    fn response(&self, request: usize) -> Response {
        let length = [10, 10, 10, 10, 5 << 10, 70 << 10][self.below(6)];
        let body = char::from(b'a' + request as u8).to_string().repeat(length);
        let mut response = text(StatusCode::ACCEPTED, body.clone());
        if self.plan.closes && self.below(4) == 0 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        self.model().given[request] = Some(Given::Body(body));
        response
    }

    fn complete(&self) {
        let oldest = self.model().kernel.pop_front();
        if let Some(oldest) = oldest {
            self.model().kernel_wakes = true;
            oldest.set(());
            self.model().kernel_wakes = false;
        }
    }

    /// What is sent from now on fails; what waits for the kernel, too, of which the one who receives hears.
    fn break_off(&self) {
        let mut model = self.model();
        model.broken = true;
        model.broken_loudly = !model.kernel.is_empty();
        let failed = std::mem::take(&mut model.kernel);
        let receiver = model.receiver.take_if(|_| !failed.is_empty());
        model.kernel_wakes = true;
        drop(model);
        for promise in failed {
            promise.fail("broken");
        }
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        self.model().kernel_wakes = false;
    }

    /// While nobody is within anything: a connection that sleeps has a reason to.
    fn check(&self) {
        let has_connection = lock_std(&self.connection).is_some();
        let mut model = self.model();
        let state = lock_std(&self.answers().state);
        assert!(!state.sending_elsewhere && !model.is_sending);
        let mut others = state.others.values();
        if others.any(|other| matches!(other, Other::Answered(_))) {
            model.hits.out_of_turn += 1;
        }
        if self.is_woken.load(Relaxed) || !has_connection || model.broken {
            return;
        }
        if state.unsent > 0 {
            assert!(!model.kernel.is_empty(), "sleeps, and nobody sends");
            assert!(state.sent.is_none(), "does not know what is sent elsewhere");
            model.hits.busy += 1;
            return;
        }
        let awaited = model.held.len() + model.promised.len();
        if !model.kernel.is_empty() || state.last_written || model.within_request {
            return;
        }
        if model.was_stopped {
            assert!(awaited > 0 || model.was_shut, "told to stop, and sleeps");
            return;
        }
        // 100 Continue has a place, too, until it is written.
        let has_room = !self.plan.has_bodies && 2 * awaited + 1 < self.plan.pipelined as usize;
        if awaited == 0 || has_room {
            assert_eq!(model.called, model.said, "stalled with room");
        } else {
            model.hits.full += usize::from(model.called < model.said);
        }
    }
}
