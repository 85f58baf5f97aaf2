//! Harnesses of other revisions or features, built beside this one.
//!
//! Each revision is checked out into a worktree under the target folder, built there, and its harness kept; the worktree is removed at
//! once. All revisions share one target folder, and all builds of the checkout as it is, so that what they take from others is built once.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use super::children;
use super::features::{Declared, FeatureSet, PACKAGE};
use super::turns::TurnsError;

/// The checkout that the current folder is in.
pub(crate) struct Checkout {
    root: PathBuf,
    /// For all that is built here.
    folder: PathBuf,
}

/// A commit, by its full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision(String);

impl Revision {
    pub(super) fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

impl Checkout {
    pub(crate) fn find() -> Result<Self, TurnsError> {
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
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join(format!("scratch-{}", std::process::id()))
    }

    /// Where a harness that is kept for as long as nothing else takes its name has its place.
    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("harness")
    }

    /// The harness of this revision, with its default features.
    pub(super) fn build(&self, revision: &Revision) -> Result<PathBuf, TurnsError> {
        let tree = self.tree(Some(revision))?;
        let kept = self.kept(&revision.0);
        tree.build(None, revision.short(), &kept)?;
        Ok(kept)
    }

    /// The sources of a revision, for as long as this is there; without one, those of the checkout, with all that is not committed.
    pub(crate) fn tree(&self, revision: Option<&Revision>) -> Result<Tree<'_>, TurnsError> {
        let worktree = |revision: &Revision| {
            let name = format!("worktree-{}-{}", revision.short(), std::process::id());
            Worktree::add(&self.root, self.folder.join(name), revision)
        };
        Ok(Tree {
            checkout: self,
            worktree: revision.map(worktree).transpose()?,
        })
    }
}

/// Sources that are built.
pub(crate) struct Tree<'a> {
    checkout: &'a Checkout,
    worktree: Option<Worktree<'a>>,
}

impl Tree<'_> {
    fn path(&self) -> &Path {
        match &self.worktree {
            Some(worktree) => &worktree.path,
            None => &self.checkout.root,
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// The features that there are.
    pub(crate) fn features(&self) -> Result<Declared, TurnsError> {
        let mut metadata = self.cargo(&["metadata", "--no-deps", "--format-version=1"]);
        let output =
            children::run(metadata.stdout(Stdio::piped())).map_err(TurnsError::start("cargo"))?;
        if !output.status.success() {
            return Err(TurnsError::ended(
                "`cargo metadata`".to_owned(),
                output.status,
            ));
        }
        Declared::in_metadata(&output.stdout).ok_or(TurnsError::NoHarness)
    }

    /// The harness with these features, or with the default ones, as this file. `what` names it to the user.
    pub(crate) fn build(
        &self,
        features: Option<&FeatureSet>,
        what: &str,
        kept: &Path,
    ) -> Result<(), TurnsError> {
        eprintln!("building {what}");
        // Two folders, as cargo goes by the times of files: beside a worktree's build, which is new, what is older in the checkout would seem to be built.
        let target = self.checkout.folder.join(match self.worktree {
            Some(_) => "build",
            None => "build-checkout",
        });
        let mut build = self.cargo(&["build", "--release", "--package", PACKAGE]);
        if let Some(features) = features {
            build.args(features.arguments());
        }
        let status = children::run(build.env("CARGO_TARGET_DIR", &target))
            .map_err(TurnsError::start("cargo"))?
            .status;
        if !status.success() {
            return Err(TurnsError::ended(format!("the build of {what}"), status));
        }
        keep(&target.join("release/harness"), kept).map_err(TurnsError::file(kept))
    }
}

/// Copies a program, in place of one that may be running.
fn keep(program: &Path, kept: &Path) -> io::Result<()> {
    if let Some(folder) = kept.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = kept.with_extension(format!("{}.new", std::process::id()));
    let result = fs::copy(program, &new).and_then(|_| fs::rename(&new, kept));
    if result.is_err() {
        // The first error is the one to tell.
        let _left_behind = fs::remove_file(&new);
    }
    result
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
