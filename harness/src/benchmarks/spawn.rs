//! What a process costs: its memory while it does nothing, and the time to make and end it.

use std::time::{Duration, Instant};

use libprocess::{Context, MessageEvent, Pid, Process, Runtime};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::grouped;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory};
use crate::usage;

/// After how many processes the progress is told.
const TELL_EVERY: usize = 1 << 12;

/// How often the benchmark looks whether all processes are initialized. It bounds the error of the rate.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// To about how many processes a message is sent, to see that they live.
const SAMPLED: usize = 1_000;

/// Memory for each of many processes that wait for messages.
///
/// Each run is in a process of its own: memory that an earlier run had and gave back would hide what this one needs.
pub(crate) struct SpawnIdle;

impl Benchmark for SpawnIdle {
    fn name(&self) -> &'static str {
        "Spawn.Idle"
    }

    fn summary(&self) -> &'static str {
        "Resident memory for each of many unnamed processes that have five message handlers and nothing \
         to do, and how fast they are spawned; each run in a fresh process of the operating system."
    }

    fn unit(&self) -> &'static str {
        "bytes/process"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(1_000_000)
    }

    fn in_own_process(&self) -> bool {
        true
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let mut trial = Trial::begin(setting);
        let mut pids = Vec::with_capacity(in_memory(repeat));

        let resident_before = resident()?;
        let resumes_before = runtime.stats().resumes;
        let started = Instant::now();
        for done in 0..in_memory(repeat) {
            pids.push(runtime.spawn(Idle));
            if done % TELL_EVERY == 0 {
                setting.progress.advance(done as u64);
            }
        }
        // Each is taken by a worker once, to be initialized. The last ones, one for each worker, may still be at it when
        // this ends: nothing beside the number of processes that is worth measuring.
        while runtime.stats().resumes - resumes_before < repeat {
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds = started.elapsed().as_secs_f64();
        // Without our own list of them, which has become resident meanwhile.
        let ours = size_of_val(pids.as_slice()) as u64;
        let bytes = resident()?.saturating_sub(resident_before + ours);

        let asked = ask_some(runtime, &pids, &mut trial)?;
        for pid in &pids {
            runtime.terminate(pid);
        }
        wait_for_all(runtime, &pids, &mut trial);
        let expected = Counts {
            messages: asked,
            dispatches: asked,
            ..Counts::lives(repeat)
        };
        let verified = format!(
            "{} processes spawned and ended, {} of them answered while the others were idle, no dead letter",
            grouped(repeat),
            grouped(asked),
        );
        let sample = Sample::new(bytes as f64 / repeat as f64, seconds, verified)
            .also("processes/s", repeat as f64 / seconds);
        trial.finish(expected, sample)
    }
}

/// The time to spawn a process and have it end.
///
/// One thread, which is no worker, spawns and terminates; the workers initialize and end. The time is until the last has ended.
pub(crate) struct SpawnTerminate;

impl Benchmark for SpawnTerminate {
    fn name(&self) -> &'static str {
        "Spawn.Terminate"
    }

    fn summary(&self) -> &'static str {
        "Spawning and terminating unnamed processes from a thread that is no worker, until the last one has ended."
    }

    fn unit(&self) -> &'static str {
        "pairs/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(1_000_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let mut trial = Trial::begin(setting);
        let mut pids = Vec::with_capacity(in_memory(repeat));

        let started = Instant::now();
        for done in 0..in_memory(repeat) {
            let pid = runtime.spawn(Plain);
            runtime.terminate(pid);
            pids.push(pid);
            if done % TELL_EVERY == 0 {
                setting.progress.advance(done as u64);
            }
        }
        wait_for_all(runtime, &pids, &mut trial);
        let seconds = started.elapsed().as_secs_f64();

        let verified = format!("{} processes spawned and ended", grouped(repeat));
        let sample =
            Sample::rate(repeat, seconds, verified).also("ns/pair", seconds * 1e9 / repeat as f64);
        trial.finish(Counts::lives(repeat), sample)
    }
}

/// What is done with no figure being taken: sends one message of each kind in turn to some of the processes. A handler that is missing
/// shows as an unhandled message.
fn ask_some(runtime: &Runtime, pids: &[Pid<Idle>], trial: &mut Trial<'_>) -> Result<u64, Failure> {
    let step = (pids.len() / SAMPLED).max(1);
    let mut asked = 0;
    for (pid, name) in pids.iter().step_by(step).zip(MESSAGES.into_iter().cycle()) {
        runtime.post(pid, name, "");
        // Served behind the message.
        let answer = runtime.dispatch_with(*pid, |_idle, cx| cx.pid()).get()?;
        trial.equal(
            "a process that is another one",
            u64::from(answer != *pid),
            0,
        );
        asked += 1;
    }
    Ok(asked)
}

pub(super) fn wait_for_all<P: Process>(runtime: &Runtime, pids: &[Pid<P>], trial: &mut Trial<'_>) {
    let ended = pids
        .iter()
        .filter(|pid| runtime.wait(pid).has_ended())
        .count();
    trial.equal("waits that saw the end", ended as u64, pids.len() as u64);
}

pub(super) fn resident() -> Result<u64, Failure> {
    usage::resident_bytes().ok_or(Failure::Unmeasurable("resident memory"))
}

/// A process that does nothing at all.
struct Plain;

impl Process for Plain {}

/// The messages that [`Idle`] has handlers for: as many as a small service has.
const MESSAGES: [&str; 5] = ["register", "launch", "update", "kill", "shutdown"];

/// A process that waits for messages. It has no state, so that all memory is the runtime's.
struct Idle;

impl Process for Idle {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        for name in MESSAGES {
            cx.install(name, Self::on_message);
        }
    }
}

impl Idle {
    fn on_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        drop(event);
    }
}
