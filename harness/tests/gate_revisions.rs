//! The gate that measures time, against another revision. The checkout is made up: its harness says how fast its revision is.

#[path = "common/checkout.rs"]
mod checkout;
mod common;

use std::process::{Command, Output};

use serde_json::Value;

use checkout::{MANIFEST, git};
use common::{Folder, stderr, stdout};

const PROGRAM: &str = r###"
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments[0] == "list" {
        println!("Lives\n  A sentence.\nMemory\n  Another one.");
        return;
    }
    let benchmark = &arguments[1];
    let unit = if benchmark == "Lives" { "lives/s" } else { "bytes/process" };
    let figure = include_str!("figure").trim();
    let result = format!(r##"{{"benchmark": "{benchmark}",
        "variant": {{"run_queue": "locking", "event_queue": "locking", "semaphore": "kernel"}},
        "params": {{"workers": 1, "pin": false, "repeat": 10, "warmup": 1}}, "unit": "{unit}", "median": {figure}, "runs": [{figure}],
        "peak_rss_bytes": 1, "context_switches": {{"voluntary": 1, "involuntary": 0}}}}"##);
    let saved = format!(r##"{{"machine": {{"cpu": "Some CPU", "cores": 2, "memory_bytes": null, "kernel": "6.1",
        "rustc": "rustc 1.90.0", "profile": "release", "revision": "of {figure}"}}, "saved_unix_seconds": 1, "results": [{result}]}}"##);
    std::fs::create_dir_all("results/local").unwrap();
    std::fs::write("results/local/turn.json", saved).unwrap();
}
"###;

/// A checkout with a tag for each figure, the last one checked out.
fn checkout(test: &str, figures: &[&str]) -> Folder {
    let folder = Folder::new(test);
    let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
    git(&folder.0, &["init", "--quiet"]);
    write("Cargo.toml", MANIFEST);
    write("main.rs", PROGRAM);
    for figure in figures {
        write("figure", figure);
        git(&folder.0, &["add", "Cargo.toml", "main.rs", "figure"]);
        git(&folder.0, &["commit", "--quiet", "--message", figure]);
        git(&folder.0, &["tag", &format!("of-{figure}")]);
    }
    folder
}

fn gate(folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness"))
        .arg("gate")
        .args(arguments)
        .current_dir(&folder.0)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap()
}

/// What is printed of each benchmark, as JSON.
fn judged(output: &Output) -> Vec<Value> {
    let lines = stdout(output).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn only_what_is_slower_by_more_than_ten_per_cent_fails() {
    let folder = checkout("gate-slower", &["1000", "950", "800"]);
    let slower = gate(&folder, &["--against", "of-1000", "Lives", "--json"]);
    assert_eq!(slower.status.code(), Some(1), "{slower:?}");
    let lines = judged(&slower);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["verdict"], "failed");
    assert_eq!(
        (&lines[0]["ratio"], &lines[0]["limit"]),
        (&0.8.into(), &0.1.into())
    );
    assert!(
        stderr(&slower).contains("error: the gate fails"),
        "{slower:?}"
    );
    assert!(
        stderr(&slower).contains("\n  Lives: 0.800 of what it was (0.800 to 0.800), in lives/s\n"),
        "{slower:?}"
    );

    // Of memory less is better.
    let smaller = gate(&folder, &["--against", "of-1000", "Memory"]);
    assert_eq!(smaller.status.code(), Some(0), "{smaller:?}");
    assert!(stdout(&smaller).ends_with(": passed\n"), "{smaller:?}");

    git(&folder.0, &["checkout", "--quiet", "of-950"]);
    let little = gate(&folder, &["--against", "of-1000", "Lives", "--json"]);
    assert_eq!(little.status.code(), Some(0), "{little:?}");
    assert_eq!(judged(&little)[0]["verdict"], "passed");

    git(&folder.0, &["checkout", "--quiet", "of-1000"]);
    let larger = gate(&folder, &["--against", "of-800", "*"]);
    assert_eq!(larger.status.code(), Some(1), "{larger:?}");
    let text = stdout(&larger);
    assert!(
        text.contains("Lives: 1.250") && text.contains("in lives/s: passed\n"),
        "{text}"
    );
    assert!(text.contains("in bytes/process: FAILED\n"), "{text}");
}

#[test]
fn what_makes_no_sense_is_told_as_such() {
    let folder = checkout("gate-nowhere", &["1000"]);
    let unknown = gate(&folder, &["--against", "nowhere"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert!(
        stderr(&unknown).contains("\"nowhere\" is no revision"),
        "{unknown:?}"
    );
    let errors = stderr(&unknown).matches("error: ").count();
    assert_eq!(errors, 1, "said once: {unknown:?}");
    let unmatched = gate(&folder, &["--against", "HEAD", "Nothing"]);
    assert_eq!(unmatched.status.code(), Some(2), "{unmatched:?}");
    let too_few = folder.harness(&["gate", "--against", "HEAD", "--rounds", "3"]);
    assert_eq!(too_few.status.code(), Some(2), "{too_few:?}");
}
