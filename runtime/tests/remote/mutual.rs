//! Links between two of these runtimes, which tell each other of the ends of processes, too.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use super::common::serving::{connect, until};
use super::common::sockets::any;
use super::links::first_line;
use super::{At, Kind, RemoteConnection, Served, accept, on_each, pass, station, upid};
use libprocess::{Context, Pid, Process, Runtime, Upid, dispatch_with, terminate, terminate_with};

use RemoteConnection::{Reconnect, Reuse};

const TERMINATED: &str = "terminated";
const NEVER: &str = "had ended before, for a reason unknown";
const DISCONNECTED: &str = "cannot be reached any more";

fn exited(pid: &Upid, reason: &str) -> Served {
    Served::Exited(pid.clone(), reason.to_owned())
}

/// Links, and returns when the runtime there has answered for it: nobody has linked to that process before.
#[track_caller]
fn link(linker: &At, runtime: &Runtime, to: &Upid) {
    let messages = || runtime.stats().events.messages;
    let before = messages();
    linker.link(to, Reuse);
    until(|| messages() > before);
}

#[test]
fn the_end_of_a_process_elsewhere_is_told() {
    on_each(|kind: Kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let linkers = [station(&here, "one"), station(&here, "other")];
        let (ends, stays) = (station(&there, "ends"), station(&there, "stays"));
        link(&linkers[0], &here, &ends.upid());
        link(&linkers[0], &here, &stays.upid());
        linkers[1].link(&ends.upid(), Reuse);
        linkers[1].link(&stays.upid(), Reuse);
        let ended = ends.upid();
        terminate(ends.pid);
        for linker in &linkers {
            assert_eq!(linker.next(), exited(&ended, TERMINATED));
        }
        // The name is another's by now: that one was not linked to.
        let again = station(&there, "ends");
        link(&linkers[0], &here, &again.upid());
        terminate(again.pid);
        assert_eq!(linkers[0].next(), exited(&ended, TERMINATED));
        drop(there);
        for linker in &linkers {
            let stayed = upid("stays", ended.address().expect("an address"));
            // By its runtime, which ends it before its connection; or by that, which may end first.
            match linker.next() {
                Served::Exited(pid, reason) => {
                    assert_eq!(pid, stayed);
                    assert!([TERMINATED, DISCONNECTED].contains(&&*reason), "{reason}");
                }
                other => panic!("no exit: {other:?}"),
            }
            linker.send(&upid("x", here.address().expect("it listens")), "x", b"");
            linker.has_no_more();
        }
    });
}

#[test]
fn a_process_elsewhere_that_never_was_is_told_of() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let linker = station(&here, "linker");
        let nobody = upid("nobody \u{e9}", there.address().expect("it listens"));
        for connection in [Reuse, Reconnect, Reuse] {
            linker.link(&nobody, connection);
            assert_eq!(linker.next(), exited(&nobody, NEVER));
        }
        linker.has_no_more();
    });
}

struct Panics;

impl Process for Panics {}

#[test]
fn why_a_process_elsewhere_has_ended_is_told() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let linker = station(&here, "linker");
        let panics = there.spawn(Panics);
        let to: Upid = panics.to_string().parse().expect("its own text");
        link(&linker, &here, &to);
        dispatch_with(panics, |_: &mut Panics, _: &mut Context<Panics>| {
            panic!("50% of\n{}", "it")
        })
        .detach();
        assert_eq!(linker.next(), exited(&to, "panicked: 50% of\nit"));
    });
}

/// Sends many, and ends.
struct Last(Upid);

impl Process for Last {}

fn last_words(runtime: &Runtime, last: Pid<Last>) {
    let said = runtime.dispatch_with(last, |last: &mut Last, cx: &mut Context<Last>| {
        for number in 0..200 {
            cx.send(&last.0, format!("{number}"), vec![b'x'; number * 40]);
        }
    });
    said.detach();
}

#[test]
fn an_exit_comes_behind_what_was_sent_before() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let linker = station(&here, "linker");
        let last = there.spawn(Last(linker.upid()));
        let to: Upid = last.to_string().parse().expect("its own text");
        link(&linker, &here, &to);
        last_words(&there, last);
        terminate_with(last, false);
        for number in 0..200 {
            assert_eq!(linker.message().0, number.to_string());
        }
        assert_eq!(linker.next(), exited(&to, TERMINATED));
    });
}

/// Linked both ways, as most are: neither hears of the other's end twice. (Why it has ended may be asked too late, as a connection is new.)
#[test]
fn both_may_link_to_each_other() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let (one, other) = (station(&here, "one"), station(&there, "other"));
        link(&one, &here, &other.upid());
        link(&other, &there, &one.upid());
        other.link(&one.upid(), Reconnect);
        let ended = one.upid();
        terminate(one.pid);
        assert_eq!(other.exited(), ended);
        let one = station(&here, "one");
        one.link(&other.upid(), Reuse);
        let ended = other.upid();
        terminate(other.pid);
        assert_eq!(one.exited(), ended);
        one.has_no_more();
    });
}

/// Who has ended is not told, and those that stay are.
#[test]
fn links_of_those_that_have_ended_are_forgotten() {
    on_each(|kind| {
        let (here, there) = (kind.runtime(), kind.runtime());
        let (stays, ends) = (station(&here, "stays"), station(&here, "ends"));
        let (one, other) = (station(&there, "one"), station(&there, "other"));
        link(&stays, &here, &one.upid());
        ends.link(&one.upid(), Reuse);
        link(&ends, &here, &other.upid());
        terminate(ends.pid);
        assert!(libprocess::wait(ends.pid).has_ended());
        let (first, _) = (one.upid(), other.upid());
        terminate(other.pid);
        terminate(one.pid);
        assert_eq!(stays.next(), exited(&first, TERMINATED));
        stays.has_no_more();
        assert_eq!(here.stats().dead_letters, 0);
    });
}

/// Something that the runtime does behind what it has been told to do: of what came before nothing is under way then.
fn in_turn(runtime: &Runtime) {
    let mut behind = connect(runtime.address().expect("it listens"));
    super::common::serving::ask(&mut behind, "/help");
    super::common::answers::one(&mut behind);
    let settled = runtime.clock().settle();
    settled.expect("outside of a process, and paused");
}

/// Links are renewed as time passes, and what the other runtime has forgotten meanwhile is told anew.
#[test]
fn time_changes_nothing() {
    const RENEWAL: Duration = Duration::from_secs(10);
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let (here, there) = (kind.runtime(), kind.runtime());
        here.clock().pause();
        there.clock().pause();
        let messages = |runtime: &Runtime| runtime.stats().events.messages;
        let linker = station(&here, "linker");
        let (ends, stays) = (station(&there, "ends"), station(&there, "stays"));
        link(&linker, &here, &ends.upid());
        link(&linker, &here, &stays.upid());
        let pass = |answers: u64| {
            let before = messages(&here);
            in_turn(&here);
            here.clock().advance(RENEWAL);
            // It asks, and is answered.
            until(|| messages(&here) >= before + answers);
        };
        for _ in 0..20 {
            pass(1);
            in_turn(&there);
            there.clock().advance(RENEWAL);
        }
        linker.has_no_more();
        // While nothing comes from here it forgets.
        for _ in 0..20 {
            in_turn(&there);
            there.clock().advance(RENEWAL);
        }
        in_turn(&there);
        // It says so, and is told again.
        pass(2);
        let ended = ends.upid();
        terminate(ends.pid);
        assert_eq!(linker.next(), exited(&ended, TERMINATED));
        linker.has_no_more();
    });
}

/// A peer that is one of these, says so once, and then nothing: as one whose program stands still.
#[test]
fn a_runtime_that_answers_no_more_counts_as_gone() {
    on_each(|kind| {
        if kind.faults.is_some() {
            return;
        }
        let runtime = kind.runtime();
        let clock = runtime.clock();
        clock.pause();
        let linker = station(&runtime, "linker");
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let process = upid("process", address);
        linker.link(&process, Reuse);
        let mut stream = accept(&listener);
        let mut asking = accept(&listener);
        assert_eq!(first_line(&mut asking), "GET /__links__ HTTP/1.1");
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nlibprocess links 1";
        asking.write_all(answer.as_bytes()).expect("sent");
        assert_eq!(first_line(&mut stream), "POST /__links__/link HTTP/1.1");
        let mut rest = String::new();
        while !rest.ends_with("0\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a body");
            rest.push(char::from(byte[0]));
        }
        let token = rest
            .lines()
            .find(|line| line.parse::<u64>().is_ok_and(|token| token > 1 << 20));
        let token = token.expect("a token").to_owned();
        // Answered once, in the way of a runtime that can.
        let mut back = connect(runtime.address().expect("it listens"));
        let length = token.len();
        write!(
            back,
            "POST /__links__/renewed HTTP/1.1\r\nLibprocess-From: __links__@{address}\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{token}"
        )
        .expect("sent");
        assert!(super::common::answers::one(&mut back).starts_with("HTTP/1.1 202 "));
        for _ in 0..7 {
            clock.settle().expect("outside of a process, and paused");
            linker.has_no_more();
            clock.advance(Duration::from_secs(10));
        }
        assert_eq!(linker.next(), exited(&process, DISCONNECTED));
    });
}

/// A C++ libprocess that stands still, whose machine is well: noticed by its silence, if that is asked for.
#[test]
fn a_peer_whose_heart_does_not_beat_counts_as_gone() {
    on_each(|kind| {
        // With one worker what comes first is read first.
        if kind.faults.is_some() || kind.workers > 1 {
            return;
        }
        let runtime = kind.with_heartbeat(|options| options);
        let pass = || pass(&runtime, 2);
        let linker = station(&runtime, "linker");
        let listener = TcpListener::bind(any()).expect("a listener");
        let process = upid("process", listener.local_addr().expect("an address"));
        linker.link(&process, Reuse);
        let mut stream = accept(&listener);
        // It knows that it is connected.
        linker.send(&process, "hello", b"");
        assert_eq!(first_line(&mut stream), "POST /process/hello HTTP/1.1");
        for _ in 0..10 {
            pass();
            let line = first_line(&mut stream);
            assert_eq!(line, "POST /__links__/heartbeat HTTP/1.1");
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).expect("sent");
            in_turn(&runtime);
        }
        linker.has_no_more();
        for _ in 0..3 {
            linker.has_no_more();
            pass();
        }
        assert_eq!(linker.next(), exited(&process, DISCONNECTED));
    });
}
