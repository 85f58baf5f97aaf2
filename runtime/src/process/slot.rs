//! A slot: the place of one process at a time, at an address that never changes.
//!
//! `docs/architecture.md` §1 tells the protocol. In short: a slot has *tenants*, one after the other, told apart by a
//! generation. Senders push events that name the generation they are meant for; the tenant's *token holder*
//! compares. The token is the mailbox's idle → scheduled change, and everything in [`TokenSide`] belongs to its holder.
//!
//! # Who may touch what
//!
//! | field | who, when |
//! |---|---|
//! | `header` | written by the claimer before the mailbox opens; read by the worker that runs the token |
//! | `mailbox` | pushed to by anyone; taken from, rested and closed by the token holder; opened by the claimer |
//! | `tenancy` | read by anyone; the generation is written in `vacate`, the capacity in `open`, under the `ties` lock; credits as its module says |
//! | `tenant.manager` | written by the claimer, and cleared in `vacate`, both under the `ties` lock; read under that lock, or by the token holder |
//! | `terminate` | raised by anyone; read by the token holder |
//! | `token` | the token holder alone |
//! | `last_runtime` | written by the claimer; read by anyone, as a hint |
//! | `ties` | under its mutex; what is read there is of the tenant whose generation was compared under it |
//! | `wakes` | changed by anyone who has a waker, and by the token holder of an `async` block |
//! | `links` | who has the chain that the free slot is in; read by those who lose a race for it, and thrown away |
//!
//! # What can go wrong
//!
//! * *An event reaches the next tenant.* A sender stalls between look-up and push. The event's generation differs: [`Next::Stale`].
//! * *A stale push schedules the next tenant.* Then the sender holds a real token of the new tenant, and passes it on by what it reads
//!   after winning it. One useless resume.
//! * *A stale sender takes a credit of the next tenant's mailbox.* The credits are in one word with the generation: see [`tenancy`](super::tenancy).
//! * *A stale `terminate` ends the next tenant.* It raises `terminate` to a generation that is past, which equals nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
// Not the facade's: a hint is no part of a model.
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use libprocess_queues::event::{Batch, Enqueued, EventQueue, Rest};

use super::event::{EventBox, ExitReason, SentAt};
use super::free_slots::Links;
use super::manager::ProcessManager;
use super::room::Room;
use super::tenancy::Tenancy;
use super::vtable::ProcessTable;
use super::wake_word::WakeWord;
use super::{Mailbox, RawPid};
use crate::facade::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::facade::{Mutex, MutexGuard, UnsafeCell, lock, weakened};
use crate::future::Promise;
use crate::prefetch::prefetch;
use crate::scheduler::{Header, Runnable, Worker};

mod credits;
mod moving_out;
mod pending;

pub(crate) use moving_out::{Farewell, Vacated};

// Two lines: processors prefetch lines in pairs. The mailbox behind a mutex needs one line more, and pairs would waste another.
#[cfg_attr(feature = "lock-free-event-queue", repr(C, align(128)))]
#[cfg_attr(not(feature = "lock-free-event-queue"), repr(C, align(64)))]
pub(crate) struct Slot {
    // First, so that a pointer to the slot is one to its header.
    header: std::cell::UnsafeCell<Header>,
    mailbox: Mailbox,
    /// The worker that sent the last event, as `Worker::address` tells it. On the line of the mailbox, which a sender writes anyway.
    sender: AtomicUsize,
    tenancy: Tenancy,
    tenant: UnsafeCell<Tenant>,
    links: Links,
    /// Written by who wakes, beside the mailbox, as `sender` is.
    wakes: WakeWord,
    token: TokenLine,
}

/// What is known of the tenant from its claim to its release.
#[derive(Clone, Copy)]
struct Tenant {
    manager: *const ProcessManager,
    table: Option<&'static ProcessTable>,
}

/// On a cache line of its own: senders write the mailbox, the token holder reads and writes this.
#[repr(C, align(64))]
struct TokenLine {
    /// The runtime of the tenant, or of the last one: its id, not the runtime.
    last_runtime: AtomicU64,
    terminate: AtomicU32,
    index: u32,
    side: UnsafeCell<TokenSide>,
    ties: Mutex<Option<Box<Ties>>>,
}

/// What the token holder alone touches.
struct TokenSide {
    batch: Batch<EventBox>,
    cell: *mut (),
}

/// Who wants to know of the tenant's end, and its name. Boxed when the first is needed, so that most processes have none.
#[derive(Default)]
pub(crate) struct Ties {
    pub(crate) name: Option<Arc<str>>,
    /// Ordered, so that `exited` goes out in an order that a seed can replay.
    pub(crate) linkers: BTreeSet<RawPid>,
    pub(crate) waiters: Vec<Promise<ExitReason>>,
    /// Who waits for room in a full mailbox.
    pub(crate) room: Option<Box<Room>>,
    /// Which routes there are, and whether they want requests as they come, if one does.
    #[expect(
        clippy::box_collection,
        reason = "few processes have it, and a map is as large as three pointers"
    )]
    pub(crate) streams: Option<Box<BTreeMap<String, bool>>>,
}

// SAFETY: the table above: each field is either synchronized itself or touched under the `ties` lock
// or the token only, and what passes between token holders is `Send` (processes and events are).
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

/// What the token holder does next.
#[must_use]
pub(crate) enum Next {
    /// Serve this.
    Event(EventBox),
    /// Serve this, and first give its credit back.
    Paid(EventBox),
    /// It was for an earlier tenant: a dead letter.
    Stale(EventBox),
    /// `terminate` was called: end, before anything else is served.
    Terminate,
    /// Nothing is pending and the token is given up: do not touch the slot any more.
    Rested,
}

/// What became of an event.
#[must_use]
pub(crate) enum Delivery<'a> {
    /// Somebody else has the token, or will.
    Queued,
    /// The sender has the token now, and must schedule the slot.
    Schedule(&'a Slot),
    /// The process has ended.
    Dead(EventBox),
    /// The mailbox is full.
    Full(EventBox),
}

impl Slot {
    pub(crate) fn new(index: u32, run: crate::scheduler::Run) -> Self {
        Self {
            header: std::cell::UnsafeCell::new(Header::new(run)),
            mailbox: Mailbox::closed(),
            sender: AtomicUsize::new(0),
            tenancy: Tenancy::new(),
            tenant: UnsafeCell::new(Tenant {
                manager: std::ptr::null(),
                table: None,
            }),
            links: Links::new(),
            wakes: WakeWord::new(),
            token: TokenLine {
                last_runtime: AtomicU64::new(0),
                terminate: AtomicU32::new(0),
                index,
                side: UnsafeCell::new(TokenSide {
                    batch: Batch::new(),
                    cell: std::ptr::null_mut(),
                }),
                ties: Mutex::new(None),
            },
        }
    }

    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.token.index
    }

    /// Has the line fetched that the tenant's next turn begins with. A sender has the other one.
    #[inline(always)]
    pub(super) fn fetch_for_turn(&self) {
        prefetch(&self.token, 1);
    }

    /// Whether its tenant, if it is an `async` block, is to be woken.
    #[inline]
    pub(super) fn wakes(&self) -> &WakeWord {
        &self.wakes
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// The tenant's pid, or the one that the next tenant will have.
    pub(crate) fn pid(&self) -> RawPid {
        // Callers have the token or the claim, or compare under the `ties` lock.
        RawPid::new(self.token.index, self.tenancy.generation())
    }

    /// Whether it is the tenant's pid, or the one that the next tenant will have. A slot that was retired has neither.
    #[inline]
    pub(super) fn is_next_or_tenant(&self, pid: RawPid) -> bool {
        self.tenancy.generation() == pid.generation()
    }

    // ---- the claimer ----

    /// Moves a tenant in. The caller has claimed the slot; afterwards it holds the tenant's first token.
    ///
    /// # Safety
    ///
    /// The caller has claimed the slot from the arena. `cell` and `run` are what `table` says.
    /// `manager` outlives the tenancy.
    pub(crate) unsafe fn open(
        &self,
        run: crate::scheduler::Run,
        (manager, runtime): (*const ProcessManager, u64),
        table: &'static ProcessTable,
        cell: *mut (),
        name: Option<Arc<str>>,
        capacity: Option<u32>,
    ) {
        // Relaxed: a hint, for whom to tell of dead letters.
        self.token.last_runtime.store(runtime, Ordering::Relaxed);
        // SAFETY: claimed and not open: no token exists, so nobody else reads the header or the token side.
        unsafe {
            *self.header.get() = Header::new(run);
            self.token.side.with_mut(|side| (*side).cell = cell);
        }
        let mut ties = lock(&self.token.ties);
        *ties = name.map(|name| {
            Box::new(Ties {
                name: Some(name),
                ..Ties::default()
            })
        });
        // SAFETY: under the `ties` lock, and no token exists.
        self.tenant.with_mut(|tenant| unsafe {
            *tenant = Tenant {
                manager,
                table: Some(table),
            }
        });
        // Relaxed: a hint. Who spawns is the first to feed.
        self.sender.store(Worker::address(), Ordering::Relaxed);
        self.tenancy.begin(capacity);
        // Under the lock: a closing runtime's walk, which locks it, then either finds an open mailbox to terminate, or was here before, and
        // the opener, who looks after it, sees that the runtime is closing.
        self.mailbox.open();
        drop(ties);
    }

    /// The token, as the scheduler takes it.
    ///
    /// # Safety
    ///
    /// The caller holds the token, and gives it up with this.
    #[inline]
    pub(crate) unsafe fn runnable(&'static self) -> Runnable {
        // SAFETY: a slot of the static arena is valid for ever; the token is unique by contract.
        unsafe { Runnable::new(NonNull::from(self).cast()) }
    }

    // ---- senders ----

    /// Whether `pid` names the tenant, and he has no bound. A shortcut: a sender that stalls behind it is caught by the event's generation.
    #[inline(always)]
    pub(crate) fn is_unbounded(&self, pid: RawPid) -> bool {
        self.tenancy.is_unbounded(pid.generation())
    }

    /// Pushes an event for the tenant that `pid` names.
    pub(crate) fn push(&self, pid: RawPid, event: EventBox, sent_at: SentAt) -> Delivery<'_> {
        if self.is_unbounded(pid) {
            self.enqueue(pid, event, false, sent_at)
        } else {
            self.push_bounded(pid, event, sent_at)
        }
    }

    /// As `push`, for who asked `is_unbounded`, of an event that does not say when it was sent.
    #[inline(always)]
    pub(crate) fn push_unbounded(&self, pid: RawPid, event: EventBox) -> Delivery<'_> {
        self.enqueue(pid, event, false, SentAt::UNTOLD)
    }

    #[inline(always)]
    fn enqueue(
        &self,
        pid: RawPid,
        mut event: EventBox,
        paid: bool,
        sent_at: SentAt,
    ) -> Delivery<'_> {
        event.stamp(pid.generation(), paid, sent_at);
        // Relaxed: a hint.
        self.sender.store(Worker::address(), Ordering::Relaxed);
        match self.mailbox.enqueue(event) {
            Enqueued::Queued => Delivery::Queued,
            Enqueued::Schedule => Delivery::Schedule(self),
            Enqueued::Closed(event) => Delivery::Dead(event),
        }
    }

    /// Pushes a Terminate event and, after it, the mark that makes the token holder serve it before any other.
    pub(crate) fn push_terminate(
        &self,
        pid: RawPid,
        event: EventBox,
        sent_at: SentAt,
    ) -> Delivery<'_> {
        if weakened("mark-after-event") {
            self.mark_terminate(pid);
        }
        let delivery = self.push(pid, event, sent_at);
        if !matches!(delivery, Delivery::Dead(_)) {
            // If somebody served the event meanwhile, the mark comes late, and is of a generation that is past.
            self.mark_terminate(pid);
        }
        delivery
    }

    fn mark_terminate(&self, pid: RawPid) {
        // Release: pairs with the Acquire in `next`: whoever sees the mark finds the event.
        // `fetch_max`: a late mark for an earlier tenant must not wipe out a later tenant's.
        self.token
            .terminate
            .fetch_max(pid.generation(), Ordering::Release);
    }

    // ---- the token holder ----

    /// The worker that sent the last event, as `Worker::address` tells it.
    #[inline]
    pub(crate) fn fed_by(&self) -> usize {
        // Relaxed: a hint.
        self.sender.load(Ordering::Relaxed)
    }

    /// Whether the last event came from another worker than the one with this address.
    #[inline]
    pub(crate) fn is_fed_from_elsewhere(&self, worker: usize) -> bool {
        let sender = self.fed_by();
        sender != 0 && sender != worker
    }

    /// The runtime of the tenant.
    ///
    /// # Safety
    ///
    /// The caller holds the token.
    #[inline]
    pub(crate) unsafe fn manager(&self) -> *const ProcessManager {
        // SAFETY: written before the token came to be (mailbox open), cleared after it is gone.
        self.tenant.with(|tenant| unsafe { (*tenant).manager })
    }

    /// The tenant's cell.
    ///
    /// # Safety
    ///
    /// The caller holds the token.
    #[inline]
    pub(crate) unsafe fn cell(&self) -> *mut () {
        // SAFETY: by the contract.
        self.token.side.with(|side| unsafe { (*side).cell })
    }

    /// What to do next, for the tenant of this generation.
    ///
    /// # Safety
    ///
    /// The caller holds the token, and is done with it if the answer is [`Next::Rested`].
    #[inline(always)]
    pub(crate) unsafe fn next(&self, generation: u32) -> Next {
        loop {
            // Relaxed: one plain load per event. A hit is looked at again with Acquire, which pairs with the
            // Release in `mark_terminate`, as it reads that mark or a later one.
            if self.token.terminate.load(Ordering::Relaxed) == generation
                && self.token.terminate.load(Ordering::Acquire) == generation
            {
                return Next::Terminate;
            }
            // SAFETY: by the contract; the borrow ends with the call.
            let event = self
                .token
                .side
                .with_mut(|side| unsafe { (*side).batch.pop_front() });
            if let Some(event) = event {
                return if event.is_stamped_free(generation) || weakened("generation") {
                    Next::Event(event)
                } else {
                    Self::marked_or_stale(event, generation)
                };
            }
            // SAFETY: by the contract.
            if !unsafe { self.refill() } {
                return Next::Rested;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn marked_or_stale(mut event: EventBox, generation: u32) -> Next {
        if event.generation() != generation {
            return Next::Stale(event);
        }
        // What else it says is for telemetry, and looked at there.
        if event.take_credit_out() {
            Next::Paid(event)
        } else {
            Next::Event(event)
        }
    }

    /// Takes what came meanwhile into the empty batch; or rests, and gives false, if nothing did.
    ///
    /// # Safety
    ///
    /// As `next`.
    #[inline(never)]
    unsafe fn refill(&self) -> bool {
        loop {
            let batch = self.mailbox.take();
            if !batch.is_empty() {
                // SAFETY: by the contract; the old batch is empty.
                self.token
                    .side
                    .with_mut(|side| unsafe { (*side).batch = batch });
                return true;
            }
            match self.mailbox.rest() {
                Rest::Idle => return false,
                Rest::Pending => {}
            }
        }
    }

    /// Whether `terminate` was called for the tenant of this generation, by itself or others.
    pub(crate) fn is_marked(&self, generation: u32) -> bool {
        // Relaxed: nothing is looked at on its word.
        self.token.terminate.load(Ordering::Relaxed) == generation
    }

    /// The tenant ends itself: the mark without an event.
    ///
    /// # Safety
    ///
    /// The caller holds the token.
    pub(crate) unsafe fn mark_own_end(&self) {
        // Relaxed, and a store: the holder of the token reads it, and nobody raises it above this generation before the tenant has moved out.
        self.token
            .terminate
            .store(self.tenancy.generation(), Ordering::Relaxed);
    }

    /// Closes the mailbox for good and gives all that is pending.
    ///
    /// # Safety
    ///
    /// The caller holds the token.
    pub(crate) unsafe fn close(&self) -> Batch<EventBox> {
        let mut pending = self.pending();
        pending.append(self.mailbox.close());
        pending
    }

    // ---- anyone, under the lock ----

    /// Locks the ties if `pid` still names the tenant.
    pub(crate) fn lock_ties(&self, pid: RawPid) -> Option<TiesGuard<'_>> {
        let guard = lock(&self.token.ties);
        // Written under the same lock.
        if self.tenancy.generation() != pid.generation() && !weakened("ties-generation") {
            return None;
        }
        // SAFETY: under the lock.
        let tenant = self.tenant.with(|tenant| unsafe { *tenant });
        if tenant.table.is_none() && !weakened("ties-generation") {
            // Claimed, but its tenant has not moved in: a pid that was guessed.
            return None;
        }
        Some(TiesGuard { guard, tenant })
    }

    /// Locks the ties of whoever is the tenant.
    pub(crate) fn lock_tenant(&self) -> Option<(RawPid, TiesGuard<'_>)> {
        let guard = lock(&self.token.ties);
        // SAFETY: under the lock.
        let tenant = self.tenant.with(|tenant| unsafe { *tenant });
        tenant.table?;
        Some((self.pid(), TiesGuard { guard, tenant }))
    }

    /// The id of the runtime that last had a process here.
    pub(crate) fn last_runtime(&self) -> u64 {
        self.token.last_runtime.load(Ordering::Relaxed)
    }
}

/// The ties of a tenant that has not moved out, locked.
pub(crate) struct TiesGuard<'a> {
    guard: MutexGuard<'a, Option<Box<Ties>>>,
    tenant: Tenant,
}

impl TiesGuard<'_> {
    pub(crate) fn ties(&mut self) -> &mut Ties {
        self.guard.get_or_insert_default()
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.guard.as_ref().and_then(|ties| ties.name.clone())
    }

    /// Forgets a link, without making ties where there are none.
    pub(crate) fn unlink(&mut self, linker: RawPid) {
        if let Some(ties) = self.guard.as_mut() {
            ties.linkers.remove(&linker);
        }
    }

    /// Whether a route, without slashes around it, is one that wants requests as they come: the longest that there is, a slash at a time.
    pub(crate) fn streams(&self, route: &str) -> bool {
        let routes = self.guard.as_ref().and_then(|ties| ties.streams.as_ref());
        let Some(routes) = routes else {
            return false;
        };
        let mut name = route;
        loop {
            match (routes.get(name), name.rfind('/')) {
                (None, Some(slash)) => name = &name[..slash],
                (found, _) => return found.copied().unwrap_or(false),
            }
        }
    }

    pub(crate) fn table(&self) -> &'static ProcessTable {
        // Both ways to a guard check that there is one.
        self.tenant.table.expect("a tenant without a table")
    }

    /// The tenant's runtime. It cannot end while the lock is held: the tenant moves out under this lock, in a thread that the
    /// runtime joins before it is freed.
    pub(crate) fn manager(&self) -> &ProcessManager {
        // SAFETY: see above.
        unsafe { &*self.tenant.manager }
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_two_cache_lines_or_three() {
        let lines = if cfg!(feature = "lock-free-event-queue") {
            2
        } else {
            3
        };
        assert_eq!(size_of::<Slot>(), lines * 64);
    }
}
