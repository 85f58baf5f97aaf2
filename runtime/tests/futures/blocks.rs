//! Where `async` blocks lie, and how what they hold is dropped.

use std::future::Future as StdFuture;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use crate::asynchronous::{Dropped, count};
use crate::common::runtime;
use libprocess::{
    Future, Promise, Runtime, await_abandoned, await_discarded, await_failed, await_ready,
};

/// Panics when it is dropped.
struct Fragile(#[allow(dead_code)] Dropped);

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("in a drop");
    }
}

/// No process is alive, and nothing was sent that nobody served.
fn assert_all_over(runtime: &Runtime) {
    runtime.clock().pause();
    runtime.clock().settle().unwrap();
    let stats = runtime.stats();
    assert_eq!((stats.alive, stats.dead_letters), (0, 0));
    runtime.clock().resume();
}

#[repr(align(128))]
#[derive(Clone, Copy)]
struct Lines([u8; 128]);

#[repr(align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

/// What is aligned to more than the memory of most processes is where it has to be, in the block and as its output.
#[test]
fn a_block_is_aligned_as_what_it_holds() {
    async fn holds<T: Copy>(value: T, gate: Future<()>) -> (bool, T) {
        let (held, place) = (value, std::ptr::from_ref(&value).addr());
        gate.await.expect("opened");
        // Opaque: a reference is aligned, the compiler knows, and need not look.
        let is_aligned = |place: usize| black_box(place).is_multiple_of(align_of::<T>());
        let now = std::ptr::from_ref(&value).addr();
        (
            place == now && is_aligned(place) && is_aligned(std::ptr::from_ref(&held).addr()),
            held,
        )
    }
    let runtime = runtime(2);
    let (promise, gate) = Promise::pair();
    let lines = runtime.spawn_async(holds(Lines([1; 128]), gate.clone()));
    let page = runtime.spawn_async(holds(Page([2; 4096]), gate.clone()));
    let word = runtime.spawn_async(holds(3_u8, gate.clone()));
    let (_closed, never) = Promise::pair();
    drop(runtime.spawn_async(holds(Page([4; 4096]), never)));
    promise.set(());
    let (is_aligned, lines) = await_ready!(lines);
    assert!(is_aligned && lines.0 == [1; 128]);
    let (is_aligned, page) = await_ready!(page);
    assert!(is_aligned && page.0 == [2; 4096]);
    assert_eq!(await_ready!(word), (true, 3));
    assert_all_over(&runtime);
}

/// The stack of a worker has no room for one of these, however it ends.
#[test]
fn a_block_larger_than_the_stack_of_a_worker_runs_and_ends_in_its_place() {
    const SIZE: usize = 3 << 20;
    if std::env::var_os("RUST_MIN_STACK").is_some() {
        // Not `eprintln!`, which is shown only of tests that fail.
        let line = b"SKIPPED: a block larger than a worker's stack, which RUST_MIN_STACK says\n";
        std::io::Write::write_all(&mut std::io::stderr(), line).unwrap();
        return;
    }
    /// Ready with the sum of its bytes, when the gate is open; without ever being on a stack of a worker.
    struct Large {
        gate: Future<()>,
        panics: bool,
        bytes: [u8; SIZE],
        _dropped: Dropped,
    }
    impl StdFuture for Large {
        type Output = usize;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
            // SAFETY: nothing is moved out of it, and its gate is polled in its place.
            let this = unsafe { self.get_unchecked_mut() };
            // SAFETY: as above.
            let gate = unsafe { Pin::new_unchecked(&mut this.gate) };
            gate.poll(context).map(|_opened| {
                assert!(!this.panics, "as it was told to");
                this.bytes.iter().map(|&byte| usize::from(byte)).sum()
            })
        }
    }
    let spawner = std::thread::Builder::new().stack_size(64 << 20);
    let test = spawner.spawn(|| {
        let runtime = runtime(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        let (promise, gate) = Promise::pair();
        let (_closed, never) = Promise::pair();
        let large = |gate: &Future<()>, panics| {
            runtime.spawn_async(Large {
                gate: gate.clone(),
                panics,
                bytes: [1; SIZE],
                _dropped: Dropped(Arc::clone(&dropped)),
            })
        };
        let (ready, failing) = (large(&gate, false), large(&gate, true));
        drop(large(&never, false));
        promise.set(());
        assert_eq!(await_ready!(ready), SIZE);
        let why = await_failed!(failing);
        assert!(why.ends_with("as it was told to"), "{why}");
        assert_all_over(&runtime);
        assert_eq!(count(&dropped), 3);
    });
    test.expect("a thread").join().unwrap();
}

/// What a block holds is dropped once, whatever that does, and those that wait are told.
#[test]
fn a_drop_that_panics_ends_its_block_alone() {
    let runtime = runtime(1);
    let dropped = Arc::new(AtomicUsize::new(0));
    let fragile = || Fragile(Dropped(Arc::clone(&dropped)));

    // When the block is ready.
    let held = fragile();
    let ready: Future<i32> = runtime.spawn_async(async move {
        let _held = held;
        1
    });
    let why = await_failed!(ready);
    assert_eq!(&*why, "the async block panicked: in a drop");
    assert_eq!(count(&dropped), 1);

    // Held by the future itself, so dropped behind its last poll.
    struct Holds(#[allow(dead_code)] Fragile);
    impl StdFuture for Holds {
        type Output = i32;

        fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<i32> {
            Poll::Ready(1)
        }
    }
    let why = await_failed!(runtime.spawn_async(Holds(fragile())));
    assert_eq!(&*why, "the async block panicked: in a drop");
    assert_eq!(count(&dropped), 2);

    // Behind a panic of the poll: that is what is told.
    struct Panics(#[allow(dead_code)] Fragile);
    impl StdFuture for Panics {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
            panic!("in a poll")
        }
    }
    let why = await_failed!(runtime.spawn_async(Panics(fragile())));
    assert_eq!(&*why, "the async block panicked: in a poll");
    assert_eq!(count(&dropped), 3);

    // The output, of which nobody wants to know.
    let (promise, gate) = Promise::<()>::pair();
    let made = fragile();
    runtime
        .spawn_async(async move {
            gate.await.expect("opened");
            made
        })
        .detach();
    promise.set(());

    // When it is cancelled, which is what is told then, and when its runtime ends.
    let held = fragile();
    let cancelled = runtime.spawn_async(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    cancelled.discard();
    await_discarded!(cancelled);
    assert_all_over(&runtime);
    assert_eq!(count(&dropped), 5);
    let held = fragile();
    let pending = runtime.spawn_async(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    drop(runtime);
    assert_eq!(count(&dropped), 6);
    await_abandoned!(pending);
}

/// A block that lends a part of itself to another, which changes it when it is dropped.
#[test]
fn a_block_that_borrows_of_itself_is_dropped_while_it_does() {
    struct Adds<'a>(&'a mut usize, Arc<AtomicUsize>);
    impl Drop for Adds<'_> {
        fn drop(&mut self) {
            *self.0 += 1;
            self.1.store(*self.0, Ordering::SeqCst); // SeqCst: a test's counter.
        }
    }
    let runtime = runtime(1);
    let seen = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&seen);
    let pending = runtime.spawn_async(async move {
        let mut local = 6;
        let _adds = Adds(&mut local, told);
        std::future::pending::<()>().await;
    });
    drop(pending);
    assert_all_over(&runtime);
    assert_eq!(count(&seen), 7);
}

/// A callback is not the block's.
#[test]
fn a_callback_that_panics_is_not_the_end_of_the_block() {
    let runtime = runtime(1);
    let panicked = runtime.stats().panicked;
    let (promise, gate) = Promise::<()>::pair();
    let block = runtime.spawn_async(async move { gate.await.is_ok() });
    let then = block.then(|_: bool| -> () { panic!("in a callback") });
    promise.set(());
    await_abandoned!(then);
    assert_all_over(&runtime);
    assert_eq!(runtime.stats().panicked, panicked);
}
