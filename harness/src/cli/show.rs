//! What can be said of showing results.

use std::path::PathBuf;

use clap::Args;

use crate::filter::Filter;
use crate::record::Record;
use crate::saved::Saved;

pub(super) const ABOUT: &str = "\
Shows results that `harness run --save NAME` saved: the figures, what they were measured on, and \
the latencies' percentiles.

Histograms of latencies are kept whole. --hgrm and --hlog write them in the two forms that \
HdrHistogram's own programs and plotters read, in nanoseconds.";

pub(super) const EXAMPLES: &str = "\
Examples:
  harness show before                                 results/local/before.json
  harness show before after                           one after the other
  harness show some/folder/before.json                a file
  harness show before --benchmark 'Latency.*'         part of it
  harness show before --benchmark Latency.PingPong --hgrm --output pingpong.hgrm
                                                      the percentiles, to be plotted
  harness show before --hlog > before.hlog            each run's histogram, as an HDR log

Exit status: 0 if all is well; 2 if a file is no result, or has nothing of what was asked for.";

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// What to show: the NAME of `--save NAME`, or the path of a file
    #[arg(value_name = "RESULT", required = true)]
    pub(crate) results: Vec<PathBuf>,

    /// Only the benchmarks that this filter selects, as of `harness run`; may be there several times
    #[arg(long = "benchmark", value_name = "FILTER")]
    pub(crate) benchmarks: Vec<Filter>,

    /// Only the percentiles of one histogram, as HdrHistogram's programs print them
    #[arg(long, conflicts_with = "hlog")]
    hgrm: bool,

    /// Only the histograms, one for each run, as an HDR histogram log
    #[arg(long)]
    hlog: bool,

    /// Write to this file, in place of one of that name, and not to standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// In which form histograms are written for other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    Percentiles,
    Log,
}

impl ShowArguments {
    pub(crate) fn export(&self) -> Option<Export> {
        if self.hgrm {
            Some(Export::Percentiles)
        } else {
            self.hlog.then_some(Export::Log)
        }
    }

    /// The results that were asked for.
    pub(crate) fn select<'a>(&self, saved: &'a Saved) -> Vec<&'a Record> {
        let asked = |record: &&Record| Filter::any_matches(&self.benchmarks, &record.benchmark);
        saved.results.iter().filter(asked).collect()
    }
}
