//! Every interleaving of the protocols, on the shipped types, by the model checker loom.
//!
//! ```text
//! RUSTFLAGS="--cfg libprocess_loom" cargo test -p libprocess-semaphore --test loom --release
//! ```
//!
//! Beside each model stands the same model with one step of the shipped code done wrongly
//! (`sync::weakened`), which must fail, and for the right reason. One command shows both.
//!
//! loom proves what it explores: here all interleavings of two or three threads, those with at most
//! as many preemptions as the model says, under the C++ memory model. It does not model spurious
//! wake-ups, the passing of time, or weak compare-and-swaps that fail for no reason; the code
//! treats all three as one more turn of a loop that is explored.
#![cfg(libprocess_loom)]

mod models;
