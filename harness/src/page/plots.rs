//! Plots as files, drawn by plotters: to be put into other documents, so each says by itself what it is of.
//!
//! The text of a PNG needs a font. It is in the program, so that the picture is the same on every machine, also on one that has no fonts, and nothing but
//! Rust is needed to build it.

use std::sync::Once;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle, register_font,
};

use super::figure::{Figure, Section};
use super::lines::WIDTH;
use super::markup::{Markup, shown};
use super::scene::{Anchor, Ink, LINES, Mark, Place, Scene, Shape, TEXT_LINE, TEXT_SIZE, wrapped};
use crate::cli::PlotFormat;

/// Around the plot.
const MARGIN: f64 = 16.0;
/// Pixels of a file for each of the plot: for screens that have many, and for print.
const SCALE: u32 = 2;
/// Each pixel of a picture is the mean of so many in each direction, as plotters' own edges are hard.
const FINER: u32 = 2;

const FAMILY: &str = "harness";

/// As on the page in the light.
const COLOURS: [RGBColor; LINES] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xc4, 0x4f, 0x00),
    RGBColor(0x00, 0x80, 0x5d),
    RGBColor(0xa8, 0x47, 0x8c),
    RGBColor(0x8a, 0x6a, 0x00),
    RGBColor(0x4b, 0x55, 0x60),
];

fn colour(ink: Ink) -> RGBColor {
    match ink {
        Ink::Text => RGBColor(0x1b, 0x1f, 0x24),
        Ink::Muted => RGBColor(0x57, 0x60, 0x6a),
        Ink::Grid => RGBColor(0xd8, 0xde, 0xe4),
        Ink::Line(number) => COLOURS[number % LINES],
    }
}

/// The file's contents.
pub(super) fn draw(section: &Section, figure: &Figure, format: PlotFormat) -> Vec<u8> {
    register();
    let head = texts(&[(Ink::Text, title(section, figure))]);
    let about = figure.facts.iter();
    let about = about.map(|(kind, text)| (Ink::Muted, format!("{kind}: {text}")));
    let notes = figure.notes.iter().map(|note| (Ink::Text, note.clone()));
    let foot = texts(&about.chain(notes).collect::<Vec<_>>());
    let sheet = Sheet {
        parts: [&head, &figure.scene, &foot],
    };
    match format {
        PlotFormat::Svg => sheet.svg(&title(section, figure), &figure.scene.description),
        PlotFormat::Png => sheet.png(),
    }
}

fn title(section: &Section, figure: &Figure) -> String {
    format!("{}: {}", section.title, figure.heading)
}

/// In a process once: plotters has one list of fonts.
fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        if register_font(FAMILY, FontStyle::Normal, font).is_err() {
            unreachable!("the font is part of the program, and one");
        }
    });
}

/// Lines of text, one below the other.
fn texts(texts: &[(Ink, String)]) -> Scene {
    let mut scene = Scene {
        size: (WIDTH, 0.0),
        marks: Vec::new(),
        description: String::new(),
    };
    let mut y = 0.0;
    for (ink, text) in texts {
        for line in wrapped(text, WIDTH) {
            scene.text((0.0, y + TEXT_LINE * 0.75), Anchor::Start, *ink, line);
            y += TEXT_LINE;
        }
    }
    scene.size.1 = y;
    scene
}

/// What is in a file, from the top to the bottom.
struct Sheet<'a> {
    parts: [&'a Scene; 3],
}

impl Sheet<'_> {
    /// In pixels, if each of the plot has so many.
    fn size(&self, scale: u32) -> (u32, u32) {
        let heights: f64 = self.parts.iter().map(|part| part.size.1 + MARGIN).sum();
        let scaled = |length: f64| (length * f64::from(scale)).ceil() as u32;
        (scaled(WIDTH + 2.0 * MARGIN), scaled(heights + MARGIN))
    }

    fn svg(&self, title: &str, description: &str) -> Vec<u8> {
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, self.size(SCALE)).into_drawing_area();
        self.paint(&area, SCALE)
            .expect("memory takes what is drawn");
        drop(area);
        // plotters writes no title, and who does not see the plot would have nothing of it.
        let mut told = Markup::default();
        told.leaf("title", &[], title)
            .leaf("desc", &[], description);
        let start = text.find("<svg").expect("it is SVG");
        let inside = start + text[start..].find('>').expect("the tag ends") + 1;
        text.insert_str(inside, &told.finish());
        text.into_bytes()
    }

    fn png(&self) -> Vec<u8> {
        let (width, height) = self.size(SCALE);
        let fine = (width * FINER, height * FINER);
        let mut fine_pixels = vec![0xff; (fine.0 * fine.1 * 3) as usize];
        {
            let backend = BitMapBackend::with_buffer(&mut fine_pixels, fine);
            let area = backend.into_drawing_area();
            self.paint(&area, SCALE * FINER)
                .expect("memory takes what is drawn");
        }
        let pixels = coarser(&fine_pixels, width as usize, height as usize);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder
            .write_header()
            .expect("memory takes what is written");
        writer
            .write_image_data(&pixels)
            .expect("as many bytes as the size has");
        writer.finish().expect("memory takes what is written");
        file
    }

    fn paint<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        area.fill(&RGBColor(0xff, 0xff, 0xff))?;
        let mut top = MARGIN;
        for part in self.parts {
            let brush = Brush {
                area,
                scale: f64::from(scale),
                top,
            };
            for mark in &part.marks {
                brush.mark(mark)?;
            }
            top += part.size.1 + MARGIN;
        }
        area.present()
    }
}

struct Brush<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    scale: f64,
    top: f64,
}

impl<B: DrawingBackend> Brush<'_, B> {
    fn at(&self, (x, y): Place) -> (i32, i32) {
        let pixel = |value: f64| (value * self.scale).round() as i32;
        (pixel(x + MARGIN), pixel(y + self.top))
    }

    fn places(&self, points: &[Place]) -> Vec<(i32, i32)> {
        points.iter().map(|point| self.at(*point)).collect()
    }

    fn mark(&self, mark: &Mark) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        match mark {
            Mark::Path {
                points,
                ink,
                width,
                dash,
            } => {
                let style = ShapeStyle {
                    color: colour(*ink).to_rgba(),
                    filled: false,
                    stroke_width: (width * self.scale).round() as u32,
                };
                for stroke in dashed(points, dash.0) {
                    self.area
                        .draw(&PathElement::new(self.places(&stroke), style))?;
                }
                Ok(())
            }
            Mark::Area { points, ink } => {
                let style = colour(*ink).mix(0.15).filled();
                self.area.draw(&Polygon::new(self.places(points), style))
            }
            Mark::Rectangle {
                from, size, ink, ..
            } => {
                let to = (from.0 + size.0, from.1 + size.1);
                let corners = [self.at(*from), self.at(to)];
                self.area
                    .draw(&Rectangle::new(corners, colour(*ink).filled()))
            }
            Mark::Point { at, shape, ink, .. } => {
                let style = colour(*ink).filled();
                match shape.corners(*at) {
                    Some(corners) => self.area.draw(&Polygon::new(self.places(&corners), style)),
                    None => {
                        let radius = (Shape::RADIUS * self.scale).round() as i32;
                        self.area.draw(&Circle::new(self.at(*at), radius, style))
                    }
                }
            }
            Mark::Text {
                at,
                anchor,
                ink,
                text,
            } => {
                let horizontal = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                // plotters' sizes are of the line, not of the letters.
                let size = TEXT_SIZE * 1.24 * self.scale;
                let font = FontDesc::new(FontFamily::Name(FAMILY), size, FontStyle::Normal);
                let ink = colour(*ink);
                let style = TextStyle::from(font)
                    .color(&ink)
                    .pos(Pos::new(horizontal, VPos::Center));
                // Above the base line, on which it is to stand.
                let place = self.at((at.0, at.1 - TEXT_SIZE * 0.35));
                let text: String = text.chars().map(shown).collect();
                self.area.draw(&Text::new(text, place, style))
            }
        }
    }
}

/// A line as the strokes of its dashes; plotters has none.
fn dashed(points: &[Place], dashes: &[u32]) -> Vec<Vec<Place>> {
    let (Some(first), false) = (points.first(), dashes.is_empty()) else {
        return vec![points.to_vec()];
    };
    let mut strokes = vec![vec![*first]];
    let mut number = 0;
    let mut left = f64::from(dashes[0]);
    for ends in points.windows(2) {
        let (mut from, to) = (ends[0], ends[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            let is_drawn = number % 2 == 0;
            let stroke = strokes.last_mut().expect("there is one from the start");
            if length < left {
                left -= length;
                if is_drawn {
                    stroke.push(to);
                }
                break;
            }
            let part = left / length;
            from = (
                from.0 + (to.0 - from.0) * part,
                from.1 + (to.1 - from.1) * part,
            );
            if is_drawn {
                stroke.push(from);
            } else {
                strokes.push(vec![from]);
            }
            number += 1;
            left = f64::from(dashes[number % dashes.len()]);
        }
    }
    strokes
}

/// Each pixel as the mean of those that it is made of.
fn coarser(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let finer = FINER as usize;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for colour in 0..3 {
                let mut sum = 0;
                for row in 0..finer {
                    for column in 0..finer {
                        let place = (y * finer + row) * width * finer + x * finer + column;
                        sum += u32::from(fine[place * 3 + colour]);
                    }
                }
                pixels.push((sum / (FINER * FINER)) as u8);
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{choices, example};

    fn drawn(benchmark: &str, format: PlotFormat) -> Vec<u8> {
        let mut records = [example::record(benchmark, 1), example::record(benchmark, 1)];
        records[1].variant.run_queue = "lock-free".to_owned();
        let source = example::source("one", records.into());
        let section = choices::section(&example::entries(&source));
        draw(&section, &section.figures[0], format)
    }

    #[test]
    fn a_picture_has_bars_text_and_paper() {
        let file = drawn("X", PlotFormat::Png);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let of = |colour: RGBColor| {
            let colour = [colour.0, colour.1, colour.2];
            pixels.chunks(3).filter(|pixel| *pixel == colour).count()
        };
        assert!(of(COLOURS[0]) > 1_000 && of(COLOURS[1]) > 1_000);
        assert!(of(RGBColor(0xff, 0xff, 0xff)) > pixels.len() / 6);
        // Of thin letters few pixels are wholly of their ink.
        assert!(of(colour(Ink::Text)) > 100, "{}", of(colour(Ink::Text)));
        assert_eq!(file, drawn("X", PlotFormat::Png));
    }

    #[test]
    fn a_drawing_is_well_formed_whatever_a_name_is() {
        let name = "<script>alert(1)</script>\u{1}&";
        let file = String::from_utf8(drawn(name, PlotFormat::Svg)).unwrap();
        let parsed = roxmltree::Document::parse(&file).unwrap();
        let tags = parsed.descendants().filter(roxmltree::Node::is_element);
        let tags: Vec<&str> = tags.map(|node| node.tag_name().name()).collect();
        assert!(!tags.contains(&"script"), "{file}");
        assert_eq!(tags[..3], ["svg", "title", "desc"]);
        let texts: String = parsed
            .descendants()
            .filter_map(|node| node.text())
            .collect();
        assert!(
            texts.contains("Throughput by choice: <script>alert(1)</script>\u{fffd}&"),
            "{texts}"
        );
        assert!(texts.contains("Some Processor, 2 cores"), "{texts}");
    }

    #[test]
    fn dashes_are_as_long_as_they_are_to_be_around_corners_too() {
        let line = [(0.0, 0.0), (5.0, 0.0), (5.0, 5.0)];
        let strokes = dashed(&line, &[3, 1]);
        assert_eq!(
            strokes,
            [
                vec![(0.0, 0.0), (3.0, 0.0)],
                vec![(4.0, 0.0), (5.0, 0.0), (5.0, 2.0)],
                vec![(5.0, 3.0), (5.0, 5.0)],
            ]
        );
        assert_eq!(dashed(&line, &[]), [line.to_vec()]);
        assert_eq!(dashed(&[], &[1, 1]), [Vec::new()]);
    }

    #[test]
    fn the_colours_are_those_of_the_page() {
        let style = include_str!("style.css");
        for (number, RGBColor(red, green, blue)) in COLOURS.into_iter().enumerate() {
            let colour = format!("--c{number}: #{red:02x}{green:02x}{blue:02x};");
            assert!(style.contains(&colour), "{colour}");
        }
    }
}
