//! One run from its beginning to its sample: what all benchmarks do alike.

use std::fmt;
use std::time::Duration;

use libprocess::{Future, FutureError, Process, ProcessHandle};

use crate::benchmark::{Sample, Setting};
use crate::checks::{Checks, Counts, WrongResult};
use crate::failure::Failure;

/// How often a trial looks whether processes have ended that nobody waits for one by one.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A run that is under way: what the runtime had counted before it, and what was found wrong so far.
#[must_use = "a run that nobody finishes checks nothing"]
pub(crate) struct Trial<'a> {
    setting: &'a Setting<'a>,
    before: Counts,
    checks: Checks,
}

impl<'a> Trial<'a> {
    /// Before the first process of the run is spawned.
    pub(crate) fn begin(setting: &'a Setting<'a>) -> Self {
        Self {
            setting,
            before: Counts::of(setting.runtime),
            checks: Checks::new(),
        }
    }

    /// What the runtime has done since the run began.
    pub(crate) fn counts(&self) -> Counts {
        Counts::of(self.setting.runtime).since(self.before)
    }

    /// As [`Checks::equal`].
    pub(crate) fn equal(&mut self, what: impl fmt::Display, observed: u64, expected: u64) {
        self.checks.equal(what, observed, expected);
    }

    /// Waits for a future; `done` makes of what was counted how many repeats are done, for the progress bar.
    pub(crate) fn wait<T>(
        &self,
        future: Future<T>,
        done: impl Fn(Counts) -> u64,
    ) -> Result<T, FutureError>
    where
        T: Clone + Send + Sync,
    {
        self.setting.progress.wait(future, || done(self.counts()))
    }

    /// Waits until so many processes of the run have ended, which end by themselves: they must not be counted in what is run next.
    pub(crate) fn wait_for_ends(&self, processes: u64) {
        while self.counts().ended < processes {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Compares what was counted, and gives the sample if nothing was wrong.
    ///
    /// All processes of the run have ended, and were waited for.
    pub(crate) fn finish(mut self, expected: Counts, sample: Sample) -> Result<Sample, Failure> {
        self.counts().check(expected, &mut self.checks);
        Ok(self.finish_uncounted(sample)?)
    }

    /// As [`finish`](Self::finish), where the counters cannot be foretold.
    pub(crate) fn finish_uncounted(self, sample: Sample) -> Result<Sample, WrongResult> {
        self.checks.finish()?;
        Ok(sample)
    }
}

/// Ends the processes behind what they have pending, and gives what they have become.
pub(crate) fn join_all<P: Process>(handles: Vec<ProcessHandle<P>>) -> Result<Vec<P>, Failure> {
    handles
        .into_iter()
        .map(|handle| {
            handle.terminate_after_pending();
            Ok(handle.join()?)
        })
        .collect()
}

/// A number of things in memory.
pub(crate) fn in_memory(number: u64) -> usize {
    usize::try_from(number).expect("there is an address for each thing in memory")
}

/// How much of what is dealt out one by one goes to the one at `index`.
pub(crate) fn share(total: u64, among: u64, index: u64) -> u64 {
    total / among + u64::from(index < total % among)
}

#[cfg(test)]
mod tests {
    use libprocess::Runtime;

    use super::*;
    use crate::parameters::{Defaults, Overrides};
    use crate::progress::Progress;

    struct Idle;
    impl Process for Idle {}

    fn with_setting(f: impl FnOnce(&Setting<'_>)) {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let defaults = Defaults::new(1);
        f(&Setting {
            runtime: &runtime,
            parameters: &Overrides::default().resolve(defaults, 2, 0).unwrap(),
            progress: &Progress::new("a trial".to_owned(), 1),
        });
    }

    #[test]
    fn what_was_done_as_expected_gives_the_sample() {
        with_setting(|setting| {
            // Of another run: not counted in this one.
            drop(setting.runtime.spawn_owned(Idle));
            let trial = Trial::begin(setting);
            let handles = (0..3)
                .map(|_| setting.runtime.spawn_owned(Idle))
                .collect::<Vec<_>>();
            assert_eq!(join_all(handles).unwrap().len(), 3);
            trial.wait_for_ends(3);
            let sample = Sample::rate(6, 2.0, "three").also("x", 1.0);
            let sample = trial.finish(Counts::lives(3), sample).unwrap();
            assert_eq!((sample.value, sample.seconds), (3.0, 2.0));
            assert_eq!(sample.also, [("x".to_owned(), 1.0)]);
        });
    }

    #[test]
    fn each_way_to_be_wrong_voids_the_figure() {
        with_setting(|setting| {
            let sample = || Sample::rate(1, 1.0, "");
            let trial = Trial::begin(setting);
            let idle = setting.runtime.spawn_owned(Idle).pid();
            // Its handle is gone, and so is the process.
            setting.runtime.post(idle, "lost", "");
            let error = trial.finish(Counts::lives(1), sample()).unwrap_err();
            assert!(
                error.to_string().ends_with(": dead letters: 1, expected 0"),
                "{error}"
            );

            let mut trial = Trial::begin(setting);
            trial.equal("pongs", 6, 7);
            let error = trial.finish(Counts::default(), sample()).unwrap_err();
            assert!(
                error.to_string().ends_with(": pongs: 6, expected 7"),
                "{error}"
            );
        });
    }

    #[test]
    fn shares_add_up() {
        let shares = [0, 1, 2].map(|index| share(11, 3, index));
        assert_eq!(shares, [4, 4, 3]);
        assert_eq!(share(2, 3, 2), 0);
    }
}
