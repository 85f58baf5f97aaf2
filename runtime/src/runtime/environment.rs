//! What the environment says, where the program says nothing.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// The variable that sets the number of workers.
pub(super) const NUM_WORKER_THREADS: &str = "LIBPROCESS_NUM_WORKER_THREADS";

/// The variable that sets the event budget.
pub(super) const EVENTS_PER_RESUME: &str = "LIBPROCESS_EVENTS_PER_RESUME";

/// The variable that switches telemetry on.
pub(super) const TELEMETRY: &str = "LIBPROCESS_TELEMETRY";

/// The variable that says for how long a handler may run before it is reported.
pub(super) const STUCK_AFTER: &str = "LIBPROCESS_STUCK_AFTER";

/// The variable that says for how long a worker asks for I/O before it sleeps.
pub(super) const BUSY_POLL: &str = "LIBPROCESS_BUSY_POLL";

/// The variable that says which reactor does the I/O.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) const REACTOR: &str = "LIBPROCESS_REACTOR";

/// The variable that says whether who sends a message must be where it comes from.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) const REQUIRE_PEER_ADDRESS_IP_MATCH: &str = "LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH";

/// The variables that say where to listen.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) const IP: &str = "LIBPROCESS_IP";
/// See [`IP`].
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) const PORT: &str = "LIBPROCESS_PORT";

/// The variables that say as what: where others find the runtime.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) const ADVERTISE_IP: &str = "LIBPROCESS_ADVERTISE_IP";
/// See [`ADVERTISE_IP`].
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) const ADVERTISE_PORT: &str = "LIBPROCESS_ADVERTISE_PORT";
/// See [`ADVERTISE_IP`].
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) const IP6: &str = "LIBPROCESS_IP6";

/// What a variable says, if it is an IP address.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) fn ip(variable: &str) -> Option<std::net::IpAddr> {
    value(variable, "an IP address", |text| text.parse().ok())
}

/// What a variable says, if it is an IPv6 address that others can have.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) fn ip6(variable: &str) -> Option<std::net::Ipv6Addr> {
    value(variable, "an IPv6 address other than ::", |text| {
        let ip: Option<std::net::Ipv6Addr> = text.parse().ok();
        ip.filter(|ip| !ip.is_unspecified())
    })
}

/// What a variable says, if it names a reactor.
#[cfg(not(any(libprocess_loom, libprocess_shuttle)))]
pub(super) fn reactor(variable: &str) -> Option<crate::reactor::ReactorKind> {
    value(variable, "io_uring or epoll", |text| text.parse().ok())
}

/// What a variable says, if it is a number of the range. Anything else is reported and ignored.
pub(super) fn number<T>(variable: &str, range: RangeInclusive<T>) -> Option<T>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let (from, to) = (range.start(), range.end());
    let expected = format!("a number from {from} to {to}");
    let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
    value(variable, &expected, parse)
}

/// What a variable says, if it is yes or no.
pub(super) fn flag(variable: &str) -> Option<bool> {
    value(variable, "1 or 0", |text| match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    })
}

/// What a variable says, if it is a duration.
pub(super) fn duration(variable: &str) -> Option<Duration> {
    value(variable, "a duration such as 500ms or 5secs", to_duration)
}

/// As libprocess writes durations, and the shorter `s`, `min` and `h`.
fn to_duration(text: &str) -> Option<Duration> {
    let digits = text
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "secs" => 1.0,
        "min" | "mins" => 60.0,
        "h" | "hrs" => 3_600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

fn value<T>(variable: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    let text = std::env::var_os(variable)?;
    let value = text.to_str().and_then(|text| parse(text.trim()));
    if value.is_none() {
        report(&format!(
            "ignoring {variable}={text:?}: expected {expected}; using the default"
        ));
    }
    value
}

/// Says what the user got wrong: to the log, or, where there is none, to standard error.
pub(super) fn report(message: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{message}");
    } else {
        eprintln!("libprocess: {message}");
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, expected) in [
            ("5secs", Duration::from_secs(5)),
            ("5s", Duration::from_secs(5)),
            ("0.5secs", Duration::from_millis(500)),
            ("250ms", Duration::from_millis(250)),
            ("2mins", Duration::from_secs(120)),
            ("1hrs", Duration::from_secs(3_600)),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(to_duration(text), Some(expected), "{text}");
        }
        for text in ["", "5", "secs", "-5secs", "5 parsecs", "1e300weeks", "..s"] {
            assert_eq!(to_duration(text), None, "{text}");
        }
    }
}
