//! The process manager: what the processes of one runtime share.
//!
//! # How a runtime ends
//!
//! The *population* is one word: how many processes there are, and whether the runtime is closing. A spawn increments it and sees in the same
//! step whether it came too late. Closing sets the bit, then walks the arena and terminates what it finds. A process that the walk misses was
//! opened after the walk locked its slot (or the growing of the arena), so its spawn, which looks at the bit once more after opening, sees it, and
//! terminates the process itself. Whoever takes the count to zero under the bit wakes the closer. Then nothing is runnable, no handler runs,
//! and the threads are joined.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::atomic::{AtomicU64, Ordering};

use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::arena::arena;
use super::dead_letters::DeadLetters;
use super::filter::{Filter, Filters};
use super::free_slots::FreeSlots;
use super::optional::OptionalWork;
use super::statistics::{ENDED, FIRST_EVENT, PANICKED, SPAWNED, UNHANDLED};
use super::telemetry::Recorder;
use super::transport::Transport;
use super::{EventCounts, RawPid, Statistics, Upid};
use crate::clock::{Activity, Clock};
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::scheduler::pool::Pool;
use crate::scheduler::{Scheduler, Worker, counters};

pub(crate) struct ProcessManager {
    id: u64,
    scheduler: Arc<Scheduler>,
    clock: Clock,
    pool: Arc<Pool>,
    event_budget: u32,
    optional_work: OptionalWork,
    filters: Filters,
    recorder: Arc<Recorder>,
    free_slots: FreeSlots,
    /// A name whose process is about to move in has no pid yet.
    names: Mutex<HashMap<Arc<str>, Option<RawPid>>>,
    population: Population,
    dead_letters: DeadLetters,
    /// The HTTP client, which is above processes.
    client: OnceLock<Box<dyn Any + Send + Sync>>,
    addresses: Mutex<Addresses>,
    /// What carries messages to processes elsewhere, which is above processes.
    transport: OnceLock<Arc<dyn Transport>>,
    /// Who is asked for the addresses, if they are not there before somebody wants them.
    listen_when_asked: OnceLock<Arc<dyn ListenWhenAsked>>,
}

/// Has a runtime listen once somebody asks where it is: that is for the floor above processes that builds runtimes.
pub(crate) trait ListenWhenAsked: Send + Sync {
    /// Returns when it is decided for good where the runtime listens, if it does, and its addresses are [set](ProcessManager::set_addresses). Called by whoever asks, on any thread,
    /// also inside a handler, also by several at once, and by later ones again if nothing listens.
    fn listen(self: Arc<Self>, manager: &ProcessManager);
}

/// Where a runtime is: nowhere, until it listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// Where it listens.
    pub(crate) bound: SocketAddr,
    /// Where others find it: what its processes are called by.
    pub(crate) advertised: SocketAddr,
    /// Where others find it by IPv6 as well.
    pub(crate) advertised6: Option<SocketAddrV6>,
}

impl Addresses {
    const NONE: Self = {
        let nowhere = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        Self {
            bound: nowhere,
            advertised: nowhere,
            advertised6: None,
        }
    };

    pub(crate) fn listens(&self) -> bool {
        self.bound.port() != 0
    }

    /// Whether an address is the runtime's, by whatever name.
    fn contain(&self, address: SocketAddr) -> bool {
        self.advertised == address
            || self.bound == address
            || self.advertised6.map(SocketAddr::V6) == Some(address)
    }
}

impl ProcessManager {
    /// What asks servers for the runtime, once somebody wants that.
    pub(crate) fn client(
        &self,
        make: impl FnOnce() -> Box<dyn Any + Send + Sync>,
    ) -> &(dyn Any + Send + Sync) {
        &**self.client.get_or_init(make)
    }

    /// Makes a manager over a scheduler that has not started.
    pub(crate) fn new(
        scheduler: Arc<Scheduler>,
        clock: Clock,
        pool: Arc<Pool>,
        event_budget: u32,
        recorder: Recorder,
    ) -> Arc<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        #[cfg(not(libprocess_loom))]
        arena().make_first();
        let optional_work = OptionalWork::default();
        optional_work.set(OptionalWork::WATCH, recorder.is_watching());
        let manager = Arc::new(Self {
            // Relaxed: only uniqueness matters.
            id: IDS.fetch_add(1, Ordering::Relaxed),
            free_slots: FreeSlots::new(scheduler.workers()),
            scheduler,
            clock,
            pool,
            event_budget,
            optional_work,
            filters: Filters::default(),
            recorder: Arc::new(recorder),
            names: Mutex::new(HashMap::new()),
            population: Population::default(),
            dead_letters: DeadLetters::default(),
            client: OnceLock::new(),
            addresses: Mutex::new(Addresses::NONE),
            transport: OnceLock::new(),
            listen_when_asked: OnceLock::new(),
        });
        let mut runtimes = lock_std(&RUNTIMES);
        runtimes.retain(|(_, manager)| manager.strong_count() > 0);
        runtimes.push((manager.id, Arc::downgrade(&manager)));
        manager
    }

    /// Tells the managers apart, also after one has ended.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    #[inline]
    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    #[inline]
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn event_budget(&self) -> u32 {
        self.event_budget
    }

    /// As far as they are known: to look is not to ask.
    pub(crate) fn addresses(&self) -> Addresses {
        *lock_std(&self.addresses)
    }

    /// For who is going to tell others where the runtime is: one that was not told to listen begins to, unless it is to listen nowhere, or closes. It makes some calls of the kernel, and
    /// waits for nobody but who makes them at this moment.
    pub(crate) fn listening_addresses(&self) -> Addresses {
        if let Some(listen) = self.listen_when_asked() {
            Arc::clone(listen).listen(self);
        }
        self.addresses()
    }

    /// Who may have the runtime listen, as long as it does not.
    fn listen_when_asked(&self) -> Option<&Arc<dyn ListenWhenAsked>> {
        let listen = self.listen_when_asked.get()?;
        (!self.addresses().listens()).then_some(listen)
    }

    /// Whether to ask might change the addresses.
    pub(super) fn listens_when_asked(&self) -> bool {
        self.listen_when_asked().is_some()
    }

    /// To be called once, before anybody may ask.
    #[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
    pub(crate) fn set_listen_when_asked(&self, listen: Arc<dyn ListenWhenAsked>) {
        let _first_stays = self.listen_when_asked.set(listen);
    }

    pub(crate) fn transport(&self) -> Option<&dyn Transport> {
        self.transport.get().map(|transport| &**transport)
    }

    /// To be called once.
    #[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
    pub(crate) fn set_transport(&self, transport: Arc<dyn Transport>) {
        let _first_stays = self.transport.set(transport);
    }

    /// Whether a process that is said to be at that address is one of this runtime.
    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        lock_std(&self.addresses).contain(address)
    }

    #[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
    pub(crate) fn set_addresses(&self, addresses: Addresses) {
        *lock_std(&self.addresses) = addresses;
    }

    #[inline(always)]
    pub(super) fn optional_work(&self) -> &OptionalWork {
        &self.optional_work
    }

    pub(super) fn filters(&self) -> &Filters {
        &self.filters
    }

    pub(crate) fn add_filter(&self, filter: Arc<dyn Filter>) {
        self.filters.add(filter, &self.optional_work);
    }

    /// Removes a filter, and those that are done.
    pub(crate) fn remove_filter(&self, filter: Option<&Arc<dyn Filter>>) {
        self.filters.remove(filter, &self.optional_work);
    }

    pub(crate) fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Switches telemetry on or off.
    pub(crate) fn set_telemetry(&self, on: bool) {
        self.recorder.set(&self.optional_work, on);
    }

    pub(super) fn free_slots(&self) -> &FreeSlots {
        &self.free_slots
    }

    pub(super) fn population(&self) -> &Population {
        &self.population
    }

    pub(crate) fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    pub(super) fn named(&self, name: &str) -> Option<RawPid> {
        self.names().get(name).copied().flatten()
    }

    /// Reserves a name. False if it is in use. Nobody is found under it before `publish_name`.
    pub(super) fn reserve_name(&self, name: &Arc<str>) -> bool {
        match self.names().entry(Arc::clone(name)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(None);
                true
            }
        }
    }

    /// Lets a process that has moved in be found under its name.
    pub(super) fn publish_name(&self, name: &str, pid: RawPid) {
        if let Some(reserved) = self.names().get_mut(name) {
            *reserved = Some(pid);
        }
    }

    pub(super) fn free_name(&self, name: &str) {
        self.names().remove(name);
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Option<RawPid>>> {
        lock_std(&self.names)
    }

    /// Refuses further spawns and asks all processes to end. Gives a future of their end. To be called once.
    pub(crate) fn close(&self) -> Future<()> {
        self.population.close();
        arena().for_each_used(|slot| {
            let mine = slot
                .lock_tenant()
                .filter(|(_, ties)| std::ptr::eq(ties.manager(), self))
                .map(|(pid, _)| pid);
            if let Some(pid) = mine {
                super::terminate(&Upid::local(pid), true, Upid::nobody());
            }
        });
        self.clock.close();
        self.population.empty.future()
    }

    /// Joins the threads, after all processes have ended. Must not be called on a thread of this runtime.
    pub(crate) fn stop(&self) {
        self.clock.stop();
        self.pool.stop();
        self.scheduler.stop();
        self.recorder.stop_watch();
        // SAFETY: the threads are joined, and there will be none.
        unsafe { self.free_slots.drain(arena()) };
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let counts = self.scheduler.counters();
        let alive = self.population.count();
        Statistics {
            events: EventCounts {
                messages: counts[FIRST_EVENT],
                dispatches: counts[FIRST_EVENT + 1],
                http: counts[FIRST_EVENT + 2],
                exited: counts[FIRST_EVENT + 3],
                terminate: counts[FIRST_EVENT + 4],
            },
            unhandled: counts[UNHANDLED],
            dead_letters: self.dead_letters.count(),
            refused: self.dead_letters.full(),
            last_dead_letters: self.dead_letters.last(),
            spawned: counts[SPAWNED] + self.population.spawned_outside.load(Ordering::Relaxed),
            ended: counts[ENDED],
            panicked: counts[PANICKED],
            alive,
            resumes: counts[counters::RESUMES],
            parks: counts[counters::PARKS],
            steals: counts[counters::STEALS],
            wake_ups: counts[counters::WAKE_UPS],
            stood_aside: counts[counters::STOOD_ASIDE],
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            reactor: self.scheduler.ports().kind(),
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            reactor_reason: self.scheduler.ports().reason(),
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            io_uring_lacks: self.scheduler.ports().done_without(),
            blocked: counts[counters::BLOCKED],
            stuck: self.recorder.stuck(),
            threads: self.scheduler.thread_count(),
        }
    }
}

impl Activity for ProcessManager {
    fn is_quiet(&self) -> bool {
        self.scheduler.is_quiet()
    }

    fn is_alive(&self, owner: u64) -> bool {
        RawPid::from_bits(owner).is_some_and(|pid| arena().is_current(pid))
    }

    fn is_own_thread(&self) -> bool {
        super::current::is_current(self)
    }
}

/// All runtimes, for what has no runtime at hand: rare, slow paths.
static RUNTIMES: Mutex<Vec<(u64, Weak<ProcessManager>)>> = Mutex::new(Vec::new());

/// Calls `f` with the runtime that last had a process in the pid's slot, if it has not ended.
pub(super) fn with_runtime_of(pid: RawPid, f: impl FnOnce(&ProcessManager)) {
    if let Some(slot) = arena().find(pid) {
        with_runtime(slot.last_runtime(), f);
    }
}

/// Calls `f` with the runtime of that number, if it has not ended. No lock is held.
pub(super) fn with_runtime(id: u64, f: impl FnOnce(&ProcessManager)) {
    let manager = {
        let runtimes = lock_std(&RUNTIMES);
        runtimes
            .iter()
            .find(|(known, _)| *known == id)
            .and_then(|(_, manager)| manager.upgrade())
    };
    if let Some(manager) = manager {
        f(&manager);
    }
}

/// How many processes there are, and whether more may come.
///
/// | bits | what |
/// |---|---|
/// | 0..63 | processes that have not ended |
/// | 63 | closing |
#[derive(Default)]
pub(super) struct Population {
    word: AtomicU64,
    /// How many were spawned by threads that are none of the runtime's workers, which have counters of their own.
    spawned_outside: AtomicU64,
    empty: Promise<()>,
}

const CLOSING: u64 = 1 << 63;

impl Population {
    /// Counts a process in. False if the runtime is closing.
    #[must_use]
    pub(super) fn enter(&self) -> bool {
        // Relaxed: the process is published by its slot; the last one's leaving is what the closer acquires.
        if self.word.fetch_add(1, Ordering::Relaxed) & CLOSING == 0 {
            return true;
        }
        self.leave();
        false
    }

    /// Counts the spawn of one that is in.
    pub(super) fn count_spawn(&self, scheduler: &Scheduler) {
        Worker::with_current(|worker| match worker {
            Some(worker) if worker.is_of(scheduler) => worker.counters().add(SPAWNED, 1),
            // Relaxed: a statistic.
            _ => {
                self.spawned_outside.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Counts a process out.
    pub(super) fn leave(&self) {
        if self.count_out() {
            self.tell_empty();
        }
    }

    /// As `leave`, under a lock: true if the caller must `tell_empty` when it has let go of that.
    #[must_use]
    pub(super) fn count_out(&self) -> bool {
        // AcqRel: a release sequence of all leavings, so that the closer, woken by the last, has all of them behind it.
        self.word.fetch_sub(1, Ordering::AcqRel) == CLOSING | 1
    }

    pub(super) fn tell_empty(&self) {
        self.empty.set(());
    }

    /// Whether the runtime is closing. To be asked after a slot was opened: see the module.
    pub(super) fn is_closing(&self) -> bool {
        // Relaxed: ordered by the slot's lock against the closer's walk.
        self.word.load(Ordering::Relaxed) & CLOSING != 0
    }

    fn close(&self) {
        // AcqRel: as in `leave`, for the case that nobody is left.
        if self.word.fetch_or(CLOSING, Ordering::AcqRel) & !CLOSING == 0 {
            self.tell_empty();
        }
    }

    fn count(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !CLOSING
    }
}
