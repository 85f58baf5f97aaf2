//! Futures with several holders: associations, discard callbacks, clones, weak futures, and those who wait.

use crate::common::{Counted, HANG, Idle, Log, lock};
use libprocess::{Future, FutureError, Promise, dispatch_with};
use std::future::Future as _;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// A value that counts its clones, and how many of it are alive.
struct Value {
    clones: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    _counted: Counted,
}

impl Value {
    fn new() -> Self {
        let alive = Arc::default();
        Self {
            clones: Arc::default(),
            _counted: Counted::new(&alive),
            alive,
        }
    }

    /// Looks at the counts later: clones, alive.
    fn watch(&self) -> impl Fn() -> (usize, usize) + use<> {
        let (clones, alive) = (Arc::clone(&self.clones), Arc::clone(&self.alive));
        move || {
            (
                clones.load(Ordering::Relaxed),
                alive.load(Ordering::Relaxed),
            )
        }
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self {
            clones: Arc::clone(&self.clones),
            alive: Arc::clone(&self.alive),
            _counted: Counted::new(&self.alive),
        }
    }
}

#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl CountingWaker {
    fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<T>(
    future: Pin<&mut Future<T>>,
    waker: &Arc<CountingWaker>,
) -> Poll<Result<T, FutureError>> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
}

#[test]
fn an_associated_promise_ends_as_the_other_future_does() {
    let ends: [fn(Promise<u32>); 4] = [
        |promise| assert!(promise.set(1)),
        |promise| assert!(promise.fail("no")),
        |promise| assert!(promise.discard()),
        drop,
    ];
    for end in ends {
        for ended_before in [false, true] {
            let (outer, inner) = (Promise::new(), Promise::new());
            let (future, source) = (outer.future(), inner.future());
            let kept = source.clone();
            if ended_before {
                end(inner);
                assert!(outer.associate(source));
            } else {
                assert!(outer.associate(source));
                assert!(!outer.set(2) && !outer.fail("no") && !outer.discard());
                assert!(!outer.associate(Future::ready(3)) && future.is_pending());
                // The association stands without the promise.
                drop(outer);
                assert!(!future.is_abandoned());
                end(inner);
            }
            assert_eq!(future.is_abandoned(), kept.is_abandoned());
            assert_eq!(future.get(), kept.get());
        }
    }
}

#[test]
fn a_discard_request_reaches_what_a_promise_is_associated_with_and_not_the_other_way() {
    for requested_before in [false, true] {
        let promises: Vec<Promise<u32>> = (0..4).map(|_| Promise::new()).collect();
        let futures: Vec<_> = promises.iter().map(Promise::future).collect();
        if requested_before {
            futures[0].discard();
        }
        for (promise, next) in promises.iter().zip(&futures[1..]) {
            assert!(promise.associate(next.clone()));
        }
        if !requested_before {
            assert!(!futures[3].has_discard());
            futures[0].discard();
        }
        for future in &futures {
            assert!(future.has_discard() && future.is_pending());
        }
        promises[3].discard();
        assert!(futures.iter().all(Future::is_discarded));
    }
    let (outer, inner) = (Promise::<u32>::new(), Promise::new());
    let (future, source) = (outer.future(), inner.future());
    outer.associate(source.clone());
    source.discard();
    assert!(source.has_discard() && !future.has_discard() && !outer.has_discard());
}

#[test]
fn a_discard_callback_runs_once_when_a_discard_is_requested_and_never_later() {
    let log = Log::default();
    let add = |entry: &'static str| {
        let log = log.clone();
        move || log.add(entry)
    };
    let promise = Promise::<u32>::new();
    let future = promise.future();
    promise.on_discard(add("promise's"));
    future.on_discard(add("future's"));
    assert!(future.discard() && !future.clone().discard());
    assert_eq!(log.entries(), ["promise's", "future's"]);
    future.on_discard(add("late"));
    assert_eq!(log.entries().last().unwrap(), "late");
    promise.set(1);
    future.on_discard(add("after the end"));
    assert_eq!(log.entries().len(), 3);

    let promise = Promise::new();
    let future = promise.future();
    future.on_discard(add("unused"));
    promise.set(1);
    assert!(!future.discard() && log.entries().len() == 3);
}

#[test]
fn a_discard_callback_may_complete_its_own_promise_and_does_not_keep_it_alive() {
    let alive = Arc::new(AtomicUsize::new(0));
    let make = || {
        let promise = Arc::new(Promise::<u32>::new());
        let (own, counted) = (Arc::clone(&promise), Counted::new(&alive));
        (promise, move || {
            own.discard();
            drop(counted);
        })
    };
    // Requested.
    let (promise, callback) = make();
    let future = promise.future();
    promise.on_discard(callback);
    assert!(future.discard() && future.is_discarded());
    drop(promise);
    assert_eq!(alive.load(Ordering::Relaxed), 0);

    // The last future is dropped, before the promise is or after; and by whoever got it from a clone.
    for promise_first in [false, true] {
        let (promise, callback) = make();
        let future = promise.future();
        promise.on_discard(callback);
        if promise_first {
            drop(promise);
        }
        let clone = future.clone();
        drop(future);
        assert_eq!(alive.load(Ordering::Relaxed), 1);
        drop(clone);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }

    // The callback comes when the last future is gone already.
    let (promise, callback) = make();
    drop(promise.future());
    promise.on_discard(callback);
    assert_eq!(alive.load(Ordering::Relaxed), 0);

    // The callback comes before the future is given.
    let (promise, callback) = make();
    promise.on_discard(callback);
    assert_eq!(alive.load(Ordering::Relaxed), 1);
    drop(promise.future());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_value_is_cloned_for_all_holders_but_the_last() {
    let value = Value::new();
    let count = value.watch();
    let promise = Promise::new();
    let future = promise.future();
    let clone = future.clone();
    promise.set(value);
    drop(promise);
    assert_eq!(count(), (0, 1));
    drop(clone.get());
    assert_eq!(count(), (1, 1), "another holder is left");
    let value = future.get();
    assert_eq!(count(), (1, 1), "moved to the last");
    drop(value);
    assert_eq!(count(), (1, 0));
}

#[test]
fn the_last_link_of_a_future_gets_its_value_by_a_move() {
    let value = Value::new();
    let count = value.watch();
    let promise = Promise::new();
    let future = promise.future();
    let one = future.clone().then(drop::<Value>);
    let two = future.then(drop::<Value>);
    promise.set(value);
    assert_eq!(count(), (1, 0));
    drop((one, two));
}

#[test]
fn a_value_that_nobody_wants_any_more_is_dropped_though_the_promise_lives() {
    let value = Value::new();
    let count = value.watch();
    let promise = Promise::new();
    let future = promise.future();
    promise.set(value);
    let clone = future.clone();
    drop(future);
    assert_eq!(count(), (0, 1));
    drop(clone);
    assert_eq!(count(), (0, 0));
    drop(promise);
}

#[test]
fn a_failure_can_be_read_in_a_callback_that_drops_the_last_future() {
    let promise = Promise::<u32>::new();
    let future = promise.future();
    let slot = Arc::new(Mutex::new(None));
    let (last, read) = (Arc::clone(&slot), Log::default());
    let log = read.clone();
    future.on_failed(move |message| {
        drop(lock(&last).take());
        log.add(message);
    });
    *lock(&slot) = Some(future);
    promise.fail("no such user".to_owned());
    assert_eq!(read.entries(), ["no such user"]);
}

#[test]
fn a_value_can_use_what_is_left_of_its_future_when_it_is_dropped() {
    struct Curious(Mutex<Option<libprocess::WeakFuture<Arc<Curious>>>>, Log);
    impl Drop for Curious {
        fn drop(&mut self) {
            let weak = lock(&self.0).take().expect("set by the test");
            let upgraded = weak.upgrade().is_some();
            self.1.add(format!("upgraded: {upgraded}"));
        }
    }
    let log = Log::default();
    let promise = Promise::new();
    let future = promise.future();
    let value = Curious(Mutex::new(Some(future.downgrade())), log.clone());
    promise.set(Arc::new(value));
    drop(future);
    assert_eq!(log.entries(), ["upgraded: false"]);
}

#[test]
fn a_weak_future_is_upgraded_while_there_is_another() {
    let promise = Promise::new();
    let future = promise.future();
    let weak = future.downgrade();
    let again = weak.clone();
    let upgraded = weak.upgrade().expect("there is one");
    assert!(upgraded == future);
    drop(future);
    promise.set("value".to_owned());
    assert_eq!(
        again.upgrade().map(Future::get),
        Some(Ok("value".to_owned()))
    );
    assert_eq!(upgraded.get().as_deref(), Ok("value"));
    assert!(weak.upgrade().is_none() && again.upgrade().is_none());

    // A link counts as long as it needs the value.
    let promise = Promise::new();
    let future = promise.future();
    let weak = future.downgrade();
    let next = future.then(|n: u32| n);
    assert!(weak.upgrade().is_some());
    promise.set(1);
    assert!(weak.upgrade().is_none());
    assert_eq!(next.get(), Ok(1));
}

#[test]
fn threads_that_wait_all_get_the_value() {
    for end in [
        |promise: Promise<_>| promise.set("value".to_owned()),
        |promise: Promise<_>| promise.fail("no"),
    ] {
        let promise = Promise::new();
        let future = promise.future();
        let ready = Arc::new(Barrier::new(7));
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let (future, ready) = (future.clone(), Arc::clone(&ready));
                thread::spawn(move || {
                    ready.wait();
                    let expected = match number % 3 {
                        0 => future.get(),
                        1 => future.get_timeout(HANG),
                        _ => future.wait(None).and_then(|()| future.get()),
                    };
                    assert!(
                        expected == Ok("value".to_owned())
                            || expected == Err(FutureError::Failed("no".into()))
                    );
                })
            })
            .collect();
        ready.wait();
        end(promise);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!future.is_pending());
    }
}

#[test]
fn a_wait_that_gives_up_leaves_the_future_as_it_was() {
    let promise = Promise::new();
    let future = promise.future();
    let no_time = Some(Duration::ZERO);
    assert_eq!(future.wait(no_time), Err(FutureError::TimedOut));
    assert_eq!(
        future.clone().get_timeout(Duration::from_nanos(1)),
        Err(FutureError::TimedOut)
    );
    promise.set(1);
    assert_eq!(future.wait(no_time), Ok(()));
    assert_eq!(future.get_timeout(Duration::ZERO), Ok(1));
}

#[test]
fn a_waker_is_used_once_and_the_newest_of_each_future_counts() {
    let promise = Promise::new();
    let (first, second) = (
        Arc::new(CountingWaker::default()),
        Arc::new(CountingWaker::default()),
    );
    let mut future = pin!(promise.future());
    let mut other = pin!(future.clone());
    for _ in 0..3 {
        assert!(poll(future.as_mut(), &first).is_pending());
    }
    assert_eq!(Arc::strong_count(&first), 2, "kept once");
    assert!(poll(other.as_mut(), &first).is_pending());
    assert!(poll(future.as_mut(), &second).is_pending());
    assert_eq!(
        (Arc::strong_count(&first), Arc::strong_count(&second)),
        (2, 2)
    );
    promise.set(7);
    assert_eq!((first.woken(), second.woken()), (1, 1));
    assert_eq!(
        (Arc::strong_count(&first), Arc::strong_count(&second)),
        (1, 1)
    );
    assert_eq!(poll(future.as_mut(), &first), Poll::Ready(Ok(7)));
    assert_eq!(poll(other.as_mut(), &first), Poll::Ready(Ok(7)));
    assert_eq!((first.woken(), second.woken()), (1, 1));
}

#[test]
fn a_waker_that_is_replaced_before_the_end_is_not_woken() {
    let promise = Promise::new();
    let (first, second) = (
        Arc::new(CountingWaker::default()),
        Arc::new(CountingWaker::default()),
    );
    let mut future = pin!(promise.future());
    assert!(poll(future.as_mut(), &first).is_pending());
    assert!(poll(future.as_mut(), &second).is_pending());
    drop(promise);
    assert_eq!((first.woken(), second.woken()), (0, 1));
    assert_eq!(
        poll(future.as_mut(), &first),
        Poll::Ready(Err::<u32, _>(FutureError::Abandoned))
    );
}

#[test]
fn a_future_that_gave_its_value_is_of_no_further_use_and_says_so() {
    let waker = Arc::new(CountingWaker::default());
    // With another holder of the core (the promise), and alone.
    for promise_lives in [true, false] {
        let make = || {
            let promise = Promise::new();
            let mut future = Box::pin(promise.future());
            promise.set("value".to_owned());
            let promise = promise_lives.then_some(promise);
            assert_eq!(
                poll(future.as_mut(), &waker),
                Poll::Ready(Ok("value".to_owned()))
            );
            (future, promise)
        };
        let taken = FutureError::Taken;
        let (mut future, promise) = make();
        assert_eq!(
            poll(future.as_mut(), &waker),
            Poll::Ready(Err(taken.clone()))
        );
        assert!(future.is_ready() && !future.is_pending() && !future.discard());
        assert_eq!(format!("{future:?}"), "Future(ready, its value taken)");
        let log = Log::default();
        let (any, ready) = (log.clone(), log.clone());
        future.on_any(move |result| any.add(format!("{result:?}")));
        future.on_ready(move |_| ready.add("ready"));
        assert_eq!(log.entries(), ["Err(Taken)"]);
        let clone = Future::clone(&future);
        let weak = future.downgrade();
        assert_eq!(
            (clone.get(), future.wait(None)),
            (Err(taken.clone()), Ok(()))
        );
        drop((future, promise));
        assert!(weak.upgrade().is_none());

        // By value. Not pinned in earnest: no field is.
        let by_value = |(future, _): (Pin<Box<Future<String>>>, _)| {
            // SAFETY: a future does not depend on its place.
            *unsafe { Pin::into_inner_unchecked(future) }
        };
        assert_eq!(by_value(make()).get(), Err(taken.clone()));
        assert!(by_value(make()).then(|text| text).get().is_err());
        assert_eq!(
            by_value(make()).recover(|error| error.to_string()).get(),
            Ok(taken.to_string())
        );
        let outer = Promise::new();
        outer.associate(by_value(make()));
        assert!(outer.future().is_failed());
        let returned = by_value(make());
        assert!(Future::ready(()).then(|()| returned).get().is_err());
        let source = Promise::new();
        let (returned, link) = (by_value(make()), source.future());
        let link = link.then(|()| returned);
        source.set(());
        assert!(link.is_failed());
    }
}

#[test]
fn a_value_that_cannot_be_cloned_goes_from_a_process_to_whoever_asked() {
    let runtime = crate::common::runtime(1);
    let pid = runtime.spawn(Idle);
    let make = || {
        dispatch_with(pid, |_, _| {
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port")
        })
    };
    let port = make().then(|listener| listener.local_addr().expect("bound").port());
    assert_ne!(port.get(), Ok(0));
    assert!(
        make()
            .get()
            .is_ok_and(|listener| listener.local_addr().is_ok())
    );
    let future = make();
    let mut awaited = pin!(async { future.await.map(|listener| listener.local_addr().is_ok()) });
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match awaited.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => break assert_eq!(result, Ok(true)),
            Poll::Pending => thread::park_timeout(HANG),
        }
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
