//! The text that HdrHistogram's own programs print of a histogram, by habit in files named `.hgrm`: its plotters read it.

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// Lines between a percentile and the one that leaves half as much above it: as the Java program has it unless told.
const LINES_PER_HALVING: u32 = 5;

/// Writes a line for each percentile, in the form of the Java library's `outputPercentileDistribution`. Values are as they are in the
/// histogram: nanoseconds.
pub(crate) fn write(histogram: &Histogram<u64>, output: &mut dyn Write) -> io::Result<()> {
    writeln!(
        output,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut count = 0;
    for step in histogram.iter_quantiles(LINES_PER_HALVING) {
        count += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64;
        let part = step.quantile_iterated_to();
        write!(output, "{value:12.3} {part:2.12} {count:10}")?;
        if part < 1.0 {
            write!(output, " {:14.2}", 1.0 / (1.0 - part))?;
        }
        writeln!(output)?;
    }
    writeln!(
        output,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]",
        histogram.mean(),
        histogram.stdev()
    )?;
    writeln!(
        output,
        "#[Max     = {:12.3}, Total count    = {:12}]",
        histogram.max() as f64,
        histogram.len()
    )?;
    writeln!(
        output,
        "#[Buckets = {:12}, SubBuckets     = {:12}]",
        histogram.buckets(),
        // For each power of two the histogram has places enough for all of its digits.
        2 * 10_u64.pow(histogram.sigfig().into()).next_power_of_two()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency;

    fn text(histogram: &Histogram<u64>) -> String {
        let mut output = Vec::new();
        write(histogram, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn it_is_what_the_plotters_read() {
        let mut histogram = latency::histogram();
        (1..=4).for_each(|value| histogram.record(value * 100).unwrap());
        let text = text(&histogram);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("       Value     Percentile TotalCount 1/(1-Percentile)")
        );
        assert_eq!(lines.next(), Some(""));
        assert_eq!(
            lines.next(),
            Some("     100.000 0.000000000000          1           1.00")
        );
        let rows: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !line.starts_with('#'))
            .collect();
        assert!(
            rows.contains(&"     200.000 0.500000000000          2           2.00"),
            "{text}"
        );
        assert_eq!(rows.last(), Some(&"     400.000 1.000000000000          4"));
        assert!(
            text.contains("#[Mean    =      250.000, StdDeviation   =      111.803]\n"),
            "{text}"
        );
        assert!(
            text.ends_with(
                "#[Max     =      400.000, Total count    =            4]\n\
                 #[Buckets =           26, SubBuckets     =         2048]\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn counts_and_values_never_fall() {
        let mut histogram = latency::histogram();
        (0..2_000).for_each(|value| histogram.record(value * value).unwrap());
        let rows: Vec<Vec<f64>> = text(&histogram)
            .lines()
            .skip(2)
            .take_while(|line| !line.starts_with('#'))
            .map(|line| {
                line.split_whitespace()
                    .map(|cell| cell.parse().unwrap())
                    .collect()
            })
            .collect();
        for column in 0..3 {
            assert!(rows.is_sorted_by(|a, b| a[column] <= b[column]), "{rows:?}");
        }
        assert_eq!(rows.last().unwrap()[2], 2_000.0);
    }

    #[test]
    fn an_empty_histogram_has_no_lines_but_those_around() {
        let text = text(&latency::histogram());
        assert!(text.contains("Total count    =            0]"), "{text}");
    }
}
