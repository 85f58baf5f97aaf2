//! The figures of several runs, and what may be said of them.

use serde::{Deserialize, Serialize};

/// One figure for each run, in the order of the runs.
///
/// On a shared machine a mean says more about the neighbours than about the program, so there is none: the median, and
/// how far the runs lie apart. Each costs a sort of the runs at most.
///
/// ```
/// use libprocess_harness::Series;
///
/// let series = Series::new(vec![8.1, 7.9, 8.5]);
/// assert_eq!(series.median(), 8.1);
/// assert_eq!((series.min(), series.max()), (7.9, 8.5));
/// assert!((series.spread() - 0.074).abs() < 0.001);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<f64>", try_from = "Vec<f64>")]
pub struct Series {
    runs: Vec<f64>,
}

impl Series {
    /// The figures of these runs.
    ///
    /// # Panics
    ///
    /// If there is none, or one that is no number: nothing could be said of them.
    ///
    /// ```
    /// assert_eq!(libprocess_harness::Series::new(vec![1.5]).median(), 1.5);
    /// ```
    pub fn new(runs: Vec<f64>) -> Self {
        assert!(!runs.is_empty(), "a series needs a run");
        assert!(
            runs.iter().all(|run| !run.is_nan()),
            "not a number: {runs:?}"
        );
        Self { runs }
    }

    /// The figures, in the order of the runs.
    ///
    /// ```
    /// assert_eq!(libprocess_harness::Series::new(vec![2.0, 1.0]).runs(), [2.0, 1.0]);
    /// ```
    pub fn runs(&self) -> &[f64] {
        &self.runs
    }

    /// The one in the middle; of an even number of runs, the mean of the two in the middle.
    ///
    /// ```
    /// assert_eq!(libprocess_harness::Series::new(vec![4.0, 1.0, 2.0, 100.0]).median(), 3.0);
    /// ```
    pub fn median(&self) -> f64 {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            sorted[middle - 1].midpoint(sorted[middle])
        }
    }

    /// The least of the runs.
    ///
    /// ```
    /// assert_eq!(libprocess_harness::Series::new(vec![2.0, 1.0]).min(), 1.0);
    /// ```
    pub fn min(&self) -> f64 {
        self.runs.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The greatest of the runs.
    ///
    /// ```
    /// assert_eq!(libprocess_harness::Series::new(vec![2.0, 1.0]).max(), 2.0);
    /// ```
    pub fn max(&self) -> f64 {
        self.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// How far the runs lie apart, as a part of the median: `(max - min) / median`. Zero where all are the same.
    ///
    /// ```
    /// assert_eq!(libprocess_harness::Series::new(vec![9.0, 10.0, 11.0]).spread(), 0.2);
    /// ```
    pub fn spread(&self) -> f64 {
        let range = self.max() - self.min();
        if range == 0.0 {
            0.0
        } else {
            range / self.median()
        }
    }
}

impl Series {
    /// With those of another one behind.
    pub(crate) fn extend(&mut self, later: &Self) {
        self.runs.extend_from_slice(&later.runs);
    }
}

impl From<Series> for Vec<f64> {
    fn from(series: Series) -> Self {
        series.runs
    }
}

/// From a file, where a series may be what none should be.
impl TryFrom<Vec<f64>> for Series {
    type Error = &'static str;

    fn try_from(runs: Vec<f64>) -> Result<Self, Self::Error> {
        if runs.is_empty() {
            Err("a series needs a run")
        } else if runs.iter().any(|run| run.is_nan()) {
            Err("a run is no number")
        } else {
            Ok(Self { runs })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_runs_and_no_empty_series() {
        let series: Series = serde_json::from_str("[2.5,1.0]").unwrap();
        assert_eq!(series.runs(), [2.5, 1.0]);
        assert_eq!(serde_json::to_string(&series).unwrap(), "[2.5,1.0]");
        let error = serde_json::from_str::<Series>("[]").unwrap_err();
        assert!(
            error.to_string().contains("a series needs a run"),
            "{error}"
        );
    }

    #[test]
    fn the_median_does_not_depend_on_the_order() {
        for runs in [[1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [2.0, 3.0, 1.0]] {
            assert_eq!(Series::new(runs.to_vec()).median(), 2.0);
        }
    }

    #[test]
    fn an_outlier_moves_the_spread_and_not_the_median() {
        let series = Series::new(vec![10.0, 10.0, 10.0, 10.0, 1.0]);
        assert_eq!(series.median(), 10.0);
        assert_eq!(series.spread(), 0.9);
    }

    #[test]
    fn one_run_has_no_spread() {
        let series = Series::new(vec![0.0]);
        assert_eq!((series.median(), series.spread()), (0.0, 0.0));
    }

    #[test]
    #[should_panic = "a series needs a run"]
    fn nothing_is_no_series() {
        let _ = Series::new(Vec::new());
    }

    #[test]
    #[should_panic = "not a number"]
    fn a_run_that_is_no_number_is_refused() {
        let _ = Series::new(vec![1.0, f64::NAN]);
    }
}
