//! What futures cost by themselves.

use std::hint::black_box;
use std::time::Instant;

use libprocess::Promise;

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Checks;
use crate::failure::Failure;
use crate::format::{count, grouped};
use crate::parameters::Defaults;

/// How many links a chain has.
const LINKS: u64 = 1_000;

/// Chains of `then` that are made, completed and freed. All in one thread: no runtime has a part in it.
pub(crate) struct ThenChain;

impl Benchmark for ThenChain {
    fn name(&self) -> &'static str {
        "Future.ThenChain"
    }

    fn summary(&self) -> &'static str {
        "Chains of 1,000 `then`s, each made while its promise is pending, completed, read and freed in one \
         thread; a repeat is one `then`."
    }

    fn unit(&self) -> &'static str {
        "thens/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(20_000_000)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let chains = setting.parameters.repeat.div_ceil(LINKS);
        let mut checks = Checks::new();

        let started = Instant::now();
        for chain in 0..chains {
            let promise = Promise::new();
            let mut future = promise.future();
            for _ in 0..LINKS {
                future = future.then(|n: u64| black_box(n) + 1);
            }
            promise.set(chain);
            checks.equal("the end of a chain", future.get()?, chain + LINKS);
            setting.progress.advance(chain * LINKS);
        }
        let seconds = started.elapsed().as_secs_f64();

        checks.finish()?;
        let verified = format!(
            "{} of {} links with the right end",
            count(chains, "chain"),
            grouped(LINKS)
        );
        Ok(Sample::rate(chains * LINKS, seconds, verified))
    }
}
