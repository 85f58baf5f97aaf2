//! How far figures of the same build lie apart.

use std::io::{self, Write};

use serde::Serialize;

use super::counter::Counter;
use super::figures::{Figures, Kind};
use super::judged::decimals;
use super::region::Region;
use super::{GateError, failed, report};
use crate::Series;
use crate::failure::Failure;

/// One kind of figure of a region, counted several times. Its keys are stable: `--json` prints them.
#[derive(Debug, PartialEq, Serialize)]
struct Steadiness {
    region: &'static str,
    figure: &'static str,
    #[serde(skip)]
    kind: Kind,
    runs: Series,
    median: f64,
    /// From the least to the greatest.
    range: f64,
    /// By how much they may lie apart.
    tolerated: f64,
    steady: bool,
}

impl Steadiness {
    fn new(region: &'static str, kind: Kind, counted: &[Figures]) -> Self {
        let runs = Series::new(counted.iter().map(|figures| figures.get(kind)).collect());
        let median = runs.median();
        let range = runs.max() - runs.min();
        let tolerated = kind.steady(median);
        Self {
            region,
            figure: kind.key(),
            kind,
            median,
            range,
            tolerated,
            steady: range <= tolerated,
            runs,
        }
    }

    fn describe(&self) -> String {
        // Of next to none a part says nothing.
        let per_cent = if self.median > self.kind.tolerated(self.median) {
            format!(", {:.2} % apart", 100.0 * self.range / self.median)
        } else {
            String::new()
        };
        format!(
            "{:<13} {:>9}, from {} to {}{per_cent}",
            self.kind.title(),
            decimals(self.median),
            decimals(self.runs.min()),
            decimals(self.runs.max())
        )
    }
}

/// Counts each region so many times.
pub(super) fn measure(
    counter: &Counter,
    regions: &[&'static Region],
    times: usize,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut unsteady = Vec::new();
    for (index, region) in regions.iter().enumerate() {
        eprintln!(
            "counting {} {times} times ({} of {})",
            region.name,
            index + 1,
            regions.len()
        );
        let counted = (0..times).map(|_| counter.count(region));
        let counted: Vec<Figures> = counted
            .collect::<Result<_, _>>()
            .map_err(|error| failed(error, index, regions.len()))?;
        let kinds = Kind::ALL.map(|kind| Steadiness::new(region.name, kind, &counted));
        tell(region, &kinds, json, output)?;
        let wandering = kinds.iter().filter(|kind| !kind.steady);
        unsteady.extend(wandering.map(|kind| format!("{}: {}", region.name, kind.describe())));
    }
    if unsteady.is_empty() {
        Ok(())
    } else {
        Err(GateError::Unsteady(unsteady).into())
    }
}

fn tell(
    region: &Region,
    kinds: &[Steadiness],
    json: bool,
    output: &mut dyn Write,
) -> io::Result<()> {
    if json {
        return kinds.iter().try_for_each(|kind| report::line(kind, output));
    }
    writeln!(output, "{}", region.name)?;
    for kind in kinds {
        let verdict = if kind.steady { "steady" } else { "NOT STEADY" };
        writeln!(output, "  {}: {verdict}", kind.describe())?;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steadiness(kind: Kind, figures: &[f64]) -> Steadiness {
        let figures: Vec<Figures> = figures
            .iter()
            .map(|figure| Figures {
                instructions: *figure,
                allocations: *figure,
                system_calls: *figure,
            })
            .collect();
        Steadiness::new("some", kind, &figures)
    }

    #[test]
    fn half_a_per_cent_is_steady_and_more_is_not() {
        let of = |figures: &[f64]| steadiness(Kind::Instructions, figures).steady;
        assert!(of(&[200.0, 200.0, 201.0]));
        assert!(!of(&[200.0, 200.0, 201.1]));
        // An outlier is not hidden by many that agree.
        assert!(!of(&[200.0, 200.0, 200.0, 200.0, 200.0, 200.0, 198.0]));
    }

    #[test]
    fn of_what_is_rare_some_are_steady() {
        let of = |figures: &[f64]| steadiness(Kind::SystemCalls, figures).steady;
        assert!(of(&[0.0, 0.0, 0.0025]));
        assert!(!of(&[0.0, 0.0, 0.0026]));
    }

    #[test]
    fn of_next_to_none_there_is_no_percentage() {
        let of = steadiness(Kind::SystemCalls, &[0.0, 0.0001, 0.001]);
        assert_eq!(
            of.describe(),
            "system calls      0.000, from 0.000 to 0.001"
        );
    }

    #[test]
    fn it_is_told_to_people_and_programs() {
        let of = steadiness(Kind::SystemCalls, &[2.0, 1.0, 4.0]);
        assert_eq!(
            of.describe(),
            "system calls      2.000, from 1.000 to 4.000, 150.00 % apart"
        );
        assert_eq!(
            serde_json::to_value(&of).unwrap(),
            json!({
                "region": "some", "figure": "system_calls", "runs": [2.0, 1.0, 4.0], "median": 2.0, "range": 3.0,
                "tolerated": 0.01, "steady": false,
            })
        );
    }
}
