//! `Time` and `Timeout`: a point in time, and a deadline.
//!
//! Both are plain values: nothing here asks what time it is. Whoever has a clock passes its `now` in, so a clock that is paused and
//! advanced by hand, as tests do, is obeyed by every timeout at once.
//!
//! # Range
//!
//! A `Time` counts nanoseconds from the UNIX epoch in an `i64`, which reaches from 1677-09-21 to 2262-04-11. The operators saturate at
//! [`Time::MIN`] and [`Time::MAX`] instead of panicking: a deadline of "now plus [`Duration::MAX`]" means "never", and is written in good
//! faith. Who must know uses [`Time::checked_add`] and [`Time::checked_sub`].
//!
//! # Text
//!
//! | form | example | where it is used |
//! |---|---|---|
//! | RFC 3339 | `1994-11-06T08:49:37.5Z` | `Display`, `FromStr`, logs, JSON |
//! | RFC 1123 | `Sun, 06 Nov 1994 08:49:37 GMT` | the `Date` of HTTP, `IMF-fixdate` in RFC 9110 |
//!
//! The crate `time` reads and writes both. The smaller crates `humantime` and `httpdate` do not fit: neither knows the years before 1970,
//! which are half of our range, and `httpdate` reads three forms where we promise one. As our range lies well within the years 0 to 9999
//! that both forms can spell, every `Time` has a text, and reading its RFC 3339 text gives back the very same `Time`. Reading refuses what
//! our range does not hold, by an error that says so; it never saturates.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::UtcDateTime;
use ::time::format_description::BorrowedFormatItem;
use ::time::format_description::well_known::Rfc3339;
use ::time::formatting::Formattable;
use ::time::macros::format_description;

const RFC_1123: &[BorrowedFormatItem<'static>] = format_description!(
    version = 2,
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// The bytes of the longest text: RFC 3339 with all nine digits of the fraction.
const LONGEST_TEXT: usize = "2262-04-11T23:47:16.854775807Z".len();

/// A point in time, to the nanosecond: from 1677-09-21 to 2262-04-11.
///
/// Prints and parses as RFC 3339, with as many digits of the fraction as it needs. Adding and subtracting saturate.
///
/// ```
/// use std::time::Duration;
/// use libprocess::Time;
///
/// let time: Time = "1994-11-06T08:49:37Z".parse()?;
/// assert_eq!((time + Duration::from_millis(500)).to_string(), "1994-11-06T08:49:37.5Z");
/// assert_eq!(time.rfc1123().to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
/// assert_eq!(time + Duration::MAX, Time::MAX);
/// # Ok::<(), libprocess::ParseTimeError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time {
    since_epoch_ns: i64,
}

impl Time {
    /// The UNIX epoch, which is also the default.
    ///
    /// ```
    /// assert_eq!(libprocess::Time::EPOCH.to_string(), "1970-01-01T00:00:00Z");
    /// ```
    pub const EPOCH: Self = Self::from_nanos(0);

    /// The earliest time, where subtraction saturates.
    ///
    /// ```
    /// assert_eq!(libprocess::Time::MIN.to_string(), "1677-09-21T00:12:43.145224192Z");
    /// ```
    pub const MIN: Self = Self::from_nanos(i64::MIN);

    /// The latest time, where addition saturates: as a deadline, "never".
    ///
    /// ```
    /// assert_eq!(libprocess::Time::MAX.to_string(), "2262-04-11T23:47:16.854775807Z");
    /// ```
    pub const MAX: Self = Self::from_nanos(i64::MAX);

    /// The time that many nanoseconds after the UNIX epoch, or before it if negative.
    ///
    /// ```
    /// use libprocess::Time;
    /// assert_eq!(Time::from_nanos(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
    /// ```
    pub const fn from_nanos(since_epoch_ns: i64) -> Self {
        Self { since_epoch_ns }
    }

    /// The nanoseconds since the UNIX epoch, negative before it.
    ///
    /// ```
    /// assert_eq!(libprocess::Time::from_nanos(7).as_nanos(), 7);
    /// ```
    pub const fn as_nanos(self) -> i64 {
        self.since_epoch_ns
    }

    /// The time that much later; `None` if it is after [`Time::MAX`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::Time;
    /// assert_eq!(Time::EPOCH.checked_add(Duration::from_nanos(7)), Some(Time::from_nanos(7)));
    /// assert_eq!(Time::EPOCH.checked_add(Duration::MAX), None);
    /// ```
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        // The whole range is `u64::MAX` nanoseconds wide: a longer duration leaves it from wherever it starts.
        let duration_ns = u64::try_from(duration.as_nanos()).ok()?;
        self.since_epoch_ns
            .checked_add_unsigned(duration_ns)
            .map(Self::from_nanos)
    }

    /// The time that much earlier; `None` if it is before [`Time::MIN`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::Time;
    /// assert_eq!(Time::EPOCH.checked_sub(Duration::from_nanos(7)), Some(Time::from_nanos(-7)));
    /// assert_eq!(Time::EPOCH.checked_sub(Duration::MAX), None);
    /// ```
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        let duration_ns = u64::try_from(duration.as_nanos()).ok()?;
        self.since_epoch_ns
            .checked_sub_unsigned(duration_ns)
            .map(Self::from_nanos)
    }

    /// How long after `earlier` this is; `None` if it is before.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::Time;
    /// let later = Time::from_nanos(7);
    /// assert_eq!(later.checked_duration_since(Time::EPOCH), Some(Duration::from_nanos(7)));
    /// assert_eq!(Time::EPOCH.checked_duration_since(later), None);
    /// ```
    pub fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        (self >= earlier)
            .then(|| Duration::from_nanos(self.since_epoch_ns.abs_diff(earlier.since_epoch_ns)))
    }

    /// The text that HTTP wants in `Date`, `Expires` and `Last-Modified`: 29 bytes, always in GMT.
    ///
    /// It has no fraction: the time is rounded down to a whole second, before 1970 too.
    ///
    /// ```
    /// let time = libprocess::Time::from_nanos(784_111_777_999_999_999);
    /// assert_eq!(time.rfc1123().to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
    /// ```
    pub fn rfc1123(self) -> impl fmt::Display {
        Text(self, RFC_1123)
    }

    /// The text of RFC 3339, in UTC, with as many digits of the fraction as it needs: what `Display` prints.
    ///
    /// ```
    /// let time = libprocess::Time::from_nanos(784_111_777_120_000_000);
    /// assert_eq!(time.rfc3339().to_string(), "1994-11-06T08:49:37.12Z");
    /// ```
    pub fn rfc3339(self) -> impl fmt::Display {
        Text(self, &Rfc3339)
    }

    /// Reads exactly what [`rfc1123`](Self::rfc1123) writes, and nothing else.
    ///
    /// Names in another case, a day of the week that is not that date's, another zone, a leap second, spaces around and the two obsolete
    /// forms of HTTP dates are all errors.
    ///
    /// ```
    /// use libprocess::Time;
    /// let time = Time::parse_rfc1123("Sun, 06 Nov 1994 08:49:37 GMT")?;
    /// assert_eq!(time.to_string(), "1994-11-06T08:49:37Z");
    /// assert!(Time::parse_rfc1123("Mon, 06 Nov 1994 08:49:37 GMT").is_err());
    /// # Ok::<(), libprocess::ParseTimeError>(())
    /// ```
    pub fn parse_rfc1123(text: &str) -> Result<Self, ParseTimeError> {
        let malformed = || ParseTimeError::new(text, Problem::NotRfc1123);
        let parsed = UtcDateTime::parse(text, RFC_1123).map_err(|_| malformed())?;
        let time =
            Self::from_utc(parsed).ok_or_else(|| ParseTimeError::new(text, Problem::OutOfRange))?;
        // The parser takes any day of the week for any date, and a sign before the year.
        if time.rfc1123().to_string() == text {
            Ok(time)
        } else {
            Err(malformed())
        }
    }

    /// Reads RFC 3339: a date and a time, with `T`, `t` or a space between, and `Z`, `z` or an offset such as `+02:00` at the end.
    ///
    /// Digits of the fraction after the ninth are dropped. A leap second, which is to say `23:59:60` UTC at the end of a month, is read as
    /// the last nanosecond before the next minute, as POSIX time has no place for it.
    ///
    /// ```
    /// use libprocess::Time;
    /// let time = Time::parse_rfc3339("1994-11-06T10:49:37.5+02:00")?;
    /// assert_eq!(time.to_string(), "1994-11-06T08:49:37.5Z");
    /// assert!(Time::parse_rfc3339("1994-11-06").is_err());
    /// # Ok::<(), libprocess::ParseTimeError>(())
    /// ```
    pub fn parse_rfc3339(text: &str) -> Result<Self, ParseTimeError> {
        // The parser takes any byte between the date and the time.
        let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
        let parsed = separated
            .then(|| UtcDateTime::parse(text, &Rfc3339).ok())
            .flatten()
            .ok_or_else(|| ParseTimeError::new(text, Problem::NotRfc3339))?;
        Self::from_utc(parsed).ok_or_else(|| ParseTimeError::new(text, Problem::OutOfRange))
    }

    fn from_utc(utc: UtcDateTime) -> Option<Self> {
        i64::try_from(utc.unix_timestamp_nanos())
            .ok()
            .map(Self::from_nanos)
    }

    fn to_utc(self) -> UtcDateTime {
        UtcDateTime::from_unix_timestamp_nanos(self.since_epoch_ns.into())
            .expect("the years 1677 to 2262 are within the range of `UtcDateTime`")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rfc3339().fmt(f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({self})")
    }
}

/// As [`Time::parse_rfc3339`].
impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_rfc3339(text)
    }
}

/// Saturates at [`Time::MIN`] and [`Time::MAX`].
impl From<SystemTime> for Time {
    fn from(system: SystemTime) -> Self {
        match system.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::EPOCH + since,
            Err(before) => Self::EPOCH - before.duration(),
        }
    }
}

/// To the precision of the system's clock: exact on Unix, rounded to 100 ns on Windows.
impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        let distance = Duration::from_nanos(time.since_epoch_ns.unsigned_abs());
        if time < Time::EPOCH {
            UNIX_EPOCH - distance
        } else {
            UNIX_EPOCH + distance
        }
    }
}

/// Saturates at [`Time::MAX`].
impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::MAX)
    }
}

/// Saturates at [`Time::MIN`].
impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        self.checked_sub(duration).unwrap_or(Self::MIN)
    }
}

/// How long after `earlier` this is; zero if it is before.
impl Sub for Time {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.checked_duration_since(earlier).unwrap_or_default()
    }
}

/// Saturates at [`Time::MAX`].
impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// Saturates at [`Time::MIN`].
impl SubAssign<Duration> for Time {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// A time, to be printed in that form.
struct Text<'a, F: ?Sized>(Time, &'a F);

impl<F: Formattable + ?Sized> fmt::Display for Text<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; LONGEST_TEXT];
        let mut rest = buffer.as_mut_slice();
        self.0
            .to_utc()
            .format_into(&mut rest, self.1)
            .expect("every time has a text of either form, and the longest fits");
        // Not the count that `format_into` returns: in time 0.3.55 it omits the digits of the fraction.
        let length = LONGEST_TEXT - rest.len();
        let text = str::from_utf8(&buffer[..length]).expect("both forms are ASCII");
        f.pad(text)
    }
}

/// The text is no time of the form that was asked for, or the time is out of the range of [`Time`].
///
/// ```
/// let error = "tomorrow".parse::<libprocess::Time>().unwrap_err();
/// assert!(error.to_string().contains("such as 1994-11-06T08:49:37.5Z"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct ParseTimeError {
    text: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("is not an RFC 1123 time: expected exactly as in Sun, 06 Nov 1994 08:49:37 GMT")]
    NotRfc1123,
    #[error("is not an RFC 3339 time: expected one such as 1994-11-06T08:49:37.5Z")]
    NotRfc3339,
    #[error("is out of range: expected a time from {} to {}", Time::MIN, Time::MAX)]
    OutOfRange,
}

impl ParseTimeError {
    #[cold]
    fn new(text: &str, problem: Problem) -> Self {
        Self {
            text: text.to_owned(),
            problem,
        }
    }
}

/// A deadline, which has expired from its time on.
///
/// It asks no clock: `now` is given.
///
/// ```
/// use std::time::Duration;
/// use libprocess::{Time, Timeout};
///
/// let start = Time::EPOCH;
/// let timeout = Timeout::at(start + Duration::from_secs(5));
/// assert_eq!(timeout.remaining(start), Duration::from_secs(5));
/// assert!(!timeout.expired(start));
/// assert!(timeout.expired(start + Duration::from_secs(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timeout {
    time: Time,
}

impl Timeout {
    /// The deadline at this time.
    ///
    /// ```
    /// use libprocess::{Time, Timeout};
    /// assert!(Timeout::at(Time::EPOCH) < Timeout::at(Time::MAX));
    /// ```
    pub const fn at(time: Time) -> Self {
        Self { time }
    }

    /// When it expires.
    ///
    /// ```
    /// use libprocess::{Time, Timeout};
    /// assert_eq!(Timeout::at(Time::EPOCH).time(), Time::EPOCH);
    /// ```
    pub const fn time(self) -> Time {
        self.time
    }

    /// How long from `now` until it expires; zero if it has.
    ///
    /// ```
    /// use std::time::Duration;
    /// use libprocess::{Time, Timeout};
    /// let timeout = Timeout::at(Time::EPOCH);
    /// assert_eq!(timeout.remaining(Time::from_nanos(-7)), Duration::from_nanos(7));
    /// assert_eq!(timeout.remaining(Time::from_nanos(7)), Duration::ZERO);
    /// ```
    pub fn remaining(self, now: Time) -> Duration {
        self.time - now
    }

    /// Whether it has expired at `now`: its own time counts as expired.
    ///
    /// ```
    /// use libprocess::{Time, Timeout};
    /// assert!(Timeout::at(Time::EPOCH).expired(Time::EPOCH));
    /// ```
    pub fn expired(self, now: Time) -> bool {
        self.time <= now
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    /// Times of every magnitude, both signs: Marsaglia's xorshift from a fixed seed, shifted by its own top bits.
    fn random_times(count: usize) -> impl Iterator<Item = Time> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            Time::from_nanos(state.cast_signed() >> (state.rotate_left(9) % 64))
        })
        .take(count)
    }

    fn whole_second(time: Time) -> Option<Time> {
        let since_epoch_s = time.as_nanos().div_euclid(1_000_000_000);
        Some(Time::from_nanos(since_epoch_s.checked_mul(1_000_000_000)?))
    }

    #[test]
    fn reads_what_it_writes() {
        for time in random_times(20_000).chain([Time::MIN, Time::MAX, Time::EPOCH]) {
            let text = time.to_string();
            assert!(text.len() <= LONGEST_TEXT);
            assert_eq!(text.parse(), Ok(time), "{text}");

            let text = time.rfc1123().to_string();
            assert_eq!(text.len(), 29, "{text}");
            assert_eq!(Time::parse_rfc1123(&text).ok(), whole_second(time));

            assert_eq!(Time::from(SystemTime::from(time)), time);
        }
    }

    #[rustfmt::skip]
    const CALENDAR: [(i64, &str, &str); 5] = [
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00Z"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59Z"),
        (-2_203_891_200, "Thu, 01 Mar 1900 00:00:00 GMT", "1900-03-01T00:00:00Z"),
        (-9_223_372_036, "Tue, 21 Sep 1677 00:12:44 GMT", "1677-09-21T00:12:44Z"),
    ];

    #[test]
    fn knows_the_calendar() {
        for (since_epoch_s, rfc1123, rfc3339) in CALENDAR {
            let time = Time::from_nanos(since_epoch_s * 1_000_000_000);
            assert_eq!(time.rfc1123().to_string(), rfc1123);
            assert_eq!(time.rfc3339().to_string(), rfc3339);
            assert_eq!(Time::parse_rfc1123(rfc1123), Ok(time));
            assert_eq!(Time::parse_rfc3339(rfc3339), Ok(time));
        }
    }

    #[rustfmt::skip]
    const ODD_BUT_RFC3339: [(&str, &str); 5] = [
        ("1994-11-06 08:49:37z", "1994-11-06T08:49:37Z"),
        ("1994-11-06t08:49:37.000-00:00", "1994-11-06T08:49:37Z"),
        ("1994-11-06T00:00:00+23:59", "1994-11-05T00:01:00Z"),
        ("1994-11-06T08:49:37.1234567899Z", "1994-11-06T08:49:37.123456789Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999999Z"),
    ];

    #[test]
    fn reads_all_of_rfc3339() {
        for (text, plain) in ODD_BUT_RFC3339 {
            assert_eq!(Time::parse_rfc3339(text).unwrap().to_string(), plain);
        }
    }

    #[rustfmt::skip]
    const NOT_RFC3339: [&str; 18] = [
        "", " 1994-11-06T08:49:37Z", "1994-11-06T08:49:37Z ", "1994-11-06T08:49:37", "1994-11-06T08:49Z",
        "1994-11-06T08:49:37.Z", "1994-11-06T08:49:37+02", "1994-11-06T24:00:00Z", "1994-11-06T08:60:00Z",
        "1994-11-06T08:59:60Z", "1994-11-06_08:49:37Z", "1994-11-31T08:49:37Z", "1994-13-06T08:49:37Z",
        "1900-02-29T00:00:00Z", "94-11-06T08:49:37Z", "12994-11-06T08:49:37Z", "-994-11-06T08:49:37Z",
        "199\u{e9}-11-06T08:49:37Z",
    ];

    #[rustfmt::skip]
    const NOT_RFC1123: [&str; 16] = [
        "", " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Mon, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 gmt", "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov +1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sat, 31 Dec 2016 23:59:60 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    ];

    #[rustfmt::skip]
    const OUT_OF_RANGE: [&str; 5] = [
        "1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775808Z", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "0000-01-01T00:00:00+23:59",
    ];

    fn assert_refused(result: Result<Time, ParseTimeError>, expected: &str) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for text in NOT_RFC3339 {
            assert_refused(text.parse(), "such as 1994-11-06T08:49:37.5Z");
        }
        for text in OUT_OF_RANGE {
            assert_refused(text.parse(), "out of range: expected a time from 1677-");
        }
        for text in NOT_RFC1123 {
            assert_refused(
                Time::parse_rfc1123(text),
                "as in Sun, 06 Nov 1994 08:49:37 GMT",
            );
        }
        // Rounded down to a second, the earliest time is out of range by a fraction of one.
        let earliest = Time::MIN.rfc1123().to_string();
        for text in [&earliest, "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_refused(Time::parse_rfc1123(text), "to 2262-04-11T23:47:16.85");
        }
    }

    #[test]
    fn saturates_where_checking_says_none() {
        let tick = Duration::from_nanos(1);
        let range = Duration::from_nanos(u64::MAX);
        assert_eq!(Time::MIN.checked_add(range), Some(Time::MAX));
        assert_eq!(Time::MAX.checked_sub(range), Some(Time::MIN));
        assert_eq!(Time::MAX - Time::MIN, range);
        assert_eq!(Time::MIN - Time::MAX, Duration::ZERO);
        for too_long in [range + tick, Duration::MAX] {
            assert_eq!(Time::MIN.checked_add(too_long), None);
            assert_eq!(Time::MAX.checked_sub(too_long), None);
        }
        let mut time = Time::MAX - tick;
        time += Duration::from_secs(1);
        assert_eq!(time, Time::MAX);
        time -= Duration::MAX;
        assert_eq!(time, Time::MIN);
    }

    #[test]
    fn adds_and_subtracts_inversely() {
        for (earlier, later) in random_times(10_000).zip(random_times(10_001).skip(1)) {
            let (earlier, later) = (earlier.min(later), earlier.max(later));
            assert_eq!(earlier + (later - earlier), later);
            assert_eq!(later - (later - earlier), earlier);
        }
    }

    #[test]
    fn saturates_from_the_clock_of_the_system() {
        let century = Duration::from_secs(100 * 366 * 24 * 60 * 60);
        assert_eq!(Time::from(UNIX_EPOCH + 4 * century), Time::MAX);
        assert_eq!(Time::from(UNIX_EPOCH - 4 * century), Time::MIN);
    }

    #[test]
    fn pads_like_any_text() {
        assert_eq!(format!("{:>22}|", Time::EPOCH), "  1970-01-01T00:00:00Z|");
        assert_eq!(format!("{:?}", Time::EPOCH), "Time(1970-01-01T00:00:00Z)");
    }

    #[test]
    fn expires_at_its_own_time() {
        let timeout = Timeout::at(Time::from_nanos(5));
        for (now_ns, remaining_ns, expired) in [(4, 1, false), (5, 0, true), (6, 0, true)] {
            let now = Time::from_nanos(now_ns);
            assert_eq!(timeout.remaining(now), Duration::from_nanos(remaining_ns));
            assert_eq!(timeout.expired(now), expired);
        }
    }
}
