//! Which benchmarks to run, said as googletest says which tests to run.

use std::convert::Infallible;
use std::str::FromStr;

/// A filter of names, as googletest's `--gtest_filter`.
///
/// Globs separated by `:`, any of which may match the whole name; behind the first `-`, globs none of which may. `*` stands
/// for any text, `?` for any one character, everything else for itself. With nothing before the `-`, all names are meant.
///
/// Every text is a filter, so parsing never fails. Matching takes time proportional to the length of the name times that
/// of the filter at worst, and allocates nothing.
///
/// ```
/// use libprocess_harness::Filter;
///
/// let filter: Filter = "ProcessTest.*:Spawn.*-*.Idle".parse()?;
/// assert!(filter.matches("ProcessTest.Process_BENCHMARK_ThroughputPerformance"));
/// assert!(filter.matches("Spawn.Terminate"));
/// assert!(!filter.matches("Spawn.Idle"));
/// assert!(!filter.matches("Dispatch.Get"));
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    text: String,
}

impl Filter {
    /// Whether the filter lets this name through.
    ///
    /// ```
    /// use libprocess_harness::Filter;
    ///
    /// let filter: Filter = "Spawn.????".parse()?;
    /// assert!(filter.matches("Spawn.Idle"));
    /// assert!(!filter.matches("Spawn.Terminate"));
    /// # Ok::<(), std::convert::Infallible>(())
    /// ```
    pub fn matches(&self, name: &str) -> bool {
        let (positive, negative) = match self.text.split_once('-') {
            Some(("", negative)) => ("*", Some(negative)),
            Some((positive, negative)) => (positive, Some(negative)),
            None => (self.text.as_str(), None),
        };
        let any = |globs: &str| globs.split(':').any(|glob| glob_matches(glob, name));
        any(positive) && !negative.is_some_and(any)
    }

    /// Whether any of the filters does; without a filter, every name is let through.
    pub(crate) fn any_matches(filters: &[Self], name: &str) -> bool {
        filters.is_empty() || filters.iter().any(|filter| filter.matches(name))
    }
}

impl FromStr for Filter {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self {
            text: text.to_owned(),
        })
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Only the last `*` is ever taken back: if the rest fails with an earlier one swallowing more, it fails with the last one
/// swallowing more too. So the time is bounded by the product of the lengths, where backtracking into every `*` is exponential.
fn glob_matches(glob: &str, name: &str) -> bool {
    let (mut glob, mut name) = (glob.chars(), name.chars());
    let mut last_star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let name_before = name.clone();
        match (glob.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = name_before;
                last_star = Some((glob.clone(), name.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((behind_star, swallowed)) = &mut last_star else {
                    return false;
                };
                if swallowed.next().is_none() {
                    return false;
                }
                glob = behind_star.clone();
                name = swallowed.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, name: &str) -> bool {
        filter.parse::<Filter>().unwrap().matches(name)
    }

    #[test]
    fn a_glob_matches_the_whole_name() {
        for (glob, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("b", "ab", false),
            ("?", "", false),
            ("?", "ä", true),
            ("??", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("**", "a", true),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*ab", "aab", true),
            ("*a?b*c", "xxaabyyaxbc", true),
            ("*a?b*c", "xxaabyyaxb", false),
            (
                "ProcessTest.*ThroughputPerformance",
                "ProcessTest.Process_BENCHMARK_ThroughputPerformance",
                true,
            ),
            ("processtest.*", "ProcessTest.A", false),
            (".", "a", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(glob_matches(glob, name), expected, "`{glob}` on `{name}`");
        }
    }

    #[test]
    fn a_glob_of_many_stars_takes_no_time() {
        let name = "a".repeat(2_000);
        assert!(!glob_matches(&format!("{}b", "*a".repeat(20)), &name));
    }

    #[test]
    fn alternatives_are_separated_by_colons() {
        assert!(matches("A.*:B.*", "A.x"));
        assert!(matches("A.*:B.*", "B.x"));
        assert!(!matches("A.*:B.*", "C.x"));
        assert!(matches(":A", "A"));
    }

    #[test]
    fn what_is_behind_the_first_dash_is_left_out() {
        assert!(matches("A.*-A.x:A.y", "A.z"));
        assert!(!matches("A.*-A.x:A.y", "A.x"));
        assert!(!matches("A.*-A.x:A.y", "A.y"));
        assert!(!matches("A.*-A.x:A.y", "B.z"));
        assert!(matches("A-b-c", "A"));
    }

    #[test]
    fn negatives_alone_are_taken_from_all() {
        assert!(matches("-A.*", "B.x"));
        assert!(!matches("-A.*", "A.x"));
        assert!(matches("*-A.*", "B.x"));
        assert!(matches("-", "B.x"));
    }

    #[test]
    fn the_empty_filter_matches_nothing_that_has_a_name() {
        assert!(!matches("", "A"));
    }
}
