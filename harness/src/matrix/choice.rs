//! Which combination to recommend.
//!
//! Of many combinations one is the best in any series of runs, be it by chance. So the best figure is not what decides:
//!
//! 1. Each run is compared with the one of the same round of the default features: the *leader* has the best median of these ratios.
//! 2. What is behind the leader is out: pair by pair, round by round, as two builds are compared. The interval has to lie beyond one per cent
//!    as a whole. That the leader was chosen because it came out best is paid for: there are as many leaders that could have been
//!    as there are others, so each interval leaves out that part of what a single one may (C. Bonferroni's inequality).
//! 3. What is left cannot be told apart. Of these, the one that differs from the default features in the fewest parts is
//!    recommended, so the default itself where it is among them; of several, the one with the best median.
//!
//! What comes out is the default unless there is a reason: where all combinations are alike in truth, another one is recommended less than five times in 100.
//! That takes rounds. Of as many combinations as there are, one is ahead of the default in every single round by chance too
//! often, if the rounds are few: with twelve and three rounds, in more than every other series.

use crate::compare::bootstrap::{self, CONFIDENCE, Interval};
use crate::compare::verdict::{LEAST_DIFFERENCE, LEAST_PAIRS};
use crate::series::Series;

/// How often another combination may be ahead of the default in every round where all are alike.
const BY_CHANCE: f64 = 0.05;

/// What is to be chosen among.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// Round by round: the same rounds for all of them.
    pub(crate) runs: &'a [f64],
    /// In how many parts it differs from the default; none in the default itself.
    pub(crate) changes: usize,
}

/// Each candidate by its index.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// All others are behind it.
    Ahead {
        best: usize,
        next: usize,
        /// How far: the better figure in terms of the other one, as far as that can be trusted.
        by: Interval,
    },
    /// These cannot be told apart, the leader among them.
    Alike {
        recommended: usize,
        leader: usize,
        alike: Vec<usize>,
    },
    /// Nothing can be said.
    TooFewRounds { leader: usize },
    /// There are figures that are not above zero.
    NoRatio,
}

impl Choice {
    pub(crate) fn recommended(&self) -> Option<usize> {
        match self {
            Self::Ahead { best, .. } => Some(*best),
            Self::Alike { recommended, .. } => Some(*recommended),
            Self::TooFewRounds { .. } | Self::NoRatio => None,
        }
    }

    /// Whether it cannot be told from the best one; `None` if nothing can be said.
    pub(crate) fn may_be_best(&self, candidate: usize) -> Option<bool> {
        match self {
            Self::Ahead { best, .. } => Some(candidate == *best),
            Self::Alike { alike, .. } => Some(alike.contains(&candidate)),
            Self::TooFewRounds { .. } | Self::NoRatio => None,
        }
    }
}

/// How many rounds are needed for a choice among so many.
pub(crate) fn rounds_needed(candidates: usize) -> usize {
    let others = candidates.saturating_sub(1) as f64;
    let by_chance = |rounds: &usize| others * 0.5_f64.powf(*rounds as f64);
    (LEAST_PAIRS..)
        .find(|rounds| by_chance(rounds) <= BY_CHANCE)
        .expect("each round halves it")
}

/// Among these, one of which is the default.
///
/// # Panics
///
/// If there are not two, or none is the default.
pub(crate) fn choose(candidates: &[Candidate<'_>], more_is_better: bool) -> Choice {
    assert!(candidates.len() >= 2, "there is nothing to choose");
    let mut runs = candidates.iter().flat_map(|candidate| candidate.runs);
    if !runs.all(|run| *run > 0.0 && run.is_finite()) {
        return Choice::NoRatio;
    }
    let better = |one: &Candidate<'_>, other: &Candidate<'_>| -> Vec<f64> {
        let pairs = one.runs.iter().zip(other.runs);
        pairs
            .map(|(one, other)| {
                if more_is_better {
                    one / other
                } else {
                    other / one
                }
            })
            .collect()
    };
    let default = candidates
        .iter()
        .find(|candidate| candidate.changes == 0)
        .expect("the default is among them");
    let merits: Vec<f64> = candidates
        .iter()
        .map(|candidate| Series::new(better(candidate, default)).median())
        .collect();
    // The first of equals, as no change is better than one.
    let best_of = |indices: &mut dyn Iterator<Item = usize>| {
        indices.min_by(|one, other| {
            let changes = |index: &usize| candidates[*index].changes;
            merits[*other]
                .total_cmp(&merits[*one])
                .then(changes(one).cmp(&changes(other)))
        })
    };
    let leader = best_of(&mut (0..candidates.len())).expect("there are two at least");
    if default.runs.len() < rounds_needed(candidates.len()) {
        return Choice::TooFewRounds { leader };
    }
    let beyond = (1.0 - CONFIDENCE) / (candidates.len() - 1) as f64;
    let ahead = |of: usize| {
        bootstrap::of_median_but_for(beyond, &better(&candidates[leader], &candidates[of]))
    };
    let is_behind = |index: &usize| ahead(*index).low > 1.0 + LEAST_DIFFERENCE;
    let alike: Vec<usize> = (0..candidates.len())
        .filter(|index| *index == leader || !is_behind(index))
        .collect();
    if alike.len() == 1 {
        let mut others = (0..candidates.len()).filter(|index| *index != leader);
        let next = best_of(&mut others).expect("there are two at least");
        return Choice::Ahead {
            best: leader,
            next,
            by: ahead(next),
        };
    }
    let fewest = alike.iter().map(|index| candidates[*index].changes).min();
    let mut nearest = alike
        .iter()
        .copied()
        .filter(|index| Some(candidates[*index].changes) == fewest);
    Choice::Alike {
        recommended: best_of(&mut nearest).expect("the leader is alike to itself"),
        leader,
        alike,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::verdict::noise::{Machine, NOISES};

    /// Nine rounds near to a figure, in an order of its own for each.
    fn around(median: f64, number: usize) -> Vec<f64> {
        let parts = [
            1.0, 0.998, 1.002, 1.001, 0.999, 1.003, 0.997, 1.0005, 0.9995,
        ];
        (0..9)
            .map(|round| median * parts[(round + 2 * number) % 9])
            .collect()
    }

    fn chosen(medians: &[f64], changes: &[usize], more_is_better: bool) -> Choice {
        let runs: Vec<Vec<f64>> = medians
            .iter()
            .enumerate()
            .map(|(number, median)| around(*median, number))
            .collect();
        let candidates: Vec<Candidate<'_>> = runs
            .iter()
            .zip(changes)
            .map(|(runs, changes)| Candidate {
                runs,
                changes: *changes,
            })
            .collect();
        choose(&candidates, more_is_better)
    }

    #[test]
    fn one_that_is_ahead_of_all_is_chosen_however_many_changes_it_takes() {
        let choice = chosen(&[100.0, 130.0, 120.0, 90.0], &[1, 3, 2, 0], true);
        let Choice::Ahead { best, next, by } = choice else {
            panic!("{choice:?}");
        };
        assert_eq!((best, next), (1, 2));
        assert!(1.07 < by.low && by.low <= 1.085, "{by:?}");
        assert!(1.082 < by.high && by.high < 1.10, "{by:?}");
    }

    #[test]
    fn of_what_is_alike_the_default_is_chosen() {
        assert_eq!(
            chosen(&[100.2, 80.0, 99.9, 100.0], &[1, 2, 1, 0], true),
            Choice::Alike {
                recommended: 3,
                leader: 0,
                alike: vec![0, 2, 3]
            }
        );
    }

    #[test]
    fn where_the_default_is_out_the_fewest_changes_count_and_then_the_median() {
        let medians = [120.0, 120.4, 120.8, 121.0, 100.0];
        assert_eq!(
            chosen(&medians, &[1, 1, 2, 3, 0], true),
            Choice::Alike {
                recommended: 1,
                leader: 3,
                alike: vec![0, 1, 2, 3]
            }
        );
    }

    #[test]
    fn less_memory_is_better() {
        let choice = chosen(&[200.0, 100.0, 150.0, 180.0], &[3, 2, 1, 0], false);
        let Choice::Ahead { best, next, by } = choice else {
            panic!("{choice:?}");
        };
        assert_eq!((best, next), (1, 2));
        assert!(1.48 < by.low && by.high < 1.52, "{by:?}");
        assert_eq!(choice.recommended(), Some(1));
        assert_eq!(
            [0, 1].map(|one| choice.may_be_best(one)),
            [Some(false), Some(true)]
        );
    }

    #[test]
    fn equals_are_decided_by_the_changes() {
        let runs = [5.0; 9];
        let candidates = [2, 1, 0, 1].map(|changes| Candidate {
            runs: &runs,
            changes,
        });
        assert_eq!(
            choose(&candidates, true),
            Choice::Alike {
                recommended: 2,
                leader: 2,
                alike: vec![0, 1, 2, 3]
            }
        );
    }

    #[test]
    fn few_rounds_have_no_choice_however_far_apart() {
        assert_eq!([2, 12, 24].map(rounds_needed), [7, 8, 9]);
        let choice = |rounds: usize| {
            let (good, bad) = (vec![2.0; rounds], vec![1.0; rounds]);
            let candidates: Vec<Candidate<'_>> = (0..12)
                .map(|index| Candidate {
                    runs: if index == 4 { &good } else { &bad },
                    changes: 11 - index,
                })
                .collect();
            choose(&candidates, true)
        };
        assert_eq!(choice(7), Choice::TooFewRounds { leader: 4 });
        assert_eq!(choice(7).recommended(), None);
        assert_eq!(choice(7).may_be_best(4), None);
        assert_eq!(choice(8).recommended(), Some(4));
    }

    #[test]
    fn what_has_no_ratio_has_no_choice() {
        for figure in [0.0, -1.0, f64::INFINITY] {
            let (odd, even) = ([figure; 9], [1.0; 9]);
            let candidates = [(&odd, 1), (&even, 0)].map(|(runs, changes)| Candidate {
                runs: &runs[..],
                changes,
            });
            assert_eq!(choose(&candidates, true), Choice::NoRatio);
        }
    }

    /// A round of all forwards, then one backwards, on a machine that is as bad as shared ones are.
    fn series(mut machine: Machine, rounds: usize, faster: [f64; 24]) -> Choice {
        let mut runs = vec![Vec::new(); faster.len()];
        for round in 0..rounds {
            for place in 0..faster.len() {
                let index = if round % 2 == 0 {
                    place
                } else {
                    faster.len() - 1 - place
                };
                runs[index].push(machine.run() * faster[index]);
            }
        }
        let candidates: Vec<Candidate<'_>> = runs
            .iter()
            .enumerate()
            .map(|(index, runs)| Candidate {
                runs,
                // One default, in the middle as well as anywhere.
                changes: index.abs_diff(13).min(4),
            })
            .collect();
        choose(&candidates, true)
    }

    #[test]
    fn where_all_are_alike_noise_recommends_the_default() {
        const SERIES: u64 = 300;
        for noise in NOISES {
            for rounds in [9, 10, 15] {
                let others = (0..SERIES)
                    .filter(|seed| {
                        let machine = Machine::new(noise, *seed);
                        series(machine, rounds, [1.0; 24]).recommended() != Some(13)
                    })
                    .count();
                assert!(
                    others as u64 * 100 <= 5 * SERIES,
                    "{noise:?}, {rounds} rounds: {others} of {SERIES}"
                );
            }
        }
    }

    #[test]
    fn what_is_twice_as_fast_is_found_in_noise() {
        const SERIES: u64 = 100;
        let mut faster = [1.0; 24];
        faster[2] = 2.0;
        for noise in NOISES {
            let found = (0..SERIES)
                .filter(|seed| {
                    let machine = Machine::new(noise, *seed);
                    series(machine, 15, faster).recommended() == Some(2)
                })
                .count();
            assert!(found >= 95, "{noise:?}: {found} of {SERIES}");
        }
    }
}
