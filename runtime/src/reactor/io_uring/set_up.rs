//! Making a ring: as large as it should be, or as there is memory for.

use std::io;

use io_uring::IoUring;

use super::super::kernel::{IoUringFeature, Lacking};
use super::super::kind::Refusal;

/// Submissions before the kernel is called. More than that wait in a list.
pub(super) const ENTRIES: u32 = 256;
/// As few as that, where there is no memory for more: 16 KiB. With less, there is epoll.
const FEWEST_ENTRIES: u32 = 32;
/// Completions for each of them, before the kernel has to keep them itself.
const COMPLETIONS: u32 = 16;

/// A ring, and whether its completions leave the thread alone that they are for.
///
/// # Errors
///
/// Why there can be none.
pub(super) fn ring(lacking: Lacking) -> Result<(IoUring, bool), Refusal> {
    build(lacking).map_err(|error| {
        let reason = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => "the kernel or a sandbox refuses io_uring",
            Some(libc::ENOSYS) => "the kernel has no io_uring",
            Some(libc::ENOMEM) => "the limit of locked memory is too low for a ring",
            _ => "a ring cannot be made",
        };
        Refusal {
            reason: format!("{reason} ({error})"),
            error: Some(error),
        }
    })
}

/// What is to be said of a ring that is smaller than it should be.
pub(super) fn shortage(ring: &IoUring) -> Option<String> {
    let entries = ring.params().sq_entries();
    (entries < ENTRIES).then(|| {
        format!("the limit of locked memory leaves room for {entries} submissions at a time, not {ENTRIES}")
    })
}

/// As large a ring as there is memory for.
fn build(lacking: Lacking) -> io::Result<(IoUring, bool)> {
    let mut entries = ENTRIES;
    loop {
        match build_with(entries, lacking) {
            Err(error)
                if error.raw_os_error() == Some(libc::ENOMEM) && entries > FEWEST_ENTRIES =>
            {
                entries /= 2;
            }
            built => return built,
        }
    }
}

fn build_with(entries: u32, lacking: Lacking) -> io::Result<(IoUring, bool)> {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(COMPLETIONS * entries).dontfork();
    let mut cooperative = builder.clone();
    cooperative.setup_coop_taskrun().setup_taskrun_flag();
    if lacking.has(IoUringFeature::CooperativeTaskrun) {
        return Ok((builder.build(entries)?, false));
    }
    match cooperative.build(entries) {
        // Before 5.19.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Ok((builder.build(entries)?, false))
        }
        built => Ok((built?, true)),
    }
}
