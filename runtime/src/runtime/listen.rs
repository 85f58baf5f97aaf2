//! The runtime's own server: where it listens, and as what.
//!
//! # When it begins
//!
//! A runtime that was told where to listen does so when it is built. One that was not gets a free port, which nobody outside can know before somebody inside has asked for it: so it is
//! asked for then, and programs in which nobody asks have no socket, no reactor and no process for it.
//!
//! | state | meaning | next |
//! |---|---|---|
//! | `Unasked` | there is no socket | `Bound`, by the first who asks; `Over` if that fails |
//! | `Bound` | the kernel takes connections, and the addresses are set | `Serving`, by a task of the runtime |
//! | `Serving` | the server accepts | |
//! | `Over` | nobody begins to listen any more | |
//!
//! The end of the runtime, and `stop_serving` before it serves, make each of them `Over`.
//!
//! Who asks may be a worker in a handler, even the only one. So it waits for no other: it makes the calls of the kernel itself, and leaves it to the task to accept what comes. Whoever
//! asks at the same time waits at the lock for these calls, in which nothing is called that could ask again: what is to be said of the environment was said when the runtime was built, and
//! that nothing can listen is said behind the lock.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::builder::{BuildError, RuntimeBuilder};
use super::{Runtime, environment, host};
use crate::SpawnOptions;
use crate::facade::lock_std;
use crate::future::Future;
use crate::http::{Help, Limits, Router, Server};
use crate::net::{ListenOptions, TcpListener};
use crate::process::manager::{Addresses, ListenWhenAsked, ProcessManager};
use crate::process::transport::Transport;
use crate::process::{asynchronous, in_current};

/// What the builder was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Listen {
    place: Option<Place>,
    advertised: Option<SocketAddr>,
    advertised6: Option<Ipv6Addr>,
    limits: Limits,
    delegate: Option<String>,
    pub(super) requires_address_match: bool,
    pub(super) peer_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    At(SocketAddr),
    Nowhere,
}

impl RuntimeBuilder {
    /// Has the processes of this runtime served over HTTP at an address, from [`build`](Self::build) on; port 0 has the operating system choose one, which [`Runtime::address`] tells. By
    /// default what `LIBPROCESS_IP` and `LIBPROCESS_PORT` say, if one of them is set. A runtime that is told nothing listens at 127.0.0.1 and a free port once somebody [asks](Runtime::address)
    /// for its address, before which nobody could come: until then it has no socket.
    ///
    /// ```
    /// use libprocess::Runtime;
    ///
    /// let runtime = Runtime::builder().listen("127.0.0.1:0".parse()?).build()?;
    /// assert_ne!(runtime.address().expect("it listens").port(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen.place = Some(Place::At(address));
        self
    }

    /// Has this runtime not listen, whatever the environment says: it has no [address](Runtime::address), its processes print as of `0.0.0.0:0`, and no other program reaches them.
    /// Of this and [`listen`](Self::listen) the last one counts.
    ///
    /// ```
    /// use libprocess::Runtime;
    ///
    /// let runtime = Runtime::builder().listen_nowhere().build()?;
    /// assert_eq!(runtime.address(), None);
    /// # Ok::<(), libprocess::BuildError>(())
    /// ```
    pub fn listen_nowhere(mut self) -> Self {
        self.listen.place = Some(Place::Nowhere);
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
    /// What the builder was told, else what the environment says. `None`: nothing.
    fn place(&self) -> Option<Place> {
        self.place.or_else(|| {
            let ip = environment::ip(environment::IP);
            let port = environment::number(environment::PORT, 0..=u16::MAX);
            if ip.is_none() && port.is_none() {
                return None;
            }
            let ip = ip.unwrap_or(LOCALHOST);
            Some(Place::At(SocketAddr::new(ip, port.unwrap_or(0))))
        })
    }

    /// Has the runtime listen: now, if it was told where, else once somebody asks.
    pub(super) fn start(self, runtime: &mut Runtime) -> Result<(), BuildError> {
        let place = self.place();
        let address = match place {
            Some(Place::Nowhere) => return Ok(()),
            Some(Place::At(address)) => address,
            None => SocketAddr::new(LOCALHOST, 0),
        };
        let listening = Arc::new(Listening {
            address,
            says: Says::of(&self, address),
            limits: self.limits,
            delegate: self.delegate,
            requires_address_match: self.requires_address_match,
            peer_timeout: self.peer_timeout,
            state: Mutex::new(State::Unasked),
        });
        runtime.listening = Some(Arc::clone(&listening));
        if place.is_none() {
            runtime.manager.set_listen_when_asked(listening);
            return Ok(());
        }
        let refused = |reason| BuildError::Listen { address, reason };
        if let Some(serving) = listening.begin(&runtime.manager).map_err(refused)? {
            let not_run = |error: crate::FutureError| io::Error::other(error.to_string());
            serving.get().map_err(|error| refused(not_run(error)))?;
        }
        Ok(())
    }
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a runtime says that its address is.
#[derive(Clone, Copy, Debug)]
struct Says {
    /// Port 0: the one at which it listens, which the operating system may choose.
    address: SocketAddr,
    ip6: Option<Ipv6Addr>,
}

impl Says {
    /// What the builder was told, else what the environment says, of a runtime that listens there.
    fn of(told: &Listen, listens: SocketAddr) -> Self {
        let ip6 = told
            .advertised6
            .or_else(|| environment::ip6(environment::IP6))
            .filter(|ip| !ip.is_unspecified());
        let mut address = told.advertised.unwrap_or_else(|| {
            let mut address = listens;
            if let Some(ip) = environment::ip(environment::ADVERTISE_IP) {
                address.set_ip(ip);
            }
            let port = environment::number(environment::ADVERTISE_PORT, 1..=u16::MAX);
            address.set_port(port.unwrap_or(0));
            address
        });
        if address.ip().is_unspecified() {
            address.set_ip(match (address, ip6) {
                // What this machine's is at IPv6 was said.
                (SocketAddr::V6(_), Some(ip6)) => IpAddr::V6(ip6),
                _ => address_of_host(listens.ip(), address.ip()),
            });
        }
        Self { address, ip6 }
    }

    fn addresses(&self, bound: SocketAddr) -> Addresses {
        let mut advertised = self.address;
        if advertised.port() == 0 {
            advertised.set_port(bound.port());
        }
        let to_address6 = |ip| SocketAddrV6::new(ip, advertised.port(), 0, 0);
        Addresses {
            bound,
            advertised,
            advertised6: self.ip6.map(to_address6),
        }
    }
}

/// Who listens, or is to.
pub(super) struct Listening {
    address: SocketAddr,
    says: Says,
    limits: Limits,
    delegate: Option<String>,
    peer_timeout: Option<Duration>,
    requires_address_match: bool,
    state: Mutex<State>,
}

/// See the module.
enum State {
    Unasked,
    Bound(TcpListener),
    Serving(Arc<Server>),
    Over,
}

impl Listening {
    /// Listens, if nobody has before: then the future tells when connections are accepted.
    fn begin(self: &Arc<Self>, manager: &ProcessManager) -> io::Result<Option<Future<()>>> {
        {
            let mut state = lock_std(&self.state);
            if !matches!(*state, State::Unasked) {
                return Ok(None);
            }
            // If it fails.
            *state = State::Over;
            let mut options = ListenOptions::new().nodelay(true);
            if let Some(time) = self.peer_timeout {
                // Of a process elsewhere that is linked to one here nothing may ever come.
                options = options.keepalive(time);
            }
            let listener = options.bind_for(manager, self.address)?;
            // Before anybody is served, and could ask.
            manager.set_addresses(self.says.addresses(listener.local_address()?));
            *state = State::Bound(listener);
        }
        let listening = Arc::clone(self);
        let serving = async move { listening.serve() };
        let serving = asynchronous::spawn_async(manager, serving, Location::caller());
        Ok(Some(serving))
    }

    /// Accepts, in the runtime, whose clock and processes the server is to use.
    fn serve(&self) {
        let server = {
            let mut state = lock_std(&self.state);
            let listener = match std::mem::replace(&mut *state, State::Over) {
                State::Bound(listener) => listener,
                other => {
                    *state = other;
                    return;
                }
            };
            let router = Router::new(self.delegate.clone(), self.requires_address_match);
            let server = Server::of_service(listener.into(), self.limits.clone(), router);
            let server = Arc::new(server);
            *state = State::Serving(Arc::clone(&server));
            server
        };
        // Unless the program has one of its own already.
        drop(crate::spawn_with(SpawnOptions::new().name("help"), Help));
        in_current(|manager| manager?.transport().map(Transport::listens));
        server.run().detach();
    }

    /// See [`Runtime::stop_serving`].
    pub(super) fn stop(&self, grace: Duration) -> Future<()> {
        let mut state = lock_std(&self.state);
        if let State::Serving(server) = &*state {
            let server = Arc::clone(server);
            drop(state);
            return server.stop(grace);
        }
        // Nobody was served yet.
        let closed = std::mem::replace(&mut *state, State::Over);
        drop(state);
        drop(closed);
        Future::done()
    }

    /// Closes what there is, and begins nothing any more.
    pub(super) fn close(&self) {
        let closed = std::mem::replace(&mut *lock_std(&self.state), State::Over);
        // Not under the lock: the server's tasks are ended.
        drop(closed);
    }
}

impl ListenWhenAsked for Listening {
    fn listen(self: Arc<Self>, manager: &ProcessManager) {
        match self.begin(manager) {
            Ok(Some(serving)) => serving.detach(),
            Ok(None) => {}
            Err(error) => environment::report(&format!(
                "cannot listen at {}: {error}; no other program reaches the processes of this runtime",
                self.address
            )),
        }
    }
}

/// Where others find this machine; if it does not know, where it finds itself, and whoever runs the program hears of that.
fn address_of_host(bound: IpAddr, advertised: IpAddr) -> IpAddr {
    // The look-up may wait for the network.
    crate::block_in_place(|| host::address(advertised)).unwrap_or_else(|| {
        let loopback = host::loopback(advertised);
        environment::report(&format!(
            "listening at {bound}, and this machine knows no address of its own that others reach: saying {loopback}; LIBPROCESS_ADVERTISE_IP says another"
        ));
        loopback
    })
}
