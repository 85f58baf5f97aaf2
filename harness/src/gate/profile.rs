//! What callgrind writes, and what of it is counted.
//!
//! The format is described in valgrind's manual, "Callgrind Format Specification". Three things of it are read: the names of the events, their totals, and
//! how often which function was called. A name is written once, behind a number in parentheses, and from there on the number alone stands for it.

use std::collections::HashMap;

/// What a C library allocates with. One that calls another one for itself does so inside, by a name that is not among these.
const ALLOCATING: [&str; 7] = [
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "memalign",
    "posix_memalign",
    "aligned_alloc",
];

/// All of a run, from the start of the program to its end, in all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) instructions: u64,
    pub(crate) allocations: u64,
    pub(crate) system_calls: u64,
}

/// It is not what this version of callgrind should write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadProfile {
    #[error("it has no line `{0}`")]
    Missing(&'static str),
    #[error("{0:?} is no number of events, or calls")]
    NoNumber(String),
    #[error("{0:?} stands for no name")]
    NoName(String),
}

impl Totals {
    pub(super) fn parse(profile: &str) -> Result<Self, BadProfile> {
        let mut names = Names::default();
        let (mut events, mut totals) = (None, None);
        let mut allocations = 0;
        let mut called = "";
        for line in profile.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                names.resolve(name)?;
            } else if let Some(name) = line.strip_prefix("cfn=") {
                called = names.resolve(name)?;
            } else if let Some(calls) = line.strip_prefix("calls=") {
                let calls = number(calls.split(' ').next().unwrap_or_default())?;
                if ALLOCATING.contains(&called) {
                    allocations += calls;
                }
            } else if let Some(names) = line.strip_prefix("events:") {
                events = Some(names);
            } else if let Some(numbers) = line.strip_prefix("totals:") {
                totals = Some(numbers);
            }
        }
        let events = events.ok_or(BadProfile::Missing("events:"))?;
        let totals = totals.ok_or(BadProfile::Missing("totals:"))?;
        // Numbers at the end of the line that are zero are left out.
        let total = |event: &str, missing| {
            let index = events.split_whitespace().position(|name| name == event);
            let index = index.ok_or(BadProfile::Missing(missing))?;
            number(totals.split_whitespace().nth(index).unwrap_or("0"))
        };
        Ok(Self {
            instructions: total("Ir", "events: … Ir …")?,
            allocations,
            system_calls: total("sysCount", "events: … sysCount …")?,
        })
    }
}

fn number(text: &str) -> Result<u64, BadProfile> {
    text.parse()
        .map_err(|_| BadProfile::NoNumber(text.to_owned()))
}

/// Functions, by what stands for them.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    /// `(12) name` from here on, `(12)` from there, or a name as it is. Behind an apostrophe is how deep a function called itself.
    fn resolve(&mut self, text: &'a str) -> Result<&'a str, BadProfile> {
        let plain = |name: &'a str| name.split('\'').next().unwrap_or(name);
        if !text.starts_with('(') {
            return Ok(plain(text));
        }
        match text.split_once(' ') {
            Some((short, name)) => {
                self.0.insert(short, plain(name));
                Ok(plain(name))
            }
            None => self
                .0
                .get(text)
                .copied()
                .ok_or_else(|| BadProfile::NoName(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
version: 1
events: Ir sysCount sysTime

ob=(3) /lib/libc.so.6
fl=(1) malloc.c
fn=(7) malloc
10 400
cfn=(8) _int_malloc
calls=4 0
11 300
fn=(9) main
cfn=(7)
calls=3 10
12 90 1
cfi=(2) calloc.c
cfn=(10) calloc'2
calls=2x 0
13 8
cfn=free
calls=5 0
cfn=realloc
calls=1 0

totals: 123456 7
";

    #[test]
    fn each_kind_is_found() {
        let profile = PROFILE.replace("2x", "2");
        let expected = Totals {
            instructions: 123_456,
            allocations: 3 + 2 + 1,
            system_calls: 7,
        };
        assert_eq!(Totals::parse(&profile), Ok(expected));
        // Callgrind leaves zeros at the end out.
        let none = profile.replace("123456 7", "123456");
        assert_eq!(Totals::parse(&none).unwrap().system_calls, 0);
    }

    #[test]
    fn the_order_of_events_does_not_matter() {
        let profile = "events: sysCount Dr Ir\ntotals: 1 2 3\n";
        let totals = Totals::parse(profile).unwrap();
        assert_eq!((totals.instructions, totals.system_calls), (3, 1));
    }

    #[test]
    fn what_is_missing_or_strange_is_told() {
        let profile = PROFILE.replace("2x", "2");
        for (broken, error) in [
            (PROFILE.to_owned(), BadProfile::NoNumber("2x".to_owned())),
            (
                profile.replace("totals:", "total:"),
                BadProfile::Missing("totals:"),
            ),
            (
                profile.replace("events:", "event:"),
                BadProfile::Missing("events:"),
            ),
            (
                profile.replace(" sysCount", ""),
                BadProfile::Missing("events: … sysCount …"),
            ),
            (
                profile.replace("totals: 123456", "totals: many"),
                BadProfile::NoNumber("many".to_owned()),
            ),
            (
                profile.replace("fn=(7) malloc", "fn=(6) malloc"),
                BadProfile::NoName("(7)".to_owned()),
            ),
            (String::new(), BadProfile::Missing("events:")),
        ] {
            assert_eq!(Totals::parse(&broken), Err(error), "{broken}");
        }
    }
}
