//! What can be said of the gate.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use super::seconds;
use crate::filter::Filter;
use crate::gate::Plant;

pub(super) const ABOUT: &str = "\
Fails if an operation of the library costs more than it did.

What is counted are instructions, allocations and system calls, of one operation: a message, a \
dispatch, the life of a process and so on (--list). Each kind is counted by valgrind in a run of one \
worker, twice, with some operations and with more, and divided; so nothing of starting and ending is \
in it, and it does not depend on what else the machine does. It is judged by the baseline, \
results/gate.json, which is committed: two per cent more fails. If that is worth it, --accept writes \
the new figures, with the reason. A figure that is less by more than that is told, and does not fail.

A count depends on the compiler, its flags, the C library and valgrind, so the baseline says with \
which ones it was made, and may have several. Where it has none of this environment that fails, and \
says what differs.

Of caches, contention and the kernel a count knows nothing. --against measures time: this revision \
and another one are built, and run in turn, as `harness compare --rev` does. It fails only if the \
whole interval of the ratio is worse than ten per cent.";

pub(super) const EXAMPLES: &str = "\
Examples:
  harness gate                                   judge all regions
  harness gate message dispatch                  two of them
  harness gate --accept 'sends look up a route'  take what is worse, or better, for the baseline
  harness gate --count message                   what does a message cost? Judge nothing
  LIBPROCESS_TELEMETRY=1 harness gate --count    and with telemetry?
  harness gate --steadiness 10                   count each ten times: how far apart are they?
  harness gate --json | jq .figures              for programs: one object a line
  harness gate --list                            what is counted

  harness gate --against main                    is HEAD slower than main by more than 10 %?
  harness gate --against main 'Spawn.*' --rounds 15 -- --workers 1
                                                 in other benchmarks, with arguments of `harness run`

Exit status: 0 if nothing is worse; 1 if something is, or could not be judged, or was cancelled; 2 if \
the arguments make no sense, or the baseline cannot be read; 141 if the report was not read to its end, as by `head`.";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("mode").multiple(false))]
pub(crate) struct GateArguments {
    /// Which regions, by name, as `harness run` selects benchmarks; with --against, which benchmarks [default: all regions; some benchmarks]
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<Filter>,

    /// Write what is worse or better into the baseline, with the reason for it; what is as before stays
    #[arg(long, value_name = "REASON", group = "mode", value_parser = reason)]
    accept: Option<String>,

    /// Only count, with what LIBPROCESS_ variables say, but over epoll, as valgrind knows io_uring only in part; without a baseline
    #[arg(long, group = "mode")]
    count: bool,

    /// Count each region so often, and fail if figures lie further apart than a quarter of what is tolerated
    #[arg(long, value_name = "N", group = "mode", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=1_000))]
    steadiness: Option<usize>,

    /// Compare times with this revision: a commit, a branch or a tag
    #[arg(long, value_name = "REVISION", group = "mode")]
    against: Option<String>,

    /// List the regions
    #[arg(long, group = "mode")]
    list: bool,

    /// The baseline [default: results/gate.json, in the checkout that the current folder is in]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "steadiness", "against", "list"])]
    pub(crate) baseline: Option<PathBuf>,

    /// Where the baseline has none of this environment: judge by the most similar one, and no instructions
    #[arg(long, conflicts_with = "mode")]
    pub(crate) elsewhere: bool,

    /// With --against: how often each revision is measured, in turn
    #[arg(long, value_name = "N", default_value_t = 7, requires = "against", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(7..=10_000))]
    rounds: usize,

    /// Print one JSON object a line, and nothing else
    #[arg(long, conflicts_with = "list")]
    pub(crate) json: bool,

    /// How long a run under valgrind may take before it counts as hung, and fails
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Counts with so much less to do
    #[arg(long, value_name = "N", default_value_t = 1, hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) divide: u64,

    /// Counts what was planted with each operation
    #[arg(long, value_name = "KIND", hide = true)]
    pub(crate) plant: Option<Plant>,

    /// With --against: further arguments of `harness run`, for each run
    #[arg(last = true, value_name = "ARGUMENTS OF RUN", requires = "against")]
    run: Vec<String>,
}

/// What the gate is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GateMode<'a> {
    Judge,
    Accept {
        reason: &'a str,
    },
    Count,
    Steadiness {
        times: usize,
    },
    Against {
        revision: &'a str,
        rounds: usize,
        run: &'a [String],
    },
    List,
}

impl GateArguments {
    pub(crate) fn mode(&self) -> GateMode<'_> {
        if let Some(reason) = &self.accept {
            GateMode::Accept { reason }
        } else if self.count {
            GateMode::Count
        } else if let Some(times) = self.steadiness {
            GateMode::Steadiness { times }
        } else if let Some(revision) = &self.against {
            GateMode::Against {
                revision,
                rounds: self.rounds,
                run: &self.run,
            }
        } else if self.list {
            GateMode::List
        } else {
            GateMode::Judge
        }
    }
}

fn reason(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("a change of the baseline needs a reason"),
        reason => Ok(reason.to_owned()),
    }
}

/// What a harness tells the child that it counts.
#[derive(Debug, Args, PartialEq)]
pub(crate) struct GateRegionArguments {
    pub(crate) region: String,
    #[arg(long)]
    pub(crate) repeat: u64,
    #[arg(long)]
    pub(crate) plant: Option<Plant>,
    #[arg(long, value_parser = seconds)]
    pub(crate) timeout: Duration,
}

impl GateRegionArguments {
    pub(super) const SUBCOMMAND: &'static str = "gate-region";

    /// Parses to what it was made of.
    pub(crate) fn to_command_line(&self) -> Vec<String> {
        let mut line = vec![
            Self::SUBCOMMAND.to_owned(),
            self.region.clone(),
            format!("--repeat={}", self.repeat),
            format!("--timeout={}", self.timeout.as_secs_f64()),
        ];
        let plant = self.plant.and_then(|plant| plant.to_possible_value());
        line.extend(plant.map(|plant| format!("--plant={}", plant.get_name())));
        line
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &[&str]) -> Option<GateArguments> {
        let line = ["harness", "gate"].iter().chain(line);
        match Cli::try_parse_from(line).ok()?.command {
            Some(Command::Gate(arguments)) => Some(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_mode_it_judges() {
        assert_eq!(parsed(&[]).unwrap().mode(), GateMode::Judge);
        let some = parsed(&["message", "then", "--baseline", "x.json"]).unwrap();
        assert_eq!(some.mode(), GateMode::Judge);
        assert_eq!(some.filters.len(), 2);
    }

    #[test]
    fn each_mode_is_understood() {
        for (line, mode) in [
            (
                &["--accept", " why "][..],
                GateMode::Accept { reason: "why" },
            ),
            (&["--count"], GateMode::Count),
            (&["--steadiness", "10"], GateMode::Steadiness { times: 10 }),
            (&["--list"], GateMode::List),
            (
                &["--against", "main", "A*", "--", "--pin"],
                GateMode::Against {
                    revision: "main",
                    rounds: 7,
                    run: &["--pin".to_owned()],
                },
            ),
        ] {
            let arguments = parsed(line).unwrap();
            assert_eq!(arguments.mode(), mode);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            &["--accept"][..],
            &["--accept", ""],
            &["--accept", " \n"],
            &["--accept", "why", "--count"],
            &["--accept", "why", "--elsewhere"],
            &["--steadiness", "1"],
            &["--steadiness", "3", "--against", "main"],
            &["--count", "--baseline", "x.json"],
            &["--against", "main", "--baseline", "x.json"],
            &["--against", "main", "--rounds", "6"],
            &["--rounds", "9"],
            &["--list", "--json"],
            &["message", "--", "--pin"],
            &["--timeout", "0"],
            &["--plant", "nothing"],
        ] {
            assert!(parsed(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_child_understands_what_it_is_told() {
        let plants = Plant::value_variants().iter().copied().map(Some);
        for plant in plants.chain([None]) {
            let told = GateRegionArguments {
                region: "message".to_owned(),
                repeat: 1 << 40,
                plant,
                timeout: Duration::from_millis(1_500),
            };
            let line = std::iter::once("harness".to_owned()).chain(told.to_command_line());
            let cli = Cli::try_parse_from(line).unwrap();
            let Some(Command::GateRegion(understood)) = cli.command else {
                panic!("{cli:?}")
            };
            assert_eq!(understood, told);
        }
    }
}
