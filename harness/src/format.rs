//! Numbers as people read them.

/// With a comma between groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, by a noun whose plural ends in s.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        grouped(number),
        if number == 1 { "" } else { "s" }
    )
}

/// A figure with as many decimals as it is worth: three digits at least, none below the unit for large ones.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        magnitude if (1_000.0..1e18).contains(&magnitude) => grouped(value.round() as u64),
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// In the unit of memory that gives few digits.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == UNITS[0] {
        format!("{bytes} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// In the unit of time that gives few digits.
pub(crate) fn nanoseconds(nanoseconds: u64) -> String {
    let value = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} µs", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.2} s", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_of_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (15_000_000, "15,000,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(count(1, "pair"), "1 pair");
        assert_eq!(count(0, "pair"), "0 pairs");
        assert_eq!(count(2_000, "pair"), "2,000 pairs");
    }

    #[test]
    fn figures_have_no_more_digits_than_they_are_worth() {
        for (value, text) in [
            (0.0, "0.00"),
            (1.23456, "1.23"),
            (12.3456, "12.3"),
            (123.456, "123"),
            (8_051_234.6, "8,051,235"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(300 << 20), "300.0 MiB");
        assert_eq!(nanoseconds(999), "999 ns");
        assert_eq!(nanoseconds(5_400), "5.4 µs");
        assert_eq!(nanoseconds(2_000_000), "2.0 ms");
        assert_eq!(nanoseconds(60_000_000_000), "60.00 s");
    }
}
