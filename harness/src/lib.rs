//! Measures the libprocess runtime, checks that nothing was lost, and reports: the program `harness`.
//!
//! ```text
//! cargo run --release -p libprocess-harness                      # the main job: message throughput
//! cargo run --release -p libprocess-harness -- list              # what else there is
//! cargo run --release -p libprocess-harness -- --help            # how to say it
//! ```
//!
//! # What a benchmark promises
//!
//! A figure for work that was not done is worse than none. So each run counts what it did, and compares that, and the runtime's own
//! counters, with what it was to do: events served, processes spawned and ended, dead letters. A difference fails the run and the
//! program, and so does a run that does not end.
//!
//! # How it is measured
//!
//! * Each benchmark has one runtime, started before its first run; the figures have no start-up in them. A benchmark of memory runs
//!   each time in a fresh process of the operating system.
//! * Warm-ups first, then the runs that count. The result is their median, with the spread beside it, as these machines are shared.
//! * The system's allocator is used, as the library sets none.
//! * What was built is asked of the library: see `libprocess::build_features`.
//!
//! # Where things are
//!
//! | module | noun |
//! |---|---|
//! | `cli`, `session` | the command line, and doing what it says |
//! | `filter`, `registry` | names, and the list of benchmarks |
//! | `benchmark`, `benchmarks` | what a benchmark is, and each of them |
//! | `parameters`, `trial`, `checks` | with what one runs, what all runs do alike, and whether it did what it was to do |
//! | `measure`, `isolated`, `watchdog`, `progress`, `interruption`, `signals` | runs, runs in a process of their own, hung runs, slow runs, and runs that somebody has had enough of |
//! | `server`, `load` | what benchmarks of sockets talk to, servers in a process of their own, and their clients |
//! | `latency`, `series`, `usage`, `machine`, `record` | figures, what they took, where, and all of it together |
//! | `report`, `format`, `save`, `litter` | telling and keeping it, and what killed programs have left |
//! | `compare` | two results, and whether one is better |
//! | `matrix` | every combination of queues, semaphore and reactor, and which to choose |
//! | `page` | many results as one page, and plots of them |
//! | `gate` | whether an operation costs more than it did |
//! | `saved`, `show`, `hgrm` | what was kept, showing it, and the text of percentiles that other programs read |

mod benchmark;
mod benchmarks;
mod checks;

mod cli;
mod compare;
mod failure;
mod filter;
mod format;
mod gate;
mod hgrm;
mod interruption;
mod isolated;
mod latency;
mod litter;
mod load;
mod machine;
mod matrix;
mod measure;
mod page;
mod parameters;
mod placement;
mod progress;
mod record;
mod registry;
mod report;
mod save;
mod saved;
mod series;
mod server;
mod session;
mod show;
mod signals;
mod trial;
mod usage;
mod watchdog;

pub use filter::Filter;
pub use series::Series;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

/// How a session ended: the program's exit status.
///
/// ```
/// use libprocess_harness::Outcome;
///
/// assert_eq!(Outcome::Passed.code(), 0);
/// assert_ne!(Outcome::Failed.code(), Outcome::Misused.code());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a failure that nobody sees passes"]
pub enum Outcome {
    /// All runs were good.
    Passed,
    /// A run failed: a wrong result, a hang, or trouble with the operating system. Status 1.
    Failed,
    /// The arguments make no sense, or nothing matches the filters. Status 2, as of other programs.
    Misused,
    /// Whoever read the report stopped before its end, as `head` does, and nothing is said of it. Status 141, as a shell says of programs that SIGPIPE ended: what was to be judged
    /// was not judged to its end, so it is no pass.
    Unread,
}

impl Outcome {
    /// The exit status.
    ///
    /// ```
    /// assert_eq!(libprocess_harness::Outcome::Misused.code(), 2);
    /// ```
    pub const fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::Unread => 141,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// Does what the arguments say, the first of which is the name of the program. Reports go to `output`, errors to standard error, and
/// help to standard output.
///
/// Takes as long as the benchmarks do: the main job a few seconds on a small machine.
///
/// # Ending the process
///
/// A run that hangs can be given up in no other way: once the time given by `--timeout` is over, the whole process exits with the
/// status of [`Outcome::Failed`].
///
/// SIGINT (Ctrl-C), SIGTERM and SIGHUP while benchmarks run end the process as well, by that signal (a shell says 130 for Ctrl-C): before that, what is finished is told on standard error, and with `--save NAME` kept as
/// `NAME.interrupted`. The handlers that were there before are put back when this returns.
///
/// ```
/// use libprocess_harness::{Outcome, run};
///
/// let mut output = Vec::new();
/// assert_eq!(run(["harness", "list"], &mut output), Outcome::Passed);
/// assert!(String::from_utf8(output)?.contains("Spawn.Terminate"));
///
/// let mut output = Vec::new();
/// let arguments = ["harness", "run", "--repeat", "100", "--runs", "1", "--warmup", "0", "--json"];
/// assert_eq!(run(arguments, &mut output), Outcome::Passed);
/// assert!(output.starts_with(b"{\"benchmark\":\"ProcessTest.Process_BENCHMARK_ThroughputPerformance\""));
///
/// assert_eq!(run(["harness", "run", "NoSuch.*"], &mut Vec::new()), Outcome::Misused);
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
pub fn run<I>(arguments: I, output: &mut dyn Write) -> Outcome
where
    I: IntoIterator<Item: Into<OsString> + Clone>,
{
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let outcome = if error.use_stderr() {
                Outcome::Misused
            } else {
                Outcome::Passed
            };
            return match error.print() {
                Ok(()) => outcome,
                // Whoever reads the help has read enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => outcome,
                Err(_) => Outcome::Failed,
            };
        }
    };
    match session::carry_out(&cli, output) {
        Ok(()) => Outcome::Passed,
        Err(failure) => {
            if !failure.is_told() {
                eprintln!("error: {failure}");
            }
            failure.outcome()
        }
    }
}
