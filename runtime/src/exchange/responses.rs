//! The responses that handlers give most.

use ::http::StatusCode;
use bytes::Bytes;

use super::{Body, Response};

/// `200 OK` with a text.
///
/// ```
/// let response = libprocess::http::ok("hello");
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.body(), "hello");
/// ```
pub fn ok(text: impl Into<Bytes>) -> Response {
    Response::new(Body::text(text))
}

/// What is answered where there is no process, or no route.
pub(crate) fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 Not Found.")
}

/// A status with a text.
///
/// ```
/// use http::StatusCode;
///
/// let response = libprocess::http::text(StatusCode::BAD_REQUEST, "expecting a=NUMBER");
/// assert_eq!(response.body(), "expecting a=NUMBER");
/// ```
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    let mut response = ok(text);
    *response.status_mut() = status;
    response
}
