//! The program as people and scripts use it: exit statuses, and what it prints where.

mod common;
#[path = "common/schema.rs"]
mod schema;

use std::process::{Command, Output};

use serde_json::Value;

use common::{Folder, stderr, stdout};
use schema::Schemas;

/// Small enough to take no time, and still with a window that fills and a remainder.
const SMALL: [&str; 6] = ["--repeat", "1001", "--runs", "2", "--warmup", "0"];

const MAIN_JOB: &str = "ProcessTest.Process_BENCHMARK_ThroughputPerformance";

/// In the order in which they run.
const BENCHMARKS: [&str; 67] = [
    MAIN_JOB,
    "ProcessTest.Process_BENCHMARK_DispatchDefer.Movable",
    "ProcessTest.Process_BENCHMARK_DispatchDefer.Copyable",
    "Spawn.Idle",
    "Spawn.Terminate",
    "Spawn.Life",
    "Dispatch.Get",
    "Dispatch.Await",
    "Future.ThenChain",
    "Clock.Timers",
    "Latency.PingPong",
    "Latency.PingPong.Workers",
    "Latency.PingPong.Thread",
    "Latency.Timer",
    "Latency.HandOver",
    "ThreadRing",
    "Skynet",
    "FanIn",
    "Spawn.Million",
    "ProcessTest.Process_BENCHMARK_ClientServer",
    "ProcessTest.Process_BENCHMARK_LargeNumberOfLinks",
    "Link.Exits",
    "Counting",
    "ForkJoinThroughput",
    "ForkJoinCreation",
    "Big",
    "Chameneos",
    "Banking",
    "Philosophers",
    "Fairness",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.0",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.1",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.5",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.10",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.50",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.100",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.500",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.1000",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.5000",
    "ProcessTest.Process_BENCHMARK_ProtobufInstallHandler.10000",
    "ProcessTest.Process_BENCHMARK_MpscLinkedQueue",
    "ProcessTest.Process_BENCHMARK_MpscLinkedQueueEmpty",
    "ProcessTest.Process_BENCHMARK_MpscLinkedQueueNonContendedRead",
    "Http.Plaintext.Epoll",
    "Http.Plaintext.Hyper",
    "Http.Plaintext.CannedEpoll",
    "Http.Connect.Epoll",
    "Http.Connect.Hyper",
    "Http.Connect.CannedEpoll",
    "Http.Close.Epoll",
    "Http.Close.Hyper",
    "Http.Close.CannedEpoll",
    "Remote.ThroughputPerformance.Epoll",
    "Remote.PingPong.Epoll",
    "Net.Echo.IoUring",
    "Net.Echo.Epoll",
    "Net.Echo.CannedIoUring",
    "Net.Echo.CannedEpoll",
    "Net.Connect.IoUring",
    "Net.Connect.Epoll",
    "Net.Connect.CannedIoUring",
    "Net.Connect.CannedEpoll",
    "Http.Plaintext.IoUring",
    "Http.Connect.IoUring",
    "Http.Close.IoUring",
    "Remote.ThroughputPerformance",
    "Remote.PingPong",
];

/// What needs io_uring.
const IO_URING: &str = "*IoUring";

fn has_io_uring() -> bool {
    let asked = libprocess::Runtime::builder().reactor(libprocess::ReactorKind::IoUring);
    asked.build().is_ok()
}

/// The filter of all that can run here, and their names.
fn everything() -> (String, Vec<&'static str>) {
    let mut names = BENCHMARKS.to_vec();
    if has_io_uring() {
        return ("*".to_owned(), names);
    }
    names.retain(|name| !name.ends_with("IoUring"));
    (format!("*-{IO_URING}"), names)
}

fn harness(test: &str, arguments: &[&str]) -> Output {
    Folder::new(test).harness(arguments)
}

/// Each line as JSON; that there is nothing else is part of it.
fn lines_of_json(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_main_job_ends_with_its_result() {
    let output = harness("main", &SMALL);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = stdout(&output);
    assert!(text.starts_with(MAIN_JOB), "{text}");
    assert_eq!(text.matches("Estimated Total: ").count(), 2, "{text}");
    let last = text.lines().rfind(|line| !line.is_empty()).unwrap();
    assert!(
        last.starts_with("  result ") && last.contains(" repeats/s"),
        "{text}"
    );
    assert_eq!(stderr(&output), "");
}

#[test]
fn every_benchmark_prints_one_line_of_json() {
    let (filter, expected) = everything();
    let output = harness("json", &[&["run", &filter, "--json"], &SMALL[..]].concat());
    let lines = lines_of_json(&output);
    let names: Vec<&str> = lines
        .iter()
        .map(|line| line["benchmark"].as_str().unwrap())
        .collect();
    assert_eq!(names, expected);
    let schemas = Schemas::load();
    for line in &lines {
        schemas.check("result", line);
        assert_eq!(line["runs"].as_array().unwrap().len(), 2, "{line}");
        assert!(line["median"].as_f64().unwrap() > 0.0, "{line}");
        assert!(line["unit"].is_string(), "{line}");
        assert!(line["peak_rss_bytes"].as_u64().unwrap() > 100_000, "{line}");
        assert!(line["context_switches"]["voluntary"].is_u64(), "{line}");
        assert_eq!(line["params"]["repeat"], 1001, "{line}");
        for part in ["run_queue", "event_queue", "semaphore"] {
            assert!(line["variant"][part].is_string(), "{line}");
        }
    }
    assert_eq!(lines[0]["unit"], "repeats/s");
    assert_eq!(lines[3]["unit"], "bytes/process");
    for (line, name) in lines.iter().zip(&names) {
        let latency = &line["latency_ns"];
        let measured = ["Dispatch.Get", "Fairness"].contains(name)
            || name.starts_with("Http.")
            || name.starts_with("Latency.")
            || name.starts_with("Net.")
            || name.starts_with("Remote.PingPong");
        assert_eq!(measured, !latency.is_null(), "{line}");
        if measured {
            let quantiles =
                ["p50", "p90", "p99", "p999", "max"].map(|key| latency[key].as_u64().unwrap());
            assert!(quantiles.is_sorted() && quantiles[0] > 0, "{latency}");
        }
    }
}

#[test]
fn every_benchmark_is_right_with_any_number_of_workers() {
    let (filter, expected) = everything();
    for workers in ["1", "3"] {
        // The least that each of them can do, and with a budget that takes the turn from a process at each event.
        for (repeat, budget) in [("3", "1"), ("200", "7")] {
            let arguments = [
                "run",
                &filter,
                "--workers",
                workers,
                "--pairs",
                "1",
                "--actors",
                "5",
                "--repeat",
                repeat,
                "--events-per-resume",
                budget,
                "--runs",
                "1",
                "--warmup",
                "0",
                "--json",
            ];
            let lines = lines_of_json(&harness("workers", &arguments));
            assert_eq!(lines.len(), expected.len());
            for line in lines {
                let parameters = &line["params"];
                assert_eq!(parameters["workers"].to_string(), workers, "{line}");
                assert_eq!(parameters["events_per_resume"].to_string(), budget);
            }
        }
    }
}

#[test]
fn echoes_are_whole_whatever_their_size_and_number() {
    let filter = if has_io_uring() {
        "Net.*".to_owned()
    } else {
        format!("Net.*-{IO_URING}")
    };
    for (size, connections) in [("1", "1"), ("65536", "7"), ("20000", "100"), ("64", "900")] {
        let arguments = [
            "run",
            &filter,
            "--size",
            size,
            "--actors",
            connections,
            "--repeat",
            "1000",
            "--runs",
            "1",
            "--warmup",
            "0",
            "--json",
        ];
        for line in lines_of_json(&harness("echoes", &arguments)) {
            assert_eq!(line["params"]["size"].to_string(), size, "{line}");
            let work = &line["also"]["requests/server-CPU-second"]["median"];
            assert!(work.as_f64().unwrap() > 0.0, "{line}");
        }
    }
}

#[test]
fn every_request_is_answered_however_deep_the_pipeline() {
    for (depth, connections) in [("1", "3"), ("16", "64"), ("1000", "2")] {
        let mut arguments = vec![
            "run",
            "Http.*",
            "--pipeline",
            depth,
            "--connections",
            connections,
            // The last ones are fewer than the pipeline is deep.
            "--repeat",
            "2001",
            "--runs",
            "1",
            "--warmup",
            "0",
            "--json",
        ];
        // Three for each server.
        let mut expected = 12;
        if !has_io_uring() {
            arguments.push("-*IoUring");
            expected -= 3;
        }
        let lines = lines_of_json(&harness("pipeline", &arguments));
        assert_eq!(lines.len(), expected);
        for line in lines {
            assert_eq!(line["params"]["actors"].to_string(), connections, "{line}");
            let plaintext = line["benchmark"].as_str().unwrap().contains("Plaintext");
            let expected = if plaintext { depth } else { "null" };
            assert_eq!(line["params"]["pipeline"].to_string(), expected, "{line}");
            let work = &line["also"]["requests/server-CPU-second"]["median"];
            assert!(work.as_f64().unwrap() > 0.0, "{line}");
        }
    }
}

#[test]
fn without_io_uring_what_needs_it_says_so() {
    if has_io_uring() {
        return;
    }
    for benchmark in ["Net.Echo.IoUring", "Net.Connect.CannedIoUring"] {
        let output = harness("no-io-uring", &["run", benchmark, "--json"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("io_uring"), "{output:?}");
        assert!(stderr(&output).contains("leave out"), "{output:?}");
    }
}

#[test]
fn a_pace_is_kept() {
    let arguments = [
        "run",
        "Latency.PingPong*",
        "--rate",
        "1000",
        "--repeat",
        "50",
        "--runs",
        "1",
        "--warmup",
        "0",
        "--json",
    ];
    let lines = lines_of_json(&harness("pace", &arguments));
    assert_eq!(lines.len(), 3);
    for line in lines {
        assert_eq!(line["params"]["rate"], 1000, "{line}");
        // The last one begins after 49 ms.
        assert!(line["median"].as_f64().unwrap() < 50.0 / 0.049, "{line}");
    }
}

#[test]
fn one_pair_has_no_compat_figure() {
    let output = harness(
        "one-pair",
        &[
            &["run", "--workers", "1", "--pairs", "1", "--json"],
            &SMALL[..],
        ]
        .concat(),
    );
    let lines = lines_of_json(&output);
    assert_eq!(lines[0].get("compat"), Some(&Value::Null));
    assert_eq!(lines[0]["params"]["pairs"], 1);
    assert_eq!(lines[0]["params"]["workers"], 1);
}

#[test]
fn more_pairs_than_workers_have_one() {
    let arguments = [
        "run",
        "--workers",
        "2",
        "--pairs",
        "5",
        "--window",
        "3",
        "--pin",
        "--json",
    ];
    let output = harness("pairs", &[&arguments, &SMALL[..]].concat());
    let lines = lines_of_json(&output);
    let compat = lines[0]["compat"].as_f64().unwrap();
    assert!(compat > 0.0);
    assert_eq!(lines[0]["params"]["window"], 3);
    assert_eq!(lines[0]["params"]["pin"], true);
}

#[test]
fn a_filter_that_matches_nothing_fails_and_lists_what_there_is() {
    let output = harness("no-match", &["run", "NoSuch.*"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("`NoSuch.*`"), "{output:?}");
    assert!(stderr(&output).contains(MAIN_JOB), "{output:?}");
}

#[test]
fn the_filter_of_the_original_selects_the_main_job() {
    let arguments = ["run", "ProcessTest.*ThroughputPerformance", "--json"];
    let lines = lines_of_json(&harness("filter", &[&arguments, &SMALL[..]].concat()));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["benchmark"], MAIN_JOB);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in [
        &["run", "--runs", "0"][..],
        &["run", "--save", "../escape"],
        &["run", "--jsno"],
        &["run", "--workers", "2", "--repeat", "1"],
        &["run", "Net.Echo.Epoll", "--actors", "1001"],
    ] {
        let output = harness("refused", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(
            stderr(&output).starts_with("error: "),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn a_run_that_does_not_end_in_time_fails() {
    for benchmark in ["ProcessTest.*", "Spawn.Idle"] {
        // More than any machine does in that time.
        let arguments = [
            "run",
            benchmark,
            "--timeout",
            "0.02",
            "--repeat",
            "40000000",
            "--json",
        ];
        let output = harness("hang", &arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(stdout(&output), "");
        assert!(
            stderr(&output).contains("did not end within 0.02 s"),
            "{output:?}"
        );
        assert!(stderr(&output).contains("the runtime: "), "{output:?}");
    }
}

#[test]
fn results_are_saved_whole_beside_facts_of_the_machine() {
    let folder = Folder::new("save");
    let arguments = [
        "run",
        "ProcessTest.*:Dispatch.*",
        "--json",
        "--save",
        "two-1.0",
    ];
    let output = folder.harness(&[&arguments, &SMALL[..]].concat());
    let lines = lines_of_json(&output);

    let local = folder.0.join("results/local");
    let files: Vec<_> = std::fs::read_dir(&local)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(files, ["two-1.0.json"]);
    let text = std::fs::read_to_string(local.join("two-1.0.json")).unwrap();
    let saved: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(saved["results"].as_array().unwrap(), &lines);
    assert!(
        saved["machine"]["rustc"]
            .as_str()
            .unwrap()
            .starts_with("rustc ")
    );
}

#[test]
fn in_a_checkout_results_are_saved_at_its_root() {
    let folder = Folder::new("checkout");
    let below = folder.0.join("some/folder");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::create_dir_all(folder.0.join("results")).unwrap();
    std::fs::write(folder.0.join("results/README.md"), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args([&["run", "--save", "here"], &SMALL[..]].concat())
        .current_dir(&below)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stdout(&output)
            .lines()
            .last()
            .unwrap()
            .ends_with("results/local/here.json")
    );
    assert!(folder.0.join("results/local/here.json").is_file());
}

#[test]
fn the_list_tells_names_defaults_and_what_is_measured() {
    let output = harness("list", &["list"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    for needed in [
        MAIN_JOB,
        "15,000,000",
        "bytes/process",
        "--workers 2, no --rate",
    ] {
        assert!(text.contains(needed), "{needed} in {text}");
    }
    // Three lines for each, and none else.
    let lines: Vec<&str> = text.lines().collect();
    let names = lines
        .chunks(3)
        .map(|lines| lines[0].trim_end_matches(" (runs without a filter)"));
    assert_eq!(names.collect::<Vec<_>>(), BENCHMARKS);
    for lines in lines.chunks(3) {
        let [_, sentence, defaults] = lines else {
            panic!("{lines:?}");
        };
        assert!(
            sentence.starts_with("  ") && sentence.ends_with('.') && sentence.len() > 30,
            "{lines:?}"
        );
        let (unit, defaults) = defaults.split_once("; --repeat ").unwrap();
        assert!(unit.starts_with("  in ") && unit.contains('/'), "{lines:?}");
        assert!(defaults.starts_with(|first: char| first.is_ascii_digit()));
    }
}

#[test]
fn all_that_libprocess_and_savina_measure_has_their_names() {
    let originals = [
        "ThroughputPerformance",
        "ClientServer",
        "LargeNumberOfLinks",
        "DispatchDefer",
        "ProtobufInstallHandler",
        "MpscLinkedQueue",
        "MpscLinkedQueueEmpty",
        "MpscLinkedQueueNonContendedRead",
    ];
    let originals = originals.map(|name| format!("ProcessTest.Process_BENCHMARK_{name}"));
    let savina = [
        "Counting",
        "ForkJoinThroughput",
        "ForkJoinCreation",
        "ThreadRing",
        "Chameneos",
        "Big",
        "Banking",
        "Philosophers",
    ];
    for name in originals.iter().map(String::as_str).chain(savina) {
        // By itself, or by a parameter behind a dot.
        let is_there = BENCHMARKS.iter().any(|benchmark| {
            benchmark
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        assert!(is_there, "{name}");
    }
}

#[test]
fn help_is_no_error_and_has_examples() {
    let output = harness("help", &["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout(&output).contains("Examples:\n  harness "),
        "{output:?}"
    );
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    for arguments in [&["list"][..], &["gate", "--list"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(arguments)
            .stdout(writer)
            .output()
            .unwrap();
        // As a shell says of a program that SIGPIPE ended.
        assert_eq!(output.status.code(), Some(141), "{output:?}");
        assert_eq!(stderr(&output), "");
    }
}
