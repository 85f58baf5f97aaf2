//! Who sends: several processes, as messages of each have an order of their own.

use std::sync::mpsc::{self, Receiver, channel};

use libprocess::{Context, ExitReason, ExitedEvent, MessageEvent, Pid, Process, Runtime, Upid};

use crate::common::HANG;
use crate::common::sockets::LONG;

/// How many there are.
const SENDERS: usize = 4;

/// What a sender was served.
#[derive(Debug, PartialEq, Eq)]
enum Served {
    /// How many of its messages were received, and how many of these out of order or twice.
    Counted(u64, u64),
    Exited(Upid, ExitReason),
}

struct Sender {
    to: Upid,
    last: u64,
    tell: mpsc::Sender<Served>,
}

impl Process for Sender {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install("counted", Self::on_counted);
    }

    fn consume_exited(&mut self, event: ExitedEvent, _cx: &mut Context<Self>) {
        // The test may have ended.
        let _ = self.tell.send(Served::Exited(event.pid, event.reason));
    }
}

impl Sender {
    fn on_counted(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        let text = str::from_utf8(&event.body).expect("text");
        let numbers: Vec<_> = text
            .split(' ')
            .map(|number| number.parse().expect("a number"))
            .collect();
        let _ = self.tell.send(Served::Counted(numbers[0], numbers[1]));
    }

    /// A body that begins with the number of its message.
    fn body(&self, size: usize) -> Vec<u8> {
        let mut body = vec![b'x'; size];
        body[..8].copy_from_slice(&(self.last + 1).to_be_bytes());
        body
    }

    /// A number whose message is refused is used up.
    fn send(&mut self, count: u64, size: usize, cx: &mut Context<Self>) {
        for _ in 0..count {
            let body = self.body(size);
            self.last += 1;
            cx.send(&self.to, "number", body);
        }
    }

    fn try_send(&mut self, size: usize, cx: &mut Context<Self>) -> bool {
        let body = self.body(size);
        let is_taken = cx.try_send(&self.to, "number", body).is_ok();
        self.last += u64::from(is_taken);
        is_taken
    }
}

pub(crate) struct Senders<'a> {
    runtime: &'a Runtime,
    to: Upid,
    each: Vec<(Pid<Sender>, Receiver<Served>)>,
}

impl<'a> Senders<'a> {
    pub(crate) fn new(runtime: &'a Runtime, to: &Upid) -> Self {
        let sender = |_| {
            let (tell, served) = channel();
            let (to, last) = (to.clone(), 0);
            (runtime.spawn(Sender { to, last, tell }), served)
        };
        Self {
            runtime,
            to: to.clone(),
            each: (0..SENDERS).map(sender).collect(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        SENDERS as u64
    }

    /// Has each do something, and waits for that.
    fn all(&self, what: impl Fn(&mut Sender, &mut Context<Sender>) + Copy + Send + 'static) {
        let done: Vec<_> = self
            .each
            .iter()
            .map(|(pid, _)| libprocess::dispatch_with(*pid, move |sender, cx| what(sender, cx)))
            .collect();
        for done in done {
            done.get_timeout(HANG).expect("it was done");
        }
    }

    pub(crate) fn link(&self) {
        self.all(|sender, cx| {
            let to = sender.to.clone();
            cx.link(to);
        });
    }

    pub(crate) fn send(&self, count: u64, size: usize) {
        self.all(move |sender, cx| sender.send(count, size, cx));
    }

    /// One message of the first.
    pub(crate) fn try_send(&self, size: usize) -> bool {
        let (pid, _) = self.each[0];
        let sent = libprocess::dispatch_with(pid, move |sender, cx| sender.try_send(size, cx));
        sent.get_timeout(HANG).expect("it was done")
    }

    /// How many messages the receiver has, and how many of these out of order or twice.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let mut sums = (0, 0);
        for (count, disordered) in self.counts() {
            sums = (sums.0 + count, sums.1 + disordered);
        }
        sums
    }

    fn counts(&self) -> Vec<(u64, u64)> {
        for (pid, _) in &self.each {
            // Also behind as many messages as may wait.
            let room = self.runtime.reserve(&self.to).get_timeout(HANG);
            drop(room.expect("there is room"));
            let asked = libprocess::dispatch_with(*pid, |sender, cx| {
                let to = sender.to.clone();
                cx.send(to, "count", "");
            });
            asked.get_timeout(HANG).expect("it was done");
        }
        let count = |(_, served): &(_, Receiver<Served>)| match served.recv_timeout(HANG) {
            Ok(Served::Counted(count, disordered)) => (count, disordered),
            other => panic!("not counted: {other:?}"),
        };
        self.each.iter().map(count).collect()
    }

    /// That the receiver has as many of each, every one once and in order.
    #[track_caller]
    pub(crate) fn have_arrived(&self, count: u64) {
        assert_eq!(self.counts(), vec![(count, 0); SENDERS]);
    }

    /// That each hears, once, that the receiver has exited.
    #[track_caller]
    pub(crate) fn hear_exit(&self) {
        for (_, served) in &self.each {
            let exited = served.recv_timeout(LONG).expect("it hears");
            assert_eq!(
                exited,
                Served::Exited(self.to.clone(), ExitReason::Disconnected)
            );
        }
        self.have_heard_no_exit();
    }

    /// That nobody was served anything else.
    #[track_caller]
    pub(crate) fn have_heard_no_exit(&self) {
        for (_, served) in &self.each {
            assert_eq!(served.try_recv().ok(), None);
        }
    }
}
