//! HTTP/1.1 messages as bytes, and back: no I/O here, so that every byte can be tested and fuzzed.
//!
//! # Strictness
//!
//! There is one way to tell where a message ends, and a message of which two readers could think differently is refused: 400, and the connection is closed, as nobody
//! knows what its next bytes are. `httparse` tells the lines and the fields apart; what it lets pass and this does not is a line that ends with a bare LF, a
//! target with bytes that RFC 3986 has not, and all that the framing fields must not be (RFC 9112, section 6). docs/http.md lists the cases and the policy in each.
//!
//! # Two halves
//!
//! ```text
//! server   bytes ─► RequestDecoder ─► Request     Response ─► encode_response ─► bytes
//! client   bytes ─► ResponseDecoder ─► Response   Request ─► encode_request ─► bytes
//! ```
//!
//! Both decoders keep what has come in an `Input`, which finds the end of a head in pieces, and read bodies by a `BodyDecoder`, whole or into a pipe; both have the fields that frame from `Fields`. What is
//! different is the first line, and who tells where a body ends: of a response also its status, the method that it answers, and the end of the connection. A client has nobody to tell a status to: a
//! refusal's reason is why the request failed.
//!
//! # What can go wrong
//!
//! - *A head that comes byte by byte* would be parsed once for each of them, in quadratic time. So a head that was incomplete is only searched for its end, from where the last
//!   search ended. It may so be refused later than one that comes at once, when its end has come, but for nothing else.
//! - *A head, a target, a body without end.* Each has a limit, of [`Limits`](super::Limits), and the status that the RFC names for it.
//! - *A size that overflows.* Lengths are read digit by digit, checked; a chunk's size has at most 16 digits.

mod body;
mod chunks;
mod date;
mod fields;
mod framed;
mod gzip;
mod head;
mod input;
#[cfg_attr(any(libprocess_loom, libprocess_shuttle), allow(dead_code))]
mod message;
mod one_chunk;
mod repeated;
mod request;
mod request_encoder;
mod response;
mod response_decoder;
mod sender;
mod streamed;
mod target;
// Not in what `scripts/tsan --most` builds either: they have one thread.
#[cfg(all(
    test,
    not(any(libprocess_loom, libprocess_shuttle, libprocess_tsan_most))
))]
mod tests;

pub(crate) use chunks::{Chunks, Outgoing};
pub(crate) use gzip::{WORTH, pack};
pub(crate) use head::Head;
pub(crate) use message::{NOBODY, message_fields, put_message, sender_text, without_zone};
pub(crate) use one_chunk::END as MESSAGE_END;
pub(crate) use request::{About, Decoded, RequestDecoder};
pub(crate) use request_encoder::encode_request;
pub(crate) use response::encode_response;
pub(crate) use response_decoder::{Asked, DecodedResponse, ResponseDecoder};
pub(crate) use target::PathKind;

use ::http::StatusCode;

/// Why a message is not taken: the connection is closed behind the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
}

impl Refusal {
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason,
        }
    }

    pub(crate) const fn with(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }
}
