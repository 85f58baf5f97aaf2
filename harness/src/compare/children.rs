//! Programs that run for us, and end with us.
//!
//! Ctrl-C and a request to terminate end the child first, with all that it has started, and leave the rest to whoever waits
//! for it: worktrees are removed, and what is finished is reported.
//!
//! # Safety
//!
//! Calls into the C library: the handler of signals only touches atomics and calls `kill`, both of which are allowed in a handler; `kill` takes numbers; `waitid` fills a
//! struct of ours. None keeps a pointer.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Output};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::signals;

/// Whether we have been asked to end.
///
/// With `GROUP` it is one of two marks: who sets one looks at the other. The handler sets this one and ends the group that it
/// sees; who starts a child sets the group and ends it if this is set. In the one order of all four (SeqCst) that both miss the
/// other's mark is not possible, with less it is.
static CANCELLED: AtomicBool = AtomicBool::new(false);
/// The process group of the child that runs; zero for none.
static GROUP: AtomicI32 = AtomicI32::new(0);

/// From here on, until the end of this program, Ctrl-C ends the child that runs and no more. A signal that is ignored stays so.
pub(crate) fn take_signals() {
    for signal in signals::ENDS {
        // SAFETY: the handler only touches atomics and calls `kill`. The flag has reads and waits go on, and end with the child.
        unsafe { signals::handle(signal, cancel, libc::SA_RESTART) };
    }
}

extern "C" fn cancel(_signal: libc::c_int) {
    CANCELLED.store(true, Ordering::SeqCst);
    end(GROUP.load(Ordering::SeqCst));
}

/// Whether the child was ended because we are to end.
pub(crate) fn cancelled() -> bool {
    CANCELLED.load(Ordering::SeqCst)
}

fn end(group: i32) {
    if group != 0 {
        // SAFETY: two numbers. That the group is gone is no error here.
        let _gone = unsafe { libc::kill(-group, libc::SIGTERM) };
    }
}

/// Runs it to its end, in a process group of its own.
pub(crate) fn run(command: &mut Command) -> io::Result<Output> {
    let mut child = command.process_group(0).spawn()?;
    let group = i32::try_from(child.id()).expect("process ids are small");
    GROUP.store(group, Ordering::SeqCst);
    if cancelled() {
        end(group);
    }
    let mut stdout = Vec::new();
    let read = match &mut child.stdout {
        Some(pipe) => pipe.read_to_end(&mut stdout).map(|_| ()),
        None => Ok(()),
    };
    // While it is not waited for, its number is not given to another: only then it is safe to end it.
    let ended = wait_for_end(group);
    GROUP.store(0, Ordering::SeqCst);
    let status: ExitStatus = child.wait()?;
    ended.and(read)?;
    Ok(Output {
        status,
        stdout,
        stderr: Vec::new(),
    })
}

/// Returns when the process has ended, and leaves it to be waited for.
fn wait_for_end(process: i32) -> io::Result<()> {
    loop {
        // SAFETY: all fields are integers, for which zero is a value.
        let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a struct of ours, for the time of the call.
        let result = unsafe {
            libc::waitid(
                libc::P_PID,
                process.unsigned_abs(),
                &raw mut information,
                libc::WEXITED | libc::WNOWAIT,
            )
        };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
