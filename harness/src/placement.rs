//! On which core a thread of the harness runs, where `--pin` was asked for.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A core, among those that the thread may use.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    /// Where the first worker of a runtime is pinned to.
    First,
    /// As far from there as can be.
    Last,
}

/// The thread that made this stays on one core until it is dropped. Where the operating system refuses, as a sandbox may, the thread stays as free as it was: a figure is then
/// noisier, and not wrong.
pub(crate) struct Pinned {
    before: Option<CpuSet>,
}

impl Pinned {
    pub(crate) fn to(core: Core) -> Self {
        let before = sched_getaffinity(None).ok().filter(|allowed| {
            let mut allowed = (0..CpuSet::MAX_CPU).filter(|&index| allowed.is_set(index));
            let chosen = match core {
                Core::First => allowed.next(),
                Core::Last => allowed.next_back(),
            };
            chosen.is_some_and(|index| {
                let mut one = CpuSet::new();
                one.set(index);
                sched_setaffinity(None, &one).is_ok()
            })
        });
        Self { before }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It was allowed before; if it is no more, the thread stays where it is.
            let _restored = sched_setaffinity(None, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Vec<usize> {
        let set = sched_getaffinity(None).unwrap();
        (0..CpuSet::MAX_CPU)
            .filter(|&index| set.is_set(index))
            .collect()
    }

    #[test]
    fn a_pinned_thread_is_free_again_afterwards() {
        let before = allowed();
        let pinned = Pinned::to(Core::Last);
        assert_eq!(allowed(), before[before.len() - 1..]);
        drop(pinned);
        assert_eq!(allowed(), before);
        let _pinned = Pinned::to(Core::First);
        assert_eq!(allowed(), before[..1]);
    }
}
