//! What the tests share: seeds, items that are counted, and sizes by the kind of build.

#![allow(dead_code)] // each test file uses its own part

pub mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How often a race is tried: less where every step is slow.
pub(crate) const fn scaled(times: usize) -> usize {
    if cfg!(miri) {
        times.div_ceil(500)
    } else if cfg!(debug_assertions) {
        times
    } else {
        5 * times
    }
}

/// Tries a race at least so many times, and then until it was hit: `test` is given the number of
/// the round and answers whether the race has been hit by now.
pub(crate) fn until_hit(rounds: usize, mut test: impl FnMut(usize) -> bool) {
    let mut hit = false;
    for round in 0..100 * rounds {
        hit = test(round) || hit;
        if hit && round + 1 >= rounds {
            return;
        }
    }
    panic!("in {} rounds the race was never hit", 100 * rounds);
}

/// xorshift64*: good enough to choose operations, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// Runs `test` with many seeds; one that fails is printed.
pub(crate) fn with_seeds(seeds: u64, test: impl Fn(&mut Random)) {
    struct Print(u64);
    impl Drop for Print {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the failing seed is {}", self.0);
            }
        }
    }
    for seed in 0..seeds {
        let print = Print(seed);
        test(&mut Random::new(seed));
        drop(print);
    }
}

/// How many items were made and dropped.
#[derive(Clone, Default)]
pub(crate) struct Books {
    created: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Books {
    pub(crate) fn item(&self, from: usize, number: usize) -> Item {
        self.created.fetch_add(1, Relaxed);
        Item {
            from,
            number,
            dropped: Arc::clone(&self.dropped),
        }
    }

    pub(crate) fn created(&self) -> usize {
        self.created.load(Relaxed)
    }

    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Relaxed)
    }
}

/// An item that tells its books when it is dropped.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) from: usize,
    pub(crate) number: usize,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Item {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Relaxed);
    }
}

/// Asserts that the numbers of each producer rise from 0 without a gap, and counts them.
pub(crate) struct InOrder(Vec<usize>);

impl InOrder {
    pub(crate) fn new(producers: usize) -> InOrder {
        InOrder(vec![0; producers])
    }

    pub(crate) fn see(&mut self, from: usize, number: usize) {
        assert_eq!(
            number, self.0[from],
            "producer {from}: an item is missing, doubled or misplaced"
        );
        self.0[from] += 1;
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }
}
