//! The dining philosophers.

use std::time::Instant;

use libprocess::sync::CountDownLatch;
use libprocess::{Context, Pid, Process, dispatch};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, in_memory, join_all};

/// An arbitrator has the forks. A philosopher that is refused asks again at once, as in Savina: so how often they ask is the scheduler's choice, and
/// beside the figure there is how often they were refused.
pub(crate) struct Philosophers;

impl Benchmark for Philosophers {
    fn name(&self) -> &'static str {
        "Philosophers"
    }

    fn summary(&self) -> &'static str {
        "Savina's: philosophers round a table who ask an arbitrator for two forks until they get them, eat, and give them back; a repeat is a meal \
         of each."
    }

    fn unit(&self) -> &'static str {
        "meals/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(10_000).actors(20, 2)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, repeat) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(2);
        let mut trial = Trial::begin(setting);
        let done = CountDownLatch::new(in_memory(actors));
        let arbitrator = runtime.spawn_owned(Arbitrator {
            taken: vec![false; in_memory(actors)],
            granted: 0,
            refused: 0,
            given_back: 0,
            not_taken: 0,
        });
        let philosophers: Vec<_> = (0..in_memory(actors))
            .map(|seat| {
                runtime.spawn_owned(Philosopher {
                    arbitrator: arbitrator.pid(),
                    seat,
                    left: repeat,
                    meals: 0,
                    done: done.clone(),
                })
            })
            .collect();

        let started = Instant::now();
        for philosopher in &philosophers {
            runtime
                .dispatch(philosopher.pid(), Philosopher::ask, ())
                .detach();
        }
        trial.wait(done.triggered(), |counts| {
            // Not without the refusals, which nobody knows yet.
            (counts.dispatches / (3 * actors)).min(repeat)
        })?;
        let seconds = started.elapsed().as_secs_f64();

        let total = actors * repeat;
        for (seat, philosopher) in join_all(philosophers)?.iter().enumerate() {
            let what = format_args!("meals of philosopher {seat}");
            trial.equal(what, philosopher.meals, repeat);
        }
        arbitrator.terminate_after_pending();
        let arbitrator = arbitrator.join()?;
        let taken = arbitrator.taken.iter().filter(|taken| **taken).count() as u64;
        trial.equal("forks that are not given back", taken, 0);
        trial.equal("forks given back that nobody had", arbitrator.not_taken, 0);
        trial.equal("pairs of forks granted", arbitrator.granted, total);
        trial.equal("pairs of forks given back", arbitrator.given_back, total);
        let expected = Counts {
            // Each request and its answer, each pair that was given back, and the start.
            dispatches: actors + 3 * total + 2 * arbitrator.refused,
            ..Counts::lives(actors + 1)
        };
        let verified = format!(
            "{} for each of {}, all forks back",
            count(repeat, "meal"),
            count(actors, "philosopher")
        );
        let sample = Sample::rate(total, seconds, verified)
            .also("refusals/meal", arbitrator.refused as f64 / total as f64);
        trial.finish(expected, sample)
    }
}

struct Arbitrator {
    taken: Vec<bool>,
    granted: u64,
    refused: u64,
    given_back: u64,
    not_taken: u64,
}

impl Process for Arbitrator {}

impl Arbitrator {
    /// To the left and to the right of a seat.
    fn forks(&self, seat: usize) -> [usize; 2] {
        [seat, (seat + 1) % self.taken.len()]
    }

    fn hungry(&mut self, philosopher: Pid<Philosopher>, seat: usize) {
        let forks = self.forks(seat);
        if forks.iter().any(|fork| self.taken[*fork]) {
            self.refused += 1;
            dispatch(philosopher, Philosopher::ask, ()).detach();
        } else {
            for fork in forks {
                self.taken[fork] = true;
            }
            self.granted += 1;
            dispatch(philosopher, Philosopher::eat, ()).detach();
        }
    }

    fn give_back(&mut self, seat: usize) {
        self.given_back += 1;
        for fork in self.forks(seat) {
            self.not_taken += u64::from(!std::mem::take(&mut self.taken[fork]));
        }
    }
}

struct Philosopher {
    arbitrator: Pid<Arbitrator>,
    seat: usize,
    left: u64,
    meals: u64,
    done: CountDownLatch,
}

impl Process for Philosopher {}

impl Philosopher {
    fn ask(&mut self, cx: &mut Context<Self>) {
        let arguments = (cx.pid(), self.seat);
        dispatch(self.arbitrator, Arbitrator::hungry, arguments).detach();
    }

    fn eat(&mut self, cx: &mut Context<Self>) {
        self.meals += 1;
        self.left -= 1;
        dispatch(self.arbitrator, Arbitrator::give_back, (self.seat,)).detach();
        if self.left > 0 {
            self.ask(cx);
        } else {
            self.done.decrement();
        }
    }
}
