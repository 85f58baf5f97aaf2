//! What is to go out of a connection, in order.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{Connecting, Told, failure};
use crate::future::Promise;
use crate::reactor::{Behind, Data};

pub(super) struct Outbound {
    /// While there is anything in it, a send of the first ones is under way.
    pub(super) queue: VecDeque<Outgoing>,
    pub(super) failed: Option<Arc<str>>,
    /// The peer was told that nothing more comes: then `failed` says so, too.
    pub(super) is_shut: bool,
    pub(super) connecting: Option<Box<Connecting>>,
    /// For the data of the next send that waits.
    pub(super) spare_data: Option<Box<Data>>,
}

pub(super) enum Outgoing {
    /// Whoever sends several has a promise with the last one. Empty while a send of it is under way that waits: the bytes are with the operation.
    Data(Bytes, Option<Promise<()>>),
    Shutdown(Option<Promise<()>>),
}

impl Outgoing {
    /// Of what a send has: never of an end.
    fn data_mut(&mut self) -> &mut Bytes {
        match self {
            Self::Data(data, _) => data,
            Self::Shutdown(_) => unreachable!("a send has what is before an end"),
        }
    }
}

impl Outbound {
    /// What the next send has: all data that there is before anything else, but for a bound.
    fn next_pieces(&self) -> impl Iterator<Item = &Bytes> {
        let pieces = self.queue.iter().map_while(|outgoing| match outgoing {
            Outgoing::Data(data, _) => Some(data),
            Outgoing::Shutdown(_) => None,
        });
        pieces.take(Data::MOST_PIECES)
    }

    /// For a send that waits: moved out of the queue, until [`take_back`](Self::take_back).
    pub(super) fn take_next_data(&mut self) -> Box<Data> {
        let count = self.next_pieces().count();
        let mut pieces = self.queue.iter_mut().take(count).map(Outgoing::data_mut);
        let spare = self.spare_data.take();
        let mut data = spare.unwrap_or_else(|| Box::new(Data::One(Bytes::new())));
        if count <= 1 {
            *data = Data::One(pieces.next().map(mem::take).unwrap_or_default());
        } else if let Data::Several(kept) = &mut *data {
            kept.extend(pieces.map(mem::take));
        } else {
            *data = Data::Several(pieces.map(mem::take).collect());
        }
        data
    }

    /// The send has ended, and its data are back.
    pub(super) fn take_back(&mut self, mut data: Box<Data>) {
        let mut outgoing = self.queue.iter_mut().map(Outgoing::data_mut);
        match &mut *data {
            Data::One(piece) => {
                if let Some(place) = outgoing.next() {
                    *place = mem::take(piece);
                }
            }
            Data::Several(pieces) => {
                for (piece, place) in pieces.drain(..).zip(outgoing) {
                    *place = piece;
                }
            }
        }
        self.spare_data = Some(data);
    }

    /// What comes behind the next send.
    pub(super) fn behind(&self) -> Behind {
        match self.queue.get(self.next_pieces().count()) {
            Some(Outgoing::Shutdown(_)) => Behind::End,
            _ => Behind::Unknown,
        }
    }

    /// Hands them to a send.
    pub(super) fn with_next_pieces(&self, send: &mut dyn FnMut(&[IoSlice<'_>])) {
        let mut pieces = self.next_pieces().map(|piece| IoSlice::new(piece));
        let Some(first) = pieces.next() else { return };
        match pieces.next() {
            None => send(&[first]),
            Some(second) => {
                send(
                    &[first, second]
                        .into_iter()
                        .chain(pieces)
                        .collect::<Vec<_>>(),
                );
            }
        }
    }

    /// So much of it is sent. True: the first piece is not all sent.
    pub(super) fn sent(&mut self, result: io::Result<usize>, ended: &mut Told<()>) -> bool {
        let mut sent = match result {
            Ok(sent) => sent,
            Err(error) => {
                let reason = Arc::from(failure("send", &error));
                self.fail(&reason, ended);
                return false;
            }
        };
        while let Some(Outgoing::Data(data, _)) = self.queue.front_mut() {
            if sent < data.len() {
                data.advance(sent);
                return true;
            }
            sent -= data.len();
            self.ended(ended);
            if sent == 0 {
                break;
            }
        }
        false
    }

    /// The first one has.
    pub(super) fn ended(&mut self, ended: &mut Told<()>) {
        if let Some(Outgoing::Data(_, Some(promise)) | Outgoing::Shutdown(Some(promise))) =
            self.queue.pop_front()
        {
            ended.push((promise, Ok(())));
        }
    }

    /// All of them, and those to come.
    pub(super) fn fail(&mut self, reason: &Arc<str>, ended: &mut Told<()>) {
        self.failed = Some(Arc::clone(reason));
        for outgoing in mem::take(&mut self.queue) {
            if let Outgoing::Data(_, Some(promise)) | Outgoing::Shutdown(Some(promise)) = outgoing {
                ended.push((promise, Err(Arc::clone(reason))));
            }
        }
    }
}
