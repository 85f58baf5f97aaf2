//! Results for tests.

use hdrhistogram::Histogram;

use super::group::Entry;
use super::input::Source;
use crate::latency::{self, EncodedHistogram};
use crate::machine::{LoadAverage, Machine};
use crate::record::Record;
use crate::saved::Saved;

pub(super) fn machine() -> Machine {
    Machine {
        cpu: "Some Processor".to_owned(),
        cores: 2,
        memory_bytes: Some(8 << 30),
        kernel: "6.1.0".to_owned(),
        governor: None,
        rustc: "rustc 1.95.0".to_owned(),
        profile: "release".to_owned(),
        features: Some(vec!["io-uring".to_owned(), "tracing-spans".to_owned()]),
        revision: Some("0123456789abcdef".to_owned()),
    }
}

pub(super) fn record(benchmark: &str, workers: usize) -> Record {
    serde_json::from_value(serde_json::json!({
        "benchmark": benchmark,
        "variant": {"run_queue": "locking", "event_queue": "locking", "semaphore": "kernel"},
        "params": {"workers": workers, "pin": false, "repeat": 10, "warmup": 1},
        "unit": "things/s",
        "median": 100.0,
        "runs": [100.0, 110.0, 90.0],
        "peak_rss_bytes": 4096,
        "context_switches": {"voluntary": 5, "involuntary": 6},
    }))
    .expect("a record")
}

/// With a histogram for each run, of these values.
pub(super) fn with_latencies(mut record: Record, runs: &[&[u64]]) -> Record {
    let histogram = |values: &&[u64]| -> Histogram<u64> {
        let mut histogram = latency::histogram();
        for value in *values {
            histogram.record(*value).expect("a latency");
        }
        histogram
    };
    record.latency_histograms = runs
        .iter()
        .map(|values| EncodedHistogram::of(&histogram(values)))
        .collect();
    record
}

pub(super) fn source(name: &str, results: Vec<Record>) -> Source {
    Source {
        name: name.to_owned(),
        saved: Saved {
            machine: machine(),
            load_average: LoadAverage::default(),
            saved_unix_seconds: 1_700_000_000,
            results,
        },
        asked_for: true,
    }
}

pub(super) fn entries(source: &Source) -> Vec<Entry<'_>> {
    let entry = |record| Entry { source, record };
    source.saved.results.iter().map(entry).collect()
}
