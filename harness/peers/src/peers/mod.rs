//! Those that are compared.

mod actix;
mod kameo;
mod libprocess;
mod outside;
mod ractor;
mod tokio;
mod xtra;

use std::process::Command;

use crate::trial::{Measured, Trial};
use ::tokio::runtime::Handle;

use crate::workload::{Job, Workload, in_memory};

pub(crate) use outside::Outside;

/// Someone who does the workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Libprocess,
    Tokio,
    TokioUnbounded,
    Actix,
    Kameo,
    Ractor,
    Xtra,
    Erlang,
    Go,
}

/// Where a peer runs.
pub(crate) enum Place {
    /// In this program.
    Here(fn(&Job) -> Measured),
    /// In a program of its own language.
    Outside(&'static dyn Outside),
}

impl Peer {
    pub(crate) const ALL: [Self; 9] = [
        Self::Libprocess,
        Self::Tokio,
        Self::TokioUnbounded,
        Self::Actix,
        Self::Kameo,
        Self::Ractor,
        Self::Xtra,
        Self::Erlang,
        Self::Go,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Libprocess => "libprocess",
            Self::Tokio => "tokio",
            Self::TokioUnbounded => "tokio-unbounded",
            Self::Actix => "actix",
            Self::Kameo => "kameo",
            Self::Ractor => "ractor",
            Self::Xtra => "xtra",
            Self::Erlang => "erlang",
            Self::Go => "go",
        }
    }

    pub(crate) const fn summary(self) -> &'static str {
        match self {
            Self::Libprocess => {
                "the harness itself, with the default features; unbounded mailboxes"
            }
            Self::Tokio => "tasks and bounded mpsc channels",
            Self::TokioUnbounded => "tasks and unbounded mpsc channels",
            Self::Actix => "actors on an arbiter for each worker; do_send, which has no bound",
            Self::Kameo => "actors with its default mailbox, bounded by 64",
            Self::Ractor => "actors, whose mailboxes are unbounded",
            Self::Xtra => "actors with unbounded mailboxes",
            Self::Erlang => "processes of the BEAM, with plain messages",
            Self::Go => "goroutines and channels",
        }
    }

    /// What to know before its figure is compared with the others'.
    pub(crate) const fn note(self, workload: Workload) -> Option<&'static str> {
        match (self, workload) {
            (Self::Xtra, Workload::DispatchAwait) => {
                Some("its mailboxes keep no order: each answer is checked, their order is not")
            }
            _ => None,
        }
    }

    pub(crate) fn by_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|peer| peer.name() == name);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            format!("there is no peer {name}; there are {all}")
        })
    }

    pub(crate) fn place(self) -> Place {
        match self {
            Self::Libprocess => Place::Here(libprocess::measure),
            Self::Tokio => Place::Here(|job| on_tokio(job, tokio::Tokio::bounded)),
            Self::TokioUnbounded => Place::Here(|job| on_tokio(job, tokio::Tokio::unbounded)),
            Self::Actix => Place::Here(|job| measure(job, &actix::Actix::start(job.workers))),
            Self::Kameo => Place::Here(|job| on_tokio(job, kameo::Kameo)),
            Self::Ractor => Place::Here(|job| on_tokio(job, ractor::Ractor)),
            Self::Xtra => Place::Here(|job| on_tokio(job, xtra::Xtra)),
            Self::Erlang => Place::Outside(&outside::Erlang),
            Self::Go => Place::Outside(&outside::Go),
        }
    }

    /// The program that does the job once it is warm, and prints a [`Measured`].
    pub(crate) fn command(self, job: &Job) -> Result<Command, String> {
        match self.place() {
            Place::Outside(program) => Ok(program.command(job)),
            Place::Here(_) => {
                let own = std::env::current_exe().map_err(|error| error.to_string())?;
                let mut command = Command::new(own);
                command.arg("measure").arg(self.name());
                command.args(arguments(job));
                Ok(command)
            }
        }
    }
}

/// A job as the arguments of a program: the workload, the workers, the repeats and the warm-ups.
pub(crate) fn arguments(job: &Job) -> [String; 4] {
    [
        job.workload.name().to_owned(),
        job.workers.to_string(),
        job.repeat.to_string(),
        job.warmup.to_string(),
    ]
}

/// A library in Rust: how its actors do each workload. Its threads, which all runs share, have started.
trait Actors {
    fn pairs(&self, job: &Job, trial: Trial) -> Measured;
    fn fan_in(&self, job: &Job, trial: Trial) -> Measured;
    fn ring(&self, job: &Job, trial: Trial) -> Measured;
    fn skynet(&self, job: &Job, trial: Trial) -> Measured;
    fn lives(&self, job: &Job, trial: Trial) -> Measured;
    fn ask(&self, job: &Job, trial: Trial) -> Measured;
}

fn measure(job: &Job, actors: &impl Actors) -> Measured {
    let once = || {
        let trial = Trial::new();
        match job.workload {
            Workload::ThroughputPerformance | Workload::PingPong => actors.pairs(job, trial),
            Workload::FanIn => actors.fan_in(job, trial),
            Workload::ThreadRing => actors.ring(job, trial),
            Workload::Skynet => actors.skynet(job, trial),
            Workload::SpawnLife => actors.lives(job, trial),
            Workload::DispatchAwait => actors.ask(job, trial),
        }
    };
    for _ in 0..job.warmup {
        once();
    }
    once()
}

/// Of those whose actors are tokio's tasks, and that spawn on the runtime that they are in: all but actix.
fn on_tokio<A: Actors>(job: &Job, actors: fn(Handle) -> A) -> Measured {
    let runtime = ::tokio::runtime::Builder::new_multi_thread()
        .worker_threads(in_memory(job.workers))
        .build()
        .expect("a machine that lets threads start");
    let _inside = runtime.enter();
    measure(job, &actors(runtime.handle().clone()))
}
