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
/// A status line and the whole field, with their ends.
type Lines = [u8; OK + 37];

/// Bytes of the status line of most responses, which so goes out in one piece with the date.
const OK: usize = "HTTP/1.1 200 OK\r\n".len();

thread_local! {
    /// The second of which the text is.
    static LAST: RefCell<(i64, Lines)> = const {
        RefCell::new((i64::MIN, *b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"))
    };
}

/// Writes a `Date` field of the machine's time. The clock's coarse one is asked, a few ns, and the text is made once a second.
pub(super) fn put(out: &mut Vec<u8>) {
    put_from(out, OK);
}

/// Writes the status line `200 OK`, and the date behind it.
pub(super) fn put_behind_ok(out: &mut Vec<u8>) {
    put_from(out, 0);
}

#[inline]
fn put_from(out: &mut Vec<u8>, start: usize) {
    const TEXT: usize = OK + "Date: ".len();
    let second = coarse_second();
    LAST.with_borrow_mut(|(of, lines)| {
        if *of != second {
            lines[TEXT..TEXT + 29].copy_from_slice(&format(second));
            *of = second;
        }
        out.extend_from_slice(&lines[start..]);
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
        let mut with_status = Vec::new();
        put_behind_ok(&mut with_status);
        assert!(with_status.starts_with(b"HTTP/1.1 200 OK\r\nDate: "));
        assert_eq!(with_status.len(), OK + out.len());
    }
}
