//! What can be said on the command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use libprocess_harness::Filter;

use crate::peers::Peer;
use crate::workload::{Job, Workload};

const LONG_ABOUT: &str = "\
Runs workloads of libprocess's harness on libprocess and on others, and prints how they compare.

For each workload: the first peer, the second, and so on, and again from the first, for as many \
rounds as asked. On a shared machine figures of the same round can be compared, figures that were taken minutes apart \
cannot. Each measurement is a process of its own, with the same number of workers, in which some runs go before the one \
that counts. Each checks what arrived; a wrong result is a failure, not a figure.

A peer that is not installed is left out, and a line says how to install it. Ctrl-C ends it, and \
prints what is finished. harness/peers/README.md tells how each was kept fair.";

const EXAMPLES: &str = "\
Examples:
  peers                                       everything, with the numbers of the harness: takes an hour
  peers --percent 10 --rounds 3               a tenth of the work, three rounds
  peers FanIn Skynet                          two of the workloads; globs, as of the harness
  peers '*-Skynet'                            all but one
  peers --only libprocess,tokio,erlang        some of the peers
  peers --only tokio,kameo --base tokio       ratios to another one
  peers PingPong --workers 1 --repeat 200000  one worker, so many repeats
  peers --json | jq .ratio                    for programs: one object a line for each peer and workload
  peers list                                  the peers with their versions, and the workloads

Ratios are of throughput: 2.00 is twice as fast as the base, 0.50 half as fast.

Exit status: 0 if all is well; 1 if a measurement failed; 2 if the arguments make no sense; 130 after Ctrl-C.";

/// Runs libprocess's workloads on other actor libraries and languages, side by side.
#[derive(Debug, Parser)]
#[command(
    name = "peers",
    args_conflicts_with_subcommands = true,
    long_about = LONG_ABOUT,
    after_help = "See `peers --help` for examples.",
    after_long_help = EXAMPLES,
    version
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the peers with their versions, and the workloads
    List,
    /// One measurement, for a program that measures
    #[command(hide = true)]
    Measure(MeasureArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Which workloads to run, by name: globs, as of the harness
    #[arg(value_name = "FILTER")]
    filters: Vec<Filter>,

    /// Which peers to run, separated by commas [default: all that are installed]
    #[arg(long, value_name = "PEERS", value_delimiter = ',', value_parser = Peer::by_name)]
    only: Vec<Peer>,

    /// To whom the ratios are
    #[arg(long, value_name = "PEER", default_value = "libprocess", value_parser = Peer::by_name)]
    pub(crate) base: Peer,

    /// Worker threads of each peer [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    workers: Option<u64>,

    /// How often each peer does each workload, in turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) rounds: u64,

    /// Runs before the one that counts, in the same process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    warmup: u64,

    /// How often to repeat what is measured, in each run [default: as the harness, see `peers list`]
    #[arg(long, value_name = "N", conflicts_with = "percent", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    repeat: Option<u64>,

    /// So many hundredths of what the harness repeats
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    percent: u64,

    /// How long a process may take before it counts as hung, and is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    timeout: u64,

    /// Print one JSON object a line for each peer and workload, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

impl RunArguments {
    pub(crate) fn workers(&self) -> u64 {
        let cores = std::thread::available_parallelism();
        self.workers
            .unwrap_or_else(|| cores.map_or(1, |cores| cores.get() as u64))
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// The peers, in the order in which they take turns.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let chosen = |peer: &Peer| self.only.is_empty() || self.only.contains(peer);
        Peer::ALL.into_iter().filter(chosen).collect()
    }

    /// # Errors
    ///
    /// If no workload matches, or one has too little to do.
    pub(crate) fn jobs(&self) -> Result<Vec<Job>, String> {
        let matches = |workload: &Workload| {
            self.filters.is_empty() || self.filters.iter().any(|f| f.matches(workload.name()))
        };
        let workloads = Workload::ALL.into_iter().filter(matches);
        let jobs: Vec<_> = workloads.map(|workload| self.job(workload)).collect();
        if jobs.is_empty() {
            return Err("no workload matches; `peers list` has them".to_owned());
        }
        match jobs.iter().find(|job| job.total() == 0) {
            Some(job) => Err(format!(
                "{} repeats of {} are none for each of {} pairs",
                job.repeat,
                job.workload.name(),
                job.pairs()
            )),
            None => Ok(jobs),
        }
    }

    fn job(&self, workload: Workload) -> Job {
        let part = workload.default_repeat() * self.percent / 100;
        Job {
            workload,
            workers: self.workers(),
            repeat: self.repeat.unwrap_or(part.max(1)),
            warmup: self.warmup,
        }
    }
}

/// What a measuring program tells its child.
#[derive(Debug, Args)]
pub(crate) struct MeasureArguments {
    #[arg(value_parser = Peer::by_name)]
    pub(crate) peer: Peer,
    workload: Workload,
    workers: u64,
    repeat: u64,
    warmup: u64,
}

impl MeasureArguments {
    pub(crate) fn job(&self) -> Job {
        Job {
            workload: self.workload,
            workers: self.workers,
            repeat: self.repeat,
            warmup: self.warmup,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run(line: &[&str]) -> RunArguments {
        let line = ["peers"].iter().chain(line);
        Cli::try_parse_from(line).unwrap().run
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn all_is_run_as_the_harness_does_unless_told() {
        let all = run(&[]);
        assert_eq!(all.peers(), Peer::ALL);
        let repeats: Vec<_> = all.jobs().unwrap().iter().map(|job| job.repeat).collect();
        assert_eq!(repeats, Workload::ALL.map(Workload::default_repeat));
    }

    #[test]
    fn workloads_peers_and_their_sizes_are_chosen() {
        let some = run(&[
            "FanIn",
            "S*",
            "--only",
            "go,tokio",
            "--percent",
            "10",
            "--workers",
            "3",
        ]);
        assert_eq!(some.peers(), [Peer::Tokio, Peer::Go]);
        let jobs = some.jobs().unwrap();
        let names: Vec<_> = jobs.iter().map(|job| job.workload.name()).collect();
        assert_eq!(names, ["FanIn", "Skynet", "Spawn.Life"]);
        assert_eq!((jobs[0].repeat, jobs[0].workers), (800_000, 3));
        assert_eq!(run(&["--repeat", "7"]).jobs().unwrap()[2].repeat, 7);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            &["--only", "akka"][..],
            &["--base", "akka"],
            &["--rounds", "0"],
            &["--workers", "0"],
            &["--repeat", "0"],
            &["--repeat", "5", "--percent", "5"],
        ] {
            let line = ["peers"].iter().chain(bad);
            assert!(Cli::try_parse_from(line).is_err(), "{bad:?}");
        }
        assert!(run(&["NoSuch"]).jobs().is_err());
        assert!(run(&["--workers", "4", "--repeat", "3"]).jobs().is_err());
    }

    #[test]
    fn a_child_understands_what_it_is_told() {
        let job = run(&["Skynet", "--warmup", "2"]).jobs().unwrap()[0];
        let told = crate::peers::arguments(&job);
        let line = ["peers", "measure", "xtra"].map(str::to_owned).into_iter();
        let cli = Cli::try_parse_from(line.chain(told)).unwrap();
        let Some(Command::Measure(understood)) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!((understood.peer, understood.job()), (Peer::Xtra, job));
    }
}
