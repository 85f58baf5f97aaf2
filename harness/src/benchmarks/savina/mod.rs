//! Benchmarks of the Savina suite, by its names and with its default parameters.
//!
//! S. Imam and V. Sarkar, "Savina: An Actor Benchmark Suite", AGERE 2014, <https://doi.org/10.1145/2687357.2687368>. What Savina says in
//! messages that carry data are dispatches here; those that carry none are messages by name. The runs of the suite are short with these parameters:
//! a larger `--repeat` gives steadier figures.

pub(crate) mod banking;
pub(crate) mod big;
pub(crate) mod chameneos;
pub(crate) mod counting;
pub(crate) mod fork_join;
pub(crate) mod philosophers;
mod random;
pub(crate) mod thread_ring;
