//! What may be said of two series of runs.
//!
//! A verdict is for people who act on it, so noise must not be able to make one. Three things are in the way of that:
//!
//! * **Runs scatter.** The interval of the ratio ([`bootstrap`]) has to lie on one side, as a whole.
//! * **The machine changes**, from minute to minute, and by more than the runs scatter. Runs that were taken in turn (A B, B A, A B and so on)
//!   see the same changes: each pair gives a ratio, and the interval is of these. If not, the second series was measured on what is
//!   another machine, and how different that one is can only be guessed from how far this one moved within each series: the medians of
//!   its first and of its second half. The interval is made wider by three times the larger of the two. A steady drift moves twice as far from
//!   series to series as it does from half to half; three times also covers a random walk, as the test below counts.
//! * **A build moves its code about.** Where functions and stacks lie makes a per cent or more, with the same sources (T. Mytkowicz,
//!   A. Diwan, M. Hauswirth, P. Sweeney, "Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009,
//!   <https://doi.org/10.1145/1508244.1508275>). So one per cent is no difference.
//!
//! What it cannot cover: a machine that was steady in each series and another one in between. Such a difference is seen, and wrong; only runs in
//! turn show it.

use serde::Serialize;

use super::bootstrap::{self, Interval};
use crate::Series;

/// With fewer, the best of one and the worst of the other are often enough in order by chance: of four and four, once in 35.
pub(crate) const LEAST_RUNS: usize = 5;
/// Pairs have one ratio each, so more are needed: all of six are on one side by chance once in 32.
pub(crate) const LEAST_PAIRS: usize = 7;

/// Nearer to 1 is no difference.
pub(crate) const LEAST_DIFFERENCE: f64 = 0.01;
/// How much further the machine may have moved between two series than within them.
const DRIFT_BETWEEN: f64 = 3.0;

/// Two series, and whether they were measured in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs<'a> {
    pub(crate) first: &'a [f64],
    pub(crate) second: &'a [f64],
    /// Then run by run they belong together.
    pub(crate) in_turn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    /// The second over the first: the median of the pairs' ratios if measured in turn, else the ratio of the medians.
    pub(crate) ratio: f64,
    pub(crate) interval: Interval,
    /// What the interval has to be widened by, as a part: 0.02 is two per cent. None in turn.
    pub(crate) drift: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The second figure is the larger one.
    Larger,
    Smaller,
    NoDifference,
    TooFewRuns,
    /// There are figures that are zero or below: they have no ratio.
    NoRatio,
}

impl Runs<'_> {
    /// `None` where a figure is zero, below it or endless.
    pub(crate) fn ratio(&self) -> Option<Ratio> {
        let all = self.first.iter().chain(self.second);
        if !all.clone().all(|run| *run > 0.0 && run.is_finite()) {
            return None;
        }
        let median = |runs: &[f64]| Series::new(runs.to_vec()).median();
        let medians = |first: &[f64], second: &[f64]| median(second) / median(first);
        Some(if self.in_turn {
            assert_eq!(self.first.len(), self.second.len(), "in turn are pairs");
            let pairs = self.first.iter().zip(self.second);
            let ratios: Vec<f64> = pairs.map(|(first, second)| second / first).collect();
            Ratio {
                ratio: median(&ratios),
                interval: bootstrap::of_median(&ratios),
                drift: 0.0,
            }
        } else {
            let moved = |runs: &[f64]| match runs.len() / 2 {
                0 => 0.0,
                half => medians(&runs[..half], &runs[runs.len() - half..])
                    .ln()
                    .abs(),
            };
            let drift = DRIFT_BETWEEN * moved(self.first).max(moved(self.second));
            Ratio {
                ratio: medians(self.first, self.second),
                interval: bootstrap::of_ratio(self.first, self.second),
                drift: drift.exp_m1(),
            }
        })
    }

    /// How many of them there have to be for a verdict.
    pub(crate) fn needed(&self) -> usize {
        if self.in_turn {
            LEAST_PAIRS
        } else {
            LEAST_RUNS
        }
    }

    pub(crate) fn verdict(&self, ratio: Option<&Ratio>) -> Verdict {
        let Some(ratio) = ratio else {
            return Verdict::NoRatio;
        };
        let factor = (1.0 + LEAST_DIFFERENCE) * (1.0 + ratio.drift);
        if self.first.len().min(self.second.len()) < self.needed() {
            Verdict::TooFewRuns
        } else if ratio.interval.low > factor {
            Verdict::Larger
        } else if ratio.interval.high < 1.0 / factor {
            Verdict::Smaller
        } else {
            Verdict::NoDifference
        }
    }
}

#[cfg(test)]
pub(crate) mod noise {
    //! Runs as shared machines make them, for tests.

    /// SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): few lines, so that no
    /// release of a library changes what is tested.
    struct Draws(u64);

    impl Draws {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }
    }

    /// Makes runs that are as bad as those of shared machines, from a seed.
    pub(crate) struct Machine {
        draws: Draws,
        noise: Noise,
        speed: f64,
        steps: u32,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Noise {
        /// As of textbooks, by five per cent.
        Normal,
        /// Now and then a run is far off, on either side: Student's distribution with two degrees of freedom.
        HeavyTailed,
        /// Neighbours only ever make it slower, some of them by much: Pareto's distribution.
        Neighbours,
        /// It becomes faster from run to run, by one part in a hundred.
        Warming,
        /// From run to run it is faster or slower than just before, by three per cent.
        Walk,
        /// It goes away and comes back.
        Swinging,
        /// Steady, but for a nearly perfect clock.
        Quiet,
    }

    pub(crate) const NOISES: [Noise; 7] = [
        Noise::Normal,
        Noise::HeavyTailed,
        Noise::Neighbours,
        Noise::Warming,
        Noise::Walk,
        Noise::Swinging,
        Noise::Quiet,
    ];

    impl Machine {
        pub(crate) fn new(noise: Noise, seed: u64) -> Self {
            // Neighbouring seeds have states that are the same sequence, shifted by a little.
            let draws = Draws(Draws(seed).next());
            Self {
                draws,
                noise,
                speed: 0.0,
                steps: 0,
            }
        }

        /// Between 0 and 1, without either.
        fn uniform(&mut self) -> f64 {
            ((self.draws.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
        }

        /// Box and Muller's.
        fn normal(&mut self) -> f64 {
            let radius = (-2.0 * self.uniform().ln()).sqrt();
            radius * (std::f64::consts::TAU * self.uniform()).cos()
        }

        /// The next run of a build that makes 1,000 a second.
        pub(crate) fn run(&mut self) -> f64 {
            self.steps += 1;
            let exponent = match self.noise {
                Noise::Normal => 0.05 * self.normal(),
                Noise::HeavyTailed => {
                    let exponential = -self.uniform().ln();
                    0.03 * self.normal() / exponential.sqrt()
                }
                Noise::Neighbours => -0.02 * self.uniform().powf(-1.0 / 1.2).min(100.0),
                Noise::Warming => 0.01 * f64::from(self.steps) + 0.02 * self.normal(),
                Noise::Walk => {
                    self.speed += 0.03 * self.normal();
                    self.speed
                }
                Noise::Swinging => {
                    self.speed = 0.9 * self.speed + 0.02 * self.normal();
                    self.speed
                }
                Noise::Quiet => 0.002 * self.normal(),
            };
            1_000.0 * exponent.exp()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::noise::{Machine, NOISES, Noise};
    use super::*;

    impl Machine {
        fn one_after_the_other(mut self, runs: usize, faster: f64) -> Verdict {
            let first: Vec<f64> = (0..runs).map(|_| self.run()).collect();
            let second: Vec<f64> = (0..runs).map(|_| self.run() * faster).collect();
            verdict(&first, &second, false)
        }

        fn in_turn(mut self, pairs: usize, faster: f64) -> Verdict {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for pair in 0..pairs {
                if pair.is_multiple_of(2) {
                    first.push(self.run());
                    second.push(self.run() * faster);
                } else {
                    second.push(self.run() * faster);
                    first.push(self.run());
                }
            }
            verdict(&first, &second, true)
        }
    }

    fn verdict(first: &[f64], second: &[f64], in_turn: bool) -> Verdict {
        let runs = Runs {
            first,
            second,
            in_turn,
        };
        runs.verdict(runs.ratio().as_ref())
    }

    /// How many of a hundred comparisons see this.
    fn per_hundred(seen: Verdict, compare: impl Fn(u64) -> Verdict) -> u64 {
        const COMPARISONS: u64 = 400;
        let count = (0..COMPARISONS)
            .filter(|seed| compare(*seed) == seen)
            .count();
        count as u64 * 100 / COMPARISONS
    }

    #[test]
    fn a_build_is_no_faster_than_itself() {
        for noise in NOISES {
            for runs in [5, 8, 21] {
                let alike = per_hundred(Verdict::NoDifference, |seed| {
                    Machine::new(noise, seed).one_after_the_other(runs, 1.0)
                });
                assert!(alike >= 95, "{noise:?}, {runs} runs: {alike} of 100");
            }
            for pairs in [7, 8, 15] {
                let alike = per_hundred(Verdict::NoDifference, |seed| {
                    Machine::new(noise, seed).in_turn(pairs, 1.0)
                });
                assert!(alike >= 95, "{noise:?}, {pairs} pairs: {alike} of 100");
            }
        }
    }

    #[test]
    fn ten_per_cent_are_seen_with_enough_pairs() {
        for noise in NOISES {
            for (faster, expected) in [(1.1, Verdict::Larger), (1.0 / 1.1, Verdict::Smaller)] {
                let seen = per_hundred(expected, |seed| {
                    Machine::new(noise, seed).in_turn(31, faster)
                });
                assert!(seen >= 95, "{noise:?}: {expected:?} {seen} of 100");
            }
        }
    }

    #[test]
    fn ten_per_cent_are_seen_one_after_the_other_where_the_machine_is_steady() {
        for (noise, runs) in [(Noise::Quiet, 5), (Noise::Normal, 151)] {
            for (faster, expected) in [(1.1, Verdict::Larger), (1.0 / 1.1, Verdict::Smaller)] {
                let seen = per_hundred(expected, |seed| {
                    Machine::new(noise, seed).one_after_the_other(runs, faster)
                });
                assert!(seen >= 90, "{noise:?}: {expected:?} {seen} of 100");
            }
        }
    }

    #[test]
    fn half_a_per_cent_is_no_difference_however_sure() {
        assert_eq!(
            verdict(&[100.0; 30], &[100.5; 30], false),
            Verdict::NoDifference
        );
        assert_eq!(
            verdict(&[100.0; 30], &[100.5; 30], true),
            Verdict::NoDifference
        );
        assert_eq!(verdict(&[100.0; 30], &[102.0; 30], false), Verdict::Larger);
        assert_eq!(verdict(&[100.0; 30], &[98.0; 30], true), Verdict::Smaller);
    }

    #[test]
    fn few_runs_have_no_verdict_however_far_apart() {
        assert_eq!(verdict(&[1.0; 4], &[2.0; 9], false), Verdict::TooFewRuns);
        assert_eq!(verdict(&[1.0; 5], &[2.0; 5], false), Verdict::Larger);
        assert_eq!(verdict(&[1.0; 6], &[2.0; 6], true), Verdict::TooFewRuns);
        assert_eq!(verdict(&[1.0; 7], &[2.0; 7], true), Verdict::Larger);
        assert_eq!(verdict(&[1.0], &[2.0], false), Verdict::TooFewRuns);
    }

    #[test]
    fn what_has_no_ratio_has_no_verdict() {
        for figure in [0.0, -1.0, f64::INFINITY] {
            assert_eq!(verdict(&[figure; 9], &[1.0; 9], false), Verdict::NoRatio);
            assert_eq!(verdict(&[1.0; 9], &[figure; 9], true), Verdict::NoRatio);
        }
    }

    #[test]
    fn drift_is_what_the_halves_are_apart() {
        let runs = Runs {
            first: &[100.0, 100.0, 500.0, 110.0, 110.0],
            second: &[200.0; 4],
            in_turn: false,
        };
        let ratio = runs.ratio().unwrap();
        assert!(
            (ratio.drift - (1.1_f64.powi(3) - 1.0)).abs() < 1e-9,
            "{ratio:?}"
        );
        assert!((ratio.ratio - 200.0 / 110.0).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn in_turn_the_machine_cancels_out() {
        let first = [100.0, 200.0, 50.0, 400.0, 100.0, 25.0, 300.0];
        let second = first.map(|run| run * 1.05);
        let runs = Runs {
            first: &first,
            second: &second,
            in_turn: true,
        };
        let ratio = runs.ratio().unwrap();
        assert!((ratio.ratio - 1.05).abs() < 1e-9, "{ratio:?}");
        assert_eq!(runs.verdict(Some(&ratio)), Verdict::Larger);
        assert_eq!(verdict(&first, &second, false), Verdict::NoDifference);
    }
}
