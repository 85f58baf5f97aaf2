use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::{self, EventBox, EventKind, Message};
use super::manager::ProcessManager;
use super::{RawPid, Upid};
use crate::facade::lock_std;
use crate::future::MailboxFull;

/// How many dead letters a runtime remembers; all are counted.
pub(crate) const REMEMBERED: usize = 100;

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
    /// Why it reached nobody.
    pub reason: DeadLetterReason,
}

/// Why an event reached nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// The process had ended, or ended before it was served the event.
    Ended,
    /// The mailbox of the process was full; or, of a process elsewhere, [what waits](crate::RemoteOptions::outbound_bytes) to be sent there is too much.
    Full,
    /// Nobody is called so here.
    Nobody,
    /// It is elsewhere, and the message is more than is [sent](crate::RemoteOptions::message_bytes); or the id and the name are more than 2,500 bytes.
    TooLarge,
    /// It is elsewhere, and the connection to there could not be had, or has broken before it was sent.
    Disconnected,
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "ended",
            Self::Full => "full",
            Self::Nobody => "nobody",
            Self::TooLarge => "too large",
            Self::Disconnected => "disconnected",
        })
    }
}

impl DeadLetter {
    fn new(to: Upid, event: &EventBox, reason: DeadLetterReason) -> Self {
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
            reason,
        }
    }
}

/// A runtime's dead letters: a count, and the last hundred.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    count: AtomicU64,
    /// Of these, how many found a full mailbox.
    full: AtomicU64,
    last: Mutex<VecDeque<DeadLetter>>,
}

impl DeadLetters {
    pub(crate) fn record(&self, to: Upid, event: &EventBox, reason: DeadLetterReason) {
        // Relaxed: a statistic.
        self.count.fetch_add(1, Ordering::Relaxed);
        if reason == DeadLetterReason::Full {
            self.full.fetch_add(1, Ordering::Relaxed);
        }
        self.remember(DeadLetter::new(to, event, reason));
    }

    fn remember(&self, letter: DeadLetter) {
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

    /// Messages that were to go to an address elsewhere, and were not sent; some of which are known.
    #[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
    pub(crate) fn record_lost(&self, messages: u64, known: Vec<DeadLetter>) {
        // Relaxed: a statistic.
        self.count.fetch_add(messages, Ordering::Relaxed);
        for letter in known {
            self.remember(letter);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
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
    if event.kind() == EventKind::Terminate || event::dispatch::is_internal(event.table()) {
        // Who asks a process to end that has ended has lost nothing; nor has who wakes an `async` block that has.
        return;
    }
    record(pid, &event, DeadLetterReason::Ended);
    drop(event);
}

/// Records an event that found the mailbox of `pid` full, as `bury` does, and drops it: a dispatch's future fails.
#[cold]
#[inline(never)]
pub(super) fn refuse(pid: RawPid, event: EventBox) {
    record(pid, &event, DeadLetterReason::Full);
    event::refuse(event, MailboxFull::of(pid));
}

fn record(pid: RawPid, event: &EventBox, reason: DeadLetterReason) {
    let record = |manager: &ProcessManager| {
        manager
            .dead_letters()
            .record(Upid::local(pid), event, reason);
    };
    super::current_manager(|manager| match manager {
        Some(manager) => record(manager),
        None => super::manager::with_runtime_of(pid, record),
    });
}
