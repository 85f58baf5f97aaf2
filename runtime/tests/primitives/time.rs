//! The rate limiter under a paused clock, time series, and statistics.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::common::{HANG, Idle, runtime};
use libprocess::sync::RateLimiter;
use libprocess::time_series::{Statistics, TimeSeries};
use libprocess::{
    Clock, Runtime, Time, assert_discarded, assert_pending, assert_ready, dispatch_with,
};

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_micros(2_500);

/// Two permits in five milliseconds, on a clock that stands still.
fn limiter() -> (Runtime, Clock, RateLimiter) {
    let runtime = runtime(1);
    let clock = runtime.clock();
    clock.pause();
    let permits = NonZeroU32::new(2).unwrap();
    let limiter = RateLimiter::with_clock(clock.clone(), permits, 2 * INTERVAL);
    (runtime, clock, limiter)
}

fn advance(clock: &Clock, duration: Duration) {
    clock.advance(duration);
    clock.settle().unwrap();
}

#[test]
fn permits_are_evenly_spaced() {
    let (_runtime, clock, limiter) = limiter();
    assert_eq!(limiter.interval(), INTERVAL);
    let permits = [(); 3].map(|()| limiter.acquire());
    assert_ready!(permits[0]);
    let nanosecond = Duration::from_nanos(1);
    advance(&clock, INTERVAL - nanosecond);
    assert_pending!(permits[1]);
    advance(&clock, nanosecond);
    assert_ready!(permits[1]);
    assert_pending!(permits[2]);
    advance(&clock, INTERVAL);
    assert_ready!(permits[2]);
}

#[test]
fn permits_are_not_saved_up() {
    let (_runtime, clock, limiter) = limiter();
    assert_ready!(limiter.acquire());
    advance(&clock, 100 * INTERVAL);
    assert_ready!(limiter.acquire());
    let next = limiter.acquire();
    assert_pending!(next);
    advance(&clock, INTERVAL);
    assert_ready!(next);
}

#[test]
fn a_clock_that_is_advanced_far_gives_what_came_due_on_the_way() {
    let (_runtime, clock, limiter) = limiter();
    let permits = [(); 6].map(|()| limiter.acquire());
    advance(&clock, 3 * INTERVAL + INTERVAL / 2);
    let ready = permits.each_ref().map(libprocess::Future::is_ready);
    assert_eq!(ready, [true, true, true, true, false, false]);
    advance(&clock, INTERVAL / 2);
    assert_ready!(permits[4]);
    assert_pending!(permits[5]);
}

#[test]
fn whoever_gives_up_in_the_middle_uses_no_permit() {
    let (_runtime, clock, limiter) = limiter();
    let permits = [(); 4].map(|()| limiter.acquire());
    permits[1].discard();
    assert_discarded!(permits[1]);
    advance(&clock, INTERVAL);
    assert_ready!(permits[2]);
    assert_pending!(permits[3]);
    advance(&clock, INTERVAL);
    assert_ready!(permits[3]);
}

#[test]
fn whoever_gives_up_last_uses_no_permit() {
    let (_runtime, clock, limiter) = limiter();
    assert_ready!(limiter.acquire());
    let last = limiter.acquire();
    last.discard();
    assert_discarded!(last);
    drop(limiter.acquire());
    let later = limiter.acquire();
    assert_pending!(later);
    advance(&clock, INTERVAL);
    assert_ready!(later);
}

#[test]
fn a_permit_that_nobody_waits_for_any_more_is_there_for_the_next() {
    let (_runtime, clock, limiter) = limiter();
    assert_ready!(limiter.acquire());
    limiter.acquire().discard();
    advance(&clock, INTERVAL);
    assert_ready!(limiter.acquire());
    assert_pending!(limiter.acquire());
}

#[test]
fn a_limiter_that_is_dropped_discards_who_waits() {
    let (_runtime, clock, limiter) = limiter();
    assert_ready!(limiter.acquire());
    let waiting = limiter.acquire();
    drop(limiter.clone());
    assert_pending!(waiting);
    drop(limiter);
    assert_discarded!(waiting);
    advance(&clock, INTERVAL);
    assert_discarded!(waiting);
}

#[test]
fn whoever_has_a_permit_may_ask_for_the_next_in_a_callback() {
    let (_runtime, clock, limiter) = limiter();
    assert_ready!(limiter.acquire());
    let again = limiter.clone();
    let second = limiter.acquire().then(move |()| again.acquire());
    advance(&clock, INTERVAL);
    assert_pending!(second);
    advance(&clock, INTERVAL);
    assert_ready!(second);
}

#[test]
fn processes_share_a_limiter_though_their_times_differ() {
    let (runtime, clock, limiter) = limiter();
    let (ahead, behind) = (runtime.spawn(Idle), runtime.spawn(Idle));
    // This one has been served nothing since, and so is at the time when it was spawned.
    advance(&clock, 10 * INTERVAL);
    assert_ready!(limiter.acquire());
    let acquire = |pid| {
        let limiter = limiter.clone();
        dispatch_with(pid, move |_, _| limiter.acquire())
    };
    let permits = [acquire(ahead), acquire(behind)];
    clock.settle().unwrap();
    assert_pending!(permits[0]);
    advance(&clock, INTERVAL);
    assert_ready!(permits[0]);
    assert_pending!(permits[1]);
    advance(&clock, INTERVAL);
    assert_ready!(permits[1]);
}

#[test]
fn a_limiter_works_on_a_running_clock_and_in_threads() {
    let limiter = RateLimiter::new(NonZeroU32::new(10).unwrap(), Duration::from_millis(1));
    let clock = libprocess::clock();
    let start = clock.now();
    let threads = [(); 3].map(|()| {
        let limiter = limiter.clone();
        std::thread::spawn(move || {
            for _ in 0..30 {
                limiter.acquire().get_timeout(HANG).unwrap();
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    // Never faster; how much slower is the machine's affair.
    assert!(clock.now() - start >= 89 * limiter.interval());
}

#[test]
#[should_panic(expected = "would not be limited")]
fn permits_in_no_time_are_refused() {
    let clock = runtime(1).clock();
    let _ = RateLimiter::with_clock(clock, NonZeroU32::MIN, Duration::ZERO);
}

#[test]
fn the_interval_is_rounded_up() {
    let runtime = runtime(1);
    let limiter = |permits, per| RateLimiter::with_clock(runtime.clock(), permits, per);
    let three = NonZeroU32::new(3).unwrap();
    let few = limiter(three, Duration::from_nanos(10));
    assert_eq!(few.interval(), Duration::from_nanos(4));
    let never = limiter(NonZeroU32::MIN, Duration::MAX);
    assert_ready!(never.acquire());
    assert_pending!(never.acquire());
}

fn at(seconds: u64) -> Time {
    Time::EPOCH + Duration::from_secs(seconds)
}

/// Of these values, one each second.
fn series(window: Duration, values: std::ops::Range<u64>) -> TimeSeries<u64> {
    let mut series = TimeSeries::new(window, 10);
    for value in values {
        series.set(value, at(value));
    }
    series
}

fn values(series: &TimeSeries<u64>) -> Vec<u64> {
    series.values().map(|(_, value)| *value).collect()
}

#[test]
fn a_series_has_the_latest_value() {
    let mut series = TimeSeries::default();
    assert!(series.is_empty() && series.latest().is_none());
    series.set(1, at(1));
    assert_eq!(series.latest(), Some((at(1), &1)));
    series.set(2, at(1));
    assert_eq!(series.latest(), Some((at(1), &2)));
    assert_eq!(series.len(), 1);
    assert_eq!(series.capacity(), 1_000);
    assert_eq!(series.window(), 14 * 24 * 3_600 * SECOND);
}

#[test]
fn older_values_are_thinned_out_by_every_second_one() {
    let mut series = series(Duration::MAX, 0..10);
    let mut removed = Vec::new();
    for value in 10..20 {
        let before = values(&series);
        series.set(value, at(value));
        let after = values(&series);
        removed.extend(before.into_iter().filter(|value| !after.contains(value)));
        if value == 14 {
            assert_eq!(after, [0, 2, 4, 6, 8, 10, 11, 12, 13, 14]);
        }
    }
    assert_eq!(removed, [1, 3, 5, 7, 9, 2, 6, 10, 12, 14]);
    assert_eq!(values(&series), [0, 4, 8, 11, 13, 15, 16, 17, 18, 19]);
}

#[test]
fn what_is_as_old_as_the_window_goes() {
    let mut series = series(10 * SECOND, 0..10);
    assert_eq!(series.len(), 10);
    // It is 16 seconds later, and the value came a little before.
    series.set_at(10, at(10), at(16));
    assert_eq!(values(&series), [7, 8, 9, 10]);
    series.truncate(at(1_000));
    assert_eq!(values(&series), [10], "the newest stays");
}

#[test]
fn what_is_thinned_out_next_survives_what_goes_before_it() {
    let mut series = series(10 * SECOND, 0..10);
    // Beyond the capacity, while time stands still.
    for value in 10..13 {
        series.set_at(value, at(value), at(0));
    }
    assert_eq!(values(&series), [0, 2, 4, 6, 7, 8, 9, 10, 11, 12]);
    series.truncate(at(12));
    assert_eq!(values(&series), [4, 6, 7, 8, 9, 10, 11, 12]);
    for value in 13..16 {
        series.set_at(value, at(value), at(12));
    }
    assert_eq!(
        values(&series),
        [4, 6, 8, 9, 10, 11, 12, 13, 14, 15],
        "7 was next"
    );
    // This takes 9, which is next.
    series.truncate(at(19));
    assert_eq!(values(&series), [10, 11, 12, 13, 14, 15]);
    for value in 16..21 {
        series.set_at(value, at(value), at(19));
    }
    assert_eq!(
        values(&series),
        [10, 12, 13, 14, 15, 16, 17, 18, 19, 20],
        "it began again at the oldest"
    );
}

#[test]
fn a_late_value_takes_its_place_and_thinning_begins_again() {
    let mut series = TimeSeries::new(Duration::MAX, 10);
    for value in (0..20).step_by(2) {
        series.set(value, at(value));
    }
    series.set(20, at(20));
    assert_eq!(values(&series), [0, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    series.set_at(7, at(7), at(20));
    assert_eq!(
        values(&series),
        [0, 6, 7, 8, 10, 12, 14, 16, 18, 20],
        "not 8"
    );
    series.set_at(70, at(7), at(20));
    assert_eq!(series.range(at(7)..=at(7)).next(), Some((at(7), &70)));
    assert_eq!(series.len(), 10);
}

#[test]
fn the_least_capacity_is_three() {
    let mut series = TimeSeries::new(Duration::MAX, 0);
    for value in 0..6 {
        series.set(value, at(value));
        assert!(series.len() <= 3);
    }
    assert_eq!(series.latest(), Some((at(5), &5)));
    assert_eq!(series.values().next(), Some((at(0), &0)));
}

#[test]
fn a_range_is_part_of_the_series() {
    let series = series(Duration::MAX, 0..10);
    let part = |range: (std::ops::Bound<Time>, std::ops::Bound<Time>)| {
        series
            .range(range)
            .map(|(_, value)| *value)
            .collect::<Vec<_>>()
    };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    assert_eq!(part((Included(at(3)), Included(at(5)))), [3, 4, 5]);
    assert_eq!(part((Excluded(at(3)), Excluded(at(5)))), [4]);
    assert_eq!(part((Unbounded, Excluded(at(2)))), [0, 1]);
    assert_eq!(part((Included(at(8)), Unbounded)), [8, 9]);
    assert_eq!(part((Included(at(5)), Included(at(3)))), [0; 0]);
    assert_eq!(series.range(..).len(), 10);
}

#[test]
fn statistics_need_two_values() {
    let mut series = TimeSeries::default();
    assert_eq!(Statistics::of(&series), None);
    series.set(1.0, at(1));
    assert_eq!(Statistics::of(&series), None);
    series.set(3.0, at(2));
    let statistics = Statistics::of(&series).unwrap();
    assert_eq!((statistics.count(), statistics.p50()), (2, 2.0));
}

#[test]
fn percentiles_of_a_series_are_interpolated() {
    let mut series = TimeSeries::default();
    for value in -5_i32..=5 {
        series.set(f64::from(value), Time::from_nanos(value.into()));
    }
    let statistics = Statistics::of(&series).unwrap();
    assert_eq!(statistics.count(), 11);
    let near = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    };
    near(statistics.min(), -5.0);
    near(statistics.p25(), -2.5);
    near(statistics.p50(), 0.0);
    near(statistics.p75(), 2.5);
    near(statistics.p90(), 4.0);
    near(statistics.p95(), 4.5);
    near(statistics.p99(), 4.9);
    near(statistics.p999(), 4.99);
    near(statistics.p9999(), 4.999);
    near(statistics.max(), 5.0);
    near(statistics.percentile(-1.0), -5.0);
    near(statistics.percentile(2.0), 5.0);
}

#[test]
fn percentiles_of_durations_in_any_order() {
    let statistics = Statistics::new((0..=10).rev().map(|tens| 10 * tens * SECOND)).unwrap();
    assert_eq!(statistics.count(), 11);
    assert_eq!(statistics.min(), Duration::ZERO);
    assert_eq!(statistics.p25(), 25 * SECOND);
    assert_eq!(statistics.p50(), 50 * SECOND);
    assert_eq!(statistics.p75(), 75 * SECOND);
    assert_eq!(statistics.p90(), 90 * SECOND);
    assert_eq!(statistics.max(), 100 * SECOND);
}

#[test]
fn what_is_no_number_or_no_end_does_not_disturb() {
    let statistics = Statistics::new([f64::INFINITY, 1.0, f64::INFINITY, f64::NAN]).unwrap();
    assert_eq!(statistics.min(), 1.0);
    assert!(statistics.max().is_nan());
    assert_eq!(statistics.p50(), f64::INFINITY);
    let statistics = Statistics::new([Duration::ZERO, Duration::MAX]).unwrap();
    assert!(statistics.p9999() <= Duration::MAX);
    let statistics = Statistics::new([1.0_f32, 2.0]).unwrap();
    assert_eq!(statistics.p25(), 1.25);
}
