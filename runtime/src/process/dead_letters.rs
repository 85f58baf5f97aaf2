use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::{self, EventBox, EventKind, Message};
use super::{RawPid, Upid};
use crate::facade::lock_std;

/// How many dead letters a runtime remembers; all are counted.
const REMEMBERED: usize = 100;

/// An event that reached nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Whom it was for.
    pub to: Upid,
    /// Who sent it, where the event says so.
    pub from: Upid,
    /// Its kind.
    pub kind: EventKind,
    /// A message's name or a dispatch's function; empty for other kinds.
    pub name: Cow<'static, str>,
}

impl DeadLetter {
    fn new(to: Upid, event: &EventBox) -> Self {
        let kind = event.kind();
        let (from, name) = match kind {
            EventKind::Message => {
                // SAFETY: a block of this kind has a message in it.
                let message: &Message = unsafe { event.payload() };
                (message.from.clone(), message.name.clone())
            }
            EventKind::Dispatch => {
                let name = match event::dispatch::identity(event) {
                    Some(event::DispatchIdentity::Method { name, .. }) => Cow::Borrowed(name),
                    Some(closure) => Cow::Owned(closure.to_string()),
                    None => Cow::Borrowed(""),
                };
                (Upid::nobody(), name)
            }
            EventKind::Http | EventKind::Exited | EventKind::Terminate => {
                (Upid::nobody(), Cow::Borrowed(""))
            }
        };
        Self {
            to,
            from,
            kind,
            name,
        }
    }
}

/// A runtime's dead letters: a count, and the last hundred.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    count: AtomicU64,
    last: Mutex<VecDeque<DeadLetter>>,
}

impl DeadLetters {
    pub(crate) fn record(&self, to: Upid, event: &EventBox) {
        // Relaxed: a statistic.
        self.count.fetch_add(1, Ordering::Relaxed);
        let letter = DeadLetter::new(to, event);
        let mut last = lock_std(&self.last);
        let forgotten = if last.len() == REMEMBERED {
            last.pop_front()
        } else {
            None
        };
        last.push_back(letter);
        drop(last);
        drop(forgotten);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn last(&self) -> Vec<DeadLetter> {
        lock_std(&self.last).iter().cloned().collect()
    }
}

/// Records an event that `pid` could not take, with the runtime of the sending worker; from another thread, with the slot's
/// last runtime, which is the pid's unless it has ended. Drops the event: a dispatch's future is abandoned.
#[cold]
#[inline(never)]
pub(super) fn bury(pid: RawPid, event: EventBox) {
    if event.kind() == EventKind::Terminate {
        // Who asks a process to end that has ended has lost nothing.
        return;
    }
    super::current_manager(|manager| match manager {
        Some(manager) => manager.dead_letters().record(Upid::local(pid), &event),
        None => super::manager::with_runtime_of(pid, |manager| {
            manager.dead_letters().record(Upid::local(pid), &event);
        }),
    });
    drop(event);
}
