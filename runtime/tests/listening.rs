//! When a runtime that was not told where to listen does: once somebody asks, and never before.

mod common;

use std::collections::HashSet;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::http::answers_at;
use common::sockets::LONG;
use common::{HANG, Idle, again, gate, runtime};
use libprocess::{
    Context, MessageEvent, Process, Runtime, Upid, dispatch_with, post, terminate, wait,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The address in the text of a pid.
fn address_in(name: &str) -> SocketAddr {
    let (_, address) = name.rsplit_once('@').expect("id@ip:port");
    address.parse().expect("an address")
}

#[test]
fn others_reach_a_process_by_what_its_pid_prints() {
    let runtime = runtime(1);
    let idle = runtime.spawn_named("idle", Idle).expect("spawned");
    let name = idle.to_string();
    assert!(name.starts_with("idle@127.0.0.1:"), "{name}");
    let other = thread::spawn(move || answers_at(address_in(&name)));
    other.join().expect("answered");
    assert_eq!(runtime.address(), Some(address_in(&idle.to_string())));
}

#[test]
fn all_who_ask_at_once_are_told_the_same() {
    const THREADS: usize = 8;
    for _ in 0..20 * common::scale() {
        let runtime = runtime(2);
        let idle = runtime.spawn(Idle);
        let together = Barrier::new(THREADS);
        let told = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let (runtime, together) = (&runtime, &together);
                    scope.spawn(move || {
                        together.wait();
                        let told = match number % 4 {
                            0 => runtime.address(),
                            1 => runtime.local_address(),
                            2 => Some(address_in(&idle.to_string())),
                            _ => {
                                let asked = dispatch_with(idle, |_, cx| cx.pid().to_string());
                                asked.get().ok().map(|name| address_in(&name))
                            }
                        };
                        let told = told.expect("it listens");
                        answers_at(told);
                        told
                    })
                })
                .collect();
            let told = threads.into_iter().map(|thread| thread.join());
            told.map(|told| told.expect("answered"))
                .collect::<HashSet<_>>()
        });
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

/// Nothing but the kernel is needed for others to connect; they are answered once a worker is free.
#[test]
fn the_only_worker_asks_in_a_handler_and_others_may_come_at_once() {
    let runtime = runtime(1);
    let idle = runtime.spawn(Idle);
    let (gate, stop) = gate();
    let (tell, told) = channel();
    let handled = dispatch_with(idle, move |_, cx| {
        tell.send(cx.pid().to_string()).expect("the test waits");
        stop();
    });
    let name = told.recv_timeout(HANG).expect("the name");
    gate.wait_until_reached();
    let waiting = TcpStream::connect(address_in(&name)).expect("connected");
    gate.open();
    handled.get_timeout(HANG).expect("handled");
    drop(waiting);
    answers_at(address_in(&name));
}

/// Who sends elsewhere says where he is, or nobody could answer.
#[test]
fn to_send_a_message_elsewhere_is_to_ask() {
    struct Echo;
    impl Process for Echo {
        fn consume_message(&mut self, event: MessageEvent, cx: &mut Context<Self>) {
            cx.send(&event.from, "answer", event.body.clone());
        }
    }
    struct Asking(Upid, std::sync::mpsc::Sender<Bytes>);
    impl Process for Asking {
        fn initialize(&mut self, cx: &mut Context<Self>) {
            cx.send(&self.0, "question", "42");
        }

        fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
            self.1.send(event.body.clone()).expect("the test waits");
        }
    }
    let (here, there) = (runtime(1), runtime(1));
    let name = there.spawn(Echo).to_string();
    let (tell, told) = channel();
    let upid = name.parse().expect("a name");
    let asking = here.spawn(Asking(upid, tell));
    assert_eq!(told.recv_timeout(HANG).as_deref(), Ok(&b"42"[..]));
    assert!(!format!("{asking:?}").contains("@0.0.0.0:0"), "{asking:?}");
}

/// The sockets, and what watches them, are of the runtime that is asked for, not of who asks.
#[test]
fn a_runtime_that_was_asked_for_by_another_outlives_that() {
    let (asks, asked) = (runtime(1), runtime(1));
    let idle = asked.spawn(Idle);
    let asking = asks.spawn(Idle);
    let name = dispatch_with(asking, move |_, _| idle.to_string());
    let address = address_in(&name.get_timeout(HANG).expect("the name"));
    answers_at(address);
    asks.shutdown();
    answers_at(address);
    assert_eq!(asked.address(), Some(address));
}

#[test]
fn a_runtime_that_listens_nowhere_never_does() {
    let runtime = Runtime::builder().workers(1).listen_nowhere().build();
    let runtime = runtime.expect("a runtime");
    let idle = runtime.spawn_named("idle", Idle).expect("spawned");
    assert_eq!(idle.to_string(), "idle@0.0.0.0:0");
    assert_eq!(runtime.local_address(), None);
    assert_eq!(runtime.find("help"), None);
    let stopped = runtime.stop_serving(LONG);
    stopped.get_timeout(HANG).expect("it serves nobody");
}

#[test]
fn who_asks_in_a_runtime_that_ends_is_told_of_no_address() {
    /// Prints its name where it ends.
    struct Last(std::sync::mpsc::Sender<String>);
    impl Process for Last {
        fn finalize(&mut self, cx: &mut Context<Self>) {
            let name = cx.pid().to_string();
            self.0.send(name).expect("the test waits");
        }
    }
    let (tell, told) = channel();
    let runtime = runtime(1);
    let options = libprocess::SpawnOptions::new().name("last");
    runtime.spawn_with(options, Last(tell)).expect("spawned");
    runtime.shutdown();
    assert_eq!(told.recv_timeout(HANG).as_deref(), Ok("last@0.0.0.0:0"));
}

#[test]
fn who_serves_nobody_any_more_does_not_begin_to_listen() {
    let runtime = runtime(1);
    let idle = runtime.spawn_named("idle", Idle).expect("spawned");
    let stopped = runtime.stop_serving(LONG);
    stopped.get_timeout(HANG).expect("it serves nobody");
    assert_eq!(runtime.address(), None);
    assert_eq!(idle.to_string(), "idle@0.0.0.0:0");
}

#[test]
fn who_stops_before_anything_was_accepted_closes_the_port() {
    let runtime = runtime(1);
    let idle = runtime.spawn(Idle);
    let (gate, stop) = gate();
    let handled = dispatch_with(idle, move |_, _| stop());
    gate.wait_until_reached();
    // The only worker is busy: the kernel alone takes connections.
    let address = runtime.address().expect("it listens");
    drop(TcpStream::connect(address).expect("connected"));
    let stopped = runtime.stop_serving(LONG);
    stopped.get_timeout(HANG).expect("it serves nobody");
    TcpStream::connect(address).expect_err("nobody listens");
    gate.open();
    handled.get_timeout(HANG).expect("handled");
    // Behind whatever was on its way to the worker.
    dispatch_with(idle, |_, _| ()).get().expect("handled");
    TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(runtime.address(), Some(address), "names stay");
}

/// What the descriptors of this OS process are, but files.
fn descriptors() -> Vec<String> {
    let folder = std::fs::read_dir("/proc/self/fd").expect("a folder");
    let links = folder.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let names = links.map(|link| link.display().to_string());
    names
        .filter(|name| name.starts_with("socket:") || name.starts_with("anon_inode:"))
        .collect()
}

/// At how many ports this OS process listens over TCP.
fn ports() -> usize {
    let own: HashSet<String> = descriptors().into_iter().collect();
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("a table");
    let listens = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_own = |inode: &&str| own.contains(&format!("socket:[{inode}]"));
        fields.get(3) == Some(&"0A") && fields.get(9).is_some_and(is_own)
    };
    table.lines().filter(listens).count()
}

/// Runs that test in a process of its own, and gives what it complains of.
fn alone(test: &str) -> String {
    let mut command: Command = again(test);
    for name in ["IP", "PORT"] {
        command.env_remove(format!("LIBPROCESS_{name}"));
    }
    let output = command.output().expect("this program again");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{complaint}");
    assert!(printed.contains("1 passed"), "{printed}");
    complaint
}

#[test]
fn nothing_is_opened_before_somebody_asks() {
    alone("look_before_and_after");
}

/// Not a test by itself: run by the one above.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn look_before_and_after() {
    let before = descriptors();
    let (tell, told) = channel();
    let runtime = Runtime::builder()
        .workers(2)
        .telemetry(true)
        .report_stuck_after(Duration::from_millis(1))
        .on_stuck(move |stuck| drop(tell.send(stuck.to_string())))
        .build()
        .expect("a runtime");
    let idle = runtime.spawn_owned(Idle);
    let pid = idle.pid();
    let (gate, stop) = gate();
    let handled = dispatch_with(pid, move |_, _| stop());
    let stuck = told.recv_timeout(HANG).expect("a report");
    assert!(stuck.contains("Idle("), "{stuck}");
    gate.open();
    handled.get_timeout(HANG).expect("handled");
    let ended = runtime.spawn(Idle);
    terminate(ended);
    wait(ended);
    post(ended, "late", "");
    let full = {
        let options = libprocess::SpawnOptions::new().mailbox_capacity(0);
        let full = runtime.spawn_owned_with(options, Idle).expect("spawned");
        let refused = dispatch_with(full.pid(), |_, _| ()).get();
        refused.expect_err("it has no room").to_string()
    };
    let looked = format!(
        "{pid:?} {:?} {idle:?} {:?} {full} {:?} {:?} {runtime:?}",
        pid.upid(),
        pid.upid().id(),
        runtime.stats(),
        runtime.telemetry(),
    );
    assert!(looked.contains("@0.0.0.0:0"), "{looked}");
    assert_eq!(runtime.stats().alive, 1, "nobody but what was spawned here");
    assert_eq!(runtime.stats().reactor, None);
    assert_eq!(descriptors(), before);
    assert_eq!(ports(), 0);

    let address = runtime.address().expect("it listens");
    assert_eq!(ports(), 1);
    answers_at(address);
    assert_eq!(
        pid.to_string(),
        format!("{pid:?}")[4..].trim_end_matches(')')
    );
    assert_eq!(runtime.local_address(), Some(address));
    assert_eq!(ports(), 1);
    drop(idle);
    runtime.shutdown();
    assert_eq!(ports(), 0);
}

#[test]
fn a_runtime_that_cannot_listen_says_so_once_and_goes_on() {
    let complaint = alone("ask_without_descriptors");
    let count = complaint.matches("cannot listen at 127.0.0.1:0").count();
    assert_eq!(count, 1, "{complaint}");
}

/// Not a test by itself: run by the one above.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn ask_without_descriptors() {
    let runtime = Arc::new(runtime(1));
    let idle = runtime.spawn_named("idle", Idle).expect("spawned");
    let limit = getrlimit(Resource::Nofile);
    let nothing = Rlimit {
        current: Some(0),
        ..limit
    };
    setrlimit(Resource::Nofile, nothing).expect("less is allowed");
    assert_eq!(runtime.address(), None);
    setrlimit(Resource::Nofile, limit).expect("what it was");
    // For good: a name that others have heard does not change.
    assert_eq!(idle.to_string(), "idle@0.0.0.0:0");
    assert_eq!(runtime.local_address(), None);
    assert_eq!(dispatch_with(idle, |_, _| 7).get(), Ok(7));
    assert_eq!(ports(), 0);
}
