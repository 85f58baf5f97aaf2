//! How far a ratio can be trusted: the percentile bootstrap (B. Efron, "Bootstrap Methods: Another Look at the Jackknife", The Annals of
//! Statistics 7(1), 1979, <https://doi.org/10.1214/aos/1176344552>).
//!
//! The runs stand for all that could have been: as many are drawn from them, each time from all of them, and the median of what was drawn is
//! taken. Where the middle 99 of 100 such medians lie is the interval.
//!
//! Nothing has to be drawn for that. The median of a draw is one of the runs, and how often it is the least one, the next
//! one and so on depends on their number alone; the article does the same in its section 3. So the interval is exact, and the
//! same runs always have the same one. Of an even number of runs one fewer is drawn, so that there is one in the middle: the interval is
//! a little wider for it.

use serde::Serialize;

/// Of the medians that could be drawn, the part that lies in the interval.
///
/// Of few runs the interval of a median is too narrow: what is to hold 95 of 100 holds 87 with seven runs. This one
/// holds 96 and more with seven or nine, and nearly 99 with many.
pub(crate) const CONFIDENCE: f64 = 0.99;

/// A run that is the median of a draw less often than this is left out: all of these together are nothing beside the ends.
const NEVER: f64 = 1e-12;

/// From the lower end to the upper one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A value, and how often it is drawn.
type Drawn = (f64, f64);

/// Of the ratio of the medians, the second over the first: the runs have nothing to do with each other.
///
/// Costs some hundred times the product of the square roots of their numbers.
pub(crate) fn of_ratio(first: &[f64], second: &[f64]) -> Interval {
    let (firsts, seconds) = (medians(first), medians(second));
    interval(
        firsts
            .iter()
            .flat_map(|(first, often)| {
                seconds
                    .iter()
                    .map(move |(second, as_often)| (second / first, often * as_often))
            })
            .collect(),
        1.0 - CONFIDENCE,
    )
}

/// Of the median.
pub(crate) fn of_median(values: &[f64]) -> Interval {
    of_median_but_for(1.0 - CONFIDENCE, values)
}

/// Of the median, with all but this part of the medians that could be drawn.
pub(crate) fn of_median_but_for(outside: f64, values: &[f64]) -> Interval {
    interval(medians(values), outside)
}

fn interval(mut drawn: Vec<Drawn>, outside: f64) -> Interval {
    drawn.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let low = end(drawn.iter(), outside / 2.0);
    let high = end(drawn.iter().rev(), outside / 2.0);
    Interval { low, high }
}

/// The first value that, with those before it, is drawn often enough to be in the interval.
fn end<'a>(from_outside: impl Iterator<Item = &'a Drawn>, beyond: f64) -> f64 {
    let mut so_far = 0.0;
    for (value, often) in from_outside {
        so_far += often;
        if so_far >= beyond {
            return *value;
        }
    }
    unreachable!("together they are drawn always");
}

/// The medians that can be drawn from these runs, and how often each of them is.
fn medians(runs: &[f64]) -> Vec<Drawn> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let binomial = Binomial::new((runs.len() - 1) / 2 * 2 + 1);
    let mut least_or_less = 0.0;
    let often = (1..=runs.len()).map(|rank| {
        // The median is among the first ones when more than half of what is drawn is.
        let this_or_less = binomial.more_than_half(rank as f64 / runs.len() as f64);
        let this = this_or_less - least_or_less;
        least_or_less = this_or_less;
        this
    });
    let drawn = sorted.into_iter().zip(often);
    drawn.filter(|(_, often)| *often > NEVER).collect()
}

/// So many draws, each of which can succeed. An odd number.
struct Binomial {
    draws: usize,
    /// For each number of successes from more than half to all: the logarithm of the number of ways to have them.
    ways: Vec<f64>,
}

impl Binomial {
    fn new(draws: usize) -> Self {
        // From all of them downwards: one way, and each time one success less has `successes / failures` times as many.
        let mut logarithm = 0.0;
        let mut ways = vec![logarithm];
        for failures in 1..=draws / 2 {
            logarithm += ((draws + 1 - failures) as f64 / failures as f64).ln();
            ways.push(logarithm);
        }
        Self { draws, ways }
    }

    /// The probability of it, if each succeeds with this one.
    fn more_than_half(&self, success: f64) -> f64 {
        if success >= 1.0 {
            return 1.0;
        }
        let (success, failure) = (success.ln(), (1.0 - success).ln());
        let ways = self.ways.iter().enumerate();
        ways.map(|(failures, ways)| {
            let successes = (self.draws - failures) as f64;
            (ways + successes * success + failures as f64 * failure).exp()
        })
        .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_is_as_tables_have_it() {
        for (draws, success, expected) in [
            (1, 0.25, 0.25),
            (3, 0.5, 0.5),
            (3, 1.0 / 3.0, 7.0 / 27.0),
            (7, 1.0 / 7.0, 8_359.0 / 823_543.0),
            (9, 2.0 / 9.0, 11_767_232.0 / 387_420_489.0),
            (10_001, 0.5, 0.5),
            (5, 1.0, 1.0),
        ] {
            let found = Binomial::new(draws).more_than_half(success);
            assert!((found - expected).abs() < 1e-9, "{draws}: {found}");
        }
    }

    #[test]
    fn one_of_the_runs_is_always_the_median() {
        for runs in [1, 2, 5, 8, 101, 10_000] {
            let runs: Vec<f64> = (1..=runs).map(f64::from).collect();
            let all: f64 = medians(&runs).iter().map(|(_, often)| often).sum();
            assert!((all - 1.0).abs() < 1e-6, "{}: {all}", runs.len());
        }
    }

    /// Of seven runs the least is the median of a draw with the probability that four or more of seven draws are that run: 0.0102, more than the half
    /// per cent that lies beyond an end. Of nine runs: 0.0014, and the next one or less: 0.0304.
    #[test]
    fn the_interval_of_few_runs_is_known() {
        let sevens = [7.0, 1.0, 6.0, 2.0, 5.0, 3.0, 4.0];
        assert_eq!(
            of_median(&sevens),
            Interval {
                low: 1.0,
                high: 7.0
            }
        );
        let nines = [9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0];
        assert_eq!(
            of_median(&nines),
            Interval {
                low: 2.0,
                high: 8.0
            }
        );
        assert_eq!(
            of_median(&[1.0]),
            Interval {
                low: 1.0,
                high: 1.0
            }
        );
    }

    /// Of nine runs the least is the median of a draw with the probability 0.0014: that is less than the half per cent of the interval, and more than a 23rd of that.
    #[test]
    fn the_less_may_be_outside_the_wider_it_is() {
        let runs: Vec<f64> = (1..=9).map(f64::from).collect();
        for (outside, low, high) in [(0.01, 2.0, 8.0), (0.01 / 23.0, 1.0, 9.0), (0.2, 3.0, 7.0)] {
            assert_eq!(of_median_but_for(outside, &runs), Interval { low, high });
        }
    }

    /// The ends are the runs at n/2 ± 2.576 √n / 2, as the binomial distribution of many is nearly a normal one.
    #[test]
    fn the_interval_of_many_runs_is_that_of_order_statistics() {
        for many in [401, 400, 10_000] {
            let values: Vec<f64> = (1..=many).map(f64::from).collect();
            let interval = of_median(&values);
            let half = 2.576 * f64::from(many).sqrt() / 2.0;
            let middle = f64::from(many + 1) / 2.0;
            assert!((interval.low - (middle - half)).abs() < 1.5, "{interval:?}");
            assert!(
                (interval.high - (middle + half)).abs() < 1.5,
                "{interval:?}"
            );
        }
    }

    /// Each least and greatest median of five is drawn with 0.0579, so both with 0.0034: less than the half per cent. The next ratio
    /// is behind that end.
    #[test]
    fn the_ratio_is_of_the_second_over_the_first() {
        assert_eq!(
            of_ratio(&[10.0; 5], &[25.0; 8]),
            Interval {
                low: 2.5,
                high: 2.5
            }
        );
        let first = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
        let second = [2.0, 21.0, 230.0, 2_500.0, 27_000.0];
        let interval = of_ratio(&first, &second);
        assert_eq!(
            interval,
            Interval {
                low: 2.0 / 1_000.0,
                high: 2_700.0
            }
        );
    }
}
