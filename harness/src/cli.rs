//! What can be said on the command line.

mod compare;
mod gate;
mod matrix;
mod passed_on;
mod report;
mod show;

pub(crate) use compare::{BadSubject, Builds, CompareArguments, Subject};
pub(crate) use gate::{GateArguments, GateMode, GateRegionArguments};
pub(crate) use matrix::MatrixArguments;
pub(crate) use passed_on::BadRun;
pub(crate) use report::{PlotFormat, ReportArguments};
pub(crate) use show::{Export, ShowArguments};

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::filter::Filter;
use crate::measure::Plan;
use crate::parameters::Overrides;
use crate::save::SaveName;
use crate::server::Service;

const LONG_ABOUT: &str = "\
Measures the libprocess runtime, checks that nothing was lost, and reports.

Without a subcommand and a filter it runs the main job, libprocess's throughput benchmark: \
messages by name between pairs of processes, 15,000,000 repeats of a ping and its pong. \
Every run checks its own result; one that lost a message, or does not end, fails.";

const EXAMPLES: &str = "\
Examples:
  harness                                            the main job
  harness run 'ProcessTest.*ThroughputPerformance'   the same, by libprocess's name for it
  harness run 'Spawn.*:Dispatch.*'                   all of two kinds
  harness run '*-Spawn.*'                            all but one kind
  harness run --workers 1 --pairs 1 --repeat 1000000 smaller: one pair, on one worker
  harness run 'Latency.PingPong*' --rate 1000 --repeat 5000  latencies at a thousand round trips a second
  harness run 'Net.Echo.*' --actors 1000 --size 1024 echo servers, under a thousand connections
  harness run 'Http.*' --pipeline 1 --pin            HTTP servers, one request at a time
  harness run --runs 9 --pin --save pinned           nine runs, saved to results/local/pinned.json
  harness run '*' --json | jq .median                for programs: one object a line
  harness list                                       what there is, and its defaults
  harness show pinned                                what was saved as that
  harness compare before pinned                      is it better than what was saved before?
  harness compare --rev main --rev HEAD              is the revision better than another?
  harness matrix                                     which queues, semaphore and reactor are best?
  harness report                                     a page of all that was saved, with plots
  harness gate                                       does anything cost more than it did?

Exit status: 0 if all is well; 1 if a run failed; 2 if the arguments make no sense, or nothing
matches the filters. Ctrl-C has a run tell what is finished, and end as a signal does (130 in a
shell); matrix, compare and gate end what they build or measure, tell what is finished, and exit
with 1. Signals that are ignored, as under nohup, stay so.";

const RUN_ABOUT: &str = "\
Runs the benchmarks that a filter selects; without a filter, libprocess's throughput benchmark.

Each benchmark has a runtime of its own, started before its first run and shared by all of them: \
no figure has the start of a runtime in it. A benchmark that says so runs each time in a fresh \
process instead. The result is the median of the runs; how far they lie apart is beside it.";

/// Measures the libprocess runtime, checks that nothing was lost, and reports.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    long_about = LONG_ABOUT,
    after_long_help = EXAMPLES,
    after_help = "See `harness --help` for examples.",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs benchmarks (the default)
    #[command(long_about = RUN_ABOUT, after_long_help = EXAMPLES)]
    Run(RunArguments),
    /// Lists the benchmarks: what they measure, and with what unless told otherwise
    List,
    /// Shows saved results, and exports their histograms
    #[command(long_about = show::ABOUT, after_long_help = show::EXAMPLES)]
    Show(ShowArguments),
    /// Compares two saved results, two revisions or two sets of features, and says which is better
    #[command(long_about = compare::ABOUT, after_long_help = compare::EXAMPLES)]
    Compare(CompareArguments),
    /// Measures every combination of queues, semaphore and reactor in turn, and says which to choose
    #[command(long_about = matrix::ABOUT, after_long_help = matrix::EXAMPLES)]
    Matrix(MatrixArguments),
    /// Makes one page of many results, with plots: by choice, over workers, percentiles and revisions
    #[command(long_about = report::ABOUT, after_long_help = report::EXAMPLES)]
    Report(ReportArguments),
    /// Fails if an operation costs more than it did
    #[command(long_about = gate::ABOUT, after_long_help = gate::EXAMPLES)]
    Gate(GateArguments),
    /// A piece of work, for a harness that counts what it costs
    #[command(name = GateRegionArguments::SUBCOMMAND, hide = true)]
    GateRegion(GateRegionArguments),
    /// One run, for a harness that is measuring
    #[command(name = IsolatedArguments::SUBCOMMAND, hide = true)]
    RunIsolated(IsolatedArguments),
    /// A server, for a harness that is measuring
    #[command(name = ServeArguments::SUBCOMMAND, hide = true)]
    Serve(ServeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Which benchmarks to run, by name, as googletest filters tests
    ///
    /// Globs (`*` for any text, `?` for any one character) separated by `:`; behind a `-`, globs of what to leave
    /// out. Of several filters, any may match. Quote them, as the shell has globs too.
    #[arg(value_name = "FILTER")]
    filters: Vec<Filter>,

    /// Worker threads of the runtime [default: see `harness list`, else as the runtime: LIBPROCESS_NUM_WORKER_THREADS, else one for each core]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    workers: Option<usize>,

    /// Pairs of processes, for benchmarks that have pairs [default: as many as workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pairs: Option<u64>,

    /// How often to repeat what is measured, in each run [default: see `harness list`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    repeat: Option<u64>,

    /// How many repeats of a pair, or of an actor, are under way at a time [default: see `harness list`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    window: Option<u64>,

    /// Processes, or connections, for benchmarks that have a number of them [default: see `harness list`]
    #[arg(long, visible_alias = "connections", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    actors: Option<u64>,

    /// Bytes of each message, for benchmarks over sockets [default: see `harness list`]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=65_536))]
    size: Option<u64>,

    /// Requests that are sent together on a connection, for benchmarks of HTTP [default: see `harness list`]
    ///
    /// The next ones are sent when all of these were answered: with 1 the connection stays, and nothing is pipelined.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pipeline: Option<u64>,

    /// Repeats to begin in a second, for benchmarks of latency [default: the next when one is done]
    ///
    /// A repeat then has a moment at which it was to begin, and its latency is counted from there: one that is late makes those behind it
    /// late, and all of that is seen.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,

    /// Events that a process is served before others get their turn; several, separated by commas, are measured one after the other [default: as the runtime]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    events_per_resume: Vec<u32>,

    /// Runs that count, for each benchmark
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    runs: usize,

    /// Runs before those, which do not count
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=10_000))]
    warmup: usize,

    /// Pin each worker to a core, and the clients of a server to the last one; helps only where the machine has nothing else to do
    #[arg(long)]
    pin: bool,

    /// How long a run may take before it counts as hung, and fails
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    timeout: Duration,

    /// Print one JSON object a line for each benchmark, and nothing else
    #[arg(long)]
    json: bool,

    /// Also save the results, with facts of the machine, as results/local/NAME.json
    ///
    /// In the checkout that the current folder is in; outside of one, in the current folder. Results that were saved
    /// under the same name are replaced. After Ctrl-C what is finished is saved as NAME.interrupted instead.
    #[arg(long, value_name = "NAME")]
    save: Option<SaveName>,
}

impl RunArguments {
    pub(crate) fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// What each benchmark is to be measured with, one after the other.
    pub(crate) fn overrides(&self) -> Vec<Overrides> {
        let with = |events_per_resume| Overrides {
            workers: self.workers,
            pairs: self.pairs,
            repeat: self.repeat,
            window: self.window,
            actors: self.actors,
            size: self.size,
            pipeline: self.pipeline,
            rate: self.rate,
            events_per_resume,
            pin: self.pin,
        };
        if self.events_per_resume.is_empty() {
            vec![with(None)]
        } else {
            self.events_per_resume
                .iter()
                .map(|events| with(Some(*events)))
                .collect()
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            runs: self.runs,
            warmup: self.warmup,
            limit: self.timeout,
        }
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    pub(crate) fn save(&self) -> Option<&SaveName> {
        self.save.as_ref()
    }
}

/// What a harness tells the child that runs once for it.
#[derive(Debug, Args, PartialEq)]
pub(crate) struct IsolatedArguments {
    pub(crate) benchmark: String,
    #[arg(long)]
    pub(crate) workers: usize,
    #[arg(long)]
    pub(crate) repeat: u64,
    #[arg(long)]
    pub(crate) events_per_resume: Option<u32>,
    #[arg(long)]
    pub(crate) pin: bool,
    #[arg(long, value_parser = seconds)]
    pub(crate) timeout: Duration,
}

impl IsolatedArguments {
    const SUBCOMMAND: &'static str = "run-isolated";

    /// Parses to what it was made of.
    pub(crate) fn to_command_line(&self) -> Vec<String> {
        let mut line = vec![
            Self::SUBCOMMAND.to_owned(),
            self.benchmark.clone(),
            format!("--workers={}", self.workers),
            format!("--repeat={}", self.repeat),
            format!("--timeout={}", self.timeout.as_secs_f64()),
        ];
        let events = self.events_per_resume;
        line.extend(events.map(|events| format!("--events-per-resume={events}")));
        line.extend(self.pin.then(|| "--pin".to_owned()));
        line
    }
}

/// What a harness tells the child that is its server.
#[derive(Debug, Args, PartialEq)]
pub(crate) struct ServeArguments {
    pub(crate) service: Service,
    #[arg(long)]
    pub(crate) workers: usize,
    #[arg(long)]
    pub(crate) events_per_resume: Option<u32>,
    #[arg(long)]
    pub(crate) pin: bool,
}

impl ServeArguments {
    const SUBCOMMAND: &'static str = "serve";

    /// Parses to what it was made of.
    pub(crate) fn to_command_line(&self) -> Vec<String> {
        let mut line = vec![
            Self::SUBCOMMAND.to_owned(),
            self.service.name().to_owned(),
            format!("--workers={}", self.workers),
        ];
        let events = self.events_per_resume;
        line.extend(events.map(|events| format!("--events-per-resume={events}")));
        line.extend(self.pin.then(|| "--pin".to_owned()));
        line
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a number of seconds above 0, such as 300 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_subcommand_is_run() {
        let cli = Cli::try_parse_from(["harness", "A.*", "--repeat", "7", "--json"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.run.overrides()[0].repeat, Some(7));
        assert!(cli.run.json() && cli.run.filters()[0].matches("A.b"));

        let cli = Cli::try_parse_from(["harness", "run", "--workers", "3"]).unwrap();
        let Some(Command::Run(run)) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(run.overrides()[0].workers, Some(3));
        assert!(run.filters().is_empty());
    }

    #[test]
    fn several_budgets_are_a_sweep() {
        let line = ["harness", "--events-per-resume", "16,256", "--pairs", "2"];
        let sweep = Cli::try_parse_from(line).unwrap().run.overrides();
        let seen: Vec<_> = sweep
            .iter()
            .map(|overrides| (overrides.events_per_resume, overrides.pairs))
            .collect();
        assert_eq!(seen, [(Some(16), Some(2)), (Some(256), Some(2))]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            &["--runs", "0"][..],
            &["--workers", "0"],
            &["--workers", "1025"],
            &["--repeat", "0"],
            &["--actors", "0"],
            &["--rate", "0"],
            &["--size", "0"],
            &["--size", "65537"],
            &["--pipeline", "0"],
            &["--pipeline", "1001"],
            &["--events-per-resume", "0"],
            &["--events-per-resume", "16,,32"],
            &["--repeat", "many"],
            &["--timeout", "0"],
            &["--timeout", "-1"],
            &["--timeout", "NaN"],
            &["--save", "../x"],
            &["--jsno"],
        ] {
            let line = ["harness", "run"].iter().chain(bad);
            assert!(Cli::try_parse_from(line).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_child_understands_what_it_is_told() {
        let told = IsolatedArguments {
            benchmark: "Spawn.Idle".to_owned(),
            workers: 3,
            repeat: 1 << 40,
            events_per_resume: Some(7),
            pin: true,
            timeout: Duration::from_millis(1_500),
        };
        let line = std::iter::once("harness".to_owned()).chain(told.to_command_line());
        let cli = Cli::try_parse_from(line).unwrap();
        let Some(Command::RunIsolated(understood)) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(understood, told);
    }

    #[test]
    fn a_server_understands_what_it_is_told() {
        for &service in Service::value_variants() {
            let told = ServeArguments {
                service,
                workers: 3,
                events_per_resume: Some(7),
                pin: true,
            };
            let line = std::iter::once("harness".to_owned()).chain(told.to_command_line());
            let cli = Cli::try_parse_from(line).unwrap();
            let Some(Command::Serve(understood)) = cli.command else {
                panic!("{cli:?}")
            };
            assert_eq!(understood, told);
        }
    }
}
