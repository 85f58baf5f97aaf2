//! Runtimes: every function as a method, and the process-wide default.

mod builder;
mod environment;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod host;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod listen;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod remote;

use std::borrow::Cow;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
use std::net::{SocketAddr, SocketAddrV6};
use std::panic::Location;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::future::{Future, ValueOrFuture};
use crate::process::manager::ProcessManager;
use crate::process::spawn::{spawn, spawn_or_nobody};
use crate::process::telemetry::Telemetry;
use crate::process::{
    Message, Method, Pid, Process, ProcessHandle, Recipient, SpawnError, SpawnOptions, Statistics,
    Upid, WaitStatus, asynchronous, current_manager, directory, send, set_default_manager,
};

pub use builder::{BuildError, RuntimeBuilder};

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
    /// Who serves the processes over HTTP, if somebody does or may.
    #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
    listening: Option<Arc<listen::Listening>>,
}

static DEFAULT: OnceLock<Runtime> = OnceLock::new();

/// Who has to wait for the first use does that in std's machine code, which the sanitizer does not see; a flag it does.
#[cfg(libprocess_tsan)]
fn tell_sanitizer(first: bool) {
    use std::sync::atomic::{AtomicBool, Ordering};
    static STARTED: AtomicBool = AtomicBool::new(false);
    if first {
        // Release: pairs with the Acquire below.
        STARTED.store(true, Ordering::Release);
    }
    // Acquire: pairs with the Release above.
    while !STARTED.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
}

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
        #[cfg(libprocess_tsan)]
        let first = std::cell::Cell::new(false);
        let runtime = DEFAULT.get_or_init(|| {
            #[cfg(libprocess_tsan)]
            first.set(true);
            match Self::builder().build() {
                Ok(runtime) => runtime,
                Err(error) => panic!("the default runtime could not be started: {error}"),
            }
        });
        #[cfg(libprocess_tsan)]
        tell_sanitizer(first.get());
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

    /// What was recorded while telemetry was on: for each process, and for each name of events, how long they waited and how long they were served; for
    /// each process how many waited. O(entries · threads); each worker is held up while its entries are copied.
    ///
    /// ```
    /// use libprocess::{Context, Process, Runtime, dispatch_with, post};
    ///
    /// struct Counter { count: u64 }
    /// impl Process for Counter {
    ///     fn initialize(&mut self, cx: &mut Context<Self>) {
    ///         cx.install("count", |counter, _event, _cx| counter.count += 1);
    ///     }
    /// }
    ///
    /// let runtime = Runtime::builder().workers(1).telemetry(true).build()?;
    /// let counter = runtime.spawn(Counter { count: 0 });
    /// for _ in 0..10 {
    ///     post(counter, "count", "");
    /// }
    /// assert_eq!(dispatch_with(counter, |counter, _| counter.count).get().unwrap(), 10);
    /// let telemetry = runtime.telemetry();
    /// let count = telemetry.message("count").unwrap();
    /// assert_eq!(count.handling_ns.count(), 10);
    /// println!("99 % of them waited for {} ns or less", count.wait_ns.p99());
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn telemetry(&self) -> Telemetry {
        self.manager.recorder().snapshot()
    }

    /// Switches telemetry on or off, at any time. What was recorded stays, until [`reset_telemetry`](Self::reset_telemetry).
    ///
    /// While it is on in any runtime of the OS process, every event that is sent says when, which costs its sender a look at the machine's
    /// clock; those that were sent before do not.
    ///
    /// ```
    /// use libprocess::{Process, Runtime, dispatch_with};
    ///
    /// struct Idle;
    /// impl Process for Idle {}
    ///
    /// let runtime = Runtime::builder().workers(1).telemetry(false).build()?;
    /// let idle = runtime.spawn(Idle);
    /// dispatch_with(idle, |_, _| ()).get().unwrap();
    /// assert!(runtime.telemetry().process(idle).is_none());
    /// runtime.set_telemetry(true);
    /// dispatch_with(idle, |_, _| ()).get().unwrap();
    /// assert!(runtime.telemetry().process(idle).is_some());
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn set_telemetry(&self, on: bool) {
        self.manager.set_telemetry(on);
    }

    /// Forgets what telemetry has recorded. What is being served now is not counted when it ends.
    ///
    /// ```
    /// use libprocess::{Process, Runtime, dispatch_with};
    ///
    /// struct Idle;
    /// impl Process for Idle {}
    ///
    /// let runtime = Runtime::builder().workers(1).telemetry(true).build()?;
    /// let idle = runtime.spawn(Idle);
    /// dispatch_with(idle, |_, _| ()).get().unwrap();
    /// runtime.reset_telemetry();
    /// assert!(runtime.telemetry().processes.is_empty());
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn reset_telemetry(&self) {
        self.manager.recorder().reset();
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

    /// The local process that is meant; else whoever is.
    pub(crate) fn local_or_elsewhere(&self, to: &impl Recipient) -> Upid {
        self.resolve(to).unwrap_or_else(|| to.to_upid())
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
        match to.local_pid() {
            Some(_) => crate::post(to, name, body),
            None => {
                let message = Message {
                    name: name.into(),
                    from: Upid::nobody(),
                    body: body.into(),
                };
                send::send_by(&self.manager, &to.to_upid(), message.into(), false);
            }
        }
    }

    /// See [`request`](crate::request).
    pub fn request(
        &self,
        to: impl Recipient,
        request: impl Into<crate::exchange::Request>,
    ) -> Future<crate::exchange::Response> {
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

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
impl Runtime {
    /// Where others find the runtime's processes: the address that it [advertises](RuntimeBuilder::advertise), which is the one at which it listens unless it was told another.
    ///
    /// A runtime that was not told where to [listen](RuntimeBuilder::listen) begins to when it is first asked: here, by [`local_address`](Self::local_address) and
    /// [`address6`](Self::address6), and by printing one of its pids. It has a port of its own at 127.0.0.1 from then on, all who ask are told the same one, and connections are
    /// accepted. That takes the first who asks some calls of the kernel, and blocks nobody, so it may be asked in a handler.
    ///
    /// `None`: it was told to listen [nowhere](RuntimeBuilder::listen_nowhere), or to [stop](Self::stop_serving) before anybody had asked; or it cannot listen, and the log, or standard error,
    /// has said why.
    ///
    /// ```
    /// let runtime = libprocess::Runtime::builder().build()?;
    /// println!("http://{}/help", runtime.address().expect("it listens"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address(&self) -> Option<SocketAddr> {
        let addresses = self.manager.listening_addresses();
        addresses.listens().then_some(addresses.advertised)
    }

    /// Where others find the runtime's processes by IPv6 as well, if it listens and was [told](RuntimeBuilder::advertise6) so. (A runtime that was told to listen at an IPv6 address has that
    /// as its [`address`](Self::address).)
    ///
    /// ```
    /// let runtime = libprocess::Runtime::builder()
    ///     .listen("127.0.0.1:0".parse()?)
    ///     .advertise6("2001:db8::7".parse()?)
    ///     .build()?;
    /// let address6 = runtime.address6().expect("it was told");
    /// assert_eq!(address6.ip().to_string(), "2001:db8::7");
    /// assert_eq!(Some(address6.port()), runtime.address().map(|address| address.port()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address6(&self) -> Option<SocketAddrV6> {
        let addresses = self.manager.listening_addresses();
        addresses.advertised6.filter(|_| addresses.listens())
    }

    /// The address at which the runtime listens, whatever it says that it is: see [`address`](Self::address).
    ///
    /// ```
    /// let runtime = libprocess::Runtime::builder()
    ///     .listen("127.0.0.1:0".parse()?)
    ///     .advertise("192.0.2.7:31000".parse()?)
    ///     .build()?;
    /// let local = runtime.local_address().expect("it listens");
    /// assert!(std::net::TcpStream::connect(local).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_address(&self) -> Option<SocketAddr> {
        let addresses = self.manager.listening_addresses();
        addresses.listens().then_some(addresses.bound)
    }

    /// Takes no more requests for the runtime's processes, and lets those that were taken be answered, for as long as the time of grace: ready when the last connection is closed. See
    /// [`Server::stop`](crate::http::Server::stop). Processes go on, and their names stay.
    ///
    /// That is for good: a runtime that does not listen yet never begins to, whoever asks for its [`address`](Self::address) later.
    ///
    /// To [shut down](Self::shutdown) without this closes connections as they are, with what was answered and has not gone out.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = libprocess::Runtime::builder().listen("127.0.0.1:0".parse()?).build()?;
    /// // …
    /// runtime.stop_serving(Duration::from_secs(1)).get()?;
    /// runtime.shutdown();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop_serving(&self, grace: std::time::Duration) -> Future<()> {
        match &self.listening {
            Some(listening) => listening.stop(grace),
            None => Future::done(),
        }
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

/// To send to an address takes a runtime: starts the default one, where there is none.
#[inline]
pub(crate) fn start_for(to: &impl Recipient) {
    if to.local_pid().is_none() && to.to_upid().address().is_some() {
        with_current(|_| ());
    }
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
        #[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
        if let Some(listening) = &self.listening {
            listening.close();
        }
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
