//! The header fields that tell how a message is framed, and whether the connection stays: RFC 9112, sections 6 and 9.

use ::http::{HeaderName, StatusCode, header};

use super::Refusal;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// Of a response alone: up to the end of the connection.
    UntilClose,
}

/// What the fields of a message say of these things.
#[derive(Debug, Default)]
pub(super) struct Fields {
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
    encodings: usize,
    is_gzip: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    accepts: Accepts,
}

/// What Accept-Encoding has said of gzip, and of all that it does not name.
#[derive(Debug, Default)]
struct Accepts {
    gzip: Option<bool>,
    others: Option<bool>,
}

impl Fields {
    /// Takes one field of a request into account. Most are recognized as none of these by the length of their names.
    pub(super) fn add(&mut self, name: &str, value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => self.add_host(value),
            6 if name.eq_ignore_ascii_case("expect") => self.add_expect(value),
            10 if name.eq_ignore_ascii_case("connection") => {
                self.add_connection(value);
                Ok(())
            }
            14 if name.eq_ignore_ascii_case("content-length") => self.add_length(value),
            15 if name.eq_ignore_ascii_case("accept-encoding") => {
                self.accepts.add(value);
                Ok(())
            }
            16 if name.eq_ignore_ascii_case("content-encoding") => {
                self.encodings += 1;
                self.is_gzip =
                    value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip");
                Ok(())
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => self.add_coding(value),
            _ => Ok(()),
        }
    }

    /// Takes one field of a response into account.
    pub(super) fn add_of_response(&mut self, name: &str, value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            // What would be Host, Expect or Accept-Encoding says nothing in a response.
            4 | 6 | 15 => Ok(()),
            _ => self.add(name, value),
        }
    }

    fn add_host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.hosts += 1;
        if self.hosts > 1 || !super::target::is_host(value) {
            return Err(Refusal::bad("there must be one Host, of a host and a port"));
        }
        Ok(())
    }

    fn add_expect(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::with(
                StatusCode::EXPECTATION_FAILED,
                "only 100-continue can be expected",
            ));
        }
        self.expects_continue = true;
        Ok(())
    }

    fn add_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn add_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let length = digits(value).ok_or(Refusal::bad("Content-Length must be digits"))?;
        if self.length.replace(length).is_some() {
            return Err(Refusal::bad("Content-Length is given twice"));
        }
        Ok(())
    }

    fn add_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::bad("Transfer-Encoding must be chunked, once"));
        }
        self.chunked = true;
        Ok(())
    }

    /// What they say together, in a request of that minor version.
    pub(super) fn framing(&self, minor: u8) -> Result<Framing, Refusal> {
        if minor == 1 && self.hosts == 0 {
            return Err(Refusal::bad("there must be a Host"));
        }
        Ok(self.said(minor)?.unwrap_or(Framing::Length(0)))
    }

    /// What they say together, in a response that may have a body.
    pub(super) fn framing_of_response(&self, minor: u8) -> Result<Framing, Refusal> {
        Ok(self.said(minor)?.unwrap_or(Framing::UntilClose))
    }

    #[inline]
    fn said(&self, minor: u8) -> Result<Option<Framing>, Refusal> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::bad(
                "there are both Content-Length and Transfer-Encoding",
            )),
            (true, None) if minor == 0 => Err(Refusal::bad("HTTP/1.0 has no Transfer-Encoding")),
            (true, None) => Ok(Some(Framing::Chunked)),
            (false, length) => Ok(length.map(Framing::Length)),
        }
    }

    /// Whether they tell nothing else of a body than that it comes in chunks, if that.
    pub(super) fn is_plain(&self) -> bool {
        self.length.is_none() && self.encodings == 0 && !self.expects_continue
    }

    /// Whether the body is packed by gzip, and by nothing else: other codings are for who handles them.
    pub(super) fn is_gzip(&self) -> bool {
        self.is_gzip && self.encodings == 1
    }

    pub(super) fn accepts_gzip(&self) -> bool {
        self.accepts.gzip()
    }

    /// Whether the connection is to stay.
    pub(super) fn keeps_alive(&self, minor: u8) -> bool {
        !self.close && (minor == 1 || self.keep_alive)
    }
}

/// What is no trailer, and neither sent nor taken as one. RFC 9110, section 6.5.1: whoever read it behind the body would be told of another message than was taken.
pub(super) static NO_TRAILERS: [HeaderName; 10] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::HOST,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::TRAILER,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::COOKIE,
];

/// Whether nothing is ever behind the head of such a response: RFC 9112, section 6.3.
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// A number of digits, and nothing else.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

impl Accepts {
    /// One of the field's lines: together they are one list (RFC 9110, section 5.3), in which the first to name something counts.
    fn add(&mut self, value: &[u8]) {
        for coding in value.split(|byte| *byte == b',') {
            let mut parts = coding.split(|byte| *byte == b';');
            let name = parts.next().unwrap_or_default().trim_ascii();
            let refused = parts.any(|parameter| {
                let parameter = parameter.trim_ascii();
                let weight = parameter
                    .strip_prefix(b"q=")
                    .or_else(|| parameter.strip_prefix(b"Q="));
                weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
            });
            if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
                self.gzip.get_or_insert(!refused);
            } else if name == b"*" {
                self.others.get_or_insert(!refused);
            }
        }
    }

    /// RFC 9110, section 12.5.3: the weight of `gzip`, else of `*`, is not zero.
    fn gzip(&self) -> bool {
        self.gzip.or(self.others).unwrap_or(false)
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits() {
        for (text, number) in [
            ("0", 0),
            ("17", 17),
            ("007", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(digits(text.as_bytes()), Some(number));
        }
        for text in [
            "",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1,1",
            "0x1",
            "18446744073709551616",
            "1_0",
        ] {
            assert_eq!(digits(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn gzip_is_accepted_if_its_weight_is_not_zero() {
        for (value, accepted) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("*, gzip;q=0", false),
            ("*;q=0, gzip", true),
            ("identity", false),
            ("", false),
            ("gzipped", false),
        ] {
            for lines in [vec![value], value.split(',').collect()] {
                let mut accepts = Accepts::default();
                for line in &lines {
                    accepts.add(line.as_bytes());
                }
                assert_eq!(accepts.gzip(), accepted, "{lines:?}");
            }
        }
    }
}
