//! The events that are neither messages nor dispatches.

use std::fmt;
use std::sync::Arc;

use super::block::{EventBox, EventKind, Table, table_of};
use crate::process::Upid;

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// It was asked to, by `terminate`.
    Terminated,
    /// A handler, `initialize` or `finalize` panicked, with this message.
    Panicked(Arc<str>),
    /// It is elsewhere, and the connection to there has broken, or could not be had: whether it has ended cannot be told.
    Disconnected,
    /// It had ended before anybody could be told why, or never was.
    Unknown,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminated => f.write_str("terminated"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Disconnected => f.write_str("cannot be reached any more"),
            Self::Unknown => f.write_str("had ended before, for a reason unknown"),
        }
    }
}

/// A linked process has ended.
#[derive(Clone, Debug)]
pub struct ExitedEvent {
    /// Which.
    pub pid: Upid,
    /// Its id, which can no longer be asked of `pid`. Empty if it had ended before the link.
    pub id: Arc<str>,
    /// Why.
    pub reason: ExitReason,
}

/// The process is asked to end. It ends whatever it does with this event.
#[derive(Clone, Debug)]
pub struct TerminateEvent {
    /// Who asks: the process that called `terminate`, or nobody.
    pub from: Upid,
}

macro_rules! simple_event {
    ($event:ty, $kind:expr) => {
        impl $event {
            const TABLE: &'static Table = &table_of::<$event>($kind);

            pub(crate) fn allocate(self) -> EventBox {
                // SAFETY: the table is the one of this payload type.
                unsafe { EventBox::allocate(Self::TABLE, self) }
            }

            /// # Safety
            ///
            /// The block is of this kind.
            pub(crate) unsafe fn from_box(event: EventBox) -> Self {
                // SAFETY: only `allocate` makes blocks of this kind, with this payload.
                unsafe { event.into_payload() }
            }
        }
    };
}

simple_event!(ExitedEvent, EventKind::Exited);
simple_event!(TerminateEvent, EventKind::Terminate);
