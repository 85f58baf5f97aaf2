//! What the fuzz targets have in common.
//!
//! The decoder of requests is asked three questions. Does it matter how the bytes are cut (`cuts`)? Are the requests those that the bytes are, as another
//! reader has it (`reading`)? And does the encoder make bytes of them that are the same requests (`again`)? The other reader follows RFC 9112's grammar line by line and shares no code with the
//! decoder, nor with `httparse`. The decoder of responses is asked the same, and whether it matters that a body is read as it comes (`responses`).

#![cfg(fuzzing)]

mod again;
mod cuts;
mod reading;
mod responses;

use http::{Request, StatusCode};
use libprocess::http::{Body, Limits};

/// How far a decoder came with some bytes.
pub struct Outcome {
    /// What it took; where in the bytes each ends, if all came at once; and what else is told of it.
    pub taken: Vec<(Request<Body>, usize, String)>,
    pub refused: Option<StatusCode>,
    pub rest: Vec<u8>,
    pub is_in_body: bool,
    pub is_between: bool,
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

/// All that must hold of bytes that a server reads.
pub fn check(bytes: &[u8]) {
    for (limits, most) in limits() {
        let whole = cuts::decode(&limits, [bytes]);
        reading::check(bytes, &whole, &most);
        cuts::check(bytes, &whole, &limits, &most);
        for (request, ..) in &whole.taken {
            again::check_request(request);
        }
    }
}

/// All that must hold of bytes that a client reads, which may have asked for the head alone, and behind which the server may close.
pub fn check_responses(bytes: &[u8], is_head: bool, closes: bool) {
    for (limits, most) in limits() {
        responses::check(bytes, is_head, closes, &limits, &most);
    }
}
