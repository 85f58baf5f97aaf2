//! Harnesses of other revisions, built beside this one.
//!
//! Each revision is checked out into a worktree under the target folder, built there, and its harness kept; the worktree is removed at
//! once. All builds share one target folder, so that what the revisions take from others is built once.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::children;
use super::turns::TurnsError;

/// The checkout that the current folder is in.
pub(super) struct Checkout {
    root: PathBuf,
    /// For all that is built here.
    folder: PathBuf,
}

/// A commit, by its full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Revision(String);

impl Revision {
    pub(super) fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

impl Checkout {
    pub(super) fn find() -> Result<Self, TurnsError> {
        let root = PathBuf::from(git(Path::new("."), ["rev-parse", "--show-toplevel"])?);
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |folder| root.join(folder));
        Ok(Self {
            folder: target.join("compare"),
            root,
        })
    }

    /// What the user calls a revision.
    pub(super) fn resolve(&self, name: &str) -> Result<Revision, TurnsError> {
        let commit = format!("{name}^{{commit}}");
        let arguments = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ];
        git(&self.root, arguments)
            .map(Revision)
            .map_err(|error| match error {
                TurnsError::Git { .. } => TurnsError::NoRevision(name.to_owned()),
                other => other,
            })
    }

    /// Where runs may leave files.
    pub(super) fn scratch(&self) -> PathBuf {
        self.folder.join(format!("scratch-{}", std::process::id()))
    }

    /// The harness of this revision.
    pub(super) fn build(&self, revision: &Revision) -> Result<PathBuf, TurnsError> {
        eprintln!("building {}", revision.short());
        let name = format!("worktree-{}-{}", revision.short(), std::process::id());
        let worktree = Worktree::add(&self.root, self.folder.join(name), revision)?;
        let target = self.folder.join("build");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build
            .args(["build", "--release", "--package", "libprocess-harness"])
            .current_dir(&worktree.path)
            .env("CARGO_TARGET_DIR", &target)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let status = children::run(&mut build)
            .map_err(TurnsError::start("cargo"))?
            .status;
        if !status.success() {
            return Err(TurnsError::ended(
                format!("the build of {}", revision.short()),
                status,
            ));
        }
        let kept = self.folder.join(&revision.0);
        let harness = kept.join("harness");
        fs::create_dir_all(&kept)
            .and_then(|()| fs::copy(target.join("release/harness"), &harness))
            .map_err(TurnsError::file(&harness))?;
        Ok(harness)
    }
}

/// Removed when it is dropped.
struct Worktree<'a> {
    root: &'a Path,
    path: PathBuf,
}

impl<'a> Worktree<'a> {
    fn add(root: &'a Path, path: PathBuf, revision: &Revision) -> Result<Self, TurnsError> {
        // First of all, so that what is done half is removed too.
        let worktree = Self { root, path };
        let path = worktree.path.as_os_str();
        let arguments = ["worktree", "add", "--detach", "--quiet"].map(OsStr::new);
        git(
            root,
            arguments.into_iter().chain([path, OsStr::new(&revision.0)]),
        )?;
        Ok(worktree)
    }
}

impl Drop for Worktree<'_> {
    fn drop(&mut self) {
        // Not as a child that Ctrl-C ends: this is what comes after it. Each may fail where there is nothing left to do.
        let git = |arguments: &[&OsStr]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(self.root).args(arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            // In a group of its own, so that the terminal's Ctrl-C does not reach it.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let _done = command.status();
        };
        let [worktree, remove, force, prune] =
            ["worktree", "remove", "--force", "prune"].map(OsStr::new);
        git(&[worktree, remove, force, self.path.as_os_str()]);
        let _gone = fs::remove_dir_all(&self.path);
        git(&[worktree, prune]);
    }
}

/// What git prints, without the end of the line.
fn git<A: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Result<String, TurnsError> {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let output = children::run(&mut command).map_err(TurnsError::start("git"))?;
    if !output.status.success() {
        return Err(if children::cancelled() {
            TurnsError::Cancelled
        } else {
            TurnsError::Git {
                status: output.status,
            }
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
