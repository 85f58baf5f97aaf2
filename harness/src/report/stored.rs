//! What is in a file of results, for people.

use std::io::{self, Write};
use std::path::Path;

use hdrhistogram::Histogram;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::record::{compat, describe, line, result, taken};
use crate::format::{bytes, count, figure, grouped, nanoseconds};
use crate::machine::Machine;
use crate::record::Record;
use crate::saved::Saved;

/// As far as histograms of some hundred thousand latencies say anything.
const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// A record of the file and its latencies, if it has any.
pub(crate) type Shown<'a> = (&'a Record, Option<Histogram<u64>>);

/// Tells where and when it was measured, and each of these results.
pub(crate) fn show(
    path: &Path,
    saved: &Saved,
    records: &[Shown<'_>],
    output: &mut dyn Write,
) -> io::Result<()> {
    writeln!(output, "{}, saved {}", path.display(), moment(saved))?;
    line(output, "machine", &machine(saved))?;
    line(output, "build", &build(&saved.machine))?;
    for (record, latencies) in records {
        writeln!(output, "\n{}", record.benchmark)?;
        line(output, "build", &record.variant.to_string())?;
        line(output, "parameters", &describe(&record.params))?;
        let runs: Vec<String> = record.runs.runs().iter().copied().map(figure).collect();
        line(output, "runs", &runs.join("; "))?;
        latency(output, record, latencies.as_ref())?;
        compat(output, record)?;
        taken(output, record)?;
        line(output, "result", &result(record))?;
    }
    output.flush()
}

fn latency(
    output: &mut dyn Write,
    record: &Record,
    latencies: Option<&Histogram<u64>>,
) -> io::Result<()> {
    let Some(latencies) = latencies else {
        if let Some(known) = record.latency_ns {
            let text = format!(
                "p50 {}, p99 {}, max {}; of an older harness, which kept no histograms",
                nanoseconds(known.p50),
                nanoseconds(known.p99),
                nanoseconds(known.max)
            );
            line(output, "latency", &text)?;
        }
        return Ok(());
    };
    line(
        output,
        "latency",
        &format!("{} measured", grouped(latencies.len())),
    )?;
    for (name, value) in percentiles(latencies) {
        writeln!(output, "    {name:<9} {:>10}", nanoseconds(value))?;
    }
    Ok(())
}

/// Names and values, the greatest last.
pub(crate) fn percentiles(latencies: &Histogram<u64>) -> impl Iterator<Item = (&'static str, u64)> {
    let value = |(name, part)| (name, latencies.value_at_quantile(part));
    PERCENTILES
        .map(value)
        .into_iter()
        .chain([("max", latencies.max())])
}

/// When it was saved.
pub(crate) fn moment(saved: &Saved) -> String {
    let unix = saved.saved_unix_seconds;
    i64::try_from(unix)
        .ok()
        .and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix} s after 1970"))
}

/// What it was measured on.
pub(crate) fn place(machine: &Machine) -> String {
    let mut text = format!("{}, {}", machine.cpu, count(machine.cores as u64, "core"));
    if let Some(memory) = machine.memory_bytes {
        text.push_str(&format!(", {}", bytes(memory)));
    }
    text.push_str(&format!("; kernel {}", machine.kernel));
    if let Some(governor) = &machine.governor {
        text.push_str(&format!("; governor {governor}"));
    }
    text
}

fn machine(saved: &Saved) -> String {
    let mut text = place(&saved.machine);
    if let Some(before) = saved.load_average.before {
        text.push_str(&format!("; load {before:.2} before"));
    }
    if let Some(after) = saved.load_average.after {
        text.push_str(&format!(", {after:.2} after"));
    }
    text
}

/// What it was built with, and from.
pub(crate) fn build(machine: &Machine) -> String {
    let mut text = format!("{}, {}", machine.profile, machine.rustc);
    if let Some(features) = &machine.features {
        text.push_str("; features ");
        text.push_str(&match features.as_slice() {
            [] => "none".to_owned(),
            features => features.join(", "),
        });
    }
    text.push_str("; revision ");
    text.push_str(machine.revision.as_deref().unwrap_or("unknown"));
    text
}
