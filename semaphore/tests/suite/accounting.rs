//! Signals given = signals used + signals kept, whatever cuts into the waits.

use crate::support::thread;
use crate::support::{InterruptibleParker, Random, drain, rounds, until};
use libprocess_semaphore::{FutexParker, Semaphore, Wakeup};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

const WAITERS: usize = 4;
const SIGNALLERS: usize = 4;

/// What happened so far. Counted without any order: the joins at the end make the figures exact.
#[derive(Debug, Default)]
struct Tally {
    given: AtomicUsize,
    signalled: AtomicUsize,
    deadline: AtomicUsize,
    interrupted: AtomicUsize,
}

impl Tally {
    /// Signals that nobody has reported as used yet.
    fn outstanding(&self) -> usize {
        // Used first: the other way round the difference could be less than nothing.
        let used = self.signalled.load(Relaxed);
        self.given.load(Relaxed).saturating_sub(used)
    }

    /// Whether waits have ended in every way that they can. Before that the test proves nothing.
    fn has_seen_each_race(&self, interruptible: bool) -> bool {
        self.deadline.load(Relaxed) > 0 && (!interruptible || self.interrupted.load(Relaxed) > 0)
    }
}

/// Some waits have no deadline, some one that is already past; the signallers also interrupt.
pub(crate) fn no_signal_is_lost_or_doubled<S: Semaphore>() {
    let semaphore = S::with_capacity(WAITERS);
    let parkers: [Arc<InterruptibleParker>; WAITERS] = Default::default();
    let (tally, done) = (Tally::default(), AtomicBool::new(false));

    thread::scope(|scope| {
        for (seed, parker) in parkers.iter().enumerate() {
            let (semaphore, tally, done) = (&semaphore, &tally, &done);
            scope.spawn(move || wait_until_done(semaphore, parker, tally, done, seed as u64));
        }
        let signallers: Vec<_> = (0..SIGNALLERS)
            .map(|seed| {
                let (semaphore, parkers, tally) = (&semaphore, &parkers, &tally);
                scope.spawn(move || signal_and_interrupt(semaphore, parkers, tally, seed as u64))
            })
            .collect();
        for signaller in signallers {
            signaller.join().unwrap();
        }
        done.store(true, Relaxed);
        // A waiter stops after the first wait that returns from here on, so it uses at most one of
        // these, and one is left for each that waits without a deadline.
        for _ in 0..WAITERS {
            tally.given.fetch_add(1, Relaxed);
            semaphore.signal();
        }
    });

    let kept = drain(&semaphore);
    let (given, used) = (tally.given.load(Relaxed), tally.signalled.load(Relaxed));
    assert_eq!(used + kept, given, "{tally:?}, {kept} kept");
    if semaphore.capacity().is_none() {
        let interrupted = tally.interrupted.load(Relaxed);
        assert_eq!(
            interrupted, 0,
            "a kind that ignores parkers was interrupted"
        );
    }
}

fn signal_and_interrupt<S: Semaphore>(
    semaphore: &S,
    parkers: &[Arc<InterruptibleParker>; WAITERS],
    tally: &Tally,
    seed: u64,
) {
    let mut random = Random::new(100 + seed);
    let interruptible = semaphore.capacity().is_some();
    let mut round = 0;
    while round < rounds(1_000) || !tally.has_seen_each_race(interruptible) {
        round += 1;
        // Else signals pile up, nobody ever has to wait, and no race is run.
        let most = random.below(WAITERS as u64) as usize;
        until(|| tally.outstanding() <= most);
        tally.given.fetch_add(1, Relaxed);
        semaphore.signal();
        match random.below(8) {
            0 | 1 => parkers[random.below(WAITERS as u64) as usize].interrupt(),
            2 => thread::sleep(random.micros_below(20)),
            _ => {}
        }
    }
}

fn wait_until_done<S: Semaphore>(
    semaphore: &S,
    parker: &Arc<InterruptibleParker>,
    tally: &Tally,
    done: &AtomicBool,
    seed: u64,
) {
    let mut random = Random::new(seed);
    while !done.load(Relaxed) {
        let deadline = match random.below(4) {
            0 => None,
            1 => Some(Instant::now()),
            _ => Some(Instant::now() + random.micros_below(60)),
        };
        let ended = match semaphore.wait_with(parker, deadline).unwrap() {
            Wakeup::Signalled => &tally.signalled,
            Wakeup::Deadline => &tally.deadline,
            Wakeup::Interrupted => &tally.interrupted,
            Wakeup::Decommissioned => panic!("nobody has decommissioned it"),
        };
        ended.fetch_add(1, Relaxed);
    }
}

pub(crate) fn a_signal_that_races_with_a_deadline_is_used_or_kept<S: Semaphore>() {
    let semaphore = S::with_capacity(1);
    let mut random = Random::new(7);
    let (mut used, mut kept) = (0, 0);
    let mut round = 0;
    // As many rounds as asked for, and more until the race has gone both ways.
    while round < rounds(200) || used == 0 || kept == 0 {
        round += 1;
        let deadline = Instant::now() + Duration::from_micros(50) + random.micros_below(200);
        let signal_at = Instant::now() + Duration::from_micros(50) + random.micros_below(300);
        let wakeup = thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let parker = Arc::new(FutexParker::new());
                semaphore.wait_with(&parker, Some(deadline))
            });
            while Instant::now() < signal_at {
                std::hint::spin_loop();
            }
            semaphore.signal();
            waiter.join().unwrap()
        });
        match wakeup.unwrap() {
            Wakeup::Signalled => {
                used += 1;
                assert_eq!(
                    drain(&semaphore),
                    0,
                    "used and kept, in round {round}, {random:?}"
                );
            }
            Wakeup::Deadline => {
                kept += 1;
                assert_eq!(drain(&semaphore), 1, "lost in round {round}, {random:?}");
            }
            other => panic!("{other:?} in round {round}, {random:?}"),
        }
    }
}
