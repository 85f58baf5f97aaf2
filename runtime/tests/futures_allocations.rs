//! What futures cost in allocations. One test: some are counted for the whole OS process.

mod common;

use common::Idle;
use libprocess::{Future, Promise, dispatch_with};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Allocations that this thread made, and those of them that it has not freed.
    static MINE: Cell<(usize, isize)> = const { Cell::new((0, 0)) };
}

fn count(made: usize, in_use: isize) {
    // In a thread's last destructors there is nothing to count in.
    let _ = MINE.try_with(|mine| {
        let (all, used) = mine.get();
        mine.set((all + made, used + in_use));
    });
}

// SAFETY: the system's allocator, counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        count(1, 1);
        // SAFETY: by the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -1);
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations `f` makes in this thread, that all are freed.
fn allocations(f: impl FnOnce()) -> usize {
    let (before, in_use) = MINE.get();
    f();
    let (after, left) = MINE.get();
    assert_eq!(left - in_use, 0, "not freed");
    after - before
}

/// How many allocations a round makes in the mean, rounded: other threads of the OS process make a few.
fn in_the_mean(mut round: impl FnMut()) -> usize {
    const ROUNDS: usize = 1_000;
    // First what is made once for a thread, and tables that grow.
    (0..ROUNDS).for_each(|_| round());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..ROUNDS).for_each(|_| round());
    let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
    (made + ROUNDS / 2) / ROUNDS
}

#[test]
fn futures_need_few_allocations() {
    let future = allocations(|| drop(Future::ready(1)));
    assert_eq!(future, 1, "a future that is ready");

    let completed = allocations(|| {
        let promise = Promise::new();
        let future = promise.future();
        promise.set(1);
        assert_eq!(future.get(), Ok(1));
    });
    assert_eq!(completed, 1, "a promise, its future, its value");

    let linked = allocations(|| {
        let promise = Promise::new();
        let link = promise.future().then(|n| n + 1);
        promise.set(1);
        assert_eq!(link.get(), Ok(2));
    });
    assert_eq!(linked, 2, "with a link");

    let at_once = allocations(|| assert_eq!(Future::ready(1).then(|n| n + 1).get(), Ok(2)));
    assert_eq!(at_once, 2, "two futures that are ready");

    let followed = allocations(|| {
        let (promise, returned) = (Promise::new(), Promise::new());
        let inner = returned.future();
        let link = promise.future().then(move |()| inner);
        promise.set(());
        returned.set(1);
        assert_eq!(link.get(), Ok(1));
    });
    assert_eq!(
        followed, 3,
        "two promises, and a link from one to the other"
    );

    let associated = allocations(|| {
        let (outer, inner) = (Promise::new(), Promise::new());
        let future = outer.future();
        outer.associate(inner.future());
        inner.set(1);
        assert_eq!(future.get(), Ok(1));
    });
    assert_eq!(associated, 4, "two promises, and what associates them");

    let observed = allocations(|| {
        let promise = Promise::new();
        let future = promise.future();
        future.on_ready(|n| assert_eq!(*n, 1));
        promise.set(1);
        drop(future);
    });
    assert_eq!(observed, 2, "a promise and a callback");

    let runtime = common::runtime(1);
    let pid = runtime.spawn(Idle);
    let dispatched = in_the_mean(|| {
        dispatch_with(pid, |_, _| 1).get().unwrap();
    });
    // Its memory is that of an event before.
    assert_eq!(dispatched, 0, "a dispatch, with its future");

    let linked = in_the_mean(|| {
        let answer = dispatch_with(pid, |_, _| 1).then(|n| n + 1);
        assert_eq!(answer.get(), Ok(2));
    });
    assert_eq!(linked, 1, "a dispatch and a link");

    let method = in_the_mean(|| {
        let answer = libprocess::dispatch(pid, |_: &mut Idle, n: u32| n, (1,)).then(|n| n + 1);
        assert_eq!(answer.get(), Ok(2));
    });
    assert_eq!(method, 1, "a dispatch of a method and a link");
}
