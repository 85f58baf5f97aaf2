//! Models of the slot protocol, explored by loom: `scripts/loom`.
//!
//! They run the shipped arena, slots, mailboxes and event blocks. Each model has a twin that plants a weakening in the shipped
//! code and must fail, which shows that the model looks where the bug would be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use loom::cell::UnsafeCell;
use loom::thread;

use super::arena::Arena;
use super::event::{EventBox, EventKind, MessageEvent, SentAt, TerminateEvent};
use super::free_slots::FreeSlots;
use super::room::Told;
use super::slot::{Delivery, Next, Slot};
use super::vtable::ProcessTable;
use super::{Process, RawPid, Upid};
use crate::facade::with_weakening;

/// Whether some interleaving had the second tenant in the first one's slot.
static REUSED: AtomicBool = AtomicBool::new(false);
/// Whether some interleaving had a sender stall between its look at the generation and its push.
static STALE: AtomicBool = AtomicBool::new(false);

struct Modelled;
impl Process for Modelled {}

/// The state of a tenant, as loom sees it: two threads that touch it at a time are a failure.
struct Tenant {
    served: UnsafeCell<u32>,
}

/// An arena, and what became of every event. The counts are plain atomics: they are no part of the model.
pub(super) struct World {
    pub(super) arena: Arena,
    own: FreeSlots,
    served: AtomicU32,
    dead: AtomicU32,
    ended: AtomicU32,
    /// How many linkers were told of an end.
    told: AtomicU32,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            arena: Arena::new(u32::MAX),
            own: FreeSlots::new(0),
            served: AtomicU32::new(0),
            dead: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            told: AtomicU32::new(0),
        })
    }

    /// Moves a tenant in and works off its first token.
    fn spawn(&self) -> RawPid {
        self.spawn_bounded(None)
    }

    /// As `spawn`, with room for so many events.
    pub(super) fn spawn_bounded(&self, capacity: Option<u32>) -> RawPid {
        // SAFETY: without a seat.
        let slot = unsafe { self.arena.claim(&self.own, None) }.expect("a free slot");
        let pid = slot.pid();
        let tenant = Box::into_raw(Box::new(Tenant {
            served: UnsafeCell::new(0),
        }));
        // SAFETY: claimed; the cell is a `Tenant`, which `work` takes it for; nobody runs the header or reads the manager.
        unsafe {
            slot.open(
                super::resume::never,
                (std::ptr::null(), 1),
                ProcessTable::of::<Modelled>(),
                tenant.cast(),
                None,
                capacity,
            );
        }
        self.work(slot);
        pid
    }

    /// What a worker does with a token.
    fn work(&self, slot: &Slot) {
        let generation = slot.pid().generation();
        // SAFETY: the caller holds the token.
        let tenant = unsafe { slot.cell() }.cast::<Tenant>();
        let touch = || {
            // SAFETY: the token holder alone touches the tenant; loom checks just that.
            unsafe { &*tenant }
                .served
                .with_mut(|served| unsafe { *served += 1 });
        };
        touch();
        loop {
            // SAFETY: the token is held until `Rested` or the end.
            let next = unsafe { slot.next(generation) };
            if matches!(next, Next::Paid(_)) {
                self.give_back(slot.pid());
            }
            match next {
                Next::Event(event) | Next::Paid(event) => {
                    touch();
                    let end = event.kind() == EventKind::Terminate;
                    self.serve(generation, event);
                    if end {
                        return self.end(slot, tenant);
                    }
                }
                Next::Stale(event) => {
                    STALE.store(true, Ordering::Relaxed);
                    self.bury(event);
                }
                Next::Terminate => {
                    // SAFETY: the token is held.
                    let event = unsafe { slot.take_terminate(generation) };
                    self.serve(generation, event.expect("the mark came before its event"));
                    return self.end(slot, tenant);
                }
                Next::Rested => return,
            }
        }
    }

    /// Gives a credit back, and tells whoever waited for it.
    pub(super) fn give_back(&self, pid: RawPid) {
        if let Some(waiter) = self.arena.slot(pid).give_back(pid) {
            waiter(Told::Granted);
        }
    }

    fn serve(&self, generation: u32, event: EventBox) {
        self.served.fetch_add(1, Ordering::Relaxed);
        assert_eq!(
            event.generation(),
            generation,
            "an event reached another tenant"
        );
        drop(event);
    }

    fn bury(&self, event: EventBox) {
        self.dead.fetch_add(1, Ordering::Relaxed);
        drop(event);
    }

    fn end(&self, slot: &Slot, tenant: *mut Tenant) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the token is held, and given up with the mailbox.
        let mut pending = unsafe { slot.close() };
        while let Some(event) = pending.pop_front() {
            self.bury(event);
        }
        // SAFETY: made by `spawn`; with the mailbox closed there is no other token.
        drop(unsafe { Box::from_raw(tenant) });
        let tell = |linkers: usize| {
            self.told.fetch_add(linkers as u32, Ordering::Relaxed);
        };
        let mut nameless = false;
        loop {
            // SAFETY: as above; left with the first success.
            match unsafe {
                self.arena
                    .vacate((&self.own, None), slot, nameless, &mut || ())
            } {
                Ok(_ties) => return,
                Err(farewell) => tell(farewell.linkers.len()),
            }
            nameless = true;
        }
    }

    fn settle(&self, delivery: Delivery<'_>) {
        match delivery {
            Delivery::Queued => {}
            Delivery::Schedule(slot) => self.work(slot),
            Delivery::Dead(event) | Delivery::Full(event) => self.bury(event),
        }
    }

    pub(super) fn send(&self, to: RawPid) {
        let event = MessageEvent::allocate("model", Upid::nobody(), Bytes::new());
        self.settle(self.arena.slot(to).push(to, event, SentAt::UNTOLD));
    }

    pub(super) fn terminate(&self, pid: RawPid) {
        let event = TerminateEvent {
            from: Upid::nobody(),
        }
        .allocate();
        self.settle(
            self.arena
                .slot(pid)
                .push_terminate(pid, event, SentAt::UNTOLD),
        );
    }

    /// All events but those that wait were served or buried, and as many tenants ended.
    pub(super) fn check(&self, events: u32, ended: u32) {
        let accounted = self.served.load(Ordering::Relaxed) + self.dead.load(Ordering::Relaxed);
        assert_eq!(accounted, events, "an event was lost, or served twice");
        assert_eq!(
            self.ended.load(Ordering::Relaxed),
            ended,
            "a tenant ended twice, or never"
        );
    }
}

/// Explores every interleaving: the models are small enough to go without a bound on preemptions.
pub(super) fn model(f: impl Fn() + Send + Sync + 'static) {
    loom::model::Builder::new().check(f);
}

/// Runs a model with a weakening and gives what loom says against it.
pub(super) fn complaint(name: &'static str, f: impl Fn() + Send + Sync + 'static) -> String {
    let failure = catch_unwind(AssertUnwindSafe(|| with_weakening(name, || model(f))));
    let payload = failure.expect_err("the weakening was not noticed");
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        })
        .unwrap_or_default()
}

/// A sender that has the first tenant's pid sends at any time, also between two looks of the others while the slot
/// changes tenant. A bug: its event is served by the second tenant, or is lost, or two threads work for one tenant.
fn stalled_sender() {
    let world = World::new();
    let first = world.spawn();
    let sender = {
        let world = Arc::clone(&world);
        thread::spawn(move || world.send(first))
    };
    world.terminate(first);
    let second = world.spawn();
    world.send(second);
    sender.join().unwrap();
    // If the sender worked for the first tenant until then, the second one got another slot: that is fine too.
    if second.index() == first.index() {
        REUSED.store(true, Ordering::Relaxed);
    }
    world.terminate(second);
    world.check(4, 2);
}

#[test]
fn a_stalled_sender_never_reaches_the_next_tenant() {
    model(stalled_sender);
    assert!(
        REUSED.load(Ordering::Relaxed),
        "no interleaving reused the slot"
    );
    assert!(
        STALE.load(Ordering::Relaxed),
        "no interleaving had the sender stall"
    );
}

#[test]
fn without_the_generation_in_the_event_it_would() {
    let complaint = complaint("generation", stalled_sender);
    assert!(
        complaint.contains("an event reached another tenant"),
        "{complaint}"
    );
}

/// Two threads send and terminate at a time. A bug: the mark is seen before its event is there, a tenant ends twice, or an event
/// is lost between the end and the closed mailbox.
fn terminate_races() {
    let world = World::new();
    let pid = world.spawn();
    let other = {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            world.send(pid);
            world.terminate(pid);
        })
    };
    world.terminate(pid);
    other.join().unwrap();
    world.check(3, 1);
}

#[test]
fn terminate_is_found_where_its_mark_is_seen() {
    model(terminate_races);
}

#[test]
fn with_the_mark_before_the_event_it_would_not_be() {
    let complaint = complaint("mark-after-event", terminate_races);
    assert!(
        complaint.contains("the mark came before its event"),
        "{complaint}"
    );
}

/// One thread links while another ends the process. A bug: the link is made with a tenant that has moved out, and nobody is ever told; or it is told twice.
fn link_races() {
    let world = World::new();
    let pid = world.spawn();
    let linker = {
        let world = Arc::clone(&world);
        thread::spawn(move || match world.arena.slot(pid).lock_ties(pid) {
            Some(mut ties) => {
                ties.ties().linkers.insert(RawPid::new(1, 1));
            }
            // It has ended: the linker tells itself.
            None => {
                world.told.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    world.terminate(pid);
    linker.join().unwrap();
    assert_eq!(
        world.told.load(Ordering::Relaxed),
        1,
        "not told exactly once"
    );
    world.check(1, 1);
}

#[test]
fn a_link_that_races_with_the_end_is_told_once() {
    model(link_races);
}

#[test]
fn without_another_look_for_linkers_a_late_one_would_not_be() {
    let complaint = complaint("late-linkers", link_races);
    assert!(complaint.contains("not told exactly once"), "{complaint}");
}

#[test]
fn without_the_generation_under_the_lock_it_would_not_be() {
    let complaint = complaint("ties-generation", link_races);
    assert!(complaint.contains("not told exactly once"), "{complaint}");
}

/// A thread of a model that claims slots: the one that has the seat, or one that has none.
#[derive(Clone)]
struct Claimer {
    arena: Arc<(Arena, FreeSlots)>,
    seat: Option<usize>,
}

impl Claimer {
    fn with_seats<const N: usize>(seats: [Option<usize>; N]) -> [Self; N] {
        let arena = Arc::new((Arena::new(u32::MAX), FreeSlots::new(N)));
        seats.map(|seat| Self {
            arena: Arc::clone(&arena),
            seat,
        })
    }

    fn claim(&self) -> Option<u32> {
        let (arena, own) = &*self.arena;
        // SAFETY: each model has one thread for each seat.
        unsafe { arena.claim(own, self.seat) }.map(Slot::index).ok()
    }

    fn unclaim(&self, index: u32) {
        let (arena, own) = &*self.arena;
        // SAFETY: claimed and never opened; the seat as in `claim`.
        unsafe { arena.unclaim((own, self.seat), arena.at(index)) };
    }
}

fn assert_distinct(claimed: impl IntoIterator<Item = Option<u32>>) {
    let mut claimed: Vec<_> = claimed.into_iter().flatten().collect();
    let count = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), count, "a slot was claimed twice");
}

/// One thread pops a slot while another pops two and gives the first back. A bug (ABA): the list's head is a slot that is in use, and the
/// next claimer gets it a second time.
fn free_list() {
    let [one, other] = Claimer::with_seats([None, None]);
    let claimed = [one.claim(), one.claim()];
    claimed
        .into_iter()
        .rev()
        .flatten()
        .for_each(|slot| one.unclaim(slot));
    let other = thread::spawn(move || other.claim());
    let first = one.claim();
    let second = one.claim();
    if let Some(first) = first {
        one.unclaim(first);
    }
    let others = other.join().unwrap();
    assert_distinct([second, others, one.claim()]);
}

/// Two seats, of which one frees what the other one has claimed: two chains stay in its magazine but for a slot, one goes to the stack. A bug: the
/// other seat does not find its links, and a slot is lost, or is there twice.
fn magazines() {
    let [one, other] = Claimer::with_seats([Some(0), Some(1)]);
    let claimed = [(); 5].map(|()| one.claim());
    // The thread that claims is the one that is spawned: loom remembers of each place the last access only, and who frees looks at the
    // stack's head before it changes it.
    let claiming = thread::spawn(move || {
        let first = one.claim();
        let second = one.claim();
        (one, [first, second])
    });
    for slot in claimed.into_iter().flatten() {
        other.unclaim(slot);
    }
    let (one, others) = claiming.join().unwrap();
    let exchanged = claimed.contains(&others[0]) && others[0].is_some();
    EXCHANGED.fetch_or(exchanged, Ordering::Relaxed);
    FRESH.fetch_or(!exchanged, Ordering::Relaxed);
    let rest = std::iter::from_fn(|| one.claim());
    let mut mine: Vec<_> = others.into_iter().flatten().chain(rest).collect();
    mine.sort_unstable();
    mine.dedup();
    // One of six was never claimed before, and three are in the other seat's magazine.
    assert_eq!(mine.len(), 3, "slots were lost, or claimed twice");
}

/// Whether the one seat ever had what the other one had freed, and whether it ever came before that. No part of the model.
static EXCHANGED: AtomicBool = AtomicBool::new(false);
static FRESH: AtomicBool = AtomicBool::new(false);

#[test]
fn a_chain_goes_from_seat_to_seat_whole() {
    model(magazines);
    assert!(EXCHANGED.load(Ordering::Relaxed), "no chain was exchanged");
    assert!(FRESH.load(Ordering::Relaxed), "none came before the chain");
}

#[test]
fn without_release_the_other_seat_would_not_find_its_links() {
    let complaint = complaint("chain-published", magazines);
    assert!(complaint.contains("slots were lost"), "{complaint}");
}

#[test]
fn the_free_list_is_safe_from_aba() {
    model(free_list);
}

#[test]
fn without_the_tag_it_would_not_be() {
    let complaint = complaint("free-tag", free_list);
    assert!(
        complaint.contains("a slot was claimed twice"),
        "{complaint}"
    );
}
