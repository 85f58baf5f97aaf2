//! What listeners and streams share: a socket, and the scheduler whose ports its operations go to.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, sockopt};

use crate::process::manager::ProcessManager;
use crate::reactor::{Action, Behind, Completed, Handler, Operation, OperationId, Socket};
use crate::runtime::with_current;
use crate::scheduler::Scheduler;

/// Where operations go: the ports of a runtime.
#[derive(Clone)]
pub(super) struct Home {
    scheduler: Arc<Scheduler>,
    clock: crate::Clock,
    /// The seat in whose port all is begun; else it is the calling worker's.
    seat: Option<u32>,
}

impl Home {
    /// The runtime of the calling worker, else the default one.
    pub(super) fn current() -> Self {
        with_current(Self::of)
    }

    pub(super) fn of(manager: &ProcessManager) -> Self {
        Self {
            scheduler: Arc::clone(manager.scheduler()),
            clock: manager.clock().clone(),
            seat: None,
        }
    }

    /// All operations go to this worker's port.
    pub(super) fn of_worker(&self, worker: usize) -> Self {
        Self {
            seat: Some(worker as u32),
            ..self.clone()
        }
    }

    /// Operations go to the port of whoever begins them.
    pub(super) fn anywhere(&self) -> Self {
        Self {
            seat: None,
            ..self.clone()
        }
    }

    pub(super) fn workers(&self) -> usize {
        self.scheduler.workers()
    }

    /// Calls `f` after this time, by the runtime's clock.
    pub(super) fn later(&self, time: Duration, f: impl FnOnce() + Send + 'static) {
        let slept = self.clock.sleep(time);
        slept.on_any(move |_| f()).clone().detach();
    }

    /// Where the next operation of the calling thread goes. To be handed to `begin`.
    pub(super) fn place(&self) -> Begun {
        Begun {
            id: OperationId::new(),
            seat: self
                .seat
                .unwrap_or_else(|| self.scheduler.seat_for_io() as u32),
        }
    }

    /// Where the operation is done at once, gives what became of it, and the handler is not told.
    #[must_use]
    pub(super) fn begin(
        &self,
        place: Begun,
        socket: &Arc<Socket>,
        action: Action,
        handler: Arc<dyn Handler>,
    ) -> Option<Completed> {
        let operation = Operation {
            id: place.id,
            socket: Arc::clone(socket),
            action,
            handler,
        };
        self.scheduler.begin_io(place.seat as usize, operation)
    }

    /// Sends what the socket has room for, where that is done at once; no other send of it may be under way. `None`: it is to be begun. `pieces` hands them to what it is
    /// given, and is not called where nothing is sent at once.
    #[must_use]
    pub(super) fn send_now(
        &self,
        socket: &Socket,
        behind: Behind,
        pieces: impl FnOnce(&mut dyn FnMut(&[IoSlice<'_>])),
    ) -> Option<io::Result<usize>> {
        let seat = self
            .scheduler
            .sends_now(self.seat.map(|seat| seat as usize), behind)?;
        let (ports, mut sent) = (self.scheduler.ports(), None);
        pieces(&mut |pieces| sent = ports.send_now(seat, socket, pieces, behind));
        sent
    }

    pub(super) fn cancel(&self, begun: Begun, socket: &Socket) {
        let seat = begun.seat as usize;
        self.scheduler.cancel_io(seat, socket.id(), begun.id);
    }
}

/// An operation under way, and where.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    id: OperationId,
    seat: u32,
}

/// A new socket for addresses like this one.
pub(super) fn socket_for(address: &SocketAddrAny) -> io::Result<Arc<Socket>> {
    let (family, flags) = (address.address_family(), SocketFlags::CLOEXEC);
    let descriptor = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    Ok(if family == AddressFamily::UNIX {
        Socket::unix(descriptor)
    } else {
        Socket::tcp(descriptor)
    })
}

pub(super) fn to_address(address: SocketAddrAny) -> io::Result<SocketAddr> {
    SocketAddr::try_from(address).map_err(io::Error::from)
}

pub(super) fn any_address(address: SocketAddr) -> SocketAddrAny {
    match address {
        SocketAddr::V4(address) => address.into(),
        SocketAddr::V6(address) => address.into(),
    }
}

/// What a future fails with.
pub(super) fn failure(what: &str, error: &io::Error) -> String {
    format!("{what}: {error}")
}

/// Has the kernel ask a silent peer whether it is there, and break the connection of one that does not answer for this time, in whole seconds, which it gives: at most 2^15.
pub(super) fn set_keepalive(descriptor: &OwnedFd, time: Duration) -> io::Result<u32> {
    const PROBES: u32 = 3;
    let seconds = time.as_secs().clamp(1, 1 << 15) as u32;
    let between = Duration::from_secs(u64::from(seconds.div_ceil(PROBES + 1)));
    sockopt::set_tcp_keepidle(descriptor, between)?;
    sockopt::set_tcp_keepintvl(descriptor, between)?;
    sockopt::set_tcp_keepcnt(descriptor, PROBES)?;
    sockopt::set_socket_keepalive(descriptor, true)?;
    Ok(seconds)
}
