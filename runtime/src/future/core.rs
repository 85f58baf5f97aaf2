//! The core that a promise and its futures share.
//!
//! # States
//!
//! ```text
//!              value, and observers wait         observers all run
//!          ┌──────────────────────────► RUNNING ───────────────────┐
//! PENDING ─┤                                                       ▼
//!          └─────────────────────────────────────────────────► SETTLED ── the only handle moves the value out
//!            any other outcome, or nobody observes
//! ```
//!
//! The outcome (a value, a failure, discarded, abandoned) is written before `PENDING` is left, by the *completer*. There is one at any time: the
//! right to complete belongs to the promise, is claimed there by the first `set`, `fail`, `discard`, `associate` or drop, and moves
//! to the link that an association makes. So completing is one compare-and-swap here, and none is lost.
//!
//! An abandoned future is settled here, and pending to the user, as in libprocess.
//!
//! # Who may touch the value
//!
//! * In `PENDING` the completer.
//! * In `RUNNING` observers in the completer's thread see `&T`, one at a time. Nobody moves it. A handle in another thread may read it only to
//!   clone it, and that takes a `T: Sync` (the bound on `Future: Clone`).
//! * In `SETTLED` handles read it; the only one may move it out ([`counts`](super::counts)). A callback
//!   that is registered now is run by whoever registers it, under his handle.
//! * An outcome other than a value stays as it is until the core is freed: observers are shown it in `SETTLED`, whatever handles do.
//!
//! So a `T` that is not `Sync` is never seen by two threads at a time, and a move never overlaps a borrow.
//!
//! # What can go wrong
//!
//! * *A callback is pushed while the outcome arrives.* Both change the same word: either the completer takes the callback with the list, or the push fails
//!   and the callback runs where it is registered.
//! * *A callback uses this very future, or completes another.* Nothing is locked while foreign code runs; a `set` inside a callback nests.
//! * *A chain of a million links.* Links are run, discarded and freed in loops: [`Work`], [`discard`](super::side::discard), [`release`].
//! * *A discard walks a chain while it is completed.* A link keeps the core before it until it is freed itself, so the walk never meets freed memory; a
//!   request that comes late is declined.

use std::ptr::NonNull;
use std::sync::Arc;

use super::counts::{Claim, Counts};
use super::handle_state::HandleState;
use super::node::{Node, NodeList, Work, has_observer, observer};
use super::side::Side;
use super::word::{Phase, Snapshot, Word};
use super::{Error, MailboxFull};
use crate::facade::atomic::{AtomicPtr, Ordering};
use crate::facade::{Mutex, UnsafeCell, weakened};

/// What differs between kinds of core.
pub(super) struct Table {
    /// Frees the core, to which no reference is left. Gives cores that it held a reference to, for the caller to release.
    pub(super) free: unsafe fn(NonNull<Header>) -> [Option<NonNull<Header>>; 2],
    /// The core to pass a discard request to. The header keeps it alive.
    pub(super) upstream: unsafe fn(NonNull<Header>) -> Option<NonNull<Header>>,
    /// Who has the promise in hand, as a number that the floors above understand; zero if that is not known.
    pub(super) owner: unsafe fn(NonNull<Header>) -> u64,
    /// Ends what the core waits for, when its discard is requested or its last handle is dropped; the caller holds a reference. It may have ended already.
    pub(super) cancel: Option<unsafe fn(NonNull<Header>)>,
}

/// What is known of a core without knowing its value's type.
#[repr(C)]
pub(crate) struct Header {
    pub(super) word: Word,
    pub(super) counts: Counts,
    pub(super) table: &'static Table,
    pub(super) side: Mutex<Side>,
}

/// How a promise ended.
pub(crate) enum Outcome<T> {
    /// Not yet.
    None,
    Ready(T),
    Failed(Arc<str>),
    /// A failure too.
    Full(MailboxFull),
    Discarded,
    Abandoned,
    /// There was a value, and somebody has it.
    Taken,
}

impl<T> From<Result<T, Error>> for Outcome<T> {
    fn from(result: Result<T, Error>) -> Self {
        match result {
            Ok(value) => Self::Ready(value),
            Err(Error::Failed(message)) => Self::Failed(message),
            Err(Error::Full(full)) => Self::Full(full),
            Err(Error::Discarded) => Self::Discarded,
            Err(Error::Abandoned) => Self::Abandoned,
            Err(
                error @ (Error::TimedOut
                | Error::TooManyBlocked(_)
                | Error::WaitCycle(_)
                | Error::Taken),
            ) => Self::Failed(error.to_string().into()),
        }
    }
}

#[repr(C)]
pub(crate) struct Core<T> {
    // First, so that a pointer to the core is one to its header.
    pub(super) header: Header,
    /// How to clone the value; set before a second handle exists.
    clone: AtomicPtr<()>,
    outcome: UnsafeCell<Outcome<T>>,
}

// SAFETY: the value is moved between threads (`T: Send`). It is read by two threads at a time only if `T: Sync` (the
// module's second section); everything else is synchronized by the word.
unsafe impl<T: Send> Send for Core<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Core<T> {}

/// What a handle finds when it asks for the value.
pub(super) enum Taken<T> {
    Value(Result<T, Error>),
    /// Still pending, or observers are still running.
    NotYet,
}

/// The table of a core that stands alone.
struct Plain<T>(std::marker::PhantomData<T>);

impl<T> Plain<T> {
    const TABLE: &'static Table = &Table {
        free: Self::free,
        upstream: |_| None,
        owner: |_| 0,
        cancel: None,
    };

    /// # Safety
    ///
    /// The header is that of a boxed `Core<T>` that nobody uses any more.
    unsafe fn free(header: NonNull<Header>) -> [Option<NonNull<Header>>; 2] {
        // SAFETY: by the contract.
        let core = unsafe { Box::from_raw(header.cast::<Core<T>>().as_ptr()) };
        core.is_freed();
        [None, None]
    }
}

impl<T> Core<T> {
    // Always in place, here and in what it calls. Made elsewhere and copied, words that have just been written in halves are read whole, which waits until they are in
    // the cache: a dispatch awaited took a seventh longer.
    #[inline(always)]
    pub(super) fn new(outcome: Outcome<T>, counts: Counts, table: &'static Table) -> Self {
        let phase = match outcome {
            Outcome::None => Phase::Pending,
            _ => Phase::Settled,
        };
        Self {
            header: Header {
                word: Word::new(phase),
                counts,
                table,
                side: Mutex::new(Side::new()),
            },
            clone: AtomicPtr::new(std::ptr::null_mut()),
            outcome: UnsafeCell::new(outcome),
        }
    }

    /// For a static: it has its value, and is never freed.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) const fn for_ever(value: T, clone: fn(&T) -> T) -> Self {
        Self {
            header: Header {
                word: Word::settled(),
                counts: Counts::for_ever(),
                table: Plain::<T>::TABLE,
                side: Mutex::new(Side::new()),
            },
            clone: AtomicPtr::new(clone as *mut ()),
            outcome: UnsafeCell::new(Outcome::Ready(value)),
        }
    }

    /// A core of its own, with these counts. One allocation.
    pub(super) fn allocate(outcome: Outcome<T>, counts: Counts) -> NonNull<Self> {
        NonNull::from(Box::leak(Box::new(Self::new(
            outcome,
            counts,
            Plain::<T>::TABLE,
        ))))
    }

    /// For models: what others did with the outcome must be behind whoever frees it.
    pub(super) fn is_freed(&self) {
        if cfg!(libprocess_loom) && !std::thread::panicking() {
            self.outcome.with_mut(|_| ());
        }
    }

    /// Records how to clone the value, before a second handle is made.
    pub(super) fn record_clone(&self, clone: fn(&T) -> T) {
        // Where it is known it stays: other threads may read the line.
        if self.recorded_clone().is_some() {
            return;
        }
        // Relaxed: a second handle comes to another thread only with synchronization, or by an upgrade, whose weak future
        // came there likewise.
        self.clone.store(clone as *mut (), Ordering::Relaxed);
    }

    fn recorded_clone(&self) -> Option<fn(&T) -> T> {
        let pointer = self.clone.load(Ordering::Relaxed);
        // SAFETY: only `record_clone` writes it, and only a function of this type.
        (!pointer.is_null())
            .then(|| unsafe { std::mem::transmute::<*mut (), fn(&T) -> T>(pointer) })
    }

    /// Looks at the outcome. Only when the core is settled, or for observers, and with a handle (or before the last one can move the value).
    pub(super) fn peek<R>(&self, f: impl FnOnce(&Outcome<T>) -> R) -> R {
        // SAFETY: the module's second section; the caller keeps the value from being moved.
        self.outcome.with(|outcome| f(unsafe { &*outcome }))
    }

    /// Completes: writes the outcome, runs observers, wakes waiters, and leaves consumers to `work`.
    ///
    /// # Safety
    ///
    /// The caller has the right to complete, gives it up, and holds a reference.
    // In place, so that the outcome is made where it stays (see `new`).
    #[inline(always)]
    pub(super) unsafe fn complete(this: NonNull<Self>, outcome: Outcome<T>, work: &mut Work) {
        // SAFETY: by the contract.
        unsafe {
            let has_value = this.as_ref().put(outcome);
            Header::settle(this.cast(), has_value, work);
        }
    }

    /// Completes, and runs all that comes of it. A panic in a callback goes on here, after the others have run.
    ///
    /// # Safety
    ///
    /// As `complete`.
    #[inline(always)]
    pub(super) unsafe fn complete_now(this: NonNull<Self>, outcome: Outcome<T>) {
        // SAFETY: by the contract.
        unsafe {
            let has_value = this.as_ref().put(outcome);
            Header::settle_now(this.cast(), has_value);
        }
    }

    /// Puts the outcome in. True if it is a value.
    ///
    /// # Safety
    ///
    /// As `complete`.
    #[inline(always)]
    unsafe fn put(&self, outcome: Outcome<T>) -> bool {
        let has_value = matches!(outcome, Outcome::Ready(_));
        // SAFETY: PENDING, and the completer is the only one. What was there is `None`, with nothing to drop.
        self.outcome
            .with_mut(|place| unsafe { place.write(outcome) });
        has_value
    }

    /// Shows the core to `callback` when it is settled: at once if it is, else in the completer's thread.
    pub(super) fn observe<F>(&self, callback: F)
    where
        T: 'static,
        F: FnOnce(&Core<T>) + Send + 'static,
    {
        if self.header.word.load().is_settled() {
            return callback(self);
        }
        let node = observer::<T, F>(callback);
        if !self.header.push(node) {
            let mut work = Work::new();
            // SAFETY: the push failed, so the node is ours still; the core is settled and kept by the caller's handle.
            unsafe { (node.as_ref().table().run)(node, NonNull::from(self).cast(), &mut work) };
        }
    }

    /// Takes the value for a handle: moves it if the handle is the only one, else clones it. `state` is told if the
    /// handle does not count as one any more.
    pub(super) fn take(&self, state: &mut HandleState) -> Taken<T> {
        if state.is_claimed() {
            return Taken::Value(Err(Error::Taken));
        }
        match self.header.word.load().phase() {
            Phase::Pending => return Taken::NotYet,
            // A value, since nothing else is shown to observers while running.
            Phase::Running => {
                return match self.recorded_clone() {
                    Some(clone) => Taken::Value(self.clone_value(clone)),
                    None => Taken::NotYet,
                };
            }
            Phase::Settled => {}
        }
        if let Some(error) = self.error() {
            return Taken::Value(Err(error));
        }
        match self.header.counts.claim() {
            Claim::Shared => match self.recorded_clone() {
                Some(clone) => Taken::Value(self.clone_value(clone)),
                None => unreachable!("a second handle exists only where the value can be cloned"),
            },
            claim => {
                if claim == Claim::Claimed {
                    state.claim();
                }
                // SAFETY: settled, and the caller's handle is the only one, and stays so: an upgrade would find none.
                let outcome = self
                    .outcome
                    .with_mut(|place| std::mem::replace(unsafe { &mut *place }, Outcome::Taken));
                match outcome {
                    Outcome::Ready(value) => Taken::Value(Ok(value)),
                    _ => Taken::Value(Err(Error::Taken)),
                }
            }
        }
    }

    fn clone_value(&self, clone: fn(&T) -> T) -> Result<T, Error> {
        self.peek(|outcome| match outcome {
            Outcome::Ready(value) => Ok(clone(value)),
            _ => Err(Error::Taken),
        })
    }

    /// Why there is no value; `None` if there is, or may come. For a handle.
    pub(super) fn error(&self) -> Option<Error> {
        if !self.header.word.load().is_settled() {
            return None;
        }
        self.peek(|outcome| match outcome {
            Outcome::None | Outcome::Ready(_) => None,
            Outcome::Failed(message) => Some(Error::Failed(Arc::clone(message))),
            Outcome::Full(full) => Some(Error::Full(*full)),
            Outcome::Discarded => Some(Error::Discarded),
            Outcome::Abandoned => Some(Error::Abandoned),
            Outcome::Taken => Some(Error::Taken),
        })
    }

    /// Gives up a handle; drops the value if it was the last, and what only a future could have asked for.
    ///
    /// # Safety
    ///
    /// The caller holds a handle (or, if `claimed`, only its reference), and gives it up.
    pub(super) unsafe fn drop_handle(this: NonNull<Self>, claimed: bool) {
        // SAFETY: the caller holds a reference.
        let core = unsafe { this.as_ref() };
        let counts = &core.header.counts;
        if claimed {
            if counts.drop_reference() {
                // SAFETY: it was the last.
                unsafe { free_all(this.cast()) };
            }
            return;
        }
        if counts.is_alone() {
            // SAFETY: nobody else holds the core, and no atomic step is needed to find that out again.
            return unsafe { free_all(this.cast()) };
        }
        // The last one, and there is nothing to clean up before the promise's end.
        if core.header.word.load().is_pending()
            && let Some(last) = counts.try_drop_last()
        {
            if last {
                // SAFETY: it was the last reference.
                unsafe { free_all(this.cast()) };
            }
            return;
        }
        // SAFETY: as the contract of this function.
        unsafe { Self::drop_handle_only(this) };
        if counts.drop_reference() {
            // SAFETY: it was the last.
            unsafe { free_all(this.cast()) };
        }
    }

    /// Gives up a handle, but keeps its reference.
    ///
    /// # Safety
    ///
    /// The caller holds a handle, which becomes a reference.
    pub(super) unsafe fn drop_handle_only(this: NonNull<Self>) {
        // SAFETY: the caller holds a reference.
        let core = unsafe { this.as_ref() };
        let Some(clean_up) = core.header.counts.drop_handle() else {
            return;
        };
        if !core.header.word.load().is_settled() {
            if clean_up {
                // Before the cancel, which ends the core, and with it who waits for that.
                core.header.unwatched();
                // SAFETY: the caller's reference.
                unsafe { Header::cancel(this.cast()) };
            }
        } else if core.peek(|outcome| matches!(outcome, Outcome::Ready(_)))
            || weakened("drop-failure")
        {
            // SAFETY: settled with a value, and no handle is left, nor can be made.
            let outcome = core
                .outcome
                .with_mut(|place| std::mem::replace(unsafe { &mut *place }, Outcome::Taken));
            drop(outcome);
        }
    }
}

impl Header {
    /// Whether the caller, who has the promise's reference, is the last who knows of the core.
    #[inline]
    pub(super) fn is_forgotten(&self) -> bool {
        self.counts.is_forgotten() && self.word.load().is_pending_for_nobody()
    }

    /// Leaves PENDING, now that the outcome is there: runs observers, wakes waiters, and leaves consumers to `work`.
    ///
    /// # Safety
    ///
    /// As [`Core::complete`]; the outcome was put in. `this` is a pointer to the whole core.
    unsafe fn settle(this: NonNull<Self>, has_value: bool, work: &mut Work) {
        // SAFETY: the caller holds a reference.
        let header = unsafe { this.as_ref() };
        let null = std::ptr::null_mut();
        let left = header.word.update(|word| {
            // SAFETY: only the completer takes lists, and that is the caller.
            let observed = has_value && unsafe { has_observer(word.list()) };
            let phase = if observed && !weakened("settle-at-once") {
                Phase::Running
            } else {
                Phase::Settled
            };
            Some(word.with_list(null).with_phase(phase))
        });
        let Ok(mut word) = left else {
            unreachable!("the change is never declined");
        };
        let mut consumers = NodeList::new();
        // SAFETY: taken by the exchange.
        unsafe { Self::run_observers(this, word, &mut consumers, work) };
        // Until nothing came while observers ran. Each round takes what was pushed in the one before.
        loop {
            let settled = header.word.update(|word| {
                if word.is_settled() {
                    None
                } else if word.list().is_null() || weakened("look-again") {
                    Some(word.with_phase(Phase::Settled))
                } else {
                    Some(word.with_list(null))
                }
            });
            match settled {
                Ok(taken) if !taken.list().is_null() && !weakened("look-again") => {
                    // SAFETY: taken by the exchange.
                    unsafe { Self::run_observers(this, taken, &mut consumers, work) };
                }
                Ok(last) => {
                    word = last;
                    break;
                }
                // Settled at once, in the first exchange.
                Err(_) => break,
            }
        }
        work.prepend(consumers);
        if word.has_side() {
            header.clear_side(work);
        }
    }

    /// # Safety
    ///
    /// The caller took the list of `word`. `this` is a pointer to the whole core, which observers look at.
    unsafe fn run_observers(
        this: NonNull<Self>,
        word: Snapshot,
        consumers: &mut NodeList,
        work: &mut Work,
    ) {
        // SAFETY: by the contract.
        let mut list = unsafe { NodeList::from_newest(word.list()) };
        while let Some(node) = list.pop_front() {
            // SAFETY: the node is ours now, and out of the list.
            unsafe {
                if node.as_ref().table().observer {
                    work.contain(|work| (node.as_ref().table().run)(node, this, work));
                } else {
                    consumers.push_back(node);
                }
            }
        }
    }

    /// As `settle`, and runs all that comes of it.
    ///
    /// # Safety
    ///
    /// As `settle`.
    unsafe fn settle_now(this: NonNull<Self>, has_value: bool) {
        let mut work = Work::new();
        // SAFETY: by the contract.
        unsafe { Self::settle(this, has_value, &mut work) };
        work.finish();
    }

    /// Lets a node wait. False if the core is settled: the node is the caller's still.
    #[must_use]
    pub(super) fn push(&self, node: NonNull<Node>) -> bool {
        self.word
            .update(|word| {
                if word.is_settled() && !weakened("push-when-settled") {
                    return None;
                }
                // SAFETY: the node is the caller's until the exchange succeeds.
                unsafe { node.as_ref().set_next(word.list()) };
                Some(word.with_list(node.as_ptr()))
            })
            .is_ok()
    }

    pub(super) fn is_requested(&self) -> bool {
        self.word.load().is_requested()
    }

    /// Takes a discard request back, as `recover` does.
    pub(super) fn clear_request(&self) {
        let _ = self
            .word
            .update(|word| word.is_requested().then(|| word.with_request(false)));
    }
}

/// Gives up a reference, and frees what no reference is left to: a chain in a loop.
///
/// # Safety
///
/// The caller holds a reference, and gives it up.
pub(super) unsafe fn release(header: NonNull<Header>) {
    // SAFETY: by the contract.
    if unsafe { header.as_ref() }.counts.drop_reference() {
        // SAFETY: it was the last.
        unsafe { free_all(header) };
    }
}

/// # Safety
///
/// No reference is left.
unsafe fn free_all(header: NonNull<Header>) {
    // Cores to which no reference is left, each with the next in its word: a link holds up to two cores, the one before it and the one that its
    // callback returned, which is the end of a chain of its own. Freeing allocates nothing.
    let mut waiting = std::ptr::null_mut();
    let mut current = header;
    loop {
        // SAFETY: by the contract, and as below.
        for held in unsafe { free_one(current) }.into_iter().flatten() {
            // SAFETY: the freed core's reference is ours to give up. If it was the last, the core is ours alone.
            let core = unsafe { held.as_ref() };
            if core.counts.drop_reference() {
                core.word.bury(waiting);
                waiting = held.as_ptr();
            }
        }
        let Some(next) = NonNull::new(waiting) else {
            return;
        };
        // SAFETY: buried above, and freed in the next round.
        waiting = unsafe { next.as_ref() }.word.buried();
        current = next;
    }
}

/// # Safety
///
/// No reference is left.
unsafe fn free_one(header: NonNull<Header>) -> [Option<NonNull<Header>>; 2] {
    // SAFETY: by the contract; the table is the one of this kind of core.
    unsafe { (header.as_ref().table.free)(header) }
}
