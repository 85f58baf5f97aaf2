//! Deadlines as the kernel wants them: absolute, on a clock that the caller names.
//!
//! Invariant: `clock_gettime` writes only to the `timespec` it is given, and both clocks used here
//! (`CLOCK_MONOTONIC`, `CLOCK_REALTIME`) exist on every Linux.

use std::mem::MaybeUninit;
use std::time::Instant;

const NANOSECONDS_PER_SECOND: libc::c_long = 1_000_000_000;

/// What `clock` will show at `deadline`, or a little after: never before.
///
/// An `Instant` does not give its reading away, so this adds what is left of it to the clock.
/// `Instant::now` is read before the clock: a thread that is delayed in between gets a later time,
/// and none returns too early. A deadline beyond the range of `timespec` is taken as the end of
/// that range.
pub(super) fn absolute(clock: libc::clockid_t, deadline: Instant) -> libc::timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    let now = read(clock);
    let mut seconds = libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX);
    // Both terms are below a second, so the sum fits 32 bits as well.
    let mut nanoseconds = now.tv_nsec + left.subsec_nanos() as libc::c_long;
    if nanoseconds >= NANOSECONDS_PER_SECOND {
        nanoseconds -= NANOSECONDS_PER_SECOND;
        seconds = seconds.saturating_add(1);
    }
    libc::timespec {
        tv_sec: now.tv_sec.saturating_add(seconds),
        tv_nsec: nanoseconds,
    }
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut now = MaybeUninit::uninit();
    // SAFETY: `now` is writable memory for one `timespec`.
    let outcome = unsafe { libc::clock_gettime(clock, now.as_mut_ptr()) };
    assert_eq!(
        outcome,
        0,
        "clock_gettime: {}",
        std::io::Error::last_os_error()
    );
    // SAFETY: the call succeeded, so it has written all of `now`.
    unsafe { now.assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn nanoseconds(time: libc::timespec) -> i128 {
        i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
    }

    #[test]
    fn never_before_the_deadline_and_well_formed() {
        for millis in [0, 1, 999, 1_000, 1_001, 86_400_000] {
            let left = Duration::from_millis(millis);
            let before = nanoseconds(read(libc::CLOCK_MONOTONIC));
            let time = absolute(libc::CLOCK_MONOTONIC, Instant::now() + left);
            assert!((0..NANOSECONDS_PER_SECOND).contains(&time.tv_nsec));
            assert!(nanoseconds(time) >= before + left.as_nanos() as i128);
        }
    }

    #[test]
    fn a_past_deadline_is_now() {
        let time = absolute(libc::CLOCK_MONOTONIC, Instant::now());
        assert!(nanoseconds(time) <= nanoseconds(read(libc::CLOCK_MONOTONIC)));
    }

    #[test]
    fn a_deadline_far_away_does_not_wrap() {
        let far = Duration::from_secs(1 << 62);
        let Some(deadline) = Instant::now().checked_add(far) else {
            return;
        };
        assert!(absolute(libc::CLOCK_MONOTONIC, deadline).tv_sec >= 1 << 62);
    }
}
