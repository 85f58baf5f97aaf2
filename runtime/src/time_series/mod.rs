//! Values over time, bounded in time and in number; and their percentiles.
//!
//! Both types are plain values: nothing here asks what time it is. Whoever has a clock passes its `now` in.
//!
//! # Thinning out
//!
//! A [`TimeSeries`] keeps all values of a *window* that ends now, as long as they are no more than its *capacity*. When there are more, older ones are
//! *thinned out*: every second value of the older half goes, one for each that comes; when that is done, it begins again at the oldest. So recent
//! values stand close, and the older they are the wider apart, each half as dense as the next:
//!
//! ```text
//! capacity 7      0 1 2 3 4 5 6
//! 7 comes         0   2 3 4 5 6 7           1 goes, 3 is next
//! 8 comes         0   2   4 5 6 7 8         3 goes, 5 is next
//! 9 comes         0   2   4   6 7 8 9       5 goes; 7 is beyond the middle, so 2 is next
//! 10 comes        0       4   6 7 8 9 10    2 goes, 6 is next
//! ```
//!
//! The oldest is never thinned out: it shows where the series begins. It leaves with the window.
//!
//! The *cursor* says which is next. When the window takes values from the front, it stays with its value; if that is among those that go, thinning
//! begins again at the oldest, and so it does after a value that came late was put in between others.

mod statistics;

pub use statistics::{Interpolate, Statistics};

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use crate::clock::Time;

/// The window of [`TimeSeries::default`]: two weeks, as in libprocess.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The capacity of [`TimeSeries::default`], as in libprocess.
pub const DEFAULT_CAPACITY: usize = 1_000;

/// Below this, there is no half to thin out.
const LEAST_CAPACITY: usize = 3;

/// Values over time: those of a window that ends now, thinned out where they are too many.
///
/// # Cost
///
/// A value that is newer than all others is put in in O(1) amortized. To thin out, and to put a late value in, moves up to half of the values by one
/// place: for the default capacity some kilobytes. Memory is proportional to the number of values, capacity and one at most.
///
/// ```
/// use std::time::Duration;
/// use libprocess::{Time, time_series::TimeSeries};
///
/// let second = Duration::from_secs(1);
/// let mut series = TimeSeries::new(10 * second, 1_000);
/// let mut now = Time::EPOCH;
/// for value in 0..20 {
///     series.set(value, now);
///     now += second;
/// }
/// assert_eq!(series.latest(), Some((now - second, &19)));
/// assert_eq!(series.len(), 10);
/// ```
#[derive(Clone, Debug)]
pub struct TimeSeries<T> {
    window: Duration,
    capacity: usize,
    /// In order of time; one for each time.
    values: VecDeque<(Time, T)>,
    /// The index of the value that is thinned out next. None: that of the second one.
    cursor: Option<usize>,
}

impl<T> TimeSeries<T> {
    /// An empty series. A capacity below three is taken as three.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::time_series::TimeSeries;
    ///
    /// let series = TimeSeries::<f64>::new(Duration::from_secs(60), 1);
    /// assert_eq!((series.window().as_secs(), series.capacity()), (60, 3));
    /// assert!(series.is_empty() && series.latest().is_none());
    /// ```
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self {
            window,
            capacity: capacity.max(LEAST_CAPACITY),
            values: VecDeque::new(),
            cursor: None,
        }
    }

    /// Puts in what the value is now, and takes out what is too old or too much. If there is a value of this time, it is replaced.
    pub fn set(&mut self, value: T, now: Time) {
        self.set_at(value, now, now);
    }

    /// Puts in what the value was at `time`, and takes out what is too old now or too much.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::{Time, time_series::TimeSeries};
    ///
    /// let now = Time::EPOCH + Duration::from_secs(60);
    /// let mut series = TimeSeries::default();
    /// series.set("now", now);
    /// series.set_at("a second ago", now - Duration::from_secs(1), now);
    /// assert!(series.values().map(|(_, value)| *value).eq(["a second ago", "now"]));
    /// ```
    pub fn set_at(&mut self, value: T, time: Time, now: Time) {
        match self.values.back_mut() {
            Some((latest, place)) if *latest == time => *place = value,
            Some((latest, _)) if *latest > time => {
                self.cursor = None;
                let index = self.first_not_before(time);
                match &mut self.values[index] {
                    (known, place) if *known == time => *place = value,
                    _ => self.values.insert(index, (time, value)),
                }
            }
            _ => self.values.push_back((time, value)),
        }
        self.truncate(now);
        self.thin_out();
    }

    /// The values, in order of time.
    ///
    /// ```
    /// use libprocess::{Time, time_series::TimeSeries};
    ///
    /// let mut series = TimeSeries::default();
    /// series.set(1.5, Time::from_nanos(1));
    /// series.set(2.5, Time::from_nanos(2));
    /// assert_eq!(series.values().map(|(_, value)| value).sum::<f64>(), 4.0);
    /// assert_eq!(series.values().next_back(), series.latest());
    /// ```
    pub fn values(&self) -> impl DoubleEndedIterator<Item = (Time, &T)> + ExactSizeIterator {
        self.values.iter().map(|(time, value)| (*time, value))
    }

    /// The values of some time, in order of time. O(log n) to find them. None if the range ends before it starts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::{Time, time_series::TimeSeries};
    ///
    /// let mut series = TimeSeries::default();
    /// for seconds in 0..10 {
    ///     series.set(seconds, Time::EPOCH + Duration::from_secs(seconds));
    /// }
    /// let from = Time::EPOCH + Duration::from_secs(8);
    /// assert!(series.range(from..).map(|(_, value)| *value).eq([8, 9]));
    /// assert_eq!(series.range(..=Time::EPOCH).count(), 1);
    /// ```
    pub fn range(
        &self,
        times: impl RangeBounds<Time>,
    ) -> impl DoubleEndedIterator<Item = (Time, &T)> + ExactSizeIterator {
        let start = match times.start_bound() {
            Bound::Included(time) => self.first_not_before(*time),
            Bound::Excluded(time) => self.first_after(*time),
            Bound::Unbounded => 0,
        };
        let end = match times.end_bound() {
            Bound::Included(time) => self.first_after(*time),
            Bound::Excluded(time) => self.first_not_before(*time),
            Bound::Unbounded => self.values.len(),
        };
        let values = self.values.range(start..end.max(start));
        values.map(|(time, value)| (*time, value))
    }

    /// The newest value.
    pub fn latest(&self) -> Option<(Time, &T)> {
        self.values.back().map(|(time, value)| (*time, value))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How far back the values go.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// How many values there are at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes out what is as old as the window or older, but never the newest value. `set` does that; this is for a series in which nothing is put for
    /// long.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::{Time, time_series::TimeSeries};
    ///
    /// let second = Duration::from_secs(1);
    /// let mut series = TimeSeries::new(10 * second, 1_000);
    /// for seconds in 0..5 {
    ///     series.set(seconds, Time::EPOCH + seconds * second);
    /// }
    /// series.truncate(Time::EPOCH + 12 * second);
    /// assert!(series.values().map(|(_, value)| *value).eq([3, 4]));
    /// ```
    pub fn truncate(&mut self, now: Time) {
        let expired = self.first_after(now - self.window);
        let removed = expired.min(self.values.len().saturating_sub(1));
        if removed == 0 {
            return;
        }
        self.values.drain(..removed);
        // None if the value that was next is among them.
        self.cursor = self
            .cursor
            .and_then(|cursor| cursor.checked_sub(removed))
            .filter(|cursor| *cursor > 0);
    }

    fn thin_out(&mut self) {
        while self.values.len() > self.capacity {
            let index = match self.cursor {
                Some(index) if index <= self.values.len() / 2 => index,
                _ => 1,
            };
            self.values.remove(index);
            // The one behind it has its index now, and is left out.
            self.cursor = Some(index + 1);
        }
    }

    fn first_not_before(&self, time: Time) -> usize {
        self.values.partition_point(|(known, _)| *known < time)
    }

    fn first_after(&self, time: Time) -> usize {
        self.values.partition_point(|(known, _)| *known <= time)
    }
}

/// With [`DEFAULT_WINDOW`] and [`DEFAULT_CAPACITY`].
impl<T> Default for TimeSeries<T> {
    fn default() -> Self {
        Self::new(DEFAULT_WINDOW, DEFAULT_CAPACITY)
    }
}
