//! What is measured, with which numbers, and what has to come out.

use std::str::FromStr;

/// The senders of `FanIn`.
pub(crate) const SENDERS: u64 = 8;
/// The nodes of `ThreadRing`.
pub(crate) const NODES: u64 = 100;
/// The children of a node of `Skynet`.
pub(crate) const FAN_OUT: u64 = 10;
/// How many lives `Spawn.Life` begins in a row.
pub(crate) const ROW: u64 = 64;
/// How much is under way at a time in the workloads that have a window.
const WINDOW: u64 = 1_000;

/// A benchmark of the harness that others can do too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    ThroughputPerformance,
    PingPong,
    FanIn,
    ThreadRing,
    Skynet,
    SpawnLife,
    DispatchAwait,
}

impl Workload {
    pub(crate) const ALL: [Self; 7] = [
        Self::ThroughputPerformance,
        Self::PingPong,
        Self::FanIn,
        Self::ThreadRing,
        Self::Skynet,
        Self::SpawnLife,
        Self::DispatchAwait,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ThroughputPerformance => "ThroughputPerformance",
            Self::PingPong => "PingPong",
            Self::FanIn => "FanIn",
            Self::ThreadRing => "ThreadRing",
            Self::Skynet => "Skynet",
            Self::SpawnLife => "Spawn.Life",
            Self::DispatchAwait => "Dispatch.Await",
        }
    }

    pub(crate) const fn summary(self) -> &'static str {
        match self {
            Self::ThroughputPerformance => {
                "Pairs of actors, a pair for each worker: one has a thousand pings under way, the other answers each with a pong."
            }
            Self::PingPong => "The same of one pair with one ping under way: round trips.",
            Self::FanIn => {
                "Eight senders and one receiver; of each, a thousand messages are under way at most, and half of them are answered at a time."
            }
            Self::ThreadRing => "A token that goes round a ring of a hundred actors.",
            Self::Skynet => {
                "A tree of actors, ten children each, that are spawned, send the sum of the leaves' numbers to their parents, and end."
            }
            Self::SpawnLife => {
                "An actor that spawns others, sends each its first message, and ends it behind that, 64 in a row."
            }
            Self::DispatchAwait => {
                "A task that asks an actor and awaits the answers in their order, a thousand under way at a time."
            }
        }
    }

    /// What is counted, for a second.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::ThroughputPerformance => "repeats/s",
            Self::PingPong => "round trips/s",
            Self::FanIn => "messages/s",
            Self::ThreadRing => "hops/s",
            Self::Skynet => "leaves/s",
            Self::SpawnLife => "lives/s",
            Self::DispatchAwait => "dispatches/s",
        }
    }

    /// As the harness's benchmark.
    pub(crate) const fn default_repeat(self) -> u64 {
        match self {
            Self::ThroughputPerformance => 15_000_000,
            Self::FanIn => 8_000_000,
            Self::ThreadRing => 100_000,
            Self::PingPong | Self::Skynet => 1_000_000,
            Self::SpawnLife => 2_000_000,
            Self::DispatchAwait => 5_000_000,
        }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|workload| workload.name() == text);
        found.ok_or_else(|| format!("there is no workload {text}"))
    }
}

/// A workload with its numbers: what one child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) workload: Workload,
    pub(crate) workers: u64,
    /// As it was asked for; see [`total`](Self::total).
    pub(crate) repeat: u64,
    /// Runs before the one that counts, in the same process.
    pub(crate) warmup: u64,
}

impl Job {
    pub(crate) fn pairs(&self) -> u64 {
        match self.workload {
            Workload::ThroughputPerformance => self.workers,
            _ => 1,
        }
    }

    /// How much is under way at a time.
    pub(crate) fn window(&self) -> u64 {
        match self.workload {
            Workload::PingPong => 1,
            Workload::ThroughputPerformance => WINDOW.min(self.repeats_of_a_pair()),
            _ => WINDOW,
        }
    }

    pub(crate) fn repeats_of_a_pair(&self) -> u64 {
        self.repeat / self.pairs()
    }

    /// How many repeats are done: what cannot be divided among the pairs is left out.
    pub(crate) fn total(&self) -> u64 {
        match self.workload {
            Workload::ThroughputPerformance => self.repeats_of_a_pair() * self.pairs(),
            _ => self.repeat,
        }
    }

    /// What is counted where all goes well. In the order in which the actors are made:
    ///
    /// - pairs: for each, the pings that its destination got, and the pongs that its client got;
    /// - `FanIn`: what the receiver got, and for each sender how many of its bursts were answered;
    /// - `ThreadRing`: how often the token came to each;
    /// - `Skynet`: the sum;
    /// - `Spawn.Life`: the first messages that were got, and the ends;
    /// - `Dispatch.Await`: the answers that came in their order, and the calls.
    pub(crate) fn expected(&self) -> Vec<u64> {
        match self.workload {
            Workload::ThroughputPerformance | Workload::PingPong => {
                vec![self.repeats_of_a_pair(); in_memory(2 * self.pairs())]
            }
            Workload::FanIn => {
                let bursts = |sender| share(self.repeat, SENDERS, sender).div_ceil(self.burst());
                std::iter::once(self.repeat)
                    .chain((0..SENDERS).map(bursts))
                    .collect()
            }
            Workload::ThreadRing => (0..NODES)
                .map(|node| share(self.repeat + 1, NODES, node))
                .collect(),
            Workload::Skynet => {
                let leaves = u128::from(self.repeat);
                vec![(leaves * leaves.saturating_sub(1) / 2) as u64]
            }
            Workload::SpawnLife | Workload::DispatchAwait => vec![self.repeat; 2],
        }
    }

    /// How many messages of `FanIn` are sent together; the last of them is answered.
    pub(crate) fn burst(&self) -> u64 {
        self.window() / 2
    }

    /// # Errors
    ///
    /// If anything came that was not to come, or did not.
    pub(crate) fn check(&self, counts: &[u64]) -> Result<(), String> {
        let expected = self.expected();
        if counts.len() != expected.len() {
            let (found, wanted) = (counts.len(), expected.len());
            return Err(format!("a wrong result: {found} counts, expected {wanted}"));
        }
        let mut pairs = counts.iter().zip(&expected).enumerate();
        match pairs.find(|(_, (count, wanted))| count != wanted) {
            None => Ok(()),
            Some((place, (count, wanted))) => Err(format!(
                "a wrong result: {count} at place {place} of the counts, expected {wanted}"
            )),
        }
    }
}

/// How much of what is dealt out one by one goes to the one at `index`.
pub(crate) fn share(total: u64, among: u64, index: u64) -> u64 {
    total / among + u64::from(index < total % among)
}

pub(crate) fn in_memory(number: u64) -> usize {
    usize::try_from(number).expect("there is an address for each thing in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(workload: Workload, repeat: u64) -> Job {
        Job {
            workload,
            workers: 2,
            repeat,
            warmup: 0,
        }
    }

    #[test]
    fn names_lead_back_and_differ() {
        for workload in Workload::ALL {
            assert_eq!(workload.name().parse(), Ok(workload));
        }
        assert!("fanin".parse::<Workload>().is_err());
    }

    #[test]
    fn what_is_expected_adds_up() {
        let fan_in = job(Workload::FanIn, 8_001).expected();
        // 1,001 of the first sender are three bursts of 500 at most.
        assert_eq!(fan_in, [8_001, 3, 2, 2, 2, 2, 2, 2, 2]);
        let ring = job(Workload::ThreadRing, 250).expected();
        assert_eq!((ring.len(), ring.iter().sum::<u64>()), (100, 251));
        assert_eq!(
            job(Workload::Skynet, 1_000_000).expected(),
            [499_999_500_000]
        );
        let odd = job(Workload::ThroughputPerformance, 2_001);
        assert_eq!((odd.total(), odd.window()), (2_000, 1_000));
        assert_eq!(odd.expected(), [1_000; 4]);
        assert_eq!(job(Workload::PingPong, 2_001).expected(), [2_001; 2]);
    }

    #[test]
    fn a_loss_or_an_invention_is_a_wrong_result() {
        for workload in Workload::ALL {
            let job = job(workload, 1_000);
            let good = job.expected();
            job.check(&good).unwrap();
            for at in 0..good.len() {
                for wrong in [good[at] - 1, good[at] + 1] {
                    let mut counts = good.clone();
                    counts[at] = wrong;
                    let error = job.check(&counts).unwrap_err();
                    let place =
                        format!("{wrong} at place {at} of the counts, expected {}", good[at]);
                    assert!(error.ends_with(&place), "{error}");
                }
            }
            job.check(&good[1..]).unwrap_err();
        }
    }
}
