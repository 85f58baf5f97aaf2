//! The moments at which the clock is read.

use std::sync::{Arc, Mutex, PoisonError};

use libprocess::{Future, Promise};

/// Counts the clients down, and tells of the last and of the last but one. Touched once by each client.
pub(super) struct Latch(Mutex<Countdown>);

struct Countdown {
    left: u64,
    all_but_one: Option<Promise<()>>,
    all: Option<Promise<()>>,
}

pub(super) struct Opens {
    /// `None` for a single client: there is no moment when none was done and it had not started yet.
    pub(super) all_but_one: Option<Future<()>>,
    pub(super) all: Future<()>,
}

impl Latch {
    pub(super) fn new(clients: u64) -> (Arc<Self>, Opens) {
        let (all_but_one, all) = ((clients > 1).then(Promise::new), Promise::new());
        let opens = Opens {
            all_but_one: all_but_one.as_ref().map(Promise::future),
            all: all.future(),
        };
        let countdown = Countdown {
            left: clients,
            all_but_one,
            all: Some(all),
        };
        (Arc::new(Self(Mutex::new(countdown))), opens)
    }

    pub(super) fn count_down(&self) {
        let promise = {
            let mut countdown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A client that counts twice is found by the checks; it must not panic here and look like another defect.
            countdown.left = countdown.left.saturating_sub(1);
            match countdown.left {
                0 => countdown.all.take(),
                1 => countdown.all_but_one.take(),
                _ => None,
            }
        };
        // Outside of the lock: this runs what waits for the future.
        if let Some(promise) = promise {
            promise.set(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latch_tells_of_the_last_two() {
        let (latch, opens) = Latch::new(3);
        let all_but_one = opens.all_but_one.unwrap();
        latch.count_down();
        assert!(all_but_one.is_pending());
        latch.count_down();
        assert!(all_but_one.is_ready() && opens.all.is_pending());
        latch.count_down();
        assert!(opens.all.is_ready());
    }

    #[test]
    fn the_latch_of_one_client_has_no_last_but_one() {
        let (latch, opens) = Latch::new(1);
        assert!(opens.all_but_one.is_none());
        latch.count_down();
        assert!(opens.all.is_ready());
    }
}
