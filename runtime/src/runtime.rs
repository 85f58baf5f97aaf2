//! Runtimes: the builder that ties the floors together, and the process-wide default.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use libprocess_semaphore::LifoFixedSizeSemaphore;

use crate::clock::{Activity, Clock};
use crate::future::{Future, ValueOrFuture};
use crate::process::manager::ProcessManager;
use crate::process::spawn::{spawn, spawn_or_nobody};
use crate::process::{
    DeadLetterReason, MessageEvent, Method, Pid, Process, ProcessHandle, Recipient, SpawnError,
    SpawnOptions, Statistics, Upid, WaitStatus, asynchronous, current_manager, directory, send,
    set_current_manager, set_default_manager,
};
use crate::scheduler::pool::Pool;
use crate::scheduler::{Configuration, Scheduler};

/// The variable that sets the number of workers of the default runtime, and of every builder that is not told one.
pub(crate) const NUM_WORKER_THREADS: &str = "LIBPROCESS_NUM_WORKER_THREADS";

/// The most workers that the variable may ask for, as in libprocess.
const MAX_WORKERS: usize = 1024;

/// Workers, and the processes that they run.
///
/// Dropping it shuts it down: its processes are terminated and waited for, its threads joined. A handler that never returns
/// keeps the drop waiting. Dropped on one of its own threads (inside a handler), or in a handler of
/// another runtime that has as many blocked threads as it may, it shuts down in the background.
///
/// Functions that take a pid, such as [`dispatch`](crate::dispatch), act on that pid's runtime; [`spawn`](crate::spawn)
/// acts on the current one: the worker's own, and elsewhere the [default](Runtime::default_runtime). Every function is also a method here.
///
/// ```
/// use libprocess::{Process, Runtime};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let runtime = Runtime::builder().workers(2).name("example").build()?;
/// let idle = runtime.spawn(Idle);
/// runtime.terminate(idle);
/// assert!(runtime.wait(idle).has_ended());
/// # Ok::<(), libprocess::BuildError>(())
/// ```
pub struct Runtime {
    manager: Arc<ProcessManager>,
}

/// Sets up a [`Runtime`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RuntimeBuilder {
    name: String,
    workers: Option<usize>,
    event_budget: u32,
    semaphore_slots: Option<usize>,
    max_blocked_threads: usize,
    max_async_threads: usize,
    pin: bool,
}

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
    /// The operating system refused a thread.
    #[error("a worker thread could not be started")]
    Thread(#[from] std::io::Error),
}

impl RuntimeBuilder {
    fn new() -> Self {
        Self {
            name: "libprocess".to_owned(),
            workers: None,
            event_budget: 256,
            semaphore_slots: None,
            max_blocked_threads: 256,
            max_async_threads: 256,
            pin: false,
        }
    }

    /// How many threads run processes at a time: 1 to 1,024. By default what `LIBPROCESS_NUM_WORKER_THREADS` says, else the number of
    /// cores available. Threads that are blocked in `wait` or `get` do not count: others stand in for them.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// What the threads' names start with. By default `libprocess`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many events a process is served before others get their turn: 256 by default. More is a little faster, less a little fairer.
    pub fn event_budget(mut self, events: u32) -> Self {
        self.event_budget = events;
        self
    }

    /// How many threads may wait in the semaphore, if that has a limit: by default 128, or the number of workers if that is more.
    pub fn semaphore_slots(mut self, slots: usize) -> Self {
        self.semaphore_slots = Some(slots);
        self
    }

    /// How many threads may be blocked in `wait` or `get` at a time and have others stand in for them: 256 by default. At the
    /// limit a `wait` in a handler gives [`WaitStatus::TooManyBlocked`], and a `get` fails, at once.
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
    pub fn pin_workers(mut self, pin: bool) -> Self {
        self.pin = pin;
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
        if self.event_budget == 0 {
            return Err(BuildError::NoEventBudget);
        }
        let cores = if self.pin {
            core_affinity::get_core_ids()
                .filter(|cores| !cores.is_empty())
                .ok_or(BuildError::NoCores)?
        } else {
            Vec::new()
        };
        let pool = Pool::new(format!("{}-async", self.name), self.max_async_threads);
        let clock = Clock::new(format!("{}-clock", self.name));
        let scheduler = Arc::new(Scheduler::new(Configuration {
            name: self.name,
            workers,
            semaphore_slots: slots,
            max_blocked_threads: self.max_blocked_threads,
            cores,
        }));
        let manager = ProcessManager::new(scheduler, clock, pool, self.event_budget);
        let activity: Weak<dyn Activity> = Arc::<ProcessManager>::downgrade(&manager);
        // The runtime joins the clock's thread before the manager is freed.
        let of_clock = Address(Arc::as_ptr(&manager));
        manager.clock().connect(
            activity,
            Box::new(move || set_current_manager(of_clock.get())),
        );
        let of_workers = Arc::clone(&manager);
        manager.scheduler().start(Arc::new(move || {
            set_current_manager(Arc::as_ptr(&of_workers))
        }))?;
        Ok(Runtime { manager })
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

/// As libprocess: 1 to 1,024; anything else is reported and ignored.
fn default_workers() -> usize {
    let cores = std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(MAX_WORKERS);
    let Some(text) = std::env::var_os(NUM_WORKER_THREADS) else {
        return cores;
    };
    match text.to_str().and_then(|text| text.trim().parse().ok()) {
        Some(workers) if (1..=MAX_WORKERS).contains(&workers) => workers,
        _ => {
            report(&format!(
                "ignoring {NUM_WORKER_THREADS}={text:?}: expected a number from 1 to {MAX_WORKERS}; \
                 using {cores} workers, the number of cores"
            ));
            cores
        }
    }
}

/// Says what the user got wrong in the environment: to the log, or, where there is none, to standard error.
fn report(message: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{message}");
    } else {
        eprintln!("libprocess: {message}");
    }
}

static DEFAULT: OnceLock<Runtime> = OnceLock::new();

impl Runtime {
    /// A builder with the defaults.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }

    /// The process-wide runtime: started on first use, configured by `LIBPROCESS_*`, never shut down.
    ///
    /// # Panics
    ///
    /// If the operating system refuses the threads.
    pub fn default_runtime() -> &'static Runtime {
        let runtime = DEFAULT.get_or_init(|| match Self::builder().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("the default runtime could not be started: {error}"),
        });
        set_default_manager(&runtime.manager);
        runtime
    }

    pub(crate) fn manager(&self) -> &ProcessManager {
        &self.manager
    }

    pub(crate) fn downgrade(&self) -> Weak<ProcessManager> {
        Arc::downgrade(&self.manager)
    }

    /// How many threads run processes at a time.
    pub fn workers(&self) -> usize {
        self.manager.scheduler().workers()
    }

    /// The runtime's clock.
    pub fn clock(&self) -> Clock {
        self.manager.clock().clone()
    }

    /// What the runtime has done since it started. O(threads).
    pub fn stats(&self) -> Statistics {
        self.manager.statistics()
    }

    /// See [`spawn`](crate::spawn).
    pub fn spawn<P: Process>(&self, process: P) -> Pid<P> {
        spawn_or_nobody(&self.manager, process, None)
    }

    /// See [`spawn_named`](crate::spawn_named).
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    pub fn spawn_named<P: Process>(&self, name: &str, process: P) -> Result<Pid<P>, SpawnError<P>> {
        self.spawn_with(SpawnOptions::new().name(name), process)
    }

    /// See [`spawn_with`](crate::spawn_with).
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    pub fn spawn_with<P: Process>(
        &self,
        options: SpawnOptions,
        process: P,
    ) -> Result<Pid<P>, SpawnError<P>> {
        spawn(&self.manager, process, &options, None)
    }

    /// See [`spawn_owned_with`](crate::spawn_owned_with).
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    pub fn spawn_owned_with<P: Process>(
        &self,
        options: SpawnOptions,
        process: P,
    ) -> Result<ProcessHandle<P>, SpawnError<P>> {
        owned_with(&self.manager, &options, process)
    }

    /// See [`spawn_owned`](crate::spawn_owned).
    pub fn spawn_owned<P: Process>(&self, process: P) -> ProcessHandle<P> {
        owned(&self.manager, process)
    }

    /// The process of this id that is alive in this runtime: a name, or `Prefix(N)`.
    ///
    /// ```
    /// # use libprocess::{Process, Runtime};
    /// # struct Idle;
    /// # impl Process for Idle {}
    /// let runtime = Runtime::builder().workers(1).build()?;
    /// let idle = runtime.spawn_named("lazy", Idle)?;
    /// assert_eq!(runtime.find("lazy"), Some(idle.upid()));
    /// assert_eq!(runtime.find("busy"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find(&self, id: &str) -> Option<Upid> {
        directory::find(&self.manager, id).map(Upid::local)
    }

    /// The local process that a name means here: an address is this runtime's, or nobody's.
    pub(crate) fn resolve(&self, to: &impl Recipient) -> Option<Upid> {
        send::resolve_in(&self.manager, &to.to_upid()).map(Upid::local)
    }

    /// See [`dispatch`](crate::dispatch).
    pub fn dispatch<P, A, M, K>(&self, pid: Pid<P>, method: M, arguments: A) -> Future<M::Output>
    where
        P: Process,
        A: Send + 'static,
        M: Method<P, A, K>,
        K: 'static,
    {
        crate::dispatch(pid, method, arguments)
    }

    /// See [`dispatch_with`](crate::dispatch_with).
    #[track_caller]
    pub fn dispatch_with<P, U, R, F, K>(&self, pid: Pid<P>, closure: F) -> Future<U>
    where
        P: Process,
        U: Send + 'static,
        R: ValueOrFuture<U, K> + 'static,
        K: 'static,
        F: FnOnce(&mut P, &mut crate::Context<P>) -> R + Send + 'static,
    {
        crate::functions::dispatch_at(pid, closure, Location::caller())
    }

    /// See [`post`](crate::post).
    pub fn post(
        &self,
        to: impl Recipient,
        name: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) {
        match self.resolve(&to) {
            Some(to) => crate::post(to, name, body),
            None => {
                let event = MessageEvent::allocate(name.into(), Upid::nobody(), body.into());
                self.manager
                    .dead_letters()
                    .record(to.to_upid(), &event, DeadLetterReason::Nobody);
            }
        }
    }

    /// See [`request`](crate::request).
    pub fn request(
        &self,
        to: impl Recipient,
        request: http::Request<Bytes>,
    ) -> Future<http::Response<Bytes>> {
        crate::request(self.resolve(&to).unwrap_or_default(), request)
    }

    /// See [`spawn_async`](crate::spawn_async).
    #[track_caller]
    pub fn spawn_async<F>(&self, future: F) -> Future<F::Output>
    where
        F: std::future::Future + Send + 'static,
        F::Output: Send + 'static,
    {
        asynchronous::spawn_async(&self.manager, future, Location::caller())
    }

    /// See [`async_`](crate::async_).
    pub fn async_<T, F>(&self, f: F) -> Future<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        asynchronous::async_(&self.manager, f)
    }

    /// See [`terminate`](crate::terminate).
    pub fn terminate(&self, pid: impl Recipient) {
        self.terminate_with(pid, true);
    }

    /// See [`terminate_with`](crate::terminate_with).
    pub fn terminate_with(&self, pid: impl Recipient, inject: bool) {
        if let Some(pid) = self.resolve(&pid) {
            crate::terminate_with(pid, inject);
        }
    }

    /// See [`wait`](crate::wait).
    pub fn wait(&self, pid: impl Recipient) -> WaitStatus {
        self.resolve(&pid)
            .map_or(WaitStatus::AlreadyEnded, crate::wait)
    }

    /// See [`wait_timeout`](crate::wait_timeout).
    pub fn wait_timeout(&self, pid: impl Recipient, timeout: Duration) -> WaitStatus {
        self.resolve(&pid).map_or(WaitStatus::AlreadyEnded, |pid| {
            crate::wait_timeout(pid, timeout)
        })
    }

    /// Shuts the runtime down, as dropping it does: terminates its processes, waits for their ends, and joins its threads.
    ///
    /// Processes cannot be spawned from here on. Pending events are dropped, `finalize` runs.
    pub fn shutdown(self) {
        drop(self);
    }
}

pub(crate) fn owned<P: Process>(manager: &ProcessManager, process: P) -> ProcessHandle<P> {
    let owner = crate::process::new_owner();
    let pid = spawn_or_nobody(manager, process, Some(Arc::clone(&owner)));
    ProcessHandle::new(pid, owner)
}

pub(crate) fn owned_with<P: Process>(
    manager: &ProcessManager,
    options: &SpawnOptions,
    process: P,
) -> Result<ProcessHandle<P>, SpawnError<P>> {
    let owner = crate::process::new_owner();
    let pid = spawn(manager, process, options, Some(Arc::clone(&owner)))?;
    Ok(ProcessHandle::new(pid, owner))
}

/// Calls `f` with the current runtime: the worker's own, else the default one.
pub(crate) fn with_current<R>(f: impl FnOnce(&ProcessManager) -> R) -> R {
    current_manager(|manager| match manager {
        Some(manager) => f(manager),
        None => f(Runtime::default_runtime().manager()),
    })
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let own_thread = current_manager(|manager| {
            manager.is_some_and(|manager| std::ptr::eq(manager, &*self.manager))
        });
        let ended = self.manager.close();
        if own_thread {
            // A worker cannot join itself.
            return self.stop_in_background(ended);
        }
        // In a worker of another runtime this hands the seat over, as any `get` does.
        let all_ended = ended.clone();
        match all_ended.get() {
            Ok(()) => self.manager.stop(),
            Err(error) => {
                tracing::error!(%error, "a runtime is shut down in the background");
                self.stop_in_background(ended);
            }
        }
    }
}

impl Runtime {
    fn stop_in_background(&self, ended: Future<()>) {
        let manager = Arc::clone(&self.manager);
        let started = std::thread::Builder::new()
            .name("libprocess-shutdown".to_owned())
            .spawn(move || {
                let _completed = ended.get();
                manager.stop();
            });
        if let Err(error) = started {
            tracing::error!(%error, "the threads of a runtime could not be ended: they sleep on");
            std::mem::forget(Arc::clone(&self.manager));
        }
    }
}
