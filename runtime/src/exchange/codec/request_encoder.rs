//! Requests as bytes.

use ::http::{HeaderName, Method, Request, Uri, header};

use super::Chunks;
use super::framed::{
    Framed, PIECE, asks_to_close, promised, put_bytes, put_chunk, put_chunked, put_fields,
    put_length, put_streamed, put_type,
};
use super::target::{is_host, put_path, put_query};
use crate::exchange::Body;

/// Appends a request, to the server that its `Host` or else its URL names, or else this host. The fields that frame and those of the connection are written here, whoever set them.
///
/// A body goes out as it is known: with its length; or, where there are trailers or it is streamed, in chunks; or, if the headers promise the length of a streamed one, as it is.
pub(crate) fn encode_request(
    out: &mut Vec<u8>,
    request: &Request<Body>,
    host: &str,
    closes: bool,
) -> Framed {
    debug_assert!(is_host(host.as_bytes()), "{host:?} is no host");
    let (method, headers, body) = (request.method(), request.headers(), request.body());
    out.reserve(160 + body.len().min(PIECE));
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    put_target(out, method, request.uri());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    // RFC 9110, section 7.2: it should be the first field. Two would be an error.
    out.extend_from_slice(
        match (headers.get(header::HOST), request.uri().authority()) {
            (Some(said), _) => said.as_bytes(),
            // RFC 9110, section 4.2.4: without the name and the password.
            (None, Some(authority)) => {
                let authority = authority.as_str();
                let host = authority.rsplit_once('@').map(|(_, host)| host);
                host.unwrap_or(authority).as_bytes()
            }
            (None, None) => host.as_bytes(),
        },
    );
    out.extend_from_slice(b"\r\n");
    // RFC 9110, section 9.3.8: a TRACE has none.
    let sent = Some(body).filter(|_| *method != Method::TRACE);
    let stream = sent.and_then(Body::reader).map(|_| {
        promised(headers.get(header::CONTENT_LENGTH)).map_or(Chunks::Chunked, Chunks::Length)
    });
    let trailers = sent.and_then(Body::trailers);
    let bytes = sent.map(Body::bytes).filter(|bytes| !bytes.is_empty());
    let has_content = stream.is_some() || trailers.is_some() || bytes.is_some();
    put_fields(out, headers, |name| {
        is_left_out(name) || (name == header::EXPECT && !has_content)
    });
    out.reserve(160 + body.len().min(PIECE));
    if let Some(media_type) = body.media_type()
        && has_content
        && !headers.contains_key(header::CONTENT_TYPE)
    {
        put_type(out, media_type);
    }
    let closes = closes || asks_to_close(headers);
    // RFC 9110, section 10.1.4: TE is of this connection alone, which must be said.
    let line = match (closes, headers.contains_key(header::TE)) {
        (true, true) => "Connection: close, TE\r\n",
        (true, false) => "Connection: close\r\n",
        (false, true) => "Connection: TE\r\n",
        (false, false) => "",
    };
    out.extend_from_slice(line.as_bytes());
    if let Some(stream) = stream {
        put_streamed(out, stream);
        return Framed {
            stream: Some(stream),
            ..Framed::without_body(closes)
        };
    }
    if let Some(trailers) = trailers {
        put_chunked(out);
        return put_chunk(out, body, trailers, closes);
    }
    if let Some(bytes) = bytes {
        put_length(out, bytes.len() as u64);
        out.extend_from_slice(b"\r\n");
        return put_bytes(out, bytes, closes);
    }
    // RFC 9110, section 8.6: that there is no content should be said where there mostly is some, and not elsewhere.
    if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        put_length(out, 0);
    }
    out.extend_from_slice(b"\r\n");
    Framed::without_body(closes)
}

/// Fields that were written before; and Upgrade, as a client that is answered with 101 would not know how to go on.
fn is_left_out(name: &HeaderName) -> bool {
    name == header::HOST || name == header::UPGRADE
}

/// RFC 9112, section 3.2: path and query, or the asterisk.
fn put_target(out: &mut Vec<u8>, method: &Method, uri: &Uri) {
    let path = uri.path();
    if path == "*" && *method == Method::OPTIONS {
        out.extend_from_slice(b"*");
        return;
    }
    if !path.starts_with('/') {
        out.extend_from_slice(b"/");
    }
    put_path(out, path.as_bytes());
    if let Some(query) = uri.query() {
        out.extend_from_slice(b"?");
        put_query(out, query.as_bytes());
    }
}
