//! What was measured of one benchmark, with all combinations.

use std::collections::BTreeSet;

use serde::Serialize;

use super::choice::{Candidate, Choice, choose, rounds_needed};
use super::combination::Combination;
use super::rounds::Measured;
use crate::compare::verdict::Runs;
use crate::compare::{Ratio, is_rate};
use crate::parameters::Parameters;
use crate::record::{Record, Variant};

/// The reactor that is used where nobody chooses one, and the kernel allows it.
const DEFAULT_REACTOR: &str = "io_uring";

/// All rows are of the same benchmark, but for the reactor, with the same parameters, and have as many runs.
pub(crate) struct Table {
    pub(crate) benchmark: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) choice: Choice,
}

pub(crate) struct Row {
    pub(crate) record: Record,
    /// In how many parts it differs from the default.
    pub(crate) changes: usize,
    /// To the default, round by round; `None` where there are figures without a ratio.
    pub(crate) ratio: Option<Ratio>,
}

/// As programs read it. The keys are stable.
#[derive(Serialize)]
pub(crate) struct Printed<'a> {
    benchmark: &'a str,
    unit: &'a str,
    params: &'a Parameters,
    rounds: usize,
    /// How many a choice takes.
    rounds_needed: usize,
    recommended: Option<&'a Variant>,
    combinations: Vec<PrintedRow<'a>>,
}

#[derive(Serialize)]
struct PrintedRow<'a> {
    default: bool,
    /// Absent where there is no choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    may_be_the_best: Option<bool>,
    #[serde(flatten)]
    ratio: Option<&'a Ratio>,
    result: &'a Record,
}

impl Table {
    /// One table, or one for each of the values of a run that measures several.
    pub(crate) fn of(family: &str, measured: &[Measured]) -> Vec<Self> {
        let tables = measured.iter().map(|one| one.saved.results.len()).min();
        (0..tables.unwrap_or(0))
            .map(|index| {
                let rows = measured
                    .iter()
                    .map(|one| (one.combination, one.saved.results[index].clone()));
                Self::new(family.to_owned(), rows.collect())
            })
            .collect()
    }

    pub(crate) fn new(benchmark: String, rows: Vec<(Combination, Record)>) -> Self {
        let reactors: BTreeSet<&str> = rows
            .iter()
            .filter_map(|(_, record)| record.variant.reactor.as_deref())
            .collect();
        // Of one reactor alone nobody has chosen another.
        let default = reactors.contains(DEFAULT_REACTOR);
        let changes = |combination: Combination, record: &Record| {
            let reactor = record.variant.reactor.as_deref();
            let changed = default && reactor.is_some_and(|name| name != DEFAULT_REACTOR);
            combination.changes() + usize::from(changed)
        };
        let mut rows: Vec<Row> = rows
            .iter()
            .map(|(combination, record)| Row {
                changes: changes(*combination, record),
                record: record.clone(),
                ratio: None,
            })
            .collect();
        let default = rows
            .iter()
            .find(|row| row.changes == 0)
            .expect("the default features are a combination");
        let default: Vec<f64> = default.record.runs.runs().to_vec();
        for row in &mut rows {
            let runs = Runs {
                first: &default,
                second: row.record.runs.runs(),
                in_turn: true,
            };
            row.ratio = runs.ratio();
        }
        let candidates: Vec<Candidate<'_>> = rows
            .iter()
            .map(|row| Candidate {
                runs: row.record.runs.runs(),
                changes: row.changes,
            })
            .collect();
        let more_is_better = is_rate(&rows[0].record.unit);
        Self {
            choice: choose(&candidates, more_is_better),
            benchmark,
            rows,
        }
    }

    pub(crate) fn unit(&self) -> &str {
        &self.rows[0].record.unit
    }

    pub(crate) fn more_is_better(&self) -> bool {
        is_rate(self.unit())
    }

    pub(crate) fn params(&self) -> &Parameters {
        &self.rows[0].record.params
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rows[0].record.runs.runs().len()
    }

    pub(crate) fn rounds_needed(&self) -> usize {
        rounds_needed(self.rows.len())
    }

    /// Whether its rows have reactors.
    pub(crate) fn has_reactors(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.record.variant.reactor.is_some())
    }

    pub(crate) fn printed(&self) -> Printed<'_> {
        let recommended = self.choice.recommended();
        Printed {
            benchmark: &self.benchmark,
            unit: self.unit(),
            params: self.params(),
            rounds: self.rounds(),
            rounds_needed: self.rounds_needed(),
            recommended: recommended.map(|index| &self.rows[index].record.variant),
            combinations: self
                .rows
                .iter()
                .enumerate()
                .map(|(index, row)| PrintedRow {
                    default: row.changes == 0,
                    may_be_the_best: self.choice.may_be_best(index),
                    ratio: row.ratio.as_ref(),
                    result: &row.record,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As made up runs have it: what each combination is called, over each of these reactors.
    pub(crate) fn made_up(
        unit: &str,
        reactors: &[&str],
        runs: impl Fn(&Variant) -> Vec<f64>,
    ) -> Table {
        let reactors: Vec<Option<&str>> = match reactors {
            [] => vec![None],
            reactors => reactors.iter().copied().map(Some).collect(),
        };
        let mut rows = Vec::new();
        for combination in Combination::every() {
            for reactor in &reactors {
                let name = combination.name();
                let lock_free = |feature| {
                    if name.contains(feature) {
                        "lock-free"
                    } else {
                        "locking"
                    }
                };
                let variant = Variant {
                    run_queue: if name.contains("work-stealing") {
                        "work-stealing".to_owned()
                    } else {
                        lock_free("lock-free-run-queue").to_owned()
                    },
                    event_queue: lock_free("lock-free-event-queue").to_owned(),
                    semaphore: if name.contains("semaphore") {
                        "last-in-first-out-fixed-size".to_owned()
                    } else {
                        "kernel".to_owned()
                    },
                    reactor: reactor.map(str::to_owned),
                };
                let runs = runs(&variant);
                let record = json!({
                    "benchmark": "Some.Benchmark",
                    "variant": variant,
                    "params": {"workers": 2, "pin": false, "repeat": 10, "warmup": 0},
                    "unit": unit,
                    "median": crate::series::Series::new(runs.clone()).median(),
                    "runs": runs,
                    "peak_rss_bytes": 1,
                    "context_switches": {"voluntary": 0, "involuntary": 0},
                });
                rows.push((combination, serde_json::from_value(record).unwrap()));
            }
        }
        Table::new("Some.Benchmark".to_owned(), rows)
    }

    /// Nine rounds on a machine that becomes faster from round to round.
    pub(crate) fn rounds(figure: f64) -> Vec<f64> {
        (0..9)
            .map(|round| figure * (1.0 + f64::from(round) / 10.0))
            .collect()
    }

    #[test]
    fn ratios_are_to_the_default_of_the_same_round() {
        let table = made_up("messages/s", &[], |variant| {
            rounds(match variant.run_queue.as_str() {
                "work-stealing" => 200.0,
                "lock-free" => 150.0,
                _ => 50.0,
            })
        });
        let ratios: Vec<f64> = table
            .rows
            .iter()
            .map(|row| row.ratio.as_ref().unwrap().ratio)
            .collect();
        assert_eq!(
            ratios,
            [[0.25; 4], [0.75; 4], [1.0; 4]].concat(),
            "the machine cancels out"
        );
        assert_eq!(table.rows[11].changes, 0);
        assert_eq!(table.choice.recommended(), Some(11));
        assert_eq!(table.choice.may_be_best(8), Some(true));
        assert_eq!(table.choice.may_be_best(4), Some(false));
    }

    #[test]
    fn another_reactor_is_a_change_where_both_are_there() {
        let both = made_up("requests/s", &["epoll", "io_uring"], |_| rounds(1.0));
        let changes: Vec<usize> = both.rows.iter().map(|row| row.changes).collect();
        assert_eq!((both.rows.len(), &changes[20..]), (24, &[2, 1, 1, 0][..]));
        assert_eq!(both.rounds_needed(), 9);
        let one = made_up("requests/s", &["epoll"], |_| rounds(1.0));
        assert_eq!((one.rows[11].changes, one.rounds_needed()), (0, 8));
        assert!(one.has_reactors() && !made_up("x/s", &[], |_| rounds(1.0)).has_reactors());
    }

    #[test]
    fn the_keys_are_stable() {
        let table = made_up("bytes/process", &[], |variant| {
            rounds(if variant.semaphore == "kernel" {
                1.0
            } else {
                2.0
            })
        });
        assert!(!table.more_is_better());
        let mut printed = serde_json::to_value(table.printed()).unwrap();
        let combinations = printed["combinations"].take();
        assert_eq!(
            printed,
            json!({
                "benchmark": "Some.Benchmark",
                "unit": "bytes/process",
                "params": {"workers": 2, "pin": false, "repeat": 10, "warmup": 0},
                "rounds": 9,
                "rounds_needed": 8,
                "recommended": {"run_queue": "work-stealing", "event_queue": "lock-free", "semaphore": "kernel"},
                "combinations": null,
            })
        );
        let combinations = combinations.as_array().unwrap();
        assert_eq!(combinations.len(), 12);
        let mut last = combinations[11].clone();
        assert_eq!(
            last["result"].take()["variant"]["semaphore"],
            "last-in-first-out-fixed-size"
        );
        assert_eq!(
            last,
            json!({
                "default": true,
                "may_be_the_best": false,
                "ratio": 1.0,
                "interval": {"low": 1.0, "high": 1.0},
                "drift": 0.0,
                "result": null,
            })
        );

        let few = made_up("x/s", &[], |_| vec![1.0]);
        let few = serde_json::to_value(few.printed()).unwrap();
        assert_eq!(few["recommended"], Value::Null);
        assert_eq!(few["combinations"][0].get("may_be_the_best"), None);
    }
}
