/// The mailbox of a process was full: what was sent to it was refused.
///
/// A process has such a mailbox if it was spawned with a [capacity](crate::SpawnOptions::mailbox_capacity).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MailboxFull {
    /// The process, as the floors above number it. Eight bytes, so that no outcome is larger for it.
    pub(crate) process: u64,
}
