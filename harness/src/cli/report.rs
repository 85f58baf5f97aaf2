//! What can be said of reports.

use std::path::PathBuf;

use clap::Args;

use crate::filter::Filter;

pub(super) const ABOUT: &str = "\
Makes one page of many results, to be opened in a browser: throughput by choice (run queue, event \
queue, semaphore, reactor), scaling over workers, latencies over percentiles, history over \
revisions, and every result. Each plot has its numbers beside it, with the spread of the runs, the \
machine, the build, the parameters, the commands that make it, and what to beware of.

Without a RESULT it is of all that is under results/baseline and results/local. With some it is of those, and the history also has \
what is kept under results/baseline. A line has results of one machine, compiler, set of parameters \
and build only, so: to see a benchmark by choice, measure it with `harness matrix`; over \
workers, with several --workers; over revisions, keep the files. A file that is named has to be good; one that \
is found and is not is left out, and told.

The page needs no network and no scripts. --plots also writes each plot as a file for other documents.";

pub(super) const EXAMPLES: &str = "\
Examples:
  harness report                                      all that was saved, to results/local/report.html
  harness report before after -o both.html            two results, and their history
  harness report --benchmark 'Latency.*'              part of it
  harness report --plots plots                        and each plot, as plots/*.svg and plots/*.png
  harness report --plots plots --png                  pictures only

What it can be made of:
  harness run '*' --runs 9 --workers 1 --save one     scaling: the same with other workers
  harness run '*' --runs 9 --workers 2 --save two
  harness run 'Latency.*' --runs 9 --save latencies   curves of latencies
  harness matrix --save choices                       throughput by choice

Exit status: 0 if all is well; 1 if a file cannot be written; 2 if a file that was named is no result, or there \
is nothing to report.";

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// What to report: the NAME of `--save NAME`, or the path of a file [default: all under results/baseline and results/local]
    #[arg(value_name = "RESULT")]
    pub(crate) results: Vec<PathBuf>,

    /// Only the benchmarks that this filter selects, as of `harness run`; may be there several times
    #[arg(long = "benchmark", value_name = "FILTER")]
    pub(crate) benchmarks: Vec<Filter>,

    /// Write the page to this file, in place of one of that name [default: results/local/report.html]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Also write each plot to a file in this folder, which is made if it is not there; as SVG and as PNG, unless told
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<PathBuf>,

    /// With --plots: only PNG, which is of pixels, two for each that the page has
    #[arg(long, requires = "plots", conflicts_with = "svg")]
    png: bool,

    /// With --plots: only SVG, which can be made larger
    #[arg(long, requires = "plots")]
    svg: bool,
}

/// In which form a plot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlotFormat {
    Svg,
    Png,
}

impl PlotFormat {
    /// Of the name of its file.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

impl ReportArguments {
    pub(crate) fn formats(&self) -> impl Iterator<Item = PlotFormat> {
        let svg = (!self.png).then_some(PlotFormat::Svg);
        let png = (!self.svg).then_some(PlotFormat::Png);
        svg.into_iter().chain(png)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &[&str]) -> Option<ReportArguments> {
        let line = ["harness", "report"].iter().chain(line);
        match Cli::try_parse_from(line).ok()?.command {
            Some(Command::Report(arguments)) => Some(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn plots_are_of_both_kinds_unless_told() {
        let formats = |line: &[&str]| parsed(line).unwrap().formats().collect::<Vec<_>>();
        let both = [PlotFormat::Svg, PlotFormat::Png];
        assert_eq!(formats(&["--plots", "x"]), both);
        assert_eq!(formats(&["--plots", "x", "--svg"]), both[..1]);
        assert_eq!(formats(&["--plots", "x", "--png"]), both[1..]);
    }

    #[test]
    fn a_kind_of_plots_needs_plots() {
        for line in [
            &["--png"][..],
            &["--svg"],
            &["--plots", "x", "--png", "--svg"],
        ] {
            assert!(parsed(line).is_none(), "{line:?}");
        }
    }
}
