//! What has come on a connection, and who waits for it.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use super::{Begun, Home, Promise, Queue, Told, Waiting, failure};

pub(super) struct Inbound {
    pub(super) waiting: Waiting<Bytes>,
    kept: Queue<Bytes>,
    pub(super) bytes: usize,
    /// The number of the completion of the receive that comes next.
    next: u32,
    /// Those that came before their turn.
    #[expect(
        clippy::box_collection,
        reason = "one word in the many connections that never have any"
    )]
    early: Option<Box<Vec<Received>>>,
    /// Why nothing comes any more; `None` in it: the end of the stream.
    pub(super) ended: Option<Option<Arc<str>>>,
}

/// A completion of a receive.
pub(super) struct Received {
    pub(super) number: u32,
    pub(super) result: io::Result<Bytes>,
    pub(super) more: bool,
}

impl Inbound {
    pub(super) fn new() -> Self {
        Self {
            kept: Queue::new(),
            bytes: 0,
            waiting: Waiting::new(),
            next: 0,
            early: None,
            ended: None,
        }
    }

    /// Of a piece that came in its turn, that one waits for with a future, and behind which more comes: who has it now. Mostly it is that. Nothing else is to be
    /// done: while one waits, nothing is kept that a poller could have, it has not ended, and the receive that is under way goes on.
    ///
    /// Another one is given back, for the long way.
    #[inline(always)]
    pub(super) fn give_to_one(
        &mut self,
        received: Received,
    ) -> Result<(Promise<Bytes>, Bytes), Received> {
        match received {
            Received {
                number,
                result: Ok(bytes),
                more: true,
            } if number == self.next
                && !bytes.is_empty()
                && self.early.as_ref().is_none_or(|early| early.is_empty()) =>
            {
                match self.waiting.pop() {
                    Some(promise) => {
                        self.next = number.wrapping_add(1);
                        Ok((promise, bytes))
                    }
                    None => Err(Received {
                        number,
                        result: Ok(bytes),
                        more: true,
                    }),
                }
            }
            received => Err(received),
        }
    }

    pub(super) fn take_kept(&mut self) -> Option<Bytes> {
        let bytes = self.kept.pop()?;
        self.bytes -= bytes.len();
        Some(bytes)
    }

    /// If something has come for him.
    pub(super) fn poller_to_wake(&mut self) -> Option<Waker> {
        let something = !self.kept.is_empty() || self.ended.is_some();
        self.waiting.poller_to_wake(something)
    }

    /// See [`Waiting::next_place`]. Behind the end nothing comes.
    pub(super) fn next_place(&mut self, home: &Home) -> Option<Begun> {
        if self.ended.is_some() {
            return None;
        }
        let place = self.waiting.next_place(home)?;
        self.next = 0;
        Some(place)
    }

    /// Gives it back if its turn has come, as mostly; else it is kept until then.
    pub(super) fn in_turn(&mut self, received: Received) -> Option<Received> {
        if received.number != self.next {
            self.early.get_or_insert_default().push(received);
            return None;
        }
        self.next = self.next.wrapping_add(1);
        Some(received)
    }

    /// The one whose turn it is, if it has come: two threads may bring two pieces, and the later one first.
    pub(super) fn next_received(&mut self) -> Option<Received> {
        let next = self.next;
        let early = self.early.as_mut()?;
        let index = early.iter().position(|received| received.number == next)?;
        self.next = next.wrapping_add(1);
        Some(early.swap_remove(index))
    }

    pub(super) fn take_in(&mut self, result: io::Result<Bytes>, told: &mut Told<Bytes>) {
        match result {
            Ok(bytes) if bytes.is_empty() => self.end(None, told),
            Ok(bytes) => {
                if let Some(promise) = self.waiting.pop() {
                    told.push((promise, Ok(bytes)));
                } else if self.ended.is_none() {
                    self.bytes += bytes.len();
                    self.kept.push(bytes);
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
            Err(error) => self.end(Some(Arc::from(failure("receive", &error))), told),
        }
    }

    fn end(&mut self, reason: Option<Arc<str>>, told: &mut Told<Bytes>) {
        self.ended.get_or_insert(reason.clone());
        for promise in self.waiting.take_all() {
            let outcome = reason.clone().map_or_else(|| Ok(Bytes::new()), Err);
            told.push((promise, outcome));
        }
    }
}
