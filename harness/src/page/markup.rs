//! Writing HTML and SVG so that nothing from a file can become a part of them: text goes in escaped, and what is opened is closed.

/// HTML that is well-formed XML as well, so that a parser of either kind reads it.
#[derive(Debug, Default)]
pub(super) struct Markup {
    text: String,
    open: Vec<&'static str>,
}

/// Names and values.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Markup {
    pub(super) fn document() -> Self {
        Self {
            text: "<!DOCTYPE html>\n".to_owned(),
            open: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.tag(tag, attributes);
        self.text.push('>');
        self.open.push(tag);
        self
    }

    /// Closes what was opened last.
    ///
    /// # Panics
    ///
    /// If nothing is open.
    pub(super) fn close(&mut self) -> &mut Self {
        let tag = self.open.pop().expect("something is open");
        self.text.push_str("</");
        self.text.push_str(tag);
        self.text.push('>');
        if !is_inline(tag) {
            self.text.push('\n');
        }
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        escape(text, &mut self.text);
        self
    }

    /// An element with nothing but text in it.
    pub(super) fn leaf(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: &str,
    ) -> &mut Self {
        self.open(tag, attributes).text(text).close()
    }

    /// An element with nothing in it.
    pub(super) fn empty(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.tag(tag, attributes);
        self.text.push_str("/>");
        self
    }

    /// Text of ours in which nothing is to be escaped, as in a style sheet.
    pub(super) fn verbatim(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// # Panics
    ///
    /// If something is still open.
    pub(super) fn finish(self) -> String {
        assert!(self.open.is_empty(), "still open: {:?}", self.open);
        self.text
    }

    fn tag(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.text.push('<');
        self.text.push_str(tag);
        for (name, value) in attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
    }
}

/// A line break behind these would be seen as a space.
fn is_inline(tag: &str) -> bool {
    ["a", "code", "span", "strong", "pre", "summary"].contains(&tag)
}

fn escape(text: &str, output: &mut String) {
    for character in text.chars() {
        match character {
            '&' => output.push_str("&amp;"),
            '<' => output.push_str("&lt;"),
            '>' => output.push_str("&gt;"),
            '"' => output.push_str("&quot;"),
            '\'' => output.push_str("&#39;"),
            other => output.push(shown(other)),
        }
    }
}

/// What XML cannot have, and what would turn the text around it about, is shown as a replacement.
pub(super) fn shown(character: char) -> char {
    match character {
        '\n' | '\t' => character,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_a_file_is_text_and_nothing_else() {
        let hostile = "</p><script>alert('1')</script> \" onload=\"x & \u{0}\u{202e}";
        let mut markup = Markup::default();
        markup.leaf("p", &[("title", hostile)], hostile);
        let text = markup.finish();
        let parsed = roxmltree::Document::parse(&text).unwrap();
        let paragraph = parsed.root_element();
        let harmless = hostile.replace(['\u{0}', '\u{202e}'], "\u{fffd}");
        assert_eq!(paragraph.attributes().count(), 1);
        assert_eq!(paragraph.attribute("title"), Some(harmless.as_str()));
        assert_eq!(paragraph.text(), Some(harmless.as_str()));
        assert!(!paragraph.has_children() || paragraph.children().all(|child| child.is_text()));
    }

    #[test]
    fn what_is_opened_is_closed() {
        let mut markup = Markup::default();
        markup
            .open("div", &[])
            .empty("br", &[])
            .leaf("a", &[("href", "#x")], "to x")
            .close();
        assert_eq!(markup.finish(), "<div><br/><a href=\"#x\">to x</a></div>\n");
    }

    #[test]
    #[should_panic = "still open: [\"div\"]"]
    fn what_is_left_open_is_a_fault() {
        let mut markup = Markup::default();
        markup.open("div", &[]);
        let _ = markup.finish();
    }
}
