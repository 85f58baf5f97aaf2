//! The core that a promise and its futures share.
//!
//! # States
//!
//! ```text
//!            set                callbacks all run
//! PENDING ────────► READY ────────────────────────► SETTLED
//!    │                                                  │ the last handle moves the value out
//!    ├─ fail ─────► FAILED                              ▼
//!    ├─ discard ──► DISCARDED                        (empty)
//!    └─ promise dropped: PENDING, but `abandoned`
//! ```
//!
//! # Who may touch the value
//!
//! * Until `READY` only the completer, which is unique: the transition out of `PENDING` happens once,
//!   under the mutex, and the value is written before it.
//! * Between `READY` and `SETTLED` callbacks that the completer runs see `&T`. Nobody moves it. Handles
//!   on other threads may read it only to clone it, and a second handle exists only if `T: Sync`.
//! * From `SETTLED` on, a handle that is the only one may move it out. Handles are counted; a count of one
//!   seen by that one handle cannot grow, since only a handle makes another.
//!
//! # Why callbacks never run under the lock
//!
//! They are user code and may use this very future. The completer takes them out in rounds: lock, take the list, unlock, run;
//! empty lists under the lock are the moment of `SETTLED`.
//! Observers go first, as a consumer may move the value. A callback that is registered while the completer still runs
//! others is appended, and the completer finds it in its next round: exactly once, and never beside a callback of another thread,
//! so that a `T` that is not `Sync` is never seen by two threads at a time.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Waker;

use super::Error;
use super::blocking::Registered;
use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::facade::{Mutex, MutexGuard, UnsafeCell, lock};

/// Runs when the future is completed or abandoned, in the completing thread.
pub(crate) type Callback<T> = Box<dyn FnOnce(&Arc<Core<T>>) + Send>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Ready,
    Settled,
    Failed(Arc<str>),
    Discarded,
}

struct Inner<T> {
    state: State,
    abandoned: bool,
    /// Callbacks that see `&T`: they run before any that takes the value away.
    observers: Vec<Callback<T>>,
    /// Callbacks that take the value, each for a handle of its own.
    consumers: VecDeque<Callback<T>>,
    wakers: Vec<Waker>,
    /// How to clone the value; set before a second handle exists.
    clone: Option<fn(&T) -> T>,
}

impl<T> Inner<T> {
    /// Keeps a waker, unless it is known: then it is left for the caller to drop, after the lock.
    fn keep(&mut self, waker: Option<Waker>) -> Option<Waker> {
        if let Some(waker) = waker {
            if self.wakers.iter().any(|known| known.will_wake(&waker)) {
                return Some(waker);
            }
            self.wakers.push(waker);
        }
        None
    }
}

pub(crate) struct Core<T> {
    inner: Mutex<Inner<T>>,
    /// How many `Future`s there are.
    handles: AtomicUsize,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is moved between threads (`T: Send`). It is read by two threads at a time
// only if there are two handles, which takes `T: Sync` (the bound on `Future: Clone`); otherwise the states
// above serialize all access.
unsafe impl<T: Send> Send for Core<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Core<T> {}

/// How a completion ends.
pub(crate) enum Completion<T> {
    Ready(T),
    Failed(Arc<str>),
    Discarded,
}

/// What a consumer gets.
pub(crate) enum Taken<T> {
    Value(Result<T, Error>),
    /// Still pending, or its callbacks are still running.
    NotYet,
}

/// Runs foreign code, and keeps the first panic.
fn contain(panic: &mut Option<Box<dyn Any + Send>>, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        match panic {
            None => *panic = Some(payload),
            // One goes on. Dropping the others could panic again.
            Some(_) => std::mem::forget(payload),
        }
    }
}

impl<T> Core<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                state: State::Pending,
                abandoned: false,
                observers: Vec::new(),
                consumers: VecDeque::new(),
                wakers: Vec::new(),
                clone: None,
            }),
            handles: AtomicUsize::new(0),
            value: UnsafeCell::new(None),
        })
    }

    /// Counts a first or further handle. `clone` is given for a further one.
    pub(crate) fn add_handle(&self, clone: Option<fn(&T) -> T>) {
        if clone.is_some() {
            lock(&self.inner).clone = clone;
        }
        // Relaxed: whoever adds has a handle (or the promise) already, so nobody can see one too few.
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn drop_handle(&self) {
        // Release: pairs with the Acquire in `take`, so that this handle's reads of the value
        // happen before the move.
        if self.handles.fetch_sub(1, Ordering::Release) == 1 {
            // Nobody is left to be woken.
            let wakers = std::mem::take(&mut lock(&self.inner).wakers);
            drop(wakers);
        }
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.inner).state.clone()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        lock(&self.inner).abandoned
    }

    /// Completes the future and runs what waited for it. Gives the completion back if it was
    /// completed before.
    ///
    /// A panic in a callback goes on here, after all the others have run.
    pub(crate) fn complete(
        self: &Arc<Self>,
        completion: Completion<T>,
    ) -> Result<(), Completion<T>> {
        let mut inner = lock(&self.inner);
        if inner.state != State::Pending {
            return Err(completion);
        }
        inner.state = match completion {
            Completion::Ready(value) => {
                // SAFETY: PENDING under the mutex: nobody else touches the value before the state changes.
                self.value.with_mut(|slot| unsafe { *slot = Some(value) });
                State::Ready
            }
            Completion::Failed(message) => State::Failed(message),
            Completion::Discarded => State::Discarded,
        };
        if let Some(payload) = self.run_callbacks(inner) {
            resume_unwind(payload);
        }
        Ok(())
    }

    /// Marks the future abandoned, if it is still pending, and runs what waited for it.
    ///
    /// This happens in the drop of a promise, perhaps while a panic unwinds, so a panic in a callback ends here.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let mut inner = lock(&self.inner);
        if inner.state != State::Pending || inner.abandoned {
            return;
        }
        inner.abandoned = true;
        if let Some(payload) = self.run_callbacks(inner) {
            tracing::error!("panic in a callback of an abandoned future");
            // Its drop is foreign code too, and may panic.
            std::mem::forget(payload);
        }
    }

    /// Runs callbacks in rounds until there are none, then settles and wakes. Gives the first panic of a callback.
    fn run_callbacks<'a>(
        self: &'a Arc<Self>,
        mut inner: MutexGuard<'a, Inner<T>>,
    ) -> Option<Box<dyn Any + Send>> {
        let mut panic = None;
        loop {
            if !inner.observers.is_empty() {
                let round = std::mem::take(&mut inner.observers);
                drop(inner);
                for observer in round {
                    contain(&mut panic, || observer(self));
                }
            } else if let Some(consumer) = inner.consumers.pop_front() {
                drop(inner);
                contain(&mut panic, || consumer(self));
            } else {
                if inner.state == State::Ready {
                    inner.state = State::Settled;
                }
                let wakers = std::mem::take(&mut inner.wakers);
                drop(inner);
                for waker in wakers {
                    // Foreign code too: the others must be woken.
                    contain(&mut panic, || waker.wake());
                }
                return panic;
            }
            inner = lock(&self.inner);
        }
    }

    /// Runs `callback` now if the future is finished, else when it is. It sees `&T`, or takes the value if `consuming`.
    pub(crate) fn on_finished(self: &Arc<Self>, consuming: bool, callback: Callback<T>) {
        let mut inner = lock(&self.inner);
        let later = match inner.state {
            State::Pending => !inner.abandoned,
            // The completer is still running callbacks: it takes this one too.
            State::Ready => true,
            State::Settled | State::Failed(_) | State::Discarded => false,
        };
        if later && consuming {
            inner.consumers.push_back(callback);
        } else if later {
            inner.observers.push(callback);
        } else {
            drop(inner);
            callback(self);
        }
    }

    /// Takes the value for one handle: moves it if that is the only one, else clones it. With
    /// `consuming` the caller is the completer's own last callback, which may move although the state is
    /// still `READY`.
    ///
    /// If it is not there yet, `waker` is kept.
    pub(crate) fn take(&self, waker: Option<&Waker>, consuming: bool) -> Taken<T> {
        // Before the lock: cloning a waker is foreign code.
        let kept = waker.cloned();
        let mut inner = lock(&self.inner);
        match &inner.state {
            State::Pending if inner.abandoned => return Taken::Value(Err(Error::Abandoned)),
            State::Pending => {}
            State::Failed(message) => return Taken::Value(Err(Error::Failed(message.clone()))),
            State::Discarded => return Taken::Value(Err(Error::Discarded)),
            State::Ready | State::Settled => {
                let clone = inner.clone;
                let may_move = inner.state == State::Settled || consuming;
                drop(inner);
                // Acquire: pairs with the Release in `drop_handle`.
                if may_move && self.handles.load(Ordering::Acquire) == 1 {
                    // SAFETY: this is the only handle, callbacks have run or the caller is the last
                    // of them, so nobody else reads the value now or later.
                    let value = self.value.with_mut(|slot| unsafe { (*slot).take() });
                    return Taken::Value(value.ok_or(Error::Taken));
                }
                if let Some(clone) = clone {
                    // SAFETY: the value is present and not moved: that takes a count of one, and
                    // there are at least two handles, or callbacks are still running.
                    let value = self
                        .value
                        .with(|slot| unsafe { (*slot).as_ref().map(clone) });
                    return Taken::Value(value.ok_or(Error::Taken));
                }
                inner = lock(&self.inner);
                if inner.state == State::Settled {
                    drop(inner);
                    return self.take(waker, consuming);
                }
            }
        }
        let known = inner.keep(kept);
        drop(inner);
        drop(known);
        Taken::NotYet
    }

    /// Keeps `waker`, unless `take` would give an answer now.
    pub(crate) fn register(&self, waker: &Waker) -> Registered {
        // Before the lock: cloning a waker is foreign code.
        let kept = Some(waker.clone());
        let mut inner = lock(&self.inner);
        let waiting = match inner.state {
            State::Pending => !inner.abandoned,
            // A handle that can clone need not wait for the callbacks.
            State::Ready => inner.clone.is_none(),
            State::Settled | State::Failed(_) | State::Discarded => false,
        };
        if !waiting {
            return Registered::Done;
        }
        let known = inner.keep(kept);
        drop(inner);
        drop(known);
        Registered::Waiting
    }

    /// Whether no `Future` is left that could see the outcome.
    pub(crate) fn is_unwatched(&self) -> bool {
        // Relaxed: a hint; a count of zero cannot grow once the promise gave its future away.
        self.handles.load(Ordering::Relaxed) == 0
    }

    /// Shows the value to an observer that the completer runs, or that runs after `SETTLED` in the
    /// thread that has the handle.
    pub(crate) fn observe<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> R {
        // SAFETY: called from a callback (states above) or through `&Future` after SETTLED, which keeps
        // its handle, so the value cannot be moved meanwhile.
        self.value.with(|slot| f(unsafe { (*slot).as_ref() }))
    }
}
