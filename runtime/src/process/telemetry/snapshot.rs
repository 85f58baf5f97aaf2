//! What was recorded, to look at.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use super::histogram::Histogram;
use super::name::EventName;
use super::shard::{ProcessRecord, Shard, Times};
use crate::process::{DispatchIdentity, RawPid, Recipient, Upid};

/// What is known of one process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProcessTelemetry {
    /// The process; nobody in the entry of the others.
    pub process: Upid,
    /// Its id; `(others)` in the entry of the others.
    pub id: Arc<str>,
    /// How long events waited in its mailbox, in nanoseconds: from the send to the beginning of the handler. To the microsecond, rounded up; a wait of more than nine minutes
    /// is told as what is beyond.
    pub wait_ns: Histogram,
    /// How long its handlers took, in nanoseconds, the time in which they were blocked included. One for each event served.
    pub handling_ns: Histogram,
    /// How many events waited in its mailbox, each time that a worker took them out.
    pub depth: Histogram,
}

/// What is known of the events of one name, for all processes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EventTelemetry {
    /// What they are called.
    pub name: EventName,
    /// How long they waited, as in [`ProcessTelemetry::wait_ns`].
    pub wait_ns: Histogram,
    /// How long their handlers took, as in [`ProcessTelemetry::handling_ns`].
    pub handling_ns: Histogram,
}

/// What a runtime has recorded while telemetry was on: see [`Runtime::telemetry`](crate::Runtime::telemetry).
///
/// It prints as two tables.
///
/// ```
/// use libprocess::{Process, Runtime, dispatch};
///
/// struct Adder;
/// impl Process for Adder {}
/// impl Adder {
///     fn add(&mut self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// let runtime = Runtime::builder().workers(1).telemetry(true).build()?;
/// let adder = runtime.spawn_owned(Adder);
/// for n in 0..10 {
///     dispatch(adder.pid(), Adder::add, (n, n));
/// }
/// let pid = adder.pid();
/// drop(adder); // served its dispatches, or not
/// let telemetry = runtime.telemetry();
/// if let Some(add) = telemetry.method(Adder::add) {
///     assert!(add.handling_ns.count() <= 10);
///     println!("half of them took {} ns or less", add.handling_ns.p50());
/// }
/// assert!(telemetry.process(pid).is_some());
/// println!("{telemetry}");
/// # Ok::<(), libprocess::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Telemetry {
    /// The processes, those first that took most of the time. The last may be all that are not told apart: see
    /// [`telemetry_entries`](crate::RuntimeBuilder::telemetry_entries).
    pub processes: Vec<ProcessTelemetry>,
    /// The names of events, in the same order.
    pub events: Vec<EventTelemetry>,
}

impl ProcessTelemetry {
    fn of(pid: Option<RawPid>, record: ProcessRecord) -> Self {
        let ProcessRecord { id, times, depth } = record;
        Self {
            process: pid.map_or_else(Upid::nobody, Upid::local),
            id,
            wait_ns: times.wait_ns,
            handling_ns: times.handling_ns,
            depth,
        }
    }
}

impl EventTelemetry {
    fn of(name: EventName, times: Times) -> Self {
        Self {
            name,
            wait_ns: times.wait_ns,
            handling_ns: times.handling_ns,
        }
    }
}

fn is_used(wait_ns: &Histogram, handling_ns: &Histogram) -> bool {
    !wait_ns.is_empty() || !handling_ns.is_empty()
}

impl Telemetry {
    pub(super) fn of(shard: Shard) -> Self {
        let mut processes: Vec<_> = shard
            .processes
            .into_iter()
            .map(|(pid, record)| ProcessTelemetry::of(Some(pid), record))
            .collect();
        processes.sort_by(|a, b| {
            b.handling_ns
                .sum()
                .total_cmp(&a.handling_ns.sum())
                .then_with(|| a.process.cmp(&b.process))
        });
        processes.push(ProcessTelemetry::of(None, shard.other_processes));
        processes.retain(|process| is_used(&process.wait_ns, &process.handling_ns));

        let mut events: Vec<_> = shard
            .events
            .into_iter()
            .map(|record| EventTelemetry::of(record.name, record.times))
            .collect();
        events.sort_by(|a, b| b.handling_ns.sum().total_cmp(&a.handling_ns.sum()));
        events.push(EventTelemetry::of(
            EventName::Others,
            shard.other_events.times,
        ));
        events.retain(|event| is_used(&event.wait_ns, &event.handling_ns));
        Self { processes, events }
    }

    /// What is known of a local process.
    pub fn process(&self, process: impl Recipient) -> Option<&ProcessTelemetry> {
        let process = process.to_upid();
        self.processes
            .iter()
            .find(|known| known.process == process && !process.is_nobody())
    }

    /// What is known of the messages of a name.
    pub fn message(&self, name: &str) -> Option<&EventTelemetry> {
        let name = super::name::shortened(name);
        self.events
            .iter()
            .find(|event| matches!(&event.name, EventName::Message(known) if known == name))
    }

    /// What is known of the dispatches of a method. (Closures have no name to be asked by: look through `events`.)
    pub fn method<M: 'static>(&self, method: M) -> Option<&EventTelemetry> {
        let _its_type_is_its_name = method;
        self.events.iter().find(|event| {
            matches!(&event.name, EventName::Dispatch(DispatchIdentity::Method { function, .. })
                if *function == TypeId::of::<M>())
        })
    }

    /// What is known of the events of a name.
    pub fn event(&self, name: &EventName) -> Option<&EventTelemetry> {
        self.events.iter().find(|event| event.name == *name)
    }
}

impl fmt::Display for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes = self.processes.iter().map(|process| {
            let mut row = vec![process.id.to_string()];
            row.extend(times_of(&process.wait_ns, &process.handling_ns));
            row.extend([process.depth.p50(), process.depth.max()].map(|depth| depth.to_string()));
            row
        });
        let mut heads = vec!["process"];
        heads.extend(TIMES);
        heads.extend(["depth p50", "max"]);
        table(f, &heads, processes)?;
        writeln!(f)?;
        let events = self.events.iter().map(|event| {
            let mut row = vec![event.name.to_string()];
            row.extend(times_of(&event.wait_ns, &event.handling_ns));
            row
        });
        let mut heads = vec!["event"];
        heads.extend(TIMES);
        table(f, &heads, events)
    }
}

const TIMES: [&str; 7] = [
    "served",
    "wait p50",
    "p99",
    "max",
    "handling p50",
    "p99",
    "max",
];

fn times_of(wait_ns: &Histogram, handling_ns: &Histogram) -> [String; 7] {
    let time = |histogram: &Histogram, part| match histogram.is_empty() {
        true => "-".to_owned(),
        false => time_of(histogram.quantile(part)),
    };
    [
        handling_ns.count().to_string(),
        time(wait_ns, 0.5),
        time(wait_ns, 0.99),
        time(wait_ns, 1.0),
        time(handling_ns, 0.5),
        time(handling_ns, 0.99),
        time(handling_ns, 1.0),
    ]
}

/// In three digits or so, as nobody reads more of them.
fn time_of(ns: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    for (unit, name) in UNITS {
        if ns >= unit {
            let digits = if ns >= 100 * unit { 0 } else { 1 };
            return format!("{:.digits$} {name}", ns as f64 / unit as f64);
        }
    }
    format!("{ns} ns")
}

/// Writes rows under their heads: the first column to the left, the others to the right.
fn table(
    f: &mut fmt::Formatter<'_>,
    heads: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> fmt::Result {
    let mut lines = vec![heads.iter().map(|head| (*head).to_owned()).collect()];
    lines.extend(rows);
    let width = |column: usize| {
        lines
            .iter()
            .map(|line: &Vec<String>| line[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..heads.len()).map(width).collect();
    for line in &lines {
        write!(f, "{:<width$}", line[0], width = widths[0])?;
        for (text, width) in line.iter().zip(&widths).skip(1) {
            write!(f, "  {text:>width$}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let texts = [0, 999, 1_000, 12_345, 123_456_789, 5_000_000_000].map(time_of);
        assert_eq!(
            texts,
            ["0 ns", "999 ns", "1.0 µs", "12.3 µs", "123 ms", "5.0 s"]
        );
    }
}
