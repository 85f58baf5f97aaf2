//! Sets of features that a harness is built with.
//!
//! A set is written as its features with commas between, from left to right: `default` is all that are on by default, `none` is nothing, and one with
//! a `-` before it is taken away again. So a set says all that is on, and nothing depends on what cargo would add.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

/// The package whose features these are.
pub(crate) const PACKAGE: &str = "libprocess-harness";
/// As cargo calls them.
const DEFAULT: &str = "default";
const NONE: &str = "none";

/// What a manifest declares: each feature, and what it turns on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared(BTreeMap<String, Vec<String>>);

/// All features that are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeatureSet(BTreeSet<String>);

/// What is no set of features, or no two of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFeatures {
    #[error(
        "{feature:?} is no feature of the harness; there are:{there}\nand `default` for those that are on by default, `none` for nothing, and `-NAME` to take one away"
    )]
    Unknown { feature: String, there: String },
    #[error("{set:?} takes away {feature}, which is not in it")]
    NotThere { set: String, feature: String },
    #[error("{set:?} takes away {feature}, which {by} needs")]
    Needed {
        set: String,
        feature: String,
        by: String,
    },
    #[error(
        "A and B are built with the same features ({0}): there is nothing to compare; `default,-io-uring`, say, is another set than `default`"
    )]
    Same(FeatureSet),
}

/// The part of `cargo metadata` that is of interest.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    features: BTreeMap<String, Vec<String>>,
}

impl Declared {
    /// The harness's, from what `cargo metadata` prints; `None` if it is not in there.
    pub(crate) fn in_metadata(json: &[u8]) -> Option<Self> {
        let metadata: Metadata = serde_json::from_slice(json).ok()?;
        let harness = metadata
            .packages
            .into_iter()
            .find(|package| package.name == PACKAGE)?;
        Some(Self(harness.features))
    }

    /// What a user calls a set.
    pub(crate) fn set(&self, text: &str) -> Result<FeatureSet, BadFeatures> {
        let mut chosen = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for item in text.split(',').map(str::trim) {
            if item == NONE {
                continue;
            }
            if let Some(feature) = item.strip_prefix('-') {
                self.known(feature)?;
                if !chosen.remove(feature) {
                    return Err(BadFeatures::NotThere {
                        set: text.to_owned(),
                        feature: feature.to_owned(),
                    });
                }
                taken.insert(feature.to_owned());
                continue;
            }
            self.known(item)?;
            for feature in self.with_needed(item) {
                taken.remove(&feature);
                chosen.insert(feature);
            }
        }
        for feature in &taken {
            let needs = |by: &&String| self.with_needed(by).contains(feature);
            if let Some(by) = chosen.iter().find(needs) {
                return Err(BadFeatures::Needed {
                    set: text.to_owned(),
                    feature: feature.clone(),
                    by: by.clone(),
                });
            }
        }
        Ok(FeatureSet(chosen))
    }

    /// Two sets that are not the same.
    pub(crate) fn two_sets(&self, texts: [&str; 2]) -> Result<[FeatureSet; 2], BadFeatures> {
        let [a, b] = [self.set(texts[0])?, self.set(texts[1])?];
        if a == b {
            return Err(BadFeatures::Same(a));
        }
        Ok([a, b])
    }

    fn known(&self, feature: &str) -> Result<(), BadFeatures> {
        if self.0.contains_key(feature) {
            return Ok(());
        }
        let on = self.with_needed(DEFAULT);
        let others = self.0.keys().filter(|name| *name != DEFAULT);
        let there = others.map(|name| {
            let note = if on.contains(name) {
                " (on by default)"
            } else {
                ""
            };
            format!("\n  {name}{note}")
        });
        Err(BadFeatures::Unknown {
            feature: feature.to_owned(),
            there: there.collect(),
        })
    }

    /// It and all that it turns on; of `default`, only that.
    fn with_needed(&self, feature: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut left = vec![feature];
        while let Some(name) = left.pop() {
            // What it turns on may also be a dependency, or a feature of one.
            if let Some(needed) = self.0.get(name)
                && found.insert(name.to_owned())
            {
                left.extend(needed.iter().map(String::as_str));
            }
        }
        found.remove(DEFAULT);
        found
    }
}

impl FeatureSet {
    /// Of these names.
    pub(crate) fn of<'a>(features: impl IntoIterator<Item = &'a str>) -> Self {
        Self(features.into_iter().map(str::to_owned).collect())
    }

    /// As cargo is told.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--no-default-features".to_owned()];
        if !self.0.is_empty() {
            let features: Vec<&str> = self.0.iter().map(String::as_str).collect();
            arguments.push(format!("--features={}", features.join(",")));
        }
        arguments
    }
}

impl fmt::Display for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no feature");
        }
        let features: Vec<&str> = self.0.iter().map(String::as_str).collect();
        f.write_str(&features.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared() -> Declared {
        let json = json!({"packages": [
            {"name": "another", "features": {"x": []}},
            {"name": "libprocess-harness", "features": {
                "default": ["queue", "ring"],
                "queue": ["library/queue"],
                "ring": ["dep:ring", "socket"],
                "socket": [],
                "spans": [],
            }},
        ]});
        Declared::in_metadata(json.to_string().as_bytes()).unwrap()
    }

    fn set(features: &[&str]) -> Result<FeatureSet, BadFeatures> {
        Ok(FeatureSet::of(features.iter().copied()))
    }

    #[test]
    fn a_set_is_all_that_is_on() {
        let declared = declared();
        for (text, on) in [
            ("default", &["queue", "ring", "socket"][..]),
            ("none", &[]),
            ("queue", &["queue"]),
            ("ring", &["ring", "socket"]),
            ("none,queue, spans", &["queue", "spans"]),
            ("default,-queue", &["ring", "socket"]),
            ("default,-ring,-socket,spans", &["queue", "spans"]),
            ("default,-queue,queue", &["queue", "ring", "socket"]),
        ] {
            assert_eq!(declared.set(text), set(on), "{text}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused_with_what_there_is() {
        let declared = declared();
        for unknown in ["Queue", "x", "", "queue,,ring", "-spin", "--spans"] {
            let text = declared.set(unknown).unwrap_err().to_string();
            assert!(
                text.contains(
                    "\n  queue (on by default)\n  ring (on by default)\n  socket (on by default)\n  spans\nand "
                ),
                "{unknown}: {text}"
            );
        }
        assert_eq!(
            declared.set("queue,-spans").unwrap_err().to_string(),
            "\"queue,-spans\" takes away spans, which is not in it"
        );
        assert_eq!(
            declared.set("default,-socket").unwrap_err().to_string(),
            "\"default,-socket\" takes away socket, which ring needs"
        );
    }

    #[test]
    fn two_spellings_of_a_set_are_no_two_sets() {
        let declared = declared();
        let text = declared
            .two_sets(["ring,queue", "default"])
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("A and B are built with the same features (queue, ring, socket)"),
            "{text}"
        );
        let [a, b] = declared.two_sets(["none", "queue,spans"]).unwrap();
        assert_eq!(a.arguments(), ["--no-default-features"]);
        assert_eq!(
            b.arguments(),
            ["--no-default-features", "--features=queue,spans"]
        );
        assert_eq!(
            (a.to_string(), b.to_string()),
            ("no feature".to_owned(), "queue, spans".to_owned())
        );
    }

    #[test]
    fn what_is_no_metadata_has_no_features() {
        assert_eq!(Declared::in_metadata(b"{\"packages\": []}"), None);
        assert_eq!(Declared::in_metadata(b"no JSON"), None);
    }
}
