//! What has come of a connection and was not taken, and how a head is found in it that comes in pieces.

use bytes::{Bytes, BytesMut};

use super::Refusal;
use super::fields::Fields;

pub(super) const LINE_END: Refusal = Refusal::bad("a line does not end with CR LF");
pub(super) const TOO_LARGE: Refusal = Refusal::with(
    ::http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the header fields are more than are taken",
);
/// Of the name of a field, as the `http` crate has it.
pub(super) const LONGEST_NAME: usize = (1 << 16) - 1;

/// What has come and was not taken.
#[derive(Default)]
pub(super) struct Input {
    pub(super) bytes: Bytes,
    /// The beginning of a head, while the rest is to come; then there are no other bytes.
    partial: BytesMut,
    /// How much of that has no end of a head in it.
    searched: usize,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.partial.is_empty()
    }

    /// Whether what has come, and was not taken, begins so.
    pub(super) fn starts_with(&self, text: &[u8]) -> bool {
        if self.partial.is_empty() {
            self.bytes.starts_with(text)
        } else {
            self.partial.starts_with(text)
        }
    }

    /// All of it.
    #[cfg(any(test, fuzzing))]
    pub(super) fn rest(&self) -> Vec<u8> {
        [self.partial.as_ref(), self.bytes.as_ref()].concat()
    }

    /// Adds what has come, behind what is there.
    pub(super) fn feed(&mut self, piece: Bytes) {
        if !self.partial.is_empty() {
            self.partial.extend_from_slice(&piece);
        } else if self.bytes.is_empty() {
            self.bytes = piece;
        } else {
            let mut both = BytesMut::with_capacity(self.bytes.len() + piece.len());
            both.extend_from_slice(&self.bytes);
            both.extend_from_slice(&piece);
            self.bytes = both.freeze();
        }
    }

    /// Whether it is worth the while to parse the bytes. Not while they are the beginning of a head that is known to have no end yet; or it is hopeless, and why.
    #[inline]
    pub(super) fn gather(
        &mut self,
        is_hopeless: impl FnOnce(&[u8]) -> Option<Refusal>,
    ) -> Result<bool, Refusal> {
        if self.partial.is_empty() {
            Ok(true)
        } else {
            self.gather_partial(is_hopeless)
        }
    }

    #[inline(never)]
    fn gather_partial(
        &mut self,
        is_hopeless: impl FnOnce(&[u8]) -> Option<Refusal>,
    ) -> Result<bool, Refusal> {
        // What begins with half of an empty line is no head yet.
        if self.partial[0] != b'\r' && !has_end(&self.partial, self.searched, is_hopeless)? {
            self.searched = self.partial.len();
            return Ok(false);
        }
        self.bytes = std::mem::take(&mut self.partial).freeze();
        Ok(true)
    }

    /// Keeps the beginning of a head until the rest comes, unless it is hopeless.
    pub(super) fn wait(
        &mut self,
        is_hopeless: impl FnOnce(&[u8]) -> Option<Refusal>,
    ) -> Result<(), Refusal> {
        has_end(&self.bytes, 0, is_hopeless)?;
        self.searched = self.bytes.len();
        self.partial = BytesMut::from(std::mem::take(&mut self.bytes));
        Ok(())
    }
}

/// Whether a head that was not complete is so now; or why it never will be. So many bytes of it have been searched before.
fn has_end(
    text: &[u8],
    searched: usize,
    is_hopeless: impl FnOnce(&[u8]) -> Option<Refusal>,
) -> Result<bool, Refusal> {
    let mut place = searched;
    while let Some(length) = text[place..].iter().position(|byte| *byte == b'\n') {
        place += length;
        if !text[..place].ends_with(b"\r") {
            // The end might never come: who ends its lines so ends its head so.
            return Err(LINE_END);
        }
        if text[..place].ends_with(b"\r\n\r") {
            return Ok(true);
        }
        place += 1;
    }
    is_hopeless(text).map_or(Ok(false), Err)
}

/// What `httparse` does not look at in the fields of a head of that length, each of which is then added. Where it is called, and not inlined, a request of three fields is 34 instructions more.
#[inline(always)]
pub(super) fn check_fields(
    head: &[u8],
    length: usize,
    parsed: &[httparse::Header<'_>],
    mut add: impl FnMut(&mut Fields, &str, &[u8]) -> Result<(), Refusal>,
) -> Result<Fields, Refusal> {
    let mut fields = Fields::default();
    for field in parsed {
        if field.name.len() > LONGEST_NAME {
            return Err(TOO_LARGE);
        }
        let mut end = offset(head, field.value) + field.value.len();
        while matches!(head.get(end), Some(b' ' | b'\t')) {
            end += 1;
        }
        if !ends_line(head, end) {
            return Err(LINE_END);
        }
        add(&mut fields, field.name, field.value)?;
    }
    if ends_line(head, length - 2) {
        Ok(fields)
    } else {
        Err(LINE_END)
    }
}

/// Where a part of the text is; beyond its end, if it is none.
pub(super) fn offset(text: &[u8], part: &[u8]) -> usize {
    let offset = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    offset.min(text.len())
}

pub(super) fn ends_line(text: &[u8], place: usize) -> bool {
    text.get(place..place + 2) == Some(b"\r\n")
}

/// What is wrong with the fields of a head, as `httparse` has it; `None` if it is the first line.
pub(super) fn refusal_of(error: httparse::Error) -> Option<Refusal> {
    Some(match error {
        httparse::Error::TooManyHeaders => TOO_LARGE,
        httparse::Error::HeaderName => Refusal::bad("the name of a header field is malformed"),
        httparse::Error::HeaderValue => Refusal::bad("the value of a header field is malformed"),
        httparse::Error::NewLine => LINE_END,
        httparse::Error::Version | httparse::Error::Token | httparse::Error::Status => return None,
    })
}
