//! Whether benchmarks have the names that they always had.
//!
//! Criterion keeps what it measured under them, and people what they script: a benchmark with another name has no past.

use std::env;
use std::process::Command;

/// If this program runs as a test, compares the names of its benchmarks with the ones that are to be there, one on a line in the order in which they run.
///
/// A program of criterion is a test if it is started without arguments, as `cargo test` does; `cargo bench` and `cargo criterion` give it some. It is then started once more to list its
/// benchmarks, which takes some milliseconds.
///
/// # Panics
///
/// If a name is not there any more, has been added, or is at another place.
///
/// ```
/// // This program has no benchmarks. Those that do have their names in a file of the sources.
/// libprocess_benches::names::check("");
/// ```
pub fn check(expected: &str) {
    if let Some(names) = own() {
        let difference = difference(&names, expected);
        assert!(difference.is_empty(), "{}", advice(&difference));
    }
}

/// As [`check`], for benchmarks that not every machine can run: no others may be there than the expected ones.
///
/// # Panics
///
/// If there is another.
///
/// ```
/// libprocess_benches::names::check_some("ring_wakes/one_core/futex\n");
/// ```
pub fn check_some(expected: &str) {
    if let Some(names) = own() {
        let difference = difference(&names, expected);
        let added: Vec<String> = difference
            .into_iter()
            .filter(|line| line.starts_with('+'))
            .collect();
        assert!(added.is_empty(), "{}", advice(&added));
    }
}

/// What this program lists, if it was started as a test.
fn own() -> Option<Vec<String>> {
    if env::args_os().len() > 1 {
        return None;
    }
    let program = env::current_exe().expect("this program knows where it is");
    let output = Command::new(program)
        .args(["--list", "--format", "terse"])
        .output()
        .expect("this program starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("names are text");
    Some(listed(&text))
}

/// The names in what criterion lists.
fn listed(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_suffix(": benchmark"))
        .map(str::to_owned)
        .collect()
}

/// The names that are in one list only, or not in the same order in both: `-` before those that are missing, `+` before those that are new.
fn difference(names: &[String], expected: &str) -> Vec<String> {
    let mut expected = expected.lines().peekable();
    let mut difference = Vec::new();
    let mut names = names.iter().map(String::as_str).peekable();
    loop {
        match (names.peek().copied(), expected.peek().copied()) {
            (None, None) => return difference,
            (Some(name), Some(other)) if name == other => {
                names.next();
                expected.next();
            }
            (Some(name), other) if other.is_none() || !expected.clone().any(|it| it == name) => {
                difference.push(format!("+{name}"));
                names.next();
            }
            (_, other) => {
                difference.extend(other.map(|other| format!("-{other}")));
                expected.next();
            }
        }
    }
}

fn advice(difference: &[String]) -> String {
    format!(
        "the names of the benchmarks have changed. What was measured under the old ones is not found any more; if that is meant, change names/*.txt, too:\n{}",
        difference.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "a/x\na/y\nb\n";

    fn changes(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        difference(&names, THREE)
    }

    #[test]
    fn the_same_names_do_not_differ() {
        assert!(changes(&["a/x", "a/y", "b"]).is_empty());
    }

    #[test]
    fn what_is_new_what_is_gone_and_what_is_renamed_is_told() {
        assert_eq!(changes(&["a/x", "a/z", "a/y", "b", "c"]), ["+a/z", "+c"]);
        assert_eq!(changes(&["a/x", "b"]), ["-a/y"]);
        assert_eq!(changes(&["a/x", "a/Y", "b"]), ["+a/Y", "-a/y"]);
        assert_eq!(changes(&[]), ["-a/x", "-a/y", "-b"]);
    }

    #[test]
    fn another_order_is_told() {
        assert_eq!(changes(&["a/y", "a/x", "b"]), ["-a/x", "+a/x"]);
    }

    #[test]
    fn names_are_those_of_criterion_s_list() {
        let text = "libprocess with …\na/x: benchmark\nb: benchmark\n";
        assert_eq!(listed(text), ["a/x", "b"]);
    }
}
