//! Names of hosts.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::async_;
use crate::future::Future;

/// Looks up the addresses of a host, as the operating system does (`getaddrinfo`: the hosts file, then the name servers), in the order in which they are to be tried. An address in text
/// stands for itself.
///
/// The operating system's lookup blocks, for seconds where no server answers: it runs on a thread of [`async_`](crate::async_), and no worker waits. To discard the
/// future keeps a lookup from starting, and does not end one.
///
/// # Errors
///
/// The future fails where there is no such host, or no answer.
///
/// ```
/// let addresses = libprocess::net::lookup("localhost", 80).get()?;
/// assert!(addresses.iter().all(|address| address.ip().is_loopback()));
/// assert_eq!(libprocess::net::lookup("127.0.0.1", 80).get()?, ["127.0.0.1:80".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lookup(host: impl Into<String>, port: u16) -> Future<Vec<SocketAddr>> {
    let host = host.into();
    async_(move || {
        let addresses = (host.as_str(), port).to_socket_addrs();
        addresses
            .map(Iterator::collect)
            .map_err(|error| format!("lookup of {host}: {error}"))
    })
    .then(|looked_up: Result<Vec<_>, String>| match looked_up {
        Ok(addresses) => Future::ready(addresses),
        Err(reason) => Future::failed(reason),
    })
}
