//! What is kept of a benchmark's runs: one line of `--json`, and of a saved file.
//!
//! The keys are stable: results are kept, and compared with later ones.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize};

use crate::benchmark::{Benchmark, Sample};
use crate::latency::{self, BadHistogram, EncodedHistogram};
use crate::parameters::Parameters;
use crate::series::Series;
use crate::usage::ContextSwitches;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) benchmark: String,
    pub(crate) variant: Variant,
    pub(crate) params: Parameters,
    pub(crate) unit: String,
    pub(crate) median: f64,
    pub(crate) runs: Series,
    /// When each run began, in milliseconds since 1970. As all that was added later, it is not in older files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) began_unix_ms: Vec<u64>,
    /// How long what was measured took, in each run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) seconds: Vec<f64>,
    /// The median of what the original would have shown, for a benchmark that has an original; null where it would have shown nothing.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) compat: Option<Option<f64>>,
    /// Of all runs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ns: Option<Latency>,
    /// Those of each run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency_histograms: Vec<EncodedHistogram>,
    /// Further figures, by their units.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) also: BTreeMap<String, Figure>,
    pub(crate) peak_rss_bytes: u64,
    /// Of all runs that count, together.
    pub(crate) context_switches: ContextSwitches,
}

/// Which of the library's choices was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Variant {
    pub(crate) run_queue: String,
    pub(crate) event_queue: String,
    pub(crate) semaphore: String,
    /// Where sockets of libprocess are measured: over which reactor they are. Not in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reactor: Option<String>,
}

impl Variant {
    /// What this binary has: asked of the library, as only it knows what it was built with. The reactor is not built in: the benchmark asks for
    /// one, and fails where it cannot be had.
    fn of(benchmark: &dyn Benchmark) -> Self {
        let features = libprocess::build_features();
        Self {
            run_queue: features.run_queue.to_owned(),
            event_queue: features.event_queue.to_owned(),
            semaphore: features.semaphore.to_owned(),
            reactor: benchmark.reactor().map(|reactor| reactor.to_string()),
        }
    }

    /// Whether both have made the same choices, as far as is known: older files have no reactor.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let build = |variant: &Self| {
            let Self {
                run_queue,
                event_queue,
                semaphore,
                ..
            } = variant.clone();
            (run_queue, event_queue, semaphore)
        };
        let reactors = self.reactor.as_ref().zip(other.reactor.as_ref());
        build(self) == build(other) && reactors.is_none_or(|(one, another)| one == another)
    }
}

impl fmt::Display for Variant {
    /// As the library's features print themselves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} run queue, {} event queue, {} semaphore",
            self.run_queue, self.event_queue, self.semaphore
        )?;
        match &self.reactor {
            Some(reactor) => write!(f, ", {reactor} reactor"),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) runs: Series,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

/// What the operating system says of all runs together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) peak_rss_bytes: u64,
    pub(crate) context_switches: ContextSwitches,
}

impl Record {
    /// # Panics
    ///
    /// If there is no sample.
    pub(crate) fn new(
        benchmark: &dyn Benchmark,
        params: Parameters,
        samples: &[Sample],
        usage: Usage,
    ) -> Self {
        let series =
            |figure: &dyn Fn(&Sample) -> f64| Series::new(samples.iter().map(figure).collect());
        let runs = series(&|sample| sample.value);
        let compat = benchmark.has_compat().then(|| {
            let figures: Option<Vec<f64>> = samples.iter().map(|sample| sample.compat).collect();
            figures.map(|figures| Series::new(figures).median())
        });
        let mut also: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (unit, value) in samples.iter().flat_map(|sample| &sample.also) {
            also.entry(unit.clone()).or_default().push(*value);
        }
        let also = also.into_iter().map(|(unit, values)| {
            let runs = Series::new(values);
            (
                unit,
                Figure {
                    median: runs.median(),
                    runs,
                },
            )
        });
        let latencies = || {
            samples
                .iter()
                .filter_map(|sample| sample.latencies.as_ref())
        };
        let merged =
            latency::merged(latencies()).expect("a benchmark's histograms have the same bounds");
        Self {
            benchmark: benchmark.name().to_owned(),
            variant: Variant::of(benchmark),
            params,
            unit: benchmark.unit().to_owned(),
            median: runs.median(),
            runs,
            began_unix_ms: samples
                .iter()
                .filter_map(|sample| sample.began.map(unix_ms))
                .collect(),
            seconds: samples.iter().map(|sample| sample.seconds).collect(),
            compat,
            latency_ns: merged.as_ref().map(Latency::of),
            latency_histograms: latencies().map(EncodedHistogram::of).collect(),
            also: also.collect(),
            peak_rss_bytes: usage.peak_rss_bytes,
            context_switches: usage.context_switches,
        }
    }
}

impl Record {
    /// The latencies of all runs in one histogram; `None` if there are none, or the result is older than they are kept.
    pub(crate) fn latencies(&self) -> Result<Option<Histogram<u64>>, BadHistogram> {
        let histograms: Vec<Histogram<u64>> = self
            .latency_histograms
            .iter()
            .map(EncodedHistogram::decode)
            .collect::<Result<_, _>>()?;
        latency::merged(&histograms)
    }

    /// That each run began at this time, as whoever started them knows.
    pub(crate) fn set_began(&mut self, began: SystemTime) {
        self.began_unix_ms = vec![unix_ms(began); self.runs.runs().len()];
    }

    /// The runs of several results as one: all of the same benchmark, with the same parameters.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn joined<'a>(
        records: impl IntoIterator<Item = &'a Self>,
    ) -> Result<Self, BadHistogram> {
        let records: Vec<&Self> = records.into_iter().collect();
        let [first, others @ ..] = records.as_slice() else {
            panic!("nothing is to be joined");
        };
        let mut joined = (*first).clone();
        for record in others {
            joined.runs.extend(&record.runs);
            joined.began_unix_ms.extend(&record.began_unix_ms);
            joined.seconds.extend(&record.seconds);
            let histograms = record.latency_histograms.iter().cloned();
            joined.latency_histograms.extend(histograms);
            for (unit, figure) in &record.also {
                match joined.also.get_mut(unit) {
                    Some(known) => known.runs.extend(&figure.runs),
                    None => drop(joined.also.insert(unit.clone(), figure.clone())),
                }
            }
            joined.peak_rss_bytes = joined.peak_rss_bytes.max(record.peak_rss_bytes);
            joined.context_switches += record.context_switches;
        }
        joined.median = joined.runs.median();
        for figure in joined.also.values_mut() {
            figure.median = figure.runs.median();
        }
        joined.compat = first.compat.map(|_| {
            let figures = records.iter().map(|record| record.compat.flatten());
            let figures: Option<Vec<f64>> = figures.collect();
            figures.map(|figures| Series::new(figures).median())
        });
        if !others.is_empty() {
            // Percentiles of several runs are not known from those of each.
            joined.latency_ns = joined.latencies()?.as_ref().map(Latency::of);
        }
        Ok(joined)
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A key that is there has a value, even if that is null: only a missing one is `None`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::benchmarks::dispatch::DispatchGet;
    use crate::benchmarks::net::Net;
    use crate::benchmarks::throughput::ThroughputPerformance;
    use crate::server::EchoServer;

    fn parameters() -> Parameters {
        Parameters {
            workers: 2,
            pin: false,
            pairs: Some(2),
            repeat: 10,
            window: Some(3),
            actors: None,
            size: None,
            pipeline: None,
            rate: None,
            events_per_resume: None,
            warmup: 1,
        }
    }

    fn sample(value: f64) -> Sample {
        Sample::new(value, 1.0, "")
    }

    fn json(benchmark: &dyn Benchmark, samples: &[Sample]) -> Value {
        let usage = Usage {
            peak_rss_bytes: 4096,
            context_switches: ContextSwitches {
                voluntary: 5,
                involuntary: 6,
            },
        };
        serde_json::to_value(Record::new(benchmark, parameters(), samples, usage)).unwrap()
    }

    #[test]
    fn the_keys_are_stable() {
        let samples = [1.0, 3.0].map(|value| Sample {
            began: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)),
            compat: Some(value * 2.0),
            also: vec![("messages/s".to_owned(), value * 2.0)],
            ..sample(value)
        });
        let mut json = json(&ThroughputPerformance, &samples);
        let variant = json.as_object_mut().unwrap().remove("variant").unwrap();
        assert_eq!(
            json,
            json!({
                "benchmark": "ProcessTest.Process_BENCHMARK_ThroughputPerformance",
                "params": {"workers": 2, "pin": false, "pairs": 2, "repeat": 10, "window": 3, "warmup": 1},
                "unit": "repeats/s",
                "median": 2.0,
                "runs": [1.0, 3.0],
                "began_unix_ms": [1_500, 1_500],
                "seconds": [1.0, 1.0],
                "compat": 4.0,
                "also": {"messages/s": {"median": 4.0, "runs": [2.0, 6.0]}},
                "peak_rss_bytes": 4096,
                "context_switches": {"voluntary": 5, "involuntary": 6},
            })
        );
        let keys: Vec<&String> = variant.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["event_queue", "run_queue", "semaphore"]);
    }

    #[test]
    fn the_reactor_is_told_where_sockets_are_measured() {
        let canned = Net::Echo(EchoServer::CannedEpoll);
        assert_eq!(
            json(&canned, &[sample(1.0)])["variant"].get("reactor"),
            None
        );
        let variant = |server| -> Variant {
            let variant = json(&Net::Echo(server), &[sample(1.0)])["variant"].take();
            serde_json::from_value(variant).unwrap()
        };
        let (io_uring, epoll) = (variant(EchoServer::IoUring), variant(EchoServer::Epoll));
        assert_eq!(io_uring.reactor.as_deref(), Some("io_uring"));
        assert_eq!(epoll.reactor.as_deref(), Some("epoll"));
        assert!(epoll.to_string().ends_with(" semaphore, epoll reactor"));

        let older = Variant {
            reactor: None,
            ..epoll.clone()
        };
        assert!(epoll.is_as(&epoll) && epoll.is_as(&older) && older.is_as(&io_uring));
        assert!(!epoll.is_as(&io_uring));
        let other = Variant {
            semaphore: "another".to_owned(),
            ..older
        };
        assert!(!epoll.is_as(&other));
    }

    #[test]
    fn a_figure_that_the_original_would_not_have_is_null() {
        let json = json(&ThroughputPerformance, &[sample(1.0)]);
        assert_eq!(json.get("compat"), Some(&Value::Null));
    }

    #[test]
    fn a_benchmark_without_an_original_has_no_such_key() {
        let json = json(&DispatchGet, &[sample(1.0)]);
        assert_eq!(json.get("compat"), None);
        assert_eq!(json.get("also"), None);
        assert_eq!(json.get("latency_ns"), None);
    }

    #[test]
    fn latencies_are_of_all_runs() {
        let samples = [1..=500, 501..=1000].map(|values| {
            let mut histogram = Histogram::new_with_bounds(1, 10_000, 3).unwrap();
            values.for_each(|value| histogram.record(value).unwrap());
            Sample {
                latencies: Some(histogram),
                ..sample(1.0)
            }
        });
        let json = json(&DispatchGet, &samples);
        assert_eq!(
            json["latency_ns"],
            json!({"p50": 500, "p90": 900, "p99": 990, "p999": 999, "max": 1000})
        );
        let record: Record = serde_json::from_value(json).unwrap();
        let histograms: Vec<_> = record
            .latency_histograms
            .iter()
            .map(|encoded| encoded.decode().unwrap())
            .collect();
        assert_eq!(
            histograms,
            samples
                .each_ref()
                .map(|sample| sample.latencies.clone().unwrap())
        );
        assert_eq!(record.latencies().unwrap().unwrap().len(), 1_000);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let sample = Sample {
            began: Some(SystemTime::UNIX_EPOCH),
            latencies: Some(latency::histogram()),
            ..sample(1.5).also("messages/s", 3.0)
        };
        for compat in [None, Some(2.5)] {
            let sample = Sample {
                compat,
                ..sample.clone()
            };
            for benchmark in [&ThroughputPerformance as &dyn Benchmark, &DispatchGet] {
                let written = json(benchmark, std::slice::from_ref(&sample));
                let read: Record = serde_json::from_value(written.clone()).unwrap();
                assert_eq!(serde_json::to_value(read).unwrap(), written);
            }
        }
    }

    #[test]
    fn what_older_files_do_not_have_is_not_missed() {
        let mut json = json(&DispatchGet, &[sample(1.0)]);
        for added in ["began_unix_ms", "seconds", "latency_histograms"] {
            json.as_object_mut().unwrap().remove(added);
        }
        let record: Record = serde_json::from_value(json).unwrap();
        assert_eq!(record.latencies(), Ok(None));
        assert!(record.seconds.is_empty());
    }

    #[test]
    fn results_of_one_run_each_join_to_one_of_all() {
        let run = |value: f64| {
            let mut latencies = latency::histogram();
            latencies.record(value as u64).unwrap();
            Sample {
                began: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(value as u64)),
                compat: Some(value + 1.0),
                latencies: Some(latencies),
                ..sample(value).also("messages/s", 2.0 * value)
            }
        };
        let samples = [3.0, 1.0, 2.0].map(run);
        let record = |samples: &[Sample]| -> Record {
            serde_json::from_value(json(&ThroughputPerformance, samples)).unwrap()
        };
        let singles = samples
            .each_ref()
            .map(|sample| record(std::slice::from_ref(sample)));
        let joined = serde_json::to_value(Record::joined(&singles).unwrap()).unwrap();
        let mut expected = serde_json::to_value(record(&samples)).unwrap();
        // What a single result has for its one run.
        expected["context_switches"] = json!({"voluntary": 15, "involuntary": 18});
        assert_eq!(joined, expected);
        assert_eq!(joined["runs"], json!([3.0, 1.0, 2.0]));
    }
}
