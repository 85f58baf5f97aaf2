//! The clock: timers in order, paused time, the times of processes, and settling.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use crate::common::{Idle, Log, lock, runtime, scale};
use libprocess::{
    Context, Future, Pid, Process, Promise, SettleError, Time, Upid, assert_discarded,
    assert_pending, assert_ready, async_, await_discarded, await_failed, await_ready, delay,
    delay_with, dispatch, dispatch_with, spawn, spawn_async, terminate, wait,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn timers_fire_by_deadline_and_then_by_creation() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();
    let log = Log::default();
    for (name, nanoseconds) in [("c", 2_001), ("a", 7), ("d", 2_001), ("b", 2_000)] {
        let log = log.clone();
        clock.timer(Duration::from_nanos(nanoseconds), move || log.add(name));
    }
    clock.advance(Duration::from_nanos(6));
    clock.settle().unwrap();
    assert!(log.entries().is_empty(), "one nanosecond early");
    clock.advance(Duration::from_nanos(1));
    clock.settle().unwrap();
    assert_eq!(log.entries(), ["a"]);
    clock.advance(SECOND);
    clock.settle().unwrap();
    assert_eq!(log.entries(), ["a", "b", "c", "d"]);
}

#[test]
fn many_pending_timers_fire_in_order() {
    let timers = scale() * 100_000;
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();
    let fired = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut random = 0x9e37_79b9_u64;
    let mut expected = Vec::new();
    for number in 0..timers {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let nanoseconds = random % 3_600_000_000_000;
        expected.push((nanoseconds, number));
        let fired = Arc::clone(&fired);
        clock.timer(Duration::from_nanos(nanoseconds), move || {
            lock(&fired).push(number);
        });
    }
    expected.sort_unstable();
    clock.advance(3_600 * SECOND);
    clock.settle().unwrap();
    let expected: Vec<_> = expected.into_iter().map(|(_, number)| number).collect();
    assert!(*lock(&fired) == expected);
}

#[test]
fn cancelling_a_timer_frees_its_closure_at_once() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    let held = Arc::new(());
    let of_timer = Arc::clone(&held);
    let timer = clock.timer(3_600 * SECOND, move || drop(of_timer));
    assert_eq!(Arc::strong_count(&held), 2);
    assert!(timer.cancel());
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(!clock.cancel(&timer), "it was cancelled");
}

#[test]
fn a_timer_of_a_running_clock_fires() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    let before = clock.now();
    let millisecond = Duration::from_millis(1);
    await_ready!(clock.sleep(millisecond));
    assert!(clock.now() - before >= millisecond);
    // A timer that is due before the one that the clock sleeps for.
    let late = clock.sleep(3_600 * SECOND);
    await_ready!(clock.sleep(millisecond));
    assert_pending!(late);
}

#[test]
fn a_panic_in_a_timer_stops_no_other() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.timer(Duration::ZERO, || panic!("in a timer"));
    await_ready!(clock.sleep(Duration::from_millis(1)));
}

#[test]
fn pending_timers_are_dropped_with_the_runtime() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    let slept = clock.sleep(3_600 * SECOND);
    drop(runtime);
    assert!(slept.is_abandoned());
    let slept = clock.sleep(Duration::ZERO);
    assert!(slept.is_abandoned(), "nothing fires any more");
}

#[test]
fn pausing_stops_time_and_resuming_never_turns_it_back() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.advance(SECOND);
    let before = clock.now();
    clock.pause();
    clock.pause();
    let paused = clock.now();
    assert!(
        paused >= before && paused < before + SECOND,
        "a running clock is not advanced"
    );
    assert_eq!(clock.now(), paused);
    clock.advance(3_600 * SECOND);
    assert_eq!(clock.now(), paused + 3_600 * SECOND);
    clock.update(paused);
    assert_eq!(clock.now(), paused + 3_600 * SECOND, "never back");
    clock.update(paused + 3_601 * SECOND);
    assert_eq!(clock.now(), paused + 3_601 * SECOND);
    clock.resume();
    clock.resume();
    assert!(clock.now() >= paused + 3_601 * SECOND);
    await_ready!(clock.sleep(Duration::from_millis(1)));
}

#[test]
fn a_sleep_that_is_discarded_or_dropped_cancels_its_timer() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();
    let timers = || format!("{clock:?}").contains("timers: 1");
    let sleep = clock.sleep(SECOND);
    assert!(timers());
    sleep.discard();
    assert_discarded!(sleep);
    assert!(!timers());
    let sleep = clock.sleep(SECOND);
    assert!(timers());
    drop(sleep);
    assert!(!timers());
}

#[derive(Default)]
struct Delayed {
    names: Vec<&'static str>,
}

impl Process for Delayed {}

impl Delayed {
    fn action(&mut self, name: &'static str) {
        self.names.push(name);
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.names.clone()
    }
}

#[test]
fn a_delayed_dispatch_is_made_when_its_time_has_come_unless_it_is_cancelled() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();
    let pid = runtime.spawn(Delayed::default());
    delay(5 * SECOND, pid, Delayed::action, ("Neil",));
    let cancelled = delay(5 * SECOND, pid, Delayed::action, ("Buzz",));
    delay_with(5 * SECOND, pid, |delayed, _cx| delayed.names.push("Mike"));
    clock.advance(4 * SECOND);
    clock.settle().unwrap();
    assert!(await_ready!(dispatch(pid, Delayed::names, ())).is_empty());
    assert!(cancelled.cancel());
    clock.advance(SECOND);
    clock.settle().unwrap();
    assert_eq!(
        await_ready!(dispatch(pid, Delayed::names, ())),
        ["Neil", "Mike"]
    );
}

#[test]
fn a_delay_for_a_process_that_has_ended_does_nothing() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Delayed::default());
    terminate(pid);
    wait(pid);
    delay(Duration::ZERO, pid, Delayed::action, ("Neil",));
    await_ready!(runtime.clock().sleep(Duration::from_millis(1)));
}

#[test]
fn what_happens_before_is_never_later_for_a_process() {
    let runtime = runtime(2);
    let clock = runtime.clock();
    let first = runtime.spawn(Idle);
    clock.pause();
    let start = clock.now_of(first);
    assert_eq!(start, clock.now());
    clock.advance(SECOND);
    assert_eq!(clock.now_of(first), start, "it was told nothing");
    let second = runtime.spawn(Idle);
    assert_eq!(
        clock.now_of(second),
        start + SECOND,
        "spawned by the world outside, now"
    );
    // `clock()` inside a process tells the process's time.
    let seen = dispatch_with(second, move |_, _| {
        let before = libprocess::clock().now();
        dispatch_with(first, move |_, _| (before, libprocess::clock().now()))
    });
    assert_eq!(await_ready!(seen), (start + SECOND, start + SECOND));

    clock.advance_process(second, SECOND);
    assert_eq!(clock.now_of(second), start + 2 * SECOND);
    clock.update_process(second, start);
    assert_eq!(clock.now_of(second), start + 2 * SECOND, "never back");
    clock.order(second, first);
    assert_eq!(clock.now_of(first), start + 2 * SECOND);
    clock.order(second, first);
    clock.set_process(first, start);
    assert_eq!(clock.now_of(first), start);
    // What ends is forgotten, what is spawned inherits.
    let child = await_ready!(dispatch_with(second, |_, _| spawn(Idle)));
    assert_eq!(clock.now_of(child), start + 2 * SECOND);
}

#[test]
fn a_timer_moves_the_process_that_started_it() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    let pid = runtime.spawn(Idle);
    clock.pause();
    let start = clock.now();
    let timer = await_ready!(dispatch_with(pid, |_, _| {
        libprocess::clock().timer(SECOND, || {})
    }));
    assert_eq!(timer.creator(), Upid::from(pid));
    assert_eq!(timer.timeout().time(), start + SECOND);
    clock.advance(10 * SECOND);
    clock.settle().unwrap();
    assert_eq!(clock.now_of(pid), start + SECOND);
}

/// Also if it was woken before, so that the second wake sends nothing.
#[test]
fn a_block_polls_behind_whoever_wakes_it() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();
    let start = clock.now();
    let waker = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&waker);
    let polled = runtime.spawn_async(std::future::poll_fn(move |cx| {
        let first = lock(&kept).replace(cx.waker().clone()).is_none();
        if first {
            Poll::Pending
        } else {
            Poll::Ready(libprocess::clock().now())
        }
    }));
    clock.settle().unwrap();
    let pid = runtime.spawn(Idle);
    await_ready!(dispatch_with(pid, move |_, _| {
        let waker = lock(&waker).clone().expect("polled once");
        waker.wake_by_ref();
        libprocess::clock().advance_process(pid, SECOND);
        waker.wake();
    }));
    assert_eq!(await_ready!(polled), start + SECOND);
}

/// Works whenever it is told to, in all the ways that `settle` must wait for.
struct Busy {
    log: Log,
    quick: Pid<Idle>,
}

impl Process for Busy {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        self.log.add("initialize");
        delay(Duration::ZERO, cx.pid(), Self::delayed, ());
    }
}

impl Busy {
    fn delayed(&mut self) {
        self.log.add("delayed");
        // Blocks this thread until another process has served it.
        let answer = dispatch_with(self.quick, |_, _| 7).get();
        assert_eq!(answer, Ok(7));
        let child = spawn(Idle);
        terminate(child);
        assert!(wait(child).has_ended());
        let log = self.log.clone();
        async_(move || log.add("async closure")).detach();
        let log = self.log.clone();
        spawn_async(async move {
            libprocess::clock().sleep(Duration::ZERO).await.unwrap();
            log.add("async block");
        })
        .detach();
    }
}

#[test]
fn settle_returns_when_all_that_follows_has_happened() {
    for _ in 0..(scale() * 50) {
        let runtime = runtime(2);
        let clock = runtime.clock();
        clock.pause();
        let log = Log::default();
        let quick = runtime.spawn(Idle);
        runtime.spawn(Busy {
            log: log.clone(),
            quick,
        });
        clock.settle().unwrap();
        assert!(clock.settled());
        let mut entries = log.entries();
        entries[2..].sort();
        assert_eq!(
            entries,
            ["initialize", "delayed", "async block", "async closure"]
        );
    }
}

#[test]
fn settle_does_not_wait_for_what_waits_for_something_else() {
    let runtime = runtime(2);
    let clock = runtime.clock();
    clock.pause();
    let promise = Promise::<()>::new();
    let future = promise.future();
    let (entered, is_in) = std::sync::mpsc::channel();
    let pid = runtime.spawn(Idle);
    // Blocks its thread until the promise is set: nothing that comes of itself.
    let blocked = dispatch_with(pid, move |_, _| {
        entered.send(()).unwrap();
        future.get()
    });
    let task = runtime.spawn_async(async { libprocess::clock().sleep(SECOND).await });
    let far = clock.sleep(SECOND);
    is_in.recv().unwrap();
    clock.settle().unwrap();
    assert_pending!(far);
    assert_pending!(blocked);
    assert_pending!(task);
    promise.set(());
    clock.settle().unwrap();
    assert_ready!(blocked);
}

#[test]
fn settle_says_why_it_cannot() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    assert_eq!(clock.settle(), Err(SettleError::NotPaused));
    clock.pause();
    let inside = clock.clone();
    let pid = runtime.spawn(Idle);
    let result = dispatch_with(pid, move |_, _| inside.settle());
    assert_eq!(await_ready!(result), Err(SettleError::InsideRuntime));
    // Other runtimes' processes may.
    let other = crate::common::runtime(1);
    let pid = other.spawn(Idle);
    let outside = clock.clone();
    assert_eq!(
        await_ready!(dispatch_with(pid, move |_, _| outside.settle())),
        Ok(())
    );
}

#[test]
fn settle_sees_messages_passed_to_and_fro_to_their_end() {
    /// Passes a count on until it is zero.
    struct Passing {
        next: Option<Pid<Passing>>,
        seen: Arc<AtomicU64>,
    }
    impl Process for Passing {}
    impl Passing {
        fn pass(&mut self, count: u64) {
            self.seen.fetch_add(1, Ordering::Relaxed);
            if let (Some(next), true) = (self.next, count > 0) {
                dispatch(next, Self::pass, (count - 1,)).detach();
            }
        }
    }
    let runtime = runtime(2);
    runtime.clock().pause();
    let seen = Arc::new(AtomicU64::new(0));
    let mut ring = Vec::new();
    for _ in 0..3 {
        ring.push(runtime.spawn(Passing {
            next: None,
            seen: Arc::clone(&seen),
        }));
    }
    for (index, pid) in ring.iter().enumerate() {
        let next = ring[(index + 1) % ring.len()];
        dispatch_with(*pid, move |passing, _| passing.next = Some(next)).detach();
    }
    for round in 1..=(scale() * 100) as u64 {
        dispatch(ring[0], Passing::pass, (99,)).detach();
        runtime.clock().settle().unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), round * 100);
    }
}

#[test]
fn after_gives_the_value_if_it_comes_in_time_and_what_the_callback_makes_of_it_otherwise() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();

    // Late, also though a discard was requested: the callback decides.
    let promise = Promise::<i64>::new();
    let late = promise
        .future()
        .after_on(&clock, 42 * SECOND, |future| -> Future<i64> {
            assert!(future.has_discard(), "the request was passed on");
            Future::failed("late")
        });
    clock.advance(21 * SECOND);
    clock.settle().unwrap();
    assert_pending!(late);
    late.discard();
    assert_pending!(late);
    clock.advance(21 * SECOND);
    assert_eq!(&*await_failed!(late), "late");

    // In time: the timer is cancelled.
    let promise = Promise::new();
    let held = Arc::new(());
    let of_callback = Arc::clone(&held);
    let prompt = promise.future().after_on(&clock, SECOND, move |_| {
        drop(of_callback);
        0
    });
    promise.set(1);
    assert_eq!(await_ready!(prompt), 1);
    assert_eq!(Arc::strong_count(&held), 1, "the callback was freed");
    assert!(format!("{clock:?}").contains("timers: 0"));

    // Nothing keeps the original.
    let promise = Promise::<()>::new();
    let original = promise.future();
    let weak = original.downgrade();
    let after = original.after_on(&clock, SECOND, |late| {
        late.discard();
    });
    assert!(weak.upgrade().is_some());
    clock.advance(SECOND);
    clock.settle().unwrap();
    assert!(!after.has_discard());
    await_ready!(after);
    assert!(weak.upgrade().is_none());

    // Discarded in time.
    let promise = Arc::new(Promise::<()>::new());
    let to_discard = Arc::clone(&promise);
    promise.on_discard(move || {
        to_discard.discard();
    });
    let after = promise.future().after_on(&clock, SECOND, |_| ());
    after.discard();
    await_discarded!(after);
}

#[test]
fn each_runtime_has_its_own_time() {
    let (one, other) = (runtime(1), runtime(1));
    one.clock().pause();
    one.clock().advance(3_600 * SECOND);
    assert!(!other.clock().is_paused());
    let ahead = one.clock().now() - other.clock().now();
    assert!(ahead > 3_000 * SECOND);
    let pid = other.spawn(Idle);
    let time: Time = await_ready!(dispatch_with(pid, |_, _| libprocess::clock().now()));
    assert!(time < one.clock().now());
}

#[test]
fn a_process_of_another_runtime_is_the_world_outside_to_a_clock() {
    let (one, other) = (runtime(1), runtime(1));
    let clock = one.clock();
    clock.pause();
    clock.advance(10 * SECOND);
    let expected = clock.now();
    let pid = other.spawn(Idle);
    let asked = clock.clone();
    let (now, slept) = (
        await_ready!(dispatch_with(pid, move |_, _| asked.now())),
        Arc::new(std::sync::Mutex::new(None)),
    );
    assert_eq!(now, expected);
    let (asked, kept) = (clock.clone(), Arc::clone(&slept));
    await_ready!(dispatch_with(pid, move |_, _| {
        *lock(&kept) = Some(asked.sleep(5 * SECOND));
    }));
    clock.settle().unwrap();
    let sleep = lock(&slept).take().unwrap();
    assert_pending!(sleep);
}

#[test]
fn a_runtime_ends_although_a_handler_waits_for_its_paused_clock() {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();
    let pid = runtime.spawn(Idle);
    let (entered, is_in) = std::sync::mpsc::channel();
    let answer = dispatch_with(pid, move |_, _| {
        let sleep = libprocess::clock().sleep(SECOND);
        entered.send(()).unwrap();
        sleep.get()
    });
    is_in.recv().unwrap();
    drop(runtime);
    assert_eq!(
        await_ready!(answer),
        Err(libprocess::FutureError::Abandoned)
    );
    assert!(clock.sleep(Duration::ZERO).is_abandoned());
}

#[test]
fn timers_whose_panics_and_drops_panic_stop_no_other_and_no_shutdown() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.timer(Duration::ZERO, || std::panic::panic_any(Bomb));
    await_ready!(clock.sleep(Duration::from_millis(1)));
    let bomb = Bomb;
    clock.timer(3_600 * SECOND, move || drop(bomb));
    let sleep = clock.sleep(3_600 * SECOND);
    drop(runtime);
    assert!(sleep.is_abandoned());
}
