//! What a revision's regions are known to cost: the file `results/gate.json`, which is committed with the sources.
//!
//! It has a baseline for each environment in which the gate is held, as a count means nothing in another one. A baseline only changes by being told why, and keeps that: each
//! change of a figure is there with its reason, its revision and its time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::figures::{Figures, Kind, Verdict};
use crate::save::{self, SaveError};

/// Of the file. What another one means is not known.
const FORMAT: u32 = 1;
/// Beside the folder of a machine's own results.
const FILE: &str = "gate.json";

#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBaseline {
    #[error(
        "there is no baseline {}: make it with `harness gate --accept 'the first figures'`, or name another one with --baseline", .0.display()
    )]
    Missing(PathBuf),
    #[error("the baseline {} cannot be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error(
        "{} is no baseline of the gate ({error}): take it from another revision, or remove it and make it anew with `harness gate --accept 'a reason'`", .path.display()
    )]
    Malformed {
        path: PathBuf,
        error: serde_json::Error,
    },
    #[error("{} is no baseline that could have been accepted: {what}", .path.display())]
    Nonsense { path: PathBuf, what: String },
}

/// All baselines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baselines {
    format: u32,
    baselines: Vec<Baseline>,
}

/// The figures of one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    pub(crate) environment: Environment,
    pub(crate) regions: BTreeMap<String, Entry>,
    pub(crate) history: Vec<Accepted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Of the two runs whose difference was counted: with others a figure may be another one.
    pub(crate) repeats: [u64; 2],
    pub(crate) figures: Figures,
}

/// Why figures are what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accepted {
    pub(crate) reason: String,
    pub(crate) revision: Option<String>,
    pub(crate) unix_seconds: u64,
    pub(crate) changes: Vec<Change>,
}

/// A figure that became another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) region: String,
    pub(crate) figure: String,
    /// None where the region was not there, or was counted otherwise.
    pub(crate) from: Option<f64>,
    /// None where it is there no more.
    pub(crate) to: Option<f64>,
}

/// What the figures of the environment are judged by.
pub(crate) enum Known<'a> {
    /// What was counted in the same one.
    Here(&'a Baseline),
    /// Nothing was; this one is of the same program in the most similar one.
    Elsewhere(&'a Baseline),
    /// Nothing of the same program.
    Nowhere,
}

/// `results/gate.json` in the checkout that the current folder is in; outside of one, in the current folder.
pub(crate) fn usual_path() -> io::Result<PathBuf> {
    let local = save::folder()?;
    let results = local.parent().expect("it is in a folder");
    Ok(results.join(FILE))
}

impl Baselines {
    fn empty() -> Self {
        Self {
            format: FORMAT,
            baselines: Vec::new(),
        }
    }

    pub(crate) fn load(path: &Path) -> Result<Self, BadBaseline> {
        let text = fs::read_to_string(path).map_err(|error| {
            let path = path.to_owned();
            if error.kind() == io::ErrorKind::NotFound {
                BadBaseline::Missing(path)
            } else {
                BadBaseline::Unreadable { path, error }
            }
        })?;
        let baselines: Self =
            serde_json::from_str(&text).map_err(|error| BadBaseline::Malformed {
                path: path.to_owned(),
                error,
            })?;
        match baselines.nonsense() {
            None => Ok(baselines),
            Some(what) => Err(BadBaseline::Nonsense {
                path: path.to_owned(),
                what,
            }),
        }
    }

    /// As [`load`](Self::load); without a file there are none.
    pub(crate) fn load_or_empty(path: &Path) -> Result<Self, BadBaseline> {
        match Self::load(path) {
            Err(BadBaseline::Missing(_)) => Ok(Self::empty()),
            other => other,
        }
    }

    /// What a hand, or a merge, may have made of it.
    fn nonsense(&self) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("its format is {}, and not {FORMAT}", self.format));
        }
        for (index, baseline) in self.baselines.iter().enumerate() {
            let environment = &baseline.environment;
            let mut before = self.baselines[..index].iter();
            if before.any(|other| other.environment == *environment) {
                return Some(format!(
                    "it has two baselines for the same environment, with {}",
                    environment.rustc
                ));
            }
            for (region, entry) in &baseline.regions {
                let [smaller, larger] = entry.repeats;
                if smaller == 0 || smaller >= larger {
                    return Some(format!("{region} has the repeats {smaller} and {larger}"));
                }
                for kind in Kind::ALL {
                    let figure = entry.figures.get(kind);
                    if !figure.is_finite() || figure < 0.0 {
                        return Some(format!("{region} has {figure} {}", kind.title()));
                    }
                }
            }
            let mut history = baseline.history.iter();
            if history.any(|accepted| accepted.reason.trim().is_empty()) {
                return Some("a change has no reason".to_owned());
            }
        }
        None
    }

    /// Whole, or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), SaveError> {
        let mut text = serde_json::to_vec_pretty(self).expect("a baseline can be written as JSON");
        text.push(b'\n');
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        folder
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| save::replace(path, &text))
            .map_err(|error| SaveError::new(path, error))
    }

    pub(crate) fn known(&self, environment: &Environment) -> Known<'_> {
        let same = |baseline: &&Baseline| baseline.environment.is_of_same_program(environment);
        let baselines = self.baselines.iter().filter(same);
        let differences =
            |baseline: &&Baseline| baseline.environment.differences(environment).len();
        match baselines.min_by_key(differences) {
            Some(baseline) if baseline.environment == *environment => Known::Here(baseline),
            Some(baseline) => Known::Elsewhere(baseline),
            None => Known::Nowhere,
        }
    }

    /// Takes what was counted for the baseline of this environment, and tells what changed.
    ///
    /// Figures that are as before stay as they are: else many small steps, each of which is tolerated, would be accepted with reasons that are others'. If all regions were
    /// counted, those that were not are there no more.
    pub(crate) fn accept(
        &mut self,
        environment: &Environment,
        counted: &BTreeMap<&str, Entry>,
        all: bool,
        accepted: Accepted,
    ) -> Vec<Change> {
        let mut baselines = self.baselines.iter();
        let place = baselines.position(|baseline| baseline.environment == *environment);
        let mut baseline = match place {
            Some(index) => self.baselines[index].clone(),
            None => Baseline {
                environment: environment.clone(),
                regions: BTreeMap::new(),
                history: Vec::new(),
            },
        };
        let changes = baseline.take(counted, all);
        if changes.is_empty() {
            return changes;
        }
        baseline.history.push(Accepted {
            changes: changes.clone(),
            ..accepted
        });
        match place {
            Some(index) => self.baselines[index] = baseline,
            None => self.baselines.push(baseline),
        }
        changes
    }
}

impl Baseline {
    fn take(&mut self, counted: &BTreeMap<&str, Entry>, all: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for (&region, new) in counted {
            let known = self.regions.get(region);
            let mut kept = *new;
            for kind in Kind::ALL {
                let figure = new.figures.get(kind);
                let before = comparable(known, new.repeats).map(|figures| figures.get(kind));
                match before {
                    Some(before) if kind.judge(before, figure) == Verdict::AsBefore => {
                        kept.figures.set(kind, before);
                    }
                    _ => changes.push(Change {
                        region: region.to_owned(),
                        figure: kind.key().to_owned(),
                        from: before,
                        to: Some(figure),
                    }),
                }
            }
            self.regions.insert(region.to_owned(), kept);
        }
        if all {
            let there: BTreeSet<&str> = counted.keys().copied().collect();
            self.regions.retain(|region, entry| {
                let stays = there.contains(region.as_str());
                if !stays {
                    changes.extend(Kind::ALL.map(|kind| Change {
                        region: region.clone(),
                        figure: kind.key().to_owned(),
                        from: Some(entry.figures.get(kind)),
                        to: None,
                    }));
                }
                stays
            });
        }
        changes
    }
}

/// The figures, if they were counted with as many repeats.
pub(crate) fn comparable(known: Option<&Entry>, repeats: [u64; 2]) -> Option<&Figures> {
    let known = known.filter(|entry| entry.repeats == repeats);
    known.map(|entry| &entry.figures)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gate::environment::tests::environment;

    fn entry(instructions: f64, allocations: f64) -> Entry {
        Entry {
            repeats: [10, 20],
            figures: Figures {
                instructions,
                allocations,
                system_calls: 0.0,
            },
        }
    }

    fn because(reason: &str) -> Accepted {
        Accepted {
            reason: reason.to_owned(),
            revision: Some("abc".to_owned()),
            unix_seconds: 1_700_000_000,
            changes: Vec::new(),
        }
    }

    fn change(region: &str, figure: &str, from: Option<f64>, to: Option<f64>) -> Change {
        Change {
            region: region.to_owned(),
            figure: figure.to_owned(),
            from,
            to,
        }
    }

    /// With the regions `a` and `b`, of `rustc 1`.
    fn baselines() -> Baselines {
        let mut baselines = Baselines::empty();
        let counted = BTreeMap::from([("a", entry(100.0, 1.0)), ("b", entry(50.0, 0.0))]);
        let changes = baselines.accept(
            &environment("rustc 1"),
            &counted,
            true,
            because("the first"),
        );
        assert_eq!(changes.len(), 6, "{changes:?}");
        baselines
    }

    fn regions<'a>(baselines: &'a Baselines, rustc: &str) -> &'a BTreeMap<String, Entry> {
        match baselines.known(&environment(rustc)) {
            Known::Here(baseline) => &baseline.regions,
            _ => panic!("{baselines:?}"),
        }
    }

    /// A file of its own for each test, removed at the end.
    struct File(PathBuf);

    impl File {
        fn new(test: &str, text: &str) -> Self {
            let name = format!("libprocess-gate-{test}-{}.json", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, text).unwrap();
            Self(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _left_behind = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_is_as_before_stays_and_what_is_not_has_its_reason() {
        let mut baselines = baselines();
        let here = environment("rustc 1");
        let counted = BTreeMap::from([("a", entry(101.9, 2.0)), ("b", entry(40.0, 0.009))]);
        let changes = baselines.accept(&here, &counted, true, because("a second look"));
        let expected = [
            change("a", "allocations", Some(1.0), Some(2.0)),
            change("b", "instructions", Some(50.0), Some(40.0)),
        ];
        assert_eq!(changes, expected);
        let regions = regions(&baselines, "rustc 1");
        assert_eq!(regions["a"], entry(100.0, 2.0));
        assert_eq!(regions["b"], entry(40.0, 0.0));
        let history = &baselines.baselines[0].history;
        assert_eq!(history.len(), 2);
        assert_eq!(history[1].reason, "a second look");
        assert_eq!(history[1].changes, expected);
    }

    #[test]
    fn where_nothing_changed_nothing_is_noted() {
        let mut baselines = baselines();
        let before = baselines.clone();
        let counted = BTreeMap::from([("a", entry(101.0, 1.01)), ("b", entry(50.0, 0.0))]);
        let changes = baselines.accept(&environment("rustc 1"), &counted, true, because("no"));
        assert_eq!(changes, []);
        assert_eq!(baselines, before);
    }

    #[test]
    fn regions_that_were_not_counted_stay_unless_all_were() {
        let here = environment("rustc 1");
        let counted = BTreeMap::from([("a", entry(200.0, 1.0))]);
        let mut some = baselines();
        some.accept(&here, &counted, false, because("a alone"));
        assert_eq!(regions(&some, "rustc 1").len(), 2);

        let mut all = baselines();
        let changes = all.accept(&here, &counted, true, because("b is gone"));
        assert_eq!(regions(&all, "rustc 1").len(), 1);
        assert!(changes.contains(&change("b", "instructions", Some(50.0), None)));
    }

    #[test]
    fn what_was_counted_otherwise_is_new() {
        let mut baselines = baselines();
        let otherwise = Entry {
            repeats: [10, 30],
            ..entry(100.0, 1.0)
        };
        let counted = BTreeMap::from([("a", otherwise)]);
        let changes = baselines.accept(&environment("rustc 1"), &counted, false, because("more"));
        assert_eq!(changes[0], change("a", "instructions", None, Some(100.0)));
        assert_eq!(regions(&baselines, "rustc 1")["a"], otherwise);
    }

    #[test]
    fn each_environment_has_a_baseline_of_its_own() {
        let mut baselines = baselines();
        let next = environment("rustc 2");
        assert!(matches!(baselines.known(&next), Known::Elsewhere(_)));
        let unlike = Environment {
            features: vec!["another".to_owned()],
            ..next.clone()
        };
        assert!(matches!(baselines.known(&unlike), Known::Nowhere));

        let counted = BTreeMap::from([("a", entry(90.0, 1.0))]);
        baselines.accept(&next, &counted, true, because("a new compiler"));
        assert_eq!(regions(&baselines, "rustc 1")["a"], entry(100.0, 1.0));
        assert_eq!(regions(&baselines, "rustc 2")["a"], entry(90.0, 1.0));
        // The most similar one, whichever stands first.
        let other_library = Environment {
            c_library: "another".to_owned(),
            ..next
        };
        match baselines.known(&other_library) {
            Known::Elsewhere(baseline) => assert_eq!(baseline.environment.rustc, "rustc 2"),
            _ => panic!("{baselines:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = File::new("again", "");
        let baselines = baselines();
        baselines.write(&file.0).unwrap();
        assert_eq!(Baselines::load(&file.0).unwrap(), baselines);
    }

    #[test]
    fn a_file_that_is_not_there_is_told_and_can_be_made() {
        let path = std::env::temp_dir().join("libprocess-gate-no-such-file.json");
        let error = Baselines::load(&path).unwrap_err().to_string();
        assert!(error.contains("no-such-file.json: make it with"), "{error}");
        let made = Baselines::load_or_empty(&path).unwrap();
        assert_eq!(made, Baselines::empty());
    }

    #[test]
    fn a_malformed_file_is_told_and_not_written_over() {
        let whole = serde_json::to_string(&baselines()).unwrap();
        for (test, text) in [
            ("empty", ""),
            ("half", &whole[..whole.len() / 2]),
            ("list", "[]"),
            ("merge", &format!("<<<<<<< HEAD\n{whole}")),
            ("unknown", &whole.replace("\"history\"", "\"story\"")),
            ("text", &whole.replace("100.0", "\"many\"")),
        ] {
            let file = File::new(test, text);
            let error = Baselines::load_or_empty(&file.0).unwrap_err().to_string();
            assert!(error.contains(" is no baseline of the gate ("), "{error}");
            assert!(error.contains(file.0.to_str().unwrap()), "{error}");
            assert_eq!(fs::read_to_string(&file.0).unwrap(), text);
        }
    }

    #[test]
    fn figures_that_cannot_be_are_told() {
        let good = serde_json::to_value(baselines()).unwrap();
        let entry = "/baselines/0/regions/a";
        for (place, value, what) in [
            ("/format".to_owned(), json!(2), "its format is 2"),
            (
                format!("{entry}/figures/allocations"),
                json!(-1.0),
                "a has -1 allocations",
            ),
            (
                format!("{entry}/repeats"),
                json!([20, 20]),
                "a has the repeats 20 and 20",
            ),
            (
                "/baselines/0/history/0/reason".to_owned(),
                json!(" "),
                "a change has no reason",
            ),
            (
                "/baselines".to_owned(),
                Value::Array(vec![good["baselines"][0].clone(); 2]),
                "two baselines for the same environment",
            ),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(&place).unwrap() = value;
            let file = File::new("nonsense", &bad.to_string());
            let error = Baselines::load(&file.0).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    /// What is committed is held: each region that there is, and none that is not.
    #[test]
    fn the_committed_baselines_have_all_regions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/gate.json");
        let baselines = Baselines::load(&path).unwrap();
        assert!(!baselines.baselines.is_empty());
        let mut names: Vec<&str> = crate::gate::region::REGIONS
            .iter()
            .map(|region| region.name)
            .collect();
        names.sort_unstable();
        for baseline in &baselines.baselines {
            let there: Vec<&str> = baseline.regions.keys().map(String::as_str).collect();
            assert_eq!(there, names, "{}", baseline.environment.rustc);
            for region in &crate::gate::region::REGIONS {
                let repeats = baseline.regions[region.name].repeats;
                assert_eq!(repeats, region.repeats(1), "{}", region.name);
            }
            assert_eq!(baseline.environment.profile, "release");
        }
    }

    /// Else CI would fail with the next push, and say that there is no baseline.
    #[test]
    fn the_workflow_runs_where_a_baseline_was_counted() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let workflow = fs::read_to_string(root.join(".github/workflows/ci.yml")).unwrap();
        let baselines = Baselines::load(&root.join("results/gate.json")).unwrap();
        let images: Vec<&str> = workflow
            .lines()
            .filter_map(|line| line.trim().strip_prefix("image: rust:"))
            .collect();
        assert!(!images.is_empty(), "{workflow}");
        for image in images {
            let (compiler, _) = image.split_once('-').unwrap();
            let compiler = format!("rustc {compiler} ");
            assert!(
                baselines
                    .baselines
                    .iter()
                    .any(|baseline| baseline.environment.rustc.starts_with(&compiler)),
                "{image}"
            );
        }
    }
}
