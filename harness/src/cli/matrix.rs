//! What can be said of the matrix.

use std::path::PathBuf;

use clap::Args;

use super::passed_on::{self, BadRun};
use crate::filter::Filter;
use crate::save::SaveName;

pub(super) const ABOUT: &str = "\
Builds the harness of the checkout as it is with every combination of run queue, event queue and \
semaphore, twelve in all, and measures them in turn: all of them forwards, then backwards, and so on, \
each run in a process of its own. A benchmark that there is over io_uring and over epoll is one table \
of both. Prints a table and a heat map for each benchmark, and names the choice to make.

The choice is careful: what is behind the best one by more than one per cent, with an interval that \
holds for all the comparisons together, is out. Of what is left, which cannot be told apart, it is the \
combination that differs from the default features in the fewest parts. That needs 8 rounds for \
twelve combinations, and 9 for twice as many.

Finished builds are kept in the target folder; one that is up to date takes no time. Ctrl-C ends the \
build or run that is under way, and reports what the finished rounds give; so does a run that fails. What is \
not all that was asked for is kept beside what is, with `interrupted` in its name.";

pub(super) const EXAMPLES: &str = "\
Examples:
  harness matrix                              the main job, and messages between runtimes
  harness matrix 'Spawn.Life'                 another benchmark
  harness matrix 'Net.Echo.*-*Canned*'        echo servers: both reactors in one table
  harness matrix -- --workers 1 --pairs 1     each run with these arguments of `harness run`
  harness matrix --rounds 3 -- --repeat 1000000 --warmup 0
                                              quick: a table, and no choice
  harness matrix --svg matrix.svg --save matrix
                                              the heat maps as a picture; all results, kept
  harness matrix --json | jq .recommended     for programs: one object a line

Exit status: 0 if all is well; 1 if a build or a run failed, or was cancelled; 2 if the arguments \
make no sense, or nothing matches the filters.";

#[derive(Debug, Args)]
pub(crate) struct MatrixArguments {
    /// Which benchmarks to measure, as of `harness run` [default: the main job, and Remote.ThroughputPerformance over each reactor that there is]
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<Filter>,

    /// How often each combination is measured, in turn
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub(crate) rounds: usize,

    /// Also draw the heat maps into this file, in place of one of that name; into one with `interrupted` in its name if not all was measured
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Print one JSON object a line for each table, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// Also save the results of all combinations, as results/local/NAME.json
    ///
    /// After Ctrl-C, or if a run fails, what is finished is saved as NAME.interrupted instead.
    #[arg(long, value_name = "NAME")]
    pub(crate) save: Option<SaveName>,

    /// Further arguments of `harness run`, for each run
    #[arg(last = true, value_name = "ARGUMENTS OF RUN")]
    pub(crate) run: Vec<String>,
}

impl MatrixArguments {
    /// What is behind the two dashes.
    pub(crate) fn check_run(&self) -> Result<(), BadRun> {
        passed_on::check(&self.run)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &[&str]) -> Option<MatrixArguments> {
        let line = ["harness", "matrix"].iter().chain(line);
        match Cli::try_parse_from(line).ok()?.command {
            Some(Command::Matrix(arguments)) => Some(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_behind_two_dashes_is_for_the_runs() {
        let line = ["A*", "--rounds", "3", "B", "--", "--workers", "1"];
        let matrix = parsed(&line).unwrap();
        assert_eq!(
            matrix.filters,
            ["A*".parse().unwrap(), "B".parse().unwrap()]
        );
        assert_eq!((matrix.rounds, matrix.json), (3, false));
        assert_eq!(matrix.run, ["--workers", "1"]);
        assert_eq!(parsed(&[]).unwrap().rounds, 9);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            &["--rounds", "0"][..],
            &["--save", "../x"],
            &["--workers", "1"],
        ] {
            assert!(parsed(line).is_none(), "{line:?}");
        }
    }
}
