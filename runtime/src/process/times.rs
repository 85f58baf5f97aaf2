//! Processes under a paused clock: each has a time of its own (see `clock`).

use std::time::Duration;

use super::arena::arena;
use super::manager::{ProcessManager, with_runtime_of};
use super::{RawPid, Recipient, current, send};
use crate::clock::{Clock, Time, Timer};
use crate::process::Upid;

/// An event goes to `to`, while some clock is paused: what its sender did is before it.
#[cold]
#[inline(never)]
pub(super) fn carry(to: RawPid) {
    if !arena().is_current(to) {
        // It has ended, and is not to be remembered again.
        return;
    }
    with_runtime_of(to, |manager| {
        let from = current::running_or_ending();
        // A process of another runtime has no time here: it counts as the world outside.
        let from = from.filter(|_| current::is_current(manager));
        manager
            .clock()
            .order_owners(RawPid::to_bits(from), RawPid::to_bits(Some(to)));
        // It may have ended, and been forgotten, since the look above.
        if !arena().is_current(to) {
            end(manager, to);
        }
    });
}

/// A process begins with the time of the one that spawns it.
#[cold]
#[inline(never)]
pub(super) fn begin(manager: &ProcessManager, pid: RawPid) {
    let from = current::running().filter(|_| current::is_current(manager));
    let clock = manager.clock();
    let time = clock.now_of_owner(RawPid::to_bits(from));
    clock.update_owner(RawPid::to_bits(Some(pid)), time, true);
}

/// A process has ended.
#[cold]
#[inline(never)]
pub(super) fn end(manager: &ProcessManager, pid: RawPid) {
    manager.clock().forget_owner(RawPid::to_bits(Some(pid)));
}

fn owner(pid: impl Recipient) -> Option<u64> {
    Some(RawPid::to_bits(Some(send::resolve(&pid.to_upid())?)))
}

/// # The times of processes
///
/// While the clock is paused each process has a time of its own, which goes forward when it is told of something that happened later: see
/// [`now_of`](Self::now_of). None of these does anything to a running clock, nor for a process of another runtime or that has ended.
impl Clock {
    /// The time of a process: when the clock was paused, or the latest that it was told of since.
    ///
    /// An event moves its receiver to the time of its sender; the world outside of processes has the clock's time. A process begins with the time of
    /// the one that spawned it. A timer moves the process that started it to the timer's deadline.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::{Process, Runtime};
    ///
    /// struct Idle;
    /// impl Process for Idle {}
    ///
    /// let runtime = Runtime::builder().workers(1).build()?;
    /// let clock = runtime.clock();
    /// let idle = runtime.spawn(Idle);
    /// clock.pause();
    /// let before = clock.now_of(idle);
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(clock.now_of(idle), before); // was not told yet
    /// runtime.post(idle, "hello", "");
    /// assert_eq!(clock.now_of(idle), before + Duration::from_secs(1));
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn now_of(&self, pid: impl Recipient) -> Time {
        self.now_of_owner(owner(pid).unwrap_or(0))
    }

    /// Moves the time of one process forward. Timers are not concerned: they fire by the clock's own time.
    pub fn advance_process(&self, pid: impl Recipient, duration: Duration) {
        if let Some(owner) = owner(pid) {
            self.advance_owner(owner, duration);
        }
    }

    /// Moves the time of one process forward to `time`, if that is later.
    pub fn update_process(&self, pid: impl Recipient, time: Time) {
        if let Some(owner) = owner(pid) {
            self.update_owner(owner, time, false);
        }
    }

    /// Sets the time of one process, back too.
    pub fn set_process(&self, pid: impl Recipient, time: Time) {
        if let Some(owner) = owner(pid) {
            self.update_owner(owner, time, true);
        }
    }

    /// Says that what `from` did is before what `to` does next: `to` is moved to the time of `from`, if that is later.
    pub fn order(&self, from: impl Recipient, to: impl Recipient) {
        if let (Some(from), Some(to)) = (owner(from), owner(to)) {
            self.order_owners(from, to);
        }
    }
}

impl Timer {
    /// The process that started the timer; nobody, if none did.
    pub fn creator(&self) -> Upid {
        RawPid::from_bits(self.creator_owner()).map_or_else(Upid::nobody, Upid::local)
    }
}
