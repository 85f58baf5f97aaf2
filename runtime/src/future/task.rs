//! Combinators that wait for several futures, or for one after another: steps that are polled.
//!
//! The steps are polled by whoever wakes them, in that thread, one poll at a time: a wake-up that comes while a poll is under way
//! makes it start over when it is done, so none is lost. Waiting is by wakers, not callbacks, as they are taken back when a future is dropped: a
//! `select` in a loop over a future that lives for long leaves nothing behind in it.
//!
//! ```text
//!        woken                 nothing more to do
//! IDLE ─────────► RUNNING ───────────────────────────► IDLE, or the end
//!                  │   ▲
//!            woken ▼   │ poll over
//!                  AGAIN
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use super::core::Outcome;
use super::node::Work;
use super::{Future, Promise};
use crate::facade::atomic::{AtomicU8, Ordering};
use crate::facade::{Mutex, lock};

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const AGAIN: u8 = 2;

/// What is polled.
pub(crate) trait Steps: Send + 'static {
    type Output: Send + 'static;

    /// Goes as far as it can. `discard`: whether a discard of the result was requested.
    fn poll(&mut self, waker: &Waker, discard: bool) -> Poll<Outcome<Self::Output>>;
}

struct Task<S: Steps> {
    state: AtomicU8,
    /// Out while it is polled, and gone when it is done.
    steps: Mutex<Option<(S, Promise<S::Output>)>>,
}

/// Polls the steps as far as they go, and from then on whenever they are woken. Gives a future of their end.
pub(crate) fn run<S: Steps>(steps: S) -> Future<S::Output> {
    let (promise, future) = Promise::pair();
    let task = Arc::new(Task {
        state: AtomicU8::new(IDLE),
        steps: Mutex::new(None),
    });
    // Weak: whoever can request a discard must not keep the steps, and the futures that they wait for, alive.
    let weak = Arc::downgrade(&task);
    promise.on_discard(move || {
        if let Some(task) = weak.upgrade() {
            task.poll();
        }
    });
    *lock(&task.steps) = Some((steps, promise));
    task.poll();
    future
}

impl<S: Steps> Task<S> {
    fn poll(self: &Arc<Self>) {
        if self.is_running_already() {
            return;
        }
        let waker = Waker::from(Arc::clone(self));
        loop {
            // Taken out, as what runs now may take long, and panic: then the steps are dropped and the promise abandoned.
            let Some((mut steps, promise)) = lock(&self.steps).take() else {
                return;
            };
            match steps.poll(&waker, promise.has_discard()) {
                Poll::Ready(outcome) => {
                    // Before the callbacks: they may look for what the steps held.
                    drop(steps);
                    return promise.settle(outcome);
                }
                Poll::Pending => *lock(&self.steps) = Some((steps, promise)),
            }
            if self.rests() {
                return;
            }
        }
    }

    /// Begins to run; or, if somebody does, has him poll once more.
    fn is_running_already(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = if state == IDLE { RUNNING } else { AGAIN };
            // AcqRel: pairs with itself and with `rests`: what was done before a wake-up is seen by the poll that it causes.
            // Relaxed on failure: tried again.
            match self
                .state
                .compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return state != IDLE,
                Err(other) => state = other,
            }
        }
    }

    /// Stops running, unless it was woken meanwhile.
    fn rests(&self) -> bool {
        // AcqRel, and Acquire on failure: as in `is_running_already`.
        let rested =
            self.state
                .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
        if rested.is_err() {
            // AcqRel: as above. Only the runner leaves AGAIN.
            self.state.swap(RUNNING, Ordering::AcqRel);
        }
        rested.is_ok()
    }
}

impl<S: Steps> Wake for Task<S> {
    fn wake(self: Arc<Self>) {
        nest(self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        nest(Arc::clone(self) as Arc<dyn Woken>);
    }
}

impl<S: Steps> Woken for Task<S> {
    fn run(self: Arc<Self>) {
        self.poll();
    }
}

/// How deep polls wake each other on one stack. Deep enough that what a callback completes is usually complete when it goes on; shallow enough for a small stack.
const DEEPEST: u32 = 16;

/// What does its work when it is woken.
pub(super) trait Woken: Send + Sync {
    fn run(self: Arc<Self>);
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static DEFERRED: RefCell<VecDeque<Arc<dyn Woken>>> = const { RefCell::new(VecDeque::new()) };
}

/// Runs what was woken: at once, or, where polls have woken polls to some depth, when this thread is back at the first, so that no
/// number of combinators over one another overflows the stack. The first panic goes on when all have run.
pub(super) fn nest(woken: Arc<dyn Woken>) {
    let depth = DEPTH.get();
    if depth >= DEEPEST {
        // Fails only in a thread's last destructors.
        let mut woken = Some(woken);
        let deferred = DEFERRED.try_with(|deferred| deferred.borrow_mut().extend(woken.take()));
        if deferred.is_err()
            && let Some(woken) = woken
        {
            woken.run();
        }
        return;
    }
    DEPTH.set(depth + 1);
    let mut work = Work::new();
    work.contain(|_| woken.run());
    if depth == 0 {
        while let Ok(Some(next)) = DEFERRED.try_with(|deferred| deferred.borrow_mut().pop_front()) {
            work.contain(|_| next.run());
        }
    }
    DEPTH.set(depth);
    work.finish();
}
