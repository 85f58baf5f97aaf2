//! What the fuzz targets see of the codec. No part of the library: only `--cfg fuzzing` has it.

use std::sync::Arc;

use ::http::StatusCode;
use bytes::Bytes;

use crate::exchange::{Limits, Request, RequestDecoder};

/// The decoder of requests.
pub struct Decoder(RequestDecoder);

impl Decoder {
    /// A decoder that has been fed nothing.
    pub fn new(limits: Limits) -> Self {
        Self(RequestDecoder::new(Arc::new(limits)))
    }

    /// Adds what has come.
    pub fn feed(&mut self, piece: Bytes) {
        self.0.feed(piece);
    }

    /// The next request, the path that it is routed by, and all else that is told of it, as text; or the status that it is refused with.
    pub fn take(&mut self) -> Result<Option<(Request, String, String)>, StatusCode> {
        let decoded = self.0.next(|_| false).map_err(|refusal| refusal.status)?;
        Ok(decoded.map(|decoded| {
            let path = decoded.request.path_of_head().to_owned();
            (decoded.request, path, format!("{:?}", decoded.about))
        }))
    }

    /// What has come and was not taken; without that of a body that has begun.
    pub fn rest(&self) -> Vec<u8> {
        self.0.rest()
    }

    /// Whether a head has come, and its body has not.
    pub fn is_in_body(&self) -> bool {
        self.0.is_in_body()
    }

    /// Whether nothing has come of a request that was not taken.
    pub fn is_between(&self) -> bool {
        self.0.is_between()
    }
}
