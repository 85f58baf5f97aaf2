//! ractor: after Erlang's `gen_server`; an actor has one type of message, and its state is apart from it.

use std::marker::PhantomData;

use ractor::concurrency::oneshot;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::runtime::Handle;

use super::Actors;
use crate::roles::{self, AfterPong, RingNode, Span, Sum, Top};
use crate::trial::{Life, Lives, Measured, Tally, Trial};
use crate::workload::Job;

pub(super) struct Ractor(pub(super) Handle);

impl Ractor {
    fn spawn<S: Stateful>(&self, state: S) -> ActorRef<S::Message> {
        self.0.block_on(spawn(state))
    }
}

/// Without a name, and linked to nobody.
async fn spawn<S: Stateful>(state: S) -> ActorRef<S::Message> {
    let spawned = Actor::spawn(None, Stateless(PhantomData), state).await;
    spawned.expect("what has no name and cannot fail starts").0
}

/// As all hooks and handlers have it.
type Done = Result<(), ActorProcessingErr>;

impl Actors for Ractor {
    fn pairs(&self, job: &Job, mut trial: Trial) -> Measured {
        let (clients, destinations): (Vec<_>, Vec<_>) = (0..job.pairs())
            .map(|pair| {
                let (role, pings) = roles::Client::with_destination(job, &trial, pair);
                let destination = self.spawn(Destination {
                    pings,
                    client: None,
                });
                let client = Client {
                    role,
                    destination: destination.clone(),
                };
                let client = self.spawn(client);
                (client, destination)
            })
            .unzip();
        trial.time(job.pairs(), || {
            for client in &clients {
                client.cast(ToClient::Run).expect("it lives");
            }
        });
        for destination in destinations {
            destination.stop(None);
        }
        trial.finish()
    }

    fn fan_in(&self, job: &Job, mut trial: Trial) -> Measured {
        let receiver = self.spawn(Receiver {
            received: trial.tally(0),
        });
        let senders: Vec<_> = roles::Sender::all(job, &trial)
            .into_iter()
            .map(|role| {
                let receiver = receiver.clone();
                self.spawn(Sender { role, receiver })
            })
            .collect();
        trial.time(senders.len() as u64, || {
            for sender in &senders {
                sender.cast(ToSender::Start).expect("it lives");
            }
        });
        receiver.stop(None);
        trial.finish()
    }

    fn ring(&self, job: &Job, mut trial: Trial) -> Measured {
        let mut ring: Vec<ActorRef<ToNode>> = Vec::new();
        for role in RingNode::all(&trial).into_iter().rev() {
            let next = ring.last().cloned();
            ring.push(self.spawn(Node { role, next }));
        }
        let first = ring[ring.len() - 1].clone();
        ring[0]
            .cast(ToNode::Close(first.clone()))
            .expect("it lives");
        trial.time(1, || {
            first.cast(ToNode::Token(job.repeat)).expect("it lives")
        });
        for node in ring {
            node.stop(None);
        }
        trial.finish()
    }

    fn skynet(&self, job: &Job, mut trial: Trial) -> Measured {
        let above = Above::Nobody(Top::new(&trial));
        let span = Span::root(job);
        trial.time(1, || drop(self.spawn(Tree::new(span, above))));
        trial.finish()
    }

    fn lives(&self, job: &Job, trial: Trial) -> Measured {
        let role = roles::Parent::new(job);
        trial.time_lives(job.repeat, |lives| {
            let parent = self.spawn(Parent { role, lives });
            parent.cast(GoOn).expect("it lives");
        })
    }

    #[expect(clippy::async_yields_async, reason = "answers are awaited later")]
    fn ask(&self, job: &Job, mut trial: Trial) -> Measured {
        let (asker, calls) = roles::Asker::with_counter(job, &trial);
        let counter = self.spawn(Counter { calls });
        let asked = counter.clone();
        trial.time(1, || {
            self.0.spawn(asker.run(async move || {
                // As `call` does, which sends when it is awaited.
                let (reply, answer) = oneshot();
                asked.cast(Call(reply.into())).expect("it lives");
                answer
            }));
        });
        counter.stop(None);
        trial.finish()
    }
}

/// An actor that is started with the state that it has from then on.
trait Stateful: Sized + Send + 'static {
    type Message: Send + 'static;

    fn started(&mut self, _own: ActorRef<Self::Message>) -> impl Future<Output = Done> + Send {
        async { Ok(()) }
    }

    fn handle(
        &mut self,
        own: ActorRef<Self::Message>,
        message: Self::Message,
    ) -> impl Future<Output = Done> + Send;
}

/// What ractor calls the actor: it has nothing, all is in the state.
struct Stateless<S>(PhantomData<fn() -> S>);

impl<S: Stateful> Actor for Stateless<S> {
    type Msg = S::Message;
    type State = S;
    type Arguments = S;

    async fn pre_start(&self, _: ActorRef<S::Message>, state: S) -> Result<S, ActorProcessingErr> {
        Ok(state)
    }

    async fn post_start(&self, own: ActorRef<S::Message>, state: &mut S) -> Done {
        state.started(own).await
    }

    async fn handle(&self, own: ActorRef<S::Message>, message: S::Message, state: &mut S) -> Done {
        state.handle(own, message).await
    }
}

struct Client {
    role: roles::Client,
    destination: ActorRef<ToDestination>,
}

enum ToClient {
    Run,
    Pong,
}

impl Stateful for Client {
    type Message = ToClient;

    async fn handle(&mut self, own: ActorRef<ToClient>, message: ToClient) -> Done {
        match message {
            ToClient::Run => {
                self.destination.cast(ToDestination::Meet(own))?;
                for _ in 0..self.role.begin() {
                    self.destination.cast(ToDestination::Ping)?;
                }
            }
            ToClient::Pong => match self.role.pong() {
                AfterPong::Ping => self.destination.cast(ToDestination::Ping)?,
                AfterPong::Wait => {}
                AfterPong::End => own.stop(None),
            },
        }
        Ok(())
    }
}

struct Destination {
    pings: Tally,
    client: Option<ActorRef<ToClient>>,
}

enum ToDestination {
    /// Who sends the pings.
    Meet(ActorRef<ToClient>),
    Ping,
}

impl Stateful for Destination {
    type Message = ToDestination;

    async fn handle(&mut self, _: ActorRef<ToDestination>, message: ToDestination) -> Done {
        match (message, &self.client) {
            (ToDestination::Meet(client), _) => self.client = Some(client),
            (ToDestination::Ping, client) => {
                self.pings.add(1);
                if let Some(client) = client {
                    client.cast(ToClient::Pong)?;
                }
            }
        }
        Ok(())
    }
}

struct Receiver {
    received: Tally,
}

enum ToReceiver {
    Item,
    Last(ActorRef<ToSender>),
}

impl Stateful for Receiver {
    type Message = ToReceiver;

    async fn handle(&mut self, _: ActorRef<ToReceiver>, message: ToReceiver) -> Done {
        self.received.add(1);
        if let ToReceiver::Last(sender) = message {
            sender.cast(ToSender::More)?;
        }
        Ok(())
    }
}

struct Sender {
    role: roles::Sender,
    receiver: ActorRef<ToReceiver>,
}

enum ToSender {
    Start,
    More,
}

impl Stateful for Sender {
    type Message = ToSender;

    async fn handle(&mut self, own: ActorRef<ToSender>, message: ToSender) -> Done {
        let bursts = match message {
            ToSender::Start => 2,
            ToSender::More => 1,
        };
        if let ToSender::More = message {
            self.role.answered();
        }
        for _ in 0..bursts {
            let burst = self.role.burst();
            for _ in 1..burst {
                self.receiver.cast(ToReceiver::Item)?;
            }
            if burst > 0 {
                self.receiver.cast(ToReceiver::Last(own.clone()))?;
            }
        }
        if self.role.is_done() {
            own.stop(None);
        }
        Ok(())
    }
}

struct Node {
    role: RingNode,
    next: Option<ActorRef<ToNode>>,
}

enum ToNode {
    /// The first node, for the last one.
    Close(ActorRef<ToNode>),
    Token(u64),
}

impl Stateful for Node {
    type Message = ToNode;

    async fn handle(&mut self, _: ActorRef<ToNode>, message: ToNode) -> Done {
        match message {
            ToNode::Close(first) => self.next = Some(first),
            ToNode::Token(hops_left) => {
                if let (Some(left), Some(next)) = (self.role.token(hops_left), &self.next) {
                    next.cast(ToNode::Token(left))?;
                }
            }
        }
        Ok(())
    }
}

struct Tree {
    above: Above,
    span: Span,
    sum: Sum,
}

enum Above {
    Parent(ActorRef<Told>),
    Nobody(Top),
}

/// What a child has to tell.
struct Told(u64);

impl Tree {
    fn new(span: Span, above: Above) -> Self {
        let sum = Sum::of(span);
        Self { span, above, sum }
    }

    fn tell(&mut self, sum: u64, own: &ActorRef<Told>) -> Done {
        match &mut self.above {
            Above::Parent(parent) => parent.cast(Told(sum))?,
            Above::Nobody(top) => top.tell(sum),
        }
        own.stop(None);
        Ok(())
    }
}

impl Stateful for Tree {
    type Message = Told;

    async fn started(&mut self, own: ActorRef<Told>) -> Done {
        if let Some(number) = self.span.leaf() {
            return self.tell(number, &own);
        }
        for span in self.span.children() {
            spawn(Self::new(span, Above::Parent(own.clone()))).await;
        }
        Ok(())
    }

    async fn handle(&mut self, own: ActorRef<Told>, Told(sum): Told) -> Done {
        match self.sum.add(sum) {
            Some(all) => self.tell(all, &own),
            None => Ok(()),
        }
    }
}

struct GoOn;

struct Parent {
    lives: Lives,
    role: roles::Parent,
}

impl Stateful for Parent {
    type Message = GoOn;

    async fn handle(&mut self, own: ActorRef<GoOn>, _: GoOn) -> Done {
        let row = self.role.row();
        for _ in 0..row {
            let life = self.lives.begin();
            let child = spawn(Child { life }).await;
            child.cast(First)?;
            // Behind the message.
            child.drain()?;
        }
        if self.role.goes_on() {
            own.cast(GoOn)?;
        } else {
            own.stop(None);
        }
        Ok(())
    }
}

struct Child {
    life: Life,
}

struct First;

impl Stateful for Child {
    type Message = First;

    async fn handle(&mut self, _: ActorRef<First>, _: First) -> Done {
        self.life.message();
        Ok(())
    }
}

struct Counter {
    calls: Tally,
}

struct Call(RpcReplyPort<u64>);

impl Stateful for Counter {
    type Message = Call;

    async fn handle(&mut self, _: ActorRef<Call>, Call(reply): Call) -> Done {
        self.calls.add(1);
        // Who asked may have gone.
        let _ = reply.send(self.calls.count());
        Ok(())
    }
}
