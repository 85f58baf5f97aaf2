//! One run: when it ends, how long it took, and what its actors counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How often is looked whether all lives have ended, as the harness does.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a run gave. Children print it as a line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// See `Job::expected`. `None` where the result was checked already, by the harness.
    pub(crate) counts: Option<Vec<u64>>,
}

/// A count, and where it stands among the others.
type Placed = (usize, u64);

/// A run that is under way, of any of the libraries in Rust.
pub(crate) struct Trial {
    signals: (Sender<()>, Receiver<()>),
    tallies: (Sender<Placed>, Receiver<Placed>),
    seconds: f64,
}

impl Trial {
    pub(crate) fn new() -> Self {
        Self {
            signals: channel(),
            tallies: channel(),
            seconds: 0.0,
        }
    }

    /// For the actor whose count stands at this place.
    pub(crate) fn tally(&self, place: usize) -> Tally {
        Tally {
            place,
            count: 0,
            report: self.tallies.0.clone(),
        }
    }

    /// For an actor that says when it is done.
    pub(crate) fn signal(&self) -> Signal {
        Signal(Some(self.signals.0.clone()))
    }

    /// Takes the time from before the start until so many signals have come. No signal is made afterwards.
    pub(crate) fn time(&mut self, signals: u64, start: impl FnOnce()) {
        // So that it is noticed if all have ended that were to signal.
        self.signals.0 = channel().0;
        let started = Instant::now();
        start();
        for _ in 0..signals {
            let signal = self.signals.1.recv();
            signal.expect("who has not signalled yet lives");
        }
        self.seconds = started.elapsed().as_secs_f64();
    }

    /// Takes the time from before the start until so many lives have ended, and counts those and their messages. What the start gives is
    /// kept until then.
    pub(crate) fn time_lives<K>(self, number: u64, start: impl FnOnce(Lives) -> K) -> Measured {
        let lives = Lives::default();
        let started = Instant::now();
        let kept = start(lives.clone());
        // Pairs with the Release of each end.
        while lives.0.ends.load(Ordering::Acquire) < number {
            std::thread::sleep(LOOK_EVERY);
        }
        let seconds = started.elapsed().as_secs_f64();
        drop(kept);
        Measured {
            seconds,
            counts: Some(vec![
                lives.0.messages.load(Ordering::Relaxed),
                lives.0.ends.load(Ordering::Relaxed),
            ]),
        }
    }

    /// Waits for the ends of all that tally. They have been told to end.
    pub(crate) fn finish(self) -> Measured {
        let (own, tallies) = self.tallies;
        drop(own);
        let mut counts: Vec<_> = tallies.iter().collect();
        counts.sort_unstable();
        Measured {
            seconds: self.seconds,
            counts: Some(counts.into_iter().map(|(_, count)| count).collect()),
        }
    }
}

/// What an actor has counted. Reported when the actor is dropped, so a report is also the proof of its end.
pub(crate) struct Tally {
    place: usize,
    count: u64,
    report: Sender<Placed>,
}

impl Tally {
    pub(crate) fn add(&mut self, number: u64) {
        self.count += number;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        // Nobody listens after a failure.
        let _ = self.report.send((self.place, self.count));
    }
}

/// Says once that an actor is done.
pub(crate) struct Signal(Option<Sender<()>>);

impl Signal {
    pub(crate) fn send(&mut self) {
        if let Some(sender) = self.0.take() {
            // Nobody listens after a failure.
            let _ = sender.send(());
        }
    }
}

/// Counts short lives. The two are touched once by each life, at its end.
#[derive(Clone, Default)]
pub(crate) struct Lives(Arc<Ended>);

#[derive(Default)]
struct Ended {
    messages: AtomicU64,
    ends: AtomicU64,
}

impl Lives {
    pub(crate) fn begin(&self) -> Life {
        Life {
            messages: 0,
            lives: self.clone(),
        }
    }
}

/// A life that ends when it is dropped.
pub(crate) struct Life {
    messages: u64,
    lives: Lives,
}

impl Life {
    pub(crate) fn message(&mut self) {
        self.messages += 1;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let ended = &self.lives.0;
        ended.messages.fetch_add(self.messages, Ordering::Relaxed);
        // Pairs with the Acquire of who waits: the messages of all that ended are counted.
        ended.ends.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_in_their_places_once_all_have_ended() {
        let mut trial = Trial::new();
        let (mut second, first) = (trial.tally(1), trial.tally(0));
        let mut signal = trial.signal();
        second.add(7);
        trial.time(1, || {
            signal.send();
            signal.send();
        });
        drop(second);
        let ends = std::thread::spawn(move || drop(first));
        assert_eq!(trial.finish().counts, Some(vec![0, 7]));
        ends.join().unwrap();
    }

    #[test]
    fn lives_are_counted_with_their_messages() {
        let measured = Trial::new().time_lives(2, |lives| {
            lives.begin().message();
            drop(lives.begin());
        });
        assert_eq!(measured.counts, Some(vec![1, 2]));
    }
}
