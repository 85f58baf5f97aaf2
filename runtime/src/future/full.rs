/// The mailbox of a process was full: what was sent to it was refused.
///
/// A process has such a mailbox if it was spawned with a [capacity](crate::SpawnOptions::mailbox_capacity).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MailboxFull {
    /// The process, as the floors above number it. Eight bytes, so that no outcome is larger for it.
    pub(crate) process: u64,
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use crate::future::Outcome;

    #[test]
    fn no_outcome_is_larger_for_it() {
        // A tag and the text of a failure.
        assert_eq!(size_of::<Outcome<()>>(), 24);
        assert_eq!(size_of::<Outcome<u64>>(), 24);
        assert_eq!(size_of::<Outcome<String>>(), 24);
    }
}
