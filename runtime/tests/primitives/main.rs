//! What processes and threads coordinate by. One program, as `futures` is.

#[path = "../common/mod.rs"]
mod common;

mod locks;
mod queue;
mod sequence;
mod stress;
mod time;
