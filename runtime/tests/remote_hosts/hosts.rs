//! The other host, and the link to it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libprocess::{Runtime, Upid};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::again;
use crate::receiver::Receiver;

/// What `scripts/netns` says.
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/netns runs this"))
}

/// How long troubles last, and how long they may.
pub(crate) fn seconds() -> Duration {
    let seconds = told("LIBPROCESS_HOSTS_SECONDS").parse();
    Duration::from_secs(seconds.expect("a number"))
}

/// What the link does to packets, until this is dropped.
pub(crate) struct Trouble;

impl Trouble {
    /// In the words of `tc netem`.
    pub(crate) fn new(words: &str) -> Self {
        // Made first, so that it ends also if it cannot begin.
        let trouble = Self;
        assert!(Self::set(words), "no trouble: {words}");
        trouble
    }

    fn set(words: &str) -> bool {
        let status = Command::new(told("LIBPROCESS_HOSTS_SCRIPT"))
            .args(["trouble", &told("LIBPROCESS_HOSTS")])
            .args(words.split_whitespace())
            .status();
        status.expect("the script").success()
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        let has_ended = Self::set("");
        assert!(has_ended || std::thread::panicking(), "the trouble goes on");
    }
}

/// What TCP on this host has counted.
pub(crate) fn tcp(counter: &str) -> u64 {
    for file in ["/proc/self/net/snmp", "/proc/self/net/netstat"] {
        let text = std::fs::read_to_string(file).expect("Linux tells");
        let lines: Vec<_> = text.lines().collect();
        // A line of names, and one of numbers.
        for pair in lines.chunks_exact(2) {
            let place = pair[0].split(' ').position(|name| name == counter);
            if let Some(number) = place.and_then(|place| pair[1].split(' ').nth(place)) {
                return number.parse().expect("a number");
            }
        }
    }
    panic!("Linux does not count {counter}");
}

/// A program that runs on the other host. Killed when dropped.
pub(crate) struct Other {
    child: Child,
    receiver: Upid,
}

impl Other {
    /// Returns once it listens.
    pub(crate) fn start() -> Self {
        let program = again("hosts::the_other_host");
        let mut child = Command::new("ip")
            .args(["netns", "exec", &told("LIBPROCESS_HOSTS_OTHER")])
            .arg(program.get_program())
            .args(program.get_args())
            .env("LIBPROCESS_IP", told("LIBPROCESS_HOSTS_OTHER_IP"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program again");
        let output = child.stdout.take().expect("it was asked to be a pipe");
        let receiver = BufReader::new(output)
            .lines()
            .map(|line| line.expect("text"))
            .find_map(|line| line[line.find("receiver@")?..].parse().ok())
            .expect("it says who receives");
        Self { child, receiver }
    }

    pub(crate) fn receiver(&self) -> &Upid {
        &self.receiver
    }

    /// `ip` has become the program, so it is this which is signalled.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            println!("the program on the other host has ended: {status}");
        }
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "run by the tests, on the other host"]
fn the_other_host() {
    let runtime = Runtime::builder().workers(2).build().expect("a runtime");
    let receiver = runtime.spawn_named("receiver", Receiver::default());
    println!("{}", receiver.expect("a name that is free"));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("an end");
}
