//! Events: what waits in a mailbox.

pub(crate) mod block;
pub(crate) mod dispatch;
mod http;
mod message;
mod pointer;
mod recycle;
mod simple;
mod stamp;

pub(crate) use block::EventBox;
pub use block::EventKind;
pub use dispatch::{DispatchEvent, DispatchIdentity};
pub use http::{HttpEvent, HttpExchange};
pub use message::{Message, MessageEvent};
pub use simple::{ExitReason, ExitedEvent, TerminateEvent};
pub(crate) use stamp::SentAt;

use super::Process;
use crate::future::MailboxFull;

/// One event, for a process that overrides [`serve`](Process::serve).
#[derive(Debug)]
pub enum Event<P> {
    /// See [`MessageEvent`].
    Message(MessageEvent),
    /// See [`DispatchEvent`].
    Dispatch(DispatchEvent<P>),
    /// See [`HttpEvent`].
    Http(HttpEvent),
    /// See [`ExitedEvent`].
    Exited(ExitedEvent),
    /// See [`TerminateEvent`].
    Terminate(TerminateEvent),
}

impl<P: Process> Event<P> {
    /// # Safety
    ///
    /// If the block is a dispatch, it is one to a `P`.
    #[inline]
    pub(crate) unsafe fn from_box(event: EventBox) -> Self {
        // SAFETY: each block is taken for what its kind says; a dispatch is to a `P` by the contract.
        unsafe {
            match event.kind() {
                EventKind::Message => Self::Message(MessageEvent::from_box(event)),
                EventKind::Dispatch => Self::Dispatch(DispatchEvent::from_box(event)),
                EventKind::Http => Self::Http(HttpEvent::from_box(event)),
                EventKind::Exited => Self::Exited(ExitedEvent::from_box(event)),
                EventKind::Terminate => Self::Terminate(TerminateEvent::from_box(event)),
            }
        }
    }

    /// Which kind this is.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Message(_) => EventKind::Message,
            Self::Dispatch(_) => EventKind::Dispatch,
            Self::Http(_) => EventKind::Http,
            Self::Exited(_) => EventKind::Exited,
            Self::Terminate(_) => EventKind::Terminate,
        }
    }
}

/// Drops an event that found its mailbox full. If there is a future of it, that fails.
pub(crate) fn refuse(event: EventBox, full: MailboxFull) {
    match event.kind() {
        EventKind::Dispatch => dispatch::refuse(event, full),
        // SAFETY: the block is of this kind.
        EventKind::Http => unsafe { HttpEvent::from_box(event) }.refuse(full),
        EventKind::Message | EventKind::Exited | EventKind::Terminate => drop(event),
    }
}
