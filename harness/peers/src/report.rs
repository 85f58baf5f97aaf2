//! Telling it.

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use crate::peers::{Peer, Place};
use crate::rounds::{Comparison, Entry};
use crate::versions;
use crate::workload::{Job, Workload};

/// The peers with their versions, and the workloads.
pub(crate) fn list() -> ExitCode {
    for one in Peer::ALL {
        peer(one, versions::version(one).as_deref(), false);
    }
    say("\n");
    for workload in Workload::ALL {
        let (name, repeat) = (workload.name(), grouped(workload.default_repeat()));
        say(&format!("{name:22} {}\n", workload.summary()));
        say(&format!(
            "{:22} {repeat} repeats; {}\n",
            "",
            workload.unit()
        ));
    }
    ExitCode::SUCCESS
}

/// Ends the program where nobody reads on.
fn say(text: &str) {
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        std::process::exit(1);
    }
}

/// Who it is; to standard error where only results are printed.
pub(crate) fn peer(peer: Peer, version: Option<&str>, aside: bool) {
    let name = peer.name();
    let line = match (version, peer.place()) {
        (Some(version), _) => format!("{name:16} {version:24} {}", peer.summary()),
        (None, Place::Outside(program)) => format!(
            "{name:16} not installed, left out: {}",
            program.how_to_install()
        ),
        (None, Place::Here(_)) => format!("{name:16} of unknown version, left out"),
    };
    if aside {
        eprintln!("{line}");
    } else {
        say(&format!("{line}\n"));
    }
}

/// One workload.
pub(crate) fn comparison(comparison: &Comparison, as_json: bool) {
    if as_json {
        for entry in &comparison.entries {
            say(&format!("{}\n", record(comparison, entry)));
        }
    } else {
        say(&table(comparison));
    }
}

/// For programs.
fn record(comparison: &Comparison, entry: &Entry) -> serde_json::Value {
    let Comparison { job, base, .. } = comparison;
    let series = entry.series();
    let ratio = comparison.ratio(entry);
    json!({
        "workload": job.workload.name(),
        "unit": job.workload.unit(),
        "peer": entry.peer.name(),
        "version": versions::version(entry.peer),
        "workers": job.workers,
        "repeat": job.repeat,
        "warmup": job.warmup,
        "median": series.as_ref().map(|series| series.median()),
        "spread": series.as_ref().map(|series| series.spread()),
        "runs": entry.runs,
        "base": base.name(),
        "ratio": ratio.as_ref().map(|ratio| ratio.of_medians),
        "ratio_least": ratio.as_ref().map(|ratio| ratio.of_rounds.0),
        "ratio_most": ratio.as_ref().map(|ratio| ratio.of_rounds.1),
        "failed": entry.failed,
    })
}

fn table(comparison: &Comparison) -> String {
    let Comparison { job, base, .. } = comparison;
    let title = format!(
        "\n{}: {} repeats{}, {}, {}\n",
        job.workload.name(),
        grouped(job.repeat),
        size(job),
        counted(job.workers, "worker"),
        counted(comparison.rounds() as u64, "round"),
    );
    let mut rows = vec![
        [
            "peer",
            job.workload.unit(),
            "spread",
            "ratio",
            "of the rounds",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for entry in &comparison.entries {
        let name = entry.peer.name().to_owned();
        rows.push(match entry.series() {
            None => vec![name, "failed".to_owned()],
            Some(series) => {
                let mut row = vec![
                    name,
                    grouped(series.median().round() as u64),
                    format!("{:.1} %", series.spread() * 100.0),
                ];
                if let Some(ratio) = comparison.ratio(entry) {
                    let (least, most) = ratio.of_rounds;
                    row.push(format!("{:.2}", ratio.of_medians));
                    row.push(format!("{least:.2} to {most:.2}"));
                }
                row
            }
        });
    }
    let failures = comparison.entries.iter().filter_map(|entry| {
        let why = entry.failed.as_ref()?;
        Some(format!("{} failed: {why}\n", entry.peer.name()))
    });
    let note = format!("ratios are to {}: more is faster\n", base.name());
    title + &aligned(&rows) + &failures.collect::<String>() + &note
}

/// What a workload's size is beside its repeats.
fn size(job: &Job) -> String {
    match job.workload {
        Workload::ThroughputPerformance | Workload::PingPong => format!(
            ", {}, {} under way",
            counted(job.pairs(), "pair"),
            grouped(job.window())
        ),
        Workload::FanIn | Workload::DispatchAwait => {
            format!(", {} under way", grouped(job.window()))
        }
        Workload::ThreadRing | Workload::Skynet | Workload::SpawnLife => String::new(),
    }
}

/// All workloads side by side, as a table that Markdown knows too.
pub(crate) fn summary(comparisons: &[Comparison]) {
    if let Some(text) = side_by_side(comparisons) {
        say(&format!("\n{text}"));
    }
}

fn side_by_side(comparisons: &[Comparison]) -> Option<String> {
    let first = comparisons.first()?;
    let peers = first.entries.iter().map(|entry| entry.peer);
    let mut header = vec![format!("ratio to {}", first.base.name())];
    header.extend(peers.map(|peer| peer.name().to_owned()));
    let mut notes = String::new();
    let mut rows = vec![header];
    for comparison in comparisons {
        let name = comparison.job.workload.name();
        let mut row = vec![name.to_owned()];
        for entry in &comparison.entries {
            let note = match &entry.failed {
                Some(why) => Some(format!("failed: {why}")),
                None => entry.peer.note(comparison.job.workload).map(str::to_owned),
            };
            let mut cell = match comparison.ratio(entry) {
                Some(ratio) => format!("{:.2}", ratio.of_medians),
                None => "–".to_owned(),
            };
            if let Some(note) = note {
                let number = notes.lines().count() + 1;
                cell += &format!(" ({number})");
                notes += &format!("({number}) {name}, {}: {note}\n", entry.peer.name());
            }
            row.push(cell);
        }
        rows.push(row);
    }
    let widths = widths(&rows);
    let line: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
    rows.insert(1, line);
    let lines = rows
        .iter()
        .map(|row| format!("| {} |\n", padded(row, &widths).join(" | ")));
    Some(lines.collect::<String>() + if notes.is_empty() { "" } else { "\n" } + &notes)
}

/// Columns of equal width, without spaces at the ends.
fn aligned(rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
    let lines = rows.iter().map(|row| {
        format!("  {}", padded(row, &widths).join("  "))
            .trim_end()
            .to_owned()
            + "\n"
    });
    lines.collect()
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    (0..columns)
        .map(|column| {
            rows.iter()
                .map(|row| width(row, column))
                .max()
                .unwrap_or_default()
        })
        .collect()
}

/// The first to the left, the figures to the right.
fn padded(row: &[String], widths: &[usize]) -> Vec<String> {
    let cells = row.iter().zip(widths).enumerate();
    cells
        .map(|(column, (cell, width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        })
        .collect()
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// With a comma between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest
        .as_bytes()
        .chunks(3)
        .map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| head.to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::tests::comparison;

    fn three() -> Comparison {
        comparison(&[
            (Peer::Libprocess, &[1_000.0, 2_000.0, 3_000.0], None),
            (Peer::Tokio, &[500.0, 500.0, 600.0], None),
            (Peer::Go, &[], Some("it hung")),
        ])
    }

    #[test]
    fn a_workload_is_told_with_medians_spreads_and_ratios() {
        let expected = "\nFanIn: 8,000 repeats, 1,000 under way, 2 workers, 3 rounds
  peer        messages/s   spread  ratio  of the rounds
  libprocess       2,000  100.0 %   1.00   1.00 to 1.00
  tokio              500   20.0 %   0.25   0.20 to 0.50
  go              failed
go failed: it hung
ratios are to libprocess: more is faster
";
        assert_eq!(table(&three()), expected);
    }

    #[test]
    fn all_are_side_by_side_and_what_has_no_figure_says_why() {
        let expected = "\
| ratio to libprocess | libprocess | tokio |    go |
| ------------------- | ---------- | ----- | ----- |
| FanIn               |       1.00 |  0.25 | – (1) |

(1) FanIn, go: failed: it hung
";
        assert_eq!(side_by_side(&[three()]).as_deref(), Some(expected));
        assert_eq!(side_by_side(&[]), None);
    }

    #[test]
    fn what_failed_has_no_figure_for_programs() {
        let comparison = three();
        let record = record(&comparison, &comparison.entries[2]);
        assert_eq!(
            (&record["failed"], &record["ratio"]),
            (&json!("it hung"), &json!(null))
        );
        assert_eq!(
            (&record["peer"], &record["median"]),
            (&json!("go"), &json!(null))
        );
    }

    #[test]
    fn numbers_are_grouped() {
        let grouped = [0, 999, 1_000, 123_456, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "123,456", "1,234,567"]);
    }
}
