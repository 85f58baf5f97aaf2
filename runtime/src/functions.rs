//! The free functions: on a pid's own runtime, or on the current one.

use std::borrow::Cow;
use std::panic::Location;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::exchange::{Request, Responder, Response};
use crate::future::{Future, ValueOrFuture};
use crate::process::{
    self, Context, HttpEvent, HttpExchange, Method, Pid, Process, ProcessHandle, Recipient,
    SpawnError, SpawnOptions, Upid, WaitStatus, send,
};
use crate::runtime::with_current;

/// Spawns an unnamed process in the current runtime: the worker's own, else the [default](crate::Runtime::default_runtime).
///
/// The runtime owns the process from here on. Its id is `Prefix(N)`, made when somebody asks for it. It is initialized before its first event.
///
/// If the runtime is shutting down, or has no slot left, the process is dropped, that is logged, and the pid is that of a process that has ended.
///
/// ```
/// use libprocess::{Process, dispatch_with, spawn, terminate, wait};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let idle = spawn(Idle);
/// assert_eq!(dispatch_with(idle, |_idle, cx| cx.pid()).get(), Ok(idle));
/// terminate(idle);
/// wait(idle);
/// ```
pub fn spawn<P: Process>(process: P) -> Pid<P> {
    with_current(|manager| process::spawn::spawn_or_nobody(manager, process, None))
}

/// Spawns a process under a name, by which it is found until it ends.
///
/// # Errors
///
/// See [`SpawnError`], which gives the process back.
///
/// ```
/// use libprocess::{Process, SpawnError, spawn_named, terminate, wait};
///
/// struct Master;
/// impl Process for Master {}
///
/// let master = spawn_named("master", Master)?;
/// assert!(matches!(spawn_named("master", Master), Err(SpawnError::NameInUse { .. })));
/// terminate(master);
/// wait(master);
/// # Ok::<(), libprocess::SpawnError<Master>>(())
/// ```
pub fn spawn_named<P: Process>(name: &str, process: P) -> Result<Pid<P>, SpawnError<P>> {
    spawn_with(SpawnOptions::new().name(name), process)
}

/// Spawns a process as the options say: its name, and how much its mailbox holds.
///
/// # Errors
///
/// See [`SpawnError`], which gives the process back.
///
/// ```
/// use libprocess::{Process, SpawnOptions, spawn_with, terminate, wait};
///
/// struct Store;
/// impl Process for Store {}
///
/// let store = spawn_with(SpawnOptions::new().mailbox_capacity(1_000), Store)?;
/// terminate(store);
/// wait(store);
/// # Ok::<(), libprocess::SpawnError<Store>>(())
/// ```
pub fn spawn_with<P: Process>(options: SpawnOptions, process: P) -> Result<Pid<P>, SpawnError<P>> {
    with_current(|manager| process::spawn::spawn(manager, process, &options, None))
}

/// As [`spawn_with`], a process that the returned handle owns: see [`ProcessHandle`].
///
/// # Errors
///
/// See [`SpawnError`].
pub fn spawn_owned_with<P: Process>(
    options: SpawnOptions,
    process: P,
) -> Result<ProcessHandle<P>, SpawnError<P>> {
    with_current(|manager| crate::runtime::owned_with(manager, &options, process))
}

/// Spawns a process that the returned handle owns: see [`ProcessHandle`].
pub fn spawn_owned<P: Process>(process: P) -> ProcessHandle<P> {
    with_current(|manager| crate::runtime::owned(manager, process))
}

/// Calls a method of a process, as one of its events, and gives a future of what it returns.
///
/// The event and the future are one block of memory, that of an event before if there is one. What one thread or process dispatches and sends to a process is served in that order.
///
/// If the process has ended, or ends before the method runs, the future is abandoned; if its mailbox is [full](SpawnOptions::mailbox_capacity), the future fails with
/// [`Full`](crate::FutureError::Full); a method that panics abandons it too. A method that returns a future
/// gives the result of that. A discard request does not keep a method from running; it is passed on to the future that the method returns.
///
/// The method takes `&mut P`, then the arguments, then, if it wants it, `&mut Context<P>`.
///
/// ```
/// use libprocess::{FutureError, Process, dispatch, spawn, terminate, wait};
///
/// struct Adder;
/// impl Process for Adder {}
/// impl Adder {
///     fn add(&mut self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// let adder = spawn(Adder);
/// assert_eq!(dispatch(adder, Adder::add, (99, 101)).get(), Ok(200));
/// terminate(adder);
/// wait(adder);
/// assert_eq!(dispatch(adder, Adder::add, (1, 1)).get(), Err(FutureError::Abandoned));
/// ```
pub fn dispatch<P, A, M, K>(pid: Pid<P>, method: M, arguments: A) -> Future<M::Output>
where
    P: Process,
    A: Send + 'static,
    M: Method<P, A, K>,
    K: 'static,
{
    let (event, future) = process::dispatch_of_method::<P, A, M, K>(pid.raw(), method, arguments);
    send::deliver(pid.raw(), event);
    future
}

/// Calls a closure on a process and its [`Context`], as one of its events. As [`dispatch`] in all else.
///
/// ```
/// use libprocess::{Process, dispatch_with, spawn_owned};
///
/// struct Text(String);
/// impl Process for Text {}
///
/// let text = spawn_owned(Text("four".into()));
/// let length = dispatch_with(text.pid(), |text, _cx| text.0.len());
/// assert_eq!(length.get(), Ok(4));
/// ```
#[track_caller]
pub fn dispatch_with<P, U, R, F, K>(pid: Pid<P>, closure: F) -> Future<U>
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    dispatch_at(pid, closure, Location::caller())
}

pub(crate) fn dispatch_at<P, U, R, F, K>(
    pid: Pid<P>,
    closure: F,
    location: &'static Location<'static>,
) -> Future<U>
where
    P: Process,
    U: Send + 'static,
    R: ValueOrFuture<U, K> + 'static,
    K: 'static,
    F: FnOnce(&mut P, &mut Context<P>) -> R + Send + 'static,
{
    let (event, future) =
        process::dispatch_of_closure::<P, F, U, R, K>(pid.raw(), closure, location);
    send::deliver(pid.raw(), event);
    future
}

/// Sends a message from nobody: what is not a process uses this, and gets no answer.
///
/// To a process that has ended, or whose mailbox is [full](SpawnOptions::mailbox_capacity), it is a dead letter.
///
/// ```
/// use libprocess::{Process, post, spawn_owned};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let idle = spawn_owned(Idle);
/// post(idle.pid(), "run", "");
/// ```
pub fn post(to: impl Recipient, name: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) {
    crate::runtime::start_for(&to);
    send::send(to, name, Upid::nobody(), body);
}

/// Has a process serve an HTTP request, and gives a future of its response. The future is abandoned, or fails, where a dispatch's would.
///
/// The path of the request is the route: the process's id is not in it.
///
/// ```
/// use libprocess::http::Body;
/// use libprocess::{Process, request, spawn_owned};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let idle = spawn_owned(Idle);
/// let response = request(idle.pid(), http::Request::new(Body::empty())).get()?;
/// assert_eq!(response.status(), 404);
/// # Ok::<(), libprocess::FutureError>(())
/// ```
pub fn request(to: impl Recipient, request: impl Into<Request>) -> Future<Response> {
    let (promise, future) = crate::Promise::pair();
    if let Some(pid) = send::resolve(&to.to_upid()) {
        let response = Responder::of_promise(promise);
        let exchange = HttpExchange::new(request.into(), response, 0);
        send::deliver(pid, HttpEvent::allocate(exchange));
    }
    future
}

/// Asks a process to end before its next event, whatever is pending. Returns at once; see [`wait`].
///
/// Pending events are dropped: their dispatches' futures are abandoned.
pub fn terminate(pid: impl Recipient) {
    terminate_with(pid, true);
}

/// Asks a process to end: before its next event if `inject`, else after the events that are pending now.
///
/// ```
/// use libprocess::{Process, dispatch, spawn, terminate_with, wait};
///
/// struct Adder;
/// impl Process for Adder {}
/// impl Adder {
///     fn add(&mut self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// let adder = spawn(Adder);
/// let sum = dispatch(adder, Adder::add, (1, 2));
/// terminate_with(adder, false);
/// wait(adder);
/// assert_eq!(sum.get(), Ok(3)); // was served first
/// ```
pub fn terminate_with(pid: impl Recipient, inject: bool) {
    process::terminate(&pid.to_upid(), inject, process::sender());
}

/// Blocks until a process has ended. Inside a handler, another thread takes over the worker's seat meanwhile.
///
/// As with [`Future::get`], do not hold a lock across this in a handler.
///
/// Does not ask it to end. Waiting for oneself returns [`WaitStatus::Itself`] at once.
///
/// ```
/// use libprocess::{Process, WaitStatus, dispatch_with, spawn_owned, wait};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let idle = spawn_owned(Idle);
/// assert_eq!(dispatch_with(idle.pid(), |_, cx| wait(cx.pid())).get(), Ok(WaitStatus::Itself));
/// ```
pub fn wait(pid: impl Recipient) -> WaitStatus {
    process::wait(&pid.to_upid(), None)
}

/// As [`wait`], for at most `timeout`.
///
/// ```
/// use libprocess::{Process, WaitStatus, spawn_owned, wait_timeout};
///
/// struct Idle;
/// impl Process for Idle {}
///
/// let idle = spawn_owned(Idle);
/// let millisecond = std::time::Duration::from_millis(1);
/// assert_eq!(wait_timeout(idle.pid(), millisecond), WaitStatus::TimedOut);
/// ```
pub fn wait_timeout(pid: impl Recipient, timeout: Duration) -> WaitStatus {
    process::wait(&pid.to_upid(), Some(timeout))
}

/// How many threads of the current runtime run processes at a time.
///
/// ```
/// assert!(libprocess::workers() >= 1);
/// ```
pub fn workers() -> usize {
    with_current(|manager| manager.scheduler().workers())
}

/// The clock of the current runtime: the worker's own, else the default one's.
///
/// ```
/// let before = libprocess::clock().now();
/// assert!(libprocess::clock().now() >= before);
/// ```
pub fn clock() -> Clock {
    with_current(|manager| manager.clock().clone())
}

/// Runs an `async` block on the current runtime, and gives a future of its output.
///
/// Discarding that future, or dropping it, cancels the block: it is dropped before its next poll. [Detach](Future::detach) it to let it go on unwatched. A panic
/// in the block makes it fail, with the message. The block runs as a process of its own does: one poll is one event.
///
/// Any Rust future may be awaited in it, also those that another runtime completes; those that need that runtime around them (tokio's sockets and
/// timers, for one) need it entered, as everywhere.
///
/// ```
/// use libprocess::{FutureError, Promise, spawn_async};
///
/// let promise = Promise::<i64>::new();
/// let future = promise.future();
/// let doubled = spawn_async(async move { Ok::<i64, FutureError>(future.await? * 2) }).flatten();
/// promise.set(21);
/// assert_eq!(doubled.get(), Ok(42));
/// ```
#[track_caller]
pub fn spawn_async<F>(future: F) -> Future<F::Output>
where
    F: std::future::Future + Send + 'static,
    F::Output: Send + 'static,
{
    let location = Location::caller();
    with_current(|manager| process::asynchronous::spawn_async(manager, future, location))
}

/// As [`spawn_async`], where nobody waits for the end.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
#[track_caller]
pub(crate) fn spawn_unwatched<F>(future: F) -> process::asynchronous::Task
where
    F: std::future::Future<Output = ()> + Send + 'static,
{
    let location = Location::caller();
    with_current(|manager| process::asynchronous::spawn_unwatched(manager, future, location))
}

/// Runs a closure that may block, on a thread of the current runtime that is none of its workers, and gives a future of its result.
///
/// If it panics the future fails with the message. A discard request that comes before it starts keeps it from starting. If the closure returns a future, that is the result, not
/// what it becomes: as in libprocess. There are at most [`max_async_threads`](crate::RuntimeBuilder::max_async_threads); further closures wait their turn.
///
/// ```
/// use libprocess::async_;
///
/// let name = async_(|| std::fs::read_to_string("/proc/sys/kernel/hostname"));
/// assert!(name.get()?.is_ok_and(|name| !name.is_empty()));
/// # Ok::<(), libprocess::FutureError>(())
/// ```
pub fn async_<T, F>(f: F) -> Future<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    with_current(|manager| process::asynchronous::async_(manager, f))
}

impl<T: Send + 'static> Future<T> {
    /// As [`after_on`](Self::after_on), on the clock of the current runtime.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::Future;
    ///
    /// let prompt = Future::ready(1).after(Duration::from_secs(60), |late| { late.discard(); 0 });
    /// assert_eq!(prompt.get(), Ok(1));
    /// ```
    pub fn after<F, R, K>(self, duration: Duration, f: F) -> Future<T>
    where
        F: FnOnce(Future<T>) -> R + Send + 'static,
        R: ValueOrFuture<T, K>,
    {
        self.after_on(&clock(), duration, f)
    }
}

/// Calls `f`, which may block the thread, without holding up the other processes: on a worker another thread takes the worker's place, with its
/// queue, until `f` returns. In any other thread it is a plain call.
///
/// For what must borrow the process's own state, such as a library call that reads files. Where `f` can be moved to another thread, [`async_`] lets the
/// process be served meanwhile. Inside of `f` everything may be called, `get` and `wait` too; what it dispatches is served while it blocks.
///
/// Costs two hand-overs between threads, each about the time of waking one (5 to 100 µs): not for what takes less. The thread is one of the
/// [`max_blocked_threads`](crate::RuntimeBuilder::max_blocked_threads); if there are as many already, or none can be started, that is logged and `f` holds the worker.
///
/// # Panics
///
/// If `f` does; the worker's place is taken again before.
///
/// ```
/// use libprocess::{Process, Runtime, block_in_place, dispatch_with};
///
/// struct Reader { name: String }
/// impl Process for Reader {}
///
/// let runtime = Runtime::builder().workers(1).build()?;
/// let reader = runtime.spawn(Reader { name: "/proc/version".into() });
/// let text = dispatch_with(reader, |reader, _| {
///     block_in_place(|| std::fs::read_to_string(&reader.name).map_err(|e| e.to_string()))
/// });
/// assert!(text.get()?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    crate::scheduler::Worker::with_current(|worker| match worker {
        Some(worker) => worker.block_in_place(f),
        None => f(),
    })
}
