//! What can be chosen of the library, and every way to do so.

use std::collections::BTreeSet;

use crate::compare::features::FeatureSet;
use crate::record::Variant;

/// A part of the library that there is in several kinds.
struct Part {
    name: &'static str,
    /// The feature that each choice is made by, from the one without to the default one.
    choices: &'static [Option<&'static str>],
    /// The choice that was made, as a binary tells it.
    of: fn(&Variant) -> &str,
}

const PARTS: [Part; 3] = [
    Part {
        name: "run queue",
        choices: &[
            None,
            Some("lock-free-run-queue"),
            Some("work-stealing-run-queue"),
        ],
        of: |variant| &variant.run_queue,
    },
    Part {
        name: "event queue",
        choices: &[None, Some("lock-free-event-queue")],
        of: |variant| &variant.event_queue,
    },
    Part {
        name: "semaphore",
        choices: &[None, Some("last-in-first-out-fixed-size-semaphore")],
        of: |variant| &variant.semaphore,
    },
];

/// In all of them, so that the reactor can be chosen when a program runs.
const ALWAYS: &str = "io-uring";

/// One choice for each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Combination([usize; PARTS.len()]);

/// The features do not do what they are for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the features {features} do not decide the {part}: with each in turn it is {names}")]
pub(crate) struct Undecided {
    part: &'static str,
    features: String,
    names: String,
}

impl Combination {
    /// From mutexes and the kernel's semaphore to the default features.
    pub(crate) fn every() -> Vec<Self> {
        let mut every = vec![Self([0; PARTS.len()])];
        for (index, part) in PARTS.iter().enumerate() {
            let chosen = |combination: Self| {
                (0..part.choices.len()).map(move |choice| {
                    let mut combination = combination;
                    combination.0[index] = choice;
                    combination
                })
            };
            every = every.into_iter().flat_map(chosen).collect();
        }
        every
    }

    fn chosen(self) -> impl Iterator<Item = &'static str> {
        let choices = PARTS.iter().zip(self.0);
        choices.filter_map(|(part, choice)| part.choices[choice])
    }

    /// The features of the harness that it is built with.
    pub(crate) fn features(self) -> FeatureSet {
        FeatureSet::of(self.chosen().chain([ALWAYS]))
    }

    /// A name for files.
    pub(crate) fn name(self) -> String {
        let chosen: Vec<&str> = self.chosen().collect();
        if chosen.is_empty() {
            "none".to_owned()
        } else {
            chosen.join("+")
        }
    }

    /// In how many parts it differs from the default features.
    pub(crate) fn changes(self) -> usize {
        let parts = PARTS.iter().zip(self.0);
        parts
            .filter(|(part, choice)| choice + 1 != part.choices.len())
            .count()
    }

    /// That each choice has a name of its own in what was built, whatever the other parts are.
    pub(crate) fn check(built: &[(Self, &Variant)]) -> Result<(), Undecided> {
        for (index, part) in PARTS.iter().enumerate() {
            let names: Vec<BTreeSet<&str>> = (0..part.choices.len())
                .map(|choice| {
                    let chosen = built
                        .iter()
                        .filter(|(combination, _)| combination.0[index] == choice);
                    chosen.map(|(_, variant)| (part.of)(variant)).collect()
                })
                .collect();
            let different: BTreeSet<&str> = names.iter().flatten().copied().collect();
            if different.len() != names.len() || names.iter().any(|names| names.len() != 1) {
                return Err(Undecided {
                    part: part.name,
                    features: part
                        .choices
                        .iter()
                        .map(|feature| feature.unwrap_or("(none)"))
                        .collect::<Vec<_>>()
                        .join(", "),
                    names: names
                        .into_iter()
                        .map(|names| names.into_iter().collect::<Vec<_>>().join(" or "))
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(combination: Combination) -> Variant {
        let name = |part: usize, names: &[&str]| names[combination.0[part]].to_owned();
        Variant {
            run_queue: name(0, &["locking", "lock-free", "work-stealing"]),
            event_queue: name(1, &["locking", "lock-free"]),
            semaphore: name(2, &["kernel", "last-in-first-out"]),
            reactor: None,
        }
    }

    fn check(change: impl Fn(Combination, &mut Variant)) -> Result<(), Undecided> {
        let variants: Vec<(Combination, Variant)> = Combination::every()
            .into_iter()
            .map(|combination| {
                let mut variant = variant(combination);
                change(combination, &mut variant);
                (combination, variant)
            })
            .collect();
        let built: Vec<_> = variants
            .iter()
            .map(|(combination, variant)| (*combination, variant))
            .collect();
        Combination::check(&built)
    }

    #[test]
    fn there_are_twelve_and_the_last_one_is_the_default() {
        let every = Combination::every();
        let names: BTreeSet<String> = every.iter().map(|one| one.name()).collect();
        assert_eq!((every.len(), names.len()), (12, 12));
        assert_eq!(
            every[0].features(),
            FeatureSet::of(["io-uring"]),
            "mutexes are what there is without a feature"
        );
        let changes: Vec<usize> = every.iter().map(|one| one.changes()).collect();
        assert_eq!(changes, [3, 2, 2, 1, 3, 2, 2, 1, 2, 1, 1, 0]);
    }

    /// Else a feature that is renamed would be built, or refused, only when somebody measures.
    #[test]
    fn its_features_are_the_harness_s_own() {
        let manifest = include_str!("../../Cargo.toml");
        let (_, defaults) = manifest.split_once("\ndefault = [").unwrap();
        let (defaults, _) = defaults.split_once(']').unwrap();
        let all = PARTS.iter().flat_map(|part| part.choices).flatten();
        let all: BTreeSet<&str> = all.copied().chain([ALWAYS]).collect();
        let defaults: BTreeSet<&str> = defaults
            .split(',')
            .map(|name| name.trim().trim_matches('"'))
            .collect();
        assert_eq!(all, defaults);
    }

    #[test]
    fn a_feature_that_changes_nothing_is_seen() {
        assert_eq!(check(|_, _| {}), Ok(()));
        let nothing = check(|_, variant| "locking".clone_into(&mut variant.event_queue));
        assert_eq!(
            nothing.unwrap_err().to_string(),
            "the features (none), lock-free-event-queue do not decide the event queue: with each in turn it is locking, locking"
        );
    }

    #[test]
    fn a_feature_that_needs_another_is_seen() {
        let with_another = check(|combination, variant| {
            if combination.0[1] == 0 {
                "kernel".clone_into(&mut variant.semaphore);
            }
        });
        let text = with_another.unwrap_err().to_string();
        assert!(
            text.ends_with("kernel, kernel or last-in-first-out"),
            "{text}"
        );
    }

    #[test]
    fn a_feature_that_changes_another_part_is_seen() {
        let another = check(|combination, variant| {
            if combination.0[1] == 1 {
                "lock-free".clone_into(&mut variant.semaphore);
            }
        });
        let text = another.unwrap_err().to_string();
        assert!(text.contains("do not decide the semaphore"), "{text}");
        assert!(
            text.ends_with("kernel or lock-free, last-in-first-out or lock-free"),
            "{text}"
        );
    }
}
