use std::time::Duration;

use super::Clock;

/// What the clock's runtime is doing. The floors above implement it.
pub(crate) trait Activity: Send + Sync {
    /// Whether there was an instant, after this was called, at which nothing ran, nothing was runnable, and nobody who was woken had not yet gone on.
    fn is_quiet(&self) -> bool;

    /// Whether a process lives. Takes no lock.
    fn is_alive(&self, owner: u64) -> bool;

    /// Whether this thread is one of the runtime's own.
    fn is_own_thread(&self) -> bool;
}

/// Why a clock could not settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// A running clock never settles: the next timer may be due at any time.
    #[error("the clock runs: `pause` it before `settle`")]
    NotPaused,
    /// A process that waits for all processes to be done waits for itself.
    #[error(
        "`settle` was called on a thread of the runtime itself: call it from outside of its processes"
    )]
    InsideRuntime,
}

/// How often `settle` looks again before it begins to sleep in between, and how long it sleeps then.
const EAGER_LOOKS: u32 = 100;
pub(super) const NAP: Duration = Duration::from_micros(50);

impl Clock {
    /// Blocks until all that follows from what was done, sent and advanced before has happened: no timer is due, no process
    /// runs or is runnable, no `async_` closure runs, no async task is runnable, and no thread that was woken has still to go on.
    ///
    /// What waits for something that does not come of itself (a future that nobody completes, a timer that is not due) is settled. So it returns for
    /// every system that comes to rest, and never for one that does not, such as two processes that send messages to and fro.
    ///
    /// Threads that are not the runtime's are not waited for. An `async_` closure is waited for even if it waits itself: one that waits for
    /// this clock keeps `settle` waiting until another thread advances it.
    ///
    /// # Errors
    ///
    /// See [`SettleError`].
    pub fn settle(&self) -> Result<(), SettleError> {
        let activity = self
            .shared
            .activity
            .get()
            .and_then(std::sync::Weak::upgrade);
        if activity
            .as_ref()
            .is_some_and(|activity| activity.is_own_thread())
        {
            return Err(SettleError::InsideRuntime);
        }
        let mut looks = 0;
        loop {
            if !self.is_paused() {
                return Err(SettleError::NotPaused);
            }
            // Calm, then quiet, then calm with no timer fired in between: at the instant that was quiet no timer was on its way.
            let (calm, fired) = self.is_calm();
            if calm
                && activity.as_ref().is_none_or(|activity| activity.is_quiet())
                && self.is_calm() == (true, fired)
            {
                return Ok(());
            }
            looks += 1;
            if looks < EAGER_LOOKS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(NAP);
            }
        }
    }

    /// Whether the clock is paused and no timer is due. Does not look at processes: see [`settle`](Self::settle).
    pub fn settled(&self) -> bool {
        self.is_paused() && self.is_calm().0
    }
}
