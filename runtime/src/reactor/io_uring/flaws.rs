//! What is wrong with io_uring in some kernels, and told by their version alone.

/// Whether a multishot receive may miss the end of a unix stream, and then waits for ever.
///
/// Where bytes and the end behind them come before it looks, the kernel takes both wake-ups for one, and does not look again if the socket has said that there are no more bytes. Unix sockets
/// say that since 6.17, and leave the end out of it (<https://github.com/axboe/liburing/issues/1549>). Mended in 6.18.20, 6.19.10 and 7.0.
///
/// Distributions that mend kernels without another number are taken for those that are not mended.
pub(super) fn may_miss_ends(release: &str) -> bool {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next(), next()) {
        (6, 17, _) => true,
        (6, 18, patch) => patch < 20,
        (6, 19, patch) => patch < 10,
        _ => false,
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn ends_are_missed_by_those_that_are_not_mended() {
        for release in ["6.17.13+deb13-cloud-amd64", "6.17.0-14-generic", "6.18"] {
            assert!(may_miss_ends(release), "{release}");
        }
        for release in ["6.18.0-rc7", "6.18.19", "6.19.6+deb13-amd64", "6.19-rc1"] {
            assert!(may_miss_ends(release), "{release}");
        }
        for release in ["5.10.0-46-amd64", "6.16.12", "6.18.20", "6.18.44-fc", ""] {
            assert!(!may_miss_ends(release), "{release}");
        }
        for release in ["6.19.10", "7.0.0-rc1", "7.17.0", "16.17.2"] {
            assert!(!may_miss_ends(release), "{release}");
        }
    }
}
