//! What a benchmark is.

use std::time::SystemTime;

use hdrhistogram::Histogram;
use libprocess::{ReactorKind, Runtime};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::parameters::{Defaults, Parameters};
use crate::progress::Progress;

/// Something that can be measured again and again, and checks what it did.
pub(crate) trait Benchmark: Sync {
    /// The full name, by which filters select it. Stable: results are compared by it.
    fn name(&self) -> &'static str;

    /// One sentence on what it measures.
    fn summary(&self) -> &'static str;

    /// The unit of its figure. Stable, as the name.
    fn unit(&self) -> &'static str;

    fn defaults(&self) -> Defaults;

    /// Over which reactor of libprocess its sockets are, as its name says; `None` if it has none of libprocess. There is one like it over the
    /// other reactor, which differs in nothing else.
    fn reactor(&self) -> Option<ReactorKind> {
        None
    }

    /// Whether its runs have a `compat` figure: see [`Sample::compat`].
    fn has_compat(&self) -> bool {
        false
    }

    /// Whether each run needs a process of its own (of the operating system), because the one before would falsify it. Such a run is cold
    /// on purpose, so there is no warm-up.
    fn in_own_process(&self) -> bool {
        false
    }

    /// A line for people who know the original, printed by itself for each run.
    fn headline(&self, sample: &Sample) -> Option<String> {
        let _ = sample;
        None
    }

    /// Runs once, and checks the result.
    ///
    /// All that is spawned has ended when this returns.
    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure>;
}

/// Where and with what a benchmark runs.
pub(crate) struct Setting<'a> {
    /// Started before, so that no figure has its start in it; shared by the runs of a benchmark.
    pub(crate) runtime: &'a Runtime,
    pub(crate) parameters: &'a Parameters,
    pub(crate) progress: &'a Progress,
}

/// The outcome of one run, whose result was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// The figure, in the benchmark's unit.
    pub(crate) value: f64,
    /// How long what was measured took.
    pub(crate) seconds: f64,
    /// When the run began, where that is known. Does not travel between processes.
    #[serde(skip)]
    pub(crate) began: Option<SystemTime>,
    /// What C++ libprocess's program would have printed, where it would have printed anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compat: Option<f64>,
    /// Further figures: unit and value. The same units in every run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) also: Vec<(String, f64)>,
    /// In nanoseconds. Does not travel between processes.
    #[serde(skip)]
    pub(crate) latencies: Option<Histogram<u64>>,
    /// What was checked, for people.
    pub(crate) verified: String,
}

impl Sample {
    /// A figure, how long it took to get, and what was checked.
    pub(crate) fn new(value: f64, seconds: f64, verified: impl Into<String>) -> Self {
        Self {
            value,
            seconds,
            began: None,
            compat: None,
            also: Vec::new(),
            latencies: None,
            verified: verified.into(),
        }
    }

    /// So many things were done in this time, and the figure is how many in a second.
    pub(crate) fn rate(things: u64, seconds: f64, verified: impl Into<String>) -> Self {
        Self::new(things as f64 / seconds, seconds, verified)
    }

    /// With a further figure.
    pub(crate) fn also(mut self, unit: &str, value: f64) -> Self {
        self.also.push((unit.to_owned(), value));
        self
    }

    /// With a distribution of latencies.
    pub(crate) fn latencies(mut self, latencies: Histogram<u64>) -> Self {
        self.latencies = Some(latencies);
        self
    }
}
