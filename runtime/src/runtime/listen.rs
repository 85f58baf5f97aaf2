//! The runtime's own server: where it listens, and as what.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::builder::{BuildError, RuntimeBuilder};
use super::{Runtime, environment, host};
use crate::SpawnOptions;
use crate::future::Error;
use crate::http::{Help, Limits, Router, Server};
use crate::net::ListenOptions;
use crate::process::in_current;
use crate::process::manager::Addresses;
use crate::process::transport::Transport;

/// What the builder was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Listen {
    address: Option<SocketAddr>,
    advertised: Option<SocketAddr>,
    advertised6: Option<Ipv6Addr>,
    limits: Limits,
    delegate: Option<String>,
    pub(super) requires_address_match: bool,
}

impl RuntimeBuilder {
    /// Has the processes of this runtime served over HTTP at an address; port 0 has the operating system choose one, which [`Runtime::address`] tells. By default what `LIBPROCESS_IP` and
    /// `LIBPROCESS_PORT` say, if one of them is set; else nothing listens.
    ///
    /// ```
    /// use libprocess::Runtime;
    ///
    /// let runtime = Runtime::builder().listen("127.0.0.1:0".parse()?).build()?;
    /// assert_ne!(runtime.address().expect("it listens").port(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen.address = Some(address);
        self
    }

    /// What the runtime says its address is, if that is not where it listens, as behind a redirection: in the names of its processes ([`Upid`](crate::Upid)), and by
    /// [`Runtime::address`]. Nothing is bound by this: that what comes there arrives here is for others to see to. A runtime that does not listen says nothing.
    ///
    /// By default what `LIBPROCESS_ADVERTISE_IP` and `LIBPROCESS_ADVERTISE_PORT` say, each for its part, else the address at which it listens. Port 0 is the port at which it listens.
    ///
    /// Others cannot reach `0.0.0.0` or `[::]`. Where that would be the address, the address of this machine is taken: what the machine's name means, as in libprocess (which may
    /// ask the network, and take its time); if that is the loopback, or nothing, the one from which the machine sends to the outside; if there is none either, the loopback, and a warning says so.
    ///
    /// ```
    /// use libprocess::{Process, Runtime};
    /// # struct Idle;
    /// # impl Process for Idle {}
    ///
    /// let runtime = Runtime::builder()
    ///     .listen("127.0.0.1:0".parse()?)
    ///     .advertise("192.0.2.7:31000".parse()?)
    ///     .build()?;
    /// assert_eq!(runtime.address(), Some("192.0.2.7:31000".parse()?));
    /// let idle = runtime.spawn_named("idle", Idle)?;
    /// assert_eq!(idle.to_string(), "idle@192.0.2.7:31000");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn advertise(mut self, address: SocketAddr) -> Self {
        self.listen.advertised = Some(address);
        self
    }

    /// At which IPv6 address the runtime says it is as well, with the port of [`Runtime::address`]: see [`Runtime::address6`]. As with [`advertise`](Self::advertise), nothing is bound; to
    /// listen at IPv6 and IPv4, [`listen`](Self::listen) at `[::]`. By default what `LIBPROCESS_IP6` says. `::` says nothing.
    ///
    /// ```
    /// use libprocess::Runtime;
    ///
    /// let runtime = Runtime::builder()
    ///     .listen("127.0.0.1:0".parse()?)
    ///     .advertise("192.0.2.7:31000".parse()?)
    ///     .advertise6("2001:db8::7".parse()?)
    ///     .build()?;
    /// assert_eq!(runtime.address6(), Some("[2001:db8::7]:31000".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn advertise6(mut self, ip: Ipv6Addr) -> Self {
        self.listen.advertised6 = Some(ip);
        self
    }

    /// What the clients of this runtime may ask for.
    ///
    /// ```
    /// use libprocess::Runtime;
    /// use libprocess::http::Limits;
    ///
    /// let runtime = Runtime::builder()
    ///     .listen("127.0.0.1:0".parse()?)
    ///     .http_limits(Limits::new().body_bytes(1 << 20))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn http_limits(mut self, limits: Limits) -> Self {
        self.listen.limits = limits;
        self
    }

    /// The id of the process that serves the requests whose paths name none: it finds its routes in the whole path. Without one they are answered 404 Not Found.
    ///
    /// ```
    /// use libprocess::Runtime;
    ///
    /// let runtime = Runtime::builder()
    ///     .listen("127.0.0.1:0".parse()?)
    ///     .delegate("master")
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delegate(mut self, id: impl Into<String>) -> Self {
        self.listen.delegate = Some(id.into());
        self
    }
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

    /// What the builder was told, else what the environment says, of a runtime that is bound to that.
    fn addresses(&self, bound: SocketAddr) -> Addresses {
        let ip6 = self
            .advertised6
            .or_else(|| environment::ip6(environment::IP6))
            .filter(|ip| !ip.is_unspecified());
        let mut advertised = self.advertised.unwrap_or_else(|| {
            let mut address = bound;
            if let Some(ip) = environment::ip(environment::ADVERTISE_IP) {
                address.set_ip(ip);
            }
            if let Some(port) = environment::number(environment::ADVERTISE_PORT, 1..=u16::MAX) {
                address.set_port(port);
            }
            address
        });
        if advertised.port() == 0 {
            advertised.set_port(bound.port());
        }
        if advertised.ip().is_unspecified() {
            advertised.set_ip(match (advertised, ip6) {
                // What this machine's is at IPv6 was said.
                (SocketAddr::V6(_), Some(ip6)) => IpAddr::V6(ip6),
                _ => address_of_host(bound, advertised),
            });
        }
        Addresses {
            bound,
            advertised,
            advertised6: ip6.map(|ip| SocketAddrV6::new(ip, advertised.port(), 0, 0)),
        }
    }

    pub(super) fn start(self, runtime: &mut Runtime) -> Result<(), BuildError> {
        let Some(address) = self.address() else {
            return Ok(());
        };
        let refused = |reason| BuildError::Listen { address, reason };
        // In the runtime, whose ports the sockets are to use.
        let bound = runtime.spawn_async(async move {
            let listener = ListenOptions::new().nodelay(true).bind(address)?;
            let bound = listener.local_address()?;
            Ok((listener, bound))
        });
        let (listener, bound) = bound.get().unwrap_or_else(not_run).map_err(refused)?;
        // Before anybody is served, and could ask.
        runtime.manager.set_addresses(self.addresses(bound));
        let started = runtime.spawn_async(async move {
            let router = Router::new(self.delegate, self.requires_address_match);
            let server = Server::of_service(listener.into(), self.limits, router);
            // Unless the program has one of its own already.
            drop(crate::spawn_with(SpawnOptions::new().name("help"), Help));
            in_current(|manager| manager?.transport().map(Transport::listens));
            server.run().detach();
            Ok(server)
        });
        runtime.server = Some(started.get().unwrap_or_else(not_run).map_err(refused)?);
        Ok(())
    }
}

fn not_run<T>(error: Error) -> io::Result<T> {
    Err(io::Error::other(error.to_string()))
}

/// Where others find this machine; if it does not know, where it finds itself, and whoever runs the program hears of that.
fn address_of_host(bound: SocketAddr, advertised: SocketAddr) -> IpAddr {
    let ip = advertised.ip();
    // The look-up may wait for the network.
    crate::block_in_place(|| host::address(ip)).unwrap_or_else(|| {
        let loopback = host::loopback(ip);
        environment::report(&format!(
            "listening at {bound}, and this machine knows no address of its own that others reach: saying {loopback}; LIBPROCESS_ADVERTISE_IP says another"
        ));
        loopback
    })
}
