//! Queues in turn: how the examples compare them.

use std::time::Duration;

fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// One measurement.
pub(crate) type Run = fn() -> Duration;

/// How many, as the program's only argument says.
pub(crate) fn rounds() -> usize {
    std::env::args().nth(1).map_or(31, |rounds| {
        rounds.parse().expect("the number of rounds is a number")
    })
}

/// Runs each queue once in each round, in turn, and prints medians of the time for one of `items`, and their ratios to the first queue's.
pub(crate) fn compare(name: &str, rounds: usize, items: usize, queues: [(&str, Run); 3]) {
    let mut times = [const { Vec::new() }; 3];
    for (_, run) in queues {
        run(); // warm: pages, branch predictors, the clock of the processor
    }
    for _ in 0..rounds {
        for ((_, run), times) in queues.iter().zip(&mut times) {
            times.push(run().as_nanos() as f64 / items as f64);
        }
    }
    let base = quantile(&sorted(times[0].clone()), 0.5);
    for ((queue, _), own) in queues.iter().zip(&times) {
        let ratios = sorted(
            own.iter()
                .zip(&times[0])
                .map(|(own, base)| own / base)
                .collect(),
        );
        let median = quantile(&sorted(own.clone()), 0.5);
        println!(
            "{name:<20} {queue:<12} {median:>7.1} ns/item   ratio {:>5.2}   quartiles {:.2} .. {:.2}",
            median / base,
            quantile(&ratios, 0.25),
            quantile(&ratios, 0.75),
        );
    }
}
