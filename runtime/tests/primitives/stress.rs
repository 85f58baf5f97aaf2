//! The primitives under many threads, with exact accounts; and under chains that would be deep recursions.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use crate::common::{HANG, scale};
use libprocess::sync::{BoundedQueue, CountDownLatch, Mutex, Once, Queue, RwLock, Sequence};
use libprocess::{Future, FutureError, Promise};

const THREADS: usize = 4;

/// More steps than `on_a_small_stack` has room for, even if each took no more than a return address and two words.
fn many() -> usize {
    20_000 * scale()
}

/// What `f` gives in each of so many threads.
fn in_threads<R: Send>(threads: usize, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let f = &f;
        let spawn = |number| scope.spawn(move || f(number));
        let threads: Vec<_> = (0..threads).map(spawn).collect();
        let join = threads.into_iter().map(|thread| thread.join());
        join.map(|result| result.unwrap_or_else(|payload| resume_unwind(payload)))
            .collect()
    })
}

/// Runs `f` on a stack on which a recursion of some thousand steps has no room.
fn on_a_small_stack(f: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        let thread = thread.spawn_scoped(scope, f).expect("a thread");
        if let Err(payload) = thread.join() {
            resume_unwind(payload);
        }
    });
}

#[test]
fn one_at_a_time_has_a_mutex() {
    let rounds = 5_000 * scale();
    let mutex = Mutex::new((0_usize, 0_usize));
    let inside = AtomicBool::new(false);
    in_threads(THREADS, |_| {
        for _ in 0..rounds {
            let mut guard = mutex.lock().get_timeout(HANG).unwrap();
            assert!(!inside.swap(true, Ordering::Relaxed), "two at a time");
            guard.0 += 1;
            guard.1 = guard.0;
            inside.store(false, Ordering::Relaxed);
        }
    });
    let sum = THREADS * rounds;
    assert_eq!(*mutex.try_lock().unwrap(), (sum, sum));
}

#[test]
fn readers_see_no_half_of_a_write() {
    let rounds = 5_000 * scale();
    let lock = RwLock::new((0_usize, 0_usize));
    let (readers, writers) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let writes = in_threads(THREADS, |thread| {
        let mut writes = 0;
        for round in 0..rounds {
            if (round + thread) % 3 == 0 {
                let mut guard = lock.write().get_timeout(HANG).unwrap();
                assert_eq!(writers.fetch_add(1, Ordering::Relaxed), 0);
                assert_eq!(readers.load(Ordering::Relaxed), 0);
                guard.0 += 1;
                guard.1 = guard.0;
                writes += 1;
                writers.fetch_sub(1, Ordering::Relaxed);
            } else {
                let guard = lock.read().get_timeout(HANG).unwrap();
                readers.fetch_add(1, Ordering::Relaxed);
                assert_eq!(writers.load(Ordering::Relaxed), 0);
                assert_eq!(guard.0, guard.1);
                readers.fetch_sub(1, Ordering::Relaxed);
            }
        }
        writes
    });
    assert_eq!(lock.try_write().unwrap().0, writes.into_iter().sum());
}

#[test]
fn every_element_of_a_queue_is_had_once_and_in_its_putter_s_order() {
    let each = 10_000 * scale();
    let queue = Queue::new();
    let had = in_threads(4, |thread| {
        if thread < 2 {
            (0..each).for_each(|number| queue.put((thread, number)));
            return Vec::new();
        }
        let get = |_| queue.get().get_timeout(HANG).unwrap();
        (0..each).map(get).collect()
    });
    let mut all = Vec::new();
    for of_one in had {
        let mut last = BTreeMap::new();
        for (putter, number) in of_one {
            assert!(last.insert(putter, number).is_none_or(|last| last < number));
            all.push((putter, number));
        }
    }
    all.sort_unstable();
    let expected = (0..2).flat_map(|putter| (0..each).map(move |number| (putter, number)));
    assert!(all.into_iter().eq(expected));
    assert!(queue.is_empty());
}

#[test]
fn a_bounded_queue_never_holds_more_than_it_may() {
    let each = 5_000 * scale();
    let queue = BoundedQueue::new(3);
    let sums = in_threads(4, |thread| {
        if thread < 2 {
            for number in 1..=each {
                assert_eq!(queue.put(number).get_timeout(HANG), Ok(()));
                assert!(queue.len() <= 3);
            }
            return 0;
        }
        let get = |_| queue.get().get_timeout(HANG).unwrap();
        (0..each).map(get).sum::<usize>()
    });
    assert_eq!(sums.into_iter().sum::<usize>(), each * (each + 1));
    assert!(queue.is_empty());
}

#[test]
fn one_does_it_once() {
    for _ in 0..500 * scale() {
        let once = Once::new();
        let tries = AtomicUsize::new(0);
        let done = in_threads(THREADS, |_| {
            let turn = once.once().get_timeout(HANG).unwrap();
            // The first gives up, so the turn goes to another.
            let turn = turn.filter(|_| tries.fetch_add(1, Ordering::Relaxed) > 0);
            turn.is_some_and(|turn| {
                turn.done();
                true
            })
        });
        assert!(once.is_done());
        assert_eq!(done.into_iter().filter(|done| *done).count(), 1);
    }
}

#[test]
fn what_was_done_before_the_latch_is_seen_after_it() {
    for _ in 0..200 * scale() {
        let latch = CountDownLatch::new(THREADS);
        let work = [(); THREADS].map(|()| AtomicUsize::new(0));
        in_threads(THREADS + 1, |thread| match work.get(thread) {
            Some(done) => {
                done.store(1, Ordering::Relaxed);
                latch.decrement();
            }
            None => {
                assert_eq!(latch.triggered().get_timeout(HANG), Ok(()));
                assert!(work.iter().all(|done| done.load(Ordering::Relaxed) == 1));
            }
        });
    }
}

/// Has a discard and something that completes run at the same moment, until both have won, and `2_000 * scale()` times at least.
///
/// `round` begins a round and gives what completes, the future to be discarded, and what is to be checked then, which says whether it was completed.
fn race<T: Send + 'static, C: FnOnce(Future<T>) -> bool>(
    round: impl Fn() -> (Box<dyn FnOnce() + Send>, Future<T>, C),
) {
    let least = 2_000 * scale();
    let (start, end) = (Barrier::new(2), Barrier::new(2));
    let completion = std::sync::Mutex::new(None::<Box<dyn FnOnce() + Send>>);
    let over = AtomicBool::new(false);
    let mut won = [0_usize; 2];
    let mut failed = None;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            loop {
                start.wait();
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let complete = crate::common::lock(&completion)
                    .take()
                    .expect("one for each round");
                complete();
                end.wait();
            }
        });
        for number in 0.. {
            if number >= least && (won[0] > 0 && won[1] > 0 || number >= 100 * least) {
                break;
            }
            let (complete, future, check) = round();
            *crate::common::lock(&completion) = Some(complete);
            start.wait();
            // A little later each time, so that the moment is hit.
            for _ in 0..number % 200 {
                std::hint::spin_loop();
            }
            future.discard();
            end.wait();
            match catch_unwind(AssertUnwindSafe(|| check(future))) {
                Ok(completed) => won[usize::from(completed)] += 1,
                Err(payload) => {
                    failed = Some(payload);
                    break;
                }
            }
        }
        // Also after a failure: the other thread waits for the next round.
        over.store(true, Ordering::Relaxed);
        start.wait();
        thread.join().unwrap();
    });
    if let Some(payload) = failed {
        resume_unwind(payload);
    }
    assert!(won[0] > 0 && won[1] > 0, "the race was not hit: {won:?}");
}

#[test]
fn a_discard_that_races_with_an_unlock_loses_no_lock() {
    race(|| {
        let mutex = Mutex::new(());
        let guard = mutex.try_lock();
        let future = mutex.lock();
        let other = mutex.lock();
        let check = move |future: Future<_>| {
            let had = future.is_ready();
            assert_eq!(had, other.is_pending());
            assert_eq!(had, !future.is_discarded());
            drop(future);
            assert!(other.is_ready());
            drop(other);
            assert!(!mutex.is_locked());
            had
        };
        (Box::new(move || drop(guard)) as Box<_>, future, check)
    });
}

#[test]
fn a_discard_that_races_with_an_unlock_lets_readers_in_once() {
    race(|| {
        let lock = RwLock::new(());
        let reader = lock.try_read();
        let future = lock.write();
        let reads = [lock.read(), lock.read()];
        let check = move |future: Future<_>| {
            let had = future.is_ready();
            assert!(reads.iter().all(|read| read.is_ready() != had));
            drop(future);
            assert!(reads.iter().all(Future::is_ready));
            assert!(lock.try_write().is_none());
            drop(reads);
            assert!(lock.try_write().is_some());
            had
        };
        (Box::new(move || drop(reader)) as Box<_>, future, check)
    });
}

#[test]
fn a_discard_that_races_with_a_put_loses_no_element() {
    race(|| {
        let queue = Queue::new();
        let future = queue.get();
        let putting = queue.clone();
        let check = move |future: Future<i32>| match future.get() {
            Ok(number) => {
                assert_eq!((number, queue.len()), (7, 0));
                true
            }
            Err(error) => {
                assert_eq!(error, FutureError::Discarded);
                assert_eq!(queue.try_get(), Some(7));
                false
            }
        };
        (Box::new(move || putting.put(7)) as Box<_>, future, check)
    });
}

#[test]
fn a_discard_that_races_with_a_turn_of_a_sequence_skips_or_comes_late() {
    race(|| {
        let sequence = Sequence::new();
        let promise = Promise::<()>::new();
        let opened = promise.future();
        drop(sequence.add(move || opened));
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let future = sequence.add(move || runs.store(true, Ordering::Relaxed));
        let last = sequence.add(|| 1);
        let check = move |future: Future<()>| {
            let ran = ran.load(Ordering::Relaxed);
            assert_eq!(sequence.waiting(), 0);
            assert_eq!((future.is_ready(), future.is_discarded()), (ran, !ran));
            assert_eq!(last.get(), Ok(1));
            ran
        };
        let open = move || {
            promise.set(());
        };
        (Box::new(open) as Box<_>, future, check)
    });
}

#[test]
fn many_hand_overs_in_callbacks_need_no_stack() {
    fn lock_again(mutex: &Mutex<usize>, most: usize) {
        let again = mutex.clone();
        drop(mutex.lock().then(move |mut guard| {
            *guard += 1;
            if *guard < most {
                // Waits, as we have the guard, and is next when it is dropped.
                lock_again(&again, most);
            }
        }));
    }
    on_a_small_stack(|| {
        let mutex = Mutex::new(0);
        let guard = mutex.try_lock();
        lock_again(&mutex, many());
        drop(guard);
        assert_eq!(*mutex.try_lock().unwrap(), many());
    });
}

#[test]
fn many_waiters_whose_callbacks_unlock_need_no_stack() {
    let waiters = many();
    on_a_small_stack(|| {
        let mutex = Mutex::new(0);
        let guard = mutex.try_lock();
        for _ in 0..waiters {
            drop(mutex.lock().then(|mut guard| *guard += 1));
        }
        drop(guard);
        assert_eq!(*mutex.try_lock().unwrap(), waiters);

        let lock = RwLock::new(0);
        let reader = lock.try_read();
        for _ in 0..waiters {
            drop(lock.write().then(|mut guard| *guard += 1));
        }
        drop(reader);
        assert_eq!(*lock.try_read().unwrap(), waiters);

        let once = Once::new();
        let turn = once.once().get().unwrap();
        let waiting: Vec<_> = (0..waiters)
            .map(|_| once.once().then(|turn| turn.is_some()))
            .collect();
        drop(turn);
        // Each was given the turn, and gave it up.
        assert!(waiting.into_iter().all(|waiting| waiting.get() == Ok(true)));
        assert!(!once.is_done());
    });
}

#[test]
fn two_queues_that_play_in_callbacks_need_no_stack() {
    fn play(mine: &Queue<usize>, other: &Queue<usize>) {
        let (me, you) = (mine.clone(), other.clone());
        drop(mine.get().then(move |number| {
            play(&me, &you);
            if number > 0 {
                you.put(number - 1);
            }
        }));
    }
    on_a_small_stack(|| {
        let (ping, pong) = (Queue::new(), Queue::new());
        play(&ping, &pong);
        play(&pong, &ping);
        ping.put(many());
        assert!(ping.is_empty() && pong.is_empty());
    });
}

#[test]
fn many_callbacks_of_a_sequence_that_are_ready_at_once_need_no_stack() {
    on_a_small_stack(|| {
        let sequence = Sequence::new();
        let promise = Promise::<()>::new();
        let opened = promise.future();
        drop(sequence.add(move || opened));
        let ran = Arc::new(AtomicUsize::new(0));
        for number in 0..many() {
            let ran = Arc::clone(&ran);
            let callback = move || {
                let before = ran.fetch_add(1, Ordering::Relaxed);
                assert_eq!(before, number, "in order");
                Future::ready(())
            };
            drop(sequence.add(callback));
        }
        promise.set(());
        assert_eq!(ran.load(Ordering::Relaxed), many());
    });
}
