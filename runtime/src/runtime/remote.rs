//! What a runtime allows itself with others, as the builder was told.

use super::RuntimeBuilder;
use super::environment;
use crate::remote::{Remote, RemoteOptions};

impl RuntimeBuilder {
    /// How this runtime deals with those that it sends messages to, and gets them from.
    ///
    /// ```
    /// use libprocess::{RemoteOptions, Runtime};
    ///
    /// let runtime = Runtime::builder()
    ///     .remote(RemoteOptions::new().outbound_bytes(1 << 20))
    ///     .build()?;
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn remote(mut self, options: RemoteOptions) -> Self {
        self.remote = options;
        self
    }
}

/// Whether who sends a message must be where it comes from.
pub(super) fn requires_address_match(options: &RemoteOptions) -> bool {
    options
        .requires_address_match
        .or_else(|| environment::flag(environment::REQUIRE_PEER_ADDRESS_IP_MATCH))
        .unwrap_or(false)
}

/// Has the runtime send to others.
pub(super) fn set_up(manager: &crate::process::manager::ProcessManager, options: RemoteOptions) {
    manager.set_transport(Remote::new(options));
}
