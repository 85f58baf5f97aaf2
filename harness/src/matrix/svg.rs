//! Heat maps as a picture: one below the other, for browsers and documents.

use std::fmt::Write;

use super::heat::{Grid, Scale, colour, is_bright};
use super::table::Table;
use super::text::recommendation;
use crate::format::{count, figure};
use crate::report::describe;

/// In pixels, as all that follows.
const MARGIN: usize = 24;
const CELL_WIDTH: usize = 84;
const CELL_HEIGHT: usize = 44;
/// Of the labels at the left: as wide as the longest, at some 7 pixels a character.
const LABELS: usize = 300;
const LINE: usize = 18;
/// Between two maps.
const SPACE: usize = 36;
/// As many characters as a line of the recommendation has room for.
const CHARACTERS: usize = 105;
/// Room for such a line.
const LEAST_WIDTH: usize = 800;
const STEPS: usize = 40;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}\
.title{font-size:16px;font-weight:600}.note{fill:#555}.middle{text-anchor:middle}.end{text-anchor:end}\
.figure{font-size:14px;font-weight:600;text-anchor:middle}.small{font-size:10px;text-anchor:middle}";

/// The whole file.
pub(crate) fn draw(tables: &[Table]) -> String {
    let mut parts = String::new();
    let mut top = MARGIN;
    let mut width = LEAST_WIDTH;
    for table in tables {
        let map = Map::new(table);
        width = width.max(map.width());
        top = map.draw(top, &mut parts) + SPACE;
    }
    let height = top - SPACE + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>Heat map of run queues, event queues, semaphores and reactors</title>\n\
         <style>{STYLE}</style>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{parts}</svg>\n"
    )
}

struct Map<'a> {
    table: &'a Table,
    grid: Grid<'a>,
}

impl<'a> Map<'a> {
    fn new(table: &'a Table) -> Self {
        Self {
            table,
            grid: Grid::of(table),
        }
    }

    fn width(&self) -> usize {
        2 * MARGIN + LABELS + self.grid.columns.len() * CELL_WIDTH
    }

    /// From this height on; tells where it ends.
    fn draw(&self, top: usize, svg: &mut String) -> usize {
        let table = self.table;
        let mut y = top + LINE;
        text(svg, "title", MARGIN, y, &table.benchmark);
        y += LINE + 4;
        let rounds = count(table.rounds() as u64, "round");
        let about = format!(
            "{}; {rounds} in turn; ratios of {} to the default",
            describe(table.params()),
            table.unit()
        );
        for line in wrapped(&about) {
            text(svg, "note", MARGIN, y, &line);
            y += LINE;
        }
        y = match Scale::of(table) {
            Some(scale) => {
                let y = self.header(y + 6, svg);
                let y = self.cells(&scale, y, svg);
                legend(&scale, y + 14, svg)
            }
            None => {
                let why = "no heat map: figures that are not above zero have no ratio";
                text(svg, "", MARGIN, y + LINE, why);
                y + LINE
            }
        };
        y += LINE;
        for line in wrapped(&format!("Recommended: {}.", recommendation(table))) {
            text(svg, "", MARGIN, y, &line);
            y += LINE;
        }
        y
    }

    fn left(column: usize) -> usize {
        MARGIN + LABELS + column * CELL_WIDTH
    }

    /// The names of the columns; tells where the first row of cells is.
    fn header(&self, top: usize, svg: &mut String) -> usize {
        let columns = &self.grid.columns;
        let mut y = top + LINE;
        text(svg, "note end", Self::left(0) - 12, y, "run queue");
        let mut column = 0;
        while column < columns.len() {
            let run_queue = columns[column].0;
            let same = columns[column..]
                .iter()
                .take_while(|(name, _)| *name == run_queue)
                .count();
            let middle = Self::left(column) + same * CELL_WIDTH / 2;
            text(svg, "middle", middle, y, run_queue);
            column += same;
        }
        if self.table.has_reactors() {
            y += LINE;
            text(svg, "note end", Self::left(0) - 12, y, "reactor");
            for (column, (_, reactor)) in columns.iter().enumerate() {
                let middle = Self::left(column) + CELL_WIDTH / 2;
                text(svg, "middle", middle, y, reactor.unwrap_or("-"));
            }
        }
        text(svg, "note", MARGIN, y, "event queue, semaphore");
        y + 8
    }

    /// Tells where they end.
    fn cells(&self, scale: &Scale, top: usize, svg: &mut String) -> usize {
        // Above the cells, so that no neighbour covers its frame.
        let mut frame = String::new();
        for (row, (event_queue, semaphore)) in self.grid.rows.iter().enumerate() {
            let y = top + row * CELL_HEIGHT;
            let label = format!("{event_queue}, {semaphore}");
            text(
                svg,
                "end",
                Self::left(0) - 12,
                y + CELL_HEIGHT / 2 + 5,
                &label,
            );
            for (column, cell) in self.grid.cells[row].iter().enumerate() {
                let Some(index) = *cell else { continue };
                let place = (Self::left(column), y);
                self.cell(scale, index, place, svg);
                if self.table.choice.recommended() == Some(index) {
                    let (x, y) = place;
                    rectangle(
                        &mut frame,
                        [x, y, CELL_WIDTH, CELL_HEIGHT],
                        "fill=\"none\" stroke=\"#d4145a\" stroke-width=\"4\"",
                    );
                }
            }
        }
        svg.push_str(&frame);
        top + self.grid.rows.len() * CELL_HEIGHT
    }

    fn cell(&self, scale: &Scale, index: usize, (x, y): (usize, usize), svg: &mut String) {
        let row = &self.table.rows[index];
        let Some(ratio) = &row.ratio else { return };
        let ground = colour(scale.heat(ratio.ratio));
        let ink = if is_bright(ground) { "#000" } else { "#fff" };
        let _infallible = write!(
            svg,
            "<g><title>{}: {} {}, {:.3} ({:.3} to {:.3}) of the default</title>",
            escaped(&row.record.variant.to_string()),
            figure(row.record.median),
            escaped(self.table.unit()),
            ratio.ratio,
            ratio.interval.low,
            ratio.interval.high
        );
        rectangle(
            svg,
            [x, y, CELL_WIDTH, CELL_HEIGHT],
            &format!("fill=\"{}\" stroke=\"#fff\"", hexadecimal(ground)),
        );
        let middle = x + CELL_WIDTH / 2;
        let note = if row.changes == 0 {
            "default"
        } else if self.table.choice.recommended() == Some(index) {
            "recommended"
        } else if self.table.choice.may_be_best(index) == Some(true) {
            "may be best"
        } else {
            ""
        };
        let style = format!("style=\"fill:{ink}\"");
        let number = format!("{:.2}", ratio.ratio);
        let raised = if note.is_empty() { 5 } else { 0 };
        styled(
            svg,
            "figure",
            (middle, y + CELL_HEIGHT / 2 + raised),
            &style,
            &number,
        );
        if !note.is_empty() {
            styled(
                svg,
                "small",
                (middle, y + CELL_HEIGHT / 2 + 14),
                &style,
                note,
            );
        }
        svg.push_str("</g>\n");
    }
}

/// The scale, from the worst end to the best; tells where it ends.
fn legend(scale: &Scale, top: usize, svg: &mut String) -> usize {
    const STEP: usize = 6;
    const BAR: usize = 12;
    let left = MARGIN + LABELS;
    text(
        svg,
        "note end",
        left - 12,
        top + BAR - 1,
        "to the default, worst to best",
    );
    for step in 0..STEPS {
        let heat = (step as f64 + 0.5) / STEPS as f64;
        let fill = format!("fill=\"{}\"", hexadecimal(colour(heat)));
        rectangle(svg, [left + step * STEP, top, STEP, BAR], &fill);
    }
    let below = top + BAR + LINE - 4;
    for heat in [0.0, 0.5, 1.0] {
        let x = left + (heat * (STEPS * STEP) as f64) as usize;
        text(
            svg,
            "middle",
            x,
            below,
            &format!("{:.2}", scale.ratio(heat)),
        );
    }
    below + 8
}

fn hexadecimal([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// At left and top, of this width and height.
fn rectangle(svg: &mut String, [x, y, width, height]: [usize; 4], attributes: &str) {
    let _infallible = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {attributes}/>"
    );
}

fn text(svg: &mut String, class: &str, x: usize, y: usize, text: &str) {
    styled(svg, class, (x, y), "", text);
}

fn styled(svg: &mut String, class: &str, (x, y): (usize, usize), style: &str, text: &str) {
    let _infallible = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" {style}>{}</text>",
        escaped(text)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// SVG breaks no lines.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one");
        if !last.is_empty() && last.len() + 1 + word.len() > CHARACTERS {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{made_up, rounds};
    use super::*;

    #[test]
    fn each_combination_is_a_cell_and_the_recommended_one_has_a_frame() {
        let tables = [
            made_up("messages/s", &[], |_| rounds(1.0)),
            made_up("requests/s", &["epoll", "io_uring"], |variant| {
                let is_epoll = variant.reactor.as_deref() == Some("epoll");
                rounds(if is_epoll { 1.0 } else { 2.0 })
            }),
        ];
        let svg = draw(&tables);
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<g><title>").count(), 12 + 24);
        assert_eq!(svg.matches("</g>").count(), 12 + 24);
        assert_eq!(svg.matches("stroke=\"#d4145a\"").count(), 2);
        assert_eq!(svg.matches(">default</text>").count(), 2);
        assert_eq!(svg.matches(">may be best</text>").count(), 11 + 11);
        assert_eq!(svg.matches(">recommended</text>").count(), 0);
        let not_the_default = made_up("messages/s", &[], |variant| {
            rounds(if variant.semaphore == "kernel" {
                2.0
            } else {
                1.0
            })
        });
        let svg_of_it = draw(&[not_the_default]);
        assert_eq!(svg_of_it.matches(">recommended</text>").count(), 1);
        assert_eq!(svg_of_it.matches(">may be best</text>").count(), 5);
        assert_eq!(svg.matches(">0.50</text>").count(), 12 + 1, "and the scale");
        assert_eq!(svg.matches(">io_uring</text>").count(), 3);
        assert!(svg.contains("<title>locking run queue, locking event queue, kernel semaphore, epoll reactor: 1.40 requests/s, 0.500 (0.500 to 0.500) of the default</title>"));
        // The worse half is dark, the better one bright.
        assert_eq!(svg.matches("fill=\"#440154\" stroke").count(), 12);
        assert_eq!(svg.matches("fill=\"#fde725\" stroke").count(), 12 + 12);
    }

    #[test]
    fn everything_lies_within_the_picture() {
        let tables = [
            made_up("x/s", &["epoll", "io_uring"], |_| rounds(1.0)),
            made_up("x/s", &[], |_| vec![0.0]),
        ];
        let svg = draw(&tables);
        let numbers = |name: &str| -> Vec<usize> {
            svg.split(&format!(" {name}=\""))
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
                .collect()
        };
        let (width, height) = (numbers("width")[0], numbers("height")[0]);
        assert!(numbers("x").iter().all(|x| *x < width));
        assert!(numbers("y").iter().all(|y| *y <= height - MARGIN));
        assert!(svg.contains("no heat map"));
    }

    #[test]
    fn names_are_text_and_lines_are_broken() {
        assert_eq!(escaped("a<b & c>"), "a&lt;b &amp; c&gt;");
        let lines = wrapped(&"word ".repeat(50));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= CHARACTERS));
        assert_eq!(lines.join(" ").trim(), "word ".repeat(50).trim());
    }
}
