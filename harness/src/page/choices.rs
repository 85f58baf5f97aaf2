//! Throughput by choice: the same work, measured with libraries that were built with other choices.

use super::bars::{Bar, BarPlot};
use super::figure::{Figure, Section, Table, named, told};
use super::group::{self, Build, Entry, grouped, labels, newest, pooled, spread};
use super::scene::LINES;
use super::words;
use crate::compare::is_rate;
use crate::record::Record;
use crate::report::describe;

pub(super) const ID: &str = "choices";

/// Results of one work, from which one plot is made.
struct Candidate<'a> {
    entries: Vec<Entry<'a>>,
    /// They are from one file: measured in one go, most likely in turn.
    together: bool,
}

pub(super) fn section(entries: &[Entry<'_>]) -> Section {
    let mut section = Section {
        id: ID,
        title: "Throughput by choice",
        about: "The same work with each choice of run queue, event queue, semaphore and reactor that was measured. A bar is the median of the runs, the line on it reaches from the least run to the greatest. Bars of one colour have the same run queue. Believe no difference that is smaller than those lines.",
        missing: "No benchmark was measured with more than one choice, on one machine, with the same parameters and sources. `harness matrix --save NAME` measures every choice in turn, and keeps what it measured.",
        figures: Vec::new(),
        remarks: Vec::new(),
    };
    let works = grouped(entries.iter().copied(), |entry| {
        let record = entry.record;
        (family(record), &record.unit, &record.params, entry.ground())
    });
    for (_, entries) in works {
        let mut candidates = candidates(&entries);
        candidates.sort_by_key(|candidate| std::cmp::Reverse(newest(&candidate.entries)));
        let mut candidates = candidates.into_iter();
        let Some(shown) = candidates.next() else {
            continue;
        };
        let number = section.figures.len();
        section.figures.push(draw(number, &shown));
        let older: Vec<String> = candidates
            .map(|candidate| candidate.entries[0].source.name.clone())
            .collect();
        if !older.is_empty() {
            section.remarks.push(format!(
                "{}, {}: the newest is shown; {} has older ones, or others.",
                family(shown.entries[0].record),
                describe(&shown.entries[0].record.params),
                named(&older)
            ));
        }
    }
    section
}

fn family(record: &Record) -> &str {
    words::family(&record.benchmark, &words::choices(&record.variant))
}

/// Of one revision each: sources that differ would be a choice that no bar tells of.
fn candidates<'a>(entries: &[Entry<'a>]) -> Vec<Candidate<'a>> {
    let several = |entries: &[Entry<'a>]| {
        let first = entries[0].choice();
        entries.iter().any(|entry| entry.choice() != first)
    };
    let mut candidates = Vec::new();
    for (_, entries) in grouped(entries.iter().copied(), |entry| entry.revision()) {
        let mut apart = Vec::new();
        for (_, entries) in grouped(entries, |entry| std::ptr::from_ref(entry.source)) {
            if several(&entries) {
                candidates.push(Candidate {
                    entries,
                    together: true,
                });
            } else {
                apart.extend(entries);
            }
        }
        if !apart.is_empty() && several(&apart) {
            candidates.push(Candidate {
                entries: apart,
                together: false,
            });
        }
    }
    candidates
}

fn draw(number: usize, candidate: &Candidate<'_>) -> Figure {
    let entries = &candidate.entries;
    let record = entries[0].record;
    let mut by_choice = grouped(entries.iter().copied(), |entry| entry.choice());
    by_choice.sort_by_cached_key(|(choice, _)| words::choices(choice.variant));
    let builds: Vec<Build<'_>> = by_choice
        .iter()
        .map(|(choice, _)| Build {
            choice: choice.clone(),
            revision: None,
        })
        .collect();
    let labels = labels(&builds);
    let kinds = kinds(&builds);
    let all: Vec<_> = by_choice
        .iter()
        .map(|(_, entries)| pooled(entries))
        .collect();
    let medians = || all.iter().map(|runs| runs.median());
    let best = if is_rate(&record.unit) {
        medians().fold(f64::NEG_INFINITY, f64::max)
    } else {
        medians().fold(f64::INFINITY, f64::min)
    };
    let mut table = Table::of_runs(&["choice"], "of the best");
    let mut bars = Vec::new();
    for ((label, runs), kind) in labels.iter().zip(&all).zip(kinds) {
        table.add(vec![label.clone()], runs, Some(runs.median() / best));
        bars.push(Bar {
            label: label.clone(),
            value: runs.median(),
            spread: spread(runs),
            kind,
            told: told(label, runs, &record.unit),
        });
    }
    let description = format!(
        "{} bars in {}, one for each choice; the table has their numbers.",
        bars.len(),
        record.unit
    );
    let plot = BarPlot {
        unit: record.unit.clone(),
        bars,
        description,
    };
    let mut figure = Figure::new(
        (ID, number),
        family(record),
        entries,
        describe(&record.params),
        plot.draw(),
        table,
    );
    if !candidate.together {
        figure.notes.push("Each choice is from a file of its own, so measured at another time: the machine may have changed in between.".to_owned());
    }
    figure
}

/// A number for each run queue, of which each has its colour.
fn kinds(builds: &[Build<'_>]) -> Vec<usize> {
    let known = group::grouped(builds.iter().map(run_queue), |run_queue| *run_queue);
    let number = |build: &Build<'_>| {
        let place = known
            .iter()
            .position(|(known, _)| *known == run_queue(build));
        place.unwrap_or(0) % LINES
    };
    builds.iter().map(number).collect()
}

fn run_queue<'a>(build: &Build<'a>) -> &'a str {
    &build.choice.variant.run_queue
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::example;
    use crate::page::input::Source;
    use crate::series::Series;

    fn choices_of(sources: &[Source]) -> Section {
        let entries: Vec<Entry<'_>> = sources.iter().flat_map(example::entries).collect();
        section(&entries)
    }

    fn record(run_queue: &str, runs: &[f64]) -> Record {
        let mut record = example::record("X", 1);
        record.variant.run_queue = run_queue.to_owned();
        record.runs = Series::new(runs.to_vec());
        record
    }

    #[test]
    fn choices_of_one_file_are_side_by_side() {
        let records = vec![
            record("work-stealing", &[20.0, 30.0]),
            record("locking", &[10.0]),
            record("work-stealing", &[40.0]),
        ];
        let section = choices_of(&[example::source("matrix", records)]);
        let [figure] = section.figures.as_slice() else {
            panic!("{section:?}")
        };
        assert_eq!(
            figure.table.rows,
            [
                ["locking run queue", "10.0", "10.0", "10.0", "1", "0.33"],
                [
                    "work-stealing run queue",
                    "30.0",
                    "20.0",
                    "40.0",
                    "3",
                    "1.00"
                ],
            ]
        );
        assert!(
            !figure
                .notes
                .iter()
                .any(|note| note.contains("at another time"))
        );
        assert!(section.remarks.is_empty());
    }

    #[test]
    fn choices_of_several_files_are_so_with_a_warning() {
        let files = ["locking", "lock-free"]
            .map(|queue| example::source(queue, vec![record(queue, &[10.0])]));
        let section = choices_of(&files);
        let [figure] = section.figures.as_slice() else {
            panic!("{section:?}")
        };
        assert_eq!(figure.table.rows.len(), 2);
        assert!(
            figure
                .notes
                .iter()
                .any(|note| note.contains("at another time"))
        );
        assert!(
            figure
                .facts
                .contains(&("from", "locking, lock-free".to_owned()))
        );
    }

    #[test]
    fn nothing_else_may_differ() {
        let changes: [fn(&mut Source); 5] = [
            |source| source.saved.machine.cpu.push('x'),
            |source| source.saved.machine.revision = Some("other".to_owned()),
            |source| source.saved.results[0].params.workers = 2,
            |source| source.saved.results[0].params.repeat = 11,
            |source| source.saved.results[0].unit = "others/s".to_owned(),
        ];
        for change in changes {
            let one = example::source("one", vec![record("locking", &[10.0])]);
            let mut other = example::source("other", vec![record("lock-free", &[10.0])]);
            change(&mut other);
            assert!(choices_of(&[one, other]).figures.is_empty());
        }
    }

    #[test]
    fn the_newest_is_shown_and_older_ones_are_named() {
        let mut files = ["old", "new"].map(|name| {
            example::source(
                name,
                vec![record("locking", &[1.0]), record("lock-free", &[2.0])],
            )
        });
        files[1].saved.saved_unix_seconds += 1;
        let section = choices_of(&files);
        assert_eq!(section.figures.len(), 1);
        assert!(
            section.figures[0]
                .facts
                .contains(&("from", "new".to_owned()))
        );
        assert!(
            section.remarks[0].contains("old has older ones"),
            "{:?}",
            section.remarks
        );
    }

    #[test]
    fn benchmarks_that_differ_in_the_reactor_are_side_by_side() {
        let over = |reactor: &str, ending| {
            let mut record = example::record(&format!("Net.Echo.{ending}"), 1);
            record.variant.reactor = Some(reactor.to_owned());
            record
        };
        let records = vec![over("io_uring", "IoUring"), over("epoll", "Epoll")];
        let section = choices_of(&[example::source("one", records)]);
        let [figure] = section.figures.as_slice() else {
            panic!("{section:?}")
        };
        assert_eq!(figure.heading, "Net.Echo");
        assert_eq!(figure.benchmarks, ["Net.Echo.IoUring", "Net.Echo.Epoll"]);
        let labels: Vec<&str> = figure
            .table
            .rows
            .iter()
            .map(|row| row[0].as_str())
            .collect();
        assert_eq!(labels, ["epoll reactor", "io_uring reactor"]);
    }

    #[test]
    fn of_memory_the_least_is_the_best() {
        let bytes = |run_queue, bytes| {
            let mut record = record(run_queue, &[bytes]);
            record.unit = "bytes/process".to_owned();
            record
        };
        let source = example::source(
            "one",
            vec![bytes("locking", 200.0), bytes("lock-free", 100.0)],
        );
        let section = choices_of(&[source]);
        let rows = &section.figures[0].table.rows;
        assert_eq!((rows[0][5].as_str(), rows[1][5].as_str()), ("1.00", "2.00"));
    }
}
