//! The time for `Date`: RFC 9110, section 5.6.7.

use std::cell::RefCell;

use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::framed::put_type;

const FORMAT: StaticFormatDescription = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Such as `Sun, 06 Nov 1994 08:49:37 GMT`.
type Text = [u8; 29];

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const DATE: &[u8] = b"Date: ";
const TYPE: &[u8] = b"Content-Type: ";
/// Up to the end of the date.
const DATED: usize = OK.len() + DATE.len() + size_of::<Text>() + 2;
/// Bytes of the longest media type that is kept with the date.
const LONGEST_TYPE: usize = 64;
const LINES: usize = DATED + TYPE.len() + LONGEST_TYPE + 2;

/// How most responses begin: their status line, the date, and the type of the last one's body, so that this goes out in one piece.
struct Beginning {
    /// Of which the date is.
    second: i64,
    /// The type that is behind it, if there is one.
    media_type: Option<&'static str>,
    lines: [u8; LINES],
    length: usize,
}

thread_local! {
    static LAST: RefCell<Beginning> = const {
        RefCell::new(Beginning {
            second: i64::MIN,
            media_type: None,
            lines: [0; LINES],
            length: 0,
        })
    };
}

/// Writes a `Date` field of the machine's time. The clock's coarse one is asked, a few ns, and the text is made once a second.
pub(super) fn put(out: &mut Vec<u8>) {
    let second = coarse_second();
    LAST.with_borrow_mut(|last| {
        if last.second != second {
            last.begin(second);
        }
        out.extend_from_slice(&last.lines[OK.len()..DATED]);
    });
}

/// Writes the status line `200 OK`, the date behind it, and the type of the body, if that has one.
#[inline]
pub(super) fn put_behind_ok(out: &mut Vec<u8>, media_type: Option<&'static str>) {
    let second = coarse_second();
    LAST.with_borrow_mut(|last| {
        let is_same = match (last.media_type, media_type) {
            // By address: mostly it is the same literal.
            (Some(last), Some(media_type)) => std::ptr::eq(last, media_type),
            (last, media_type) => last.is_none() && media_type.is_none(),
        };
        if last.second != second || !is_same {
            last.begin_with(second, media_type);
        }
        out.extend_from_slice(&last.lines[..last.length]);
        if last.media_type.is_none()
            && let Some(media_type) = media_type
        {
            put_type(out, media_type);
        }
    });
}

impl Beginning {
    /// Without a type.
    fn begin(&mut self, second: i64) {
        self.length = 0;
        self.media_type = None;
        for piece in [OK, DATE, &format(second), b"\r\n"] {
            self.push(piece);
        }
        self.second = second;
    }

    /// With that type, unless it is too long.
    #[inline(never)]
    fn begin_with(&mut self, second: i64, media_type: Option<&'static str>) {
        if self.second != second {
            self.begin(second);
        }
        self.length = DATED;
        self.media_type = media_type.filter(|media_type| media_type.len() <= LONGEST_TYPE);
        if let Some(media_type) = self.media_type {
            for piece in [TYPE, media_type.as_bytes(), b"\r\n"] {
                self.push(piece);
            }
        }
    }

    fn push(&mut self, piece: &[u8]) {
        let end = self.length + piece.len();
        self.lines[self.length..end].copy_from_slice(piece);
        self.length = end;
    }
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

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
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
        put_behind_ok(&mut with_status, None);
        assert!(with_status.starts_with(b"HTTP/1.1 200 OK\r\nDate: "));
        assert_eq!(with_status.len(), OK.len() + out.len());
    }

    #[test]
    fn types_are_told_apart() {
        let long: &str = "application/".repeat(8).leak();
        assert!(long.len() > LONGEST_TYPE);
        let types = [Some("text/plain"), Some("text/html"), Some(long), None];
        for media_type in types
            .into_iter()
            .chain(types.into_iter().rev())
            .cycle()
            .take(20)
        {
            let mut out = Vec::new();
            put_behind_ok(&mut out, media_type);
            let mut expected = Vec::new();
            if let Some(media_type) = media_type {
                put_type(&mut expected, media_type);
            }
            let behind = String::from_utf8(out[DATED..].to_vec());
            assert_eq!(behind, String::from_utf8(expected));
            assert!(out[..DATED].ends_with(b" GMT\r\n"));
        }
    }
}
