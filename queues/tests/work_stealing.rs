//! What the work-stealing run queue does beyond what every run queue does.

#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Books, Item, scaled, thread, until_hit, with_seeds};
use libprocess_queues::run::{Placed, RunQueue, WorkStealingRunQueue};

#[test]
fn what_a_worker_makes_runnable_runs_next_and_the_rest_in_order() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    assert_eq!(queue.enqueue_local(&mut local, 1), Placed::Kept);
    for item in 2..=4 {
        assert_eq!(queue.enqueue_local(&mut local, item), Placed::Shared);
    }
    queue.enqueue(5);
    assert_eq!(queue.len(), 5);
    let order: Vec<_> = std::iter::from_fn(|| queue.dequeue(&mut local)).collect();
    assert_eq!(order, [4, 1, 2, 3, 5]);
    assert!(queue.is_empty());
}

#[test]
fn the_injector_has_one_turn_in_eight() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    for item in 1..=100 {
        queue.enqueue_local(&mut local, item);
        queue.enqueue(-item);
    }
    // First what is next.
    assert_eq!(queue.dequeue(&mut local), Some(100));
    let turns: Vec<_> = (0..80).filter_map(|_| queue.dequeue(&mut local)).collect();
    let injected = (0..80).filter(|&turn| turns[turn] < 0);
    assert!(injected.eq((7..80).step_by(8)), "{turns:?}");
}

/// Many that never rest, from outside: more than those for whom one that yields alone makes room in the ring.
#[test]
fn those_who_yield_come_out_of_ring_and_injector_in_turn() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    for item in 0..1_000 {
        queue.enqueue(item);
    }
    let mut last = [0; 1_000];
    for turn in 0..20_000 {
        let item: usize = queue.dequeue(&mut local).expect("all of them");
        let waited = turn - std::mem::replace(&mut last[item], turn);
        assert!(waited <= 2_500, "{item} waited for {waited} turns");
        queue.enqueue_yielded(&mut local, item);
    }
    assert!(last.iter().all(|last| *last > 20_000 - 2_500));
}

/// Chains shorter than those that are cut off.
#[test]
fn runs_of_fifteen_do_not_keep_the_injector_waiting() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    for _ in 0..200 {
        queue.enqueue_local(&mut local, "of the ring");
    }
    queue.enqueue("from outside");
    let (mut left, mut run, mut waited, mut longest) = (200, 0, 0, 0);
    while left > 0 {
        waited += 1;
        match queue.dequeue(&mut local).expect("something") {
            "from outside" => {
                longest = longest.max(std::mem::take(&mut waited));
                queue.enqueue("from outside");
            }
            item if run < 15 => {
                run += 1;
                queue.enqueue_local(&mut local, item);
            }
            _ => (run, left) = (0, left - 1),
        }
    }
    assert!((1..=40).contains(&longest), "{longest} turns");
}

#[test]
fn two_that_yield_to_each_other_stay_with_their_worker() {
    let queue = WorkStealingRunQueue::new(2);
    let (mut one, mut other) = (queue.local(0), queue.local(1));
    queue.enqueue_local(&mut one, 'a');
    for turn in 0..1_000 {
        let running = queue.dequeue(&mut one).unwrap();
        assert_eq!(running, if turn % 2 == 0 { 'a' } else { 'b' });
        if turn == 0 {
            queue.enqueue_local(&mut one, 'b');
        }
        assert_eq!(queue.enqueue_yielded(&mut one, running), Placed::Kept);
        assert!(!queue.has_shared());
        assert_eq!(queue.steal(&mut other), None);
    }
}

#[test]
fn what_a_worker_shares_others_find_in_its_order() {
    let queue = WorkStealingRunQueue::new(2);
    let (mut one, mut other) = (queue.local(0), queue.local(1));
    for item in 0..4 {
        queue.enqueue_local(&mut one, item);
    }
    queue.share(&mut one);
    assert_eq!((queue.kept(0), queue.len()), (None, 4));
    let order: Vec<_> = std::iter::from_fn(|| queue.dequeue(&mut other)).collect();
    assert_eq!(order, [3, 0, 1, 2]);
    queue.share(&mut one);
    assert!(queue.is_empty());
}

#[test]
fn who_yields_goes_behind_what_others_could_take() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    for item in 0..3 {
        queue.enqueue_local(&mut local, item);
    }
    assert_eq!(queue.enqueue_yielded(&mut local, 9), Placed::Shared);
    let order: Vec<_> = std::iter::from_fn(|| queue.dequeue(&mut local)).collect();
    assert_eq!(order, [2, 0, 1, 9]);
}

#[test]
fn a_worker_is_told_that_it_has_more_than_it_has_room_for() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    let placed: Vec<_> = (0..1_000)
        .map(|item| queue.enqueue_local(&mut local, item))
        .collect();
    assert_eq!(placed[0], Placed::Kept);
    // One is next, 256 are in the ring, of which half goes with the one too many.
    let crowded = (1..1_000).filter(|&item| placed[item] == Placed::Crowded);
    assert!(crowded.eq((257..1_000).step_by(129)));
    assert_eq!(
        std::iter::from_fn(|| queue.dequeue(&mut local)).count(),
        1_000
    );
}

#[test]
fn who_yields_goes_behind_what_came_from_outside() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    queue.enqueue_local(&mut local, 100);
    assert_eq!(queue.dequeue(&mut local), Some(100));
    for item in 0..100 {
        queue.enqueue(item);
    }
    assert_eq!(queue.enqueue_yielded(&mut local, 100), Placed::Shared);
    let order: Vec<_> = std::iter::from_fn(|| queue.dequeue(&mut local)).collect();
    assert!(order.into_iter().eq(0..=100));
}

/// Two items that make each other next for ever, beside one that waits in the ring and one that came from outside.
#[test]
fn what_is_next_cannot_starve_the_rest() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    queue.enqueue_local(&mut local, "waits");
    queue.enqueue_local(&mut local, "next");
    queue.enqueue("from outside");
    let mut turns = Vec::new();
    while turns.len() < 200 {
        let item = queue.dequeue(&mut local).unwrap();
        turns.push(item);
        if item == "next" {
            queue.enqueue_local(&mut local, item);
        }
    }
    let when = |item| turns.iter().position(|turn| *turn == item);
    assert!(when("waits") <= Some(17), "{:?}", when("waits"));
    assert!(
        when("from outside") <= Some(64),
        "{:?}",
        when("from outside")
    );
}

#[test]
fn a_worker_with_much_of_its_own_looks_outside_in_turn() {
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    for _ in 0..100 {
        queue.enqueue_local(&mut local, "own");
    }
    queue.enqueue("from outside");
    let mut turns = 0;
    while queue.dequeue(&mut local) != Some("from outside") {
        queue.enqueue_local(&mut local, "own");
        turns += 1;
        assert!(turns <= 35, "starved");
    }
}

#[test]
fn a_thief_takes_half_and_the_oldest_first() {
    let queue = WorkStealingRunQueue::new(2);
    let (mut one, mut other) = (queue.local(0), queue.local(1));
    for item in 0..11 {
        queue.enqueue_local(&mut one, item); // 10 is next, 0 to 9 can be stolen
    }
    assert_eq!(queue.steal(&mut other), Some(0));
    let stolen: Vec<_> = std::iter::from_fn(|| queue.dequeue(&mut other)).collect();
    assert_eq!(stolen, [1, 2, 3, 4]);
    let left: Vec<_> = std::iter::from_fn(|| queue.dequeue(&mut one)).collect();
    assert_eq!(left, [10, 5, 6, 7, 8, 9]);
}

#[test]
fn what_is_kept_shows_and_can_be_taken() {
    let queue = WorkStealingRunQueue::new(2);
    let mut local = queue.local(0);
    queue.enqueue_local(&mut local, 1);
    let _ran = queue.dequeue(&mut local);
    assert_eq!(queue.kept(0), None);
    queue.enqueue_local(&mut local, 2);
    let seen = queue.kept(0);
    assert_eq!(
        (seen, queue.kept(0)),
        (Some(1), seen),
        "a worker without a turn"
    );
    assert_eq!(queue.take_kept(1), None);
    assert_eq!(queue.take_kept(0), Some(2));
    assert_eq!(queue.dequeue(&mut local), None);
}

#[test]
#[should_panic(expected = "worker 0 has its part of the run queue already")]
fn a_part_has_one_owner() {
    let queue = WorkStealingRunQueue::<u8>::new(1);
    let _one = queue.local(0);
    let _again = queue.local(0);
}

#[test]
fn a_part_outlives_its_owner_and_its_queue() {
    let books = Books::default();
    let queue = WorkStealingRunQueue::new(1);
    let mut local = queue.local(0);
    for number in 0..600 {
        queue.enqueue_local(&mut local, books.item(0, number));
    }
    drop(local);
    let mut local = queue.local(0);
    assert_eq!(queue.len(), 600);
    drop(queue.dequeue(&mut local));
    drop(queue);
    drop(local);
    assert_eq!(books.dropped(), 600);
}

/// Random operations of one owner, beside a thief in the same thread: everything comes out once.
#[test]
fn random_operations_lose_nothing() {
    with_seeds(if cfg!(miri) { 3 } else { 100 }, |random| {
        let books = Books::default();
        let queue = WorkStealingRunQueue::new(2);
        let (mut own, mut thief) = (queue.local(0), queue.local(1));
        let mut seen = vec![false; 3_000];
        let mut see = |item: Option<Item>| {
            if let Some(item) = item {
                assert!(!std::mem::replace(&mut seen[item.number], true), "twice");
            }
        };
        let mut made = 0;
        while made < 3_000 {
            match random.below(10) {
                0..=5 => {
                    queue.enqueue_local(&mut own, books.item(0, made));
                    made += 1;
                }
                6 => see(queue.dequeue(&mut own)),
                7 => {
                    if let Some(item) = queue.dequeue(&mut own) {
                        queue.enqueue_yielded(&mut own, item);
                    }
                }
                8 => see(queue.take_kept(0)),
                _ => see(queue.steal(&mut thief)),
            }
        }
        while let Some(item) = queue.dequeue(&mut own) {
            see(Some(item));
        }
        while let Some(item) = queue.steal(&mut thief) {
            see(Some(item));
        }
        assert!(seen.into_iter().all(|seen| seen));
        assert_eq!(books.dropped(), 3_000);
    });
}

/// Four workers that put in and take out, steal and take what others keep, and an outsider.
#[test]
fn workers_that_steal_from_each_other_run_everything_once() {
    // Hit where somebody ran what another worker put in.
    until_hit(4, |_| stolen(scaled(20_000)) > 0);
}

fn stolen(each: usize) -> usize {
    const WORKERS: usize = 4;
    let books = Books::default();
    let queue = WorkStealingRunQueue::new(WORKERS);
    let all = (WORKERS + 1) * each;
    let seen: Vec<AtomicUsize> = (0..all).map(|_| AtomicUsize::new(0)).collect();
    let (left, stolen) = (AtomicUsize::new(all), AtomicUsize::new(0));
    let start = Barrier::new(WORKERS + 1);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (queue, books, seen, left, stolen, start) =
                (&queue, &books, &seen, &left, &stolen, &start);
            scope.spawn(move || {
                let mut local = queue.local(worker);
                let run = |item: Item| {
                    seen[item.from * each + item.number].fetch_add(1, Ordering::Relaxed);
                    stolen.fetch_add(
                        usize::from(item.from < WORKERS && item.from != worker),
                        Ordering::Relaxed,
                    );
                    left.fetch_sub(1, Ordering::Relaxed);
                };
                start.wait();
                for number in 0..each {
                    queue.enqueue_local(&mut local, books.item(worker, number));
                    match number % 8 {
                        0 | 3 => queue.dequeue(&mut local).map(run).unwrap_or_default(),
                        5 => queue.steal(&mut local).map(run).unwrap_or_default(),
                        6 => {
                            let victim = (worker + number) % WORKERS;
                            queue.take_kept(victim).map(run).unwrap_or_default();
                        }
                        _ => {}
                    }
                }
                while left.load(Ordering::Relaxed) > 0 {
                    match queue.steal(&mut local) {
                        Some(item) => run(item),
                        None => thread::yield_now(),
                    }
                }
            });
        }
        start.wait();
        for number in 0..each {
            queue.enqueue(books.item(WORKERS, number));
        }
    });
    assert!(
        seen.iter().all(|seen| seen.load(Ordering::Relaxed) == 1),
        "an item ran twice or never"
    );
    assert_eq!(books.dropped(), all);
    stolen.into_inner()
}
