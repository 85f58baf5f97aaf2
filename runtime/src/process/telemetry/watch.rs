//! Reporting handlers that do not return.
//!
//! While somebody watches, each thread notes what it serves, and since when, under a lock of its own. One thread for each runtime looks at these notes: it sleeps until
//! the earliest of them is due, or for as long as is allowed to a handler that begins now, and so reports each within no time after it is due, and looks at them
//! no more often than that. It exists only where it was asked for. Weighed against the thread that fires timers: that belongs to the clock, whose time may stand still, and what it calls may
//! itself be what does not return.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libprocess_semaphore::{FutexParker, Parker as _};

use super::name::EventName;
use super::recorder::{Recorder, ThreadRecord, id_of};
use crate::facade::lock_std;
use crate::process::resume::guarded;
use crate::process::{RawPid, Upid};
use crate::scheduler::counters::{BLOCKED, SEATED_AGAIN};

/// A handler that has run for longer than it may: see [`RuntimeBuilder::report_stuck_after`](crate::RuntimeBuilder::report_stuck_after).
///
/// It prints as what the log says of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StuckHandler {
    /// The process.
    pub process: Upid,
    /// Its id.
    pub id: Arc<str>,
    /// What it is being served.
    pub event: EventName,
    /// For how long it has been.
    pub running: Duration,
    /// Whether it is blocked in `wait`, `get` or `block_in_place`: it then holds up its own events, but no worker.
    pub blocked: bool,
    /// How many reports of this call of the handler there were before.
    pub reported: u32,
}

impl fmt::Display for StuckHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, event, .. } = self;
        let does = if self.blocked { "is blocked" } else { "runs" };
        let ms = self.running.as_millis();
        write!(f, "{id} {does} in the handler of {event} since {ms} ms")
    }
}

/// What a thread serves.
pub(super) struct Serving {
    pid: RawPid,
    event: EventName,
    since: Instant,
    /// How long it may go on until it is reported.
    allowed: Duration,
    reported: u32,
}

/// Is called with each report.
pub(crate) type OnStuck = Arc<dyn Fn(&StuckHandler) + Send + Sync>;

/// How long a handler may run, and what is done about those that run longer.
pub(crate) struct Watch {
    after: Duration,
    on_stuck: Option<OnStuck>,
    /// Handlers that were reported.
    stuck: AtomicU64,
    stopping: AtomicBool,
    parker: FutexParker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watch {
    pub(crate) fn new(after: Duration, on_stuck: Option<OnStuck>) -> Self {
        Self {
            after,
            on_stuck,
            stuck: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            parker: FutexParker::new(),
            thread: Mutex::new(None),
        }
    }

    pub(super) fn serving(&self, pid: RawPid, event: EventName, since: Instant) -> Serving {
        Serving {
            pid,
            event,
            since,
            allowed: self.after,
            reported: 0,
        }
    }

    /// Looks at what is being served, reports what is due, and tells when to look again.
    fn look(&self, records: &[Arc<ThreadRecord>]) -> Option<Instant> {
        let now = Instant::now();
        // For what begins from now on.
        let mut next = now.checked_add(self.after);
        let mut due = Vec::new();
        for record in records {
            let mut serving = lock_std(&record.serving);
            let Some(serving) = serving.as_mut() else {
                continue;
            };
            let running = now.saturating_duration_since(serving.since);
            if running >= serving.allowed {
                due.push((
                    serving.pid,
                    StuckHandler {
                        process: Upid::local(serving.pid),
                        id: Arc::from(""),
                        event: serving.event.clone(),
                        running,
                        // Relaxed reads of one thread's counts: they may be a moment apart.
                        blocked: record.counters.get(BLOCKED) != record.counters.get(SEATED_AGAIN),
                        reported: serving.reported,
                    },
                ));
                serving.reported += 1;
                while running >= serving.allowed {
                    serving.allowed = serving.allowed.saturating_mul(2);
                }
            }
            let again = serving.since.checked_add(serving.allowed);
            next = match (next, again) {
                (Some(next), Some(again)) => Some(next.min(again)),
                (next, again) => next.or(again),
            };
        }
        // Not under the locks: what follows is foreign code.
        for (pid, mut handler) in due {
            handler.id = id_of(pid);
            self.report(&handler);
        }
        next
    }

    fn report(&self, handler: &StuckHandler) {
        if handler.reported == 0 {
            // Relaxed: a statistic.
            self.stuck.fetch_add(1, Ordering::Relaxed);
        }
        let StuckHandler { id, event, .. } = handler;
        let _reported = guarded("the log of a stuck handler", || {
            tracing::warn!(
                process = %id,
                event = %event,
                running_ms = handler.running.as_millis() as u64,
                blocked = handler.blocked,
                "a handler does not return"
            );
            // Who asked for reports by the environment alone shall see them.
            if self.on_stuck.is_none() && !tracing::dispatcher::has_been_set() {
                eprintln!("libprocess: a handler does not return: {handler}");
            }
        });
        if let Some(on_stuck) = &self.on_stuck {
            let _reported = guarded("an `on_stuck`", || on_stuck(handler));
        }
    }
}

impl Recorder {
    /// Starts the thread that looks for handlers that do not return, if that was asked for.
    ///
    /// # Errors
    ///
    /// The operating system refused it.
    pub(crate) fn start_watch(self: &Arc<Self>, name: String) -> std::io::Result<()> {
        let Some(watch) = &self.watch else {
            return Ok(());
        };
        let recorder: Weak<Self> = Arc::downgrade(self);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || run(&recorder))?;
        *lock_std(&watch.thread) = Some(thread);
        Ok(())
    }

    /// Ends that thread.
    pub(crate) fn stop_watch(&self) {
        let Some(watch) = &self.watch else {
            return;
        };
        // Relaxed: the unpark publishes it.
        watch.stopping.store(true, Ordering::Relaxed);
        watch.parker.unpark();
        let thread = lock_std(&watch.thread).take();
        // An `on_stuck` may have ended the runtime: it cannot wait for itself.
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks for stuck handlers panicked: this is a defect");
        }
    }

    /// How many handlers were reported.
    pub(crate) fn stuck(&self) -> u64 {
        self.watch
            .as_ref()
            .map_or(0, |watch| watch.stuck.load(Ordering::Relaxed))
    }
}

fn run(recorder: &Weak<Recorder>) {
    // Kept while it sleeps, too: its end is announced by `stop_watch`.
    let Some(recorder) = recorder.upgrade() else {
        return;
    };
    let Some(watch) = &recorder.watch else {
        return;
    };
    // Relaxed: published by the unpark, as said there.
    while !watch.stopping.load(Ordering::Relaxed) {
        let next = watch.look(&recorder.records());
        let _looked_at_again = watch.parker.park(next);
    }
}
