//! Peers that take nothing, that are gone, that come back, and that are no peers.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::common::serving::{connect, until};
use super::common::sockets::{LONG, any};
use super::links::first_line;
use super::{Kind, RemoteOptions, accept, on_each, station, upid};
use libprocess::{DeadLetterReason, TrySendError};

/// What waits for a peer that does not read is bounded, and who wants to wait for room can.
#[test]
fn a_peer_that_takes_nothing_is_sent_a_bounded_amount() {
    const MOST: usize = 1 << 20;
    const LONG_BODY: usize = 64 << 20;
    on_each(|kind: Kind| {
        let options = RemoteOptions::new()
            .outbound_bytes(MOST)
            .message_bytes(LONG_BODY);
        let runtime = kind.build(|builder| builder.remote(options));
        let sender = station(&runtime, "sender");
        let listener = TcpListener::bind(any()).expect("a listener");
        let to = upid("process", listener.local_addr().expect("an address"));
        sender.send(&to, "first", b"");
        let mut stream = accept(&listener);
        assert_eq!(first_line(&mut stream), "POST /process/first HTTP/1.1");
        // More than the kernel takes, however its buffers grow: until all of it is sent nothing else is taken.
        runtime.post(&to, "body", vec![b'x'; LONG_BODY]);
        let refused = runtime.try_reserve(&to).expect_err("it is too much");
        assert_eq!(refused, TrySendError::Full(to.clone()));
        sender.send(&to, "refused", b"");
        assert_eq!(runtime.stats().refused, 1);
        let letters = runtime.stats().last_dead_letters;
        let letter = letters.last().expect("one");
        assert_eq!(letter.reason, DeadLetterReason::Full);
        assert_eq!((&letter.to, &*letter.name), (&to, "refused"));
        let refused = to.clone();
        sender.does(move |cx| {
            let refused = cx.try_send(&refused, "tried", "x");
            assert!(matches!(refused, Err(TrySendError::Full(message)) if message.body == "x"));
        });
        let permit = runtime.reserve(&to);
        assert!(permit.is_pending());
        // Once it reads, there is room, and all that was taken arrives.
        let reader = std::thread::spawn(move || {
            assert_eq!(first_line(&mut stream), "POST /process/body HTTP/1.1");
            let framing = format!("{LONG_BODY:x}\r\n").len() + "\r\n0\r\n\r\n".len();
            let mut rest = vec![0; LONG_BODY + framing];
            stream.read_exact(&mut rest).expect("a body");
            assert!(rest.ends_with(b"x\r\n0\r\n\r\n"));
            assert_eq!(first_line(&mut stream), "POST /process/last HTTP/1.1");
        });
        let permit = permit.get_timeout(LONG).expect("there is room");
        permit.post("last", "");
        reader.join().expect("it read");
        assert_eq!(runtime.stats().refused, 1);
    });
}

#[test]
fn who_is_not_there_is_sent_to_when_he_is() {
    on_each(|kind| {
        let runtime = kind.plain();
        let sender = station(&runtime, "sender");
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let to = upid("process", address);
        for _ in 0..3 {
            // So that it is told when the connection has ended: what is sent before that is lost with it.
            sender.link(&to, super::RemoteConnection::Reuse);
            sender.send(&to, "first", b"");
            let mut stream = accept(&listener);
            assert_eq!(first_line(&mut stream), "POST /process/first HTTP/1.1");
            sender.send(&to, "second", b"");
            assert_eq!(first_line(&mut stream), "POST /process/second HTTP/1.1");
            drop(stream);
            assert_eq!(sender.exited(), to);
        }
        drop(listener);
        let lost = runtime.stats().dead_letters;
        sender.send(&to, "lost", b"");
        until(|| runtime.stats().dead_letters > lost);
        let listener = TcpListener::bind(address).expect("the same address");
        sender.send(&to, "found", b"");
        let mut stream = accept(&listener);
        assert_eq!(first_line(&mut stream), "POST /process/found HTTP/1.1");
    });
}

/// A peer whose answers come to addresses that it made up: their number is bounded.
#[test]
fn the_number_of_peers_is_bounded() {
    on_each(|kind| {
        let options = RemoteOptions::new().peers(2).negotiate_links(false);
        let runtime = kind.build(|builder| builder.remote(options));
        let sender = station(&runtime, "sender");
        let listeners: Vec<_> = (0..3)
            .map(|_| TcpListener::bind(any()).expect("a listener"))
            .collect();
        let address = |place: usize| listeners[place].local_addr().expect("an address");
        let mut streams = Vec::new();
        for (place, listener) in listeners[..2].iter().enumerate() {
            sender.send(&upid("process", address(place)), "x", b"");
            streams.push(accept(listener));
        }
        let third = upid("process", address(2));
        sender.send(&third, "x", b"");
        assert_eq!(runtime.stats().refused, 1);
        sender.link(&third, super::RemoteConnection::Reuse);
        assert_eq!(sender.exited(), third);
        // When one has gone there is a place.
        drop(streams);
        until(|| {
            sender.send(&third, "x", b"");
            listeners[2].set_nonblocking(true).expect("an option");
            listeners[2].accept().is_ok()
        });
    });
}

/// Whoever sends garbage to a runtime is answered as any bad client, and what is sent meanwhile arrives.
#[test]
fn garbage_does_not_disturb_others() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let (sender, receiver) = (station(&here, "sender"), station(&there, "receiver"));
        let address = there.address().expect("it listens");
        let head = "POST /receiver/x HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nHost: a\r\n";
        let endless = format!("{head}X: {}", "y".repeat(40_000));
        let large = format!("{head}Content-Length: 1000000000\r\n\r\n");
        let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n3b9aca00\r\n");
        for (number, (garbage, status)) in [
            ("\0\u{1}\u{2}garbage\r\n\r\n", 400),
            (&*endless, 431),
            (&*large, 413),
            (&*chunk, 413),
        ]
        .into_iter()
        .enumerate()
        {
            let mut stream = connect(address);
            // It may be told before it has said all.
            let _told = stream.write_all(garbage.as_bytes());
            sender.send(&receiver.upid(), &number.to_string(), b"");
            assert_eq!(receiver.message().0, number.to_string());
            let answer = super::common::answers::one(&mut stream);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        }
        receiver.has_no_more();
    });
}

/// Those who claim to be many, and whose answers go nowhere.
#[test]
fn many_senders_of_one_connection_leave_nothing_behind() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let runtime = kind.runtime();
        let station = station(&runtime, "station");
        let mut stream = connect(runtime.address().expect("it listens"));
        let reading = stream.try_clone().expect("a clone");
        let count = 2_000 * super::scale();
        let reader = std::thread::spawn(move || {
            let mut reading = std::io::BufReader::new(reading);
            for _ in 0..count {
                assert!(super::common::answers::one(&mut reading).starts_with("HTTP/1.1 202 "));
            }
        });
        for number in 0..count {
            // Nobody listens there: each answer is a connection that is refused.
            let request = format!(
                "POST /station/ping HTTP/1.1\r\nLibprocess-From: id{number}@127.0.0.1:1\r\nHost: a\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).expect("sent");
        }
        for number in 0..count {
            let from = upid(
                &format!("id{number}"),
                "127.0.0.1:1".parse().expect("an address"),
            );
            assert_eq!(station.message(), ("ping".into(), from, Vec::new()));
        }
        reader.join().expect("all were answered");
        until(|| runtime.stats().dead_letters == count as u64);
    });
}

/// More connections than are taken, and such as say something and nothing more: those that were there go on, and so does what is local.
#[test]
fn a_flood_of_connections_disturbs_nobody() {
    const MOST: usize = 40;
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let limits = libprocess::http::Limits::new().connections(MOST);
        let there = kind.build(|builder| builder.http_limits(limits));
        let here = kind.runtime();
        let (sender, receiver) = (station(&here, "sender"), station(&there, "receiver"));
        let (local, to) = (station(&there, "local"), receiver.upid());
        sender.send(&to, "before", b"");
        assert_eq!(receiver.message().0, "before");
        // A connection is a process of the runtime.
        let before = there.stats().alive;
        for round in 0..3 {
            let mut flood: Vec<_> = (0..4 * MOST)
                .map(|_| connect(there.address().expect("it listens")))
                .collect();
            for stream in &mut flood {
                // It may have been closed already.
                let _sent = stream.write_all(b"POST /receiver/x HTTP/1.1\r\nLibprocess-From: a@1");
            }
            sender.send(&to, &format!("during {round}"), b"");
            assert_eq!(receiver.message().0, format!("during {round}"));
            local.send(&receiver.pid.into(), "local", b"");
            assert_eq!(receiver.message().0, "local");
        }
        until(|| there.stats().alive <= before);
        let late = station(&here, "late");
        let other = kind.runtime();
        // There is a place again for who was not there.
        other.post(&to, "after", "");
        assert_eq!(receiver.message().0, "after");
        late.send(&to, "late", b"");
        assert_eq!(receiver.message().0, "late");
    });
}
