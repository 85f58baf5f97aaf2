//! Processes: how they live, what they are told, and what they are protected from. One program, as `futures` is.

#[path = "../common/mod.rs"]
mod common;

mod kit;
mod lifecycle;
mod links;
mod mailboxes;
mod messages;
mod names;
mod order;
mod panics;
mod robustness;
mod room;
