//! What the fuzz targets check. No part of the library: only `--cfg fuzzing` has it, and its own tests, which check what the targets' corpus is.
//!
//! The decoder of requests is asked three questions. Does it matter how the bytes are cut (`cuts`)? Are the requests those that the bytes are, as another
//! reader has it (`reading`)? And does the encoder make bytes of them that are the same requests (`again`)? The other reader follows RFC 9112's grammar line by line and shares no code with the
//! decoder, nor with `httparse`. The decoder of responses is asked the same, and whether it matters that a body is read as it comes (`responses`).

mod again;
mod codec;
#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod corpus;
mod cuts;
mod reading;
mod responses;
mod values;

use ::http::{Request, StatusCode};

use crate::http::{Body, Limits};

/// How far a decoder came with some bytes.
struct Outcome {
    /// What it took; where in the bytes each ends, if all came at once; and what else is told of it.
    taken: Vec<(Request<Body>, usize, String)>,
    refused: Option<StatusCode>,
    rest: Vec<u8>,
    is_in_body: bool,
    is_between: bool,
}

/// Limits that hardly any input reaches, and some that most inputs reach.
fn limits() -> [(Limits, reading::Most); 2] {
    let most = [
        reading::Most {
            head: 32 << 10,
            target: 8_000,
            fields: 128,
            body: 16 << 20,
        },
        reading::Most {
            head: 160,
            target: 24,
            fields: 4,
            body: 20,
        },
    ];
    most.map(|most| {
        let limits = Limits::new()
            .head_bytes(most.head)
            .target_bytes(most.target)
            .fields(most.fields)
            .body_bytes(most.body);
        (limits, most)
    })
}

/// Any bytes, as a server reads them.
pub fn request(bytes: &[u8]) {
    for (limits, most) in limits() {
        let whole = cuts::decode(&limits, [bytes]);
        reading::check(bytes, &whole, &most);
        cuts::check(bytes, &whole, &limits, &most);
        for (request, ..) in &whole.taken {
            again::check_request(request);
        }
    }
}

/// Any bytes, as a body in chunks and what is behind it.
pub fn chunked(bytes: &[u8]) {
    let head = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    request(&[head, bytes].concat());
}

/// Any bytes, as a client reads them. The first says what was asked, and whether the server closes behind the others: `g` or `h` for GET or HEAD, `G` or `H` if it does.
pub fn response(bytes: &[u8]) {
    if let Some((first, bytes)) = bytes.split_first() {
        let is_head = first & 1 == 0;
        let closes = first & 0x20 == 0;
        check_responses(bytes, is_head, closes);
    }
}

/// Any text, as each of the values that are read out of URLs and header fields.
pub fn url_query(bytes: &[u8]) {
    values::check(bytes);
}

/// All that must hold of bytes that a client reads, which may have asked for the head alone, and behind which the server may close.
fn check_responses(bytes: &[u8], is_head: bool, closes: bool) {
    for (limits, most) in limits() {
        responses::check(bytes, is_head, closes, &limits, &most);
    }
}
