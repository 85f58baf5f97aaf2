//! The report for people.

use std::io::{self, Write};
use std::path::Path;

use super::Report;
use super::record::{compat, describe, line, result, taken};
use crate::benchmark::{Benchmark, Sample};
use crate::format::{figure, nanoseconds};
use crate::parameters::Parameters;
use crate::record::Record;

pub(crate) struct TextReport<'a> {
    output: &'a mut dyn Write,
    /// What the last run checked: the same in each, and told once.
    verified: String,
}

impl<'a> TextReport<'a> {
    pub(crate) fn new(output: &'a mut dyn Write) -> Self {
        Self {
            output,
            verified: String::new(),
        }
    }

    fn line(&mut self, label: &str, text: &str) -> io::Result<()> {
        line(self.output, label, text)
    }
}

impl Report for TextReport<'_> {
    fn start(&mut self, benchmark: &dyn Benchmark, parameters: &Parameters) -> io::Result<()> {
        writeln!(self.output, "{}", benchmark.name())?;
        writeln!(self.output, "  {}", benchmark.summary())?;
        self.line("build", &build())?;
        self.line("parameters", &describe(parameters))?;
        self.output.flush()
    }

    fn run(
        &mut self,
        benchmark: &dyn Benchmark,
        number: usize,
        runs: usize,
        sample: &Sample,
    ) -> io::Result<()> {
        if let Some(headline) = benchmark.headline(sample) {
            writeln!(self.output, "{headline}")?;
        }
        let mut text = format!(
            "{} {} in {:.3} s",
            figure(sample.value),
            benchmark.unit(),
            sample.seconds
        );
        for (unit, value) in &sample.also {
            text.push_str(&format!(", {} {unit}", figure(*value)));
        }
        if benchmark.has_compat() {
            text.push_str(&match sample.compat {
                Some(compat) => format!("; compat {}", figure(compat)),
                None => "; no compat figure: with one pair the original never ends".to_owned(),
            });
        }
        self.line(&format!("run {number} of {runs}"), &text)?;
        self.verified.clone_from(&sample.verified);
        self.output.flush()
    }

    fn finish(&mut self, record: &Record) -> io::Result<()> {
        if let Some(latency) = record.latency_ns {
            let text = [
                ("p50", latency.p50),
                ("p90", latency.p90),
                ("p99", latency.p99),
                ("p99.9", latency.p999),
                ("max", latency.max),
            ]
            .map(|(name, value)| format!("{name} {}", nanoseconds(value)))
            .join(", ");
            self.line("latency", &text)?;
        }
        compat(self.output, record)?;
        let verified = std::mem::take(&mut self.verified);
        self.line("verified", &format!("in each run: {verified}"))?;
        taken(self.output, record)?;
        self.line("result", &result(record))?;
        writeln!(self.output)?;
        self.output.flush()
    }

    fn saved(&mut self, path: &Path) -> io::Result<()> {
        writeln!(self.output, "saved to {}", path.display())
    }
}

fn build() -> String {
    let features = libprocess::build_features();
    let warning = if cfg!(debug_assertions) {
        "; not optimized: its figures mean nothing"
    } else {
        ""
    };
    format!("{features}{warning}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::throughput::ThroughputPerformance;
    use crate::record::Usage;

    fn report(pairs: u64, compat: Option<f64>) -> String {
        let parameters = Parameters {
            workers: 2,
            pin: true,
            pairs: Some(pairs),
            repeat: 15_000_000,
            window: Some(1_000),
            actors: None,
            size: None,
            pipeline: None,
            rate: None,
            events_per_resume: None,
            warmup: 0,
        };
        let samples = [8_000_000.0, 9_000_000.0, 8_500_000.0].map(|value| Sample {
            compat,
            ..Sample::new(value, 2.0, "nothing was lost").also("messages/s", 2.0 * value)
        });
        let mut output = Vec::new();
        let mut report = TextReport::new(&mut output);
        report.start(&ThroughputPerformance, &parameters).unwrap();
        for (index, sample) in samples.iter().enumerate() {
            report
                .run(&ThroughputPerformance, index + 1, samples.len(), sample)
                .unwrap();
        }
        let record = Record::new(
            &ThroughputPerformance,
            parameters,
            &samples,
            Usage::default(),
        );
        report.finish(&record).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn it_ends_with_the_result() {
        let text = report(2, Some(9_500_000.0));
        let last = text.lines().rfind(|line| !line.is_empty()).unwrap();
        assert_eq!(
            last,
            "  result      8,500,000 repeats/s, the median of 3 runs from 8,000,000 to 9,000,000 \
             (spread 11.8 %); 17,000,000 messages/s"
        );
    }

    #[test]
    fn each_run_has_the_line_of_the_original() {
        let text = report(2, Some(9_500_000.0));
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("Estimated Total: "))
            .collect();
        assert_eq!(
            lines,
            [
                "Estimated Total: 8000000.000000",
                "Estimated Total: 9000000.000000",
                "Estimated Total: 8500000.000000"
            ]
        );
        assert!(text.contains("; compat 9,500,000\n"), "{text}");
    }

    #[test]
    fn where_the_original_has_no_figure_that_is_said() {
        let text = report(1, None);
        assert!(
            text.contains("with one pair the original never ends"),
            "{text}"
        );
    }

    #[test]
    fn it_tells_what_was_run_and_checked() {
        let text = report(2, Some(9_500_000.0));
        assert!(
            text.contains(
                "2 workers, 2 pairs, repeat 15,000,000, window 1,000, pinned, no warm-up"
            ),
            "{text}"
        );
        assert!(
            text.contains(&libprocess::build_features().to_string()),
            "{text}"
        );
        assert!(text.contains("in each run: nothing was lost"), "{text}");
    }
}
