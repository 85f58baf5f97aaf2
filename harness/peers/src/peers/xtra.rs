//! xtra: as actix, with handlers that are async, and for any executor; here tokio's.
//!
//! Its mailboxes are heaps by priority, in which messages of the same priority keep no order. So nothing here is told to end by a message:
//! an actor ends when its last strong address is dropped, and has served everything by then.

use tokio::runtime::Handle;
use xtra::prelude::*;
use xtra::{Actor, WeakAddress};

use super::Actors;
use crate::roles::{self, AfterPong, RingNode, Span, Sum, Top};
use crate::trial::{Life, Lives, Measured, Signal, Tally, Trial};
use crate::workload::Job;

pub(super) struct Xtra(pub(super) Handle);

/// Puts a message into a mailbox, and does not wait until it was served.
macro_rules! tell {
    ($to:expr, $message:expr) => {
        drop(
            $to.send($message)
                .detach()
                .await
                .expect("who is told something lives"),
        )
    };
}

impl Actors for Xtra {
    fn ask(&self, job: &Job, mut trial: Trial) -> Measured {
        let (asker, calls) = roles::Asker::with_counter(job, &trial);
        let counter = xtra::spawn_tokio(Counter { calls }, Mailbox::unbounded());
        let ask = async move || counter.send(Call).detach().await.expect("it lives");
        let asking = asker.in_any_order().run(ask);
        trial.time(1, || drop(self.0.spawn(asking)));
        trial.finish()
    }

    fn lives(&self, job: &Job, trial: Trial) -> Measured {
        let role = roles::Parent::new(job);
        trial.time_lives(job.repeat, |lives| {
            let parent = xtra::spawn_tokio(Parent { role, lives }, Mailbox::unbounded());
            self.0.block_on(async { tell!(parent, GoOn) });
            parent
        })
    }

    fn skynet(&self, job: &Job, mut trial: Trial) -> Measured {
        let above = Above::Nobody(Top::new(&trial));
        let span = Span::root(job);
        trial.time(1, || Tree::spawn(span, above));
        trial.finish()
    }

    fn ring(&self, job: &Job, mut trial: Trial) -> Measured {
        let roles = RingNode::all(&trial);
        let (addresses, mailboxes): (Vec<_>, Vec<_>) =
            roles.iter().map(|_| Mailbox::unbounded()).unzip();
        let nexts = addresses.iter().cycle().skip(1);
        for (((role, mailbox), own), next) in
            roles.into_iter().zip(mailboxes).zip(&addresses).zip(nexts)
        {
            let next = next.downgrade();
            drop(xtra::spawn_tokio(
                Node { role, next },
                (own.clone(), mailbox),
            ));
        }
        trial.time(1, || {
            self.0
                .block_on(async { tell!(addresses[0], Token(job.repeat)) });
        });
        drop(addresses);
        trial.finish()
    }

    fn fan_in(&self, job: &Job, mut trial: Trial) -> Measured {
        let receiver = Receiver {
            received: trial.tally(0),
            expected: job.repeat,
            done: trial.signal(),
        };
        let receiver = xtra::spawn_tokio(receiver, Mailbox::unbounded());
        let senders: Vec<_> = roles::Sender::all(job, &trial)
            .into_iter()
            .map(|role| {
                let receiver = receiver.clone();
                xtra::spawn_tokio(Sender { role, receiver }, Mailbox::unbounded())
            })
            .collect();
        // What ends a burst may overtake the rest of it, so the receiver has to be done too.
        trial.time(senders.len() as u64 + 1, || {
            self.0.block_on(async {
                for sender in &senders {
                    tell!(sender, Start);
                }
            });
        });
        drop((receiver, senders));
        trial.finish()
    }

    fn pairs(&self, job: &Job, mut trial: Trial) -> Measured {
        let clients: Vec<_> = (0..job.pairs())
            .map(|pair| {
                let (role, pings) = roles::Client::with_destination(job, &trial, pair);
                let (address, mailbox) = Mailbox::unbounded();
                let client = address.downgrade();
                let destination = Destination { pings, client };
                let destination = xtra::spawn_tokio(destination, Mailbox::unbounded());
                xtra::spawn_tokio(Client { role, destination }, (address, mailbox))
            })
            .collect();
        trial.time(job.pairs(), || {
            self.0.block_on(async {
                for client in &clients {
                    tell!(client, Run);
                }
            });
        });
        drop(clients);
        trial.finish()
    }
}

struct Call;

#[derive(Actor)]
struct Counter {
    calls: Tally,
}

impl Handler<Call> for Counter {
    type Return = u64;

    async fn handle(&mut self, _: Call, _: &mut Context<Self>) -> u64 {
        self.calls.add(1);
        self.calls.count()
    }
}

struct GoOn;

#[derive(Actor)]
struct Parent {
    role: roles::Parent,
    lives: Lives,
}

impl Handler<GoOn> for Parent {
    type Return = ();

    async fn handle(&mut self, _: GoOn, cx: &mut Context<Self>) {
        let row = self.role.row();
        for _ in 0..row {
            let life = self.lives.begin();
            let child = xtra::spawn_tokio(Child { life }, Mailbox::unbounded());
            tell!(child, First);
        }
        if self.role.goes_on() {
            tell!(cx.mailbox().address(), GoOn);
        }
    }
}

struct First;

#[derive(Actor)]
struct Child {
    life: Life,
}

impl Handler<First> for Child {
    type Return = ();

    async fn handle(&mut self, _: First, _: &mut Context<Self>) {
        self.life.message();
    }
}

enum Above {
    Parent(Address<Tree>),
    Nobody(Top),
}

impl Above {
    async fn tell(&mut self, sum: u64) {
        match self {
            Self::Parent(parent) => tell!(parent, Told(sum)),
            Self::Nobody(top) => top.tell(sum),
        }
    }
}

struct Tree {
    span: Span,
    above: Above,
    sum: Sum,
    /// For the children; gone once they have it, so that the last of them leaves nobody.
    own: Option<Address<Self>>,
}

impl Tree {
    fn spawn(span: Span, above: Above) {
        let (address, mailbox) = Mailbox::unbounded();
        let tree = Self {
            span,
            above,
            sum: Sum::of(span),
            own: Some(address.clone()),
        };
        drop(xtra::spawn_tokio(tree, (address, mailbox)));
    }
}

impl Actor for Tree {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        if let Some(number) = self.span.leaf() {
            self.above.tell(number).await;
        } else if let Some(own) = &self.own {
            for child in self.span.children() {
                Self::spawn(child, Above::Parent(own.clone()));
            }
        }
        self.own = None;
        Ok(())
    }

    async fn stopped(self) {}
}

/// What a child has to tell.
struct Told(u64);

impl Handler<Told> for Tree {
    type Return = ();

    async fn handle(&mut self, Told(sum): Told, _: &mut Context<Self>) {
        if let Some(all) = self.sum.add(sum) {
            self.above.tell(all).await;
        }
    }
}

#[derive(Actor)]
struct Node {
    role: RingNode,
    next: WeakAddress<Self>,
}

struct Token(u64);

impl Handler<Token> for Node {
    type Return = ();

    async fn handle(&mut self, Token(hops_left): Token, _: &mut Context<Self>) {
        if let Some(left) = self.role.token(hops_left) {
            tell!(self.next, Token(left));
        }
    }
}

struct Item;
struct Last(WeakAddress<Sender>);
struct Start;
struct More;

#[derive(Actor)]
struct Receiver {
    received: Tally,
    expected: u64,
    done: Signal,
}

impl Receiver {
    fn receive(&mut self) {
        self.received.add(1);
        if self.received.count() == self.expected {
            self.done.send();
        }
    }
}

impl Handler<Item> for Receiver {
    type Return = ();

    async fn handle(&mut self, _: Item, _: &mut Context<Self>) {
        self.receive();
    }
}

impl Handler<Last> for Receiver {
    type Return = ();

    async fn handle(&mut self, Last(sender): Last, _: &mut Context<Self>) {
        self.receive();
        tell!(sender, More);
    }
}

#[derive(Actor)]
struct Sender {
    role: roles::Sender,
    receiver: Address<Receiver>,
}

impl Sender {
    async fn burst(&mut self, cx: &Context<Self>) {
        let burst = self.role.burst();
        for _ in 1..burst {
            tell!(self.receiver, Item);
        }
        if burst > 0 {
            tell!(self.receiver, Last(cx.mailbox().address()));
        }
    }
}

impl Handler<Start> for Sender {
    type Return = ();

    async fn handle(&mut self, _: Start, cx: &mut Context<Self>) {
        self.burst(cx).await;
        self.burst(cx).await;
    }
}

impl Handler<More> for Sender {
    type Return = ();

    async fn handle(&mut self, _: More, cx: &mut Context<Self>) {
        self.role.answered();
        self.burst(cx).await;
    }
}

#[derive(Actor)]
struct Client {
    role: roles::Client,
    destination: Address<Destination>,
}

impl Handler<Run> for Client {
    type Return = ();

    async fn handle(&mut self, _: Run, _: &mut Context<Self>) {
        for _ in 0..self.role.begin() {
            tell!(self.destination, Ping);
        }
    }
}

impl Handler<Pong> for Client {
    type Return = ();

    async fn handle(&mut self, _: Pong, _: &mut Context<Self>) {
        if let AfterPong::Ping = self.role.pong() {
            tell!(self.destination, Ping);
        }
    }
}

struct Run;
struct Ping;
struct Pong;

#[derive(Actor)]
struct Destination {
    pings: Tally,
    client: WeakAddress<Client>,
}

impl Handler<Ping> for Destination {
    type Return = ();

    async fn handle(&mut self, _: Ping, _: &mut Context<Self>) {
        self.pings.add(1);
        tell!(self.client, Pong);
    }
}
