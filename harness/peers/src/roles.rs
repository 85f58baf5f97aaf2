//! What the actors of the workloads do, whatever library they are made with.
//!
//! A role decides what comes next, and its actor sends it: so all libraries do the same work, and their files have what is theirs.

use std::fmt::Debug;

use crate::trial::{Signal, Tally, Trial};
use crate::workload::{FAN_OUT, Job, NODES, ROW, SENDERS, in_memory, share};

/// Of a pair, the one that sends pings.
pub(crate) struct Client {
    window: u64,
    repeats: u64,
    unsent: u64,
    pongs: Tally,
    done: Signal,
}

impl Client {
    /// The client of this pair, and the tally of its destination.
    pub(crate) fn with_destination(job: &Job, trial: &Trial, pair: u64) -> (Self, Tally) {
        let place = in_memory(2 * pair);
        let client = Self {
            window: job.window(),
            repeats: job.repeats_of_a_pair(),
            unsent: job.repeats_of_a_pair(),
            pongs: trial.tally(place + 1),
            done: trial.signal(),
        };
        (client, trial.tally(place))
    }

    /// How many pings are sent at first.
    pub(crate) fn begin(&mut self) -> u64 {
        self.unsent -= self.window;
        self.window
    }

    #[must_use]
    pub(crate) fn pong(&mut self) -> AfterPong {
        self.pongs.add(1);
        if self.unsent > 0 {
            self.unsent -= 1;
            return AfterPong::Ping;
        }
        if self.pongs.count() < self.repeats {
            return AfterPong::Wait;
        }
        self.done.send();
        AfterPong::End
    }
}

/// What a client does when a pong has come.
pub(crate) enum AfterPong {
    /// Sends another ping.
    Ping,
    /// Waits for the pongs that are under way.
    Wait,
    /// Ends.
    End,
}

/// One of many that send to one.
pub(crate) struct Sender {
    burst: u64,
    unsent: u64,
    bursts: u64,
    answered: Tally,
    done: Signal,
}

impl Sender {
    pub(crate) fn all(job: &Job, trial: &Trial) -> Vec<Self> {
        (0..SENDERS)
            .map(|index| Self {
                burst: job.burst(),
                unsent: share(job.repeat, SENDERS, index),
                bursts: 0,
                // Behind the receiver.
                answered: trial.tally(in_memory(index) + 1),
                done: trial.signal(),
            })
            .collect()
    }

    /// How many messages are sent now, the last of which is to be answered. Asked for twice at first, and once behind each answer.
    #[must_use]
    pub(crate) fn burst(&mut self) -> u64 {
        let burst = self.burst.min(self.unsent);
        self.bursts += u64::from(burst > 0);
        self.unsent -= burst;
        if self.is_done() {
            self.done.send();
        }
        burst
    }

    /// Whether it may end: all is sent, and answered.
    pub(crate) fn is_done(&self) -> bool {
        self.unsent == 0 && self.answered.count() == self.bursts
    }

    pub(crate) fn answered(&mut self) {
        self.answered.add(1);
    }
}

/// One of a ring.
pub(crate) struct RingNode {
    tokens: Tally,
    done: Signal,
}

impl RingNode {
    pub(crate) fn all(trial: &Trial) -> Vec<Self> {
        (0..NODES)
            .map(|index| Self {
                tokens: trial.tally(in_memory(index)),
                done: trial.signal(),
            })
            .collect()
    }

    /// With how many hops left the token goes on; `None` if this was the last, and the node may end.
    #[must_use]
    pub(crate) fn token(&mut self, hops_left: u64) -> Option<u64> {
        self.tokens.add(1);
        let left = hops_left.checked_sub(1);
        if left.is_none() {
            self.done.send();
        }
        left
    }
}

/// Which leaves are below a node of the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    first: u64,
    leaves: u64,
}

impl Span {
    pub(crate) fn root(job: &Job) -> Self {
        Self {
            first: 0,
            leaves: job.repeat,
        }
    }

    /// The number of a leaf; `None` for what is above others.
    pub(crate) fn leaf(self) -> Option<u64> {
        (self.leaves == 1).then_some(self.first)
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Self> + Send {
        let children = self.leaves.min(FAN_OUT);
        let mut first = self.first;
        (0..children).map(move |child| {
            let leaves = share(self.leaves, children, child);
            let span = Self { first, leaves };
            first += leaves;
            span
        })
    }
}

/// What a node above others has heard of them.
pub(crate) struct Sum {
    untold: u64,
    sum: u64,
}

impl Sum {
    pub(crate) fn of(span: Span) -> Self {
        Self {
            untold: span.leaves.min(FAN_OUT),
            sum: 0,
        }
    }

    /// A child has told its sum. That of all, when it was the last.
    #[must_use]
    pub(crate) fn add(&mut self, sum: u64) -> Option<u64> {
        self.sum = self.sum.wrapping_add(sum);
        self.untold -= 1;
        (self.untold == 0).then_some(self.sum)
    }
}

/// To whom the root tells its sum.
pub(crate) struct Top {
    sum: Tally,
    done: Signal,
}

impl Top {
    pub(crate) fn new(trial: &Trial) -> Self {
        Self {
            sum: trial.tally(0),
            done: trial.signal(),
        }
    }

    pub(crate) fn tell(&mut self, sum: u64) {
        self.sum.add(sum);
        self.done.send();
    }
}

/// Whoever begins lives.
pub(crate) struct Parent {
    left: u64,
}

impl Parent {
    pub(crate) fn new(job: &Job) -> Self {
        Self { left: job.repeat }
    }

    /// How many lives the next row has; zero if there is none.
    #[must_use]
    pub(crate) fn row(&mut self) -> u64 {
        let row = ROW.min(self.left);
        self.left -= row;
        row
    }

    /// Whether there is another row. Who has begun the last one says nothing to itself: it may be ended as soon as those lives are.
    pub(crate) fn goes_on(&self) -> bool {
        self.left > 0
    }
}

/// Who asks, and awaits the answers.
pub(crate) struct Asker {
    window: u64,
    left: u64,
    answers: u64,
    in_any_order: bool,
    good: Tally,
    done: Signal,
}

impl Asker {
    /// The asker, and the tally of who is asked.
    pub(crate) fn with_counter(job: &Job, trial: &Trial) -> (Self, Tally) {
        let asker = Self {
            window: job.window(),
            left: job.repeat,
            answers: 0,
            in_any_order: false,
            good: trial.tally(0),
            done: trial.signal(),
        };
        (asker, trial.tally(1))
    }

    /// For a library that promises no order.
    pub(crate) fn in_any_order(mut self) -> Self {
        self.in_any_order = true;
        self
    }

    /// Asks a window of questions, awaits their answers, and so on until all are asked. `ask` returns when a question is sent.
    pub(crate) async fn run<A, E>(mut self, mut ask: impl AsyncFnMut() -> A)
    where
        A: Future<Output = Result<u64, E>>,
        E: Debug,
    {
        let mut asked = Vec::new();
        while self.left > 0 {
            let round = self.window.min(self.left);
            for _ in 0..round {
                asked.push(ask().await);
            }
            self.left -= round;
            let before = self.answers;
            for answer in asked.drain(..) {
                let calls = answer.await.expect("each question is answered");
                self.answers += 1;
                // The answers are the numbers from one on; without an order, those of this round.
                let good = if self.in_any_order {
                    calls > before && calls <= before + round
                } else {
                    calls == self.answers
                };
                self.good.add(u64::from(good));
            }
        }
        self.done.send();
    }
}
