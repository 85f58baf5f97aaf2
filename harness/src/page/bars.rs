//! A plot of bars, each with its label above it, as labels of choices are long and screens narrow.

use super::axis::Axis;
use super::lines::WIDTH;
use super::scene::{Anchor, Ink, Mark, Scene, TEXT_LINE, text_width, wrapped};
use super::words::short;

const BAR: f64 = 15.0;
const GAP: f64 = 7.0;

#[derive(Debug)]
pub(super) struct BarPlot {
    pub(super) unit: String,
    pub(super) bars: Vec<Bar>,
    pub(super) description: String,
}

#[derive(Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    /// The least and the greatest of the runs.
    pub(super) spread: Option<(f64, f64)>,
    /// What bars of the same colour have in common, by number.
    pub(super) kind: usize,
    pub(super) told: String,
}

impl BarPlot {
    pub(super) fn draw(&self) -> Scene {
        let all = self.bars.iter().flat_map(|bar| {
            let (low, high) = bar.spread.unwrap_or((bar.value, bar.value));
            [low, high, bar.value]
        });
        let least = all.clone().fold(f64::INFINITY, f64::min);
        let greatest = all.fold(f64::NEG_INFINITY, f64::max);
        let axis = Axis::from_zero(least, greatest, &self.unit);
        let values = self.bars.iter().map(|bar| text_width(&short(bar.value)));
        let right = WIDTH - values.fold(0.0, f64::max) - GAP;
        let x = |value: f64| 1.0 + axis.part(value) * (right - 1.0);
        let mut scene = Scene {
            size: (WIDTH, 0.0),
            marks: Vec::new(),
            description: self.description.clone(),
        };
        let mut y = 0.0;
        let mut rows = Vec::new();
        for bar in &self.bars {
            for text in wrapped(&bar.label, WIDTH) {
                scene.text((0.0, y + TEXT_LINE * 0.75), Anchor::Start, Ink::Text, text);
                y += TEXT_LINE;
            }
            rows.push(y);
            y += BAR + GAP;
        }
        let bottom = y;
        let grid: Vec<Mark> = axis
            .ticks
            .iter()
            .flat_map(|tick| {
                // Not across the labels.
                rows.iter().map(move |row| (tick, *row))
            })
            .map(|(tick, row)| Mark::Path {
                points: vec![(x(tick.value), row - 1.0), (x(tick.value), row + BAR + 2.0)],
                ink: Ink::Grid,
                width: 1.0,
                dash: super::scene::Dash::NONE,
            })
            .collect();
        scene.marks.extend(grid);
        for (bar, row) in self.bars.iter().zip(rows) {
            let (from, to) = (x(bar.value.min(0.0)), x(bar.value.max(0.0)));
            scene.marks.push(Mark::Rectangle {
                from: (from, row),
                size: (to - from, BAR),
                ink: Ink::Line(bar.kind),
                told: bar.told.clone(),
            });
            let mut end = to;
            if let Some((low, high)) = bar.spread {
                let (low, high, middle) = (x(low), x(high), row + BAR / 2.0);
                scene.line((low, middle), (high, middle), Ink::Text, 1.4);
                for at in [low, high] {
                    scene.line((at, middle - 4.0), (at, middle + 4.0), Ink::Text, 1.4);
                }
                end = end.max(high);
            }
            let at = (end + GAP, row + BAR - 3.0);
            scene.text(at, Anchor::Start, Ink::Text, short(bar.value));
        }
        let mut limit = f64::NEG_INFINITY;
        for tick in &axis.ticks {
            let half = text_width(&tick.label) / 2.0;
            let middle = x(tick.value).clamp(half, WIDTH - half);
            if middle - half >= limit + GAP {
                let at = (middle, bottom + TEXT_LINE * 0.75);
                scene.text(at, Anchor::Middle, Ink::Muted, tick.label.clone());
                limit = middle + half;
            }
        }
        let at = (right / 2.0, bottom + TEXT_LINE * 1.75 + 2.0);
        scene.text(at, Anchor::Middle, Ink::Muted, self.unit.clone());
        scene.size.1 = bottom + 2.0 * TEXT_LINE + GAP;
        scene
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_begin_at_zero_and_are_as_long_as_their_figures() {
        let bar = |value: f64| Bar {
            label: format!("{value}"),
            value,
            spread: Some((0.5 * value, 1.25 * value)),
            kind: 0,
            told: String::new(),
        };
        let plot = BarPlot {
            unit: "things/s".to_owned(),
            bars: [4.0, 8.0, 0.0].map(bar).into(),
            description: String::new(),
        };
        let scene = plot.draw();
        let lengths: Vec<(f64, f64)> = scene
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Rectangle { from, size, .. } => Some((from.0, size.0)),
                _ => None,
            })
            .collect();
        assert!(lengths.iter().all(|(from, _)| *from == lengths[0].0));
        assert!((lengths[1].1 / lengths[0].1 - 2.0).abs() < 1e-9);
        assert_eq!(lengths[2].1, 0.0);
        for mark in &scene.marks {
            if let Mark::Text { at, text, .. } = mark {
                assert!(
                    at.0 >= 0.0 && at.0 <= WIDTH && at.1 <= scene.size.1,
                    "{text}"
                );
            }
        }
    }
}
