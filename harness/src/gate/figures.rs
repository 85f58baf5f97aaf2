//! What an operation costs, and whether that is more than it did.

use serde::{Deserialize, Serialize};

use super::profile::Totals;

/// The part by which a figure may be worse than the baseline.
pub(crate) const TOLERANCE: f64 = 0.02;
/// The part of what the gate tolerates by which the figures of the same build may lie apart. Of instructions it is half a per cent.
const STEADY: f64 = 0.25;
/// Figures are kept to so many decimals: what is behind them is the noise of the start and the end of a run.
const DECIMALS: i32 = 4;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Instructions,
    Allocations,
    SystemCalls,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Instructions, Self::Allocations, Self::SystemCalls];

    /// Stable: `--json` and the baseline have it.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::SystemCalls => "system_calls",
        }
    }

    /// As people call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::SystemCalls => "system calls",
        }
    }

    /// Where most operations have none, two per cent of a few are nothing: one more in a hundred operations is tolerated, as a run that is ended a little later, or
    /// looks once more at what is due, has some.
    const fn least_tolerated(self) -> f64 {
        match self {
            Self::Instructions => 0.0,
            Self::Allocations | Self::SystemCalls => 0.01,
        }
    }

    /// By how much a figure may differ from this one.
    pub(crate) fn tolerated(self, baseline: f64) -> f64 {
        (TOLERANCE * baseline).max(self.least_tolerated())
    }

    /// By how much figures of the same build may lie apart, if this is the one in the middle.
    pub(crate) fn steady(self, median: f64) -> f64 {
        STEADY * self.tolerated(median)
    }

    pub(crate) fn judge(self, baseline: f64, counted: f64) -> Verdict {
        let tolerated = self.tolerated(baseline);
        if counted > baseline + tolerated {
            Verdict::Worse
        } else if counted < baseline - tolerated {
            Verdict::Better
        } else {
            Verdict::AsBefore
        }
    }
}

/// What is said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Verdict {
    #[serde(rename = "as before")]
    AsBefore,
    #[serde(rename = "worse")]
    Worse,
    #[serde(rename = "better")]
    Better,
    /// The baseline has nothing of the region, or counted it otherwise.
    #[serde(rename = "new")]
    New,
    /// The baseline was counted where this kind of figure is another one.
    #[serde(rename = "not judged")]
    NotJudged,
}

impl Verdict {
    /// As `--json` has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::AsBefore => "as before",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::New => "new",
            Self::NotJudged => "not judged",
        }
    }
}

/// Of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    pub(crate) system_calls: f64,
}

impl Figures {
    /// Of the operations that the second run did and the first did not. What both did besides, such as to start and to end, is in neither figure.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub(crate) fn of_difference(smaller: Totals, larger: Totals, operations: u64) -> Self {
        assert!(operations > 0, "the runs differ");
        let figure = |total: fn(Totals) -> u64| {
            let each = (total(larger) as f64 - total(smaller) as f64) / operations as f64;
            // A run may begin or end with one more than the other: of an operation that has none, that is less than nothing.
            rounded(each).max(0.0)
        };
        Self {
            instructions: figure(|totals| totals.instructions),
            allocations: figure(|totals| totals.allocations),
            system_calls: figure(|totals| totals.system_calls),
        }
    }

    pub(crate) fn get(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Instructions => self.instructions,
            Kind::Allocations => self.allocations,
            Kind::SystemCalls => self.system_calls,
        }
    }

    pub(crate) fn set(&mut self, kind: Kind, figure: f64) {
        *match kind {
            Kind::Instructions => &mut self.instructions,
            Kind::Allocations => &mut self.allocations,
            Kind::SystemCalls => &mut self.system_calls,
        } = figure;
    }
}

fn rounded(figure: f64) -> f64 {
    let scale = 10_f64.powi(DECIMALS);
    (figure * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_per_cent_are_tolerated_and_no_more() {
        for (counted, verdict) in [
            (100.0, Verdict::AsBefore),
            (102.0, Verdict::AsBefore),
            (102.001, Verdict::Worse),
            (98.0, Verdict::AsBefore),
            (97.999, Verdict::Better),
            (0.0, Verdict::Better),
        ] {
            assert_eq!(
                Kind::Instructions.judge(100.0, counted),
                verdict,
                "{counted}"
            );
            assert_eq!(
                Kind::Allocations.judge(100.0, counted),
                verdict,
                "{counted}"
            );
            assert_eq!(
                Kind::SystemCalls.judge(100.0, counted),
                verdict,
                "{counted}"
            );
        }
    }

    #[test]
    fn of_what_is_rare_one_in_a_hundred_operations_is_tolerated() {
        for kind in [Kind::Allocations, Kind::SystemCalls] {
            assert_eq!(kind.judge(0.0, 0.01), Verdict::AsBefore);
            assert_eq!(kind.judge(0.0, 0.0101), Verdict::Worse);
            assert_eq!(kind.judge(0.02, 0.0099), Verdict::Better);
            // From half an allocation on, two per cent are more than that.
            assert_eq!(kind.judge(1.0, 1.02), Verdict::AsBefore);
            assert_eq!(kind.judge(1.0, 1.0201), Verdict::Worse);
        }
        assert_eq!(Kind::Instructions.judge(0.0, 0.01), Verdict::Worse);
    }

    #[test]
    fn steady_is_half_a_per_cent_of_instructions() {
        assert_eq!(Kind::Instructions.steady(200.0), 1.0);
        assert_eq!(Kind::Allocations.steady(2.0), 0.01);
        assert_eq!(Kind::SystemCalls.steady(0.0), 0.0025);
    }

    #[test]
    fn a_difference_is_of_what_the_second_run_did_more() {
        let smaller = Totals {
            instructions: 1_000_000,
            allocations: 700,
            system_calls: 300,
        };
        let larger = Totals {
            instructions: 1_205_375,
            allocations: 1_700,
            system_calls: 299,
        };
        let figures = Figures::of_difference(smaller, larger, 1_000);
        let expected = Figures {
            instructions: 205.375,
            allocations: 1.0,
            // One less in the second run is no figure below zero.
            system_calls: 0.0,
        };
        assert_eq!(figures, expected);
        let larger = Totals {
            instructions: 1_000_001,
            ..smaller
        };
        let figures = Figures::of_difference(smaller, larger, 3);
        assert_eq!(figures.instructions, 0.3333);
    }

    #[test]
    fn each_kind_has_a_figure_of_its_own() {
        let mut figures = Figures {
            instructions: 0.0,
            allocations: 0.0,
            system_calls: 0.0,
        };
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            figures.set(kind, index as f64 + 1.0);
        }
        assert_eq!(Kind::ALL.map(|kind| figures.get(kind)), [1.0, 2.0, 3.0]);
        let json = serde_json::to_value(figures).unwrap();
        for kind in Kind::ALL {
            assert_eq!(json[kind.key()], figures.get(kind), "{json}");
        }
    }
}
