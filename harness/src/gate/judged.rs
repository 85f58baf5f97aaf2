//! What is said of a region, by its baseline.

use serde::Serialize;
use serde::ser::SerializeMap;

use super::baseline::{Entry, comparable};
use super::figures::{Kind, TOLERANCE, Verdict};
use super::region::Region;

/// A region's figures and what is said of each. Its keys are stable: `--json` prints them.
#[derive(Serialize)]
pub(super) struct Judged {
    pub(super) region: &'static str,
    pub(super) operation: &'static str,
    pub(super) repeats: [u64; 2],
    #[serde(serialize_with = "by_kind")]
    pub(super) figures: [JudgedFigure; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct JudgedFigure {
    #[serde(skip)]
    pub(super) kind: Kind,
    pub(super) counted: f64,
    /// None where there is nothing to compare with.
    pub(super) baseline: Option<f64>,
    /// By how much it may be more.
    pub(super) tolerated: Option<f64>,
    pub(super) verdict: Verdict,
}

fn by_kind<S: serde::Serializer>(
    figures: &[JudgedFigure; 3],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(figures.len()))?;
    for figure in figures {
        map.serialize_entry(figure.kind.key(), figure)?;
    }
    map.end()
}

impl Judged {
    /// By what the baseline has of it, which was counted in this environment or in another one.
    pub(super) fn new(
        region: &'static Region,
        counted: Entry,
        known: Option<&Entry>,
        is_here: bool,
    ) -> Self {
        let known = comparable(known, counted.repeats);
        let figures = Kind::ALL.map(|kind| {
            let figure = counted.figures.get(kind);
            let baseline = known.map(|figures| figures.get(kind));
            let verdict = match baseline {
                None => Verdict::New,
                Some(_) if kind == Kind::Instructions && !is_here => Verdict::NotJudged,
                Some(baseline) => kind.judge(baseline, figure),
            };
            JudgedFigure {
                kind,
                counted: figure,
                baseline,
                tolerated: baseline.map(|baseline| kind.tolerated(baseline)),
                verdict,
            }
        });
        Self {
            region: region.name,
            operation: region.operation,
            repeats: counted.repeats,
            figures,
        }
    }

    /// Why the gate does not let it through, a line for each reason.
    pub(super) fn failures(&self) -> Vec<String> {
        if self.figures[0].verdict == Verdict::New {
            return vec![format!(
                "{}: the baseline has nothing of it, or counted it with other repeats",
                self.region
            )];
        }
        let figures = self.figures.iter();
        figures
            .filter(|figure| figure.verdict == Verdict::Worse)
            .map(|figure| {
                format!(
                    "{}: {} {}, and {} in the baseline{}",
                    self.region,
                    decimals(figure.counted),
                    figure.kind.title(),
                    decimals(figure.baseline.unwrap_or_default()),
                    figure.change().map_or_else(String::new, |change| format!(
                        ": {change}, where {:.0} % are tolerated",
                        TOLERANCE * 100.0
                    ))
                )
            })
            .collect()
    }
}

impl JudgedFigure {
    /// From the baseline, in per cent. None of so little that it may double.
    pub(super) fn change(&self) -> Option<String> {
        let least = self.tolerated.unwrap_or_default();
        let baseline = self.baseline.filter(|baseline| *baseline > least)?;
        let change = (self.counted / baseline - 1.0) * 100.0;
        // No -0.0 %.
        let change = if change.abs() < 0.05 { 0.0 } else { change };
        Some(format!("{change:+.1} %"))
    }
}

/// As many as are worth it: of few, more.
pub(super) fn decimals(figure: f64) -> String {
    if figure < 10.0 {
        format!("{figure:.3}")
    } else {
        format!("{figure:.1}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gate::figures::Figures;
    use crate::gate::region;

    fn entry(repeats: [u64; 2], instructions: f64, allocations: f64) -> Entry {
        Entry {
            repeats,
            figures: Figures {
                instructions,
                allocations,
                system_calls: 0.0,
            },
        }
    }

    fn judged(counted: Entry, known: Option<Entry>, is_here: bool) -> Judged {
        let region = region::find("then").unwrap();
        Judged::new(region, counted, known.as_ref(), is_here)
    }

    #[test]
    fn what_is_worse_is_told_with_its_figure() {
        let before = entry([1, 2], 100.0, 1.0);
        let same = judged(before, Some(before), true);
        assert_eq!(same.failures(), Vec::<String>::new());
        let worse = judged(entry([1, 2], 103.04, 2.0), Some(before), true);
        assert_eq!(
            worse.failures(),
            [
                "then: 103.0 instructions, and 100.0 in the baseline: +3.0 %, where 2 % are tolerated",
                "then: 2.000 allocations, and 1.000 in the baseline: +100.0 %, where 2 % are tolerated",
            ]
        );
        // Of none, or next to none, there is no percentage.
        for (before, told) in [(0.0, "0.000"), (0.005, "0.005")] {
            let before = entry([1, 2], 100.0, before);
            let worse = judged(entry([1, 2], 100.0, 1.0), Some(before), true);
            let expected = format!("then: 1.000 allocations, and {told} in the baseline");
            assert_eq!(worse.failures(), [expected]);
        }
    }

    #[test]
    fn what_is_better_passes() {
        let counted = entry([1, 2], 90.0, 0.0);
        let better = judged(counted, Some(entry([1, 2], 100.0, 1.0)), true);
        assert_eq!(better.failures(), Vec::<String>::new());
        let verdicts = better.figures.map(|figure| figure.verdict);
        use Verdict::{AsBefore, Better};
        assert_eq!(verdicts, [Better, Better, AsBefore]);
    }

    #[test]
    fn what_cannot_be_compared_fails() {
        let counted = entry([1, 2], 100.0, 1.0);
        for known in [None, Some(entry([1, 3], 100.0, 1.0))] {
            let new = judged(counted, known, true);
            assert!(
                new.figures
                    .iter()
                    .all(|figure| figure.verdict == Verdict::New)
            );
            assert_eq!(new.failures().len(), 1);
        }
    }

    #[test]
    fn elsewhere_only_instructions_are_others() {
        let known = entry([1, 2], 100.0, 1.0);
        let elsewhere = judged(entry([1, 2], 200.0, 1.0), Some(known), false);
        assert_eq!(elsewhere.failures(), Vec::<String>::new());
        assert_eq!(elsewhere.figures[0].verdict, Verdict::NotJudged);
        let worse = judged(entry([1, 2], 200.0, 2.0), Some(known), false);
        assert_eq!(worse.failures().len(), 1);
    }

    #[test]
    fn the_keys_are_stable() {
        let counted = entry([1, 2], 100.0, 1.0);
        let judged = judged(counted, Some(entry([1, 2], 100.0, 0.5)), true);
        let json = serde_json::to_value(&judged).unwrap();
        assert_eq!(
            json,
            json!({
                "region": "then",
                "operation": judged.operation,
                "repeats": [1, 2],
                "figures": {
                    "instructions": {"counted": 100.0, "baseline": 100.0, "tolerated": 2.0, "verdict": "as before"},
                    "allocations": {"counted": 1.0, "baseline": 0.5, "tolerated": 0.01, "verdict": "worse"},
                    "system_calls": {"counted": 0.0, "baseline": 0.0, "tolerated": 0.01, "verdict": "as before"},
                },
            })
        );
    }
}
