//! What is to be sent to a peer, as bytes.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::exchange::{MESSAGE_END, NOBODY, message_fields, put_message, sender_text};
use crate::process::manager::ProcessManager;
use crate::process::{Message, Upid, directory};

/// What memory for messages has room for at least, and at most before there is that much.
const ROOM: std::ops::RangeInclusive<usize> = 512..=64 << 10;

/// Bytes of an id and a name together: escaped they are three times as many at most, and less than any of these runtimes takes.
const LONGEST_NAMES: usize = 2_500;

/// Senders whose fields are kept as bytes.
const SENDERS: usize = 4;

#[derive(Default)]
pub(super) struct Outbound {
    /// First the pieces, then what is in `out`.
    pieces: Vec<Bytes>,
    out: Vec<u8>,
    /// How much was taken from there last, as a guess for the next time.
    room: usize,
    bytes: usize,
    messages: u64,
    senders: Vec<Sender>,
    next_sender: usize,
}

/// A process that has sent messages, and what each of them says of it.
struct Sender {
    upid: Upid,
    fields: Vec<u8>,
}

impl Outbound {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that were put in and not taken.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends a message, unless it is more than is sent: a peer that refuses one closes the connection, which is also that of others.
    #[must_use]
    pub(super) fn put(
        &mut self,
        manager: &ProcessManager,
        host: SocketAddr,
        id: &str,
        message: &Message,
        most: usize,
    ) -> bool {
        let names = id.len().saturating_add(message.name.len());
        if message.body.len() > most || names > LONGEST_NAMES {
            return false;
        }
        let sender = self.sender(manager, host, &message.from);
        if self.senders[sender].fields.len() > 2 * LONGEST_NAMES {
            // The sender's id is in there twice.
            return false;
        }
        if self.out.capacity() == 0 {
            self.out
                .reserve(self.room.clamp(*ROOM.start(), *ROOM.end()));
        }
        let before = self.out.len();
        let fields = &self.senders[sender].fields;
        let long = put_message(&mut self.out, id, &message.name, fields, &message.body);
        self.bytes += self.out.len() - before;
        self.messages += 1;
        if let Some(body) = long {
            self.bytes += body.len() + MESSAGE_END.len();
            self.close_piece();
            self.pieces.push(body);
            self.pieces.push(Bytes::from_static(MESSAGE_END));
        }
        true
    }

    /// What there is, for the kernel.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.close_piece();
        self.bytes = 0;
        self.messages = 0;
        std::mem::take(&mut self.pieces)
    }

    fn close_piece(&mut self) {
        if !self.out.is_empty() {
            self.room = self.out.len().next_power_of_two();
            self.pieces.push(std::mem::take(&mut self.out).into());
        }
    }

    /// Where that sender's fields are kept.
    fn sender(&mut self, manager: &ProcessManager, host: SocketAddr, upid: &Upid) -> usize {
        let known = self.senders.iter().position(|sender| sender.upid == *upid);
        known.unwrap_or_else(|| self.keep_sender(manager, host, upid))
    }

    #[cold]
    fn keep_sender(&mut self, manager: &ProcessManager, host: SocketAddr, upid: &Upid) -> usize {
        let text = match (upid.as_local(), upid.id(), upid.address()) {
            (Some(pid), ..) => directory::id_of(pid)
                .map(|id| sender_text(&id, manager.listening_addresses().advertised)),
            (None, Some(id), Some(address)) => Some(sender_text(&id, address)),
            _ => None,
        };
        let sender = Sender {
            upid: upid.clone(),
            fields: message_fields(text.as_deref().unwrap_or(NOBODY), host),
        };
        if self.senders.len() < SENDERS {
            self.senders.push(sender);
            return self.senders.len() - 1;
        }
        let place = self.next_sender;
        self.next_sender = (place + 1) % SENDERS;
        self.senders[place] = sender;
        place
    }
}
