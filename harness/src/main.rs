//! `harness`: see `harness --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    libprocess_harness::run(std::env::args_os(), &mut std::io::stdout().lock()).into()
}
