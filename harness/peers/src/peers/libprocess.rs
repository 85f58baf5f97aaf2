//! libprocess: the harness's own benchmarks, as they are.

use libprocess_harness::Outcome;
use serde::Deserialize;

use crate::trial::Measured;
use crate::workload::{Job, Workload};

/// What is needed of the harness's record.
#[derive(Deserialize)]
struct Record {
    /// In a second.
    median: f64,
}

/// # Panics
///
/// If the harness finds its own result wrong.
pub(super) fn measure(job: &Job) -> Measured {
    let mut output = Vec::new();
    let outcome = libprocess_harness::run(arguments(job), &mut output);
    assert_eq!(outcome, Outcome::Passed, "the harness has said why");
    let record: Record = serde_json::from_slice(&output).expect("a record of one benchmark");
    Measured {
        seconds: job.total() as f64 / record.median,
        counts: None,
    }
}

fn arguments(job: &Job) -> Vec<String> {
    let mut arguments = ["harness", "run", benchmark(job.workload), "--json"]
        .map(str::to_owned)
        .to_vec();
    // Whoever started this process ends it when it takes too long.
    arguments.extend(["--runs=1", "--timeout=1000000"].map(str::to_owned));
    arguments.push(format!("--workers={}", job.workers));
    arguments.push(format!("--repeat={}", job.repeat));
    arguments.push(format!("--warmup={}", job.warmup));
    if let Workload::ThroughputPerformance | Workload::PingPong = job.workload {
        arguments.push(format!("--pairs={}", job.pairs()));
        arguments.push(format!("--window={}", job.window()));
    }
    arguments
}

fn benchmark(workload: Workload) -> &'static str {
    match workload {
        Workload::ThroughputPerformance | Workload::PingPong => {
            "ProcessTest.Process_BENCHMARK_ThroughputPerformance"
        }
        _ => workload.name(),
    }
}
