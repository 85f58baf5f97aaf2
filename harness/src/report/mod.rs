//! Telling the results: to people, or to programs.

mod comparison;
mod json;
mod record;
mod stored;
mod text;

pub(crate) use comparison::compare;
pub(crate) use json::JsonReport;
pub(crate) use record::{describe, describe_without_workers, line, result};
pub(crate) use stored::{build, moment, place, show};
pub(crate) use text::TextReport;

use std::io;
use std::path::Path;

use crate::benchmark::{Benchmark, Sample};
use crate::parameters::Parameters;
use crate::record::Record;

/// Told of everything as it happens.
pub(crate) trait Report {
    /// A benchmark begins.
    fn start(&mut self, benchmark: &dyn Benchmark, parameters: &Parameters) -> io::Result<()> {
        let _ = (benchmark, parameters);
        Ok(())
    }

    /// Its run `number` of `runs` has ended, and its result is good.
    fn run(
        &mut self,
        benchmark: &dyn Benchmark,
        number: usize,
        runs: usize,
        sample: &Sample,
    ) -> io::Result<()> {
        let _ = (benchmark, number, runs, sample);
        Ok(())
    }

    /// All its runs have ended.
    fn finish(&mut self, record: &Record) -> io::Result<()>;

    /// All benchmarks have ended, and their results are in this file.
    fn saved(&mut self, path: &Path) -> io::Result<()>;
}
