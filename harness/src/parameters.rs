//! What a benchmark is run with: what the user asked for, and its own defaults for the rest.

use libprocess::{BuildError, Runtime, RuntimeBuilder};
use serde::{Deserialize, Serialize};

/// A benchmark's own defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub(crate) repeat: u64,
    /// Whether it has pairs: as many as workers, unless told.
    pub(crate) pairs: bool,
    /// `None` if it has no window.
    pub(crate) window: Option<u64>,
    /// `None` if it has no number of actors that could be another one.
    pub(crate) actors: Option<Actors>,
    /// In bytes, of each message; `None` if it has no messages that could be of another size.
    pub(crate) size: Option<u64>,
    /// Requests that are sent together; `None` if it sends none, or one at a time.
    pub(crate) pipeline: Option<u64>,
    /// `None` if it does not care: then as the runtime.
    pub(crate) workers: Option<usize>,
    /// Whether it can be paced.
    pub(crate) paced: bool,
}

/// How many processes a benchmark has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Actors {
    pub(crate) default: u64,
    /// With fewer it makes no sense.
    pub(crate) least: u64,
    /// More than these it cannot have.
    pub(crate) most: u64,
}

impl Defaults {
    /// So many repeats, and nothing else that could be set.
    pub(crate) const fn new(repeat: u64) -> Self {
        Self {
            repeat,
            pairs: false,
            window: None,
            actors: None,
            size: None,
            pipeline: None,
            workers: None,
            paced: false,
        }
    }

    /// It has pairs.
    pub(crate) const fn pairs(mut self) -> Self {
        self.pairs = true;
        self
    }

    /// It has a window.
    pub(crate) const fn window(mut self, window: u64) -> Self {
        self.window = Some(window);
        self
    }

    /// It has so many processes, unless told.
    pub(crate) const fn actors(mut self, default: u64, least: u64) -> Self {
        assert!(least >= 1 && least <= default);
        self.actors = Some(Actors {
            default,
            least,
            most: u64::MAX,
        });
        self
    }

    /// It has so many processes, or what stands for them, unless told, and never more than `most`.
    pub(crate) const fn actors_at_most(self, default: u64, least: u64, most: u64) -> Self {
        assert!(default <= most);
        let mut defaults = self.actors(default, least);
        defaults.actors = Some(Actors {
            default,
            least,
            most,
        });
        defaults
    }

    /// Its messages have so many bytes, unless told.
    pub(crate) const fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// It sends so many requests together, unless told.
    pub(crate) const fn pipeline(mut self, depth: u64) -> Self {
        self.pipeline = Some(depth);
        self
    }

    /// It is about so many workers, unless told.
    pub(crate) const fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// It can be paced.
    pub(crate) const fn paced(mut self) -> Self {
        self.paced = true;
        self
    }
}

/// What the user asked for; the same for all benchmarks of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    pub(crate) workers: Option<usize>,
    pub(crate) pairs: Option<u64>,
    pub(crate) repeat: Option<u64>,
    pub(crate) window: Option<u64>,
    pub(crate) actors: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) pipeline: Option<u64>,
    pub(crate) rate: Option<u64>,
    pub(crate) events_per_resume: Option<u32>,
    pub(crate) pin: bool,
}

/// What a benchmark is run with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) workers: usize,
    pub(crate) pin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pairs: Option<u64>,
    pub(crate) repeat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actors: Option<u64>,
    /// Of each message, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Requests that are sent together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline: Option<u64>,
    /// Repeats begun in a second; `None` for as many as are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<u64>,
    /// `None` for the runtime's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events_per_resume: Option<u32>,
    /// Runs before the ones that count.
    pub(crate) warmup: usize,
}

/// Parameters that make no sense together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadParameters {
    #[error(
        "{repeat} repeats among {pairs} pairs leave a pair without any: ask for --repeat {pairs} or more"
    )]
    TooFewRepeats { repeat: u64, pairs: u64 },
    #[error("{actors} actors are too few: ask for --actors {least} or more")]
    TooFewActors { actors: u64, least: u64 },
    #[error("{actors} actors are too many: ask for --actors {most} or fewer")]
    ExcessOfActors { actors: u64, most: u64 },
}

impl Overrides {
    /// Starts a runtime as the user asked for, or else as a benchmark with these defaults needs it.
    pub(crate) fn build_runtime(&self, defaults: Defaults) -> Result<Runtime, BuildError> {
        self.runtime_builder(defaults).build()
    }

    /// What [`build_runtime`](Self::build_runtime) builds, for who needs more of it.
    pub(crate) fn runtime_builder(&self, defaults: Defaults) -> RuntimeBuilder {
        let mut builder = Runtime::builder().name("harness").pin_workers(self.pin);
        if let Some(workers) = self.workers.or(defaults.workers) {
            builder = builder.workers(workers);
        }
        if let Some(events) = self.events_per_resume {
            builder = builder.event_budget(events);
        }
        builder
    }

    /// What a benchmark with these defaults is run with, on a runtime with so many workers.
    pub(crate) fn resolve(
        &self,
        defaults: Defaults,
        workers: usize,
        warmup: usize,
    ) -> Result<Parameters, BadParameters> {
        let repeat = self.repeat.unwrap_or(defaults.repeat);
        let pairs = defaults.pairs.then(|| self.pairs.unwrap_or(workers as u64));
        if let Some(pairs) = pairs
            && repeat < pairs
        {
            return Err(BadParameters::TooFewRepeats { repeat, pairs });
        }
        let window = defaults
            .window
            .map(|default| self.window.unwrap_or(default));
        let actors = match defaults.actors {
            None => None,
            Some(Actors {
                default,
                least,
                most,
            }) => match self.actors.unwrap_or(default) {
                actors if actors < least => {
                    return Err(BadParameters::TooFewActors { actors, least });
                }
                actors if actors > most => {
                    return Err(BadParameters::ExcessOfActors { actors, most });
                }
                actors => Some(actors),
            },
        };
        Ok(Parameters {
            workers,
            pin: self.pin,
            pairs,
            repeat,
            window,
            actors,
            size: defaults.size.map(|default| self.size.unwrap_or(default)),
            pipeline: defaults
                .pipeline
                .map(|default| self.pipeline.unwrap_or(default)),
            rate: self.rate.filter(|_| defaults.paced),
            events_per_resume: self.events_per_resume,
            warmup,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRED: Defaults = Defaults::new(100).pairs().window(10);
    const PLAIN: Defaults = Defaults::new(50);

    #[test]
    fn there_are_as_many_pairs_as_workers() {
        let parameters = Overrides::default().resolve(PAIRED, 3, 1).unwrap();
        assert_eq!(parameters.pairs, Some(3));
        assert_eq!((parameters.repeat, parameters.window), (100, Some(10)));
    }

    #[test]
    fn what_the_user_asks_for_wins() {
        let overrides = Overrides {
            pairs: Some(1),
            repeat: Some(7),
            window: Some(2),
            ..Overrides::default()
        };
        let parameters = overrides.resolve(PAIRED, 3, 1).unwrap();
        assert_eq!(
            (parameters.pairs, parameters.repeat, parameters.window),
            (Some(1), 7, Some(2))
        );
    }

    #[test]
    fn what_a_benchmark_does_not_have_cannot_be_given_to_it() {
        let overrides = Overrides {
            pairs: Some(90),
            window: Some(2),
            actors: Some(3),
            size: Some(5),
            pipeline: Some(6),
            rate: Some(4),
            ..Overrides::default()
        };
        let parameters = overrides.resolve(PLAIN, 3, 0).unwrap();
        assert_eq!((parameters.pairs, parameters.window), (None, None));
        assert_eq!((parameters.actors, parameters.rate), (None, None));
        assert_eq!((parameters.size, parameters.pipeline), (None, None));
    }

    #[test]
    fn actors_are_as_many_as_make_sense() {
        let resolve = |actors| {
            let overrides = Overrides {
                actors,
                ..Overrides::default()
            };
            overrides.resolve(PLAIN.actors(8, 2), 1, 0)
        };
        assert_eq!(resolve(None).unwrap().actors, Some(8));
        assert_eq!(resolve(Some(2)).unwrap().actors, Some(2));
        let too_few = BadParameters::TooFewActors {
            actors: 1,
            least: 2,
        };
        assert_eq!(resolve(Some(1)), Err(too_few));
    }

    #[test]
    fn actors_are_as_many_as_there_can_be() {
        let resolve = |actors| {
            let overrides = Overrides {
                actors: Some(actors),
                ..Overrides::default()
            };
            overrides.resolve(PLAIN.actors_at_most(8, 2, 9), 1, 0)
        };
        assert_eq!(resolve(9).unwrap().actors, Some(9));
        let too_many = BadParameters::ExcessOfActors {
            actors: 10,
            most: 9,
        };
        assert_eq!(resolve(10), Err(too_many));
    }

    #[test]
    fn a_size_is_for_what_has_messages_of_any_size() {
        let resolve = |size| {
            let overrides = Overrides {
                size,
                ..Overrides::default()
            };
            overrides.resolve(PLAIN.size(64), 1, 0).unwrap().size
        };
        assert_eq!((resolve(None), resolve(Some(1))), (Some(64), Some(1)));
    }

    #[test]
    fn a_pipeline_is_for_what_sends_several_requests_together() {
        let resolve = |pipeline| {
            let overrides = Overrides {
                pipeline,
                ..Overrides::default()
            };
            let defaults = PLAIN.pipeline(16);
            overrides.resolve(defaults, 1, 0).unwrap().pipeline
        };
        assert_eq!((resolve(None), resolve(Some(1))), (Some(16), Some(1)));
    }

    #[test]
    fn workers_are_as_the_user_wants_or_else_as_the_benchmark() {
        let workers = |workers| {
            let overrides = Overrides {
                workers,
                ..Overrides::default()
            };
            overrides.build_runtime(PLAIN.workers(3)).unwrap().workers()
        };
        assert_eq!((workers(None), workers(Some(2))), (3, 2));
    }

    #[test]
    fn a_pace_is_for_what_can_be_paced() {
        let overrides = Overrides {
            rate: Some(1_000),
            ..Overrides::default()
        };
        let parameters = overrides.resolve(PLAIN.paced(), 1, 0).unwrap();
        assert_eq!(parameters.rate, Some(1_000));
    }

    #[test]
    fn a_pair_without_a_repeat_would_never_end() {
        let overrides = Overrides {
            repeat: Some(2),
            ..Overrides::default()
        };
        assert_eq!(
            overrides.resolve(PAIRED, 3, 1),
            Err(BadParameters::TooFewRepeats {
                repeat: 2,
                pairs: 3
            })
        );
    }
}
