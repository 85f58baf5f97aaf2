//! Signals to the program that is tested.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The program hears of signals, even if these tests were started by something that has them ignored, as a shell does in the background.
pub(crate) fn heard(command: &mut Command) -> &mut Command {
    // SAFETY: system calls alone, which are allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    }
}
