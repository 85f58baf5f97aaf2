//! Benchmarks that are measured together: those that differ in nothing but the reactor.

use libprocess::{ReactorKind, Runtime};

use crate::filter::Filter;
use crate::registry::{self, NoMatch};

/// Where nobody says what to measure: the same work within a runtime and between two, so that both queues and the reactor have a part.
const DEFAULTS: [&str; 3] = [
    registry::DEFAULT,
    "Remote.ThroughputPerformance",
    "Remote.ThroughputPerformance.Epoll",
];

/// Benchmarks of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// Their name, without that of a reactor.
    pub(crate) name: String,
    pub(crate) benchmarks: Vec<String>,
}

/// Of these benchmarks, those that the filters let through, or that are measured without a filter; families in the order of their first ones.
pub(crate) fn select(filters: &[Filter], there: Vec<String>) -> Result<Vec<Family>, NoMatch> {
    let mut selected = there.clone();
    selected.retain(|name| match filters {
        [] => DEFAULTS.contains(&name.as_str()) && can_be_had(name),
        filters => Filter::any_matches(filters, name),
    });
    if selected.is_empty() {
        return Err(NoMatch::among(filters, there));
    }
    let mut families: Vec<Family> = Vec::new();
    for benchmark in selected {
        let name = family(&benchmark);
        match families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.benchmarks.push(benchmark),
            None => families.push(Family {
                name: name.to_owned(),
                benchmarks: vec![benchmark],
            }),
        }
    }
    Ok(families)
}

fn reactor(benchmark: &str) -> Option<ReactorKind> {
    registry::find(benchmark)?.reactor()
}

fn family(benchmark: &str) -> &str {
    match reactor(benchmark) {
        Some(_) => registry::without_reactor(benchmark),
        None => benchmark,
    }
}

/// Whether its reactor is one that this machine, and this program, can have. Who is told of the others would wonder what is wrong.
fn can_be_had(benchmark: &str) -> bool {
    let Some(reactor) = reactor(benchmark) else {
        return true;
    };
    match Runtime::builder().workers(1).reactor(reactor).build() {
        Ok(runtime) => {
            runtime.shutdown();
            true
        }
        Err(error) => {
            eprintln!("{benchmark} is left out: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::BENCHMARKS;

    fn all() -> Vec<String> {
        BENCHMARKS
            .iter()
            .map(|benchmark| benchmark.name().to_owned())
            .collect()
    }

    fn selected(filter: &str) -> Vec<Family> {
        select(&[filter.parse().unwrap()], all()).unwrap()
    }

    #[test]
    fn what_differs_in_the_reactor_is_a_family() {
        let names = |family: &Family| -> (String, Vec<String>) {
            (family.name.clone(), family.benchmarks.clone())
        };
        let families: Vec<_> = selected("Remote.*:Net.Echo.*:Spawn.Life")
            .iter()
            .map(names)
            .collect();
        let family = |name: &str, benchmarks: &[&str]| {
            let benchmarks = benchmarks.iter().map(|&name| name.to_owned());
            (name.to_owned(), benchmarks.collect())
        };
        assert_eq!(
            families,
            [
                family("Spawn.Life", &["Spawn.Life"]),
                family(
                    "Remote.ThroughputPerformance",
                    &[
                        "Remote.ThroughputPerformance.Epoll",
                        "Remote.ThroughputPerformance"
                    ]
                ),
                family(
                    "Remote.PingPong",
                    &["Remote.PingPong.Epoll", "Remote.PingPong"]
                ),
                family("Net.Echo", &["Net.Echo.IoUring", "Net.Echo.Epoll"]),
                family("Net.Echo.CannedIoUring", &["Net.Echo.CannedIoUring"]),
                family("Net.Echo.CannedEpoll", &["Net.Echo.CannedEpoll"]),
            ]
        );
        assert_eq!(selected("Net.Echo.Epoll")[0].benchmarks.len(), 1);
    }

    /// What is in one table is in one unit, and did the same work.
    #[test]
    fn a_family_is_over_each_reactor_once() {
        for family in selected("*") {
            let benchmarks: Vec<_> = family
                .benchmarks
                .iter()
                .map(|name| registry::find(name).unwrap())
                .collect();
            let [first, others @ ..] = benchmarks.as_slice() else {
                panic!("{family:?}");
            };
            let expected = usize::from(first.reactor().is_some());
            assert_eq!(others.len(), expected, "{family:?}");
            for other in others {
                assert_ne!(other.reactor(), first.reactor(), "{family:?}");
                assert_eq!(other.unit(), first.unit(), "{family:?}");
                assert_eq!(other.defaults(), first.defaults(), "{family:?}");
            }
        }
    }

    #[test]
    fn without_a_filter_both_queues_and_the_reactor_have_a_part() {
        let names: Vec<String> = select(&[], all())
            .unwrap()
            .into_iter()
            .map(|family| family.name)
            .collect();
        assert_eq!(names, [registry::DEFAULT, "Remote.ThroughputPerformance"]);
    }

    #[test]
    fn nothing_is_told_with_what_there_is() {
        let error = select(&["X*".parse().unwrap()], vec!["Y".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("`X*`; there are:\n  Y"));
    }
}
