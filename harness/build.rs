//! Records in the binary what it was built from: a figure is worth nothing without it.

use std::path::Path;
use std::process::Command;

/// What the figures depend on, seen from the root of the checkout. Of the harness's folder not all: its tests, and the programs of others that it is
/// measured beside, are in no figure of ours.
const SOURCES: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "harness/Cargo.toml",
    "harness/build.rs",
    "harness/src",
    "queues",
    "runtime",
    "semaphore",
];

fn main() {
    // With these named, the script runs again when a source or the checked out revision changes, and only then.
    for source in SOURCES {
        println!("cargo::rerun-if-changed=../{source}");
    }
    // Every commit, checkout and reset writes to this log; a named file that is missing would mean "always".
    if let Some(log) = output("git", &["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }

    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=HARNESS_RUSTC={version}");

    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=HARNESS_TARGET={target}");
    // Cargo puts a character between them that is in no flag.
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    println!(
        "cargo::rustc-env=HARNESS_RUSTFLAGS={}",
        flags.replace('\x1f', " ")
    );

    let profile = std::env::var("PROFILE").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=HARNESS_PROFILE={profile}");

    if let Some(revision) = revision() {
        println!("cargo::rustc-env=HARNESS_REVISION={revision}");
    }
}

/// The revision, with `-modified` behind it if the sources are not those of the revision. `None` outside of a checkout.
fn revision() -> Option<String> {
    let revision = output("git", &["rev-parse", "HEAD"])?;
    let mut status = vec![
        "--no-optional-locks",
        "-C",
        "..",
        "status",
        "--porcelain",
        "--",
    ];
    status.extend(SOURCES);
    let modified = output("git", &status).is_none_or(|changes| !changes.is_empty());
    Some(if modified {
        format!("{revision}-modified")
    } else {
        revision
    })
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
