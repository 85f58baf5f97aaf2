//! Creatures that meet and change their colors.

use std::time::Instant;

use libprocess::{Context, Pid, Process, Promise, dispatch};

use crate::benchmark::{Benchmark, Sample, Setting};
use crate::checks::Counts;
use crate::failure::Failure;
use crate::format::count;
use crate::parameters::Defaults;
use crate::trial::{Trial, join_all};

/// All creatures ask one mall for a partner, which introduces each second one to the one before: the mall is where they all queue.
pub(crate) struct Chameneos;

impl Benchmark for Chameneos {
    fn name(&self) -> &'static str {
        "Chameneos"
    }

    fn summary(&self) -> &'static str {
        "Savina's: creatures that meet in pairs by way of one mall, and change their colors; a repeat is a meeting, of four dispatches."
    }

    fn unit(&self) -> &'static str {
        "meetings/s"
    }

    fn defaults(&self) -> Defaults {
        Defaults::new(200_000).actors(100, 2)
    }

    fn run(&self, setting: &Setting<'_>) -> Result<Sample, Failure> {
        let (runtime, meetings) = (setting.runtime, setting.parameters.repeat);
        let actors = setting.parameters.actors.unwrap_or(2);
        let mut trial = Trial::begin(setting);
        let done = Promise::new();
        let all = done.future();
        let mall = runtime.spawn_owned(Mall {
            left: meetings,
            waiting: None,
            inside: actors,
            met: 0,
            done: Some(done),
        });
        let creatures: Vec<_> = (0..actors)
            .map(|index| {
                runtime.spawn_owned(Creature {
                    mall: mall.pid(),
                    color: Color::ALL[(index % 3) as usize],
                    met: 0,
                    met_itself: 0,
                })
            })
            .collect();

        let started = Instant::now();
        for creature in &creatures {
            runtime
                .dispatch(creature.pid(), Creature::start, ())
                .detach();
        }
        let met = trial.wait(all, |counts| counts.dispatches / 4)?;
        let seconds = started.elapsed().as_secs_f64();

        // Each meeting is one of two creatures.
        trial.equal("meetings that the mall was told of", met, 2 * meetings);
        let (mut met, mut met_itself) = (0, 0);
        for creature in join_all(creatures)? {
            met += creature.met;
            met_itself += creature.met_itself;
        }
        trial.equal("meetings that the creatures had", met, 2 * meetings);
        trial.equal("creatures that met themselves", met_itself, 0);
        drop(mall);
        let expected = Counts {
            // Each creature starts, asks once in vain, is sent home, and tells of its meetings.
            dispatches: 4 * meetings + 4 * actors,
            ..Counts::lives(actors + 1)
        };
        let verified = format!("{} of two creatures each", count(meetings, "meeting"));
        trial.finish(expected, Sample::rate(meetings, seconds, verified))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Color {
    Blue,
    Red,
    Yellow,
}

impl Color {
    const ALL: [Self; 3] = [Self::Blue, Self::Red, Self::Yellow];

    /// Its own if they are the same, else the third one.
    fn after_meeting(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        // The three numbers add up to 3.
        Self::ALL[3 - self as usize - other as usize]
    }
}

struct Mall {
    left: u64,
    waiting: Option<Pid<Creature>>,
    inside: u64,
    met: u64,
    done: Option<Promise<u64>>,
}

impl Process for Mall {}

impl Mall {
    fn meet(&mut self, creature: Pid<Creature>, color: Color) {
        if self.left == 0 {
            // Nobody waits: the last meeting took the one that did.
            dispatch(creature, Creature::go_home, ()).detach();
        } else if let Some(waiting) = self.waiting.take() {
            self.left -= 1;
            dispatch(waiting, Creature::meet, (creature, color)).detach();
        } else {
            self.waiting = Some(creature);
        }
    }

    fn goes_home(&mut self, met: u64) {
        self.met += met;
        self.inside -= 1;
        if self.inside == 0
            && let Some(done) = self.done.take()
        {
            done.set(self.met);
        }
    }
}

struct Creature {
    mall: Pid<Mall>,
    color: Color,
    met: u64,
    met_itself: u64,
}

impl Process for Creature {}

impl Creature {
    fn start(&mut self, cx: &mut Context<Self>) {
        dispatch(self.mall, Mall::meet, (cx.pid(), self.color)).detach();
    }

    fn meet(&mut self, other: Pid<Self>, color: Color, cx: &mut Context<Self>) {
        self.met_itself += u64::from(other == cx.pid());
        let color = self.color.after_meeting(color);
        dispatch(other, Self::change, (color,)).detach();
        self.change(color, cx);
    }

    fn change(&mut self, color: Color, cx: &mut Context<Self>) {
        self.color = color;
        self.met += 1;
        self.start(cx);
    }

    fn go_home(&mut self) {
        dispatch(self.mall, Mall::goes_home, (self.met,)).detach();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_differ_become_the_third() {
        use Color::{Blue, Red, Yellow};
        assert_eq!(Blue.after_meeting(Red), Yellow);
        assert_eq!(Yellow.after_meeting(Red), Blue);
        assert_eq!(Blue.after_meeting(Yellow), Red);
        assert_eq!(Red.after_meeting(Red), Red);
    }
}
