//! What a connection waits for, and for how long.

use std::task::Context;
use std::time::Duration;

use ::http::StatusCode;

use super::{Connection, LINGER, Phase, Service, Transport, Turn};
use crate::clock::Time;
use crate::exchange::{Limits, Refusal};

/// A body that comes, from the first piece behind its head: until then its client may still wait to be told to go on.
pub(super) struct Coming {
    /// Until when more must come. Each piece gives it the time that it may take at the least rate, and none more than a silence may last: what came
    /// quickly is no credit for hours.
    until: Time,
}

impl Coming {
    pub(super) fn at(now: Time, limits: &Limits) -> Self {
        Self {
            until: now + limits.body_timeout,
        }
    }

    pub(super) fn piece(&mut self, bytes: usize, now: Time, limits: &Limits) {
        let nanoseconds = (bytes as u64)
            .saturating_mul(1_000_000_000)
            .checked_div(limits.body_rate);
        let most = now + limits.body_timeout;
        self.until = nanoseconds.map_or(most, |nanoseconds| {
            most.min(self.until + Duration::from_nanos(nanoseconds))
        });
    }
}

impl<T: Transport, S: Service> Connection<T, S> {
    /// When what is awaited now must have come, and what is said of it if not.
    fn deadline(&self) -> Option<(Time, Option<Refusal>)> {
        const LATE: Refusal = Refusal::with(
            StatusCode::REQUEST_TIMEOUT,
            "the request did not come in time",
        );
        let limits = &self.limits;
        if matches!(self.phase, Phase::Lingering { .. }) {
            return Some((self.active + LINGER, None));
        }
        let of_sending = self
            .is_sending()
            .then(|| (self.sent_at + limits.write_timeout, None));
        let of_reading = if self.has_ended {
            Some((self.active + limits.idle_timeout, None))
        } else if self.phase != Phase::Open || self.stalled || self.awaits_room {
            None
        } else if self.decoder.is_in_body() {
            let of_silence = self.active + limits.body_timeout;
            let body = self.body.as_ref();
            let deadline = body.map_or(of_silence, |body| body.until.min(of_silence));
            Some((deadline, Some(LATE)))
        } else if let Some(began) = self.head_began {
            Some((began + limits.head_timeout, Some(LATE)))
        } else if self.answers.first() < self.next {
            // The handlers' time is theirs.
            None
        } else if self.service.is_patient(&self.memory) {
            None
        } else {
            Some((self.active + limits.idle_timeout, None))
        };
        of_sending
            .into_iter()
            .chain(of_reading)
            .min_by_key(|(deadline, _)| *deadline)
    }

    /// What is sent elsewhere is watched by the alarm alone: it is set before the first answer, so that this one may be sent so, too; and again when it has gone off while an answer is awaited.
    pub(super) fn watch_answers(&mut self, cx: &mut Context<'_>) {
        self.hear_of_sent();
        let awaits = self.phase == Phase::Open && self.requests > 0;
        if awaits && !self.alarm.is_set() && !self.service.is_patient(&self.memory) {
            let limits = &self.limits;
            let deadline = self.active + limits.idle_timeout.min(limits.write_timeout);
            // If it is as late as that, `watch` sees to it.
            let _late = self.alarm.poll(deadline, cx.waker());
        }
    }

    /// When the alarm has gone off, it is looked whether something was sent elsewhere.
    fn hear_of_sent(&mut self) {
        if self.alarm.has_fired() && self.answers.has_sent() {
            // When is not known, only that it was since the last time.
            self.active = self.alarm.now();
        }
    }

    /// Has the alarm go off when something is too late. `Again` if something is.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> Turn {
        self.hear_of_sent();
        let Some((deadline, refusal)) = self.deadline() else {
            return Turn::Rest;
        };
        if self.alarm.poll(deadline, cx.waker()).is_pending() {
            return Turn::Rest;
        }
        if refusal.is_none() && self.answers.has_sent() {
            // Just before it was too late.
            self.active = self.alarm.now();
            return Turn::Again;
        }
        match refusal {
            Some(refusal) => self.give_up(refusal),
            None => self.phase = Phase::Gone,
        }
        Turn::Again
    }
}
