//! Whoever gives up waiting leaves nothing behind, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use libprocess::sync::{
    BoundedQueue, CountDownLatch, Latch, Mutex, Once, Queue, RateLimiter, RwLock, Sequence,
};
use libprocess::{Future, Promise, Runtime};

struct Counting;

thread_local! {
    /// What this thread has allocated and not freed.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get() + layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const WAITERS: usize = 100_000;

/// What an empty map or list may keep for the next one.
const KEPT: isize = 4_096;

/// Has many wait and give up, between two who go on waiting: one after the other, and all at once.
fn leaves_nothing<T: Send + 'static>(wait: impl Fn() -> Future<T>) {
    let first = wait();
    assert!(first.is_pending(), "this is about waiting");
    let give_up = [
        |future: Future<T>| assert!(future.discard() && future.is_discarded()),
        |future| drop(future),
    ];
    for give_up in give_up {
        let before = BYTES.get();
        for _ in 0..WAITERS / 10 {
            give_up(wait());
        }
        let one_by_one = BYTES.get() - before;
        assert!(one_by_one <= KEPT, "{one_by_one} bytes are left");
        // The list of the futures is made beside.
        let mut waiting = Vec::with_capacity(WAITERS);
        let before = BYTES.get();
        waiting.extend((0..WAITERS).map(|_| wait()));
        let last = wait();
        waiting.drain(..).for_each(give_up);
        let at_once = BYTES.get() - before;
        assert!(at_once <= KEPT, "{at_once} bytes are left");
        assert!(first.is_pending() && last.is_pending());
    }
}

#[test]
fn of_a_latch() {
    let latch = Latch::new();
    leaves_nothing(|| latch.triggered());
    let latch = CountDownLatch::new(1);
    leaves_nothing(|| latch.triggered());
}

#[test]
fn of_once() {
    let once = Once::new();
    let turn = once.once();
    leaves_nothing(|| once.once());
    drop(turn);
}

#[test]
fn of_a_mutex() {
    let mutex = Mutex::new(());
    let guard = mutex.try_lock();
    leaves_nothing(|| mutex.lock());
    // Also what waits behind a link: given up by a discard, as to drop it lets it go on.
    let first = mutex.lock();
    let before = BYTES.get();
    for _ in 0..WAITERS {
        mutex.lock().then(|_guard| Future::ready(())).discard();
    }
    assert!(BYTES.get() - before <= KEPT && first.is_pending());
    drop(guard);
}

#[test]
fn of_an_rwlock() {
    let lock = RwLock::new(());
    let writer = lock.try_write();
    leaves_nothing(|| lock.read());
    leaves_nothing(|| lock.write());
    drop(writer);
}

#[test]
fn of_a_queue() {
    let queue = Queue::<Vec<u8>>::new();
    leaves_nothing(|| queue.get());
    let queue = BoundedQueue::new(0);
    leaves_nothing(|| queue.put(vec![0_u8; 8]));
}

#[test]
fn of_a_rate_limiter() {
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let clock = runtime.clock();
    clock.pause();
    let limiter = RateLimiter::with_clock(clock, NonZeroU32::MIN, Duration::from_secs(1));
    assert!(limiter.acquire().is_ready());
    leaves_nothing(|| limiter.acquire());
    // With a timer for each, as nobody else waits.
    let before = BYTES.get();
    for _ in 0..WAITERS {
        limiter.acquire().discard();
    }
    assert!(BYTES.get() - before <= KEPT);
}

#[test]
fn of_a_sequence() {
    let sequence = Sequence::new();
    let promise = Promise::<()>::new();
    let opened = promise.future();
    let first = sequence.add(move || opened);
    let behind = sequence.add(|| 1);
    for _ in 0..2 {
        let before = BYTES.get();
        for number in 0..WAITERS {
            let bytes = Box::new([0_u8; 8]);
            sequence.add(move || bytes.len() + number).discard();
        }
        assert!(BYTES.get() - before <= KEPT);
    }
    assert!(first.is_pending() && behind.is_pending());
}
