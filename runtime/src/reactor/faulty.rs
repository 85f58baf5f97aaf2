//! A driver that makes life hard, from a seed: what a kernel may do, and seldom does.
//!
//! * Completions come late, some turns after they were there.
//! * Completions are told out of turn, as where one thread has found one of them, and tells of it when another one has found the next and told of that.
//! * Pieces are cut: a send takes a part of what it was given, or nothing; what arrives is told in two pieces.
//! * Operations fail for a while: a receive or an accept is cancelled that nobody cancelled, an accept finds no descriptor left or a connection that was
//!   aborted.
//!
//! If it shall, operations also fail for good: a connection is refused or finds its host silent, a receive is told of a reset, a send that nobody is there.
//!
//! All but the last of this the floors above have to bear without anybody's noticing, but for the time it takes. Where the driver below does what is told from outside (peers, the
//! kernel's timing), the same seed gives the same decisions, and another order of events meets them.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::{
    Action, Behind, Completed, Completion, Data, Driver, Kind, Operation, OperationId, Outcome,
    Socket, SocketId,
};

/// What is done to operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    /// Some fail for good, too.
    pub(crate) errors: bool,
}

pub(super) struct Faulty {
    inner: Box<dyn Driver>,
    random: u64,
    errors: bool,
    held: VecDeque<Completion>,
    /// By operation that goes on: how many completions more than the driver below made were passed on.
    extra: FxHashMap<OperationId, u32>,
    /// By operation: what was to be sent, and was cut.
    whole: FxHashMap<OperationId, Box<Data>>,
}

impl Faulty {
    pub(super) fn new(inner: Box<dyn Driver>, faults: Faults) -> Self {
        Self {
            inner,
            // Zero would stay zero.
            random: faults.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            errors: faults.errors,
            held: VecDeque::new(),
            extra: FxHashMap::default(),
            whole: FxHashMap::default(),
        }
    }

    /// One in `n`. The generator is Marsaglia's xorshift ("Xorshift RNGs", 2003).
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }

    fn fault(&mut self, action: &Action) -> Option<io::Result<Outcome>> {
        let code = match action {
            Action::Receive if self.errors && self.one_in(16) => libc::ECONNRESET,
            Action::Send(_) if self.errors && self.one_in(16) => libc::EPIPE,
            Action::Connect(_) if self.errors && self.one_in(4) => match self.below(2) {
                0 => libc::ECONNREFUSED,
                _ => libc::ETIMEDOUT,
            },
            Action::Accept if self.one_in(8) => match self.below(8) {
                0 => libc::EMFILE,
                1..4 => libc::ECONNABORTED,
                _ => libc::ECANCELED,
            },
            Action::Receive if self.one_in(8) => libc::ECANCELED,
            Action::Send(_) if self.one_in(16) => return Some(Ok(Outcome::Sent(0))),
            _ => return None,
        };
        Some(Err(io::Error::from_raw_os_error(code)))
    }

    /// Leaves some of it, at least a byte, or all.
    fn cut(&mut self, data: &mut Data) {
        if let Data::Several(pieces) = data
            && self.one_in(2)
        {
            let left = 1 + self.below(pieces.len() as u64) as usize;
            pieces.truncate(left);
        }
        let last = match data {
            Data::One(piece) => Some(piece),
            Data::Several(pieces) => pieces.last_mut(),
        };
        if let Some(last) = last
            && last.len() > 1
            && self.one_in(2)
        {
            let length = 1 + self.below(last.len() as u64 - 1) as usize;
            last.truncate(length);
        }
    }

    /// What was to be sent goes back as it came.
    fn make_whole(&mut self, id: OperationId, completed: &mut Completed) {
        if let Some(whole) = self.whole.remove(&id) {
            completed.data = Some(whole);
        }
    }

    /// Holds what came in, some of it in two pieces.
    fn hold(&mut self, mut completion: Completion) {
        let id = completion.id;
        let extra = self.extra.remove(&id).unwrap_or(0);
        let completed = &mut completion.completed;
        self.make_whole(id, completed);
        completed.number = completed.number.wrapping_add(extra);
        let more = completed.more;
        let mut cut = None;
        if let Ok(Outcome::Received(bytes)) = &mut completed.result
            && bytes.len() > 1
            && self.one_in(4)
        {
            let at = 1 + self.below(bytes.len() as u64 - 1) as usize;
            cut = Some(Completed {
                kind: Kind::Receive,
                number: completed.number,
                result: Ok(Outcome::Received(bytes.split_to(at))),
                more: true,
                data: None,
            });
            completed.number = completed.number.wrapping_add(1);
        }
        if more {
            self.extra.insert(id, extra + u32::from(cut.is_some()));
        }
        if let Some(completed) = cut {
            self.held.push_back(Completion {
                id,
                handler: completion.handler.clone(),
                completed,
            });
        }
        self.held.push_back(completion);
    }
}

impl Driver for Faulty {
    fn begin(&mut self, mut operation: Operation) -> Option<Completed> {
        if let Some(result) = self.fault(&operation.action) {
            self.held.push_back(Completion::last(operation, 0, result));
            return None;
        }
        let holds = self.one_in(2);
        let (id, handler) = (operation.id, operation.handler.clone());
        if let Action::Send(data) = &mut operation.action {
            let mut cut = data.clone();
            self.cut(&mut cut);
            self.whole.insert(id, mem::replace(data, cut));
        }
        let mut completed = self.inner.begin(operation)?;
        self.make_whole(id, &mut completed);
        if !holds {
            return Some(completed);
        }
        self.held.push_back(Completion {
            id,
            handler,
            completed,
        });
        None
    }

    fn send_now(
        &mut self,
        socket: &Socket,
        pieces: &[IoSlice<'_>],
        behind: Behind,
    ) -> Option<io::Result<usize>> {
        if self.errors && self.one_in(16) {
            return Some(Err(io::Error::from_raw_os_error(libc::EPIPE)));
        }
        match self.below(16) {
            0 => Some(Ok(0)),
            // It is begun, and meets the faults that there are for that.
            1..8 => None,
            8..12 => {
                let first = pieces.first()?;
                let at = 1 + self.below(first.len() as u64) as usize;
                let cut = [IoSlice::new(&first[..at])];
                self.inner.send_now(socket, &cut, Behind::Unknown)
            }
            _ => self.inner.send_now(socket, pieces, behind),
        }
    }

    fn cancel(&mut self, socket: SocketId, id: OperationId) {
        self.inner.cancel(socket, id);
    }

    fn turn(&mut self, thorough: bool, most: usize, completions: &mut VecDeque<Completion>) {
        let mut collected = VecDeque::new();
        self.inner.turn(thorough, most, &mut collected);
        for completion in collected {
            self.hold(completion);
        }
        while !self.held.is_empty() && !self.one_in(3) {
            // Those that are numbered already, so that a handler can tell.
            if self.held.len() > 1 && self.one_in(4) {
                self.held.swap(0, 1);
            }
            completions.extend(self.held.pop_front());
        }
    }

    fn is_ready(&self) -> bool {
        !self.held.is_empty() || self.inner.is_ready()
    }

    fn park(&mut self, deadline: Option<Instant>) {
        // What is held comes in one of the next turns.
        if self.held.is_empty() {
            self.inner.park(deadline);
        }
    }

    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.inner.is_idle()
    }

    fn end(&mut self, completions: &mut VecDeque<Completion>) {
        let mut collected = VecDeque::new();
        self.inner.end(&mut collected);
        for completion in collected {
            self.hold(completion);
        }
        completions.append(&mut self.held);
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use std::sync::Arc;

    use super::super::epoll::Epoll;
    use super::super::{Nobody, Waker};
    use super::*;

    #[test]
    fn completions_are_told_out_of_turn_and_all_of_them() {
        const ALL: u32 = 50;
        let waker = Arc::new(Waker::new().expect("a waker"));
        let inner = Epoll::new(waker).expect("a driver");
        let faults = Faults {
            seed: 0,
            errors: false,
        };
        let mut driver = Faulty::new(Box::new(inner), faults);
        let id = OperationId::new();
        for number in 0..ALL {
            driver.hold(Completion {
                id,
                handler: Arc::new(Nobody),
                completed: Completed {
                    kind: Kind::Accept,
                    number,
                    result: Err(io::ErrorKind::Other.into()),
                    more: number + 1 < ALL,
                    data: None,
                },
            });
        }
        let mut told = VecDeque::new();
        while driver.is_ready() {
            driver.turn(true, ALL as usize, &mut told);
        }
        let mut numbers: Vec<_> = told.iter().map(|told| told.completed.number).collect();
        assert!(!numbers.is_sorted(), "all in turn");
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..ALL));
    }
}
