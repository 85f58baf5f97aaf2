//! The seeds of the fuzz targets, which hold without a fuzzer, too.

use std::fs;
use std::path::Path;

/// How many inputs are made of each seed; `scripts/fuzz` makes them without end, and of what it finds on the way.
const MADE_OF_EACH: u64 = 40;

/// Checks each seed of a target, of which there are some, and what becomes of it by some changes.
#[track_caller]
fn check_seeds(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("the seeds are in {}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry of a folder").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "{target} has {} seeds", paths.len());
    let seeds: Vec<_> = paths
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (path, seed) in paths.iter().zip(&seeds) {
        // So that a failure tells which it was.
        println!("{}", path.display());
        check(seed);
        for _ in 0..MADE_OF_EACH {
            let made = random.change(seed, &seeds);
            println!("  {:?}", made.escape_ascii().to_string());
            check(&made);
        }
    }
}

/// Marsaglia's xorshift: the same inputs each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// A few changes, each of which is one that a fuzzer makes.
    fn change(&mut self, seed: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.below(256) as u8),
                2 => {
                    let marks = b"\r\n :;,=\0\t0-";
                    bytes.insert(at, marks[self.below(marks.len())]);
                }
                3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                4 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {
                    // The rest of another one, or of itself.
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        bytes.truncate(2_048);
        bytes
    }
}

#[test]
fn requests() {
    check_seeds("request", super::request);
}

#[test]
fn responses() {
    check_seeds("response", super::response);
}

#[test]
fn chunks() {
    check_seeds("chunked", super::chunked);
}

#[test]
fn values() {
    check_seeds("url_query", super::url_query);
}
