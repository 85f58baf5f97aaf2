//! What is behind the two dashes: arguments of `harness run`, for each run.

use clap::Parser;

use super::{Cli, Command};

/// What is behind the two dashes is for no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is behind `--` is for `harness run`: {0}")]
pub(crate) struct BadRun(String);

/// That the runs will understand what they are told: else that would be known only when all is built.
///
/// It is this program that says so, whatever revision is built: one with arguments that the other does not have cannot be measured in the same way.
pub(super) fn check(arguments: &[String]) -> Result<(), BadRun> {
    let line = ["harness", "run", "--runs", "1", "--save", "x"].map(str::to_owned);
    let refused = |error: clap::Error| {
        let text = error.to_string();
        BadRun(text.trim_start_matches("error: ").trim_end().to_owned())
    };
    let understood =
        Cli::try_parse_from(line.into_iter().chain(arguments.to_vec())).map_err(refused)?;
    // Each run is of one benchmark: with a further one its result would be another each time.
    if let Some(Command::Run(run)) = understood.command
        && let Some(filter) = run.filters().first()
    {
        return Err(BadRun(format!(
            "{:?} is a benchmark's name, which belongs before the `--`",
            filter.to_string()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runs_will_not_understand_is_refused_at_once() {
        let checked = |run: &[&str]| {
            let run: Vec<String> = run.iter().map(|&argument| argument.to_owned()).collect();
            check(&run)
        };
        assert_eq!(checked(&["--workers", "1", "--pin"]), Ok(()));
        assert_eq!(checked(&[]), Ok(()));
        for run in [
            &["--wrokers", "1"][..],
            &["--workers", "0"],
            &["--runs", "3"],
            &["--save", "mine"],
            &["--help"],
            &["FanIn"],
            &["--workers", "1", "FanIn"],
            &["--", "FanIn"],
        ] {
            let text = checked(run).unwrap_err().to_string();
            assert!(
                text.starts_with("what is behind `--` is for `harness run`: "),
                "{text}"
            );
        }
    }
}
