//! `Pid`: the typed, copyable name of a local process.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU64;

use super::Upid;

/// How many bits of a pid name the slot: 67,108,864 slots.
pub(crate) const INDEX_BITS: u32 = 26;

/// The last generation that a slot's tenant may have: one bit less than there is room for, which [`WakeWord`](super::wake_word::WakeWord) needs.
pub(crate) const LAST_GENERATION: u32 = u32::MAX >> 1;

const _: () = assert!(RawPid::NOBODY.generation() > LAST_GENERATION);

/// A slot's index (low half) and a generation (high half, never zero).
///
/// | bits | what |
/// |---|---|
/// | 0..26 | index of the slot |
/// | 26..32 | zero |
/// | 32..64 | generation, 1 or more |
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RawPid(NonZeroU64);

impl RawPid {
    /// The pid of no process: its generation is one that no tenant ever has (see [`LAST_GENERATION`]).
    pub(crate) const NOBODY: RawPid = RawPid::new(0, u32::MAX);

    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        assert!(index >> INDEX_BITS == 0);
        match NonZeroU64::new(((generation as u64) << 32) | index as u64) {
            Some(word) if generation != 0 => Self(word),
            _ => panic!("a generation is never zero"),
        }
    }

    #[inline]
    pub(crate) const fn index(self) -> u32 {
        self.0.get() as u32
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    /// As a number: zero for none.
    #[inline]
    pub(crate) fn to_bits(pid: Option<Self>) -> u64 {
        pid.map_or(0, |pid| pid.0.get())
    }

    /// What `to_bits` was given.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// As a number that fits where an address does.
    #[inline]
    pub(crate) const fn to_address(self) -> usize {
        self.0.get() as usize
    }

    /// What `to_address` gave.
    #[inline]
    pub(crate) fn from_address(address: usize) -> Option<Self> {
        Self::from_bits(address as u64)
    }

    /// The N of an unnamed process's id `Prefix(N)`: `(generation - 1) * 2^26 + index`.
    pub(crate) const fn number(self) -> u64 {
        ((self.generation() as u64 - 1) << INDEX_BITS) | self.index() as u64
    }

    /// The pid with that number, if there can be one.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        let index = (number & ((1 << INDEX_BITS) - 1)) as u32;
        let generation = u32::try_from((number >> INDEX_BITS) + 1).ok()?;
        Some(Self::new(index, generation))
    }
}

impl fmt::Debug for RawPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}

/// The name of a local process of type `P`: eight bytes, `Copy`, valid for ever.
///
/// A pid outlives its process. What is sent to a process that has ended is a dead letter; it never
/// reaches a later process.
///
/// It prints as libprocess prints it, `id@ip:port`: see [`Upid`].
///
/// ```
/// use libprocess::{Process, spawn, terminate, wait};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let pid = spawn(Idle);
/// let copy = pid;
/// assert_eq!(pid, copy);
/// assert!(pid.to_string().starts_with("Idle("));
/// terminate(pid);
/// wait(copy);
/// ```
///
/// Its type is exact, also in lifetimes:
///
/// ```compile_fail
/// use libprocess::{Pid, Process};
///
/// struct Holding<F: 'static + Send>(F);
/// impl<F: 'static + Send> Process for Holding<F> {}
///
/// fn shorter(pid: Pid<Holding<fn(&'static str)>>) -> Pid<Holding<for<'a> fn(&'a str)>> {
///     pid
/// }
/// ```
pub struct Pid<P> {
    raw: RawPid,
    /// Invariant in `P`: a pid that could change its type, if only by a lifetime, would hand out the process as what it is not.
    process: PhantomData<fn(P) -> P>,
}

impl<P> Pid<P> {
    pub(crate) const fn from_raw(raw: RawPid) -> Self {
        Self {
            raw,
            process: PhantomData,
        }
    }

    #[inline]
    pub(crate) const fn raw(self) -> RawPid {
        self.raw
    }

    /// The untyped name.
    pub fn upid(self) -> Upid {
        Upid::local(self.raw)
    }
}

impl<P> Clone for Pid<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Pid<P> {}

impl<P> PartialEq for Pid<P> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl<P> Eq for Pid<P> {}

impl<P> PartialOrd for Pid<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for Pid<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.raw.cmp(&other.raw)
    }
}

impl<P> Hash for Pid<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

impl<P> fmt::Display for Pid<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.upid(), f)
    }
}

impl<P> fmt::Debug for Pid<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pid({})", self.upid().known())
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_went_in() {
        for index in [0, 1, 4095, (1 << INDEX_BITS) - 1] {
            for generation in [1, 2, u32::MAX - 1, u32::MAX] {
                let pid = RawPid::new(index, generation);
                assert_eq!((pid.index(), pid.generation()), (index, generation));
                assert_eq!(RawPid::from_number(pid.number()), Some(pid));
            }
        }
    }

    #[test]
    fn a_number_beyond_every_generation_names_nobody() {
        assert_eq!(RawPid::from_number(u64::MAX), None);
    }

    #[test]
    fn an_optional_pid_takes_no_extra_space() {
        assert_eq!(size_of::<Option<RawPid>>(), 8);
        assert_eq!(size_of::<Pid<String>>(), 8);
    }
}
