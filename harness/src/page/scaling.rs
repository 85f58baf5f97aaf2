//! Scaling: one benchmark on other numbers of workers.

use super::axis::Axis;
use super::figure::{Figure, Section, Table, told};
use super::group::{Build, Entry, extent, grouped, labels, newest, pooled, spread};
use super::lines::{Line, LinePlot, Point};
use super::scene::LINES;
use crate::compare::is_rate;
use crate::parameters::Parameters;
use crate::report::describe_without_workers;
use crate::series::Series;

pub(super) const ID: &str = "scaling";

/// How many pairs there are on other workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairs {
    /// So many, or the benchmark has none.
    Fixed(Option<u64>),
    /// The work grows with the workers.
    AsWorkers,
}

/// What is on a line: a build, and for each number of workers its results, in order.
struct Scaled<'a> {
    build: Build<'a>,
    by_workers: Vec<(usize, Vec<Entry<'a>>)>,
}

pub(super) fn section(entries: &[Entry<'_>]) -> Section {
    let mut section = Section {
        id: ID,
        title: "Scaling over workers",
        about: "The same work on other numbers of workers. A point is the median of the runs, the line through it reaches from the least run to the greatest. The dotted line is what the first point would give if each worker did as much. More workers than the machine has cores cannot do more.",
        missing: "No benchmark was measured with several numbers of workers, on one machine, with the same other parameters and the same build. `harness run … --workers 1 --save one` and `--workers 2 --save two` make such results.",
        figures: Vec::new(),
        remarks: Vec::new(),
    };
    // A result with as many pairs as workers may be on a line of such results, and on one of results with so many pairs.
    let each = entries.iter().flat_map(|entry| {
        let params = &entry.record.params;
        let as_workers = params.pairs == Some(params.workers as u64);
        let both = [
            Some(Pairs::Fixed(params.pairs)),
            as_workers.then_some(Pairs::AsWorkers),
        ];
        both.into_iter().flatten().map(|pairs| (*entry, pairs))
    });
    let works = grouped(each, |(entry, pairs)| {
        let record = entry.record;
        let others = Parameters {
            workers: 0,
            pairs: None,
            ..record.params.clone()
        };
        (
            &record.benchmark,
            &record.unit,
            others,
            *pairs,
            entry.ground(),
        )
    });
    for ((_, _, _, pairs, _), entries) in works {
        let entries: Vec<Entry<'_>> = entries.into_iter().map(|(entry, _)| entry).collect();
        let mut lines = lines(&entries);
        if lines.is_empty() {
            continue;
        }
        if lines.len() > LINES {
            section.remarks.push(format!(
                "{}: the {LINES} newest builds are shown, of {}.",
                entries[0].record.benchmark,
                lines.len()
            ));
            lines.truncate(LINES);
        }
        let number = section.figures.len();
        section.figures.push(draw(number, &lines, pairs));
    }
    section
}

/// The newest first.
fn lines<'a>(entries: &[Entry<'a>]) -> Vec<Scaled<'a>> {
    let builds = grouped(entries.iter().copied(), |entry| entry.build());
    let mut lines: Vec<(u64, Scaled<'a>)> = Vec::new();
    for (build, entries) in builds {
        let newest = newest(&entries);
        let mut by_workers = grouped(entries, |entry| entry.record.params.workers);
        by_workers.sort_by_key(|(workers, _)| *workers);
        // One point is no line.
        if by_workers.len() > 1 {
            lines.push((newest, Scaled { build, by_workers }));
        }
    }
    lines.sort_by_key(|(newest, _)| std::cmp::Reverse(*newest));
    lines.into_iter().map(|(_, line)| line).collect()
}

fn draw(number: usize, scaled: &[Scaled<'_>], pairs: Pairs) -> Figure {
    let entries: Vec<Entry<'_>> = scaled
        .iter()
        .flat_map(|line| {
            line.by_workers
                .iter()
                .flat_map(|(_, entries)| entries.clone())
        })
        .collect();
    let record = entries[0].record;
    let builds: Vec<Build<'_>> = scaled.iter().map(|line| line.build.clone()).collect();
    let labels = labels(&builds);
    let several = scaled.len() > 1;
    let mut workers: Vec<usize> = entries
        .iter()
        .map(|entry| entry.record.params.workers)
        .collect();
    workers.sort_unstable();
    workers.dedup();
    let mut names = vec!["workers"];
    names.extend(several.then_some("build"));
    let mut table = Table::of_runs(&names, "of the first");
    let mut lines = Vec::new();
    let mut all: Vec<Series> = Vec::new();
    for (line, label) in scaled.iter().zip(&labels) {
        let mut drawn = Line {
            label: label.clone(),
            ..Line::default()
        };
        let first = pooled(&line.by_workers[0].1).median();
        for (workers, entries) in &line.by_workers {
            let runs = pooled(entries);
            let at = (*workers as f64, runs.median());
            let mut names = vec![workers.to_string()];
            names.extend(several.then(|| label.clone()));
            table.add(names, &runs, Some(runs.median() / first));
            drawn.path.push(at);
            drawn.points.push(Point {
                at,
                spread: spread(&runs),
                told: format!("{workers} workers, {}", told(label, &runs, &record.unit)),
            });
            all.push(runs);
        }
        lines.push(drawn);
    }
    let (least, greatest) = extent(&all);
    let y = Axis::from_zero(least, greatest, &record.unit);
    let reference = is_rate(&record.unit)
        .then(|| proportional(&lines[0], &y))
        .flatten();
    let description = format!(
        "{} over {} to {} workers, {} to {}; the table has the numbers.",
        record.unit,
        workers[0],
        workers[workers.len() - 1],
        super::words::short(least),
        super::words::short(greatest)
    );
    let plot = LinePlot {
        x: Axis::of_workers(&workers),
        y,
        lines,
        reference,
        apart: 7.0,
        description,
    };
    let parameters = parameters(&record.params, pairs);
    Figure::new(
        (ID, number),
        &entries[0].record.benchmark,
        &entries,
        parameters,
        plot.draw(),
        table,
    )
}

fn parameters(params: &Parameters, pairs: Pairs) -> String {
    match pairs {
        Pairs::Fixed(_) => describe_without_workers(params),
        Pairs::AsWorkers => {
            let others = Parameters {
                pairs: None,
                ..params.clone()
            };
            format!(
                "as many pairs as workers, {}",
                describe_without_workers(&others)
            )
        }
    }
}

/// As far as the plot goes.
fn proportional(line: &Line, y: &Axis) -> Option<(String, Vec<(f64, f64)>)> {
    let &(first, figure) = line.path.first()?;
    let &(last, _) = line.path.last()?;
    if figure <= 0.0 || first <= 0.0 {
        return None;
    }
    let each = figure / first;
    let end = last.min(y.high / each);
    let path = vec![(first, figure), (end, end * each)];
    Some(("if each worker did as much".to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::example;
    use crate::page::input::Source;

    fn scaling(sources: &[Source]) -> Section {
        let entries: Vec<Entry<'_>> = sources.iter().flat_map(example::entries).collect();
        section(&entries)
    }

    fn on(workers: usize, figure: f64) -> Source {
        let mut record = example::record("X", workers);
        record.runs = Series::new(vec![figure]);
        example::source(&format!("on-{workers}"), vec![record])
    }

    #[test]
    fn results_of_several_files_are_on_one_line() {
        let section = scaling(&[on(4, 300.0), on(1, 100.0), on(2, 200.0)]);
        let [figure] = section.figures.as_slice() else {
            panic!("{section:?}")
        };
        let rows: Vec<(&str, &str)> = figure
            .table
            .rows
            .iter()
            .map(|row| (row[0].as_str(), row[5].as_str()))
            .collect();
        assert_eq!(rows, [("1", "1.00"), ("2", "2.00"), ("4", "3.00")]);
        assert_eq!(figure.facts[0].1, "repeat 10, not pinned, 1 warm-up");
    }

    #[test]
    fn no_line_is_drawn_across_machines_builds_or_parameters() {
        let changes: [fn(&mut Source); 8] = [
            |source| source.saved.machine.cpu.push('x'),
            |source| source.saved.machine.kernel.push('x'),
            |source| source.saved.machine.features = Some(Vec::new()),
            |source| source.saved.machine.revision = Some("other".to_owned()),
            |source| source.saved.results[0].variant.semaphore.push('x'),
            |source| source.saved.results[0].params.repeat = 11,
            |source| source.saved.results[0].params.pairs = Some(7),
            |source| source.saved.results[0].benchmark.push('x'),
        ];
        assert_eq!(scaling(&[on(1, 1.0), on(2, 2.0)]).figures.len(), 1);
        for change in changes {
            let mut other = on(2, 2.0);
            change(&mut other);
            assert!(scaling(&[on(1, 1.0), other]).figures.is_empty());
        }
    }

    #[test]
    fn pairs_may_stay_or_grow_with_the_workers() {
        let with_pairs = |workers, pairs| {
            let mut source = on(workers, 1.0);
            source.saved.results[0].params.pairs = Some(pairs);
            source
        };
        let section = scaling(&[with_pairs(1, 1), with_pairs(2, 2), with_pairs(1, 2)]);
        let parameters: Vec<&str> = section
            .figures
            .iter()
            .map(|figure| figure.facts[0].1.as_str())
            .collect();
        assert_eq!(
            parameters,
            [
                "as many pairs as workers, repeat 10, not pinned, 1 warm-up",
                "2 pairs, repeat 10, not pinned, 1 warm-up"
            ]
        );
        assert!(
            section
                .figures
                .iter()
                .all(|figure| figure.table.rows.len() == 2)
        );
    }

    #[test]
    fn builds_have_lines_of_their_own() {
        let lock_free = |workers| {
            let mut source = on(workers, 5.0);
            source.saved.results[0].variant.run_queue = "lock-free".to_owned();
            source
        };
        let section = scaling(&[
            on(1, 1.0),
            on(2, 2.0),
            lock_free(1),
            lock_free(2),
            lock_free(3),
        ]);
        let [figure] = section.figures.as_slice() else {
            panic!("{section:?}")
        };
        assert_eq!(figure.table.rows.len(), 5);
        assert_eq!(figure.table.rows[0][1], "locking run queue");
        assert_eq!(figure.table.rows[4][1], "lock-free run queue");
    }
}
