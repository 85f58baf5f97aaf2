//! Counting what a region does: this program, started anew under callgrind.
//!
//! valgrind runs one thread at a time and counts every instruction of every thread; callgrind also notes each call of a function, so those of the allocator are told, and, if
//! asked to, each call of the kernel. So all three kinds come of the same run, need nothing in the program that is counted, and leave its allocator alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::environment::Environment;
use super::figures::Figures;
use super::plant::Plant;
use super::profile::{BadProfile, Totals};
use super::region::Region;
use crate::cli::GateRegionArguments;
use crate::compare::children;
use crate::litter;

/// Asked of the runtime, whose variables the children are not to see: what somebody exported for another program would be counted with.
const VARIABLES: &str = "LIBPROCESS_";
/// Begin the names of what the C library and the dynamic linker are told: other code would be counted, or the allocator would work another way.
const FOREIGN: [&str; 3] = ["LD_", "MALLOC_", "VALGRIND_"];
/// Begins the name of the folder of each process.
const FOLDER: &str = "libprocess-gate-";
/// What each run sees, whatever is exported.
const SETTINGS: [(&str, &str); 2] = [
    // valgrind knows io_uring only in part, and in some versions not at all.
    ("LIBPROCESS_REACTOR", "epoll"),
    // glibc keeps small blocks that were freed apart, and merges all of them when a large one is freed behind them: at the end of a run, or not at all, by which thread ends first.
    // So none are kept apart. Of `life` that is three per cent.
    ("GLIBC_TUNABLES", "glibc.malloc.mxfast=0"),
];

/// Why a region cannot be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountError {
    #[error("valgrind is missing, so nothing can be counted (on Debian: apt-get install valgrind)")]
    NoValgrind,
    #[error("valgrind does not start: {0}")]
    Start(io::Error),
    #[error("there can be no folder for what callgrind writes, {} ({error}); TMPDIR says in which one it is made", .path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{region} failed under valgrind ({status}):\n{said}")]
    Ended {
        region: &'static str,
        status: ExitStatus,
        said: String,
    },
    #[error("callgrind wrote what is no profile: {0}")]
    Profile(#[from] BadProfile),
    #[error("{0} did no more with more repeats, so nothing of it was counted")]
    Nothing(&'static str),
    #[error("cancelled")]
    Cancelled,
}

impl CountError {
    fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }
}

/// How the children are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// They see the runtime's variables.
    pub(crate) as_environment_says: bool,
    /// They have so much less to do.
    pub(crate) divisor: u64,
    pub(crate) plant: Option<Plant>,
    pub(crate) timeout: std::time::Duration,
}

/// Has a folder for what callgrind writes, which is removed when this is dropped.
pub(crate) struct Counter {
    folder: PathBuf,
    manner: Manner,
    pub(crate) environment: Environment,
}

impl Counter {
    /// From here on Ctrl-C ends the child that runs, and the count fails.
    pub(crate) fn new(manner: Manner) -> Result<Self, CountError> {
        children::take_signals();
        let version = valgrind_version()?;
        let temporary = std::env::temp_dir();
        litter::remove(&temporary, |name| name.strip_prefix(FOLDER));
        let folder = temporary.join(format!("{FOLDER}{}", std::process::id()));
        if let Err(error) = fs::create_dir(&folder) {
            return Err(CountError::Folder {
                path: folder,
                error,
            });
        }
        Ok(Self {
            folder,
            manner,
            environment: Environment::of_this_build(version),
        })
    }

    /// The repeats of the two runs of a region.
    pub(crate) fn repeats(&self, region: &Region) -> [u64; 2] {
        region.repeats(self.manner.divisor)
    }

    /// What one operation of the region costs.
    pub(crate) fn count(&self, region: &'static Region) -> Result<Figures, CountError> {
        let [smaller, larger] = self.repeats(region);
        let operations = region.operations(larger - smaller);
        let smaller = self.run(region, smaller)?;
        let larger = self.run(region, larger)?;
        if larger.instructions <= smaller.instructions {
            return Err(CountError::Nothing(region.name));
        }
        Ok(Figures::of_difference(smaller, larger, operations))
    }

    fn run(&self, region: &'static Region, repeat: u64) -> Result<Totals, CountError> {
        let profile = self.folder.join("profile");
        let said = self.folder.join("said");
        let program = std::env::current_exe().map_err(CountError::Start)?;
        let mut option = std::ffi::OsString::from("--callgrind-out-file=");
        option.push(&profile);
        let arguments = GateRegionArguments {
            region: region.name.to_owned(),
            repeat,
            plant: self.manner.plant,
            timeout: self.manner.timeout,
        };
        let mut command = Command::new("valgrind");
        command
            // A .valgrindrc, here or at home, may ask for other counts.
            .arg("--command-line-only=yes")
            .args(["--tool=callgrind", "--quiet", "--collect-systime=yes"])
            .arg(option)
            .arg(program)
            .args(arguments.to_command_line())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        for (variable, _) in std::env::vars_os() {
            let begins = |with: &str| variable.as_encoded_bytes().starts_with(with.as_bytes());
            let is_runtimes = !self.manner.as_environment_says && begins(VARIABLES);
            if is_runtimes || FOREIGN.into_iter().any(begins) {
                command.env_remove(variable);
            }
        }
        command.envs(SETTINGS);
        // Not the terminal: before one a run would show how far it is, and that would be counted.
        let errors = fs::File::create(&said).map_err(CountError::file(&said))?;
        let output = children::run(command.stderr(errors)).map_err(CountError::Start)?;
        if children::cancelled() {
            return Err(CountError::Cancelled);
        }
        if !output.status.success() {
            let said = fs::read(&said).map_err(CountError::file(&said))?;
            return Err(CountError::Ended {
                region: region.name,
                status: output.status,
                said: String::from_utf8_lossy(&said).trim_end().to_owned(),
            });
        }
        let text = fs::read_to_string(&profile).map_err(CountError::file(&profile))?;
        Ok(Totals::parse(&text)?)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

fn valgrind_version() -> Result<String, CountError> {
    let mut command = Command::new("valgrind");
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    match children::run(&mut command) {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CountError::Start(error)),
        _ => Err(CountError::NoValgrind),
    }
}
