//! The hang guard: a run that does not end fails.
//!
//! A lost wake-up, the defect that a scheduler is most likely to have, looks like a run that never ends; and whatever waits for it,
//! or tries to clean up behind it, does not end either. So the guard is a thread of its own that needs nothing from anybody, and its
//! last resort is to end the process.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How long a diagnosis may take: it asks the runtime, which may be what hangs.
const DIAGNOSIS_LIMIT: Duration = Duration::from_secs(1);

/// Runs `f`, and calls `on_timeout`, in another thread, if that has not ended within `limit`.
///
/// Returns when both have.
pub(crate) fn guarded<R>(
    limit: Duration,
    on_timeout: impl FnOnce() + Send,
    f: impl FnOnce() -> R,
) -> R {
    let (ended, watched) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The sender is only ever dropped, by the end of `f` or by its panic.
            if watched.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                on_timeout();
            }
        });
        // Moved into this frame, so that a panic in `f` drops it before the scope waits.
        let _until_here = ended;
        f()
    })
}

/// Tells what hangs, adds the diagnosis if it can be had, and ends the process as failed.
pub(crate) fn give_up(what: &str, limit: Duration, diagnosis: impl FnOnce() -> String + Send) -> ! {
    eprintln!(
        "error: {what} did not end within {} s: it hangs, or needs a longer --timeout",
        limit.as_secs_f64()
    );
    std::thread::scope(|scope| {
        let (answer, told) = mpsc::channel();
        scope.spawn(move || {
            // Nobody listens any more if the time was over.
            let _late = answer.send(diagnosis());
        });
        if let Ok(diagnosis) = told.recv_timeout(DIAGNOSIS_LIMIT) {
            eprintln!("  {diagnosis}");
        }
        // Within the scope, whose end would wait for a diagnosis that hangs.
        std::process::exit(crate::Outcome::Failed.code().into())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_ends_in_time_is_left_alone() {
        let timed_out = AtomicBool::new(false);
        let started = Instant::now();
        let result = guarded(
            Duration::from_secs(60),
            || timed_out.store(true, Ordering::Relaxed),
            || 7,
        );
        assert_eq!(result, 7);
        assert!(!timed_out.into_inner());
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "it waits for its limit"
        );
    }

    #[test]
    fn what_hangs_is_noticed_while_it_hangs() {
        let (hung, noticed) = mpsc::channel();
        guarded(
            Duration::from_millis(1),
            move || hung.send(()).unwrap(),
            // Hangs until it was noticed.
            || noticed.recv().unwrap(),
        );
    }

    #[test]
    fn a_panic_goes_through() {
        let result = std::panic::catch_unwind(|| {
            guarded(Duration::from_secs(60), || {}, || panic!("through"));
        });
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"through"));
    }
}
