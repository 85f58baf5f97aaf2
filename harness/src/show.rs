//! Showing what was saved.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::cli::{Export, ShowArguments};
use crate::failure::Failure;
use crate::hgrm;
use crate::latency::EncodedHistogram;
use crate::record::Record;
use crate::registry::NoMatch;
use crate::report;
use crate::save::{self, SaveError};
use crate::saved::{BadFile, Saved};

/// There is not the one histogram to export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoHistogram {
    #[error(
        "there is no histogram: latencies are measured by `Latency.*`, `Dispatch.Get` and others, and results of older harnesses have none; measure again with `harness run 'Latency.*' --save NAME`"
    )]
    None,
    #[error("there are several histograms; choose one of these with --benchmark:{}", .0.iter().map(|name| format!("\n  {name}")).collect::<String>())]
    Several(Vec<String>),
}

struct Loaded {
    path: PathBuf,
    saved: Saved,
}

pub(crate) fn show(arguments: &ShowArguments, output: &mut dyn Write) -> Result<(), Failure> {
    let mut loaded = Vec::new();
    for name in &arguments.results {
        let (path, saved) = Saved::load(name)?;
        loaded.push(Loaded { path, saved });
    }
    let selected: Vec<(&Loaded, Vec<&Record>)> = loaded
        .iter()
        .map(|loaded| (loaded, arguments.select(&loaded.saved)))
        .collect();
    if selected.iter().all(|(_, records)| records.is_empty()) {
        return Err(nothing(arguments, &loaded));
    }
    let mut text = Vec::new();
    match arguments.export() {
        None => {
            for (index, (loaded, records)) in selected.iter().enumerate() {
                if index > 0 {
                    text.push(b'\n');
                }
                let shown = records
                    .iter()
                    .map(|record| Ok((*record, merged(&loaded.path, record)?)))
                    .collect::<Result<Vec<_>, BadFile>>()?;
                report::show(&loaded.path, &loaded.saved, &shown, &mut text)?;
            }
        }
        Some(Export::Percentiles) => hgrm::write(&only_histogram(&selected)?, &mut text)?,
        Some(Export::Log) => write_log(&selected, &mut text)?,
    }
    match &arguments.output {
        Some(path) => save::write(path, &text).map_err(|error| SaveError::new(path, error))?,
        None => {
            output.write_all(&text)?;
            output.flush()?;
        }
    }
    Ok(())
}

fn nothing(arguments: &ShowArguments, loaded: &[Loaded]) -> Failure {
    let there = loaded
        .iter()
        .flat_map(|loaded| &loaded.saved.results)
        .map(|record| record.benchmark.clone());
    NoMatch::among(&arguments.benchmarks, there.collect()).into()
}

fn merged(path: &Path, record: &Record) -> Result<Option<Histogram<u64>>, BadFile> {
    record
        .latencies()
        .map_err(|error| BadFile::histogram(path, record, error))
}

fn only_histogram(selected: &[(&Loaded, Vec<&Record>)]) -> Result<Histogram<u64>, Failure> {
    let mut found = Vec::new();
    for (loaded, records) in selected {
        for record in records {
            if let Some(histogram) = merged(&loaded.path, record)? {
                found.push((
                    format!("{} of {}", record.benchmark, loaded.path.display()),
                    histogram,
                ));
            }
        }
    }
    if found.len() > 1 {
        let names = found.into_iter().map(|(name, _)| name).collect();
        return Err(NoHistogram::Several(names).into());
    }
    match found.pop() {
        Some((_, histogram)) => Ok(histogram),
        None => Err(NoHistogram::None.into()),
    }
}

/// One line for each run, in the order of time, with the benchmark's name as its tag.
fn write_log(selected: &[(&Loaded, Vec<&Record>)], output: &mut Vec<u8>) -> Result<(), Failure> {
    struct Line<'a> {
        began: Duration,
        took: Duration,
        tag: &'a str,
        histogram: Histogram<u64>,
    }
    let mut lines = Vec::new();
    for (loaded, records) in selected {
        for record in records {
            let times = record.began_unix_ms.iter().zip(&record.seconds);
            for (encoded, (began, seconds)) in record.latency_histograms.iter().zip(times) {
                lines.push(Line {
                    began: Duration::from_millis(*began),
                    took: Duration::try_from_secs_f64(*seconds).unwrap_or_default(),
                    tag: &record.benchmark,
                    histogram: decode(&loaded.path, record, encoded)?,
                });
            }
        }
    }
    if lines.is_empty() {
        return Err(NoHistogram::None.into());
    }
    lines.sort_by_key(|line| line.began);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("Latencies in nanoseconds; the largest of each line in milliseconds")
        .with_max_value_divisor(1e6)
        .begin_log_with(output, &mut serializer)?;
    for line in lines {
        // A name with a comma or a space cannot be a tag: none has one.
        log.write_histogram(&line.histogram, line.began, line.took, Tag::new(line.tag))
            .expect("memory takes what is written to it, and the histogram was encoded before");
    }
    Ok(())
}

fn decode(
    path: &Path,
    record: &Record,
    encoded: &EncodedHistogram,
) -> Result<Histogram<u64>, BadFile> {
    encoded
        .decode()
        .map_err(|error| BadFile::histogram(path, record, error))
}
