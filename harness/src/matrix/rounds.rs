//! Measuring many builds in turn: all of them forwards, then all of them backwards, and so on.
//!
//! So of any two each is as often the first as the other, and a steady drift of the machine helps neither.

use std::time::{Duration, Instant};

use super::combination::{Combination, Undecided};
use super::family::Family;
use crate::compare::turns::{Harness, join};
use crate::failure::Failure;
use crate::record::Variant;
use crate::saved::Saved;

/// A combination that was built.
pub(crate) struct Build<'a> {
    pub(crate) combination: Combination,
    pub(crate) harness: Harness<'a>,
}

/// What was measured of a family with one build and over one reactor: all finished rounds as one result.
pub(crate) struct Measured {
    pub(crate) combination: Combination,
    pub(crate) saved: Saved,
}

/// A build and a benchmark, and each round's run.
struct Lane<'a> {
    build: &'a Build<'a>,
    benchmark: &'a str,
    runs: Vec<Saved>,
}

/// What the finished rounds give, and why they are not all, if they are not. Empty if none was finished.
pub(crate) fn measure(
    family: &Family,
    builds: &[Build<'_>],
    rounds: usize,
) -> Result<(Vec<Measured>, Option<Failure>), Failure> {
    let mut lanes: Vec<Lane<'_>> = builds
        .iter()
        .flat_map(|build| {
            family.benchmarks.iter().map(move |benchmark| Lane {
                build,
                benchmark,
                runs: Vec::new(),
            })
        })
        .collect();
    let mut ended = None;
    let began = Instant::now();
    for round in 0..rounds {
        let left = time_left(began.elapsed(), round, rounds);
        eprintln!("{}: round {} of {rounds}{left}", family.name, round + 1);
        match one_round(&mut lanes, round) {
            Ok(()) => {}
            Err(failure) => {
                ended = Some(failure);
                break;
            }
        }
        if round == 0 {
            // Before the time of all rounds is spent.
            check(&lanes)?;
        }
    }
    let finished = lanes.iter().map(|lane| lane.runs.len()).min().unwrap_or(0);
    let mut measured = Vec::new();
    for mut lane in lanes {
        // Of a round that was not finished, the others saw another machine.
        lane.runs.truncate(finished);
        if finished > 0 {
            measured.push(Measured {
                combination: lane.build.combination,
                saved: join(lane.runs)?,
            });
        }
    }
    Ok((measured, ended))
}

fn one_round(lanes: &mut [Lane<'_>], round: usize) -> Result<(), Failure> {
    let mut turns: Vec<&mut Lane<'_>> = lanes.iter_mut().collect();
    if round % 2 == 1 {
        turns.reverse();
    }
    for lane in turns {
        lane.runs.push(lane.build.harness.run_once(lane.benchmark)?);
    }
    Ok(())
}

/// That the features decide what they are to decide.
fn check(lanes: &[Lane<'_>]) -> Result<(), Undecided> {
    let records = |lane: &Lane<'_>| -> Vec<(Combination, Variant)> {
        let results = lane.runs.iter().flat_map(|saved| &saved.results);
        results
            .map(|record| (lane.build.combination, record.variant.clone()))
            .collect()
    };
    let built: Vec<(Combination, Variant)> = lanes.iter().flat_map(records).collect();
    let built: Vec<(Combination, &Variant)> = built
        .iter()
        .map(|(combination, variant)| (*combination, variant))
        .collect();
    Combination::check(&built)
}

/// About how long the others take, once there is a round to tell by.
fn time_left(elapsed: Duration, done: usize, rounds: usize) -> String {
    if done == 0 {
        return String::new();
    }
    let seconds = elapsed.as_secs_f64() * (rounds - done) as f64 / done as f64;
    let minutes = (seconds / 60.0).ceil().max(1.0);
    format!(", about {minutes} min left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_once_it_is_known() {
        let minute = Duration::from_secs(60);
        assert_eq!(time_left(minute, 0, 9), "");
        assert_eq!(time_left(minute, 1, 9), ", about 8 min left");
        assert_eq!(time_left(minute, 8, 9), ", about 1 min left");
    }
}
