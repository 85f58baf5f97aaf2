//! `Sequence`: callbacks one after the other, each when what the one before returned has ended.
//!
//! # An entry's life
//!
//! ```text
//!           nothing is before it                the future has ended, its callbacks have run
//! add ─┬────────────────────────────► RUNNING ───────────────────────► over: the next
//!      │                                 ▲
//!      └──────────► WAITING ─────────────┘
//!                      │      its turn
//!                      └────────────────────────► over: discarded, its callback dropped unused
//!                        discarded, or the sequence dropped
//! ```
//!
//! One entry runs at any time, and it has the [`Finish`]: a value whose drop chooses the next. It is handed to the entry, which keeps it until the future
//! that `add` gave has ended; a callback that panics drops it as the stack unwinds, and a future that is abandoned drops it too. So the next one comes, whatever
//! happens, unless a callback returns a future that never ends.
//!
//! # Who runs callbacks
//!
//! Whoever finds that nothing is before: `add` itself, or the thread in which the entry before has ended. If that is in a callback of this sequence, further down on the
//! stack, the next one is run by the loop there, when that callback has returned ([`hand_over`](super::hand_over)). So the stack does not grow with
//! the number of callbacks.
//!
//! A future that a callback returns is followed by [`Follow`], not by an association, which would tell the end before the callbacks of the future
//! have run: the first one's result would be seen only after all the others' work.
//!
//! # What can go wrong
//!
//! * *An entry is discarded while it becomes its turn.* Whoever takes it out of the waiters decides. If it is run, the request is seen before the callback is called, or else
//!   is passed on to what the callback returned.
//! * *The sequence is dropped while a thread is in the loop.* The drop takes all who wait out, under the lock; the loop finds nothing more. The last handle
//!   does that, not the last reference to the state, which a thread in the loop has.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::hand_over::{Panicked, complete};
use super::waiters::{Waiters, weakly};
use crate::facade::lock_std;
use crate::future::task::{Steps, run};
use crate::future::{Future, Outcome, Promise, Returned, ValueOrFuture};

/// Runs callbacks one after the other: each when the future that the one before returned has ended, however it did.
///
/// For what must not overlap though it takes many steps. A callback whose future never ends keeps all that come later from running.
///
/// Cheap to clone: a clone is a handle to the same sequence. When the last handle is dropped, callbacks that have not begun never will: their futures are
/// discarded. The one that runs goes on.
///
/// # Cost
///
/// Some allocations for each callback, and O(log waiting).
///
/// ```
/// use libprocess::{Promise, sync::Sequence};
///
/// let sequence = Sequence::new();
/// let written = Promise::<usize>::new();
/// let future = written.future();
/// let write = sequence.add(move || future);
/// let read = sequence.add(|| "what was written");
/// assert!(read.is_pending(), "not before the write is over");
/// written.set(42);
/// assert_eq!(write.get(), Ok(42));
/// assert_eq!(read.get(), Ok("what was written"));
/// ```
#[derive(Clone, Default)]
pub struct Sequence {
    handle: Arc<Handle>,
}

/// What all handles share: when it is dropped, nobody can add.
#[derive(Default)]
struct Handle {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: std::sync::Mutex<State>,
}

struct State {
    /// Whether there is a `Finish`.
    running: bool,
    /// None if none runs.
    waiting: Waiters<Box<dyn Entry>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            running: false,
            waiting: Waiters::new(),
        }
    }
}

trait Entry: Send {
    /// Calls the callback, unless a discard was requested. Drops `finish` when the future has ended.
    fn run(self: Box<Self>, finish: Finish);

    fn discard(self: Box<Self>);
}

struct Typed<T, F, R, K> {
    promise: Promise<T>,
    callback: F,
    returns: PhantomData<fn() -> (R, K)>,
}

/// The turn of the entry that runs. Its drop gives the turn to the next.
struct Finish(Option<Arc<Shared>>);

/// Completes an entry's promise as the future ends that its callback returned, and then gives the turn up.
struct Follow<T> {
    future: Future<T>,
    /// There until then.
    end: Option<(Promise<T>, Finish)>,
    /// Whether a discard request wakes us.
    listens: bool,
}

impl Sequence {
    /// An empty sequence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `callback` when its turn comes, and gives a future of what it returns: a value, or a future, whose end is then the end.
    ///
    /// It runs at once if nothing is before it, else in the thread that completes what is. To run it in a process, let it dispatch.
    ///
    /// Discarding the future before its turn discards it at once, and `callback` is dropped unused; later, the request is passed on to the future that the callback returned,
    /// and the next turn comes when that has ended. The other callbacks are not concerned. Dropping the future changes nothing.
    ///
    /// # Panics
    ///
    /// If `callback` runs at once and panics. Its future is abandoned then, and the next one is run. A panic of a callback that runs later goes on in the
    /// thread that runs it.
    pub fn add<T, F, R, K>(&self, callback: F) -> Future<T>
    where
        T: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
        R: ValueOrFuture<T, K> + 'static,
        K: 'static,
    {
        let shared = &self.handle.shared;
        let (promise, future) = Promise::pair();
        let entry = Typed {
            promise,
            callback,
            returns: PhantomData,
        };
        let mut state = lock_std(&shared.state);
        if std::mem::replace(&mut state.running, true) {
            let ticket = state.waiting.ticket();
            let cancel = weakly(shared, Shared::take_back);
            // Nobody else has the future yet: no foreign code runs here.
            future.on_discard(move || cancel(ticket));
            state.waiting.insert(ticket, Box::new(entry));
        } else {
            drop(state);
            shared.run(Box::new(entry)).resume();
        }
        future
    }

    /// How many callbacks wait for their turn: not the one that runs.
    ///
    /// ```
    /// use libprocess::{Promise, sync::Sequence};
    ///
    /// let sequence = Sequence::new();
    /// let promise = Promise::<()>::new();
    /// let future = promise.future();
    /// let futures = (sequence.add(move || future), sequence.add(|| 1), sequence.add(|| 2));
    /// assert_eq!(sequence.waiting(), 2);
    /// futures.1.discard();
    /// assert_eq!(sequence.waiting(), 1);
    /// ```
    pub fn waiting(&self) -> usize {
        lock_std(&self.handle.shared.state).waiting.len()
    }
}

impl Shared {
    fn run(self: &Arc<Self>, entry: Box<dyn Entry>) -> Panicked {
        let finish = Finish(Some(Arc::clone(self)));
        complete(self, [move || entry.run(finish)])
    }

    /// The entry that ran has ended: runs the next.
    fn finished(self: &Arc<Self>) -> Panicked {
        let mut state = lock_std(&self.state);
        debug_assert!(state.running, "it has ended once");
        let Some(entry) = state.waiting.pop_front() else {
            state.running = false;
            return Panicked::default();
        };
        drop(state);
        self.run(entry)
    }

    fn take_back(self: &Arc<Self>, ticket: u64) {
        let entry = lock_std(&self.state).waiting.remove(ticket);
        if let Some(entry) = entry {
            entry.discard();
        }
    }
}

impl Finish {
    /// As the drop, but a panic of what runs next goes on here.
    fn tell(mut self) {
        if let Some(shared) = self.0.take() {
            shared.finished().resume();
        }
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.finished().log();
        }
    }
}

impl<T: Send + 'static> Steps for Follow<T> {
    type Output = ();

    fn poll(&mut self, waker: &Waker, _discard: bool) -> Poll<Outcome<()>> {
        if let Some((promise, _)) = &self.end {
            if !std::mem::replace(&mut self.listens, true) {
                let waker = waker.clone();
                // This keeps us alive until the promise is completed, as does the future that we wait for.
                promise.on_discard(move || waker.wake());
            }
            if promise.has_discard() {
                self.future.discard();
            }
        }
        self.future.poll_result(waker).map(|result| {
            if let Some((promise, finish)) = self.end.take() {
                promise.settle(result.into());
                finish.tell();
            }
            Outcome::Ready(())
        })
    }
}

impl<T, F, R, K> Entry for Typed<T, F, R, K>
where
    T: Send + 'static,
    F: FnOnce() -> R + Send,
    R: ValueOrFuture<T, K>,
{
    fn run(self: Box<Self>, finish: Finish) {
        let Self {
            promise, callback, ..
        } = *self;
        if promise.has_discard() {
            // First: it may hold what somebody who looks at the future wants to be gone.
            drop(callback);
            promise.discard();
            return finish.tell();
        }
        // If it panics the promise is dropped, its future abandoned, and then the turn given up.
        match callback().into_returned() {
            Returned::Value(value) => {
                promise.set(value);
                finish.tell();
            }
            Returned::Future(future) => drop(run(Follow {
                future,
                end: Some((promise, finish)),
                listens: false,
            })),
        }
    }

    fn discard(self: Box<Self>) {
        let Self {
            promise, callback, ..
        } = *self;
        drop(callback);
        promise.discard();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let waiting = lock_std(&self.shared.state).waiting.take_all();
        let completions = waiting.map(|entry| move || entry.discard());
        complete(&self.shared, completions).log();
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock_std(&self.handle.shared.state);
        f.debug_struct("Sequence")
            .field("running", &state.running)
            .field("waiting", &state.waiting.len())
            .finish()
    }
}
