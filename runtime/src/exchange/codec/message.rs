//! Messages between processes, as the requests that libprocess writes, byte for byte:
//!
//! ```text
//! POST /<id>/<name> HTTP/1.1
//! User-Agent: libprocess/<sender>
//! Libprocess-From: <sender>
//! Connection: Keep-Alive
//! Host: <ip:port>
//! Transfer-Encoding: chunked         if there is a body, which is one chunk
//! ```
//!
//! An id or a name may be any text. What a target must not have is written as escapes, which libprocess undoes in an id, and this library in a name, too; what would end a header field, as an
//! escape that stays one.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;

use super::framed::{PIECE, put_chunked, put_size};
use super::one_chunk::END;
use super::target::{put_segment, put_segments};

/// Of a message from nobody, as libprocess has it.
pub(crate) const NOBODY: &str = "@0.0.0.0:0";

/// A process as the sender of messages.
pub(crate) fn sender_text(id: &str, address: SocketAddr) -> String {
    let mut text = String::with_capacity(id.len() + 24);
    let inner = id.trim_matches(' ');
    let from = id.len() - id.trim_start_matches(' ').len();
    let inside = from..from + inner.len();
    for (place, character) in id.char_indices() {
        // Nor do spaces at the ends of a field belong to it.
        if character.is_control() || !inside.contains(&place) {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // To a string this does not fail.
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(character);
        }
    }
    let _ = write!(text, "@{}", without_zone(address));
    text
}

/// The zone of a link-local address says which of this host's links is meant, and nothing to another host.
pub(crate) fn without_zone(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// The fields that all messages of a sender to an address have, behind the first line.
pub(crate) fn message_fields(sender: &str, host: SocketAddr) -> Vec<u8> {
    let host = without_zone(host);
    format!(
        " HTTP/1.1\r\nUser-Agent: libprocess/{sender}\r\nLibprocess-From: {sender}\r\nConnection: Keep-Alive\r\nHost: {host}\r\n"
    )
    .into_bytes()
}

/// Appends a message. A long body is not copied, but given back: it goes out behind what was appended, and then [`END`].
#[inline]
pub(crate) fn put_message(
    out: &mut Vec<u8>,
    id: &str,
    name: &str,
    fields: &[u8],
    body: &Bytes,
) -> Option<Bytes> {
    out.reserve(80 + id.len() + name.len() + fields.len() + body.len().min(PIECE));
    out.extend_from_slice(b"POST /");
    put_segment(out, id.as_bytes());
    out.push(b'/');
    put_segments(out, name.as_bytes());
    out.extend_from_slice(fields);
    if body.is_empty() {
        out.extend_from_slice(b"\r\n");
        return None;
    }
    put_chunked(out);
    put_size(out, body.len());
    if body.len() >= PIECE {
        return Some(body.clone());
    }
    out.extend_from_slice(body);
    out.extend_from_slice(END);
    None
}
