//! Runtimes: workers, waiting, the clock, and what a runtime tells of itself. One program, as `futures` is.

#[path = "../common/mod.rs"]
mod common;

mod block_in_place;
mod clock;
mod misuse;
mod scheduling;
mod shutdown;
mod stuck;
mod telemetry;
mod timers;
mod wait_cycles;
mod waiting;
