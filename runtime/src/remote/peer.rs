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

use super::links::{LINKS, UNANSWERED, link_messages, renew_message, unlink_messages};
use super::outbound::Outbound;
use super::{RemoteOptions, random};
use crate::facade::lock_std;
use crate::future::{Future, Promise};
use crate::process::manager::ProcessManager;
use crate::process::{
    DeadLetter, DeadLetterReason, EventKind, ExitReason, ExitedEvent, Message, REMEMBERED_LETTERS,
    RawPid, RemoteConnection, Upid, deliver, guarded,
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
    /// Bytes, and messages, that the driver has taken, and the kernel has not all of.
    under_way: usize,
    messages_under_way: u64,
    /// The driver's, while it waits; whether for messages.
    waker: Option<Waker>,
    awaits_messages: bool,
    /// Whether another connection is wanted than the one that there is, or that is about to be.
    relinks: bool,
    /// Who is linked, by the id of the process there.
    links: HashMap<Arc<str>, Link>,
    /// What the runtime there and this one agreed on, if it is one of these.
    agreement: Option<Agreement>,
    /// Who waits for room.
    waiting: Vec<Promise<()>>,
    /// Whether there is a connection; and, while there is none, the first messages that wait for it, as letters if it cannot be had.
    is_connected: bool,
    letters: Vec<DeadLetter>,
}

#[derive(Default)]
struct Link {
    linkers: BTreeSet<RawPid>,
    /// In the agreement.
    number: u64,
}

/// See [`links`](super::links).
struct Agreement {
    token: u64,
    /// As whom this runtime says what it says.
    from: Upid,
    /// The number that the last link has, and which link is of which number.
    last: u64,
    numbers: HashMap<u64, Arc<str>>,
    /// Whether anything was answered; and how many renewals were not since.
    is_mutual: bool,
    unanswered: u32,
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
    TooLarge,
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
        if !state.outbound.put(
            manager,
            self.address,
            id,
            message,
            self.options.message_bytes,
        ) {
            return Taken::TooLarge;
        }
        if !state.is_connected && state.letters.len() < REMEMBERED_LETTERS {
            state.letters.push(DeadLetter {
                to: Upid::new(id, self.address),
                from: message.from.clone(),
                kind: EventKind::Message,
                name: message.name.clone(),
                reason: DeadLetterReason::Disconnected,
            });
        }
        Taken::Yes(state.ask())
    }

    /// Retires a peer that was made for what it did not take. False if somebody uses it.
    pub(super) fn is_given_up(&self) -> bool {
        let mut state = lock_std(&self.state);
        if state.phase == Phase::New {
            state.phase = Phase::Retired;
        }
        state.phase == Phase::Retired
    }

    /// Whether another connection is wanted, which is to be there for what comes from here on.
    pub(super) fn takes_relink(&self) -> bool {
        lock_std(&self.state).takes_relink()
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
        manager: &ProcessManager,
        linker: RawPid,
        id: &str,
        connection: RemoteConnection,
    ) -> Option<Asked> {
        let mut state = lock_std(&self.state);
        if state.phase == Phase::Retired {
            return None;
        }
        let is_new = match state.links.get_mut(id) {
            Some(link) => {
                link.linkers.insert(linker);
                false
            }
            None => {
                let link = state.links.entry(id.into()).or_default();
                link.linkers.insert(linker);
                true
            }
        };
        if connection == RemoteConnection::Reconnect && state.phase == Phase::Driven {
            state.relinks = true;
            return Some(state.waker.take().map_or(Asked::Nothing, Asked::Wake));
        }
        if is_new && state.agreement.is_some() {
            return Some(state.say_link(manager, self.address, id));
        }
        Some(match state.phase {
            Phase::New => state.ask(),
            // It may be the first one, of which the driver is to see to an agreement.
            _ if is_new => state.waker.take().map_or(Asked::Nothing, Asked::Wake),
            _ => Asked::Nothing,
        })
    }

    /// That process is not linked to any there any more.
    pub(super) fn unlink(&self, manager: &ProcessManager, linker: RawPid) -> Asked {
        let mut state = lock_std(&self.state);
        let mut left = Vec::new();
        state.links.retain(|_, link| {
            link.linkers.remove(&linker);
            if link.linkers.is_empty() {
                left.push(link.number);
            }
            !link.linkers.is_empty()
        });
        if left.is_empty() {
            return Asked::Nothing;
        }
        let asked = state.say_unlinked(manager, self.address, &left);
        match asked {
            // That there is no link, so that it may end.
            Asked::Nothing => state.waker.take().map_or(Asked::Nothing, Asked::Wake),
            asked => asked,
        }
    }

    /// The runtime there is one of these: agrees with it on a token, and says which links there are.
    pub(super) fn agree(&self, manager: &ProcessManager) -> Option<u64> {
        let address = manager.listening_addresses().advertised;
        let mut state = lock_std(&self.state);
        if address.port() == 0 || state.phase != Phase::Driven {
            // It could not answer.
            return None;
        }
        let token = random();
        state.agreement = Some(Agreement {
            token,
            from: Upid::new(LINKS, address),
            last: 0,
            numbers: HashMap::new(),
            is_mutual: false,
            unanswered: 0,
        });
        // The driver, which calls this, looks again.
        let _asked = state.say_links(manager, self.address);
        Some(token)
    }

    /// What is told is of another connection from here on. Gives the token that is past.
    pub(super) fn disagree(&self) -> Option<u64> {
        let agreement = lock_std(&self.state).agreement.take();
        agreement.map(|agreement| agreement.token)
    }

    /// The runtime there has forgotten what it was told.
    pub(super) fn say_links(&self, manager: &ProcessManager, token: u64) -> Asked {
        let mut state = lock_std(&self.state);
        if state.agreement_of(token).is_none() {
            return Asked::Nothing;
        }
        state.say_links(manager, self.address)
    }

    /// The runtime there has answered for its links.
    pub(super) fn renewed(&self, token: u64) {
        let mut state = lock_std(&self.state);
        if let Some(agreement) = state.agreement_of(token) {
            agreement.is_mutual = true;
            agreement.unanswered = 0;
        }
    }

    /// Renews the links, or else has the peer answer something: any runtime answers a message, also one to nobody. False: renewals were not answered for too long.
    pub(super) fn say_something(&self, manager: &ProcessManager, renews: bool) -> bool {
        let mut state = lock_std(&self.state);
        let message = match &mut state.agreement {
            Some(agreement) => {
                if renews && agreement.is_mutual {
                    agreement.unanswered += 1;
                }
                if agreement.unanswered > UNANSWERED {
                    return false;
                }
                renew_message(&agreement.from, agreement.token)
            }
            None => Message {
                name: "heartbeat".into(),
                from: Upid::nobody(),
                body: Bytes::new(),
            },
        };
        // The driver, which calls this, looks again.
        let _asked = state.say(manager, self.address, [message]);
        true
    }

    /// The runtime there says that these processes have ended.
    pub(super) fn told(
        &self,
        manager: &ProcessManager,
        token: u64,
        ends: impl IntoIterator<Item = (u64, ExitReason)>,
    ) -> Asked {
        let (ended, asked) = {
            let mut state = lock_std(&self.state);
            let Some(last) = state.agreement_of(token).map(|agreement| agreement.last) else {
                return Asked::Nothing;
            };
            let mut ended = Vec::new();
            // Also those that were known: they are said until this is. None that no link ever had.
            let mut numbers = BTreeSet::new();
            for (number, reason) in ends.into_iter().filter(|(number, _)| *number <= last) {
                numbers.insert(number);
                let agreement = state.agreement_of(token);
                let id = agreement.and_then(|agreement| agreement.numbers.remove(&number));
                if let Some((id, link)) = id.and_then(|id| state.links.remove_entry(&id)) {
                    ended.push((id, link, reason));
                }
            }
            let numbers: Vec<_> = numbers.into_iter().collect();
            (ended, state.say_unlinked(manager, self.address, &numbers))
        };
        for (id, link, reason) in ended {
            for linker in link.linkers {
                tell(linker, &id, self.address, &reason);
            }
        }
        asked
    }

    /// The driver has a connection, or none any more.
    pub(super) fn set_connected(&self, is_connected: bool) {
        let letters = {
            let mut state = lock_std(&self.state);
            state.is_connected = is_connected;
            if is_connected {
                std::mem::take(&mut state.letters)
            } else {
                Vec::new()
            }
        };
        drop(letters);
    }

    /// What the driver is to do next, which may send unless something is under way. `sent`: nothing is, any more.
    pub(super) fn next(&self, sent: bool, may_send: bool, waker: &Waker) -> Next {
        let mut state = lock_std(&self.state);
        let mut roomy = Vec::new();
        if sent {
            (state.under_way, state.messages_under_way) = (0, 0);
        }
        let next = if state.takes_relink() {
            Next::Relink
        } else if may_send && !state.outbound.is_empty() {
            state.under_way = state.outbound.bytes();
            state.messages_under_way = state.outbound.messages();
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

    /// The driver has ended: what was not sent is lost, and who was linked is told. Gives how many messages were not sent, or not all of them, and those that are known.
    pub(super) fn end(&self) -> (u64, Vec<DeadLetter>) {
        let State {
            outbound,
            links,
            waiting,
            letters,
            messages_under_way,
            ..
        } = {
            let mut state = lock_std(&self.state);
            let ended = State {
                phase: Phase::Retired,
                ..State::default()
            };
            std::mem::replace(&mut *state, ended)
        };
        for (id, link) in links {
            for linker in link.linkers {
                tell(linker, &id, self.address, &ExitReason::Disconnected);
            }
        }
        for promise in waiting {
            // There is room, of another connection.
            guarded("a callback of room for a message", || {
                promise.set(());
            });
        }
        (outbound.messages() + messages_under_way, letters)
    }
}

impl State {
    fn takes_relink(&mut self) -> bool {
        let relinks = std::mem::take(&mut self.relinks);
        if relinks {
            // What is under way stays with the connection that is left.
            (self.under_way, self.messages_under_way) = (0, 0);
        }
        relinks
    }

    fn is_full(&self, options: &RemoteOptions) -> bool {
        self.outbound.bytes() + self.under_way >= options.outbound_bytes.max(1)
    }

    fn agreement_of(&mut self, token: u64) -> Option<&mut Agreement> {
        self.agreement
            .as_mut()
            .filter(|agreement| agreement.token == token)
    }

    /// Sends messages to the process that keeps links there.
    fn say(
        &mut self,
        manager: &ProcessManager,
        to: SocketAddr,
        messages: impl IntoIterator<Item = Message>,
    ) -> Asked {
        for message in messages {
            let _is_short = self.outbound.put(manager, to, LINKS, &message, usize::MAX);
        }
        self.ask()
    }

    /// Gives each link a number, and says which there are.
    fn say_links(&mut self, manager: &ProcessManager, to: SocketAddr) -> Asked {
        let Some(agreement) = &mut self.agreement else {
            return Asked::Nothing;
        };
        agreement.numbers.clear();
        for (id, link) in &mut self.links {
            agreement.number(id, link);
        }
        let links = agreement.numbers.iter();
        let links = links.map(|(number, id)| (*number, &**id));
        let messages = link_messages(&agreement.from, agreement.token, links);
        self.say(manager, to, messages)
    }

    /// As `say_links`, of one that is new.
    fn say_link(&mut self, manager: &ProcessManager, to: SocketAddr, id: &str) -> Asked {
        let (Some(agreement), Some(link)) = (&mut self.agreement, self.links.get_mut(id)) else {
            return Asked::Nothing;
        };
        let number = agreement.number(&id.into(), link);
        let messages = link_messages(&agreement.from, agreement.token, [(number, id)]);
        self.say(manager, to, messages)
    }

    /// Says that nobody is linked there by links of these numbers.
    fn say_unlinked(&mut self, manager: &ProcessManager, to: SocketAddr, numbers: &[u64]) -> Asked {
        let Some(agreement) = &mut self.agreement else {
            return Asked::Nothing;
        };
        for number in numbers {
            agreement.numbers.remove(number);
        }
        let numbers = numbers.iter().copied();
        let messages = unlink_messages(&agreement.from, agreement.token, numbers);
        self.say(manager, to, messages)
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

impl Agreement {
    fn number(&mut self, id: &Arc<str>, link: &mut Link) -> u64 {
        self.last += 1;
        link.number = self.last;
        self.numbers.insert(self.last, Arc::clone(id));
        self.last
    }
}

/// Tells a process that one that it linked to has ended, as far as can be known.
fn tell(linker: RawPid, id: &Arc<str>, address: SocketAddr, reason: &ExitReason) {
    let exited = ExitedEvent {
        pid: Upid::new(&**id, address),
        id: Arc::clone(id),
        reason: reason.clone(),
    };
    deliver(linker, exited.allocate());
}

/// As `tell`, where there never was a connection.
pub(super) fn tell_one(linker: RawPid, id: &str, address: SocketAddr) {
    tell(linker, &id.into(), address, &ExitReason::Disconnected);
}
