//! A plot with all that has to be said of it.

use super::group::{self, Entry, is_whole};
use super::scene::Scene;
use super::words::{self, command, short_revision};
use crate::format::figure;
use crate::report;
use crate::series::Series;

/// So many are named; of more, how many there are.
const NAMED: usize = 6;

#[derive(Debug)]
pub(super) struct Figure {
    /// By which it is linked to, and the name of its files.
    pub(super) id: String,
    /// What it is of: a benchmark, or a family of them.
    pub(super) heading: String,
    pub(super) benchmarks: Vec<String>,
    pub(super) scene: Scene,
    /// What it is of: a word, and the rest.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) table: Table,
    /// What has to be known before it is believed.
    pub(super) notes: Vec<String>,
    pub(super) commands: Vec<String>,
}

/// The numbers of a plot. What is in the first column names its row.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// Of medians and spreads: the columns that name a row, and what its median is compared with.
    pub(super) fn of_runs(names: &[&str], compared: &str) -> Self {
        let columns = [names, &["median", "least", "greatest", "runs", compared]].concat();
        Self {
            head: columns.into_iter().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// A row of it; without a ratio, or with one that is no number, there is nothing to compare.
    pub(super) fn add(&mut self, names: Vec<String>, runs: &Series, ratio: Option<f64>) {
        let ratio = ratio
            .filter(|ratio| ratio.is_finite())
            .map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let cells = run_cells(runs).into_iter().chain([ratio]);
        self.rows.push(names.into_iter().chain(cells).collect());
    }
}

/// Plots of one kind.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// How to read it.
    pub(super) about: &'static str,
    /// What to do if there is no plot.
    pub(super) missing: &'static str,
    pub(super) figures: Vec<Figure>,
    /// What could have been in it, and is not.
    pub(super) remarks: Vec<String>,
}

impl Figure {
    /// # Panics
    ///
    /// If there is no entry.
    pub(super) fn new(
        (section, number): (&str, usize),
        heading: &str,
        entries: &[Entry<'_>],
        parameters: String,
        scene: Scene,
        table: Table,
    ) -> Self {
        let benchmarks = entries.iter().map(|entry| entry.record.benchmark.clone());
        let commands = entries.iter().map(|entry| command(*entry));
        Self {
            id: format!("{section}-{}-{}", number + 1, slug(heading)),
            heading: heading.to_owned(),
            benchmarks: distinct(benchmarks),
            scene,
            facts: facts(entries, parameters),
            table,
            notes: notes(entries),
            commands: distinct(commands),
        }
    }
}

/// Of letters and digits alone, so that it can be an anchor and a file.
pub(super) fn slug(name: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() {
            character.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(plain).take(80).collect()
}

/// In the order in which they come.
pub(super) fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let groups = group::grouped(texts, Clone::clone);
    groups.into_iter().map(|(text, _)| text).collect()
}

/// Some of them, and how many others there are.
pub(super) fn named(texts: &[String]) -> String {
    let shown = texts.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let shown = shown.join(", ");
    match texts.len().saturating_sub(NAMED) {
        0 => shown,
        others => format!("{shown} and {others} more"),
    }
}

fn facts(entries: &[Entry<'_>], parameters: String) -> Vec<(&'static str, String)> {
    let saved = &entries[0].source.saved;
    let mut build = format!("{}, {}", saved.machine.profile, saved.machine.rustc);
    let chosen = entries
        .iter()
        .flat_map(|entry| words::choices(&entry.record.variant));
    for (kind, chosen) in group::grouped(chosen, |(kind, _)| kind.clone()) {
        // What differs is beside each line.
        if chosen.len() == entries.len() && chosen.iter().all(|one| *one == chosen[0]) {
            build.push_str(&format!(", {} {kind}", chosen[0].1));
        }
    }
    let revisions = distinct(entries.iter().map(|entry| short_revision(entry.revision())));
    let plural = if revisions.len() == 1 { "" } else { "s" };
    build.push_str(&format!("; revision{plural} {}", named(&revisions)));
    let mut dates = distinct(
        entries
            .iter()
            .map(|entry| report::moment(&entry.source.saved)),
    );
    dates.sort();
    let measured = match dates.as_slice() {
        [one] => one.clone(),
        [first, .., last] => format!("{first} to {last}"),
        [] => unreachable!("there is an entry"),
    };
    let files = distinct(entries.iter().map(|entry| entry.source.name.clone()));
    vec![
        ("parameters", parameters),
        ("machine", report::place(&saved.machine)),
        ("build", build),
        ("saved", measured),
        ("from", named(&files)),
    ]
}

fn notes(entries: &[Entry<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    if entries[0].source.saved.machine.profile != "release" {
        notes.push("Not optimized: these figures mean nothing.".to_owned());
    }
    if entries
        .iter()
        .any(|entry| entry.record.runs.runs().len() < 5)
    {
        let note = "Some results have fewer than five runs: how far those lie apart says little.";
        notes.push(note.to_owned());
    }
    if entries.iter().any(|entry| !is_whole(entry.revision())) {
        let note = "A revision with a + was built with changes that are not in it, and an unknown one of any sources: two builds of that name may differ.";
        notes.push(note.to_owned());
    }
    let busy = entries.iter().filter_map(|entry| {
        let load = entry.source.saved.load_average.before?;
        (load > entry.source.saved.machine.cores as f64 / 2.0).then_some(load)
    });
    let busiest = busy.fold(0.0, f64::max);
    if busiest > 0.0 {
        notes.push(format!(
            "The machine had other work: {busiest:.1} threads wanted a core before the runs."
        ));
    }
    notes
}

/// Median, least, greatest and number of the runs: four cells of a table.
pub(super) fn run_cells(runs: &Series) -> [String; 4] {
    [
        figure(runs.median()),
        figure(runs.min()),
        figure(runs.max()),
        runs.runs().len().to_string(),
    ]
}

/// A figure and its spread, as a pointer is told.
pub(super) fn told(label: &str, runs: &Series, unit: &str) -> String {
    let mut text = if label.is_empty() {
        String::new()
    } else {
        format!("{label}: ")
    };
    text.push_str(&format!("{} {unit}", figure(runs.median())));
    match group::spread(runs) {
        Some((low, high)) => {
            text.push_str(&format!(", runs from {} to {}", figure(low), figure(high)));
        }
        None => text.push_str(", one run"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::example;

    #[test]
    fn an_anchor_has_nothing_of_a_name_but_letters_and_digits() {
        assert_eq!(slug("Net.Echo/../<x>ä"), "net-echo-----x--");
        assert_eq!(slug(&"x".repeat(500)).len(), 80);
    }

    #[test]
    fn many_names_are_counted() {
        let names: Vec<String> = (1..=8).map(|number| number.to_string()).collect();
        assert_eq!(named(&names[..2]), "1, 2");
        assert_eq!(named(&names), "1, 2, 3, 4, 5, 6 and 2 more");
    }

    #[test]
    fn what_takes_from_a_figure_is_said() {
        let good = || {
            let mut record = example::record("X", 1);
            record.runs = Series::new(vec![1.0; 5]);
            example::source("one", vec![record])
        };
        assert!(notes(&example::entries(&good())).is_empty());
        let mut few = good();
        few.saved.results[0].runs = Series::new(vec![1.0; 4]);
        let mut changed = good();
        changed.saved.machine.revision = Some("0123-modified".to_owned());
        let mut busy = good();
        busy.saved.load_average.before = Some(1.5);
        let mut debug = good();
        debug.saved.machine.profile = "debug".to_owned();
        for (source, needed) in [
            (few, "fewer than five runs"),
            (changed, "may differ"),
            (busy, "1.5 threads wanted a core"),
            (debug, "Not optimized"),
        ] {
            let notes = notes(&example::entries(&source));
            assert!(notes.len() == 1 && notes[0].contains(needed), "{notes:?}");
        }
    }

    #[test]
    fn the_build_has_what_all_have() {
        let mut records = [example::record("X", 1), example::record("X", 1)];
        records[1].variant.run_queue = "lock-free".to_owned();
        let source = example::source("one", records.into());
        let facts = facts(&example::entries(&source), "repeat 10".to_owned());
        let (_, build) = facts.iter().find(|(kind, _)| *kind == "build").unwrap();
        assert_eq!(
            build,
            "release, rustc 1.95.0, locking event queue, kernel semaphore; revision 01234567"
        );
    }
}
