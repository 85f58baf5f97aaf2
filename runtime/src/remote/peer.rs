//! Another runtime, as this one knows it: what is to be sent there, and who is linked to whom there.
//!
//! # States
//!
//! A peer is *new* until it is first used, *driven* while it has a driver, and *retired* when that has ended, for whatever reason. A retired one takes nothing: who finds it so takes it out of the table and uses another, which is new. So the
//! messages of a connection that has ended and of the one behind it never mix.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use bytes::Bytes;

use super::RemoteOptions;
use super::outbound::Outbound;
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::process::manager::ProcessManager;
use crate::process::{
    ExitReason, ExitedEvent, Message, RawPid, RemoteConnection, Upid, deliver, guarded,
};

pub(super) struct Peer {
    address: SocketAddr,
    options: Arc<RemoteOptions>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    outbound: Outbound,
    /// Bytes that the driver has taken, and the kernel has not.
    under_way: usize,
    /// The driver's, while it waits; whether for messages.
    waker: Option<Waker>,
    awaits_messages: bool,
    /// Whether another connection is wanted than the one that there is, or that is about to be.
    relinks: bool,
    /// Who is linked, by the id of the process there.
    links: HashMap<Arc<str>, BTreeSet<RawPid>>,
    /// Who waits for room.
    waiting: Vec<Promise<()>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    New,
    Driven,
    Retired,
}

/// What is left to do for who has used a peer, once its lock is let go.
pub(super) enum Asked {
    Nothing,
    Wake(Waker),
    /// To make the driver.
    Drive,
}

/// Whether a message was taken.
pub(super) enum Taken {
    Yes(Asked),
    Full,
    Retired,
}

/// What the driver finds to do.
pub(super) enum Next {
    /// To connect anew.
    Relink,
    Send(Vec<Bytes>),
    /// It will be woken.
    Nothing,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, options: Arc<RemoteOptions>) -> Self {
        Self {
            address,
            options,
            state: Mutex::default(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn options(&self) -> &RemoteOptions {
        &self.options
    }

    /// Takes a message for the process of that id, if there is room, or it must.
    pub(super) fn send(
        &self,
        manager: &ProcessManager,
        id: &str,
        message: &Message,
        must_take: bool,
    ) -> Taken {
        let mut state = lock_std(&self.state);
        if state.phase == Phase::Retired {
            return Taken::Retired;
        }
        if !must_take && state.is_full(&self.options) {
            return Taken::Full;
        }
        state.outbound.put(manager, self.address, id, message);
        Taken::Yes(state.ask())
    }

    pub(super) fn has_room(&self) -> bool {
        !lock_std(&self.state).is_full(&self.options)
    }

    /// Ready when there is room; `None` if there is.
    pub(super) fn room(&self) -> Option<Future<()>> {
        let mut state = lock_std(&self.state);
        if !state.is_full(&self.options) {
            return None;
        }
        // Those who gave up would pile up otherwise.
        let given_up: Vec<_> = state
            .waiting
            .extract_if(.., |promise| promise.is_unwatched())
            .collect();
        let (promise, room) = Promise::pair();
        state.waiting.push(promise);
        drop(state);
        // Outside of the lock: to drop a promise runs callbacks.
        drop(given_up);
        Some(room)
    }

    /// Links a process to the one of that id. `None` if the peer is retired.
    pub(super) fn link(
        &self,
        linker: RawPid,
        id: &str,
        connection: RemoteConnection,
    ) -> Option<Asked> {
        let mut state = lock_std(&self.state);
        if state.phase == Phase::Retired {
            return None;
        }
        match state.links.get_mut(id) {
            Some(linkers) => linkers.insert(linker),
            None => state.links.entry(id.into()).or_default().insert(linker),
        };
        if connection == RemoteConnection::Reconnect && state.phase == Phase::Driven {
            state.relinks = true;
            return Some(state.waker.take().map_or(Asked::Nothing, Asked::Wake));
        }
        Some(match state.phase {
            Phase::New => state.ask(),
            _ => Asked::Nothing,
        })
    }

    /// That process is not linked to any there any more. Gives who is to be told that none is.
    pub(super) fn unlink(&self, linker: RawPid) -> Option<Waker> {
        let mut state = lock_std(&self.state);
        state.links.retain(|_, linkers| {
            linkers.remove(&linker);
            !linkers.is_empty()
        });
        if state.links.is_empty() {
            state.waker.take()
        } else {
            None
        }
    }

    /// What the driver is to do next, which may send unless something is under way. `sent`: nothing is, any more.
    pub(super) fn next(&self, sent: bool, may_send: bool, waker: &Waker) -> Next {
        let mut state = lock_std(&self.state);
        let mut roomy = Vec::new();
        if sent {
            state.under_way = 0;
        }
        let next = if std::mem::take(&mut state.relinks) {
            Next::Relink
        } else if may_send && !state.outbound.is_empty() {
            state.under_way = state.outbound.bytes();
            Next::Send(state.outbound.take())
        } else {
            let kept = &mut state.waker;
            if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                *kept = Some(waker.clone());
            }
            state.awaits_messages = may_send;
            Next::Nothing
        };
        if !state.waiting.is_empty() && !state.is_full(&self.options) {
            roomy = std::mem::take(&mut state.waiting);
        }
        drop(state);
        for promise in roomy {
            guarded("a callback of room for a message", || {
                promise.set(());
            });
        }
        next
    }

    /// Whether somebody is linked to a process there.
    pub(super) fn is_linked(&self) -> bool {
        !lock_std(&self.state).links.is_empty()
    }

    /// Retires a peer of which nobody wants anything. False if somebody does.
    pub(super) fn retire(&self) -> bool {
        let mut state = lock_std(&self.state);
        let is_done = state.outbound.is_empty() && state.links.is_empty() && !state.relinks;
        if is_done {
            state.phase = Phase::Retired;
        }
        is_done
    }

    /// The driver has ended: what was not sent is lost, and who was linked is told. Gives how many messages are lost for sure.
    pub(super) fn end(&self) -> u64 {
        let State {
            outbound,
            links,
            waiting,
            ..
        } = {
            let mut state = lock_std(&self.state);
            let ended = State {
                phase: Phase::Retired,
                ..State::default()
            };
            std::mem::replace(&mut *state, ended)
        };
        for (id, linkers) in links {
            for linker in linkers {
                tell(linker, &id, self.address);
            }
        }
        for promise in waiting {
            // There is room, of another connection.
            guarded("a callback of room for a message", || {
                promise.set(());
            });
        }
        outbound.messages()
    }
}

impl State {
    fn is_full(&self, options: &RemoteOptions) -> bool {
        self.outbound.bytes() + self.under_way >= options.outbound_bytes.max(1)
    }

    /// There is something for the driver.
    fn ask(&mut self) -> Asked {
        if self.phase == Phase::New {
            self.phase = Phase::Driven;
            return Asked::Drive;
        }
        if std::mem::take(&mut self.awaits_messages)
            && let Some(waker) = &self.waker
        {
            return Asked::Wake(waker.clone());
        }
        Asked::Nothing
    }
}

/// Tells a process that one that it linked to has ended, as far as can be known.
fn tell(linker: RawPid, id: &Arc<str>, address: SocketAddr) {
    let exited = ExitedEvent {
        pid: Upid::new(&**id, address),
        id: Arc::clone(id),
        reason: ExitReason::Disconnected,
    };
    deliver(linker, exited.allocate());
}

/// As `tell`, where there never was a connection.
pub(super) fn tell_one(linker: RawPid, id: &str, address: SocketAddr) {
    tell(linker, &id.into(), address);
}
