//! Models of bounded mailboxes: who stalls with a credit while the slot changes its tenant, and who waits for room. As `models`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use loom::thread;

use super::RawPid;
use super::models::{World, complaint, model};
use super::room::{Told, Waiter};
use super::tenancy::Take;

/// Whether some interleaving had the second tenant in the first one's slot.
static REUSED: AtomicBool = AtomicBool::new(false);

/// Everything is at rest: all credits are there, and no more.
fn check_credits(world: &World, pid: RawPid, capacity: u32) {
    let available = world.arena.slot(pid).available();
    assert_eq!(available, Some(capacity), "credits were lost, or made");
}

/// A sender takes a credit and pushes at any time, also while the slot changes from one bounded tenant to another. A bug: it takes a credit of the second
/// tenant, whom its event never reaches, and who is smaller by one ever after.
fn stalled_taker() {
    let world = World::new();
    let first = world.spawn_bounded(Some(1));
    let sender = {
        let world = Arc::clone(&world);
        thread::spawn(move || world.send(first))
    };
    world.terminate(first);
    let second = world.spawn_bounded(Some(1));
    sender.join().unwrap();
    if second.index() == first.index() {
        REUSED.store(true, Ordering::Relaxed);
    }
    check_credits(&world, second, 1);
    world.send(second);
    check_credits(&world, second, 1);
    world.terminate(second);
    world.check(4, 2);
}

#[test]
fn a_stalled_sender_takes_no_credit_of_the_next_tenant() {
    model(stalled_taker);
    assert!(
        REUSED.load(Ordering::Relaxed),
        "no interleaving reused the slot"
    );
}

#[test]
fn without_the_generation_beside_the_credits_it_would() {
    let complaint = complaint("credit-tenancy", stalled_taker);
    assert!(complaint.contains("credits were lost"), "{complaint}");
}

/// A permit is dropped unused at any time. A bug: its credit becomes one of the next tenant's, who then holds more than he said.
fn stalled_permit() {
    let world = World::new();
    let first = world.spawn_bounded(Some(1));
    let holder = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            if world.arena.slot(first).take_credit(first) == Take::Taken {
                world.give_back(first);
            }
        })
    };
    world.terminate(first);
    let second = world.spawn_bounded(Some(1));
    holder.join().unwrap();
    check_credits(&world, second, 1);
    world.terminate(second);
    world.check(2, 2);
}

#[test]
fn a_permit_of_the_last_tenant_gives_the_next_one_nothing() {
    model(stalled_permit);
}

#[test]
fn without_the_generation_it_would() {
    let complaint = complaint("credit-return-tenancy", stalled_permit);
    assert!(complaint.contains("credits were lost"), "{complaint}");
}

/// Waits for a credit; counts up when it comes.
fn wait_for_room(world: &World, pid: RawPid, granted: &Arc<AtomicU32>) {
    let counts = Arc::clone(granted);
    let take = world
        .arena
        .slot(pid)
        .take_or_wait(pid, |_ticket| -> Waiter {
            Box::new(move |told| {
                if matches!(told, Told::Granted) {
                    counts.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
    if take == Take::Taken {
        granted.fetch_add(1, Ordering::Relaxed);
    }
}

/// One thread sends, and serves what it sent; another waits for room. A bug: the credit comes back just when the waiter lies down, and nobody wakes him.
fn lost_wake_up() {
    let world = World::new();
    let pid = world.spawn_bounded(Some(1));
    let granted = Arc::new(AtomicU32::new(0));
    let sender = {
        let world = Arc::clone(&world);
        thread::spawn(move || world.send(pid))
    };
    wait_for_room(&world, pid, &granted);
    sender.join().unwrap();
    assert_eq!(granted.load(Ordering::Relaxed), 1, "a waiter sleeps on");
    world.give_back(pid);
    check_credits(&world, pid, 1);
    world.terminate(pid);
    world.check(2, 1);
}

#[test]
fn who_waits_for_room_is_woken() {
    model(lost_wake_up);
}

#[test]
fn lying_down_in_two_steps_he_would_not_be() {
    let complaint = complaint("wait-in-two-steps", lost_wake_up);
    assert!(complaint.contains("a waiter sleeps on"), "{complaint}");
}

/// A waiter gives up while the credit comes back. A bug: the credit goes to nobody, or the word says for ever that somebody waits.
fn gives_up() {
    let world = World::new();
    let pid = world.spawn_bounded(Some(1));
    let granted = Arc::new(AtomicU32::new(0));
    assert_eq!(world.arena.slot(pid).take_credit(pid), Take::Taken);
    wait_for_room(&world, pid, &granted);
    let waiter = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            if let Some(waiter) = world.arena.slot(pid).stop_waiting(pid, 0) {
                waiter(Told::GivenUp);
            }
        })
    };
    world.give_back(pid);
    waiter.join().unwrap();
    if granted.load(Ordering::Relaxed) == 1 {
        world.give_back(pid);
    }
    check_credits(&world, pid, 1);
    world.terminate(pid);
    world.check(1, 1);
}

#[test]
fn who_gives_up_leaves_the_credit() {
    model(gives_up);
}

#[test]
fn if_the_last_waiter_did_not_reset_the_word_he_would_not() {
    let complaint = complaint("last-waiter", gives_up);
    assert!(complaint.contains("credits were lost"), "{complaint}");
}
