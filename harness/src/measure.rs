//! Measuring one benchmark: warm-up, runs, and what they took.
//!
//! There is one runtime for all runs of a benchmark, as a program has one: its threads are started before and ended behind all
//! of them, and the warm-up warms what the runs use. So no figure has a start or an end in it, and the counters are compared with what
//! they were before each run.

use std::io;
use std::time::{Duration, SystemTime};

use libprocess::Runtime;

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::failure::Failure;
use crate::isolated;
use crate::parameters::{Overrides, Parameters};
use crate::progress::Progress;
use crate::record::{Record, Usage};
use crate::report::Report;
use crate::usage::{self, ContextSwitches};
use crate::watchdog;

/// How often and how long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) runs: usize,
    pub(crate) warmup: usize,
    /// For each run.
    pub(crate) limit: Duration,
}

/// Measures a benchmark, and reports each run when it has ended.
pub(crate) fn measure(
    benchmark: &dyn Benchmark,
    overrides: &Overrides,
    plan: Plan,
    report: &mut dyn Report,
) -> Result<Record, Failure> {
    usage::reset_peak_resident();
    let runtime = overrides.build_runtime(benchmark.defaults())?;
    let warmup = if benchmark.in_own_process() {
        0
    } else {
        plan.warmup
    };
    let parameters = overrides.resolve(benchmark.defaults(), runtime.workers(), warmup)?;
    report.start(benchmark, &parameters)?;
    let mut runs = Runs {
        samples: Vec::with_capacity(plan.runs),
        usage: Usage::default(),
    };
    if benchmark.in_own_process() {
        // It told how many workers there are, and is in the way of its children from here on.
        shut_down(runtime, benchmark.name(), plan.limit);
        runs.in_children(benchmark, &parameters, plan, report)?;
    } else {
        runs.in_runtime(benchmark, &parameters, plan, &runtime, report)?;
        shut_down(runtime, benchmark.name(), plan.limit);
    }
    Ok(Record::new(
        benchmark,
        parameters,
        &runs.samples,
        runs.usage,
    ))
}

struct Runs {
    samples: Vec<Sample>,
    usage: Usage,
}

impl Runs {
    fn in_runtime(
        &mut self,
        benchmark: &dyn Benchmark,
        parameters: &Parameters,
        plan: Plan,
        runtime: &Runtime,
        report: &mut dyn Report,
    ) -> Result<(), Failure> {
        let run = |what: String| {
            let progress = Progress::new(what.clone(), parameters.repeat);
            let setting = Setting {
                runtime,
                parameters,
                progress: &progress,
            };
            run_guarded(benchmark, &setting, &what, plan.limit)
        };
        for number in 1..=plan.warmup {
            run(format!(
                "{}, warm-up {number} of {}",
                benchmark.name(),
                plan.warmup
            ))?;
        }
        for number in 1..=plan.runs {
            let before = ContextSwitches::so_far();
            let began = SystemTime::now();
            let sample = run(title(benchmark, number, plan))?;
            self.usage.context_switches += ContextSwitches::so_far() - before;
            self.keep(benchmark, began, sample, report, plan)?;
        }
        self.usage.peak_rss_bytes = usage::peak_resident_bytes();
        Ok(())
    }

    fn in_children(
        &mut self,
        benchmark: &dyn Benchmark,
        parameters: &Parameters,
        plan: Plan,
        report: &mut dyn Report,
    ) -> Result<(), Failure> {
        for _ in 0..plan.runs {
            let began = SystemTime::now();
            let run = isolated::run_in_child(benchmark, parameters, plan.limit)?;
            self.usage.context_switches += run.context_switches;
            self.usage.peak_rss_bytes = self.usage.peak_rss_bytes.max(run.peak_rss_bytes);
            self.keep(benchmark, began, run.sample, report, plan)?;
        }
        Ok(())
    }

    fn keep(
        &mut self,
        benchmark: &dyn Benchmark,
        began: SystemTime,
        sample: Sample,
        report: &mut dyn Report,
        plan: Plan,
    ) -> io::Result<()> {
        report.run(benchmark, self.samples.len() + 1, plan.runs, &sample)?;
        self.samples.push(Sample {
            began: Some(began),
            ..sample
        });
        Ok(())
    }
}

fn title(benchmark: &dyn Benchmark, number: usize, plan: Plan) -> String {
    format!("{}, run {number} of {}", benchmark.name(), plan.runs)
}

/// Runs once; a run that does not end within the limit ends this program.
pub(crate) fn run_guarded(
    benchmark: &dyn Benchmark,
    setting: &Setting<'_>,
    what: &str,
    limit: Duration,
) -> Result<Sample, Failure> {
    let diagnosis = || {
        let statistics = setting.runtime.stats();
        format!(
            "the runtime: {:?}, {} resumes, {} processes alive of {} spawned, {} dead letters, {} threads",
            statistics.events,
            statistics.resumes,
            statistics.alive,
            statistics.spawned,
            statistics.dead_letters,
            statistics.threads,
        )
    };
    // The progress is for the thread that runs; the guard only takes the runtime along.
    let give_up = || watchdog::give_up(what, limit, diagnosis);
    watchdog::guarded(limit, give_up, || benchmark.run(setting))
}

/// Shuts a runtime down; if that hangs, this program ends.
pub(crate) fn shut_down(runtime: Runtime, benchmark: &str, limit: Duration) {
    let what = format!("{benchmark}: the end of its runtime");
    let give_up =
        || watchdog::give_up(&what, limit, || "its processes had ended before".to_owned());
    watchdog::guarded(limit, give_up, || runtime.shutdown());
}
