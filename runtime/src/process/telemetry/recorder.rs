//! What a runtime has for telemetry, and what a thread notes of each event.

use std::cell::OnceCell;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::name::NameRef;
use super::shard::{Place, Shard};
use super::snapshot::Telemetry;
use super::watch::{Serving, Watch};
use crate::clock;
use crate::facade::lock_std;
use crate::process::event::SentAt;
use crate::process::manager::ProcessManager;
use crate::process::optional::OptionalWork;
use crate::process::resume::guarded;
use crate::process::{RawPid, directory};
use crate::scheduler::Worker;
use crate::scheduler::counters::Counters;

/// What one thread notes.
pub(super) struct ThreadRecord {
    shard: Mutex<Shard>,
    /// What it is serving, if somebody watches.
    pub(super) serving: Mutex<Option<Serving>>,
    pub(super) counters: Arc<Counters>,
}

thread_local! {
    /// The thread's record in its runtime: a worker's thread is one of one runtime for all its life.
    static RECORD: OnceCell<Arc<ThreadRecord>> = const { OnceCell::new() };
}

/// What a runtime has for telemetry.
pub(crate) struct Recorder {
    /// How many processes, and how many names, are told apart.
    entries: usize,
    on: Mutex<bool>,
    threads: Mutex<Threads>,
    pub(super) watch: Option<Watch>,
}

struct Threads {
    alive: Vec<Arc<ThreadRecord>>,
    /// What those that ended had recorded.
    ended: Shard,
}

impl Threads {
    /// Adds up what threads recorded that have ended: then nobody else has their records.
    fn fold_ended(&mut self) {
        let ended = self
            .alive
            .extract_if(.., |record| Arc::strong_count(record) == 1);
        for record in ended {
            self.ended.add(&lock_std(&record.shard));
        }
    }
}

impl Recorder {
    pub(crate) fn new(entries: usize, watch: Option<Watch>) -> Self {
        Self {
            entries,
            on: Mutex::new(false),
            threads: Mutex::new(Threads {
                alive: Vec::new(),
                ended: Shard::new(entries),
            }),
            watch,
        }
    }

    /// Whether handlers that do not return are looked for.
    pub(crate) fn is_watching(&self) -> bool {
        self.watch.is_some()
    }

    /// Switches recording on or off. What was recorded stays.
    pub(crate) fn set(&self, work: &OptionalWork, on: bool) {
        let mut was_on = lock_std(&self.on);
        if *was_on != on {
            *was_on = on;
            work.set(OptionalWork::TELEMETRY, on);
            clock::count_measured(on);
        }
    }

    pub(crate) fn reset(&self) {
        let mut threads = lock_std(&self.threads);
        threads.fold_ended();
        threads.ended.reset();
        for record in &threads.alive {
            lock_std(&record.shard).reset();
        }
    }

    pub(crate) fn snapshot(&self) -> Telemetry {
        let mut threads = lock_std(&self.threads);
        threads.fold_ended();
        let mut sum = threads.ended.clone();
        for record in &threads.alive {
            // A copy, so that the worker has its lock back soon.
            let shard = lock_std(&record.shard).clone();
            sum.add(&shard);
        }
        drop(threads);
        Telemetry::of(sum)
    }

    /// The records of all threads that have served something since they were watched, or telemetry was on.
    pub(super) fn records(&self) -> Vec<Arc<ThreadRecord>> {
        lock_std(&self.threads).alive.clone()
    }

    fn enlist(&self, worker: &Worker) -> Arc<ThreadRecord> {
        let record = Arc::new(ThreadRecord {
            shard: Mutex::new(Shard::new(self.entries)),
            serving: Mutex::new(None),
            counters: Arc::clone(worker.shared_counters()),
        });
        let mut threads = lock_std(&self.threads);
        threads.fold_ended();
        threads.alive.push(Arc::clone(&record));
        record
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if *lock_std(&self.on) {
            clock::count_measured(false);
        }
    }
}

/// A handler runs. When this is dropped, it has returned, or panicked.
pub(in crate::process) struct Observation {
    pid: RawPid,
    started: Instant,
    /// Where its time is recorded.
    place: Option<Place>,
    watched: bool,
}

/// What is noted when a handler of `pid` begins.
pub(in crate::process) fn observe(
    manager: &ProcessManager,
    worker: &Worker,
    pid: RawPid,
    name: NameRef<'_>,
    sent_at: SentAt,
    depth: &dyn Fn() -> Option<usize>,
) -> Observation {
    let work = manager.optional_work().bits();
    let recorder = manager.recorder();
    RECORD.with(|record| {
        let record = record.get_or_init(|| recorder.enlist(worker));
        let mut observation = Observation {
            pid,
            started: Instant::now(),
            place: None,
            watched: false,
        };
        if work & OptionalWork::TELEMETRY != 0 {
            let wait_ns = sent_at.before(observation.started);
            let depth = depth();
            let mut shard = lock_std(&record.shard);
            if shard.wants(pid) {
                drop(shard);
                // Not under the lock: the text of an id is made by foreign code.
                let id = id_of(pid);
                shard = lock_std(&record.shard);
                shard.introduce(pid, id);
            }
            observation.place = Some(shard.begin(pid, name, wait_ns, depth));
        }
        if let Some(watch) = &recorder.watch {
            let serving = watch.serving(pid, name.to_name(), observation.started);
            *lock_std(&record.serving) = Some(serving);
            observation.watched = true;
        }
        observation
    })
}

impl Drop for Observation {
    fn drop(&mut self) {
        RECORD.with(|record| {
            let Some(record) = record.get() else {
                return;
            };
            if self.watched {
                lock_std(&record.serving).take();
            }
            if let Some(place) = self.place {
                let handling_ns = self.started.elapsed().as_nanos() as u64;
                lock_std(&record.shard).end(self.pid, place, handling_ns);
            }
        });
    }
}

/// The id of a process that is alive.
pub(super) fn id_of(pid: RawPid) -> Arc<str> {
    let mut id = None;
    let _reported = guarded("the prefix of a process", || id = directory::id_of(pid));
    id.map_or_else(|| format!("({pid:?})").into(), Into::into)
}
