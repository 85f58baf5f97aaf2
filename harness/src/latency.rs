//! How latencies are kept.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies are kept to three digits, up to a minute: a longer one counts as that.
const LONGEST: Duration = Duration::from_secs(60);

/// Of nanoseconds, and empty. All have the same bounds, so that they can be added.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, nanoseconds(LONGEST), 3).expect("the bounds are in order")
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
