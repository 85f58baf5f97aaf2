//! Comparing two results: of two files, or of two revisions or sets of features that are built and measured in turn.

pub(crate) mod bootstrap;
pub(crate) mod children;
pub(crate) mod features;
mod pairing;
pub(crate) mod revisions;
pub(crate) mod turns;
pub(crate) mod verdict;

pub(crate) use pairing::{NoPairs, Pairing};
pub(crate) use turns::TurnsError;
pub(crate) use verdict::{Ratio, Verdict};

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::{CompareArguments, Subject};
use crate::failure::Failure;
use crate::record::Record;
use crate::report;
use crate::saved::{BadFile, Saved};
use pairing::in_turn;
use verdict::Runs;

/// A result and the file it is in.
pub(crate) struct Side {
    pub(crate) path: PathBuf,
    pub(crate) saved: Saved,
}

/// What is said of a benchmark that both results have. Its keys are stable: `--json` prints them.
#[derive(Serialize)]
pub(crate) struct Comparison<'a> {
    pub(crate) benchmark: &'a str,
    pub(crate) unit: &'a str,
    #[serde(rename = "verdict")]
    pub(crate) word: &'static str,
    #[serde(skip)]
    pub(crate) verdict: Verdict,
    /// How many runs, or pairs of them, each side would have to have for a verdict.
    pub(crate) runs_needed: usize,
    pub(crate) in_turn: bool,
    #[serde(flatten)]
    pub(crate) ratio: Option<Ratio>,
    /// The ratios of the further figures, by their units. No verdict: the more one asks, the more often noise answers.
    pub(crate) also: BTreeMap<&'a str, Ratio>,
    pub(crate) a: &'a Record,
    pub(crate) b: &'a Record,
    #[serde(skip)]
    pub(crate) latencies: Option<[Histogram<u64>; 2]>,
}

pub(crate) fn compare(arguments: &CompareArguments, output: &mut dyn Write) -> Result<(), Failure> {
    let (sides, filters, ended) = match arguments.subject()? {
        Subject::Results(names) => (
            [load(names[0])?, load(names[1])?],
            arguments.filters(),
            None,
        ),
        Subject::Builds(builds) => {
            let measured = turns::measure(builds, arguments)?;
            (measured.sides, Vec::new(), measured.ended)
        }
    };
    let pairing = Pairing::new(
        [&sides[0].saved, &sides[1].saved],
        &filters,
        arguments.ignore_parameters,
    )?;
    let comparisons = pairing
        .pairs
        .iter()
        .map(|[a, b]| Comparison::new(&sides, a, b))
        .collect::<Result<Vec<_>, BadFile>>()?;
    if arguments.json {
        for comparison in &comparisons {
            writeln!(
                output,
                "{}",
                serde_json::to_string(comparison).expect("a comparison can be written as JSON")
            )?;
        }
        output.flush()?;
    } else {
        report::compare(&sides, &pairing, &comparisons, output)?;
    }
    ended.map_or(Ok(()), Err)
}

fn load(name: &str) -> Result<Side, BadFile> {
    let (path, saved) = Saved::load(Path::new(name))?;
    Ok(Side { path, saved })
}

impl<'a> Comparison<'a> {
    fn new(sides: &[Side; 2], a: &'a Record, b: &'a Record) -> Result<Self, BadFile> {
        let in_turn = in_turn(a, b);
        let runs = Runs {
            first: a.runs.runs(),
            second: b.runs.runs(),
            in_turn,
        };
        let ratio = runs.ratio();
        let verdict = runs.verdict(ratio.as_ref());
        let also = a.also.iter().filter_map(|(unit, first)| {
            let second = b.also.get(unit)?;
            let runs = Runs {
                first: first.runs.runs(),
                second: second.runs.runs(),
                // Not every run needs to have every figure.
                in_turn: in_turn && first.runs.runs().len() == second.runs.runs().len(),
            };
            Some((unit.as_str(), runs.ratio()?))
        });
        let latencies = |side: &Side, record: &Record| {
            record
                .latencies()
                .map_err(|error| BadFile::histogram(&side.path, record, error))
        };
        Ok(Self {
            benchmark: &a.benchmark,
            unit: &a.unit,
            word: word(verdict, &a.unit),
            verdict,
            runs_needed: runs.needed(),
            in_turn,
            ratio,
            also: also.collect(),
            a,
            b,
            latencies: latencies(&sides[0], a)?
                .zip(latencies(&sides[1], b)?)
                .map(|(a, b)| [a, b]),
        })
    }
}

/// The verdict on B in a word: what is done in a second is fast or slow, everything else is large or small.
fn word(verdict: Verdict, unit: &str) -> &'static str {
    match verdict {
        Verdict::Larger if is_rate(unit) => "faster",
        Verdict::Smaller if is_rate(unit) => "slower",
        Verdict::Larger => "larger",
        Verdict::Smaller => "smaller",
        Verdict::NoDifference => "no difference seen",
        Verdict::TooFewRuns => "too few runs",
        Verdict::NoRatio => "no ratio",
    }
}

/// Whether a unit is of what is done in a second, of which more is better; of all else, less is.
pub(crate) fn is_rate(unit: &str) -> bool {
    unit.ends_with("/s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::BENCHMARKS;

    #[test]
    fn every_unit_is_a_rate_or_memory() {
        for benchmark in BENCHMARKS {
            let unit = benchmark.unit();
            assert_ne!(is_rate(unit), unit.starts_with("bytes/"), "{unit}");
        }
        assert_eq!(word(Verdict::Larger, "messages/s"), "faster");
        assert_eq!(word(Verdict::Smaller, "messages/s"), "slower");
        assert_eq!(word(Verdict::Smaller, "bytes/process"), "smaller");
    }
}
