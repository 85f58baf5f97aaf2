//! A plot as marks at places: what the page and the files of plots have in common. Each painter has its own colours for the inks.

/// Right and down from the upper left corner, in units that are a pixel where the plot is not scaled.
pub(super) type Place = (f64, f64);

/// What a mark is, and so its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    /// What is there to be read second.
    Muted,
    Grid,
    /// One of several lines, or of bars, by number.
    Line(usize),
}

/// As many lines as can be told apart, by everyone, in one plot.
pub(super) const LINES: usize = 6;

/// Of a line: no line is known by its colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dash(pub(super) &'static [u32]);

impl Dash {
    pub(super) const NONE: Self = Self(&[]);
    /// Of what is no measurement.
    pub(super) const REFERENCE: Self = Self(&[2, 4]);

    pub(super) fn of_line(number: usize) -> Self {
        const DASHES: [&[u32]; LINES] = [&[], &[7, 3], &[2, 2], &[10, 3, 2, 3], &[5, 5], &[12, 4]];
        Self(DASHES[number % LINES])
    }
}

/// How a point looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Bar,
}

impl Shape {
    pub(super) fn of_line(number: usize) -> Self {
        const SHAPES: [Shape; LINES] = [
            Shape::Circle,
            Shape::Square,
            Shape::Triangle,
            Shape::Diamond,
            Shape::TriangleDown,
            Shape::Bar,
        ];
        SHAPES[number % LINES]
    }

    /// Around a place; none for a circle, which has no corners.
    pub(super) fn corners(self, (x, y): Place) -> Option<Vec<Place>> {
        const R: f64 = 4.5;
        let around: &[Place] = match self {
            Self::Circle => return None,
            Self::Square => &[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
            Self::Triangle => &[(0.0, -1.1), (1.1, 0.85), (-1.1, 0.85)],
            Self::Diamond => &[(0.0, -1.25), (1.0, 0.0), (0.0, 1.25), (-1.0, 0.0)],
            Self::TriangleDown => &[(0.0, 1.1), (1.1, -0.85), (-1.1, -0.85)],
            Self::Bar => &[(-1.2, -0.5), (1.2, -0.5), (1.2, 0.5), (-1.2, 0.5)],
        };
        Some(
            around
                .iter()
                .map(|(dx, dy)| (x + dx * R, y + dy * R))
                .collect(),
        )
    }

    pub(super) const RADIUS: f64 = 4.0;
}

/// Which end of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    Path {
        points: Vec<Place>,
        ink: Ink,
        width: f64,
        dash: Dash,
    },
    /// Filled, so faintly that what is below is seen.
    Area { points: Vec<Place>, ink: Ink },
    Rectangle {
        from: Place,
        size: Place,
        ink: Ink,
        /// What a pointer that rests on it is told.
        told: String,
    },
    Point {
        at: Place,
        shape: Shape,
        ink: Ink,
        told: String,
    },
    /// Its place is on its base line.
    Text {
        at: Place,
        anchor: Anchor,
        ink: Ink,
        text: String,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) size: Place,
    pub(super) marks: Vec<Mark>,
    /// What is seen, for those who do not see it.
    pub(super) description: String,
}

/// Of all texts.
pub(super) const TEXT_SIZE: f64 = 13.0;
/// From one line of text to the next.
pub(super) const TEXT_LINE: f64 = 17.0;

/// How wide a text may become: the page's font is not known, so this is of a wide one.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * TEXT_SIZE * 0.62
}

/// The text in lines of this width at most. Words that are wider are cut.
pub(super) fn wrapped(text: &str, width: f64) -> Vec<String> {
    // As many as fit, also where the division is a little short of a whole number.
    let longest = ((width / text_width("x") + 1e-6) as usize).max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: &str = word;
        while !word.is_empty() {
            let line = lines.last_mut().expect("there is one from the start");
            let used = line.chars().count();
            let space = usize::from(used > 0);
            let length = word.chars().count();
            if used + space + length <= longest {
                if space == 1 {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            let cut = word
                .char_indices()
                .nth(longest)
                .map_or(word.len(), |(at, _)| at);
            line.push_str(&word[..cut]);
            word = &word[cut..];
            lines.push(String::new());
        }
    }
    if lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

impl Scene {
    pub(super) fn text(&mut self, at: Place, anchor: Anchor, ink: Ink, text: impl Into<String>) {
        self.marks.push(Mark::Text {
            at,
            anchor,
            ink,
            text: text.into(),
        });
    }

    pub(super) fn line(&mut self, from: Place, to: Place, ink: Ink, width: f64) {
        self.marks.push(Mark::Path {
            points: vec![from, to],
            ink,
            width,
            dash: Dash::NONE,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_wrapped_at_its_spaces_and_cut_where_it_has_none() {
        let ten = text_width("0123456789");
        assert_eq!(
            wrapped("one two three four", ten),
            ["one two", "three four"]
        );
        assert_eq!(wrapped("0123456789abc d", ten), ["0123456789", "abc d"]);
        assert_eq!(wrapped("ääääääääääää", ten), ["ääääääääää", "ää"]);
        assert_eq!(wrapped("0123456789", ten), ["0123456789"]);
        assert_eq!(wrapped("", ten), [""]);
        assert_eq!(wrapped("ab", 0.0), ["a", "b"]);
    }

    #[test]
    fn no_two_lines_look_alike() {
        let looks: Vec<_> = (0..LINES)
            .map(|number| (Dash::of_line(number), Shape::of_line(number)))
            .collect();
        for (index, (dash, shape)) in looks.iter().enumerate() {
            for (other_dash, other_shape) in &looks[..index] {
                assert!(dash != other_dash && shape != other_shape);
            }
        }
    }
}
