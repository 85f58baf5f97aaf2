//! What is done when it is asked for, and of which nothing is to be learnt but that: a send that the kernel took at once.
//!
//! All such futures are handles of one static core. They cost no memory, and no line of it is written, so workers do not take it from each other's caches.

use super::Future;

impl Future<()> {
    /// As `ready(())`, without an allocation.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(crate) fn done() -> Self {
        use super::core::Core;
        use std::ptr::NonNull;

        static DONE: Core<()> = Core::for_ever((), <() as Clone>::clone);
        // SAFETY: a static, of which handles are not counted.
        unsafe { Self::from_core(NonNull::from(&DONE)) }
    }

    /// Models have no statics of atomics.
    #[cfg(any(libprocess_loom, libprocess_shuttle))]
    pub(crate) fn done() -> Self {
        Self::ready(())
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;
    use crate::Promise;

    /// In all the ways in which a future is used, as often as one likes.
    #[test]
    fn what_is_done_stays_so_whatever_is_done_with_it() {
        let seen = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let (done, more) = (Future::done(), Arc::clone(&seen));
            done.on_ready(move |()| {
                more.fetch_add(1, Relaxed);
            });
            let (first, second, weak) = (done.clone(), done.clone(), done.downgrade());
            assert!(!first.discard() && first.is_ready());
            assert_eq!(first.get(), Ok(()));
            assert_eq!(weak.upgrade().map(Future::get), Some(Ok(())));
            second.on_discard(|| unreachable!("it is done"));
            second.detach();
            assert_eq!(done.then(|()| 5).get(), Ok(5));
            let (promise, associated) = Promise::pair();
            assert!(promise.associate(Future::done()));
            assert_eq!(associated.get(), Ok(()));
            assert_eq!(
                std::thread::spawn(|| Future::done().get()).join().ok(),
                Some(Ok(()))
            );
        }
        assert_eq!(seen.load(Relaxed), 3);
    }
}
