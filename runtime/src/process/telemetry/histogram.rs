use std::fmt;

/// A distribution of numbers, as an HDR histogram of two significant digits: what it tells is the number that was recorded, or up to 1 % more.
///
/// It grows with the largest number that it holds: some KiB.
///
/// ```
/// use libprocess::telemetry::Histogram;
///
/// let mut waits = Histogram::new();
/// waits.record(100);
/// waits.record(200);
/// assert_eq!((waits.count(), waits.min(), waits.mean()), (2, 100, 150.0));
/// assert_eq!((waits.p50(), waits.max()), (100, 200));
/// waits.record(1_000);
/// assert_eq!(waits.max(), 1_003); // two digits
/// ```
#[derive(Clone)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Histogram {
    /// Without a number in it.
    pub fn new() -> Self {
        let two_digits = hdrhistogram::Histogram::new(2);
        // Refused are more than five.
        Self(two_digits.expect("two significant digits are possible"))
    }

    /// Takes a number in.
    pub fn record(&mut self, value: u64) {
        // It grows as it must, up to `u64::MAX`.
        let recorded = self.0.record(value);
        debug_assert!(recorded.is_ok(), "a histogram that grows refused {value}");
    }

    /// Takes all numbers of another one in.
    pub fn add(&mut self, other: &Self) {
        let added = self.0.add(&other.0);
        debug_assert!(added.is_ok(), "a histogram that grows refused another");
    }

    /// How many numbers were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest; 0 if there is none.
    pub fn min(&self) -> u64 {
        self.0.min()
    }

    /// The largest; 0 if there is none.
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// Their mean; 0 if there is none.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// The number that this part of them (0 to 1) does not exceed; 0 if there is none.
    pub fn quantile(&self, part: f64) -> u64 {
        self.0.value_at_quantile(part)
    }

    /// The median.
    pub fn p50(&self) -> u64 {
        self.quantile(0.5)
    }

    /// The number that 99 % do not exceed.
    pub fn p99(&self) -> u64 {
        self.quantile(0.99)
    }

    /// The numbers, as far as they are told apart, with how often each was recorded, ascending: to draw them, or to store them elsewhere.
    ///
    /// ```
    /// use libprocess::telemetry::Histogram;
    ///
    /// let mut depths = Histogram::new();
    /// for depth in [1, 2, 2] {
    ///     depths.record(depth);
    /// }
    /// assert_eq!(depths.recorded().collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    /// ```
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    /// About how much all of them are together.
    pub(super) fn sum(&self) -> f64 {
        self.mean() * self.count() as f64
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.p50())
            .field("p99", &self.p99())
            .field("max", &self.max())
            .finish()
    }
}
