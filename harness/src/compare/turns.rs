//! Two revisions, or two sets of features, measured in turn: A B, B A, A B and so on.
//!
//! Each run is a process of its own, of that build's harness. So that both see the same machine, the turns are as short as can be:
//! one run of one benchmark.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::SystemTime;
use std::{fs, io};

use super::Side;
use super::children;
use super::features::BadFeatures;
use super::revisions::{Checkout, Revision};
use crate::cli::{Builds, CompareArguments};
use crate::failure::Failure;
use crate::filter::Filter;
use crate::latency::BadHistogram;
use crate::record::Record;
use crate::registry::{self, NoMatch};
use crate::save::{self, Destination, SaveName};
use crate::saved::Saved;

/// Why builds cannot be made or measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnsError {
    #[error("git failed ({status}): what is built anew needs a checkout, and git")]
    Git { status: ExitStatus },
    #[error("{0:?} is no revision of this checkout: name a commit, a branch or a tag")]
    NoRevision(String),
    #[error(transparent)]
    Features(#[from] BadFeatures),
    #[error("`cargo metadata` tells of no package {}", super::features::PACKAGE)]
    NoHarness,
    #[error("{program} does not start: {error}")]
    Start { program: String, error: io::Error },
    #[error("{what} failed ({status})")]
    Ended { what: String, status: ExitStatus },
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Histogram(#[from] BadHistogram),
    #[error("a harness does not print the same number of results each time")]
    Unlike,
    #[error("cancelled: nothing is left behind, and what was not finished is not reported")]
    Cancelled,
}

impl TurnsError {
    pub(crate) fn start(program: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Start {
            program: program.into(),
            error,
        }
    }

    pub(crate) fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// Of a child that failed, or that Ctrl-C ended.
    pub(crate) fn ended(what: String, status: ExitStatus) -> Self {
        if children::cancelled() {
            Self::Cancelled
        } else {
            Self::Ended { what, status }
        }
    }
}

/// What was finished, and why it is not all, if it is not.
pub(super) struct Measured {
    pub(super) sides: [Side; 2],
    pub(super) ended: Option<Failure>,
}

/// Builds both, measures them in turn, and keeps both results.
pub(super) fn measure(
    builds: Builds<'_>,
    arguments: &CompareArguments,
) -> Result<Measured, Failure> {
    children::take_signals();
    arguments.check_run()?;
    let filters = arguments.filters();
    let checkout = Checkout::find()?;
    let scratch = Scratch::new(checkout.scratch())?;
    let built = match builds {
        Builds::Revisions(names) => revisions(&checkout, &scratch, names, &filters)?,
        Builds::Features { sets, revision } => {
            feature_sets(&checkout, &scratch, sets, revision, &filters)?
        }
    };
    let harnesses = built.programs.map(|program| Harness {
        program,
        scratch: &scratch,
        arguments: &arguments.run,
    });
    let benchmarks = select(&harnesses, &filters)?;
    let mut sides: [Option<Saved>; 2] = [None, None];
    let mut ended = None;
    for benchmark in &benchmarks {
        match in_turn(&harnesses, benchmark, arguments.rounds) {
            Ok(measured) => {
                for (side, measured) in sides.iter_mut().zip(measured) {
                    add(side, measured);
                }
            }
            Err(failure) => {
                // What took its time until here is not lost with it.
                ended = Some(failure);
                break;
            }
        }
    }
    let [Some(a), Some(b)] = sides else {
        return Err(ended.expect("a benchmark is measured, or fails"));
    };
    let mut kept = Vec::new();
    for (mut destination, saved) in built.destinations.into_iter().zip([a, b]) {
        if ended.is_some() {
            destination = destination.interrupted();
        }
        destination.write(&saved)?;
        kept.push(Side {
            path: destination.path().to_owned(),
            saved,
        });
    }
    let sides = kept.try_into().ok().expect("there are two");
    Ok(Measured { sides, ended })
}

/// Two harnesses, and where what they measure is kept.
struct Built {
    destinations: [Destination; 2],
    programs: [PathBuf; 2],
}

fn revisions(
    checkout: &Checkout,
    scratch: &Scratch,
    names: [&str; 2],
    filters: &[Filter],
) -> Result<Built, Failure> {
    let revisions = [checkout.resolve(names[0])?, checkout.resolve(names[1])?];
    let destinations = [
        Destination::prepare(&save_name("a", revisions[0].short()))?,
        Destination::prepare(&save_name("b", revisions[1].short()))?,
    ];
    let first = checkout.build(&revisions[0])?;
    check_filters(&first, scratch, filters)?;
    let second = if revisions[0] == revisions[1] {
        first.clone()
    } else {
        checkout.build(&revisions[1])?
    };
    Ok(Built {
        destinations,
        programs: [first, second],
    })
}

fn feature_sets(
    checkout: &Checkout,
    scratch: &Scratch,
    sets: [&str; 2],
    revision: Option<&str>,
    filters: &[Filter],
) -> Result<Built, Failure> {
    let revision: Option<Revision> = revision.map(|name| checkout.resolve(name)).transpose()?;
    let tree = checkout.tree(revision.as_ref())?;
    let sets = tree
        .features()?
        .two_sets(sets)
        .map_err(TurnsError::Features)?;
    let destinations = [
        Destination::prepare(&save_name("a", "features"))?,
        Destination::prepare(&save_name("b", "features"))?,
    ];
    // Not kept: nothing in a name says what it was built of.
    let programs = ["a", "b"].map(|side| scratch.folder.join(format!("harness-{side}")));
    for ((side, set), program) in ["A", "B"].iter().zip(&sets).zip(&programs) {
        tree.build(Some(set), &format!("{side}: {set}"), program)?;
        check_filters(program, scratch, filters)?;
    }
    Ok(Built {
        destinations,
        programs,
    })
}

fn save_name(side: &str, what: &str) -> SaveName {
    format!("compare-{side}-{what}")
        .parse()
        .expect("letters and digits are allowed in a name")
}

/// Those that both have, in the order of the first.
fn select(harnesses: &[Harness<'_>; 2], filters: &[Filter]) -> Result<Vec<String>, Failure> {
    let [mut benchmarks, others] = [harnesses[0].list()?, harnesses[1].list()?];
    benchmarks.retain(|name| others.contains(name));
    selected(benchmarks, filters).map_err(Failure::from)
}

/// Whoever has misspelt a name does not wait for the second build: what is measured is in the first one too. This program's own benchmarks
/// would be no measure, even before the first build, as those of what is built may be others.
fn check_filters(program: &Path, scratch: &Scratch, filters: &[Filter]) -> Result<(), Failure> {
    let harness = Harness {
        program: program.to_owned(),
        scratch,
        arguments: &[],
    };
    selected(harness.list()?, filters)?;
    Ok(())
}

fn selected(mut benchmarks: Vec<String>, filters: &[Filter]) -> Result<Vec<String>, NoMatch> {
    let there = benchmarks.clone();
    benchmarks.retain(|name| match filters {
        [] => name == registry::DEFAULT,
        filters => Filter::any_matches(filters, name),
    });
    if benchmarks.is_empty() {
        return Err(NoMatch::among(filters, there));
    }
    Ok(benchmarks)
}

/// Each round has one run of each; the one that is second is the first of the next.
fn in_turn(
    harnesses: &[Harness<'_>; 2],
    benchmark: &str,
    rounds: usize,
) -> Result<[Saved; 2], Failure> {
    let mut sides: [Vec<Saved>; 2] = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        eprintln!("{benchmark}: round {} of {rounds}", round + 1);
        let first = round % 2;
        for side in [first, 1 - first] {
            sides[side].push(harnesses[side].run_once(benchmark)?);
        }
    }
    let [a, b] = sides;
    Ok([join(a)?, join(b)?])
}

/// Runs one after the other as one result.
pub(crate) fn join(runs: Vec<Saved>) -> Result<Saved, Failure> {
    let (first, last) = match runs.as_slice() {
        [first, .., last] => (first, last),
        [only] => (only, only),
        [] => unreachable!("there is a round at least"),
    };
    let mut joined = last.clone();
    joined.load_average.before = first.load_average.before;
    let results = first.results.len();
    if runs.iter().any(|run| run.results.len() != results) {
        return Err(TurnsError::Unlike.into());
    }
    joined.results = (0..results)
        .map(|index| Record::joined(runs.iter().map(|run| &run.results[index])))
        .collect::<Result<_, _>>()
        .map_err(TurnsError::from)?;
    Ok(joined)
}

/// The results of further benchmarks, behind those that are there.
pub(crate) fn add(side: &mut Option<Saved>, mut measured: Saved) {
    if let Some(before) = side.take() {
        measured.load_average.before = before.load_average.before;
        let later = std::mem::replace(&mut measured.results, before.results);
        measured.results.extend(later);
    }
    *side = Some(measured);
}

/// A folder in which harnesses save what they measured; removed when it is dropped.
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    pub(crate) fn new(folder: PathBuf) -> Result<Self, TurnsError> {
        let scratch = Self { folder };
        let landmark = scratch.folder.join(save::LANDMARK);
        let results = landmark.parent().expect("it is in a folder");
        // With it the folder is a checkout to them, and the real one is not written to.
        fs::create_dir_all(results)
            .and_then(|()| fs::write(&landmark, ""))
            .map_err(TurnsError::file(&landmark))?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

/// The harness of a build.
pub(crate) struct Harness<'a> {
    pub(crate) program: PathBuf,
    pub(crate) scratch: &'a Scratch,
    /// Of each run.
    pub(crate) arguments: &'a [String],
}

impl Harness<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.scratch.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// The names of what it can measure.
    pub(crate) fn list(&self) -> Result<Vec<String>, TurnsError> {
        let mut command = self.command(&["list"]);
        let output = self.finish(command.stdout(Stdio::piped()), "list")?;
        // What belongs to a name is behind it, or below it and indented.
        let lines = String::from_utf8_lossy(&output).into_owned();
        let names = lines.lines().filter(|line| !line.starts_with(' '));
        let names = names.filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }

    /// One run of one benchmark, and when it began.
    pub(crate) fn run_once(&self, benchmark: &str) -> Result<Saved, Failure> {
        let mut command = self.command(&["run", benchmark, "--runs", "1", "--save", "turn"]);
        let began = SystemTime::now();
        self.finish(command.args(self.arguments), benchmark)?;
        let file = self.scratch.folder.join("results/local/turn.json");
        let (_, mut saved) = Saved::load(&file)?;
        for record in &mut saved.results {
            // Also of revisions that do not tell when a run began.
            record.set_began(began);
        }
        Ok(saved)
    }

    fn finish(&self, command: &mut Command, what: &str) -> Result<Vec<u8>, TurnsError> {
        let program = self.program.display();
        let output = children::run(command).map_err(TurnsError::start(program.to_string()))?;
        if output.status.success() && !children::cancelled() {
            Ok(output.stdout)
        } else {
            Err(TurnsError::ended(
                format!("`{program} … {what}`"),
                output.status,
            ))
        }
    }
}
