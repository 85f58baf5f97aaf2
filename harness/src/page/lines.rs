//! A plot of lines: over workers, percentiles or revisions.

use super::axis::Axis;
use super::scene::{Anchor, Dash, Ink, Mark, Place, Scene, Shape, TEXT_LINE, text_width, wrapped};

/// Of a plot; narrow, so that its texts can be read where it is scaled to a telephone.
pub(super) const WIDTH: f64 = 400.0;
const PLOT_HEIGHT: f64 = 220.0;
/// Between texts, and between them and lines.
const GAP: f64 = 6.0;
/// What a line has in the legend.
const SAMPLE: f64 = 34.0;

#[derive(Debug)]
pub(super) struct LinePlot {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    /// What is no measurement, and its label.
    pub(super) reference: Option<(String, Vec<Place>)>,
    /// Points at the same place on the x axis are moved apart by so much, for the lines through them to be seen.
    pub(super) apart: f64,
    pub(super) description: String,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) path: Vec<Place>,
    pub(super) points: Vec<Point>,
    /// From where to where the runs lie: at a place on the x axis, the least and the greatest.
    pub(super) band: Vec<(f64, f64, f64)>,
}

/// A point on a line.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) at: Place,
    /// The least and the greatest of the runs.
    pub(super) spread: Option<(f64, f64)>,
    pub(super) told: String,
}

/// Where the plot itself is, without its texts.
struct Frame<'a> {
    plot: &'a LinePlot,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        self.left + self.plot.x.part(value) * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - self.plot.y.part(value) * (self.bottom - self.top)
    }

    fn at(&self, (x, y): Place, moved: f64) -> Place {
        (self.x(x) + moved, self.y(y))
    }
}

impl LinePlot {
    pub(super) fn draw(&self) -> Scene {
        let widest = self.y.ticks.iter().map(|tick| text_width(&tick.label));
        let left = widest.fold(0.0, f64::max) + GAP;
        let margin = self.apart * self.lines.len() as f64 / 2.0 + Shape::RADIUS + 2.0;
        let frame = Frame {
            plot: self,
            left: left + margin,
            right: WIDTH - margin - GAP,
            top: TEXT_LINE + 2.0 * GAP,
            bottom: TEXT_LINE + 2.0 * GAP + PLOT_HEIGHT,
        };
        let mut scene = Scene {
            size: (WIDTH, 0.0),
            marks: Vec::new(),
            description: self.description.clone(),
        };
        axes(&frame, left, &mut scene);
        if let Some((_, path)) = &self.reference {
            scene.marks.push(Mark::Path {
                points: path.iter().map(|place| frame.at(*place, 0.0)).collect(),
                ink: Ink::Muted,
                width: 1.2,
                dash: Dash::REFERENCE,
            });
        }
        for (number, line) in self.lines.iter().enumerate() {
            band(&frame, number, line, &mut scene);
        }
        for (number, line) in self.lines.iter().enumerate() {
            let place = number as f64 - (self.lines.len() as f64 - 1.0) / 2.0;
            draw_line(&frame, number, line, place * self.apart, &mut scene);
        }
        let bottom = frame.bottom + 2.0 * TEXT_LINE + 2.0 * GAP;
        scene.size.1 = self.legend(bottom, &mut scene);
        scene
    }

    /// Below the plot, as texts beside lines would lie upon each other. Returns where it ends.
    fn legend(&self, top: f64, scene: &mut Scene) -> f64 {
        let mut y = top;
        if self.lines.len() > 1 || self.reference.is_some() {
            for (number, line) in self.lines.iter().enumerate() {
                let (ink, middle) = (Ink::Line(number), y + TEXT_LINE / 2.0);
                scene.marks.push(Mark::Path {
                    points: vec![(0.0, middle), (SAMPLE - GAP, middle)],
                    ink,
                    width: 2.0,
                    dash: Dash::of_line(number),
                });
                scene.marks.push(Mark::Point {
                    at: ((SAMPLE - GAP) / 2.0, middle),
                    shape: Shape::of_line(number),
                    ink,
                    told: String::new(),
                });
                // A line that has no other beside it has no name of its own.
                let label = match line.label.as_str() {
                    "" => "measured",
                    label => label,
                };
                y = legend_text(label, y, scene);
            }
        }
        if let Some((label, _)) = &self.reference {
            let middle = y + TEXT_LINE / 2.0;
            scene.marks.push(Mark::Path {
                points: vec![(0.0, middle), (SAMPLE - GAP, middle)],
                ink: Ink::Muted,
                width: 1.2,
                dash: Dash::REFERENCE,
            });
            y = legend_text(label, y, scene);
        }
        y + GAP
    }
}

fn legend_text(label: &str, top: f64, scene: &mut Scene) -> f64 {
    let mut y = top;
    for text in wrapped(label, WIDTH - SAMPLE) {
        scene.text(
            (SAMPLE, y + TEXT_LINE * 0.75),
            Anchor::Start,
            Ink::Text,
            text,
        );
        y += TEXT_LINE;
    }
    y
}

fn axes(frame: &Frame<'_>, left: f64, scene: &mut Scene) {
    let Frame { plot, bottom, .. } = *frame;
    scene.text(
        (0.0, TEXT_LINE * 0.75),
        Anchor::Start,
        Ink::Muted,
        plot.y.title.clone(),
    );
    for tick in &plot.y.ticks {
        let y = frame.y(tick.value);
        scene.line((left, y), (WIDTH, y), Ink::Grid, 1.0);
        scene.text(
            (left - GAP, y + 4.5),
            Anchor::End,
            Ink::Muted,
            tick.label.clone(),
        );
    }
    scene.line((left, bottom), (WIDTH, bottom), Ink::Muted, 1.0);
    let labels = readable(plot.x.ticks.iter().map(|tick| {
        let half = text_width(&tick.label) / 2.0;
        // A label at the end is moved in, so that it is not cut.
        let middle = frame.x(tick.value).min(WIDTH - half);
        (middle, half)
    }));
    for (tick, (middle, readable)) in plot.x.ticks.iter().zip(labels) {
        let x = frame.x(tick.value);
        scene.line((x, bottom), (x, bottom + 4.0), Ink::Muted, 1.0);
        if readable {
            let at = (middle, bottom + TEXT_LINE);
            scene.text(at, Anchor::Middle, Ink::Muted, tick.label.clone());
        }
    }
    let at = ((left + WIDTH) / 2.0, bottom + 2.0 * TEXT_LINE + 2.0);
    scene.text(at, Anchor::Middle, Ink::Muted, plot.x.title.clone());
}

/// Of labels by their middles and half widths: which have room. The last one always has: it is what is asked first.
fn readable(labels: impl DoubleEndedIterator<Item = (f64, f64)>) -> Vec<(f64, bool)> {
    let mut limit = f64::INFINITY;
    let mut chosen: Vec<(f64, bool)> = labels
        .rev()
        .map(|(middle, half)| {
            let fits = middle + half + GAP <= limit;
            if fits {
                limit = middle - half;
            }
            (middle, fits)
        })
        .collect();
    chosen.reverse();
    chosen
}

fn band(frame: &Frame<'_>, number: usize, line: &Line, scene: &mut Scene) {
    if line.band.is_empty() {
        return;
    }
    let lower = line
        .band
        .iter()
        .map(|(x, low, _)| frame.at((*x, *low), 0.0));
    let upper = line.band.iter().rev();
    let upper = upper.map(|(x, _, high)| frame.at((*x, *high), 0.0));
    scene.marks.push(Mark::Area {
        points: lower.chain(upper).collect(),
        ink: Ink::Line(number),
    });
}

fn draw_line(frame: &Frame<'_>, number: usize, line: &Line, moved: f64, scene: &mut Scene) {
    let ink = Ink::Line(number);
    if line.path.len() > 1 {
        scene.marks.push(Mark::Path {
            points: thinned(line.path.iter().map(|place| frame.at(*place, moved))),
            ink,
            width: 2.0,
            dash: Dash::of_line(number),
        });
    }
    for point in &line.points {
        let at = frame.at(point.at, moved);
        if let Some((low, high)) = point.spread {
            let (low, high) = (frame.y(low), frame.y(high));
            scene.line((at.0, low), (at.0, high), ink, 1.4);
            for end in [low, high] {
                scene.line((at.0 - 3.0, end), (at.0 + 3.0, end), ink, 1.4);
            }
        }
        scene.marks.push(Mark::Point {
            at,
            shape: Shape::of_line(number),
            ink,
            told: point.told.clone(),
        });
    }
}

/// Without points that nobody could see beside those before and behind: of a histogram there are thousands. What lies within a third of a
/// pixel of the x axis is drawn from its first point to its last one, which for a line that never falls is all of it.
fn thinned(points: impl Iterator<Item = Place>) -> Vec<Place> {
    let mut kept: Vec<Place> = Vec::new();
    let mut column_begins = 0;
    for point in points {
        match kept.get(column_begins) {
            Some(first) if (point.0 - first.0).abs() < 0.34 => {
                kept.truncate(column_begins + 1);
                kept.push(point);
            }
            _ => {
                column_begins = kept.len();
                kept.push(point);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(labels: &[&str]) -> LinePlot {
        let line = |label: &&str| Line {
            label: (*label).to_owned(),
            path: vec![(1.0, 5.0), (2.0, 9.0)],
            points: vec![Point {
                at: (2.0, 9.0),
                spread: Some((8.0, 10.0)),
                told: "nine".to_owned(),
            }],
            band: vec![(1.0, 4.0, 6.0), (2.0, 8.0, 10.0)],
        };
        LinePlot {
            x: Axis::of_workers(&[1, 2]),
            y: Axis::from_zero(0.0, 10.0, "things/s"),
            lines: labels.iter().map(line).collect(),
            reference: None,
            apart: 6.0,
            description: String::new(),
        }
    }

    fn texts(scene: &Scene) -> Vec<(&str, f64, f64, f64)> {
        let text = |mark| match mark {
            &Mark::Text {
                at: (x, y),
                anchor,
                ref text,
                ..
            } => {
                let width = text_width(text);
                let left = match anchor {
                    Anchor::Start => x,
                    Anchor::Middle => x - width / 2.0,
                    Anchor::End => x - width,
                };
                Some((text.as_str(), left, left + width, y))
            }
            _ => None,
        };
        scene.marks.iter().filter_map(text).collect()
    }

    #[test]
    fn no_text_leaves_the_plot_or_lies_upon_another() {
        let long = "work-stealing run queue, lock-free event queue, last-in-first-out-fixed-size semaphore, revision 01234567";
        let revisions: Vec<String> = (0..40).map(|number| format!("{number:08x}")).collect();
        let percentiles = LinePlot {
            x: Axis::of_percentiles(1 << 40),
            y: Axis::of_durations(1, u64::MAX),
            ..plot(&["one", long])
        };
        let history = LinePlot {
            x: Axis::of_places(&revisions, "revision"),
            ..plot(&[long, "two", long, "four", "five", "six"])
        };
        for plot in [plot(&["one"]), plot(&["one", long]), percentiles, history] {
            let scene = plot.draw();
            let texts = texts(&scene);
            for (index, (text, left, right, y)) in texts.iter().enumerate() {
                assert!(
                    *left >= 0.0 && *right <= WIDTH + 0.01,
                    "{text}: {left} to {right}"
                );
                assert!(*y < scene.size.1, "{text}");
                for (other, other_left, other_right, other_y) in &texts[..index] {
                    let beside = right <= other_left || other_right <= left;
                    assert!(beside || (y - other_y).abs() >= 11.0, "{text} upon {other}");
                }
            }
        }
    }

    #[test]
    fn one_line_needs_no_legend_and_several_have_one() {
        let has = |labels: &[&str], text| {
            let scene = plot(labels).draw();
            texts(&scene).iter().any(|(found, ..)| *found == text)
        };
        assert!(!has(&["one"], "one"));
        assert!(has(&["one", "two"], "one") && has(&["one", "two"], "two"));
    }

    #[test]
    fn labels_that_have_no_room_are_left_out_but_never_the_last_one() {
        let labels = [(0.0, 10.0), (15.0, 10.0), (100.0, 10.0), (110.0, 10.0)];
        let shown: Vec<bool> = readable(labels.into_iter())
            .into_iter()
            .map(|(_, fits)| fits)
            .collect();
        assert_eq!(shown, [false, true, false, true]);
    }

    #[test]
    fn a_line_of_thousands_of_points_keeps_its_shape() {
        let points = (0..10_000).map(|step| (f64::from(step) / 100.0, f64::from(step / 5_000)));
        let kept = thinned(points);
        assert!(kept.len() < 700, "{}", kept.len());
        assert_eq!((kept[0], kept[kept.len() - 1]), ((0.0, 0.0), (99.99, 1.0)));
        // A step stays as steep as it was, within a column.
        let up = kept.iter().position(|(_, y)| *y == 1.0).unwrap();
        assert!(
            kept[up].0 - kept[up - 1].0 < 0.35,
            "{:?}",
            &kept[up - 1..=up]
        );
    }
}
