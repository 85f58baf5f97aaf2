//! The thread that fires what no worker does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libprocess_semaphore::Parker as _;

use super::keeper::COVER_OF_SERVED;
use super::settle::NAP;
use super::{COVER, Clock, Pending, Wheel, current_owner, from_ticks, ticks};

pub(super) enum State {
    NotStarted,
    Running(JoinHandle<()>),
    Stopped,
}

/// What the thread does next.
enum Next {
    Fire(Pending),
    /// Until then; for ever, if there is no timer or time stands still.
    Sleep(Option<Instant>),
    Stop,
}

impl Clock {
    /// Starts the thread, unless it runs. True if the clock was stopped: nothing fires any more.
    ///
    /// If the operating system refuses a thread, that is logged, and tried again with the next timer.
    pub(super) fn ensure_thread(&self, state: &mut super::State) -> bool {
        match state.thread {
            _ if state.closed => return true,
            State::Running(_) => return false,
            State::Stopped => return true,
            State::NotStarted => {}
        }
        let clock = self.clone();
        let started = std::thread::Builder::new()
            .name(self.shared.name.clone())
            .spawn(move || clock.run());
        match started {
            Ok(handle) => state.thread = State::Running(handle),
            Err(error) => {
                tracing::error!(%error, "the thread that fires timers could not be started: timers are late until it can");
            }
        }
        false
    }

    /// Ends the thread, and drops all timers unfired. Not to be called on that thread.
    pub(crate) fn stop(&self) {
        let (thread, timers) = {
            let mut state = self.state();
            let now = ticks(self.now_under_lock(&state, 0));
            let timers = std::mem::replace(&mut state.wheel, Wheel::new(now));
            self.note_earliest(&state);
            (std::mem::replace(&mut state.thread, State::Stopped), timers)
        };
        self.shared.parker.unpark();
        if let State::Running(handle) = thread
            && handle.join().is_err()
        {
            tracing::error!("the thread that fires timers panicked: this is a defect");
        }
        // What a worker fires may need other workers to end.
        while self.state().served {
            std::thread::sleep(NAP);
        }
        // Last, and outside of the lock: closures' drops are foreign code.
        drop_all(timers);
    }

    /// The runtime begins to end. If the clock is paused nobody may advance it any more: then no timer fires from here on, so that
    /// who waits for one is told.
    pub(crate) fn close(&self) {
        let timers = {
            let mut state = self.state();
            if state.paused.is_none() {
                return;
            }
            state.closed = true;
            let now = ticks(self.now_under_lock(&state, 0));
            std::mem::replace(&mut state.wheel, Wheel::new(now))
        };
        drop_all(timers);
    }

    fn run(self) {
        if let Some(on_start) = self.shared.on_thread_start.get() {
            on_start();
        }
        loop {
            match self.next() {
                Next::Fire(Pending { action, .. }) => {
                    debug_assert_eq!(current_owner(), 0, "timers belong to no process");
                    contained(action);
                }
                Next::Sleep(until) => {
                    let _looked_at_again = self.shared.parker.park(until);
                }
                Next::Stop => return,
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.state();
        if let State::Stopped = state.thread {
            return Next::Stop;
        }
        let now = self.now_under_lock(&state, 0);
        state.sleeps_until = 0;
        // What a worker is about to fire is left to it, for a while.
        let cover = match (&state.paused, state.served, &state.keeper) {
            (None, true, _) => COVER_OF_SERVED,
            (None, false, Some(_)) => COVER,
            // A worker was firing when time was stopped, and tells when it has done that.
            (Some(_), true, _) => u64::MAX,
            _ => 0,
        };
        if let Some((deadline, pending)) = state.wheel.pop_due(ticks(now).saturating_sub(cover)) {
            state.fired += 1;
            if let Some(paused) = &mut state.paused {
                // What the timer does happens at its deadline, also for its process.
                if self.is_alive(pending.creator) {
                    paused.update(pending.creator, from_ticks(deadline), false);
                }
            }
            return Next::Fire(pending);
        }
        if state.paused.is_some() {
            // A timer without delay is due at once.
            state.sleeps_until = ticks(now).saturating_add(1);
            return Next::Sleep(None);
        }
        self.note_earliest(&state);
        let next = state.wheel.next_deadline();
        let next = next.map(|deadline| deadline.saturating_add(cover));
        state.sleeps_until = next.unwrap_or(u64::MAX);
        Next::Sleep(next.and_then(|deadline| {
            let wait: Duration = from_ticks(deadline) - now;
            Instant::now().checked_add(wait)
        }))
    }

    /// Whether nothing is due, and the thread has done with what was; and how many timers have fired.
    pub(super) fn is_calm(&self) -> (bool, u64) {
        let state = self.state();
        let now = ticks(self.now_under_lock(&state, 0));
        let due = state
            .wheel
            .next_deadline()
            .is_some_and(|deadline| deadline <= now);
        // Zero while the thread is awake. Before its first timer it is neither.
        let awake = matches!(state.thread, State::Running(_)) && state.sleeps_until == 0;
        (!due && !awake && !state.served, state.fired)
    }
}

/// Runs foreign code. A panic in it is logged.
pub(super) fn contained(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        tracing::error!("panic in a timer, or in the drop of one");
        // Its drop is foreign code too, and may panic: it is leaked instead.
        std::mem::forget(payload);
    }
}

/// Drops timers unfired, one by one, so that a panic in one drop skips no other.
fn drop_all(mut timers: Wheel<Pending>) {
    while let Some((_, timer)) = timers.pop_due(u64::MAX) {
        contained(|| drop(timer));
    }
}
