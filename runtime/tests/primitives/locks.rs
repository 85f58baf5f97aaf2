//! Latches, `Once` and locks: who gets what, in which order, and what becomes of those who give up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{HANG, Idle, Log, runtime};
use libprocess::sync::{CountDownLatch, Latch, Mutex, Once, RwLock};
use libprocess::{
    Future, Promise, assert_abandoned, assert_discarded, assert_failed, assert_pending,
    assert_ready, await_ready, dispatch_with, spawn_async,
};

/// A value that is there.
fn now<T>(future: Future<T>) -> T {
    assert!(!future.is_pending(), "it should be there at once");
    future.get().expect("a value")
}

#[test]
fn a_latch_is_triggered_once_and_tells_all_in_order() {
    let latch = Latch::new();
    let log = Log::default();
    let futures = ["a", "b", "c"].map(|name| {
        let log = log.clone();
        latch.triggered().then(move |()| log.add(name))
    });
    assert!(!latch.is_triggered());
    assert!(latch.clone().trigger());
    assert!(latch.is_triggered());
    assert!(!latch.trigger());
    assert_eq!(log.entries(), ["a", "b", "c"]);
    futures.into_iter().for_each(now);
    now(latch.triggered());
    assert_eq!(latch.wait(None), Ok(()));
}

#[test]
fn whoever_gives_a_latch_up_concerns_nobody_else() {
    let latch = Latch::new();
    let (first, second) = (latch.triggered(), latch.triggered().then(|()| 2));
    first.discard();
    assert_discarded!(first);
    drop(latch.triggered());
    latch.trigger();
    assert_eq!(now(second), 2);
    assert_discarded!(first);
}

#[test]
fn a_latch_that_nobody_can_trigger_abandons() {
    let latch = Latch::new();
    let triggered = latch.triggered();
    drop(latch.clone());
    assert!(!triggered.is_abandoned());
    drop(latch);
    assert_abandoned!(triggered);
    let latch = CountDownLatch::new(1);
    let triggered = latch.triggered();
    drop(latch);
    assert_abandoned!(triggered);
}

#[test]
fn a_handler_that_waits_for_a_latch_blocks_no_worker() {
    let runtime = runtime(1);
    let latch = Latch::new();
    let (waiting, triggering) = (runtime.spawn(Idle), runtime.spawn(Idle));
    let (waits_for, triggers) = (latch.clone(), latch);
    let waited = dispatch_with(waiting, move |_, _| waits_for.wait(Some(HANG)));
    dispatch_with(triggering, move |_, _| triggers.trigger())
        .get()
        .unwrap();
    assert_eq!(waited.get(), Ok(Ok(())));
}

#[test]
fn a_latch_counts_down() {
    let latch = CountDownLatch::new(5);
    let triggered = latch.triggered();
    for remaining in (1..5).rev() {
        assert!(!latch.decrement());
        assert_eq!(latch.remaining(), remaining);
        assert_pending!(triggered);
    }
    assert!(latch.decrement());
    assert_ready!(triggered);
    now(latch.triggered());
    // Below zero nothing happens.
    assert!(!latch.decrement());
    assert_eq!(latch.remaining(), 0);
    now(CountDownLatch::new(0).triggered());
    assert!(!CountDownLatch::new(0).decrement());
}

#[test]
fn threads_count_a_latch_down() {
    let latch = CountDownLatch::new(5);
    let triggered = latch.triggered();
    let threads = [(); 5].map(|()| {
        let latch = latch.clone();
        std::thread::spawn(move || latch.decrement())
    });
    assert_eq!(triggered.get_timeout(HANG), Ok(()));
    let triggers = threads.map(|thread| thread.join().unwrap());
    assert_eq!(triggers.into_iter().filter(|triggers| *triggers).count(), 1);
}

#[test]
fn the_first_does_it_and_the_others_wait() {
    let once = Once::new();
    let turn = now(once.once()).expect("the first");
    let others = [once.once(), once.clone().once()];
    for other in &others {
        assert_pending!(other);
    }
    assert!(!once.is_done());
    turn.done();
    assert!(once.is_done());
    for other in others {
        assert!(now(other).is_none());
    }
    assert!(now(once.once()).is_none());
}

#[test]
fn a_turn_that_is_given_up_goes_to_whoever_has_waited_longest() {
    let once = Once::new();
    let turn = now(once.once());
    let [first, second, third] = [(); 3].map(|()| once.once());
    first.discard();
    assert_discarded!(first);
    drop(turn);
    let turn = now(second);
    assert!(turn.is_some());
    assert_pending!(third);
    // Also by a panic.
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _turn = turn;
        panic!("planned");
    }));
    assert!(panicked.is_err());
    let turn = now(third);
    assert!(turn.is_some());
    drop(turn);
    let again = once.once();
    assert_ready!(again);
    drop(again);
    now(once.once())
        .expect("nobody waits, so it is as it was")
        .done();
    assert!(once.is_done());
}

#[test]
fn call_once_calls_until_it_has_worked() {
    let once = Once::new();
    let log = Log::default();
    let call = |name: &'static str, outcome: Future<()>| {
        let log = log.clone();
        once.call_once(move || {
            log.add(name);
            outcome
        })
    };
    let promise = Promise::new();
    let fails = call("fails", promise.future());
    let works = call("works", Future::ready(()));
    let late = call("late", Future::ready(()));
    assert_pending!(fails);
    assert_pending!(works);
    promise.fail("no");
    assert_failed!(fails);
    now(works);
    now(late);
    now(call("later", Future::ready(())));
    assert_eq!(log.entries(), ["fails", "works"]);
}

#[test]
fn a_discard_of_call_once_reaches_what_was_called() {
    let once = Once::new();
    let promise = Promise::<()>::new();
    let inner = promise.future();
    let future = once.call_once(move || inner);
    let other = once.call_once(|| ());
    future.discard();
    assert!(promise.has_discard());
    assert_pending!(other);
    promise.discard();
    assert_discarded!(future);
    now(other);
}

#[test]
fn a_mutex_is_locked_unlocked_and_locked_again() {
    let mutex = Mutex::<()>::default();
    let guard = now(mutex.lock());
    assert!(mutex.is_locked() && mutex.try_lock().is_none());
    drop(guard);
    assert!(!mutex.is_locked());
    drop(now(mutex.lock()));
}

#[test]
fn an_unlock_hands_over_at_once_to_one_at_a_time_in_order() {
    let mutex = Mutex::new(0);
    let mut guard = now(mutex.lock());
    *guard += 1;
    let (first, second) = (mutex.lock(), mutex.clone().lock());
    assert_pending!(first);
    drop(guard);
    assert_ready!(first);
    assert_pending!(second);
    // Nobody comes in between.
    assert!(mutex.try_lock().is_none());
    let mut guard = now(first);
    *guard += 1;
    drop(guard);
    assert_eq!(*now(second), 2);
    assert!(!mutex.is_locked());
}

#[test]
fn a_waiter_who_gave_up_never_owns_the_mutex() {
    let mutex = Mutex::new(());
    let guard = now(mutex.lock());
    let (discarded, dropped, chained, last) =
        (mutex.lock(), mutex.lock(), mutex.lock(), mutex.lock());
    let log = Log::default();
    let chained = chained.then({
        let log = log.clone();
        move |_guard| log.add("never")
    });
    assert!(discarded.discard());
    assert_discarded!(discarded);
    drop(dropped);
    chained.discard();
    assert_discarded!(chained);
    drop(guard);
    assert_ready!(last);
    assert!(!discarded.discard(), "it has ended");
    drop(last);
    assert!(!mutex.is_locked(), "an unread guard unlocks as well");
    assert!(log.entries().is_empty());
}

#[test]
fn a_waiter_who_is_detached_and_observed_is_no_waiter_who_gave_up() {
    let mutex = Mutex::new(7);
    let guard = now(mutex.lock());
    let log = Log::default();
    let waiting = mutex.lock();
    waiting.on_ready({
        let log = log.clone();
        move |guard| log.add(format!("observed {}", **guard))
    });
    waiting.detach();
    // A link keeps what it waits for by itself.
    drop(mutex.lock().then({
        let log = log.clone();
        move |guard| log.add(format!("linked {}", *guard))
    }));
    drop(guard);
    assert_eq!(log.entries(), ["observed 7", "linked 7"]);
    assert!(!mutex.is_locked());
}

#[test]
fn a_guard_keeps_the_value_and_a_panic_does_not_spoil_it() {
    let mutex = Mutex::new(String::from("a"));
    let mut guard = now(mutex.lock());
    let waiting = mutex.lock();
    drop(mutex);
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        guard.push('b');
        panic!("planned");
    }));
    assert!(panicked.is_err());
    let guard = now(waiting);
    assert_eq!(*guard, "ab");
}

#[test]
fn async_blocks_take_turns() {
    let mutex = Mutex::new(Vec::new());
    let guard = mutex.try_lock();
    let done = (0..10).map(|number| {
        let mutex = mutex.clone();
        spawn_async(async move {
            let mut guard = mutex.lock().await.unwrap();
            guard.push(number);
        })
    });
    let done: Vec<_> = done.collect();
    drop(guard);
    for done in done {
        await_ready!(done);
    }
    let mut numbers = now(mutex.lock()).clone();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..10));
}

#[test]
fn a_free_rwlock_is_written_and_read() {
    let lock = RwLock::new(1);
    *now(lock.write()) += 1;
    assert_eq!(*now(lock.read()), 2);
    *now(lock.write()) += 1;
    assert_eq!(*now(lock.clone().read()), 3);
}

#[test]
fn a_writer_keeps_all_others_out() {
    let lock = RwLock::new(());
    let writer = now(lock.write());
    let (read, write) = (lock.read(), lock.write());
    assert!(lock.try_read().is_none() && lock.try_write().is_none());
    assert_pending!(read);
    assert_pending!(write);
    drop(writer);
    assert_ready!(read);
    assert_pending!(write);
    drop(read);
    assert_ready!(write);
}

#[test]
fn readers_read_together_and_a_writer_waits_for_all_of_them() {
    let lock = RwLock::new(());
    let [first, second, third] = [(); 3].map(|()| now(lock.read()));
    let write = lock.write();
    drop(second);
    drop(first);
    assert_pending!(write);
    drop(third);
    assert_ready!(write);
}

#[test]
fn neither_readers_nor_writers_starve() {
    let lock = RwLock::new(());
    let reader = now(lock.read());
    let first_write = lock.write();
    let first_reads = [lock.read(), lock.read()];
    let second_write = lock.write();
    let second_reads = [lock.read(), lock.read()];
    let ready = || {
        let reads = |reads: &[Future<_>; 2]| [reads[0].is_ready(), reads[1].is_ready()];
        (
            first_write.is_ready(),
            reads(&first_reads),
            second_write.is_ready(),
            reads(&second_reads),
        )
    };
    // Readers queue behind a writer who waits, although somebody reads.
    assert_eq!(ready(), (false, [false; 2], false, [false; 2]));
    drop(reader);
    assert_eq!(ready(), (true, [false; 2], false, [false; 2]));
    drop(now(first_write));
    let first_reads = first_reads.map(|read| {
        assert_ready!(read);
        read
    });
    assert_pending!(second_write);
    let [one, other] = first_reads.map(now);
    drop(one);
    assert_pending!(second_write);
    drop(other);
    assert_ready!(second_write);
    assert!(second_reads.iter().all(Future::is_pending));
    drop(second_write);
    assert!(second_reads.iter().all(Future::is_ready));
}

#[test]
fn readers_go_in_when_the_writer_before_them_gives_up() {
    let lock = RwLock::new(());
    let reader = now(lock.read());
    let (first_write, first_read) = (lock.write(), lock.read());
    let (second_write, second_read) = (lock.write(), lock.read());
    first_write.discard();
    assert_discarded!(first_write);
    assert_ready!(first_read);
    assert_pending!(second_read);
    drop(second_write);
    assert_ready!(second_read);
    assert!(lock.try_read().is_some());
    drop((reader, first_read, second_read));
    assert!(lock.try_write().is_some());
}

#[test]
fn a_reader_who_gives_up_lets_nobody_in_who_must_wait() {
    let lock = RwLock::new(());
    let writer = now(lock.write());
    let (read, write, other) = (lock.read(), lock.write(), lock.read());
    read.discard();
    assert_discarded!(read);
    assert_pending!(write);
    assert_pending!(other);
    drop(writer);
    assert_ready!(write);
    drop(write);
    assert_ready!(other);
}

#[test]
fn a_guard_may_be_dropped_and_the_lock_asked_for_in_a_callback() {
    let mutex = Mutex::new(0);
    let guard = now(mutex.lock());
    let again = mutex.clone();
    let nested = mutex.lock().then(move |mut guard| {
        *guard += 1;
        let next = again.lock();
        assert_pending!(next);
        drop(guard);
        next.then(|mut guard| {
            *guard += 1;
            *guard
        })
    });
    let other = mutex.lock().then(|guard| *guard);
    drop(guard);
    assert_eq!((now(other), now(nested)), (1, 2));

    let lock = RwLock::new(());
    let writer = now(lock.write());
    let again = lock.clone();
    let readers = [(); 2].map(|()| {
        let again = again.clone();
        lock.read().then(move |reader| {
            drop(reader);
            again.write().then(|_writer| ())
        })
    });
    drop(writer);
    readers.into_iter().for_each(now);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_panic_in_a_callback_stops_nobody_else() {
    let latch = Latch::new();
    let panics = latch.triggered().then(|()| -> i32 { panic!("planned") });
    let other = latch.triggered();
    let trigger = catch_unwind(AssertUnwindSafe(|| latch.trigger()));
    assert!(trigger.is_err(), "it goes on in the thread that triggers");
    assert_abandoned!(panics);
    now(other);

    // The guard is dropped as the stack unwinds, and the drop that completes the future does not panic itself.
    let mutex = Mutex::new(());
    let guard = now(mutex.lock());
    let panics = mutex.lock().then(|_guard| -> i32 { panic!("planned") });
    let other = mutex.lock();
    drop(guard);
    assert_abandoned!(panics);
    assert_ready!(other);
}

#[test]
fn they_say_what_they_are() {
    let mutex = Mutex::new(7);
    let guard = now(mutex.lock());
    let waiting = mutex.lock();
    assert_eq!(format!("{mutex:?}"), "Mutex { locked: true, waiting: 1 }");
    assert_eq!(format!("{guard:?}"), "MutexGuard(7)");
    let lock = RwLock::new(7);
    let reader = now(lock.read());
    assert_eq!(
        format!("{lock:?} {reader:?}"),
        "RwLock { readers: 1, written: false, waiting: 0 } RwLockReadGuard(7)"
    );
    assert_eq!(
        format!("{:?}", Latch::new()),
        "Latch { triggered: false, waiting: 0 }"
    );
    drop(waiting);
}
