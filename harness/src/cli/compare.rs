//! What can be said of comparing.

use clap::{ArgGroup, Args};

use super::passed_on::{self, BadRun};
use crate::filter::Filter;

pub(super) const ABOUT: &str = "\
Compares two results that `harness run --save NAME` saved, two revisions, or two sets of features, benchmark by benchmark: \
the ratio of their medians, B over A, in brackets how far it can be trusted (a bootstrap interval \
of 99 in 100), the latencies side by side, and a verdict on B.

A verdict is careful: the interval has to lie beyond one per cent as a whole, and where the runs \
were not taken in turn, also beyond three times what the machine moved within each result. A build \
that is compared with itself is found to be no different, 95 times in 100 at least. It needs 5 runs \
of each. What the machine did between the two results it cannot know: measure both in a row, on a \
machine that has nothing else to do, or again the other way round.

With --rev twice, both revisions are built, in worktrees under the target folder, and measured in \
turn: A B, B A, A B and so on, each run in a process of its own. Each pair sees the same machine, so \
far smaller differences are seen. Both results are saved, and can be compared again. What is not \
committed is not in a revision. Ctrl-C ends it, reports what is finished, and leaves no worktree; if a \
run fails, what was finished before it is reported too. Either is saved with `interrupted` in its name.

With --features twice, the checkout as it is, or one --rev, is built with each of the two sets, and \
measured in the same way. A set is all that is on: features of the harness with commas between, \
`default` for those that are on by default, `none` for nothing, and -NAME to take one away again, as \
in `default,-lock-free-event-queue`.";

pub(super) const EXAMPLES: &str = "\
Examples:
  harness run 'Spawn.*' --runs 9 --save before        measure one build
  harness run 'Spawn.*' --runs 9 --save after         and the other
  harness compare before after                        is the second one better?
  harness compare before after --benchmark Spawn.Life one benchmark of them
  harness compare before after --json | jq .verdict   for programs: one object a line

  harness compare --rev main --rev HEAD               is this branch better, in the main job?
  harness compare --rev HEAD~1 --rev HEAD 'Spawn.*'   the last commit, in these benchmarks
  harness compare --rev v1 --rev v2 --rounds 31 FanIn for small differences
  harness compare --rev main --rev HEAD -- --workers 1 --repeat 2000000
                                                      each run with these arguments of `harness run`

  harness compare --features default,-work-stealing-run-queue --features default
                                                      what does work stealing give in the main job?
  harness compare --features none --features default --rev v1 'Spawn.*'
                                                      all features or none, of a revision

Exit status: 0 whatever the verdict; 1 if a build or a run failed, or was cancelled; 2 if a file is no \
result, or there is nothing to compare.";

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("builds").args(["revisions", "feature_sets"]).multiple(true)))]
pub(crate) struct CompareArguments {
    /// Two results, A and B, each the NAME of `--save NAME` or the path of a file; with --rev or --features, benchmarks as of `harness run`
    #[arg(value_name = "RESULT | FILTER")]
    operands: Vec<String>,

    /// Build and measure this revision: a commit, a branch or a tag; twice, first A and then B
    #[arg(long = "rev", value_name = "REVISION")]
    revisions: Vec<String>,

    /// Build and measure the harness with these features and no other; twice, first A and then B
    #[arg(long = "features", value_name = "SET", allow_hyphen_values = true)]
    feature_sets: Vec<String>,

    /// With --rev or --features: how often each is measured, in turn
    #[arg(long, value_name = "N", default_value_t = 7, requires = "builds", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub(crate) rounds: usize,

    /// Only the benchmarks that this filter selects, as of `harness run`; may be there several times
    #[arg(long = "benchmark", value_name = "FILTER")]
    benchmarks: Vec<Filter>,

    /// Compare also what was measured with other parameters
    #[arg(long)]
    pub(crate) ignore_parameters: bool,

    /// Print one JSON object a line for each benchmark, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// With --rev or --features: further arguments of `harness run`, for each run
    #[arg(last = true, value_name = "ARGUMENTS OF RUN", requires = "builds")]
    pub(crate) run: Vec<String>,
}

/// What is compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    Results([&'a str; 2]),
    Builds(Builds<'a>),
}

/// Which two are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builds<'a> {
    Revisions([&'a str; 2]),
    /// Of a revision; without one, of the checkout as it is.
    Features {
        sets: [&'a str; 2],
        revision: Option<&'a str>,
    },
}

/// It is not two of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSubject {
    #[error(
        "name two results, such as `harness compare before after`, two revisions, such as `harness compare --rev main --rev HEAD`, or two sets of features, such as `harness compare --features none --features default`"
    )]
    Results,
    #[error("name two revisions: --rev once for A, and once for B")]
    Revisions,
    #[error(
        "name two sets of features: --features once for A, and once for B; a set is all of its features with commas between"
    )]
    Features,
    #[error("two sets of features are built of one revision: leave out a --rev, or --features")]
    Both,
}

impl CompareArguments {
    pub(crate) fn subject(&self) -> Result<Subject<'_>, BadSubject> {
        let sets = match self.feature_sets.as_slice() {
            [] => None,
            [a, b] => Some([a.as_str(), b.as_str()]),
            _ => return Err(BadSubject::Features),
        };
        match (sets, self.revisions.as_slice(), self.operands.as_slice()) {
            (None, [a, b], _) => Ok(Subject::Builds(Builds::Revisions([a, b]))),
            (None, [], [a, b]) => Ok(Subject::Results([a, b])),
            (None, [], _) => Err(BadSubject::Results),
            (Some(sets), revisions @ ([] | [_]), _) => Ok(Subject::Builds(Builds::Features {
                sets,
                revision: revisions.first().map(String::as_str),
            })),
            (Some(_), _, _) => Err(BadSubject::Both),
            (None, _, _) => Err(BadSubject::Revisions),
        }
    }

    /// What is behind the two dashes.
    pub(crate) fn check_run(&self) -> Result<(), BadRun> {
        passed_on::check(&self.run)
    }

    /// Those of benchmarks.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        let builds = !self.revisions.is_empty() || !self.feature_sets.is_empty();
        let operands = self.operands.iter().filter(|_| builds);
        operands
            .map(|operand| operand.parse().unwrap_or_else(|never| match never {}))
            .chain(self.benchmarks.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &[&str]) -> Option<CompareArguments> {
        let line = ["harness", "compare"].iter().chain(line);
        match Cli::try_parse_from(line).ok()?.command {
            Some(Command::Compare(arguments)) => Some(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_results_or_two_revisions() {
        let results = parsed(&["a", "b", "--benchmark", "X*"]).unwrap();
        assert_eq!(results.subject(), Ok(Subject::Results(["a", "b"])));
        assert_eq!(results.filters(), ["X*".parse().unwrap()]);

        let line = [
            "--rev",
            "a",
            "--rev",
            "b",
            "X*",
            "Y",
            "--",
            "--workers",
            "1",
        ];
        let revisions = parsed(&line).unwrap();
        let builds = Builds::Revisions(["a", "b"]);
        assert_eq!(revisions.subject(), Ok(Subject::Builds(builds)));
        assert_eq!(
            revisions.filters(),
            ["X*".parse().unwrap(), "Y".parse().unwrap()]
        );
        assert_eq!(
            (revisions.rounds, revisions.run),
            (7, vec!["--workers".to_owned(), "1".to_owned()])
        );
    }

    #[test]
    fn two_sets_of_features_of_one_tree() {
        let sets = ["--features", "-x,a", "--features", "none"];
        let line = [&sets[..], &["X*", "--rounds", "9", "--", "--pin"]].concat();
        let features = parsed(&line).unwrap();
        let subject = |revision| {
            Ok(Subject::Builds(Builds::Features {
                sets: ["-x,a", "none"],
                revision,
            }))
        };
        assert_eq!(features.subject(), subject(None));
        assert_eq!(features.filters(), ["X*".parse().unwrap()]);
        assert_eq!(
            (features.rounds, features.run),
            (9, vec!["--pin".to_owned()])
        );

        let of_one = parsed(&[&sets[..], &["--rev", "v1"]].concat()).unwrap();
        assert_eq!(of_one.subject(), subject(Some("v1")));
        let of_two = parsed(&[&sets[..], &["--rev", "v1", "--rev", "v2"]].concat()).unwrap();
        assert_eq!(of_two.subject(), Err(BadSubject::Both));
        for sets in [&sets[..2], &["--features", "a"].repeat(3)] {
            assert_eq!(parsed(sets).unwrap().subject(), Err(BadSubject::Features));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for line in [&[][..], &["a"], &["a", "b", "c"]] {
            assert_eq!(parsed(line).unwrap().subject(), Err(BadSubject::Results));
        }
        for line in [
            &["--rev", "a"][..],
            &["--rev", "a", "--rev", "b", "--rev", "c"],
        ] {
            assert_eq!(parsed(line).unwrap().subject(), Err(BadSubject::Revisions));
        }
        for line in [
            &["a", "b", "--rounds", "9"][..],
            &["a", "b", "--", "--pin"],
            &["--rounds", "0"],
        ] {
            assert!(parsed(line).is_none(), "{line:?}");
        }
    }
}
