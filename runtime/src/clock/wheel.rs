//! `Wheel`: the pending timers, ordered by deadline, to the nanosecond.
//!
//! A hierarchical timing wheel: scheme 7 of Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987
//! (<https://doi.org/10.1145/41457.37504>). Nothing is compared with its neighbours when a timer is started or cancelled: its place follows
//! from its deadline. Most timers are timeouts that are cancelled long before they are due, and those never pay for an order they do not
//! need; a timer that does fire is sorted a digit at a time, as time approaches it.
//!
//! # Places
//!
//! A deadline is a number of 64 bits: eleven digits to the base 64. The wheel has a *position*, the time it has got to, and eleven levels of
//! 64 slots. A timer is in the level of the highest digit in which its deadline differs from the position, in the slot of that digit:
//!
//! ```text
//!               digit 10            2        1        0
//! position        0   …             5       17       40
//! deadline a      0   …             5       17       52     level 0, slot 52
//! deadline b      0   …             5       18        3     level 1, slot 18
//! deadline c      0   …             9        0       11     level 2, slot 9
//! ```
//!
//! So all timers of a level have the position's digits above it and a greater digit in it (in level 0 also the same): levels are in order of
//! time, and so are the slots of each. The earliest timer is in the lowest level that is not empty, in its first slot; bitmaps find it.
//!
//! A slot of level 0 is one nanosecond, so the first timer of its first slot is the next that is due. If the first slot is of a higher
//! level, the position enters it, and its timers *cascade*: each takes its new place, in a lower level. The position does not enter at the
//! start of the slot but at the earliest deadline in it, which the slot remembers; so a timer that is alone falls to level 0 at once instead
//! of through each level. A timer cascades at most ten times, as it only ever falls.
//!
//! # Why equal deadlines fire in the order of their creation
//!
//! 1. A timer's place is a function of its deadline and the position only: not of when it was started, nor of the way it came. This holds
//!    when it takes its place, and goes on to hold: while the position has not reached its slot, their highest digit that differs is the
//!    same, and when the position enters the slot, the timer takes its new place.
//! 2. So timers of equal deadlines are always in the same slot.
//! 3. A slot is a list, and a new timer goes to its end. A cascade takes the timers of one slot in their order and appends each to another
//!    list, where, by 2, no timer of the same deadline can be but those that this cascade has appended.
//! 4. So within a list, timers of equal deadlines are in the order of their creation, and level 0 fires a list from its head.
//!
//! # Timers in the past
//!
//! A deadline before the position has no place in the wheel. Such timers are few, those whose delay was shorter than the way here, and due
//! at once; a `BTreeMap` from deadline to list has them in order. As the position never passes a pending timer, the timers of one deadline
//! are either all there or all in the wheel, and those there are the earlier.
//!
//! # Memory
//!
//! Timers live in a slab. An entry has the deadline, the value, two links and a generation: 32 bytes when the value is one word, 40 when
//! it is a boxed closure, and there is nothing beside it. So a million closures are 40 MB, or up to 80 while the slab has room to grow. The
//! levels are 11 KiB. A wheel that has become empty gives a slab of more than [`KEPT_ENTRIES`] back.
//!
//! A [`Key`] is an index into the slab and a generation. Generations count all timers of the wheel, not the uses of one entry, so they go on
//! after the slab was given back. They wrap: a key that is kept after its timer has ended could name another, but only if a multiple of
//! 2³² − 1 timers were started from the one to the other, in the same entry, and the other pends.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Deadline;
use std::num::NonZeroU32;

const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

/// Instead of the index of an entry: there is none.
const NONE: u32 = u32::MAX;

/// So many entries an empty wheel keeps, so that few timers that come and go allocate nothing.
const KEPT_ENTRIES: usize = 1024;

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Entry<Box<()>>>() == 32);
    assert!(size_of::<Entry<Box<dyn FnOnce() + Send>>>() == 40);
    assert!(size_of::<Key>() == 8 && size_of::<Option<Key>>() == 8);
};

/// Names a timer of one wheel. After the timer has fired or was cancelled, it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: NonZeroU32,
}

/// Timers with values of type `T`, over ticks of one nanosecond.
pub(crate) struct Wheel<T> {
    /// No pending timer in `levels` is earlier, every one in `overdue` is.
    position: u64,
    /// Bit n: whether level n has a timer.
    occupied_levels: u16,
    levels: Box<[Level; LEVELS]>,
    /// No list is empty.
    overdue: BTreeMap<u64, List>,
    slab: Slab<T>,
}

#[derive(Clone, Copy)]
struct Level {
    /// Bit n: whether slot n has a timer.
    occupied: u64,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy)]
struct Slot {
    list: List,
    /// No deadline in the list is earlier. Exact, until the timer that it is from is cancelled.
    earliest: u64,
}

const EMPTY_SLOT: Slot = Slot {
    list: EMPTY_LIST,
    earliest: u64::MAX,
};

/// A doubly linked list through the entries of a slab.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

const EMPTY_LIST: List = List {
    head: NONE,
    tail: NONE,
};

impl<T> Wheel<T> {
    /// An empty wheel at that position.
    pub(crate) fn new(now: u64) -> Self {
        let level = Level {
            occupied: 0,
            slots: [EMPTY_SLOT; SLOTS],
        };
        Self {
            position: now,
            occupied_levels: 0,
            levels: Box::new([level; LEVELS]),
            overdue: BTreeMap::new(),
            slab: Slab {
                entries: Vec::new(),
                occupied: 0,
                vacant: NONE,
                last_generation: NonZeroU32::MAX,
            },
        }
    }

    /// How many timers pend.
    pub(crate) fn len(&self) -> usize {
        self.slab.occupied
    }

    /// Starts a timer. One in the past is due at once, in its order among the others that are.
    ///
    /// O(1); in the past O(log n) of the deadlines there. Panics if 2³² − 1 timers pend.
    #[inline]
    pub(crate) fn insert(&mut self, deadline: u64, value: T) -> Key {
        let key = self.slab.occupy(deadline, value);
        if deadline < self.position {
            let list = self.overdue.entry(deadline).or_insert(EMPTY_LIST);
            self.slab.append(list, key.index);
        } else {
            self.place(key.index, deadline);
        }
        key
    }

    /// Ends a timer before it fires, and frees its entry at once; `None` if it has ended already.
    ///
    /// O(1), like [`insert`](Self::insert).
    #[inline]
    pub(crate) fn cancel(&mut self, key: Key) -> Option<T> {
        let deadline = self.slab.deadline(key)?;
        Some(self.remove(key.index, deadline))
    }

    /// No pending timer is due earlier; `None` if none pends.
    ///
    /// It is the deadline of the earliest, unless a timer was cancelled that had the earliest deadline of its slot: looking for the
    /// second would not be O(1). Who then waits until that deadline and calls [`pop_due`](Self::pop_due) for it gets nothing, but the
    /// slot has cascaded, and a later deadline stands here.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if let Some((&deadline, _)) = self.overdue.first_key_value() {
            return Some(deadline);
        }
        let (level, slot) = self.first_place()?;
        Some(self.levels[level].slots[slot].earliest)
    }

    /// Takes the next timer whose deadline is at most `until`: the earliest, and the oldest of those.
    ///
    /// Without one, the position is `until` afterwards, or remains where it is if that is later. Each timer costs at most ten cascades in
    /// all, but one call may be the one that pays for a whole slot of them.
    pub(crate) fn pop_due(&mut self, until: u64) -> Option<(u64, T)> {
        if let Some((&deadline, &List { head, .. })) = self.overdue.first_key_value() {
            // All others are later, and so is the position.
            return (deadline <= until).then(|| (deadline, self.remove(head, deadline)));
        }
        while let Some((level, slot)) = self.first_place() {
            let Slot { list, earliest } = self.levels[level].slots[slot];
            if level == 0 {
                if earliest > until {
                    break;
                }
                self.position = earliest;
                return Some((earliest, self.remove(list.head, earliest)));
            }
            if self.start_of(level, slot) > until {
                break;
            }
            // Within the slot, and not past any timer: neither one of this slot nor one of the later slots.
            self.position = earliest.min(until);
            self.cascade(level, slot);
        }
        self.position = self.position.max(until);
        None
    }

    /// The level and the slot of that deadline, as seen from the position.
    #[inline]
    fn place_of(&self, deadline: u64) -> (usize, usize) {
        debug_assert!(deadline >= self.position);
        // With the lowest bit set, a deadline that does not differ is in level 0, like one that differs in the lowest digit.
        let differing = (deadline ^ self.position) | 1;
        let level = differing.ilog2() / DIGIT_BITS;
        let digit = (deadline >> (level * DIGIT_BITS)) % SLOTS as u64;
        (level as usize, digit as usize)
    }

    /// The slot of the earliest timer in the wheel.
    #[inline]
    fn first_place(&self) -> Option<(usize, usize)> {
        if self.occupied_levels == 0 {
            return None;
        }
        let level = self.occupied_levels.trailing_zeros() as usize;
        let slot = self.levels[level].occupied.trailing_zeros() as usize;
        Some((level, slot))
    }

    /// The first nanosecond of a slot: the position's digits above it, its own, and zeros.
    fn start_of(&self, level: usize, slot: usize) -> u64 {
        let shift = level as u32 * DIGIT_BITS;
        let digits = self.position >> shift;
        (digits - digits % SLOTS as u64 + slot as u64) << shift
    }

    /// Appends an entry that is in no list to that of its place.
    #[inline]
    fn place(&mut self, index: u32, deadline: u64) {
        let (level, digit) = self.place_of(deadline);
        self.occupied_levels |= 1 << level;
        let level = &mut self.levels[level];
        level.occupied |= 1 << digit;
        let slot = &mut level.slots[digit];
        slot.earliest = slot.earliest.min(deadline);
        self.slab.append(&mut slot.list, index);
    }

    /// Takes a timer that pends out of its list and out of the slab.
    #[inline]
    fn remove(&mut self, index: u32, deadline: u64) -> T {
        if deadline < self.position {
            self.unlink_overdue(index, deadline);
        } else {
            let (level, slot) = self.place_of(deadline);
            let list = &mut self.levels[level].slots[slot].list;
            self.slab.unlink(list, index);
            if list.head == NONE {
                self.vacate(level, slot);
            }
        }
        self.slab.release(index)
    }

    #[cold]
    fn unlink_overdue(&mut self, index: u32, deadline: u64) {
        let Deadline::Occupied(mut list) = self.overdue.entry(deadline) else {
            unreachable!("a pending timer before the position is in `overdue`");
        };
        self.slab.unlink(list.get_mut(), index);
        if list.get().head == NONE {
            list.remove();
        }
    }

    /// Puts every timer of a slot where it belongs since the position has entered the slot: into lower levels, in the same order.
    fn cascade(&mut self, level: usize, slot: usize) {
        let mut index = self.levels[level].slots[slot].list.head;
        self.vacate(level, slot);
        while index != NONE {
            let Entry { deadline, next, .. } = self.slab.entries[index as usize];
            debug_assert!(self.place_of(deadline).0 < level);
            self.place(index, deadline);
            index = next;
        }
    }

    /// Makes a slot empty, whose timers were taken out or are about to be placed elsewhere.
    #[inline]
    fn vacate(&mut self, level: usize, slot: usize) {
        let of = &mut self.levels[level];
        of.slots[slot] = EMPTY_SLOT;
        of.occupied &= !(1 << slot);
        if of.occupied == 0 {
            self.occupied_levels &= !(1 << level);
        }
    }
}

struct Slab<T> {
    entries: Vec<Entry<T>>,
    /// How many entries have a value.
    occupied: usize,
    /// The entry that was released last, from which `next` leads to all that have no value.
    vacant: u32,
    last_generation: NonZeroU32,
}

struct Entry<T> {
    deadline: u64,
    /// `None` while the entry is vacant.
    value: Option<T>,
    generation: NonZeroU32,
    previous: u32,
    next: u32,
}

impl<T> Slab<T> {
    /// A new entry, in no list.
    #[inline]
    fn occupy(&mut self, deadline: u64, value: T) -> Key {
        let next = self.last_generation.checked_add(1);
        let generation = next.unwrap_or(NonZeroU32::MIN);
        self.last_generation = generation;
        self.occupied += 1;
        let entry = Entry {
            deadline,
            value: Some(value),
            generation,
            previous: NONE,
            next: NONE,
        };
        let index = self.vacant;
        if let Some(vacant) = self.entries.get_mut(index as usize) {
            self.vacant = vacant.next;
            *vacant = entry;
            return Key { index, generation };
        }
        assert!(self.entries.len() < NONE as usize, "too many timers pend");
        let index = self.entries.len() as u32;
        self.entries.push(entry);
        Key { index, generation }
    }

    /// The deadline of a timer, if it pends.
    #[inline]
    fn deadline(&self, key: Key) -> Option<u64> {
        let entry = self.entries.get(key.index as usize)?;
        (entry.generation == key.generation && entry.value.is_some()).then_some(entry.deadline)
    }

    /// Takes the value of an entry that is in no list any more.
    #[inline]
    fn release(&mut self, index: u32) -> T {
        let entry = &mut self.entries[index as usize];
        let value = entry.value.take().expect("entries in lists have values");
        entry.next = self.vacant;
        self.vacant = index;
        self.occupied -= 1;
        if self.occupied == 0 && self.entries.capacity() > KEPT_ENTRIES {
            self.entries = Vec::new();
            self.vacant = NONE;
        }
        value
    }

    #[inline]
    fn append(&mut self, list: &mut List, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.previous = list.tail;
        entry.next = NONE;
        match self.entries.get_mut(list.tail as usize) {
            Some(tail) => tail.next = index,
            None => list.head = index,
        }
        list.tail = index;
    }

    #[inline]
    fn unlink(&mut self, list: &mut List, index: u32) {
        let Entry { previous, next, .. } = self.entries[index as usize];
        match self.entries.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => list.head = next,
        }
        match self.entries.get_mut(next as usize) {
            Some(next) => next.previous = previous,
            None => list.tail = previous,
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    /// Marsaglia's xorshift.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        /// Of every magnitude up to that many bits.
        fn distance(&mut self, bits: u64) -> u64 {
            let bits = self.next() % (bits + 1);
            self.next().checked_shr(64 - bits as u32).unwrap_or(0)
        }
    }

    impl<T> Wheel<T> {
        /// Checks whatever the methods rely on.
        fn check(&self) {
            let mut pending = 0;
            let mut check = |list: List, belongs: &dyn Fn(u64) -> bool| {
                let (mut previous, mut index) = (NONE, list.head);
                while index != NONE {
                    let entry = &self.slab.entries[index as usize];
                    assert!(entry.value.is_some() && belongs(entry.deadline));
                    assert_eq!(entry.previous, previous);
                    (previous, index) = (index, entry.next);
                    pending += 1;
                }
                assert_eq!(list.tail, previous);
            };
            for (n, level) in self.levels.iter().enumerate() {
                assert_eq!(self.occupied_levels >> n & 1 == 1, level.occupied != 0);
                for (digit, slot) in level.slots.iter().enumerate() {
                    assert_eq!(level.occupied >> digit & 1 == 0, slot.list.head == NONE);
                    check(slot.list, &|deadline| {
                        deadline >= slot.earliest && self.place_of(deadline) == (n, digit)
                    });
                }
            }
            for (&key, &list) in &self.overdue {
                assert!(key < self.position && list.head != NONE);
                check(list, &|deadline| deadline == key);
            }
            assert_eq!(pending, self.len());
        }
    }

    /// A wheel beside what it should be: a map in the order in which timers must fire, with the key of each.
    struct Modelled {
        wheel: Wheel<u64>,
        model: BTreeMap<(u64, u64), Key>,
        ended: Vec<Key>,
    }

    impl Modelled {
        fn insert(&mut self, deadline: u64) {
            let sequence = (self.model.len() + self.ended.len()) as u64;
            let key = self.wheel.insert(deadline, sequence);
            self.model.insert((deadline, sequence), key);
        }

        /// Cancels some timer at or after that deadline.
        fn cancel(&mut self, deadline: u64) {
            if let Some((&(deadline, sequence), &key)) = self.model.range((deadline, 0)..).next() {
                assert_eq!(self.wheel.cancel(key), Some(sequence));
                self.model.remove(&(deadline, sequence));
                self.ended.push(key);
            }
        }

        fn pop(&mut self, until: u64) -> bool {
            let before = self.wheel.position;
            let popped = self.wheel.pop_due(until);
            let first = self.model.first_entry();
            let expected = first.filter(|first| first.key().0 <= until);
            assert_eq!(popped, expected.as_ref().map(|first| *first.key()));
            self.ended.extend(expected.map(|first| first.remove()));
            assert!(popped.is_some() || self.wheel.position == before.max(until));
            popped.is_some()
        }
    }

    /// Random operations; distances are up to that many bits.
    fn agrees_with_the_model(seed: u64, bits: u64, cancelling: bool) {
        let mut random = Random(seed);
        let mut both = Modelled {
            wheel: Wheel::new(random.distance(64)),
            model: BTreeMap::new(),
            ended: Vec::new(),
        };
        for step in 0..5_000 {
            let position = both.wheel.position;
            let later = position.saturating_add(random.distance(bits));
            let soon = position.saturating_add(random.distance(bits) / 16);
            match random.next() % 16 {
                0..6 => both.insert(later),
                // On the same deadline as another.
                6 => match both.model.range((later, 0)..).next() {
                    Some((&(deadline, _), _)) => both.insert(deadline),
                    None => both.insert(u64::MAX),
                },
                7 => both.insert(position.saturating_sub(random.distance(bits))),
                8..12 if cancelling => both.cancel(later.min(random.distance(64))),
                12 => _ = both.pop(position.saturating_sub(random.distance(bits))),
                13 => while both.pop(soon) {},
                _ => _ = both.pop(soon),
            }
            let earliest = both.model.keys().next().map(|&(deadline, _)| deadline);
            let bound = both.wheel.next_deadline();
            assert!(bound.is_some() == earliest.is_some() && bound <= earliest);
            assert!(cancelling || bound == earliest);
            if step % 16 == 0 {
                both.wheel.check();
                let stale = random.next() as usize % (both.ended.len() + 1);
                if let Some(&key) = both.ended.get(stale) {
                    assert_eq!(both.wheel.cancel(key), None);
                }
            }
        }
        while both.pop(u64::MAX) {}
        both.wheel.check();
        assert_eq!(both.wheel.len(), 0);
    }

    #[test]
    fn fires_in_the_order_of_deadline_then_creation() {
        for seed in 1..=8 {
            for bits in [3, 7, 13, 24, 40, 64] {
                agrees_with_the_model(seed * 0x9e37_79b9, bits, true);
                agrees_with_the_model(seed * 0x85eb_ca6b, bits, false);
            }
        }
    }

    #[test]
    fn a_million_fire_in_order_and_give_their_memory_back() {
        let mut random = Random(7);
        let mut deadline = || (1 << 60) + random.next() % 600_000 * 100_000;
        let mut expected: Vec<_> = (0..1_000_000).map(|n| (deadline(), n)).collect();
        let mut wheel = Wheel::new(1 << 60);
        for &(deadline, n) in &expected {
            wheel.insert(deadline, n);
        }
        expected.sort_unstable();
        assert!(std::iter::from_fn(|| wheel.pop_due(u64::MAX)).eq(expected));
        assert_eq!(wheel.slab.entries.capacity(), 0);

        let few: Vec<_> = (0..KEPT_ENTRIES).map(|_| wheel.insert(0, 0)).collect();
        assert!(few.iter().all(|&key| wheel.cancel(key).is_some()));
        assert_eq!(wheel.slab.entries.capacity(), KEPT_ENTRIES);
    }

    #[test]
    fn a_key_names_nothing_once_its_timer_has_ended() {
        let mut wheel = Wheel::new(0);
        let keys: Vec<_> = (0..3000).map(|n| wheel.insert(n, n)).collect();
        while wheel.pop_due(1999).is_some() {}
        for (n, &key) in (0..).zip(&keys) {
            assert_eq!(wheel.cancel(key), (n >= 2000).then_some(n));
        }
        assert_eq!(wheel.slab.entries.capacity(), 0);

        (0..3000).for_each(|n| _ = wheel.insert(n, n));
        assert!(keys.iter().all(|&key| wheel.cancel(key).is_none()));

        wheel.slab.last_generation = NonZeroU32::MAX;
        let first_again = wheel.insert(0, 7);
        assert_eq!(wheel.cancel(first_again), Some(7));
    }

    #[test]
    fn the_deadline_after_a_cancelled_one_is_found_in_few_steps() {
        for distance in (0..40).map(|bits| 1_u64 << bits) {
            let mut wheel = Wheel::new(0);
            wheel.insert((1 << 50) + 2 * distance, ());
            let earlier = wheel.insert((1 << 50) + distance, ());
            wheel.cancel(earlier);
            let step = || Some(wheel.pop_due(wheel.next_deadline()?));
            assert!(std::iter::from_fn(step).count() <= LEVELS);
            assert_eq!(wheel.len(), 0);
        }
    }
}
