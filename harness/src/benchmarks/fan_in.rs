//! Many that send to one.

use std::time::Instant;

use libprocess::sync::CountDownLatch;
use libprocess::{Context, MessageEvent, Process, Upid};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory, join_all, share};

/// Several senders and one receiver: what it costs that they push into one mailbox at a time.
///
/// Each sender has a window, so that the mailbox stays bounded: it sends half of it at a time, and goes on when one half has arrived.
pub(crate) struct FanIn;

impl Benchmark for FanIn {
    fn name(&self) -> &'static str {
        "FanIn"
    }

    fn summary(&self) -> &'static str {
        "Messages by name from many processes to one, a window of each under way at a time; a repeat is a message of any of them."
    }

    fn unit(&self) -> &'static str {
        "messages/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(8_000_000).window(1_000).actors(8, 1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(1);
        let window = setting.parameters.window.unwrap_or(1);
        let mut trial = Trial::begin(setting);
        let done = CountDownLatch::new(in_memory(actors));
        let receiver = runtime.spawn_owned(Receiver { received: 0 });
        let senders: Vec<_> = (0..actors)
            .map(|index| {
                runtime.spawn_owned(Sender {
                    receiver: receiver.pid().upid(),
                    burst: (window / 2).max(1),
                    bursts_at_first: window.min(2),
                    left: share(repeat, actors, index),
                    sent: 0,
                    bursts: 0,
                    arrived: 0,
                    done: done.clone(),
                })
            })
            .collect();

        let started = Instant::now();
        for sender in &senders {
            runtime.post(sender.pid(), "start", "");
        }
        trial.wait(done.triggered(), |counts| counts.messages.min(repeat))?;
        let seconds = started.elapsed().as_secs_f64();

        let mut bursts = 0;
        for (index, sender) in (0..).zip(join_all(senders)?) {
            let what = format_args!("messages sent by sender {index}");
            trial.equal(what, sender.sent, share(repeat, actors, index));
            let what = format_args!("bursts of sender {index} that arrived");
            trial.equal(what, sender.arrived, sender.bursts);
            bursts += sender.bursts;
        }
        receiver.terminate_after_pending();
        trial.equal("messages received", receiver.join()?.received, repeat);
        let expected = Counts {
            messages: actors + repeat + bursts,
            ..Counts::lives(actors + 1)
        };
        let verified = format!("{} received, no dead letter", count(repeat, "message"));
        trial.finish(expected, Sample::rate(repeat, seconds, verified))
    }
}

struct Receiver {
    received: u64,
}

impl Process for Receiver {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        self.received += 1;
        if event.name == "last" {
            cx.send(&event.from, "more", "");
        }
    }
}

struct Sender {
    receiver: Upid,
    /// How many messages are sent at a time; the last of them is answered.
    burst: u64,
    bursts_at_first: u64,
    left: u64,
    sent: u64,
    bursts: u64,
    arrived: u64,
    done: CountDownLatch,
}

impl Sender {
    fn burst(&mut self, cx: &mut Context<Self>) {
        let burst = self.burst.min(self.left);
        if burst == 0 {
            return;
        }
        for _ in 1..burst {
            cx.send(&self.receiver, "item", "");
        }
        cx.send(&self.receiver, "last", "");
        self.bursts += 1;
        self.sent += burst;
        self.left -= burst;
    }
}

impl Process for Sender {
    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        if event.name == "more" {
            self.arrived += 1;
            self.burst(cx);
        } else {
            for _ in 0..self.bursts_at_first {
                self.burst(cx);
            }
        }
        if self.left == 0 && self.arrived == self.bursts {
            self.done.decrement();
        }
    }
}
