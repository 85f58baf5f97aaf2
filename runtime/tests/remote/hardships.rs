//! What goes wrong between runtimes, and must not take more with it than it has to.

use std::collections::HashSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::common::answers::one;
use super::common::serving::{connect, until};
use super::common::sockets::any;
use super::links::first_line;
use super::{At, Kind, RemoteConnection, RemoteOptions, accept, on_each, pass, station, upid};
use libprocess::http::Limits;
use libprocess::{DeadLetterReason, Runtime, Upid};

use RemoteConnection::{Reconnect, Reuse};

/// Over a connection that was well all that was sent arrives, once; in which order to what is sent behind the relink is not said.
#[test]
fn a_relink_loses_nothing_of_a_connection_that_is_well() {
    const MESSAGES: usize = 3_000;
    on_each(|kind: Kind| {
        let (here, there) = (kind.plain(), kind.plain());
        let (sender, receiver) = (station(&here, "sender"), station(&there, "receiver"));
        let to = receiver.upid();
        sender.link(&to, Reuse);
        let recipient = to.clone();
        sender.does(move |cx| {
            for number in 0..MESSAGES {
                cx.send(&recipient, number.to_string(), "x".repeat(100));
            }
            cx.link_with(&recipient, Reconnect);
            cx.send(&recipient, "behind", "");
        });
        let names = (0..=MESSAGES).map(|_| receiver.message().0);
        let different: HashSet<_> = names.collect();
        assert_eq!(different.len(), MESSAGES + 1);
        receiver.has_no_more();
        sender.has_no_more();
    });
}

/// As by a program that ends when it has said what it had to.
#[test]
fn who_has_sent_and_gone_without_hearing_the_answers_is_heard() {
    // As many as the kernel of the receiver has for sure: what it has not, the sender's throws away.
    const MESSAGES: usize = 700;
    on_each(|kind| {
        let runtime = kind.runtime();
        let receiver = station(&runtime, "receiver");
        let mut stream = connect(runtime.address().expect("it listens"));
        let message =
            "POST /receiver/x HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nHost: a\r\n\r\n";
        stream
            .write_all(message.repeat(MESSAGES).as_bytes())
            .expect("sent");
        drop(stream);
        for _ in 0..MESSAGES {
            receiver.message();
        }
        receiver.has_no_more();
    });
}

/// What was being sent over a stale connection is nobody's any more when another has taken its place.
#[test]
fn there_is_room_over_the_connection_that_follows_a_stale_one() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let options = RemoteOptions::new()
            .outbound_bytes(1 << 20)
            .negotiate_links(false);
        let runtime = kind.build(|builder| builder.remote(options));
        let linker = station(&runtime, "linker");
        let listener = TcpListener::bind(any()).expect("a listener");
        let to = upid("process", listener.local_addr().expect("an address"));
        linker.link(&to, Reuse);
        let mut stale = accept(&listener);
        // More than the kernel takes, and begun.
        linker.send(&to, "large", &vec![b'x'; 15 << 20]);
        assert_eq!(first_line(&mut stale), "POST /process/large HTTP/1.1");
        until(|| runtime.try_reserve(&to).is_err());
        linker.link(&to, Reconnect);
        let mut new = accept(&listener);
        until(|| runtime.try_reserve(&to).is_ok());
        linker.send(&to, "after", b"");
        assert_eq!(first_line(&mut new), "POST /process/after HTTP/1.1");
        drop(stale);
        linker.has_no_more();
    });
}

/// A message that no peer would take is refused before it is sent, and what others send over the same connection is not disturbed.
#[test]
fn a_message_that_is_too_large_is_refused_alone() {
    on_each(|kind| {
        let options = RemoteOptions::new().message_bytes(1_000);
        let here = kind.build(|builder| builder.remote(options));
        let there = kind.build(|builder| builder.http_limits(Limits::new().body_bytes(1_000)));
        let (other, receiver) = (station(&here, "other"), station(&there, "receiver"));
        let to = receiver.upid();
        other.link(&to, Reuse);
        for (name, body) in [("x".repeat(2_500), 0), ("large".to_owned(), 1_001)] {
            let before = here.stats().dead_letters;
            here.post(&to, name.clone(), vec![b'x'; body]);
            assert_eq!(here.stats().dead_letters, before + 1);
            let letters = here.stats().last_dead_letters;
            let letter = letters.last().expect("one");
            assert_eq!(letter.reason, DeadLetterReason::TooLarge);
            assert_eq!((&letter.to, &*letter.name), (&to, &*name));
        }
        // As long as they may be.
        other.send(&to, &"%".repeat(2_500 - "receiver".len()), b"");
        other.send(&to, "x", &[b'x'; 1_000]);
        assert_eq!(receiver.message().0.len(), 2_500 - "receiver".len());
        assert_eq!(receiver.message().2.len(), 1_000);
        other.has_no_more();
    });
}

/// Nor does it take the place of an address that something could be sent to.
#[test]
fn what_is_too_large_takes_no_place() {
    on_each(|kind| {
        let options = RemoteOptions::new().peers(1).message_bytes(1_000);
        let here = kind.build(|builder| builder.remote(options));
        let there = kind.runtime();
        let (sender, receiver) = (station(&here, "sender"), station(&there, "receiver"));
        for port in 1..=3 {
            let nobody: SocketAddr = ([127, 0, 0, 1], port).into();
            here.post(Upid::new("nobody", nobody), "large", vec![b'x'; 1_001]);
            let letters = here.stats().last_dead_letters;
            let letter = letters.last().expect("one");
            assert_eq!(letter.reason, DeadLetterReason::TooLarge);
        }
        sender.send(&receiver.upid(), "small", b"");
        assert_eq!(receiver.message().0, "small");
    });
}

/// A sender's name is in each message twice, and counts.
#[test]
fn a_sender_with_a_long_name_breaks_no_connection() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let (here, there) = (kind.runtime(), kind.runtime());
        let (good, receiver) = (station(&here, "good"), station(&there, "receiver"));
        let long = station(&here, &"x".repeat(17_000));
        let to = receiver.upid();
        good.link(&to, Reuse);
        long.send(&to, "from afar", b"");
        let letters = here.stats().last_dead_letters;
        let letter = letters.last().expect("one");
        assert_eq!(letter.reason, DeadLetterReason::TooLarge);
        good.send(&to, "near", b"");
        assert_eq!(receiver.message().0, "near");
        good.has_no_more();
    });
}

/// As many requests as a connection may bring are no bound of its messages: it may be a link.
#[test]
fn messages_are_no_requests_that_are_counted() {
    on_each(|kind| {
        let here = kind.runtime();
        let there = kind.build(|builder| builder.http_limits(Limits::new().requests(3)));
        let (sender, receiver) = (station(&here, "sender"), station(&there, "receiver"));
        let to = receiver.upid();
        sender.link(&to, Reuse);
        for number in 0..50 {
            sender.send(&to, &number.to_string(), b"");
        }
        for number in 0..50 {
            assert_eq!(receiver.message().0, number.to_string());
        }
        sender.has_no_more();
    });
}

/// Spaces at the ends of a field do not belong to it, and so are written otherwise.
#[test]
fn ids_with_spaces_disturb_nobody() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let (here, there) = (kind.runtime(), kind.runtime());
        let (good, receiver) = (station(&here, "good"), station(&there, "receiver"));
        let to = receiver.upid();
        good.link(&to, Reuse);
        for id in [" a", "a ", " ", "a b", "\ta", "\u{a0}a"] {
            let odd = station(&here, id);
            odd.send(&to, id, b"");
            assert_eq!(receiver.message().0, id);
        }
        good.has_no_more();
    });
}

/// More links than a peer takes in one message.
#[test]
fn many_links_are_told_in_pieces() {
    const LINKS: usize = 1_500;
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let here = kind.runtime();
        let limits = Limits::new().body_bytes(32 << 10);
        let there = kind.build(|builder| builder.http_limits(limits));
        let linker = station(&here, "linker");
        let linked: Vec<_> = (0..LINKS)
            .map(|number| station(&there, &format!("a-process-with-a-name-{number}")))
            .collect();
        let to: Vec<_> = linked.iter().map(At::upid).collect();
        let messages = |runtime: &Runtime| runtime.stats().events.messages;
        linker.does(move |cx| to.iter().for_each(|to| cx.link(to)));
        // Each is answered when all of it is known.
        until(|| messages(&here) > 2);
        for place in [0, LINKS / 2, LINKS - 1] {
            let ended = linked[place].upid();
            libprocess::terminate(linked[place].pid);
            assert_eq!(linker.exited(), ended);
        }
        linker.has_no_more();
    });
}

/// Silence counts from when it was asked for something: a connection may have been silent for long before somebody linked by it.
#[test]
fn the_heartbeat_of_an_old_connection_has_its_time() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let runtime =
            kind.with_heartbeat(|options| options.idle_timeout(Duration::from_secs(1_000)));
        let pass = |seconds| pass(&runtime, seconds);
        let linker = station(&runtime, "linker");
        let listener = TcpListener::bind(any()).expect("a listener");
        let process = upid("process", listener.local_addr().expect("an address"));
        linker.send(&process, "hello", b"");
        let mut stream = accept(&listener);
        assert_eq!(first_line(&mut stream), "POST /process/hello HTTP/1.1");
        pass(50);
        linker.link(&process, Reuse);
        // It is asked at once, as it was silent, and has four seconds from then.
        let line = first_line(&mut stream);
        assert_eq!(line, "POST /__links__/heartbeat HTTP/1.1");
        for _ in 0..3 {
            pass(1);
            linker.has_no_more();
        }
        pass(2);
        assert_eq!(linker.exited(), process);
    });
}

/// What the connection before has not answered is not held against the one that took its place.
#[test]
fn the_heartbeat_begins_anew_with_a_connection() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let runtime = kind.with_heartbeat(|options| options);
        let pass = |seconds| pass(&runtime, seconds);
        let linker = station(&runtime, "linker");
        let listener = TcpListener::bind(any()).expect("a listener");
        let process = upid("process", listener.local_addr().expect("an address"));
        linker.link(&process, Reuse);
        linker.send(&process, "hello", b"");
        let mut old = accept(&listener);
        assert_eq!(first_line(&mut old), "POST /process/hello HTTP/1.1");
        let beat = "POST /__links__/heartbeat HTTP/1.1";
        pass(2);
        assert_eq!(first_line(&mut old), beat);
        linker.link(&process, Reconnect);
        linker.send(&process, "again", b"");
        let mut new = accept(&listener);
        assert_eq!(first_line(&mut new), "POST /process/again HTTP/1.1");
        for _ in 0..2 {
            pass(2);
            assert_eq!(first_line(&mut new), beat);
            linker.has_no_more();
        }
        pass(2);
        assert_eq!(linker.exited(), process);
    });
}

/// An IPv4 sender is at its address also where it comes over IPv6.
#[test]
fn a_sender_of_ipv4_is_where_it_says_at_a_listener_of_ipv6() {
    let options = RemoteOptions::new().require_peer_address_ip_match(true);
    let built = Runtime::builder()
        .workers(1)
        .listen("[::]:0".parse().expect("an address"))
        .remote(options)
        .build();
    let Ok(runtime) = built else {
        return println!("SKIPPED: this machine has no IPv6");
    };
    let receiver = station(&runtime, "receiver");
    let port = runtime.local_address().expect("it listens").port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    for (from, status) in [("127.0.0.1", 202), ("127.0.0.2", 400)] {
        write!(
            stream,
            "POST /receiver/x HTTP/1.1\r\nLibprocess-From: a@{from}:1\r\nHost: a\r\n\r\n"
        )
        .expect("sent");
        let answer = one(&mut stream);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    receiver.message();
    receiver.has_no_more();
}

/// Where there are as many peers as there may be, nobody is told that there is room.
#[test]
fn there_is_no_room_where_there_is_no_place_for_a_peer() {
    on_each(|kind| {
        let options = RemoteOptions::new().peers(1);
        let runtime = kind.build(|builder| builder.remote(options));
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_addr().expect("an address");
        runtime.post(upid("process", address), "x", "");
        let _stream = accept(&listener);
        let other = upid("process", "127.0.0.1:1".parse().expect("an address"));
        assert!(runtime.try_reserve(&other).is_err());
        let permit = runtime.reserve(&other);
        assert!(permit.get().is_err());
    });
}
