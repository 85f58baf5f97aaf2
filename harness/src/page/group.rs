//! Which results may stand in one plot, and which on one line.
//!
//! A line says that what lies between two of its points is like them. So it has results of one benchmark, in one unit, with the same parameters but
//! for the one that is on the x axis, of one machine, kernel, governor, compiler and profile, and of the same choices and features. Results in one
//! plot may differ in their choices, features and revisions, and then they are on lines of their own.

use hdrhistogram::Histogram;

use super::input::Source;
use super::words::{self, short_revision};
use crate::record::{Record, Variant};
use crate::series::Series;

/// A result, and the file that it is from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) source: &'a Source,
    pub(super) record: &'a Record,
}

/// What has to be the same for figures to be compared: where they were measured, and what compiled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ground<'a> {
    cpu: &'a str,
    cores: usize,
    kernel: &'a str,
    governor: Option<&'a str>,
    rustc: &'a str,
    profile: &'a str,
}

/// What was chosen when it was built.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice<'a> {
    pub(super) variant: &'a Variant,
    /// The features of which the variant does not tell, if they are known.
    further: Option<Vec<&'a str>>,
}

/// What is on a line, if the x axis is not of revisions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Build<'a> {
    pub(super) choice: Choice<'a>,
    pub(super) revision: Option<&'a str>,
}

impl<'a> Entry<'a> {
    pub(super) fn ground(self) -> Ground<'a> {
        let machine = &self.source.saved.machine;
        Ground {
            cpu: &machine.cpu,
            cores: machine.cores,
            kernel: &machine.kernel,
            governor: machine.governor.as_deref(),
            rustc: &machine.rustc,
            profile: &machine.profile,
        }
    }

    pub(super) fn choice(self) -> Choice<'a> {
        Choice {
            variant: &self.record.variant,
            further: self.features().map(further),
        }
    }

    /// Those of the harness that measured it. A file with results of several builds has one list, which cannot be that of each.
    pub(super) fn features(self) -> Option<&'a [String]> {
        let built = |record: &'a Record| {
            let Variant {
                run_queue,
                event_queue,
                semaphore,
                ..
            } = &record.variant;
            (run_queue, event_queue, semaphore)
        };
        let saved = &self.source.saved;
        let mut others = saved.results.iter();
        if others.any(|other| built(other) != built(self.record)) {
            return None;
        }
        saved.machine.features.as_deref()
    }

    pub(super) fn revision(self) -> Option<&'a str> {
        self.source.saved.machine.revision.as_deref()
    }

    pub(super) fn build(self) -> Build<'a> {
        Build {
            choice: self.choice(),
            revision: self.revision(),
        }
    }

    /// Seconds since 1970.
    pub(super) fn saved(self) -> u64 {
        self.source.saved.saved_unix_seconds
    }
}

/// Without those that are told by what they choose.
fn further(features: &[String]) -> Vec<&str> {
    const TOLD: [&str; 4] = [
        "work-stealing-run-queue",
        "lock-free-run-queue",
        "lock-free-event-queue",
        "last-in-first-out-fixed-size-semaphore",
    ];
    let features = features.iter().map(String::as_str);
    features.filter(|feature| !TOLD.contains(feature)).collect()
}

/// Whether all sources that were built are in the revision: else there may be two builds of that name.
pub(super) fn is_whole(revision: Option<&str>) -> bool {
    revision.is_some_and(|revision| !revision.contains('-'))
}

/// Those of each key together, in the order in which the keys come.
pub(super) fn grouped<T, K: PartialEq>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let key = key(&item);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

/// The newest first.
pub(super) fn newest(entries: &[Entry<'_>]) -> u64 {
    entries.iter().map(|entry| entry.saved()).max().unwrap_or(0)
}

/// All their runs together.
///
/// # Panics
///
/// If there is no result.
pub(super) fn pooled(entries: &[Entry<'_>]) -> Series {
    let mut runs = entries[0].record.runs.clone();
    for entry in &entries[1..] {
        runs.extend(&entry.record.runs);
    }
    runs
}

/// The least and the greatest of them; of one run it would say that there is no spread, which nobody knows.
pub(super) fn spread(runs: &Series) -> Option<(f64, f64)> {
    (runs.runs().len() > 1).then(|| (runs.min(), runs.max()))
}

/// The least and the greatest run of all of these.
pub(super) fn extent(all: &[Series]) -> (f64, f64) {
    (
        all.iter().map(Series::min).fold(f64::INFINITY, f64::min),
        all.iter()
            .map(Series::max)
            .fold(f64::NEG_INFINITY, f64::max),
    )
}

/// The histograms of all their runs.
pub(super) fn histograms(entries: &[Entry<'_>]) -> Vec<Histogram<u64>> {
    let encoded = entries
        .iter()
        .flat_map(|entry| &entry.record.latency_histograms);
    encoded
        .map(|encoded| encoded.decode().expect("it was decoded when it was read"))
        .collect()
}

/// What tells each of these builds from the others, in few words; nothing where there is but one.
pub(super) fn labels(builds: &[Build<'_>]) -> Vec<String> {
    let mut columns: Vec<Vec<String>> = Vec::new();
    let kinds: Vec<String> = grouped(
        builds
            .iter()
            .flat_map(|build| words::choices(build.choice.variant)),
        |(kind, _)| kind.clone(),
    )
    .into_iter()
    .map(|(kind, _)| kind)
    .collect();
    for kind in kinds {
        let chosen = |build: &Build<'_>| {
            let choices = words::choices(build.choice.variant);
            match choices.into_iter().find(|(known, _)| *known == kind) {
                Some((_, chosen)) => format!("{chosen} {kind}"),
                None => format!("{kind} not told"),
            }
        };
        columns.push(builds.iter().map(chosen).collect());
    }
    columns.push(
        builds
            .iter()
            .map(|build| format!("revision {}", short_revision(build.revision)))
            .collect(),
    );
    columns.retain(|column| column.iter().any(|text| *text != column[0]));
    let joined = |columns: &[Vec<String>]| -> Vec<String> {
        let label = |index: usize| {
            let parts = columns.iter().map(|column| column[index].as_str());
            parts.collect::<Vec<_>>().join(", ")
        };
        (0..builds.len()).map(label).collect()
    };
    let labels = joined(&columns);
    if (1..labels.len()).any(|index| labels[..index].contains(&labels[index])) {
        let further = builds.iter().map(|build| told(&build.choice));
        columns.push(further.collect());
        return joined(&columns);
    }
    labels
}

fn told(choice: &Choice<'_>) -> String {
    match choice.further.as_deref() {
        None => "further features not told".to_owned(),
        Some([]) => "no further feature".to_owned(),
        Some(features) => format!("with {}", features.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::example;

    #[test]
    fn figures_of_another_machine_or_compiler_have_another_ground() {
        let one = example::source("one", vec![example::record("X", 1)]);
        let changes: [fn(&mut Source); 6] = [
            |source| source.saved.machine.cpu.push('x'),
            |source| source.saved.machine.cores += 1,
            |source| source.saved.machine.kernel.push('x'),
            |source| source.saved.machine.governor = Some("powersave".to_owned()),
            |source| source.saved.machine.rustc.push('x'),
            |source| source.saved.machine.profile = "debug".to_owned(),
        ];
        let ground = |source: &Source| format!("{:?}", example::entries(source)[0].ground());
        for change in changes {
            let mut other = example::source("other", vec![example::record("X", 1)]);
            assert_eq!(ground(&one), ground(&other));
            change(&mut other);
            assert_ne!(
                example::entries(&one)[0].ground(),
                example::entries(&other)[0].ground()
            );
        }
    }

    #[test]
    fn groups_keep_the_order_of_their_first() {
        let groups = grouped([3, 1, 4, 1, 5, 9, 2, 6], |number| number % 3);
        assert_eq!(
            groups,
            [(0, vec![3, 9, 6]), (1, vec![1, 4, 1]), (2, vec![5, 2])]
        );
    }

    #[test]
    fn the_runs_of_several_results_are_taken_together() {
        let mut other = example::record("X", 1);
        other.runs = Series::new(vec![9.0]);
        let source = example::source("one", vec![example::record("X", 1), other]);
        let runs = pooled(&example::entries(&source));
        assert_eq!(runs.runs(), [100.0, 110.0, 90.0, 9.0]);
        assert_eq!(spread(&runs), Some((9.0, 110.0)));
        assert_eq!(spread(&Series::new(vec![1.0])), None);
    }

    #[test]
    fn a_label_has_what_differs_and_no_more() {
        let locking = example::record("X", 1).variant;
        let stealing = Variant {
            run_queue: "work-stealing".to_owned(),
            ..locking.clone()
        };
        let build = |variant, features: Option<&'static [String]>, revision| Build {
            choice: Choice {
                variant,
                further: features.map(further),
            },
            revision,
        };
        assert_eq!(labels(&[build(&locking, None, None)]), [""]);
        assert_eq!(
            labels(&[build(&locking, None, None), build(&stealing, None, None)]),
            ["locking run queue", "work-stealing run queue"]
        );
        assert_eq!(
            labels(&[
                build(&locking, None, Some("0123456789")),
                build(&stealing, None, None)
            ]),
            [
                "locking run queue, revision 01234567",
                "work-stealing run queue, revision unknown"
            ]
        );
        let spans = ["lock-free-event-queue", "tracing-spans"].map(str::to_owned);
        let spans: &'static [String] = Box::leak(Box::new(spans));
        assert_eq!(
            labels(&[
                build(&locking, Some(spans), None),
                build(&locking, Some(&[]), None)
            ]),
            ["with tracing-spans", "no further feature"]
        );
    }

    #[test]
    fn the_features_of_a_file_are_those_of_its_only_build() {
        let mut other = example::record("X", 1);
        let one = example::source("one", vec![example::record("X", 1), other.clone()]);
        assert!(example::entries(&one)[1].features().is_some());
        other.variant.semaphore.push('x');
        let several = example::source("several", vec![example::record("X", 1), other]);
        assert_eq!(example::entries(&several)[1].features(), None);
    }

    #[test]
    fn a_revision_with_changes_is_not_whole() {
        assert!(is_whole(Some("0123")));
        assert!(!is_whole(Some("0123-modified")) && !is_whole(None));
    }
}
