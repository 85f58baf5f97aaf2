//! The runtime's own server: where it listens, and as what.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::builder::BuildError;
use super::{Runtime, environment};
use crate::SpawnOptions;
use crate::http::{Help, Limits, Router, Server};
use crate::net::ListenOptions;

/// What the builder was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Listen {
    pub(super) address: Option<SocketAddr>,
    pub(super) limits: Limits,
    pub(super) delegate: Option<String>,
}

impl Listen {
    /// What the builder was told, else what the environment says.
    fn address(&self) -> Option<SocketAddr> {
        self.address.or_else(|| {
            let ip = environment::ip(environment::IP);
            let port = environment::number(environment::PORT, 0..=u16::MAX);
            if ip.is_none() && port.is_none() {
                return None;
            }
            let ip = ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            Some(SocketAddr::new(ip, port.unwrap_or(0)))
        })
    }

    pub(super) fn start(self, runtime: &mut Runtime) -> Result<(), BuildError> {
        let Some(address) = self.address() else {
            return Ok(());
        };
        let (limits, delegate) = (self.limits, self.delegate);
        // In the runtime, whose ports the sockets are to use.
        let started = runtime.spawn_async(async move {
            let listener = ListenOptions::new().nodelay(true).bind(address)?;
            let bound = listener.local_address()?;
            let server = Server::of_service(listener.into(), limits, Router::new(delegate));
            // Unless the program has one of its own already.
            drop(crate::spawn_with(SpawnOptions::new().name("help"), Help));
            server.run().detach();
            Ok::<_, std::io::Error>((server, bound))
        });
        let started = started
            .get()
            .unwrap_or_else(|error| Err(std::io::Error::other(error.to_string())));
        match started {
            Ok((server, bound)) => {
                runtime.server = Some(server);
                runtime.manager.set_address(bound);
                Ok(())
            }
            Err(reason) => Err(BuildError::Listen { address, reason }),
        }
    }
}
