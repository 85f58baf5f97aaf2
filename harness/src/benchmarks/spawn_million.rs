//! A million lives, one phase after the other.

use std::time::{Duration, Instant};

use libprocess::{Context, MessageEvent, Process};

use super::spawn::{resident, wait_for_all};
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::grouped;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory};

/// After how many processes the progress is told.
const TELL_EVERY: usize = 1 << 12;

/// How often the benchmark looks whether all messages were served. It bounds the error of the rate.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// All are spawned, then all are sent a message, then all are ended: unlike [`Spawn.Terminate`](super::spawn::SpawnTerminate), where one is
/// spawned when another one has just ended, no slot and no memory is warm.
///
/// Each run is in a process of its own, as its memory is measured.
pub(crate) struct SpawnMillion;

impl Benchmark for SpawnMillion {
    fn name(&self) -> &'static str {
        "Spawn.Million"
    }

    fn summary(&self) -> &'static str {
        "Spawning many processes, then a message to each, then ending them all, from a thread that is no worker; each run in a fresh \
         process of the operating system."
    }

    fn unit(&self) -> &'static str {
        "processes/s"
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

        let started = Instant::now();
        for done in 0..in_memory(repeat) {
            pids.push(runtime.spawn(Greeted));
            if done % TELL_EVERY == 0 {
                setting.progress.advance(done as u64 / 3);
            }
        }
        let spawned = started.elapsed();
        for pid in &pids {
            runtime.post(pid, "hello", "");
        }
        while trial.counts().messages < repeat {
            setting
                .progress
                .advance((repeat + trial.counts().messages) / 3);
            std::thread::sleep(LOOK_EVERY);
        }
        let greeted = started.elapsed();
        // Without our own list of them, which has become resident meanwhile.
        let ours = size_of_val(pids.as_slice()) as u64;
        let bytes = resident()?.saturating_sub(resident_before + ours);
        let measured = started.elapsed();
        for pid in &pids {
            runtime.terminate(pid);
        }
        wait_for_all(runtime, &pids, &mut trial);
        let ended = started.elapsed();

        let per_second = |time: Duration| repeat as f64 / time.as_secs_f64();
        let expected = Counts {
            messages: repeat,
            ..Counts::lives(repeat)
        };
        let verified = format!(
            "{} processes spawned and ended, each served its message",
            grouped(repeat)
        );
        let seconds = (ended - (measured - greeted)).as_secs_f64();
        let sample = Sample::rate(repeat, seconds, verified)
            .also("bytes/process", bytes as f64 / repeat as f64)
            .also("spawns/s", per_second(spawned))
            .also("messages/s", per_second(greeted - spawned))
            .also("ends/s", per_second(ended - measured));
        trial.finish(expected, sample)
    }
}

/// It has no state, so that all memory is the runtime's.
struct Greeted;

impl Process for Greeted {
    fn consume_message(&mut self, event: MessageEvent, _cx: &mut Context<Self>) {
        drop(event);
    }
}
