//! A checkout that is made up: its harness is built in a moment, and says what its test has it say.

use std::path::Path;
use std::process::Command;

/// Of its harness. A test that has features for it adds them behind this.
pub(crate) const MANIFEST: &str = r#"
[workspace]

[package]
name = "libprocess-harness"
version = "0.1.0"
edition = "2021"

[[bin]]
name = "harness"
path = "main.rs"
"#;

/// Runs git there, as somebody, and gives what it prints.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let settings = [
        "user.name=Test",
        "user.email=test@localhost",
        "commit.gpgsign=false",
    ];
    let settings = settings.iter().flat_map(|setting| ["-c", setting]);
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(settings).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
