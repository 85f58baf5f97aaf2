//! What a gate must find: more work in a region than there was. Only tests ask for it.

use std::hint::black_box;
use std::os::unix::process::parent_id;

use clap::ValueEnum;

/// What is done in addition, once for each operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plant {
    Instructions,
    Allocations,
    SystemCalls,
}

/// More than the tolerance of any region, also of a build without optimization.
const INSTRUCTIONS: u64 = 1_000;

impl Plant {
    /// Does it for so many operations.
    pub(super) fn spoil(self, operations: u64) {
        for _ in 0..operations {
            match self {
                Self::Instructions => (0..INSTRUCTIONS).for_each(|n| {
                    black_box(n);
                }),
                Self::Allocations => drop(black_box(Box::new(0_u64))),
                // The kernel is asked each time: a parent may end, and be another one then.
                Self::SystemCalls => {
                    black_box(parent_id());
                }
            }
        }
    }
}
