//! The responses that handlers give most.

use ::http::{HeaderValue, StatusCode, header};

use super::{Body, Response};

/// `200 OK` with a text.
///
/// ```
/// let response = libprocess::http::ok("hello");
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
/// ```
pub fn ok(body: impl Into<Body>) -> Response {
    text(StatusCode::OK, body)
}

/// A status with a text.
///
/// ```
/// use http::StatusCode;
///
/// let response = libprocess::http::text(StatusCode::BAD_REQUEST, "expecting a=NUMBER");
/// assert_eq!(response.body(), "expecting a=NUMBER");
/// ```
pub fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
