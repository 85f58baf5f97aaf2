//! Whether this revision is slower than another one.
//!
//! `harness compare --rev` does the work: it builds both and runs them in turn. What is added is the limit. A verdict of `compare` is for small differences, and of many
//! comparisons some are wrong; a gate that fails now and then by chance is soon ignored. So it fails only if the whole interval is worse than ten per cent.

use std::io::{self, Write};
use std::process::{Command, ExitStatus, Stdio};

use serde::{Deserialize, Serialize};

use super::report;
use crate::compare::{self, children};
use crate::filter::Filter;

/// The part by which the whole interval has to be worse.
const LIMIT: f64 = 0.1;

/// Unless told: a benchmark for each of what is done most. Each takes seconds, seven times, twice.
const BENCHMARKS: [&str; 4] = [
    "ProcessTest.Process_BENCHMARK_ThroughputPerformance",
    "Dispatch.Await",
    "Spawn.Life",
    "Future.ThenChain",
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum AgainstError {
    #[error("the harness cannot start itself to compare: {0}")]
    Start(io::Error),
    /// Said by the comparison itself, unless a signal ended it.
    #[error("the comparison failed ({0})")]
    Comparison(ExitStatus),
    #[error("the comparison said what is none: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("the report cannot be written: {0}")]
    Output(#[from] io::Error),
    #[error("the gate fails, as the whole interval is worse than 10 %:{}", super::lines(.0))]
    Slower(Vec<String>),
    #[error("cancelled: no worktree is left, and what was not finished is not reported")]
    Cancelled,
}

impl AgainstError {
    /// Whether the comparison was asked for what cannot be.
    pub(crate) fn is_misuse(&self) -> bool {
        matches!(self, Self::Comparison(status) if status.code() == Some(crate::Outcome::Misused.code().into()))
    }

    /// Whether somebody else has said why: what the comparison writes to standard error goes where ours goes.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self, Self::Comparison(status) if status.code().is_some())
    }
}

pub(super) struct Asked<'a> {
    pub(super) revision: &'a str,
    pub(super) rounds: usize,
    /// Arguments of each run.
    pub(super) run: &'a [String],
    pub(super) filters: &'a [Filter],
}

/// What `harness compare --json` says of a benchmark, as far as it matters here.
#[derive(Deserialize)]
struct Compared {
    benchmark: String,
    unit: String,
    #[serde(flatten)]
    ratio: Option<Ratio>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Ratio {
    ratio: f64,
    interval: Interval,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Interval {
    low: f64,
    high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Verdict {
    #[serde(rename = "passed")]
    Passed,
    #[serde(rename = "failed")]
    Failed,
    /// A figure that is not above zero: then nothing can be said, and that is no pass.
    #[serde(rename = "no ratio")]
    NoRatio,
}

/// Its keys are stable: `--json` prints them.
#[derive(Serialize)]
struct Judged<'a> {
    benchmark: &'a str,
    unit: &'a str,
    #[serde(flatten)]
    ratio: Option<Ratio>,
    limit: f64,
    verdict: Verdict,
}

impl Compared {
    fn verdict(&self) -> Verdict {
        match self.ratio {
            None => Verdict::NoRatio,
            Some(Ratio { interval, .. }) => {
                let failed = if compare::is_rate(&self.unit) {
                    interval.high < 1.0 - LIMIT
                } else {
                    interval.low > 1.0 + LIMIT
                };
                if failed {
                    Verdict::Failed
                } else {
                    Verdict::Passed
                }
            }
        }
    }

    fn describe(&self) -> String {
        match self.ratio {
            None => format!(
                "{}: there is no ratio of figures that are not above zero",
                self.benchmark
            ),
            Some(Ratio { ratio, interval }) => format!(
                "{}: {ratio:.3} of what it was ({:.3} to {:.3}), in {}",
                self.benchmark, interval.low, interval.high, self.unit
            ),
        }
    }
}

/// Compares HEAD with the revision.
pub(super) fn compare(
    asked: &Asked<'_>,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), AgainstError> {
    children::take_signals();
    let program = std::env::current_exe().map_err(AgainstError::Start)?;
    let mut command = Command::new(program);
    command
        .args([
            "compare",
            "--json",
            "--rev",
            asked.revision,
            "--rev",
            "HEAD",
        ])
        .arg(format!("--rounds={}", asked.rounds))
        .args(filters(asked.filters))
        .args(asked.run.first().map(|_| "--"))
        .args(asked.run)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let compared = children::run(&mut command).map_err(AgainstError::Start)?;
    // Also of one that was cancelled: what is finished is there.
    let lines = String::from_utf8_lossy(&compared.stdout).into_owned();
    let mut slower = Vec::new();
    for line in lines.lines() {
        let compared: Compared = serde_json::from_str(line)?;
        let verdict = compared.verdict();
        tell(&compared, verdict, json, output)?;
        if verdict != Verdict::Passed {
            slower.push(compared.describe());
        }
    }
    if children::cancelled() {
        Err(AgainstError::Cancelled)
    } else if !compared.status.success() {
        Err(AgainstError::Comparison(compared.status))
    } else if slower.is_empty() {
        Ok(())
    } else {
        Err(AgainstError::Slower(slower))
    }
}

fn filters(asked: &[Filter]) -> Vec<String> {
    match asked {
        [] => BENCHMARKS.map(str::to_owned).to_vec(),
        asked => asked.iter().map(Filter::to_string).collect(),
    }
}

fn tell(
    compared: &Compared,
    verdict: Verdict,
    json: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    if json {
        let judged = Judged {
            benchmark: &compared.benchmark,
            unit: &compared.unit,
            ratio: compared.ratio,
            limit: LIMIT,
            verdict,
        };
        return report::line(&judged, output);
    }
    let word = match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed | Verdict::NoRatio => "FAILED",
    };
    writeln!(output, "{}: {word}", compared.describe())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry;

    fn compared(unit: &str, low: f64, high: f64) -> Compared {
        Compared {
            benchmark: "Some".to_owned(),
            unit: unit.to_owned(),
            ratio: Some(Ratio {
                ratio: f64::midpoint(low, high),
                interval: Interval { low, high },
            }),
        }
    }

    #[test]
    fn only_the_whole_interval_fails() {
        for (unit, low, high, verdict) in [
            ("lives/s", 0.70, 0.89, Verdict::Failed),
            ("lives/s", 0.50, 0.90, Verdict::Passed),
            ("lives/s", 0.50, 1.50, Verdict::Passed),
            ("lives/s", 1.20, 1.50, Verdict::Passed),
            ("bytes/process", 1.11, 1.50, Verdict::Failed),
            ("bytes/process", 1.10, 1.50, Verdict::Passed),
            ("bytes/process", 0.50, 0.80, Verdict::Passed),
        ] {
            let compared = compared(unit, low, high);
            assert_eq!(compared.verdict(), verdict, "{unit} {low} {high}");
        }
    }

    #[test]
    fn what_compare_prints_is_read() {
        let line = json!({
            "benchmark": "Some", "unit": "lives/s", "verdict": "slower", "runs_needed": 7, "in_turn": true,
            "ratio": 0.8, "interval": {"low": 0.7, "high": 0.85}, "drift": 0.0, "also": {}, "a": {}, "b": {},
        });
        let read: Compared = serde_json::from_value(line).unwrap();
        assert_eq!(read.verdict(), Verdict::Failed);
        assert_eq!(
            read.describe(),
            "Some: 0.800 of what it was (0.700 to 0.850), in lives/s"
        );
        let without = json!({"benchmark": "Some", "unit": "lives/s", "verdict": "no ratio"});
        let read: Compared = serde_json::from_value(without).unwrap();
        assert_eq!(read.verdict(), Verdict::NoRatio);
    }

    #[test]
    fn the_usual_benchmarks_are_there() {
        for benchmark in BENCHMARKS {
            assert!(registry::find(benchmark).is_some(), "{benchmark}");
        }
        assert_eq!(filters(&[]), BENCHMARKS);
        assert_eq!(filters(&["A*".parse().unwrap()]), ["A*"]);
    }
}
