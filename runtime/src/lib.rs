//! Actors ("processes"), futures and HTTP for Rust, after C++ libprocess.
//!
//! A [`Process`] is a value that serves events one at a time: messages by name, and *dispatches*, calls of its
//! methods from anywhere. A dispatch gives a [`Future`].
//!
//! ```
//! use libprocess::{Context, Process, dispatch, dispatch_with, spawn, terminate, wait};
//!
//! #[derive(Default)]
//! struct Adder { calls: u64 }
//!
//! impl Process for Adder {}
//!
//! impl Adder {
//!     fn add(&mut self, a: i64, b: i64) -> i64 { self.calls += 1; a + b }
//! }
//!
//! let adder = spawn(Adder::default()); // Pid<Adder>: Copy
//! let sum = dispatch(adder, Adder::add, (99, 101)); // Future<i64>
//! let twice = sum.then(|n| n * 2);
//! assert_eq!(twice.get()?, 400);
//! let calls = dispatch_with(adder, |adder, _cx| adder.calls);
//! assert_eq!(calls.get()?, 1);
//! terminate(adder);
//! wait(adder);
//! # Ok::<(), libprocess::FutureError>(())
//! ```
//!
//! # Panics
//!
//! A handler that panics ends its process and no other; that takes panics that unwind (`panic = "unwind"`, the default).
//!
//! # Features
//!
//! | feature | on | off |
//! |---|---|---|
//! | `work-stealing-run-queue` | each worker has a run queue of its own, and takes from the others' when it is empty; wins over the next | one run queue for all |
//! | `lock-free-run-queue` | runnable processes wait in a lock-free queue | behind a mutex |
//! | `lock-free-event-queue` | a mailbox is one atomic word | a list behind a mutex |
//! | `last-in-first-out-fixed-size-semaphore` | idle workers sleep each on a futex of its own; woken first is the warmest, or the warmest elsewhere than who wakes it | in a `sem_t` |
//! | `io-uring` | I/O by io_uring where the kernel allows it, else by epoll | by epoll |
//! | `protobuf` | also messages that are protobuf messages: `Context::install_protobuf`, `Context::send_protobuf`, `Context::reply` | bodies are bytes |
//! | `tracing-spans` | each event is served in a span of `tracing`, at the level TRACE: `serve{process=… event=…}` | no spans |
//!
//! All but the last two are on by default. [`build_features`] tells what was built.

// The data of a waker is a pid, which has 64 bits.
#[cfg(not(target_pointer_width = "64"))]
compile_error!("libprocess needs a target with pointers of 64 bits");

mod back_pressure;
mod clock;
#[cfg_attr(
    any(libprocess_loom, libprocess_shuttle),
    allow(
        dead_code,
        unused_imports,
        reason = "models have no sockets, and so nobody who serves"
    )
)]
mod exchange;
mod executor;
mod facade;
mod functions;
mod future;
pub mod http;
mod look_on;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub mod net;
mod prefetch;
mod process;
#[cfg(feature = "protobuf")]
mod protobuf;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod reactor;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
mod remote;
mod runtime;
mod scheduler;
pub mod sync;
pub mod testing;
pub mod time_series;

pub use back_pressure::{reserve, try_dispatch, try_dispatch_with, try_post, try_reserve};
pub use clock::{Clock, ParseTimeError, SettleError, Time, Timeout, Timer};
pub use executor::Executor;
pub use functions::{
    async_, block_in_place, clock, dispatch, dispatch_with, post, request, spawn, spawn_async,
    spawn_named, spawn_owned, spawn_owned_with, spawn_with, terminate, terminate_with, wait,
    wait_timeout, workers,
};
pub use future::{
    Error as FutureError, Future, Futures, IsFuture, IsValue, MailboxFull, Promise, Selected,
    TooManyBlocked, ValueOrFuture, WaitCycle, WeakFuture, await_all, collect, repeat, select,
};
pub use process::telemetry;
pub use process::{
    Context, DeadLetter, DeadLetterReason, DispatchEvent, DispatchIdentity, Event, EventCounts,
    EventKind, ExitReason, ExitedEvent, HttpEvent, HttpExchange, JoinError, Message, MessageEvent,
    Method, ParseUpidError, Permit, Pid, Process, ProcessHandle, Recipient, RemoteConnection,
    SpawnError, SpawnOptions, Statistics, TerminateEvent, TrySendError, Upid, WaitStatus,
    WithContext, defer, defer_with, delay, delay_with, repeat_in,
};
#[cfg(feature = "protobuf")]
pub use protobuf::post_protobuf;
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub use reactor::{IoUringFeature, ReactorKind, ReactorUnavailable};
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub use remote::RemoteOptions;
pub use runtime::{BuildError, Runtime, RuntimeBuilder};

#[doc(hidden)]
pub use future::Returned;

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The guide's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide.md")]
pub struct Guide;

/// Which queues and which semaphore, and whether with spans, this library was built with.
///
/// ```
/// let features = libprocess::build_features();
/// println!("{features}"); // lock-free run queue, lock-free event queue, …
/// assert!(!features.run_queue.is_empty());
/// ```
pub const fn build_features() -> BuildFeatures {
    BuildFeatures {
        // By the feature's name: which lock-free queue is behind it may change.
        run_queue: if cfg!(feature = "work-stealing-run-queue") {
            "work-stealing"
        } else if cfg!(feature = "lock-free-run-queue") {
            "lock-free"
        } else {
            "locking"
        },
        event_queue: <process::Mailbox as libprocess_queues::event::EventQueue<_>>::NAME,
        semaphore: <scheduler::Semaphore as libprocess_semaphore::Semaphore>::NAME,
        tracing_spans: cfg!(feature = "tracing-spans"),
    }
}

/// See [`build_features`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BuildFeatures {
    /// The run queue: `locking`, `lock-free`, `work-stealing`.
    pub run_queue: &'static str,
    /// The event queue: `locking`, `lock-free`.
    pub event_queue: &'static str,
    /// The semaphore: `kernel`, `last-in-first-out-fixed-size`.
    pub semaphore: &'static str,
    /// Whether each event is served in a span of `tracing`.
    pub tracing_spans: bool,
}

impl std::fmt::Display for BuildFeatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} run queue, {} event queue, {} semaphore",
            self.run_queue, self.event_queue, self.semaphore
        )?;
        if self.tracing_spans {
            f.write_str(", tracing spans")?;
        }
        Ok(())
    }
}
