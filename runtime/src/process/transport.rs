//! What carries messages and links to processes elsewhere: implemented above, by [`remote`](crate::remote).

use std::net::SocketAddr;

use super::event::Message;
use super::manager::ProcessManager;
use super::{DeadLetterReason, RawPid};
use crate::future::Future;

/// How [`Context::link_with`](crate::Context::link_with) comes by the connection to a process elsewhere: libprocess's `RemoteConnection`.
///
/// To a process of the same runtime there is none, and both mean the same.
///
/// ```
/// use libprocess::RemoteConnection;
///
/// assert_eq!(RemoteConnection::default(), RemoteConnection::Reuse);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RemoteConnection {
    /// By the one that there is, if there is one.
    #[default]
    Reuse,
    /// By a new one, over which everything goes from now on: for who suspects that the one that there is has gone stale, as when something between has forgotten it without telling either end. Links by the old one go on by the
    /// new one: nobody gets `exited` for the old one's end, and everybody if the new one cannot be had.
    ///
    /// What was sent before, and is with the kernel, is not sent again: if the old connection still lives, it may arrive behind what is sent now.
    Reconnect,
}

/// A message that was not taken, and why.
pub(crate) type Refused = (Message, DeadLetterReason);

/// What carries messages and links to processes elsewhere.
pub(crate) trait Transport: Send + Sync {
    /// Takes a message for the process of that id at that address. To one address messages go in the order in which they were taken.
    fn send(
        &self,
        manager: &ProcessManager,
        to: (&str, SocketAddr),
        message: Message,
        must_take: bool,
    ) -> Result<(), Refused>;

    /// Whether there is room for a message to that address.
    fn has_room(&self, address: SocketAddr) -> bool;

    /// As `has_room`: `None` if there is, else ready when there is.
    fn room(&self, address: SocketAddr) -> Option<Future<()>>;

    /// Has a process told, once, when the one of that id at that address has ended, as far as that can be known.
    fn link(
        &self,
        manager: &ProcessManager,
        linker: RawPid,
        to: (&str, SocketAddr),
        connection: RemoteConnection,
    );

    /// That process is told nothing of those at that address any more.
    fn unlink(&self, manager: &ProcessManager, linker: RawPid, address: SocketAddr);

    /// The runtime listens: others may ask.
    fn listens(&self);
}
