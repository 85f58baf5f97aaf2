//! A comparison, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use hdrhistogram::Histogram;

use super::record::{describe, line, result};
use super::stored::{moment, percentiles};
use crate::compare::{Comparison, Pairing, Ratio, Side, Verdict};
use crate::format::{count, grouped, nanoseconds};
use crate::record::Record;

pub(crate) fn compare(
    sides: &[Side; 2],
    pairing: &Pairing<'_>,
    comparisons: &[Comparison<'_>],
    output: &mut dyn Write,
) -> io::Result<()> {
    header(sides, comparisons, output)?;
    for comparison in comparisons {
        let same = comparisons.iter().filter(|other| {
            other.benchmark == comparison.benchmark && other.a.params == comparison.a.params
        });
        one(comparison, same.count() > 1, output)?;
    }
    writeln!(output)?;
    for (name, alone) in ["A", "B"].iter().zip(&pairing.alone) {
        for record in alone {
            writeln!(output, "only in {name}: {}", record.benchmark)?;
        }
    }
    writeln!(output, "{}", summary(comparisons))?;
    output.flush()
}

/// What is compared, and what else is not the same.
fn header(
    sides: &[Side; 2],
    comparisons: &[Comparison<'_>],
    output: &mut dyn Write,
) -> io::Result<()> {
    for (name, side) in ["A", "B"].iter().zip(sides) {
        let machine = &side.saved.machine;
        writeln!(
            output,
            "{name}  {}, saved {}, revision {}",
            side.path.display(),
            moment(&side.saved),
            machine.revision.as_deref().unwrap_or("unknown")
        )?;
    }
    let [a, b] = sides.each_ref().map(facts);
    let mut same = true;
    for ((fact, a), (_, b)) in a.iter().zip(&b) {
        if a != b {
            same = false;
            line(output, "differs", &format!("{fact}: {a} in A, {b} in B"))?;
        }
    }
    let variants = comparisons
        .first()
        .map(|first| (&first.a.variant, &first.b.variant));
    if let Some((a, b)) = variants
        && !a.is_as(b)
    {
        same = false;
        line(output, "differs", &format!("build: {a} in A, {b} in B"))?;
    }
    if same {
        line(output, "the same", "machine, compiler and features")?;
    }
    if sides
        .iter()
        .any(|side| side.saved.machine.profile != "release")
    {
        line(output, "beware", "not optimized: the figures mean nothing")?;
    }
    let loads = sides.each_ref().map(|side| side.saved.load_average.before);
    if let [Some(a), Some(b)] = loads {
        line(output, "load before", &format!("{a:.2} in A, {b:.2} in B"))?;
    }
    Ok(())
}

/// What both should have alike.
fn facts(side: &Side) -> [(&'static str, String); 7] {
    let machine = &side.saved.machine;
    let unknown = || "unknown".to_owned();
    [
        ("processor", machine.cpu.clone()),
        ("cores", machine.cores.to_string()),
        ("kernel", machine.kernel.clone()),
        (
            "governor",
            machine
                .governor
                .clone()
                .unwrap_or_else(|| "none".to_owned()),
        ),
        ("compiler", machine.rustc.clone()),
        ("profile", machine.profile.clone()),
        (
            "features",
            machine.features.as_deref().map_or_else(unknown, list),
        ),
    ]
}

fn list(features: &[String]) -> String {
    match features {
        [] => "none".to_owned(),
        features => features.join(", "),
    }
}

fn one(
    comparison: &Comparison<'_>,
    of_many_builds: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    let Comparison { a, b, .. } = comparison;
    writeln!(output, "\n{}", comparison.benchmark)?;
    if of_many_builds {
        line(output, "build", &a.variant.to_string())?;
    }
    if a.params == b.params {
        line(output, "parameters", &describe(&a.params))?;
    } else {
        line(output, "A ran with", &describe(&a.params))?;
        line(output, "B ran with", &describe(&b.params))?;
    }
    line(output, "A", &result(a))?;
    line(output, "B", &result(b))?;
    for (unit, ratio) in &comparison.also {
        line(
            output,
            "B to A",
            &format!("{} in {unit}", describe_ratio(ratio)),
        )?;
    }
    if let Some([a, b]) = &comparison.latencies {
        latencies(a, b, output)?;
    }
    if let Some(ratio) = &comparison.ratio {
        let how = if comparison.in_turn {
            ", pair by pair, as they were measured in turn".to_owned()
        } else {
            format!(
                "; not measured in turn: {:.1} % may be the machine",
                ratio.drift * 100.0
            )
        };
        line(output, "B to A", &format!("{}{how}", describe_ratio(ratio)))?;
    }
    line(output, "verdict", &verdict(comparison))
}

fn describe_ratio(ratio: &Ratio) -> String {
    format!(
        "{:.3} ({:.3} to {:.3})",
        ratio.ratio, ratio.interval.low, ratio.interval.high
    )
}

fn latencies(a: &Histogram<u64>, b: &Histogram<u64>, output: &mut dyn Write) -> io::Result<()> {
    let row = |output: &mut dyn Write, cells: [&str; 4]| {
        let [name, a, b, ratio] = cells;
        let row = format!("    {name:<9} {a:>12} {b:>12} {ratio:>8}");
        writeln!(output, "{}", row.trim_end())
    };
    row(output, ["latency", "A", "B", "B to A"])?;
    for ((name, a), (_, b)) in percentiles(a).zip(percentiles(b)) {
        let ratio = if a == 0 {
            "-".to_owned()
        } else {
            format!("{:.2}", b as f64 / a as f64)
        };
        row(output, [name, &nanoseconds(a), &nanoseconds(b), &ratio])?;
    }
    row(
        output,
        ["measured", &grouped(a.len()), &grouped(b.len()), ""],
    )
}

fn verdict(comparison: &Comparison<'_>) -> String {
    let runs = |record: &Record| record.runs.runs().len();
    match comparison.verdict {
        Verdict::TooFewRuns => {
            let needed = comparison.runs_needed;
            format!(
                "none: {} of A and {} of B are too few, {needed} of each are needed (--runs {needed})",
                count(runs(comparison.a) as u64, "run"),
                runs(comparison.b)
            )
        }
        Verdict::NoRatio => "none: there are figures that are not above zero".to_owned(),
        Verdict::NoDifference => comparison.word.to_owned(),
        Verdict::Larger | Verdict::Smaller => format!("B is {}", comparison.word),
    }
}

fn summary(comparisons: &[Comparison<'_>]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for comparison in comparisons {
        *counts.entry(comparison.word).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(word, number)| format!("{} {word}", grouped(*number)))
        .collect();
    format!(
        "B, of {}: {}",
        count(comparisons.len() as u64, "benchmark"),
        counts.join(", ")
    )
}
