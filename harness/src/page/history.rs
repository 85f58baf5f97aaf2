//! History: how a figure went over the revisions that were measured.

use super::axis::Axis;
use super::figure::{Figure, Section, Table, told};
use super::group::{
    Build, Choice, Entry, extent, grouped, is_whole, labels, newest, pooled, spread,
};
use super::lines::{Line, LinePlot, Point};
use super::scene::LINES;
use super::words::{short, short_revision};
use crate::report::{self, describe};
use crate::series::Series;

pub(super) const ID: &str = "history";

/// A place on the x axis: a revision, or sources that are in none and so are not those of any other file.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sources<'a> {
    revision: Option<&'a str>,
    file: Option<&'a str>,
}

/// What is on a line, with the results of each place that it has.
struct Past<'a> {
    choice: Choice<'a>,
    places: Vec<(Sources<'a>, Vec<Entry<'a>>)>,
}

fn sources<'a>(entry: &Entry<'a>) -> Sources<'a> {
    let revision = entry.revision();
    Sources {
        revision,
        file: (!is_whole(revision)).then_some(entry.source.name.as_str()),
    }
}

pub(super) fn section(entries: &[Entry<'_>]) -> Section {
    let mut section = Section {
        id: ID,
        title: "History over revisions",
        about: "Each revision that was measured, in the order in which the results were saved. A point is the median of all runs of that revision, the line through it reaches from the least run to the greatest. A line has results of one machine, kernel, compiler, choice and set of parameters: where one of these changed, another line begins. Revisions were measured at different times, so a step may be the machine's: `harness compare --rev` measures two of them in turn.",
        missing: "No benchmark was measured at two revisions, on one machine, with the same parameters and choices. Results that are kept under `results/baseline` while revisions come and go make a history.",
        figures: Vec::new(),
        remarks: Vec::new(),
    };
    let works = grouped(entries.iter().copied(), |entry| {
        let record = entry.record;
        (
            &record.benchmark,
            &record.unit,
            &record.params,
            entry.ground(),
        )
    });
    let mut single = 0;
    for (_, entries) in works {
        let (mut lines, alone) = lines(&entries);
        single += alone;
        if lines.is_empty() {
            continue;
        }
        if lines.len() > LINES {
            section.remarks.push(format!(
                "{}: the {LINES} choices that were measured last are shown, of {}.",
                entries[0].record.benchmark,
                lines.len()
            ));
            lines.truncate(LINES);
        }
        let number = section.figures.len();
        section.figures.push(draw(number, &lines));
    }
    if single > 0 {
        let (is, has) = if single == 1 {
            ("is", "a figure that has")
        } else {
            ("are", "figures that have")
        };
        section.remarks.push(format!(
            "There {is} {single} {has} one revision only: a line begins with the second."
        ));
    }
    section
}

/// The newest first; and how many had one revision only. Of those that nobody asked for there are none.
fn lines<'a>(entries: &[Entry<'a>]) -> (Vec<Past<'a>>, usize) {
    let mut single = 0;
    let mut lines = Vec::new();
    for (choice, entries) in grouped(entries.iter().copied(), |entry| entry.choice()) {
        if !entries.iter().any(|entry| entry.source.asked_for) {
            continue;
        }
        let newest = newest(&entries);
        let places = grouped(entries, sources);
        if places.len() == 1 {
            single += 1;
        } else {
            lines.push((newest, Past { choice, places }));
        }
    }
    lines.sort_by_key(|(newest, _)| std::cmp::Reverse(*newest));
    (lines.into_iter().map(|(_, line)| line).collect(), single)
}

/// All places of these lines, by when the first result of each was saved.
fn order<'a>(lines: &[Past<'a>]) -> Vec<(Sources<'a>, String)> {
    let all = lines.iter().flat_map(|line| &line.places);
    let all = all.flat_map(|(_, entries)| entries.iter().copied());
    let mut places: Vec<(u64, Sources<'a>, String)> = grouped(all, sources)
        .into_iter()
        .map(|(place, entries)| {
            let first = entries.iter().min_by_key(|entry| entry.saved());
            let first = first.expect("a group has an entry");
            (first.saved(), place, report::moment(&first.source.saved))
        })
        .collect();
    places.sort_by_key(|(saved, _, _)| *saved);
    places
        .into_iter()
        .map(|(_, place, moment)| (place, moment))
        .collect()
}

fn draw(number: usize, past: &[Past<'_>]) -> Figure {
    let entries: Vec<Entry<'_>> = past
        .iter()
        .flat_map(|line| line.places.iter().flat_map(|(_, entries)| entries.clone()))
        .collect();
    let record = entries[0].record;
    let builds: Vec<Build<'_>> = past
        .iter()
        .map(|line| Build {
            choice: line.choice.clone(),
            revision: None,
        })
        .collect();
    let labels = labels(&builds);
    let several = past.len() > 1;
    let places = order(past);
    let mut names = vec!["revision", "first saved"];
    names.extend(several.then_some("choice"));
    let mut table = Table::of_runs(&names, "of the one before");
    let mut lines = Vec::new();
    let mut all: Vec<Series> = Vec::new();
    for (line, label) in past.iter().zip(&labels) {
        let mut drawn = Line {
            label: label.clone(),
            ..Line::default()
        };
        let mut before: Option<f64> = None;
        for (index, (place, moment)) in places.iter().enumerate() {
            let Some((_, entries)) = line.places.iter().find(|(known, _)| known == place) else {
                continue;
            };
            let runs = pooled(entries);
            let revision = short_revision(place.revision);
            let mut names = vec![revision.clone(), moment.clone()];
            names.extend(several.then(|| label.clone()));
            table.add(names, &runs, before.map(|before| runs.median() / before));
            before = Some(runs.median());
            let at = (index as f64, runs.median());
            drawn.path.push(at);
            let told = told(label, &runs, &record.unit);
            drawn.points.push(Point {
                at,
                spread: spread(&runs),
                told: format!("{revision}, {moment}, {told}"),
            });
            all.push(runs);
        }
        lines.push(drawn);
    }
    let (least, greatest) = extent(&all);
    let y = Axis::of_changes(least, greatest, &record.unit);
    let cut = !y.starts_at_zero();
    let short_names: Vec<String> = places
        .iter()
        .map(|(place, _)| short_revision(place.revision))
        .collect();
    let plot = LinePlot {
        x: Axis::of_places(&short_names, "revision"),
        y,
        lines,
        reference: None,
        apart: 5.0,
        description: format!(
            "{} over {} revisions, {} to {}; the table has the numbers.",
            record.unit,
            places.len(),
            short(least),
            short(greatest)
        ),
    };
    let parameters = describe(&record.params);
    let mut figure = Figure::new(
        (ID, number),
        &entries[0].record.benchmark,
        &entries,
        parameters,
        plot.draw(),
        table,
    );
    if cut {
        let note = "The upright axis does not begin at zero: a small change looks large.";
        figure.notes.push(note.to_owned());
    }
    figure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::example;
    use crate::page::input::Source;

    fn history(sources: &[Source]) -> Section {
        let entries: Vec<Entry<'_>> = sources.iter().flat_map(example::entries).collect();
        section(&entries)
    }

    fn at(revision: &str, hours: u64, figure: f64) -> Source {
        let mut record = example::record("X", 1);
        record.runs = Series::new(vec![figure]);
        let mut source = example::source(&format!("{revision}-{hours}"), vec![record]);
        source.saved.machine.revision = Some(revision.to_owned());
        source.saved.saved_unix_seconds += 3_600 * hours;
        source
    }

    #[test]
    fn revisions_are_in_the_order_of_time_and_their_results_together() {
        let section = history(&[
            at("bbb", 2, 30.0),
            at("aaa", 1, 10.0),
            at("ccc", 3, 30.0),
            at("aaa", 4, 20.0),
        ]);
        let [figure] = section.figures.as_slice() else {
            panic!("{section:?}")
        };
        assert_eq!(
            figure.table.rows,
            [
                [
                    "aaa",
                    "2023-11-14T23:13:20Z",
                    "15.0",
                    "10.0",
                    "20.0",
                    "2",
                    "–"
                ],
                [
                    "bbb",
                    "2023-11-15T00:13:20Z",
                    "30.0",
                    "30.0",
                    "30.0",
                    "1",
                    "2.00"
                ],
                [
                    "ccc",
                    "2023-11-15T01:13:20Z",
                    "30.0",
                    "30.0",
                    "30.0",
                    "1",
                    "1.00"
                ],
            ]
        );
    }

    #[test]
    fn no_line_is_drawn_across_machines_choices_or_parameters() {
        let changes: [fn(&mut Source); 7] = [
            |source| source.saved.machine.cpu.push('x'),
            |source| source.saved.machine.cores = 8,
            |source| source.saved.machine.kernel.push('x'),
            |source| source.saved.machine.rustc.push('x'),
            |source| source.saved.machine.features = None,
            |source| source.saved.results[0].variant.event_queue.push('x'),
            |source| source.saved.results[0].params.workers = 2,
        ];
        assert_eq!(
            history(&[at("a", 1, 1.0), at("b", 2, 1.0)]).figures.len(),
            1
        );
        for change in changes {
            let mut other = at("b", 2, 1.0);
            change(&mut other);
            let section = history(&[at("a", 1, 1.0), other]);
            assert!(section.figures.is_empty());
            assert!(
                section.remarks[0].contains("2 figures"),
                "{:?}",
                section.remarks
            );
        }
    }

    #[test]
    fn sources_that_are_in_no_revision_are_of_their_file_alone() {
        let section = history(&[at("a-modified", 1, 1.0), at("a-modified", 2, 2.0)]);
        let rows = &section.figures[0].table.rows;
        assert_eq!((rows.len(), rows[0][0].as_str()), (2, "a+"));
    }

    #[test]
    fn what_nobody_asked_for_is_there_beside_what_was() {
        let kept = |revision, hours| {
            let mut source = at(revision, hours, 1.0);
            source.asked_for = false;
            source
        };
        let nobodys = history(&[kept("a", 1), kept("b", 2)]);
        assert!(nobodys.figures.is_empty() && nobodys.remarks.is_empty());
        let asked = history(&[kept("a", 1), kept("b", 2), at("c", 3, 1.0)]);
        assert_eq!(asked.figures[0].table.rows.len(), 3);
    }

    #[test]
    fn an_axis_that_does_not_begin_at_zero_is_said_so() {
        let says = |figure| {
            let section = history(&[at("a", 1, 100.0), at("b", 2, figure)]);
            let notes = &section.figures[0].notes;
            notes
                .iter()
                .any(|note| note.contains("does not begin at zero"))
        };
        assert!(says(98.0));
        assert!(!says(10.0));
    }
}
