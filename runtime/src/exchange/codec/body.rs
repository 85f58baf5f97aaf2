//! Bodies of a known length, bodies in chunks, and those that the connection ends: RFC 9112, sections 6.2, 7.1 and 6.3.

use ::http::{HeaderMap, StatusCode};
use bytes::{Buf, Bytes, BytesMut};

use super::Refusal;
use super::fields::{Framing, NO_TRAILERS};
use super::head::{append, field_space};
use super::input::LONGEST_NAME;
use crate::exchange::{Body, Limits};

/// Bytes of the extensions of all chunks of a body. Nobody reads them.
const MOST_EXTENSION: usize = 4 << 10;

/// What a body of a known length is given room for before it has come.
const FIRST_ROOM: u64 = 64 << 10;

const TOO_LARGE: Refusal = Refusal::with(
    StatusCode::PAYLOAD_TOO_LARGE,
    "the body is larger than is taken",
);

const TRAILERS_TOO_LARGE: Refusal = Refusal::with(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the trailers are more than are taken",
);

/// Takes a body out of what comes, piece by piece.
pub(super) struct BodyDecoder {
    state: State,
    /// Bytes of the chunks that have been begun, or of what the connection ends.
    begun: u64,
    most: u64,
    most_trailers: usize,
    most_fields: usize,
    extension: usize,
}

/// What comes next of a body.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Bytes),
    /// Nothing, but these trailers.
    End(Option<HeaderMap>),
}

/// Takes a body out of what comes, and keeps it until it is whole.
pub(super) struct WholeBody {
    decoder: BodyDecoder,
    collected: Collected,
}

enum State {
    /// So many bytes are still to come, and nothing behind them.
    Length(u64),
    Size {
        digits: u8,
        size: u64,
    },
    Extension(Extension, u64),
    /// A line feed is to come, behind a size of that much.
    SizeEnd(u64),
    Chunk(u64),
    ChunkEnd {
        carriage_return: bool,
    },
    Trailers(BytesMut),
    /// Until the connection ends.
    Open,
    Ended,
}

/// Where in an extension the next byte is.
#[derive(Clone, Copy)]
enum Extension {
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    AfterQuoted,
}

/// A body mostly comes in one piece, and is not copied then.
#[derive(Default)]
struct Collected {
    one: Bytes,
    more: BytesMut,
}

impl Collected {
    fn push(&mut self, piece: Bytes, room: u64) {
        if self.one.is_empty() && self.more.is_empty() {
            self.one = piece;
            return;
        }
        if self.more.is_empty() {
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            self.more.reserve((self.one.len() + piece.len()).max(room));
            self.more.extend_from_slice(&std::mem::take(&mut self.one));
        }
        self.more.extend_from_slice(&piece);
    }

    fn take(&mut self) -> Bytes {
        if self.more.is_empty() {
            std::mem::take(&mut self.one)
        } else {
            self.more.split().freeze()
        }
    }
}

impl WholeBody {
    pub(super) fn new(framing: Framing, limits: &Limits) -> Result<Self, Refusal> {
        Ok(Self {
            decoder: BodyDecoder::new(framing, limits, limits.body_bytes)?,
            collected: Collected::default(),
        })
    }

    /// The body, once all of it has come; what is behind it is left.
    pub(super) fn decode(&mut self, input: &mut Bytes) -> Result<Option<Body>, Refusal> {
        loop {
            let room = self.decoder.left().min(FIRST_ROOM);
            match self.decoder.decode(input)? {
                None => return Ok(None),
                Some(Piece::Bytes(piece)) => self.collected.push(piece, room),
                Some(Piece::End(trailers)) => {
                    let body = Body::from(self.collected.take());
                    return Ok(Some(match trailers {
                        Some(trailers) => body.with_trailers(trailers),
                        None => body,
                    }));
                }
            }
        }
    }

    /// The connection has ended behind all that came: the body, if that is what ends it.
    pub(super) fn end(&mut self) -> Result<Body, Refusal> {
        self.decoder.end()?;
        Ok(Body::from(self.collected.take()))
    }
}

impl BodyDecoder {
    /// Of a body that has at most so many bytes.
    pub(super) fn new(framing: Framing, limits: &Limits, most: u64) -> Result<Self, Refusal> {
        let state = match framing {
            Framing::Length(length) if length > most => return Err(TOO_LARGE),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { digits: 0, size: 0 },
            Framing::UntilClose => State::Open,
        };
        Ok(Self {
            state,
            begun: 0,
            most,
            most_trailers: limits.head_bytes,
            most_fields: limits.fields,
            extension: 0,
        })
    }

    /// Bytes that are known to come.
    fn left(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Chunk(left) => left,
            _ => 0,
        }
    }

    /// What comes next, as far as it is in the input; what is behind the body is left.
    pub(super) fn decode(&mut self, input: &mut Bytes) -> Result<Option<Piece>, Refusal> {
        loop {
            match &mut self.state {
                State::Length(0) | State::Ended => {
                    self.state = State::Ended;
                    return Ok(Some(Piece::End(None)));
                }
                State::Length(left) | State::Chunk(left) if *left > 0 => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let length =
                        usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                    *left -= length as u64;
                    return Ok(Some(Piece::Bytes(input.split_to(length))));
                }
                State::Chunk(_) => {
                    self.state = State::ChunkEnd {
                        carriage_return: false,
                    };
                }
                State::Trailers(lines) => {
                    let Some(end) = take_trailers(lines, input, self.most_trailers)? else {
                        return Ok(None);
                    };
                    let lines = lines.split_to(end).freeze();
                    let trailers = parse_trailers(&lines, self.most_fields)?;
                    self.state = State::Ended;
                    return Ok(Some(Piece::End(Some(trailers))));
                }
                State::Open => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let length = input.len() as u64;
                    if length > self.most - self.begun {
                        return Err(TOO_LARGE);
                    }
                    self.begun += length;
                    return Ok(Some(Piece::Bytes(std::mem::take(input))));
                }
                _ => {
                    let Some(&byte) = input.first() else {
                        return Ok(None);
                    };
                    input.advance(1);
                    self.step(byte)?;
                }
            }
        }
    }

    /// The connection has ended behind all that came. The body has so, too, if nothing else tells its end.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        match self.state {
            State::Open | State::Length(0) | State::Ended => {
                self.state = State::Ended;
                Ok(())
            }
            _ => Err(Refusal::bad(
                "the connection has ended in the middle of a body",
            )),
        }
    }

    /// A byte that is neither of a chunk nor of the trailers.
    fn step(&mut self, byte: u8) -> Result<(), Refusal> {
        const BAD: Refusal = Refusal::bad("a chunk is malformed");
        let next = match self.state {
            State::Size { digits, size } => match (byte as char).to_digit(16) {
                Some(_) if digits == 16 => return Err(BAD),
                Some(digit) => State::Size {
                    digits: digits + 1,
                    size: size << 4 | u64::from(digit),
                },
                None if digits == 0 => return Err(BAD),
                None => match byte {
                    b'\r' => State::SizeEnd(size),
                    b';' => State::Extension(Extension::BeforeName, size),
                    b' ' | b'\t' => State::Extension(Extension::BeforeSemicolon, size),
                    _ => return Err(BAD),
                },
            },
            State::Extension(place, size) => {
                self.extension += 1;
                if self.extension > MOST_EXTENSION {
                    return Err(Refusal::bad("the extensions of the chunks are too long"));
                }
                match place.after(byte).ok_or(BAD)? {
                    Some(place) => State::Extension(place, size),
                    None => State::SizeEnd(size),
                }
            }
            State::SizeEnd(size) if byte == b'\n' => {
                if size > self.most - self.begun {
                    return Err(TOO_LARGE);
                }
                self.begun += size;
                match size {
                    0 => State::Trailers(BytesMut::new()),
                    size => State::Chunk(size),
                }
            }
            State::ChunkEnd { carriage_return } => match (carriage_return, byte) {
                (false, b'\r') => State::ChunkEnd {
                    carriage_return: true,
                },
                (true, b'\n') => State::Size { digits: 0, size: 0 },
                _ => return Err(BAD),
            },
            _ => return Err(BAD),
        };
        self.state = next;
        Ok(())
    }
}

impl Extension {
    /// Where the byte behind this one is; `None` in it: at the end of the line.
    fn after(self, byte: u8) -> Option<Option<Self>> {
        use Extension::*;
        let is_token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        let next = match (self, byte) {
            (BeforeSemicolon | BeforeName | AfterName | BeforeValue, b' ' | b'\t') => self,
            (BeforeSemicolon | Name | AfterName | Value | AfterQuoted, b';') => BeforeName,
            (BeforeName | Name, _) if is_token => Name,
            (Name | AfterName, b'=') => BeforeValue,
            (Name, b' ' | b'\t') => AfterName,
            (BeforeValue, b'"') => Quoted,
            (BeforeValue | Value, _) if is_token => Value,
            (Value | AfterQuoted, b' ' | b'\t') => BeforeSemicolon,
            (Quoted, b'"') => AfterQuoted,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, _) if is_text => Quoted,
            (Name | Value | AfterQuoted, b'\r') => return Some(None),
            _ => return None,
        };
        Some(Some(next))
    }
}

/// Adds to the lines what comes, until they have their end; gives where that is.
fn take_trailers(
    lines: &mut BytesMut,
    input: &mut Bytes,
    most: usize,
) -> Result<Option<usize>, Refusal> {
    let searched = lines.len().saturating_sub(3);
    let had = lines.len();
    // Beyond that it is refused, so no more is copied.
    lines.extend_from_slice(&input[..input.len().min(most + 4 - had.min(most))]);
    let end = if lines.starts_with(b"\r\n") {
        Some(2)
    } else {
        find_end(&lines[searched..]).map(|end| searched + end)
    };
    match end {
        Some(end) if end <= most => {
            input.advance(end - had);
            lines.truncate(end);
            Ok(Some(end))
        }
        None if lines.len() <= most => {
            input.clear();
            Ok(None)
        }
        _ => Err(TRAILERS_TOO_LARGE),
    }
}

/// Behind the first empty line.
fn find_end(text: &[u8]) -> Option<usize> {
    text.windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|start| start + 4)
}

fn parse_trailers(lines: &Bytes, most: usize) -> Result<HeaderMap, Refusal> {
    const BAD: Refusal = Refusal::bad("the trailers are malformed");
    let bare = lines
        .iter()
        .enumerate()
        .any(|(place, byte)| *byte == b'\n' && (place == 0 || lines[place - 1] != b'\r'));
    if bare {
        return Err(BAD);
    }
    let mut fields = field_space().map(|_| httparse::EMPTY_HEADER);
    let mut map = HeaderMap::new();
    match httparse::parse_headers(lines, &mut fields[..most]) {
        Ok(httparse::Status::Complete((_, fields))) => {
            if fields.iter().any(|field| field.name.len() > LONGEST_NAME) {
                return Err(TRAILERS_TOO_LARGE);
            }
            append(fields, lines, &mut map);
        }
        Err(httparse::Error::TooManyHeaders) => return Err(TRAILERS_TOO_LARGE),
        _ => return Err(BAD),
    }
    for name in &NO_TRAILERS {
        map.remove(name);
    }
    Ok(map)
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    fn decode(framing: Framing, text: &[u8], cut: usize) -> Result<Option<(Body, Bytes)>, Refusal> {
        let limits = Limits::new().body_bytes(1_000).head_bytes(256);
        let mut decoder = WholeBody::new(framing, &limits)?;
        let (first, second) = text.split_at(cut);
        let mut input = Bytes::copy_from_slice(first);
        if let Some(body) = decoder.decode(&mut input)? {
            let rest = [input.as_ref(), second].concat();
            return Ok(Some((body, rest.into())));
        }
        assert!(input.is_empty(), "all of an incomplete body is taken");
        let mut input = Bytes::copy_from_slice(second);
        Ok(decoder.decode(&mut input)?.map(|body| (body, input)))
    }

    fn chunked(text: &str) -> Result<Option<(Body, Bytes)>, Refusal> {
        let whole = decode(Framing::Chunked, text.as_bytes(), 0);
        for cut in 1..=text.len() {
            let cut = decode(Framing::Chunked, text.as_bytes(), cut);
            match (&whole, &cut) {
                (Ok(Some((body, rest))), Ok(Some((cut_body, cut_rest)))) => {
                    assert_eq!((body.bytes(), rest), (cut_body.bytes(), cut_rest));
                    assert_eq!(body.trailers(), cut_body.trailers());
                }
                (Ok(None), Ok(None)) => {}
                (Err(one), Err(other)) => assert_eq!(one, other),
                (one, other) => panic!("{text:?}: {one:?} and {other:?}"),
            }
        }
        whole
    }

    #[test]
    fn chunks_are_put_together() {
        for (text, expected) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n006\r\n world\r\n0\r\n\r\nGET", "hello world"),
            (
                "A;a;b=c; d=\"e;\\\"\" ;f\r\n0123456789\r\n0\r\n\r\n",
                "0123456789",
            ),
            ("1 ;a\r\nx\r\n0\r\n\r\n", "x"),
        ] {
            let (body, rest) = chunked(text).expect(text).expect(text);
            assert_eq!(body, expected);
            assert_eq!(rest.len(), if text.ends_with("GET") { 3 } else { 0 });
            assert!(body.trailers().is_none());
        }
    }

    #[test]
    fn trailers_come_behind_the_body() {
        let text = "1\r\nx\r\n0\r\nChecksum: abc\r\nContent-Length: 5\r\nHost: b\r\n\r\n";
        let (body, _) = chunked(text).expect("legal").expect("whole");
        let trailers = body.trailers().expect("trailers");
        assert_eq!(trailers["checksum"], "abc");
        assert_eq!(trailers.len(), 1, "what frames a message is no trailer");
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            " 1\r\n",
            "0x1\r\n",
            "1\n",
            "1\r\r\n",
            "1\rx",
            "1\r\nxy\r\n",
            "1\r\nx\n0\r\n\r\n",
            "00000000000000001\r\n",
            "ffffffffffffffff\r\n",
            "1 \r\n",
            "1;\r\n",
            "1;a=\r\n",
            "1;a=\"b\r\n",
            "1;=b\r\n",
            "1;a b\r\n",
            "1;a\n",
            "1;a=\"b\"c\r\n",
            "1;\0\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\nx\r\n\r\n",
            "0\r\nX: y\nZ: w\r\n\r\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX: \0\r\n\r\n",
            "0\r\n\n",
        ] {
            match chunked(text) {
                Err(_) => {}
                Ok(None) if text == "0\r\n\n" => {}
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn limits_hold() {
        let status = |text: &str| chunked(text).err().map(|refusal| refusal.status.as_u16());
        assert_eq!(status(&format!("3e9\r\n{}", "x".repeat(1_001))), Some(413));
        assert_eq!(status(&format!("1;{}", "a".repeat(5_000))), Some(400));
        assert_eq!(status(&format!("0\r\nx: {}", "a".repeat(300))), Some(431));
        let many: String = (0..60).map(|n| format!("1\r\nx\r\n{n:x}")).collect();
        assert_eq!(status(&many), Some(400));
        let length = WholeBody::new(Framing::Length(1_001), &Limits::new().body_bytes(1_000));
        assert_eq!(length.err(), Some(TOO_LARGE));
    }

    #[test]
    fn a_length_is_taken_as_it_is() {
        for cut in 0..=7 {
            let decoded = decode(Framing::Length(5), b"hello--", cut).expect("legal");
            let (body, rest) = decoded.expect("whole");
            assert_eq!(
                (body.bytes().as_ref(), rest.as_ref()),
                (b"hello".as_slice(), b"--".as_slice())
            );
        }
    }
}
