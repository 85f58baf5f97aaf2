//! The waiting threads, from the newest to the oldest: a doubly linked list over fixed slots.
//!
//! Doubly linked, because a thread may leave from the middle. The free slots are a list over the
//! same links, so every operation takes the same few steps, however many wait, and none allocates.
//! All of it is plain data under the semaphore's mutex.

use super::slot::Turn;
use crate::parker::Parker;
use std::sync::Arc;

/// Stands for "no slot" in a link. Larger than any capacity.
const NONE: u32 = u32::MAX;

/// How many of the newest `pop_elsewhere` chooses among: a bound on its time under the mutex.
const LOOKED_AT: usize = 8;

/// A thread that has been taken off the list.
pub(super) struct Waiter {
    pub(super) index: u32,
    pub(super) turn: Turn,
    pub(super) parker: Arc<dyn Parker>,
}

/// Whose turn it is, how to wake the thread, and where it fell asleep.
struct Tenant {
    turn: Turn,
    parker: Arc<dyn Parker>,
    processor: u32,
}

struct Place {
    /// Towards the newest; unused while free.
    newer: u32,
    /// Towards the oldest; while free, the next free one.
    older: u32,
    /// Present while somebody waits here.
    tenant: Option<Tenant>,
}

pub(super) struct Waiters {
    places: Box<[Place]>,
    newest: u32,
    free: u32,
    len: usize,
    next_ticket: u64,
}

impl Waiters {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let capacity = u32::try_from(capacity).expect("capacity fits an index");
        assert!(capacity > 0 && capacity < NONE);
        let places = (0..capacity).map(|index| Place {
            newer: NONE,
            older: if index + 1 < capacity {
                index + 1
            } else {
                NONE
            },
            tenant: None,
        });
        Waiters {
            places: places.collect(),
            newest: NONE,
            free: 0,
            len: 0,
            next_ticket: 1,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Joins as the newest: the slot's index and the turn, or the parker back if all slots are
    /// taken.
    pub(super) fn push_newest(
        &mut self,
        parker: Arc<dyn Parker>,
        processor: u32,
    ) -> Result<(u32, Turn), Arc<dyn Parker>> {
        let index = self.free;
        if index == NONE {
            return Err(parker);
        }
        let turn = Turn::waiting(self.next_ticket);
        let place = &mut self.places[index as usize];
        debug_assert!(place.tenant.is_none(), "a free slot with a tenant");
        self.free = place.older;
        *place = Place {
            newer: NONE,
            older: self.newest,
            tenant: Some(Tenant {
                turn,
                parker,
                processor,
            }),
        };
        if self.newest != NONE {
            self.places[self.newest as usize].newer = index;
        }
        self.newest = index;
        self.len += 1;
        self.next_ticket += 1;
        Ok((index, turn))
    }

    /// Takes the newest off the list and frees its slot.
    pub(super) fn pop_newest(&mut self) -> Option<Waiter> {
        match self.newest {
            NONE => None,
            index => Some(self.remove(index)),
        }
    }

    /// Takes the newest off the list that did not fall asleep on this processor; the newest of all,
    /// where the newest ones did.
    pub(super) fn pop_elsewhere(&mut self, processor: u32) -> Option<Waiter> {
        let mut index = self.newest;
        for _ in 0..LOOKED_AT {
            if index == NONE {
                break;
            }
            let place = &self.places[index as usize];
            let tenant = place.tenant.as_ref().expect("somebody waits in the slot");
            if tenant.processor != processor {
                return Some(self.remove(index));
            }
            index = place.older;
        }
        self.pop_newest()
    }

    /// Takes the one in slot `index` off the list and frees the slot.
    pub(super) fn remove(&mut self, index: u32) -> Waiter {
        let free = self.free;
        let place = &mut self.places[index as usize];
        let tenant = place.tenant.take().expect("somebody waits in the slot");
        let (newer, older) = (place.newer, place.older);
        place.newer = NONE;
        place.older = free;
        self.free = index;
        match newer {
            NONE => self.newest = older,
            newer => self.places[newer as usize].older = older,
        }
        if older != NONE {
            self.places[older as usize].newer = newer;
        }
        self.len -= 1;
        Waiter {
            index,
            turn: tenant.turn,
            parker: tenant.parker,
        }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;
    use crate::parker::FutexParker;
    use std::collections::HashSet;

    fn parker() -> Arc<dyn Parker> {
        Arc::new(FutexParker::new())
    }

    /// From the newest to the oldest, checking the links both ways.
    fn walk(list: &Waiters) -> Vec<u32> {
        let mut found = Vec::new();
        let (mut index, mut newer) = (list.newest, NONE);
        while index != NONE {
            let place = &list.places[index as usize];
            assert_eq!(place.newer, newer);
            assert!(place.tenant.is_some());
            found.push(index);
            (newer, index) = (index, place.older);
        }
        found
    }

    fn free(list: &Waiters) -> usize {
        let (mut index, mut count) = (list.free, 0);
        while index != NONE {
            assert!(list.places[index as usize].tenant.is_none());
            index = list.places[index as usize].older;
            count += 1;
        }
        count
    }

    /// Random operations against a `Vec`.
    #[test]
    fn follows_its_plain_counterpart() {
        for capacity in [1, 2, 7, 20] {
            let mut random = 0x2545_F491_4F6C_DD1D_u64 + capacity as u64;
            let mut list = Waiters::with_capacity(capacity);
            let mut expected: Vec<(u32, u32)> = Vec::new();
            let mut turns = HashSet::new();
            for _ in 0..5_000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let processor = (random >> 40) as u32 % 3;
                match random % 5 {
                    0 | 1 => match list.push_newest(parker(), processor) {
                        Ok((index, turn)) => {
                            assert!(expected.iter().all(|(known, _)| *known != index));
                            assert!(turns.insert(format!("{turn:?}")), "a turn was given twice");
                            expected.push((index, processor));
                        }
                        Err(_) => assert_eq!(expected.len(), capacity),
                    },
                    2 => {
                        let found = list.pop_newest().map(|waiter| waiter.index);
                        assert_eq!(found, expected.pop().map(|(index, _)| index));
                    }
                    3 => {
                        let here = (random >> 32) as u32 % 3;
                        let found = list.pop_elsewhere(here).map(|waiter| waiter.index);
                        let elsewhere = expected
                            .iter()
                            .rposition(|(_, processor)| *processor != here)
                            .filter(|place| expected.len() - place <= LOOKED_AT)
                            .or(expected.len().checked_sub(1));
                        let expected = elsewhere.map(|place| expected.remove(place).0);
                        assert_eq!(found, expected);
                    }
                    _ if expected.is_empty() => assert!(list.is_empty()),
                    _ => {
                        let victim = (random >> 32) as usize % expected.len();
                        let _ = list.remove(expected.remove(victim).0);
                    }
                }
                assert!(
                    walk(&list)
                        .iter()
                        .rev()
                        .eq(expected.iter().map(|(index, _)| index))
                );
                assert_eq!(list.len(), expected.len());
                assert_eq!(free(&list), capacity - expected.len());
            }
        }
    }

    /// Eight are looked at, and no more.
    #[test]
    fn one_elsewhere_is_found_among_the_newest() {
        for (here, expected) in [(LOOKED_AT - 1, 0), (LOOKED_AT, LOOKED_AT)] {
            let mut list = Waiters::with_capacity(LOOKED_AT + 1);
            let (elsewhere, _) = list.push_newest(parker(), 1).ok().expect("room");
            assert_eq!(elsewhere, 0);
            for _ in 0..here {
                assert!(list.push_newest(parker(), 0).is_ok());
            }
            let found = list.pop_elsewhere(0).expect("somebody waits");
            assert_eq!(found.index as usize, expected);
            assert_eq!(walk(&list).len(), here);
        }
        assert!(Waiters::with_capacity(1).pop_elsewhere(0).is_none());
    }

    #[test]
    fn a_refused_parker_comes_back() {
        let mut list = Waiters::with_capacity(1);
        assert!(list.push_newest(parker(), 0).is_ok());
        let second = parker();
        let refused = list.push_newest(Arc::clone(&second), 0).unwrap_err();
        assert!(Arc::ptr_eq(&refused, &second));
    }
}
