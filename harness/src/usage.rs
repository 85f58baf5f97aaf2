//! What the operating system says this process has used.
//!
//! # Safety
//!
//! Three calls into the C library: two fill a struct that we own and that is valid whatever its bytes, one takes and gives numbers.
//! Neither keeps a pointer.

use std::ops::Sub;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often a thread of this process had to leave its core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContextSwitches {
    /// It had nothing to do, and slept.
    pub(crate) voluntary: u64,
    /// Another thread was given the core.
    pub(crate) involuntary: u64,
}

impl ContextSwitches {
    /// Of all threads, ended ones included, since the process started.
    pub(crate) fn so_far() -> Self {
        let usage = resources();
        Self {
            voluntary: usage.ru_nvcsw.try_into().unwrap_or(0),
            involuntary: usage.ru_nivcsw.try_into().unwrap_or(0),
        }
    }
}

impl Sub for ContextSwitches {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }
}

impl std::ops::AddAssign for ContextSwitches {
    fn add_assign(&mut self, other: Self) {
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }
}

fn resources() -> libc::rusage {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of ours, for the time of the call.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(
        result, 0,
        "the kernel knows RUSAGE_SELF, and the pointer is good"
    );
    usage
}

/// For how long cores have worked for this process: all its threads together, and the kernel in their name.
pub(crate) fn processor_time() -> Duration {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of ours, for the time of the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(
        result, 0,
        "the kernel has that clock, and the pointer is good"
    );
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory that was resident at a time, since the last [`reset_peak_resident`] that the kernel honoured.
pub(crate) fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_peak(&status).unwrap_or_else(|| {
        // Some sandboxes have no such line. This figure cannot be reset.
        u64::try_from(resources().ru_maxrss).unwrap_or(0) * 1024
    })
}

fn parse_peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Forgets the peak, so that one benchmark does not answer for the ones before it. Where the kernel refuses, it goes on counting.
pub(crate) fn reset_peak_resident() {
    // proc(5): "5" resets the peak resident set size ("high water mark").
    let _counts_on = std::fs::write("/proc/self/clear_refs", "5");
}

/// What is resident now; `None` where /proc does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: takes and gives numbers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_a_voluntary_switch() {
        let before = ContextSwitches::so_far();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!((ContextSwitches::so_far() - before).voluntary >= 1);
    }

    #[test]
    fn work_takes_time() {
        let before = processor_time();
        // Would go on for ever if the clock stood still.
        while processor_time() - before < Duration::from_micros(10) {}
    }

    #[test]
    fn the_peak_is_read_as_the_kernel_prints_it() {
        assert_eq!(
            parse_peak("VmPeak:\t  9 kB\nVmHWM:\t    12 kB\nVmRSS:\t 8 kB\n"),
            Some(12 * 1024)
        );
        assert_eq!(parse_peak("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn memory_that_is_written_to_is_resident() {
        const SIZE: usize = 64 << 20;
        let before = resident_bytes().unwrap();
        let memory = std::hint::black_box(vec![1_u8; SIZE]);
        let after = resident_bytes().unwrap();
        // Other tests run at the same time and may free something.
        assert!(
            after.saturating_sub(before) > SIZE as u64 / 2,
            "{before} to {after}"
        );
        assert!(peak_resident_bytes() >= SIZE as u64);
        drop(memory);
    }
}
