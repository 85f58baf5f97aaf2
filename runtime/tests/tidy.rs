//! What can be kept in order by machine: file lengths, floors, and the notes on atomic orderings.

use std::path::{Path, PathBuf};

/// A file longer than this holds more than one noun.
const LINES: usize = 600;

/// How far above an ordering its note may stand: a compare-and-swap takes some lines.
const REACH: usize = 14;

/// The modules of the runtime from the ground up. A module may name those on its own floor and below.
const FLOORS: [&[&str]; 8] = [
    &["facade"],
    &["future"],
    &["clock", "exchange", "reactor"],
    &["scheduler"],
    &["process"],
    &["runtime", "functions", "back_pressure", "protobuf"],
    &["executor", "net", "sync", "time_series", "testing"],
    &["http"],
];

/// The files that put the floors together, and so know all of them.
const TIES: [&str; 3] = ["runtime.rs", "runtime/builder.rs", "runtime/listen.rs"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// The Rust files below a folder: path relative to the workspace, and text.
fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries {
            let path = entry.expect("a folder that can be read").path();
            if path.is_dir() && !path.ends_with("target") {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = workspace();
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no Rust file in {folder}");
    found
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a file that can be read");
            let name = path
                .strip_prefix(&root)
                .expect("in the workspace")
                .display()
                .to_string();
            (name, text)
        })
        .collect()
}

#[test]
fn no_file_is_too_long() {
    for folder in ["runtime", "queues", "semaphore", "harness", "benches"] {
        for (name, text) in files(folder) {
            let lines = text.lines().count();
            assert!(
                lines <= LINES,
                "{name} has {lines} lines: split it by its nouns"
            );
        }
    }
}

#[test]
fn no_module_reaches_up() {
    let mut checked = 0;
    for (floor, modules) in FLOORS.iter().enumerate() {
        for module in *modules {
            let prefix = format!("runtime/src/{module}");
            let above: Vec<_> = FLOORS[floor + 1..].concat();
            for (name, text) in files("runtime/src") {
                if !name.starts_with(&prefix) || TIES.iter().any(|tie| name.ends_with(tie)) {
                    continue;
                }
                checked += 1;
                for (number, line) in text.lines().enumerate() {
                    if line.trim_start().starts_with("//") {
                        continue;
                    }
                    for upper in &above {
                        assert!(
                            !line.contains(&format!("crate::{upper}::")),
                            "{name}:{}: {module} reaches up to {upper}",
                            number + 1
                        );
                    }
                }
            }
        }
    }
    assert!(checked > 20, "the floors name {checked} files only");
}

#[test]
fn every_ordering_says_what_it_pairs_with() {
    let mut checked = 0;
    let mut missing = Vec::new();
    for folder in ["runtime/src", "queues/src", "semaphore/src"] {
        for (name, text) in files(folder) {
            // Tests and models are no protocol of ours.
            let code = text.split("#[cfg(all(test").next().unwrap_or(&text);
            let code = code.split("#[cfg(test)]").next().unwrap_or(code);
            if name.ends_with("models.rs") || name.contains("/model") {
                continue;
            }
            let lines: Vec<_> = code.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                // A planted weakening is wrong on purpose.
                let planted = lines[number.saturating_sub(4)..number]
                    .iter()
                    .any(|line| line.contains("weakened("));
                if line.trim_start().starts_with("//") || planted {
                    continue;
                }
                const NAMES: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];
                for ordering in NAMES {
                    if !line.contains(&format!("Ordering::{ordering}")) {
                        continue;
                    }
                    checked += 1;
                    let near = &lines[number.saturating_sub(REACH)..=number];
                    let noted = near.iter().any(|line| {
                        let note = line.split_once("//").map_or("", |(_, note)| note);
                        // An AcqRel is explained by its halves.
                        note.contains(ordering)
                            || ordering == "AcqRel"
                                && NAMES[..2].iter().any(|half| note.contains(half))
                    });
                    if !noted {
                        missing.push(format!("{name}:{}: no note on this {ordering}", number + 1));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(checked > 20, "found {checked} orderings only");
}
