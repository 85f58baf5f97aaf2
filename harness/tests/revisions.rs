//! Two revisions built, measured in turn and compared. The checkout is made up: its harness says what its revision is to say, and can
//! stand still until it is ended.

#[path = "common/checkout.rs"]
mod checkout;
mod common;
#[path = "common/signals.rs"]
mod signals;
#[path = "common/stopped.rs"]
mod stopped;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use checkout::{MANIFEST, git};
use common::{Folder, stderr, stdout};
use stopped::{STOP, cancelled_at, log, send, while_stopped};

const BUILD: &str = r#"
fn main() {
    stop_at("build");
}
"#;

const PROGRAM: &str = r###"
use std::io::Write;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments[0] == "list" {
        println!("First (something)\n  A sentence.\nSecond\n  Another one.\nThird\n  A third one.");
        return;
    }
    let benchmark = &arguments[1];
    stop_at(benchmark);
    if std::env::var("FAIL_AT").as_ref() == Ok(benchmark) {
        std::process::exit(1);
    }
    let speed = include_str!("speed").trim();
    let mut log = std::fs::File::options().append(true).create(true).open(std::env::var("RUN_LOG").unwrap()).unwrap();
    writeln!(log, "{speed} {}", arguments.join(" ")).unwrap();
    let result = format!(r##"{{"benchmark": "{benchmark}",
        "variant": {{"run_queue": "locking", "event_queue": "locking", "semaphore": "kernel"}},
        "params": {{"workers": 1, "pin": false, "repeat": 10, "warmup": 1}}, "unit": "lives/s", "median": {speed}, "runs": [{speed}],
        "peak_rss_bytes": 1, "context_switches": {{"voluntary": 1, "involuntary": 0}}}}"##);
    let saved = format!(r##"{{"machine": {{"cpu": "Some CPU", "cores": 2, "memory_bytes": null, "kernel": "6.1",
        "rustc": "rustc 1.90.0", "profile": "release", "revision": "of {speed}"}}, "saved_unix_seconds": 1, "results": [{result}]}}"##);
    std::fs::create_dir_all("results/local").unwrap();
    std::fs::write("results/local/turn.json", saved).unwrap();
}
"###;

/// A checkout with the tags `slow`, `fast` and `broken`.
fn checkout(test: &str) -> Folder {
    let folder = Folder::new(test);
    let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
    git(&folder.0, &["init", "--quiet"]);
    write("Cargo.toml", MANIFEST);
    write("build.rs", &format!("{BUILD}{STOP}"));
    write("main.rs", &format!("{PROGRAM}{STOP}"));
    for (tag, speed) in [("slow", "1000"), ("fast", "1100")] {
        write("speed", speed);
        commit(&folder.0, tag);
    }
    write("main.rs", "no Rust");
    commit(&folder.0, "broken");
    folder
}

fn commit(folder: &Path, tag: &str) {
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "--message", tag]);
    git(folder, &["tag", tag]);
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    signals::heard(&mut command)
        .arg("compare")
        .args(arguments)
        .current_dir(&folder.0)
        .env_remove("CARGO_TARGET_DIR")
        // What looks at this package as it is compiled has nothing to say of those.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("RUN_LOG", folder.0.join("log"));
    command
}

fn compare(folder: &Folder, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// The names of the files that are kept.
fn saved(folder: &Folder) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder.0.join("results/local"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Nothing is in the place of what would be all.
fn are_parts(folder: &Folder) {
    let names = saved(folder);
    let parts = names
        .iter()
        .filter(|name| name.ends_with(".interrupted.json"));
    assert_eq!((names.len(), parts.count()), (2, 2), "{names:?}");
}

/// Neither git nor the file system knows of a worktree, and no run has left its files.
fn is_clean(folder: &Folder) {
    let worktrees = git(&folder.0, &["worktree", "list"]);
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
    for entry in std::fs::read_dir(folder.0.join("target/compare")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.contains("worktree") && !name.contains("scratch"),
            "{name}"
        );
    }
}

#[test]
fn two_revisions_are_built_and_measured_in_turn() {
    let folder = checkout("in-turn");
    let arguments = [
        "--rev",
        "slow",
        "--rev",
        "fast",
        "First:Second",
        "--",
        "--workers",
        "1",
    ];
    let output = compare(&folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = stdout(&output);
    assert_eq!(
        text.matches("pair by pair, as they were measured in turn")
            .count(),
        2,
        "{text}"
    );
    assert_eq!(
        text.matches("  verdict     B is faster\n").count(),
        2,
        "{text}"
    );
    assert!(
        text.contains("revision of 1000\nB  ") && text.contains("revision of 1100\n"),
        "{text}"
    );
    assert!(text.contains("the median of 7 runs"), "{text}");

    let mut expected = Vec::new();
    for benchmark in ["First", "Second"] {
        for pair in 0..7 {
            let speeds = if pair % 2 == 0 {
                ["1000", "1100"]
            } else {
                ["1100", "1000"]
            };
            expected.extend(
                speeds.map(|speed| {
                    format!("{speed} run {benchmark} --runs 1 --save turn --workers 1")
                }),
            );
        }
    }
    assert_eq!(log(&folder), expected);
    is_clean(&folder);

    // Both are saved, with all that a comparison needs.
    let names = saved(&folder);
    assert_eq!(names.len(), 2, "{names:?}");
    let names: Vec<&str> = names
        .iter()
        .map(|name| name.strip_suffix(".json").unwrap())
        .collect();
    let again = folder.harness(&["compare", names[0], names[1], "--json"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    for line in stdout(&again).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["in_turn"], &line["verdict"]),
            (&true.into(), &"faster".into())
        );
        assert_eq!(line["a"]["context_switches"]["voluntary"], 7, "{line}");
    }
}

#[test]
fn a_revision_is_no_faster_than_itself() {
    let folder = checkout("itself");
    let output = compare(
        &folder,
        &["--rev", "fast", "--rev", "fast", "Third", "--rounds", "8"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stdout(&output).contains("  verdict     no difference seen\n"),
        "{output:?}"
    );
    assert_eq!(log(&folder).len(), 16);
    assert_eq!(
        stderr(&output).matches("building ").count(),
        1,
        "{output:?}"
    );
}

#[test]
fn what_cannot_be_built_or_found_is_told() {
    let folder = checkout("told");
    let broken = compare(&folder, &["--rev", "slow", "--rev", "broken", "First"]);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(
        stderr(&broken).contains("error: the build of "),
        "{broken:?}"
    );
    is_clean(&folder);

    let unknown = compare(&folder, &["--rev", "slow", "--rev", "--all"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    let unknown = compare(&folder, &["--rev", "slow", "--rev", "nowhere"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert!(
        stderr(&unknown).contains("\"nowhere\" is no revision"),
        "{unknown:?}"
    );

    let unmatched = compare(&folder, &["--rev", "slow", "--rev", "slow", "Fourth"]);
    assert_eq!(unmatched.status.code(), Some(2), "{unmatched:?}");
    assert!(
        stderr(&unmatched).contains("\n  First\n  Second\n  Third"),
        "{unmatched:?}"
    );
    let unmatched = compare(&folder, &["--rev", "slow", "--rev", "fast", "Fourth"]);
    assert_eq!(unmatched.status.code(), Some(2), "{unmatched:?}");
    let builds = stderr(&unmatched).matches("building ").count();
    assert_eq!(builds, 1, "{unmatched:?}");

    for run in [&["--wrokers", "1"][..], &["--runs", "3"], &["Second"]] {
        let line = [&["--rev", "slow", "--rev", "fast", "First", "--"], run].concat();
        let refused = compare(&folder, &line);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let text = stderr(&refused);
        assert!(text.contains("what is behind `--` is for"), "{text}");
        assert!(!text.contains("building "), "{text}");
    }
    assert_eq!(log(&folder), Vec::<String>::new());
}

#[test]
fn a_signal_that_is_not_to_be_heard_is_not() {
    let folder = checkout("ignored");
    let harness = env!("CARGO_BIN_EXE_harness");
    let line = format!("trap '' HUP INT; exec {harness} compare --rev fast --rev fast First");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &line])
        .current_dir(&folder.0)
        .env_remove("CARGO_TARGET_DIR")
        .env("RUN_LOG", folder.0.join("log"));
    let output = while_stopped(&folder, "build", &mut shell, |process, stopped| {
        send("-HUP", process);
        send("-INT", process);
        // The build goes on.
        drop(stopped);
    });
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(log(&folder).len(), 14, "{output:?}");
}

#[test]
fn cancelled_while_it_builds_it_leaves_nothing() {
    let folder = checkout("cancelled-build");
    let arguments = ["--rev", "slow", "--rev", "fast", "First"];
    let output = cancelled_at(&folder, "build", "-INT", &mut command(&folder, &arguments));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).ends_with(
            "error: cancelled: nothing is left behind, and what was not finished is not reported\n"
        ),
        "{output:?}"
    );
    assert_eq!(stdout(&output), "");
    is_clean(&folder);
}

fn only_the_first_is_told_and_kept(folder: &Folder, output: &Output) {
    let text = stdout(output);
    assert!(
        text.contains("\nFirst\n") && text.ends_with("B, of 1 benchmark: 1 faster\n"),
        "{text}"
    );
    are_parts(folder);
    is_clean(folder);
}

#[test]
fn cancelled_while_it_measures_it_tells_what_is_finished() {
    let folder = checkout("cancelled-run");
    let arguments = ["--rev", "slow", "--rev", "fast", "First:Second"];
    let output = cancelled_at(
        &folder,
        "Second",
        "-TERM",
        &mut command(&folder, &arguments),
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("error: cancelled: "), "{output:?}");
    only_the_first_is_told_and_kept(&folder, &output);
}

#[test]
fn a_run_that_fails_does_not_take_the_finished_benchmarks_with_it() {
    let folder = checkout("failed-run");
    let arguments = ["--rev", "slow", "--rev", "fast", "First:Second"];
    let output = command(&folder, &arguments)
        .env("FAIL_AT", "Second")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).ends_with("Second` failed (exit status: 1)\n"),
        "{output:?}"
    );
    only_the_first_is_told_and_kept(&folder, &output);

    let arguments = ["--rev", "slow", "--rev", "fast", "Second"];
    let output = command(&folder, &arguments)
        .env("FAIL_AT", "Second")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stdout(&output), "");
}
