//! Asking a process to end, waiting for its end, and linking to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arena::arena;
use super::event::{ExitReason, ExitedEvent, TerminateEvent};
use super::{RawPid, RemoteConnection, Upid, current, send};
use crate::future::blocking::Awaited;
use crate::future::{Error, Future, Promise};

/// Waiters that are kept without looking whether somebody still waits.
const WAITERS_KEPT: usize = 8;

/// How a `wait` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStatus {
    /// The process has ended while we waited.
    Ended,
    /// The process had ended before, or never was.
    AlreadyEnded,
    /// The time was over first.
    TimedOut,
    /// The process would have waited for itself: for its own handler, or its own end, to return.
    Itself,
    /// The wait was refused: see [`TooManyBlocked`](crate::TooManyBlocked).
    TooManyBlocked,
    /// The wait was refused, because the process waits for this one, itself or over others: see [`WaitCycle`](crate::WaitCycle). Who they
    /// are is in the log.
    WaitCycle,
}

impl WaitStatus {
    /// Whether the process has ended.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Ended | Self::AlreadyEnded)
    }
}

/// Asks a process to end: before its next event, or (not `inject`) after what is pending.
pub(crate) fn terminate(to: &Upid, inject: bool, from: Upid) {
    let Some(pid) = send::resolve(to) else { return };
    let event = TerminateEvent { from }.allocate();
    if inject {
        let sent_at = send::carry(pid);
        let delivery = arena().slot(pid).push_terminate(pid, event, sent_at);
        send::settle(pid, delivery);
    } else {
        send::deliver(pid, event);
    }
}

/// A future of the end of a process. `None` if it has ended.
pub(super) fn watch(pid: RawPid) -> Option<Future<ExitReason>> {
    let mut ties = arena().find(pid)?.lock_ties(pid)?;
    let waiters = &mut ties.ties().waiters;
    let given_up = if waiters.len() >= WAITERS_KEPT && waiters.len() == waiters.capacity() {
        // Timed waits that gave up would pile up otherwise.
        waiters
            .extract_if(.., |waiter| waiter.is_unwatched())
            .collect()
    } else {
        Vec::new()
    };
    let promise = Promise::new();
    let future = promise.future();
    waiters.push(promise);
    drop(ties);
    // Outside of the lock: dropping a promise runs callbacks.
    drop(given_up);
    Some(future)
}

/// The end of a process, which only its own going on can bring.
struct EndOf(RawPid);

impl Awaited for EndOf {
    fn owner(&self) -> u64 {
        RawPid::to_bits(arena().is_current(self.0).then_some(self.0))
    }
}

/// Blocks until a process has ended.
pub(crate) fn wait(pid: &Upid, timeout: Option<Duration>) -> WaitStatus {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let Some(pid) = send::resolve(pid) else {
        return WaitStatus::AlreadyEnded;
    };
    if current::is_mine(pid) {
        return WaitStatus::Itself;
    }
    let Some(future) = watch(pid) else {
        return WaitStatus::AlreadyEnded;
    };
    match future.get_until(deadline, Some(&EndOf(pid))) {
        Err(Error::TimedOut) => WaitStatus::TimedOut,
        Err(Error::TooManyBlocked(_)) => WaitStatus::TooManyBlocked,
        Err(Error::WaitCycle(cycle)) => {
            // The status has no room for it.
            tracing::error!("a `wait` was refused: {cycle}");
            WaitStatus::WaitCycle
        }
        // Ready; or the waiter was dropped, which only the end does.
        _ => WaitStatus::Ended,
    }
}

/// Whom a process is linked to.
pub(super) enum Linked {
    Here(RawPid),
    Elsewhere(SocketAddr),
    /// It is its own, or was told that it has ended.
    Nowhere,
}

/// Makes `linker` hear of the end of `to`; if that has ended, at once.
pub(super) fn link(linker: RawPid, to: &Upid, connection: RemoteConnection) -> Linked {
    let elsewhere = send::elsewhere(None, to, |manager, transport, to| {
        transport.link(manager, linker, to, connection);
        to.1
    });
    if let Some(address) = elsewhere {
        return Linked::Elsewhere(address);
    }
    let pid = send::resolve(to);
    if pid == Some(linker) {
        // A process would hear of its own end after it.
        return Linked::Nowhere;
    }
    if let Some(pid) = pid
        && let Some(mut ties) = arena().find(pid).and_then(|slot| slot.lock_ties(pid))
    {
        ties.ties().linkers.insert(linker);
        return Linked::Here(pid);
    }
    let id: Arc<str> = match to.as_local() {
        Some(_) => Arc::from(""),
        None => to.id().unwrap_or_default().into(),
    };
    let exited = ExitedEvent {
        pid: to.clone(),
        id,
        reason: ExitReason::Unknown,
    };
    send::deliver(linker, exited.allocate());
    Linked::Nowhere
}
