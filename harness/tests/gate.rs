//! The gate as people and scripts use it: under valgrind, with a baseline that is made here, as this build is not the one that the committed baseline is of.

mod common;
#[path = "common/schema.rs"]
mod schema;
#[path = "common/signals.rs"]
mod signals;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use common::{Folder, stderr, stdout};
use schema::Schemas;

/// So that a build without optimization takes seconds: still whole chains.
const LITTLE: [&str; 2] = ["--divide", "20"];

/// Whether valgrind is there. Without it the test is of no use, which nobody may overlook: in CI that is a failure.
fn has_valgrind(test: &str) -> bool {
    let is_there = Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !is_there {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "valgrind is missing"
        );
        // Not `eprintln!`, which is shown only of tests that fail.
        let line = format!("SKIPPED: {test}, as valgrind is missing\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    is_there
}

fn gate(folder: &Folder, arguments: &[&str]) -> Output {
    let line: Vec<&str> = ["gate"]
        .iter()
        .chain(&LITTLE)
        .chain(arguments)
        .copied()
        .collect();
    folder.harness(&line)
}

fn baseline(folder: &Folder) -> PathBuf {
    folder.0.join("results/gate.json")
}

fn read(folder: &Folder) -> Value {
    let text = std::fs::read_to_string(baseline(folder)).unwrap();
    let read = serde_json::from_str(&text).unwrap();
    Schemas::load().check("baseline", &read);
    read
}

/// The verdicts on a region's figures.
fn verdicts(output: &Output) -> Value {
    let line = stdout(output).lines().next().unwrap();
    let judged: Value = serde_json::from_str(line).unwrap();
    Schemas::load().check("gate", &judged);
    let figures = judged["figures"].as_object().unwrap();
    let verdicts = figures
        .iter()
        .map(|(kind, figure)| (kind.clone(), figure["verdict"].clone()));
    verdicts.collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn a_build_that_does_more_fails_and_one_that_does_not_passes() {
    const TEST: &str = "a_build_that_does_more_fails_and_one_that_does_not_passes";
    if !has_valgrind(TEST) {
        return;
    }
    let folder = Folder::new("gate-plant");
    let accepted = gate(&folder, &["then", "--accept", "the first figures"]);
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    let before = read(&folder);

    let as_before = "as before";
    let is_as_before = || {
        let same = gate(&folder, &["then", "--json"]);
        assert_eq!(same.status.code(), Some(0), "{same:?}");
        let expected = serde_json::json!({"instructions": as_before, "allocations": as_before, "system_calls": as_before});
        assert_eq!(verdicts(&same), expected);
    };
    let is_worse = |plant: &str, kind: &str, title: &str| {
        let slowed = gate(&folder, &["then", "--json", "--plant", plant]);
        assert_eq!(slowed.status.code(), Some(1), "{slowed:?}");
        let verdicts = verdicts(&slowed);
        for other in ["allocations", "system_calls", kind] {
            let expected = if other == kind { "worse" } else { as_before };
            assert_eq!(verdicts[other], expected, "{plant}: {slowed:?}");
        }
        let errors = stderr(&slowed);
        assert!(errors.contains("error: the gate fails:\n"), "{errors}");
        assert!(
            errors
                .lines()
                .any(|line| line.starts_with("  then: ") && line.contains(title)),
            "{errors}"
        );
    };
    // Each counts instructions, which nobody beside it changes.
    std::thread::scope(|scope| {
        scope.spawn(is_as_before);
        scope.spawn(|| is_worse("instructions", "instructions", "instructions"));
        scope.spawn(|| is_worse("allocations", "allocations", "allocations"));
        scope.spawn(|| is_worse("system-calls", "system_calls", "system calls"));
    });
    assert_eq!(read(&folder), before, "to judge writes nothing");

    // What was slow and is accepted, with its reason, is what is judged by; without the plant it is better then.
    let reason = "an allocation for each link";
    let accepted = gate(
        &folder,
        &["then", "--plant", "allocations", "--accept", reason],
    );
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    let history = &read(&folder)["baselines"][0]["history"];
    assert_eq!(history[1]["reason"], reason, "{history}");
    let mut changes = history[1]["changes"].as_array().unwrap().iter();
    let change = changes
        .find(|change| change["figure"] == "allocations")
        .unwrap();
    let more = change["to"].as_f64().unwrap() - change["from"].as_f64().unwrap();
    assert!((more - 1.0).abs() < 0.01, "{change}");
    let better = gate(&folder, &["then"]);
    assert_eq!(better.status.code(), Some(0), "{better:?}");
    assert!(
        stdout(&better).contains("better: lower the baseline, with --accept"),
        "{better:?}"
    );
}

#[test]
fn what_a_count_depends_on_is_held_against_it() {
    if !has_valgrind("what_a_count_depends_on_is_held_against_it") {
        return;
    }
    let folder = Folder::new("gate-elsewhere");
    let accepted = gate(&folder, &["then", "--accept", "the first figures"]);
    assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
    let mut other = read(&folder);
    let environment = &mut other["baselines"][0]["environment"];
    environment["rustc"] = "rustc 0.1 of long ago".into();
    std::fs::write(baseline(&folder), other.to_string()).unwrap();

    let refused = gate(&folder, &["then"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let errors = stderr(&refused);
    assert!(
        errors.contains("\n  compiler: rustc 0.1 of long ago in the baseline, rustc "),
        "{errors}"
    );
    assert!(
        errors.contains("harness gate --accept 'the reason'"),
        "{errors}"
    );
    assert!(errors.contains("--elsewhere"), "{errors}");

    let elsewhere = gate(&folder, &["then", "--elsewhere", "--json"]);
    assert_eq!(elsewhere.status.code(), Some(0), "{elsewhere:?}");
    assert!(
        stderr(&elsewhere).contains("INSTRUCTIONS ARE NOT JUDGED"),
        "{elsewhere:?}"
    );
    assert_eq!(verdicts(&elsewhere)["instructions"], "not judged");
    let slowed = gate(&folder, &["then", "--elsewhere", "--plant", "allocations"]);
    assert_eq!(slowed.status.code(), Some(1), "{slowed:?}");

    // One of another profile says nothing of this one.
    other["baselines"][0]["environment"]["profile"] = "another".into();
    std::fs::write(baseline(&folder), other.to_string()).unwrap();
    let refused = gate(&folder, &["then", "--elsewhere"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let errors = stderr(&refused);
    assert!(errors.contains("has nothing of a "), "{errors}");
    assert!(
        !errors.contains("--elsewhere"),
        "no advice to do what was done: {errors}"
    );
}

#[test]
fn counts_of_the_same_build_are_steady() {
    if !has_valgrind("counts_of_the_same_build_are_steady") {
        return;
    }
    let folder = Folder::new("gate-steady");
    // Little work has a larger part of what is not an operation's.
    let steady = folder.harness(&[
        "gate",
        "then",
        "--divide",
        "10",
        "--steadiness",
        "2",
        "--json",
    ]);
    assert_eq!(steady.status.code(), Some(0), "{steady:?}");
    let lines: Vec<Value> = stdout(&steady)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines {
        assert_eq!(line["steady"], true, "{line}");
        assert_eq!(line["runs"].as_array().unwrap().len(), 2, "{line}");
    }
    assert!(!baseline(&folder).exists());
}

#[test]
fn a_count_needs_no_baseline() {
    if !has_valgrind("a_count_needs_no_baseline") {
        return;
    }
    let folder = Folder::new("gate-count");
    let counted = gate(&folder, &["then", "--count", "--json"]);
    assert_eq!(counted.status.code(), Some(0), "{counted:?}");
    let figures: Value = serde_json::from_str(stdout(&counted)).unwrap();
    assert_eq!(figures["region"], "then");
    // Its link.
    let allocations = figures["figures"]["allocations"].as_f64().unwrap();
    assert!((allocations - 1.0).abs() < 0.1, "{figures}");
    assert!(!baseline(&folder).exists());
}

#[test]
fn what_valgrind_is_told_elsewhere_changes_no_count() {
    if !has_valgrind("what_valgrind_is_told_elsewhere_changes_no_count") {
        return;
    }
    let folder = Folder::new("gate-settings");
    let counts_nothing = "--instr-atstart=no";
    std::fs::write(folder.0.join(".valgrindrc"), counts_nothing).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["gate", "then", "--count", "--divide", "20"])
        .current_dir(&folder.0)
        .env("HOME", &folder.0)
        .env("VALGRIND_OPTS", counts_nothing)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn what_is_exported_for_other_programs_is_not_counted_with() {
    let folder = Folder::new("gate-exported");
    let stand_in = "#!/bin/sh\nexport -p > \"$SEEN\"\nexec \"$STAND_IN\" \"$@\"\n";
    let actual = folder.0.join("stand-in");
    program(&actual, STAND_IN);
    program(&folder.0.join("valgrind"), stand_in);
    let seen = folder.0.join("seen");
    let path = format!("{}:{}", folder.0.display(), std::env::var("PATH").unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["gate", "message", "--count"])
        .current_dir(&folder.0)
        .env("PATH", &path)
        .env("STAND_IN", &actual)
        .env("SEEN", &seen)
        .env("LD_BIND_NOW", "1")
        .env("MALLOC_PERTURB_", "1")
        .env("VALGRIND_OPTS", "--instr-atstart=no")
        .env("LIBPROCESS_TELEMETRY", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let seen = std::fs::read_to_string(seen).unwrap();
    for variable in ["LD_BIND_NOW", "MALLOC_PERTURB_", "VALGRIND_OPTS"] {
        assert!(!seen.contains(variable), "{seen}");
    }
    assert!(seen.contains("LIBPROCESS_TELEMETRY"), "{seen}");
}

#[test]
fn what_cannot_be_judged_is_refused_before_anything_is_counted() {
    let folder = Folder::new("gate-refused");
    let missing = gate(&folder, &[]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(
        stderr(&missing).contains("results/gate.json: make it with"),
        "{missing:?}"
    );

    std::fs::create_dir_all(folder.0.join("results")).unwrap();
    std::fs::write(baseline(&folder), "{\"format\": 1, \"base").unwrap();
    for arguments in [&[][..], &["--accept", "to write over it"]] {
        let malformed = gate(&folder, arguments);
        assert_eq!(malformed.status.code(), Some(2), "{malformed:?}");
        assert!(
            stderr(&malformed).contains("is no baseline of the gate"),
            "{malformed:?}"
        );
        assert!(!stderr(&malformed).contains("counting "), "{malformed:?}");
    }
    let text = std::fs::read_to_string(baseline(&folder)).unwrap();
    assert_eq!(text, "{\"format\": 1, \"base");

    let unknown = gate(&folder, &["no-such-region"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert!(stderr(&unknown).contains("\n  message\n"), "{unknown:?}");

    let unsaid = gate(&folder, &["--accept", " "]);
    assert_eq!(unsaid.status.code(), Some(2), "{unsaid:?}");
    assert!(stderr(&unsaid).contains("needs a reason"), "{unsaid:?}");
}

#[test]
fn without_valgrind_it_says_what_to_install() {
    let folder = Folder::new("gate-no-valgrind");
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["gate", "--count", "then"])
        .current_dir(&folder.0)
        .env("PATH", &folder.0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("apt-get install valgrind"),
        "{output:?}"
    );
}

#[test]
fn the_list_has_a_sentence_for_each() {
    let folder = Folder::new("gate-list");
    let list = gate(&folder, &["--list"]);
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let lines: Vec<&str> = stdout(&list).lines().collect();
    assert!(lines.contains(&"message"), "{lines:?}");
    for pair in lines.chunks(2) {
        assert!(
            !pair[0].starts_with(' ') && pair[1].starts_with("  "),
            "{pair:?}"
        );
    }

    let one = gate(&folder, &["message", "--list"]);
    assert_eq!(one.status.code(), Some(0), "{one:?}");
    assert_eq!(stdout(&one).lines().count(), 2, "{one:?}");
    let none = gate(&folder, &["nosuch", "--list"]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
    let expected = "error: no region matches `nosuch`; there are:\n  message\n";
    assert!(stderr(&none).starts_with(expected), "{none:?}");
}

/// Says that it is valgrind, and writes a profile in which each repeat is a hundred instructions; but at `then` it stands still.
const STAND_IN: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo valgrind-of-a-test; exit; }
for argument; do
    case $argument in
        --callgrind-out-file=*) profile=${argument#*=} ;;
        --repeat=*) repeat=${argument#*=} ;;
        then) exec sleep 600 ;;
    esac
done
printf 'events: Ir sysCount\ntotals: %s 0\n' $((100 * repeat)) > "$profile"
"#;

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, executable).unwrap();
}

#[test]
fn cancelled_it_leaves_nothing_and_has_told_what_was_finished() {
    let folder = Folder::new("gate-cancelled");
    let stand_in = folder.0.join("valgrind");
    program(&stand_in, STAND_IN);
    let temporary = folder.0.join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let path = format!("{}:{}", folder.0.display(), std::env::var("PATH").unwrap());
    for (arguments, finished) in [
        (&["--count"][..], "message: a message sent"),
        (&["--accept", "never"], ""),
    ] {
        let mut child = signals::heard(&mut Command::new(env!("CARGO_BIN_EXE_harness")))
            .args(["gate", "message:then"])
            .args(arguments)
            .current_dir(&folder.0)
            .env("PATH", &path)
            .env("TMPDIR", &temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let standing_still =
            errors.find(|line| line.as_ref().unwrap().starts_with("counting then"));
        assert!(standing_still.is_some(), "{:?}", child.wait_with_output());
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        let rest: Vec<String> = errors.map(Result::unwrap).collect();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let expected = "error: cancelled: 1 of 2 regions were counted, and nothing was written";
        assert_eq!(rest, [expected]);
        assert!(stdout(&output).starts_with(finished), "{output:?}");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
        assert!(!baseline(&folder).exists());
    }
}

#[test]
fn the_temporary_folder_has_to_be_there_and_is_cleared_of_what_killed_ones_left() {
    let folder = Folder::new("gate-temporary");
    program(&folder.0.join("valgrind"), STAND_IN);
    let path = format!("{}:{}", folder.0.display(), std::env::var("PATH").unwrap());
    let temporary = folder.0.join("temporary");
    let count = || {
        Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(["gate", "message", "--count"])
            .current_dir(&folder.0)
            .env("PATH", &path)
            .env("TMPDIR", &temporary)
            .output()
            .unwrap()
    };
    let missing = count();
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(stderr(&missing).contains("TMPDIR"), "{missing:?}");
    assert!(!temporary.exists());

    // One that has ended and been waited for has no number any more.
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let left = format!("libprocess-gate-{}", ended.id());
    let of_a_live_one = format!("libprocess-gate-{}", std::process::id());
    for name in [&left, &of_a_live_one, &"others".to_owned()] {
        std::fs::create_dir_all(temporary.join(name).join("within")).unwrap();
    }
    let counted = count();
    assert_eq!(counted.status.code(), Some(0), "{counted:?}");
    let entries = std::fs::read_dir(&temporary).unwrap();
    let mut there: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, [of_a_live_one, "others".to_owned()]);
}

#[test]
fn a_count_of_nothing_is_no_count() {
    let folder = Folder::new("gate-nothing");
    // Whatever is repeated: what valgrind counts of two like runs differs by some thousands.
    let always_as_much = STAND_IN.replace("$((100 * repeat))", "100");
    program(&folder.0.join("valgrind"), &always_as_much);
    let path = format!("{}:{}", folder.0.display(), std::env::var("PATH").unwrap());
    let nothing = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["gate", "message", "--count"])
        .current_dir(&folder.0)
        .env("PATH", &path)
        .output()
        .unwrap();
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    assert!(
        stderr(&nothing).contains("nothing of it was counted"),
        "{nothing:?}"
    );
}

#[test]
fn the_committed_baseline_is_as_its_schema_says() {
    let committed = serde_json::from_str(include_str!("../../results/gate.json")).unwrap();
    let schemas = Schemas::load();
    schemas.check("baseline", &committed);
    // One that says no more why it changed is none.
    for (pointer, key) in [
        ("/baselines/0/history/0", "reason"),
        ("/baselines/0/environment", "rustc"),
        ("/baselines/0/regions/then/figures", "allocations"),
    ] {
        let mut changed: Value = committed.clone();
        let object = changed.pointer_mut(pointer).unwrap();
        object.as_object_mut().unwrap().remove(key).unwrap();
        assert!(!schemas.allows("baseline", &changed), "{pointer}/{key}");
    }
}
