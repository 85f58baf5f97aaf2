//! A run in a process of its own, of the operating system: this program, started anew.
//!
//! The child does one run and prints it as one line of JSON. Its errors go where ours go. Its standard input says nothing and is open for as long as the parent wants the result.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::cli::IsolatedArguments;
use crate::failure::Failure;
use crate::interruption;
use crate::measure;
use crate::parameters::{Overrides, Parameters};
use crate::progress::{self, Progress};
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
    let mut child = Command::new(program)
        .args(arguments.to_command_line())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(Failure::CannotIsolate)?;
    let running = Running::new(&mut child);
    let output = child.wait_with_output().map_err(Failure::CannotIsolate)?;
    drop(running);
    if !output.status.success() {
        return Err(Failure::IsolatedRun {
            status: output.status,
        });
    }
    serde_json::from_slice(&output.stdout).map_err(Failure::IsolatedResult)
}

/// The child that runs, one at a time: what it waits for the end of, and its number.
static RUNNING: Mutex<Option<(ChildStdin, u32)>> = Mutex::new(None);

/// How long the end of a child may take that was told to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends the child that runs, if there is one, and returns when it has: it has wiped its progress bar by then.
pub(crate) fn end_child() {
    let running = lock(&RUNNING).take();
    if let Some((input, process)) = running {
        drop(input);
        let process = format!("/proc/{process}");
        let began = Instant::now();
        // Whoever measures waits for it, so it does not stay there when it has ended.
        while Path::new(&process).exists() && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// For as long as a child can be ended.
struct Running;

impl Running {
    fn new(child: &mut Child) -> Self {
        let process = child.id();
        *lock(&RUNNING) = child.stdin.take().map(|input| (input, process));
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *lock(&RUNNING) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends this process, which is the child, once its parent is gone: nobody would read the result.
fn end_with_parent() {
    thread::spawn(|| {
        let _read = io::copy(&mut io::stdin(), &mut io::sink());
        progress::wipe();
        std::process::exit(Outcome::Failed.code().into());
    });
}

/// The child's side.
pub(crate) fn run_as_child(
    benchmark: &dyn Benchmark,
    arguments: &IsolatedArguments,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    // Ctrl-C is for both, and the parent tells this one.
    interruption::ignore();
    end_with_parent();
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
