//! Saved results, shown and exported as people and other programs read them.

mod common;

use std::process::Output;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

use common::{Folder, stderr, stdout};

const SMALL: [&str; 6] = ["--repeat", "1001", "--runs", "2", "--warmup", "0"];

/// With two benchmarks saved, of which one measures latencies.
fn saved(test: &str) -> Folder {
    let folder = Folder::new(test);
    let arguments = ["run", "Dispatch.*", "--save", "kept"];
    let output = folder.harness(&[&arguments, &SMALL[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    folder
}

/// The saved file, changed.
fn rewrite(folder: &Folder, change: impl FnOnce(&mut Value)) {
    let path = folder.0.join("results/local/kept.json");
    let mut saved = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut saved);
    std::fs::write(&path, saved.to_string()).unwrap();
}

fn succeeds(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stderr(output), "");
    stdout(output)
}

fn is_refused(output: &Output, reasons: &[&str]) {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(stdout(output), "");
    for reason in reasons {
        assert!(stderr(output).contains(reason), "{reason}: {output:?}");
    }
}

#[test]
fn a_saved_result_is_shown_by_its_name_and_by_its_path() {
    let folder = saved("show");
    let by_name = folder.harness(&["show", "kept"]);
    let text = succeeds(&by_name);
    for needed in [
        "kept.json, saved 20",
        "  machine ",
        "; kernel ",
        "; load ",
        "  build       debug, rustc ",
        "; features ",
        "; revision ",
        "\nDispatch.Get\n",
        "\nDispatch.Await\n",
        "  parameters  2 workers, repeat 1,001, not pinned, no warm-up\n",
        "  runs        ",
        "  latency     2,002 measured\n    p50 ",
        "    p99.99 ",
        "    max ",
        " dispatches/s, the median of 2 runs from ",
    ] {
        let alike = text.replace("1 worker,", "2 workers,");
        assert!(alike.contains(needed), "{needed} in {text}");
    }
    // Only one of the two measures latencies.
    assert_eq!(text.matches("  latency ").count(), 1, "{text}");

    let by_path = folder.harness(&["show", "results/local/kept.json", "kept"]);
    let twice = succeeds(&by_path);
    assert_eq!(twice.matches("\nDispatch.Get\n").count(), 2, "{twice}");

    let part = folder.harness(&["show", "kept", "--benchmark", "*.Await"]);
    let part = succeeds(&part);
    assert!(part.contains("Dispatch.Await") && !part.contains("Dispatch.Get"));
}

#[test]
fn percentiles_are_exported_for_plotters() {
    let folder = saved("hgrm");
    let printed = folder.harness(&["show", "kept", "--hgrm"]);
    let text = succeeds(&printed);
    assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    assert!(text.contains("Total count    =         2002]\n"), "{text}");

    let written = folder.harness(&["show", "kept", "--hgrm", "--output", "kept.hgrm"]);
    assert_eq!(succeeds(&written), "");
    assert_eq!(
        std::fs::read_to_string(folder.0.join("kept.hgrm")).unwrap(),
        text
    );

    let device = folder.harness(&["show", "kept", "--hgrm", "--output", "/dev/stdout"]);
    assert_eq!(succeeds(&device), text);
}

#[test]
fn the_log_has_every_run_and_every_latency() {
    let folder = saved("hlog");
    let printed = folder.harness(&["show", "kept", "--hlog"]);
    let log = succeeds(&printed).to_owned();
    let mut all: Option<Histogram<u64>> = None;
    let mut runs = 0;
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        if let LogEntry::Interval(run) = entry.unwrap() {
            assert_eq!(run.tag().unwrap().as_str(), "Dispatch.Get");
            assert!(run.start_timestamp().as_secs() > 1_700_000_000, "{log}");
            assert!(!run.duration().is_zero(), "{log}");
            let bytes = base64::Engine::decode(
                &base64::engine::general_purpose::STANDARD,
                run.encoded_histogram(),
            )
            .unwrap();
            let histogram = Deserializer::new()
                .deserialize(&mut bytes.as_slice())
                .unwrap();
            assert_eq!(histogram.len(), 1_001);
            runs += 1;
            match &mut all {
                None => all = Some(histogram),
                Some(all) => all.add(&histogram).unwrap(),
            }
        }
    }
    assert_eq!(runs, 2);
    // What the harness said of them when it had measured them.
    let text = std::fs::read_to_string(folder.0.join("results/local/kept.json")).unwrap();
    let saved: Value = serde_json::from_str(&text).unwrap();
    let known = &saved["results"][0]["latency_ns"];
    let all = all.unwrap();
    assert_eq!(known["p50"], all.value_at_quantile(0.5));
    assert_eq!(known["p999"], all.value_at_quantile(0.999));
    assert_eq!(known["max"], all.max());
}

#[test]
fn what_is_no_result_is_refused_with_what_to_do() {
    let folder = saved("no-result");
    is_refused(
        &folder.harness(&["show", "missing"]),
        &["missing cannot be read", "harness run --save NAME"],
    );
    for foreign in [
        "",
        "[]",
        "{}",
        "no JSON",
        "{\"machine\": {}, \"results\": []}",
    ] {
        std::fs::write(folder.0.join("foreign.json"), foreign).unwrap();
        is_refused(
            &folder.harness(&["show", "foreign.json"]),
            &["foreign.json is no result", "harness run --save NAME"],
        );
    }
    is_refused(
        &folder.harness(&["show", "kept", "--benchmark", "Spawn.*"]),
        &["`Spawn.*`", "\n  Dispatch.Get\n  Dispatch.Await"],
    );
    is_refused(
        &folder.harness(&["show", "kept", "kept", "--hgrm"]),
        &["several histograms", "--benchmark", "Dispatch.Get of "],
    );
    for export in ["--hgrm", "--hlog"] {
        is_refused(
            &folder.harness(&["show", "kept", "--benchmark", "*.Await", export]),
            &["no histogram", "measure again"],
        );
    }
    rewrite(&folder, |saved| {
        let texts = &mut saved["results"][0]["latency_histograms"];
        *texts = serde_json::json!(["damaged"]);
    });
    is_refused(
        &folder.harness(&["show", "kept"]),
        &["kept.json, Dispatch.Get", "damaged", "measure again"],
    );
}

#[test]
fn an_older_result_is_shown_as_far_as_it_goes() {
    let folder = saved("older");
    rewrite(&folder, |saved| {
        for added in ["governor", "features"] {
            saved["machine"].as_object_mut().unwrap().remove(added);
        }
        saved.as_object_mut().unwrap().remove("load_average");
        for result in saved["results"].as_array_mut().unwrap() {
            for added in ["began_unix_ms", "seconds", "latency_histograms"] {
                result.as_object_mut().unwrap().remove(added);
            }
        }
    });
    let output = folder.harness(&["show", "kept"]);
    let text = succeeds(&output);
    assert!(
        text.contains("of an older harness, which kept no histograms"),
        "{text}"
    );
    is_refused(
        &folder.harness(&["show", "kept", "--hgrm"]),
        &["measure again"],
    );
}
