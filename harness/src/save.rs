//! Keeping results in files.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::litter;
use crate::machine;
use crate::record::Record;
use crate::saved::Saved;

/// What a checkout has and other folders do not: by it the folder for results is found.
pub(crate) const LANDMARK: &str = "results/README.md";
/// Ignored by git: figures of one machine concern nobody else.
const FOLDER: &str = "results/local";
/// That, and what is kept.
const RESULTS: &str = "results";

/// The name under which results are saved: a file's name without its ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaveName(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name is 1 to {} letters, digits, `-`, `_` and `.`, and does not start with `.`",
    SaveName::LONGEST
)]
pub(crate) struct BadName;

impl SaveName {
    const LONGEST: usize = 100;

    /// The name of the file.
    pub(crate) fn file(&self) -> String {
        format!("{self}.json")
    }
}

impl FromStr for SaveName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let good = (1..=Self::LONGEST).contains(&text.len())
            // A hidden file, or a way out of the folder.
            && !text.starts_with('.')
            && text.bytes().all(allowed);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName)
        }
    }
}

impl fmt::Display for SaveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the results cannot be saved to {}: {error}", .path.display())]
pub(crate) struct SaveError {
    path: PathBuf,
    error: io::Error,
}

impl SaveError {
    pub(crate) fn new(path: &Path, error: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            error,
        }
    }
}

/// Where results will be saved. Found before anything is measured, so that no measurement is in vain.
#[derive(Debug)]
pub(crate) struct Destination {
    path: PathBuf,
    /// What the machine had to do before we gave it more.
    load_before: Option<f64>,
}

/// `results/local` in the checkout that the current folder is in; outside of one, in the current folder.
pub(crate) fn folder() -> io::Result<PathBuf> {
    Ok(root()?.join(FOLDER))
}

/// `results` there, with the results of this machine and those that are kept.
pub(crate) fn results() -> io::Result<PathBuf> {
    Ok(root()?.join(RESULTS))
}

fn root() -> io::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root = here
        .ancestors()
        .find(|folder| folder.join(LANDMARK).is_file())
        .unwrap_or(&here);
    Ok(root.to_owned())
}

impl Destination {
    /// In the folder for results, which is made if it is not there.
    pub(crate) fn prepare(name: &SaveName) -> Result<Self, SaveError> {
        let folder = folder().map_err(|error| SaveError::new(Path::new(FOLDER), error))?;
        Self::prepare_in(&folder, name)
    }

    fn prepare_in(folder: &Path, name: &SaveName) -> Result<Self, SaveError> {
        fs::create_dir_all(folder).map_err(|error| SaveError::new(folder, error))?;
        remove_litter(folder, &name.file());
        Ok(Self {
            path: folder.join(name.file()),
            load_before: machine::load_average(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Beside it, for what is not all that was asked for: it does not take the place of what is.
    pub(crate) fn interrupted(&self) -> Self {
        Self {
            path: self.path.with_extension("interrupted.json"),
            load_before: self.load_before,
        }
    }

    /// Saves what this program has just measured.
    pub(crate) fn save(&self, results: Vec<Record>) -> Result<(), SaveError> {
        self.write(&Saved::of_this_build(self.load_before, results))
    }

    /// Writes the file, in place of one of that name. Whoever looks sees the old one or the new one, whole.
    pub(crate) fn write(&self, saved: &Saved) -> Result<(), SaveError> {
        let mut text = serde_json::to_vec_pretty(saved).expect("a result can be written as JSON");
        text.push(b'\n');
        replace(&self.path, &text).map_err(|error| SaveError::new(&self.path, error))
    }
}

/// Writes the file, in place of one of that name: whole, or not at all.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    // In the same folder, as a rename across file systems is a copy; of this process alone.
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let result = write_through(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // The first error is the one to tell.
        let _left_behind = fs::remove_file(&temporary);
    }
    result
}

/// Removes what programs that were killed while they wrote this file have left of it.
fn remove_litter(folder: &Path, file: &str) {
    litter::remove(folder, |name| {
        name.strip_prefix(file)?
            .strip_prefix('.')?
            .strip_suffix(".tmp")
    });
}

/// As [`replace`], but for what is no file: a pipe, a terminal or a link takes the contents, and a file in its place would be no service.
pub(crate) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => fs::write(path, contents),
        _ => replace(path, contents),
    }
}

/// Before the rename makes the file visible, its contents are on the disk: else a crash could leave an empty one.
fn write_through(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for each test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let name = format!("libprocess-harness-{test}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _left_behind = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn names_stay_in_their_folder() {
        for good in [
            "a",
            "main",
            "2026-01-31_two.workers",
            "A..b",
            &"x".repeat(100),
        ] {
            assert_eq!(good.parse::<SaveName>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "../a",
            "a b",
            "ä",
            "a\0",
            "a\n",
            &"x".repeat(101),
        ] {
            assert_eq!(bad.parse::<SaveName>(), Err(BadName), "{bad:?}");
        }
    }

    #[test]
    fn a_name_with_a_dot_keeps_it() {
        let folder = Folder::new("dot");
        let destination = Destination::prepare_in(&folder.0, &"v1.2".parse().unwrap()).unwrap();
        destination.save(Vec::new()).unwrap();
        assert_eq!(folder.files(), ["v1.2.json"]);
    }

    #[test]
    fn what_is_saved_is_whole_and_tells_of_the_machine() {
        let folder = Folder::new("whole");
        let destination = Destination::prepare_in(&folder.0, &"twice".parse().unwrap()).unwrap();
        destination.save(Vec::new()).unwrap();
        destination.save(Vec::new()).unwrap();
        assert_eq!(folder.files(), ["twice.json"]);
        let text = fs::read_to_string(destination.path()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["results"], serde_json::json!([]));
        for fact in [
            "cpu", "cores", "kernel", "governor", "rustc", "profile", "features", "revision",
        ] {
            assert!(json["machine"].get(fact).is_some(), "{fact} in {text}");
        }
        assert!(json["load_average"]["before"].is_f64(), "{text}");
        assert!(json["load_average"]["after"].is_f64(), "{text}");
        assert!(json["saved_unix_seconds"].as_u64().unwrap() > 1_700_000_000);
    }

    /// Which file is to be replaced again and again, for the test that is run in another process by the next one.
    const REPLACED: &str = "LIBPROCESS_HARNESS_TEST_REPLACED";

    fn contents(letter: u8) -> Vec<u8> {
        vec![letter; 1 << 20]
    }

    #[test]
    #[ignore = "runs until it is killed, by another test"]
    fn replaces_until_it_is_killed() {
        let Some(path) = std::env::var_os(REPLACED) else {
            return;
        };
        loop {
            for letter in [b'a', b'b'] {
                replace(Path::new(&path), &contents(letter)).unwrap();
            }
        }
    }

    #[test]
    fn a_writer_that_is_killed_leaves_the_old_file_or_the_new_one() {
        let folder = Folder::new("killed");
        let path = folder.0.join("kept.json");
        for round in 0..10 {
            fs::write(&path, contents(b'o')).unwrap();
            let mut writer = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "save::tests::replaces_until_it_is_killed"])
                .args(["--ignored", "--nocapture"])
                .env(REPLACED, &path)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            // Until it is at it, and then at another point of it each time.
            while fs::read(&path).unwrap()[0] == b'o' {
                std::thread::yield_now();
            }
            std::thread::sleep(std::time::Duration::from_micros(300 * round));
            writer.kill().unwrap();
            writer.wait().unwrap();
            let left = fs::read(&path).unwrap();
            assert!(
                [b'a', b'b']
                    .into_iter()
                    .any(|letter| left == contents(letter)),
                "{} bytes, of which the first is {:?}",
                left.len(),
                left.first()
            );
            remove_litter(&folder.0, "kept.json");
            assert_eq!(folder.files(), ["kept.json"]);
        }
    }

    #[test]
    fn a_failure_leaves_nothing_behind_and_names_the_file() {
        let folder = Folder::new("failure");
        let destination = Destination::prepare_in(&folder.0, &"taken".parse().unwrap()).unwrap();
        // A folder cannot be replaced by a file.
        fs::create_dir(destination.path()).unwrap();
        let error = destination.save(Vec::new()).unwrap_err().to_string();
        assert!(error.contains("taken.json"), "{error}");
        assert_eq!(folder.files(), ["taken.json"]);
    }
}
