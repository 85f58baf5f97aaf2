//! Many links, and ends that have nothing to do with them.
//!
//! If the book of links were searched or rebuilt whenever any process ends, this would show it: with libprocess it once did (MESOS-2182).

use std::time::Instant;

use libprocess::{Context, Pid, Process, ProcessHandle, Promise, Upid, spawn, terminate};

use super::spawn::wait_for_all;
use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory, join_all};

/// libprocess's benchmark: pairs of a process and one that links to it live on, while others, to which nobody links, are spawned and end themselves.
pub(crate) struct LargeNumberOfLinks;

impl Benchmark for LargeNumberOfLinks {
    fn name(&self) -> &'static str {
        "ProcessTest.Process_BENCHMARK_LargeNumberOfLinks"
    }

    fn summary(&self) -> &'static str {
        "Short-lived processes that are spawned by a thread and end themselves when dispatched to, beside many pairs of processes of which one \
         is linked to the other; a repeat is one life."
    }

    fn unit(&self) -> &'static str {
        "lives/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(10_000).actors(5_000, 1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let links = setting.parameters.actors.unwrap_or(1);
        let mut trial = Trial::begin(setting);
        let linkees: Vec<_> = (0..links).map(|_| runtime.spawn_owned(Idle)).collect();
        let linkers: Vec<_> = linkees
            .iter()
            .map(|linkee| runtime.spawn_owned(Linker::new(linkee.pid())))
            .collect();
        for linker in &linkers {
            // It has linked by the first event that it serves.
            runtime.dispatch_with(linker.pid(), |_, _| ()).get()?;
        }
        let mut ephemeral = Vec::with_capacity(in_memory(repeat));

        let started = Instant::now();
        for _ in 0..repeat {
            let pid = runtime.spawn(Idle);
            runtime.dispatch_with(pid, |_, cx| cx.terminate()).detach();
            ephemeral.push(pid);
        }
        wait_for_all(runtime, &ephemeral, &mut trial);
        let seconds = started.elapsed().as_secs_f64();

        join_all(linkees)?;
        for (index, linker) in join_all(linkers)?.iter().enumerate() {
            let what = format_args!("exits that linker {index} was told of");
            trial.equal(what, linker.exits, 1);
        }
        let expected = Counts {
            dispatches: links + repeat,
            exited: links,
            ..Counts::lives(repeat + 2 * links)
        };
        let verified = format!(
            "{}, and the exits that {} told in the end",
            count(repeat, "end"),
            count(links, "link")
        );
        trial.finish(expected, Sample::rate(repeat, seconds, verified))
    }
}

/// As [`LargeNumberOfLinks`], but all links are of one process, which also links to each of the short-lived ones and is told of its end, one
/// at a time: that is harder for the book of links.
pub(crate) struct LinkExits;

impl Benchmark for LinkExits {
    fn name(&self) -> &'static str {
        "Link.Exits"
    }

    fn summary(&self) -> &'static str {
        "A process with links to many that live on spawns another one, links to it, ends it and is told of its end, again and again; a repeat is \
         one such life."
    }

    fn unit(&self) -> &'static str {
        "lives/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(100_000).actors(5_000, 1)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let links = setting.parameters.actors.unwrap_or(1);
        let mut trial = Trial::begin(setting);
        let standing: Vec<_> = (0..links).map(|_| runtime.spawn_owned(Idle)).collect();
        let done = Promise::new();
        let all = done.future();
        let center = runtime.spawn_owned(Center {
            left: repeat,
            ephemeral: None,
            ephemeral_exits: 0,
            standing_exits: 0,
            strange: 0,
            done: Some(done),
        });
        let pids = standing.iter().map(ProcessHandle::pid).collect();
        let linked = Instant::now();
        runtime
            .dispatch(center.pid(), Center::link, (pids,))
            .get()?;
        let link_seconds = linked.elapsed().as_secs_f64();

        let started = Instant::now();
        runtime.dispatch(center.pid(), Center::next, ()).detach();
        trial.wait(all, |counts| counts.exited)?;
        let seconds = started.elapsed().as_secs_f64();

        join_all(standing)?;
        center.terminate_after_pending();
        let center = center.join()?;
        trial.equal("exits of the short-lived", center.ephemeral_exits, repeat);
        trial.equal("exits of the others", center.standing_exits, links);
        trial.equal("exits of strangers", center.strange, 0);
        // The short-lived ones end behind what they tell.
        trial.wait_for_ends(repeat + links + 1);
        let expected = Counts {
            dispatches: 2,
            exited: repeat + links,
            ..Counts::lives(repeat + links + 1)
        };
        let verified = format!(
            "{} told while {} stayed, and those at the end",
            count(repeat, "exit"),
            count(links, "link")
        );
        let sample =
            Sample::rate(repeat, seconds, verified).also("links/s", links as f64 / link_seconds);
        trial.finish(expected, sample)
    }
}

struct Idle;

impl Process for Idle {}

struct Linker {
    to: Pid<Idle>,
    exits: u64,
}

impl Linker {
    fn new(to: Pid<Idle>) -> Self {
        Self { to, exits: 0 }
    }
}

impl Process for Linker {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        cx.link(self.to);
    }

    fn exited(&mut self, pid: &Upid, _cx: &mut Context<Self>) {
        self.exits += u64::from(*pid == self.to);
    }
}

struct Center {
    left: u64,
    ephemeral: Option<Pid<Idle>>,
    ephemeral_exits: u64,
    standing_exits: u64,
    strange: u64,
    done: Option<Promise<()>>,
}

impl Center {
    fn link(&mut self, pids: Vec<Pid<Idle>>, cx: &mut Context<Self>) {
        for pid in pids {
            cx.link(pid);
        }
    }

    fn next(&mut self, cx: &mut Context<Self>) {
        let Some(left) = self.left.checked_sub(1) else {
            if let Some(done) = self.done.take() {
                done.set(());
            }
            return;
        };
        self.left = left;
        let pid = spawn(Idle);
        cx.link(pid);
        terminate(pid);
        self.ephemeral = Some(pid);
    }
}

impl Process for Center {
    fn exited(&mut self, pid: &Upid, cx: &mut Context<Self>) {
        match self.ephemeral.take() {
            Some(ephemeral) => {
                self.ephemeral_exits += 1;
                self.strange += u64::from(*pid != ephemeral);
                self.next(cx);
            }
            None => self.standing_exits += 1,
        }
    }
}
