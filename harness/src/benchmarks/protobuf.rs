//! libprocess's benchmark of the handlers of protobuf messages.
//!
//! A process has one message served again and again, from a message in its hand to the return of the handler, which does nothing: what is measured is finding the handler
//! and decoding the body. There is no mailbox in it, as in the original, which calls `visit` in a loop. That one is lent the same event each time; here an event is owned by who
//! serves it, so that each has a block of its own and shares the body: some nanoseconds.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use libprocess::{Context, Message as Letter, Process, Upid, dispatch_with};
use prost::{Message as _, Name};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::Trial;

/// How many children a message of the tree has, where there are enough.
const CHILDREN: usize = 4;

/// In how many parts the messages are served, each an event of the process: for the progress bar.
const PARTS: u64 = 100;

/// `tests.Message` of libprocess's `benchmarks.proto`: in proto2, so that numbers are not packed.
#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, repeated, packed = "false", tag = "1")]
    payload: Vec<i32>,
    #[prost(message, repeated, tag = "2")]
    submessages: Vec<Message>,
}

impl Name for Message {
    const PACKAGE: &'static str = "tests";
    const NAME: &'static str = "Message";
}

impl Message {
    /// A tree with so many messages below the first, filled level by level; each has a payload of two ones.
    fn tree(submessages: usize) -> Self {
        // By the numbers of the level order the children of a message lie side by side, so the tree can be put together from its end.
        let mut ready: VecDeque<Self> = VecDeque::new();
        for parent in (0..=submessages).rev() {
            let first = (CHILDREN * parent + 1).min(submessages + 1);
            let children = (first + CHILDREN).min(submessages + 1) - first;
            let submessages = ready.split_off(ready.len() - children);
            ready.push_front(Self {
                payload: vec![1; 2],
                submessages: submessages.into(),
            });
        }
        ready.pop_front().expect("the first message")
    }
}

/// See the module. One for each of the original's ten sizes, named by the number of submessages.
pub(crate) struct InstallHandler {
    submessages: usize,
    name: &'static str,
}

macro_rules! of {
    ($submessages:literal) => {
        InstallHandler {
            submessages: $submessages,
            name: concat!(
                "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.",
                $submessages
            ),
        }
    };
}

/// In the original's order.
pub(crate) static INSTALL_HANDLER: [InstallHandler; 10] = [
    of!(0),
    of!(1),
    of!(5),
    of!(10),
    of!(50),
    of!(100),
    of!(500),
    of!(1000),
    of!(5000),
    of!(10000),
];

impl InstallHandler {
    /// All messages of the tree, with the first.
    fn nodes(&self) -> u64 {
        self.submessages as u64 + 1
    }
}

impl Benchmark for InstallHandler {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        "A protobuf message, with as many submessages as the name says, decoded for a handler that does nothing, without a mailbox; a repeat is a message or \
         submessage, the figure counts whole messages."
    }

    fn unit(&self) -> &'static str {
        "messages/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(10_000_000)
    }

    fn headline(&self, sample: &Sample) -> Option<String> {
        // To the letter as the original, for what reads its output.
        let size = Message::tree(self.submessages).encoded_len();
        Some(format!(
            "Size: {size:>5} bytes, throughput: {:>9.0} messages/s",
            sample.value
        ))
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let messages = (setting.parameters.repeat / self.nodes()).max(1);
        let message = Message::tree(self.submessages);
        let body = Bytes::from(message.encode_to_vec());
        let size = body.len() as u64;

        let mut trial = Trial::begin(setting);
        let process = setting.runtime.spawn_owned(Handling::default());
        let pid = process.pid();
        let part = messages.div_ceil(PARTS);
        let parts = messages.div_ceil(part);
        let letter = Letter {
            name: Cow::Borrowed("tests.Message"),
            from: pid.upid(),
            body,
        };

        let started = Instant::now();
        let mut last = None;
        for index in 0..parts {
            let (letter, times) = (letter.clone(), part.min(messages - index * part));
            last = Some(dispatch_with(pid, move |process: &mut Handling, cx| {
                process.serve(&letter, times, cx);
            }));
        }
        let all = last.expect("one message at least");
        trial.wait(all, |counts| counts.dispatches * part * self.nodes())?;
        let seconds = started.elapsed().as_secs_f64();

        process.terminate_after_pending();
        let handling = process.join()?;
        trial.equal("messages handled", handling.handled, messages);
        trial.equal(
            "whole messages",
            u64::from(handling.last.as_ref() == Some(&message)),
            1,
        );
        trial.equal("messages from others", handling.foreign, 0);
        let expected = Counts {
            dispatches: parts,
            ..Counts::lives(1)
        };
        let verified = format!(
            "{} of {} handled, none unhandled, the last one whole",
            count(messages, "message"),
            count(size, "byte")
        );
        let sample = Sample::rate(messages, seconds, verified)
            .also("bytes/s", (messages * size) as f64 / seconds);
        trial.finish(expected, sample)
    }
}

#[derive(Default)]
struct Handling {
    handled: u64,
    foreign: u64,
    last: Option<Message>,
}

impl Process for Handling {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.install_protobuf(Self::handle);
    }
}

impl Handling {
    /// The message before is dropped when this one is kept: as many are, as if each were dropped here.
    fn handle(&mut self, from: &Upid, message: Message, cx: &mut Context<Self>) {
        self.handled += 1;
        self.foreign += u64::from(*from != cx.pid());
        self.last = Some(message);
    }

    fn serve(&mut self, letter: &Letter, times: u64, cx: &mut Context<Self>) {
        for _ in 0..times {
            cx.handle(self, letter.clone().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_the_original_s() {
        // What the bytes of each are is told by protobuf's encoding alone.
        let sizes = INSTALL_HANDLER
            .iter()
            .map(|benchmark| Message::tree(benchmark.submessages).encoded_len());
        let expected = [4, 10, 34, 64, 304, 605, 3011, 6019, 30081, 60160];
        assert!(sizes.eq(expected));
        assert_eq!(
            Message::tree(1).encode_to_vec(),
            [8, 1, 8, 1, 0x12, 4, 8, 1, 8, 1]
        );
        // Of ten the second level has four, the third six: of these the first message has four, the second two.
        let tree = Message::tree(10);
        let children: Vec<usize> = tree
            .submessages
            .iter()
            .map(|child| child.submessages.len())
            .collect();
        assert_eq!(children, [4, 2, 0, 0]);
        assert_eq!(Message::full_name(), "tests.Message");
    }

    #[test]
    fn the_headline_is_the_original_s() {
        let sample = Sample::rate(1_234_567, 1.0, "");
        assert_eq!(
            INSTALL_HANDLER[1].headline(&sample).unwrap(),
            "Size:    10 bytes, throughput:   1234567 messages/s"
        );
    }
}
