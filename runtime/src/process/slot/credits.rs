//! What a slot does for a tenant with a bound: [`tenancy`](crate::process::tenancy) has the protocol.

use libprocess_queues::event::{EventQueue, State};

use super::{Delivery, Slot, TiesGuard};
use crate::facade::weakened;
use crate::process::RawPid;
use crate::process::event::{EventBox, SentAt};
use crate::process::room::{Room, Waiter};
use crate::process::tenancy::{Put, Take};

impl Slot {
    /// The tenant is another, or has a bound.
    pub(crate) fn push_bounded(
        &self,
        pid: RawPid,
        event: EventBox,
        sent_at: SentAt,
    ) -> Delivery<'_> {
        if !event.takes_credit() {
            return self.push_free(pid, event, sent_at);
        }
        match self.take_credit(pid) {
            Take::Taken => self.enqueue(pid, event, true, sent_at),
            Take::Unbounded => self.enqueue(pid, event, false, sent_at),
            Take::Full => Delivery::Full(event),
            Take::Ended => Delivery::Dead(event),
        }
    }

    /// Pushes an event that takes no credit.
    fn push_free(&self, pid: RawPid, event: EventBox, sent_at: SentAt) -> Delivery<'_> {
        if self.tenancy.generation() != pid.generation() {
            return Delivery::Dead(event);
        }
        self.enqueue(pid, event, false, sent_at)
    }

    /// Pushes an event with a credit that was taken before. Dead, the credit ends with the tenancy.
    pub(crate) fn push_paid(&self, pid: RawPid, event: EventBox, sent_at: SentAt) -> Delivery<'_> {
        if self.tenancy.generation() != pid.generation() {
            return Delivery::Dead(event);
        }
        self.enqueue(pid, event, true, sent_at)
    }

    /// Takes a credit of the tenant that `pid` names.
    pub(crate) fn take_credit(&self, pid: RawPid) -> Take {
        match self.tenancy.take(pid.generation()) {
            Take::Full if self.mailbox.state() == State::Closed => Take::Ended,
            take => take,
        }
    }

    /// As `take_credit`; if there is none, whom `waiter` makes, given his ticket, waits for one. He gets it, or is dropped when the process ends.
    pub(crate) fn take_or_wait(&self, pid: RawPid, waiter: impl FnOnce(u64) -> Waiter) -> Take {
        let Some(mut ties) = self.lock_ties(pid) else {
            return Take::Ended;
        };
        let take = self.tenancy.take_or_wait(pid.generation());
        if take == Take::Full {
            ties.ties().room.get_or_insert_default().enter(waiter);
        }
        take
    }

    /// Gives a credit back: to whoever waits for one, who is then to be told by the caller.
    pub(crate) fn give_back(&self, pid: RawPid) -> Option<Waiter> {
        match self.tenancy.put(pid.generation()) {
            Put::Done => None,
            Put::Waiting => self.hand_over(pid),
        }
    }

    #[cold]
    fn hand_over(&self, pid: RawPid) -> Option<Waiter> {
        // If it has ended, so has the credit.
        let mut ties = self.lock_ties(pid)?;
        let waiter = self.leave(&mut ties, pid, Room::first);
        if waiter.is_none() {
            // They gave up meanwhile. Under the lock nobody can begin to wait.
            let _available = self.tenancy.put(pid.generation());
        }
        waiter
    }

    /// Takes a waiter out who gives up, if he has not got his credit.
    pub(crate) fn stop_waiting(&self, pid: RawPid, ticket: u64) -> Option<Waiter> {
        let mut ties = self.lock_ties(pid)?;
        self.leave(&mut ties, pid, |room| room.remove(ticket))
    }

    /// How many credits are available, for models.
    #[cfg(all(test, libprocess_loom))]
    pub(crate) fn available(&self) -> Option<u32> {
        self.tenancy.available()
    }

    fn leave(
        &self,
        ties: &mut TiesGuard<'_>,
        pid: RawPid,
        who: impl FnOnce(&mut Room) -> Option<Waiter>,
    ) -> Option<Waiter> {
        let room = ties.guard.as_mut()?.room.as_mut()?;
        let waiter = who(room)?;
        if room.is_empty() && !weakened("last-waiter") {
            self.tenancy.nobody_waits(pid.generation());
        }
        Some(waiter)
    }
}
