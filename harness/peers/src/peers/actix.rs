//! actix: actors that live in one thread, an arbiter, each.
//!
//! Who starts an actor chooses its arbiter. What has much to say to each other is put into one, and what has not is spread: pairs, senders,
//! and the children of Skynet's root.

use actix::prelude::*;

use super::Actors;
use crate::roles::{self, AfterPong, RingNode, Span, Sum, Top};
use crate::trial::{Life, Lives, Measured, Tally, Trial};
use crate::workload::{Job, in_memory};

pub(super) struct Actix {
    arbiters: Vec<ArbiterHandle>,
    /// Arbiters need one; it has nothing to do itself.
    _system: SystemRunner,
}

impl Actix {
    pub(super) fn start(workers: u64) -> Self {
        let system = System::new();
        let arbiters = (0..workers).map(|_| Arbiter::new().handle()).collect();
        Self {
            arbiters,
            _system: system,
        }
    }

    fn arbiter(&self, index: u64) -> &ArbiterHandle {
        &self.arbiters[in_memory(index) % self.arbiters.len()]
    }
}

impl Actors for Actix {
    fn pairs(&self, job: &Job, mut trial: Trial) -> Measured {
        let clients: Vec<_> = (0..job.pairs())
            .map(|pair| {
                let (role, pings) = roles::Client::with_destination(job, &trial, pair);
                let destination =
                    Destination::start_in_arbiter(self.arbiter(pair), |_| Destination {
                        pings,
                        client: None,
                    });
                Client::start_in_arbiter(self.arbiter(pair), |_| Client { role, destination })
            })
            .collect();
        trial.time(job.pairs(), || {
            for client in clients {
                client.do_send(Run);
            }
        });
        trial.finish()
    }

    fn fan_in(&self, job: &Job, mut trial: Trial) -> Measured {
        let received = trial.tally(0);
        let receiver = Receiver::start_in_arbiter(self.arbiter(0), |_| Receiver { received });
        let senders: Vec<_> = (1..)
            .zip(roles::Sender::all(job, &trial))
            .map(|(index, role)| {
                let receiver = receiver.clone();
                Sender::start_in_arbiter(self.arbiter(index), |_| Sender { role, receiver })
            })
            .collect();
        drop(receiver);
        trial.time(senders.len() as u64, || {
            for sender in senders {
                sender.do_send(Start);
            }
        });
        trial.finish()
    }

    fn ring(&self, job: &Job, mut trial: Trial) -> Measured {
        let mut next = None;
        let mut last = None;
        for role in RingNode::all(&trial).into_iter().rev() {
            let node = Node::start_in_arbiter(self.arbiter(0), |_| Node { role, next });
            last.get_or_insert_with(|| node.clone());
            next = Some(node);
        }
        let (first, last) = next.zip(last).expect("a ring has nodes");
        last.do_send(Close(first.clone()));
        drop(last);
        trial.time(1, || first.do_send(Token(job.repeat)));
        drop(first);
        trial.finish()
    }

    fn skynet(&self, job: &Job, mut trial: Trial) -> Measured {
        let root = Tree {
            above: Above::Nobody(Top::new(&trial)),
            sum: Sum::of(Span::root(job)),
            span: Span::root(job),
            spread: self.arbiters.clone(),
        };
        trial.time(1, || {
            drop(Tree::start_in_arbiter(self.arbiter(0), |_| root))
        });
        trial.finish()
    }

    fn lives(&self, job: &Job, trial: Trial) -> Measured {
        let role = roles::Parent::new(job);
        trial.time_lives(job.repeat, |lives| {
            let parent = Parent::start_in_arbiter(self.arbiter(0), |_| Parent { role, lives });
            parent.do_send(GoOn);
        })
    }

    fn ask(&self, job: &Job, mut trial: Trial) -> Measured {
        let (asker, calls) = roles::Asker::with_counter(job, &trial);
        let room = in_memory(job.window());
        let counter = Counter::start_in_arbiter(self.arbiter(0), move |cx| {
            // With the default of 16, no more questions than that would be under way.
            cx.set_mailbox_capacity(room);
            Counter { calls }
        });
        let asking = asker.run(async move || counter.send(Call));
        trial.time(1, || assert!(self.arbiter(0).spawn(asking), "it runs"));
        trial.finish()
    }
}

/// An actor with actix's own context.
macro_rules! actor {
    ($($actor:ty),*) => {
        $(impl Actor for $actor {
            type Context = Context<Self>;
        })*
    };
}

actor!(
    Client,
    Destination,
    Receiver,
    Sender,
    Node,
    Parent,
    Child,
    Counter
);

#[derive(Message)]
#[rtype(result = "()")]
struct Run;

#[derive(Message)]
#[rtype(result = "()")]
struct Ping;

#[derive(Message)]
#[rtype(result = "()")]
struct Pong;

struct Client {
    role: roles::Client,
    destination: Addr<Destination>,
}

impl Handler<Run> for Client {
    type Result = ();

    fn handle(&mut self, _: Run, cx: &mut Context<Self>) {
        self.destination.do_send(Meet(cx.address()));
        for _ in 0..self.role.begin() {
            self.destination.do_send(Ping);
        }
    }
}

impl Handler<Pong> for Client {
    type Result = ();

    fn handle(&mut self, _: Pong, cx: &mut Context<Self>) {
        match self.role.pong() {
            AfterPong::Ping => self.destination.do_send(Ping),
            AfterPong::Wait => {}
            AfterPong::End => cx.stop(),
        }
    }
}

struct Destination {
    pings: Tally,
    client: Option<Addr<Client>>,
}

/// Who sends the pings.
#[derive(Message)]
#[rtype(result = "()")]
struct Meet(Addr<Client>);

impl Handler<Meet> for Destination {
    type Result = ();

    fn handle(&mut self, Meet(client): Meet, _: &mut Context<Self>) {
        self.client = Some(client);
    }
}

impl Handler<Ping> for Destination {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {
        self.pings.add(1);
        if let Some(client) = &self.client {
            client.do_send(Pong);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Item;

#[derive(Message)]
#[rtype(result = "()")]
struct Last(Addr<Sender>);

#[derive(Message)]
#[rtype(result = "()")]
struct Start;

#[derive(Message)]
#[rtype(result = "()")]
struct More;

struct Receiver {
    received: Tally,
}

impl Handler<Item> for Receiver {
    type Result = ();

    fn handle(&mut self, _: Item, _: &mut Context<Self>) {
        self.received.add(1);
    }
}

impl Handler<Last> for Receiver {
    type Result = ();

    fn handle(&mut self, Last(sender): Last, _: &mut Context<Self>) {
        self.received.add(1);
        sender.do_send(More);
    }
}

struct Sender {
    role: roles::Sender,
    receiver: Addr<Receiver>,
}

impl Sender {
    fn burst(&mut self, cx: &mut Context<Self>) {
        let burst = self.role.burst();
        for _ in 1..burst {
            self.receiver.do_send(Item);
        }
        if burst > 0 {
            self.receiver.do_send(Last(cx.address()));
        }
        if self.role.is_done() {
            cx.stop();
        }
    }
}

impl Handler<Start> for Sender {
    type Result = ();

    fn handle(&mut self, _: Start, cx: &mut Context<Self>) {
        self.burst(cx);
        self.burst(cx);
    }
}

impl Handler<More> for Sender {
    type Result = ();

    fn handle(&mut self, _: More, cx: &mut Context<Self>) {
        self.role.answered();
        self.burst(cx);
    }
}

struct Node {
    role: RingNode,
    next: Option<Addr<Self>>,
}

/// The first node, for the last one.
#[derive(Message)]
#[rtype(result = "()")]
struct Close(Addr<Node>);

#[derive(Message)]
#[rtype(result = "()")]
struct Token(u64);

impl Handler<Close> for Node {
    type Result = ();

    fn handle(&mut self, Close(first): Close, _: &mut Context<Self>) {
        self.next = Some(first);
    }
}

impl Handler<Token> for Node {
    type Result = ();

    fn handle(&mut self, Token(hops_left): Token, cx: &mut Context<Self>) {
        match (self.role.token(hops_left), &self.next) {
            (Some(left), Some(next)) => next.do_send(Token(left)),
            _ => cx.stop(),
        }
    }
}

enum Above {
    Parent(Addr<Tree>),
    Nobody(Top),
}

struct Tree {
    above: Above,
    sum: Sum,
    span: Span,
    /// Where the children go; for those that are not the root's, nowhere but here.
    spread: Vec<ArbiterHandle>,
}

impl Tree {
    fn tell(&mut self, sum: u64, cx: &mut Context<Self>) {
        match &mut self.above {
            Above::Parent(parent) => parent.do_send(Told(sum)),
            Above::Nobody(top) => top.tell(sum),
        }
        cx.stop();
    }
}

impl Actor for Tree {
    type Context = Context<Self>;

    fn started(&mut self, cx: &mut Context<Self>) {
        if let Some(number) = self.span.leaf() {
            return self.tell(number, cx);
        }
        let mut arbiters = self.spread.iter().cycle();
        for span in self.span.children() {
            let child = Self {
                above: Above::Parent(cx.address()),
                sum: Sum::of(span),
                span,
                spread: Vec::new(),
            };
            match arbiters.next() {
                Some(arbiter) => drop(Self::start_in_arbiter(arbiter, |_| child)),
                None => drop(child.start()),
            }
        }
    }
}

/// What a child has to tell.
#[derive(Message)]
#[rtype(result = "()")]
struct Told(u64);

impl Handler<Told> for Tree {
    type Result = ();

    fn handle(&mut self, Told(sum): Told, cx: &mut Context<Self>) {
        if let Some(all) = self.sum.add(sum) {
            self.tell(all, cx);
        }
    }
}

struct Parent {
    role: roles::Parent,
    lives: Lives,
}

#[derive(Message)]
#[rtype(result = "()")]
struct GoOn;

impl Handler<GoOn> for Parent {
    type Result = ();

    fn handle(&mut self, _: GoOn, cx: &mut Context<Self>) {
        let row = self.role.row();
        for _ in 0..row {
            let life = self.lives.begin();
            // Its only address is dropped behind the message: so it ends once that was served.
            Child { life }.start().do_send(First);
        }
        if self.role.goes_on() {
            cx.address().do_send(GoOn);
        }
    }
}

struct Child {
    life: Life,
}

#[derive(Message)]
#[rtype(result = "()")]
struct First;

impl Handler<First> for Child {
    type Result = ();

    fn handle(&mut self, _: First, _: &mut Context<Self>) {
        self.life.message();
    }
}

struct Counter {
    calls: Tally,
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Call;

impl Handler<Call> for Counter {
    type Result = u64;

    fn handle(&mut self, _: Call, _: &mut Context<Self>) -> u64 {
        self.calls.add(1);
        self.calls.count()
    }
}
