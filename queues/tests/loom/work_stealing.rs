//! Models of the work-stealing run queue: its ring, which holds two items under loom, and its place for the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libprocess_queues::run::{RunQueue, WorkStealingRunQueue};
use loom::cell::UnsafeCell;
use loom::thread;

use super::{check, fails};

/// A queue of numbers, and for each number a cell: written before it is put in, and by whoever takes it out. loom fails a
/// model in which one taker does not see the putter's write, or two take the same number.
struct Numbers {
    queue: WorkStealingRunQueue<usize>,
    cells: Vec<UnsafeCell<usize>>,
    taken: AtomicUsize,
}

// SAFETY: loom checks every access to the cells, which is what the models are for.
unsafe impl Sync for Numbers {}
// SAFETY: as above.
unsafe impl Send for Numbers {}

impl Numbers {
    fn new(workers: usize, count: usize) -> Arc<Numbers> {
        Arc::new(Numbers {
            queue: WorkStealingRunQueue::new(workers),
            cells: (0..count).map(|_| UnsafeCell::new(0)).collect(),
            taken: AtomicUsize::new(0),
        })
    }

    fn made(&self, number: usize) -> usize {
        // SAFETY: nobody else knows the number yet.
        self.cells[number].with_mut(|cell| unsafe { *cell += 1 });
        number
    }

    fn took(&self, number: Option<usize>) -> bool {
        let Some(number) = number else { return false };
        // SAFETY: we have taken the number out, and are the only one who has.
        self.cells[number].with_mut(|cell| unsafe {
            assert_eq!(*cell, 1, "a number was taken twice");
            *cell += 1;
        });
        self.taken.fetch_add(1, Relaxed);
        true
    }
}

/// An owner whose ring overflows, and a thief.
fn owner_and_thief(count: usize) {
    let numbers = Numbers::new(2, count);
    let thief = thread::spawn({
        let numbers = Arc::clone(&numbers);
        move || {
            let mut local = numbers.queue.local(1);
            numbers.took(numbers.queue.steal(&mut local));
            while numbers.took(numbers.queue.dequeue(&mut local)) {}
        }
    });
    let mut local = numbers.queue.local(0);
    for number in 0..count {
        numbers
            .queue
            .enqueue_local(&mut local, numbers.made(number));
    }
    while numbers.took(numbers.queue.dequeue(&mut local)) {}
    thief.join().unwrap();
    while numbers.took(numbers.queue.dequeue(&mut local)) {}
    assert_eq!(numbers.taken.load(Relaxed), count, "a number was lost");
}

/// Two thieves at one ring, while its owner takes from it.
fn two_thieves() {
    const COUNT: usize = 3;
    let numbers = Numbers::new(3, COUNT);
    let mut local = numbers.queue.local(0);
    for number in 0..COUNT {
        numbers
            .queue
            .enqueue_local(&mut local, numbers.made(number));
    }
    let thieves = [1, 2].map(|worker| {
        let numbers = Arc::clone(&numbers);
        thread::spawn(move || {
            let mut local = numbers.queue.local(worker);
            while numbers.took(numbers.queue.steal(&mut local)) {}
        })
    });
    while numbers.took(numbers.queue.dequeue(&mut local)) {}
    for thief in thieves {
        thief.join().unwrap();
    }
    assert_eq!(numbers.taken.load(Relaxed), COUNT, "a number was lost");
}

/// An owner that puts, displaces and takes what is next, and somebody who takes it away.
fn the_next_one() {
    const COUNT: usize = 3;
    let numbers = Numbers::new(1, COUNT);
    let thief = thread::spawn({
        let numbers = Arc::clone(&numbers);
        move || {
            numbers.took(numbers.queue.take_kept(0));
        }
    });
    let mut local = numbers.queue.local(0);
    numbers.queue.enqueue_local(&mut local, numbers.made(0));
    numbers.queue.enqueue_local(&mut local, numbers.made(1));
    numbers.took(numbers.queue.dequeue(&mut local));
    numbers.queue.enqueue_local(&mut local, numbers.made(2));
    while numbers.took(numbers.queue.dequeue(&mut local)) {}
    thief.join().unwrap();
    while numbers.took(numbers.queue.dequeue(&mut local)) {}
    assert_eq!(numbers.taken.load(Relaxed), COUNT, "a number was lost");
}

#[test]
fn an_owner_and_a_thief_take_each_item_once() {
    check(Some(3), || owner_and_thief(3));
}

#[test]
fn a_ring_overflows_under_a_thief() {
    check(Some(2), || owner_and_thief(5));
}

#[test]
fn two_thieves_and_an_owner_take_each_item_once() {
    check(Some(2), two_thieves);
}

#[test]
fn the_next_item_is_taken_once() {
    check(None, the_next_one);
}

const RACE: &[&str] = &["Causality violation", "a number was taken twice"];

#[test]
fn weakened_a_thief_does_not_see_what_was_pushed() {
    fails("ring-publish", RACE, || owner_and_thief(3));
}

#[test]
fn weakened_the_next_item_is_taken_unseen() {
    fails("next-put", RACE, the_next_one);
}

#[test]
fn weakened_the_next_place_is_written_while_it_is_read() {
    fails("next-busy", RACE, the_next_one);
}

#[test]
fn weakened_a_place_is_written_while_a_thief_reads_it() {
    fails("ring-freed", RACE, || owner_and_thief(5));
}
