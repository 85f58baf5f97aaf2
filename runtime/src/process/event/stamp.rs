//! The word of an event that says for whom it is, and what is to be known of it when it is taken out of the mailbox.
//!
//! | bits | what |
//! |---|---|
//! | 0..32 | generation of the tenant that it is for |
//! | 32 | [paid](Stamp::PAID): it has a credit of its mailbox |
//! | 33 | [exempt](Stamp::EXEMPT): it needs no credit, though of a kind that does; until it is pushed |
//! | 34 | [counted](Stamp::COUNTED): telemetry has seen it among those that wait; once it was taken out of the mailbox |
//! | 35..64 | [when it was sent](SentAt); zero: it does not say |
//!
//! One word, as the receiver asks for all of it at once: an event without credit, time and marks is its generation extended by zeros, and
//! whatever else a word says is settled in a cold path.

use std::cell::Cell;
use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

use crate::facade::lock_std;

/// The word as a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// Of an event that was not pushed.
    pub(super) const NONE: Self = Self(0);
    const PAID: u64 = 1 << 32;
    const EXEMPT: u64 = 1 << 33;
    const COUNTED: u64 = 1 << 34;
    const SENT_AT: u32 = 35;

    /// Of an event that is pushed.
    #[inline(always)]
    pub(super) const fn new(generation: u32, paid: bool, sent_at: SentAt) -> Self {
        Self(
            generation as u64
                | if paid { Self::PAID } else { 0 }
                | ((sent_at.0 as u64) << Self::SENT_AT),
        )
    }

    /// Whether it says this generation and nothing else.
    #[inline(always)]
    pub(super) const fn is_bare(self, generation: u32) -> bool {
        self.0 == generation as u64
    }

    #[inline(always)]
    pub(super) const fn generation(self) -> u32 {
        self.0 as u32
    }

    pub(super) const fn is_paid(self) -> bool {
        self.0 & Self::PAID != 0
    }

    pub(super) const fn unpaid(self) -> Self {
        Self(self.0 & !Self::PAID)
    }

    /// Of an event that has yet to be pushed.
    #[inline(always)]
    pub(super) const fn exempt() -> Self {
        Self(Self::EXEMPT)
    }

    pub(super) const fn is_exempt(self) -> bool {
        self.0 & Self::EXEMPT != 0
    }

    pub(super) const fn is_counted(self) -> bool {
        self.0 & Self::COUNTED != 0
    }

    pub(super) const fn counted(self) -> Self {
        Self(self.0 | Self::COUNTED)
    }

    pub(super) const fn sent_at(self) -> SentAt {
        SentAt((self.0 >> Self::SENT_AT) as u32)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp")
            .field("generation", &self.generation())
            .field("paid", &self.is_paid())
            .field("exempt", &self.is_exempt())
            .field("counted", &self.is_counted())
            .field("sent_at", &self.sent_at())
            .finish()
    }
}

/// When an event was sent: in ticks of 1,024 ns of the machine's monotonic clock, modulo 2²⁹. Zero: untold.
///
/// The time between two events is right up to 9 minutes and 10 seconds, and beyond that is told modulo that. It is never told too short by the rounding, and too
/// long by a tick (or two, once in those nine minutes) at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentAt(u32);

const TICK: u32 = 10;
const TICKS: u64 = (1 << 29) - 1;
/// A clock that differs between cores may tell of an event from the future: by less than this, a millisecond.
const SKEW: u64 = 1_000;

impl SentAt {
    pub(crate) const UNTOLD: Self = Self(0);

    /// At this time, in nanoseconds.
    const fn at(ns: u64) -> Self {
        match (ns >> TICK) & TICKS {
            // Zero is taken: a tick earlier.
            0 => Self(TICKS as u32),
            ticks => Self(ticks as u32),
        }
    }

    pub(crate) fn now() -> Self {
        Self::at(nanoseconds(Instant::now()))
    }

    /// How long before `now` it was, in nanoseconds, if it is told.
    pub(crate) fn before(self, now: Instant) -> Option<u64> {
        self.before_ns(nanoseconds(now))
    }

    const fn before_ns(self, now: u64) -> Option<u64> {
        if self.0 == 0 {
            return None;
        }
        let ticks = (now >> TICK).wrapping_sub(self.0 as u64) & TICKS;
        if ticks > TICKS - SKEW {
            return Some(0);
        }
        Some((ticks << TICK) + (now & ((1 << TICK) - 1)))
    }
}

/// Nanoseconds since somebody first asked.
fn nanoseconds(time: Instant) -> u64 {
    static ANCHOR: Mutex<Option<Instant>> = Mutex::new(None);
    thread_local! {
        /// A copy, so that each thread takes the lock once.
        static ANCHORED: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let anchor = ANCHORED.get().unwrap_or_else(|| {
        let anchor = *lock_std(&ANCHOR).get_or_insert(time);
        ANCHORED.set(Some(anchor));
        anchor
    });
    time.saturating_duration_since(anchor).as_nanos() as u64
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_stamp_are_disjoint_and_cover_it() {
        let parts = [
            u64::from(u32::MAX),
            Stamp::PAID,
            Stamp::EXEMPT,
            Stamp::COUNTED,
            TICKS << Stamp::SENT_AT,
        ];
        assert_eq!(parts.iter().fold(0, |all, part| all ^ part), u64::MAX);
        assert_eq!(parts.iter().fold(0, |all, part| all | part), u64::MAX);
    }

    #[test]
    fn a_stamp_says_what_it_was_told() {
        for generation in [1, 77, u32::MAX] {
            let bare = Stamp::new(generation, false, SentAt::UNTOLD);
            assert!(bare.is_bare(generation), "{bare:?}");
            let full = Stamp::new(generation, true, SentAt(TICKS as u32)).counted();
            assert_eq!(full.generation(), generation, "{full:?}");
            assert!(full.is_paid() && full.is_counted() && !full.is_exempt());
            assert_eq!(full.unpaid().sent_at(), SentAt(TICKS as u32));
            assert!(!full.unpaid().is_paid() && full.unpaid().is_counted());
            assert!(!full.is_bare(generation));
        }
    }

    #[test]
    fn times_between_events_are_never_too_short() {
        const WRAP: u64 = (TICKS + 1) << TICK;
        for sent in [0, 1, 1_023, 1_024, 55_555, WRAP - 1, WRAP, 7 * WRAP + 5] {
            for waited in [0, 1, 1_000, 1_024, 1_000_000, 500_000_000_000] {
                let told = SentAt::at(sent).before_ns(sent + waited).unwrap();
                assert!(
                    (waited..waited + 2_048).contains(&told),
                    "{waited} ns after {sent} ns are told as {told} ns"
                );
            }
        }
        assert_eq!(SentAt::at(5_000_000).before_ns(4_500_000), Some(0));
        assert_eq!(SentAt::UNTOLD.before_ns(1), None);
    }
}
