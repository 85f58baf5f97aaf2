//! The example of two programs, as its users run it.
//!
//! Not under ThreadSanitizer, which takes the threads of a default runtime, which are never joined, for a leak, and has the programs fail.

#![cfg(not(libprocess_tsan))]

mod common;

// Included rather than run, as the example's program is not built by whoever runs but this test.
#[expect(dead_code, reason = "a test's program has a `main` of its own")]
#[path = "../examples/ping_pong_remote.rs"]
mod ping_pong_remote;

use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};

use common::{HANG, again};

const ARGUMENTS: &str = "LIBPROCESS_TEST_ARGUMENTS";

/// The example, in a process of its own; ends as it does.
#[test]
#[ignore = "run by the tests below"]
fn program() {
    let arguments = std::env::var(ARGUMENTS).expect("a command line");
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    if let Err(error) = ping_pong_remote::run(&arguments) {
        panic!("{error}");
    }
}

fn example(arguments: &str) -> Child {
    again("program")
        .env(ARGUMENTS, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program again")
}

/// What it said, and how it ended.
#[track_caller]
fn ended(example: Child) -> Output {
    let program = Pid::from_child(&example);
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(example.wait_with_output()));
    let output = told.recv_timeout(HANG).unwrap_or_else(|_| {
        // It is there still, so the number is its own.
        let _ = kill_process(program, Signal::KILL);
        panic!("it does not end");
    });
    output.expect("an output")
}

/// The program that is pinged. Killed when dropped.
struct Ponger {
    child: Child,
    lines: Receiver<String>,
    name: String,
}

impl Ponger {
    fn start() -> Self {
        let mut child = example("ponger");
        let output = child.stdout.take().expect("it was asked to be a pipe");
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                // The test may have ended.
                let _ = tell.send(line.expect("text"));
            }
        });
        let name = said(&lines, "ponger@");
        Self { child, lines, name }
    }

    #[track_caller]
    fn says(&self, what: &str) -> String {
        said(&self.lines, what)
    }
}

impl Drop for Ponger {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next line with that in it, from there on: who runs the tests may have begun the line.
#[track_caller]
fn said(lines: &Receiver<String>, what: &str) -> String {
    loop {
        let line = lines.recv_timeout(HANG);
        let line = line.unwrap_or_else(|_| panic!("it does not say `{what}`"));
        if let Some(place) = line.find(what) {
            return line[place..].to_owned();
        }
    }
}

#[test]
fn pings_are_answered_and_each_hears_of_the_others_end() {
    let mut ponger = Ponger::start();
    let output = ended(example(&format!("pinger {} 100", ponger.name)));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("100 round trips: half within "), "{text}");
    let hello = ponger.says("pinger@127.0.0.1:");
    let pinger = hello.strip_suffix(" says hello").expect("it does");
    ponger.says(&format!("{pinger} exited: "));
    drop(ponger.child.stdin.take());
    assert!(ponger.child.wait().expect("it ends").success());
}

#[test]
fn a_ponger_that_is_killed_has_exited() {
    let mut ponger = Ponger::start();
    let pinger = example(&format!("pinger {} 1000000000", ponger.name));
    ponger.says("says hello");
    ponger.child.kill().expect("it was there");
    let output = ended(pinger);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    let exited = format!("{} exited: cannot be reached any more, after ", ponger.name);
    assert!(text.contains(&exited), "{text}");
}

#[test]
fn what_is_no_command_line_is_told_what_is() {
    for arguments in [
        "",
        "pinger",
        "pinger ponger@127.0.0.1:1 many",
        "pinger ponger@127.0.0.1:1 0",
        "ponger x",
    ] {
        let words: Vec<_> = arguments.split_whitespace().collect();
        let error = ping_pong_remote::run(&words).expect_err("no command line");
        assert!(error.to_string().contains("pinger ponger@"), "{error}");
    }
    let error = ping_pong_remote::run(&["pinger", "ponger"]).expect_err("no name");
    assert!(error.to_string().contains("id@ip:port"), "{error}");
}
