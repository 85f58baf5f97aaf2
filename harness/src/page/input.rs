//! The results that a report is made of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::ReportArguments;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::registry::NoMatch;
use crate::save;
use crate::saved::{BadFile, Saved};

/// Where results are, below `results`; what is beside them is of other forms.
const KEPT: &str = "baseline";
const KEPT_AND_LOCAL: [&str; 2] = [KEPT, "local"];

/// A file of results.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path, from the folder of the checkout if it is in there.
    pub(super) name: String,
    pub(super) saved: Saved,
    /// Not only there for the history of others.
    pub(super) asked_for: bool,
}

#[derive(Debug)]
pub(super) struct Input {
    /// The oldest first.
    pub(super) sources: Vec<Source>,
    /// Files that were found and could not be used, and why.
    pub(super) left_out: Vec<String>,
}

/// There is nothing to report on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no result in {results}/baseline or {results}/local: make one with `harness run '*' --runs 9 --save NAME`, or name the files", results = .0.display()
)]
pub(crate) struct NoResults(PathBuf);

impl Input {
    /// What is named, and beside it what is kept in `results/baseline`, for the history; if nothing is named, all that is kept, and what this machine has in `results/local`.
    ///
    /// A file that is named has to be good. One that is found need not be: it is left out.
    pub(super) fn gather(arguments: &ReportArguments) -> Result<Self, Failure> {
        let root = save::results()?;
        let mut input = Self {
            sources: Vec::new(),
            left_out: Vec::new(),
        };
        let mut seen = Vec::new();
        for name in &arguments.results {
            let (path, saved) = load(name)?;
            input.add(&root, &path, saved, true, &mut seen);
        }
        let all = arguments.results.is_empty();
        let folders: &[&str] = if all { &KEPT_AND_LOCAL } else { &[KEPT] };
        let mut found = Vec::new();
        for folder in folders {
            let folder = root.join(folder);
            scan(&folder, &mut found).map_err(|error| BadFile::Unreadable {
                path: folder,
                error,
            })?;
        }
        for path in found {
            match load(&path) {
                Ok((path, saved)) => input.add(&root, &path, saved, all, &mut seen),
                Err(error) => input.left_out.push(error.to_string()),
            }
        }
        if input.sources.is_empty() {
            for left_out in &input.left_out {
                eprintln!("left out: {left_out}");
            }
            return Err(NoResults(root).into());
        }
        input.select(&arguments.benchmarks)?;
        input
            .sources
            .sort_by_key(|source| source.saved.saved_unix_seconds);
        Ok(input)
    }

    fn add(
        &mut self,
        root: &Path,
        path: &Path,
        saved: Saved,
        asked_for: bool,
        seen: &mut Vec<PathBuf>,
    ) {
        // Whatever it is called, it is one file.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if seen.contains(&place) {
            return;
        }
        let checkout = root
            .parent()
            .and_then(|folder| fs::canonicalize(folder).ok());
        let name = checkout
            .and_then(|checkout| place.strip_prefix(checkout).ok())
            .unwrap_or(path);
        self.sources.push(Source {
            name: name.display().to_string(),
            saved,
            asked_for,
        });
        seen.push(place);
    }

    /// Leaves only the benchmarks that any of the filters lets through.
    fn select(&mut self, filters: &[Filter]) -> Result<(), NoMatch> {
        let names = |sources: &[Source]| -> Vec<String> {
            let asked_for = sources.iter().filter(|source| source.asked_for);
            let records = asked_for.flat_map(|source| &source.saved.results);
            records.map(|record| record.benchmark.clone()).collect()
        };
        let before = names(&self.sources);
        for source in &mut self.sources {
            let asked = |benchmark: &str| Filter::any_matches(filters, benchmark);
            source
                .saved
                .results
                .retain(|record| asked(&record.benchmark));
        }
        if !before.is_empty() && names(&self.sources).is_empty() {
            return Err(NoMatch::among(filters, before));
        }
        Ok(())
    }
}

/// With histograms that can be read, so that nothing fails later.
fn load(name: &Path) -> Result<(PathBuf, Saved), BadFile> {
    let (path, saved) = Saved::load(name)?;
    for record in &saved.results {
        record
            .latencies()
            .map_err(|error| BadFile::histogram(&path, record, error))?;
    }
    Ok((path, saved))
}

/// The JSON files below a folder, by their names; none if it is not there. Links are not followed, as they may lead in a circle.
fn scan(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            scan(&path, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|ending| ending == "json") {
            found.push(path);
        }
    }
    Ok(())
}
