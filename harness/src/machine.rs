//! What a figure was measured on, and what was measured.

use serde::Serialize;

/// Facts of the machine and of the build: saved beside results, as a figure says nothing without them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Machine {
    /// As the processor calls itself.
    cpu: String,
    /// How many cores this process may use.
    cores: usize,
    memory_bytes: Option<u64>,
    kernel: String,
    /// The compiler that built this binary.
    rustc: &'static str,
    /// `release` or `debug`.
    profile: &'static str,
    /// The revision of the sources, `-modified` behind it where they differed from it; none if built outside of a checkout.
    revision: Option<&'static str>,
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
            rustc: env!("HARNESS_RUSTC"),
            profile: env!("HARNESS_PROFILE"),
            revision: option_env!("HARNESS_REVISION"),
        }
    }
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
            ["debug", "release"].contains(&machine.profile),
            "{machine:?}"
        );
        assert!(
            !machine.kernel.is_empty() && !machine.cpu.is_empty(),
            "{machine:?}"
        );
    }
}
