//! What an event is called.

use std::borrow::Cow;
use std::fmt;

use crate::process::event::{EventBox, EventKind, Message, dispatch};
use crate::process::{DispatchIdentity, Process};

/// What is kept of a message's name: names may come from anywhere.
const LONGEST_NAME: usize = 256;

/// What a process was served, by name.
///
/// It prints as the name of the message, the path of the method, or the place of the closure.
///
/// ```
/// use libprocess::telemetry::EventName;
///
/// assert_eq!(EventName::Message("add".into()).to_string(), "add");
/// assert_eq!(EventName::Exited.to_string(), "(exited)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventName {
    /// A message of this name, of which the first 256 bytes are kept.
    Message(Cow<'static, str>),
    /// A dispatch of this method or closure; or a poll of an async block, by where that was spawned.
    Dispatch(DispatchIdentity),
    /// An HTTP request.
    Http,
    /// The news that a linked process has ended.
    Exited,
    /// The request to end.
    Terminate,
    /// No event: [`Process::initialize`](crate::Process::initialize).
    Initialize,
    /// No event: [`Process::finalize`](crate::Process::finalize).
    Finalize,
    /// All that came when as many were told apart [as may be](crate::RuntimeBuilder::telemetry_entries).
    Others,
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(name) => f.write_str(name),
            Self::Dispatch(identity) => identity.fmt(f),
            Self::Http => f.write_str("(http)"),
            Self::Exited => f.write_str("(exited)"),
            Self::Terminate => f.write_str("(terminate)"),
            Self::Initialize => f.write_str("(initialize)"),
            Self::Finalize => f.write_str("(finalize)"),
            Self::Others => f.write_str("(others)"),
        }
    }
}

/// An `EventName` that costs nothing to make.
#[derive(Clone, Copy)]
pub(in crate::process) enum NameRef<'a> {
    Message(&'a Cow<'static, str>),
    Dispatch(DispatchIdentity),
    Http,
    Exited,
    Terminate,
    Initialize,
    Finalize,
}

impl<'a> NameRef<'a> {
    /// What `process` is about to be served.
    ///
    /// # Safety
    ///
    /// If the event is a dispatch, it is one to a `P`.
    pub(in crate::process) unsafe fn of<P: Process>(event: &'a EventBox, process: &P) -> Self {
        match event.kind() {
            // SAFETY: each block's payload is what its kind says.
            EventKind::Message => Self::Message(unsafe { &event.payload::<Message>().name }),
            EventKind::Dispatch => {
                // SAFETY: by the contract.
                Self::Dispatch(unsafe { dispatch::identity_for(event, process) })
            }
            EventKind::Http => Self::Http,
            EventKind::Exited => Self::Exited,
            EventKind::Terminate => Self::Terminate,
        }
    }

    pub(super) fn to_name(self) -> EventName {
        match self {
            Self::Message(name) => EventName::Message(match name {
                Cow::Borrowed(name) => Cow::Borrowed(shortened(name)),
                Cow::Owned(name) => Cow::Owned(shortened(name).to_owned()),
            }),
            Self::Dispatch(identity) => EventName::Dispatch(identity),
            Self::Http => EventName::Http,
            Self::Exited => EventName::Exited,
            Self::Terminate => EventName::Terminate,
            Self::Initialize => EventName::Initialize,
            Self::Finalize => EventName::Finalize,
        }
    }
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(name) => f.write_str(name),
            other => other.to_name().fmt(f),
        }
    }
}

/// What is kept of a message's name.
pub(super) fn shortened(name: &str) -> &str {
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let end = (0..=LONGEST_NAME)
        .rev()
        .find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn long_names_end_with_a_whole_character() {
        assert_eq!(shortened("add"), "add");
        let long = "ä".repeat(200);
        assert_eq!(shortened(&long), "ä".repeat(128));
        let odd = format!("a{long}");
        assert_eq!(shortened(&odd).len(), 255);
    }
}
