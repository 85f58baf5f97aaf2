//! The operations that the kernel has, by the number under which it has them.
//!
//! A place is used again once the kernel has told of the operation's end, behind which it says no more of it. Should it do so all the same (as 5.19 may, where more connections come than
//! the completion queue holds), the mark in the number tells that it is not of the one that has the place now.

use bytes::Bytes;
use rustc_hash::FxHashMap;
use slab::Slab;
use std::mem;

use super::super::{Operation, OperationId, fetch_handler};
use crate::prefetch::prefetch;

/// An operation under way. One line of the processor's cache: of a thousand connections none of this is in it when something comes.
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) memory: Option<Box<Memory>>,
    /// How many completions there were.
    pub(super) completions: u32,
    pub(super) cancelled: bool,
    /// It was submitted as one that goes on.
    pub(super) multishot: bool,
    /// A connect that the kernel has cancelled, and whose socket goes on connecting.
    pub(super) goes_on_connecting: bool,
}

impl Entry {
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            operation,
            memory: None,
            completions: 0,
            cancelled: false,
            multishot: false,
            goes_on_connecting: false,
        }
    }
}

/// What the kernel uses until an operation's end, and most operations do without.
pub(super) enum Memory {
    /// What it receives into.
    Buffer(Vec<u8>),
    /// What it is told of where there are several pieces to send.
    Message(Message),
}

impl Memory {
    /// An empty buffer of this capacity, the same each time.
    pub(super) fn buffer(of: &mut Option<Box<Self>>, capacity: usize) -> &mut Vec<u8> {
        let buffer = of.get_or_insert_with(|| Box::new(Self::Buffer(Vec::new())));
        if !matches!(**buffer, Self::Buffer(_)) {
            **buffer = Self::Buffer(Vec::new());
        }
        match &mut **buffer {
            Self::Buffer(buffer) => {
                buffer.reserve_exact(capacity);
                buffer
            }
            Self::Message(_) => unreachable!("replaced above"),
        }
    }

    /// How sendmsg(2) is told of these pieces, which outlive the operation.
    pub(super) fn message(of: &mut Option<Box<Self>>, pieces: &[Bytes]) -> *const libc::msghdr {
        match &**of.insert(Box::new(Self::Message(Message::new(pieces)))) {
            Self::Message(message) => &raw const message.header,
            Self::Buffer(_) => unreachable!("inserted above"),
        }
    }
}

/// Several pieces to send.
pub(super) struct Message {
    header: libc::msghdr,
    /// The header points to it.
    _pieces: Box<[libc::iovec]>,
}

// SAFETY: it points to its own memory, and to bytes that may be sent to other threads.
unsafe impl Send for Message {}

impl Message {
    fn new(pieces: &[Bytes]) -> Self {
        let pieces = pieces.iter().map(|piece| libc::iovec {
            iov_base: piece.as_ptr().cast_mut().cast(),
            iov_len: piece.len(),
        });
        let mut pieces: Box<[_]> = pieces.collect();
        // SAFETY: of numbers and pointers, each of which may be zero.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = pieces.as_mut_ptr();
        header.msg_iovlen = pieces.len();
        Self {
            header,
            _pieces: pieces,
        }
    }
}

/// As many as operations are under way, which is at most two for each socket.
pub(super) struct Operations {
    entries: Slab<Entry>,
    numbers: FxHashMap<OperationId, u64>,
}

impl Operations {
    /// Numbers below mean something to the driver itself.
    pub(super) const FIRST: u64 = 16;

    pub(super) fn new() -> Self {
        Self {
            entries: Slab::new(),
            numbers: FxHashMap::default(),
        }
    }

    /// Gives its number.
    pub(super) fn insert(&mut self, entry: Entry) -> u64 {
        let id = entry.operation.id;
        let number = number(self.entries.insert(entry), id);
        self.numbers.insert(id, number);
        number
    }

    pub(super) fn number_of(&self, id: OperationId) -> Option<u64> {
        self.numbers.get(&id).copied()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(index(number))?;
        (mark(entry.operation.id) == mark_of(number)).then_some(entry)
    }

    /// Has the entry of this number fetched, if there is one. To look for it waits for a part of it; but the processor looks for those of several calls at a time.
    pub(super) fn prefetch(&self, number: u64) {
        if let Some(entry) = self.entries.get(index(number)) {
            prefetch(entry, 1);
        }
    }

    /// The same of who is told, as far as it is touched before that.
    pub(super) fn prefetch_handler(&self, number: u64) {
        if let Some(entry) = self.entries.get(index(number)) {
            fetch_handler(&entry.operation.handler, 1);
        }
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        self.get_mut(number)?;
        let entry = self.entries.try_remove(index(number))?;
        self.numbers.remove(&entry.operation.id);
        Some(entry)
    }

    /// Marks all as cancelled, and gives their numbers.
    pub(super) fn cancel_all(&mut self) -> impl Iterator<Item = u64> {
        self.entries.iter_mut().map(|(index, entry)| {
            entry.cancelled = true;
            number(index, entry.operation.id)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Default for Operations {
    fn default() -> Self {
        Self::new()
    }
}

/// What tells an operation from those that had its place before.
fn mark(id: OperationId) -> u64 {
    id.0 & (u64::from(u32::MAX) >> 1)
}

fn mark_of(number: u64) -> u64 {
    number >> 32
}

/// A number has the operation's place and mark, and its highest bit is not set. There are not so many places that they would run into the mark.
fn number(index: usize, id: OperationId) -> u64 {
    mark(id) << 32 | (index as u64 + Operations::FIRST)
}

/// Of a number below the first, one that nobody has.
fn index(number: u64) -> usize {
    (number & u64::from(u32::MAX)).wrapping_sub(Operations::FIRST) as usize
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use super::super::super::{Action, Nobody, Socket};
    use super::*;

    fn entry() -> Entry {
        let end: OwnedFd =
            rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).expect("a descriptor");
        Entry::new(Operation {
            id: OperationId::new(),
            socket: Socket::unix(end),
            action: Action::Receive,
            handler: Arc::new(Nobody),
        })
    }

    /// Also where it is kept: what tells a vacant place takes no room.
    #[test]
    fn an_operation_has_one_line() {
        let mut operations = Operations::new();
        let numbers = [operations.insert(entry()), operations.insert(entry())];
        let [first, second] =
            numbers.map(|number| std::ptr::from_mut(operations.get_mut(number).unwrap()) as usize);
        assert_eq!((first % 64, second - first), (0, 64));
    }

    #[test]
    fn a_place_is_used_again_and_its_number_is_not() {
        let mut operations = Operations::new();
        let (first, second) = (entry(), entry());
        let (first_id, second_id) = (first.operation.id, second.operation.id);
        let number = operations.insert(first);
        assert!(number >= Operations::FIRST);
        assert_eq!(operations.number_of(first_id), Some(number));
        assert!(operations.remove(number).is_some() && operations.remove(number).is_none());
        let next = operations.insert(second);
        assert_eq!(index(next), index(number));
        assert!(operations.get_mut(number).is_none(), "of the one before");
        assert!(operations.remove(number).is_none());
        assert_eq!(operations.number_of(first_id), None);
        assert_eq!(operations.number_of(second_id), Some(next));
        assert_eq!(operations.cancel_all().collect::<Vec<_>>(), [next]);
        assert!(operations.get_mut(next).unwrap().cancelled);
        assert_eq!(operations.len(), 1);
    }
}
