//! A run in a process of its own, of the operating system: this program, started anew.
//!
//! The child does one run and prints it as one line of JSON. Its errors go where ours go.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::cli::IsolatedArguments;
use crate::failure::Failure;
use crate::measure;
use crate::parameters::{Overrides, Parameters};
use crate::progress::Progress;
use crate::usage::{self, ContextSwitches};

/// A run and what it took of the operating system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct IsolatedRun {
    pub(crate) sample: Sample,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) context_switches: ContextSwitches,
}

/// Has a child run the benchmark once. The child watches its own time.
pub(crate) fn run_in_child(
    benchmark: &dyn Benchmark,
    parameters: &Parameters,
    limit: Duration,
) -> Result<IsolatedRun, Failure> {
    let program = std::env::current_exe().map_err(Failure::CannotIsolate)?;
    let arguments = IsolatedArguments {
        benchmark: benchmark.name().to_owned(),
        workers: parameters.workers,
        repeat: parameters.repeat,
        events_per_resume: parameters.events_per_resume,
        pin: parameters.pin,
        timeout: limit,
    };
    let output = Command::new(program)
        .args(arguments.to_command_line())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::CannotIsolate)?;
    if !output.status.success() {
        return Err(Failure::IsolatedRun {
            status: output.status,
        });
    }
    serde_json::from_slice(&output.stdout).map_err(Failure::IsolatedResult)
}

/// The child's side.
pub(crate) fn run_as_child(
    benchmark: &dyn Benchmark,
    arguments: &IsolatedArguments,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let overrides = Overrides {
        workers: Some(arguments.workers),
        repeat: Some(arguments.repeat),
        events_per_resume: arguments.events_per_resume,
        pin: arguments.pin,
        ..Overrides::default()
    };
    let runtime = overrides.build_runtime(benchmark.defaults())?;
    let parameters = overrides.resolve(benchmark.defaults(), runtime.workers(), 0)?;
    let before = ContextSwitches::so_far();
    let setting = Setting {
        runtime: &runtime,
        parameters: &parameters,
        progress: &Progress::new(benchmark.name().to_owned(), parameters.repeat),
    };
    let sample = measure::run_guarded(benchmark, &setting, benchmark.name(), arguments.timeout)?;
    let run = IsolatedRun {
        sample,
        peak_rss_bytes: usage::peak_resident_bytes(),
        context_switches: ContextSwitches::so_far() - before,
    };
    measure::shut_down(runtime, benchmark.name(), arguments.timeout);
    let line = serde_json::to_string(&run).expect("a run can be written as JSON");
    writeln!(output, "{line}")?;
    Ok(())
}
