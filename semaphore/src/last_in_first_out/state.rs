//! The word that both fast paths work on: kept signals, or waiters; and the end of service.
//!
//! Every change is a read-modify-write, so a Release by one thread reaches an Acquire by another
//! also when others changed the word in between (they continue its release sequence).

use super::waiters::Waiters;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::weakened;
use std::fmt;

/// The word, unpacked.
///
/// | bits | name | meaning |
/// |---|---|---|
/// | 0–31 | `SIGNALS` | signals kept for waits to come |
/// | 32 | `WAITERS` | somebody is on the list; then no signals are kept |
/// | 33 | `DECOMMISSIONED` | out of service: signals are ignored, waits return |
/// | 34–63 | – | always zero |
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u64);

impl State {
    const SIGNALS: u64 = u32::MAX as u64;
    const WAITERS: u64 = 1 << 32;
    const DECOMMISSIONED: u64 = 1 << 33;
    const NOTHING: State = State(0);

    fn signals(self) -> u32 {
        (self.0 & State::SIGNALS) as u32
    }

    fn has_waiters(self) -> bool {
        self.0 & State::WAITERS != 0
    }

    fn is_decommissioned(self) -> bool {
        self.0 & State::DECOMMISSIONED != 0
    }

    fn with_signal(self) -> State {
        assert!(
            self.signals() < u32::MAX,
            "LifoFixedSizeSemaphore: {} signals are kept already, the most it can count: \
             something signals again and again, and nobody waits",
            u32::MAX
        );
        debug_assert!(
            !self.has_waiters(),
            "a signal is kept although somebody waits: {self:?}"
        );
        State(self.0 + 1)
    }

    fn without_signal(self) -> State {
        debug_assert!(self.signals() > 0, "no signal to take: {self:?}");
        State(self.0 - 1)
    }

    fn with_waiters(self) -> State {
        debug_assert!(
            self.signals() == 0,
            "somebody waits although a signal is kept: {self:?}"
        );
        State(self.0 | State::WAITERS)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("signals", &self.signals())
            .field("waiters", &self.has_waiters())
            .field("decommissioned", &self.is_decommissioned())
            .finish()
    }
}

/// What became of a signal.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// The next wait will take it.
    Kept,
    /// Not kept: somebody waits, and must be given it under the mutex.
    HasWaiters,
    /// Ignored: nobody will wait any more.
    Decommissioned,
}

/// What a wait found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    Taken,
    NoneKept,
    Decommissioned,
}

/// What a thread that is about to join the list found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    /// `WAITERS` is set: from now on signals come to the list.
    Made,
    /// A signal had been kept meanwhile; it is taken.
    SignalTaken,
    Decommissioned,
}

/// The word, shared. Transitions that need the mutex ask for what it guards as proof.
pub(super) struct AtomicState(AtomicU64);

impl AtomicState {
    pub(super) fn new() -> Self {
        AtomicState(AtomicU64::new(State::NOTHING.0))
    }

    /// Keeps a signal, unless somebody waits for one.
    #[inline]
    pub(super) fn keep(&self) -> Keeping {
        let order = if weakened("keep-release") {
            Relaxed
        } else {
            Release
        };
        // Relaxed: whatever is decided on it is confirmed by the compare-and-swap or under the
        // mutex.
        let mut state = State(self.0.load(Relaxed));
        loop {
            if state.is_decommissioned() {
                return Keeping::Decommissioned;
            }
            if state.has_waiters() {
                return Keeping::HasWaiters;
            }
            // Release: pairs with the Acquire in `take` and `announce`, of the wait that uses this
            // signal.
            match self
                .0
                .compare_exchange_weak(state.0, state.with_signal().0, order, Relaxed)
            {
                Ok(_) => return Keeping::Kept,
                Err(now) => state = State(now),
            }
        }
    }

    /// Takes a kept signal.
    #[inline]
    pub(super) fn take(&self) -> Taking {
        // Acquire, on failure too: pairs with the Release in `decommission`, in case that is what
        // it shows.
        let mut state = State(self.0.load(Acquire));
        loop {
            if state.is_decommissioned() {
                return Taking::Decommissioned;
            }
            if state.signals() == 0 {
                return Taking::NoneKept;
            }
            // Acquire: pairs with the Release in `keep`.
            match self
                .0
                .compare_exchange_weak(state.0, state.without_signal().0, Acquire, Acquire)
            {
                Ok(_) => return Taking::Taken,
                Err(now) => state = State(now),
            }
        }
    }

    /// Sets `WAITERS`, unless there is a reason not to wait at all.
    pub(super) fn announce(&self, _proof: &mut Waiters) -> Announcement {
        // Relaxed: both flags change only under the mutex that the caller holds, so they are seen
        // as they are, and what a decommissioning thread wrote before is seen through the
        // mutex.
        let mut state = State(self.0.load(Relaxed));
        loop {
            if state.is_decommissioned() && !weakened("announce-sees-decommissioned") {
                return Announcement::Decommissioned;
            }
            if state.has_waiters() {
                return Announcement::Made;
            }
            if state.signals() > 0 {
                // Acquire: pairs with the Release in `keep`.
                let taken = state.without_signal().0;
                match self
                    .0
                    .compare_exchange_weak(state.0, taken, Acquire, Relaxed)
                {
                    Ok(_) => return Announcement::SignalTaken,
                    Err(now) => state = State(now),
                }
                continue;
            }
            if weakened("announce-compares") {
                self.0.fetch_or(State::WAITERS, Relaxed);
                return Announcement::Made;
            }
            // Relaxed: who sees WAITERS goes to the mutex, and learns everything else there.
            let waiting = state.with_waiters().0;
            match self
                .0
                .compare_exchange_weak(state.0, waiting, Relaxed, Relaxed)
            {
                Ok(_) => return Announcement::Made,
                Err(now) => state = State(now),
            }
        }
    }

    /// Clears `WAITERS` if nobody is left on the list.
    pub(super) fn retire(&self, proof: &mut Waiters) {
        if proof.is_empty() {
            // Relaxed: it allows signals to be kept, and publishes nothing.
            self.0.fetch_and(!State::WAITERS, Relaxed);
        }
    }

    /// Sets `DECOMMISSIONED`, for good.
    pub(super) fn decommission(&self, _proof: &mut Waiters) {
        // Release: pairs with the Acquire in `take` and `is_decommissioned`.
        self.0.fetch_or(State::DECOMMISSIONED, Release);
    }

    pub(super) fn is_decommissioned(&self) -> bool {
        // Acquire: pairs with the Release in `decommission`.
        State(self.0.load(Acquire)).is_decommissioned()
    }
}

impl fmt::Debug for AtomicState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a glance, outdated when it is printed.
        State(self.0.load(Relaxed)).fmt(f)
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::parker::FutexParker;
    use std::sync::Arc;

    #[test]
    fn masks_are_disjoint() {
        let masks = [State::SIGNALS, State::WAITERS, State::DECOMMISSIONED];
        for (index, mask) in masks.iter().enumerate() {
            assert_ne!(*mask, 0);
            for other in &masks[index + 1..] {
                assert_eq!(mask & other, 0);
            }
        }
        let all = masks.iter().fold(0, |all, mask| all | mask);
        assert_eq!(all, (1 << 34) - 1, "the documented bits, without a gap");
    }

    #[test]
    fn debug_unpacks() {
        let state = State(State::DECOMMISSIONED | 7);
        let text = format!("{state:?}");
        assert_eq!(
            text,
            "State { signals: 7, waiters: false, decommissioned: true }"
        );
    }

    #[test]
    #[should_panic(expected = "4294967295 signals are kept already")]
    fn one_signal_too_many_panics() {
        let state = AtomicState(AtomicU64::new(State::SIGNALS));
        let _ = state.keep();
    }

    #[test]
    fn the_last_signal_that_fits_is_kept_and_taken() {
        let state = AtomicState(AtomicU64::new(State::SIGNALS - 1));
        assert_eq!(state.keep(), Keeping::Kept);
        assert_eq!(State(state.0.load(Relaxed)), State(State::SIGNALS));
        assert_eq!(state.take(), Taking::Taken);
        assert_eq!(State(state.0.load(Relaxed)).signals(), u32::MAX - 1);
    }

    /// Random transitions against the three plain values that the word packs.
    #[test]
    fn follows_its_plain_counterpart() {
        for seed in 1..=20_u64 {
            let mut random = seed;
            let mut next = || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random
            };
            let state = AtomicState::new();
            let mut list = Waiters::with_capacity(64);
            let (mut signals, mut decommissioned) = (0_u32, false);
            for step in 0..2_000 {
                let place = format!("seed {seed}, step {step}");
                match next() % 64 {
                    0 if step > 1_000 => {
                        state.decommission(&mut list);
                        decommissioned = true;
                    }
                    0..24 => {
                        let expected = match (decommissioned, list.is_empty()) {
                            (true, _) => Keeping::Decommissioned,
                            (false, false) => Keeping::HasWaiters,
                            (false, true) => {
                                signals += 1;
                                Keeping::Kept
                            }
                        };
                        assert_eq!(state.keep(), expected, "{place}");
                    }
                    24..40 => {
                        let expected = match (decommissioned, signals) {
                            (true, _) => Taking::Decommissioned,
                            (false, 0) => Taking::NoneKept,
                            (false, _) => {
                                signals -= 1;
                                Taking::Taken
                            }
                        };
                        assert_eq!(state.take(), expected, "{place}");
                    }
                    40..52 if list.len() < 64 => {
                        let expected = match (decommissioned, signals) {
                            (true, _) => Announcement::Decommissioned,
                            (false, 0) => Announcement::Made,
                            (false, _) => {
                                signals -= 1;
                                Announcement::SignalTaken
                            }
                        };
                        assert_eq!(state.announce(&mut list), expected, "{place}");
                        if expected == Announcement::Made {
                            assert!(list.push_newest(Arc::new(FutexParker::new()), 0).is_ok());
                        }
                    }
                    _ => {
                        let _ = list.pop_newest();
                        state.retire(&mut list);
                    }
                }
                let word = State(state.0.load(Relaxed));
                assert_eq!(word.signals(), signals, "{place}");
                assert_eq!(word.has_waiters(), !list.is_empty(), "{place}");
                assert_eq!(word.is_decommissioned(), decommissioned, "{place}");
                assert_eq!(state.is_decommissioned(), decommissioned, "{place}");
            }
        }
    }
}
