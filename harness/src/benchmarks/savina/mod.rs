//! Benchmarks of the Savina suite, by its names and with its default parameters.
//!
//! S. Imam and V. Sarkar, "Savina: An Actor Benchmark Suite", AGERE 2014, <https://doi.org/10.1145/2687357.2687368>. What Savina says in
//! messages that carry data are dispatches here; those that carry none are messages by name.

pub(crate) mod thread_ring;
