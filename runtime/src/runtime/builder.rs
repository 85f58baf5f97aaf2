//! Setting up a runtime: what it may be told, by the program or by the environment, and how its floors are put together.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use libprocess_semaphore::LifoFixedSizeSemaphore;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
use super::listen::Listen;
use super::{Runtime, environment};
use crate::clock::{Activity, Clock};
use crate::process::manager::ProcessManager;
use crate::process::telemetry::{OnStuck, Recorder, StuckHandler, Watch};
use crate::process::{guarded, set_current_manager};
use crate::scheduler::pool::Pool;
use crate::scheduler::{Configuration, Scheduler};

/// Above what a process may use of a worker's turn for its own, below what others would notice: docs/scheduler.md.
const EVENT_BUDGET: u32 = 256;

/// The most workers that the variable may ask for, as in libprocess.
const MAX_WORKERS: usize = 1024;

/// How many processes, and names of events, telemetry tells apart by default.
const TELEMETRY_ENTRIES: usize = 1_024;

/// The shortest time after which a handler counts as stuck: who looks wakes once in it.
const SHORTEST_STUCK: Duration = Duration::from_millis(1);

/// The longest time for which a worker with nothing to do is kept from sleeping.
const LONGEST_BUSY_POLL: Duration = Duration::from_millis(10);

/// Sets up a [`Runtime`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RuntimeBuilder {
    name: String,
    workers: Option<usize>,
    event_budget: Option<u32>,
    semaphore_slots: Option<usize>,
    max_blocked_threads: usize,
    max_async_threads: usize,
    pin: bool,
    busy_poll: Option<Duration>,
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    reactor: Option<crate::reactor::ReactorKind>,
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    io_faults: Option<crate::reactor::Faults>,
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) listen: Listen,
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    io_uring_lacks: crate::reactor::Lacking,
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub(super) remote: crate::remote::RemoteOptions,
    on_worker_start: Option<OnWorkerStart>,
    telemetry: Option<bool>,
    telemetry_entries: usize,
    report_stuck_after: Option<Duration>,
    on_stuck: Option<Called<OnStuck>>,
}

/// What a builder was given to call.
#[derive(Clone)]
struct Called<F>(F);

impl<F> std::fmt::Debug for Called<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(a closure)")
    }
}

/// What a builder was given to call on each worker's thread.
type OnWorkerStart = Called<Arc<dyn Fn(usize) + Send + Sync>>;

/// Why a runtime could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No workers, or more than 1,024.
    #[error("{workers} workers: ask for 1 to {MAX_WORKERS}")]
    Workers {
        /// How many were asked for.
        workers: usize,
    },
    /// The semaphore that was asked for has fewer slots than there are workers to wait in it.
    #[error(
        "{workers} workers cannot wait in a semaphore of {slots} slots: ask for at least as many slots"
    )]
    TooFewSemaphoreSlots {
        /// How many workers were asked for.
        workers: usize,
        /// How many slots were asked for.
        slots: usize,
    },
    /// A semaphore has at most so many slots.
    #[error("{slots} semaphore slots: ask for at most {most}")]
    TooManySemaphoreSlots {
        /// How many were asked for.
        slots: usize,
        /// How many there can be.
        most: usize,
    },
    /// A thread's name cannot contain a zero byte.
    #[error("the name {name:?} contains a zero byte, which a thread's name cannot")]
    Name {
        /// The name.
        name: String,
    },
    /// An event budget of zero would never serve an event.
    #[error("an event budget of 0 serves nothing: ask for at least 1")]
    NoEventBudget,
    /// Pinning was asked for, and the cores of this machine cannot be told.
    #[error(
        "the workers cannot be pinned: the operating system does not tell which cores there are"
    )]
    NoCores,
    /// The reactor that was asked for cannot be had.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    #[error(transparent)]
    Reactor(#[from] crate::reactor::ReactorUnavailable),
    /// Nothing can listen at the address that was asked for.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    #[error("cannot listen at {address}: {reason}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        reason: std::io::Error,
    },
    /// The operating system refused a thread.
    #[error("a worker thread could not be started")]
    Thread(#[from] std::io::Error),
}

impl RuntimeBuilder {
    pub(super) fn new() -> Self {
        Self {
            name: "libprocess".to_owned(),
            workers: None,
            event_budget: None,
            semaphore_slots: None,
            max_blocked_threads: 256,
            max_async_threads: 256,
            pin: false,
            busy_poll: None,
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            reactor: None,
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            io_faults: None,
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            listen: Listen::default(),
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            io_uring_lacks: crate::reactor::Lacking::default(),
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            remote: crate::remote::RemoteOptions::new(),
            on_worker_start: None,
            telemetry: None,
            telemetry_entries: TELEMETRY_ENTRIES,
            report_stuck_after: None,
            on_stuck: None,
        }
    }

    /// For how long a worker that has nothing to do asks the kernel for I/O before it sleeps: not at all by default, unless `LIBPROCESS_BUSY_POLL` says so; at most 10 ms.
    ///
    /// To sleep, and to be woken, costs a message that comes from elsewhere more than all else. A worker that is awake when it comes takes it at once, and a core is busy for as long. Some 50 µs are good for who exchanges
    /// messages one at a time, and has a core for each worker; where there are other programs for the core it is better left to them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::Runtime;
    ///
    /// let runtime = Runtime::builder().busy_poll(Duration::from_micros(50)).build()?;
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn busy_poll(mut self, time: Duration) -> Self {
        self.busy_poll = Some(time);
        self
    }

    /// How many threads run processes at a time: 1 to 1,024. By default what `LIBPROCESS_NUM_WORKER_THREADS` says, else the number of
    /// cores available. Threads that are blocked in `wait`, `get` or `block_in_place` do not count: others stand in for them.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// What the threads' names start with. By default `libprocess`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many events a process is served before others get their turn. By default what `LIBPROCESS_EVENTS_PER_RESUME` says, else 256. More is a
    /// little faster, less a little fairer. One that makes more processes runnable than its worker has room for has its turn end earlier.
    pub fn event_budget(mut self, events: u32) -> Self {
        self.event_budget = Some(events);
        self
    }

    /// How many threads may wait in the semaphore, if that has a limit: by default 128, or the number of workers if that is more.
    pub fn semaphore_slots(mut self, slots: usize) -> Self {
        self.semaphore_slots = Some(slots);
        self
    }

    /// How many threads may be blocked in `wait`, `get` or `block_in_place` at a time and have others stand in for them: 256 by default. At the
    /// limit a `wait` in a handler gives [`WaitStatus::TooManyBlocked`](crate::WaitStatus::TooManyBlocked), and a `get` fails, at once.
    pub fn max_blocked_threads(mut self, threads: usize) -> Self {
        self.max_blocked_threads = threads;
        self
    }

    /// How many threads run closures of [`async_`](crate::async_) at a time, at least one: 256 by default. They are started when needed, and end when idle.
    pub fn max_async_threads(mut self, threads: usize) -> Self {
        self.max_async_threads = threads.max(1);
        self
    }

    /// Whether each worker is pinned to a core, in turn. By default not: pinning helps when the machine has
    /// nothing else to do, and hurts otherwise.
    ///
    /// The turn is the order in which the operating system numbers the cores that this OS process may use. Linux mostly numbers one
    /// hardware thread of each core first, NUMA node by NUMA node, and their siblings after that; `lscpu --extended` tells. To place workers
    /// otherwise, use [`on_worker_start`](Self::on_worker_start).
    pub fn pin_workers(mut self, pin: bool) -> Self {
        self.pin = pin;
        self
    }

    /// Which reactor does the I/O. By default `LIBPROCESS_REACTOR` says, `io_uring` or `epoll`; else it is io_uring where the kernel allows that,
    /// and epoll where not. Where it is asked for, here or there, and cannot be had, [`build`](Self::build) says so.
    ///
    /// ```
    /// use libprocess::{ReactorKind, Runtime};
    ///
    /// let runtime = Runtime::builder().reactor(ReactorKind::Epoll).build()?;
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub fn reactor(mut self, kind: crate::reactor::ReactorKind) -> Self {
        self.reactor = Some(kind);
        self
    }

    /// For tests: has the sockets of this runtime meet what a kernel may do and seldom does, decided by a seed. Completions are late and out of turn,
    /// sends and receives are cut into pieces, operations are cancelled or find no descriptor left. A program should do the same as without, only slower.
    ///
    /// ```
    /// use libprocess::Runtime;
    /// use libprocess::net::{TcpListener, TcpStream};
    ///
    /// let runtime = Runtime::builder().io_faults(7).build()?;
    /// let answer = runtime.spawn_async(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    ///     let connecting = TcpStream::connect(listener.local_address().unwrap());
    ///     let server = listener.accept().await?;
    ///     server.send("hello").detach();
    ///     drop(server);
    ///     let client = connecting.await?;
    ///     let mut answer = Vec::new();
    ///     loop {
    ///         let bytes = client.receive().await?;
    ///         if bytes.is_empty() {
    ///             return Ok::<_, libprocess::FutureError>(answer);
    ///         }
    ///         answer.extend_from_slice(&bytes);
    ///     }
    /// });
    /// assert_eq!(answer.get()?, Ok(b"hello".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub fn io_faults(mut self, seed: u64) -> Self {
        let errors = false;
        self.io_faults = Some(crate::reactor::Faults { seed, errors });
        self
    }

    /// As [`io_faults`](Self::io_faults), and some operations also fail for good: connections are refused or not answered, receives are told of a reset, sends that nobody is there. A program
    /// should do what it does when that is so.
    ///
    /// ```
    /// use libprocess::Runtime;
    /// use libprocess::net::{TcpListener, TcpStream};
    ///
    /// let runtime = Runtime::builder().io_errors(7).build()?;
    /// let tries = runtime.spawn_async(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    ///     let address = listener.local_address().unwrap();
    ///     let mut tries = 1;
    ///     while TcpStream::connect(address).await.is_err() {
    ///         tries += 1;
    ///     }
    ///     tries
    /// });
    /// assert!(tries.get()? >= 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub fn io_errors(mut self, seed: u64) -> Self {
        let errors = true;
        self.io_faults = Some(crate::reactor::Faults { seed, errors });
        self
    }

    /// For tests: has this runtime use io_uring, where it does, as if the kernel did not know these features: as an older one, or one of which parts are forbidden. What a program does is the
    /// same, only slower.
    ///
    /// ```
    /// use libprocess::Runtime;
    /// use libprocess::IoUringFeature;
    ///
    /// let newer = IoUringFeature::ALL.into_iter().filter(|feature| feature.since() > (5, 15));
    /// let runtime = Runtime::builder().io_uring_without(newer).build()?;
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    pub fn io_uring_without(
        mut self,
        features: impl IntoIterator<Item = crate::reactor::IoUringFeature>,
    ) -> Self {
        for feature in features {
            self.io_uring_lacks.add(feature);
        }
        self
    }

    /// Calls `f` on each thread that becomes a worker, before it works, with the number of the worker, from 0: to place
    /// it, to name it to a profiler, to set its priority. Also on threads that are started to stand in for a blocked one, with the number of the
    /// worker that they start as; a stand-in may be another worker later. After the pinning by [`pin_workers`](Self::pin_workers), if
    /// that was asked for.
    ///
    /// A panic in `f` is logged, and the thread works nevertheless.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use std::sync::Arc;
    /// use libprocess::{Runtime, dispatch_with, Process};
    ///
    /// struct Idle;
    /// impl Process for Idle {}
    ///
    /// let started = Arc::new(AtomicUsize::new(0));
    /// let count = Arc::clone(&started);
    /// let runtime = Runtime::builder()
    ///     .workers(1)
    ///     .on_worker_start(move |worker| {
    ///         assert_eq!(worker, 0);
    ///         count.fetch_add(1, Ordering::Relaxed);
    ///     })
    ///     .build()?;
    /// let idle = runtime.spawn(Idle);
    /// dispatch_with(idle, |_, _| ()).get().unwrap(); // a worker is at work
    /// assert_eq!(started.load(Ordering::Relaxed), 1);
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn on_worker_start(mut self, f: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.on_worker_start = Some(Called(Arc::new(f)));
        self
    }

    /// Whether telemetry is on from the start: see [`Runtime::telemetry`]. By default what `LIBPROCESS_TELEMETRY` says (`1` or `0`), else off.
    /// [`Runtime::set_telemetry`] switches it later.
    pub fn telemetry(mut self, on: bool) -> Self {
        self.telemetry = Some(on);
        self
    }

    /// How many processes, and how many names of events, telemetry tells apart: 1,024 of each by default. What comes beyond is recorded together, as the
    /// others. Where a new process finds no room, those that have ended make some: they go to the others.
    ///
    /// Each takes 10 to 50 KiB in each thread that served it.
    pub fn telemetry_entries(mut self, entries: usize) -> Self {
        self.telemetry_entries = entries;
        self
    }

    /// Has handlers reported that run for longer than this: in the log, in [`Statistics::stuck`](crate::Statistics::stuck), and to
    /// [`on_stuck`](Self::on_stuck). By default after what `LIBPROCESS_STUCK_AFTER` says (`500ms`, `5secs`), else never; zero: never; less than a
    /// millisecond: a millisecond.
    ///
    /// A handler that goes on is reported again after twice the time, four times, and so on. One that is blocked (in `wait`, `get` or `block_in_place`) is
    /// reported too, and that it is blocked. The time is that of the machine, also while the runtime's clock is paused.
    ///
    /// It costs each event some tens of nanoseconds (a look at the machine's clock, a lock that nobody else takes), and one thread, which wakes once in this time. Where
    /// neither a subscriber of `tracing` nor `on_stuck` would hear of it, reports go to standard error.
    pub fn report_stuck_after(mut self, time: Duration) -> Self {
        self.report_stuck_after = Some(time);
        self
    }

    /// Calls `f` with each report of a handler that does not return, on a thread of its own: see [`report_stuck_after`](Self::report_stuck_after). A panic in `f` is logged.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use std::time::Duration;
    /// use libprocess::{Process, Runtime, post};
    ///
    /// struct Slow { go_on: std::sync::mpsc::Receiver<()> }
    /// impl Process for Slow {
    ///     fn consume_message(&mut self, _event: libprocess::MessageEvent, _cx: &mut libprocess::Context<Self>) {
    ///         self.go_on.recv().unwrap();
    ///     }
    /// }
    ///
    /// let (tell, go_on) = channel();
    /// let runtime = Runtime::builder()
    ///     .workers(1)
    ///     .report_stuck_after(Duration::from_millis(1))
    ///     .on_stuck(move |stuck| {
    ///         println!("{stuck}"); // Slow(1) runs in the handler of work since 1 ms
    ///         if stuck.event.to_string() == "work" && stuck.reported == 0 {
    ///             tell.send(()).unwrap();
    ///         }
    ///     })
    ///     .build()?;
    /// let slow = runtime.spawn_owned(Slow { go_on });
    /// post(slow.pid(), "work", "");
    /// libprocess::terminate_with(slow.pid(), false); // behind the message
    /// libprocess::wait(slow.pid());
    /// assert!(runtime.stats().stuck >= 1);
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn on_stuck(mut self, f: impl Fn(&StuckHandler) + Send + Sync + 'static) -> Self {
        self.on_stuck = Some(Called(Arc::new(f)));
        self
    }

    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    ///
    /// ```
    /// use libprocess::{BuildError, Runtime};
    ///
    /// let error = Runtime::builder().workers(200).semaphore_slots(100).build().unwrap_err();
    /// assert!(matches!(error, BuildError::TooFewSemaphoreSlots { workers: 200, slots: 100 }));
    /// ```
    pub fn build(self) -> Result<Runtime, BuildError> {
        let workers = self.workers.unwrap_or_else(default_workers);
        if workers == 0 || workers > MAX_WORKERS {
            return Err(BuildError::Workers { workers });
        }
        let slots = self
            .semaphore_slots
            .unwrap_or_else(|| workers.max(LifoFixedSizeSemaphore::DEFAULT_CAPACITY));
        if slots < workers {
            return Err(BuildError::TooFewSemaphoreSlots { workers, slots });
        }
        let most = LifoFixedSizeSemaphore::MAXIMUM_CAPACITY;
        if slots > most {
            return Err(BuildError::TooManySemaphoreSlots { slots, most });
        }
        if self.name.contains('\0') {
            return Err(BuildError::Name { name: self.name });
        }
        let event_budget = self.event_budget.unwrap_or_else(default_event_budget);
        if event_budget == 0 {
            return Err(BuildError::NoEventBudget);
        }
        let cores = if self.pin {
            core_affinity::get_core_ids()
                .filter(|cores| !cores.is_empty())
                .ok_or(BuildError::NoCores)?
        } else {
            Vec::new()
        };
        let clock = Clock::new(format!("{}-clock", self.name));
        #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
        let ports = {
            let wishes = crate::reactor::Wishes {
                kind: self
                    .reactor
                    .or_else(|| environment::reactor(environment::REACTOR)),
                faults: self.io_faults,
                lacking: self.io_uring_lacks,
            };
            let ports = crate::reactor::Ports::new(Scheduler::drivers(workers), wishes, &clock)?;
            let sleepers: Weak<crate::reactor::Ports> = Arc::downgrade(&ports);
            clock.set_workers(sleepers, Scheduler::sleeps_in_ports());
            ports
        };
        let pool = Pool::new(format!("{}-async", self.name), self.max_async_threads);
        let on_stuck = self.on_stuck.map(|Called(f)| f);
        let watch = self
            .report_stuck_after
            .or_else(|| environment::duration(environment::STUCK_AFTER))
            .filter(|time| !time.is_zero())
            .map(|time| Watch::new(time.max(SHORTEST_STUCK), on_stuck));
        let watch_name = format!("{}-watch", self.name);
        let busy_poll = self
            .busy_poll
            .or_else(|| environment::duration(environment::BUSY_POLL))
            .unwrap_or_default()
            .min(LONGEST_BUSY_POLL);
        let scheduler = Arc::new(Scheduler::new(Configuration {
            busy_poll,
            name: self.name,
            workers,
            semaphore_slots: slots,
            max_blocked_threads: self.max_blocked_threads,
            cores,
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            ports,
        }));
        let manager = ProcessManager::new(
            scheduler,
            clock,
            pool,
            event_budget,
            Recorder::new(self.telemetry_entries, watch),
        );
        let activity: Weak<dyn Activity> = Arc::<ProcessManager>::downgrade(&manager);
        // The runtime joins the clock's thread before the manager is freed.
        let of_clock = Address(Arc::as_ptr(&manager));
        manager.clock().connect(
            activity,
            Box::new(move || set_current_manager(of_clock.get())),
        );
        let of_workers = Arc::clone(&manager);
        let on_worker_start = self.on_worker_start;
        manager.scheduler().start(Arc::new(move |worker| {
            set_current_manager(Arc::as_ptr(&of_workers));
            if let Some(Called(f)) = &on_worker_start {
                guarded("an `on_worker_start`", || f(worker));
            }
        }))?;
        #[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(unused_mut))]
        let mut runtime = Runtime {
            manager,
            #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
            listening: None,
        };
        // If it is refused the runtime is dropped, and so shut down.
        runtime.manager.recorder().start_watch(watch_name)?;
        let telemetry = self.telemetry;
        if telemetry.or_else(|| environment::flag(environment::TELEMETRY)) == Some(true) {
            runtime.set_telemetry(true);
        }
        #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
        {
            let mut listen = self.listen;
            listen.requires_address_match = super::remote::requires_address_match(&self.remote);
            listen.peer_timeout = self.remote.peer_timeout;
            super::remote::set_up(&runtime.manager, self.remote);
            listen.start(&mut runtime)?;
        }
        Ok(runtime)
    }
}

/// An address that another thread may know.
struct Address(*const ProcessManager);

// SAFETY: only an address here; who uses it says why it is valid.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

impl Address {
    fn get(&self) -> *const ProcessManager {
        self.0
    }
}

/// As libprocess: 1 to 1,024.
fn default_workers() -> usize {
    let cores = std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MAX_WORKERS);
    environment::number(environment::NUM_WORKER_THREADS, 1..=MAX_WORKERS).unwrap_or(cores)
}

fn default_event_budget() -> u32 {
    environment::number(environment::EVENTS_PER_RESUME, 1..=u32::MAX).unwrap_or(EVENT_BUDGET)
}
