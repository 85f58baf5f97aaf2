//! What is in a file of results, and finding and reading one.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::latency::BadHistogram;
use crate::machine::{self, LoadAverage, Machine};
use crate::record::Record;
use crate::save::{self, SaveName};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) machine: Machine,
    /// Not in older files.
    #[serde(default)]
    pub(crate) load_average: LoadAverage,
    /// Seconds since 1970, in Universal Time.
    pub(crate) saved_unix_seconds: u64,
    pub(crate) results: Vec<Record>,
}

/// A file that cannot be used, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFile {
    #[error(
        "{} cannot be read: {error}; results are made by `harness run --save NAME`, and named by that NAME or the path of the file", .path.display()
    )]
    Unreadable { path: PathBuf, error: io::Error },
    #[error(
        "{} is no result of this harness, or one of a version with which it has nothing in common ({error}): make one with `harness run --save NAME`", .path.display()
    )]
    Foreign {
        path: PathBuf,
        error: serde_json::Error,
    },
    #[error("{}, {benchmark}: {error}", .path.display())]
    Histogram {
        path: PathBuf,
        benchmark: String,
        error: BadHistogram,
    },
}

impl BadFile {
    pub(crate) fn histogram(path: &Path, record: &Record, error: BadHistogram) -> Self {
        Self::Histogram {
            path: path.to_owned(),
            benchmark: record.benchmark.clone(),
            error,
        }
    }
}

impl Saved {
    /// What this program has just measured, with the load that was there before.
    pub(crate) fn of_this_build(load_before: Option<f64>, results: Vec<Record>) -> Self {
        Self {
            machine: Machine::current(),
            load_average: LoadAverage {
                before: load_before,
                after: machine::load_average(),
            },
            saved_unix_seconds: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            results,
        }
    }

    /// Reads a result that is named as the user likes: by its file, or as it was saved.
    pub(crate) fn load(name: &Path) -> Result<(PathBuf, Self), BadFile> {
        let path = find(name);
        let text = fs::read_to_string(&path).map_err(|error| BadFile::Unreadable {
            path: path.clone(),
            error,
        })?;
        match serde_json::from_str(&text) {
            Ok(saved) => Ok((path, saved)),
            Err(error) => Err(BadFile::Foreign { path, error }),
        }
    }
}

/// The file, if there is one of that name; else what was saved under that name, if it can be one.
fn find(name: &Path) -> PathBuf {
    let saved = || {
        let name: SaveName = name.to_str()?.parse().ok()?;
        Some(save::folder().ok()?.join(name.file()))
    };
    if name.is_file() {
        return name.to_owned();
    }
    saved()
        .filter(|path| path.is_file())
        .unwrap_or_else(|| name.to_owned())
}
