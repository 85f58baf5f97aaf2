//! One timer for all that a connection waits for, so that none of it costs a timer: it is set for the first deadline and, when it fires, for the one that holds then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use crate::clock::{Clock, Time, Timer};

pub(crate) struct Alarm {
    clock: Clock,
    set: Option<Set>,
}

/// The timer is cancelled with it. No future: nobody else waits for it.
struct Set {
    until: Time,
    timer: Timer,
    has_fired: Arc<AtomicBool>,
}

impl Drop for Set {
    fn drop(&mut self) {
        self.timer.cancel();
    }
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, set: None }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Whether somebody will be woken, and was not yet.
    pub(crate) fn is_set(&self) -> bool {
        // Relaxed: as in `has_fired`.
        let set = self.set.as_ref();
        set.is_some_and(|set| !set.has_fired.load(Ordering::Relaxed))
    }

    /// Whether it has gone off since it was last asked or set.
    pub(crate) fn has_fired(&mut self) -> bool {
        // Relaxed: who was woken is synchronized with it by the wake.
        self.set
            .take_if(|set| set.has_fired.load(Ordering::Relaxed))
            .is_some()
    }

    /// Ready if it is as late as that. Else who asked when it was set is woken then, or before.
    pub(crate) fn poll(&mut self, deadline: Time, waker: &Waker) -> Poll<()> {
        self.has_fired();
        if let Some(set) = &self.set
            && set.until <= deadline
        {
            return Poll::Pending;
        }
        if deadline <= self.now() {
            return Poll::Ready(());
        }
        let fired = Arc::new(AtomicBool::new(false));
        let (has_fired, waker) = (Arc::clone(&fired), waker.clone());
        let timer = self.clock.timer_at(deadline, move || {
            // Relaxed: as in `has_fired`.
            fired.store(true, Ordering::Relaxed);
            waker.wake();
        });
        // Without one the clock has ended, and with it the runtime: nothing will be late any more.
        self.set = timer.map(|timer| Set {
            until: deadline,
            timer,
            has_fired,
        });
        Poll::Pending
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn alarm(name: &str) -> (Alarm, Clock) {
        let clock = Clock::new(name.to_owned());
        clock.pause();
        (Alarm::new(clock.clone()), clock)
    }

    #[test]
    fn it_goes_off_at_the_first_deadline_and_is_set_for_the_next() {
        let (mut alarm, clock) = alarm("alarm");
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let begin = clock.now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert!(!alarm.is_set());
        assert!(alarm.poll(after(5), &waker).is_pending());
        assert!(alarm.is_set());
        // A later one needs no other timer; an earlier one does.
        assert!(alarm.poll(after(9), &waker).is_pending());
        assert!(alarm.poll(after(3), &waker).is_pending());
        clock.advance(Duration::from_secs(4));
        clock.settle().expect("outside of a process, and paused");
        assert_eq!(woken.0.load(Relaxed), 1);
        assert!(!alarm.is_set(), "it has gone off");
        assert!(alarm.poll(after(4), &waker).is_ready());
        assert!(alarm.poll(after(9), &waker).is_pending());
        clock.advance(Duration::from_secs(5));
        clock.settle().expect("outside of a process, and paused");
        assert_eq!(woken.0.load(Relaxed), 2);
        assert!(alarm.has_fired() && !alarm.has_fired());
        assert!(alarm.poll(after(9), &waker).is_ready());
        clock.stop();
    }

    /// It was asked again and again, without end.
    #[test]
    fn a_clock_that_has_ended_is_asked_once() {
        let (mut alarm, clock) = alarm("ended");
        let later = clock.now() + Duration::from_secs(1);
        clock.close();
        assert!(alarm.poll(later, Waker::noop()).is_pending());
        assert!(!alarm.is_set());
        clock.stop();
    }
}
