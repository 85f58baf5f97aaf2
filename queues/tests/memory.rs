//! What the documentation says about memory: which queue allocates, and what comes back after a
//! burst.

#![cfg(not(any(libprocess_loom, libprocess_shuttle)))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use libprocess_queues::event::{
    Batch, Bounded, EventQueue, LockFreeEventQueue, LockingEventQueue, Node,
};
use libprocess_queues::run::{ConcurrentRunQueue, LockingRunQueue, RunQueue, SegmentedRunQueue};

thread_local! {
    /// Bytes that this thread has allocated and not freed; each test runs on a thread of its own.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get() + layout.size() as isize);
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from the system.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The bytes that `body` leaves allocated, and how often it allocated.
fn measure<R>(body: impl FnOnce() -> R) -> (isize, usize, R) {
    let (held, allocations) = (HELD.get(), ALLOCATIONS.get());
    let result = body();
    (HELD.get() - held, ALLOCATIONS.get() - allocations, result)
}

fn an_event_queue_allocates_nothing<Q: EventQueue<Box<Node<u64>>>>() {
    let nodes: Vec<_> = (0..100).map(Node::new).collect();
    let (_, allocations, batch) = measure(|| {
        let mailbox = Bounded::<_, Q>::new(100);
        mailbox.open();
        let mut all = Batch::new();
        for (at, node) in nodes.into_iter().enumerate() {
            let _ = mailbox.try_enqueue(node);
            if at % 7 == 0 {
                all.append(mailbox.take());
            }
        }
        all.append(mailbox.close());
        all
    });
    assert_eq!(batch.len(), 100);
    assert_eq!(allocations, 0);
}

#[test]
fn the_lock_free_event_queue_allocates_nothing() {
    an_event_queue_allocates_nothing::<LockFreeEventQueue<_>>();
}

#[test]
fn the_locking_event_queue_allocates_nothing() {
    an_event_queue_allocates_nothing::<LockingEventQueue<_>>();
}

/// Bytes that a run queue holds: never used, with a burst in it, and after the burst.
fn burst<Q: RunQueue<usize>>(items: usize) -> [isize; 3] {
    let (unused, _, queue) = measure(|| Q::new(1));
    let mut local = queue.local(0);
    let (full, _, ()) = measure(|| (0..items).for_each(|item| queue.enqueue(item)));
    let (freed, _, ()) = measure(|| while queue.dequeue(&mut local).is_some() {});
    [unused, full, full + freed]
}

#[test]
fn run_queues_give_memory_back_after_a_burst() {
    let bursts = [
        burst::<LockingRunQueue<usize>>(10_000),
        burst::<SegmentedRunQueue<usize>>(10_000),
        burst::<ConcurrentRunQueue<usize>>(10_000),
    ];
    for [unused, full, after] in bursts {
        assert_eq!(
            unused, 0,
            "nothing is allocated for a queue that was never used"
        );
        assert!(full >= 10_000 * size_of::<usize>() as isize);
        assert!(after <= 1_024, "{after} bytes are kept");
    }
}
