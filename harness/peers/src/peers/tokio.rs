//! tokio: an actor is a task that receives from an mpsc channel, as in <https://ryhl.io/blog/actors-with-tokio/>.

use std::marker::PhantomData;

use ::tokio::runtime::Handle;
use ::tokio::sync::{mpsc, oneshot};
use ::tokio::task::yield_now;

use super::Actors;
use crate::roles::{AfterPong, Asker, Client, Parent, RingNode, Sender, Span, Sum, Top};
use crate::trial::{Life, Measured, Tally, Trial};
use crate::workload::{FAN_OUT, Job, in_memory};

/// A channel with room for whatever a workload has under way, or without a bound.
pub(super) trait Channel: 'static {
    type To<T: Send + 'static>: Clone + Send + Sync + 'static;
    type From<T: Send + 'static>: Send + 'static;

    fn open<T: Send + 'static>(room: u64) -> (Self::To<T>, Self::From<T>);

    /// Panics if nobody receives any more.
    fn send<T: Send + 'static>(to: &Self::To<T>, message: T) -> impl Future<Output = ()> + Send;

    fn receive<T: Send + 'static>(
        from: &mut Self::From<T>,
    ) -> impl Future<Output = Option<T>> + Send;
}

pub(super) struct Bounded;

impl Channel for Bounded {
    type To<T: Send + 'static> = mpsc::Sender<T>;
    type From<T: Send + 'static> = mpsc::Receiver<T>;

    fn open<T: Send + 'static>(room: u64) -> (Self::To<T>, Self::From<T>) {
        mpsc::channel(in_memory(room))
    }

    async fn send<T: Send + 'static>(to: &Self::To<T>, message: T) {
        assert!(to.send(message).await.is_ok(), "the receiver is gone");
    }

    async fn receive<T: Send + 'static>(from: &mut Self::From<T>) -> Option<T> {
        from.recv().await
    }
}

pub(super) struct Unbounded;

impl Channel for Unbounded {
    type To<T: Send + 'static> = mpsc::UnboundedSender<T>;
    type From<T: Send + 'static> = mpsc::UnboundedReceiver<T>;

    fn open<T: Send + 'static>(_room: u64) -> (Self::To<T>, Self::From<T>) {
        mpsc::unbounded_channel()
    }

    async fn send<T: Send + 'static>(to: &Self::To<T>, message: T) {
        assert!(to.send(message).is_ok(), "the receiver is gone");
    }

    async fn receive<T: Send + 'static>(from: &mut Self::From<T>) -> Option<T> {
        from.recv().await
    }
}

pub(super) struct Tokio<C> {
    runtime: Handle,
    channel: PhantomData<C>,
}

impl Tokio<Bounded> {
    pub(super) fn bounded(runtime: Handle) -> Self {
        let channel = PhantomData;
        Self { runtime, channel }
    }
}

impl Tokio<Unbounded> {
    pub(super) fn unbounded(runtime: Handle) -> Self {
        let channel = PhantomData;
        Self { runtime, channel }
    }
}

impl<C: Channel> Actors for Tokio<C> {
    fn pairs(&self, job: &Job, mut trial: Trial) -> Measured {
        let clients: Vec<_> = (0..job.pairs())
            .map(|pair| {
                let (role, tally) = Client::with_destination(job, &trial, pair);
                // Beside the window there is what starts the client.
                let (to_client, inbox) = C::open(job.window() + 1);
                let (to_destination, pings) = C::open(job.window());
                let pongs = to_client.clone();
                self.runtime.spawn(destination::<C>(tally, pings, pongs));
                self.runtime.spawn(client::<C>(role, inbox, to_destination));
                to_client
            })
            .collect();
        trial.time(job.pairs(), || {
            self.runtime
                .block_on(tell_all::<C, _>(clients, || ToClient::Run))
        });
        trial.finish()
    }

    fn fan_in(&self, job: &Job, mut trial: Trial) -> Measured {
        let (to_receiver, inbox) = C::open(job.window());
        self.runtime.spawn(receiver::<C>(trial.tally(0), inbox));
        let senders: Vec<_> = Sender::all(job, &trial)
            .into_iter()
            .map(|role| {
                // Both bursts may be answered at once, and there is what starts the sender.
                let (to_sender, inbox) = C::open(3);
                let own = to_sender.clone();
                self.runtime
                    .spawn(sender::<C>(role, inbox, own, to_receiver.clone()));
                to_sender
            })
            .collect();
        drop(to_receiver);
        let number = senders.len() as u64;
        trial.time(number, || {
            self.runtime
                .block_on(tell_all::<C, _>(senders, || ToSender::Start))
        });
        trial.finish()
    }

    fn ring(&self, job: &Job, mut trial: Trial) -> Measured {
        let (to_first, mut inbox) = C::open::<u64>(1);
        let mut nodes = RingNode::all(&trial);
        let last = nodes.pop().expect("a ring has nodes");
        for role in nodes {
            let (to_next, next_inbox) = C::open(1);
            self.runtime.spawn(node::<C>(role, inbox, to_next));
            inbox = next_inbox;
        }
        self.runtime.spawn(node::<C>(last, inbox, to_first.clone()));
        trial.time(1, || self.runtime.block_on(C::send(&to_first, job.repeat)));
        drop(to_first);
        trial.finish()
    }

    fn skynet(&self, job: &Job, mut trial: Trial) -> Measured {
        let mut top = Top::new(&trial);
        let root = Span::root(job);
        trial.time(1, || {
            self.runtime.spawn(async move {
                let (to_top, mut sums) = C::open(1);
                tree::<C>(root, to_top);
                top.tell(C::receive(&mut sums).await.expect("a root tells its sum"));
            });
        });
        trial.finish()
    }

    fn lives(&self, job: &Job, trial: Trial) -> Measured {
        let mut parent = Parent::new(job);
        trial.time_lives(job.repeat, |lives| {
            self.runtime.spawn(async move {
                loop {
                    let row = parent.row();
                    if row == 0 {
                        break;
                    }
                    for _ in 0..row {
                        let (to_child, inbox) = C::open(1);
                        ::tokio::spawn(child::<C>(lives.begin(), inbox));
                        C::send(&to_child, First).await;
                    }
                    yield_now().await;
                }
            });
        })
    }

    #[expect(clippy::async_yields_async, reason = "answers are awaited later")]
    fn ask(&self, job: &Job, mut trial: Trial) -> Measured {
        let (asker, calls) = Asker::with_counter(job, &trial);
        let (to_counter, inbox) = C::open(job.window());
        self.runtime.spawn(counter::<C>(calls, inbox));
        trial.time(1, || {
            self.runtime.spawn(asker.run(async move || {
                let (reply, answer) = oneshot::channel();
                C::send(&to_counter, Ask { reply }).await;
                answer
            }));
        });
        trial.finish()
    }
}

/// Tells all of them the same, and lets go of their channels.
async fn tell_all<C: Channel, T: Send + 'static>(all: Vec<C::To<T>>, what: impl Fn() -> T) {
    for one in all {
        C::send(&one, what()).await;
    }
}

struct Ping;

enum ToClient {
    Run,
    Pong,
}

async fn client<C: Channel>(mut role: Client, mut inbox: C::From<ToClient>, pings: C::To<Ping>) {
    while let Some(message) = C::receive(&mut inbox).await {
        match message {
            ToClient::Run => {
                for _ in 0..role.begin() {
                    C::send(&pings, Ping).await;
                }
            }
            ToClient::Pong => match role.pong() {
                AfterPong::Ping => C::send(&pings, Ping).await,
                AfterPong::Wait => {}
                AfterPong::End => break,
            },
        }
    }
}

async fn destination<C: Channel>(
    mut pings: Tally,
    mut inbox: C::From<Ping>,
    pongs: C::To<ToClient>,
) {
    while let Some(Ping) = C::receive(&mut inbox).await {
        pings.add(1);
        C::send(&pongs, ToClient::Pong).await;
    }
}

enum ToReceiver<C: Channel> {
    Item,
    Last(C::To<ToSender>),
}

enum ToSender {
    Start,
    More,
}

async fn receiver<C: Channel>(mut received: Tally, mut inbox: C::From<ToReceiver<C>>) {
    while let Some(message) = C::receive(&mut inbox).await {
        received.add(1);
        if let ToReceiver::Last(sender) = message {
            C::send(&sender, ToSender::More).await;
        }
    }
}

async fn sender<C: Channel>(
    mut role: Sender,
    mut inbox: C::From<ToSender>,
    own: C::To<ToSender>,
    receiver: C::To<ToReceiver<C>>,
) {
    while let Some(message) = C::receive(&mut inbox).await {
        let bursts = match message {
            ToSender::Start => 2,
            ToSender::More => {
                role.answered();
                1
            }
        };
        for _ in 0..bursts {
            let burst = role.burst();
            for _ in 1..burst {
                C::send(&receiver, ToReceiver::Item).await;
            }
            if burst > 0 {
                C::send(&receiver, ToReceiver::Last(own.clone())).await;
            }
        }
        if role.is_done() {
            break;
        }
    }
}

async fn node<C: Channel>(mut role: RingNode, mut inbox: C::From<u64>, next: C::To<u64>) {
    while let Some(hops_left) = C::receive(&mut inbox).await {
        match role.token(hops_left) {
            Some(left) => C::send(&next, left).await,
            None => break,
        }
    }
}

/// Not `async`, as it is called by the task that it spawns.
fn tree<C: Channel>(span: Span, parent: C::To<u64>) {
    ::tokio::spawn(async move {
        if let Some(number) = span.leaf() {
            return C::send(&parent, number).await;
        }
        let (to_us, mut sums) = C::open(FAN_OUT);
        for child in span.children() {
            tree::<C>(child, to_us.clone());
        }
        drop(to_us);
        let mut sum = Sum::of(span);
        while let Some(of_child) = C::receive(&mut sums).await {
            if let Some(all) = sum.add(of_child) {
                C::send(&parent, all).await;
            }
        }
    });
}

struct First;

async fn child<C: Channel>(mut life: Life, mut inbox: C::From<First>) {
    while let Some(First) = C::receive(&mut inbox).await {
        life.message();
    }
}

struct Ask {
    reply: oneshot::Sender<u64>,
}

async fn counter<C: Channel>(mut calls: Tally, mut inbox: C::From<Ask>) {
    while let Some(Ask { reply }) = C::receive(&mut inbox).await {
        calls.add(1);
        // Who asked may have gone.
        let _ = reply.send(calls.count());
    }
}
