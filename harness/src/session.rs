//! Doing what the command line says.

use std::io::{self, Write};

use crate::benchmark::Benchmark;
use crate::cli::{Cli, Command, IsolatedArguments, RunArguments};
use crate::compare;
use crate::failure::Failure;
use crate::format::grouped;
use crate::gate;
use crate::interruption::Interruption;
use crate::isolated;
use crate::matrix;
use crate::measure::measure;
use crate::page;
use crate::registry::{self, BENCHMARKS};
use crate::report::{JsonReport, Report, TextReport};
use crate::save::Destination;
use crate::server;
use crate::show;

pub(crate) fn carry_out(cli: &Cli, output: &mut dyn Write) -> Result<(), Failure> {
    match &cli.command {
        None => run(&cli.run, output),
        Some(Command::Run(arguments)) => run(arguments, output),
        Some(Command::List) => Ok(list(output)?),
        Some(Command::Show(arguments)) => show::show(arguments, output),
        Some(Command::Compare(arguments)) => compare::compare(arguments, output),
        Some(Command::Matrix(arguments)) => matrix::matrix(arguments, output),
        Some(Command::Report(arguments)) => page::report(arguments, output),
        Some(Command::Gate(arguments)) => gate::gate(arguments, output),
        Some(Command::GateRegion(arguments)) => gate::run_region(arguments),
        Some(Command::RunIsolated(arguments)) => run_isolated(arguments, output),
        Some(Command::Serve(arguments)) => {
            server::serve(arguments, &mut io::stdin().lock(), output)
        }
    }
}

fn run(arguments: &RunArguments, output: &mut dyn Write) -> Result<(), Failure> {
    let benchmarks = registry::select(arguments.filters())?;
    let destination = arguments.save().map(Destination::prepare).transpose()?;
    let (mut json, mut text);
    let report: &mut dyn Report = if arguments.json() {
        json = JsonReport::new(output);
        &mut json
    } else {
        text = TextReport::new(output);
        &mut text
    };
    let sweep = arguments.overrides();
    let interruption = Interruption::watch(benchmarks.len() * sweep.len(), destination)?;
    for benchmark in benchmarks {
        for overrides in &sweep {
            let mut report = interruption.guard(report);
            measure(benchmark, overrides, arguments.plan(), &mut report)
                .and_then(|record| Ok(report.finish(&record)?))
                .inspect_err(|_| interruption.outlast())?;
        }
    }
    let (records, destination) = interruption.finish();
    if let Some(destination) = destination {
        destination.save(records)?;
        report.saved(destination.path())?;
    }
    Ok(())
}

fn list(output: &mut dyn Write) -> io::Result<()> {
    for benchmark in BENCHMARKS {
        let main_job = if benchmark.name() == registry::DEFAULT {
            " (runs without a filter)"
        } else {
            ""
        };
        writeln!(output, "{}{main_job}", benchmark.name())?;
        writeln!(output, "  {}", benchmark.summary())?;
        writeln!(output, "  in {}; {}", benchmark.unit(), defaults(benchmark))?;
    }
    output.flush()
}

fn defaults(benchmark: &dyn Benchmark) -> String {
    let defaults = benchmark.defaults();
    let mut text = format!("--repeat {}", grouped(defaults.repeat));
    if defaults.pairs {
        text.push_str(", --pairs as many as workers");
    }
    if let Some(window) = defaults.window {
        text.push_str(&format!(", --window {}", grouped(window)));
    }
    if let Some(actors) = defaults.actors {
        text.push_str(&format!(", --actors {}", grouped(actors.default)));
    }
    if let Some(size) = defaults.size {
        text.push_str(&format!(", --size {}", grouped(size)));
    }
    if let Some(pipeline) = defaults.pipeline {
        text.push_str(&format!(", --pipeline {}", grouped(pipeline)));
    }
    if let Some(workers) = defaults.workers {
        text.push_str(&format!(", --workers {workers}"));
    }
    if defaults.paced {
        text.push_str(", no --rate");
    }
    if benchmark.in_own_process() {
        text.push_str(", no warm-up");
    }
    text
}

fn run_isolated(arguments: &IsolatedArguments, output: &mut dyn Write) -> Result<(), Failure> {
    let benchmark = registry::find(&arguments.benchmark)
        .ok_or_else(|| registry::NoMatch::of(&arguments.benchmark))?;
    isolated::run_as_child(benchmark, arguments, output)
}
