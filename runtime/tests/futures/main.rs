//! Futures and promises. One program, as none of these needs a process of its own: each program costs its own compiling and linking, in every configuration.

#[path = "../common/mod.rs"]
mod common;

mod asynchronous;
mod blocks;
mod combinators;
mod memory;
mod panics;
mod promises;
mod shared;
