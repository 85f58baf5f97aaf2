//! For tests of programs that use this library: assertions on futures, filters for events, injected exits.
//!
//! | libprocess | here |
//! |---|---|
//! | `AWAIT_READY(f)` | [`await_ready!`](crate::await_ready) |
//! | `AWAIT_FAILED`, `AWAIT_DISCARDED`, `AWAIT_ABANDONED` | [`await_failed!`](crate::await_failed), [`await_discarded!`](crate::await_discarded), [`await_abandoned!`](crate::await_abandoned) |
//! | `CHECK_PENDING`, … | [`assert_pending!`](crate::assert_pending), … |
//! | `FUTURE_MESSAGE(name, from, to)` | [`messages()`]`.named(name).from(from).to(to).`[`watch_next`](Filtered::watch_next) |
//! | `DROP_MESSAGE`, `DROP_MESSAGES` | [`drop_next`](Filtered::drop_next), [`drop_all`](Filtered::drop_all) |
//! | `EXPECT_NO_FUTURE_MESSAGES` | [`expect_none`](Filtered::expect_none) |
//! | `FUTURE_DISPATCH(pid, method)`, … | [`dispatches()`]`.of(method).to(pid)`, and the same four |
//! | `FUTURE_EXITED(from, to)`, … | [`exits()`]`.from(from).to(to)`, and the same four |
//! | `inject::exited(from, to)` | [`inject::exited`] |
//!
//! A filter belongs to one runtime, acts when an event is about to be served, and never on terminate events. The newest filter that matches decides.
//!
//! ```
//! use libprocess::testing::{Filtered, messages};
//! use libprocess::{Context, Process, Runtime, await_ready};
//!
//! #[derive(Default)]
//! struct Counter { count: u64 }
//! impl Process for Counter {
//!     fn initialize(&mut self, cx: &mut Context<Self>) {
//!         cx.install("count", |counter, _message, _cx| counter.count += 1);
//!     }
//! }
//! impl Counter {
//!     fn count(&mut self) -> u64 { self.count }
//! }
//!
//! let runtime = Runtime::builder().workers(1).build()?;
//! let counter = runtime.spawn(Counter::default());
//! let dropped = messages().named("count").to(counter).drop_next(&runtime);
//! runtime.post(counter, "count", "first");
//! runtime.post(counter, "count", "second");
//! assert_eq!(await_ready!(dropped).body, "first");
//! assert_eq!(await_ready!(runtime.dispatch(counter, Counter::count, ())), 1);
//! # Ok::<(), libprocess::BuildError>(())
//! ```

mod assertions;
mod filters;
pub mod inject;

#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub use crate::reactor::IoUringFeature;
#[doc(hidden)]
pub use assertions::{abandoned, discarded, failed, ready, state};
pub use filters::{
    Dispatches, Exits, Expectation, Filtered, HeldEvent, Messages, dispatches, exits, messages,
};

/// How long the `await_` assertions wait unless they are told: by the machine's clock, whether or not a test has paused the runtime's.
pub const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);
