//! A body that has come whole, as one chunk: that of a message, as libprocess writes them all. It is taken as it is, without looking at it byte by byte.

use bytes::{Buf, Bytes};

/// Behind the bytes of the chunk: its end, and the last chunk, without trailers.
pub(crate) const END: &[u8] = b"\r\n0\r\n\r\n";

/// Takes the body, of at most so many bytes. `None`, and nothing taken, if it is not there in this form: then [`super::body`] knows more.
pub(super) fn take(input: &mut Bytes, most: u64) -> Option<Bytes> {
    let (size, line) = size(input)?;
    let end = line + size;
    if size == 0 || size as u64 > most || !input.get(end..)?.starts_with(END) {
        return None;
    }
    input.advance(line);
    let body = input.split_to(size);
    input.advance(END.len());
    Some(body)
}

/// The size that the first line says, and how long that line is.
fn size(input: &[u8]) -> Option<(usize, usize)> {
    let mut size = 0;
    // Eight digits are more than any body may have.
    for (place, byte) in input.iter().take(9).enumerate() {
        match (*byte as char).to_digit(16) {
            Some(digit) => size = size << 4 | digit as usize,
            None if place > 0 && input.get(place..)?.starts_with(b"\r\n") => {
                return Some((size, place + 2));
            }
            None => return None,
        }
    }
    None
}
