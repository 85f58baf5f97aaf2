//! Whether a run did what it was to do: a figure for work that was not done is worse than none.

use std::fmt;

use libprocess::{Runtime, Statistics};

/// Collects what differs from what it must be, so that a failure tells all of it.
#[derive(Debug, Default)]
#[must_use = "checks that nobody finishes check nothing"]
pub(crate) struct Checks {
    wrong: Vec<String>,
}

/// A run whose result was not what it must be.
#[derive(Debug, thiserror::Error)]
#[error("the run lost or invented something, its figure is void: {}", .0.join("; "))]
pub(crate) struct WrongResult(Vec<String>);

impl Checks {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Notes it if `observed` is not `expected`. `what` completes "… were observed".
    pub(crate) fn equal(&mut self, what: impl fmt::Display, observed: u64, expected: u64) {
        if observed != expected {
            self.wrong
                .push(format!("{what}: {observed}, expected {expected}"));
        }
    }

    pub(crate) fn finish(self) -> Result<(), WrongResult> {
        if self.wrong.is_empty() {
            Ok(())
        } else {
            Err(WrongResult(self.wrong))
        }
    }
}

/// What a runtime has done, or was to do, between two moments.
///
/// The runtime's counters are exact once whoever made them count was waited for: each worker counts an event before it serves it, and
/// the wait for the process makes that visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) dispatches: u64,
    pub(crate) http: u64,
    pub(crate) exited: u64,
    pub(crate) terminate: u64,
    pub(crate) unhandled: u64,
    pub(crate) dead_letters: u64,
    pub(crate) spawned: u64,
    pub(crate) ended: u64,
    pub(crate) panicked: u64,
}

impl Counts {
    /// Since the runtime started.
    pub(crate) fn of(runtime: &Runtime) -> Self {
        Self::from(&runtime.stats())
    }

    /// So many processes were spawned, were asked to end, and ended.
    pub(crate) fn lives(processes: u64) -> Self {
        Self {
            terminate: processes,
            spawned: processes,
            ended: processes,
            ..Self::default()
        }
    }

    /// Since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        let mut difference = self;
        for ((_, count), (_, before)) in difference.fields_mut().into_iter().zip(before.fields()) {
            *count = count.wrapping_sub(before);
        }
        difference
    }

    /// Notes in `checks` what is not as in `expected`.
    pub(crate) fn check(self, expected: Self, checks: &mut Checks) {
        for ((what, observed), (_, expected)) in self.fields().into_iter().zip(expected.fields()) {
            checks.equal(what, observed, expected);
        }
    }

    fn fields(mut self) -> [(&'static str, u64); 10] {
        self.fields_mut().map(|(what, count)| (what, *count))
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut u64); 10] {
        [
            ("messages served", &mut self.messages),
            ("dispatches served", &mut self.dispatches),
            ("HTTP requests served", &mut self.http),
            ("exits told", &mut self.exited),
            ("requests to end served", &mut self.terminate),
            ("messages without a handler", &mut self.unhandled),
            ("dead letters", &mut self.dead_letters),
            ("processes spawned", &mut self.spawned),
            ("processes ended", &mut self.ended),
            ("processes that panicked", &mut self.panicked),
        ]
    }
}

impl From<&Statistics> for Counts {
    fn from(statistics: &Statistics) -> Self {
        Self {
            messages: statistics.events.messages,
            dispatches: statistics.events.dispatches,
            http: statistics.events.http,
            exited: statistics.events.exited,
            terminate: statistics.events.terminate,
            unhandled: statistics.unhandled,
            dead_letters: statistics.dead_letters,
            spawned: statistics.spawned,
            ended: statistics.ended,
            panicked: statistics.panicked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_expected_passes() {
        let mut checks = Checks::new();
        checks.equal("pongs", 7, 7);
        let counts = Counts {
            messages: 3,
            ..Counts::default()
        };
        counts.check(counts, &mut checks);
        checks.finish().unwrap();
    }

    #[test]
    fn each_count_that_differs_is_told() {
        for index in 0..Counts::default().fields().len() {
            let mut observed = Counts::default();
            let (what, _) = observed.fields()[index];
            *observed.fields_mut()[index].1 = 5;
            let mut checks = Checks::new();
            observed.check(Counts::default(), &mut checks);
            let error = checks.finish().unwrap_err().to_string();
            assert!(
                error.ends_with(&format!(": {what}: 5, expected 0")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_failure_tells_all_that_is_wrong() {
        let mut checks = Checks::new();
        checks.equal("pongs", 6, 7);
        checks.equal("pings", 8, 7);
        let error = checks.finish().unwrap_err().to_string();
        assert!(
            error.contains("pongs: 6, expected 7; pings: 8, expected 7"),
            "{error}"
        );
    }

    #[test]
    fn a_difference_is_of_each_count() {
        let before = Counts {
            messages: 2,
            ended: 1,
            ..Counts::default()
        };
        let after = Counts {
            messages: 5,
            ended: 1,
            dead_letters: 4,
            ..Counts::default()
        };
        let expected = Counts {
            messages: 3,
            dead_letters: 4,
            ..Counts::default()
        };
        assert_eq!(after.since(before), expected);
    }

    #[test]
    fn a_letter_that_is_lost_is_noticed() {
        struct Nobody;
        impl libprocess::Process for Nobody {}

        let runtime = Runtime::builder().workers(1).build().unwrap();
        let nobody = runtime.spawn(Nobody);
        runtime.terminate(nobody);
        runtime.wait(nobody);
        let before = Counts::of(&runtime);
        runtime.post(nobody, "lost", "");
        let mut checks = Checks::new();
        Counts::of(&runtime)
            .since(before)
            .check(Counts::default(), &mut checks);
        let error = checks.finish().unwrap_err().to_string();
        assert!(error.ends_with(": dead letters: 1, expected 0"), "{error}");
    }
}
