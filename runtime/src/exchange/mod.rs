//! An HTTP request and its answer, as values and as bytes: what processes and servers both need to know. [`http`](crate::http) has it for users.

mod body;
mod codec;
mod limits;
mod pipe;
#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
pub(crate) mod random;
mod request;
mod responder;
mod responses;
mod route_options;

use std::borrow::Cow;

pub use body::Body;
pub use limits::Limits;
pub use pipe::{Pipe, PipeReader, PipeWriter, TryWriteError};
pub use request::Request;
pub use responder::Responder;
pub(crate) use responses::not_found;
pub use responses::{ok, text};
pub use route_options::RouteOptions;

pub(crate) use codec::{
    About, Decoded, Head, Outgoing, PathKind, Refusal, RequestDecoder, encode_response,
};
pub(crate) use codec::{Asked, DecodedResponse, ResponseDecoder, encode_request};
pub(crate) use codec::{
    MESSAGE_END, NOBODY, message_fields, put_message, sender_text, without_zone,
};
pub(crate) use pipe::Taken;
pub(crate) use responder::{Answer, Answers, Place};

/// What a handler gives, or a future of it: the `http` crate's response with a [`Body`].
///
/// ```
/// use libprocess::http::Response;
///
/// let response = Response::new("hello".into());
/// assert_eq!(response.status(), 200);
/// ```
pub type Response = ::http::Response<Body>;

/// A path, or a part of one, without its percent signs; `None` if that is no text.
pub(crate) fn decoded_path(path: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()
}
