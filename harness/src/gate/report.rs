//! Telling what was counted: to people, or to programs.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::baseline::{Change, Entry};
use super::figures::{Kind, Verdict};
use super::judged::{Judged, decimals};
use super::region::Region;

/// One JSON object on a line. A reader at the other end of a pipe need not wait for the next one.
pub(super) fn line(object: &impl serde::Serialize, output: &mut dyn Write) -> io::Result<()> {
    writeln!(output, "{}", serde_json::to_string(object)?)?;
    output.flush()
}

pub(super) fn judged(judged: &Judged, json: bool, output: &mut dyn Write) -> io::Result<()> {
    if json {
        return line(judged, output);
    }
    writeln!(output, "{}: {}", judged.region, judged.operation)?;
    for figure in &judged.figures {
        let baseline = figure.baseline.map_or_else(String::new, |baseline| {
            format!("baseline {:>9}", decimals(baseline))
        });
        let advice = if figure.verdict == Verdict::Better {
            ": lower the baseline, with --accept"
        } else {
            ""
        };
        writeln!(
            output,
            "  {:<13} {:>9}  {baseline:<18} {:>9}  {}{advice}",
            figure.kind.title(),
            decimals(figure.counted),
            figure.change().unwrap_or_default(),
            figure.verdict.word(),
        )?;
    }
    output.flush()
}

pub(super) fn counted(
    region: &Region,
    entry: Entry,
    json: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    if json {
        let object = json!({
            "region": region.name,
            "operation": region.operation,
            "repeats": entry.repeats,
            "figures": entry.figures,
        });
        return line(&object, output);
    }
    writeln!(output, "{}: {}", region.name, region.operation)?;
    for kind in Kind::ALL {
        let figure = decimals(entry.figures.get(kind));
        writeln!(output, "  {:<13} {figure:>9}", kind.title())?;
    }
    output.flush()
}

pub(super) fn accepted(
    changes: &[Change],
    path: &Path,
    json: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    for change in changes {
        if json {
            line(change, output)?;
            continue;
        }
        let figure = |figure: Option<f64>| figure.map_or_else(|| "none".to_owned(), decimals);
        writeln!(
            output,
            "{}: {} {}, before {}",
            change.region,
            figure(change.to),
            change.figure.replace('_', " "),
            figure(change.from)
        )?;
    }
    // Not in what programs read.
    if changes.is_empty() {
        eprintln!("all is as before: {} stays as it is", path.display());
    } else {
        eprintln!(
            "written to {}: commit it with what made the change",
            path.display()
        );
    }
    output.flush()
}

pub(super) fn list(regions: &[&Region], output: &mut dyn Write) -> io::Result<()> {
    for region in regions {
        writeln!(output, "{}\n  {}", region.name, region.operation)?;
    }
    output.flush()
}
