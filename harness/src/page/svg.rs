//! A plot as a part of the page. Its colours are the style sheet's, which has others for the dark.

use super::markup::Markup;
use super::scene::{Anchor, Ink, Mark, Place, Scene, Shape};

/// Draws it, with its title and description for those who do not see it, in the page's font.
pub(super) fn draw(scene: &Scene, id: &str, title: &str, markup: &mut Markup) {
    let (width, height) = scene.size;
    let (title_id, description_id) = (format!("{id}-title"), format!("{id}-description"));
    markup
        .open(
            "svg",
            &[
                ("class", "plot"),
                (
                    "viewBox",
                    &format!("0 0 {} {}", number(width), number(height)),
                ),
                ("role", "img"),
                ("aria-labelledby", &format!("{title_id} {description_id}")),
                ("xmlns", "http://www.w3.org/2000/svg"),
            ],
        )
        .leaf("title", &[("id", &title_id)], title)
        .leaf("desc", &[("id", &description_id)], &scene.description);
    for mark in &scene.marks {
        one(mark, markup);
    }
    markup.close();
}

fn one(mark: &Mark, markup: &mut Markup) {
    match mark {
        Mark::Path {
            points,
            ink,
            width,
            dash,
        } => {
            let dashes: Vec<String> = dash.0.iter().map(u32::to_string).collect();
            let (class, points, width) = (stroke(*ink), places(points), number(*width));
            let dashes = dashes.join(" ");
            let mut attributes = vec![
                ("class", class.as_str()),
                ("points", &points),
                ("stroke-width", &width),
            ];
            if !dashes.is_empty() {
                attributes.push(("stroke-dasharray", &dashes));
            }
            markup.empty("polyline", &attributes);
        }
        Mark::Area { points, ink } => {
            let class = format!("{} band", fill(*ink));
            markup.empty("polygon", &[("class", &class), ("points", &places(points))]);
        }
        Mark::Rectangle {
            from,
            size,
            ink,
            told,
        } => {
            let class = fill(*ink);
            let attributes = [
                ("class", class.as_str()),
                ("x", &number(from.0)),
                ("y", &number(from.1)),
                ("width", &number(size.0)),
                ("height", &number(size.1)),
            ];
            with_told(markup, "rect", &attributes, told);
        }
        Mark::Point {
            at,
            shape,
            ink,
            told,
        } => {
            let class = format!("{} point", fill(*ink));
            match shape.corners(*at) {
                Some(corners) => {
                    let attributes = [("class", class.as_str()), ("points", &places(&corners))];
                    with_told(markup, "polygon", &attributes, told);
                }
                None => {
                    let attributes = [
                        ("class", class.as_str()),
                        ("cx", &number(at.0)),
                        ("cy", &number(at.1)),
                        ("r", &number(Shape::RADIUS)),
                    ];
                    with_told(markup, "circle", &attributes, told);
                }
            }
        }
        Mark::Text {
            at,
            anchor,
            ink,
            text,
        } => {
            let class = fill(*ink);
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let attributes = [
                ("class", class.as_str()),
                ("x", &number(at.0)),
                ("y", &number(at.1)),
                ("text-anchor", anchor),
            ];
            markup.leaf("text", &attributes, text);
        }
    }
}

fn with_told(
    markup: &mut Markup,
    tag: &'static str,
    attributes: &[(&'static str, &str)],
    told: &str,
) {
    if told.is_empty() {
        markup.empty(tag, attributes);
    } else {
        markup
            .open(tag, attributes)
            .leaf("title", &[], told)
            .close();
    }
}

fn stroke(ink: Ink) -> String {
    match ink {
        Ink::Text => "s-text".to_owned(),
        Ink::Muted => "s-muted".to_owned(),
        Ink::Grid => "s-grid".to_owned(),
        Ink::Line(number) => format!("s{number}"),
    }
}

fn fill(ink: Ink) -> String {
    match ink {
        Ink::Text => "f-text".to_owned(),
        Ink::Muted => "f-muted".to_owned(),
        Ink::Grid => "f-grid".to_owned(),
        Ink::Line(number) => format!("f{number}"),
    }
}

fn places(points: &[Place]) -> String {
    let texts: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{},{}", number(*x), number(*y)))
        .collect();
    texts.join(" ")
}

/// To a tenth of a pixel.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::scene::{Dash, LINES};

    #[test]
    fn a_plot_is_told_to_those_who_do_not_see_it() {
        let mut scene = Scene {
            size: (100.0, 50.25),
            marks: vec![Mark::Point {
                at: (1.0, 2.55),
                shape: Shape::Circle,
                ink: Ink::Line(0),
                told: "1 <thing>/s".to_owned(),
            }],
            description: "One & only".to_owned(),
        };
        scene.text((1.0, 2.0), Anchor::End, Ink::Muted, "<script>");
        let mut markup = Markup::default();
        draw(&scene, "x", "A plot", &mut markup);
        let text = markup.finish();
        let parsed = roxmltree::Document::parse(&text).unwrap();
        let svg = parsed.root_element();
        let by_id = |id: &str| {
            parsed
                .descendants()
                .find(|node| node.attribute("id") == Some(id))
                .unwrap()
                .text()
        };
        let labels: Vec<_> = svg
            .attribute("aria-labelledby")
            .unwrap()
            .split(' ')
            .map(by_id)
            .collect();
        assert_eq!(labels, [Some("A plot"), Some("One & only")]);
        assert_eq!(svg.attribute("viewBox"), Some("0 0 100 50.2"));
        let circle = svg
            .children()
            .find(|node| node.has_tag_name((svg.tag_name().namespace().unwrap(), "circle")))
            .unwrap();
        assert_eq!(circle.first_child().unwrap().text(), Some("1 <thing>/s"));
        assert!(!text.contains("<script"), "{text}");
    }

    #[test]
    fn every_ink_has_its_colours() {
        let style = include_str!("style.css");
        let mut inks = vec![Ink::Text, Ink::Muted, Ink::Grid];
        inks.extend((0..LINES).map(Ink::Line));
        for ink in inks {
            for class in [stroke(ink), fill(ink)] {
                assert!(style.contains(&format!(".{class} {{")), "{class}");
            }
        }
        let _ = Dash::NONE;
    }
}
