//! What the io_uring of some kernels lacks, and tests take away from one that has it.

/// Something that io_uring has since a version of Linux, and that a runtime does without where it is missing: for [`RuntimeBuilder::io_uring_without`](crate::RuntimeBuilder::io_uring_without).
///
/// ```
/// use libprocess::IoUringFeature;
///
/// let in_5_10 = IoUringFeature::ALL.iter().filter(|feature| feature.since() <= (5, 10));
/// assert_eq!(in_5_10.count(), 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IoUringFeature {
    /// A call that waits takes a time-out (`IORING_FEAT_EXT_ARG`).
    WaitWithTimeout,
    /// A poll goes on after its first completion.
    MultishotPoll,
    /// Completions do not interrupt the thread that they are for (`IORING_SETUP_COOP_TASKRUN`).
    CooperativeTaskrun,
    /// Rings of buffers.
    BufferRings,
    /// An accept goes on after its first connection.
    MultishotAccept,
    /// A receive goes on after its first bytes.
    MultishotReceive,
    /// A call that cancels and waits until that is done.
    SynchronousCancel,
    /// Buffers are filled piece by piece.
    IncrementalBuffers,
}

impl IoUringFeature {
    /// All of them, the oldest first.
    pub const ALL: [Self; 8] = [
        Self::WaitWithTimeout,
        Self::MultishotPoll,
        Self::CooperativeTaskrun,
        Self::BufferRings,
        Self::MultishotAccept,
        Self::MultishotReceive,
        Self::SynchronousCancel,
        Self::IncrementalBuffers,
    ];

    /// The first version of Linux that has it. (An older one may have it too: they are given parts of later ones.)
    pub const fn since(self) -> (u32, u32) {
        match self {
            Self::WaitWithTimeout => (5, 11),
            Self::MultishotPoll => (5, 13),
            Self::CooperativeTaskrun | Self::BufferRings | Self::MultishotAccept => (5, 19),
            Self::MultishotReceive | Self::SynchronousCancel => (6, 0),
            Self::IncrementalBuffers => (6, 12),
        }
    }
}

/// In words: `multishot receive`.
impl std::fmt::Display for IoUringFeature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::WaitWithTimeout => "waits with time-outs",
            Self::MultishotPoll => "multishot poll",
            Self::CooperativeTaskrun => "cooperative task running",
            Self::BufferRings => "rings of buffers",
            Self::MultishotAccept => "multishot accept",
            Self::MultishotReceive => "multishot receive",
            Self::SynchronousCancel => "synchronous cancel",
            Self::IncrementalBuffers => "incremental buffers",
        })
    }
}

/// A set of them, one bit for each: what is done without.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lacking(u8);

impl Lacking {
    pub(crate) fn add(&mut self, feature: IoUringFeature) {
        self.0 |= 1 << feature as u8;
    }

    pub(crate) fn has(self, feature: IoUringFeature) -> bool {
        self.0 & (1 << feature as u8) != 0
    }

    /// Those in it, the oldest first.
    pub(crate) fn features(self) -> impl Iterator<Item = IoUringFeature> {
        IoUringFeature::ALL
            .into_iter()
            .filter(move |&feature| self.has(feature))
    }
}

impl std::fmt::Debug for Lacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.features()).finish()
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added_in_order_and_says_so_in_words() {
        let mut lacking = Lacking::default();
        lacking.add(IoUringFeature::IncrementalBuffers);
        lacking.add(IoUringFeature::MultishotPoll);
        let words: Vec<_> = lacking.features().map(|one| one.to_string()).collect();
        assert_eq!(words, ["multishot poll", "incremental buffers"]);
    }

    #[test]
    fn each_has_a_bit_of_its_own_and_they_are_in_order() {
        let mut lacking = Lacking::default();
        for feature in IoUringFeature::ALL {
            assert!(!lacking.has(feature), "{feature:?} in {lacking:?}");
            lacking.add(feature);
            assert!(lacking.has(feature), "{feature:?} in {lacking:?}");
        }
        assert!(IoUringFeature::ALL.is_sorted_by_key(|feature| feature.since()));
    }
}
