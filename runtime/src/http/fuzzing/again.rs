//! What was taken is taken again for the same, when it is sent.

use super::codec::{Decoder, Responses, request_bytes, response_bytes};
use crate::http::{Body, Limits};
use ::http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use ::http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use bytes::Bytes;

/// The fields but for those that whoever sends them writes.
fn fields(headers: &HeaderMap, written: &[HeaderName]) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .chain(written)
    {
        headers.remove(name);
    }
    headers
}

/// There may be some more fields than there were.
fn limits() -> Limits {
    Limits::new().fields(256)
}

pub(super) fn check_request(request: &Request<Body>) {
    if request.method() == http::Method::TRACE {
        return;
    }
    let mut decoder = Decoder::new(limits());
    decoder.feed(request_bytes(request).into());
    let (again, ..) = decoder.take().expect("legal").expect("whole");
    assert!(decoder.is_between());
    let again = again.into_inner();
    assert_eq!(again.method(), request.method());
    assert_eq!(again.uri().path(), request.uri().path());
    assert_eq!(again.uri().query(), request.uri().query());
    let host = again.headers()[HOST].as_bytes();
    match (request.headers().get(HOST), request.uri().authority()) {
        (Some(said), _) => assert_eq!(host, said.as_bytes()),
        (None, Some(authority)) => assert_eq!(host, authority.as_str().as_bytes()),
        (None, None) => assert_eq!(host, b"h"),
    }
    let written = [HOST, UPGRADE, EXPECT];
    assert_eq!(
        fields(again.headers(), &written),
        fields(request.headers(), &written)
    );
    assert_eq!(again.body().bytes(), request.body().bytes());
    assert_eq!(again.body().trailers(), request.body().trailers());
}

pub(super) fn check_response(response: &Response<Body>, is_head: bool, keeps_alive: bool) {
    let mut decoder = Responses::new(limits(), is_head, false);
    let bytes = response_bytes(response, is_head, keeps_alive);
    decoder.feed(Bytes::from(bytes));
    let (again, again_keeps_alive) = decoder.take().expect("legal").expect("whole");
    assert!(decoder.is_between());
    assert_eq!(again_keeps_alive, keeps_alive);
    assert_eq!(again.status(), response.status());
    let written = if response.headers().contains_key(DATE) {
        &[][..]
    } else {
        &[DATE]
    };
    assert_eq!(
        fields(again.headers(), written),
        fields(response.headers(), written)
    );
    // A client takes what comes with a 205, a server sends nothing with it.
    let nothing = (response.status() == StatusCode::RESET_CONTENT).then(Body::empty);
    let body = nothing.as_ref().unwrap_or(response.body());
    assert_eq!(again.body().bytes(), body.bytes());
    assert_eq!(again.body().trailers(), body.trailers());
}
