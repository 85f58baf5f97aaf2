//! Curves of latencies over percentiles, from the histograms that results have: every count of them is in the curve.

use hdrhistogram::Histogram;

use super::axis::{Axis, end_of_nines, nines};
use super::figure::{Figure, Section, Table};
use super::group::{Build, Entry, grouped, histograms, labels, newest};
use super::lines::{Line, LinePlot, Point};
use super::scene::{LINES, Place};
use crate::format::{grouped as digits, nanoseconds};
use crate::latency;
use crate::report::describe;

pub(super) const ID: &str = "latencies";

/// What the table has, and where the lines have their marks.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// So many places along the axis have the least and the greatest of the runs.
const BAND: u32 = 200;

/// A build, and the histograms of its runs.
struct Measured<'a> {
    build: Build<'a>,
    entries: Vec<Entry<'a>>,
    runs: Vec<Histogram<u64>>,
    all: Histogram<u64>,
}

pub(super) fn section(entries: &[Entry<'_>]) -> Section {
    let mut section = Section {
        id: ID,
        title: "Latencies",
        about: "How many latencies are as short as this, or shorter. Each step to the right leaves a tenth as many above: 99 % are at p99 or below it. The line is of all runs together, from every count of their histograms; the shade reaches from the run that had the least there to the one that had the greatest. Both axes are logarithmic.",
        missing: "No result has histograms. `harness run 'Latency.*' --save NAME` makes such.",
        figures: Vec::new(),
        remarks: Vec::new(),
    };
    let with_histograms = entries
        .iter()
        .copied()
        .filter(|entry| !entry.record.latency_histograms.is_empty());
    let works = grouped(with_histograms, |entry| {
        let record = entry.record;
        (&record.benchmark, &record.params, entry.ground())
    });
    for (_, entries) in works {
        let builds = grouped(entries, |entry| entry.build());
        let mut lines: Vec<Measured<'_>> = builds
            .into_iter()
            .filter_map(|(build, entries)| {
                let runs = histograms(&entries);
                // Histograms of other bounds, which this harness does not make, need not fit together.
                let all = latency::merged(&runs).ok().flatten()?;
                (!all.is_empty()).then_some(Measured {
                    build,
                    entries,
                    runs,
                    all,
                })
            })
            .collect();
        lines.sort_by_key(|line| std::cmp::Reverse(newest(&line.entries)));
        let Some(first) = lines.first() else {
            continue;
        };
        if lines.len() > LINES {
            section.remarks.push(format!(
                "{}: the {LINES} newest builds are shown, of {}.",
                first.entries[0].record.benchmark,
                lines.len()
            ));
            lines.truncate(LINES);
        }
        let number = section.figures.len();
        section.figures.push(draw(number, &lines));
    }
    let without = entries.iter().filter(|entry| {
        entry.record.latency_ns.is_some() && entry.record.latency_histograms.is_empty()
    });
    let without = without.count();
    if without > 0 {
        section.remarks.push(format!(
            "{without} of the results are of an older harness, which kept percentiles and no histograms: they have no curve."
        ));
    }
    section
}

fn draw(number: usize, measured: &[Measured<'_>]) -> Figure {
    let builds: Vec<Build<'_>> = measured.iter().map(|line| line.build.clone()).collect();
    let labels = labels(&builds);
    let most = measured
        .iter()
        .map(|line| line.all.len())
        .max()
        .unwrap_or(1);
    let least = measured
        .iter()
        .map(|line| line.all.min())
        .min()
        .unwrap_or(1);
    let greatest = measured
        .iter()
        .map(|line| line.all.max())
        .max()
        .unwrap_or(1);
    let mut table = Table {
        head: std::iter::once("percentile".to_owned())
            .chain(labels.iter().map(|label| {
                if label.is_empty() {
                    "latency (runs from, to)".to_owned()
                } else {
                    label.clone()
                }
            }))
            .collect(),
        rows: Vec::new(),
    };
    for (name, part) in PERCENTILES {
        table.rows.push(row(name, measured, |histogram| {
            // Of fewer latencies this percentile is the greatest of them, and no percentile.
            let enough = histogram.len() as f64 * (1.0 - part) >= 0.999;
            enough.then(|| histogram.value_at_quantile(part))
        }));
    }
    table
        .rows
        .push(row("max", measured, |histogram| Some(histogram.max())));
    let counts = measured
        .iter()
        .map(|line| format!("{} in {} runs", digits(line.all.len()), line.runs.len()));
    table.rows.push(
        std::iter::once("measured".to_owned())
            .chain(counts)
            .collect(),
    );
    let lines = measured
        .iter()
        .zip(&labels)
        .map(|(line, label)| curve(line, label));
    let description = format!(
        "Latencies from {} to {} over percentiles; the table has the numbers.",
        nanoseconds(least),
        nanoseconds(greatest)
    );
    let plot = LinePlot {
        x: Axis::of_percentiles(most),
        y: Axis::of_durations(least, greatest),
        lines: lines.collect(),
        reference: None,
        apart: 0.0,
        description,
    };
    let entries: Vec<Entry<'_>> = measured
        .iter()
        .flat_map(|line| line.entries.clone())
        .collect();
    let parameters = describe(&entries[0].record.params);
    Figure::new(
        (ID, number),
        &entries[0].record.benchmark,
        &entries,
        parameters,
        plot.draw(),
        table,
    )
}

/// A value of all runs together, and in brackets the least and the greatest of them.
fn row(
    name: &str,
    measured: &[Measured<'_>],
    value: impl Fn(&Histogram<u64>) -> Option<u64>,
) -> Vec<String> {
    let cell = |line: &Measured<'_>| {
        let Some(all) = value(&line.all) else {
            return "–".to_owned();
        };
        let runs: Vec<u64> = line.runs.iter().filter_map(&value).collect();
        match (runs.iter().min(), runs.iter().max()) {
            (Some(low), Some(high)) if runs.len() > 1 => format!(
                "{} ({}, {})",
                nanoseconds(all),
                nanoseconds(*low),
                nanoseconds(*high)
            ),
            _ => nanoseconds(all),
        }
    };
    std::iter::once(name.to_owned())
        .chain(measured.iter().map(cell))
        .collect()
}

fn curve(measured: &Measured<'_>, label: &str) -> Line {
    let path = steps(&measured.all);
    let points = PERCENTILES.iter().filter_map(|(name, part)| {
        let at = -(1.0 - part).log10();
        let (last, _) = path.last()?;
        (at <= *last).then(|| {
            let value = value_at(&path, at);
            Point {
                at: (at, value),
                spread: None,
                told: format!("{label} {name} {}", nanoseconds(value as u64))
                    .trim_start()
                    .to_owned(),
            }
        })
    });
    Line {
        label: label.to_owned(),
        points: points.collect(),
        band: band(&measured.runs),
        path,
    }
}

/// The histogram as a line of steps, each recorded value from where it begins to where it ends: no count is left out.
fn steps(histogram: &Histogram<u64>) -> Vec<Place> {
    let count = histogram.len();
    let mut below = 0;
    let mut steps = Vec::new();
    for recorded in histogram.iter_recorded() {
        let value = recorded.value_iterated_to() as f64;
        steps.push((nines(below, count), value));
        below += recorded.count_at_value();
        steps.push((nines(below, count), value));
    }
    steps
}

/// On a line of steps; where one ends and the next begins, that of the one that ends.
fn value_at(steps: &[Place], at: f64) -> f64 {
    let next = steps.partition_point(|(x, _)| *x < at - 1e-12);
    steps
        .get(next)
        .or(steps.last())
        .map_or(0.0, |(_, value)| *value)
}

/// As far as the shortest run has latencies; none of one run, which lies nowhere.
fn band(runs: &[Histogram<u64>]) -> Vec<(f64, f64, f64)> {
    let runs: Vec<&Histogram<u64>> = runs.iter().filter(|run| !run.is_empty()).collect();
    if runs.len() < 2 {
        return Vec::new();
    }
    let shortest = runs.iter().map(|run| run.len()).min().unwrap_or(1);
    let end = end_of_nines(shortest);
    let steps: Vec<Vec<Place>> = runs.into_iter().map(steps).collect();
    (0..=BAND)
        .map(|place| {
            let x = end * f64::from(place) / f64::from(BAND);
            let values = steps.iter().map(|steps| value_at(steps, x));
            let low = values.clone().fold(f64::INFINITY, f64::min);
            (x, low, values.fold(0.0, f64::max))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::example;
    use crate::page::input::Source;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = latency::histogram();
        for value in values {
            histogram.record(value).unwrap();
        }
        histogram
    }

    #[test]
    fn the_curve_is_the_histogram_at_every_percentile() {
        let values = (0..5_000_u64).map(|number| 50 + number * number % 90_001);
        let histogram = histogram(values);
        let steps = steps(&histogram);
        assert!(steps.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
        // In the middle between two latencies, where no rounding decides.
        for rank in 0..5_000 {
            let part = (f64::from(rank) + 0.5) / 5_000.0;
            let expected = histogram.value_at_quantile(part) as f64;
            assert_eq!(value_at(&steps, -(1.0 - part).log10()), expected, "{rank}");
        }
        assert_eq!(steps[0], (0.0, histogram.value_at_quantile(0.0) as f64));
        assert_eq!(
            steps[steps.len() - 1],
            (end_of_nines(5_000), histogram.max() as f64)
        );
        // Each recorded value is there, from where it begins to where it ends.
        assert_eq!(steps.len(), 2 * histogram.iter_recorded().count());
    }

    #[test]
    fn the_band_is_from_the_least_run_to_the_greatest() {
        let runs = [
            histogram(1..=100),
            histogram(101..=200),
            histogram(51..=150),
        ];
        let band = band(&runs);
        assert_eq!(band[0], (0.0, 1.0, 101.0));
        let &(x, low, high) = band.last().unwrap();
        assert_eq!((x, low, high), (end_of_nines(100), 100.0, 200.0));
        assert!(super::band(&runs[..1]).is_empty());
    }

    fn latencies(sources: &[Source]) -> Section {
        let entries: Vec<Entry<'_>> = sources.iter().flat_map(example::entries).collect();
        section(&entries)
    }

    fn source(name: &str, runs: &[&[u64]]) -> Source {
        let record = example::with_latencies(example::record("L", 1), runs);
        example::source(name, vec![record])
    }

    #[test]
    fn the_table_has_percentiles_and_how_far_the_runs_lie_apart() {
        let values: Vec<u64> = (1..=100).collect();
        let section = latencies(&[source("one", &[&values, &[7; 100]])]);
        let rows = &section.figures[0].table.rows;
        assert_eq!(rows[0], ["p50", "7 ns (7 ns, 50 ns)"]);
        assert_eq!(rows[2], ["p99", "98 ns (7 ns, 99 ns)"]);
        assert_eq!(rows[3], ["p99.9", "–"]);
        assert_eq!(rows[5], ["max", "100 ns (7 ns, 100 ns)"]);
        assert_eq!(rows[6], ["measured", "200 in 2 runs"]);
    }

    #[test]
    fn builds_are_curves_of_their_own_and_machines_plots() {
        let one = source("one", &[&[1, 2]]);
        let mut newer = source("newer", &[&[3, 4]]);
        newer.saved.machine.revision = Some("fedcba9876543210".to_owned());
        newer.saved.saved_unix_seconds += 1;
        let section = latencies(&[one, newer]);
        assert_eq!(
            section.figures[0].table.head,
            ["percentile", "revision fedcba98", "revision 01234567"]
        );
        let one = source("one", &[&[1, 2]]);
        let mut elsewhere = source("elsewhere", &[&[3, 4]]);
        elsewhere.saved.machine.cpu = "Another".to_owned();
        assert_eq!(latencies(&[one, elsewhere]).figures.len(), 2);
    }

    #[test]
    fn what_has_no_histogram_has_no_curve_and_is_counted() {
        let mut old = source("old", &[&[1, 2]]);
        let record = &mut old.saved.results[0];
        record.latency_histograms.clear();
        record.latency_ns =
            serde_json::from_str(r#"{"p50": 1, "p90": 2, "p99": 2, "p999": 2, "max": 2}"#).unwrap();
        let section = latencies(&[old, source("empty", &[&[]])]);
        assert!(section.figures.is_empty());
        assert!(
            section.remarks[0].starts_with("1 of the results"),
            "{:?}",
            section.remarks
        );
    }
}
