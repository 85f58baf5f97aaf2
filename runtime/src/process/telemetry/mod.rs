//! Telemetry: how long events wait and are served, how many wait, and which handlers do not return.
//!
//! Off by default, and then it costs nothing: [`RuntimeBuilder::telemetry`](crate::RuntimeBuilder::telemetry) and
//! [`Runtime::set_telemetry`](crate::Runtime::set_telemetry) switch it on, [`Runtime::telemetry`](crate::Runtime::telemetry) gives what was recorded;
//! [`RuntimeBuilder::report_stuck_after`](crate::RuntimeBuilder::report_stuck_after) has handlers reported that do not return. How often workers park, steal and wake
//! each other is always counted: [`Statistics`](crate::Statistics).
// How it works
//
// Whoever serves an event looks at the runtime's word of optional work (`optional`), and takes a cold path (`observe`) if there is any. Whoever sends one looks at
// one word for all runtimes (`clock::carried`), and in another cold path writes into the event's stamp when it was sent.
//
// Each thread of a runtime has a `ThreadRecord`: a shard, which it alone adds to, and what it is serving. Both are behind mutexes that are its own but when somebody
// asks for a snapshot, or looks for handlers that do not return. No lock is held while a handler runs. The shard of a thread that has ended is added to that of
// `ended` when the next thread comes, or somebody asks.
//
// What can go wrong:
//
// * Memory without a bound: names come from anywhere, processes come and go. So a shard has room for a number of each (`shard`).
// * A handler begins before a reset, or before telemetry is switched on, and ends after it. Each begin knows of its reset, and of whether there was one.
// * A panic in a handler: the end is noted by a drop.

mod histogram;
mod name;
mod recorder;
mod shard;
mod snapshot;
mod watch;

pub use histogram::Histogram;
pub use name::EventName;
pub use snapshot::{EventTelemetry, ProcessTelemetry, Telemetry};
pub use watch::StuckHandler;

pub(super) use name::NameRef;
pub(crate) use recorder::Recorder;
pub(super) use recorder::{Observation, observe};
pub(crate) use watch::{OnStuck, Watch};
