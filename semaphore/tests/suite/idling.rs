//! A thread that waits uses no processor time.

use crate::support::processor_time;
use crate::support::thread;
use libprocess_semaphore::{FutexParker, Semaphore, Wakeup};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_millis(100);

/// Far below the wait, far above what two system calls take where everything is slow.
const BOUND: Duration = Duration::from_millis(5);

pub(crate) fn uses_no_processor_time_without_a_deadline<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let before = processor_time();
            assert_eq!(semaphore.wait(), Ok(Wakeup::Signalled));
            processor_time() - before
        });
        // Nothing to observe here: the length of the sleep is what is measured against.
        thread::sleep(WAIT);
        semaphore.signal();
        let used = waiter.join().unwrap();
        assert!(used < BOUND, "{used:?} of {WAIT:?}");
    });
}

pub(crate) fn uses_no_processor_time_with_a_deadline<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    let parker = Arc::new(FutexParker::new());
    let before = processor_time();
    assert_eq!(
        semaphore.wait_with(&parker, Some(Instant::now() + WAIT)),
        Ok(Wakeup::Deadline)
    );
    let used = processor_time() - before;
    assert!(used < BOUND, "{used:?} of {WAIT:?}");
}
