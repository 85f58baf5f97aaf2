//! What is measured, where and with what, in words.

use crate::machine::Machine;
use crate::record::{Record, Variant};

/// A figure in few characters, for where it is beside a plot: the table has its digits.
pub(super) fn short(value: f64) -> String {
    let magnitude = value.abs();
    let (value, suffix) = match magnitude {
        small if small < 999.5 => (value, ""),
        small if small < 999.5e3 => (value / 1e3, " k"),
        small if small < 999.5e6 => (value / 1e6, " M"),
        small if small < 999.5e9 => (value / 1e9, " G"),
        _ => return format!("{value:.1e}"),
    };
    if value != 0.0 && magnitude < 0.01 {
        return format!("{value:.0e}");
    }
    let digits = format!("{value:.2}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    // Minus nothing is nothing.
    let digits = if digits == "-0" { "0" } else { digits };
    format!("{digits}{suffix}")
}

/// A revision as git shows it in few characters.
pub(super) fn short_revision(revision: Option<&str>) -> String {
    let Some(revision) = revision else {
        return "unknown".to_owned();
    };
    let (hash, rest) = revision
        .split_once('-')
        .map_or((revision, ""), |(hash, rest)| (hash, rest));
    let short: String = hash.chars().take(8).collect();
    if rest.is_empty() {
        short
    } else {
        format!("{short}+")
    }
}

/// The choices that a library was built with: their kinds, as people call them, and what was chosen.
///
/// By the keys that a variant is written with: a choice that is added to it is told without a change here.
pub(super) fn choices(variant: &Variant) -> Vec<(String, String)> {
    const ORDER: [&str; 4] = ["run_queue", "event_queue", "semaphore", "reactor"];
    let written = serde_json::to_value(variant).expect("a variant can be written as JSON");
    let mut choices: Vec<(String, String)> = written
        .as_object()
        .expect("a variant has keys")
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    let rank = |key: &String| ORDER.iter().position(|known| known == key);
    choices.sort_by_key(|(key, _)| rank(key).unwrap_or(ORDER.len()));
    choices
        .into_iter()
        .map(|(key, value)| (key.replace('_', " "), value))
        .collect()
}

/// All choices in a line.
pub(super) fn built_with(variant: &Variant) -> String {
    let choices = choices(variant).into_iter();
    let texts: Vec<String> = choices
        .map(|(kind, chosen)| format!("{chosen} {kind}"))
        .collect();
    texts.join(", ")
}

/// What makes this result again, with the sources of its revision.
pub(super) fn command(machine: &Machine, record: &Record) -> String {
    let mut words = vec!["cargo run".to_owned()];
    if machine.profile == "release" {
        words.push("--release".to_owned());
    }
    words.push("-p libprocess-harness".to_owned());
    if let Some(features) = &machine.features {
        words.push("--no-default-features".to_owned());
        if !features.is_empty() {
            words.push(format!("--features {}", quoted(&features.join(","))));
        }
    }
    words.push(format!("-- run {}", quoted(&record.benchmark)));
    let params = &record.params;
    words.push(format!("--workers {}", params.workers));
    let options = [
        ("pairs", params.pairs),
        ("repeat", Some(params.repeat)),
        ("window", params.window),
        ("actors", params.actors),
        ("size", params.size),
        ("pipeline", params.pipeline),
        ("rate", params.rate),
        ("events-per-resume", params.events_per_resume.map(u64::from)),
        ("runs", Some(record.runs.runs().len() as u64)),
        ("warmup", Some(params.warmup as u64)),
    ];
    for (option, value) in options {
        words.extend(value.map(|value| format!("--{option} {value}")));
    }
    if params.pin {
        words.push("--pin".to_owned());
    }
    words.push("--save NAME".to_owned());
    words.join(" ")
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.,/".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::example;

    #[test]
    fn figures_beside_a_plot_have_few_characters() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (950.0, "950"),
            (1_500.0, "1.5 k"),
            (999_600.0, "1 M"),
            (12_345_678.0, "12.35 M"),
            (3e9, "3 G"),
            (2.5e12, "2.5e12"),
            (0.25, "0.25"),
            (1e-5, "1e-5"),
            (-2_000.0, "-2 k"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn a_revision_is_short_and_one_that_was_changed_is_marked() {
        let hash = "0123456789abcdef";
        assert_eq!(short_revision(Some(hash)), "01234567");
        assert_eq!(
            short_revision(Some(&format!("{hash}-modified"))),
            "01234567+"
        );
        assert_eq!(short_revision(None), "unknown");
    }

    #[test]
    fn the_choices_are_told_in_the_order_of_the_library() {
        let record = example::record("X", 1);
        assert_eq!(
            built_with(&record.variant),
            "locking run queue, locking event queue, kernel semaphore"
        );
    }

    #[test]
    fn a_command_has_all_that_the_result_was_made_with() {
        let mut record = example::record("It's", 2);
        record.params.pin = true;
        record.params.rate = Some(1_000);
        let mut machine = example::machine();
        assert_eq!(
            command(&machine, &record),
            r"cargo run --release -p libprocess-harness --no-default-features --features io-uring,tracing-spans -- run 'It'\''s' --workers 2 --repeat 10 --rate 1000 --runs 3 --warmup 1 --pin --save NAME"
        );
        machine.features = Some(Vec::new());
        machine.profile = "debug".to_owned();
        let text = command(&machine, &record);
        assert!(
            text.starts_with("cargo run -p libprocess-harness --no-default-features -- run "),
            "{text}"
        );
        machine.features = None;
        let text = command(&machine, &record);
        assert!(
            text.starts_with("cargo run -p libprocess-harness -- run "),
            "{text}"
        );
    }
}
