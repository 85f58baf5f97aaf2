//! kameo: an actor is a value with a handler for each type of message.

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn};
use kameo::error::Infallible;
use kameo::mailbox;
use kameo::message::{Context, Message};
use tokio::runtime::Handle;

use super::Actors;
use crate::roles::{self, AfterPong, RingNode, Span, Sum, Top};
use crate::trial::{Life, Measured, Tally, Trial};
use crate::workload::{Job, in_memory};

pub(super) struct Kameo(pub(super) Handle);

/// Why a message is told without looking at what becomes of it.
const LIVES: &str = "who is told something lives";

impl Actors for Kameo {
    fn pairs(&self, job: &Job, mut trial: Trial) -> Measured {
        // With the default of 64 both would wait for room, each in the mailbox of the other.
        let room = in_memory(job.window() + 1).max(64);
        let clients: Vec<_> = (0..job.pairs())
            .map(|pair| {
                let (role, pings) = roles::Client::with_destination(job, &trial, pair);
                let destination = Destination {
                    pings,
                    client: None,
                };
                let destination =
                    Destination::spawn_with_mailbox(destination, mailbox::bounded(room));
                let client = Client { role, destination };
                Client::spawn_with_mailbox(client, mailbox::bounded(room))
            })
            .collect();
        trial.time(job.pairs(), || {
            for client in clients {
                client.tell(Run).blocking_send().expect(LIVES);
            }
        });
        trial.finish()
    }

    fn fan_in(&self, job: &Job, mut trial: Trial) -> Measured {
        let receiver = Receiver::spawn(Receiver {
            received: trial.tally(0),
        });
        let senders: Vec<_> = roles::Sender::all(job, &trial)
            .into_iter()
            .map(|role| {
                Sender::spawn(Sender {
                    role,
                    receiver: receiver.clone(),
                })
            })
            .collect();
        drop(receiver);
        trial.time(senders.len() as u64, || {
            for sender in senders {
                sender.tell(Start).blocking_send().expect(LIVES);
            }
        });
        trial.finish()
    }

    fn ring(&self, job: &Job, mut trial: Trial) -> Measured {
        let mut roles = RingNode::all(&trial);
        let role = roles.pop().expect("a ring has nodes");
        let last = Node::spawn(Node { role, next: None });
        let first = roles.into_iter().rev().fold(last.clone(), |next, role| {
            let next = Some(next);
            Node::spawn(Node { role, next })
        });
        last.tell(Close(first.clone()))
            .blocking_send()
            .expect(LIVES);
        drop(last);
        trial.time(1, || {
            first.tell(Token(job.repeat)).blocking_send().expect(LIVES)
        });
        drop(first);
        trial.finish()
    }

    fn skynet(&self, job: &Job, mut trial: Trial) -> Measured {
        let above = Above::Nobody(Top::new(&trial));
        let span = Span::root(job);
        trial.time(1, || drop(Tree::spawn((span, above))));
        trial.finish()
    }

    fn lives(&self, job: &Job, trial: Trial) -> Measured {
        let role = roles::Parent::new(job);
        trial.time_lives(job.repeat, |lives| {
            let parent = Parent::spawn(Parent { role, lives });
            parent.tell(GoOn).blocking_send().expect(LIVES);
        })
    }

    fn ask(&self, job: &Job, mut trial: Trial) -> Measured {
        let (asker, calls) = roles::Asker::with_counter(job, &trial);
        let counter = Counter::spawn(Counter { calls });
        let ask = async move || counter.ask(Call).enqueue().await.expect(LIVES);
        trial.time(1, || drop(self.0.spawn(asker.run(ask))));
        trial.finish()
    }
}

struct Run;
struct Ping;
struct Pong;

#[derive(Actor)]
struct Client {
    role: roles::Client,
    destination: ActorRef<Destination>,
}

impl Message<Run> for Client {
    type Reply = ();

    async fn handle(&mut self, _: Run, cx: &mut Context<Self, ()>) {
        let own = cx.actor_ref().clone();
        self.destination.tell(Meet(own)).await.expect(LIVES);
        for _ in 0..self.role.begin() {
            self.destination.tell(Ping).await.expect(LIVES);
        }
    }
}

impl Message<Pong> for Client {
    type Reply = ();

    async fn handle(&mut self, _: Pong, cx: &mut Context<Self, ()>) {
        match self.role.pong() {
            AfterPong::Ping => self.destination.tell(Ping).await.expect(LIVES),
            AfterPong::Wait => {}
            AfterPong::End => cx.stop(),
        }
    }
}

#[derive(Actor)]
struct Destination {
    pings: Tally,
    client: Option<ActorRef<Client>>,
}

/// Who sends the pings.
struct Meet(ActorRef<Client>);

impl Message<Meet> for Destination {
    type Reply = ();

    async fn handle(&mut self, Meet(client): Meet, _: &mut Context<Self, ()>) {
        self.client = Some(client);
    }
}

impl Message<Ping> for Destination {
    type Reply = ();

    async fn handle(&mut self, _: Ping, _: &mut Context<Self, ()>) {
        self.pings.add(1);
        if let Some(client) = &self.client {
            client.tell(Pong).await.expect(LIVES);
        }
    }
}

struct Item;
struct Last(ActorRef<Sender>);
struct Start;
struct More;

#[derive(Actor)]
struct Receiver {
    received: Tally,
}

impl Message<Item> for Receiver {
    type Reply = ();

    async fn handle(&mut self, _: Item, _: &mut Context<Self, ()>) {
        self.received.add(1);
    }
}

impl Message<Last> for Receiver {
    type Reply = ();

    async fn handle(&mut self, Last(sender): Last, _: &mut Context<Self, ()>) {
        self.received.add(1);
        sender.tell(More).await.expect(LIVES);
    }
}

#[derive(Actor)]
struct Sender {
    role: roles::Sender,
    receiver: ActorRef<Receiver>,
}

impl Sender {
    async fn burst(&mut self, cx: &mut Context<Self, ()>) {
        let burst = self.role.burst();
        for _ in 1..burst {
            self.receiver.tell(Item).await.expect(LIVES);
        }
        if burst > 0 {
            let own = cx.actor_ref().clone();
            self.receiver.tell(Last(own)).await.expect(LIVES);
        }
        if self.role.is_done() {
            cx.stop();
        }
    }
}

impl Message<Start> for Sender {
    type Reply = ();

    async fn handle(&mut self, _: Start, cx: &mut Context<Self, ()>) {
        self.burst(cx).await;
        self.burst(cx).await;
    }
}

impl Message<More> for Sender {
    type Reply = ();

    async fn handle(&mut self, _: More, cx: &mut Context<Self, ()>) {
        self.role.answered();
        self.burst(cx).await;
    }
}

#[derive(Actor)]
struct Node {
    role: RingNode,
    next: Option<ActorRef<Self>>,
}

/// The first node, for the last one.
struct Close(ActorRef<Node>);
struct Token(u64);

impl Message<Close> for Node {
    type Reply = ();

    async fn handle(&mut self, Close(first): Close, _: &mut Context<Self, ()>) {
        self.next = Some(first);
    }
}

impl Message<Token> for Node {
    type Reply = ();

    async fn handle(&mut self, Token(hops_left): Token, cx: &mut Context<Self, ()>) {
        match (self.role.token(hops_left), &self.next) {
            (Some(left), Some(next)) => next.tell(Token(left)).await.expect(LIVES),
            _ => cx.stop(),
        }
    }
}

enum Above {
    Parent(ActorRef<Tree>),
    Nobody(Top),
}

impl Above {
    async fn tell(&mut self, sum: u64) {
        match self {
            Self::Parent(parent) => parent.tell(Told(sum)).await.expect(LIVES),
            Self::Nobody(top) => top.tell(sum),
        }
    }
}

struct Tree {
    above: Above,
    sum: Sum,
}

/// What a child has to tell.
struct Told(u64);

impl Actor for Tree {
    type Args = (Span, Above);
    type Error = Infallible;

    async fn on_start(
        (span, mut above): Self::Args,
        own: ActorRef<Self>,
    ) -> Result<Self, Infallible> {
        if let Some(number) = span.leaf() {
            above.tell(number).await;
        } else {
            for child in span.children() {
                Self::spawn((child, Above::Parent(own.clone())));
            }
        }
        // Nobody has a leaf's address once this is gone, and so it ends; a parent's, its children have.
        drop(own);
        let sum = Sum::of(span);
        Ok(Self { above, sum })
    }
}

impl Message<Told> for Tree {
    type Reply = ();

    async fn handle(&mut self, Told(sum): Told, cx: &mut Context<Self, ()>) {
        if let Some(all) = self.sum.add(sum) {
            self.above.tell(all).await;
            cx.stop();
        }
    }
}

#[derive(Actor)]
struct Parent {
    role: roles::Parent,
    lives: crate::trial::Lives,
}

struct GoOn;

impl Message<GoOn> for Parent {
    type Reply = ();

    async fn handle(&mut self, _: GoOn, cx: &mut Context<Self, ()>) {
        let row = self.role.row();
        for _ in 0..row {
            let child = Child::spawn(Child {
                life: self.lives.begin(),
            });
            child.tell(First).await.expect(LIVES);
            child.stop_gracefully().await.expect(LIVES);
        }
        if self.role.goes_on() {
            cx.actor_ref().tell(GoOn).await.expect(LIVES);
        }
    }
}

#[derive(Actor)]
struct Child {
    life: Life,
}

struct First;

impl Message<First> for Child {
    type Reply = ();

    async fn handle(&mut self, _: First, _: &mut Context<Self, ()>) {
        self.life.message();
    }
}

#[derive(Actor)]
struct Counter {
    calls: Tally,
}

struct Call;

impl Message<Call> for Counter {
    type Reply = u64;

    async fn handle(&mut self, _: Call, _: &mut Context<Self, u64>) -> u64 {
        self.calls.add(1);
        self.calls.count()
    }
}
