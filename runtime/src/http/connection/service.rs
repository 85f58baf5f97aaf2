//! Who is asked what comes over connections.

use crate::exchange::{Head, Request, Responder};
use crate::http::Transport;

/// Who handles requests.
pub(crate) trait Service: Send + Sync + 'static {
    /// What it remembers for a connection.
    type Memory: Default + Send;

    /// The memory for a connection that has come.
    fn remember(&self, _stream: &dyn Transport) -> Self::Memory {
        Self::Memory::default()
    }

    /// Whether the connection may be without a request for as long as it is there.
    fn is_patient(&self, _memory: &Self::Memory) -> bool {
        false
    }

    fn call(&self, request: Request, responder: Responder, memory: &mut Self::Memory);

    /// Whether those that were called may have more urgent things to send than the answers, since this was last asked.
    fn lets_others_go_first(&self, _memory: &mut Self::Memory) -> bool {
        false
    }

    /// Whether it wants the body of that request as it comes.
    fn streams(&self, _head: &Head) -> bool {
        false
    }
}
