//! Links between runtimes: as libprocess's tests of remote links have them, and what those leave open.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use super::common::sockets::any;
use super::{At, Kind, RemoteConnection, Served, accept, on_each, station, upid};
use libprocess::terminate;

use RemoteConnection::{Reconnect, Reuse};

/// A peer that a test plays: it takes connections, and says nothing.
struct Peer {
    listener: TcpListener,
}

impl Peer {
    fn new() -> Self {
        let listener = TcpListener::bind(any()).expect("a listener");
        Self { listener }
    }

    fn process(&self, id: &str) -> libprocess::Upid {
        upid(id, self.listener.local_addr().expect("an address"))
    }

    /// The connection of a link, or of messages.
    fn accept(&self) -> TcpStream {
        accept(&self.listener)
    }
}

/// Up to the end of the head of a message without a body.
#[track_caller]
pub(super) fn first_line(stream: &mut TcpStream) -> String {
    let head = super::common::answers::head(stream);
    head.lines().next().expect("a line").to_owned()
}

#[test]
fn a_link_is_told_when_the_connection_breaks() {
    on_each(|kind| {
        let peer = Peer::new();
        let runtime = kind.plain();
        let linkers = [station(&runtime, "one"), station(&runtime, "other")];
        let (first, second) = (peer.process("first"), peer.process("second"));
        for linker in &linkers {
            linker.link(&first, Reuse);
            // Twice is once.
            linker.link(&first, Reuse);
            linker.link(&second, Reuse);
        }
        let stream = peer.accept();
        for linker in &linkers {
            linker.has_no_more();
        }
        drop(stream);
        for linker in &linkers {
            let mut told = [linker.exited(), linker.exited()];
            told.sort();
            let mut expected = [first.clone(), second.clone()];
            expected.sort();
            assert_eq!(told, expected);
        }
        for linker in &linkers {
            linker.send(
                &upid("nobody", runtime.address().expect("it listens")),
                "x",
                b"",
            );
            linker.has_no_more();
        }
    });
}

#[test]
fn a_link_to_where_nobody_listens_is_told_at_once() {
    on_each(|kind| {
        let runtime = kind.plain();
        let linker = station(&runtime, "linker");
        let closed = {
            let peer = Peer::new();
            peer.process("process")
        };
        for connection in [Reuse, Reconnect] {
            linker.link(&closed, connection);
            match linker.next() {
                Served::Exited(pid, reason) => {
                    assert_eq!(pid, closed);
                    assert_eq!(reason, "cannot be reached any more");
                }
                other => panic!("no exit: {other:?}"),
            }
        }
        linker.has_no_more();
    });
}

/// As to a process whose runtime has ended, and to one that is there again under the same name and address.
#[test]
fn who_was_told_may_link_again() {
    on_each(|kind| {
        let runtime = kind.plain();
        let linker = station(&runtime, "linker");
        let peer = Peer::new();
        let process = peer.process("process");
        for _ in 0..3 {
            linker.link(&process, Reuse);
            drop(peer.accept());
            assert_eq!(linker.exited(), process);
        }
        linker.has_no_more();
    });
}

#[test]
fn a_relink_keeps_the_links_and_takes_another_connection() {
    on_each(|kind| {
        let runtime = kind.plain();
        let (linker, relinker) = (station(&runtime, "linker"), station(&runtime, "relinker"));
        let peer = Peer::new();
        let process = peer.process("process");
        linker.link(&process, Reuse);
        relinker.link(&process, Reuse);
        let mut old = peer.accept();
        linker.send(&process, "before", b"");
        assert_eq!(first_line(&mut old), "POST /process/before HTTP/1.1");
        relinker.link(&process, Reconnect);
        let mut new = peer.accept();
        linker.send(&process, "after", b"");
        assert_eq!(first_line(&mut new), "POST /process/after HTTP/1.1");
        // The old one ends, and nobody is told.
        assert_eq!(old.read_to_end(&mut Vec::new()).expect("an end"), 0);
        drop(old);
        linker.send(&process, "still", b"");
        assert_eq!(first_line(&mut new), "POST /process/still HTTP/1.1");
        linker.has_no_more();
        relinker.has_no_more();
        drop(new);
        assert_eq!(linker.exited(), process);
        assert_eq!(relinker.exited(), process);
    });
}

/// What libprocess calls a stale link: the peer takes nothing any more, and has not said so.
#[test]
fn to_use_a_stale_link_tells_of_it() {
    on_each(|kind| {
        let runtime = kind.plain();
        let linker = station(&runtime, "linker");
        let peer = Peer::new();
        let process = peer.process("process");
        linker.link(&process, Reuse);
        let stream = peer.accept();
        linker.has_no_more();
        // As when its machine has started anew: what comes is answered by a reset.
        super::common::serving::reset(stream);
        assert_eq!(linker.exited(), process);
    });
}

#[test]
fn to_relink_before_a_stale_link_is_used_delivers_the_message() {
    on_each(|kind| {
        let runtime = kind.plain();
        let linker = station(&runtime, "linker");
        let peer = Peer::new();
        let process = peer.process("process");
        linker.link(&process, Reuse);
        let stale = peer.accept();
        linker.link(&process, Reconnect);
        linker.send(&process, "whatever", b"");
        let mut new = peer.accept();
        assert_eq!(first_line(&mut new), "POST /process/whatever HTTP/1.1");
        drop(stale);
        linker.has_no_more();
        drop(new);
        assert_eq!(linker.exited(), process);
    });
}

#[test]
fn who_has_ended_is_told_nothing() {
    on_each(|kind| {
        let runtime = kind.plain();
        let (stays, ends) = (station(&runtime, "stays"), station(&runtime, "ends"));
        let peer = Peer::new();
        let process = peer.process("process");
        stays.link(&process, Reuse);
        ends.link(&process, Reuse);
        let stream = peer.accept();
        terminate(ends.pid);
        assert!(libprocess::wait(ends.pid).has_ended());
        drop(stream);
        assert_eq!(stays.exited(), process);
        assert_eq!(runtime.stats().dead_letters, 0);
    });
}

/// One end's messages keep their order behind a link, and a peer's answers do not disturb them: late, early, or none that are any.
#[test]
fn what_a_peer_answers_is_of_no_consequence() {
    on_each(|kind: Kind| {
        let runtime = kind.plain();
        let linker = station(&runtime, "linker");
        let peer = Peer::new();
        let process = peer.process("process");
        linker.link(&process, Reuse);
        let mut stream = peer.accept();
        stream
            .write_all(b"HTTP/1.1 202 Accepted\r\n")
            .expect("sent");
        for number in 0..20 {
            linker.send(&process, &number.to_string(), b"");
            let line = first_line(&mut stream);
            assert_eq!(line, format!("POST /process/{number} HTTP/1.1"));
            let answer = match number % 4 {
                0 => "\r\n\r\nHTTP/1.1 500 Oh no\r\nContent-Length: 1000\r\n\r\n",
                1 => "garbage\0\u{7f}",
                2 => "",
                _ => "HTTP/9.9 999 \r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
            };
            stream.write_all(answer.as_bytes()).expect("sent");
        }
        linker.has_no_more();
    });
}

/// A connection is there for as long as somebody is linked by it, and for the time that an idle one has otherwise.
#[test]
fn an_idle_connection_ends_unless_somebody_is_linked() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let runtime = kind.plain();
        let clock = runtime.clock();
        clock.pause();
        let settle = || clock.settle().expect("outside of a process, and paused");
        let linker = station(&runtime, "linker");
        let peer = Peer::new();
        let process = peer.process("process");
        linker.link(&process, Reuse);
        let mut stream = peer.accept();
        linker.send(&process, "hello", b"");
        assert_eq!(first_line(&mut stream), "POST /process/hello HTTP/1.1");
        for _ in 0..10 {
            settle();
            clock.advance(Duration::from_secs(3_600));
        }
        settle();
        linker.send(&process, "still", b"");
        assert_eq!(first_line(&mut stream), "POST /process/still HTTP/1.1");
        terminate(linker.pid);
        assert!(libprocess::wait(linker.pid).has_ended());
        settle();
        clock.advance(Duration::from_secs(59));
        settle();
        stream.set_nonblocking(true).expect("an option");
        let nothing = stream.read(&mut [0]).expect_err("it is there");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).expect("an option");
        clock.advance(Duration::from_secs(1));
        assert_eq!(stream.read_to_end(&mut Vec::new()).expect("an end"), 0);
        drop(stream);
        // The next message has one of its own.
        let other = station(&runtime, "other");
        other.send(&process, "again", b"");
        let mut stream = peer.accept();
        assert_eq!(first_line(&mut stream), "POST /process/again HTTP/1.1");
        assert_eq!(runtime.stats().dead_letters, 0);
    });
}

/// The other half of a link: a libprocess that links to one of ours opens a connection over which it says nothing, and takes its end for the end of ours.
#[test]
fn a_connection_that_says_nothing_is_not_closed() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let runtime = kind.plain();
        let clock = runtime.clock();
        clock.pause();
        let settle = || clock.settle().expect("outside of a process, and paused");
        let station: At = station(&runtime, "station");
        let address = runtime.address().expect("it listens");
        let mut silent = super::common::serving::connect(address);
        let mut sending = super::common::serving::connect(address);
        let message =
            "POST /station/x HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:1\r\nHost: a\r\n\r\n";
        sending.write_all(message.as_bytes()).expect("sent");
        station.message();
        for _ in 0..10 {
            settle();
            clock.advance(Duration::from_secs(3_600));
        }
        settle();
        for stream in [&mut silent, &mut sending] {
            stream.write_all(message.as_bytes()).expect("sent");
            station.message();
        }
        // What began and does not go on is a client that is late.
        silent.write_all(b"POST /sta").expect("sent");
        let mut answers = String::new();
        let mut late = silent.try_clone().expect("a clone");
        late.set_read_timeout(Some(Duration::from_millis(1)))
            .expect("an option");
        while !answers.contains("408") {
            settle();
            clock.advance(Duration::from_secs(10));
            let mut piece = [0; 1024];
            if let Ok(length) = late.read(&mut piece) {
                assert!(length > 0, "{answers}");
                answers += &String::from_utf8_lossy(&piece[..length]);
            }
        }
        silent.shutdown(Shutdown::Both).ok();
    });
}
