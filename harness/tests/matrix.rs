//! Builds with other features, measured in turn: the matrix, and comparing two of them. The checkout is made up: its harness is built in a
//! moment, says what its features are to say, and can stand still until it is ended.

#[path = "common/checkout.rs"]
mod checkout;
mod common;
#[path = "common/schema.rs"]
mod schema;
#[path = "common/signals.rs"]
mod signals;
#[path = "common/stopped.rs"]
mod stopped;

use std::process::{Command, Output};

use serde_json::Value;

use checkout::{MANIFEST, git};
use common::{Folder, stderr, stdout};
use schema::Schemas;
use stopped::{STOP, cancelled_at, log};

const FEATURES: &str = r#"
[features]
default = ["work-stealing-run-queue", "lock-free-run-queue", "lock-free-event-queue", "last-in-first-out-fixed-size-semaphore", "io-uring"]
work-stealing-run-queue = []
lock-free-run-queue = []
lock-free-event-queue = []
last-in-first-out-fixed-size-semaphore = []
io-uring = []
tracing-spans = []

[profile.release]
opt-level = 0
"#;

/// Each choice has a factor, and each run is faster than the one before, as on a machine that warms up.
const PROGRAM: &str = r###"
use std::io::Write;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments[0] == "list" {
        println!("First (something)\n  A sentence.\nNet.Echo.IoUring\n  Another one.\nNet.Echo.Epoll\n  A third one.");
        return;
    }
    let (run_queue, mut speed) = if cfg!(feature = "work-stealing-run-queue") {
        ("work-stealing", 3000.0)
    } else if cfg!(feature = "lock-free-run-queue") {
        ("lock-free", 2000.0)
    } else {
        ("locking", 1000.0)
    };
    let event_queue = if cfg!(feature = "lock-free-event-queue") { EVENT_QUEUE } else { "locking" };
    if event_queue == "lock-free" { speed *= 1.5; }
    let semaphore = if cfg!(feature = "last-in-first-out-fixed-size-semaphore") {
        speed *= 0.9;
        "last-in-first-out-fixed-size"
    } else {
        "kernel"
    };
    let benchmark = &arguments[1];
    let reactor = match benchmark.as_str() {
        "Net.Echo.IoUring" => r#", "reactor": "io_uring""#,
        "Net.Echo.Epoll" => { speed *= 0.7; r#", "reactor": "epoll""# }
        _ => "",
    };
    let undecided = std::env::var("UNDECIDED_AT").as_ref() == Ok(benchmark);
    let event_queue = if undecided { "locking" } else { event_queue };
    let mut log = std::fs::File::options().append(true).create(true).open(std::env::var("RUN_LOG").unwrap()).unwrap();
    writeln!(log, "{run_queue} {event_queue} {semaphore} {}", arguments.join(" ")).unwrap();
    let run = std::fs::read_to_string(std::env::var("RUN_LOG").unwrap()).unwrap().lines().count();
    stop_at(&format!("run {run}"));
    if std::env::var("FAIL_AT") == Ok(run.to_string()) {
        std::process::exit(1);
    }
    // As much as makes no difference within a round.
    let speed = speed * (1.0 + run as f64 / 100000.0);
    let result = format!(r##"{{"benchmark": "{benchmark}",
        "variant": {{"run_queue": "{run_queue}", "event_queue": "{event_queue}", "semaphore": "{semaphore}"{reactor}}},
        "params": {{"workers": 1, "pin": false, "repeat": 10, "warmup": 1}}, "unit": "lives/s", "median": {speed}, "runs": [{speed}],
        "peak_rss_bytes": 1, "context_switches": {{"voluntary": 1, "involuntary": 0}}}}"##);
    let saved = format!(r##"{{"machine": {{"cpu": "Some CPU", "cores": 2, "memory_bytes": null, "kernel": "6.1",
        "rustc": "rustc 1.90.0", "profile": "release", "features": ["some"], "revision": "of it"}}, "saved_unix_seconds": 1,
        "results": [{result}]}}"##);
    std::fs::create_dir_all("results/local").unwrap();
    std::fs::write("results/local/turn.json", saved).unwrap();
}
"###;

/// With a harness whose feature for event queues makes this one.
fn checkout(test: &str, event_queue: &str) -> Folder {
    let folder = Folder::new(test);
    let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
    write("Cargo.toml", &format!("{MANIFEST}{FEATURES}"));
    let constant = format!("const EVENT_QUEUE: &str = {event_queue:?};");
    write("main.rs", &format!("{PROGRAM}{STOP}{constant}"));
    git(&folder.0, &["init", "--quiet"]);
    folder
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    signals::heard(&mut command)
        .args(arguments)
        .current_dir(&folder.0)
        .env_remove("CARGO_TARGET_DIR")
        .env("RUN_LOG", folder.0.join("log"));
    command
}

fn harness(folder: &Folder, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// No run has left its files.
fn is_clean(folder: &Folder) {
    for entry in std::fs::read_dir(folder.0.join("target/compare")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            ["build", "build-checkout", "matrix"].contains(&name.as_str()),
            "{name}"
        );
    }
}

fn saved(folder: &Folder, name: &str) -> Value {
    let path = folder.0.join("results/local").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What every round has, forwards.
fn combinations() -> Vec<String> {
    let mut every = Vec::new();
    for run_queue in ["locking", "lock-free", "work-stealing"] {
        for event_queue in ["locking", "lock-free"] {
            for semaphore in ["kernel", "last-in-first-out-fixed-size"] {
                every.push(format!("{run_queue} {event_queue} {semaphore}"));
            }
        }
    }
    every
}

#[test]
fn every_combination_is_measured_in_turn_and_the_best_one_named() {
    let folder = checkout("matrix", "lock-free");
    let arguments = [
        "matrix",
        "First",
        "--rounds",
        "8",
        "--save",
        "all",
        "--svg",
        "map.svg",
        "--",
        "--workers",
        "1",
    ];
    let output = harness(&folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = stdout(&output);
    for needed in [
        "First\n  parameters  1 worker, repeat 10, not pinned, 1 warm-up\n  measured    12 combinations in 8 rounds\n",
        "\n>  work-stealing  lock-free    kernel ",
        "  1 (the default)\n",
        "\n  recommended work-stealing run queue, lock-free event queue, kernel semaphore. All others are behind it: it does 1.11",
        "\nsaved to ",
        "\nsaved to map.svg\n",
    ] {
        assert!(text.contains(needed), "{needed} in {text}");
    }
    assert!(!text.contains('\x1b'), "no terminal, no colours: {text:?}");

    let mut expected = Vec::new();
    for round in 0..8 {
        let mut names = combinations();
        if round % 2 == 1 {
            names.reverse();
        }
        expected.extend(
            names
                .iter()
                .map(|name| format!("{name} run First --runs 1 --save turn --workers 1")),
        );
    }
    assert_eq!(log(&folder), expected);
    assert_eq!(stderr(&output).matches("building ").count(), 12);
    assert!(stderr(&output).contains("First: round 8 of 8, about "));
    is_clean(&folder);

    let svg = std::fs::read_to_string(folder.0.join("map.svg")).unwrap();
    assert_eq!(svg.matches("<g><title>").count(), 12);
    let saved = saved(&folder, "all.json");
    Schemas::load().check("saved", &saved);
    let results = saved["results"].as_array().unwrap();
    let variants: Vec<String> = results
        .iter()
        .map(|result| {
            let part = |name: &str| result["variant"][name].as_str().unwrap();
            assert_eq!(result["runs"].as_array().unwrap().len(), 8);
            assert_eq!(result["began_unix_ms"].as_array().unwrap().len(), 8);
            format!(
                "{} {} {}",
                part("run_queue"),
                part("event_queue"),
                part("semaphore")
            )
        })
        .collect();
    assert_eq!(variants, combinations());
    assert_eq!(saved["machine"]["features"], Value::Null);
    let show = folder.harness(&["show", "all"]);
    assert_eq!(
        stdout(&show).matches("  result      ").count(),
        12,
        "{show:?}"
    );

    // The builds are kept and up to date. A link stays one, and the picture is where it leads to.
    std::os::unix::fs::symlink("led-to.svg", folder.0.join("link.svg")).unwrap();
    let arguments = [
        "matrix", "First", "--rounds", "1", "--json", "--svg", "link.svg",
    ];
    let again = harness(&folder, &arguments);
    assert!(folder.0.join("link.svg").is_symlink());
    assert!(folder.0.join("led-to.svg").is_file());
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(!stderr(&again).contains("Compiling"), "{again:?}");
    let table: Value = serde_json::from_str(stdout(&again)).unwrap();
    Schemas::load().check("matrix", &table);
    assert_eq!(
        (
            &table["benchmark"],
            &table["rounds"],
            &table["rounds_needed"]
        ),
        (&"First".into(), &1.into(), &8.into())
    );
    assert_eq!(table["recommended"], Value::Null, "one round");
    assert_eq!(table["combinations"].as_array().unwrap().len(), 12);

    reactors_are_rows_of_one_table(&folder);
}

/// In a checkout that is built.
fn reactors_are_rows_of_one_table(folder: &Folder) {
    std::fs::remove_file(folder.0.join("log")).unwrap();
    let output = harness(folder, &["matrix", "Net.*", "--rounds", "9", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut table: Value = serde_json::from_str(stdout(&output)).unwrap();
    let schemas = Schemas::load();
    schemas.check("matrix", &table);
    table["combinations"][3]["surprise"] = 1.into();
    assert!(!schemas.allows("matrix", &table), "a key that is no one's");
    assert_eq!(table["benchmark"], "Net.Echo");
    assert_eq!(table["recommended"]["reactor"], "io_uring");
    assert_eq!(table["recommended"]["semaphore"], "kernel");
    let rows = table["combinations"].as_array().unwrap();
    assert_eq!(rows.len(), 24);
    for row in rows {
        let (result, ratio) = (&row["result"], row["ratio"].as_f64().unwrap());
        let epoll = result["variant"]["reactor"] == "epoll";
        assert_eq!(result["benchmark"] == "Net.Echo.Epoll", epoll, "{row}");
        assert!(!epoll || ratio < 0.8, "{row}");
    }
    let first: Vec<String> = log(folder)[..3].to_vec();
    assert_eq!(
        first,
        [
            "locking locking kernel run Net.Echo.IoUring --runs 1 --save turn",
            "locking locking kernel run Net.Echo.Epoll --runs 1 --save turn",
            "locking locking last-in-first-out-fixed-size run Net.Echo.IoUring --runs 1 --save turn",
        ]
    );
}

#[test]
fn a_feature_that_changes_nothing_is_an_error() {
    let folder = checkout("matrix-nothing", "locking");
    let output = harness(&folder, &["matrix", "First"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).ends_with(
            "error: the features (none), lock-free-event-queue do not decide the event queue: with each in turn it is locking, locking\n"
        ),
        "{output:?}"
    );
    assert_eq!(log(&folder).len(), 12, "seen after one round");
    assert_eq!(stdout(&output), "");
    is_clean(&folder);
}

#[test]
fn what_makes_no_sense_is_told_before_all_is_built() {
    let folder = checkout("matrix-refused", "lock-free");
    let refused = |arguments: &[&str], builds: usize, reason: &str| {
        let output = harness(&folder, &[&["matrix"], arguments].concat());
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        assert!(stderr(&output).contains(reason), "{reason}: {output:?}");
        assert_eq!(stderr(&output).matches("building ").count(), builds);
        output.status.code()
    };
    let unknown = refused(
        &["Fourth"],
        1,
        "\n  First\n  Net.Echo.IoUring\n  Net.Echo.Epoll",
    );
    let argument = refused(&["First", "--", "--wrokers", "1"], 0, "'--wrokers'");
    assert_eq!((unknown, argument), (Some(2), Some(2)));
    let picture = refused(&["First", "--svg", "nowhere/map.svg"], 0, "nowhere/map.svg");
    assert_eq!(picture, Some(1));
    is_clean(&folder);
}

#[test]
fn cancelled_it_tells_what_the_finished_rounds_give() {
    let folder = checkout("matrix-cancelled", "lock-free");
    // Two rounds are finished, and a part of the third.
    let arguments = ["matrix", "First", "--save", "part", "--svg", "part.svg"];
    let complete = ["part.svg", "results/local/part.json"].map(|name| folder.0.join(name));
    std::fs::create_dir_all(folder.0.join("results/local")).unwrap();
    for path in &complete {
        std::fs::write(path, "of before").unwrap();
    }
    let output = cancelled_at(&folder, "run 30", "-INT", &mut command(&folder, &arguments));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("error: cancelled: "), "{output:?}");
    let text = stdout(&output);
    assert!(text.contains("12 combinations in 2 rounds\n"), "{text}");
    assert!(
        text.contains("  recommended none: with 2 rounds "),
        "{text}"
    );
    for result in saved(&folder, "part.interrupted.json")["results"]
        .as_array()
        .unwrap()
    {
        assert_eq!(result["runs"].as_array().unwrap().len(), 2);
    }
    assert!(folder.0.join("part.interrupted.svg").is_file());
    // What was complete is not replaced by what is not.
    for path in &complete {
        assert_eq!(std::fs::read_to_string(path).unwrap(), "of before");
    }
    is_clean(&folder);

    a_run_that_fails_does_not_take_the_finished_rounds_with_it(&folder);
}

/// In a checkout that is built.
fn a_run_that_fails_does_not_take_the_finished_rounds_with_it(folder: &Folder) {
    let forget_runs = || std::fs::remove_file(folder.0.join("log")).unwrap();
    forget_runs();
    let output = command(folder, &["matrix", "First", "--rounds", "3", "--json"])
        .env("FAIL_AT", "13")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("failed (exit status: 1)"),
        "{output:?}"
    );
    let table: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(table["rounds"], 1);

    forget_runs();
    let arguments = ["matrix", "First", "--save", "none"];
    let output = command(folder, &arguments)
        .env("FAIL_AT", "2")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stdout(&output), "");
    assert!(!folder.0.join("results/local/none.json").exists());
    is_clean(folder);

    // Nor does a benchmark that tells nothing of a feature take those before it.
    let arguments = ["matrix", "First:Net.*", "--rounds", "1", "--save", "first"];
    let output = command(folder, &arguments)
        .env("UNDECIDED_AT", "Net.Echo.IoUring")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("do not decide the event queue"),
        "{output:?}"
    );
    assert!(stdout(&output).contains("First\n"), "{output:?}");
    let results = saved(folder, "first.interrupted.json");
    assert_eq!(results["results"].as_array().unwrap().len(), 12);
    is_clean(folder);

    a_reader_that_stops_does_not_take_what_is_saved(folder);
}

/// In a checkout that is built.
fn a_reader_that_stops_does_not_take_what_is_saved(folder: &Folder) {
    let run = |more: &[&str], fail_at: &str, status: i32| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        std::fs::remove_file(folder.0.join("log")).unwrap();
        let arguments = ["matrix", "First:Net.*", "--rounds", "1"];
        let output = command(folder, &[&arguments, more].concat())
            .stdout(writer)
            .env("FAIL_AT", fail_at)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let log = std::fs::read_to_string(folder.0.join("log")).unwrap();
        (log.contains("Net."), output)
    };
    // As a shell says of a program that SIGPIPE ended.
    let unread = 141;
    let (all, _) = run(&["--save", "unread", "--svg", "unread.svg"], "", unread);
    assert!(all, "it stopped behind what could not be told");
    let results = saved(folder, "unread.json");
    assert_eq!(results["results"].as_array().unwrap().len(), 36);
    assert!(folder.0.join("unread.svg").is_file());

    let (all, _) = run(&[], "", unread);
    assert!(!all, "for nobody");

    // What fails later is told all the same.
    let (_, output) = run(&["--save", "failed"], "13", 1);
    assert!(
        stderr(&output).contains("failed (exit status: 1)"),
        "{output:?}"
    );
    let results = saved(folder, "failed.interrupted.json");
    assert_eq!(results["results"].as_array().unwrap().len(), 12);
    is_clean(folder);
}

#[test]
fn two_sets_of_features_are_built_and_measured_in_turn() {
    let folder = checkout("features", "lock-free");
    let arguments = [
        "compare",
        "--features",
        "default,-work-stealing-run-queue",
        "--features",
        "default",
        "First",
        "--",
        "--workers",
        "1",
    ];
    let output = harness(&folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = stdout(&output);
    for needed in [
        "  verdict     B is faster\n",
        "build: lock-free run queue, lock-free event queue, last-in-first-out-fixed-size semaphore in A, work-stealing run queue, ",
        "pair by pair, as they were measured in turn",
        "the median of 7 runs",
        "compare-a-features.json",
        "compare-b-features.json",
    ] {
        assert!(text.contains(needed), "{needed} in {text}");
    }
    let queues: Vec<String> = log(&folder)
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(queues.len(), 14);
    assert_eq!(
        queues[..4],
        ["lock-free", "work-stealing", "work-stealing", "lock-free"]
    );
    is_clean(&folder);
    let again = folder.harness(&["compare", "compare-a-features", "compare-b-features"]);
    assert!(
        stdout(&again).contains("  verdict     B is faster\n"),
        "{again:?}"
    );
}

#[test]
fn features_of_a_revision_are_those_that_it_has() {
    let folder = checkout("features-of-a-revision", "lock-free");
    let git = |arguments: &[&str]| git(&folder.0, arguments);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "before"]);
    let change = |name: &str, from: &str, to: &str| {
        let path = folder.0.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    change("Cargo.toml", "tracing-spans", "brand-new");
    change("main.rs", r#"&str = "lock-free""#, r#"&str = "changed""#);

    let compare = |sets: [&str; 2], revision: &[&str]| {
        let sets = ["compare", "--features", sets[0], "--features", sets[1]];
        let filter = ["First", "--rounds", "1"];
        harness(&folder, &[&sets[..], revision, &filter].concat())
    };
    let old = compare(["none", "tracing-spans"], &["--rev", "HEAD"]);
    assert_eq!(old.status.code(), Some(0), "{old:?}");
    let new = compare(["none", "brand-new"], &["--rev", "HEAD"]);
    assert_eq!(new.status.code(), Some(2), "{new:?}");
    for needed in [
        "\"brand-new\" is no feature of the harness; there are:",
        "\n  lock-free-run-queue (on by default)\n",
        "\n  tracing-spans\n",
    ] {
        assert!(stderr(&new).contains(needed), "{needed}: {new:?}");
    }
    let new = compare(["none", "brand-new"], &[]);
    assert_eq!(new.status.code(), Some(0), "{new:?}");

    // What is not committed is in the one and not in the other, although the files are older than the build of the revision: with the
    // same manifest, that is all that cargo goes by.
    change("Cargo.toml", "brand-new", "tracing-spans");
    let sets = ["none", "lock-free-event-queue"];
    for (revision, event_queue) in [(&["--rev", "HEAD"][..], "lock-free"), (&[], "changed")] {
        let output = compare(sets, revision);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let last = log(&folder).pop().unwrap();
        assert!(
            last.starts_with(&format!("locking {event_queue} ")),
            "{last}"
        );
    }
    let worktrees = git(&["worktree", "list"]);
    assert_eq!(worktrees.lines().count(), 1, "{worktrees:?}");
    is_clean(&folder);
}

#[test]
fn two_sets_that_are_one_are_refused_before_anything_is_built() {
    let folder = checkout("features-alike", "lock-free");
    let same = "default,-tracing-spans,tracing-spans";
    for (a, b, reason) in [
        ("none,io-uring", "io-uring", "the same features (io-uring)"),
        (
            "default",
            same,
            "takes away tracing-spans, which is not in it",
        ),
        ("default", "lock-free", "\"lock-free\" is no feature"),
    ] {
        let output = harness(&folder, &["compare", "--features", a, "--features", b]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(reason), "{reason}: {output:?}");
        assert!(!stderr(&output).contains("building"), "{output:?}");
    }
    is_clean(&folder);
}
