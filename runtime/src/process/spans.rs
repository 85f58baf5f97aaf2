//! A span of `tracing` around each handler.

use tracing::span::EnteredSpan;

use super::telemetry::NameRef;
use super::{RawPid, Upid};

/// The span of a handler of `pid`, until it is dropped. Its fields are made only if a subscriber wants it.
pub(super) fn enter<'a>(pid: RawPid, event: &dyn Fn() -> NameRef<'a>) -> EnteredSpan {
    tracing::trace_span!(
        target: "libprocess",
        "serve",
        process = %Upid::local(pid).known(),
        event = %event(),
    )
    .entered()
}
