//! A measurement in a process of its own, which does not outlive us, nor its time.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::trial::Measured;
use crate::workload::Job;

/// How often is looked whether the child has ended, or we are to. The time of what it measures is taken by itself.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why there is no figure.
#[derive(Debug, PartialEq)]
pub(crate) enum NoFigure {
    /// Somebody wants us to end.
    Interrupted,
    Failed(String),
}

/// Whether somebody wants us to end: Ctrl-C, or a request to terminate.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on Ctrl-C ends the child that runs, and no more.
    pub(crate) fn take_signals() -> io::Result<Self> {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupt.0))?;
        }
        Ok(interrupt)
    }

    pub(crate) fn came(&self) -> bool {
        // Nothing is published with it.
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs the program, and checks what it prints.
pub(crate) fn measure(
    mut command: Command,
    job: &Job,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<Measured, NoFigure> {
    // In a group of its own, so that the terminal's Ctrl-C does not reach it: it would look like a failure of its own.
    command.process_group(0);
    // What it says beside its result is of interest when it fails; the harness's progress bar is not.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| failed("did not start", error))?;
    let (printed, said) = (collect(child.stdout.take()), collect(child.stderr.take()));
    if let Err(no_figure) = wait(&mut child, limit, interrupt) {
        // It may have ended meanwhile.
        let _ = child.kill();
        let _ = child.wait();
        return Err(no_figure);
    }
    let status = child
        .wait()
        .map_err(|error| failed("cannot be waited for", error))?;
    if !status.success() {
        eprint!("{}", said.join().unwrap_or_default());
        return Err(failed("ended", status));
    }
    let printed = printed.join().unwrap_or_default();
    let measured: Measured =
        serde_json::from_str(&printed).map_err(|error| failed("printed no result", error))?;
    if let Some(counts) = &measured.counts {
        job.check(counts).map_err(NoFigure::Failed)?;
    }
    if measured.seconds > 0.0 {
        Ok(measured)
    } else {
        Err(failed("took", format!("{} seconds", measured.seconds)))
    }
}

/// Reads all of a pipe, so that the child does not wait for room in it.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is told.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn failed(how: &str, why: impl std::fmt::Display) -> NoFigure {
    NoFigure::Failed(format!("the process {how}: {why}"))
}

fn wait(child: &mut Child, limit: Duration, interrupt: &Interrupt) -> Result<(), NoFigure> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if interrupt.came() => return Err(NoFigure::Interrupted),
            Ok(None) if started.elapsed() >= limit => {
                return Err(failed("hung", format!("no end within {limit:?}")));
            }
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(failed("cannot be waited for", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    const JOB: Job = Job {
        workload: Workload::PingPong,
        workers: 1,
        repeat: 5,
        warmup: 0,
    };

    fn measure_script(
        script: &str,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Measured, NoFigure> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        measure(command, &JOB, limit, interrupt)
    }

    fn reason(script: &str) -> String {
        match measure_script(script, Duration::from_secs(60), &Interrupt::default()) {
            Err(NoFigure::Failed(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_result_is_a_figure() {
        let script = r#"echo '{"seconds":0.5,"counts":[5,5]}'"#;
        let measured = measure_script(script, Duration::from_secs(60), &Interrupt::default());
        assert_eq!(measured.unwrap().seconds, 0.5);
    }

    #[test]
    fn whatever_else_comes_is_a_failure_that_says_why() {
        assert!(reason(r#"echo '{"seconds":0.5,"counts":[5,4]}'"#).contains("wrong result"));
        assert!(reason(r#"echo '{"seconds":0.0,"counts":[5,5]}'"#).contains("0 seconds"));
        assert!(reason("echo no result").contains("printed no result"));
        assert!(reason("exit 3").contains("exit status: 3"));
    }

    #[test]
    fn a_child_that_hangs_is_ended() {
        let limit = Duration::from_millis(1);
        let hung = measure_script("exec sleep 1000", limit, &Interrupt::default());
        assert!(matches!(hung, Err(NoFigure::Failed(reason)) if reason.contains("hung")));
    }

    #[test]
    fn an_interrupt_ends_the_child_and_is_no_failure() {
        let interrupt = Interrupt::default();
        interrupt.0.store(true, Ordering::Relaxed);
        let ended = measure_script("exec sleep 1000", Duration::from_secs(60), &interrupt);
        assert_eq!(ended, Err(NoFigure::Interrupted));
    }
}
