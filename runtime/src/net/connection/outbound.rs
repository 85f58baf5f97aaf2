//! What is to go out of a connection, in order.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{Connecting, Told, failure};
use crate::future::Promise;
use crate::reactor::{Action, Behind, Data, Outcome};

pub(super) struct Outbound {
    /// While there is anything in it, a send of the first ones is under way.
    pub(super) queue: VecDeque<Outgoing>,
    pub(super) failed: Option<Arc<str>>,
    /// The peer was told that nothing more comes: then `failed` says so, too.
    pub(super) is_shut: bool,
    pub(super) connecting: Option<Connecting>,
}

pub(super) enum Outgoing {
    /// Whoever sends several has a promise with the last one.
    Data(Bytes, Option<Promise<()>>),
    Shutdown(Option<Promise<()>>),
}

impl Outbound {
    /// The next send: it has all data that there is before anything else, but for a bound.
    pub(super) fn next_send(&self) -> Action {
        let data = self.next_data();
        let behind = match self.queue.get(data.pieces()) {
            Some(Outgoing::Shutdown(_)) => Behind::End,
            _ => Behind::Unknown,
        };
        Action::Send(data, behind)
    }

    fn next_data(&self) -> Data {
        let mut pieces = self.queue.iter().map_while(|outgoing| match outgoing {
            Outgoing::Data(data, _) => Some(data.clone()),
            Outgoing::Shutdown(_) => None,
        });
        let first = pieces.next().unwrap_or_default();
        match pieces.next() {
            None => Data::One(first),
            Some(second) => {
                let rest = pieces.take(Data::MOST_PIECES - 2);
                Data::Several([first, second].into_iter().chain(rest).collect())
            }
        }
    }

    pub(super) fn sent(&mut self, result: io::Result<Outcome>, ended: &mut Told<()>) {
        let mut sent = match result {
            Ok(Outcome::Sent(sent)) => sent,
            Ok(_) => 0,
            Err(error) => {
                let reason = Arc::from(failure("send", &error));
                return self.fail(&reason, ended);
            }
        };
        while let Some(Outgoing::Data(data, _)) = self.queue.front_mut() {
            if sent < data.len() {
                return data.advance(sent);
            }
            sent -= data.len();
            self.ended(ended);
            if sent == 0 {
                return;
            }
        }
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
        for outgoing in std::mem::take(&mut self.queue) {
            if let Outgoing::Data(_, Some(promise)) | Outgoing::Shutdown(Some(promise)) = outgoing {
                ended.push((promise, Err(Arc::clone(reason))));
            }
        }
    }
}
