//! What one sender sends to one receiver arrives in order, always.

use crate::common::{runtime, scale};
use libprocess::{Context, MessageEvent, Process, Upid, dispatch_with, post};

const SENDERS: usize = 8;
/// Per sender, times `scale()`.
const MESSAGES: u64 = 100_000;

fn messages() -> u64 {
    MESSAGES * scale() as u64
}

#[derive(Default)]
struct Receiving {
    next: [u64; SENDERS],
}

impl Process for Receiving {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        let (sender, number) = event.body.split_at(1);
        let number = u64::from_le_bytes(number.try_into().unwrap());
        let next = &mut self.next[usize::from(sender[0])];
        assert_eq!(
            number, *next,
            "a message of sender {} overtook another",
            sender[0]
        );
        *next += 1;
    }
}

fn body(sender: usize, number: u64) -> Vec<u8> {
    let mut body = vec![u8::try_from(sender).unwrap()];
    body.extend(number.to_le_bytes());
    body
}

/// Sends its messages in pieces, so that it is resumed many times, by whichever worker.
struct Sending {
    sender: usize,
    next: u64,
    to: Upid,
}

impl Process for Sending {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.send(cx.pid(), "go on", "");
    }

    fn consume_message(&mut self, _event: MessageEvent, cx: &mut Context<Self>) {
        for _ in 0..100 {
            if self.next == messages() {
                return;
            }
            let body = body(self.sender, self.next);
            cx.send(&self.to, "numbered", body);
            self.next += 1;
        }
        cx.send(cx.pid(), "go on", "");
    }
}

#[test]
fn eight_senders_of_both_kinds_keep_their_order() {
    let runtime = runtime(2);
    let receiver = runtime.spawn_owned(Receiving::default());
    let to = receiver.pid();
    for sender in 0..SENDERS / 2 {
        runtime.spawn(Sending {
            sender,
            next: 0,
            to: to.upid(),
        });
    }
    let threads: Vec<_> = (SENDERS / 2..SENDERS)
        .map(|sender| {
            std::thread::spawn(move || {
                for number in 0..messages() {
                    post(to, "numbered", body(sender, number));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    loop {
        let next = dispatch_with(to, |receiving, _| receiving.next);
        let next = next.get().expect("the receiver saw every number in order");
        if next == [messages(); SENDERS] {
            break;
        }
    }
    assert_eq!(runtime.stats().dead_letters, 0);
}

#[test]
fn messages_and_dispatches_share_one_order() {
    let runtime = runtime(2);
    let receiver = runtime.spawn_owned(Receiving::default());
    let to = receiver.pid();
    for number in 0..1_000 {
        post(to, "numbered", body(0, number));
        let served = dispatch_with(to, |receiving, _| receiving.next[0]);
        if number % 50 == 0 {
            assert_eq!(served.get(), Ok(number + 1));
        }
    }
}
