//! A tree of processes that adds numbers up.

use std::time::Instant;

use libprocess::{Context, Pid, Process, Promise, dispatch, spawn};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::{count, grouped};
use crate::parameters::Defaults;
use crate::trial::{Trial, share};

/// How many children a process has that is no leaf.
const FAN_OUT: u64 = 10;

/// A root that spawns ten processes, each of which spawns ten, and so on; the leaves are numbered, and the sum of the numbers comes back to
/// the root. After <https://github.com/atemerev/skynet>.
///
/// Each process ends when it has told its sum, so how many live at a time is the scheduler's choice: all of them if it takes processes in the
/// order in which they were spawned.
pub(crate) struct Skynet;

impl Benchmark for Skynet {
    fn name(&self) -> &'static str {
        "Skynet"
    }

    fn summary(&self) -> &'static str {
        "A tree of processes, ten children each, that are spawned, dispatch the sum of the leaves' numbers to their parents, and end; a repeat is a leaf."
    }

    fn unit(&self) -> &'static str {
        "leaves/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(1_000_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let leaves = setting.parameters.repeat;
        let mut trial = Trial::begin(setting);
        let done = Promise::new();
        let all = done.future();

        let started = Instant::now();
        setting.runtime.spawn(Node {
            above: Above::Nobody(Some(done)),
            first: 0,
            leaves,
            untold: 0,
            sum: 0,
        });
        let sum = trial.wait(all, |counts| counts.ended.min(leaves))?;
        let seconds = started.elapsed().as_secs_f64();

        let nodes = nodes(leaves);
        trial.wait_for_ends(nodes);
        trial.equal("the sum", sum, sum_to(leaves));
        let expected = Counts {
            // To all parents; the root has none.
            dispatches: nodes - 1,
            ..Counts::lives(nodes)
        };
        let verified = format!(
            "{} in the tree, the sum of whose leaves is {}",
            count(nodes, "node"),
            grouped(sum)
        );
        let sample =
            Sample::rate(leaves, seconds, verified).also("processes/s", nodes as f64 / seconds);
        trial.finish(expected, sample)
    }
}

/// Of the numbers below `leaves`. In the widest numbers, and modulo 2^64 as the processes add.
fn sum_to(leaves: u64) -> u64 {
    let leaves = u128::from(leaves);
    (leaves * leaves.saturating_sub(1) / 2) as u64
}

/// How many processes a tree with so many leaves has.
fn nodes(leaves: u64) -> u64 {
    if leaves == 1 {
        return 1;
    }
    let children = leaves.min(FAN_OUT);
    // There are two sizes of children at most.
    let (small, large) = (leaves / children, leaves % children);
    let rest = if large == 0 {
        0
    } else {
        large * nodes(small + 1)
    };
    1 + (children - large) * nodes(small) + rest
}

enum Above {
    Parent(Pid<Node>),
    Nobody(Option<Promise<u64>>),
}

struct Node {
    above: Above,
    /// The number of its first leaf.
    first: u64,
    leaves: u64,
    /// How many children have not told their sums yet.
    untold: u64,
    sum: u64,
}

impl Node {
    fn add(&mut self, sum: u64, cx: &mut Context<Self>) {
        self.sum = self.sum.wrapping_add(sum);
        self.untold -= 1;
        if self.untold == 0 {
            self.tell(cx);
        }
    }

    fn tell(&mut self, cx: &mut Context<Self>) {
        match &mut self.above {
            Above::Parent(parent) => dispatch(*parent, Self::add, (self.sum,)).detach(),
            Above::Nobody(done) => {
                if let Some(done) = done.take() {
                    done.set(self.sum);
                }
            }
        }
        cx.terminate();
    }
}

impl Process for Node {
    fn initialize(&mut self, cx: &mut Context<Self>) {
        if self.leaves == 1 {
            self.sum = self.first;
            self.tell(cx);
            return;
        }
        let children = self.leaves.min(FAN_OUT);
        self.untold = children;
        let mut first = self.first;
        for child in 0..children {
            let leaves = share(self.leaves, children, child);
            spawn(Self {
                above: Above::Parent(cx.pid()),
                first,
                leaves,
                untold: 0,
                sum: 0,
            });
            first += leaves;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_the_original_is_full() {
        assert_eq!(nodes(1_000_000), 1_111_111);
        assert_eq!(sum_to(1_000_000), 499_999_500_000);
    }

    #[test]
    fn a_tree_that_is_not_full_has_a_node_above_each_pair() {
        assert_eq!((nodes(1), nodes(2), nodes(10), nodes(11)), (1, 3, 11, 13));
        assert_eq!((sum_to(1), sum_to(2), sum_to(11)), (0, 1, 55));
    }
}
