//! What is measured, where and with what, in words.

use serde_json::Value;

use super::group::Entry;
use crate::record::Variant;
use crate::registry;

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

/// The choices that were measured: their kinds, as people call them, and what was chosen.
///
/// By the keys that a variant is written with: a choice that is added to it is told without a change here.
pub(super) fn choices(variant: &Variant) -> Vec<(String, String)> {
    written_choices(&serde_json::to_value(variant).expect("a variant can be written as JSON"))
}

fn written_choices(written: &Value) -> Vec<(String, String)> {
    const ORDER: [&str; 4] = ["run_queue", "event_queue", "semaphore", "reactor"];
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

/// The name of a benchmark without that of its reactor, if it is told apart from the name: then it is a choice, and others may be beside it.
pub(super) fn family<'a>(benchmark: &'a str, choices: &[(String, String)]) -> &'a str {
    if !choices.iter().any(|(kind, _)| kind == "reactor") {
        return benchmark;
    }
    registry::without_reactor(benchmark)
}

/// The features with which a harness has these choices; of others, its own.
fn features_of(variant: &Variant) -> Vec<String> {
    let chosen = [
        (&variant.run_queue, "locking", "-run-queue"),
        (&variant.event_queue, "locking", "-event-queue"),
        (&variant.semaphore, "kernel", "-semaphore"),
    ];
    let features = chosen
        .into_iter()
        .filter(|(chosen, without, _)| chosen != without)
        .map(|(chosen, _, ending)| format!("{chosen}{ending}"));
    features.chain(["io-uring".to_owned()]).collect()
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
///
/// Where it is not known with which features, with those that the choices have.
pub(super) fn command(entry: Entry<'_>) -> String {
    let (machine, record) = (&entry.source.saved.machine, entry.record);
    let mut words = vec!["cargo run".to_owned()];
    if machine.profile == "release" {
        words.push("--release".to_owned());
    }
    words.push("-p libprocess-harness".to_owned());
    words.push("--no-default-features".to_owned());
    let features = entry.features().map(<[String]>::to_vec);
    let features = features.unwrap_or_else(|| features_of(&record.variant));
    if !features.is_empty() {
        words.push(format!("--features {}", quoted(&features.join(","))));
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
    use crate::page::input::Source;

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
        record.variant.run_queue = "work-stealing".to_owned();
        let mut source = example::source("one", vec![record]);
        let command = |source: &Source| command(example::entries(source)[0]);
        assert_eq!(
            command(&source),
            r"cargo run --release -p libprocess-harness --no-default-features --features io-uring,tracing-spans -- run 'It'\''s' --workers 2 --repeat 10 --rate 1000 --runs 3 --warmup 1 --pin --save NAME"
        );
        source.saved.machine.features = Some(Vec::new());
        source.saved.machine.profile = "debug".to_owned();
        let text = command(&source);
        assert!(
            text.starts_with("cargo run -p libprocess-harness --no-default-features -- run "),
            "{text}"
        );
        source.saved.machine.features = None;
        let text = command(&source);
        assert!(
            text.contains(" --features work-stealing-run-queue,io-uring -- run "),
            "{text}"
        );
    }

    #[test]
    fn a_reactor_is_a_choice_where_it_is_told() {
        let variant = serde_json::json!({
            "run_queue": "locking", "event_queue": "locking", "semaphore": "kernel", "reactor": "epoll"
        });
        let choices = written_choices(&variant);
        assert_eq!(choices[3], ("reactor".to_owned(), "epoll".to_owned()));
        for (benchmark, of) in [
            ("Net.Echo.Epoll", "Net.Echo"),
            ("Net.Echo.IoUring", "Net.Echo"),
            ("Remote.PingPong", "Remote.PingPong"),
        ] {
            assert_eq!(family(benchmark, &choices), of);
        }
        assert_eq!(family("Net.Echo.Epoll", &choices[..3]), "Net.Echo.Epoll");
    }
}
