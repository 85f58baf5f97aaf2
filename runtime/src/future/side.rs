//! What waits in a core beside its callbacks: wakers, and callbacks for a discard request.
//!
//! These are taken out again (a waiter gives up, a request is made before the outcome), which a lock-free list does not
//! allow, so they stand in a small table under a mutex that is never held while foreign code runs. Who never waits and
//! never looks at discards never locks it: a bit of the core's word says whether anything is there.
//!
//! The protocol, the same for both: *enter, then set the bit, then look at the word once more*. Whoever ends the wait (the completer, the
//! discarder) changes the word first and looks at the table afterwards, if the bit was set. So either it finds the entry, or
//! whoever entered it sees the changed word, and takes the entry out himself.
//!
//! Callbacks for a discard request also end with the last handle, by the same protocol, with a bit of the counts for the word's.

use std::ptr::NonNull;
use std::task::Waker;

use super::Future;
use super::core::Header;
use super::handle_state::LAST_TICKET;
use super::node::Work;
use super::weak::Reference;
use super::word::Snapshot;
use crate::facade::{lock, weakened};

/// What a discard request does.
pub(super) enum OnDiscard {
    Run(Box<dyn FnOnce() + Send>),
    /// Requests that this core be discarded, too. No closure, so that a chain of associations is walked in a loop.
    PassOn(Reference),
}

impl OnDiscard {
    /// For a discard request: gives what is to be discarded, too.
    fn run(self) -> Option<Reference> {
        match self {
            Self::Run(callback) => callback(),
            Self::PassOn(to) => return Some(to),
        }
        None
    }
}

/// Waits for a discard request.
pub(super) struct DiscardCallback {
    pub(super) callback: OnDiscard,
    /// Whether it also runs when the last future is dropped.
    pub(super) when_unwatched: bool,
}

pub(super) struct Side {
    /// The first waiter stands here: most futures have one at most.
    first: Option<Waker>,
    first_ticket: u32,
    last_ticket: u32,
    more: Option<Box<More>>,
}

#[derive(Default)]
struct More {
    wakers: Vec<(u32, Waker)>,
    discards: Discards,
    /// What the core itself waits for is not cancelled any more.
    is_detached: bool,
}

/// Callbacks for a discard request, in the order in which they came. Mostly there is one: it stands here.
#[derive(Default)]
pub(super) struct Discards {
    first: Option<DiscardCallback>,
    rest: Vec<DiscardCallback>,
}

impl Discards {
    fn push(&mut self, callback: DiscardCallback) {
        if self.first.is_none() {
            self.first = Some(callback);
        } else {
            self.rest.push(callback);
        }
    }

    /// Those for when the last handle is dropped, and the others.
    fn partition(self) -> (Self, Self) {
        let mut parts = (Self::default(), Self::default());
        for callback in self.into_callbacks() {
            let part = if callback.when_unwatched {
                &mut parts.0
            } else {
                &mut parts.1
            };
            part.push(callback);
        }
        parts
    }

    fn into_callbacks(self) -> impl Iterator<Item = DiscardCallback> {
        self.first.into_iter().chain(self.rest)
    }
}

impl Side {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            first_ticket: 0,
            last_ticket: 0,
            more: None,
        }
    }

    /// Keeps a waker under a ticket, never zero. `previous` is a ticket that the caller may still have: its waker is replaced, and given back
    /// with the new one if they wake the same, to be dropped outside of the lock.
    pub(super) fn keep(&mut self, previous: u32, waker: Waker) -> (u32, Option<Waker>) {
        if previous != 0
            && let Some(known) = self.waker_of(previous)
        {
            return (previous, Some(std::mem::replace(known, waker)));
        }
        self.last_ticket = self.last_ticket % LAST_TICKET + 1;
        let ticket = self.last_ticket;
        if self.first.is_none() {
            self.first = Some(waker);
            self.first_ticket = ticket;
        } else {
            self.more
                .get_or_insert_default()
                .wakers
                .push((ticket, waker));
        }
        (ticket, None)
    }

    fn waker_of(&mut self, ticket: u32) -> Option<&mut Waker> {
        if self.first.is_some() && self.first_ticket == ticket {
            return self.first.as_mut();
        }
        let wakers = &mut self.more.as_mut()?.wakers;
        let found = wakers.iter_mut().find(|(known, _)| *known == ticket);
        found.map(|(_, waker)| waker)
    }

    /// Takes a waker out.
    pub(super) fn forget(&mut self, ticket: u32) -> Option<Waker> {
        if self.first.is_some() && self.first_ticket == ticket {
            return self.first.take();
        }
        let wakers = &mut self.more.as_mut()?.wakers;
        let index = wakers.iter().position(|(known, _)| *known == ticket)?;
        Some(wakers.swap_remove(index).1)
    }

    pub(super) fn on_discard(&mut self, callback: DiscardCallback) {
        self.more.get_or_insert_default().discards.push(callback);
    }

    pub(super) fn take_discards(&mut self) -> Discards {
        self.more
            .as_mut()
            .map(|more| std::mem::take(&mut more.discards))
            .unwrap_or_default()
    }

    /// The wakers, and with them what else waits.
    fn take_all(&mut self) -> (Option<Waker>, Option<Box<More>>) {
        (self.first.take(), self.more.take())
    }

    fn is_detached(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.is_detached)
    }
}

impl Header {
    /// After something was entered into the side table: says so in the word. Gives the word.
    fn entered(&self) -> Snapshot {
        match self
            .word
            .update(|word| (!word.has_side()).then(|| word.with_side()))
        {
            Ok(word) | Err(word) => word,
        }
    }

    /// Keeps a waker until the core is settled. `NotYet` is what `take` said. Gives the ticket, or `None` if the core is settled by now.
    pub(super) fn keep_waker(&self, previous: u32, waker: Waker) -> Option<u32> {
        let (ticket, replaced) = lock(&self.side).keep(previous, waker);
        drop(replaced);
        let word = if weakened("waker-before-bit") {
            self.word.load()
        } else {
            self.entered()
        };
        if word.is_settled() {
            self.forget_waker(ticket);
            return None;
        }
        Some(ticket)
    }

    pub(super) fn forget_waker(&self, ticket: u32) {
        let forgotten = lock(&self.side).forget(ticket);
        // Outside of the lock: dropping a waker is foreign code.
        drop(forgotten);
    }

    /// Settled: nobody can discard any more, and waiters go on.
    pub(super) fn clear_side(&self, work: &mut Work) {
        let (first, more) = lock(&self.side).take_all();
        // Foreign code, all of it: the others must be woken.
        if let Some(waker) = first {
            work.contain(|_| waker.wake());
        }
        if let Some(more) = more {
            let More {
                wakers, discards, ..
            } = *more;
            work.contain(|_| drop(discards));
            for (_, waker) in wakers {
                work.contain(|_| waker.wake());
            }
        }
    }

    /// Has `callback` run when a discard is requested: at once if it was; never if the core is settled.
    pub(super) fn on_discard(&self, callback: DiscardCallback) {
        if !self.word.load().is_pending() {
            return;
        }
        lock(&self.side).on_discard(callback);
        let word = if weakened("word-before-bit") {
            let before = self.word.load();
            self.entered();
            before
        } else {
            self.entered()
        };
        if word.is_requested() || !word.is_pending() {
            let taken = lock(&self.side).take_discards();
            run_discards(taken, word.is_pending());
        } else if !self.counts.have_cleaned_up() {
            self.unwatched();
        }
    }

    /// What was to be cancelled with the last handle goes on without it.
    #[inline]
    pub(super) fn detach(&self) {
        // What is entered meanwhile comes behind this.
        if self.word.load().has_side() || self.table.cancel.is_some() {
            self.detach_side();
        }
    }

    #[cold]
    fn detach_side(&self) {
        let taken = {
            let mut side = lock(&self.side);
            if self.table.cancel.is_some() {
                side.more.get_or_insert_default().is_detached = true;
            }
            let (cancelled, kept) = side.take_discards().partition();
            kept.into_callbacks()
                .for_each(|callback| side.on_discard(callback));
            cancelled
        };
        // Outside of the lock: a drop of foreign code.
        drop(taken);
    }

    /// The last handle is gone: nobody can request a discard any more.
    #[cold]
    pub(super) fn unwatched(&self) {
        let taken = lock(&self.side).take_discards();
        let (run, unused) = taken.partition();
        drop(unused);
        run_discards(run, true);
    }

    /// Ends what the core itself waits for, unless it was detached.
    ///
    /// # Safety
    ///
    /// The caller holds a reference.
    pub(super) unsafe fn cancel(this: NonNull<Self>) {
        // SAFETY: by the contract; the table is this core's.
        unsafe {
            if let Some(cancel) = this.as_ref().table.cancel
                && !lock(&this.as_ref().side).is_detached()
            {
                cancel(this);
            }
        }
    }
}

impl<T> Future<T> {
    /// As `on_discard`, and also when the last handle is dropped.
    pub(crate) fn on_cancelled(&self, f: impl FnOnce() + Send + 'static) {
        self.core().header.on_discard(DiscardCallback {
            callback: OnDiscard::Run(Box::new(f)),
            when_unwatched: true,
        });
    }
}

fn run_discards(callbacks: Discards, run: bool) {
    let mut work = Work::new();
    for DiscardCallback { callback, .. } in callbacks.into_callbacks() {
        work.contain(|_| {
            if run && let Some(to) = callback.run() {
                // SAFETY: the reference.
                unsafe { discard(to.header()) };
            }
        });
    }
    work.finish();
}

/// Requests that a future be discarded, and passes the request up its chain, in a loop. False if it was requested before, or is settled.
///
/// # Safety
///
/// The caller holds a reference.
pub(super) unsafe fn discard(header: NonNull<Header>) -> bool {
    let mut work = Work::new();
    let mut associated = Vec::new();
    // SAFETY: by the contract.
    let requested_first = unsafe { discard_chain(header, &mut associated, &mut work) };
    while let Some(reference) = associated.pop() {
        // SAFETY: the reference.
        unsafe { discard_chain(reference.header(), &mut associated, &mut work) };
    }
    work.finish();
    requested_first
}

/// As `discard`, but leaves to the caller what cores of the chain are associated with.
///
/// # Safety
///
/// As `discard`.
unsafe fn discard_chain(
    header: NonNull<Header>,
    associated: &mut Vec<Reference>,
    work: &mut Work,
) -> bool {
    let mut current = Some(header);
    let mut requested_first = false;
    while let Some(header) = current {
        // SAFETY: the first is kept by the caller; each keeps the one before it in the chain.
        let core = unsafe { header.as_ref() };
        let before = core.word.update(|word| {
            (word.is_pending() && !word.is_requested()).then(|| word.with_request(true))
        });
        let Ok(before) = before else { break };
        requested_first = true;
        if before.has_side() {
            let taken = lock(&core.side).take_discards();
            for DiscardCallback { callback, .. } in taken.into_callbacks() {
                work.contain(|_| associated.extend(callback.run()));
            }
        }
        // Behind the callbacks: it ends the core, and with it who waits for that. SAFETY: as above.
        work.contain(|_| unsafe { Header::cancel(header) });
        // SAFETY: as above.
        current = unsafe { (core.table.upstream)(header) };
    }
    requested_first
}
