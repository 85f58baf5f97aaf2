//! Peers in other languages: whether they are there, building their programs, and how those are started.
//!
//! Each program is given the arguments of a job, and prints what a child prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::arguments;
use crate::workload::Job;

/// A peer whose program is in another language.
pub(crate) trait Outside: Sync {
    /// Its version, if it is installed.
    fn version(&self) -> Option<String>;

    /// What to type where it is not, on Debian.
    fn how_to_install(&self) -> &'static str;

    /// Builds the program.
    fn build(&self) -> Result<(), String>;

    /// Once it was built.
    fn command(&self, job: &Job) -> Command;
}

pub(crate) struct Erlang;

impl Outside for Erlang {
    fn version(&self) -> Option<String> {
        // The release alone is in no option of the programs.
        let print = "io:format(\"OTP ~s, ERTS ~s\", [erlang:system_info(otp_release), erlang:system_info(version)]), halt().";
        output(Command::new("erl").args(["-noshell", "-noinput", "-eval", print]))
    }

    fn how_to_install(&self) -> &'static str {
        "apt-get install --no-install-recommends erlang-base"
    }

    fn build(&self) -> Result<(), String> {
        let folder = built("erlang")?;
        let mut compiler = Command::new("erlc");
        compiler.arg("-Werror").arg("-o").arg(folder);
        run(compiler.arg(sources("erlang").join("peers.erl")))
    }

    fn command(&self, job: &Job) -> Command {
        let mut command = Command::new("erl");
        let workers = job.workers.to_string();
        command.args(["-noshell", "-noinput"]);
        // As many schedulers as there are workers; and room for all processes of Skynet, of which the default has not enough.
        command.args(["+S", &format!("{workers}:{workers}"), "+P", "4000000"]);
        command.arg("-pa").arg(folder("erlang"));
        command.args(["-run", "peers", "main"]).args(arguments(job));
        command
    }
}

pub(crate) struct Go;

impl Outside for Go {
    fn version(&self) -> Option<String> {
        let version = output(Command::new("go").arg("version"))?;
        let mut words = version.split_whitespace();
        words
            .find(|word| word.starts_with("go1"))
            .map(str::to_owned)
    }

    fn how_to_install(&self) -> &'static str {
        "apt-get install --no-install-recommends golang-go"
    }

    fn build(&self) -> Result<(), String> {
        let program = built("go")?.join("peers");
        let mut compiler = Command::new("go");
        compiler.current_dir(sources("go"));
        run(compiler.args(["build", "-o"]).arg(program).arg("."))
    }

    fn command(&self, job: &Job) -> Command {
        let mut command = Command::new(folder("go").join("peers"));
        command.env("GOMAXPROCS", job.workers.to_string());
        command.args(arguments(job));
        command
    }
}

fn sources(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(language)
}

/// Where a language's programs are: beside this one.
fn folder(language: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name("peers-built").join(language)
}

fn built(language: &str) -> Result<PathBuf, String> {
    let folder = folder(language);
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed: {status}")),
        Err(error) => Err(format!("{name} did not start: {error}")),
    }
}
