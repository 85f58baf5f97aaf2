//! Messages and links between runtimes: over HTTP, as C++ libprocess writes and reads them.
//!
//! # What
//!
//! A message to a process at another address is a request, `POST /<id>/<name>`, that says who sends it; `exchange::codec::message` has it byte for byte. It is delivered like any message by the runtime that listens there, be it
//! one of these or one of C++ libprocess: the router of [`http`](crate::http) takes those that come here. The answer (202, 404, ...) is of no use to a sender, who is elsewhere by then: it is read and thrown away, and nothing waits for it,
//! so a peer that answers late, out of turn or not at all disturbs nothing.
//!
//! # Peers
//!
//! There is one [`Peer`](peer) for each address that is sent to, and one connection for it: messages of all processes go over it in the order in which they were sent. Who sends encodes the message into the peer's memory, under
//! its lock; a [driver](driver), an `async` block, takes all that has gathered and gives it to the kernel at once. It is woken by the first message after it went to sleep, and runs when whoever sent has had its turn: so
//! the messages of a turn go out together.
//!
//! ```text
//!            first message, or link                 connected
//!  (no peer) ──────────────────────► connecting ───────────────────► open ──┐ reads answers, sends
//!      ▲                                 │  ▲                         │ ▲◄──┘
//!      │                         refused │  └──── relink ─────────────┘ │
//!      └─────────────────────────────────┴───◄── broken, or idle ───────┘
//! ```
//!
//! Where nobody is linked to a process there, the connection is temporary: it ends when nothing was sent for a while ([`RemoteOptions::idle_timeout`]). With a link it is persistent.
//!
//! # Links
//!
//! To link to a process elsewhere is to have a connection to its runtime: when that breaks, or cannot be had, every process that linked over it gets `exited`. That is all that a C++ peer can tell. A link is in the peer's table, under its
//! lock, and is taken out of it by whoever tells of its end: so it is told once.
//!
//! # What can go wrong
//!
//! - *A peer that takes nothing.* What waits for it is bounded ([`RemoteOptions::outbound_bytes`]); beyond, messages are refused: dead letters, counted as such. Who wants to wait for room instead [reserves](crate::reserve) it.
//! - *A peer that is gone without a word*: its machine has lost power, or the network is cut. The kernel asks silent peers whether they are there, and gives up on those that acknowledge nothing ([`RemoteOptions::peer_timeout`]). A program that stands still
//!   while its kernel is well is noticed so if more is sent to it than the kernels take; else by a heartbeat.
//! - *A connection that breaks* takes with it what the kernel had and the peer did not: delivery is at most once, as in libprocess. What the kernel did not have is counted among the dead letters. The next message connects anew.
//! - *A peer that asks for answers to addresses that are none of its own* has us connect there. Their number is bounded ([`RemoteOptions::peers`]).
//! - *Order over two connections.* One that was idle has been read to its end before the next begins. One that breaks may leave something with the peer's kernel that is read behind what the next one brings; and a relink says so of itself.

mod driver;
mod links;
mod options;
mod outbound;
mod peer;

pub use options::RemoteOptions;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::{Arc, Mutex, Weak};

use crate::facade::lock_std;
use crate::future::Future;
use crate::process::manager::ProcessManager;
use crate::process::transport::{Refused, Transport};
use crate::process::{
    DeadLetterReason, Message, RawPid, RemoteConnection, SpawnOptions, asynchronous,
};
use driver::Driver;
use links::{LINKS, Links};
use peer::{Asked, Peer, Taken};

const TOO_MANY_PEERS: &str = "there are connections to as many addresses as there may be";

/// The runtimes that this one sends to.
pub(crate) struct Remote {
    options: Arc<RemoteOptions>,
    peers: Mutex<HashMap<SocketAddr, Arc<Peer>>>,
    /// The peers by what was agreed on with them.
    tokens: Mutex<HashMap<u64, Weak<Peer>>>,
    /// For the drivers, each of which takes its peer out at its end.
    this: Weak<Self>,
}

impl Remote {
    pub(crate) fn new(options: RemoteOptions) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            options: Arc::new(options),
            peers: Mutex::default(),
            tokens: Mutex::default(),
            this: Weak::clone(this),
        })
    }

    fn peer(&self, manager: &ProcessManager, address: SocketAddr) -> Option<Arc<Peer>> {
        if !lock_std(&self.peers).contains_key(&address) {
            // It is going to be told, and to find out may take calls of the kernel: not under a lock.
            manager.listening_addresses();
        }
        let mut peers = lock_std(&self.peers);
        let known = peers.len();
        match peers.entry(address) {
            Entry::Occupied(peer) => Some(Arc::clone(peer.get())),
            Entry::Vacant(_) if known >= self.options.peers => None,
            Entry::Vacant(vacant) => {
                let peer = Arc::new(Peer::new(address, Arc::clone(&self.options)));
                Some(Arc::clone(vacant.insert(peer)))
            }
        }
    }

    /// Takes out a peer that is done with.
    fn remove(&self, peer: &Arc<Peer>) {
        let removed = {
            let mut peers = lock_std(&self.peers);
            match peers.entry(peer.address()) {
                Entry::Occupied(known) if Arc::ptr_eq(known.get(), peer) => Some(known.remove()),
                _ => None,
            }
        };
        drop(removed);
    }

    /// The runtime there tells of its processes from here on, by that token.
    fn agreed(&self, peer: &Arc<Peer>, token: u64) {
        lock_std(&self.tokens).insert(token, Arc::downgrade(peer));
    }

    fn forget(&self, token: u64) {
        lock_std(&self.tokens).remove(&token);
    }

    fn of_token(&self, token: u64) -> Option<Arc<Peer>> {
        lock_std(&self.tokens).get(&token)?.upgrade()
    }

    /// Uses a peer in one of the runtime's own threads, and does what that asks.
    fn in_current(&self, peer: &Arc<Peer>, f: impl FnOnce(&ProcessManager) -> Asked) {
        crate::process::in_current(|manager| {
            if let Some(manager) = manager {
                self.follow(manager, peer, f(manager));
            }
        });
    }

    /// Does what is asked of who has just used a peer.
    fn follow(&self, manager: &ProcessManager, peer: &Arc<Peer>, asked: Asked) {
        match asked {
            Asked::Nothing => {}
            Asked::Wake(waker) => waker.wake(),
            Asked::Drive => {
                let driver = Driver::new(
                    Arc::clone(peer),
                    Weak::clone(&self.this),
                    manager.clock().clone(),
                );
                // Discarded by nobody: it ends by itself.
                asynchronous::spawn_async(manager, driver, Location::caller()).detach();
            }
        }
    }
}

impl Transport for Remote {
    fn send(
        &self,
        manager: &ProcessManager,
        (id, address): (&str, SocketAddr),
        message: Message,
        must_take: bool,
    ) -> Result<(), Refused> {
        loop {
            let Some(peer) = self.peer(manager, address) else {
                return Err((message, DeadLetterReason::Full));
            };
            match peer.send(manager, id, &message, must_take) {
                Taken::Yes(asked) => {
                    self.follow(manager, &peer, asked);
                    return Ok(());
                }
                Taken::Full => return Err((message, DeadLetterReason::Full)),
                Taken::TooLarge => {
                    if peer.is_given_up() {
                        self.remove(&peer);
                    }
                    return Err((message, DeadLetterReason::TooLarge));
                }
                // Its driver is about to take it out, and may as well find that done.
                Taken::Retired => self.remove(&peer),
            }
        }
    }

    fn has_room(&self, address: SocketAddr) -> bool {
        let peers = lock_std(&self.peers);
        match peers.get(&address) {
            Some(peer) => peer.has_room(),
            None => peers.len() < self.options.peers,
        }
    }

    fn room(&self, address: SocketAddr) -> Option<Future<()>> {
        let (peer, is_full) = {
            let peers = lock_std(&self.peers);
            let is_full = peers.len() >= self.options.peers;
            (peers.get(&address).cloned(), is_full)
        };
        match peer {
            Some(peer) => peer.room(),
            // Nobody would tell when there is a place.
            None => is_full.then(|| Future::failed(TOO_MANY_PEERS)),
        }
    }

    fn link(
        &self,
        manager: &ProcessManager,
        linker: RawPid,
        (id, address): (&str, SocketAddr),
        connection: RemoteConnection,
    ) {
        loop {
            let Some(peer) = self.peer(manager, address) else {
                return peer::tell_one(linker, id, address);
            };
            match peer.link(manager, linker, id, connection) {
                Some(asked) => return self.follow(manager, &peer, asked),
                None => self.remove(&peer),
            }
        }
    }

    fn unlink(&self, manager: &ProcessManager, linker: RawPid, address: SocketAddr) {
        let peer = lock_std(&self.peers).get(&address).cloned();
        if let Some(peer) = peer {
            self.follow(manager, &peer, peer.unlink(manager, linker));
        }
    }

    fn listens(&self) {
        let links = Links::new(Weak::clone(&self.this));
        // Unless the program has one of that name already.
        drop(crate::spawn_with(SpawnOptions::new().name(LINKS), links));
    }
}

/// A number that nobody guesses.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // As std's tables have their keys: from the operating system, for each thread.
    RandomState::new().hash_one(std::time::Instant::now())
}
