//! The parts of a result as people read them.

use std::io::{self, Write};

use crate::format::{bytes, count, figure, grouped};
use crate::parameters::Parameters;
use crate::record::Record;

/// A line of a result: what it is about, and the rest.
pub(crate) fn line(output: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(output, "  {label:<11} {text}")
}

/// With what it was run.
pub(crate) fn describe(parameters: &Parameters) -> String {
    let workers = count(parameters.workers as u64, "worker");
    format!("{workers}, {}", describe_without_workers(parameters))
}

/// The same of results on several numbers of workers.
pub(crate) fn describe_without_workers(parameters: &Parameters) -> String {
    let mut text = String::new();
    if let Some(pairs) = parameters.pairs {
        text.push_str(&format!("{}, ", count(pairs, "pair")));
    }
    text.push_str(&format!("repeat {}", grouped(parameters.repeat)));
    if let Some(window) = parameters.window {
        text.push_str(&format!(", window {}", grouped(window)));
    }
    if let Some(actors) = parameters.actors {
        text.push_str(&format!(", {}", count(actors, "actor")));
    }
    if let Some(size) = parameters.size {
        text.push_str(&format!(", {} a message", count(size, "byte")));
    }
    if let Some(pipeline) = parameters.pipeline {
        text.push_str(&format!(", {} together", count(pipeline, "request")));
    }
    if let Some(rate) = parameters.rate {
        text.push_str(&format!(", {} repeats begun a second", grouped(rate)));
    }
    if let Some(events) = parameters.events_per_resume {
        text.push_str(&format!(", {} a resume", count(events.into(), "event")));
    }
    text.push_str(if parameters.pin {
        ", pinned"
    } else {
        ", not pinned"
    });
    text.push_str(&match parameters.warmup {
        0 => ", no warm-up".to_owned(),
        warmup => format!(", {}", count(warmup as u64, "warm-up")),
    });
    text
}

/// The figure, and how far the runs lie apart.
pub(crate) fn result(record: &Record) -> String {
    let runs = record.runs.runs().len();
    let mut text = format!("{} {}", figure(record.median), record.unit);
    if runs > 1 {
        text.push_str(&format!(
            ", the median of {runs} runs from {} to {} (spread {:.1} %)",
            figure(record.runs.min()),
            figure(record.runs.max()),
            record.runs.spread() * 100.0
        ));
    } else {
        text.push_str(", one run");
    }
    for (unit, figures) in &record.also {
        text.push_str(&format!("; {} {unit}", figure(figures.median)));
    }
    text
}

/// The figure of the original, where it has one.
pub(crate) fn compat(output: &mut dyn Write, record: &Record) -> io::Result<()> {
    if let Some(Some(compat)) = record.compat {
        let text = format!(
            "{} {}: as the original counts, which stops when all clients but one are done",
            figure(compat),
            record.unit
        );
        line(output, "compat", &text)?;
    }
    Ok(())
}

/// What the runs took of the machine.
pub(crate) fn taken(output: &mut dyn Write, record: &Record) -> io::Result<()> {
    line(
        output,
        "peak memory",
        &format!("{} resident", bytes(record.peak_rss_bytes)),
    )?;
    let switches = record.context_switches;
    line(
        output,
        "switches",
        &format!(
            "{} voluntary and {} involuntary context switches during the runs",
            grouped(switches.voluntary),
            grouped(switches.involuntary)
        ),
    )
}
