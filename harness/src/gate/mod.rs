//! Whether an operation of the library costs more than it did.
//!
//! # What is counted
//!
//! Time on shared machines is too restless for a gate that is held at each change, so the gate counts: instructions, allocations and system calls, of pieces of work that
//! one worker does in the same order each time ([`region`]). Each is done twice, with some repeats and with more, and the difference is divided by the operations ([`counter`],
//! [`profile`], [`figures`]). With one worker nobody steals, nobody is woken in between, and valgrind runs one thread at a time: what is left to wander is the start and the end, by some
//! hundreds of instructions in ten millions. `--steadiness` says how much that is ([`steadiness`]).
//!
//! # What it is judged by
//!
//! The baseline is committed ([`baseline`]), and holds for the environment in which it was counted ([`environment`]). It changes by being told why.
//!
//! # That it can fail
//!
//! A gate that lets everything through looks like one that has nothing to find. A test plants more work ([`plant`]), of each kind, and sees that kind found.
//!
//! # And time
//!
//! What a count cannot see, a comparison in turn can, if it is large ([`against`]).

mod against;
mod baseline;
mod counter;
mod environment;
mod figures;
mod http;
mod judged;
mod plant;
mod profile;
mod region;
mod report;
mod steadiness;

pub(crate) use against::AgainstError;
pub(crate) use baseline::BadBaseline;
pub(crate) use plant::Plant;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use self::baseline::{Accepted, Baseline, Baselines, Entry, Known};
use self::counter::{CountError, Counter, Manner};
use self::environment::{Difference, Environment};
use self::judged::Judged;
use self::region::Region;
use crate::cli::{GateArguments, GateMode, GateRegionArguments};
use crate::failure::Failure;
use crate::machine::Machine;
use crate::registry::NoMatch;

/// Why the gate does not let through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    #[error(
        "the gate fails:{}\nIf that is worth it, accept it, and say why: harness gate --accept 'the reason'", lines(.0)
    )]
    Worse(Vec<String>),
    #[error(
        "the baseline {} was counted in another environment:{}\n{RENEW} To judge allocations and system calls all the same: --elsewhere.", .path.display(), lines(.differences)
    )]
    Elsewhere {
        path: PathBuf,
        differences: Vec<Difference>,
    },
    #[error(
        "the baseline {} has nothing of a {profile} build with the features {features}.\n{RENEW}", .path.display()
    )]
    Nowhere {
        path: PathBuf,
        profile: String,
        features: String,
    },
    #[error("figures of the same build lie too far apart:{}", lines(.0))]
    Unsteady(Vec<String>),
    #[error("cancelled: {finished} of {all} regions were counted, and nothing was written")]
    Cancelled { finished: usize, all: usize },
    #[error(transparent)]
    Count(CountError),
    #[error(transparent)]
    Against(#[from] AgainstError),
}

impl GateError {
    /// Whether what was asked for cannot be.
    pub(crate) fn is_misuse(&self) -> bool {
        matches!(self, Self::Against(error) if error.is_misuse())
    }

    /// Whether a child has said why.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self, Self::Against(error) if error.is_told())
    }
}

/// For whom the baseline does not hold.
const RENEW: &str = "\
To add a baseline of this environment, count on a revision that is known to be good, and commit what is \
written: harness gate --accept 'the reason'.";

fn lines<T: std::fmt::Display>(of: &[T]) -> String {
    of.iter().map(|line| format!("\n  {line}")).collect()
}

pub(crate) fn gate(arguments: &GateArguments, output: &mut dyn Write) -> Result<(), Failure> {
    match arguments.mode() {
        GateMode::Judge => judge(arguments, output),
        GateMode::Accept { reason } => accept(arguments, reason, output),
        GateMode::Count => count(arguments, output),
        GateMode::Steadiness { times } => {
            let counter = Counter::new(manner(arguments, false)).map_err(GateError::Count)?;
            let regions = region::select(&arguments.filters)?;
            steadiness::measure(&counter, &regions, times, arguments.json, output)
        }
        GateMode::Against {
            revision,
            rounds,
            run,
        } => {
            let asked = against::Asked {
                revision,
                rounds,
                run,
                filters: &arguments.filters,
            };
            Ok(against::compare(&asked, arguments.json, output).map_err(GateError::from)?)
        }
        GateMode::List => Ok(report::list(&region::select(&arguments.filters)?, output)?),
    }
}

/// The side of the child that is counted.
pub(crate) fn run_region(arguments: &GateRegionArguments) -> Result<(), Failure> {
    let region = region::find(&arguments.region)
        .ok_or_else(|| NoMatch::of_regions(&[&arguments.region], region::names()))?;
    region.run(arguments.repeat, arguments.plant, arguments.timeout)
}

fn manner(arguments: &GateArguments, as_environment_says: bool) -> Manner {
    Manner {
        as_environment_says,
        divisor: arguments.divide,
        plant: arguments.plant,
        timeout: arguments.timeout,
    }
}

fn path(arguments: &GateArguments) -> io::Result<PathBuf> {
    match &arguments.baseline {
        Some(path) => Ok(path.clone()),
        None => baseline::usual_path(),
    }
}

fn judge(arguments: &GateArguments, output: &mut dyn Write) -> Result<(), Failure> {
    let regions = region::select(&arguments.filters)?;
    let path = path(arguments)?;
    let baselines = Baselines::load(&path)?;
    let counter = Counter::new(manner(arguments, false)).map_err(GateError::Count)?;
    let here = &counter.environment;
    let (baseline, is_here) = match baselines.known(here) {
        Known::Here(baseline) => (baseline, true),
        Known::Elsewhere(baseline) if arguments.elsewhere => (baseline, false),
        Known::Elsewhere(baseline) => {
            let differences = baseline.environment.differences(here);
            return Err(GateError::Elsewhere { path, differences }.into());
        }
        Known::Nowhere => return Err(nowhere(path, here).into()),
    };
    if !is_here {
        let differences = baseline.environment.differences(here);
        eprintln!(
            "INSTRUCTIONS ARE NOT JUDGED: the baseline was counted in another environment:{}",
            lines(&differences)
        );
    }
    let mut worse = Vec::new();
    for (index, region) in regions.iter().enumerate() {
        let judged = || {
            let entry = count_one(&counter, region, index, regions.len())?;
            let known = baseline.regions.get(region.name);
            Ok::<_, GateError>(Judged::new(region, entry, known, is_here))
        };
        let mut judgement = judged()?;
        if !judgement.failures().is_empty() {
            // What the code costs more, it costs each time. Once in some thirty counts of `http` the moments at which its sockets have something fall otherwise.
            eprintln!("{} is worse, and counted once more", region.name);
            judgement = judged()?;
        }
        report::judged(&judgement, arguments.json, output)?;
        worse.extend(judgement.failures());
    }
    if arguments.filters.is_empty() {
        worse.extend(gone(baseline));
    }
    if worse.is_empty() {
        Ok(())
    } else {
        Err(GateError::Worse(worse).into())
    }
}

fn nowhere(path: PathBuf, here: &Environment) -> GateError {
    GateError::Nowhere {
        path,
        profile: here.profile.clone(),
        features: match here.features.as_slice() {
            [] => "none".to_owned(),
            features => features.join(", "),
        },
    }
}

/// A region that nobody counts any more is held by nobody.
fn gone(baseline: &Baseline) -> Vec<String> {
    let regions = baseline.regions.keys();
    regions
        .filter(|name| region::find(name).is_none())
        .map(|name| format!("{name}: the baseline has it, and this harness counts no such region"))
        .collect()
}

fn accept(arguments: &GateArguments, reason: &str, output: &mut dyn Write) -> Result<(), Failure> {
    let regions = region::select(&arguments.filters)?;
    let path = path(arguments)?;
    let mut baselines = Baselines::load_or_empty(&path)?;
    let counter = Counter::new(manner(arguments, false)).map_err(GateError::Count)?;
    let mut counted = BTreeMap::new();
    for_each(&counter, &regions, |region, entry| {
        counted.insert(region.name, entry);
        Ok(())
    })?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let accepted = Accepted {
        reason: reason.to_owned(),
        revision: Machine::current().revision,
        unix_seconds: since.map_or(0, |since| since.as_secs()),
        changes: Vec::new(),
    };
    let all = arguments.filters.is_empty();
    let changes = baselines.accept(&counter.environment, &counted, all, accepted);
    if !changes.is_empty() {
        baselines.write(&path)?;
    }
    report::accepted(&changes, &path, arguments.json, output)?;
    Ok(())
}

fn count(arguments: &GateArguments, output: &mut dyn Write) -> Result<(), Failure> {
    let regions = region::select(&arguments.filters)?;
    let counter = Counter::new(manner(arguments, true)).map_err(GateError::Count)?;
    for_each(&counter, &regions, |region, entry| {
        report::counted(region, entry, arguments.json, output)
    })
}

/// Counts one after the other, and says on standard error which: each takes some seconds.
fn for_each(
    counter: &Counter,
    regions: &[&'static Region],
    mut done: impl FnMut(&'static Region, Entry) -> io::Result<()>,
) -> Result<(), Failure> {
    for (index, region) in regions.iter().enumerate() {
        done(region, count_one(counter, region, index, regions.len())?)?;
    }
    Ok(())
}

fn count_one(
    counter: &Counter,
    region: &'static Region,
    index: usize,
    all: usize,
) -> Result<Entry, GateError> {
    eprintln!("counting {} ({} of {all})", region.name, index + 1);
    let figures = counter
        .count(region)
        .map_err(|error| failed(error, index, all))?;
    Ok(Entry {
        repeats: counter.repeats(region),
        figures,
    })
}

fn failed(error: CountError, finished: usize, all: usize) -> GateError {
    match error {
        CountError::Cancelled => GateError::Cancelled { finished, all },
        error => GateError::Count(error),
    }
}
