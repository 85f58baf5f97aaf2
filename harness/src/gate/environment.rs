//! What a count depends on besides the sources.
//!
//! * The compiler, its flags, the target and the features: they make other instructions.
//! * The C library: its allocator and its copying are in the regions.
//! * valgrind: the processor that a program sees in it is valgrind's own, and which instructions that one has depends on the version and on whether the real one has AVX2, AVX or
//!   neither. By that a C library chooses how to copy. Nothing else of the processor is seen: not its maker, its clock or its caches. So a count is the same on all that have as
//!   much, and the processor's name is not among these.
//!
//! # Safety
//!
//! One call into the C library, which takes nothing and gives a string of its own that stays as it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    pub(crate) rustc: String,
    pub(crate) target: String,
    /// What cargo gave the compiler besides its profile: `RUSTFLAGS`, and what stands in its configuration.
    pub(crate) rustflags: String,
    pub(crate) profile: String,
    /// The harness's.
    pub(crate) features: Vec<String>,
    pub(crate) c_library: String,
    pub(crate) valgrind: String,
    /// What valgrind's processor has, as it is no more than the real one.
    pub(crate) processor: String,
}

/// Where two environments differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    what: &'static str,
    baseline: String,
    here: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &str| if name.is_empty() { "none" } else { name }.to_owned();
        write!(
            f,
            "{}: {} in the baseline, {} here",
            self.what,
            named(&self.baseline),
            named(&self.here)
        )
    }
}

impl Environment {
    /// Of this build, on this machine, under a valgrind of this version.
    pub(crate) fn of_this_build(valgrind: String) -> Self {
        let machine = Machine::current();
        Self {
            rustc: machine.rustc,
            target: env!("HARNESS_TARGET").to_owned(),
            rustflags: env!("HARNESS_RUSTFLAGS").to_owned(),
            profile: machine.profile,
            features: machine.features.unwrap_or_default(),
            c_library: c_library(),
            valgrind,
            processor: processor().to_owned(),
        }
    }

    /// Whether the same program was built, by whatever compiler: else no figure of one says anything of the other.
    pub(crate) fn is_of_same_program(&self, other: &Self) -> bool {
        self.profile == other.profile && self.features == other.features
    }

    /// Where this one, of the baseline, is not as it is here.
    pub(crate) fn differences(&self, here: &Self) -> Vec<Difference> {
        let facts = self.facts().into_iter().zip(here.facts());
        facts
            .filter(|((_, baseline), (_, here))| baseline != here)
            .map(|((what, baseline), (_, here))| Difference {
                what,
                baseline,
                here,
            })
            .collect()
    }

    fn facts(&self) -> [(&'static str, String); 8] {
        [
            ("compiler", self.rustc.clone()),
            ("target", self.target.clone()),
            ("compiler's flags", self.rustflags.clone()),
            ("profile", self.profile.clone()),
            ("features", self.features.join(" ")),
            ("C library", self.c_library.clone()),
            ("valgrind", self.valgrind.clone()),
            ("processor", self.processor.clone()),
        ]
    }
}

#[cfg(target_env = "gnu")]
fn c_library() -> String {
    // SAFETY: the function gives a string of the library that ends with a zero and is never freed.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy())
}

#[cfg(not(target_env = "gnu"))]
fn c_library() -> String {
    "another than glibc".to_owned()
}

#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    if std::arch::is_x86_feature_detected!("avx2") {
        "x86-64 with AVX2"
    } else if std::arch::is_x86_feature_detected!("avx") {
        "x86-64 with AVX"
    } else {
        "x86-64 without AVX"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> &'static str {
    std::env::consts::ARCH
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn environment(rustc: &str) -> Environment {
        Environment {
            rustc: rustc.to_owned(),
            ..Environment::of_this_build("valgrind-3.19.0".to_owned())
        }
    }

    #[test]
    fn this_build_is_told() {
        let here = environment("rustc 1.0");
        assert!(here.target.contains("linux"), "{here:?}");
        assert!(here.c_library.starts_with("glibc 2.") || cfg!(not(target_env = "gnu")));
        assert!(here.processor.starts_with("x86-64 ") || cfg!(not(target_arch = "x86_64")));
    }

    #[test]
    fn each_difference_is_told() {
        let here = environment("rustc 1.0");
        assert!(here.differences(&here).is_empty());
        let other = Environment {
            rustc: "rustc 2.0".to_owned(),
            target: "some".to_owned(),
            rustflags: "-C some".to_owned(),
            profile: "another".to_owned(),
            features: vec!["none-such".to_owned()],
            c_library: "some".to_owned(),
            valgrind: "some".to_owned(),
            processor: "some".to_owned(),
        };
        let differences = other.differences(&here);
        assert_eq!(differences.len(), 8, "{differences:?}");
        assert_eq!(
            differences[0].to_string(),
            "compiler: rustc 2.0 in the baseline, rustc 1.0 here"
        );
        let flags = differences[2].to_string();
        assert!(flags.starts_with("compiler's flags: -C some in"), "{flags}");
        assert!(!other.is_of_same_program(&here));
        assert!(environment("rustc 2.0").is_of_same_program(&here));
    }
}
