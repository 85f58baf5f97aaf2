//! The benchmarks, a file for each area.

pub(crate) mod dispatch;
pub(crate) mod spawn;
pub(crate) mod throughput;
