//! What is counted: pieces of work that one worker does, in the same order each time.
//!
//! Each is done by a child, under valgrind, twice: with some repeats and with more. What of it is not an operation's is in both and cancels out.

use std::time::Duration;

use crate::benchmark::{Benchmark, Setting};
use crate::benchmarks::dispatch_defer::DispatchDefer;
use crate::benchmarks::futures::ThenChain;
use crate::benchmarks::protobuf::INSTALL_HANDLER;
use crate::benchmarks::spawn_life::SpawnLife;
use crate::benchmarks::throughput::ThroughputPerformance;
use crate::benchmarks::{clock, dispatch};
use crate::failure::Failure;
use crate::filter::Filter;
use crate::measure;
use crate::parameters::{Defaults, Overrides};
use crate::progress::Progress;
use crate::registry::NoMatch;
use crate::watchdog;

use super::http;
use super::plant::Plant;

/// Work, and how much of it.
pub(crate) struct Region {
    /// Stable: baselines have it.
    pub(crate) name: &'static str,
    /// What one is, of those that are counted.
    pub(crate) operation: &'static str,
    /// Of the two runs. The first ones are enough for all memory to be there that is used again.
    repeats: [u64; 2],
    operations_in_repeat: u64,
    defaults: Defaults,
    work: fn(&Setting<'_>) -> Result<(), Failure>,
}

/// In the order in which they are counted.
pub(crate) static REGIONS: [Region; 9] = [
    Region {
        name: "message",
        operation: "a message sent by name and served, 1,000 under way",
        repeats: [20_000, 120_000],
        operations_in_repeat: 2,
        defaults: Defaults::new(1).pairs().window(1_000),
        work: |setting| run(&ThroughputPerformance, setting),
    },
    Region {
        name: "message-alone",
        operation: "a message sent by name to a process that has nothing to do, and served",
        repeats: [5_000, 35_000],
        operations_in_repeat: 2,
        defaults: Defaults::new(1).pairs().window(1),
        work: |setting| run(&ThroughputPerformance, setting),
    },
    Region {
        name: "dispatch",
        operation: "a dispatch whose future an async block awaits, 1,000 under way",
        repeats: [10_000, 60_000],
        operations_in_repeat: 1,
        defaults: Defaults::new(1).window(1_000),
        work: |setting| dispatch::dispatch_and_await(setting).map(drop),
    },
    Region {
        name: "defer",
        operation: "two dispatches to itself, the second one deferred until the first is done",
        repeats: [5_000, 25_000],
        operations_in_repeat: 1,
        defaults: Defaults::new(1),
        work: |setting| run(&DispatchDefer::Movable, setting),
    },
    Region {
        name: "then",
        operation: "a `then` in chains of 1,000: made, completed and freed",
        repeats: [20_000, 80_000],
        operations_in_repeat: 1,
        defaults: Defaults::new(1),
        work: |setting| run(&ThenChain, setting),
    },
    Region {
        name: "life",
        operation: "a process spawned, sent its first message, and terminated behind it",
        repeats: [5_000, 25_000],
        operations_in_repeat: 1,
        defaults: Defaults::new(1).window(64),
        work: |setting| run(&SpawnLife, setting),
    },
    Region {
        name: "timer",
        operation: "a timer started and cancelled, while 11,000 others are pending",
        repeats: [5_000, 45_000],
        operations_in_repeat: 1,
        defaults: Defaults::new(1).window(1_000),
        work: |setting| clock::start_and_cancel(setting).map(drop),
    },
    Region {
        name: "protobuf",
        operation: "a protobuf message, or submessage, decoded for its handler",
        // Of messages with a hundred submessages each.
        repeats: [10_100, 50_500],
        operations_in_repeat: 1,
        defaults: Defaults::new(1),
        work: |setting| run(&INSTALL_HANDLER[5], setting),
    },
    Region {
        name: "http",
        operation: "an HTTP request and its response, client and server, over a socket",
        repeats: [200, 2_200],
        operations_in_repeat: 1,
        defaults: Defaults::new(1),
        work: http::exchange,
    },
];

fn run(benchmark: &dyn Benchmark, setting: &Setting<'_>) -> Result<(), Failure> {
    benchmark.run(setting).map(drop)
}

impl Region {
    /// Of its two runs, if each is to have so much less to do.
    pub(crate) fn repeats(&self, divisor: u64) -> [u64; 2] {
        let [smaller, larger] = self.repeats.map(|repeat| (repeat / divisor).max(1));
        // Also where nothing is left of the difference.
        [smaller, larger.max(smaller + 1)]
    }

    pub(crate) fn operations(&self, repeats: u64) -> u64 {
        repeats * self.operations_in_repeat
    }

    /// The child's side: all of a run. One that does not end ends this program.
    pub(crate) fn run(
        &self,
        repeat: u64,
        plant: Option<Plant>,
        limit: Duration,
    ) -> Result<(), Failure> {
        let overrides = Overrides {
            workers: Some(1),
            pairs: Some(1),
            repeat: Some(repeat),
            ..Overrides::default()
        };
        let runtime = overrides.build_runtime(self.defaults)?;
        let parameters = overrides.resolve(self.defaults, runtime.workers(), 0)?;
        let setting = Setting {
            runtime: &runtime,
            parameters: &parameters,
            progress: &Progress::new(self.name.to_owned(), repeat),
        };
        let give_up = || {
            watchdog::give_up(self.name, limit, || {
                format!("{repeat} repeats were to be done")
            });
        };
        watchdog::guarded(limit, give_up, || (self.work)(&setting))?;
        if let Some(plant) = plant {
            plant.spoil(self.operations(repeat));
        }
        measure::shut_down(runtime, self.name, limit);
        Ok(())
    }
}

/// The one of exactly this name.
pub(crate) fn find(name: &str) -> Option<&'static Region> {
    REGIONS.iter().find(|region| region.name == name)
}

/// Those that any of the filters lets through; without a filter, all.
pub(crate) fn select(filters: &[Filter]) -> Result<Vec<&'static Region>, NoMatch> {
    let regions = REGIONS.iter();
    let selected: Vec<&Region> = regions
        .filter(|region| Filter::any_matches(filters, region.name))
        .collect();
    if selected.is_empty() {
        return Err(NoMatch::of_regions(filters, names()));
    }
    Ok(selected)
}

pub(super) fn names() -> Vec<String> {
    REGIONS
        .iter()
        .map(|region| region.name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    #[test]
    fn each_name_is_there_once_and_found() {
        let names: BTreeSet<&str> = REGIONS.iter().map(|region| region.name).collect();
        assert_eq!(names.len(), REGIONS.len());
        for region in &REGIONS {
            assert_eq!(find(region.name).unwrap().name, region.name);
        }
        assert!(find("*").is_none());
    }

    /// Each checks its own result.
    #[test]
    fn each_can_be_run() {
        for region in &REGIONS {
            let [smaller, larger] = region.repeats(100);
            assert!(smaller < larger, "{}", region.name);
            region.run(larger, None, LIMIT).unwrap();
        }
    }

    #[test]
    fn there_is_always_a_difference() {
        for region in &REGIONS {
            let [smaller, larger] = region.repeats(u64::MAX);
            assert!(0 < smaller && smaller < larger);
        }
        let message = find("message").unwrap();
        assert_eq!(message.repeats(10), [2_000, 12_000]);
        assert_eq!(message.operations(7), 14);
    }

    #[test]
    fn nothing_selected_is_an_error_that_lists_what_there_is() {
        assert_eq!(select(&[]).unwrap().len(), REGIONS.len());
        let some = select(&["message*".parse().unwrap()]).unwrap();
        assert_eq!(some.len(), 2);
        let error = select(&["none".parse().unwrap()]).err().unwrap();
        let error = error.to_string();
        assert!(error.starts_with("no region matches `none`; "), "{error}");
        assert!(error.contains("\n  message\n"), "{error}");
    }
}
