//! Measuring in turn: A B C, A B C, and so on.

use std::io::IsTerminal;
use std::process::ExitCode;

use libprocess_harness::Series;

use crate::child::{Interrupt, NoFigure, measure};
use crate::cli::RunArguments;
use crate::peers::{Peer, Place};
use crate::report;
use crate::versions;
use crate::workload::Job;

/// What was measured of one workload.
pub(crate) struct Comparison {
    pub(crate) job: Job,
    pub(crate) base: Peer,
    pub(crate) entries: Vec<Entry>,
}

/// What one peer did in the rounds that all had.
pub(crate) struct Entry {
    pub(crate) peer: Peer,
    /// Repeats in a second, for each round.
    pub(crate) runs: Vec<f64>,
    /// Why there are no more of them.
    pub(crate) failed: Option<String>,
}

impl Entry {
    /// `None` for one that failed: it did not have the rounds that the others had.
    pub(crate) fn series(&self) -> Option<Series> {
        let good = self.failed.is_none() && !self.runs.is_empty();
        good.then(|| Series::new(self.runs.clone()))
    }
}

/// How much faster than the base.
pub(crate) struct Ratio {
    /// Of the medians.
    pub(crate) of_medians: f64,
    /// The least and the greatest of the rounds.
    pub(crate) of_rounds: (f64, f64),
}

impl Comparison {
    /// `None` if either has failed.
    pub(crate) fn ratio(&self, entry: &Entry) -> Option<Ratio> {
        let base = self.entries.iter().find(|other| other.peer == self.base)?;
        let (own, other) = (entry.series()?, base.series()?);
        let of_rounds = own.runs().iter().zip(other.runs());
        let of_rounds = Series::new(of_rounds.map(|(own, other)| own / other).collect());
        Some(Ratio {
            of_medians: own.median() / other.median(),
            of_rounds: (of_rounds.min(), of_rounds.max()),
        })
    }

    pub(crate) fn rounds(&self) -> usize {
        let rounds = self.entries.iter().map(|entry| entry.runs.len());
        rounds.max().unwrap_or_default()
    }

    /// Leaves out a round that not all have had.
    fn drop_begun_round(&mut self) {
        let good = self.entries.iter().filter(|entry| entry.failed.is_none());
        let all_had = good.map(|entry| entry.runs.len()).min().unwrap_or_default();
        for entry in &mut self.entries {
            entry.runs.truncate(all_had);
        }
    }
}

/// Does what the arguments say.
pub(crate) fn compare(arguments: &RunArguments) -> ExitCode {
    let interrupt = match Interrupt::take_signals() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            eprintln!("error: Ctrl-C cannot be caught: {error}");
            return ExitCode::FAILURE;
        }
    };
    match begin(arguments) {
        Ok((jobs, peers)) => run(arguments, &jobs, &peers, &interrupt),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// What is to be done, and who is there to do it.
fn begin(arguments: &RunArguments) -> Result<(Vec<Job>, Vec<Peer>), String> {
    let jobs = arguments.jobs()?;
    let mut here = Vec::new();
    for peer in arguments.peers() {
        let version = versions::version(peer);
        if !arguments.json || version.is_none() {
            report::peer(peer, version.as_deref(), arguments.json);
        }
        if version.is_some() {
            if let Place::Outside(program) = peer.place() {
                program.build()?;
            }
            here.push(peer);
        }
    }
    if here.contains(&arguments.base) {
        Ok((jobs, here))
    } else {
        Err(format!(
            "the ratios are to {}, which is not among the peers",
            arguments.base.name()
        ))
    }
}

fn run(arguments: &RunArguments, jobs: &[Job], peers: &[Peer], interrupt: &Interrupt) -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!("built without optimisation: the figures of those in Rust mean nothing");
    }
    let mut finished = Vec::new();
    for job in jobs {
        let comparison = in_turn(arguments, *job, peers, interrupt);
        if comparison.rounds() > 0 || !interrupt.came() {
            report::comparison(&comparison, arguments.json);
            finished.push(comparison);
        }
        if interrupt.came() {
            break;
        }
    }
    if !arguments.json {
        report::summary(&finished);
    }
    let failed = finished.iter().flat_map(|comparison| &comparison.entries);
    if interrupt.came() {
        eprintln!("interrupted: what was finished is above");
        ExitCode::from(130)
    } else if failed.filter(|entry| entry.failed.is_some()).count() > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn in_turn(
    arguments: &RunArguments,
    job: Job,
    peers: &[Peer],
    interrupt: &Interrupt,
) -> Comparison {
    let entry = |&peer| Entry {
        peer,
        runs: Vec::new(),
        failed: None,
    };
    let mut comparison = Comparison {
        job,
        base: arguments.base,
        entries: peers.iter().map(entry).collect(),
    };
    'rounds: for round in 1..=arguments.rounds {
        for entry in &mut comparison.entries {
            if entry.failed.is_some() {
                continue;
            }
            let name = entry.peer.name();
            let _line = Progress::show(format_args!(
                "{}, round {round} of {}: {name}",
                job.workload.name(),
                arguments.rounds
            ));
            let command = entry.peer.command(&job).map_err(NoFigure::Failed);
            let measured =
                command.and_then(|command| measure(command, &job, arguments.limit(), interrupt));
            match measured {
                Ok(measured) => entry.runs.push(job.total() as f64 / measured.seconds),
                Err(NoFigure::Failed(why)) => entry.failed = Some(why),
                Err(NoFigure::Interrupted) => break 'rounds,
            }
        }
    }
    comparison.drop_begun_round();
    comparison
}

/// A line on a terminal that is gone once it is no longer true.
struct Progress;

impl Progress {
    fn show(what: std::fmt::Arguments<'_>) -> Option<Self> {
        let mine = std::io::stderr().is_terminal();
        mine.then(|| {
            eprint!("\r\x1b[K{what}");
            Self
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        eprint!("\r\x1b[K");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::workload::Workload;

    pub(crate) fn comparison(entries: &[(Peer, &[f64], Option<&str>)]) -> Comparison {
        Comparison {
            job: Job {
                workload: Workload::FanIn,
                workers: 2,
                repeat: 8_000,
                warmup: 0,
            },
            base: Peer::Libprocess,
            entries: entries
                .iter()
                .map(|(peer, runs, failed)| Entry {
                    peer: *peer,
                    runs: runs.to_vec(),
                    failed: failed.map(str::to_owned),
                })
                .collect(),
        }
    }

    #[test]
    fn ratios_are_of_medians_and_of_each_round() {
        let comparison = comparison(&[
            (Peer::Libprocess, &[10.0, 20.0, 40.0], None),
            (Peer::Go, &[20.0, 10.0, 10.0], None),
            (Peer::Xtra, &[20.0], Some("hung")),
        ]);
        let ratio = comparison.ratio(&comparison.entries[1]).unwrap();
        assert_eq!((ratio.of_medians, ratio.of_rounds), (0.5, (0.25, 2.0)));
        assert!(comparison.ratio(&comparison.entries[2]).is_none());
    }

    #[test]
    fn a_round_that_not_all_have_had_is_left_out_and_who_failed_is_not_waited_for() {
        let mut comparison = comparison(&[
            (Peer::Libprocess, &[1.0, 2.0], None),
            (Peer::Xtra, &[], Some("hung")),
            (Peer::Go, &[1.0], None),
        ]);
        comparison.drop_begun_round();
        let runs = comparison.entries.iter().map(|entry| entry.runs.len());
        assert_eq!(runs.collect::<Vec<_>>(), [1, 0, 1]);
    }
}
