//! Where values lie on an axis, and which of them are written beside it.

use super::words::short;

/// About so many ticks; more cannot be read on a narrow screen.
const TICKS: f64 = 5.0;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    logarithmic: bool,
    pub(super) ticks: Vec<Tick>,
    /// What it is of, and in which unit.
    pub(super) title: String,
}

impl Axis {
    /// Of figures, from zero, as lengths of bars have to be.
    pub(super) fn from_zero(least: f64, greatest: f64, title: &str) -> Self {
        Self::linear(least.min(0.0), greatest.max(0.0), title)
    }

    /// Of figures, from zero unless all lie so close together that nothing could be seen of their differences.
    pub(super) fn of_changes(least: f64, greatest: f64, title: &str) -> Self {
        if least > 0.5 * greatest && greatest > 0.0 {
            Self::linear(least, greatest, title)
        } else {
            Self::from_zero(least, greatest, title)
        }
    }

    fn linear(least: f64, greatest: f64, title: &str) -> Self {
        let step = step((greatest - least) / TICKS, greatest.abs().max(least.abs()));
        let first = (least / step).floor();
        let last = (greatest / step).ceil().max(first + 1.0);
        let ticks = counted(first, last).map(|number| Tick {
            value: number * step,
            label: short(number * step),
        });
        Self {
            low: first * step,
            high: last * step,
            logarithmic: false,
            ticks: ticks.collect(),
            title: title.to_owned(),
        }
    }

    pub(super) fn starts_at_zero(&self) -> bool {
        self.low <= 0.0
    }

    /// Of these numbers of workers, each with its tick.
    pub(super) fn of_workers(workers: &[usize]) -> Self {
        let ticks: Vec<Tick> = workers
            .iter()
            .map(|workers| Tick {
                value: *workers as f64,
                label: workers.to_string(),
            })
            .collect();
        let low = ticks.first().map_or(0.0, |tick| tick.value);
        let high = ticks.last().map_or(1.0, |tick| tick.value);
        Self {
            low,
            high,
            logarithmic: false,
            ticks,
            title: "workers".to_owned(),
        }
    }

    /// Of places that follow one another, as revisions do.
    pub(super) fn of_places(labels: &[String], title: &str) -> Self {
        let ticks = labels.iter().enumerate().map(|(index, label)| Tick {
            value: index as f64,
            label: label.clone(),
        });
        Self {
            low: 0.0,
            high: labels.len().saturating_sub(1) as f64,
            logarithmic: false,
            ticks: ticks.collect(),
            title: title.to_owned(),
        }
    }

    /// Of percentiles, so that each step to the right leaves a tenth as many latencies above it: a percentile lies at its [`nines`]. It
    /// ends where the greatest of so many latencies can be seen.
    pub(super) fn of_percentiles(count: u64) -> Self {
        let high = end_of_nines(count);
        let half = Tick {
            value: 0.5_f64.recip().log10(),
            label: "50".to_owned(),
        };
        let zero = Tick {
            value: 0.0,
            label: "0".to_owned(),
        };
        let nines = (1..=high.floor() as usize).map(|nines| Tick {
            value: nines as f64,
            label: match nines {
                1 => "90".to_owned(),
                2 => "99".to_owned(),
                more => format!("99.{}", "9".repeat(more - 2)),
            },
        });
        Self {
            low: 0.0,
            high,
            logarithmic: false,
            ticks: [zero, half].into_iter().chain(nines).collect(),
            title: "percentile of the latencies, in %".to_owned(),
        }
    }

    /// Of times in nanoseconds, each of which as far from its tenfold as every other.
    pub(super) fn of_durations(least: u64, greatest: u64) -> Self {
        let (least, greatest) = (least.max(1) as f64, greatest.max(1) as f64);
        let below = round_below(least);
        let above = round_above(greatest.max(below * 1.5));
        let decades = (above / below).log10();
        let factors: &[f64] = if decades > 2.5 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let powers = below.log10().floor() as i32..=above.log10().ceil() as i32;
        let ticks = powers
            .flat_map(|power| {
                factors
                    .iter()
                    .map(move |factor| factor * 10_f64.powi(power))
            })
            .filter(|value| (below * 0.999..=above * 1.001).contains(value))
            .map(|value| Tick {
                value,
                label: round_nanoseconds(value),
            });
        Self {
            low: below,
            high: above,
            logarithmic: true,
            ticks: ticks.collect(),
            title: "latency".to_owned(),
        }
    }

    /// From 0 at the lower end to 1 at the upper one.
    pub(super) fn part(&self, value: f64) -> f64 {
        let scaled = |value: f64| {
            if self.logarithmic {
                value.log10()
            } else {
                value
            }
        };
        let (low, high) = (scaled(self.low), scaled(self.high));
        if high <= low {
            return 0.5;
        }
        let part = (scaled(value) - low) / (high - low);
        if part.is_nan() {
            0.0
        } else {
            part.clamp(0.0, 1.0)
        }
    }
}

/// Where the latencies have one of `count`, and `below` of them lie lower: the logarithm of how few are left.
pub(super) fn nines(below: u64, count: u64) -> f64 {
    if below >= count {
        end_of_nines(count)
    } else {
        (count as f64 / (count - below) as f64).log10()
    }
}

/// Of an axis of so many latencies: the greatest one begins where it alone is left, and is as long as to half of that.
pub(super) fn end_of_nines(count: u64) -> f64 {
    (2.0 * count.max(5) as f64).log10()
}

/// A number that people count in, this or a little more.
fn step(least: f64, magnitude: f64) -> f64 {
    // Figures that are the same have no distance, and those of a file may be anything.
    let least = match least {
        usable if usable.is_normal() && usable > magnitude * 1e-9 => usable,
        _ if magnitude.is_normal() => magnitude / TICKS,
        _ => 1.0 / TICKS,
    };
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// From one whole number to another, and never more than can be drawn.
fn counted(first: f64, last: f64) -> impl Iterator<Item = f64> {
    let steps = (last - first).clamp(0.0, 4.0 * TICKS) as u32;
    (0..=steps).map(move |step| first + f64::from(step))
}

fn round_below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = [5.0, 2.0]
        .into_iter()
        .find(|factor| factor * power <= value);
    factor.unwrap_or(1.0) * power
}

fn round_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= value * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// A time that is a round number of nanoseconds.
fn round_nanoseconds(value: f64) -> String {
    let (value, unit) = match value {
        small if small < 999.0 => (small, "ns"),
        small if small < 999e3 => (small / 1e3, "µs"),
        small if small < 999e6 => (small / 1e6, "ms"),
        large => (large / 1e9, "s"),
    };
    format!("{value:.0} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_all_figures() {
        let axis = Axis::from_zero(3.1e6, 9.2e6, "messages/s");
        assert_eq!(labels(&axis), ["0", "2 M", "4 M", "6 M", "8 M", "10 M"]);
        assert!(axis.starts_at_zero());
        assert_eq!(
            (axis.part(0.0), axis.part(5e6), axis.part(1e7)),
            (0.0, 0.5, 1.0)
        );

        let axis = Axis::of_changes(9.7e6, 10.2e6, "messages/s");
        assert_eq!(
            labels(&axis),
            ["9.7 M", "9.8 M", "9.9 M", "10 M", "10.1 M", "10.2 M"]
        );
        assert!(!axis.starts_at_zero());
        assert!(Axis::of_changes(4.0, 10.0, "").starts_at_zero());
    }

    #[test]
    fn no_figure_of_a_file_makes_an_axis_without_end() {
        let strange = [
            0.0,
            -0.0,
            1.0,
            -3.0,
            1e-320,
            1e-9,
            1e9 + 1.0,
            1e300,
            f64::MAX,
            f64::MIN,
        ];
        for least in strange {
            for greatest in strange {
                if least > greatest {
                    continue;
                }
                for axis in [
                    Axis::from_zero(least, greatest, ""),
                    Axis::of_changes(least, greatest, ""),
                ] {
                    assert!(axis.ticks.len() <= 21, "{least} {greatest}: {axis:?}");
                    for value in [least, greatest] {
                        assert!((0.0..=1.0).contains(&axis.part(value)), "{axis:?}");
                    }
                }
            }
        }
        let greatest = Axis::of_durations(0, u64::MAX);
        assert!(greatest.ticks.len() < 25, "{greatest:?}");
    }

    #[test]
    fn figures_that_are_the_same_are_seen() {
        for value in [0.0, 7.0, 5e6] {
            let axis = Axis::of_changes(value, value, "");
            assert!(axis.low <= value && value <= axis.high && axis.low < axis.high);
        }
    }

    #[test]
    fn a_percentile_lies_where_a_tenth_is_left_of_the_one_before() {
        let axis = Axis::of_percentiles(100_000);
        assert_eq!(
            labels(&axis),
            ["0", "50", "90", "99", "99.9", "99.99", "99.999"]
        );
        let places: Vec<f64> = axis.ticks.iter().map(|tick| tick.value).collect();
        for (place, known) in places.iter().zip([0.0, 0.301, 1.0, 2.0, 3.0, 4.0, 5.0]) {
            assert!((place - known).abs() < 0.001, "{places:?}");
        }
        for (below, place) in [(0, 0.0), (50_000, 0.301), (90_000, 1.0), (99_999, 5.0)] {
            assert!((nines(below, 100_000) - place).abs() < 0.001, "{below}");
        }
        // The greatest one is seen, and there is nothing behind it.
        assert_eq!(nines(100_000, 100_000), axis.high);
        assert!((axis.high - 5.301).abs() < 0.001);
        assert_eq!(labels(&Axis::of_percentiles(1)), ["0", "50", "90"]);
    }

    #[test]
    fn times_have_decades_or_what_lies_between() {
        assert_eq!(
            labels(&Axis::of_durations(80, 3_000_000)),
            ["100 ns", "1 µs", "10 µs", "100 µs", "1 ms"]
        );
        assert_eq!(
            labels(&Axis::of_durations(110, 900)),
            ["100 ns", "200 ns", "500 ns", "1 µs"]
        );
        let axis = Axis::of_durations(100, 10_000);
        assert!((axis.part(1_000.0) - 0.5).abs() < 1e-9);
        assert_eq!(labels(&Axis::of_durations(0, 0)), ["1 ns", "2 ns"]);
    }
}
