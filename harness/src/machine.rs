//! What a figure was measured on, and what was measured.

use serde::{Deserialize, Serialize};

/// Facts of the machine and of the build: saved beside results, as a figure says nothing without them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// As the processor calls itself.
    pub(crate) cpu: String,
    /// How many cores this process may use.
    pub(crate) cores: usize,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) kernel: String,
    /// Who decides on the clock of the cores: the kernel's names, or none where the kernel does not decide, as on most virtual machines.
    #[serde(default)]
    pub(crate) governor: Option<String>,
    /// The compiler that built this binary.
    pub(crate) rustc: String,
    /// `release` or `debug`.
    pub(crate) profile: String,
    /// The harness's features, with which this binary was built. Not in older files.
    #[serde(default)]
    pub(crate) features: Option<Vec<String>>,
    /// The revision of the sources, `-modified` behind it where they differed from it; none if built outside of a checkout.
    pub(crate) revision: Option<String>,
}

impl Machine {
    /// This one.
    pub(crate) fn current() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|total| total.strip_suffix(" kB")?.parse::<u64>().ok())
                .map(|kibibytes| kibibytes * 1024),
            kernel: if kernel.is_empty() { unknown() } else { kernel },
            governor: governor(),
            rustc: env!("HARNESS_RUSTC").to_owned(),
            profile: env!("HARNESS_PROFILE").to_owned(),
            features: Some(features()),
            revision: option_env!("HARNESS_REVISION").map(str::to_owned),
        }
    }
}

/// How many threads wanted a core, on average over a minute: what the kernel calls the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadAverage {
    /// Before the first run: what others did.
    pub(crate) before: Option<f64>,
    /// Behind the last one, these runs included.
    pub(crate) after: Option<f64>,
}

/// Now; none where the kernel does not tell.
pub(crate) fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Of all cores; several where they differ.
fn governor() -> Option<String> {
    let mut governors: Vec<String> = std::fs::read_dir("/sys/devices/system/cpu")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            std::fs::read_to_string(entry.path().join("cpufreq/scaling_governor")).ok()
        })
        .map(|text| text.trim().to_owned())
        .collect();
    governors.sort();
    governors.dedup();
    (!governors.is_empty()).then(|| governors.join(", "))
}

/// Those that are on.
fn features() -> Vec<String> {
    macro_rules! on {
        ($($feature:literal),+ $(,)?) => {
            [$(($feature, cfg!(feature = $feature))),+]
        };
    }
    on![
        "work-stealing-run-queue",
        "lock-free-run-queue",
        "lock-free-event-queue",
        "last-in-first-out-fixed-size-semaphore",
        "io-uring",
        "tracing-spans",
    ]
    .into_iter()
    .filter(|(_, on)| *on)
    .map(|(feature, _)| feature.to_owned())
    .collect()
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 7\nmodel name\t: Some: Processor\nmodel name\t: Another\n";
        assert_eq!(
            field(text, "model name").as_deref(),
            Some("Some: Processor")
        );
        assert_eq!(field(text, "name"), None);
    }

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::current();
        assert!(machine.cores >= 1);
        assert!(machine.rustc.starts_with("rustc "), "{machine:?}");
        assert!(
            ["debug", "release"].contains(&machine.profile.as_str()),
            "{machine:?}"
        );
        assert!(
            !machine.kernel.is_empty() && !machine.cpu.is_empty(),
            "{machine:?}"
        );
    }

    #[test]
    fn every_feature_of_the_manifest_is_told() {
        let manifest = include_str!("../Cargo.toml");
        let (_, features_on) = manifest.split_once("[features]\ndefault = [").unwrap();
        let (_, declared) = features_on.split_once("]\n").unwrap();
        let (declared, _) = declared.split_once("\n[").unwrap();
        let source = include_str!("machine.rs");
        for feature in declared.lines().filter_map(|line| line.split_once(" = ")) {
            let name = format!("\"{}\",", feature.0);
            assert!(source.contains(&name), "{name} is missing");
        }
        assert_eq!(
            features().contains(&"io-uring".to_owned()),
            cfg!(feature = "io-uring")
        );
    }

    #[test]
    fn the_load_is_told() {
        assert!(load_average().unwrap() >= 0.0);
    }
}
