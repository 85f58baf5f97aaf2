//! Whether the messages all came.

use super::pair::{Client, Destination};
use super::work::Work;
use crate::checks::{Checks, Counts, WrongResult};

/// What was done.
pub(super) struct Tally {
    /// Pings sent and pongs received, for each client.
    pub(super) clients: Vec<(u64, u64)>,
    /// Pings received, for each destination.
    pub(super) pings: Vec<u64>,
    /// Messages that a process got and should not have.
    pub(super) strangers: u64,
    pub(super) counts: Counts,
}

impl Tally {
    /// What these processes have become, and what the runtime counted meanwhile.
    pub(super) fn of(clients: &[Client], destinations: &[Destination], counts: Counts) -> Self {
        Self {
            clients: clients
                .iter()
                .map(|client| (client.sent, client.received))
                .collect(),
            pings: destinations
                .iter()
                .map(|destination| destination.pings)
                .collect(),
            strangers: clients.iter().map(|client| client.strangers).sum::<u64>()
                + destinations
                    .iter()
                    .map(|destination| destination.strangers)
                    .sum::<u64>(),
            counts,
        }
    }

    /// What is to be done.
    #[cfg(test)]
    pub(super) fn good(work: Work) -> Self {
        let each = work.clients as usize;
        Self {
            clients: vec![(work.repeats, work.repeats); each],
            pings: vec![work.repeats; each],
            strangers: 0,
            counts: Self::expected(work),
        }
    }

    fn expected(work: Work) -> Counts {
        Counts {
            // One `run` for each client.
            messages: work.clients + 2 * work.total(),
            ..Counts::lives(2 * work.clients)
        }
    }

    /// # Errors
    ///
    /// Everything that was lost, or came from nowhere.
    pub(super) fn check(&self, work: Work) -> Result<(), WrongResult> {
        let mut checks = Checks::new();
        checks.equal("clients", self.clients.len() as u64, work.clients);
        for (client, (sent, received)) in self.clients.iter().enumerate() {
            checks.equal(
                format_args!("pings sent by client {client}"),
                *sent,
                work.repeats,
            );
            checks.equal(
                format_args!("pongs received by client {client}"),
                *received,
                work.repeats,
            );
        }
        checks.equal("destinations", self.pings.len() as u64, work.clients);
        for (destination, pings) in self.pings.iter().enumerate() {
            let what = format_args!("pings received by destination {destination}");
            checks.equal(what, *pings, work.repeats);
        }
        checks.equal("messages of other names", self.strangers, 0);
        self.counts.check(Self::expected(work), &mut checks);
        checks.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What makes a good tally a bad one.
    type Spoil = fn(&mut Tally);

    #[test]
    fn a_good_tally_passes() {
        let work = Work::new(1_000, 2, 100);
        Tally::good(work).check(work).unwrap();
    }

    #[test]
    fn a_loss_or_an_invention_fails_the_run() {
        let work = Work::new(1_000, 2, 100);
        let spoilers: [(&str, Spoil); 8] = [
            ("pongs received by client 1: 499, expected 500", |tally| {
                tally.clients[1].1 -= 1
            }),
            ("pongs received by client 0: 501, expected 500", |tally| {
                tally.clients[0].1 += 1
            }),
            ("pings sent by client 0: 499, expected 500", |tally| {
                tally.clients[0].0 -= 1
            }),
            (
                "pings received by destination 0: 499, expected 500",
                |tally| tally.pings[0] -= 1,
            ),
            ("messages of other names: 1, expected 0", |tally| {
                tally.strangers = 1
            }),
            ("dead letters: 1, expected 0", |tally| {
                tally.counts.dead_letters = 1
            }),
            ("messages served: 2001, expected 2002", |tally| {
                tally.counts.messages -= 1
            }),
            ("clients: 1, expected 2", |tally| tally.clients.truncate(1)),
        ];
        for (expected, spoil) in spoilers {
            let mut tally = Tally::good(work);
            spoil(&mut tally);
            let error = tally.check(work).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
