use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::super::free_slots::CHAIN;
use super::*;
use crate::process::Upid;
use crate::process::event::{SentAt, TerminateEvent};
use crate::process::slot::Delivery;

/// What a test's thread does as the one that has the seat, or has none.
struct Claimer<'a> {
    arena: &'a Arena,
    own: &'a FreeSlots,
    seat: Option<usize>,
}

impl<'a> Claimer<'a> {
    fn claim(&self) -> &'a Slot {
        // SAFETY: each test has one claimer for each seat at a time.
        unsafe { self.arena.claim(self.own, self.seat) }.unwrap()
    }

    fn unclaim(&self, slot: &Slot) {
        // SAFETY: claimed and never opened: there is no token. The seat as in `claim`.
        unsafe { self.arena.unclaim((self.own, self.seat), slot) };
    }
}

#[test]
fn a_slot_is_retired_when_its_generations_are_used_up() {
    // Two-bit generations: 1, 2, 3.
    let (arena, own) = (&Arena::new(3), &FreeSlots::new(0));
    let seat = None;
    let claimer = Claimer { arena, own, seat };
    let mut pids = Vec::new();
    for _ in 0..3 {
        let slot = claimer.claim();
        assert_eq!(slot.index(), 0);
        pids.push(slot.pid());
        claimer.unclaim(slot);
    }
    let fourth = claimer.claim();
    assert_eq!(fourth.index(), 1, "the retired slot came back");
    pids.push(fourth.pid());
    pids.dedup();
    assert_eq!(pids.len(), 4, "two tenants had the same pid");
    for pid in &pids[..3] {
        assert!(arena.slot(*pid).lock_ties(*pid).is_none());
        let event = TerminateEvent {
            from: Upid::nobody(),
        }
        .allocate();
        let delivery = arena.slot(*pid).push(*pid, event, SentAt::UNTOLD);
        assert!(
            matches!(delivery, Delivery::Dead(_)),
            "an event reached {pid:?}"
        );
        assert!(!arena.is_current(*pid), "{pid:?} has ended");
    }
    assert!(arena.is_current(pids[3]));
}

#[test]
fn what_is_sent_to_nobody_is_dead_also_where_no_process_ever_was() {
    let arena = Arena::new(3);
    assert!(!arena.is_current(RawPid::NOBODY));
    arena.make_first();
    let event = TerminateEvent {
        from: Upid::nobody(),
    }
    .allocate();
    let nobody = RawPid::NOBODY;
    let delivery = arena
        .slot(nobody)
        .push_terminate(nobody, event, SentAt::UNTOLD);
    assert!(matches!(delivery, Delivery::Dead(_)));
}

#[test]
fn a_runtime_that_ends_gives_its_slots_to_others() {
    let arena = &Arena::new(u32::MAX);
    let (one, other) = (&FreeSlots::new(2), &FreeSlots::new(1));
    // Of the second seat two chains and a bit, so that some are in each place.
    let count = 2 * CHAIN + 3;
    let claimed = [(Some(0), 5), (Some(1), count), (None, 2)].map(|(seat, count)| {
        let claimer = Claimer {
            arena,
            own: one,
            seat,
        };
        let slots: Vec<_> = (0..count).map(|_| claimer.claim()).collect();
        (claimer, slots)
    });
    let mut given_back = HashSet::new();
    for (claimer, slots) in claimed {
        for slot in slots {
            assert!(given_back.insert(slot.index()), "claimed twice");
            claimer.unclaim(slot);
        }
    }
    let seat = Some(0);
    let claimer = Claimer {
        arena,
        own: other,
        seat,
    };
    let fresh = claimer.claim().index();
    assert!(!given_back.contains(&fresh));
    let mut used = 0;
    arena.for_each_used(|_| used += 1);
    // SAFETY: nobody has a seat.
    unsafe { one.drain(arena) };
    let free: HashSet<_> = (1..used).map(|_| claimer.claim().index()).collect();
    assert!(
        free.is_superset(&given_back),
        "slots that nobody finds: {:?}",
        given_back.difference(&free)
    );
    let mut used_now = 0;
    arena.for_each_used(|_| used_now += 1);
    assert_eq!(used_now, used, "fresh slots although there were free ones");
}

#[test]
fn a_seat_takes_what_another_one_has_freed() {
    let (arena, own) = (&Arena::new(u32::MAX), &FreeSlots::new(2));
    let [one, other] = [Some(0), Some(1)].map(|seat| Claimer { arena, own, seat });
    for _ in 0..20 * CHAIN {
        let slot = one.claim();
        other.unclaim(slot);
    }
    let mut used = 0;
    arena.for_each_used(|_| used += 1);
    // The one claims from a chain, the other has two.
    assert!(used <= 4 * CHAIN, "{used} slots for one process at a time");
}

/// Four threads, three of them with a seat, that claim and free: each what it claimed, or what it was given by the others.
#[test]
fn each_slot_is_given_to_one_claimer() {
    const ROUNDS: u32 = 20_000;
    let shared = Arc::new((Arena::new(u32::MAX), FreeSlots::new(3)));
    let held: Arc<[AtomicBool]> = (0..1024).map(|_| AtomicBool::new(false)).collect();
    // What a claimer leaves to whoever comes next; a slot's number, plus one.
    let left: Arc<[AtomicU32]> = (0..16).map(|_| AtomicU32::new(0)).collect();
    let claimers: Vec<_> = (0..4)
        .map(|number| {
            let (shared, held, left) = (Arc::clone(&shared), Arc::clone(&held), Arc::clone(&left));
            std::thread::spawn(move || {
                let (arena, own) = &*shared;
                let seat = (number < 3).then_some(number);
                let claimer = Claimer { arena, own, seat };
                for round in 0..ROUNDS {
                    let index = claimer.claim().index();
                    let claimed_before = held[index as usize].swap(true, Ordering::Relaxed);
                    assert!(!claimed_before, "claimed twice in round {round}");
                    let place = &left[(round as usize * (number + 1)) % left.len()];
                    // AcqRel: pairs with itself, of whoever takes it out.
                    let Some(index) = place.swap(index + 1, Ordering::AcqRel).checked_sub(1) else {
                        continue;
                    };
                    held[index as usize].store(false, Ordering::Relaxed);
                    claimer.unclaim(arena.at(index));
                }
            })
        })
        .collect();
    for claimer in claimers {
        claimer.join().unwrap();
    }
    let mut used = 0;
    shared.0.for_each_used(|_| used += 1);
    // What is left, what is claimed, and two chains for each seat with one under way.
    let most = left.len() as u32 + 4 + 3 * 3 * CHAIN;
    assert!(used <= most, "{used} slots in use, of {most} at the most");
}
