//! Two results compared, as people and scripts see it. The results are made up, so that what is to be found is known.

mod common;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use serde_json::{Value, json};

use common::{Folder, stderr, stdout};

fn result(benchmark: &str, runs: &[f64]) -> Value {
    json!({
        "benchmark": benchmark,
        "variant": {"run_queue": "locking", "event_queue": "locking", "semaphore": "kernel"},
        "params": {"workers": 1, "pin": false, "repeat": 1000, "warmup": 1},
        "unit": "lives/s",
        "median": runs[0],
        "runs": runs,
        "peak_rss_bytes": 4096,
        "context_switches": {"voluntary": 0, "involuntary": 0},
    })
}

/// Around a median, in no order that could be taken for a drift.
fn around(median: f64) -> Vec<f64> {
    let parts = [1.0, 0.998, 1.002, 1.001, 0.999, 1.0, 1.002, 0.998, 1.0];
    parts.map(|part| median * part).to_vec()
}

fn file(results: Vec<Value>) -> Value {
    json!({
        "machine": {
            "cpu": "Some CPU", "cores": 2, "memory_bytes": 1 << 30, "kernel": "6.1", "governor": "performance",
            "rustc": "rustc 1.90.0", "profile": "release", "features": ["io-uring"], "revision": "abc",
        },
        "load_average": {"before": 0.5, "after": 1.0},
        "saved_unix_seconds": 1_800_000_000,
        "results": results,
    })
}

fn folder(test: &str, a: &Value, b: &Value) -> Folder {
    let folder = Folder::new(test);
    let local = folder.0.join("results/local");
    std::fs::create_dir_all(&local).unwrap();
    for (name, value) in [("a", a), ("b", b)] {
        std::fs::write(local.join(format!("{name}.json")), value.to_string()).unwrap();
    }
    folder
}

fn compared(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.harness(&[&["compare", "a", "b"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stderr(&output), "");
    stdout(&output).to_owned()
}

fn is_refused(folder: &Folder, reasons: &[&str]) {
    let output = folder.harness(&["compare", "a", "b"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(stdout(&output), "");
    for reason in reasons {
        assert!(stderr(&output).contains(reason), "{reason}: {output:?}");
    }
}

#[test]
fn each_benchmark_has_its_verdict() {
    let memory = |median: f64| {
        let mut result = result("Memory", &around(median));
        result["unit"] = json!("bytes/process");
        result
    };
    let a = file(vec![
        result("Faster", &around(1_000.0)),
        result("Slower", &around(1_000.0)),
        result("Same", &around(1_000.0)),
        result("Few", &[1_000.0; 3]),
        memory(200.0),
        result("Gone", &around(1.0)),
    ]);
    let b = file(vec![
        result("Same", &around(1_004.0)),
        result("Faster", &around(1_100.0)),
        result("Slower", &around(900.0)),
        result("Few", &[2_000.0; 3]),
        memory(180.0),
        result("New", &around(1.0)),
    ]);
    let folder = folder("verdicts", &a, &b);
    let text = compared(&folder, &[]);
    let verdicts: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  verdict     "))
        .collect();
    assert_eq!(
        verdicts,
        [
            "B is faster",
            "B is slower",
            "no difference seen",
            "none: 3 runs of A and 3 of B are too few, 5 of each are needed (--runs 5)",
            "B is smaller",
        ]
    );
    for needed in [
        "A  ",
        "a.json, saved 2027-01-15T08:00:00Z, revision abc\nB  ",
        "  the same    machine, compiler and features\n",
        "  load before 0.50 in A, 0.50 in B\n",
        "\nFaster\n  parameters  1 worker, repeat 1,000, not pinned, 1 warm-up\n",
        "  B to A      1.100 (1.0",
        "; not measured in turn: ",
        "\nonly in A: Gone\nonly in B: New\n",
        "B, of 5 benchmarks: 1 faster, 1 no difference seen, 1 slower, 1 smaller, 1 too few runs\n",
    ] {
        assert!(text.contains(needed), "{needed} in {text}");
    }
    assert_eq!(compared(&folder, &[]), text, "the same twice");
    let one = compared(&folder, &["--benchmark", "S*"]);
    assert!(
        one.ends_with("B, of 2 benchmarks: 1 no difference seen, 1 slower\n"),
        "{one}"
    );
}

#[test]
fn programs_are_told_the_same() {
    let also = |ratio: f64| json!({"median": ratio, "runs": vec![ratio; 9]});
    let mut a = result("X", &around(1_000.0));
    a["also"] = json!({"messages/s": also(3.0)});
    let mut b = result("X", &around(1_100.0));
    b["also"] = json!({"messages/s": also(6.0)});
    let folder = folder("json", &file(vec![a]), &file(vec![b]));
    let text = compared(&folder, &["--json"]);
    let mut line: Value = serde_json::from_str(&text).unwrap();
    let (a, b) = (line["a"].take(), line["b"].take());
    assert_eq!(
        (&a["benchmark"], &b["benchmark"]),
        (&json!("X"), &json!("X"))
    );
    let ratio = line["ratio"].as_f64().unwrap();
    assert!((ratio - 1.1).abs() < 1e-9, "{line}");
    let ends = ["low", "high"].map(|end| line["interval"][end].as_f64().unwrap());
    assert!(
        1.09 < ends[0] && ends[0] < ratio && ratio < ends[1] && ends[1] < 1.11,
        "{line}"
    );
    assert_eq!(line["also"]["messages/s"]["ratio"], 2.0);
    assert_eq!(line["verdict"], "faster");
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "a",
            "also",
            "b",
            "benchmark",
            "drift",
            "in_turn",
            "interval",
            "ratio",
            "runs_needed",
            "unit",
            "verdict"
        ]
    );
}

#[test]
fn a_machine_that_moved_makes_no_verdict_but_in_turn() {
    // From run to run slower, and B behind A: no telling.
    let speed = |step: usize| 1_000.0 * 0.98_f64.powi(i32::try_from(step).unwrap());
    let a = result("X", &(0..8).map(speed).collect::<Vec<_>>());
    let b = result("X", &(8..16).map(speed).collect::<Vec<_>>());
    let text = compared(&folder("drift", &file(vec![a]), &file(vec![b])), &[]);
    assert!(
        text.contains("  verdict     no difference seen\n"),
        "{text}"
    );

    // The same machine, in turn: A B, B A, and so on; and B is 5 % faster.
    let turn =
        |first: bool| (0..8).map(move |pair| 2 * pair + usize::from((pair % 2 == 0) != first));
    let in_turn = |first: bool, faster: f64| {
        let runs: Vec<f64> = turn(first).map(|step| faster * speed(step)).collect();
        let mut result = result("X", &runs);
        result["began_unix_ms"] = json!(turn(first).collect::<Vec<_>>());
        file(vec![result])
    };
    let text = compared(
        &folder("turn", &in_turn(true, 1.0), &in_turn(false, 1.05)),
        &[],
    );
    assert!(
        text.contains("pair by pair, as they were measured in turn"),
        "{text}"
    );
    assert!(text.contains("  verdict     B is faster\n"), "{text}");
    let text = compared(
        &folder("same", &in_turn(true, 1.0), &in_turn(false, 1.0)),
        &[],
    );
    assert!(
        text.contains("  verdict     no difference seen\n"),
        "{text}"
    );
}

#[test]
fn latencies_are_side_by_side() {
    let with = |nanoseconds: u64| {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        histogram.record_n(nanoseconds, 99).unwrap();
        histogram.record(1_000_000).unwrap();
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&histogram, &mut bytes)
            .unwrap();
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        let mut result = result("Latency", &around(1_000.0));
        result["latency_histograms"] = json!([text]);
        file(vec![result])
    };
    let text = compared(&folder("latencies", &with(400), &with(600)), &[]);
    for needed in [
        "    latency              A            B   B to A\n",
        "    p50             400 ns       600 ns     1.50\n",
        "    p99.9           1.0 ms       1.0 ms     1.00\n",
        "    max             1.0 ms       1.0 ms     1.00\n",
        "    measured           100          100\n",
    ] {
        assert!(text.contains(needed), "{needed} in {text}");
    }
}

#[test]
fn what_is_not_the_same_is_told() {
    let a = file(vec![result("X", &around(1_000.0))]);
    let mut b = a.clone();
    b["machine"]["kernel"] = json!("6.2");
    b["machine"]["features"] = json!([]);
    b["machine"]["profile"] = json!("debug");
    b["results"][0]["variant"]["semaphore"] = json!("last-in-first-out-fixed-size");
    let text = compared(&folder("differs", &a, &b), &[]);
    for needed in [
        "  differs     kernel: 6.1 in A, 6.2 in B\n",
        "  differs     features: io-uring in A, none in B\n",
        "  differs     profile: release in A, debug in B\n",
        "kernel semaphore in A, locking run queue",
        "  beware      not optimized: the figures mean nothing\n",
    ] {
        assert!(text.contains(needed), "{needed} in {text}");
    }
    assert!(!text.contains("the same  "), "{text}");
}

#[test]
fn other_work_is_not_compared_unless_asked_for() {
    let a = file(vec![result("X", &around(1_000.0))]);
    let mut b = a.clone();
    b["results"][0]["params"]["repeat"] = json!(2_000);
    let folder = folder("parameters", &a, &b);
    is_refused(
        &folder,
        &[
            "X was measured with other parameters",
            "repeat 2,000",
            "--ignore-parameters",
        ],
    );
    let text = compared(&folder, &["--ignore-parameters"]);
    assert!(
        text.contains("  A ran with  1 worker, repeat 1,000,"),
        "{text}"
    );
    assert!(
        text.contains("  B ran with  1 worker, repeat 2,000,"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_compared_is_refused_with_a_reason() {
    let a = file(vec![result("X", &around(1_000.0))]);
    let b = file(vec![result("Y", &around(1_000.0))]);
    is_refused(
        &folder("nothing", &a, &b),
        &["no benchmark in common", "A has:\n  X\nB has:\n  Y"],
    );
    is_refused(
        &folder("empty", &a, &json!({})),
        &["b.json is no result", "harness run --save NAME"],
    );
    let mut unitless = a.clone();
    unitless["results"][0]["unit"] = json!("years");
    is_refused(
        &folder("unit", &a, &unitless),
        &["X is in lives/s in A and in years in B"],
    );
}
