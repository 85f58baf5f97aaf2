//! Every peer does every workload, and counts what is to be counted.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const WORKLOADS: [&str; 7] = [
    "ThroughputPerformance",
    "PingPong",
    "FanIn",
    "ThreadRing",
    "Skynet",
    "Spawn.Life",
    "Dispatch.Await",
];
const IN_RUST: [&str; 7] = [
    "libprocess",
    "tokio",
    "tokio-unbounded",
    "actix",
    "kameo",
    "ractor",
    "xtra",
];

fn program(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peers"));
    command.args(line.split_whitespace());
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn good(line: &str) -> String {
    let output = run(&mut program(line));
    let said = text(&output.stderr);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "peers {line}: {printed}{said}");
    printed
}

/// Those of other languages that are installed here.
fn others() -> impl Iterator<Item = &'static str> {
    let listed = good("list");
    let missing = move |name: &&str| !listed.contains(&format!("{name:16} not installed"));
    ["erlang", "go"].into_iter().filter(missing)
}

#[test]
fn every_peer_does_every_workload_right() {
    let peers: Vec<_> = IN_RUST.into_iter().chain(others()).collect();
    let all: BTreeSet<_> = peers
        .iter()
        .flat_map(|peer| WORKLOADS.map(|workload| (workload.to_owned(), (*peer).to_owned())))
        .collect();
    let schema: Value =
        serde_json::from_str(include_str!("../../../results/schema/peers.json")).expect("JSON");
    let documented = keys(&schema["properties"]);
    // Fewer than there are senders and nodes; what is no multiple of anything; and several windows.
    for size in [
        "--workers 1 --repeat 7",
        "--workers 3 --repeat 103",
        "--workers 2 --repeat 4001",
    ] {
        let printed = good(&format!("--json --rounds 2 {size}"));
        let mut done = BTreeSet::new();
        for line in printed.lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let of = |key: &str| record[key].as_str().expect(key).to_owned();
            assert_eq!(record["runs"].as_array().map(Vec::len), Some(2), "{line}");
            assert!(record["median"].as_f64() > Some(0.0), "{line}");
            assert!(record["ratio"].as_f64() > Some(0.0), "{line}");
            assert_eq!(keys(&record), documented, "{line}");
            assert!(!of("version").is_empty() && of("base") == "libprocess");
            done.insert((of("workload"), of("peer")));
        }
        assert_eq!(done, all, "{size}");
    }
}

fn keys(object: &Value) -> BTreeSet<&String> {
    object.as_object().expect("an object").keys().collect()
}

#[test]
fn a_table_has_the_chosen_ones_side_by_side() {
    let line = "FanIn S*t --only tokio,xtra --base tokio --repeat 500 --rounds 3 --workers 2";
    let printed = good(line);
    assert!(printed.contains("\nFanIn: 500 repeats, 1,000 under way, 2 workers, 3 rounds\n"));
    let table: Vec<_> = printed
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    assert_eq!(table[0], "| ratio to tokio | tokio | xtra |", "{printed}");
    let names = table[2..].iter().map(|row| row.split_whitespace().nth(1));
    assert_eq!(names.collect::<Vec<_>>(), [Some("FanIn"), Some("Skynet")]);
    assert_eq!(table[2].split_whitespace().nth(3), Some("1.00"));
}

#[test]
fn who_is_not_installed_is_left_out_and_a_line_says_how_to_get_it() {
    let line = "PingPong --only libprocess,erlang,go --repeat 5 --rounds 1 --workers 1";
    let output = run(program(line).env("PATH", ""));
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}");
    for package in ["erlang-base", "golang-go"] {
        let how =
            format!("not installed, left out: apt-get install --no-install-recommends {package}");
        assert!(printed.contains(&how), "{printed}");
    }
    assert!(printed.contains("| ratio to libprocess | libprocess |\n"));
}

#[test]
fn who_hangs_fails_alone() {
    // No ring of this length goes round within a second.
    let line = "ThreadRing --only tokio --base tokio --repeat 1000000000000 --rounds 2 --timeout 1";
    let output = run(&mut program(line));
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("tokio failed: the process hung"),
        "{printed}"
    );
    assert!(printed.contains("| ThreadRing     | – (1) |"), "{printed}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "NoSuch",
        "--only tokio",
        "--only akka",
        "--repeat 1 --workers 2",
    ] {
        assert_eq!(run(&mut program(line)).status.code(), Some(2), "{line}");
    }
}

#[test]
fn an_interrupt_ends_it_with_what_was_finished() {
    let line = "ThreadRing --only tokio --base tokio --repeat 1000000000000 --workers 1";
    let mut program = program(line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It has taken its signals by the time that it says who is there.
    let mut said = String::new();
    let mut printed = BufReader::new(program.stdout.take().expect("a pipe"));
    printed.read_line(&mut said).expect("a line");
    assert!(said.starts_with("tokio "), "{said}");
    let told = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status();
    assert!(told.expect("kill is there").success());
    let output = program.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(text(&output.stderr).contains("interrupted: what was finished is above"));
}
