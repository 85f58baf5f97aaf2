use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Pid, Process, Upid, WaitStatus, exits};
use crate::facade::lock_std;

/// Where the value of an owned process goes when it ends.
pub(crate) struct Owner<P> {
    outcome: Mutex<Option<Result<P, Arc<str>>>>,
}

/// Where a process that is about to be spawned will leave its value.
pub(crate) fn new_owner<P>() -> Arc<Owner<P>> {
    Arc::new(Owner {
        outcome: Mutex::new(None),
    })
}

impl<P> Owner<P> {
    pub(super) fn put(&self, outcome: Result<P, Arc<str>>) {
        *lock_std(&self.outcome) = Some(outcome);
    }

    fn take(&self) -> Option<Result<P, Arc<str>>> {
        lock_std(&self.outcome).take()
    }
}

/// Owns a process: dropping it terminates the process and waits for its end.
///
/// This is what an object that wraps a process keeps, so that its users need not know of processes (libprocess's
/// asynchronous pimpl).
///
/// The drop does not wait where it would wait for itself, in the process's own handler, or while it is being dropped with the
/// process's own state; nor where the runtime has no thread left to stand in for a blocked worker, which is logged. The process
/// ends in each case.
///
/// ```
/// use libprocess::{Process, dispatch, spawn_owned};
///
/// struct Counter(u64);
/// impl Process for Counter {}
/// impl Counter {
///     fn count(&mut self) { self.0 += 1; }
/// }
///
/// let counter = spawn_owned(Counter(0));
/// drop(dispatch(counter.pid(), Counter::count, ()));
/// counter.terminate_after_pending();
/// assert_eq!(counter.join().unwrap().0, 1);
/// ```
#[must_use = "dropping the handle terminates the process"]
pub struct ProcessHandle<P: Process> {
    pid: Pid<P>,
    owner: Arc<Owner<P>>,
    joined: bool,
}

/// Why a process's value could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The process panicked, with this message; its value was dropped.
    #[error("the process panicked: {0}")]
    Panicked(Arc<str>),
    /// The process would have waited for itself.
    #[error("a process cannot join itself")]
    Itself,
    /// The process never was, as the runtime was shutting down or had no slot left.
    #[error("the process was never spawned")]
    NeverSpawned,
    /// The wait was refused.
    #[error(transparent)]
    TooManyBlocked(#[from] crate::TooManyBlocked),
    /// The process waits for the one that would join it, itself or over others: see [`WaitCycle`](crate::WaitCycle). Who they are is in the log.
    #[error("processes would wait for each other for ever")]
    WaitCycle,
}

impl<P: Process> ProcessHandle<P> {
    pub(crate) fn new(pid: Pid<P>, owner: Arc<Owner<P>>) -> Self {
        Self {
            pid,
            owner,
            joined: false,
        }
    }

    /// The pid.
    pub fn pid(&self) -> Pid<P> {
        self.pid
    }

    /// Asks the process to end before its next event.
    pub fn terminate(&self) {
        exits::terminate(&self.pid.upid(), true, sender());
    }

    /// Asks the process to end after the events that are pending now.
    pub fn terminate_after_pending(&self) {
        exits::terminate(&self.pid.upid(), false, sender());
    }

    /// Blocks until the process has ended, or the time is over.
    pub fn wait_timeout(&self, timeout: Duration) -> WaitStatus {
        exits::wait(&self.pid.upid(), Some(timeout))
    }

    /// Blocks until the process has ended, by whomever, and gives its value. Does not ask it to end.
    ///
    /// # Errors
    ///
    /// See [`JoinError`]. The process is not terminated by a join that was refused.
    pub fn join(mut self) -> Result<P, JoinError> {
        self.joined = true;
        match exits::wait(&self.pid.upid(), None) {
            WaitStatus::Itself => return Err(JoinError::Itself),
            WaitStatus::TooManyBlocked => return Err(crate::TooManyBlocked.into()),
            WaitStatus::WaitCycle => return Err(JoinError::WaitCycle),
            _ => {}
        }
        match self.owner.take() {
            Some(Ok(process)) => Ok(process),
            Some(Err(message)) => Err(JoinError::Panicked(message)),
            None => Err(JoinError::NeverSpawned),
        }
    }
}

/// The process that asks, as the sender of its Terminate event.
pub(crate) fn sender() -> Upid {
    super::current::running().map_or_else(Upid::nobody, Upid::local)
}

impl<P: Process> Drop for ProcessHandle<P> {
    fn drop(&mut self) {
        if self.joined {
            return;
        }
        self.terminate();
        let why: &dyn std::fmt::Display = match exits::wait(&self.pid.upid(), None) {
            WaitStatus::TooManyBlocked => &crate::TooManyBlocked,
            WaitStatus::WaitCycle => &JoinError::WaitCycle,
            _ => return,
        };
        tracing::error!(
            pid = ?self.pid,
            "a process handle was dropped without waiting for its process: {why}"
        );
    }
}

impl<P: Process> std::fmt::Debug for ProcessHandle<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProcessHandle({})", self.pid.upid().known())
    }
}
