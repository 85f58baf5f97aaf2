//! Links: how the end of one future becomes the end of the next.
//!
//! A link (`then`, `recover`, …) is one allocation: the core of the future that it gives, the node that waits in the core
//! before it (*upstream*), and the callback, here a [`Continuation`]. When the upstream is settled the node is run: the continuation takes the value, or
//! looks at the error, and says how the link's own core ends, or which future it *follows*; then the same node waits in that one.
//!
//! # Who holds whom
//!
//! * The link holds a handle to the upstream until it ran, so that it may take the value, and a reference until it is freed, so that
//!   a discard request can be passed up at any time.
//! * The upstream's list holds a reference to the link, with the right to complete it. That ends when the upstream is settled, and a promise that is dropped settles, so
//!   the two never keep each other for good.
//! * The future that a link follows is held as the upstream is.
//!
//! # A discard request while a link begins to follow
//!
//! The runner writes `followed` and then changes the word; the discarder changes the word and then reads `followed`. Whoever is second in the word's order
//! sees what the other did, and passes the request on.

use std::ptr::NonNull;

use super::core::{Core, Header, Outcome, Table, Taken, release};
use super::counts::Counts;
use super::handle_state::HandleState;
use super::node::{Node, NodeTable, Work};
use super::side::{DiscardCallback, OnDiscard, discard};
use super::{Error, Future};
use crate::facade::atomic::{AtomicPtr, Ordering};
use crate::facade::{UnsafeCell, weakened};

/// How a callback wants its link to end.
pub(super) enum Step<U> {
    Done(Outcome<U>),
    /// As that future does.
    Follow(Future<U>),
}

/// The callback of a link.
pub(super) trait Continuation<T, U>: Send + 'static {
    /// Whether a discard request is passed on to the upstream.
    const DISCARDABLE: bool = true;

    /// Says how the link ends, now that the upstream is settled.
    fn run(self, upstream: Upstream<'_, T>) -> Step<U>;
}

/// A settled upstream, as a continuation sees it.
pub(super) struct Upstream<'a, T> {
    core: &'a Core<T>,
    state: &'a mut HandleState,
    /// The link's own core; none if the upstream was settled before there was one.
    own: Option<&'a Header>,
}

impl<T> Upstream<'_, T> {
    /// Whether a discard of the upstream was requested: of the link too, then, unless `recover` took the request back on the way.
    pub(super) fn is_requested(&self) -> bool {
        self.core.header.is_requested()
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.core.error()
    }

    /// What `recover` does, so that what it returns is not discarded at once.
    pub(super) fn clear_request(&self) {
        if let Some(own) = self.own {
            own.clear_request();
        }
    }

    pub(super) fn take(self) -> Result<T, Error> {
        match self.core.take(self.state) {
            Taken::Value(result) => result,
            Taken::NotYet => unreachable!("a continuation runs when its upstream is settled"),
        }
    }

    /// The upstream's end, passed on.
    pub(super) fn pass(self) -> Step<T> {
        Step::Done(self.take().into())
    }
}

/// A handle that a link holds: a `Future` without its tickets.
struct Held<T>(NonNull<Core<T>>);

impl<T> Held<T> {
    fn new(future: Future<T>) -> Self {
        Self(future.into_core())
    }

    /// Uses the handle for what `f` takes from it; then only its reference is left.
    ///
    /// # Safety
    ///
    /// Called once, with the core settled.
    unsafe fn consume<R>(&self, f: impl FnOnce(&Core<T>, &mut HandleState) -> R) -> R {
        struct Finish<T> {
            core: NonNull<Core<T>>,
            state: HandleState,
        }
        impl<T> Drop for Finish<T> {
            fn drop(&mut self) {
                if !self.state.is_claimed() {
                    // SAFETY: the handle is given up here, once; the reference stays until the link is freed.
                    unsafe { Core::drop_handle_only(self.core) };
                }
            }
        }
        let mut finish = Finish {
            core: self.0,
            state: HandleState::new(),
        };
        // SAFETY: held, so alive.
        f(unsafe { self.0.as_ref() }, &mut finish.state)
    }
}

#[repr(C)]
struct Link<T, U, C> {
    // First, so that a pointer to the core (or its header) is one to the link.
    core: Core<U>,
    node: Node,
    upstream: Held<T>,
    /// The future that the continuation returned: a handle, then a reference, until the link is freed.
    followed: AtomicPtr<Core<U>>,
    continuation: UnsafeCell<Option<C>>,
}

impl<T, U, C> Link<T, U, C>
where
    T: Send + 'static,
    U: Send + 'static,
    C: Continuation<T, U>,
{
    const TABLE: &'static Table = &Table {
        free: Self::free,
        upstream: Self::upstream,
        owner: |_| 0,
        cancel: None,
    };
    const CONTINUE: &'static NodeTable = &NodeTable {
        run: Self::run,
        observer: false,
    };
    const FOLLOW: &'static NodeTable = &NodeTable {
        run: Self::run_followed,
        observer: false,
    };

    /// # Safety
    ///
    /// The header is that of a boxed link that nobody uses any more.
    unsafe fn free(header: NonNull<Header>) -> [Option<NonNull<Header>>; 2] {
        // SAFETY: by the contract.
        let link = unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) };
        link.core.is_freed();
        // Relaxed: nobody else is left.
        let followed = link.followed.load(Ordering::Relaxed);
        [
            Some(link.upstream.0.cast()),
            NonNull::new(followed).map(NonNull::cast),
        ]
    }

    /// # Safety
    ///
    /// The header is that of a link, which the caller keeps alive.
    unsafe fn upstream(header: NonNull<Header>) -> Option<NonNull<Header>> {
        // SAFETY: by the contract.
        let link = unsafe { header.cast::<Self>().as_ref() };
        // Acquire: pairs with the Release in `follow`.
        match NonNull::new(link.followed.load(Ordering::Acquire)) {
            Some(followed) => Some(followed.cast()),
            None => C::DISCARDABLE.then_some(link.upstream.0.cast()),
        }
    }

    /// The link that a node is in.
    fn of(node: NonNull<Node>) -> NonNull<Self> {
        // SAFETY: only the nodes of links of this type have these tables, and pointers to them are made from ones to the whole.
        unsafe { node.byte_sub(std::mem::offset_of!(Self, node)).cast() }
    }

    /// # Safety
    ///
    /// The node is that of a link of this type, was taken out of the settled upstream, and comes with its reference and the right to complete.
    unsafe fn run(node: NonNull<Node>, _upstream: NonNull<Header>, work: &mut Work) {
        let this = Self::of(node);
        // SAFETY: the reference that comes with the node.
        let link = unsafe { this.as_ref() };
        // SAFETY: whoever runs the node is alone with the continuation, which was written before the push.
        let continuation = link
            .continuation
            .with_mut(|place| unsafe { (*place).take() });
        let step = continuation.and_then(|continuation| {
            work.contain(|_| {
                // SAFETY: once, as the continuation was there; the upstream is settled.
                unsafe {
                    link.upstream.consume(|core, state| {
                        continuation.run(Upstream {
                            core,
                            state,
                            own: Some(&link.core.header),
                        })
                    })
                }
            })
        });
        match step {
            // SAFETY: the right that came with the node.
            Some(Step::Done(outcome)) => unsafe {
                Core::complete(this.cast(), outcome, work);
            },
            // SAFETY: as above.
            Some(Step::Follow(future)) => return unsafe { Self::follow(this, future, work) },
            // It panicked.
            // SAFETY: as above.
            None => unsafe { Core::<U>::complete(this.cast(), Outcome::Abandoned, work) },
        }
        // SAFETY: the reference that came with the node.
        unsafe { release(this.cast()) };
    }

    /// # Safety
    ///
    /// The caller has a reference and the right to complete, and gives them up.
    unsafe fn follow(this: NonNull<Self>, future: Future<U>, work: &mut Work) {
        // SAFETY: the caller's reference.
        let link = unsafe { this.as_ref() };
        if future.core().header.word.load().is_settled() {
            let outcome = work.contain(|_| take_settled(future));
            // SAFETY: by the contract.
            unsafe {
                Core::<U>::complete(this.cast(), outcome.unwrap_or(Outcome::Abandoned), work);
                return release(this.cast());
            }
        }
        let followed = future.into_core();
        // Release: pairs with the Acquire in `upstream`.
        link.followed.store(followed.as_ptr(), Ordering::Release);
        // SAFETY: the node was taken out of the upstream, and is ours; a pointer to the whole link, with its provenance. `followed` is held until the link is freed.
        unsafe {
            pass_request_on(&link.core.header, followed.cast(), work);
            let node: NonNull<Node> = this.byte_add(std::mem::offset_of!(Self, node)).cast();
            node.as_ref().set_table(Self::FOLLOW);
            wait_in(followed.cast(), node, work);
        }
    }

    /// # Safety
    ///
    /// As `run`, with the followed core in the upstream's place.
    unsafe fn run_followed(node: NonNull<Node>, _followed: NonNull<Header>, work: &mut Work) {
        let this = Self::of(node);
        // SAFETY: as in `run`.
        let link = unsafe { this.as_ref() };
        // Relaxed: written by the thread that pushed the node, from which we have it.
        let followed = link.followed.load(Ordering::Relaxed);
        let outcome = NonNull::new(followed)
            .and_then(|followed| work.contain(|_| take_outcome(&Held(followed))));
        // SAFETY: as in `run`.
        unsafe {
            Core::complete(this.cast(), outcome.unwrap_or(Outcome::Abandoned), work);
            release(this.cast());
        }
    }
}

// These know no type of value, so they are checked and optimised once, and inlined where that pays.

/// Passes a discard request on to the future that a link follows from now on. Apart from `wait_in`, which may free the link.
///
/// # Safety
///
/// The link, with this header, is the caller's to run, and keeps the followed core alive.
#[inline]
unsafe fn pass_request_on(own: &Header, followed: NonNull<Header>, work: &mut Work) {
    // An exchange even though nothing changes: see the module.
    let word = if weakened("follow-load") {
        Ok(own.word.load())
    } else {
        own.word.update(Some)
    };
    if word.is_ok_and(|word| word.is_requested()) {
        // SAFETY: by the contract.
        work.contain(|_| unsafe { discard(followed) });
    }
}

/// Has what a node is part of wait for a core, or runs it if that is settled.
///
/// # Safety
///
/// The node is the caller's, and what it is part of keeps the core alive until it has run.
#[inline]
unsafe fn wait_in(upstream: NonNull<Header>, node: NonNull<Node>, work: &mut Work) {
    // SAFETY: by the contract. If the push failed the node is ours still, and the core is settled.
    unsafe {
        if !upstream.as_ref().push(node) {
            (node.as_ref().table().run)(node, upstream, work);
        }
    }
}

/// As `wait_in`, and runs all that comes of it.
///
/// # Safety
///
/// As `wait_in`.
#[inline]
unsafe fn wait_in_now(upstream: NonNull<Header>, node: NonNull<Node>) {
    let mut work = Work::new();
    // SAFETY: by the contract.
    unsafe { wait_in(upstream, node, &mut work) };
    work.finish();
}

/// How a settled future ended, its value taken for the handle that is held.
fn take_outcome<T>(held: &Held<T>) -> Outcome<T> {
    // SAFETY: callers own the handle, call once, and the core is settled.
    unsafe {
        held.consume(|core, state| match core.take(state) {
            Taken::Value(result) => result.into(),
            Taken::NotYet => unreachable!("a link runs when what it follows is settled"),
        })
    }
}

/// Links a future to one that `continuation` decides on.
pub(super) fn link<T, U, C>(upstream: Future<T>, continuation: C) -> Future<U>
where
    T: Send + 'static,
    U: Send + 'static,
    C: Continuation<T, U>,
{
    if upstream.core().header.word.load().is_settled() {
        // No link is needed: what the callback returns is the future.
        return match run_at_once(upstream, continuation) {
            Step::Done(outcome) => Future::from_outcome(outcome),
            Step::Follow(future) => future,
        };
    }
    let link = Box::new(Link {
        core: Core::new(Outcome::None, Counts::new(1, 2), Link::<T, U, C>::TABLE),
        node: Node::new(Link::<T, U, C>::CONTINUE),
        upstream: Held::new(upstream),
        followed: AtomicPtr::new(std::ptr::null_mut()),
        continuation: UnsafeCell::new(Some(continuation)),
    });
    let this: NonNull<Link<T, U, C>> = NonNull::from(Box::leak(link));
    // SAFETY: the one handle that was counted.
    let future = unsafe { Future::from_core(this.cast()) };
    // SAFETY: just made; `this` covers the whole link, and so does what is pushed. The upstream is held by the link.
    unsafe {
        let node: NonNull<Node> = this
            .byte_add(std::mem::offset_of!(Link<T, U, C>, node))
            .cast();
        wait_in_now(this.as_ref().upstream.0.cast(), node);
    }
    future
}

fn run_at_once<T, U, C: Continuation<T, U>>(mut upstream: Future<T>, continuation: C) -> Step<U> {
    let (core, state) = upstream.parts();
    continuation.run(Upstream {
        core,
        state,
        own: None,
    })
}

/// An association: a promise's core that ends as another future does.
#[repr(C)]
struct Association<T> {
    node: Node,
    source: Held<T>,
    /// With a reference, and the right to complete.
    target: NonNull<Core<T>>,
}

/// Has `target` end as `source` does, and passes discard requests on.
///
/// # Safety
///
/// The caller has the right to complete `target`, and gives it up; it keeps a reference for the time of the call.
pub(super) unsafe fn associate<T: Send + 'static>(target: NonNull<Core<T>>, source: Future<T>) {
    // SAFETY: the caller's reference.
    let header = unsafe { &target.as_ref().header };
    if source.core().header.word.load().is_settled() {
        let outcome = take_settled(source);
        // SAFETY: by the contract.
        return unsafe { Core::complete_now(target, outcome) };
    }
    let to_discard = source.reference();
    header.counts.add_reference();
    let association = Box::new(Association {
        node: Node::new(AssociationTable::<T>::TABLE),
        source: Held::new(source),
        target,
    });
    let this = NonNull::from(Box::leak(association));
    // SAFETY: just made, the node is its first field; the source is held by it, and by `to_discard` when it is gone.
    unsafe {
        wait_in_now(this.as_ref().source.0.cast(), this.cast());
    }
    // Last, as the callbacks of a discard that was requested before run now, and may panic: the association stands then.
    header.on_discard(DiscardCallback {
        callback: OnDiscard::PassOn(to_discard),
        when_unwatched: false,
    });
}

/// How a settled future ended.
fn take_settled<T>(mut future: Future<T>) -> Outcome<T> {
    let (core, state) = future.parts();
    match core.take(state) {
        Taken::Value(result) => result.into(),
        Taken::NotYet => unreachable!("the caller saw that it is settled"),
    }
}

struct AssociationTable<T>(std::marker::PhantomData<T>);

impl<T: Send + 'static> AssociationTable<T> {
    const TABLE: &'static NodeTable = &NodeTable {
        run: Self::run,
        observer: false,
    };

    /// # Safety
    ///
    /// The node is that of an association, taken out of its settled source.
    unsafe fn run(node: NonNull<Node>, _source: NonNull<Header>, work: &mut Work) {
        // SAFETY: by the contract.
        let association = unsafe { Box::from_raw(node.cast::<Association<T>>().as_ptr()) };
        let outcome = work.contain(|_| take_outcome(&association.source));
        let target = association.target;
        // SAFETY: the association's right and references, given up here.
        unsafe {
            Core::complete(target, outcome.unwrap_or(Outcome::Abandoned), work);
            release(target.cast());
            release(association.source.0.cast());
        }
    }
}
