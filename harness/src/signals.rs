//! Signals that end this program, and who hears of them instead.
//!
//! # Safety
//!
//! Calls into the C library: `sigaction` is given structs of ours, for the time of the call, and a handler for whose doings its owner answers.

/// Those by which people and programs ask this one to end.
pub(crate) const ENDS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Has a signal handled, with these flags, and gives what was there before. One that is ignored stays so.
///
/// # Safety
///
/// The handler does only what handlers of signals may.
pub(crate) unsafe fn handle(
    signal: libc::c_int,
    handler: extern "C" fn(libc::c_int),
    flags: libc::c_int,
) -> libc::sigaction {
    let mut action = nothing();
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = flags;
    let before = set(signal, &action);
    if before.sa_sigaction == libc::SIG_IGN {
        // As under `nohup`: who started us does not want to have it heard.
        set(signal, &before);
    }
    before
}

/// Has nobody hear of a signal.
pub(crate) fn ignore(signal: libc::c_int) {
    let mut action = nothing();
    action.sa_sigaction = libc::SIG_IGN;
    set(signal, &action);
}

/// Puts back what [`handle`] has given.
pub(crate) fn put_back(signal: libc::c_int, before: &libc::sigaction) {
    set(signal, before);
}

fn nothing() -> libc::sigaction {
    // SAFETY: all fields are integers, a pointer or an optional function, for which zero is a value: no flags, and nothing blocked.
    unsafe { std::mem::zeroed() }
}

fn set(signal: libc::c_int, action: &libc::sigaction) -> libc::sigaction {
    let mut before = nothing();
    // SAFETY: the handler is one that may be, or what was there before, and the structs are ours for the time of the call.
    let result = unsafe { libc::sigaction(signal, action, &raw mut before) };
    assert_eq!(result, 0, "these signals can be handled");
    before
}
