//! Which results belong together.

use crate::filter::Filter;
use crate::record::Record;
use crate::registry::NoMatch;
use crate::report::describe;
use crate::saved::Saved;

/// The results of two files, in the order of the first.
#[derive(Debug)]
pub(crate) struct Pairing<'a> {
    pub(crate) pairs: Vec<[&'a Record; 2]>,
    /// What only the one has, and what only the other.
    pub(crate) alone: [Vec<&'a Record>; 2],
}

/// What was measured with other parameters was other work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{benchmark} was measured with other parameters:\n  A: {parameters_a}\n  B: {parameters_b}\nmeasure again with the same ones, leave it out with --benchmark '*-{benchmark}', or compare all the same with --ignore-parameters"
)]
pub(crate) struct Mismatch {
    benchmark: String,
    parameters_a: String,
    parameters_b: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPairs {
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    #[error(transparent)]
    NoMatch(#[from] NoMatch),
    #[error(
        "{benchmark} is in {unit_a} in A and in {unit_b} in B: its figures have no ratio; leave it out with --benchmark '*-{benchmark}'"
    )]
    Units {
        benchmark: String,
        unit_a: String,
        unit_b: String,
    },
    #[error("the results have no benchmark in common; A has:{}\nB has:{}", list(.0), list(.1))]
    NothingInCommon(Vec<String>, Vec<String>),
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("\n  {name}")).collect()
}

impl<'a> Pairing<'a> {
    /// Of the benchmarks that any of the filters lets through; without a filter, of all.
    pub(crate) fn new(
        [first, second]: [&'a Saved; 2],
        filters: &[Filter],
        ignore_parameters: bool,
    ) -> Result<Self, NoPairs> {
        let selected = |saved: &'a Saved| -> Vec<&'a Record> {
            let asked = |record: &&Record| Filter::any_matches(filters, &record.benchmark);
            saved.results.iter().filter(asked).collect()
        };
        let names = |saved: &Saved| -> Vec<String> {
            let names = saved.results.iter().map(|record| record.benchmark.clone());
            names.collect()
        };
        let (firsts, mut seconds) = (selected(first), selected(second));
        if firsts.is_empty() && seconds.is_empty() && !filters.is_empty() {
            let there = [names(first), names(second)].concat();
            return Err(NoMatch::among(filters, there).into());
        }
        // Of a matrix, which has many, the builds say which is which; else they are what is compared.
        let is_one_of_many = |record: &Record| {
            let many = |records: &[&Record]| {
                let same = records.iter().filter(|other| same_work(record, other));
                same.count() > 1
            };
            many(&firsts) || many(&seconds)
        };
        let of_many: Vec<bool> = firsts.iter().map(|a| is_one_of_many(a)).collect();
        let mut partners: Vec<Option<&Record>> = firsts
            .iter()
            .map(|a| {
                let same = |b: &&Record| same_work(a, b) && b.variant.is_as(&a.variant);
                take(&mut seconds, same)
            })
            .collect();
        for ((a, partner), of_many) in firsts.iter().zip(&mut partners).zip(of_many) {
            if partner.is_none() && !of_many {
                *partner = take(&mut seconds, |b| same_work(a, b));
            }
        }
        // Only what has found no partner of its own parameters looks for one of others.
        for (a, partner) in firsts.iter().zip(&mut partners) {
            if partner.is_none() {
                let other = |b: &&Record| b.benchmark == a.benchmark && b.params != a.params;
                *partner = take(&mut seconds, other);
                match partner {
                    Some(b) if !ignore_parameters => return Err(Mismatch::new(a, b).into()),
                    _ => {}
                }
            }
        }
        let mut pairing = Self {
            pairs: Vec::new(),
            alone: [Vec::new(), seconds],
        };
        for (a, partner) in firsts.into_iter().zip(partners) {
            match partner {
                Some(b) if a.unit != b.unit => {
                    return Err(NoPairs::Units {
                        benchmark: a.benchmark.clone(),
                        unit_a: a.unit.clone(),
                        unit_b: b.unit.clone(),
                    });
                }
                Some(b) => pairing.pairs.push([a, b]),
                None => pairing.alone[0].push(a),
            }
        }
        if pairing.pairs.is_empty() {
            return Err(NoPairs::NothingInCommon(names(first), names(second)));
        }
        Ok(pairing)
    }
}

fn same_work(a: &Record, b: &Record) -> bool {
    a.benchmark == b.benchmark && a.params == b.params
}

fn take<'a>(
    records: &mut Vec<&'a Record>,
    wanted: impl Fn(&&Record) -> bool,
) -> Option<&'a Record> {
    let at = records.iter().position(wanted)?;
    Some(records.remove(at))
}

impl Mismatch {
    fn new(a: &Record, b: &Record) -> Self {
        Self {
            benchmark: a.benchmark.clone(),
            parameters_a: describe(&a.params),
            parameters_b: describe(&b.params),
        }
    }
}

/// Whether the runs were taken in turn, A B, B A, A B and so on: then each pair saw the same machine, and neither was always the first.
pub(crate) fn in_turn(a: &Record, b: &Record) -> bool {
    let runs = a.runs.runs().len();
    if [&a.began_unix_ms, &b.began_unix_ms].map(Vec::len) != [runs; 2]
        || b.runs.runs().len() != runs
    {
        return false;
    }
    let pairs: Vec<(u64, u64)> = a
        .began_unix_ms
        .iter()
        .copied()
        .zip(b.began_unix_ms.iter().copied())
        .collect();
    let apart = pairs
        .windows(2)
        .all(|pairs| pairs[0].0.max(pairs[0].1) < pairs[1].0.min(pairs[1].1));
    let a_first = pairs.iter().filter(|(a, b)| a < b).count();
    let b_first = pairs.iter().filter(|(a, b)| b < a).count();
    apart && a_first + b_first == runs && a_first.abs_diff(b_first) <= 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(benchmark: &str, repeat: u64, began: &[u64]) -> Record {
        let runs = vec![1.0; began.len().max(1)];
        serde_json::from_value(json!({
            "benchmark": benchmark,
            "variant": {"run_queue": "a", "event_queue": "b", "semaphore": "c"},
            "params": {"workers": 1, "pin": false, "repeat": repeat, "warmup": 1},
            "unit": "things/s",
            "median": 1.0,
            "runs": runs,
            "began_unix_ms": began,
            "peak_rss_bytes": 1,
            "context_switches": {"voluntary": 0, "involuntary": 0},
        }))
        .unwrap()
    }

    fn saved(results: &[(&str, u64)]) -> Saved {
        let results = results
            .iter()
            .map(|(benchmark, repeat)| record(benchmark, *repeat, &[]));
        Saved::of_this_build(None, results.collect())
    }

    fn names(records: &[&Record]) -> Vec<String> {
        let name = |record: &&Record| format!("{} {}", record.benchmark, record.params.repeat);
        records.iter().map(name).collect()
    }

    #[test]
    fn names_and_parameters_decide() {
        let first = saved(&[("X", 1), ("Y", 1), ("Y", 2), ("OnlyA", 1)]);
        let second = saved(&[("OnlyB", 1), ("Y", 2), ("Y", 1), ("X", 1)]);
        let pairing = Pairing::new([&first, &second], &[], false).unwrap();
        let pairs: Vec<_> = pairing.pairs.iter().map(|pair| names(pair)).collect();
        assert_eq!(pairs, [["X 1", "X 1"], ["Y 1", "Y 1"], ["Y 2", "Y 2"]]);
        assert_eq!(names(&pairing.alone[0]), ["OnlyA 1"]);
        assert_eq!(names(&pairing.alone[1]), ["OnlyB 1"]);
    }

    #[test]
    fn other_parameters_are_refused_unless_asked_for() {
        let (first, second) = (
            saved(&[("X", 1), ("Y", 1)]),
            saved(&[("X", 1), ("Y", 2_000)]),
        );
        let error = Pairing::new([&first, &second], &[], false).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("Y was measured with other parameters"),
            "{text}"
        );
        assert!(
            text.contains("repeat 2,000") && text.contains("--ignore-parameters"),
            "{text}"
        );
        let pairing = Pairing::new([&first, &second], &[], true).unwrap();
        assert_eq!(names(&pairing.pairs[1]), ["Y 1", "Y 2000"]);
        // What is left out is not looked at.
        let filter = "*-Y".parse().unwrap();
        let pairing = Pairing::new([&first, &second], &[filter], false).unwrap();
        assert_eq!(pairing.pairs.len(), 1);
    }

    #[test]
    fn a_sweep_without_a_counterpart_is_no_mismatch() {
        let (first, second) = (saved(&[("X", 1), ("X", 2)]), saved(&[("X", 2)]));
        let pairing = Pairing::new([&first, &second], &[], false).unwrap();
        assert_eq!(names(&pairing.pairs[0]), ["X 2", "X 2"]);
        assert_eq!(names(&pairing.alone[0]), ["X 1"]);
    }

    fn of_queues(queues: &[&str]) -> Saved {
        let record = |queue: &&str| {
            let mut record = record("X", 1, &[]);
            record.variant.run_queue = (*queue).to_owned();
            record
        };
        Saved::of_this_build(None, queues.iter().map(record).collect())
    }

    #[test]
    fn of_many_builds_each_finds_its_own() {
        let pairs = |a: &[&str], b: &[&str]| -> Vec<String> {
            let (first, second) = (of_queues(a), of_queues(b));
            match Pairing::new([&first, &second], &[], false) {
                Ok(pairing) => pairing
                    .pairs
                    .iter()
                    .map(|[a, b]| format!("{} {}", a.variant.run_queue, b.variant.run_queue))
                    .collect(),
                Err(error) => vec![error.to_string()],
            }
        };
        assert_eq!(pairs(&["a"], &["b"]), ["a b"], "two builds are compared");
        assert_eq!(
            pairs(&["a", "b", "c"], &["c", "b", "a"]),
            ["a a", "b b", "c c"]
        );
        assert_eq!(pairs(&["b"], &["a", "b", "c"]), ["b b"]);
        assert_eq!(pairs(&["a", "b", "c"], &["c"]), ["c c"]);
        let text = &pairs(&["a", "b"], &["c"])[0];
        assert!(text.contains("no benchmark in common"), "{text}");
    }

    #[test]
    fn nothing_in_common_says_what_there_is() {
        let (first, second) = (saved(&[("X", 1)]), saved(&[("Y", 1)]));
        let text = Pairing::new([&first, &second], &[], false)
            .unwrap_err()
            .to_string();
        assert!(text.contains("A has:\n  X\nB has:\n  Y"), "{text}");
        let filter = "Z*".parse().unwrap();
        let text = Pairing::new([&first, &second], &[filter], false)
            .unwrap_err()
            .to_string();
        assert!(text.contains("`Z*`; there are:\n  X\n  Y"), "{text}");
    }

    #[test]
    fn only_what_alternates_fairly_is_in_turn() {
        let are = |a: &[u64], b: &[u64]| in_turn(&record("X", 1, a), &record("X", 1, b));
        assert!(are(&[1, 4, 5], &[2, 3, 6]), "A B, B A, A B");
        assert!(!are(&[1, 3, 5], &[2, 4, 6]), "A is always the first");
        assert!(!are(&[1, 2, 3], &[4, 5, 6]), "one after the other");
        assert!(!are(&[1, 4, 7], &[2, 6, 5]), "the pairs overlap");
        assert!(!are(&[1, 4], &[2, 3, 6]), "one has fewer");
        assert!(!are(&[1, 4, 5], &[1, 3, 6]), "at the same time");
        assert!(!are(&[], &[]), "when, is not known");
    }
}
