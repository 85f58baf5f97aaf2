use std::cmp::Ordering;
use std::time::Duration;

use super::TimeSeries;

/// Count, extremes and percentiles of some values: exact, with linear interpolation between neighbours.
///
/// The percentile `p` (from 0 to 1) of `n` values in order is the value at the position `p * (n - 1)`, which is usually between two: then as far between
/// them as the position is. So the median of 1, 2, 3 and 10 is 2.5, and the smallest and the largest are the percentiles 0 and 1.
///
/// Not the crate `hdrhistogram`, which counts in buckets: it takes any number of integers in constant memory, and answers with a value that is
/// only near one that was recorded. Here are few values (those of a [`TimeSeries`]) of types that it does not take, and the answer is to be exact.
///
/// # Cost
///
/// A copy of the values and a sort, once; then each answer is O(1).
///
/// ```
/// use libprocess::time_series::Statistics;
///
/// let statistics = Statistics::new([1.0, 10.0, 3.0, 2.0]).expect("two values or more");
/// assert_eq!((statistics.count(), statistics.min(), statistics.max()), (4, 1.0, 10.0));
/// assert_eq!(statistics.p50(), 2.5);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics<T> {
    /// In order, two at least.
    values: Vec<T>,
}

/// Values that have an order, and values between them: for [`Statistics`].
///
/// Implemented for floating-point numbers and durations; convert integers to `f64`.
///
/// ```
/// use std::cmp::Ordering;
/// use libprocess::time_series::{Interpolate, Statistics};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Celsius(f64);
///
/// impl Interpolate for Celsius {
///     fn order(&self, other: &Self) -> Ordering {
///         self.0.total_cmp(&other.0)
///     }
///     fn between(self, upper: Self, fraction: f64) -> Self {
///         Celsius(self.0.between(upper.0, fraction))
///     }
/// }
///
/// let statistics = Statistics::new([Celsius(10.0), Celsius(20.0)]).unwrap();
/// assert_eq!(statistics.p50(), Celsius(15.0));
/// ```
pub trait Interpolate: Copy {
    /// The order of two values: a total one.
    fn order(&self, other: &Self) -> Ordering;

    /// The value that is `fraction` (from 0, inclusive, to 1, exclusive) of the way from this one to `upper`, which is not less.
    #[must_use]
    fn between(self, upper: Self, fraction: f64) -> Self;
}

impl Interpolate for f64 {
    /// `total_cmp`: what is not a number is beyond infinity.
    fn order(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }

    fn between(self, upper: Self, fraction: f64) -> Self {
        // Also exact if both are infinite, where the difference would be no number.
        if fraction == 0.0 || self == upper {
            return self;
        }
        self + fraction * (upper - self)
    }
}

impl Interpolate for f32 {
    /// `total_cmp`: what is not a number is beyond infinity.
    fn order(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }

    /// By way of `f64`.
    fn between(self, upper: Self, fraction: f64) -> Self {
        f64::from(self).between(f64::from(upper), fraction) as Self
    }
}

impl Interpolate for Duration {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    /// Rounded to a nanosecond, as `Duration::mul_f64` does.
    fn between(self, upper: Self, fraction: f64) -> Self {
        let distance = upper.saturating_sub(self).mul_f64(fraction.clamp(0.0, 1.0));
        // Rounding must not lead beyond it.
        self.saturating_add(distance).min(upper)
    }
}

impl<T: Interpolate> Statistics<T> {
    /// Of these values, in any order. None if they are fewer than two: between one and itself there is nothing to tell.
    ///
    /// ```
    /// use libprocess::time_series::Statistics;
    ///
    /// assert!(Statistics::new([1.0]).is_none());
    /// ```
    pub fn new(values: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut values: Vec<T> = values.into_iter().collect();
        if values.len() < 2 {
            return None;
        }
        values.sort_unstable_by(T::order);
        Some(Self { values })
    }

    /// Of the values in a series. None if they are fewer than two.
    ///
    /// ```
    /// use libprocess::time_series::{Statistics, TimeSeries};
    ///
    /// let mut series = TimeSeries::default();
    /// for nanos in 0..=100 {
    ///     series.set(f64::from(nanos), libprocess::Time::from_nanos(nanos.into()));
    /// }
    /// let statistics = Statistics::of(&series).expect("two values or more");
    /// assert_eq!(statistics.p99(), 99.0);
    /// ```
    pub fn of(series: &TimeSeries<T>) -> Option<Self> {
        Self::new(series.values().map(|(_, value)| *value))
    }

    /// How many values there are: two at least.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// The smallest.
    pub fn min(&self) -> T {
        self.values[0]
    }

    /// The largest.
    pub fn max(&self) -> T {
        self.values[self.values.len() - 1]
    }

    /// The percentile at `fraction`: 0.25 is the first quartile. 0 and less are the smallest value, 1 and more the largest.
    ///
    /// # Panics
    ///
    /// If `fraction` is not a number.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::time_series::Statistics;
    ///
    /// let seconds = [0, 10, 20, 30].map(Duration::from_secs);
    /// let statistics = Statistics::new(seconds).unwrap();
    /// assert_eq!(statistics.percentile(0.25), Duration::from_millis(7_500));
    /// ```
    pub fn percentile(&self, fraction: f64) -> T {
        assert!(!fraction.is_nan(), "a percentile is at a number");
        if fraction <= 0.0 {
            return self.min();
        }
        let last = self.values.len() - 1;
        let position = fraction * last as f64;
        // Truncated: it is positive. Rounding, of large counts and fractions near one, must not lead beyond the end.
        let index = position as usize;
        if index >= last {
            return self.max();
        }
        self.values[index].between(self.values[index + 1], position - index as f64)
    }

    /// The first quartile.
    pub fn p25(&self) -> T {
        self.percentile(0.25)
    }

    /// The median.
    pub fn p50(&self) -> T {
        self.percentile(0.50)
    }

    /// The third quartile.
    pub fn p75(&self) -> T {
        self.percentile(0.75)
    }

    /// The percentile at 0.9.
    pub fn p90(&self) -> T {
        self.percentile(0.90)
    }

    /// The percentile at 0.95.
    pub fn p95(&self) -> T {
        self.percentile(0.95)
    }

    /// The percentile at 0.99.
    pub fn p99(&self) -> T {
        self.percentile(0.99)
    }

    /// The percentile at 0.999.
    pub fn p999(&self) -> T {
        self.percentile(0.999)
    }

    /// The percentile at 0.9999.
    pub fn p9999(&self) -> T {
        self.percentile(0.9999)
    }
}
