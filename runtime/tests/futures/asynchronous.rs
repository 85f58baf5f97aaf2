//! Rust's `async`: blocks on this runtime, our futures on others', and closures that may block.

use std::future::Future as StdFuture;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use crate::common::{Idle, Log, gate, runtime, scale};
use libprocess::{
    Executor, Future, FutureError, Process, Promise, Runtime, assert_abandoned, assert_discarded,
    assert_pending, await_abandoned, await_failed, await_ready, defer, defer_with, dispatch,
    dispatch_with, spawn_async, terminate, wait,
};

/// Counts its drops.
pub(crate) struct Dropped(pub(crate) Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst); // SeqCst: a test's counter.
    }
}

pub(crate) fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst) // SeqCst: as above.
}

#[test]
fn an_async_block_runs_on_the_runtime_and_gives_a_future() {
    let runtime = runtime(1);
    let promise = Promise::<i64>::new();
    let future = promise.future();
    let doubled = runtime.spawn_async(async move { future.await.map(|n| n * 2) });
    assert_pending!(doubled);
    promise.set(21);
    assert_eq!(await_ready!(doubled.flatten()), 42);
    // Its process ends by itself.
    runtime.clock().pause();
    runtime.clock().settle().unwrap();
    assert_eq!(runtime.stats().alive, 0);
}

/// One that is pinned where it stands points into itself; how large it is decides where that is.
#[test]
fn a_block_of_any_size_stays_where_it_is() {
    async fn adds_up<const N: usize>(gate: Future<()>) -> bool {
        let bytes = [1_u8; N];
        let (place, borrowed) = (bytes.as_ptr().addr(), &bytes);
        gate.await.expect("opened");
        borrowed.as_ptr().addr() == place && borrowed.iter().all(|&byte| byte == 1)
    }
    let runtime = runtime(2);
    let (promise, gate) = Promise::pair();
    let blocks = [
        runtime.spawn_async(adds_up::<16>(gate.clone())),
        runtime.spawn_async(adds_up::<2_000>(gate.clone())),
        runtime.spawn_async(adds_up::<100_000>(gate.clone())),
    ];
    let cancelled = runtime.spawn_async(adds_up::<16>(gate));
    drop(cancelled);
    promise.set(());
    for block in blocks {
        assert!(await_ready!(block));
    }
}

#[test]
fn a_block_that_is_woken_when_it_has_ended_has_lost_nothing() {
    let runtime = runtime(1);
    let woken_at_its_end = runtime.spawn_async(std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(7)
    }));
    assert_eq!(await_ready!(woken_at_its_end), 7);
    runtime.clock().pause();
    runtime.clock().settle().unwrap();
    assert_eq!(
        (runtime.stats().alive, runtime.stats().dead_letters),
        (0, 0)
    );
}

#[test]
fn an_async_block_awaits_processes_and_spawns_others() {
    let runtime = runtime(2);
    let pid = runtime.spawn(Idle);
    let sum = runtime.spawn_async(async move {
        let one = dispatch_with(pid, |_, _| 1).await?;
        // The current runtime is this one.
        let two = spawn_async(async { 2 }).await?;
        Ok::<i64, FutureError>(one + two)
    });
    assert_eq!(await_ready!(sum), Ok(3));
}

#[test]
fn discarding_or_dropping_the_future_cancels_the_block_at_its_await() {
    let runtime = runtime(1);
    let dropped = Arc::new(AtomicUsize::new(0));
    let promise = Promise::<()>::new();
    let future = promise.future();
    let guard = Dropped(Arc::clone(&dropped));
    let (entered, is_in) = std::sync::mpsc::channel();
    let task = runtime.spawn_async({
        let future = future.clone();
        let entered = entered.clone();
        async move {
            let _guard = guard;
            entered.send(()).unwrap();
            future.await.unwrap();
            unreachable!("it was cancelled");
        }
    });
    is_in.recv().unwrap();
    task.discard();
    let discarded = task.clone();
    assert_eq!(
        task.get_timeout(Duration::from_secs(15)),
        Err(FutureError::Discarded)
    );
    assert_discarded!(discarded);
    assert_eq!(count(&dropped), 1, "what it held is gone when it is told");

    let guard = Dropped(Arc::clone(&dropped));
    let ended = Promise::<()>::new();
    let has_ended = ended.future();
    let task = runtime.spawn_async(async move {
        // Abandons the other future when it goes.
        let (_guard, _ended) = (guard, ended);
        entered.send(()).unwrap();
        future.await.unwrap();
    });
    is_in.recv().unwrap();
    drop(task);
    await_abandoned!(has_ended);
    promise.set(());
}

#[test]
fn a_detached_block_goes_on() {
    let runtime = runtime(1);
    let (promise, done) = (Promise::<()>::new(), Promise::<()>::new());
    let (future, has_done) = (promise.future(), done.future());
    runtime
        .spawn_async(async move {
            future.await.unwrap();
            done.set(());
        })
        .detach();
    promise.set(());
    await_ready!(has_done);
}

#[test]
fn a_panic_in_a_block_fails_its_future_and_no_other() {
    let runtime = runtime(1);
    let failing: Future<()> = runtime.spawn_async(async { panic!("in a block") });
    assert_eq!(
        &*await_failed!(failing),
        "the async block panicked: in a block"
    );
    assert_eq!(await_ready!(runtime.spawn_async(async { 1 })), 1);
}

#[test]
fn the_end_of_the_runtime_ends_its_blocks() {
    let runtime = runtime(1);
    let dropped = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&dropped));
    let task = runtime.spawn_async(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    drop(runtime);
    assert_eq!(count(&dropped), 1);
    assert_abandoned!(task);
}

#[test]
fn wakes_from_many_threads_are_one_poll_at_a_time_and_none_is_lost() {
    /// Is ready when it has seen that many wakes.
    struct Counted {
        wakes: Arc<AtomicUsize>,
        target: usize,
        waker: Arc<std::sync::Mutex<Option<Waker>>>,
    }
    impl StdFuture for Counted {
        type Output = usize;

        fn poll(self: std::pin::Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<usize> {
            *crate::common::lock(&self.waker) = Some(cx.waker().clone());
            let wakes = count(&self.wakes);
            if wakes >= self.target {
                Poll::Ready(wakes)
            } else {
                Poll::Pending
            }
        }
    }
    let runtime = runtime(2);
    let each = 1_000 * scale();
    let (wakes, waker) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let task = runtime.spawn_async(Counted {
        wakes: Arc::clone(&wakes),
        target: 2 * each,
        waker: Arc::clone(&waker),
    });
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (wakes, waker) = (Arc::clone(&wakes), Arc::clone(&waker));
            std::thread::spawn(move || {
                for _ in 0..each {
                    wakes.fetch_add(1, Ordering::SeqCst); // SeqCst: as above.
                    let waker = crate::common::lock(&waker).clone();
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            })
        })
        .collect();
    assert_eq!(await_ready!(task), 2 * each);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_tokio_task_awaits_a_dispatch_and_a_process_awaits_a_tokio_channel() {
    struct Doubling;
    impl Process for Doubling {}
    impl Doubling {
        fn double(&mut self, n: i64) -> i64 {
            n * 2
        }

        /// Answers when the channel does.
        fn awaited(&mut self, receiver: tokio::sync::oneshot::Receiver<i64>) -> Future<i64> {
            spawn_async(receiver).then(|received| match received {
                Ok(n) => Future::ready(n),
                Err(error) => Future::failed(error.to_string()),
            })
        }
    }
    let runtime = runtime(2);
    let pid = runtime.spawn(Doubling);
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let answer = dispatch(pid, Doubling::awaited, (receiver,));
    let doubled = tokio.block_on(async move {
        let task = tokio::spawn(async move { dispatch(pid, Doubling::double, (21,)).await });
        let doubled = task.await.unwrap().unwrap();
        sender.send(doubled).unwrap();
        // Ours under tokio's timeout, which drops it.
        let never = Promise::<()>::new();
        let late = tokio::time::timeout(Duration::from_millis(1), never.future()).await;
        assert!(late.is_err());
        doubled
    });
    assert_eq!(doubled, 42);
    assert_eq!(await_ready!(answer), 42);
    let (sender, receiver) = tokio::sync::oneshot::channel::<i64>();
    drop(sender);
    assert!(await_failed!(dispatch(pid, Doubling::awaited, (receiver,))).contains("closed"));
}

#[test]
#[cfg_attr(
    libprocess_tsan,
    ignore = "event-listener uses fences, which ThreadSanitizer does not know"
)]
fn smol_s_crates_await_ours_and_ours_await_theirs() {
    let runtime = runtime(1);
    let pid = runtime.spawn(Idle);
    let (sender, receiver) = async_channel::bounded(1);
    let received = runtime.spawn_async(async move { receiver.recv().await });
    futures_lite::future::block_on(async {
        let n = dispatch_with(pid, |_, _| 5).await.unwrap();
        sender.send(n).await.unwrap();
    });
    assert_eq!(await_ready!(received), Ok(5));
    // A race of two, whose loser is dropped.
    let never = Promise::<i64>::new();
    let first =
        futures_lite::future::block_on(futures_lite::future::or(never.future(), Future::ready(1)));
    assert_eq!(first, Ok(1));
    assert!(never.set(2), "nobody looks, but it is in order");
}

#[test]
fn hyper_s_executor_trait_can_be_implemented_on_a_runtime() {
    #[derive(Clone)]
    struct OnRuntime(Arc<Runtime>);
    impl<F> hyper::rt::Executor<F> for OnRuntime
    where
        F: StdFuture + Send + 'static,
        F::Output: Send + 'static,
    {
        fn execute(&self, future: F) {
            self.0.spawn_async(future).detach();
        }
    }
    fn generic<E: hyper::rt::Executor<std::pin::Pin<Box<dyn StdFuture<Output = ()> + Send>>>>(
        executor: &E,
        promise: Promise<i64>,
    ) {
        executor.execute(Box::pin(async move {
            promise.set(7);
        }));
    }
    let executor = OnRuntime(Arc::new(runtime(1)));
    let promise = Promise::new();
    let future = promise.future();
    generic(&executor, promise);
    assert_eq!(await_ready!(future), 7);
}

#[test]
fn a_future_polled_by_hand_wakes_the_last_waker_once() {
    struct Counting(AtomicUsize);
    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst); // SeqCst: as above.
        }
    }
    let promise = Promise::new();
    let mut future = pin!(promise.future());
    let (first, second) = (
        Arc::new(Counting(AtomicUsize::new(0))),
        Arc::new(Counting(AtomicUsize::new(0))),
    );
    for counting in [&first, &first, &second, &second] {
        let waker = Waker::from(Arc::clone(counting));
        let poll = future.as_mut().poll(&mut TaskContext::from_waker(&waker));
        assert!(poll.is_pending());
    }
    promise.set("value");
    assert_eq!((count(&first.0), count(&second.0)), (0, 1));
    let waker = Waker::from(first);
    let mut context = TaskContext::from_waker(&waker);
    assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(Ok("value")));
    let again = future.as_mut().poll(&mut context);
    assert_eq!(again, Poll::Ready(Err(FutureError::Taken)));
}

#[test]
fn async_closures_may_block_while_the_workers_go_on() {
    let runtime = runtime(1);
    let gates: Vec<_> = (0..4).map(|_| gate()).collect();
    let mut doors = Vec::new();
    let mut results = Vec::new();
    for (number, (door, stop)) in gates.into_iter().enumerate() {
        doors.push(door);
        results.push(runtime.async_(move || {
            stop();
            number
        }));
    }
    for door in &doors {
        door.wait_until_reached();
    }
    // All four sit in their closures, and the one worker is free.
    assert_eq!(
        await_ready!(dispatch_with(runtime.spawn(Idle), |_, _| 1)),
        1
    );
    for door in doors {
        door.open();
    }
    for (number, result) in results.into_iter().enumerate() {
        assert_eq!(await_ready!(result), number);
    }
}

#[test]
fn async_closures_beyond_the_limit_wait_their_turn_and_can_be_discarded_until_then() {
    let runtime = Runtime::builder()
        .workers(1)
        .max_async_threads(1)
        .build()
        .unwrap();
    let (door, stop) = gate();
    let first = runtime.async_(stop);
    door.wait_until_reached();
    let log = Log::default();
    let (second, third) = (log.clone(), log.clone());
    let second = runtime.async_(move || second.add("second"));
    let third = runtime.async_(move || third.add("third"));
    second.discard();
    door.open();
    await_ready!(first);
    await_ready!(third);
    assert_discarded!(second);
    assert_eq!(log.entries(), ["third"]);
}

#[test]
fn an_async_closure_that_panics_fails_and_one_that_returns_a_future_gives_that() {
    let runtime = runtime(1);
    let failing = runtime.async_(|| -> () { panic!("in a closure") });
    assert_eq!(
        &*await_failed!(failing),
        "the closure panicked: in a closure"
    );
    let future = await_ready!(runtime.async_(|| Future::ready(3)));
    assert_eq!(await_ready!(future), 3);
    // It can spawn, in the same runtime.
    let pid = await_ready!(runtime.async_(|| libprocess::spawn(Idle)));
    assert_eq!(runtime.stats().alive, 1);
    terminate(pid);
    wait(pid);
}

#[test]
fn async_closures_that_wait_are_dropped_with_the_runtime() {
    let runtime = Runtime::builder()
        .workers(1)
        .max_async_threads(1)
        .build()
        .unwrap();
    let (door, stop) = gate();
    let first = runtime.async_(stop);
    door.wait_until_reached();
    let waiting = runtime.async_(|| ());
    let closer = std::thread::spawn(move || drop(runtime));
    await_abandoned!(waiting);
    door.open();
    closer.join().unwrap();
    await_ready!(first);
}

#[test]
fn deferred_callbacks_run_as_events_of_their_process() {
    #[derive(Default)]
    struct Sum(i64);
    impl Process for Sum {}
    impl Sum {
        fn add(&mut self, n: i64) -> i64 {
            self.0 += n;
            self.0
        }
    }
    let runtime = runtime(1);
    let pid = runtime.spawn(Sum::default());
    let promise = Promise::new();
    let added = promise.future().then(defer(pid, Sum::add));
    let closed = added.clone().then(defer_with(pid, move |sum, cx, n: i64| {
        (sum.0 == n, cx.pid() == pid)
    }));
    // Completed in this thread, but run in the process.
    let (door, stop) = gate();
    dispatch_with(pid, move |_, _| stop()).detach();
    door.wait_until_reached();
    promise.set(5);
    assert_pending!(added);
    door.open();
    assert_eq!(await_ready!(added), 5);
    assert_eq!(await_ready!(closed), (true, true));
    terminate(pid);
    wait(pid);
    await_abandoned!(Future::ready(1).then(defer(pid, Sum::add)));
}

#[test]
fn a_dispatch_that_returns_a_future_ends_as_that_does_and_passes_discards_on() {
    struct Asking {
        future: Option<Future<i64>>,
    }
    impl Process for Asking {}
    impl Asking {
        fn ask(&mut self) -> Future<i64> {
            self.future.take().expect("asked once")
        }
    }
    let runtime = runtime(1);
    let promise = Promise::new();
    let future = promise.future();
    let watched = future.clone();
    let pid = runtime.spawn(Asking {
        future: Some(future),
    });
    let asked = dispatch(pid, Asking::ask, ());
    // Served behind it.
    await_ready!(dispatch_with(pid, |_, _| ()));
    asked.discard();
    assert!(watched.has_discard());
    promise.set(3);
    assert_eq!(await_ready!(asked), 3);
}

#[test]
fn an_executor_runs_closures_one_after_another_and_defers_them() {
    let runtime = runtime(2);
    let executor = Executor::on(&runtime);
    let log = Log::default();
    let results: Vec<_> = (0..100)
        .map(|number| {
            let log = log.clone();
            executor.execute(move || {
                log.add(number.to_string());
                number
            })
        })
        .collect();
    for (number, result) in results.into_iter().enumerate() {
        assert_eq!(await_ready!(result), number);
    }
    let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(log.entries(), expected);
    assert_eq!(
        await_ready!(executor.execute(|| Future::ready("flat"))),
        "flat"
    );
    let length = Future::ready("four").then(executor.defer(|text: &str| text.len()));
    assert_eq!(await_ready!(length), 4);
    executor.stop();
    drop(executor);
    assert_eq!(runtime.stats().alive, 0);
}

#[test]
fn a_dispatched_method_may_take_its_context_behind_its_arguments() {
    struct Echoing;
    impl Process for Echoing {}
    impl Echoing {
        fn itself(&mut self, times: u64, cx: &mut libprocess::Context<Self>) -> String {
            format!("{} {}", times, cx.pid())
        }

        fn later(&mut self, cx: &mut libprocess::Context<Self>) -> Future<String> {
            dispatch(cx.pid(), Self::itself, (2,))
        }
    }
    let runtime = runtime(1);
    let pid = runtime.spawn(Echoing);
    let expected = pid.to_string();
    assert_eq!(
        await_ready!(dispatch(pid, Echoing::itself, (1,))),
        format!("1 {expected}")
    );
    let later: Future<String> = dispatch(pid, Echoing::later, ());
    assert_eq!(await_ready!(later), format!("2 {expected}"));
    let deferred = Future::ready(3).then(defer(pid, Echoing::itself));
    assert_eq!(await_ready!(deferred), format!("3 {expected}"));
}
