//! The time for `Date`: RFC 9110, section 5.6.7.

use std::cell::RefCell;

use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

const FORMAT: StaticFormatDescription = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Such as `Sun, 06 Nov 1994 08:49:37 GMT`.
type Text = [u8; 29];
/// The whole field, with its end.
type Line = [u8; 37];

thread_local! {
    /// The second of which the text is.
    static LAST: RefCell<(i64, Line)> = const { RefCell::new((i64::MIN, *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")) };
}

/// Writes a `Date` field of the machine's time. The clock's coarse one is asked, a few ns, and the text is made once a second.
pub(super) fn put(out: &mut Vec<u8>) {
    let second = coarse_second();
    LAST.with_borrow_mut(|(of, line)| {
        if *of != second {
            line[6..35].copy_from_slice(&format(second));
            *of = second;
        }
        out.extend_from_slice(line);
    });
}

/// By the C library, not by rustix, whose way to the kernel's clock fails under valgrind.
fn coarse_second() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to `now` alone, which outlives it.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut now) };
    debug_assert_eq!(failed, 0, "Linux has had this clock since 2.6.32");
    now.tv_sec
}

fn format(second: i64) -> Text {
    // A clock beyond the year 9999 or before 1 has no date of this form.
    let time = OffsetDateTime::from_unix_timestamp(second)
        .ok()
        .filter(|time| (1..=9999).contains(&time.year()))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = [0; 29];
    if let Ok(made) = time.format(FORMAT)
        && made.len() == text.len()
    {
        text.copy_from_slice(made.as_bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_of_the_fixed_form() {
        assert_eq!(&format(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&format(i64::MAX), b"Thu, 01 Jan 1970 00:00:00 GMT");
        let mut out = Vec::new();
        put(&mut out);
        assert!(out.starts_with(b"Date: ") && out.ends_with(b" GMT\r\n"));
    }
}
