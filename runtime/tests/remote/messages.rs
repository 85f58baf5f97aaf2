//! Messages from one runtime to another.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{At, Kind, RemoteOptions, on_each, station, upid};
use libprocess::{Context, MessageEvent, Process, Upid};
#[cfg(not(libprocess_tsan))]
use libprocess::{Runtime, post};

/// Sends numbered messages to several, in turn.
struct Sender(Vec<Upid>);

impl Sender {
    const MESSAGES: usize = 500;

    fn send(&mut self, cx: &mut Context<Self>) {
        for number in 0..Self::MESSAGES {
            let to = &self.0[number % self.0.len()];
            // Of all lengths, also such as go out as pieces of their own.
            let body = vec![b'x'; number * number % 9_000];
            cx.send(to, format!("{number}"), body);
        }
    }
}

impl Process for Sender {}

#[test]
fn each_senders_messages_arrive_once_and_in_order() {
    on_each(|kind: Kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let receivers = [station(&there, "one"), station(&there, "other")];
        let to: Vec<_> = receivers.iter().map(At::upid).collect();
        let senders: Vec<_> = (0..3).map(|_| here.spawn(Sender(to.clone()))).collect();
        for sender in &senders {
            here.dispatch(*sender, Sender::send, ()).detach();
        }
        for (place, receiver) in receivers.iter().enumerate() {
            let mut next: BTreeMap<Upid, usize> = BTreeMap::new();
            for _ in 0..Sender::MESSAGES / 2 * senders.len() {
                let (name, from, body) = receiver.message();
                let number: usize = name.parse().expect("a number");
                assert_eq!(body.len(), number * number % 9_000);
                let expected = next.entry(from).or_insert(place);
                assert_eq!(number, *expected);
                *expected += 2;
            }
            receiver.has_no_more();
            let names: Vec<String> = senders.iter().map(ToString::to_string).collect();
            assert_eq!(next.len(), names.len());
            for from in next.keys() {
                assert!(names.contains(&from.to_string()), "{from}");
            }
        }
    });
}

#[test]
fn who_is_sent_a_message_can_answer_it() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let (asking, answering) = (station(&here, "asking"), station(&there, "answering"));
        for body in [&b""[..], b"abc", &[0, 255, b'\r', b'\n'], &vec![7; 1 << 20]] {
            asking.send(&answering.upid(), "ping", body);
            let (name, from, seen) = answering.message();
            assert_eq!((&*name, from), ("ping", asking.upid()));
            assert!(seen == body);
            let (name, from, seen) = asking.message();
            assert_eq!((&*name, from), ("pong", answering.upid()));
            assert!(seen == body);
        }
    });
}

/// Ids and names may be any text.
#[test]
fn odd_names_arrive_as_they_are() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let (here, there) = (kind.runtime(), kind.runtime());
        let odd = "a b:c%41?d#é()&..\u{1}";
        let (asking, answering) = (station(&here, "asking"), station(&there, odd));
        let to = upid(odd, there.address().expect("it listens"));
        for name in [
            "",
            " ",
            "/",
            "a/b",
            "..",
            "/../",
            "%",
            "%41",
            "a?b#c",
            "é",
            "\r\n",
            "\u{0}",
            "mesos.internal.Ping",
        ] {
            asking.send(&to, name, b"x");
            assert_eq!(
                answering.message(),
                (name.into(), asking.upid(), b"x".to_vec())
            );
        }
        // What would end a header field is written otherwise, and all else as it is.
        let plain = odd.trim_end_matches('\u{1}');
        let named = station(&there, plain);
        named.send(&asking.upid(), "ping", b"");
        let address = there.address().expect("it listens");
        assert_eq!(asking.message().1, upid(plain, address));
        assert_eq!(named.message().0, "pong");
    });
}

#[test]
fn a_message_that_is_posted_is_of_nobody() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let receiver = station(&there, "receiver");
        here.post(receiver.upid(), "hello", "x");
        assert_eq!(
            receiver.message(),
            ("hello".into(), Upid::nobody(), b"x".to_vec())
        );
    });
}

/// Passes on what it is sent.
struct Passing(Upid);

impl Process for Passing {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.delegate("passed", &self.0);
    }

    fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
        cx.handle(self, event);
    }
}

#[test]
fn a_message_is_delegated_elsewhere_with_its_sender() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let (sender, receiver) = (station(&here, "sender"), station(&there, "receiver"));
        let passing = here.spawn(Passing(receiver.upid()));
        sender.does(move |cx| cx.send(passing, "passed", "x"));
        assert_eq!(
            receiver.message(),
            ("passed".into(), sender.upid(), b"x".to_vec())
        );
    });
}

/// A runtime's own address is not gone to over the network.
#[test]
fn a_message_to_oneself_by_address_is_local() {
    on_each(|kind| {
        let runtime = kind.runtime();
        let (sender, receiver) = (station(&runtime, "sender"), station(&runtime, "receiver"));
        let to = receiver.upid();
        assert_ne!(to, Upid::from(receiver.pid), "by address");
        sender.send(&to, "hello", b"");
        let (_, from, _) = receiver.message();
        assert_eq!(from, Upid::from(sender.pid));
    });
}

/// A runtime that does not listen can send, and cannot be answered.
#[cfg(not(libprocess_tsan))] // The default runtime's threads are never joined, which the sanitizer takes for a leak.
#[test]
fn messages_go_out_of_any_thread_and_runtime() {
    on_each(|kind| {
        let there = kind.runtime();
        let receiver = station(&there, "receiver");
        let to = receiver.upid();
        // The default runtime's thread is this one's.
        let here = Runtime::default_runtime();
        post(&to, "default", "");
        assert_eq!(receiver.message().0, "default");
        let sent = here.async_(move || post(&to, "async", ""));
        sent.get().expect("sent");
        assert_eq!(receiver.message().0, "async");
    });
}

/// A connection that ends whenever nothing is under way: what is sent while it does, goes over the next one, and arrives behind what came before.
#[test]
fn order_is_kept_over_many_connections() {
    on_each(|kind| {
        let options = RemoteOptions::new().idle_timeout(Duration::ZERO);
        let here = kind.build(|builder| builder.remote(options));
        let there = kind.runtime();
        let receiver = station(&there, "receiver");
        let to = receiver.upid();
        const MESSAGES: usize = 300;
        let mut seen = 0;
        for number in 0..MESSAGES {
            here.post(&to, number.to_string(), "");
            // Now and then so that the connection becomes idle, and mostly while it does.
            while number % 7 == 0 && seen <= number {
                assert_eq!(receiver.message().0, seen.to_string());
                seen += 1;
            }
        }
        while seen < MESSAGES {
            assert_eq!(receiver.message().0, seen.to_string());
            seen += 1;
        }
        receiver.has_no_more();
        assert_eq!(here.stats().dead_letters, 0);
    });
}
