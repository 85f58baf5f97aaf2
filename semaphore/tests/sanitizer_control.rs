//! What `scripts/tsan` and `scripts/asan` run first, to know that the sanitizers work here: a program of std's own types, which ThreadSanitizer must find
//! clean, and planted defects, which they must find.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn std_only_control() {
    // What is compiled here and so instrumented: atomics, a mutex's fast path, the handing over of boxes. What is intercepted: threads.
    let shared = Arc::new((
        Mutex::new(0_u64),
        AtomicPtr::new(std::ptr::null_mut::<u64>()),
    ));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for number in 0..10_000 {
                    while shared.0.try_lock().map(|mut sum| *sum += 1).is_err() {
                        std::thread::yield_now();
                    }
                    let mine = Box::into_raw(Box::new(number));
                    let others = shared.1.swap(mine, Ordering::AcqRel);
                    if !others.is_null() {
                        // SAFETY: the swap took it out, so it is this thread's alone.
                        assert!(*unsafe { Box::from_raw(others) } < 10_000);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*shared.0.lock().unwrap(), 40_000);
    // SAFETY: the last one that was put there; all threads have ended.
    drop(unsafe { Box::from_raw(shared.1.load(Ordering::Acquire)) });
}

#[test]
#[ignore = "a data race, for ThreadSanitizer to find"]
fn planted_race() {
    struct Racy(UnsafeCell<u64>);
    // SAFETY: none: this is the planted defect, run by the sanitizer's script only.
    unsafe impl Sync for Racy {}
    let racy = Arc::new(Racy(UnsafeCell::new(0)));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let racy = Arc::clone(&racy);
            std::thread::spawn(move || {
                for _ in 0..1_000 {
                    // SAFETY: as above.
                    unsafe { std::ptr::write_volatile(racy.0.get(), 1) };
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
#[ignore = "a use after free, for AddressSanitizer to find"]
fn planted_use_after_free() {
    let freed = Box::into_raw(Box::new(7_u64));
    // SAFETY: it came from a box.
    drop(unsafe { Box::from_raw(freed) });
    // SAFETY: none: this is the planted defect, run by the sanitizer's script only.
    let read = unsafe { std::ptr::read_volatile(freed) };
    assert_eq!(read, 7);
}
