//! Threads for closures that may block: `async_`.
//!
//! They are none of the workers' threads, so a closure that sits in a system call takes no seat. A closure finds an idle thread, or a new one is started up
//! to a limit, or it waits its turn. An idle thread ends after a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use libprocess_semaphore::{FutexParker, Parker as _};

use crate::facade::thread::{self, JoinHandle};
use crate::facade::{self, Mutex, is_finished, lock, now, weakened};

/// How long an idle thread waits for the next closure before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Why a closure was not taken. Gives it back.
pub(crate) enum Refused {
    /// The pool was stopped.
    Stopped(Job),
    /// There is no thread, and the operating system gives none.
    NoThread(Job, std::io::Error),
}

pub(crate) struct Pool {
    name: String,
    max_threads: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bounded by whoever calls `async_`: each waiting closure is one call that has not been answered.
    jobs: VecDeque<Job>,
    threads: usize,
    /// Threads that sleep. Whoever wakes one takes it off the list, so no two closures count on the same.
    idle: Vec<Arc<FutexParker>>,
    started: usize,
    stopped: bool,
    handles: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn new(name: String, max_threads: usize) -> Arc<Self> {
        Arc::new(Self {
            name,
            max_threads,
            state: Mutex::new(State::default()),
        })
    }

    /// Has `job` run on one of the threads. `on_start` is called on a thread that is started for it.
    pub(crate) fn run(
        self: &Arc<Self>,
        job: Job,
        on_start: impl FnOnce() + Send + 'static,
    ) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        if state.stopped {
            return Err(Refused::Stopped(job));
        }
        state.jobs.push_back(job);
        if let Some(idle) = state.idle.pop() {
            drop(state);
            idle.unpark();
            return Ok(());
        }
        if state.threads >= self.max_threads {
            return Ok(());
        }
        let pool = Arc::clone(self);
        let started = thread::Builder::new()
            .name(format!("{}-{}", self.name, state.started))
            .spawn(move || {
                on_start();
                pool.work();
            });
        match started {
            Ok(handle) => {
                state.started += 1;
                state.threads += 1;
                let (ended, running) = state.handles.drain(..).partition(is_finished);
                state.handles = running;
                state.handles.push(handle);
                drop(state);
                let ended: Vec<JoinHandle<()>> = ended;
                ended.into_iter().for_each(super::join);
                Ok(())
            }
            // Some thread will come to it.
            Err(_) if state.threads > 0 => Ok(()),
            Err(error) => match state.jobs.pop_back() {
                Some(job) => Err(Refused::NoThread(job, error)),
                None => Ok(()),
            },
        }
    }

    fn work(&self) {
        let parker = Arc::new(FutexParker::new());
        let mut patience = now() + PATIENCE;
        let mut state = lock(&self.state);
        loop {
            let skipped = weakened("pool-looks-at-last") && now() >= patience;
            if !skipped && let Some(job) = state.jobs.pop_front() {
                drop(state);
                contained("what an async closure captured", job);
                patience = now() + PATIENCE;
                state = lock(&self.state);
                continue;
            }
            if state.stopped || now() >= patience {
                break;
            }
            if !state.idle.iter().any(|idle| Arc::ptr_eq(idle, &parker)) {
                state.idle.push(Arc::clone(&parker));
            }
            drop(state);
            let _looked_at_again = parker.park(Some(patience));
            state = lock(&self.state);
        }
        // A closure that counted on this thread would have been found above, under this lock.
        state.idle.retain(|idle| !Arc::ptr_eq(idle, &parker));
        state.threads -= 1;
    }

    /// Drops what waits, and joins the threads: closures that run are waited for. Not to be called on one of the threads.
    pub(crate) fn stop(&self) {
        let (jobs, handles, idle) = {
            let mut state = lock(&self.state);
            state.stopped = true;
            (
                std::mem::take(&mut state.jobs),
                std::mem::take(&mut state.handles),
                std::mem::take(&mut state.idle),
            )
        };
        for parker in idle {
            parker.unpark();
        }
        // Outside of the lock: their drops abandon futures.
        jobs.into_iter()
            .for_each(|job| contained("what an async closure captured", || drop(job)));
        handles.into_iter().for_each(super::join);
    }
}

/// Runs foreign code. A panic that comes through is logged.
pub(super) fn contained(what: &str, f: impl FnOnce()) {
    if let Err(payload) = facade::contained(f) {
        report_panic(what);
        // Its drop is foreign code too, and may panic: it is leaked instead.
        std::mem::forget(payload);
    }
}

#[cold]
fn report_panic(what: &str) {
    tracing::error!("panic in {what}");
}
